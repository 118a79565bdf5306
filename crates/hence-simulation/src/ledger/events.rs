//! Events: how often history tells of each, and what each takes back.
//!
//! An event covers every task of its steps that is there when it is written (G13), also what a person asked for; and it cancels its steps
//! in each timeline that it happened in, so that the plan makes no more of them.

use hence_core::definition::{Definition, Selection, Step, Trigger};
use hence_core::history::RecordKind;
use hence_core::name::EntityKey;
use hence_core::reason::Reason;
use hence_core::task::{Task, TaskState};
use hence_core::timeline::ChangeSet;
use hence_core::wish::Wish;
use jiff::Timestamp;
use serde_json::Value;

use super::deliveries::RETRY_MIN;
use super::{Known, Ledger, Line, Start};

/// One event, by its mark.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) entity: EntityKey,
    /// How often it was accepted since the entity was erased.
    pub(super) accepted: u32,
    /// How often history tells of it since then.
    pub(super) told: u32,
}

impl Mark {
    /// The entity was erased.
    pub(super) fn forget(&mut self) {
        (self.accepted, self.told) = (0, 0);
    }
}

/// The steps that this event cancels in the timeline.
fn steps_cancelled<'d>(definition: &'d Definition, line: &Line, name: &str, at: Timestamp) -> Vec<&'d Step> {
    let reaction = name.parse().ok().and_then(|name| definition.on.get(&name));
    let Some(whom) = reaction.and_then(|reaction| reaction.cancel.as_ref()) else { return Vec::new() };
    if at < line.timeline.enrolled_at {
        return Vec::new();
    }
    let follows_cancel = |step: &Step| {
        matches!(&step.trigger, Trigger::After { outcome, .. } if outcome.as_str() == "cancelled") && *whom == Selection::All
    };
    definition.steps.iter().filter(|step| whom.includes(&step.name) && !follows_cancel(step)).collect()
}

fn mark_in(data: &Value) -> Option<i64> {
    data.get("mark").and_then(Value::as_i64)
}

impl Ledger {
    /// A wish was accepted, which may be an event.
    pub(super) fn accepted_event(&mut self, wish: &Wish) {
        let Wish::Event { entity, data, .. } = wish else { return };
        let Some(mark) = mark_in(data) else { return };
        self.marks.entry(mark).or_insert_with(|| Mark { entity: entity.clone(), accepted: 0, told: 0 }).accepted += 1;
    }

    /// History tells of an event.
    pub(super) fn told_event(&mut self, data: &Value) {
        let Some(number) = mark_in(data) else { return };
        let Some(mark) = self.marks.get_mut(&number) else {
            return self.demand(false, "G4", || format!("history tells of the event with mark {number}, which nobody told"));
        };
        mark.told += 1;
        let (told, accepted) = (mark.told, mark.accepted);
        self.demand(told <= accepted, "G4", || {
            format!("the event with mark {number} is in history {told} times and was accepted {accepted} times")
        });
        self.demand(accepted <= 1, "G4", || format!("the event with mark {number} was accepted {accepted} times"));
    }

    /// Which steps of the entity's timelines the events so far have cancelled.
    pub(super) fn cancel_by_events(&mut self, entity: &EntityKey) {
        let events = self.entities.get(entity).map(|whole| whole.events.clone()).unwrap_or_default();
        for line in self.lines.values_mut().filter(|line| line.timeline.entity == *entity) {
            let Some(definition) = self.definitions.get(&line.timeline.definition) else { continue };
            for (name, at) in &events {
                let steps = steps_cancelled(definition, line, name, *at);
                line.cancelled.extend(steps.into_iter().map(|step| step.name.clone()));
            }
        }
    }

    /// What the events of this change set find there.
    pub(super) fn cover_by_events(&mut self, set: &ChangeSet) {
        for record in set.records.iter().filter(|record| record.kind == RecordKind::Event) {
            let Reason::Event { name, at, .. } = &record.reason else { continue };
            for (id, line) in self.lines.iter().filter(|(_, line)| line.timeline.entity == set.entity) {
                let Some(definition) = self.definitions.get(&line.timeline.definition) else { continue };
                let steps = steps_cancelled(definition, line, name, *at);
                let is_covered = |task: &Task| task.timeline == Some(*id) && steps.iter().any(|step| step.name == task.step);
                let live = self.tasks.values_mut().filter(|known| known.end.is_none());
                live.filter(|known| is_covered(&known.task)).for_each(|known| known.is_covered = true);
            }
        }
    }

    /// Whether an event forbids that the task starts. What a person asked for when the event was known stands beside the plan.
    pub(super) fn is_cancelled_by_event(&self, known: &Known) -> bool {
        let line = known.task.timeline.and_then(|id| self.lines.get(&id));
        known.is_covered || (!known.is_persons && line.is_some_and(|line| line.cancelled.contains(&known.task.step)))
    }

    /// After a write: nothing that an event cancelled waits, and what it found running is asked to end.
    pub(super) fn nothing_cancelled_waits(&mut self, entity: &EntityKey) {
        let goes_on = |known: &&Known| match known.task.state {
            TaskState::Scheduled | TaskState::Held => self.is_cancelled_by_event(known),
            TaskState::Running => known.is_covered && !known.task.cancel_asked,
            _ => false,
        };
        let mut live = self.tasks.values().filter(|known| known.end.is_none() && known.task.entity == *entity);
        let left = live.find(goes_on).map(|known| format!("{} is {}", known.task.id, known.task.state));
        self.demand(left.is_none(), "G13", || format!("{} although an event cancelled its step", left.unwrap_or_default()));
    }

    /// The instant before which an attempt that failed is not repeated; `None` when nothing failed.
    pub(super) fn repeated_from(&self, before: &Task, start: &Start) -> Option<Timestamp> {
        if before.answer_awaited {
            return Some(before.wake_at + RETRY_MIN);
        }
        let unread = self.entities.get(&before.entity).map_or(&[][..], |whole| &whole.unread);
        let unread = unread.iter().filter(|moment| moment.at >= start.at).map(|moment| moment.wall + RETRY_MIN).min();
        self.failures.get(&(before.id, start.fence)).copied().or(unread)
    }
}
