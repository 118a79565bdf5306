//! Goal: webhooks conform, are signed as others expect, and never go where they must not. Method: a raw HTTP server, the
//! `standardwebhooks` crate as the foreign verifier.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hence_dispatch::conformance::{self, Behaviour, Rig};
use hence_dispatch::{
    Attempt, CancelSignal, Destination, Dispatcher, FactsRequest, HttpFacts, Reply, Secret, WebhookTarget, Webhooks,
};
use serde_json::{Value, json};

use crate::http_server::{Do, HttpServer};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn target(name: &str, base_url: String) -> WebhookTarget {
    WebhookTarget {
        secrets: vec![Secret::new(NEW), Secret::new(OLD)],
        allow_private: true,
        allow_http: true,
        headers: vec![("authorization".into(), Secret::new("Bearer hunter2"))],
        ..WebhookTarget::new(name, base_url)
    }
}

/// Targets: `app` is the server; at `down` nobody listens.
async fn webhooks(server: &HttpServer) -> Webhooks {
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let down = unused.local_addr().unwrap();
    drop(unused);
    let targets = [target("app", format!("http://{}/api", server.address)), target("down", format!("http://{down}"))];
    Webhooks::new(&targets, None).unwrap()
}

fn to(target: &str) -> Destination {
    Destination::Webhook { target: target.into(), path: "/hook".into(), method: None }
}

fn attempt(target: &str) -> Attempt {
    Attempt {
        task: "task_1".into(),
        entity_type: "account".into(),
        entity_id: "a/42".into(),
        timeline: "trial".into(),
        step: "expire".into(),
        occurrence: Some("2026-04-01T10:00".into()),
        due_at: "2026-04-01T08:00:00Z".parse().unwrap(),
        started_at: "2026-04-01T08:00:01Z".parse().unwrap(),
        sent_at: "2026-04-01T08:00:02Z".parse().unwrap(),
        attempt: 2,
        fence: 1 << 40,
        possible_duplicate: true,
        payload: json!({"account": {"email": "a@example.com"}}),
        to: to(target),
        timeout: Duration::from_secs(10),
        cancel: CancelSignal::default(),
    }
}

struct WebhookRig {
    server: HttpServer,
    webhooks: Arc<Webhooks>,
    is_down: std::sync::atomic::AtomicBool,
    hostile: AtomicUsize,
}

