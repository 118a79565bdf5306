//! Goal: the back end does what a customer and Hence ask of it, and loses nothing that Hence has to be told.
//! Method: the real server on a port the system chooses, asked over HTTP; Hence is a list of what it was told, and can be deaf.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod trial;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chat::{AccountId, ChatOptions, HenceCalls, Running, start};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, RequestBuilder, Response, redirect};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What Hence was told, each thing a line.
#[derive(Default)]
struct Ear {
    told: Mutex<Vec<String>>,
    is_deaf: AtomicBool,
}

impl Ear {
    fn hear(&self, line: String) -> anyhow::Result<()> {
        if self.is_deaf.load(Ordering::SeqCst) {
            anyhow::bail!("nobody <listens>");
        }
        self.told.lock().unwrap().push(line);
        Ok(())
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

#[async_trait]
impl HenceCalls for Ear {
    async fn enrol(&self, account_id: AccountId, created_at: Timestamp, facts: Value) -> anyhow::Result<()> {
        self.hear(format!("enrol {account_id} {created_at} {}", facts["account"]["timezone"]))
    }

    async fn event(&self, account_id: AccountId, name: &str, at: Timestamp, data: Value, facts: Value) -> anyhow::Result<()> {
        self.hear(format!("{name} {account_id} {at} {data} {}", facts["account"]["status"]))
    }
}

/// A running back end and what surrounds it.
struct Stage {
    running: Running,
    ear: Arc<Ear>,
    now: Arc<Mutex<Timestamp>>,
    client: Client,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let ear = Arc::new(Ear::default());
        let now = Arc::new(Mutex::new("2026-03-02T09:00:00.123456Z".parse().unwrap()));
        let running = open(folder.path(), &ear, &now).await;
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        Stage { running, ear, now, client, folder }
    }

    fn pass(&self, hours: i64) {
        *self.now.lock().unwrap() += SignedDuration::from_hours(hours);
    }

    fn posting(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.running.url()))
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        read(self.posting(path).json(body).send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        read(self.client.get(format!("{}{path}", self.running.url())).send().await.unwrap()).await
    }

    async fn page(&self) -> String {
        self.client.get(self.running.url()).send().await.unwrap().text().await.unwrap()
    }

    async fn sign_up(&self) {
        let answer = self.post("/signup", &json!({ "email": "anna@example.com", "timezone": "Europe/Oslo" })).await;
        assert_eq!(answer, (201, json!({ "id": 1 })));
    }

    /// Sends the webhook that switches an account off, signed for the instant at which the server says it is.
    async fn deactivate(&self, id: &str, account: &str) -> (u16, Value) {
        let body = json!({ "specversion": "1.0", "id": id, "subject": format!("account/{account}"), "data": {} }).to_string();
        let at = self.server_time().await;
        let signature = Webhook::new(SECRET).unwrap().sign(id, at, body.as_bytes()).unwrap();
        self.send_webhook(id, &at.to_string(), &signature, body).await
    }

    async fn send_webhook(&self, id: &str, at: &str, signature: &str, body: String) -> (u16, Value) {
        let request = self
            .posting("/hence/deactivate")
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signature)
            .header("hence-attempt", "1")
            .header("content-type", "application/cloudevents+json");
        read(request.body(body).send().await.unwrap()).await
    }

    /// Seconds since 1970 by the `Date` of an answer: signatures are judged by the wall clock, whatever the test's clock says.
    async fn server_time(&self) -> i64 {
        let answer = self.client.get(self.running.url()).send().await.unwrap();
        let date = answer.headers()["date"].to_str().unwrap();
        DateTimeParser::new().parse_timestamp(date).unwrap().as_second()
    }
}

async fn open(folder: &Path, ear: &Arc<Ear>, now: &Arc<Mutex<Timestamp>>) -> Running {
    let now = Arc::clone(now);
    let options = ChatOptions {
        database: folder.join("chat.db"),
        listen: "127.0.0.1:0".parse().unwrap(),
        webhook_secret: Some(SECRET.to_owned()),
        hence: Arc::<Ear>::clone(ear),
        clock: Arc::new(move || *now.lock().unwrap()),
    };
    start(options).await.unwrap()
}

