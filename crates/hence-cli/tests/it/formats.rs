//! Goal: an answer comes in the form that was asked for, the same data in each. Method: one account, and a definition with a mistake.

use serde_json::Value;

use crate::runner::{Folder, TRIAL};

const FACTS: &str = r#"{"account": {"email": "a@example.com"}}"#;

fn enrolled() -> Folder {
    let folder = Folder::trial();
    folder.done(&["enrol", "trial", "account/42", "--facts", FACTS]);
    folder
}

#[test]
fn lists_are_written_as_lines_names_and_wide_tables() {
    let folder = enrolled();
    let ids = folder.done(&["upcoming", "-o", "name"]);
    let lines = folder.done(&["upcoming", "-o", "jsonl"]);
    let document = folder.json(&["upcoming"]);
    let items = document["items"].as_array().unwrap();
    let parsed: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&parsed, items);
    assert_eq!(ids.lines().collect::<Vec<_>>(), items.iter().map(|item| item["id"].as_str().unwrap()).collect::<Vec<_>>());
    assert_eq!(folder.done(&["upcoming", "--output", "json"]), folder.done(&["upcoming", "--json"]));
    let table = folder.done(&["upcoming"]);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert_eq!(folder.done(&["upcoming", "--no-header"]).lines().count(), 2);
    let wide = folder.done(&["upcoming", "-o", "wide"]);
    assert!(wide.starts_with("DUE") && wide.contains("25 days after created_at"), "{wide}");
    assert!(!table.contains("25 days after created_at"), "{table}");
    // Names can be given to another command; what has none has no line.
    folder.done(&["event", "account/42", "account.paid"]);
    assert_eq!(folder.done(&["history", "-o", "name", "--oldest-first"]), ids);
    assert_eq!(folder.done(&["entity", "list", "-o", "name"]), "account/42\n");
    folder.refused(&["upcoming", "--json", "-o", "name"], 2, "cannot be used with");
    folder.refused(&["upcoming", "-o", "nmae"], 2, "tip: a similar value exists: 'name'");
}

#[test]
fn quiet_says_nothing_but_the_answer_and_errors() {
    let folder = enrolled();
    let talk = folder.run(&["event", "account/42", "account.paid"]);
    assert!(talk.err.starts_with("next: "), "{talk:?}");
    let quiet = folder.run(&["event", "account/42", "account.paid", "-q"]);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("told: account.paid of account/42\n", ""));
    folder.refused(&["why", "account/7", "-q"], 5, "nothing is known of account/7");
}

#[test]
fn colours_are_for_terminals_and_for_those_who_force_them() {
    let folder = Folder::new();
    folder.write("broken.toml", &TRIAL.replace("due    = \"25 days\"", "deu    = \"25 days\""));
    let coloured = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = folder.command(arguments).envs(variables.iter().copied()).output().unwrap();
        output.stdout.contains(&0x1b)
    };
    let check = ["check", "broken.toml"];
    assert!(!coloured(&check, &[]));
    assert!(coloured(&check, &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&check, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(coloured(&["check", "broken.toml", "--color", "always"], &[("NO_COLOR", "1")]));
    assert!(!coloured(&["check", "broken.toml", "--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn problems_are_written_for_code_scanners() {
    let folder = Folder::new();
    folder.write("broken.toml", &TRIAL.replace("due    = \"25 days\"", "deu    = \"25 days\""));
    let ran = folder.run(&["check", "broken.toml", "--format", "sarif"]);
    assert_eq!(ran.exit, 3, "{ran:?}");
    let sarif: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let result = &run["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"HNC-0103".into(), &"error".into()));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "broken.toml");
    let line = 1 + std::fs::read_to_string(folder.path().join("broken.toml"))
        .unwrap()
        .lines()
        .position(|line| line.starts_with("deu"))
        .unwrap();
    assert_eq!(place["region"], serde_json::json!({ "startLine": line, "startColumn": 1, "endLine": line, "endColumn": 4 }));
    let rules: Vec<&str> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    let used = run["results"].as_array().unwrap();
    assert!(used.iter().all(|result| rules.contains(&result["ruleId"].as_str().unwrap())), "{rules:?}");
}

#[test]
fn results_of_tests_are_written_for_build_servers() {
    let folder = Folder::new();
    folder.write("trial.toml", &TRIAL.replace("remind done", "remind skipped").replace("never pays,", "<never> & #1,"));
    let tap = folder.run(&["test", "trial.toml", "--format", "tap"]);
    assert_eq!(tap.exit, 3, "{tap:?}");
    assert!(
        tap.out.starts_with("TAP version 14\n1..1\nnot ok 1 - <never> & \\#1, keeps the script; crosses summer time\n  ---\n"),
        "{}",
        tap.out
    );
    assert!(tap.out.contains("    - 2026-03-27T09:00 remind skipped\n    + 2026-03-27T09:00 remind done\n"), "{}", tap.out);
    let junit = folder.run(&["test", "trial.toml", "--format", "junit"]);
    assert_eq!(junit.exit, 3);
    assert!(junit.out.contains("<testsuite name=\"trial.toml\" tests=\"1\" failures=\"1\">"), "{}", junit.out);
    assert!(junit.out.contains("name=\"&lt;never&gt; &amp; #1, keeps the script; crosses summer time\""), "{}", junit.out);
    folder.write("trial.toml", TRIAL);
    let junit = folder.done(&["test", "trial.toml", "--format", "junit"]);
    assert!(junit.contains("failures=\"0\"") && !junit.contains("<failure"), "{junit}");
}
