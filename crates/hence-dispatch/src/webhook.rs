//! Webhooks: a task becomes a signed CloudEvent, sent to a target named in the configuration.
//!
//! Owns: targets ([`WebhookTarget`]), building and sending the request, and deciding what a failed request means.
//! Leaves to others: which addresses are allowed (`guard`), clients (`http`), what an answer means (`answer`).
//!
//! Invariants: the id is the task's, the same in every attempt; nothing of the payload or of a secret gets into a
//! problem; a request of which nothing was sent is tried again, one that was sent and not answered is unknown.

mod answer;
mod sign;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method, Request, Url};

use crate::guard::{Denied, Lookup, Policy, Reach, SystemLookup, checked_url, joined};
use crate::http::{Clients, MarkedBody, SentMark, cause, denial, read_body};
use crate::port::{Attempt, Destination, Dispatcher, Problem, Reply};
use crate::secret::Secret;
use crate::webhook::answer::{Head, meaning, not_carried_out};
use crate::webhook::sign::Signer;
use crate::webhook::wire::CloudEvent;

/// Largest request body, in bytes; brokers and receivers commonly draw the line at 256 KiB or 1 MiB.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// A receiver of webhooks, as the configuration describes it.
#[derive(Clone, Debug)]
pub struct WebhookTarget {
    /// The name steps use.
    pub name: String,
    /// Where it is, such as `https://app.example.com/api`; a step's path is put behind it.
    pub base_url: String,
    /// Signing secrets (`whsec_…`), the newest first; all of them sign. Empty: requests are not signed.
    pub secrets: Vec<Secret>,
    /// Whether loopback and private networks may be reached, on any port.
    pub allow_private: bool,
    /// Whether plain HTTP may be used.
    pub allow_http: bool,
    /// Cap on the time of one delivery, below the step's own.
    pub timeout: Option<Duration>,
    /// Headers sent along, such as `authorization`.
    pub headers: Vec<(String, Secret)>,
}

impl WebhookTarget {
    /// A target that is public, https and unsigned; change the fields as needed.
    pub fn new(name: impl Into<String>, base_url: impl Into<String>) -> WebhookTarget {
        WebhookTarget {
            name: name.into(),
            base_url: base_url.into(),
            secrets: Vec::new(),
            allow_private: false,
            allow_http: false,
            timeout: None,
            headers: Vec::new(),
        }
    }
}

/// A target that was checked and can be sent to.
pub(crate) struct Target {
    pub(crate) base: Url,
    pub(crate) reach: Reach,
    pub(crate) timeout: Duration,
    signer: Signer,
    headers: HeaderMap,
}

impl Target {
    fn checked(target: &WebhookTarget) -> Result<Target, Problem> {
        let reach = if target.allow_private { Reach::Private } else { Reach::Public };
        let policy = Policy { reach, allow_http: target.allow_http };
        let base = checked_url(&target.base_url, policy)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &target.headers {
            let (name, value) = checked_header(name, value)?;
            headers.append(name, value);
        }
        Ok(Target {
            base,
            reach,
            timeout: target.timeout.unwrap_or(Duration::MAX),
            signer: Signer::new(&target.secrets)?,
            headers,
        })
    }

    /// The headers of one request: the target's own, and the signature of the id, the instant and the body.
    pub(crate) fn headers(&self, id: &str, sent_at: Timestamp, body: &[u8]) -> Result<HeaderMap, Problem> {
        let mut headers = self.headers.clone();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        put(&mut headers, "webhook-id", id)?;
        put(&mut headers, "webhook-timestamp", &sent_at.as_second().to_string())?;
        if let Some(signature) = self.signer.sign(id, sent_at.as_second(), body) {
            put(&mut headers, "webhook-signature", &signature)?;
        }
        Ok(headers)
    }
}

