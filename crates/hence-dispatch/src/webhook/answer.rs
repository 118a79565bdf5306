//! What a receiver's answer means.
//!
//! Owns: the table from status, headers and body to a [`Reply`], with no I/O; `docs/reference/webhooks.md` shows it.
//! Leaves to others: sending and reading.
//!
//! Invariant: an answer that says the request was carried out, but not what came of it, is [`Reply::Unknown`]: a
//! follow-up must not be decided on a word nobody could read.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{Span, SpanRelativeTo, Timestamp};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};

use crate::http::{BODY_BYTES_MAX, Read};
use crate::port::{Problem, Reply};
use crate::webhook::wire::Answer;

/// Longest time a receiver may ask to be left alone; it asks for more in vain.
const AFTER_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
/// Longest word a receiver may answer, in bytes.
const OUTCOME_BYTES_MAX: usize = 64;

/// Status and headers of an answer, and when the request was sent.
pub(crate) struct Head<'a> {
    pub(crate) status: u16,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) sent_at: Timestamp,
}

/// What an answer means; the body of any but a 2xx answer is not looked at.
pub(crate) fn meaning(head: &Head<'_>, body: &Read) -> Reply {
    match head.status {
        202 => later(head, body),
        200..=299 => carried_out(head, body),
        _ => not_carried_out(head),
    }
}

/// The meaning of an answer that is not 2xx.
pub(crate) fn not_carried_out(head: &Head<'_>) -> Reply {
    let status = head.status;
    let refused =
        |help: &str| Reply::Refused { problem: Problem::new("refused", format!("the receiver answered {status}; {help}")) };
    match status {
        300..=399 => refused("redirects are not followed, put the final address into the target"),
        410 => Reply::Gone { problem: Problem::new("gone", "the receiver answered 410: it wants nothing more from here") },
        401 | 403 => refused("check the target's signing secret and headers"),
        404 => refused("check the step's path"),
        408 | 425 | 429 => again(head, "not-now"),
        502 | 504 => Reply::Unknown {
            problem: Problem::new("gateway", format!("a gateway answered {status}; the receiver behind it may have acted")),
        },
        400..=499 => refused("it will not take this request"),
        500..=599 => again(head, "receiver-failed"),
        _ => Reply::Unknown { problem: Problem::new("bad-answer", format!("the receiver answered with status {status}")) },
    }
}

fn again(head: &Head<'_>, code: &'static str) -> Reply {
    Reply::Again { after: retry_after(head), problem: Problem::new(code, format!("the receiver answered {}", head.status)) }
}

/// `Retry-After` in seconds or as a date; a date counts from the receiver's own `Date`, else from when we sent.
fn retry_after(head: &Head<'_>) -> Option<Duration> {
    let text = head.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        // More digits than a number holds is simply too long.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(AFTER_MAX));
    }
    let until = http_date(text)?;
    let from = head.headers.get(DATE).and_then(|date| http_date(date.to_str().ok()?)).unwrap_or(head.sent_at);
    let wait = until.duration_since(from);
    Some(Duration::try_from(wait).unwrap_or_default().min(AFTER_MAX))
}

fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}

fn carried_out(head: &Head<'_>, body: &Read) -> Reply {
    let answer = match read_answer(head, body) {
        Ok(answer) => answer,
        Err(problem) => return Reply::Unknown { problem },
    };
    let asked = match (&answer.again, &answer.again_in) {
        (Some(_), Some(_)) => return unreadable("it says both `again` and `again_in`"),
        (Some(text), None) | (None, Some(text)) => Some(text),
        (None, None) => None,
    };
    match (asked, answer.outcome) {
        (Some(_), Some(_)) => unreadable("it says both an outcome and `again`"),
        (Some(text), None) => match wait(text) {
            Some(after) => Reply::Again {
                after: Some(after),
                problem: Problem::new("asked-again", "the receiver asked for another try later"),
            },
            None => unreadable("`again` is no time span such as \"in 10 minutes\""),
        },
        (None, Some(word)) if !is_word(&word) => {
            unreadable("`outcome` has to be a word of a-z, 0-9, _ and -, starting with a letter")
        }
        (None, outcome) => Reply::Done { outcome, result: answer.result },
    }
}

fn later(head: &Head<'_>, body: &Read) -> Reply {
    // It was taken, and will be completed by its fence; what else was said only helps to wait.
    let within = read_answer(head, body).ok().and_then(|answer| answer.within);
    Reply::Later { within: within.and_then(|text| wait(&text)) }
}

/// The answer in a body. Only a body that is, or looks like, a JSON object says anything; all other text is a courtesy.
fn read_answer(head: &Head<'_>, body: &Read) -> Result<Answer, Problem> {
    let is_json = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
        .is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"));
    let lost = |what: String| Problem::new("answer-lost", format!("the receiver answered {}, but {what}", head.status));
    let bytes = match body {
        Read::Whole(bytes) => bytes.trim_ascii(),
        Read::TooLong if is_json => {
            return Err(lost(format!("its answer is longer than {BODY_BYTES_MAX} bytes")));
        }
        Read::TooLong => return Ok(Answer::default()),
        Read::Cut(cause) => return Err(lost(format!("its answer was cut off: {cause}"))),
    };
    if bytes.is_empty() || !(is_json || bytes.starts_with(b"{")) {
        return Ok(Answer::default());
    }
    match serde_json::from_slice(bytes) {
        Ok(answer) => Ok(answer),
        Err(_) if !is_json => Ok(Answer::default()),
        // Only the place is told: the text of the error could repeat what the receiver sent.
        Err(error) => Err(lost(format!("its answer is not understood at line {}, column {}", error.line(), error.column()))),
    }
}

fn unreadable(what: &str) -> Reply {
    Reply::Unknown { problem: Problem::new("answer-lost", format!("the receiver's answer is not understood: {what}")) }
}

fn is_word(text: &str) -> bool {
    text.len() <= OUTCOME_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// "in 10 minutes", "10 minutes" or "PT10M"; days have 24 hours here.
fn wait(text: &str) -> Option<Duration> {
    let text = text.trim();
    let span: Span = text.strip_prefix("in ").unwrap_or(text).trim().parse().ok()?;
    let exact = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Some(Duration::try_from(exact).ok()?.min(AFTER_MAX))
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
