//! Goal: a file of enrolments is written wholly or not at all, unless asked otherwise. Method: files with bad rows, then the counts.

use crate::runner::Folder;

const ROWS: &str = "\
id,created_at,account.email,account.paid_at
1,2026-03-01,a@example.com,
2,yesterday-ish,b@example.com,
3,2026-03-01,c@example.com,not a time
4,2026-03-01
1,2026-03-01,d@example.com,
,2026-03-01,e@example.com,
7,2026-03-01T09:00Z,f@example.com,2026-03-01T10:00:00Z
";

#[test]
fn bad_rows_are_reported_by_line_and_nothing_is_written() {
    let folder = Folder::trial();
    folder.write("accounts.csv", ROWS);
    let ran = folder.run(&["enrol", "trial", "--from", "accounts.csv"]);
    assert_eq!(ran.exit, 2, "{ran:?}");
    for line in [
        "accounts.csv:3: created_at: `yesterday-ish` is not an instant",
        "accounts.csv:4: ",
        "accounts.csv:5: has 2 cells, the head has 4",
        "accounts.csv:6: account/1 stands on line 2 already",
        "accounts.csv:7: `id` is empty",
        "5 of 7 rows cannot be enrolled; nothing was written",
    ] {
        assert!(ran.err.contains(line), "{line}: {}", ran.err);
    }
    assert_eq!(folder.json(&["entity", "list"])["items"].as_array().unwrap().len(), 0);
}

#[test]
fn partial_keeps_the_good_rows() {
    let folder = Folder::trial();
    folder.write("accounts.csv", ROWS);
    let ran = folder.run(&["enrol", "trial", "--from", "accounts.csv", "--partial"]);
    assert_eq!((ran.exit, ran.out.as_str()), (4, "2 enrolled in trial, 5 bad\n"));
    let entities = folder.json(&["entity", "list", "--type", "account"]);
    let names: Vec<&str> = entities["items"].as_array().unwrap().iter().filter_map(|item| item["entity"].as_str()).collect();
    assert_eq!(names, ["account/1", "account/7"]);
    let counts = folder.json(&["upcoming", "--count", "day", "--step", "expire"]);
    assert_eq!(counts["counts"][0]["count"], 2, "{counts}");
}

#[test]
fn json_lines_are_read_flat_and_nested() {
    let folder = Folder::trial();
    let rows = "\
{\"id\": \"1\", \"created_at\": \"2026-03-01\", \"account.email\": \"a@example.com\"}

{\"id\": 2, \"given\": {\"created_at\": \"2026-03-01\"}, \"facts\": {\"account\": {\"email\": \"b@example.com\"}}}
";
    folder.write("accounts.jsonl", rows);
    let told = folder.json(&["enrol", "trial", "--from", "accounts.jsonl"]);
    assert_eq!((&told["enrolled"], &told["bad"]), (&2.into(), &0.into()));
    assert_eq!(folder.json(&["entity", "show", "account/2"])["timelines"][0]["facts"]["account"]["email"], "b@example.com");
    let again = folder.done(&["enrol", "trial", "--from", "accounts.jsonl"]);
    assert_eq!(again, "0 enrolled in trial, 2 enrolled already\n");
}

#[test]
fn unknown_columns_are_refused_at_once() {
    let folder = Folder::trial();
    folder.write("accounts.csv", "id,account.mail\n1,a@example.com\n");
    folder.refused(
        &["enrol", "trial", "--from", "accounts.csv"],
        2,
        "column `account.mail`: timeline `trial` declares no such fact",
    );
    folder.write("accounts.txt", "");
    folder.refused(&["enrol", "trial", "--from", "accounts.txt"], 2, "neither .csv nor .jsonl");
}

#[test]
fn quote_that_is_never_closed_swallows_nothing() {
    let folder = Folder::trial();
    folder.write("a.csv", "id,account.email\nq1,a@b.c\nq2,\"oops@b.c\nq3,c@b.c\nq4,d@b.c\n");
    for more in [&[][..], &["--partial"]] {
        let arguments = [&["enrol", "trial", "--from", "a.csv"][..], more].concat();
        folder.refused(&arguments, 2, "a.csv:3: a quote is opened here and never closed");
    }
    folder.write("b.csv", "id,account.email\nq1,\"a@b.c\nq2,x@b.c\nq3,\"c@b.c\n");
    folder.refused(&["enrol", "trial", "--from", "b.csv"], 2, "b.csv:2: `account.email` holds a line end");
    assert_eq!(folder.json(&["entity", "list"])["items"].as_array().unwrap().len(), 0);
}

#[test]
fn rows_are_read_from_standard_input() {
    let folder = Folder::trial();
    let enrol = |rows: &str| {
        folder.write("rows", rows);
        let input = std::fs::File::open(folder.path().join("rows")).unwrap();
        let mut command = folder.command(&["enrol", "trial", "--from", "-"]);
        crate::runner::Ran::of(command.stdin(input).output().unwrap())
    };
    assert_eq!(enrol("id,account.email\n1,a@example.com\n").out, "1 enrolled in trial\n");
    let nested = enrol("{\"id\": \"2\", \"account\": {\"email\": \"b@example.com\"}}\n");
    assert_eq!((nested.exit, nested.out.as_str()), (0, "1 enrolled in trial\n"), "{nested:?}");
    assert_eq!(enrol("{\"id\": \"3\", \"account\": {\"mail\": \"b@example.com\"}}\n").exit, 2);
}
