//! Goal: every answer a receiver can give has one meaning. Method: a table of status, headers and body.

use reqwest::header::HeaderValue;

use super::*;

/// In short: what an answer (`status | header: value, … | body`) means.
fn check(answer: &str, expected: &str) {
    let mut parts = answer.splitn(3, '|').map(str::trim);
    let status = parts.next().unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    for line in parts.next().unwrap_or("").split(';').filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once('=').unwrap();
        let name: reqwest::header::HeaderName = name.trim().parse().unwrap();
        headers.insert(name, HeaderValue::from_str(value.trim()).unwrap());
    }
    let body = match parts.next().unwrap_or("") {
        "<cut>" => Read::Cut("connection reset".into()),
        "<long>" => Read::TooLong,
        text => Read::Whole(text.as_bytes().to_vec()),
    };
    let head = Head { status, headers: &headers, sent_at: "2026-11-24T00:00:00Z".parse().unwrap() };
    let got = match meaning(&head, &body) {
        Reply::Done { outcome, result } => format!("done {} {result}", outcome.unwrap_or_default()),
        Reply::Again { after, problem } => format!("again {after:?} {}", problem.code()),
        Reply::Unknown { problem } => format!("unknown {}", problem.code()),
        Reply::Later { within } => format!("later {within:?}"),
        Reply::Refused { problem } => format!("refused {}", problem.code()),
        Reply::Gone { problem } => format!("gone {}", problem.code()),
    };
    assert_eq!(got, expected, "{answer}");
}

#[test]
fn success_says_what_came_of_it() {
    check("200", "done  null");
    check("204", "done  null");
    check("200||ok", "done  null");
    check("200|content-type=text/html|<html>", "done  null");
    check("200|content-type=text/html|<long>", "done  null");
    check("200|content-type=application/json|{}", "done  null");
    check("200|content-type=application/json|", "done  null");
    check(r#"200|content-type=application/json|{"outcome":"deactivated"}"#, "done deactivated null");
    check(r#"201|content-type=application/problem+json|{"outcome":"a_b-2","result":{"n":1}}"#, r#"done a_b-2 {"n":1}"#);
    check(r#"200||{"outcome":"x","other":[1]}"#, "done x null");
    check(r#"200|content-type=text/html|{"outcome":"x"}"#, "done x null");
    check("200||{broken", "done  null");
}

#[test]
fn success_that_cannot_be_read_is_unknown() {
    check("200||<cut>", "unknown answer-lost");
    check("200|content-type=application/json|<long>", "unknown answer-lost");
    check("200|content-type=application/json|{broken", "unknown answer-lost");
    check("200|content-type=application/json|[1]]", "unknown answer-lost");
    check(r#"200|content-type=application/json|{"outcome":7}"#, "unknown answer-lost");
    check(r#"200||{"outcome":"Not A Word"}"#, "unknown answer-lost");
    check(r#"200||{"outcome":""}"#, "unknown answer-lost");
    check(r#"200||{"outcome":"x","again":"in 1 minute"}"#, "unknown answer-lost");
    check(r#"200||{"again":"PT1M","again_in":"PT1M"}"#, "unknown answer-lost");
    check(r#"200||{"again":"soon"}"#, "unknown answer-lost");
    check(r#"200||{"again":"-10 minutes"}"#, "unknown answer-lost");
}

#[test]
fn receiver_may_ask_for_another_try() {
    check(r#"200||{"again":"in 10 minutes"}"#, "again Some(600s) asked-again");
    check(r#"200||{"again_in":"PT10M"}"#, "again Some(600s) asked-again");
    check(r#"200||{"again":"2 days"}"#, "again Some(172800s) asked-again");
    check(r#"200||{"again":"in 1 week"}"#, "again Some(604800s) asked-again");
    check(r#"200||{"again":"90 days"}"#, "again Some(2678400s) asked-again");
}

#[test]
fn accepted_is_completed_later() {
    check("202", "later None");
    check(r#"202||{"within":"2 hours"}"#, "later Some(7200s)");
    check(r#"202||{"within":"some day"}"#, "later None");
    check("202||<cut>", "later None");
}

#[test]
fn failures_are_told_apart() {
    for status in [301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 409, 413, 422, 451] {
        check(&status.to_string(), "refused refused");
    }
    for status in [408, 425, 429] {
        check(&status.to_string(), "again None not-now");
    }
    for status in [500, 501, 503, 507, 599] {
        check(&status.to_string(), "again None receiver-failed");
    }
    for status in [502, 504] {
        check(&status.to_string(), "unknown gateway");
    }
    check("410", "gone gone");
    check("700", "unknown bad-answer");
    check("500||<cut>", "again None receiver-failed");
}

#[test]
fn retry_after_is_obeyed_within_reason() {
    check("429|retry-after=120", "again Some(120s) not-now");
    check("503|retry-after=0", "again Some(0ns) receiver-failed");
    check("503|retry-after=Tue, 24 Nov 2026 00:02:00 GMT", "again Some(120s) receiver-failed");
    check("503|retry-after=Tue, 24 Nov 2026 00:02:00 GMT;date=Tue, 24 Nov 2026 00:01:00 GMT", "again Some(60s) receiver-failed");
    check("503|retry-after=Mon, 23 Nov 2026 00:02:00 GMT", "again Some(0ns) receiver-failed");
    check("503|retry-after=99999999999999999999999", "again Some(2678400s) receiver-failed");
    for nonsense in ["soon", "-1", "1.5", "1 2", "24 Nov"] {
        check(&format!("503|retry-after={nonsense}"), "again None receiver-failed");
    }
}
