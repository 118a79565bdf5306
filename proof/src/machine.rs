//! What is asked of the machine: how long the disk takes to be sure, and what a process uses.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often the disk is asked.
const SYNCS: usize = 40;
/// Clock ticks in a second of `/proc`: the value of every Linux that Rust runs on.
const TICKS: u64 = 100;

/// The median time of writing 8 kB and waiting until the disk has it.
pub(crate) fn sync_latency(folder: &Path) -> Result<Duration> {
    let path = folder.join("sync-latency");
    let mut file = File::create(&path).with_context(|| format!("cannot write in {}", folder.display()))?;
    let mut spans = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[7; 8192])?;
        file.sync_data()?;
        spans.push(began.elapsed());
    }
    fs::remove_file(&path)?;
    spans.sort_unstable();
    Ok(spans[SYNCS / 2])
}

/// Measures a piece of work: how long it took, and what it cost.
pub(crate) struct Stopwatch {
    began: Instant,
    processor: Duration,
}

/// How long something took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Took {
    pub(crate) span: Duration,
    /// The time that this process spent on all cores; also comparable while others use the machine.
    pub(crate) processor: Duration,
}

impl Stopwatch {
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), processor: processor_time("self").unwrap_or_default() }
    }

    pub(crate) fn stop(&self) -> Took {
        let processor = processor_time("self").unwrap_or_default().saturating_sub(self.processor);
        Took { span: self.began.elapsed(), processor }
    }
}

/// The memory that a process holds now and held at most, in bytes.
pub(crate) fn memory(process: &str) -> Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = |key: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    Ok((value("VmRSS:"), value("VmHWM:")))
}

/// The time that a process has spent on a core.
pub(crate) fn processor_time(process: &str) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may hold anything; behind it stand the state and then numbers.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
    Ok(Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS))
}
