//! One attempt: look once more, deliver, judge the answer. Runs after the start was committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hence_core::answer::{self, ASKED_AGAIN, Answer, Judgement, Problem, PutOff};
use hence_core::carry_out;
use hence_core::decide::{self, Decision, Delivery, Firing, Rendered};
use hence_core::definition::{Definition, Guarantee, RetryPolicy, Step};
use hence_core::plan::{self, PlanInput};
use hence_core::reason::Reason;
use hence_core::task::{AttemptEnd, Task};
use hence_core::timeline::{EntitySnapshot, Timeline};
use hence_dispatch::{DEADLINE_SLACK, Destination, Dispatchers, Reply};
use jiff::{SignedDuration, Timestamp};

use super::Ended;
use crate::client::Client;

/// Everything that one attempt needs.
pub(super) struct Attempt {
    pub(super) client: Client,
    pub(super) dispatchers: Arc<Dispatchers>,
    pub(super) store_id: Arc<str>,
    pub(super) snapshot: EntitySnapshot,
    pub(super) task: Task,
    pub(super) now: Timestamp,
    /// Chance, for the wait before a next attempt.
    pub(super) dice: u64,
}

/// What the judgement of an answer needs beyond the step.
struct Seen {
    to: String,
    facts: BTreeMap<String, serde_json::Value>,
    when: Option<String>,
    put_off: PutOff,
}

impl Attempt {
    /// How the attempt ends.
    pub(super) async fn run(self) -> AttemptEnd {
        let library = self.client.library();
        let timeline = self.task.timeline.and_then(|id| self.snapshot.timeline(id).cloned());
        let Some(timeline) = timeline else { return held("an ad-hoc task cannot be delivered by this engine") };
        let Some(definition) = library.version(&timeline.definition).cloned() else {
            return held(&format!("this engine does not know version {} of `{}`", timeline.definition.short(), timeline.name));
        };
        let Some(step) = definition.step(&self.task.step) else {
            return held(&format!("`{}` has no step `{}`", timeline.name, self.task.step));
        };
        self.fire(&definition, step, &timeline).await
    }

    async fn fire(&self, definition: &Definition, step: &Step, timeline: &Timeline) -> AttemptEnd {
        let library = self.client.library();
        let known = carry_out::facts_of(timeline, &library);
        let ended = carry_out::ended_of(&self.snapshot, timeline.id);
        let live = carry_out::live_of(&self.snapshot, timeline.id);
        let events = carry_out::events_of(&self.snapshot);
        let input = PlanInput {
            definition,
            timeline,
            facts: &known,
            events: &events,
            ended: &ended,
            live: &live,
            is_superseded: carry_out::is_superseded(&self.snapshot, timeline),
            cause: "",
        };
        let firing = Firing {
            definition,
            step,
            timeline,
            task: &self.task,
            ended: &ended,
            live: &live,
            anchor_at: plan::anchor_of(input),
            now: self.now,
        };
        if let Some(end) = decide::before_facts(firing) {
            return end;
        }
        let groups = decide::facts_needed(step);
        let facts = match self.client.readers().read(definition, &groups, &timeline.entity, &known).await {
            Ok(facts) => facts,
            Err(problem) => return self.judge(step, Answer::Again { after: None, problem }, Seen::nothing()).await,
        };
        match decide::with_facts(firing, &facts) {
            Decision::End(end) => end,
            Decision::CannotTell(answer) => self.judge(step, answer, Seen::nothing()).await,
            Decision::Deliver(delivery) => self.deliver(step, timeline, *delivery).await,
        }
    }

    async fn deliver(&self, step: &Step, timeline: &Timeline, delivery: Delivery) -> AttemptEnd {
        let seen = Seen { to: delivery.to.to_string(), facts: delivery.facts, when: delivery.when, put_off: PutOff::default() };
        let to = destination(delivery.to);
        if let Err(problem) = self.dispatchers.can_carry(&to) {
            return held(&format!("cannot be delivered here: {problem}"));
        }
        let task = &self.task;
        let attempt = hence_dispatch::Attempt {
            task: format!("hnc_{}_{}", self.store_id, task.id.0),
            entity_type: task.entity.kind().to_string(),
            entity_id: task.entity.id().to_owned(),
            timeline: timeline.name.to_string(),
            step: task.step.to_string(),
            occurrence: Some(task.occurrence.clone()).filter(|occurrence| !occurrence.is_empty()),
            due_at: task.due_at,
            started_at: self.now,
            sent_at: self.client.host().wall(),
            attempt: task.attempt,
            fence: task.fence.0,
            possible_duplicate: task.possible_duplicate,
            payload: delivery.payload,
            to,
            timeout: Duration::try_from(delivery.timeout).unwrap_or(Duration::from_secs(30)),
            cancel: hence_dispatch::CancelSignal::default(),
        };
        let deadline = self.client.host().wait(attempt.timeout + DEADLINE_SLACK);
        let reply = self.dispatchers.deliver_before(&attempt, deadline).await;
        if let Reply::Refused { problem } = &reply
            && problem.is_for_a_person()
        {
            return held(&format!("cannot be delivered here: {problem}"));
        }
        self.judge(step, answer_of(reply), seen).await
    }

