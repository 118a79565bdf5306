//! One attempt: look once more, deliver, judge the answer. Runs after the start was committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hence_core::answer::{self, ASKED_AGAIN, Answer, Judgement, Problem, PutOff};
use hence_core::decide::{self, Decision, Delivery, Firing, Known, Rendered, Rules};
use hence_core::definition::Step;
use hence_core::reason::Reason;
use hence_core::sabotage::{Bug, is_planted};
use hence_core::task::{AttemptEnd, Task};
use hence_core::timeline::EntitySnapshot;
use hence_core::value::Facts;
use hence_dispatch::{DEADLINE_SLACK, Destination, Dispatchers, Reply};
use hence_store::port::OwnedShard;
use jiff::{SignedDuration, Timestamp};

use super::Ended;
use crate::client::Client;
use crate::clock::Reading;
use crate::error::Error;
use crate::keeper::Permits;
use crate::under_way::Entered;

/// Its task takes this end for a cancel, because the cancel was written before the signal was raised.
const CANCELLED: &str = "it was cancelled before it was sent";

/// Everything that one attempt needs.
pub(super) struct Attempt {
    pub(super) client: Client,
    pub(super) dispatchers: Arc<Dispatchers>,
    pub(super) store_id: Arc<str>,
    pub(super) snapshot: EntitySnapshot,
    pub(super) task: Task,
    /// What it was started under.
    pub(super) owned: OwnedShard,
    pub(super) permits: Permits,
    /// Among the attempts under way for as long as this lives.
    pub(super) entered: Entered,
    /// The clock at the start.
    pub(super) reading: Reading,
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
    /// How the attempt ends, with the snapshot that its end can be planned from if nothing else changed meanwhile; `None` when its shard
    /// was lost before anything was sent.
    pub(super) async fn run(self) -> Option<Ended> {
        let end = self.end().await?;
        Some(Ended { task: self.task, end, snapshot: Some(self.snapshot) })
    }

    async fn end(&self) -> Option<AttemptEnd> {
        let library = self.client.library();
        match Rules::of(&self.task, &self.snapshot, &library) {
            Ok(rules) => {
                let known = Known::of(&rules, &self.snapshot, &library);
                self.fire(Firing { rules: &rules, known: &known, task: &self.task, now: self.reading.now }).await
            }
            Err(problem) => Some(held(&problem)),
        }
    }

    async fn fire(&self, firing: Firing<'_>) -> Option<AttemptEnd> {
        if let Some(end) = decide::before_facts(firing) {
            return Some(end);
        }
        let step = &firing.rules.step;
        let facts = match self.facts(firing).await {
            Ok(facts) => facts,
            Err(problem) => return Some(self.judge(step, Answer::Again { after: None, problem }, Seen::nothing()).await),
        };
        match decide::with_facts(firing, &facts) {
            Decision::End(end) => Some(end),
            Decision::CannotTell(answer) => Some(self.judge(step, answer, Seen::nothing()).await),
            Decision::Deliver(_) if self.entered.signal().is_raised() => Some(held(CANCELLED)),
            Decision::Deliver(delivery) => self.deliver(firing, *delivery).await,
        }
    }

    async fn facts(&self, firing: Firing<'_>) -> Result<Facts, Problem> {
        let known = &firing.known.facts;
        let Some((definition, _)) = firing.rules.timeline else { return Ok(known.clone()) };
        let groups = decide::facts_needed(&firing.rules.step);
        self.client.read_facts(definition, &groups, &self.task.entity, known).await
    }

