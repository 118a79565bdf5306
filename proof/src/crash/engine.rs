//! The engine as a process: started as a user starts it, and killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The calls to the system at which the engine is killed: a page of the log or the file is written, the disk is waited for, a byte is
/// sent to or read from the receiver, a file (the lock, the log) is opened.
pub(super) const BOUNDARIES: [&str; 6] = ["pwrite64", "fdatasync,fsync", "sendto,writev", "recvfrom", "pread64", "fcntl"];
/// How long a kill at a boundary that is never reached is waited for.
const BOUNDARY_MAX: Duration = Duration::from_secs(5);

/// When to kill.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kill {
    /// So long after it says that it serves.
    After(Duration),
    /// Just before a thread makes that call for the n-th time.
    Before { call: &'static str, count: u32 },
}

/// How a kill went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Killed {
    /// At a random moment.
    AtRandom,
    /// At a call.
    At(&'static str),
    /// The call was not reached; killed later all the same.
    Late(&'static str),
}

/// How the binary is run.
pub(super) struct Engine {
    hence: PathBuf,
    folder: PathBuf,
}

/// A process that serves.
pub(super) struct Running {
    child: Child,
}

impl Engine {
    pub(super) fn new(hence: &Path, folder: &Path) -> Self {
        Self { hence: hence.to_owned(), folder: folder.to_owned() }
    }

    /// Starts it and waits until it says that it serves.
    pub(super) async fn begin(&self, at_most: Duration) -> Result<Running> {
        let mut child = self.command(None).spawn().with_context(|| format!("cannot run {}", self.hence.display()))?;
        let mut lines = BufReader::new(child.stderr.take().context("standard error is not a pipe")?).lines();
        let serves = async {
            let mut said = Vec::new();
            while let Some(line) = lines.next_line().await? {
                if line.starts_with("serving ") {
                    return Ok(());
                }
                said.push(line);
            }
            bail!("the engine ended before it served: {}", said.join(" | "))
        };
        tokio::time::timeout(at_most, serves).await.context("the engine does not say that it serves")??;
        // Read on, so that it is never blocked by what it says; ends with the process.
        let reading = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        drop(reading);
        Ok(Running { child })
    }

    /// Starts it and kills it.
    pub(super) async fn kill(&self, kill: Kill, at_most: Duration) -> Result<Killed> {
        match kill {
            Kill::After(span) => {
                let mut running = self.begin(at_most).await?;
                tokio::time::sleep(span).await;
                running.child.kill().await.context("the engine cannot be killed")?;
                Ok(Killed::AtRandom)
            }
            Kill::Before { call, count } => {
                // The engine dies with its tracer if the call is never reached (--kill-on-exit is newer than Debian's strace, so its
                // own process group is killed).
                let mut child = self.command(Some((call, count))).process_group(0).spawn().context("cannot run strace")?;
                let group = child.id().context("strace has ended already")?;
                drop(child.stderr.take());
                if tokio::time::timeout(BOUNDARY_MAX, child.wait()).await.is_ok() {
                    return Ok(Killed::At(call));
                }
                let killed = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status().await?;
                child.wait().await?;
                if killed.success() { Ok(Killed::Late(call)) } else { bail!("the group of the engine cannot be killed") }
            }
        }
    }

    fn command(&self, boundary: Option<(&str, u32)>) -> Command {
        let mut command = match boundary {
            None => Command::new(&self.hence),
            Some((call, count)) => {
                let mut command = Command::new("strace");
                command.args(["-f", "-qqq", "-o", "/dev/null"]);
                command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:signal=KILL:when={count}")]);
                command.arg(&self.hence);
                command
            }
        };
        command.arg("serve").current_dir(&self.folder).env_clear().env("HENCE_LOG", "warn").env("PATH", "/usr/bin:/bin");
        let output = if boundary.is_some() { Stdio::null() } else { Stdio::piped() };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).kill_on_drop(true);
        command
    }
}

impl Running {
    /// Asks it to stop, and waits until everything is written.
    pub(super) async fn stop(mut self) -> Result<()> {
        let id = self.child.id().context("the engine has ended by itself")?;
        let asked = Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        let ended =
            tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await.context("the engine does not stop")??;
        if asked.success() && ended.success() { Ok(()) } else { bail!("the engine ended with {ended}") }
    }
}
