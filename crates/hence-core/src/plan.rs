//! The planner: which tasks should exist for one timeline, and why each other step has none.
//!
//! [`plan`] is a pure function of the definition, what is known, what was told and what already ended. Enrolling, an event, an
//! outcome, a changed fact, preview and simulation all call it, so a forecast cannot differ from what is done. It does not look at
//! the waiting tasks but for two things: an occurrence that is waiting or running is still the current one of its recurrence, and what
//! a person has had run again is not planned beside it.
//! Leaves to others: comparing with what is stored (`reconcile`), deciding at the moment of firing (`decide`).

mod again;
mod recurring;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::calendar::Zone;
use crate::definition::{Anchor, Definition, FollowClock, Step, Trigger};
use crate::due::{self, DueRule};
use crate::history::Record;
use crate::name::{EventName, Name, TaskId};
use crate::reason::Reason;
use crate::spread::seed_of;
use crate::task::Task;
use crate::timeline::Timeline;
use crate::value::{Facts, Value};

pub use again::base_of;
pub(crate) use again::next_run;
pub use told::{ShiftError, shift_of};

/// Everything a plan follows from.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The version of the definition that the timeline follows.
    pub definition: &'a Definition,
    /// The timeline.
    pub timeline: &'a Timeline,
    /// What is known, typed by the definition.
    pub facts: &'a Facts,
    /// What was told of the entity, oldest first; what happened before the enrolment is passed over.
    pub events: &'a [SeenEvent],
    /// The timeline's tasks that are final, in the order they ended.
    pub ended: &'a [EndedTask],
    /// The timeline's tasks that are not final.
    pub live: &'a [Task],
    /// Whether a later run of the same definition has taken this one's place.
    pub is_superseded: bool,
    /// What made this plan be made, in words: `enrolled`, an event's name, `expire ended`.
    pub cause: &'a str,
}

/// An event that was told.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenEvent {
    /// Its name.
    pub name: EventName,
    /// When it happened.
    pub at: Timestamp,
    /// By whom it was told.
    pub actor: String,
    /// What it carries.
    pub data: serde_json::Value,
    /// Whether it is being told: then it also takes back what a person has asked for. One that was known before does not.
    pub is_new: bool,
}

impl SeenEvent {
    /// The event that a record tells of, if it does.
    pub fn of(record: &Record) -> Option<Self> {
        match &record.reason {
            Reason::Event { name, at, actor, data, .. } if record.kind == crate::history::RecordKind::Event => {
                Some(Self { name: name.parse().ok()?, at: *at, actor: actor.clone(), data: data.clone(), is_new: false })
            }
            _ => None,
        }
    }
}

/// A task that is final.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedTask {
    /// Which.
    pub id: TaskId,
    /// The step it carried out.
    pub step: Name,
    /// Which occurrence of it.
    pub occurrence: String,
    /// How it ended: `done`, a word that the step says, `skipped`, …
    pub outcome: String,
    /// When it was due by the plan.
    pub due_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Whether it was cancelled only because the plan no longer had it; if the plan wants it again, it is made again.
    pub is_withdrawn: bool,
}

impl EndedTask {
    /// The final task that a record tells of, if it does.
    pub fn of(record: &Record) -> Option<Self> {
        record.kind.final_state()?;
        Some(Self {
            id: record.task?,
            step: record.step.clone()?,
            occurrence: record.occurrence.clone(),
            outcome: record.outcome.clone()?,
            due_at: record.due_at?,
            finished_at: record.at,
            is_withdrawn: matches!(record.reason, Reason::Unplanned { .. }),
        })
    }
}

/// What should exist, and why the rest does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The tasks that should be waiting or running, in the definition's order.
    pub wanted: Vec<Wanted>,
    /// For each step without a wanted task: why.
    pub absent: Vec<Absent>,
}

/// One task that should exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The step.
    pub step: Name,
    /// Which occurrence; empty when the step happens once.
    pub occurrence: String,
    /// When it is due.
    pub due_at: Timestamp,
    /// Why it exists and why then.
    pub reason: Reason,
}

