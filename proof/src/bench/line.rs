//! What is printed: one line for each workload and system, as text or JSON.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::Workload;
use crate::machine::Took;

/// Who did the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    /// One wide table and nothing else: the limit of SQLite with a start that is committed before the effect.
    RawWide,
    /// The least statements on the tables of Hence: what those tables cost.
    RawTables,
    /// The engine or the client, complete.
    Hence,
}

impl System {
    pub(super) const ALL: [System; 3] = [System::RawWide, System::RawTables, System::Hence];

    fn as_str(self) -> &'static str {
        match self {
            System::RawWide => "raw, one table",
            System::RawTables => "raw, our tables",
            System::Hence => "Hence",
        }
    }
}

/// What one round gave.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// Tasks done, told or cancelled, and in which time.
    pub(super) tasks: usize,
    pub(super) took: Took,
    /// How late each task was started, sorted; empty where that is not the question.
    pub(super) lateness: Vec<Duration>,
}

impl Found {
    pub(super) fn of(tasks: usize, took: Took) -> Self {
        Self { tasks, took, lateness: Vec::new() }
    }

    fn rate(&self) -> f64 {
        self.tasks as f64 / self.took.span.as_secs_f64().max(1e-9)
    }
}

/// One line of the table.
pub(super) struct Line {
    pub(super) workload: Workload,
    pub(super) system: System,
    /// Each round with the sync latency before it.
    pub(super) rounds: Vec<(Found, Duration)>,
    /// The rate as a part of that of the raw statements.
    pub(super) of_raw: Option<f64>,
}

impl Line {
    /// The rate of the median round.
    pub(super) fn rate(&self) -> f64 {
        let mut rates: Vec<f64> = self.rounds.iter().map(|(found, _)| found.rate()).collect();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(0.0)
    }

    /// Microseconds of processor time for each task, in the cheapest round.
    fn processor(&self) -> f64 {
        let costs = self.rounds.iter().map(|(found, _)| found.took.processor.as_secs_f64() * 1e6 / found.tasks.max(1) as f64);
        costs.min_by(f64::total_cmp).unwrap_or(0.0)
    }

    fn sync(&self) -> Duration {
        let mut spans: Vec<Duration> = self.rounds.iter().map(|(_, sync)| *sync).collect();
        spans.sort_unstable();
        spans.get(spans.len() / 2).copied().unwrap_or_default()
    }

    /// Lateness at a share of the tasks, over all rounds.
    fn lateness(&self, share: f64) -> Option<Duration> {
        let mut all: Vec<Duration> = self.rounds.iter().flat_map(|(found, _)| found.lateness.iter().copied()).collect();
        all.sort_unstable();
        let last = all.len().checked_sub(1)?;
        all.get((last as f64 * share).round() as usize).copied()
    }

    fn name(&self) -> String {
        self.workload.to_possible_value().map_or_else(String::new, |value| value.get_name().to_uppercase())
    }

    pub(super) fn to_json(&self) -> Value {
        let millis = |span: Duration| span.as_secs_f64() * 1000.0;
        let late = self.lateness(0.5).map(|p50| {
            json!({ "p50_ms": millis(p50), "p99_ms": self.lateness(0.99).map(millis), "max_ms": self.lateness(1.0).map(millis) })
        });
        json!({
            "workload": self.name(),
            "system": self.system.as_str(),
            "tasks_per_second": self.rate().round(),
            "rounds": self.rounds.iter().map(|(found, _)| found.rate().round()).collect::<Vec<_>>(),
            "of_raw": self.of_raw,
            "processor_us_per_task": self.processor(),
            "lateness": late,
            "sync_ms": millis(self.sync()),
        })
    }
}

/// The line above the others.
pub(super) fn heading() -> String {
    format!(
        "{:<8} {:<16} {:>10} {:>7} {:>8} {:>8}  {}",
        "workload", "system", "tasks/s", "of raw", "us/task", "sync ms", "rounds, lateness"
    )
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_raw = self.of_raw.map_or_else(String::new, |share| format!("{share:.2}"));
        let rounds: Vec<String> = self.rounds.iter().map(|(found, _)| format!("{:.0}", found.rate())).collect();
        let sync = self.sync().as_secs_f64() * 1000.0;
        let (name, system) = (self.name(), self.system.as_str());
        write!(
            f,
            "{name:<8} {system:<16} {:>10.0} {of_raw:>7} {:>8.1} {sync:>8.2}  {}",
            self.rate(),
            self.processor(),
            rounds.join(" ")
        )?;
        if let (Some(p50), Some(p99), Some(max)) = (self.lateness(0.5), self.lateness(0.99), self.lateness(1.0)) {
            write!(f, "; late p50 {p50:.1?} p99 {p99:.1?} max {max:.1?}")?;
        }
        Ok(())
    }
}
