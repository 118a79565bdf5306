//! Goal: the client can say why a task that is due has not happened. Method: each cause is made to happen through the engine, then asked
//! for, as data and as a sentence; on every store.

use std::sync::Arc;

use hence::dispatch::HandlerReply;
use hence::{FactReader, FactReaders};
use hence_core::calendar::Zone;
use hence_core::history::RecordKind;
use hence_core::name::Name;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::world::{World, at, entity, places};

const NO_ENGINE: &str = "no engine is running";

fn key(text: &str) -> Name {
    text.parse().unwrap()
}

/// What holds back the entity's task of that step or key, in sentences.
async fn held_back(world: &World, step: &str) -> Vec<String> {
    let task = world.upcoming().await.into_iter().find(|task| task.step.as_str() == step).unwrap();
    let delays = world.client.delays(&task).await.unwrap();
    delays.iter().map(|delay| delay.sentence(&Zone::utc())).collect()
}

async fn schedule(world: &World, step: &str, due_at: &str, action: Value) {
    world.client.schedule(entity(), key(step), at(due_at), action).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_waits_for_the_one_of_its_entity_that_runs() {
    for place in places() {
        let (started, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (is_started, may_go_on) = (Arc::clone(&started), Arc::clone(&go_on));
        let world = World::new(place.store).await.handling(|handlers| {
            handlers.on("long", move |_, _: Value| {
                let (started, go_on) = (Arc::clone(&is_started), Arc::clone(&may_go_on));
                async move {
                    started.notify_one();
                    go_on.notified().await;
                    Ok(HandlerReply::done())
                }
            })
        });
        schedule(&world, "first", "2026-03-02T09:00:00Z", json!({ "handler": "long" })).await;
        schedule(&world, "second", "2026-03-02T09:00:00Z", json!({ "log": "x" })).await;
        schedule(&world, "third", "2026-03-02T09:00:00Z", json!({ "log": "x" })).await;
        schedule(&world, "tomorrow", "2026-03-03T09:00:00Z", json!({ "log": "x" })).await;
        assert_eq!(held_back(&world, "first").await, [NO_ENGINE]);
        let of_first = |stands| format!("first (task_1) of the same entity {stands}; its instant is Mon 2026-03-02 09:00 (UTC)");
        assert_eq!(held_back(&world, "third").await, [of_first("comes first"), NO_ENGINE.to_owned()]);
        let running = world.engine();
        started.notified().await;
        assert_eq!(held_back(&world, "third").await, [of_first("is running")]);
        assert_eq!(held_back(&world, "first").await, ["attempt 1 is under way since Mon 2026-03-02 09:00 (UTC)"]);
        assert_eq!(held_back(&world, "tomorrow").await, Vec::<String>::new(), "it is not due");
        go_on.notify_one();
        world.until(RecordKind::Done).await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_waits_for_a_person_and_for_its_next_attempt() {
    for place in places() {
        let world = World::new(place.store).await;
        schedule(&world, "call", "2026-03-02T10:00:00Z", json!({ "log": "x" })).await;
        let task = world.client.scheduled(&entity(), &key("call")).await.unwrap().unwrap();
        world.client.hold(task.id, "ask Ann first").await.unwrap();
        let held = "a person must let it go on since Mon 2026-03-02 09:00 (UTC): asked for by test: ask Ann first";
        assert_eq!(held_back(&world, "call").await, [held]);
        let retry = json!({ "handler": "broken", "retry": { "tries": 3, "wait": "1s..1s" } });
        schedule(&world, "mail", "2026-03-02T11:00:00Z", retry).await;
        world.advance("2026-03-02T11:00:00Z").await;
        let again = "it was tried once and is tried again Mon 2026-03-02 11:00:01 (UTC): the receiver is down (handler-failed); next \
                     attempt Mon 2026-03-02 11:00:01 (UTC)";
        assert_eq!(held_back(&world, "mail").await, [again, NO_ENGINE]);
    }
}

/// A database that is down.
struct Down;

#[async_trait::async_trait]
impl FactReader for Down {
    async fn read(&self, _sql: &str, _entity_id: &str) -> Result<Option<Map<String, Value>>, String> {
        Err("the database is down".to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_waits_for_what_was_told_and_cannot_be_carried_out() {
    let definition = r#"
        [timeline]
        name = "t"
        entity = "account"
        anchor = "start"
        [facts.account]
        source = "app"
        sql = "select 1 from account where id = $1"
        fields = { paid = "bool" }
        [step.a]
        when = "account.paid"
        do = { log = "a" }
        [on."account.moved"]
        recompute = true
    "#;
    for place in places() {
        let world = World::with_facts(place.store, FactReaders::default().with_database("app", Arc::new(Down))).await;
        world.enrol(definition, Value::Null).await;
        world.event("account.moved", Value::Null, Value::Null).await;
        let found = held_back(&world, "a").await.join("\n");
        let expected = "something that was told of its entity cannot be carried out since Mon 2026-03-02 09:00 (UTC): facts `account`: the \
                        database is down (facts-not-read); tried again Mon 2026-03-02 09:00";
        assert!(found.starts_with(expected), "{found}");
    }
}
