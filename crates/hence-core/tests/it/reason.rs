//! Goal: every reason is said in one plain sentence. Method: one sample of each variant, and of each way it can look, as a snapshot.

use hence_core::calendar::Zone;
use hence_core::reason::Reason;
use jiff::Timestamp;
use serde_json::{Value, json};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn planned() -> Reason {
    Reason::Planned {
        definition: "trial".to_owned(),
        version: "1a2b3c4d".to_owned(),
        rule: "25 days after created_at, at 09:00, before expire".to_owned(),
        anchor_at: at("2026-03-02T09:00:00Z"),
        zone: "Europe/Oslo".to_owned(),
        steps: [
            "Mon 2026-03-02 10:00 (Europe/Oslo)",
            "plus 25 days: Fri 2026-03-27 10:00",
            "at 09:00: Fri 2026-03-27 09:00",
            "spread by 7 minutes: Fri 2026-03-27 09:07",
        ]
        .map(str::to_owned)
        .to_vec(),
        cause: "enrolled".to_owned(),
    }
}

fn paid(data: Value) -> Reason {
    Reason::Event {
        name: "account.paid".to_owned(),
        at: at("2026-03-10T12:30:15Z"),
        actor: "app".to_owned(),
        data,
        text: Some("paid".to_owned()),
    }
}

fn answered(result: Value, possible_duplicate: bool) -> Reason {
    Reason::Answered {
        to: "mail `trial_ending` to a@example.com".to_owned(),
        facts: [("account.email".to_owned(), json!("a@example.com")), ("account.paid_at".to_owned(), Value::Null)].into(),
        when: Some("unpaid".to_owned()),
        result,
        possible_duplicate,
    }
}

fn failed(retry_at: Option<Timestamp>) -> Reason {
    Reason::Failed { code: "timeout".to_owned(), problem: "no answer within 10 seconds".to_owned(), retry_at }
}

fn person(text: &str) -> Reason {
    Reason::Person { actor: "cli:anna".to_owned(), text: text.to_owned() }
}

/// The reasons of a plan and of what is told.
fn wanted_and_told() -> Vec<Reason> {
    let name = |text: &str| text.to_owned();
    let followed = Reason::Followed {
        definition: name("trial"),
        version: name("1a2b3c4d"),
        after: name("expire"),
        outcome: name("deactivated"),
        task: 7,
        anchor_at: at("2026-04-01T08:00:00Z"),
        rule: name("2 days after expire ended as deactivated"),
        steps: Vec::new(),
    };
    let not_followed = |ended| Reason::NotFollowed { after: name("expire"), outcome: name("failed"), ended };
    vec![
        planned(),
        followed,
        not_followed(None),
        not_followed(Some(name("deactivated"))),
        Reason::NoAnchor { anchor: name("account.started_at") },
        Reason::NoInstant { problem: name("the instant lies outside the years 1 to 9999") },
        Reason::NoMore { rule: name("every 7 days, 3 times") },
        Reason::Before { step: name("expire"), how: name("is due"), at: at("2026-04-01T08:00:00Z") },
        Reason::Enrolled { definition: name("trial"), version: name("1a2b3c4d"), run: 2, actor: name("app") },
        paid(Value::Null),
        paid(json!({ "amount": 20 })),
        Reason::Facts { facts: json!({ "account": { "email": "a@example.com", "paid_at": null } }), actor: name("app") },
        Reason::Refused { code: name("HNC-0301"), problem: name("timeline `dunning` is not defined") },
        Reason::Unplanned { cause: name("account.paid"), because: Box::new(paid(Value::Null)) },
        Reason::Moved { from: at("2026-03-20T08:00:00Z"), cause: name("trial.extended"), because: Box::new(planned()) },
        Reason::AdHoc { actor: name("app"), text: name("call them") },
    ]
}

