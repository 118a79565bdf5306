//! Simulation of one entity: what will happen, by the same planner, states and judgements that the engine uses.
//!
//! Owns a world of one entity on a virtual clock: events come when they are said to, due tasks start in order, receivers answer as
//! assumed, follow-ups follow. `hence test` compares its lines with what a document expects, `hence preview` shows them.
//! Facts are those that are given; nothing is read and nothing is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::answer::{self, Answer, Judgement, Problem};
use crate::calendar::Zone;
use crate::carry_out;
use crate::decide::{self, Decision, Firing, Known, Rules};
use crate::definition::{Definition, Example};
use crate::history::Record;
use crate::library::Library;
use crate::name::{EntityKey, Fence, Name, WishId};
use crate::reason::Reason;
use crate::task::{AttemptEnd, Task, TaskEvent, TaskState};
use crate::timeline::{ChangeSet, EntitySnapshot};
use crate::wish::{StoredWish, Wish};

/// The most ends of tasks that one simulation shows; a recurring step has no end of its own.
pub const LINES_MAX: usize = 1000;

/// A world of one entity.
#[derive(Debug, Clone)]
pub struct Simulation {
    library: Library,
    snapshot: EntitySnapshot,
    now: Timestamp,
    answers: BTreeMap<Name, Name>,
    wishes: Vec<StoredWish>,
    next_id: i64,
}

/// One end of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// When it ended.
    pub at: Timestamp,
    /// When it was due.
    pub due_at: Timestamp,
    /// The step.
    pub step: Name,
    /// Which occurrence; empty when the step happens once.
    pub occurrence: String,
    /// How: `done`, a word that the step says, `skipped`, `cancelled`, `held`, …
    pub outcome: String,
    /// Why.
    pub reason: Reason,
}

/// What an example gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleResult {
    /// The example's name.
    pub name: String,
    /// The lines that the document expects.
    pub expected: Vec<String>,
    /// The lines that came.
    pub found: Vec<String>,
}

impl ExampleResult {
    /// Whether they are the same.
    pub fn is_as_expected(&self) -> bool {
        self.expected == self.found
    }
}

/// Runs one `[[test]]` of a definition. `spread` does not count: an example shows the rule, not one entity's part of a peak.
pub fn run_example(definition: &Definition, example: &Example) -> ExampleResult {
    let mut plain = definition.clone();
    for step in &mut plain.steps {
        step.spread = None;
    }
    let expected = example.expect.clone();
    let name = example.name.clone();
    let Ok(entity) = EntityKey::new(definition.entity.clone(), "example") else {
        return ExampleResult { name, expected, found: Vec::new() };
    };
    let mut simulation = Simulation::enrolled(Arc::new(plain), &entity, example);
    let until = example.until.unwrap_or(Timestamp::MAX);
    let found = simulation.run(until).iter().map(|line| written(line, &example.zone)).collect();
    ExampleResult { name, expected, found }
}

/// A line as documents expect it: local time to the minute (to the second where that is not zero), step, outcome.
fn written(line: &Line, zone: &Zone) -> String {
    let local = zone.local(line.at);
    let form = if local.second() == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
    format!("{} {} {}", local.strftime(form), line.step, line.outcome)
}

impl Simulation {
    /// A world in which the example's entity is enrolled at its start, and its events are still to come.
    pub fn enrolled(definition: Arc<Definition>, entity: &EntityKey, example: &Example) -> Self {
        let enrol = Wish::Enrol {
            timeline: definition.name.clone(),
            entity: entity.clone(),
            given: example.given.clone(),
            facts: example.facts.to_json(),
        };
        let mut library = Library::default();
        library.add(definition);
        let mut simulation = Self::of(library, EntitySnapshot::unknown(entity.clone()), example.start);
        simulation.answers = example.answer.clone();
        simulation.tell(example.start, enrol);
        for event in &example.events {
            let wish = Wish::Event {
                entity: entity.clone(),
                name: event.name.clone(),
                data: event.data.to_json(),
                facts: event.facts.to_json(),
            };
            simulation.tell(event.at, wish);
        }
        simulation
    }

    /// A world that begins as an entity is stored at `now`.
    pub fn of(library: Library, snapshot: EntitySnapshot, now: Timestamp) -> Self {
        let used = snapshot.live.iter().map(|task| task.id.0).chain(snapshot.timelines.iter().map(|timeline| timeline.id.0));
        let next_id = used.max().unwrap_or(0) + 1;
        Self { library, snapshot, now, answers: BTreeMap::new(), wishes: Vec::new(), next_id }
    }

    /// Assumes that the receiver of a step answers this word; `done` where nothing is assumed.
    pub fn assume(&mut self, step: Name, word: Name) {
        self.answers.insert(step, word);
    }

    /// Something that will be told at `at`.
    pub fn tell(&mut self, at: Timestamp, wish: Wish) {
        let id = WishId(i64::try_from(self.wishes.len()).map_or(i64::MAX, |count| count + 1));
        self.wishes.push(StoredWish { id, wish, at, actor: "simulation".to_owned() });
        self.wishes.sort_by_key(|wish| (wish.at, wish.id));
    }

