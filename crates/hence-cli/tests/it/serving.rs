//! Goal: an engine started by `serve` or `dev` does what is due, beside every other command. Method: a virtual clock that is advanced
//! with `--wait`, a process that is killed when the test ends, and a receiver that is not there.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::runner::{Engine, Folder, signal};

const DEFINITION: &str = r#"
[timeline]
name = "greeting"
entity = "account"
anchor = "created_at"
[step.greet]
due = "1 day"
do = { log = "hello {entity}" }
[step.mail]
due = "2 days"
do = { email = "hello", to = "a@example.com" }
"#;

fn outcomes(folder: &Folder) -> Vec<String> {
    let history = folder.json(&["history", "--kind", "done", "--oldest-first"]);
    let word = |row: &serde_json::Value| format!("{} {}", row["due_at"].as_str().unwrap(), row["step"].as_str().unwrap());
    history["items"].as_array().unwrap().iter().map(word).collect()
}

#[test]
fn dev_carries_out_what_is_due_and_catches_mails() {
    let folder = Folder::new();
    folder.write("timelines/greeting.toml", DEFINITION);
    folder.write("templates/hello.txt", "Subject: Hello\nHello {{ hence.entity_id }}\n");
    let store = ["--store", "sqlite:world.db"];
    folder.done(&[&["clock", "virtual", "2026-03-02T10:00Z"], &store[..]].concat());
    std::fs::write(folder.path().join("hence.toml"), "[store]\nurl = 'sqlite:world.db'\n").unwrap();
    let engine = Engine::begin(&folder, &["dev", "--store", "sqlite:world.db"]);
    folder.done(&["enrol", "greeting", "account/1"]);
    folder.done(&["clock", "advance", "3 days", "--wait"]);
    assert_eq!(outcomes(&folder), ["2026-03-03T10:00:00Z greet", "2026-03-04T10:00:00Z mail"]);
    assert_eq!(folder.json(&["clock", "show"])["now"], "2026-03-05T10:00:00Z");
    let mails = std::fs::read_dir(folder.path().join(".hence/mails")).unwrap();
    assert_eq!(mails.count(), 1);
    drop(engine);
}

#[test]
fn ctrl_c_drains_and_a_second_one_quits_at_once() {
    // A receiver that takes the connection and never answers.
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::new();
    folder.write("timelines/slow.toml", "[timeline]\nname = 'slow'\nentity = 'account'\nanchor = 'created_at'\n\n[step.call]\ndo = { webhook = 'app', path = '/x', timeout = '5 minutes' }\n");
    let address = receiver.local_addr().unwrap();
    folder.write("hence.toml", &format!("[targets.app]\nurl = 'http://{address}'\nallow_private = true\n"));
    let mut child = folder.command(&["serve"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("serving ")));
    folder.done(&["enrol", "slow", "account/1"]);
    let (_delivery, _) = receiver.accept().unwrap();
    signal(&child, "INT");
    assert!(lines.any(|line| line.starts_with("stopping: what runs ends")), "the first one drains");
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(folder.json(&["upcoming"])["items"][0]["state"], "running");
}

#[test]
fn a_second_engine_stands_by_and_goes_on_when_the_first_is_killed() {
    let folder = Folder::new();
    folder.write(
        "timelines/greeting.toml",
        &DEFINITION.replace("[step.mail]", "[step.later]").replace("email = \"hello\", to = \"a@example.com\"", "log = \"bye\""),
    );
    folder.done(&["clock", "virtual", "2026-03-02T10:00Z"]);
    folder.write("hence.toml", "");
    let engine = Engine::begin(&folder, &["serve"]);
    let other = Engine::begin(&folder, &["serve"]);
    let nodes = |ended: &str| {
        let status = folder.json(&["status"]);
        let owned: Vec<usize> =
            status["nodes"].as_array().unwrap().iter().map(|node| node["shards"].as_array().unwrap().len()).collect();
        assert!(owned.iter().sum::<usize>() <= 1, "{ended}: {status}");
        owned.len()
    };
    folder.done(&["enrol", "greeting", "account/1"]);
    folder.done(&["clock", "advance", "36 hours", "--wait"]);
    assert!(nodes("both run") <= 2);
    drop(engine);
    folder.done(&["clock", "advance", "36 hours", "--wait"]);
    assert_eq!(outcomes(&folder), ["2026-03-03T10:00:00Z greet", "2026-03-04T10:00:00Z later"]);
    assert_eq!(nodes("one is gone"), 1);
    drop(other);
}

#[test]
fn spans_that_are_not_safe_are_refused() {
    let folder = Folder::new();
    folder.write("timelines/greeting.toml", DEFINITION);
    folder.write("hence.toml", "[engine]\ntakeover = '5s'\n");
    folder.refused(&["serve"], 2, "error[HNC-0326]");
}

#[test]
fn broken_definitions_keep_the_engine_from_starting() {
    let folder = Folder::new();
    folder.write("timelines/greeting.toml", &DEFINITION.replace("due = \"1 day\"", "due = \"1 dya\""));
    folder.refused(&["serve"], 3, "error[HNC-0325]");
    folder.refused(&["serve"], 3, "timelines/greeting.toml:");
    assert!(!folder.path().join("hence.db").exists());
}

#[test]
fn doctor_names_what_is_missing() {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/42"]);
    let ran = folder.run(&["doctor"]);
    assert_eq!(ran.exit, 1, "{ran:?}");
    assert!(ran.out.contains("step `remind` of `trial` will be held: no mail server is configured"), "{}", ran.out);
    let json = folder.run(&["doctor", "--json"]);
    assert!(serde_json::from_str::<serde_json::Value>(&json.out).unwrap()["findings"].is_array());
}
