//! Goal: a forecast is what the engine would do, for a timeline and for a stored entity. Method: the trial, with assumptions.

use crate::runner::{Folder, TRIAL};

const FACTS: &str =
    r#"{"account": {"email": "a@example.com", "timezone": "Europe/Oslo", "status": "trial"}, "widget": {"hits_last_2_days": 4}}"#;

fn steps(preview: &serde_json::Value) -> Vec<String> {
    let items = preview["items"].as_array().unwrap();
    items.iter().map(|line| format!("{} {}", line["step"].as_str().unwrap(), line["outcome"].as_str().unwrap())).collect()
}

#[test]
fn a_timeline_is_foreseen_with_the_answers_that_are_assumed() {
    let folder = Folder::new();
    folder.write("trial.toml", TRIAL);
    let preview = ["preview", "trial", "--file", "trial.toml", "--start", "2026-03-02T09:00Z", "--facts", FACTS];
    let assumed = [&preview[..], &["--answer", "expire=deactivated"]].concat();
    assert_eq!(steps(&folder.json(&assumed)), ["remind done", "expire deactivated", "tell_expired done", "still_used done"]);
    assert_eq!(steps(&folder.json(&preview)), ["remind done", "expire done"]);
    let paid = [&preview[..], &["--event", "account.paid@2026-03-10T00:00Z"]].concat();
    assert_eq!(steps(&folder.json(&paid)), ["remind cancelled", "expire cancelled"]);
    let drawn = folder.done(&assumed);
    assert!(drawn.contains("2026-04-01 08:00 UTC  ● expire deactivated: "), "{drawn}");
    folder.refused(&["preview", "trial", "--file", "trial.toml", "--facts", r#"{"account": {"email": 5}}"#], 2, "HNC-0303");
    folder.refused(&["preview", "nothing", "--file", "trial.toml"], 5, "timeline `nothing` is not defined");
}

#[test]
fn a_stored_entity_is_foreseen_and_stays_as_it_is() {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/42", "--facts", r#"{"account": {"email": "a@example.com"}}"#]);
    assert_eq!(steps(&folder.json(&["preview", "account/42"])), ["remind done", "expire done"]);
    let paid = folder.json(&["preview", "account/42", "--event", "account.paid@tomorrow"]);
    assert_eq!(steps(&paid), ["remind cancelled", "expire cancelled"]);
    assert_eq!(folder.json(&["upcoming", "account/42"])["items"].as_array().unwrap().len(), 2);
    folder.refused(&["preview", "account/43"], 5, "nothing is known of account/43");
}

#[test]
fn what_if_is_taken_into_account_or_refused() {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/42", "--facts", r#"{"account": {"email": "a@example.com"}}"#]);
    let preview = |more: &[&'static str]| [&["preview", "account/42"], more].concat();
    let paid = folder.json(&preview(&["--facts", r#"{"account": {"paid_at": "2026-03-05T10:00Z"}}"#]));
    assert_eq!(steps(&paid), ["remind skipped", "expire skipped"]);
    let step = |because: &serde_json::Value| because["step"].as_str().unwrap().to_owned();
    let absent: Vec<String> = paid["not_coming"].as_array().unwrap().iter().map(step).collect();
    assert!(absent.contains(&"tell_expired".to_owned()), "{absent:?}");
    let drawn = folder.done(&preview(&[]));
    assert!(drawn.contains("does not come: tell_expired: "), "{drawn}");
    folder.refused(&preview(&["--event", "account.paid@yesterday"]), 2, "`account.paid@yesterday` lies 1 day before");
    folder.refused(&preview(&["--event", "account.payed@tomorrow"]), 5, "did you mean `account.paid`?");
    folder.refused(&preview(&["--start", "2026-01-01"]), 2, "are for a timeline");
}