async fn read(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

#[tokio::test]
async fn what_a_customer_does_is_told_to_hence_in_order() {
    let stage = Stage::new().await;
    stage.sign_up().await;
    stage.pass(24);
    assert_eq!(stage.post("/accounts/1/extend", &json!({ "days": 14 })).await.0, 200);
    assert_eq!(stage.post("/accounts/1/timezone", &json!({ "timezone": "Asia/Tokyo" })).await.0, 200);
    let (status, facts) = stage.post("/accounts/1/pay", &json!({})).await;
    let paid = json!({
        "email": "anna@example.com", "timezone": "Asia/Tokyo", "paid_at": "2026-03-03T09:00:00.123Z", "status": "paid"
    });
    assert_eq!((status, &facts), (200, &paid));
    assert_eq!(stage.get("/accounts/1").await, (200, paid));
    assert_eq!(stage.post("/accounts/1/pay", &json!({})).await.0, 200, "paying twice changes nothing");
    assert_eq!(stage.post("/accounts/1/extend", &json!({ "days": 7 })).await.0, 409);
    assert_eq!(stage.post("/accounts/1/close", &json!({})).await.0, 200);
    assert_eq!(
        stage.ear.told(),
        [
            "enrol 1 2026-03-02T09:00:00.123Z \"Europe/Oslo\"",
            "trial.extended 1 2026-03-03T09:00:00.123Z {\"days\":14} \"trial\"",
            "account.timezone_changed 1 2026-03-03T09:00:00.123Z {\"timezone\":\"Asia/Tokyo\"} \"trial\"",
            "account.paid 1 2026-03-03T09:00:00.123Z {} \"paid\"",
            "account.closed 1 2026-03-03T09:00:00.123Z {} \"closed\"",
        ]
    );
    stage.running.stop().await.unwrap();
}

#[tokio::test]
async fn unusable_requests_are_refused_and_tell_nobody() {
    let stage = Stage::new().await;
    for (email, timezone) in [
        ("anna", "UTC"),
        ("a@b@c", "UTC"),
        ("a\r\nBcc: b@example.com", "UTC"),
        ("a@example.com", "Mars/Olympus"),
        ("a@example.com", "../etc/passwd"),
        ("a@example.com", ""),
    ] {
        let (status, body) = stage.post("/signup", &json!({ "email": email, "timezone": timezone })).await;
        assert_eq!(status, 422, "{email} {timezone}: {body}");
        assert!(body["error"].as_str().unwrap().starts_with("write a"), "{body}");
    }
    assert_eq!(stage.post("/accounts/7/pay", &json!({})).await, (404, json!({ "error": "there is no account 7" })));
    assert_eq!(stage.get("/accounts/7").await.0, 404);
    assert_eq!(stage.get("/widget-usage/7").await.0, 404);
    let foreign = stage.posting("/admin/resend").header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    assert_eq!(stage.ear.told(), [""; 0]);
    assert_eq!(stage.get("/accounts").await, (200, json!([])));
}

#[tokio::test]
async fn use_of_the_script_counts_for_two_days() {
    let stage = Stage::new().await;
    stage.sign_up().await;
    stage.post("/accounts/1/usage", &json!({ "hits": 5 })).await;
    stage.pass(47);
    stage.post("/accounts/1/usage", &json!({ "hits": 2 })).await;
    assert_eq!(stage.get("/widget-usage/1").await, (200, json!({ "hits_last_2_days": 7 })));
    stage.pass(1);
    assert_eq!(stage.get("/widget-usage/1").await, (200, json!({ "hits_last_2_days": 2 })));
}

#[tokio::test]
async fn signed_webhook_switches_off_and_payers_are_left_alone() {
    let stage = Stage::new().await;
    stage.sign_up().await;
    stage.sign_up_as("bjarne@example.com").await;
    stage.post("/accounts/2/pay", &json!({})).await;
    assert_eq!(stage.deactivate("task_1", "1").await, (200, json!({ "outcome": "deactivated" })));
    assert_eq!(stage.get("/accounts/1").await.1["status"], "deactivated");
    assert_eq!(stage.deactivate("task_2", "2").await, (200, json!({ "outcome": "already_paid" })));
    assert_eq!(stage.get("/accounts/2").await.1["status"], "paid");
    assert_eq!(stage.deactivate("task_3", "99").await.0, 410);
}

impl Stage {
    async fn sign_up_as(&self, email: &str) {
        assert_eq!(self.post("/signup", &json!({ "email": email, "timezone": "UTC" })).await.0, 201);
    }
}

#[tokio::test]
async fn webhook_with_a_bad_signature_changes_nothing() {
    let stage = Stage::new().await;
    stage.sign_up().await;
    let body = json!({ "specversion": "1.0", "id": "task_1", "subject": "account/1" }).to_string();
    let at = stage.server_time().await;
    let good = Webhook::new(SECRET).unwrap().sign("task_1", at, body.as_bytes()).unwrap();
    let old = Webhook::new(SECRET).unwrap().sign("task_1", at - 3600, body.as_bytes()).unwrap();
    let other = Webhook::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap().sign("task_1", at, body.as_bytes()).unwrap();
    let at_text = at.to_string();
    for (id, at, signature, body) in [
        ("task_1", at_text.as_str(), other.as_str(), body.clone()),
        ("task_2", &at_text, &good, body.clone()),
        ("task_1", &at_text, &good, body.replace("account/1", "account/2")),
        ("task_1", &(at - 3600).to_string(), &old, body.clone()),
        ("task_1", &at_text, "", body.clone()),
    ] {
        assert_eq!(stage.send_webhook(id, at, signature, body).await.0, 401);
    }
    assert_eq!(stage.get("/accounts/1").await.1["status"], "trial");
    assert_eq!(stage.get("/admin/log").await.1, json!([]));
    assert_eq!(stage.send_webhook("task_1", &at_text, &good, body).await.0, 200);
}

#[tokio::test]
async fn same_webhook_is_carried_out_once_and_answered_the_same() {
    let stage = Stage::new().await;
    stage.sign_up().await;
    let first = stage.deactivate("task_1", "1").await;
    stage.post("/accounts/1/pay", &json!({})).await;
    assert_eq!(stage.deactivate("task_1", "1").await, first);
    assert_eq!(stage.get("/accounts/1").await.1["status"], "paid");
    let (_, log) = stage.get("/admin/log").await;
    let row = json!({
        "number": 2, "id": "task_1", "account": "1", "attempt": 1, "at": "2026-03-02T09:00:00.123Z",
        "status": 200, "answered": { "outcome": "deactivated" }
    });
    assert_eq!(log[1], row);
    assert_eq!(log.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn failing_receiver_recovers_and_then_carries_out() {
    let stage = Stage::new().await;
    stage.sign_up().await;
    assert_eq!(stage.post("/admin/fail", &json!({ "until": "2026-03-02T12:00:00Z" })).await.0, 200);
    assert_eq!(stage.deactivate("task_1", "1").await.0, 503);
    assert_eq!(stage.get("/accounts/1").await.1["status"], "trial");
    stage.pass(3);
    assert_eq!(stage.deactivate("task_1", "1").await, (200, json!({ "outcome": "deactivated" })));
    assert_eq!(stage.get("/admin/log").await.1.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_hence_did_not_take_is_told_later_in_order() {
    let stage = Stage::new().await;
    stage.ear.is_deaf.store(true, Ordering::SeqCst);
    let (status, body) = stage.post("/signup", &json!({ "email": "anna@example.com", "timezone": "UTC" })).await;
    assert_eq!(status, 502);
    assert!(body["error"].as_str().unwrap().starts_with("account 1 was changed, but Hence could not be told"), "{body}");
    assert_eq!(stage.post("/accounts/1/pay", &json!({})).await.0, 502);
    assert_eq!(stage.get("/accounts/1").await.1["status"], "paid");
    assert_eq!(stage.post("/admin/resend", &json!({})).await.0, 502);
    assert!(stage.page().await.contains("Hence has still to be told 2 things: nobody &lt;listens&gt;"));
    stage.ear.is_deaf.store(false, Ordering::SeqCst);
    assert_eq!(stage.post("/admin/resend", &json!({})).await, (200, json!({ "sent": 2, "waiting": 0 })));
    assert_eq!(stage.post("/admin/resend", &json!({})).await, (200, json!({ "sent": 0, "waiting": 0 })));
    let told = stage.ear.told();
    assert!(told[0].starts_with("enrol 1") && told[1].starts_with("account.paid 1") && told.len() == 2, "{told:?}");
}

#[tokio::test]
async fn what_was_left_over_is_told_at_the_next_start() {
    let Stage { running, ear, now, client, folder } = Stage::new().await;
    ear.is_deaf.store(true, Ordering::SeqCst);
    let sign_up = client.post(format!("{}/signup", running.url())).json(&json!({ "email": "a@b.example", "timezone": "UTC" }));
    assert_eq!(sign_up.send().await.unwrap().status(), 502);
    running.stop().await.unwrap();
    ear.is_deaf.store(false, Ordering::SeqCst);
    let running = open(folder.path(), &ear, &now).await;
    let stage = Stage { running, ear, now, client, folder };
    // The teller takes requests only when it is through with what was left over.
    assert_eq!(stage.post("/admin/resend", &json!({})).await, (200, json!({ "sent": 0, "waiting": 0 })));
    assert_eq!(stage.ear.told().len(), 1);
}

#[tokio::test]
async fn page_escapes_what_customers_write_and_its_forms_work() {
    let stage = Stage::new().await;
    let form = "email=%3Cscript%3Ealert('1')%3C%2Fscript%3E%40example.com&timezone=UTC";
    let posting = |path: &str, body: &'static str| {
        stage.posting(path).header("content-type", "application/x-www-form-urlencoded").body(body).send()
    };
    let answer = posting("/signup", form).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()), (303, "/"));
    let page = stage.page().await;
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;@example.com"), "{page}");
    for (path, body) in [
        ("/accounts/1/usage", "hits=3"),
        ("/accounts/1/extend", "days=7"),
        ("/accounts/1/timezone", "timezone=Europe%2FOslo"),
        ("/accounts/1/pay", ""),
        ("/accounts/1/close", ""),
    ] {
        assert_eq!(posting(path, body).await.unwrap().status(), 303, "{path}");
    }
    assert_eq!(stage.ear.told().len(), 5);
    let refused = posting("/accounts/1/pay", "").await.unwrap();
    assert_eq!(refused.status(), 409);
    assert!(refused.text().await.unwrap().contains("account 1 is closed"));
}
