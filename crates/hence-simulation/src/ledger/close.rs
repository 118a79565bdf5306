//! The end of a run: faults have stopped, and everything must have come, be stored as it was written, and be told by history.

use std::collections::{BTreeMap, BTreeSet};

use hence_core::carry_out;
use hence_core::definition::Trigger;
use hence_core::history::{RecordKind, fold};
use hence_core::library::Library;
use hence_core::name::TaskId;
use hence_core::plan::base_of;
use hence_core::task::{Task, TaskState};
use hence_core::timeline::EntitySnapshot;
use jiff::SignedDuration;
use serde_json::Value;

use super::{Known, Ledger, Moment};

/// How long after the faults everything due must have started.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// What the store holds at the end.
pub(crate) struct Stored {
    /// Every task that is not final.
    pub(crate) live: Vec<Task>,
    /// Every entity.
    pub(crate) entities: Vec<EntitySnapshot>,
}

impl Ledger {
    /// Judges the stored tasks against the shadows; can be asked at any time.
    pub(crate) fn compare(&mut self, live: &[Task]) {
        let stored: BTreeMap<TaskId, &Task> = live.iter().map(|task| (task.id, task)).collect();
        let mut lost = None;
        let mut other = None;
        for known in self.tasks.values().filter(|known| known.end.is_none()) {
            match stored.get(&known.task.id) {
                None => lost = Some(known.task.id),
                Some(task) if !is_same(task, &known.task) => other = Some(format!("{task:?}\n  and not {:?}", known.task)),
                Some(_) => {}
            }
        }
        let ghost = stored.keys().find(|id| self.tasks.get(id).is_none_or(|known| known.end.is_some())).copied();
        self.demand(lost.is_none(), "G1", || format!("{lost:?} is not stored any more and has not ended"));
        self.demand(ghost.is_none(), "G11", || format!("{ghost:?} is stored as live and has ended"));
        self.demand(other.is_none(), "G23", || format!("what is stored is {}", other.unwrap_or_default()));
    }

    /// Judges the end of a run.
    pub(crate) fn close(&mut self, moment: Moment, stored: &Stored, told: &BTreeMap<i64, bool>) {
        self.compare(&stored.live);
        let waiting = self.inbox.iter().next().map(|(id, entity)| format!("{id} of {entity}"));
        self.demand(waiting.is_none(), "G1", || format!("{waiting:?} is still in the inbox"));
        self.everything_due_has_come(moment);
        for entity in &stored.entities {
            self.judge_history(entity);
        }
        self.judge_told(told);
        self.judge_follow_ups();
        self.judge_plans(moment, stored);
    }

    fn everything_due_has_come(&mut self, moment: Moment) {
        let is_late = |known: &&Known| {
            let task = &known.task;
            let since = match task.state {
                TaskState::Scheduled => task.wake_at,
                TaskState::Running if task.answer_awaited => task.wake_at,
                TaskState::Running => task.started_at.unwrap_or(task.wake_at),
                _ => return false,
            };
            known.end.is_none() && since < moment.wall - GRACE
        };
        let late = self.tasks.values().find(is_late).map(|known| {
            let task = &known.task;
            format!(
                "{} `{}` of {}: {}, wakes at {}, started at {:?}",
                task.id, task.step, task.entity, task.state, task.wake_at, task.started_at
            )
        });
        self.demand(late.is_none(), "G1", || {
            format!("faults stopped long ago, it is {}, and this has not come: {}", moment.wall, late.unwrap_or_default())
        });
    }

    /// G23: folding history gives the state, and each attempt has its row.
    fn judge_history(&mut self, entity: &EntitySnapshot) {
        let of_entity: Vec<Known> = self.tasks.values().filter(|known| known.task.entity == entity.entity).cloned().collect();
        for known in of_entity {
            let id = known.task.id;
            let records: Vec<_> = entity.records.iter().filter(|record| record.task == Some(id)).cloned().collect();
            let told = fold(&records);
            let state = known.task.state;
            let is_told = told == state || (state == TaskState::Running && told == TaskState::Scheduled);
            self.demand(is_told, "G23", || format!("history says that {id} is {told}, and it is {state}"));
            let ends = records.iter().filter(|record| record.kind.final_state().is_some()).count();
            self.demand(ends == usize::from(known.end.is_some()), "G11", || format!("{id} has {ends} ends in history"));
            for start in &known.starts {
                let is_end = |kind: RecordKind| {
                    let is_other =
                        matches!(kind, RecordKind::CancelAsked | RecordKind::Moved | RecordKind::Released | RecordKind::RunAsked);
                    !is_other
                };
                let has_row = records.iter().any(|record| record.fence == start.fence && is_end(record.kind));
                let is_running = state == TaskState::Running && known.task.fence == start.fence;
                self.demand(has_row || is_running, "G23", || {
                    format!("history does not tell how {id} ended under {}", start.fence)
                });
            }
        }
    }

