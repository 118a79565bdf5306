//! Deliveries: what was really sent, what receivers really did, and what they really said.

use std::time::Duration;

use hence_core::definition::Late;
use hence_core::name::{Fence, TaskId};
use hence_core::task::TaskState;
use hence_dispatch::Attempt;

use super::{Ledger, Moment};
use crate::executor::Process;
use crate::world::Trace;

/// How long after its start an attempt may be sent where nothing fails.
const SENT_MAX: Duration = Duration::from_millis(500);

/// How many handlers the stories have.
const PLACES: usize = 2;

/// How long a failed attempt is not repeated at least.
pub(super) const RETRY_MIN: Duration = Duration::from_secs(1);

/// One delivery.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// Of which task.
    pub(crate) task: TaskId,
    /// Of which start.
    pub(crate) fence: Fence,
    /// Who sent it.
    pub(crate) process: Process,
    message: String,
    /// Whether the receiver acts, now or later.
    acts: bool,
    has_acted: bool,
    is_under_way: bool,
}

/// How a delivery ended for its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The receiver said this word.
    Word(String),
    /// The receiver answers later.
    Later,
    /// It did nothing, and asked to be left alone for so long.
    Again(Option<Duration>),
    /// Anything else: it failed, nobody knows, it was cut off.
    Failure,
    /// Nothing: the sender died.
    Nothing,
}

impl Ledger {
    pub(super) fn under_way(&self, task: TaskId, fence: Fence) -> Option<&Delivery> {
        self.deliveries.iter().find(|delivery| delivery.is_under_way && delivery.task == task && delivery.fence == fence)
    }

    /// A delivery begins; gives its number.
    pub(crate) fn sent(
        &mut self,
        moment: Moment,
        process: Process,
        (attempt, acts): (&Attempt, bool),
        trace: &mut Trace,
    ) -> usize {
        let number = attempt.task.rsplit('_').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let (id, fence) = (TaskId(number), Fence(attempt.fence));
        let mark = if attempt.possible_duplicate { ", maybe again" } else { "" };
        trace.note(
            moment.at,
            &format!("p{} sends {id} `{}` attempt {} under {fence}{mark}", process.0, attempt.step, attempt.attempt),
        );
        self.judge_message(id, attempt);
        self.judge_start(moment, process, attempt);
        self.judge_overlap(id);
        self.deliveries.push(Delivery {
            task: id,
            fence,
            process,
            message: attempt.task.clone(),
            acts,
            has_acted: false,
            is_under_way: true,
        });
        let at_once = self.deliveries.iter().filter(|delivery| delivery.is_under_way && delivery.process == process).count();
        // What a place that does not answer has beyond its share is not counted, so each place may have as many again.
        let most = self.limits.0 * (1 + PLACES);
        self.demand(at_once <= most, "G20", || format!("p{} has {at_once} attempts under way, {most} are allowed", process.0));
        self.deliveries.len() - 1
    }

    /// G16: one id for ever. G12: what may be a repeat is marked.
    fn judge_message(&mut self, id: TaskId, attempt: &Attempt) {
        let earlier = self.deliveries.iter().filter(|delivery| delivery.task == id);
        let mut other_name = None;
        let mut may_repeat = None;
        for delivery in earlier {
            if delivery.message != attempt.task {
                other_name = Some(delivery.message.clone());
            }
            if delivery.acts {
                may_repeat = Some(delivery.fence);
            }
        }
        self.demand(other_name.is_none(), "G16", || format!("{id} is sent as {} and was sent as {other_name:?}", attempt.task));
        let is_marked = attempt.possible_duplicate || may_repeat.is_none();
        self.demand(is_marked, "G12", || format!("{id} is sent again after {may_repeat:?} arrived, and not marked"));
    }

    /// A delivery belongs to a start that was committed and still holds, and is not too late.
    fn judge_start(&mut self, moment: Moment, process: Process, attempt: &Attempt) {
        let number = attempt.task.rsplit('_').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let (id, fence) = (TaskId(number), Fence(attempt.fence));
        let Some(known) = self.tasks.get(&id).cloned() else {
            return self.demand(false, "G10", || format!("{id} is sent and was never created"));
        };
        let Some(start) = known.starts.iter().find(|start| start.fence == fence) else {
            return self.demand(false, "G10", || format!("{id} is sent under {fence}, under which it was never started"));
        };
        self.judge_lease(moment, process, start);
        let is_current = known.end.is_none() && known.task.state == TaskState::Running && known.task.fence == fence;
        let is_current = is_current || self.is_erased(&known.task.entity);
        self.demand(is_current, "G11", || {
            format!("{id} is sent under {fence} and is {} under {}", known.task.state, known.task.fence)
        });
        if self.is_calm {
            let waited = moment.at - start.at;
            self.demand(waited <= SENT_MAX, "G19", || format!("{id} is sent {waited:?} after its start"));
        }
        let rule = known.task.timeline.and_then(|timeline| self.lines.get(&timeline)).and_then(|line| {
            let definition = self.definitions.get(&line.timeline.definition)?;
            Some(definition.step(&known.task.step)?.late.clone().unwrap_or_else(|| definition.late.clone()))
        });
        if let Some(rule) = rule.filter(|rule| rule.then != Late::Run && attempt.attempt == 1) {
            let late = attempt.started_at.duration_since(known.task.due_at);
            self.demand(late <= rule.after, "G8", || format!("{id} is sent {late:?} late, {:?} is allowed", rule.after));
        }
    }