/// A step that has no task ahead.
#[derive(Debug, Clone, PartialEq)]
pub struct Absent {
    /// The step.
    pub step: Name,
    /// Which occurrence would be next, where that is known.
    pub occurrence: String,
    /// When it would be due, where that is known.
    pub due_at: Option<Timestamp>,
    /// Whether an event cancels it that is being told.
    pub is_cancelled_now: bool,
    /// Why it does not exist.
    pub reason: Reason,
}

/// The tasks that should exist for a timeline.
pub fn plan(input: PlanInput<'_>) -> Plan {
    let mut planner = Planner::new(input);
    for step in &input.definition.steps {
        planner.step(step);
    }
    planner.hold_before();
    planner.plan
}

/// The zone that a timeline's days are counted in.
pub fn zone_of(definition: &Definition, facts: &Facts) -> Zone {
    let named = definition.zone.from.as_ref().and_then(|path| match facts.get(&path.to_string()) {
        Some(Value::String(name)) => Zone::parse(name).ok(),
        _ => None,
    });
    named.unwrap_or_else(|| definition.zone.otherwise.clone())
}

/// The anchor of a timeline with every shift that was told; `None` while it is not known.
pub fn anchor_of(input: PlanInput<'_>) -> Option<Timestamp> {
    Planner::new(input).anchor(None)
}

struct Planner<'a> {
    input: PlanInput<'a>,
    zone: Zone,
    plan: Plan,
    /// The instant each step happens at or happened at, first occurrence: what `before` is measured against.
    first_due: BTreeMap<&'a Name, Timestamp>,
}