    /// G1, G4: what was accepted is told once; the teller knows what was accepted and what was refused.
    fn judge_told(&mut self, told: &BTreeMap<i64, bool>) {
        let untold = self.marks.iter().find(|(_, mark)| mark.told != mark.accepted).map(|(number, mark)| (*number, mark.clone()));
        self.demand(untold.is_none(), "G1", || format!("an event was accepted, and history does not have it: {untold:?}"));
        for (mark, is_accepted) in told {
            let is_right = self.marks.contains_key(mark) == *is_accepted;
            let what = if *is_accepted { "accepted" } else { "definitely refused" };
            self.demand(is_right, "G4", || format!("the event with mark {mark} was {what} for its teller alone"));
        }
    }

    /// G16: each end has its follow-ups, unless an event, a later run or an erasure took them back.
    fn judge_follow_ups(&mut self) {
        let mut missing = None;
        for (id, line) in &self.lines {
            let Some(definition) = self.definitions.get(&line.timeline.definition) else { continue };
            let is_later = |other: &super::Line| {
                let (one, other) = (&line.timeline, &other.timeline);
                one.entity == other.entity && one.name == other.name && other.run > one.run
            };
            if self.is_erased(&line.timeline.entity) || self.lines.values().any(is_later) {
                continue;
            }
            for step in definition.steps.iter().filter(|step| step.before.is_none() && !line.cancelled.contains(&step.name)) {
                let Trigger::After { step: first, outcome, .. } = &step.trigger else { continue };
                let of_line = |known: &&Known| known.task.timeline == Some(*id);
                let is_cause = |known: &&Known| {
                    known.task.step == *first && known.end.as_ref().is_some_and(|(_, word)| word == outcome.as_str())
                };
                // An occurrence is followed once, however often it was withdrawn and planned anew, or run again.
                let occurrences =
                    |known: Vec<&Known>| known.iter().map(|known| base_of(&known.task.occurrence)).collect::<BTreeSet<_>>().len();
                let causes = occurrences(self.tasks.values().filter(of_line).filter(is_cause).collect());
                let follows = |known: &&Known| known.task.step == step.name;
                let followed = occurrences(self.tasks.values().filter(of_line).filter(follows).collect());
                if causes != followed {
                    missing = Some(format!(
                        "`{first}` of {id} ended {causes} times as `{outcome}` and `{}` exists {followed} times",
                        step.name
                    ));
                }
            }
        }
        self.demand(missing.is_none(), "G16", || missing.unwrap_or_default());
    }

    /// Planning once more changes nothing.
    fn judge_plans(&mut self, moment: Moment, stored: &Stored) {
        let mut library = Library::default();
        for definition in self.definitions.values() {
            library.add(std::sync::Arc::clone(definition));
        }
        for entity in stored.entities.iter().filter(|entity| !self.is_erased(&entity.entity)).cloned().collect::<Vec<_>>() {
            let carried = carry_out::carry_out(&entity, &[], &Value::Null, &library, moment.wall);
            let changes = carried.changes;
            let is_settled = changes.created.is_empty() && changes.transitions.is_empty();
            self.demand(is_settled, "G14", || format!("planning {} again gives {}", entity.entity, super::shown(&changes)));
        }
    }
}

fn is_same(stored: &Task, known: &Task) -> bool {
    let seen = |task: &Task| (task.state, task.fence, task.attempt, task.due_at, task.wake_at, task.cancel_asked);
    seen(stored) == seen(known) && stored.possible_duplicate == known.possible_duplicate
}
