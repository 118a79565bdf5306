//! Goal: a receiver may take a task and answer later. Method: the raw HTTP server answers 202; completions come by the client, in time, too
//! late, twice, under a wrong fence, with a wrong word, or never; on every store.

use std::sync::Arc;

use hence::Error;
use hence::dispatch::{WebhookTarget, Webhooks};
use hence_core::history::RecordKind;
use hence_core::name::Fence;
use hence_core::task::{Task, TaskState};
use serde_json::{Value, json};

use crate::http_server::HttpServer;
use crate::world::{World, at, entity, places};

const LATER: &str = r#"
    [timeline]
    name = "later"
    entity = "account"
    anchor = "start"
    [step.a]
    due = "1 day"
    do = { webhook = "app", path = "/a" }
    says = ["approved"]
    retry = { tries = 2, wait = "1s..1s" }
    KEY
    [step.b]
    after = "a:approved"
    do = { log = "b" }
"#;

/// A world in which `a` was taken by the receiver, which answers within two hours.
async fn taken(store: Arc<dyn hence::Store>, delivery: &str) -> (World, HttpServer, Task) {
    let server = HttpServer::start().await;
    server.answer(202, "content-type: application/json\r\n", r#"{"within": "2 hours"}"#);
    let target = WebhookTarget {
        allow_private: true,
        allow_http: true,
        ..WebhookTarget::new("app", format!("http://{}", server.address))
    };
    let world = World::new(store).await.with(Arc::new(Webhooks::new(&[target], None).unwrap()));
    world.enrol(&LATER.replace("KEY", delivery), Value::Null).await;
    world.advance("2026-03-03T09:30:00Z").await;
    let task = world.upcoming().await.remove(0);
    assert_eq!((task.step.as_str(), task.state, task.answer_awaited), ("a", TaskState::Running, true));
    assert_eq!(task.wake_at, at("2026-03-03T11:00:00Z"));
    let body: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(body["hencefence"], json!(task.fence.0.to_string()), "the receiver knows what to say");
    (world, server, task)
}

fn word(text: &str) -> hence_core::name::Name {
    text.parse().unwrap()
}

fn code(error: Error) -> String {
    match error {
        Error::Refused { code, problem } => format!("{code} {problem}"),
        other => other.to_string(),
    }
}

async fn kinds(world: &World) -> Vec<String> {
    world.history().await.iter().map(|line| line[21..].to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_later_decides_what_follows() {
    for place in places() {
        let (world, _server, task) = taken(place.store, "").await;
        // Until then the next task of the entity waits.
        world.client.schedule(entity(), word("next"), at("2026-03-03T09:30:00Z"), json!({ "log": "next" })).await.unwrap();
        world.advance("2026-03-03T10:00:00Z").await;
        assert_eq!(kinds(&world).await, ["a answer_awaited"]);
        let done = world.client.complete(task.id, task.fence, word("approved"), json!({ "by": "ann" })).await.unwrap();
        assert_eq!(done.state, TaskState::Done);
        world.advance("2026-03-03T10:30:00Z").await;
        let mut found = kinds(&world).await;
        found.sort();
        assert_eq!(found, ["a answer_awaited", "a approved", "b done", "next done"]);
        // Once more is too late, and is kept.
        let again = world.client.complete(task.id, task.fence, word("done"), Value::Null).await.unwrap_err();
        assert_eq!(code(again), "HNC-0310 the task is already done");
        assert_eq!(world.rows().await.last().unwrap().record.kind, RecordKind::LateOutcome);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_fence_or_word_changes_nothing() {
    for place in places() {
        let (world, _server, task) = taken(place.store, "").await;
        let wrong = world.client.complete(task.id, task.fence, word("maybe"), Value::Null).await.unwrap_err();
        assert_eq!(code(wrong), "HNC-0309 step `a` does not say `maybe`; it says: done, approved");
        let stale = world.client.complete(task.id, Fence(task.fence.0 - 1), word("done"), Value::Null).await.unwrap_err();
        assert!(code(stale).starts_with("HNC-0310 the attempt under"));
        assert_eq!(world.upcoming().await[0], task);
        world.client.complete(task.id, task.fence, word("done"), Value::Null).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_is_asked_for_again_until_the_tries_are_used_up() {
    for place in places() {
        let (world, server, task) = taken(place.store, "").await;
        world.advance("2026-03-03T11:00:00Z").await;
        assert_eq!(kinds(&world).await, ["a answer_awaited", "a retried"]);
        world.advance("2026-03-03T15:00:00Z").await;
        assert_eq!(kinds(&world).await, ["a answer_awaited", "a retried", "a answer_awaited", "a failed"]);
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(
            requests[0].header("webhook-id"),
            requests[1].header("webhook-id"),
            "the receiver can tell that it is the same"
        );
        let body: Value = serde_json::from_slice(&requests[1].body).unwrap();
        assert_eq!(body["hencepossibleduplicate"], json!(true));
        let late = world.client.complete(task.id, task.fence, word("approved"), Value::Null).await.unwrap_err();
        assert_eq!(code(late), "HNC-0310 the task is already failed");
        assert_eq!(world.rows().await.last().unwrap().record.kind, RecordKind::LateOutcome);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_is_unknown_where_it_is_sent_at_most_once() {
    for place in places() {
        let (world, server, _task) = taken(place.store, "delivery = \"at_most_once\"").await;
        world.advance("2026-03-03T15:00:00Z").await;
        assert_eq!(kinds(&world).await, ["a answer_awaited", "a unknown"]);
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_the_answer_is_awaited_ends_it_without_another_attempt() {
    for place in places() {
        let (world, server, task) = taken(place.store, "").await;
        world.client.cancel(task.id, "not wanted").await.unwrap();
        world.advance("2026-03-03T15:00:00Z").await;
        assert_eq!(kinds(&world).await, ["a answer_awaited", "a cancel_asked", "a cancelled"]);
        assert_eq!(server.requests().len(), 1);
    }
}
