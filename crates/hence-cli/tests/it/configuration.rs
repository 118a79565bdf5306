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
    check(
        "[engine]\nspeed = 3",
        "error[HNC-0321]",
        "known here: attempts_max, slow_attempts_max, catch_up_per_second, renew, lease, takeover",
    );
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

#[test]
fn what_holds_is_shown_with_where_it_comes_from_and_without_secrets() {
    let folder = Folder::new();
    folder.write("timelines/none.txt", "");
    folder
        .write("hence.toml", "[targets.app]\nurl = 'https://a.example'\nsecret = 'whsec_aGVuY2UtdGVzdC1vbmx5LW5vdC1hLXNlY3JldA=='\n[engine]\nattempts_max = 5\n");
    let output = folder.command(&["config", "show", "--json"]).env("HENCE_ENGINE__ATTEMPTS_MAX", "7").output().unwrap();
    let ran = Ran::of(output);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(!ran.out.contains("aGVuY2UtdGVzdC1vbmx5"), "{}", ran.out);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let keys: Vec<String> = document["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|held| {
            let origin = held["origin"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            format!("{} {} {origin}", held["key"].as_str().unwrap(), held["value"])
        })
        .collect();
    assert_eq!(
        keys,
        [
            "engine.attempts_max 7 HENCE_ENGINE__ATTEMPTS_MAX",
            "engine.catch_up_per_second 200 default",
            "engine.lease \"10s\" default",
            "engine.renew \"2s\" default",
            "engine.slow_attempts_max \"a quarter of attempts_max\" default",
            "engine.takeover \"14s\" default",
            "store.url \"sqlite:hence.db\" default",
            "targets.app.secret \"(set, not shown)\" hence.toml",
            "targets.app.url \"https://a.example\" hence.toml",
            "timelines.paths [\"timelines\"] default",
        ]
    );
    assert!(folder.done(&["config", "path"]).ends_with("/hence.toml\n"));
    assert!(folder.done(&["config", "show"]).contains("store.url = \"sqlite:hence.db\"\n"));
    assert!(folder.done(&["config", "check"]).starts_with("good  configuration: "));
    folder.write("hence.toml", "[timelines]\npaths = ['elsewhere']\n[sources.app]\nurl = 'sqlite:app.db'\n");
    let ran = folder.run(&["config", "check"]);
    assert_eq!(ran.exit, 2, "{ran:?}");
    assert!(ran.out.contains("elsewhere is not there") && ran.out.contains("`sources.app`: there is no file"), "{}", ran.out);
    Folder::new().refused(&["config", "path"], 5, "there is no hence.toml");
}

#[test]
fn what_opens_a_network_is_said_plainly_and_a_broken_configuration_is_said_once() {
    let folder = Folder::new();
    folder.write("hence.toml", "[targets.app]\nurl = \"http://127.0.0.1:1\"\nallow_private = \"yes\"\n");
    folder.refused(&["config", "show"], 2, "`targets.app.allow_private` is \"yes\", which is neither true nor false");
    let doctor = folder.run(&["doctor"]);
    assert_eq!((doctor.exit, doctor.out.matches("allow_private").count()), (1, 1), "{doctor:?}");
    folder.write("hence.toml", "[sources.app]\nurl = \"sqlite:missing.db\"\n");
    assert!(folder.run(&["doctor"]).out.contains("`sources.app`: there is no file"));
}
