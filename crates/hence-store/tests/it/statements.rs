//! Goal: every statement can be prepared, and none looks at a whole large table. Method: each file is explained on a new store; a
//! `SCAN`, or a sort of what was found, is an error unless it stands in the list below with its reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::sites::InFile;

/// What may be seen in a plan: the statement, the step of the plan, and why that is right.
const ALLOWED: [(&str, &str, &str); 18] = [
    ("definition/list", "SCAN d", "a row for each version of a file: tens"),
    ("definition/list", "TEMP B-TREE", "the same tens are sorted"),
    ("inbox/list", "SCAN w", "in the order of the primary key, and ended by the limit"),
    ("entity/postponed", "SCAN p", "a row for each entity whose facts cannot be read: none while all is well"),
    ("entity/postponed", "TEMP B-TREE", "the same few are sorted"),
    ("write/newest_record", "SCAN hence_history", "the last row of the primary key, and ended by the limit"),
    ("lease/nodes", "SCAN hence_node", "a row for each process: a few"),
    ("lease/free", "SCAN hence_shard", "one row"),
    ("start/startable", "SCAN json_each", "the few steps that the caller named"),
    ("start/next_wake_at", "SCAN hence_live USING", "the first row of the index, and ended by the limit"),
    ("upcoming/steps", "SCAN hence_step", "a row for each step of each definition: hundreds"),
    ("upcoming/steps", "TEMP B-TREE", "the same hundreds are sorted"),
    ("upcoming/", "SCAN json_each", "the numbers that the caller gave"),
    ("history/", "SCAN json_each", "the numbers that the caller gave"),
    ("history/bounds", "SCAN CONSTANT ROW", "no table at all"),
    ("counter/list", "TEMP B-TREE", "counters of the asked range are summed up: hours times steps"),
    ("counter/tallies", "SCAN hence_tally", "a row for each state and outcome: tens"),
    ("erase/body_reasons", "TEMP B-TREE", "the tasks of one entity are made distinct"),
];

/// How the dump of the schema begins.
const HEADER: &str = "-- The schema of the SQLite store, as the migrations make it. A test compares this dump with a new file; nothing reads it \
     otherwise.";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/sqlite")
}

/// Every statement file by its name, such as `start/startable`.
fn statements() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for area in std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        let area_name = area.file_name().unwrap().to_str().unwrap().to_owned();
        if area_name == "migrations" {
            continue;
        }
        for file in std::fs::read_dir(area).unwrap().map(|entry| entry.unwrap().path()) {
            let name = format!("{area_name}/{}", file.file_stem().unwrap().to_str().unwrap());
            found.insert(name, std::fs::read_to_string(file).unwrap());
        }
    }
    assert!(found.len() > 50, "the files are found");
    found
}

fn opened() -> (InFile, Connection) {
    let site = InFile::new();
    drop(site.store());
    let connection = Connection::open(site.path()).unwrap();
    (site, connection)
}

fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("explain query plan {sql}")).unwrap_or_else(|error| panic!("{error}: {sql}"));
    let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn no_statement_looks_at_a_whole_table() {
    let (_site, connection) = opened();
    let mut wrong = Vec::new();
    for (name, sql) in statements() {
        let newest_first = sql.replace("order by h.seq asc", "order by h.seq desc");
        for step in [plan(&connection, &sql), plan(&connection, &newest_first)].concat() {
            let is_suspect = step.contains("SCAN") || step.contains("TEMP B-TREE") || step.contains("AUTOMATIC");
            let is_allowed = ALLOWED.iter().any(|(of, seen, _)| name.starts_with(of) && step.contains(seen));
            if is_suspect && !is_allowed {
                wrong.push(format!("{name}: {step}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn statements_are_led_by_the_index_that_they_name() {
    let (_site, connection) = opened();
    for (name, sql) in statements() {
        let comment: String = sql.lines().take_while(|line| line.starts_with("--")).collect();
        let all_of_it = plan(&connection, &sql).join("\n");
        for index in [
            "hence_live_wake",
            "hence_live_answer",
            "hence_live_owned",
            "hence_live_entity",
            "hence_live_step",
            "hence_history_entity",
            "hence_history_task",
            "hence_history_step",
            "hence_history_kind",
            "hence_wish_entity",
            "hence_timeline_entity",
            "hence_entity_erase",
            "hence_entity_idle",
            "hence_accepted_key_entity",
            "hence_accepted_key_accepted",
        ] {
            if comment.contains(index) {
                assert!(all_of_it.contains(index), "{name} does not use {index}:\n{all_of_it}");
            }
        }
    }
}

#[test]
fn every_statement_says_what_it_is() {
    for (name, sql) in statements() {
        assert!(sql.starts_with("-- "), "{name} begins with a comment");
        assert!(sql.contains("Called "), "{name} says who calls it");
        let code: String = sql.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
        assert_eq!(code.matches(';').count(), 1, "{name} is one statement");
        for forbidden in ["select *", "offset", "now()", "current_timestamp", "datetime("] {
            assert!(!code.contains(forbidden), "{name} holds `{forbidden}`");
        }
        let numbers = |text: &str| {
            let parts = text.split('?').skip(1);
            parts.filter_map(|part| part.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok()).max().unwrap_or(0)
        };
        let comment = sql.replace(&code, "");
        assert_eq!(numbers(&comment), numbers(&code), "{name} says what its parameters are");
    }
}

#[test]
fn the_schema_is_the_one_that_is_written_down() {
    let (_site, connection) = opened();
    let mut statement = connection
        .prepare("select sql from sqlite_master where sql is not null and name not like 'sqlite_%' order by type desc, name")
        .unwrap();
    let parts: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let found = format!("{HEADER}\n\n{};\n", parts.join(";\n\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/sqlite.sql");
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written != found {
        // The dump lies beside the tests of this run, so that it can be looked at and taken over.
        let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sqlite.sql");
        std::fs::write(&new, &found).unwrap();
        panic!("schema/sqlite.sql is not the schema that the migrations make; it should be {}", new.display());
    }
}