    async fn deliver(&self, firing: Firing<'_>, delivery: Delivery) -> Option<AttemptEnd> {
        let seen = Seen { to: delivery.to.to_string(), facts: delivery.facts, when: delivery.when, put_off: PutOff::default() };
        let to = destination(delivery.to);
        if let Err(problem) = self.dispatchers.can_carry(&to) {
            if is_planted(Bug::F9) || is_planted(Bug::F56) {
                return Some(thrown_away(&problem.to_string()));
            }
            return Some(held(&format!("cannot be delivered here: {problem}")));
        }
        // The last thing before the side effect: nothing is waited for between this and the delivery (F5).
        if !is_planted(Bug::F5) && !self.permits.wait_for(self.owned).await {
            return None;
        }
        if self.entered.signal().is_raised() {
            return Some(held(CANCELLED));
        }
        let task = &self.task;
        let attempt = hence_dispatch::Attempt {
            task: format!("hnc_{}_{}", self.store_id, task.id.0),
            entity_type: task.entity.kind().to_string(),
            entity_id: task.entity.id().to_owned(),
            timeline: firing.rules.timeline.map_or_else(String::new, |(_, timeline)| timeline.name.to_string()),
            step: task.step.to_string(),
            occurrence: Some(task.occurrence.clone()).filter(|occurrence| !occurrence.is_empty()),
            due_at: task.due_at,
            started_at: self.reading.now,
            sent_at: self.client.host().wall(),
            attempt: task.attempt,
            fence: task.fence.0,
            possible_duplicate: task.possible_duplicate,
            payload: delivery.payload,
            to,
            timeout: Duration::try_from(delivery.timeout).unwrap_or(Duration::from_secs(30)),
            cancel: self.entered.signal().clone(),
        };
        let deadline = self.client.host().wait(attempt.timeout + DEADLINE_SLACK);
        let reply = self.dispatchers.deliver_before(&attempt, deadline).await;
        if let Reply::Refused { problem } = &reply
            && problem.is_for_a_person()
        {
            return Some(held(&format!("cannot be delivered here: {problem}")));
        }
        Some(self.judge(&firing.rules.step, answer_of(reply), seen).await)
    }

    async fn judge(&self, step: &Step, answer: Answer, seen: Seen) -> AttemptEnd {
        let now = self.client.clock().since(self.reading);
        let put_off = if matches!(answer, Answer::Done { .. }) { PutOff::default() } else { self.put_off().await };
        let seen = Seen { put_off, ..seen };
        judge(&self.task, step, (answer, seen), (now, self.dice))
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

/// The ends of attempts whose answers were promised and did not come.
pub(super) async fn unanswered(
    client: &Client,
    tasks: Vec<Task>,
    now: Timestamp,
    dice: &mut fastrand::Rng,
) -> Result<Vec<Ended>, Error> {
    let entities: Vec<_> = tasks.iter().map(|task| task.entity.clone()).collect();
    let snapshots = client.snapshots(&entities).await?;
    let library = client.library();
    let end_of = |(task, snapshot): (Task, &EntitySnapshot)| {
        let problem = Problem {
            code: "no-answer".to_owned(),
            message: "the receiver accepted it and did not answer within the time it had".to_owned(),
        };
        let end = match Rules::of(&task, snapshot, &library) {
            Ok(rules) => judge(&task, &rules.step, (Answer::Unknown { problem }, Seen::nothing()), (now, dice.u64(..))),
            Err(text) => held(&format!("{}; {text}", problem.message)),
        };
        Ended { task, end, snapshot: None }
    };
    Ok(tasks.into_iter().zip(&snapshots).map(end_of).collect())
}

fn judge(task: &Task, step: &Step, (answer, seen): (Answer, Seen), (now, dice): (Timestamp, u64)) -> AttemptEnd {
    let judgement = Judgement {
        says: &step.says,
        retry: &step.retry,
        delivery: step.delivery,
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

/// What the planted failures F9 and F56 make of what cannot be carried.
fn thrown_away(text: &str) -> AttemptEnd {
    let reason = Reason::Note { text: text.to_owned() };
    match (is_planted(Bug::F56), "done".parse()) {
        (true, Ok(outcome)) => AttemptEnd::Done { outcome, reason },
        _ => AttemptEnd::Failed { reason },
    }
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
        Reply::Unknown { .. } if is_planted(Bug::F61) => Answer::Done { outcome: None, result: serde_json::Value::Null },
        Reply::Unknown { problem } => Answer::Unknown { problem: plain(&problem) },
        Reply::Later { within } => Answer::Later { within: within.map(signed) },
        Reply::Refused { problem } | Reply::Gone { problem } => Answer::Refused { problem: plain(&problem) },
    }
}
