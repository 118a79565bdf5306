//! The checker: history against what the receiver logged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use anyhow::Result;
use hence::core::history::{Record, RecordKind};
use hence::store::port::{HistoryFilter, HistoryOrder, PageRequest};
use hence::{CancelAnswer, Store};

use super::Cancel;
use super::engine::Killed;
use super::receiver::Received;

/// Violations that are told one by one; the rest is counted.
const TOLD_MAX: usize = 20;

/// What is judged.
pub(crate) struct Evidence {
    pub(crate) seed: u64,
    pub(crate) received: Vec<Received>,
    pub(crate) cancels: Vec<Cancel>,
    pub(crate) kills: Vec<Killed>,
    pub(crate) tasks: usize,
}

/// What came of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// Repeats the moments of the kills, not the machine's speed.
    pub seed: u64,
    /// Tasks that were drained.
    pub tasks: usize,
    /// Kills by their kind.
    pub kills: BTreeMap<String, usize>,
    /// Requests that arrived.
    pub requests: usize,
    /// Those of them that repeated an earlier one, each marked.
    pub repeated: usize,
    /// Cancels by their answer.
    pub cancels: BTreeMap<&'static str, usize>,
    /// Running tasks that a new engine took over.
    pub taken_over: usize,
    /// What must not have happened.
    pub violations: Vec<String>,
}

/// What history says of one task.
#[derive(Default)]
struct Story<'r> {
    records: Vec<&'r Record>,
    requests: Vec<&'r Received>,
    cancelled: Option<&'r Cancel>,
}

/// Judges.
pub(crate) async fn check(store: &Arc<dyn Store>, evidence: Evidence) -> Result<Report> {
    let records = history(store).await?;
    let mut stories: BTreeMap<i64, Story<'_>> = BTreeMap::new();
    for record in &records {
        if let Some(task) = record.task {
            stories.entry(task.0).or_default().records.push(record);
        }
    }
    for request in &evidence.received {
        stories.entry(request.task).or_default().requests.push(request);
    }
    for cancel in &evidence.cancels {
        stories.entry(cancel.task.0).or_default().cancelled = Some(cancel);
    }
    let mut violations = Vec::new();
    if stories.len() != evidence.tasks {
        violations.push(format!("{} tasks are known, {} were made", stories.len(), evidence.tasks));
    }
    for (task, story) in &stories {
        let found = story.violations();
        violations.extend(found.into_iter().map(|violation| format!("task_{task}: {violation}")));
    }
    violations.extend(order(&stories));
    violations.extend(second_ids(&evidence.received));
    let mut kills: BTreeMap<String, usize> = BTreeMap::new();
    for kill in &evidence.kills {
        *kills.entry(kill.to_string()).or_default() += 1;
    }
    let mut cancels = BTreeMap::new();
    for cancel in &evidence.cancels {
        *cancels.entry(word(cancel.answer)).or_default() += 1;
    }
    Ok(Report {
        seed: evidence.seed,
        tasks: stories.len(),
        kills,
        requests: evidence.received.len(),
        repeated: stories.values().map(|story| story.requests.len().saturating_sub(1)).sum(),
        cancels,
        taken_over: records.iter().filter(|record| record.kind == RecordKind::TakenOver).count(),
        violations,
    })
}

async fn history(store: &Arc<dyn Store>) -> Result<Vec<Record>> {
    let filter = HistoryFilter { order: HistoryOrder::OldestFirst, ..HistoryFilter::default() };
    let mut request = PageRequest::first(1000);
    let mut records = Vec::new();
    loop {
        let page = store.history(&filter, request.clone()).await?;
        records.extend(page.items.into_iter().map(|row| row.record));
        match page.next {
            Some(next) => request.after = Some(next),
            None => return Ok(records),
        }
    }
}

