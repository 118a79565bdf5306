//! Goal: a configuration that is wrong is refused with what to do; the environment comes over the file. Method: files and variables.

use crate::runner::{Folder, Ran};

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    let folder = Folder::new();
    let check = |text: &str, problem: &str, help: &str| {
        folder.write("hence.toml", text);
        folder.refused(&["status"], 2, problem);
        folder.refused(&["status"], 2, help);
    };
    check("[stoer]\nurl = 'sqlite:a.db'", "`stoer` is not known", "did you mean `store`?");
    check("[store]\nulr = 'sqlite:a.db'", "`store.ulr` is not known", "did you mean `url`?");
    check(
        "[targets.app]\nurl = 'http://a'\nallow_privat = true",
        "`targets.app.allow_privat` is not known",
        "did you mean `allow_private`?",
    );
    check("[engine]\nspeed = 3", "error[HNC-0321]", "known here: attempts_max, catch_up_per_second");
    check("[store]\nurl = 'mysql:a'", "error[HNC-0320]", "write it as `sqlite:hence.db`");
    check("[targets.app]\nurl = 'https://a.example'\ntimeout = 'soon'", "`targets.app.timeout` is `soon`", "write it as `10s`");
    check("[store", "error[HNC-0320]", "hence explain HNC-0320");
}

#[test]
fn file_is_found_upward_and_paths_are_relative_to_it() {
    let folder = Folder::trial();
    folder.write("deep/er/note.txt", "");
    let output = folder.command(&["status", "--json"]).current_dir(folder.path().join("deep/er")).output().unwrap();
    let ran = Ran::of(output);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let status: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert!(status["store"].as_str().unwrap().ends_with("hence.db"));
    assert!(!folder.path().join("deep/er/hence.db").exists());
}

#[test]
fn environment_comes_over_the_file() {
    let folder = Folder::trial();
    let output = folder.command(&["status"]).env("HENCE_STORE__URL", "sqlite:other.db").output().unwrap();
    let ran = Ran::of(output);
    assert_eq!(ran.exit, 7, "{ran:?}");
    assert!(ran.err.contains("other.db"), "{}", ran.err);
    let output = folder.command(&["status"]).env("HENCE_STORE__ULR", "sqlite:other.db").output().unwrap();
    assert_eq!(Ran::of(output).exit, 2);
}

#[test]
fn missing_store_is_no_empty_one() {
    let folder = Folder::new();
    folder.refused(&["upcoming"], 7, "error[HNC-0327]");
    assert!(!folder.path().join("hence.db").exists());
}