    /// Attempts of one entity do not overlap (G15), but with one whose shard was lost meanwhile (G12).
    fn judge_overlap(&mut self, id: TaskId) {
        let Some(entity) = self.tasks.get(&id).map(|known| known.task.entity.clone()) else { return };
        let is_of_entity = |task: &TaskId| self.tasks.get(task).is_some_and(|known| known.task.entity == entity);
        let mut under_way = self.deliveries.iter().filter(|delivery| delivery.is_under_way && is_of_entity(&delivery.task));
        let other = under_way.find(|delivery| !self.is_lost(delivery)).map(|other| other.task);
        let is_allowed = other.is_none() || self.is_erased(&entity);
        self.demand(is_allowed, "G15", || format!("{id} is sent while {other:?} of {entity} is under way"));
    }

    fn is_lost(&self, delivery: &Delivery) -> bool {
        let starts = self.tasks.get(&delivery.task).map_or(&[][..], |known| &known.starts);
        starts.iter().any(|start| start.fence == delivery.fence && start.is_lost)
    }

    /// The first of the two rules: no wrong action because of a row. Since `since` the application knows that its condition is false.
    pub(crate) fn sent_in_vain(&mut self, index: usize, since: Duration) {
        let (id, fence) = (self.deliveries[index].task, self.deliveries[index].fence);
        let Some(known) = self.tasks.get(&id).cloned() else { return };
        let Some(start) = known.starts.iter().find(|start| start.fence == fence) else { return };
        let is_asked = self.step_of(&known.task).is_some_and(|step| step.when.is_some());
        let line = known.task.timeline.and_then(|timeline| self.lines.get(&timeline));
        let definition = line.and_then(|line| self.definitions.get(&line.timeline.definition));
        let is_live = definition.is_some_and(|definition| definition.facts.values().any(|group| group.source.is_some()));
        let is_right = !is_asked || !is_live || start.at < since;
        self.demand(is_right, "rule 1", || format!("{id} is sent although its condition is false since {since:?}"));
    }

    /// The words that the receiver of a task may say beyond `done`.
    pub(crate) fn words(&self, id: TaskId) -> Vec<String> {
        let step = self.tasks.get(&id).and_then(|known| self.step_of(&known.task));
        step.map(|step| step.says.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    /// The receiver did what it was asked for.
    pub(crate) fn acted(&mut self, moment: Moment, index: usize, trace: &mut Trace) {
        let (id, message) = (self.deliveries[index].task, self.deliveries[index].message.clone());
        trace.note(moment.at, &format!("the receiver acts on {id}"));
        self.deliveries[index].has_acted = true;
        let times = self.deliveries.iter().filter(|delivery| delivery.message == message && delivery.has_acted).count();
        let once = self.tasks.get(&id).is_some_and(|known| known.is_once);
        self.demand(!once || times <= 1, "G17", || format!("{id} is for once at most and was acted on {times} times"));
    }

    /// The delivery is over for its sender.
    pub(crate) fn heard(&mut self, moment: Moment, index: usize, heard: &Heard, trace: &mut Trace) {
        let delivery = &mut self.deliveries[index];
        delivery.is_under_way = false;
        let (id, fence) = (delivery.task, delivery.fence);
        trace.note(moment.at, &format!("{id} under {fence}: {heard:?}"));
        match heard {
            Heard::Word(word) => {
                self.answers.insert((id, fence, word.clone()));
            }
            Heard::Later | Heard::Failure => {
                self.failures.insert((id, fence), moment.wall + RETRY_MIN);
            }
            Heard::Again(asked) => {
                self.failures.insert((id, fence), moment.wall + asked.unwrap_or_default().max(RETRY_MIN));
            }
            Heard::Nothing => {}
        }
    }

    /// A receiver answers later, under this fence.
    pub(crate) fn answers_later(&mut self, id: TaskId, fence: Fence, word: &str) {
        self.answers.insert((id, fence, word.to_owned()));
    }
}
