//! The disk runs full under the engine, and is freed: it stops starting work, goes on by itself, and nothing is lost or done twice.
//!
//! The store is on a small file system of its own in memory, which another file fills. Mounting it needs the rights for that.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hence::store::sqlite::{OpenMode, SqliteOptions, SqliteStore};
use hence::{Client, FactReaders, Store};

use super::check::{self, Evidence, Report};
use super::engine::Engine;
use super::receiver::Receiver;
use super::{DEFINITION, DRAIN_MAX, SERVES_MAX, enrol, prepare};

/// How long the receiver must hear nothing until the engine counts as standing still.
const QUIET: Duration = Duration::from_secs(3);

/// A file system that is unmounted when this is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn begin(place: &Path, bytes: u64) -> Result<Self> {
        std::fs::create_dir_all(place)?;
        let size = format!("size={bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place).status();
        ensure!(mounted.is_ok_and(|status| status.success()), "a small file system cannot be mounted: run this as root");
        Ok(Self(place.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: whatever still has a file open keeps it until it ends.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Drains so many tasks while the disk is full for a while.
/// # Errors
/// Something could not be done, or the engine did not stand still, or did not go on.
pub fn run(hence: &Path, tasks: usize) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(play(hence, tasks))
}

async fn play(hence: &Path, tasks: usize) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let small = folder.path().join("small");
    // Room for the store and for all that its log may hold before it is written back, 32 MB, twice over: what fills the disk must be
    // the other file, or taking that away frees nothing.
    let _mounted = Mounted::begin(&small, (64 << 20) + tasks as u64 * 4096)?;
    let receiver = Receiver::begin(&folder.path().join("received.log")).await?;
    prepare(&small, receiver.port())?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&small.join("hence.db"), SqliteOptions::new(OpenMode::Create))?);
    let client = Client::open(Arc::clone(&store), FactReaders::default(), "harness").await?;
    client.put_definition(DEFINITION).await?;
    enrol(&client, tasks).await?;
    let engine = Engine::new(hence, &small);
    let running = engine.begin(SERVES_MAX).await?;
    until("the engine delivers", || Ok(receiver.count() > tasks / 10)).await?;
    let filler = small.join("filler");
    fill(&filler)?;
    let mut heard = (receiver.count(), Instant::now());
    until("the engine stands still", || {
        fill(&filler)?;
        if receiver.count() > heard.0 {
            heard = (receiver.count(), Instant::now());
        }
        Ok(heard.1.elapsed() > QUIET)
    })
    .await?;
    let before = heard.0;
    ensure!(before < tasks, "everything was drained before the disk was full");
    std::fs::remove_file(&filler)?;
    until("the engine goes on by itself", || Ok(receiver.count() > before)).await?;
    let began = Instant::now();
    while store.totals().await?.live.values().sum::<u64>() > 0 {
        ensure!(began.elapsed() < DRAIN_MAX, "work is left that never comes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.stop().await?;
    let received = receiver.end().await?;
    check::check(&store, Evidence { seed: 0, received, cancels: Vec::new(), kills: Vec::new(), tasks }).await
}

/// Lets the file grow until nothing fits any more.
fn fill(path: &Path) -> Result<()> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    for size in [1 << 16, 1 << 12] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
    Ok(())
}

async fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !holds().with_context(|| format!("waiting until {what}"))? {
        if began.elapsed() > Duration::from_secs(120) {
            bail!("it did not come that {what}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
