//! Goal: what README and guide show is what happens. Method: every `console` block is run, in order, by a shell, in one folder for each
//! page; a line that begins with `$ ` is a command, the lines below it are what it writes (stdout, then stderr), `...` stands for any
//! lines and `[..]` for any part of one. Commands that need a clone, Rust or a network are listed, so that none is passed over.
//!
//! Why not a crate for it: the pages need an engine that runs beside their commands, and one folder from the first block to the last.

use std::path::{Path, PathBuf};
use std::process::Command;

use hence_servers::postgres::{Database, Server};

use crate::runner::{Engine, Folder, Ran};

/// What is not run here, because the gate or the reader's machine does it.
const ELSEWHERE: [&str; 5] = ["git clone ", "cd hence", "cargo xtask ci", "cargo build --release", "cargo run -p embedding "];
/// What stands for a command that builds first, or that is smaller here.
const INSTEAD: [(&str, &str); 1] = [("cargo run --release -- demo", "hence demo --accounts 120")];

/// A command of a page and what the page says that it writes.
struct Shown {
    line: usize,
    command: String,
    expected: Vec<String>,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn commands(page: &str) -> Vec<Shown> {
    let (mut found, mut is_console): (Vec<Shown>, bool) = (Vec::new(), false);
    for (line, text) in (1..).zip(page.lines()) {
        if text.starts_with("```") {
            is_console = text == "```console";
        } else if is_console {
            match text.strip_prefix("$ ") {
                Some(command) => found.push(Shown { line, command: command.to_owned(), expected: Vec::new() }),
                None => found.last_mut().expect("a block begins with a command").expected.push(text.to_owned()),
            }
        }
    }
    found
}

/// A shell in the folder that finds the built binary as `hence`.
fn shell(folder: &Folder, database: &Database, command: &str) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_hence")).parent().unwrap();
    let programs = Server::shared().unwrap().programs();
    let path = format!("{}:{}:{}", binary.display(), programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec {command}")]).current_dir(folder.path()).env_clear().env("PATH", path).env("USER", "anna");
    if command.contains("$DATABASE_URL") {
        shell.env("DATABASE_URL", &database.url);
    }
    shell
}

/// Runs every command of a page; engines run until its end.
fn check(path: &str, folder: &Folder) {
    let page = std::fs::read_to_string(repository().join(path)).unwrap();
    let shown = commands(&page);
    let database = Server::shared().unwrap().new_database().unwrap();
    assert!(!shown.is_empty(), "{path} shows no command");
    let mut engines = Vec::new();
    for Shown { line, command, expected } in shown {
        if ELSEWHERE.iter().any(|known| command.starts_with(known)) {
            continue;
        }
        let command =
            INSTEAD.iter().find(|(known, _)| command.starts_with(known)).map_or(command.as_str(), |(_, instead)| instead);
        if command.starts_with("hence dev") || command.starts_with("hence serve") {
            engines.push(Engine::of(shell(folder, &database, command)));
            continue;
        }
        let ran = Ran::of(shell(folder, &database, command).output().unwrap());
        assert_eq!(ran.exit, 0, "{path}:{line}: {command}: {ran:?}");
        if !expected.is_empty() {
            let written: Vec<&str> = ran.out.lines().chain(ran.err.lines()).collect();
            let wanted: Vec<&str> = expected.iter().map(String::as_str).collect();
            assert!(is_like(&wanted, &written), "{path}:{line}: {command} writes\n{}", written.join("\n"));
        }
    }
}

fn is_like(wanted: &[&str], written: &[&str]) -> bool {
    match wanted.split_first() {
        None => written.is_empty(),
        Some((&"...", rest)) => (0..=written.len()).any(|passed| is_like(rest, &written[passed..])),
        Some((first, rest)) => {
            written.split_first().is_some_and(|(line, others)| is_line_like(first, line) && is_like(rest, others))
        }
    }
}

fn is_line_like(wanted: &str, line: &str) -> bool {
    match wanted.split_once("[..]") {
        None => wanted.trim_end() == line.trim_end(),
        Some((before, rest)) => line.strip_prefix(before).is_some_and(|line| {
            line.char_indices().map(|(at, _)| at).chain([line.len()]).any(|at| is_line_like(rest, &line[at..]))
        }),
    }
}

#[test]
fn readme_is_true() {
    let folder = Folder::new();
    let chat = "examples/chat/timelines/trial.toml";
    folder.write(chat, &std::fs::read_to_string(repository().join(chat)).unwrap());
    check("README.md", &folder);
}

#[test]
fn every_guide_is_true() {
    for entry in std::fs::read_dir(repository().join("docs/guide")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        check(&format!("docs/guide/{name}"), &Folder::new());
    }
}

#[test]
fn pages_are_compared_line_by_line() {
    let like = |wanted: &str, written: &str| is_like(&wanted.lines().collect::<Vec<_>>(), &written.lines().collect::<Vec<_>>());
    assert!(like("a\n...\nd", "a\nb\nc\nd") && like("a\n...", "a") && like("task_[..] is [..]", "task_7 is held"));
    assert!(!like("a", "a\nb") && !like("a\n...\nd", "a\nb") && !like("task_[..] is", "task_7 was"));
}