const HOSTILE: [&[u8]; 7] = [
    b"\0\xff\xfe not http at all\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\n{\"outcome\":\"x\"}",
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 40\r\n\r\n{\"outcome\":\"a\\r\\n\\u0000b\",\"result\":null}",
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00",
    b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data/\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{",
    b"HTTP/1.1 999 \x1b[31mred\x1b[0m\r\ncontent-length: 0\r\n\r\n",
];

#[async_trait]
impl Rig for WebhookRig {
    fn dispatcher(&self) -> Arc<dyn Dispatcher> {
        self.webhooks.clone()
    }
    fn destination(&self) -> Destination {
        to(if self.is_down.load(Ordering::SeqCst) { "down" } else { "app" })
    }
    async fn behave(&self, behaviour: Behaviour) -> bool {
        self.is_down.store(behaviour == Behaviour::Unreachable, Ordering::SeqCst);
        match behaviour {
            Behaviour::Accept => self.server.answer(200, "content-type: application/json\r\n", r#"{"outcome":"ok"}"#),
            Behaviour::RefuseForNow => self.server.answer(503, "", ""),
            Behaviour::RefuseForGood => self.server.answer(422, "", "no a@example.com here"),
            Behaviour::ActAndStall => self.server.next(Do::AnswerAndStall(Vec::new())),
            Behaviour::ActAndBreakOff => self.server.next(Do::AnswerAndClose(Vec::new())),
            Behaviour::Silent => self.server.next(Do::Silent),
            Behaviour::Unreachable => (),
            Behaviour::Hostile => {
                let round = self.hostile.fetch_add(1, Ordering::SeqCst);
                self.server.next(match HOSTILE.get(round) {
                    Some(bytes) => Do::AnswerAndClose(bytes.to_vec()),
                    None => Do::Endless(b"HTTP/1.1 200 OK\r\nx: y\r\n"),
                });
            }
        }
        true
    }
    async fn carried_out(&self) -> Vec<String> {
        let requests = self.server.requests();
        requests.iter().filter_map(|request| request.header("webhook-id").map(str::to_owned)).collect()
    }
}

/// Refused requests reach the server too, but are not carried out: the rig counts those apart.
struct Counted(WebhookRig, std::sync::Mutex<Option<Behaviour>>, std::sync::Mutex<Vec<String>>, AtomicUsize);

impl Counted {
    /// Sorts the requests that came since the last look by how the server behaved meanwhile.
    async fn sort(&self) {
        let seen = self.0.carried_out().await;
        let behaviour = *self.1.lock().unwrap();
        let new = &seen[self.3.swap(seen.len(), Ordering::SeqCst)..];
        if matches!(behaviour, Some(Behaviour::Accept | Behaviour::ActAndStall | Behaviour::ActAndBreakOff)) {
            self.2.lock().unwrap().extend_from_slice(new);
        }
    }
}

#[async_trait]
impl Rig for Counted {
    fn dispatcher(&self) -> Arc<dyn Dispatcher> {
        self.0.dispatcher()
    }
    fn destination(&self) -> Destination {
        self.0.destination()
    }
    async fn behave(&self, behaviour: Behaviour) -> bool {
        self.sort().await;
        *self.1.lock().unwrap() = Some(behaviour);
        self.0.behave(behaviour).await
    }
    async fn carried_out(&self) -> Vec<String> {
        self.sort().await;
        self.2.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn webhooks_conform() {
    let server = HttpServer::start().await;
    let webhooks = Arc::new(webhooks(&server).await);
    let rig = WebhookRig { server, webhooks, is_down: false.into(), hostile: AtomicUsize::new(0) };
    conformance::run(&Counted(rig, Default::default(), Default::default(), AtomicUsize::new(0))).await;
}

#[tokio::test]
async fn request_is_a_signed_cloud_event() {
    let server = HttpServer::start().await;
    server.answer(200, "", "");
    let attempt = attempt("app");
    assert_eq!(webhooks(&server).await.deliver(&attempt).await, Reply::done());
    let request = server.requests().remove(0);
    assert_eq!(request.line, "POST /api/hook HTTP/1.1");
    for (name, value) in [
        ("content-type", "application/cloudevents+json"),
        ("accept-encoding", "identity"),
        ("authorization", "Bearer hunter2"),
        ("webhook-id", "task_1"),
        ("hence-attempt", "2"),
        ("hence-due", "2026-04-01T08:00:00Z"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let event: Value = serde_json::from_slice(&request.body).unwrap();
    let expected = json!({
        "specversion": "1.0", "id": "task_1", "source": "hence/trial", "type": "hence.trial.expire",
        "subject": "account/a/42", "time": "2026-04-01T08:00:00Z", "datacontenttype": "application/json",
        "henceattempt": 2, "hencefence": "1099511627776", "hencedue": "2026-04-01T08:00:00Z",
        "hencepossibleduplicate": true, "henceoccurrence": "2026-04-01T10:00",
        "data": {"account": {"email": "a@example.com"}},
    });
    assert_eq!(event, expected);
    // What the foreign side would compute from the bytes it got. Its own `verify` also compares with the wall clock.
    let sent_at = request.header("webhook-timestamp").unwrap().parse().unwrap();
    assert_eq!(sent_at, attempt.sent_at.as_second());
    let foreign = [NEW, OLD].map(|secret| {
        let verifier = standardwebhooks::Webhook::new(secret).unwrap();
        verifier.sign(request.header("webhook-id").unwrap(), sent_at, &request.body).unwrap()
    });
    assert_eq!(request.header("webhook-signature"), Some(foreign.join(" ").as_str()));
}

#[tokio::test]
async fn lost_answers_are_unknown_and_plain_refusals_are_not() {
    let server = HttpServer::start().await;
    let webhooks = webhooks(&server).await;
    let endless = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999999\r\n\r\n{";
    for (what, expected) in [
        (Do::AnswerAndStall(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"outcome\"".to_vec()), "timed-out"),
        (Do::AnswerAndClose(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"outcome\"".to_vec()), "answer-lost"),
        (Do::AnswerAndClose(b"HTTP/1.1 200 OK\r\n".to_vec()), "no-answer"),
        (Do::AnswerAndClose([endless.as_bytes(), &[b' '; 70_000]].concat()), "answer-lost"),
        (Do::AnswerAndStall(b"HTTP/1.1 404 X\r\ncontent-length: 20\r\n\r\n".to_vec()), "refused"),
        (Do::AnswerAndStall(b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1/\r\ncontent-length: 20\r\n\r\n".to_vec()), "refused"),
        (Do::AnswerAndStall(b"HTTP/1.1 410 X\r\ncontent-length: 20\r\n\r\n".to_vec()), "gone"),
        (Do::AnswerAndStall(b"HTTP/1.1 503 X\r\nretry-after: 7\r\ncontent-length: 20\r\n\r\n".to_vec()), "receiver-failed"),
    ] {
        server.next(what);
        let timeout = Duration::from_millis(if expected == "timed-out" { 200 } else { 10_000 });
        let reply = webhooks.deliver(&Attempt { timeout, ..attempt("app") }).await;
        assert_eq!(reply.problem().unwrap().code(), expected, "{reply:?}");
        let is_unknown = !matches!(expected, "refused" | "gone" | "receiver-failed");
        assert_eq!(matches!(reply, Reply::Unknown { .. }), is_unknown, "{reply:?}");
    }
    assert_eq!(server.requests().len(), 8, "each attempt sends once, and redirects are not followed");
}

#[tokio::test]
async fn connections_are_reused() {
    let server = HttpServer::start().await;
    server.answer(200, "", "");
    let webhooks = webhooks(&server).await;
    for _ in 0..5 {
        assert_eq!(webhooks.deliver(&attempt("app")).await, Reply::done());
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn closed_targets_do_not_reach_inside() {
    let server = HttpServer::start().await;
    server.answer(200, "", "");
    let port = server.address.port();
    let strict = |url: String| WebhookTarget { allow_http: true, ..WebhookTarget::new("app", url) };
    for url in [format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}"), "http://169.254.169.254:80".into()] {
        assert!(Webhooks::new(&[strict(url.clone())], None).is_err(), "{url}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn bad_targets_are_refused_at_once() {
    let base = || target("app", "https://example.com".into());
    let bad_headers = ["host", "Content-Length", "webhook-id", "Hence-Due", "a b", "x\r\ny"];
    for name in bad_headers {
        let target = WebhookTarget { headers: vec![(name.into(), Secret::new("x"))], ..base() };
        assert!(Webhooks::new(&[target], None).is_err(), "{name}");
    }
    let target = WebhookTarget { headers: vec![("x-key".into(), Secret::new("a\r\nb: hunter2"))], ..base() };
    let problem = Webhooks::new(&[target], None).unwrap_err();
    assert_eq!(problem.message(), "target `app`: header `x-key` has a value that no header can have");
    assert!(!format!("{:?}", base()).contains("hunter2"));
    assert!(Webhooks::new(&[base()], Some("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----")).is_err());
    let webhooks = Webhooks::new(&[base()], None).unwrap();
    for (target, path, method) in [("none", "/", None), ("app", "x", None), ("app", "/../x", None), ("app", "/", Some("GET"))] {
        let to = Destination::Webhook { target: target.into(), path: path.into(), method: method.map(str::to_owned) };
        let problem = webhooks.accepts(&to).unwrap_err();
        let reply = webhooks.deliver(&Attempt { to, ..attempt("app") }).await;
        assert_eq!(reply, Reply::Refused { problem });
    }
}

#[tokio::test]
async fn facts_are_an_object_or_a_problem() {
    let server = HttpServer::start().await;
    let facts = HttpFacts::new(&webhooks(&server).await);
    let read = |target: &str, millis: u64| {
        let request = FactsRequest {
            target: target.into(),
            path: "/widget-usage/42".into(),
            id: "facts_1".into(),
            sent_at: "2026-04-01T08:00:00Z".parse().unwrap(),
            timeout: Duration::from_millis(millis),
        };
        let facts = facts.clone();
        async move { facts.read(&request).await.map_err(|problem| problem.code()) }
    };
    server.answer(200, "content-type: application/json\r\n", r#"{"hits_last_2_days": 40}"#);
    assert_eq!(Value::from(read("app", 10_000).await.unwrap()), json!({"hits_last_2_days": 40}));
    let request = server.requests().remove(0);
    assert_eq!(request.line, "GET /api/widget-usage/42 HTTP/1.1");
    assert_eq!(request.header("webhook-id"), Some("facts_1"));
    assert_eq!(request.header("webhook-signature").unwrap().split(' ').count(), 2);
    for (status, body, expected) in [
        (404, "{}", "refused"),
        (500, "{}", "refused"),
        (302, "{}", "refused"),
        (200, "", "answer-lost"),
        (200, "[1]", "answer-lost"),
        (200, "null", "answer-lost"),
        (200, "{\"a\":", "answer-lost"),
    ] {
        server.answer(status, "", body);
        assert_eq!(read("app", 10_000).await, Err(expected), "{status} {body}");
    }
    server.next(Do::Endless(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"));
    assert_eq!(read("app", 10_000).await, Err("answer-lost"));
    server.next(Do::AnswerAndStall(Vec::new()));
    assert_eq!(read("app", 100).await, Err("timed-out"));
    assert_eq!(read("down", 10_000).await, Err("not-connected"));
    assert_eq!(read("none", 10_000).await, Err("no-target"));
}
