//! Facts read over HTTP when a step fires.
//!
//! Owns: one GET through the same targets, guard and signature as webhooks. Leaves to others: when to read, what the
//! fields mean. Invariant: anything but a JSON object with a 2xx status is a problem, never "no facts": an
//! unreachable fact means "try again", not "false".

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, Request};
use serde_json::{Map, Value};

use crate::guard::joined;
use crate::http::{BODY_BYTES_MAX, Read, cause, denial, read_body};
use crate::port::Problem;
use crate::webhook::Webhooks;

/// What to read.
#[derive(Clone, Debug)]
pub struct FactsRequest {
    /// Name of the target in the configuration.
    pub target: String,
    /// Rendered path below it.
    pub path: String,
    /// Id that is sent as `webhook-id` and signed.
    pub id: String,
    /// Instant that is signed, by the wall clock.
    pub sent_at: Timestamp,
    /// How long it may take.
    pub timeout: Duration,
}

/// Reads facts over HTTP, from the targets of [`Webhooks`]; cloning shares them.
#[derive(Clone, Debug)]
pub struct HttpFacts(Webhooks);

impl HttpFacts {
    /// Reads from these targets, over their connections.
    pub fn new(webhooks: &Webhooks) -> HttpFacts {
        HttpFacts(webhooks.clone())
    }

    /// Checks, without any I/O, that the target is known and the path allowed.
    ///
    /// # Errors
    /// The same problem [`HttpFacts::read`] would give.
    pub fn accepts(&self, request: &FactsRequest) -> Result<(), Problem> {
        let target = self.0.target(&request.target)?;
        joined(&target.base, &request.path)?;
        Ok(())
    }

    /// Reads once; reading again changes nothing at the receiver.
    ///
    /// # Errors
    /// Whatever kept the facts from being seen: not configured, not reached, not 2xx, no JSON object, too slow. Try again.
    pub async fn read(&self, request: &FactsRequest) -> Result<Map<String, Value>, Problem> {
        let target = self.0.target(&request.target)?;
        let url = joined(&target.base, &request.path)?;
        let mut get = Request::new(Method::GET, url);
        *get.headers_mut() = target.headers(&request.id, request.sent_at, b"")?;
        let client = self.0.client(target);
        let timeout = request.timeout.min(target.timeout);
        let problem = |code, what: String| Problem::new(code, format!("facts from `{}`: {what}", request.target));
        let exchange = async {
            let response = client.execute(get).await?;
            let status = response.status();
            let body = if status.is_success() { Some(read_body(response).await) } else { None };
            Ok::<_, reqwest::Error>((status, body))
        };
        match tokio::time::timeout(timeout, exchange).await {
            Err(_) => Err(problem("timed-out", format!("no answer within {timeout:?}"))),
            Ok(Err(error)) => Err(match denial(&error) {
                Some(denied) => problem("address-denied", denied.to_string()),
                None => problem("not-connected", cause(&error)),
            }),
            Ok(Ok((status, None))) => Err(problem("refused", format!("the answer is {}", status.as_u16()))),
            Ok(Ok((_, Some(Read::Cut(cause))))) => Err(problem("answer-lost", format!("the answer was cut off: {cause}"))),
            Ok(Ok((_, Some(Read::TooLong)))) => {
                Err(problem("answer-lost", format!("the answer is longer than {BODY_BYTES_MAX} bytes")))
            }
            Ok(Ok((_, Some(Read::Whole(bytes))))) => {
                serde_json::from_slice(&bytes).map_err(|_| problem("answer-lost", "the answer is no JSON object".into()))
            }
        }
    }
}