/// The reasons of attempts and of people.
fn tried_and_asked() -> Vec<Reason> {
    let paid_at = [("account.paid_at".to_owned(), json!("2026-03-10T12:30:15Z"))];
    let condition = |facts| Reason::Condition { when: "unpaid".to_owned(), facts };
    vec![
        condition(paid_at.into()),
        condition([].into()),
        Reason::Late { due_at: at("2026-03-27T08:00:00Z"), rule: "more than 3 days late: skip".to_owned() },
        answered(Value::Null, false),
        answered(json!({ "id": 5 }), true),
        failed(Some(at("2026-03-27T08:05:00Z"))),
        failed(None),
        Reason::NodeLost { fence: 12 },
        person(""),
        person("run task_7 again"),
        Reason::Note { text: "nothing is ahead".to_owned() },
    ]
}

#[test]
fn every_reason_has_a_sentence() {
    let oslo = Zone::parse("Europe/Oslo").unwrap();
    let reasons = [wanted_and_told(), tried_and_asked()].concat();
    let sentences: Vec<String> = reasons.iter().map(|reason| reason.sentence(&oslo)).collect();
    insta::assert_snapshot!(sentences.join("\n"), @r#"
    due 25 days after created_at (Mon 2026-03-02 10:00 Europe/Oslo), at 09:00, before expire; spread by 7 minutes: Fri 2026-03-27 09:07; planned when enrolled; definition trial 1a2b3c4d
    expire (task_7) ended deactivated; due 2 days after expire ended as deactivated (Wed 2026-04-01 10:00 Europe/Oslo); definition trial 1a2b3c4d
    it follows expire with failed, and expire has not ended
    it follows expire with failed, but expire ended deactivated
    `account.started_at`, which it is counted from, is not known
    its instant cannot be computed: the instant lies outside the years 1 to 9999
    the recurrence is over: every 7 days, 3 times
    it must come before expire, which is due Wed 2026-04-01 10:00 (Europe/Oslo)
    enrolled by app, run 2; definition trial 1a2b3c4d
    account.paid on Tue 2026-03-10 13:30:15 (Europe/Oslo), told by app (paid)
    account.paid with {"amount":20} on Tue 2026-03-10 13:30:15 (Europe/Oslo), told by app (paid)
    facts by app: account.email is a@example.com, account.paid_at is null
    refused: timeline `dunning` is not defined (HNC-0301)
    no longer wanted after account.paid: account.paid on Tue 2026-03-10 13:30:15 (Europe/Oslo), told by app (paid)
    moved from Fri 2026-03-20 09:00 (Europe/Oslo) after trial.extended: due 25 days after created_at (Mon 2026-03-02 10:00 Europe/Oslo), at 09:00, before expire; spread by 7 minutes: Fri 2026-03-27 09:07; planned when enrolled; definition trial 1a2b3c4d
    scheduled by app: call them
    the condition `unpaid` was false: account.paid_at was 2026-03-10T12:30:15Z
    the condition `unpaid` was false
    it was due Fri 2026-03-27 09:00 (Europe/Oslo); more than 3 days late: skip
    delivered as mail `trial_ending` to a@example.com; the condition `unpaid` was true; seen: account.email was a@example.com, account.paid_at was null
    delivered as mail `trial_ending` to a@example.com; the condition `unpaid` was true; seen: account.email was a@example.com, account.paid_at was null; answered {"id":5}; it may have arrived twice
    no answer within 10 seconds (timeout); next attempt Fri 2026-03-27 09:05 (Europe/Oslo)
    no answer within 10 seconds (timeout); no attempt follows
    its engine was lost in the middle of the attempt (fence 12)
    asked for by cli:anna
    asked for by cli:anna: run task_7 again
    nothing is ahead
    "#);
}

#[test]
fn a_reader_elsewhere_sees_his_own_clock_and_the_zone_that_counts() {
    insta::assert_snapshot!(planned().sentence(&Zone::utc()), @r#"
    due 25 days after created_at (Mon 2026-03-02 09:00 UTC), at 09:00, before expire; spread by 7 minutes: Fri 2026-03-27 09:07; counted in Europe/Oslo; planned when enrolled; definition trial 1a2b3c4d
    "#);
}