    /// The definitions that it follows.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The entity as it stands.
    pub fn snapshot(&self) -> &EntitySnapshot {
        &self.snapshot
    }

    /// Lets time pass to `until`; every end of a task on the way, in order, at most [`LINES_MAX`].
    pub fn run(&mut self, until: Timestamp) -> Vec<Line> {
        let mut lines = Vec::new();
        while lines.len() < LINES_MAX {
            let known = self.snapshot.records.len();
            let told_at = self.wishes.first().map(|wish| wish.at);
            let head = self.head();
            let next_at = [told_at, head.as_ref().map(|task| task.wake_at)].into_iter().flatten().min();
            let Some(next_at) = next_at.filter(|next_at| *next_at <= until) else { break };
            self.now = self.now.max(next_at);
            match head {
                // What is told at the same instant comes before the start, as in the engine.
                Some(task) if told_at.is_none_or(|told_at| told_at > task.wake_at) => self.fire(&task),
                _ => self.told(),
            }
            lines.extend(self.snapshot.records[known..].iter().filter_map(line_of));
        }
        lines
    }

    /// The first task that waits.
    fn head(&self) -> Option<Task> {
        let scheduled = self.snapshot.live.iter().filter(|task| task.state == TaskState::Scheduled);
        scheduled.min_by_key(|task| (task.wake_at, task.id)).cloned()
    }

    fn told(&mut self) {
        let wish = self.wishes.remove(0);
        let carried = carry_out::carry_out(&self.snapshot, &[wish], &serde_json::Value::Null, &self.library, self.now);
        self.take(carried.changes);
    }

    fn take(&mut self, mut changes: ChangeSet) {
        let count = i64::try_from(changes.numbers_wanted()).unwrap_or(0);
        changes.number(self.next_id);
        self.next_id += count;
        self.snapshot.apply(&changes);
    }

    fn fire(&mut self, task: &Task) {
        let fence = Fence(task.fence.0 + 1);
        let Ok(started) = task.apply(TaskEvent::Start { fence }, self.now) else { return };
        let Some(stored) = self.snapshot.live.iter_mut().find(|other| other.id == task.id) else { return };
        *stored = started.task.clone();
        let end = self.end_of(&started.task);
        let event = TaskEvent::End { fence, end };
        if let Ok(changes) = carry_out::finish(&self.snapshot, &started.task, event, &self.library, self.now) {
            self.take(changes);
        }
    }

    /// How an attempt ends, by the facts that are known and the answer that is assumed.
    fn end_of(&self, task: &Task) -> AttemptEnd {
        let failed = |code: &str, problem: String| AttemptEnd::Failed {
            reason: Reason::Failed { code: code.to_owned(), problem, retry_at: None },
        };
        let rules = match Rules::of(task, &self.snapshot, &self.library) {
            Ok(rules) => rules,
            Err(problem) => return failed("no-definition", problem),
        };
        let step = &rules.step;
        let known = Known::of(&rules, &self.snapshot, &self.library);
        let firing = Firing { rules: &rules, known: &known, task, now: self.now };
        if let Some(end) = decide::before_facts(firing) {
            return end;
        }
        match decide::with_facts(firing, &known.facts) {
            Decision::End(end) => end,
            Decision::CannotTell(Answer::Again { problem: Problem { code, message }, .. }) => failed(&code, message),
            Decision::CannotTell(_) => failed("cannot-tell", String::new()),
            Decision::Deliver(delivery) => {
                let word = self.answers.get(&step.name).map_or("done", Name::as_str);
                let judgement = Judgement {
                    says: &step.says,
                    retry: &step.retry,
                    delivery: step.delivery,
                    attempt: u32::MAX,
                    put_off: answer::PutOff::default(),
                    to: delivery.to.to_string(),
                    facts: delivery.facts,
                    when: delivery.when,
                    possible_duplicate: false,
                    now: self.now,
                    dice: 0,
                };
                let assumed = || Problem { code: "assumed".to_owned(), message: format!("assumed to be {word}") };
                answer::judge(
                    &judgement,
                    match word {
                        "failed" => Answer::Refused { problem: assumed() },
                        "unknown" => Answer::Unknown { problem: assumed() },
                        word => Answer::Done { outcome: Some(word.to_owned()), result: serde_json::Value::Null },
                    },
                )
            }
        }
    }
}

/// The line of a record that ends a task or leaves it to a person.
fn line_of(record: &Record) -> Option<Line> {
    let outcome = match record.kind {
        crate::history::RecordKind::Held => "held".to_owned(),
        _ => record.outcome.clone()?,
    };
    Some(Line {
        at: record.at,
        due_at: record.due_at?,
        step: record.step.clone()?,
        occurrence: record.occurrence.clone(),
        outcome,
        reason: record.reason.clone(),
    })
}
