//! Goal: each question that a person has about an account is answered by one command, for what was and for what will be.
//! Method: three accounts of the trial, an engine on a virtual clock, and one account that nobody serves.

use crate::runner::{Engine, Folder};

const START: &str = "2026-03-02T10:00Z";

fn facts(email: &str) -> String {
    format!(r#"{{"account": {{"email": "{email}"}}}}"#)
}

/// What the command says holds all of these, in that order.
fn says(folder: &Folder, command: &[&str], parts: &[&str]) {
    let said = folder.done(command);
    let mut rest = said.as_str();
    for part in parts {
        let Some(at) = rest.find(part) else { panic!("hence {command:?} does not say {part:?} there:\n{said}") };
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn every_question_is_answered_by_one_command() {
    let folder = Folder::new();
    folder.done(&["init"]);
    let _engine = Engine::begin(&folder, &["dev", "--clock", "virtual", "--start", START]);
    for id in ["1", "2", "3"] {
        let email = format!("{id}@example.com");
        folder.done(&["enrol", "trial", &format!("account/{id}"), "--facts", &facts(&email)]);
    }
    let paid = r#"{"account": {"paid_at": "2026-03-20T08:00:00Z"}}"#;
    folder.done(&["event", "account/2", "trial.extended", "--data", r#"{"days": 1}"#, "--facts", paid]);
    folder.done(&["clock", "advance", "26 days", "--wait"]);
    folder.done(&["event", "account/1", "account.paid"]);

    // Why did it get this mail, and which facts were seen?
    says(
        &folder,
        &["why", "account/1", "remind"],
        &[
            "remind of account/1 happened 2026-03-27T09:00:00Z: done",
            "due 25 days after created_at (Mon 2026-03-02 10:00 UTC), at 09:00",
            "delivered as mail `trial_ending` to 1@example.com",
            "the condition `unpaid` was true; seen: account.email was 1@example.com, account.paid_at was null",
        ],
    );
    // Why did it not get the reminder?
    says(
        &folder,
        &["why", "account/2", "remind"],
        &[
            "remind of account/2 did not happen: skipped 2026-03-28T09:00:00Z",
            "moved from Fri 2026-03-27 09:00 (UTC) after trial.extended: due 25 days after created_at (Tue 2026-03-03 10:00 UTC)",
            "the condition `unpaid` was false: account.paid_at was 2026-03-20T08:00:00Z",
        ],
    );
    // Who or what cancelled it?
    says(
        &folder,
        &["why", "account/1", "expire"],
        &[
            "expire of account/1 did not happen: cancelled 2026-03-28T10:00:00Z; it was due 2026-04-01T10:00:00Z",
            "account.paid on Sat 2026-03-28 10:00 (UTC), told by cli:anna (paid)",
        ],
    );
    // Why does it not exist?
    says(
        &folder,
        &["why", "account/3", "tell_expired"],
        &["tell_expired of account/3 is not ahead", "it follows expire with deactivated, and expire has not ended"],
    );
    // What will happen to it, and when?
    says(
        &folder,
        &["preview", "account/3", "--answer", "expire=deactivated"],
        &[
            "2026-03-28 10:00 UTC",
            "4 days",
            "2026-04-01 10:00 UTC  ● expire deactivated: delivered as webhook app/hence/deactivate",
            "2026-04-01 10:00 UTC  ● tell_expired done: delivered as mail `trial_over` to 3@example.com",
        ],
    );
    // What would happen if it paid tomorrow? And nothing has happened by asking.
    says(
        &folder,
        &["preview", "account/3", "--event", "account.paid@tomorrow"],
        &["1 day", "2026-03-29 10:00 UTC  ○ expire cancelled: account.paid on Sun 2026-03-29 10:00 (UTC)"],
    );
    assert_eq!(folder.json(&["upcoming", "account/3"])["items"][0]["due_at"], "2026-04-01T10:00:00Z");
}

#[test]
fn late_tasks_say_that_they_are_late() {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/4", "--given", "created_at=2026-02-03T10:00Z", "--facts", &facts("4@example.com")]);
    says(&folder, &["why", "account/4", "remind"], &["remind of account/4 is late: it was due 2026-02-28T09:00:00Z"]);
    says(&folder, &["upcoming", "account/4", "--step", "remind"], &["scheduled, late"]);
    let doctor = folder.run(&["doctor"]);
    assert!(doctor.out.contains("mend  engine: something was to start 2026-02-28T09:00:00Z and did not"), "{doctor:?}");
}

#[test]
fn what_is_run_ahead_of_its_instant_is_said_so() {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/42", "--facts", &facts("a@example.com")]);
    let name = folder.done(&["upcoming", "account/42", "--step", "expire", "-o", "name"]);
    let task = name.trim();
    folder.done(&["task", "run", task]);
    let why = folder.done(&["why", task]);
    assert!(why.contains("is to run now, ahead of its instant 2026-04-01T10:00:00Z"), "{why}");
    assert!(folder.done(&["upcoming", "account/42"]).contains("scheduled, to run now"));
    folder.refused(&["why", "account/42", "remnd"], 5, "did you mean `remind`? Else see all of it with `hence why account/42`");
    folder.refused(&["history", "account"], 2, "who there is: `hence entity list --type account`");
}
