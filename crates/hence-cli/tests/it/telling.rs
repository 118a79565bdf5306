//! Goal: enrol, look ahead, tell, ask why and look back on one store, without an engine. Method: one account, step by step.

use crate::runner::Folder;

const FACTS: &str = r#"{"account": {"email": "a@example.com"}}"#;

#[test]
fn one_account_from_enrolment_to_payment() {
    let folder = Folder::trial();
    assert_eq!(folder.done(&["enrol", "trial", "account/42", "--facts", FACTS]), "told: account/42 enrolled in trial\n");

    let upcoming = folder.json(&["upcoming", "account/42"]);
    let due: Vec<_> =
        upcoming["items"].as_array().unwrap().iter().map(|task| (task["step"].clone(), task["due_at"].clone())).collect();
    assert_eq!(due, [("remind".into(), "2026-03-27T09:00:00Z".into()), ("expire".into(), "2026-04-01T10:00:00Z".into())]);

    let why = folder.done(&["why", "account/42", "remind"]);
    assert!(why.starts_with("remind of account/42 will happen 2026-03-27T09:00:00Z (task_"), "{why}");
    let absent = folder.done(&["why", "account/42", "tell_expired"]);
    assert!(absent.starts_with("tell_expired of account/42 is not ahead\n  - "), "{absent}");
    assert!(absent.contains("expire"), "{absent}");

    assert_eq!(folder.done(&["event", "account/42", "account.paid"]), "told: account.paid of account/42\n");
    assert_eq!(folder.json(&["upcoming"])["items"], serde_json::json!([]));
    let why = folder.json(&["why", "account/42", "remind"]);
    let reasons = why["answers"][0]["reasons"].as_array().unwrap();
    let last = reasons.last().unwrap();
    assert_eq!((&last["why"], &last["name"], &last["actor"]), (&"event".into(), &"account.paid".into(), &"cli:anna".into()));

    let history = folder.json(&["history", "account/42", "--oldest-first"]);
    let kinds: Vec<_> = history["items"].as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["enrolled", "event", "cancelled", "cancelled", "ended"]);
    assert_eq!(folder.json(&["status"])["totals"]["finished"]["cancelled"], 2);
}