/// Refuses names that would change how the request is framed or what was signed.
fn checked_header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), Problem> {
    let problem = |what: &str| Problem::new("bad-header", format!("header `{name}` {what}"));
    let lower = name.to_ascii_lowercase();
    let parsed = HeaderName::from_bytes(lower.as_bytes()).map_err(|_| problem("is no header name"))?;
    const RESERVED: [&str; 9] = [
        "host",
        "connection",
        "content-length",
        "content-type",
        "content-encoding",
        "transfer-encoding",
        "upgrade",
        "te",
        "expect",
    ];
    if RESERVED.contains(&lower.as_str()) || lower.starts_with("webhook-") || lower.starts_with("hence-") {
        return Err(problem("is set by the sender"));
    }
    let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| problem("has a value that no header can have"))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), Problem> {
    let value = HeaderValue::from_str(value)
        .map_err(|_| Problem::new("bad-header", format!("header `{name}` cannot be made of this task")))?;
    headers.insert(name, value);
    Ok(())
}

/// The dispatcher of webhooks; cloning shares targets and connections.
#[derive(Clone)]
pub struct Webhooks {
    targets: Arc<BTreeMap<String, Target>>,
    clients: Clients,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.targets.keys()).finish()
    }
}

impl Webhooks {
    /// Checks the targets and sets the clients up. `roots_pem`: certificates trusted beside the usual public ones.
    ///
    /// # Errors
    /// The first target whose address, secrets or headers are not allowed, or a certificate that cannot be read.
    pub fn new(targets: &[WebhookTarget], roots_pem: Option<&str>) -> Result<Webhooks, Problem> {
        Webhooks::with_lookup(targets, roots_pem, Arc::new(SystemLookup))
    }

    pub(crate) fn with_lookup(
        targets: &[WebhookTarget],
        roots_pem: Option<&str>,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Webhooks, Problem> {
        let mut checked = BTreeMap::new();
        for target in targets {
            let usable = Target::checked(target)
                .map_err(|problem| Problem::new(problem.code(), format!("target `{}`: {}", target.name, problem.message())))?;
            checked.insert(target.name.clone(), usable);
        }
        Ok(Webhooks { targets: Arc::new(checked), clients: Clients::new(roots_pem, lookup)? })
    }

    pub(crate) fn target(&self, name: &str) -> Result<&Target, Problem> {
        self.targets.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.targets.keys().map(String::as_str).collect();
            Problem::new("no-target", format!("target `{name}` is not configured; known are: {}", known.join(", ")))
        })
    }

    pub(crate) fn client(&self, target: &Target) -> &reqwest::Client {
        self.clients.of(target.reach)
    }

    fn request(&self, attempt: &Attempt, mark: &SentMark) -> Result<(Request, &Target), Problem> {
        let Destination::Webhook { target, path, method } = &attempt.to else {
            return Err(Problem::new("wrong-destination", "this dispatcher carries webhooks only"));
        };
        let target = self.target(target)?;
        let url = joined(&target.base, path)?;
        let method = checked_method(method.as_deref())?;
        let body = serde_json::to_vec(&CloudEvent::of(attempt))
            .map_err(|_| Problem::new("bad-payload", "the payload cannot be written as JSON"))?;
        if body.len() > REQUEST_BYTES_MAX {
            return Err(Problem::new(
                "too-large",
                format!("the request has {} bytes, {REQUEST_BYTES_MAX} are allowed", body.len()),
            ));
        }
        let mut request = Request::new(method, url);
        *request.headers_mut() = target.headers(&attempt.task, attempt.sent_at, &body)?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
        put(headers, "hence-attempt", &attempt.attempt.to_string())?;
        put(headers, "hence-due", &attempt.due_at.to_string())?;
        *request.body_mut() = Some(Body::wrap(MarkedBody { bytes: Some(Bytes::from(body)), mark: mark.clone() }));
        Ok((request, target))
    }
}

