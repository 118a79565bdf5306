//! Goal: `check`, `test`, `init`, `explain` and the rest work without a store. Method: the trial of the design, and broken copies.

use crate::runner::{Folder, TRIAL};

#[test]
fn trial_of_the_design_passes_check_and_test() {
    let folder = Folder::new();
    folder.write("timelines/trial.toml", TRIAL);
    assert!(folder.done(&["check"]).contains("ok    timelines/trial.toml: trial with 5 step(s), 1 test(s)"));
    assert!(folder.done(&["test"]).ends_with("1 passed, 0 failed\n"));
}

#[test]
fn wrong_expectation_fails_with_a_difference() {
    let folder = Folder::new();
    folder.write("trial.toml", &TRIAL.replace("remind done", "remind skipped"));
    let ran = folder.run(&["test", "trial.toml"]);
    assert_eq!(ran.exit, 3, "{ran:?}");
    let expected = "     - 2026-03-27T09:00 remind skipped\n     + 2026-03-27T09:00 remind done\n       2026-04-01T10:00 expire deactivated\n";
    assert!(ran.out.contains(expected), "{}", ran.out);
    assert!(ran.out.ends_with("0 passed, 1 failed\n"));
}

#[test]
fn filter_chooses_tests_by_name() {
    let folder = Folder::new();
    folder.done(&["init"]);
    assert!(folder.done(&["test", "--filter", "pays after"]).ends_with("1 passed, 0 failed\n"));
    let tests = folder.json(&["test"]);
    assert_eq!(tests["tests"].as_array().unwrap().len(), 2);
    assert_eq!(tests["tests"][0]["passed"], true);
}

#[test]
fn problems_are_shown_with_line_caret_code_and_help() {
    let folder = Folder::new();
    folder.write("broken.toml", &TRIAL.replace("due    = \"25 days\"", "deu    = \"25 days\""));
    let ran = folder.run(&["check", "broken.toml"]);
    assert_eq!(ran.exit, 3, "{ran:?}");
    for part in ["error[HNC-0103]: unknown key `deu`", "--> broken.toml:", "^^^", "help: did you mean `due`?"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    assert!(!ran.out.contains("u{1b}") && !ran.out.contains('\u{1b}'), "{}", ran.out);
    let coloured = folder.run(&["check", "broken.toml", "--color", "always"]).out;
    assert!(coloured.contains("\u{1b}[91m") && !coloured.contains("u{1b}"), "{coloured}");
    let github = folder.run(&["check", "broken.toml", "--format", "github"]);
    assert!(github.out.starts_with("::error file=broken.toml,line="), "{}", github.out);
    let json = folder.run(&["check", "broken.toml", "--json"]);
    assert_eq!(json.exit, 3);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["files"][0]["diagnostics"][0]["code"], "HNC-0103");
    assert_eq!(json["files"][0]["is_usable"], false);
}

#[test]
fn every_beginning_passes_check_and_test_at_once() {
    for (from, tests) in [("trial", 2), ("dunning", 3), ("reminders", 3), ("blank", 2)] {
        let folder = Folder::new();
        folder.done(&["init", "--from", from]);
        let checked = folder.done(&["check"]);
        assert!(checked.contains(&format!("{tests} test(s)\n")), "{from} has problems or warnings: {checked}");
        assert!(folder.done(&["test"]).ends_with(&format!("{tests} passed, 0 failed\n")));
        // Nothing that the timeline wants is missing once `hence dev` catches its mails: templates, targets, sources.
        folder.write(".hence/.gitignore", "*\n");
        folder.done(&["clock", "virtual", "2026-03-02T10:00Z", "--store", "sqlite:.hence/dev.db"]);
        let ran = folder.run(&["doctor"]);
        assert!(ran.out.contains("everything that the timelines want is configured"), "{from}: {ran:?}");
        assert_eq!(ran.exit, 0, "{from}: {ran:?}");
    }
}

#[test]
fn init_writes_over_nothing() {
    let folder = Folder::new();
    folder.write("timelines/trial.toml", "mine");
    folder.refused(&["init"], 6, "timelines/trial.toml is there already; nothing was written");
    assert!(!folder.path().join("hence.toml").exists());
}

#[test]
fn every_code_can_be_explained() {
    let folder = Folder::new();
    let codes = folder.json(&["explain"]);
    for code in codes["codes"].as_array().unwrap() {
        let code = code["code"].as_str().unwrap();
        assert!(folder.done(&["explain", code]).starts_with(&format!("# {code}")));
    }
    assert!(folder.done(&["explain", "301"]).starts_with("# HNC-0301"));
    folder.refused(&["explain", "HNC-9999"], 5, "error[HNC-0324]");
}

#[test]
fn help_lists_the_exit_codes_and_shells_are_served() {
    let folder = Folder::new();
    let help = folder.done(&["--help"]);
    assert!(help.contains("3   definitions are invalid, or their tests are red"), "{help}");
    assert!(folder.done(&["completions", "bash"]).contains("_hence()"));
    assert!(folder.done(&["man"]).contains(".TH hence 1"));
    assert!(folder.json(&["schema"])["properties"].is_object());
    assert_eq!(folder.run(&["upcomming"]).exit, 2);
}