#[test]
fn reading_commands_answer_in_json_and_in_pages() {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/42", "--facts", FACTS]);
    let first = folder.json(&["upcoming", "--limit", "1"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = folder.json(&["upcoming", "--limit", "1", "--cursor", cursor]);
    assert_eq!(second["items"][0]["step"], "expire");
    let task = first["items"][0]["id"].as_str().unwrap();
    for arguments in [
        &["task", "show", task][..],
        &["task", "list"],
        &["history", task],
        &["why", task],
        &["entity", "list"],
        &["entity", "show", "account/42"],
        &["clock", "show"],
        &["status"],
        &["upcoming", "--count", "hour"],
    ] {
        assert!(folder.json(arguments).is_object(), "{arguments:?}");
    }
}

#[test]
fn tasks_follow_what_a_person_decides() {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/42", "--facts", FACTS]);
    let upcoming = folder.json(&["upcoming"]);
    let id = |index: usize| upcoming["items"][index]["id"].as_str().unwrap().to_owned();
    let (remind, expire) = (id(0), id(1));
    assert!(folder.done(&["task", "hold", &remind, "--reason", "ask first"]).contains("is held"));
    assert!(folder.done(&["why", &remind]).contains("asked for by cli:anna: ask first"));
    assert_eq!(folder.json(&["upcoming", "--state", "held"])["items"].as_array().unwrap().len(), 1);
    assert!(folder.done(&["task", "release", &remind]).contains("is scheduled"));
    let moved = folder.done(&["task", "reschedule", &expire, "--to", "2026-05-01T10:00Z"]);
    assert!(moved.contains("due 2026-05-01T10:00:00Z"), "{moved}");
    assert!(folder.done(&["task", "cancel", &remind]).contains("is cancelled: no attempt ever starts"));
    let hold = folder.run(&["task", "hold", &remind]);
    assert_eq!(hold.exit, 6, "{hold:?}");
    let both = folder.run(&["task", "cancel", &expire, "task_999"]);
    assert_eq!(both.exit, 5, "{both:?}");
    assert!(both.err.starts_with("2 tasks\n"), "{both:?}");
    assert!(both.out.contains("task_999 is not known"), "{both:?}");
}

#[test]
fn what_does_not_fit_is_refused_with_its_exit_code() {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/42", "--facts", FACTS]);
    folder.refused(&["enrol", "trail", "account/42"], 5, "error[HNC-0301]: timeline `trail` is not defined");
    folder.refused(&["enrol", "trial", "user/42"], 2, "error[HNC-0302]");
    folder.refused(&["enrol", "trial", "account/43", "--facts", r#"{"account": {"email": 7}}"#], 2, "error[HNC-0303]");
    folder.refused(&["enrol", "trial", "account"], 2, "error[HNC-0330]");
    folder.refused(&["event", "account/42", "account.paid", "--data", "{"], 2, "error[HNC-0333]");
    folder.refused(&["event", "account/42", "trial.extended", "--data", r#"{"days": "x"}"#], 2, "error[HNC-0304]");
    folder.refused(&["why", "account/99"], 5, "nothing is known of account/99");
    folder.refused(&["why", "account/42", "nudge"], 5, "no timeline of account/42 has step `nudge`");
    folder.refused(&["task", "show", "task_99"], 5, "task_99 is not known");
    folder.refused(&["clock", "advance", "2026-01-01"], 6, "error[HNC-0312]");
    folder.refused(&["upcoming", "--until", "soon"], 2, "`soon` is not an instant");
    folder.refused(&["upcoming", "--tz", "Mars/Olympus"], 2, "the zone `Mars/Olympus` is not known");
    let waiting = folder.run(&["clock", "advance", "1 day", "--wait", "--timeout", "0"]);
    assert_eq!(waiting.exit, 8, "{waiting:?}");
}

#[test]
fn facts_that_a_timeline_needs_and_nobody_gave_are_named() {
    let folder = Folder::trial();
    let bare = folder.run(&["enrol", "trial", "account/1"]);
    assert_eq!(bare.exit, 0, "{bare:?}");
    assert!(bare.err.contains("warning: `account.email` not given"), "{bare:?}");
    assert!(!folder.run(&["enrol", "trial", "account/2", "--facts", FACTS]).err.contains("warning"));
    folder.write("rows.csv", "id,account.email\n3,c@example.com\n4,\n");
    assert!(folder.run(&["enrol", "trial", "--from", "rows.csv"]).err.contains("warning: some rows lack `account.email`"));
}

#[test]
fn wishes_that_wait_for_facts_are_shown_with_their_age() {
    let folder = Folder::trial();
    // Nobody listens there: the facts that the anchor is read from cannot be had.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    folder.write("hence.toml", &format!("[targets.app]\nurl = 'http://127.0.0.1:{port}'\nallow_private = true\n"));
    folder.write(
        "timelines/far.toml",
        "[timeline]\nname = 'far'\nentity = 'account'\nanchor = 'account.began_at'\n\n[facts.account]\nhttp = 'app'\npath = '/{entity}'\n\
         fields = { began_at = 'time' }\n\n[step.greet]\ndo = { log = 'hello' }\n",
    );
    let told = folder.json(&["enrol", "far", "account/7", "--at", "2026-03-02T09:55Z"]);
    assert_eq!(told["told"], "accepted");
    let status = folder.json(&["status"]);
    assert_eq!(status["totals"]["wishes"], 1);
    assert_eq!(status["oldest_wish"], serde_json::json!({ "entity": "account/7", "at": "2026-03-02T09:55:00Z" }));
    let ran = folder.run(&["status"]);
    assert!(ran.out.contains("1, the oldest about account/7"), "{ran:?}");
    let waits = "what was told of 1 entity waits, because its facts cannot be read";
    assert!(ran.err.contains(&format!("warning: inbox: {waits}")), "{ran:?}");
    let doctor = folder.run(&["doctor"]);
    assert!(doctor.out.contains(&format!("mend  facts: {waits}")), "{doctor:?}");
}

#[test]
fn same_key_tells_once() {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/42", "--facts", FACTS]);
    let extend = ["event", "account/42", "trial.extended", "--data", r#"{"days": 7}"#, "--key", "k1"];
    assert_eq!(folder.json(&extend)["told"], "carried_out");
    assert_eq!(folder.json(&extend)["told"], "duplicate");
    assert_eq!(folder.json(&["upcoming", "--step", "expire"])["items"][0]["due_at"], "2026-04-08T10:00:00Z");
    folder.refused(&["event", "account/42", "account.paid", "--key", "k1"], 2, "error[HNC-0307]");
}

#[test]
fn what_nobody_knows_is_not_found() {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/42", "--facts", FACTS]);
    folder.refused(&["upcoming", "--timeline", "trail"], 5, "timeline `trail` is not known");
    folder.refused(&["upcoming", "--timeline", "trail"], 5, "did you mean `trial`?");
    folder.refused(&["upcoming", "--count", "day", "--step", "remnd"], 5, "did you mean `remind`?");
    folder.refused(&["upcoming", "account/43"], 5, "nothing is known of account/43");
    folder.refused(&["history", "--step", "nosuch"], 5, "step `nosuch` is not known");
    folder.refused(&["history", "account/43"], 5, "nothing is known of account/43");
    folder.refused(&["history", "task_99"], 5, "task_99 is not known");
    folder.refused(&["event", "account/43", "account.paid"], 5, "nothing is known of account/43");
    folder.refused(&["event", "account/42", "account.payed"], 5, "no timeline knows the event `account.payed`");
    folder.refused(&["event", "account/42", "account.payed"], 5, "did you mean `account.paid`?");
    folder.done(&["event", "account/42", "account.payed", "--anyway"]);
    folder.done(&["event", "account/42", "other.thing", "--facts", FACTS]);
    folder.refused(&["enrol", "trial", "account/44", "--store", "sqlite:typo.db"], 7, "error[HNC-0327]");
    assert!(!folder.path().join("typo.db").exists());
}

#[test]
fn a_task_is_known_by_the_id_that_receivers_see() {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/42", "--facts", FACTS]);
    let task = folder.json(&["upcoming"])["items"][0]["id"].as_str().unwrap().to_owned();
    let store = folder.json(&["status"])["store_id"].as_str().unwrap().to_owned();
    let seen = task.replace("task_", &format!("hnc_{store}_"));
    for arguments in [&["why", &seen][..], &["history", &seen], &["task", "show", &seen], &["task", "hold", &seen]] {
        folder.done(arguments);
    }
    folder.refused(&["why", "hnc_aaaaaaaa_1"], 5, "hnc_aaaaaaaa_1 is a task of the store aaaaaaaa");
    assert!(folder.done(&["task", "reschedule", &seen, "--to", "-5 days"]).contains("due 2026-02-25T10:00:00Z"));
}

#[test]
fn errors_are_json_where_the_answer_would_be() {
    let folder = Folder::trial();
    let ran = folder.run(&["upcoming", "--until", "soon", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!((&error["error"]["code"], &error["error"]["exit"]), (&"HNC-0330".into(), &2.into()));
    assert_eq!(error["error"]["message"], "`soon` is not an instant");
}

#[test]
fn what_is_late_and_what_lies_further_ahead_is_counted_too() {
    let folder = Folder::new();
    folder.write("hence.toml", "");
    let step = |name: &str, due: &str| format!("[step.{name}]\ndue = \"{due}\"\ndo = {{ log = \"x\" }}\n");
    let head = "[timeline]\nname = \"t\"\nentity = \"account\"\nanchor = \"start\"\n";
    folder.write("timelines/t.toml", &format!("{head}{}{}{}", step("a", "-9 days"), step("b", "3 days"), step("c", "90 days")));
    folder.done(&["clock", "virtual", "2026-03-02T10:00Z"]);
    folder.done(&["enrol", "t", "account/1"]);
    let counts = folder.json(&["upcoming", "--count", "day"]);
    assert_eq!((&counts["earlier"], &counts["later"]), (&1.into(), &1.into()), "{counts}");
    assert_eq!(counts["counts"].as_array().unwrap().len(), 1);
    let ran = folder.run(&["upcoming", "--count", "day"]);
    assert!(ran.out.starts_with("late, before"), "{ran:?}");
    assert!(ran.err.contains("1 more from 2026-04-06 00:00 UTC on"), "{ran:?}");
}

#[test]
fn clock_of_a_store_in_use_is_replaced_only_on_purpose() {
    let folder = Folder::new();
    folder.done(&["init"]);
    folder.done(&["enrol", "trial", "account/42", "--facts", FACTS]);
    folder.refused(&["clock", "virtual"], 6, "error[HNC-0335]");
    folder.refused(&["clock", "virtual", "2020-01-01", "--yes"], 6, "error[HNC-0312]");
    assert_eq!(folder.json(&["clock", "show"])["kind"], "system");
    folder.done(&["clock", "virtual", "--yes"]);
    folder.refused(&["clock", "system"], 6, "error[HNC-0335]");
    folder.done(&["clock", "system", "--yes"]);
    assert_eq!(folder.json(&["clock", "show"])["kind"], "system");
    folder.done(&["clock", "virtual", "2100-01-01", "--yes"]);
    folder.refused(&["clock", "system", "--yes"], 6, "error[HNC-0312]");
    folder.refused(&["clock", "virtual", "2099-01-01"], 6, "error[HNC-0312]");
    folder.refused(&["clock", "virtual", "2101-01-01"], 6, "hence clock advance");
}

#[test]
fn enrolment_says_what_cannot_be_planned_yet() {
    let folder = Folder::new();
    folder.write(
        "timelines/visit.toml",
        "[timeline]\nname = \"visit\"\nentity = \"visit\"\nanchor = \"a.at\"\n[facts.a]\nfields = { at = \"time?\" }\n\
         [step.remind]\ndue = \"-1 day\"\ndo = { log = \"r\" }\n",
    );
    let ran = folder.run(&["enrol", "visit", "visit/3"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.err.contains("made a new store"), "{ran:?}");
    assert!(ran.err.contains("not planned yet: `remind`: "), "{ran:?}");
    assert!(ran.err.contains("a.at"), "{ran:?}");
    let told = folder.json(&["enrol", "visit", "visit/4", "--facts", r#"{"a": {"at": "2100-01-01T10:00Z"}}"#]);
    assert_eq!(told["not_planned"], serde_json::json!([]));
}

#[test]
fn what_is_told_has_a_limit() {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/42", "--facts", FACTS]);
    folder.write("big.json", &format!(r#"{{"text": "{}"}}"#, "x".repeat(300_000)));
    folder.refused(&["event", "account/42", "account.paid", "--data", "@big.json"], 2, "error[HNC-0314]");
    assert_eq!(folder.json(&["upcoming"])["items"].as_array().unwrap().len(), 2);
    folder.write("fits.json", &format!(r#"{{"text": "{}"}}"#, "x".repeat(200_000)));
    folder.done(&["event", "account/42", "account.paid", "--data", "@fits.json"]);
    let table = folder.done(&["history", "account/42"]);
    assert!(table.lines().all(|line| line.len() < 1_000), "a cell is cut where it would fill screens");
}

const BY_SQL: &str = r#"
[timeline]
name = "by_sql"
entity = "account"
anchor = "account.started_at"
[facts.account]
source = "app"
sql = "select started_at from account where id = $1"
fields = { started_at = "time" }
[step.hello]
due = "1 day"
do = { log = "hello" }
"#;

#[test]
fn who_tells_learns_why_it_waits_and_so_does_who_looks() {
    let folder = Folder::trial();
    folder.write("timelines/by_sql.toml", BY_SQL);
    let config = std::fs::read_to_string(folder.path().join("hence.toml")).unwrap();
    folder.write("hence.toml", &format!("{config}\n[sources.app]\nurl = \"sqlite:app.db\"\n"));
    assert_eq!(folder.json(&["status"])["waiting_for_facts"]["entities"], 0);
    assert!(folder.done(&["entity", "list", "--waiting"]).is_empty());

    let told = folder.json(&["enrol", "by_sql", "account/42"]);
    assert_eq!((&told["told"], &told["not_yet"]["why"]), (&"accepted".into(), &"facts_unread".into()));
    let problem = told["not_yet"]["problem"].as_str().unwrap();
    assert!(problem.starts_with("facts `account`: "), "{problem}");
    let said = folder.done(&["event", "account/42", "account.moved", "--anyway"]);
    let because = format!("not carried out yet, because its facts cannot be read: {problem}");
    assert!(said.starts_with("accepted: account.moved of account/42; ") && said.contains(&because), "{said}");
    folder.write("more.csv", "id\n7\n8\n");
    let more = folder.json(&["enrol", "by_sql", "--from", "more.csv"]);
    assert_eq!((&more["accepted"], &more["not_yet"][1]["entity"]), (&2.into(), &"account/8".into()));

    let status = folder.json(&["status"]);
    let waiting = &status["waiting_for_facts"];
    assert_eq!((&waiting["entities"], &waiting["is_all"]), (&3.into(), &true.into()));
    let first = &waiting["items"][0];
    assert_eq!((&first["entity"], &first["waiting"]["problem"]), (&"account/42".into(), &problem.into()));
    assert_eq!((&first["waiting"]["wishes"], &first["waiting"]["tries"]), (&2.into(), &2.into()));
    assert_eq!(first["waiting"]["since"], "2026-03-02T10:00:00Z");
    let next = first["waiting"]["try_at"].as_str().unwrap();
    assert!(next > "2026-03-02T10:00:00Z", "{next}");

    let line = format!("account/42: {problem}");
    let rest = format!("tried 2 times since 2026-03-02T10:00:00Z; next try {next}");
    let count = "what was told of 3 entities waits, because their facts cannot be read";
    for looked in [folder.run(&["status"]).err, folder.run(&["doctor"]).out] {
        assert!([&line, &rest, count].iter().all(|text| looked.contains(*text)), "{looked}");
    }
    let listed = folder.done(&["entity", "list", "account/4", "--waiting"]);
    assert!(listed.contains(problem) && listed.contains(next) && !listed.contains("account/7"), "{listed}");
    let why = folder.done(&["why", "account/42"]);
    assert!(why.starts_with("what was told of account/42 is not carried out yet\n") && why.contains(problem), "{why}");
}

#[test]
fn no_store_is_made_for_a_timeline_that_nobody_defined() {
    let folder = Folder::new();
    folder.refused(&["enrol", "trial", "account/1"], 5, "timeline `trial` is not defined");
    folder.done(&["init"]);
    folder.refused(&["enrol", "trail", "account/1"], 5, "did you mean `trial`?");
    assert!(!folder.path().join("hence.db").exists());
    assert!(folder.run(&["enrol", "trial", "account/1"]).err.contains("made a new store"));
}
