//! Goal: a cancel reaches an attempt under way, whoever wrote it (G13). Method: a real handler that waits for the signal; the cancel comes
//! from this process, from another one, and as an event; every answer is as it is stored. On every store.

use std::sync::Arc;

use hence::dispatch::{HandlerError, HandlerReply};
use hence::{CancelAnswer, Client, FactReader, FactReaders, Telling};
use hence_core::history::RecordKind;
use hence_core::task::TaskState;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::world::{Place, World, entity, places};

const LONG: &str = r#"
    [timeline]
    name = "long"
    entity = "account"
    anchor = "start"
    [step.a]
    do = { handler = "long", timeout = "5 minutes" }
    [step.after_cancel]
    after = "a:cancelled"
    do = { handler = "note" }
    [on."account.closed"]
    cancel = "*"
"#;

/// How somebody cancels the task under way.
#[derive(Clone, Copy, PartialEq)]
enum By {
    ThisProcess,
    AnotherProcess,
    AnEventOfAnother,
}

/// A handler runs and is cancelled; what it says then, and what history holds.
async fn check(place: Place, by: By, says: Result<HandlerReply, HandlerError>, expected: &[&str]) {
    let started = Arc::new(Notify::new());
    let is_started = Arc::clone(&started);
    let world = World::new(Arc::clone(&place.store)).await.handling(|handlers| {
        handlers.on("long", move |context, _: Value| {
            let (started, says) = (Arc::clone(&is_started), says.clone());
            async move {
                started.notify_one();
                context.attempt.cancel.raised().await;
                says
            }
        })
    });
    let other = Client::open(Arc::clone(&place.other), FactReaders::default(), "other").await.unwrap();
    world.enrol(LONG, Value::Null).await;
    let running = world.engine();
    started.notified().await;
    let task = world.upcoming().await.remove(0);
    match by {
        By::ThisProcess | By::AnotherProcess => {
            let client = if by == By::ThisProcess { &world.client } else { &other };
            let answer = client.cancel(task.id, "not wanted").await.unwrap();
            assert_eq!(answer, CancelAnswer::AlreadyRunning { attempt: 1, fence: task.fence });
        }
        By::AnEventOfAnother => {
            other.tell(Telling::event(entity(), "account.closed".parse().unwrap(), Value::Null, Value::Null)).await.unwrap();
        }
    }
    world.until(RecordKind::Ended).await;
    running.stop().await;
    let kinds: Vec<String> = world.history().await.iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
    assert_eq!(kinds, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_of_this_process_reaches_the_handler() {
    for place in places() {
        let says = Err(HandlerError::again("stopped as asked"));
        check(place, By::ThisProcess, says, &["a cancel_asked", "a cancelled", "after_cancel done"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_of_another_process_reaches_the_handler() {
    for place in places() {
        let says = Err(HandlerError::again("stopped as asked"));
        check(place, By::AnotherProcess, says, &["a cancel_asked", "a cancelled", "after_cancel done"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_before_the_cancel_is_done() {
    for place in places() {
        check(place, By::AnotherProcess, Ok(HandlerReply::done()), &["a cancel_asked", "a done"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cancels_reaches_the_handler() {
    for place in places() {
        let says = Err(HandlerError::again("stopped as asked"));
        check(place, By::AnEventOfAnother, says, &["a cancel_asked", "a cancelled", "after_cancel done"]).await;
    }
}

/// Facts that are read only once the test says so.
#[derive(Default)]
struct Gate {
    asked: Notify,
    open: Notify,
}

#[async_trait::async_trait]
impl FactReader for Gate {
    async fn read(&self, _sql: &str, _entity_id: &str) -> Result<Option<Map<String, Value>>, String> {
        self.asked.notify_one();
        self.open.notified().await;
        Ok(json!({ "paid": false }).as_object().cloned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cancelled_before_it_was_sent_is_not_sent() {
    let definition = r#"
        [timeline]
        name = "gate"
        entity = "account"
        anchor = "start"
        [facts.account]
        source = "app"
        sql = "select paid from account where id = $1"
        fields = { paid = "bool" }
        [step.a]
        when = "!account.paid"
        do = { handler = "note" }
    "#;
    for place in places() {
        let gate = Arc::new(Gate::default());
        let reader: Arc<dyn FactReader> = gate.clone();
        let world = World::with_facts(place.store, FactReaders::default().with_database("app", reader)).await;
        world.enrol(definition, Value::Null).await;
        let running = world.engine();
        gate.asked.notified().await;
        let task = world.upcoming().await.remove(0);
        assert_eq!(task.state, TaskState::Running);
        world.client.cancel(task.id, "not wanted").await.unwrap();
        gate.open.notify_one();
        world.until(RecordKind::Ended).await;
        running.stop().await;
        assert_eq!(world.called(), Vec::<String>::new());
        assert!(world.history().await.last().unwrap().ends_with("a cancelled"), "{:?}", world.history().await);
    }
}