    async fn judge(&self, step: &Step, answer: Answer, seen: Seen) -> AttemptEnd {
        let now = self.client.now().await.unwrap_or(self.now);
        let put_off = if matches!(answer, Answer::Done { .. }) { PutOff::default() } else { self.put_off().await };
        let seen = Seen { put_off, ..seen };
        judge(&self.task, Some(step), (answer, seen), (now, self.dice))
    }

    /// How the receiver has put the task off; as if it had not, where the store cannot be read.
    async fn put_off(&self) -> PutOff {
        if self.task.attempt <= 1 {
            return PutOff::default();
        }
        let view = self.client.store().task(self.task.id).await.ok().flatten();
        view.map_or_else(PutOff::default, |view| PutOff::of(view.records.iter().map(|row| &row.record)))
    }
}

impl Seen {
    fn nothing() -> Self {
        Self { to: String::new(), facts: BTreeMap::new(), when: None, put_off: PutOff::default() }
    }
}

/// The end of an attempt whose answer was promised and did not come.
pub(super) fn unanswered(client: &Client, task: Task, now: Timestamp, dice: u64) -> Ended {
    let problem = Problem {
        code: "no-answer".to_owned(),
        message: "the receiver accepted it and did not answer within the time it had".to_owned(),
    };
    let library = client.library();
    let definition = library.all_current().find(|definition| definition.step(&task.step).is_some()).cloned();
    let step = definition.as_ref().and_then(|definition| definition.step(&task.step));
    let end = judge(&task, step, (Answer::Unknown { problem }, Seen::nothing()), (now, dice));
    Ended { task, end }
}

fn judge(task: &Task, step: Option<&Step>, (answer, seen): (Answer, Seen), (now, dice): (Timestamp, u64)) -> AttemptEnd {
    let default = RetryPolicy { tries: 8, wait_first: SignedDuration::from_secs(30), wait_max: SignedDuration::from_hours(6) };
    let judgement = Judgement {
        says: step.map_or(&[], |step| step.says.as_slice()),
        retry: step.map_or(&default, |step| &step.retry),
        delivery: step.map_or(Guarantee::AtLeastOnce, |step| step.delivery),
        attempt: task.attempt,
        put_off: seen.put_off,
        to: seen.to,
        facts: seen.facts,
        when: seen.when,
        possible_duplicate: task.possible_duplicate,
        now,
        dice,
    };
    answer::judge(&judgement, answer)
}

fn held(text: &str) -> AttemptEnd {
    AttemptEnd::Held { reason: Reason::Note { text: text.to_owned() } }
}

fn destination(rendered: Rendered) -> Destination {
    match rendered {
        Rendered::Email { template, to, subject } => Destination::Email { template, to, subject },
        Rendered::Webhook { target, path } => Destination::Webhook { target, path, method: None },
        Rendered::Handler { name } => Destination::Handler { name },
        Rendered::Log { message } => Destination::Log { message, level: hence_dispatch::LogLevel::Info },
        Rendered::Broker { kind, target, key } => Destination::Broker { kind, target, key },
    }
}

fn answer_of(reply: Reply) -> Answer {
    let plain =
        |problem: &hence_dispatch::Problem| Problem { code: problem.code().to_owned(), message: problem.message().to_owned() };
    let signed = |span: Duration| SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    match reply {
        Reply::Done { outcome, result } => Answer::Done { outcome, result },
        Reply::Again { after: Some(after), problem } if problem.code() == ASKED_AGAIN => {
            Answer::AskedAgain { after: signed(after), problem: plain(&problem) }
        }
        Reply::Again { after, problem } => Answer::Again { after: after.map(signed), problem: plain(&problem) },
        Reply::Unknown { problem } => Answer::Unknown { problem: plain(&problem) },
        Reply::Later { within } => Answer::Later { within: within.map(signed) },
        Reply::Refused { problem } | Reply::Gone { problem } => Answer::Refused { problem: plain(&problem) },
    }
}