impl<'a> Planner<'a> {
    fn new(input: PlanInput<'a>) -> Self {
        Self {
            input,
            zone: zone_of(input.definition, input.facts),
            plan: Plan { wanted: Vec::new(), absent: Vec::new() },
            first_due: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &'a Step) {
        // An event comes first: it also stops what an earlier run has under way, which a later run alone does not.
        if let Some((reason, is_cancelled_now)) = told::cancelled_by(self.input, &step.name) {
            let (step, occurrence) = (step.name.clone(), String::new());
            return self.plan.absent.push(Absent { step, occurrence, due_at: None, is_cancelled_now, reason });
        }
        if self.input.is_superseded {
            let reason = Reason::Unplanned {
                cause: "enrolled again".to_owned(),
                because: Box::new(Reason::Note { text: format!("run {} was replaced by a later run", self.input.timeline.run) }),
            };
            return self.leave_out(step, String::new(), None, reason);
        }
        match &step.trigger {
            Trigger::Anchor(own) => self.anchored(step, own.as_ref()),
            Trigger::After { step: before, outcome, clock } => self.follow_up(step, (before, outcome), *clock),
        }
    }

    fn leave_out(&mut self, step: &Step, occurrence: String, due_at: Option<Timestamp>, reason: Reason) {
        self.plan.absent.push(Absent { step: step.name.clone(), occurrence, due_at, is_cancelled_now: false, reason });
    }

    /// The instant a step is counted from: its own anchor, or the timeline's with every shift.
    fn anchor(&self, own: Option<&Anchor>) -> Option<Timestamp> {
        let anchor = own.unwrap_or(&self.input.definition.anchor);
        let at = match anchor {
            Anchor::Given(name) => self.input.timeline.given.get(name).copied(),
            Anchor::Fact(path) => match self.input.facts.get(&path.to_string()) {
                Some(Value::Time(at)) => Some(*at),
                _ => None,
            },
        }?;
        let is_main = own.is_none_or(|own| own == &self.input.definition.anchor);
        if is_main { told::shifted(self.input, at, &self.zone) } else { Some(at) }
    }

    fn anchored(&mut self, step: &'a Step, own: Option<&Anchor>) {
        let anchor = own.unwrap_or(&self.input.definition.anchor);
        let name = match anchor {
            Anchor::Given(name) => name.to_string(),
            Anchor::Fact(path) => path.to_string(),
        };
        let Some(anchor_at) = self.anchor(own) else {
            return self.leave_out(step, String::new(), None, Reason::NoAnchor { anchor: name });
        };
        let rule = rule_in_words(step, &name);
        let reason = |steps: Vec<String>| Reason::Planned {
            definition: self.input.definition.name.to_string(),
            version: self.input.timeline.definition.short().to_owned(),
            rule: rule.clone(),
            anchor_at,
            zone: self.zone.to_string(),
            steps,
            cause: self.input.cause.to_owned(),
        };
        let found = self.instances(step, anchor_at, "", &reason);
        self.take(step, found);
    }

    fn follow_up(&mut self, step: &'a Step, (before, outcome): (&Name, &Name), clock: FollowClock) {
        let ended: Vec<&EndedTask> = self.input.ended.iter().filter(|task| &task.step == before).collect();
        let matching: Vec<&&EndedTask> = ended.iter().filter(|task| task.outcome == outcome.as_str()).collect();
        if matching.is_empty() {
            let reason = Reason::NotFollowed {
                after: before.to_string(),
                outcome: outcome.to_string(),
                ended: ended.last().map(|task| task.outcome.clone()),
            };
            return self.leave_out(step, String::new(), None, reason);
        }
        // What a person had run again may end the same way once more: that is followed already.
        let mut followed: BTreeSet<&str> = BTreeSet::new();
        for task in matching {
            let key = again::base_of(&task.occurrence);
            if !followed.insert(key) {
                continue;
            }
            let (anchor_at, from) = match clock {
                FollowClock::Finished => (task.finished_at, "ended"),
                FollowClock::Due => (task.due_at, "was due"),
            };
            let rule = rule_in_words(step, &format!("{before} {from} as {outcome}"));
            let reason = |steps: Vec<String>| Reason::Followed {
                definition: self.input.definition.name.to_string(),
                version: self.input.timeline.definition.short().to_owned(),
                after: before.to_string(),
                outcome: task.outcome.clone(),
                task: task.id.0,
                anchor_at,
                rule: rule.clone(),
                steps,
            };
            let found = self.instances(step, anchor_at, key, &reason);
            self.take(step, found);
        }
    }

    /// The task of a step that happens once, or the current one of a recurring step; `prefix` is the key of what it follows.
    fn instances(
        &self,
        step: &Step,
        anchor_at: Timestamp,
        prefix: &str,
        reason: &dyn Fn(Vec<String>) -> Reason,
    ) -> Result<Wanted, Box<Absent>> {
        let absent = |occurrence: &str, due_at, reason| {
            let (step, occurrence) = (step.name.clone(), occurrence.to_owned());
            Box::new(Absent { step, occurrence, due_at, is_cancelled_now: false, reason })
        };
        let rule = rule_of(step);
        let no_instant = |error: due::DueError| absent(prefix, None, Reason::NoInstant { problem: error.to_string() });
        let begun = due::begin(&rule, anchor_at, &self.zone).map_err(no_instant)?;
        let (occurrence, begun) = match &step.recurrence {
            None => (prefix.to_owned(), begun),
            Some(recurrence) => {
                let place = recurring::Place { input: self.input, step, zone: &self.zone, prefix };
                recurring::current(place, recurrence, begun).map_err(|reason| absent(prefix, None, *reason))?
            }
        };
        let seed = seed_of(&format!("{}\n{}", self.input.timeline.entity, step.name));
        let due = due::settle(&rule, begun, &self.zone, seed).map_err(no_instant)?;
        let steps = due.steps.iter().map(ToString::to_string).collect();
        // Stores keep whole microseconds; a finer instant would differ from its own stored form for ever.
        let due_at = jiff::Timestamp::from_microsecond(due.at.as_microsecond()).unwrap_or(due.at);
        Ok(Wanted { step: step.name.clone(), occurrence, due_at, reason: reason(steps) })
    }

    fn take(&mut self, step: &'a Step, found: Result<Wanted, Box<Absent>>) {
        let wanted = match found {
            Ok(wanted) => wanted,
            Err(absent) => return self.plan.absent.push(*absent),
        };
        let is_same = |task: &&EndedTask| task.step == wanted.step && again::base_of(&task.occurrence) == wanted.occurrence;
        let ended = self.input.ended.iter().filter(is_same).rfind(|task| !task.is_withdrawn);
        let at = ended.map_or(wanted.due_at, |task| task.due_at);
        self.first_due.entry(&step.name).or_insert(at);
        if let Some(task) = ended {
            let text = format!("{} {}", task.id, task.outcome);
            return self.leave_out(step, wanted.occurrence, Some(task.due_at), Reason::Note { text });
        }
        let is_run_again = |task: &&Task| task.step == wanted.step && again::is_run_again(&task.occurrence, &wanted.occurrence);
        if let Some(task) = self.input.live.iter().find(is_run_again) {
            let text = format!("a person had it run again, as {}", task.id);
            return self.leave_out(step, wanted.occurrence, Some(task.due_at), Reason::Note { text });
        }
        let withdrawn = self.input.ended.iter().filter(is_same).count();
        self.plan.wanted.push(Wanted { occurrence: again::key_of(&wanted.occurrence, withdrawn), ..wanted });
    }

    /// Takes out what would come after the step it must be before.
    fn hold_before(&mut self) {
        let wanted = std::mem::take(&mut self.plan.wanted);
        for task in wanted {
            match self.too_late(&task) {
                Some(reason) => self.plan.absent.push(Absent {
                    step: task.step,
                    occurrence: task.occurrence,
                    due_at: Some(task.due_at),
                    is_cancelled_now: false,
                    reason,
                }),
                None => self.plan.wanted.push(task),
            }
        }
    }

    fn too_late(&self, task: &Wanted) -> Option<Reason> {
        let before = self.input.definition.step(&task.step)?.before.as_ref()?;
        if let Some(reason) = passed(before, self.input.ended, self.input.live) {
            return Some(reason);
        }
        let at = *self.first_due.get(before)?;
        (task.due_at > at).then(|| Reason::Before { step: before.to_string(), how: "is due".to_owned(), at })
    }
}

/// How a step came first that something had to be before: it is under way.
pub(crate) const STARTED: &str = "started";
/// How a step came first that something had to be before: it is over.
pub(crate) const ENDED: &str = "ended";

/// Whether the step that something must be before has started or ended, and the reason if so.
pub(crate) fn passed(before: &Name, ended: &[EndedTask], live: &[Task]) -> Option<Reason> {
    let reason = |how: &str, at| Some(Reason::Before { step: before.to_string(), how: how.to_owned(), at });
    if let Some(task) = ended.iter().find(|task| &task.step == before && task.outcome != "cancelled") {
        return reason(ENDED, task.finished_at);
    }
    let started = live.iter().find(|task| &task.step == before && task.attempt > 0);
    started.and_then(|task| reason(STARTED, task.started_at.unwrap_or(task.due_at)))
}

fn rule_of(step: &Step) -> DueRule {
    DueRule { offset: step.due, at: step.at, open: step.open.clone(), spread: step.spread }
}

/// The due rule as a person says it: `25 days after created_at, at 09:00`.
fn rule_in_words(step: &Step, from: &str) -> String {
    let mut words = step.due.after_in_words(from);
    if let Some(at) = &step.at {
        words.push_str(&format!(", at {at}"));
    }
    if let Some(recurrence) = &step.recurrence {
        words.push_str(&format!(", {}", recurrence.describe()));
    }
    if let Some(open) = &step.open {
        words.push_str(&format!(", open {open}"));
    }
    if let Some(before) = &step.before {
        words.push_str(&format!(", before {before}"));
    }
    words
}
