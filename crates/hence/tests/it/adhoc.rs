//! Goal: a task without a definition lives like any other: delivered, moved, cancelled, held, tried again, late. Method: scheduled by the
//! client, carried out by an engine on a virtual clock, over handlers, the log, and real mail and HTTP servers; on every store.

use std::sync::Arc;

use hence::dispatch::{HandlerError, MailCatcher, MailServer, Mails, Secret, WebhookTarget, Webhooks};
use hence::{CancelAnswer, Client, FactReaders, Told};
use hence_core::name::Name;
use hence_core::task::{Task, TaskState};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::http_server::HttpServer;
use crate::world::{World, at, entity, places};

const DUE: &str = "2026-03-03T09:00:00Z";

fn key() -> Name {
    "call".parse().unwrap()
}

async fn schedule(world: &World, due_at: &str, action: Value) -> Told {
    world.client.schedule(entity(), key(), at(due_at), action).await.unwrap()
}

async fn scheduled(world: &World) -> Task {
    world.client.scheduled(&entity(), &key()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_without_a_definition_is_delivered_on_time_as_it_was_told() {
    for place in places() {
        let world = World::new(place.store).await;
        // What customers wrote is no template.
        let action = json!({ "handler": "note", "data": { "text": "{entity} {{x}}", "list": [1, null, { "deep": true }] } });
        assert_eq!(schedule(&world, DUE, action).await, Told::CarriedOut);
        let task = scheduled(&world).await;
        assert_eq!((task.due_at, task.state, task.timeline), (at(DUE), TaskState::Scheduled, None));
        assert_eq!(world.upcoming().await, std::slice::from_ref(&task), "it is listed with all others");
        world.advance("2026-03-03T10:00:00Z").await;
        let seen = r#"2026-03-03T09:00:00Z call {"list":[1,null,{"deep":true}],"text":"{entity} {{x}}"} 20s"#;
        assert_eq!(world.calls.lock().unwrap().as_slice(), [seen]);
        assert_eq!(world.history().await, ["2026-03-03T09:00:00Z call done"]);
        // Its key is free again, and a person can have it done once more.
        world.client.run_now(task.id, "again, please").await.unwrap();
        world.advance("2026-03-03T11:00:00Z").await;
        assert_eq!(world.calls.lock().unwrap().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduling_again_replaces_instant_and_action() {
    for place in places() {
        let world = World::new(place.store).await;
        schedule(&world, DUE, json!({ "handler": "note", "data": { "n": 1 } })).await;
        let first = scheduled(&world).await;
        let second = json!({ "handler": "note", "data": { "n": 2 } });
        schedule(&world, "2026-03-04T09:00:00Z", second.clone()).await;
        let moved = scheduled(&world).await;
        assert_eq!((moved.id, moved.due_at, moved.action.as_ref()), (first.id, at("2026-03-04T09:00:00Z"), Some(&second)));
        // The same once more changes nothing.
        let before = world.rows().await.len();
        schedule(&world, "2026-03-04T09:00:00Z", second).await;
        assert_eq!(world.rows().await.len(), before);
        world.advance("2026-03-05T09:00:00Z").await;
        assert_eq!(world.calls.lock().unwrap().as_slice(), [r#"2026-03-04T09:00:00Z call {"n":2} 20s"#]);
        assert_eq!(world.history().await, ["2026-03-02T09:00:00Z call moved", "2026-03-04T09:00:00Z call done"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduling_again_while_it_runs_is_not_forgotten() {
    for place in places() {
        let started = Arc::new(Notify::new());
        let is_started = Arc::clone(&started);
        let world = World::new(place.store).await.handling(|handlers| {
            handlers.on("long", move |context, _: Value| {
                let started = Arc::clone(&is_started);
                async move {
                    started.notify_one();
                    context.attempt.cancel.raised().await;
                    Err(HandlerError::again("stopped"))
                }
            })
        });
        schedule(&world, "2026-03-02T09:00:00Z", json!({ "handler": "long" })).await;
        let running = world.engine();
        started.notified().await;
        // Twice: the second one finds the new waiting task, not the running one.
        schedule(&world, "2026-03-02T10:00:00Z", json!({ "handler": "note", "data": { "n": 1 } })).await;
        schedule(&world, "2026-03-02T11:00:00Z", json!({ "handler": "note", "data": { "n": 2 } })).await;
        running.stop().await;
        world.advance("2026-03-03T09:00:00Z").await;
        assert_eq!(world.calls.lock().unwrap().as_slice(), [r#"2026-03-02T11:00:00Z call {"n":2} 20s"#]);
        let expected = ["call cancel_asked", "call cancelled", "call moved", "call done"];
        let mut found: Vec<String> = world.history().await.iter().map(|line| line[21..].to_owned()).collect();
        found.sort();
        let mut expected: Vec<String> = expected.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(found, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_hold_release_and_run_work_as_for_every_task() {
    for place in places() {
        let world = World::new(place.store).await;
        let action = json!({ "handler": "note" });
        schedule(&world, DUE, action.clone()).await;
        let task = scheduled(&world).await;
        assert_eq!(world.client.cancel(task.id, "not wanted").await.unwrap(), CancelAnswer::Cancelled);
        schedule(&world, DUE, action.clone()).await;
        let task = scheduled(&world).await;
        world.client.hold(task.id, "wait").await.unwrap();
        world.advance("2026-03-04T09:00:00Z").await;
        assert_eq!(world.called(), Vec::<String>::new());
        world.client.release(task.id, "go on").await.unwrap();
        world.advance("2026-03-04T10:00:00Z").await;
        schedule(&world, "2026-04-01T09:00:00Z", action).await;
        world.client.run_now(scheduled(&world).await.id, "now").await.unwrap();
        world.advance("2026-03-04T11:00:00Z").await;
        assert_eq!(world.called(), ["2026-03-04T09:00:00Z call", "2026-03-04T10:00:00Z call"]);
        let kinds: Vec<String> = world.history().await.iter().map(|line| line[21..].to_owned()).collect();
        assert_eq!(kinds, ["call cancelled", "call held", "call released", "call done", "call run_asked", "call done"]);
        assert_eq!(world.upcoming().await, []);
    }
}

/// An action, what happens when it is due while an engine runs (or is down for so long), and what the key in question changes.
async fn check(action: Value, back_at: &str, expected: &[&str]) {
    for place in places() {
        let world = World::new(place.store).await;
        assert_eq!(schedule(&world, DUE, action.clone()).await, Told::CarriedOut, "{action}");
        world.down_until(back_at).await;
        world.advance("2026-03-05T09:00:00Z").await;
        assert_eq!(world.history().await, expected, "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_late_delivery_and_says_mean_what_they_mean_in_a_step() {
    let on_time = "2026-03-02T10:00:00Z";
    let retry = json!({ "handler": "broken", "retry": { "tries": 2, "wait": "1s..1s" } });
    check(retry, on_time, &["2026-03-03T09:00:00Z call retried", "2026-03-03T09:00:01Z call failed"]).await;
    let late = json!({ "handler": "note", "late": { "after": "1 hour", "then": "skip" } });
    check(late, "2026-03-03T11:00:00Z", &["2026-03-03T11:00:00Z call expired"]).await;
    let default = json!({ "handler": "note" });
    check(default, "2026-03-04T11:00:00Z", &["2026-03-04T11:00:00Z call done"]).await;
    let unsure = json!({ "handler": "unsure", "delivery": "at_most_once" });
    check(unsure, on_time, &["2026-03-03T09:00:00Z call unknown"]).await;
    let says = json!({ "handler": "say", "says": ["yes"] });
    check(says, on_time, &["2026-03-03T09:00:00Z call yes"]).await;
    let log = json!({ "log": "call {them}" });
    check(log, on_time, &["2026-03-03T09:00:00Z call done"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_cannot_be_carried_out_is_refused_when_it_is_told() {
    for place in places() {
        let world = World::new(place.store).await;
        let mut found = Vec::new();
        for action in [
            json!("call"),
            json!({}),
            json!({ "webhook": "app", "pth": "/x" }),
            json!({ "webhook": "app", "path": "x", "timeout": "1 year" }),
            json!({ "handler": "note", "data": 7 }),
            json!({ "handler": "note", "when": "true", "due": "1 day" }),
            json!({ "handler": "note", "data": { "text": "a\0b" } }),
            json!({ "email": "m", "to": "nobody" }),
            json!({ "handler": "note", "retry": { "tries": 0 } }),
        ] {
            let Told::Refused { code, problem } = schedule(&world, DUE, action.clone()).await else { panic!("{action}") };
            found.push(format!("{code} {action}\n    {problem}"));
        }
        assert_eq!(world.upcoming().await, []);
        insta::assert_snapshot!("refused_actions", found.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_and_mails_carry_it_and_another_process_sees_it() {
    let server = HttpServer::start().await;
    server.answer(200, "", "");
    let catcher = MailCatcher::start(None).await.unwrap();
    let templates = tempfile::tempdir().unwrap();
    std::fs::write(templates.path().join("hello.txt"), "Subject: Hello\n\nDear {{ data.name }}\n").unwrap();
    for place in places() {
        let target = WebhookTarget {
            secrets: vec![Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
            allow_private: true,
            allow_http: true,
            ..WebhookTarget::new("app", format!("http://{}", server.address))
        };
        let webhooks = Webhooks::new(&[target], None).unwrap();
        let mails = Mails::new(&mail_server(&catcher, templates.path())).unwrap();
        let world = World::new(place.store).await.with(Arc::new(webhooks)).with(Arc::new(mails));
        let other = Client::open(place.other, FactReaders::default(), "other").await.unwrap();
        let webhook = json!({ "webhook": "app", "path": "/a{b}", "data": { "n": 1 } });
        let mail = json!({ "email": "hello", "to": "ann@example.com", "data": { "name": "{Ann}" } });
        other.schedule(entity(), "hook", at(DUE), webhook).await.unwrap();
        other.schedule(entity(), "mail", at(DUE), mail).await.unwrap();
        world.advance("2026-03-03T10:00:00Z").await;
        assert_eq!(world.history().await, ["2026-03-03T09:00:00Z hook done", "2026-03-03T09:00:00Z mail done"]);
        let request = server.requests().pop().unwrap();
        assert_eq!(request.line, "POST /a%7Bb%7D HTTP/1.1");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((&body["type"], &body["data"]["data"]), (&json!("hence.adhoc.hook"), &json!({ "n": 1 })));
        let caught = catcher.mails().pop().unwrap();
        assert_eq!((caught.subject.as_str(), caught.text.trim_end()), ("Hello", "Dear {Ann}"));
    }
}

fn mail_server(catcher: &MailCatcher, templates: &std::path::Path) -> MailServer {
    MailServer {
        url: format!("smtp://{}", catcher.address()),
        login: None,
        from: "Example <hello@example.com>".to_owned(),
        templates: templates.to_owned(),
        roots_pem: None,
    }
}
