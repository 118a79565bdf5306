//! Goal: the demo can be stopped and killed at any time; started again it loses nothing and does nothing twice.
//! Method: a small population, played once in one go and again with interruptions, each at a day that the play tells.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use hence_servers::postgres::Server;
use serde_json::Value;

use crate::runner::{Folder, signal};

const PLAY: [&str; 6] = ["demo", "--dir", "play", "--accounts", "40", "--json"];

/// Plays until the day is told, then does that to the process; its exit code (-1 when it was killed) and its answer.
fn play_until(folder: &Folder, day: &str, then: impl FnOnce(&mut Child)) -> (i32, String) {
    let mut child = folder.command(&PLAY).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    let is_told = lines.by_ref().map_while(Result::ok).inspect(|line| said.push(line.clone())).any(|line| line.starts_with(day));
    assert!(is_told, "the play ended before {day} {said:?}");
    then(&mut child);
    // Its pipe is read to the end, so that it can go on writing.
    lines.for_each(drop);
    let mut answer = String::new();
    child.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
    (child.wait().unwrap().code().unwrap_or(-1), answer)
}

fn play_to_the_end(folder: &Folder) -> Value {
    let ran = folder.run(&PLAY);
    assert_eq!(ran.exit, 0, "{ran:?}");
    serde_json::from_str(&ran.out).unwrap()
}

/// What must be the same however often it was stopped.
fn totals(report: &Value) -> Value {
    let mails = report["mails"].as_u64().unwrap() - report["mails_twice"].as_array().unwrap().len() as u64;
    serde_json::json!({
        "ended": report["ended"],
        "ahead": report["ahead"],
        "inbox": report["inbox"],
        "switch_offs": report["switch_offs"],
        "switched_off_twice": report["switched_off_twice"],
        "different_mails": mails,
    })
}

#[test]
fn stopped_and_killed_plays_end_as_an_undisturbed_one() {
    let undisturbed = play_to_the_end(&Folder::new());
    assert_eq!(undisturbed["mails_twice"], serde_json::json!([]));
    assert_eq!(undisturbed["switched_off_twice"], serde_json::json!([]));
    assert_eq!((&undisturbed["is_over"], &undisturbed["inbox"]), (&true.into(), &0.into()));
    assert!(undisturbed["switch_offs"].as_u64().unwrap() > 5 && undisturbed["mails"].as_u64().unwrap() > 20, "{undisturbed}");

    let stopped = Folder::new();
    for day in ["day 8:", "day 28:"] {
        let (exit, answer) = play_until(&stopped, day, |child| signal(child, "INT"));
        assert_eq!(exit, 130, "{answer}");
        assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["is_over"], false);
    }
    let report = play_to_the_end(&stopped);
    assert_eq!(totals(&report), totals(&undisturbed));
    assert_eq!(report["mails_twice"], serde_json::json!([]), "a stop that drains sends nothing twice");
    assert_eq!(report["taken_over"], serde_json::json!([]));

    let killed = Folder::new();
    play_until(&killed, "day 32:", |child| child.kill().unwrap());
    let report = play_to_the_end(&killed);
    assert_eq!(totals(&report), totals(&undisturbed));
    // A mail that was under way when the process was killed may come again, under the same id; no other may.
    let cut_short = report["taken_over"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().replace("task", "") + "@");
    let cut_short: Vec<String> = cut_short.collect();
    for twice in report["mails_twice"].as_array().unwrap() {
        let id = twice.as_str().unwrap();
        assert!(cut_short.iter().any(|task| id.contains(task)), "{id} came twice, but only {cut_short:?} were cut short");
    }
}

#[test]
fn the_play_has_the_same_effects_on_postgres() {
    let on_file = play_to_the_end(&Folder::new());
    let folder = Folder::new();
    let server = Server::shared().unwrap();
    let database = server.new_database().unwrap();
    let on_database = [&PLAY[..], &["--database", &database.url]].concat();
    let ran = folder.run(&on_database);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(!ran.out.contains("hence:"), "no password is shown");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(totals(&report), totals(&on_file));
    assert_eq!((&report["mails_twice"], &report["switched_off_twice"]), (&serde_json::json!([]), &serde_json::json!([])));
    // A store that is in use is not played with.
    let ran = Folder::new().run(&on_database);
    assert_ne!(ran.exit, 0);
    assert!(ran.err.contains("is in use"), "{ran:?}");
}

#[test]
fn the_play_brings_a_server_of_its_own() {
    let ran = Folder::new().run(&[&PLAY[..], &["--days", "10", "--private-postgres"]].concat());
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.out.contains("postgres://127.0.0.1"), "{ran:?}");
}
