//! What every dispatcher must do, once for all of them.
//!
//! Owns: the cases ([`run`]) and how a transport's other end is told to behave ([`Rig`], [`Behaviour`]). Leaves to each
//! transport: a rig, and tests of what only it has. A case fails by panicking with a sentence that names it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::conformance_attempt::sample;
use crate::port::{Attempt, DEADLINE_SLACK, Destination, Dispatcher, Problem, Reply};

/// How the other end of a transport is to behave from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Carries everything out.
    Accept,
    /// Says "not now", having done nothing.
    RefuseForNow,
    /// Says "never", having done nothing.
    RefuseForGood,
    /// Cannot be reached at all.
    Unreachable,
    /// Takes the message, carries it out, and never answers.
    ActAndStall,
    /// Takes the message, carries it out, and breaks off without an answer.
    ActAndBreakOff,
    /// Says nothing from the beginning, and takes nothing.
    Silent,
    /// Answers with what no sane receiver says: endless, binary, hostile.
    Hostile,
}

/// A dispatcher with an other end that obeys.
#[async_trait]
pub trait Rig: Send + Sync {
    /// The dispatcher under test.
    fn dispatcher(&self) -> Arc<dyn Dispatcher>;

    /// Where to send to.
    fn destination(&self) -> Destination;

    /// Makes the other end behave; false when this transport cannot.
    async fn behave(&self, behaviour: Behaviour) -> bool;

    /// Ids of what the other end carried out, in order.
    async fn carried_out(&self) -> Vec<String>;
}

/// Time for a delivery that is expected to be answered.
const PLENTY: Duration = Duration::from_secs(10);
/// Time for a delivery that is expected not to be answered.
const SHORT: Duration = Duration::from_millis(200);

/// Runs all cases.
///
/// # Panics
/// When the dispatcher does not do what every dispatcher must do.
pub async fn run(rig: &dyn Rig) {
    knows_its_destinations(rig).await;
    accepted_is_done(rig).await;
    redelivery_carries_the_same_id(rig).await;
    refusals_are_told_apart(rig).await;
    unreachable_is_tried_again(rig).await;
    ambiguous_end_is_unknown(rig).await;
    silence_ends_in_time(rig).await;
    hostile_answers_do_no_harm(rig).await;
    works_again_after_trouble(rig).await;
}

fn attempt(rig: &dyn Rig, timeout: Duration) -> Attempt {
    Attempt { to: rig.destination(), timeout, ..sample() }
}

/// Delivers, and checks what holds for every reply.
async fn deliver(rig: &dyn Rig, attempt: &Attempt) -> Reply {
    let dispatcher = rig.dispatcher();
    let deadline = attempt.timeout + DEADLINE_SLACK;
    let reply = tokio::time::timeout(deadline, dispatcher.deliver(attempt)).await;
    let reply = reply.unwrap_or_else(|_| panic!("the delivery did not end within {deadline:?}"));
    if let Some(problem) = reply.problem() {
        let message = problem.message();
        assert!(!message.is_empty() && message.len() <= Problem::MESSAGE_BYTES_MAX, "message of {} bytes", message.len());
        assert!(!message.chars().any(char::is_control), "control characters in {message:?}");
        assert!(!message.contains("a@example.com"), "the payload is in {message:?}");
    }
    reply
}

async fn knows_its_destinations(rig: &dyn Rig) {
    let dispatcher = rig.dispatcher();
    assert_eq!(dispatcher.carries(), rig.destination().kind(), "carries another kind than its own destination");
    assert_eq!(dispatcher.accepts(&rig.destination()), Ok(()), "does not accept its own destination");
    let other = Destination::Broker { kind: "no such broker".into(), target: "x".into(), key: "x".into() };
    assert!(dispatcher.accepts(&other).is_err(), "accepts a destination of another kind");
    let reply = deliver(rig, &Attempt { to: other, ..attempt(rig, PLENTY) }).await;
    assert!(matches!(reply, Reply::Refused { .. }), "destination of another kind: {reply:?}");
}

