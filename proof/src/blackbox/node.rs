//! A node as a process: started as a user starts it, behind a proxy of its own, hurt and healed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::proxy::Proxy;

/// How long a node may take until it says that it serves.
const SERVES_MAX: Duration = Duration::from_secs(60);
/// How long it may take to stop.
const STOPS_MAX: Duration = Duration::from_secs(30);
/// How many of the last lines that it said are kept.
const LINES_KEPT: usize = 40;

/// A node, running or not.
pub(super) struct Node {
    hence: PathBuf,
    folder: PathBuf,
    pub(super) proxy: Proxy,
    running: Option<Running>,
}

struct Running {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    name: Arc<Mutex<Option<String>>>,
    reading: JoinHandle<()>,
}

impl Node {
    /// Makes its folder; it does not run yet. `url` leads through the proxy.
    pub(super) fn new(hence: &Path, folder: &Path, (proxy, url, receiver): (Proxy, &str, u16)) -> Result<Self> {
        let config = format!(
            "[store]\nurl = \"{url}\"\n\n[targets.app]\nurl = \"http://127.0.0.1:{receiver}\"\nallow_private = true\n\n\
             [engine]\ncatch_up_per_second = 100000\n"
        );
        std::fs::create_dir_all(folder.join("timelines"))?;
        std::fs::write(folder.join("hence.toml"), config)?;
        std::fs::write(folder.join("timelines/drain.toml"), super::DEFINITION)?;
        Ok(Self { hence: hence.to_owned(), folder: folder.to_owned(), proxy, running: None })
    }

    /// Starts it, and waits until it says that it serves.
    pub(super) async fn begin(&mut self) -> Result<()> {
        let mut command = Command::new(&self.hence);
        command.arg("serve").current_dir(&self.folder).env_clear().env("HENCE_LOG", "info").env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot run {}", self.hence.display()))?;
        let mut lines = BufReader::new(child.stderr.take().context("standard error is not a pipe")?).lines();
        let serves = async {
            let mut said = Vec::new();
            while let Some(line) = lines.next_line().await? {
                if line.starts_with("serving ") {
                    return Ok(());
                }
                said.push(line);
            }
            bail!("the node ended before it served: {}", said.join(" | "))
        };
        tokio::time::timeout(SERVES_MAX, serves).await.context("the node does not say that it serves")??;
        let (said, name) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<Option<String>>>::default());
        let (into, named) = (Arc::clone(&said), Arc::clone(&name));
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut said = into.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(found) = node_name(&line) {
                    named.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(found);
                }
                if said.len() == LINES_KEPT {
                    said.remove(0);
                }
                said.push(line);
            }
        });
        self.running = Some(Running { child, said, name, reading });
        Ok(())
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The name under which it beats, once it has said it.
    pub(super) fn name(&self) -> Option<String> {
        let running = self.running.as_ref()?;
        running.name.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last lines that it said.
    pub(super) fn said(&self) -> Vec<String> {
        self.running.as_ref().map_or_else(Vec::new, |it| it.said.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// `SIGKILL`.
    pub(super) async fn kill(&mut self) -> Result<Instant> {
        let mut running = self.running.take().context("the node does not run")?;
        running.child.start_kill().context("the node cannot be killed")?;
        let at = Instant::now();
        running.child.wait().await?;
        running.reading.await.context("what it said cannot be read")?;
        Ok(at)
    }

    /// A signal by its name.
    pub(super) async fn signal(&self, name: &str) -> Result<()> {
        let running = self.running.as_ref().context("the node does not run")?;
        let id = running.child.id().context("the node has ended by itself")?;
        let sent = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status().await?;
        ensure!(sent.success(), "SIG{name} cannot be sent");
        Ok(())
    }

    /// Asks it to stop, and waits until everything is written.
    pub(super) async fn stop(&mut self) -> Result<()> {
        self.signal("TERM").await?;
        let said = self.said();
        let Some(mut running) = self.running.take() else { return Ok(()) };
        let ended = tokio::time::timeout(STOPS_MAX, running.child.wait()).await;
        let ended = ended.with_context(|| format!("the node does not stop: {}", said.join(" | ")))??;
        ensure!(ended.success(), "the node ended with {ended}: {}", said.join(" | "));
        running.reading.await.context("what it said cannot be read")
    }
}

/// `node_` and what follows of letters and digits.
fn node_name(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("node_")?;
    let digits: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    (digits.len() == 32).then(|| format!("node_{digits}"))
}