fn checked_method(method: Option<&str>) -> Result<Method, Problem> {
    match method.unwrap_or("POST").to_ascii_uppercase().as_str() {
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        other => Err(Problem::new("bad-method", format!("method `{other}` is not allowed; use POST, PUT or PATCH"))),
    }
}

#[async_trait]
impl Dispatcher for Webhooks {
    fn carries(&self) -> &str {
        "webhook"
    }

    fn accepts(&self, to: &Destination) -> Result<(), Problem> {
        let Destination::Webhook { target, path, method } = to else {
            return Err(Problem::new("wrong-destination", "this dispatcher carries webhooks only"));
        };
        let target = self.target(target)?;
        checked_method(method.as_deref())?;
        joined(&target.base, path)?;
        Ok(())
    }

    async fn deliver(&self, attempt: &Attempt) -> Reply {
        let mark = SentMark::default();
        let (request, target) = match self.request(attempt, &mark) {
            Ok(made) => made,
            Err(problem) => return Reply::Refused { problem },
        };
        let timeout = attempt.timeout.min(target.timeout);
        let exchange = exchange(self.client(target), request, attempt.sent_at);
        match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => failed(&error, &mark),
            Err(_) => {
                let problem = Problem::new("timed-out", format!("no answer within {timeout:?}"));
                if mark.abandon() { Reply::again(problem) } else { Reply::Unknown { problem } }
            }
        }
    }
}

async fn exchange(client: &reqwest::Client, request: Request, sent_at: Timestamp) -> reqwest::Result<Reply> {
    let response = client.execute(request).await?;
    let headers = response.headers().clone();
    let head = Head { status: response.status().as_u16(), headers: &headers, sent_at };
    if !response.status().is_success() {
        // The status says it all; a body that never ends must not turn a plain "no" into a riddle.
        return Ok(not_carried_out(&head));
    }
    Ok(meaning(&head, &read_body(response).await))
}

/// What a request means that got no answer.
fn failed(error: &reqwest::Error, mark: &SentMark) -> Reply {
    if let Some(denied) = denial(error) {
        return Reply::Refused { problem: Denied::into(denied) };
    }
    let cause = cause(error);
    if mark.abandon() {
        Reply::again(Problem::new("not-connected", format!("cannot reach the receiver: {cause}")))
    } else {
        Reply::Unknown { problem: Problem::new("no-answer", format!("sent, but not answered: {cause}")) }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what a name resolves to is judged when it is dialled. Method: a resolver that lies, and a listener that
    //! nobody may reach.
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::conformance_attempt::sample;

    struct Inside;

    #[async_trait]
    impl Lookup for Inside {
        async fn addresses(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        }
    }

    async fn deliver(allow_private: bool) -> (Reply, bool) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = WebhookTarget {
            allow_private: true,
            allow_http: true,
            ..WebhookTarget::new("app", format!("http://public.example:{port}"))
        };
        let mut webhooks = Webhooks::with_lookup(&[open], None, Arc::new(Inside)).unwrap();
        if !allow_private {
            // Only the dial is under test, so the target is closed after its port has passed.
            let targets = Arc::get_mut(&mut webhooks.targets).unwrap();
            targets.get_mut("app").unwrap().reach = Reach::Public;
        }
        let to = Destination::Webhook { target: "app".into(), path: "/".into(), method: None };
        let attempt = Attempt { to, timeout: Duration::from_millis(200), ..sample() };
        tokio::select! {
            biased;
            reply = webhooks.deliver(&attempt) => (reply, false),
            _ = listener.accept() => (Reply::done(), true),
        }
    }

    #[tokio::test]
    async fn public_name_that_leads_inside_is_not_dialled() {
        let (reply, is_reached) = deliver(false).await;
        let expected = "127.0.0.1 is in a private network; open the target to private networks if that is meant";
        let problem = Problem::new("address-denied", expected);
        assert_eq!((reply, is_reached), (Reply::Refused { problem }, false));
        assert!(deliver(true).await.1);
    }
}