async fn accepted_is_done(rig: &dyn Rig) {
    assert!(rig.behave(Behaviour::Accept).await, "every transport can accept");
    let before = rig.carried_out().await.len();
    let reply = deliver(rig, &attempt(rig, PLENTY)).await;
    assert!(matches!(reply, Reply::Done { .. }), "accepted: {reply:?}");
    assert_eq!(rig.carried_out().await.len(), before + 1, "accepted, but not carried out once");
}

async fn redelivery_carries_the_same_id(rig: &dyn Rig) {
    rig.behave(Behaviour::Accept).await;
    let before = rig.carried_out().await.len();
    let first = attempt(rig, PLENTY);
    let second = Attempt { attempt: 2, fence: first.fence + 1, possible_duplicate: true, ..first.clone() };
    let other = Attempt { task: format!("{}x", first.task), ..first.clone() };
    for attempt in [&first, &second, &other] {
        deliver(rig, attempt).await;
    }
    let ids = rig.carried_out().await.split_off(before);
    assert_eq!(ids.len(), 3, "three deliveries gave {ids:?}");
    assert_eq!(ids[0], ids[1], "a redelivery has another id");
    assert_ne!(ids[0], ids[2], "another task has the same id");
}

async fn refusals_are_told_apart(rig: &dyn Rig) {
    let before = rig.carried_out().await.len();
    if rig.behave(Behaviour::RefuseForNow).await {
        let reply = deliver(rig, &attempt(rig, PLENTY)).await;
        assert!(matches!(reply, Reply::Again { .. }), "refused for now: {reply:?}");
    }
    if rig.behave(Behaviour::RefuseForGood).await {
        let reply = deliver(rig, &attempt(rig, PLENTY)).await;
        assert!(matches!(reply, Reply::Refused { .. }), "refused for good: {reply:?}");
    }
    assert_eq!(rig.carried_out().await.len(), before, "refused, but carried out");
}

async fn unreachable_is_tried_again(rig: &dyn Rig) {
    if rig.behave(Behaviour::Unreachable).await {
        let reply = deliver(rig, &attempt(rig, PLENTY)).await;
        assert!(matches!(reply, Reply::Again { .. }), "unreachable: {reply:?}");
    }
}

async fn ambiguous_end_is_unknown(rig: &dyn Rig) {
    for (behaviour, timeout) in [(Behaviour::ActAndStall, SHORT), (Behaviour::ActAndBreakOff, PLENTY)] {
        if rig.behave(behaviour).await {
            let before = rig.carried_out().await.len();
            let reply = deliver(rig, &attempt(rig, timeout)).await;
            assert!(matches!(reply, Reply::Unknown { .. }), "{behaviour:?}: {reply:?}");
            assert_eq!(rig.carried_out().await.len(), before + 1, "{behaviour:?}: the rig did not carry it out once");
        }
    }
}

async fn silence_ends_in_time(rig: &dyn Rig) {
    if rig.behave(Behaviour::Silent).await {
        let reply = deliver(rig, &attempt(rig, SHORT)).await;
        assert!(matches!(reply, Reply::Unknown { .. } | Reply::Again { .. }), "silence: {reply:?}");
    }
}

async fn hostile_answers_do_no_harm(rig: &dyn Rig) {
    // A rig answers differently each time; a few of its worst are enough.
    for round in 0..8 {
        if rig.behave(Behaviour::Hostile).await {
            let reply = deliver(rig, &attempt(rig, SHORT)).await;
            let is_guessed = matches!(&reply, Reply::Done { outcome: Some(_), .. } | Reply::Later { .. });
            assert!(!is_guessed, "hostile answer {round} was believed: {reply:?}");
        }
    }
}

async fn works_again_after_trouble(rig: &dyn Rig) {
    accepted_is_done(rig).await;
}
