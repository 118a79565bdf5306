//! Goal: the audit says who is missing and who is too many, heals on demand, and changes nothing when it only looks. Method: the built
//! binary beside a database of an application that is written to behind its back.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::runner::Folder;

const TRIAL: &str = r#"
[timeline]
name = "trial"
entity = "account"
anchor = "created_at"
[facts.account]
source = "app"
sql = "select paid_at from account where id = $1"
fields = { paid_at = "time?" }
[step.expire]
due = "30 days"
when = "account.paid_at == null"
do = { log = "expire" }
[audit]
every = "1 hour"
expect = "select id, created_at from account where paid_at is null"
missing = "enrol"
extra = "report"
"#;

/// An application with two accounts, of which Hence was told of one, that has been paid for meanwhile.
fn folder() -> (Folder, Connection) {
    let folder = Folder::new();
    folder.write("hence.toml", "[sources.app]\nurl = 'sqlite:app.db'\n");
    folder.write("timelines/trial.toml", TRIAL);
    let app = Connection::open(folder.path().join("app.db")).unwrap();
    app.execute_batch("create table account (id integer primary key, created_at text, paid_at text)").unwrap();
    app.execute_batch("insert into account values (1, '2026-03-01T09:00:00Z', null), (2, '2026-03-01T10:00:00Z', null)").unwrap();
    folder.done(&["clock", "virtual", "2026-03-02T10:00Z"]);
    folder.done(&["enrol", "trial", "account/1"]);
    // Longer ago than an audit takes somebody for new.
    let store = Connection::open(folder.path().join("hence.db")).unwrap();
    store.execute_batch("update hence_body set created_at = created_at - 3600000000").unwrap();
    app.execute_batch("update account set paid_at = '2026-03-02T09:00:00Z' where id = 1").unwrap();
    (folder, app)
}

/// Whom, what, and what was done, of the one timeline.
fn found(report: &Value) -> Vec<Value> {
    let findings = report["items"][0]["findings"].as_array().unwrap();
    findings.iter().map(|finding| json!([finding["entity"], finding["found"], finding["result"]])).collect()
}

#[test]
fn an_audit_shows_what_differs_and_heals_it_on_demand() {
    let (folder, app) = folder();
    let extra = json!(["account/1", "not expected", "left as it is"]);
    let looked = folder.json(&["audit", "findings"]);
    assert_eq!((&looked["items"][0]["expected"], &looked["items"][0]["differences"]), (&1.into(), &2.into()));
    assert_eq!(found(&looked), [json!(["account/2", "not enrolled", "left as it is"]), extra.clone()]);
    assert_eq!(folder.json(&["entity", "list"])["items"].as_array().unwrap().len(), 1, "nothing was changed");

    let ran = folder.run(&["audit", "run", "trial"]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, "trial: 1 should be enrolled, 2 differences\n"), "{ran:?}");
    let lines: Vec<Vec<&str>> =
        ran.out.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
    assert!(lines.iter().any(|cells| *cells == ["trial", "account/2", "not enrolled", "healed"]), "{}", ran.out);
    assert!(lines.iter().any(|cells| *cells == ["trial", "account/1", "not expected", "left as it is"]), "{}", ran.out);
    let due = folder.json(&["upcoming", "account/2"]);
    assert_eq!(due["items"][0]["due_at"], "2026-03-31T10:00:00Z", "as of the instant that the application gives");

    app.execute_batch("update account set paid_at = null where id = 1").unwrap();
    assert!(found(&folder.json(&["audit", "findings", "trial"])).is_empty());
    assert_eq!(folder.run(&["audit", "findings"]).err, "trial: 2 should be enrolled, 0 differences\n");
}

#[test]
fn an_audit_that_cannot_be_made_says_why() {
    let (folder, app) = folder();
    folder.refused(&["audit", "run", "trail"], 5, "trail");
    app.execute_batch("drop table account").unwrap();
    folder.refused(&["audit", "findings"], 6, "the audit of `trial` cannot be made: ");
    let empty = Folder::trial();
    empty.done(&["enrol", "trial", "account/1", "--facts", r#"{"account": {"email": "a@example.com"}}"#]);
    empty.refused(&["audit", "run", "trial"], 6, "trial");
    assert_eq!(empty.run(&["audit", "run"]).err, "no timeline has `[audit]`\n");
}
