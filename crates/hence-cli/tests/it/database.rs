//! Goal: every command works on a store in PostgreSQL as on a file, and its schema is changed only when asked for. Method: the built binary on
//! databases of a private server.

use hence_servers::postgres::{Database, Server};

use crate::runner::{Engine, Folder};

fn database() -> Database {
    Server::shared().unwrap().new_database().unwrap()
}

#[test]
fn the_schema_is_made_and_looked_at_by_hand() {
    let (folder, database) = (Folder::new(), database());
    let at = |arguments: &[&'static str]| folder.run(&[arguments, &["--database", &database.url]].concat());
    let none = at(&["db", "status"]);
    assert_eq!(none.exit, 1, "{none:?}");
    assert!(none.out.contains("no store"), "{none:?}");
    let refused = at(&["upcoming"]);
    assert_eq!(refused.exit, 7, "{refused:?}");
    assert!(refused.err.contains("hence db migrate"), "{refused:?}");
    let planned = at(&["db", "migrate", "--dry-run"]);
    assert!(planned.out.contains("create table hence.live"), "{planned:?}");
    assert_eq!(at(&["db", "status"]).exit, 1, "nothing was changed");
    for _ in 0..2 {
        let made = at(&["db", "migrate"]);
        assert_eq!(made.exit, 0, "{made:?}");
        assert!(made.out.contains("up to date"), "{made:?}");
    }
    assert_eq!(at(&["upcoming"]).exit, 0);
    let secret = database.url.split([':', '@']).nth(2).unwrap();
    for ran in [none, refused, planned, at(&["status"]), at(&["db", "status", "--json"])] {
        assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{ran:?}");
    }
    let file = folder.run(&["db", "status", "--store", "sqlite:x.db"]);
    assert_eq!(file.exit, 2, "{file:?}");
}

#[test]
fn a_timeline_is_served_from_a_database_that_the_surroundings_name() {
    let (folder, database) = (Folder::new(), database());
    folder.write("timelines/trial.toml", crate::runner::TRIAL);
    let run = |arguments: &[&str]| {
        let output = folder.command(arguments).env("DATABASE_URL", &database.url).output().unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        out
    };
    run(&["db", "migrate"]);
    run(&["clock", "virtual", "2026-03-02T10:00Z"]);
    run(&[
        "enrol",
        "trial",
        "account/42",
        "--facts",
        r#"{"account":{"email":"a@example.com","timezone":"UTC","status":"trial"}}"#,
    ]);
    let ahead = run(&["upcoming"]);
    assert!(ahead.contains("account/42"), "{ahead}");
    assert!(run(&["status", "--json"]).contains("postgres://127.0.0.1"));
    assert!(!folder.path().join("hence.db").exists(), "no file is made beside");
}

#[test]
fn dev_makes_the_schema_of_a_database_that_it_is_given() {
    let (folder, database) = (Folder::new(), database());
    folder.write("timelines/hello.toml", "[timeline]\nname = 'hello'\nentity = 'account'\nanchor = 'created_at'\n\n[step.greet]\ndue = '1 day'\ndo = { log = 'hello' }\n");
    let at = |arguments: &[&'static str]| folder.done(&[arguments, &["--store", &database.url]].concat());
    let _engine = Engine::begin(&folder, &["dev", "--clock", "virtual", "--store", &database.url]);
    at(&["enrol", "hello", "account/1"]);
    at(&["clock", "advance", "2 days", "--wait"]);
    assert!(at(&["history"]).contains("done"));
}