impl Story<'_> {
    fn has(&self, kind: RecordKind) -> bool {
        self.records.iter().any(|record| record.kind == kind)
    }

    fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        let finals: Vec<&&Record> = self.records.iter().filter(|record| record.kind.final_state().is_some()).collect();
        match finals[..] {
            [] => found.push("it has no end: lost".to_owned()),
            [only] if only.kind == RecordKind::Done && self.requests.is_empty() => {
                found.push("it is done and never arrived: lost".to_owned());
            }
            [only] if !matches!(only.kind, RecordKind::Done | RecordKind::Cancelled) => {
                found.push(format!("it ended {}", only.kind.as_str()));
            }
            [_] => {}
            _ => found.push(format!("it has {} ends", finals.len())),
        }
        let attempts: BTreeSet<u64> = self.requests.iter().map(|request| request.attempt).collect();
        if attempts.len() != self.requests.len() {
            found.push("two requests have one attempt number".to_owned());
        }
        let mut requests = self.requests.clone();
        requests.sort_by_key(|request| request.attempt);
        for (index, request) in requests.iter().enumerate() {
            if index > 0 && !request.possible_duplicate {
                found.push(format!("attempt {} repeats another and is not marked", request.attempt));
            }
            if request.at < request.due_at {
                found.push(format!("it arrived at {}, early: due at {}", request.at, request.due_at));
            }
        }
        found.extend(self.cancel_violation(&finals));
        found
    }

    /// A cancel that was answered `cancelled` holds: no attempt was started after it.
    fn cancel_violation(&self, finals: &[&&Record]) -> Option<String> {
        let cancel = self.cancelled?;
        let last = finals.first()?;
        match cancel.answer {
            CancelAnswer::Cancelled if last.kind != RecordKind::Cancelled => {
                Some(format!("a cancel was answered `cancelled`, and it ended {}", last.kind.as_str()))
            }
            CancelAnswer::Cancelled => {
                let later = self.requests.iter().find(|request| request.attempt > u64::from(last.attempt));
                later.map(|request| format!("attempt {} was delivered after it had been cancelled", request.attempt))
            }
            _ => None,
        }
    }
}

/// The second task of an entity was never started before the first one had its last start, unless a person had to look at that one or
/// its retry was made to wait.
fn order(stories: &BTreeMap<i64, Story<'_>>) -> Vec<String> {
    let mut by_entity: BTreeMap<&str, BTreeMap<&str, &Story<'_>>> = BTreeMap::new();
    for story in stories.values() {
        if let Some(request) = story.requests.first() {
            by_entity.entry(&request.about.0).or_default().insert(&request.about.1, story);
        }
    }
    let mut found = Vec::new();
    for (entity, steps) in by_entity {
        let (Some(first), Some(second)) = (steps.get("first"), steps.get("second")) else { continue };
        if first.has(RecordKind::Held) || first.has(RecordKind::Retried) {
            continue;
        }
        let last = first.requests.iter().map(|request| request.fence).max();
        let next = second.requests.iter().map(|request| request.fence).min();
        if last >= next {
            found.push(format!("{entity}: its second task was started before its first one was through"));
        }
    }
    found
}

/// A step of an entity has one id, however often it is sent.
fn second_ids(received: &[Received]) -> Vec<String> {
    let mut ids: BTreeMap<&(String, String), &str> = BTreeMap::new();
    let mut found = Vec::new();
    for request in received {
        let known = ids.entry(&request.about).or_insert(&request.id);
        if *known != request.id {
            found.push(format!("{} of {} was sent as {known} and as {}", request.about.1, request.about.0, request.id));
        }
    }
    found
}

fn word(answer: CancelAnswer) -> &'static str {
    match answer {
        CancelAnswer::Cancelled => "cancelled",
        CancelAnswer::AlreadyRunning { .. } => "already running",
        CancelAnswer::Already(_) => "already over",
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Killed::AtRandom => f.write_str("at a random moment"),
            Killed::At(call) => write!(f, "before {call}"),
            Killed::Late(call) => write!(f, "before {call}, not reached in time"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {} tasks, {} requests, {} of them repeats", self.seed, self.tasks, self.requests, self.repeated)?;
        writeln!(f, "{} kills, {} tasks taken over", self.kills.values().sum::<usize>(), self.taken_over)?;
        for (kind, count) in &self.kills {
            writeln!(f, "  {count:>5} {kind}")?;
        }
        let cancels: Vec<String> = self.cancels.iter().map(|(answer, count)| format!("{count} {answer}")).collect();
        writeln!(f, "cancels: {}", cancels.join(", "))?;
        for violation in self.violations.iter().take(TOLD_MAX) {
            writeln!(f, "VIOLATION {violation}")?;
        }
        write!(f, "{} violations", self.violations.len())
    }
}
