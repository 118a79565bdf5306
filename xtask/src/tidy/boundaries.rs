//! `hence-core` decides and does nothing else: no I/O, async, clock, dice, environment, locks or `cfg(feature)`.

use super::Finding;
use super::rust::{Kind, RustFile};
use super::tree::Tree;

/// Paths that act or ask, with everything below them.
const ACTS: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "tokio",
    "futures",
    "rand",
    "fastrand",
    "getrandom",
];

/// Ends of paths that read a clock or throw dice.
const ASKS: &[&str] = &[
    "Timestamp::now",
    "ZonedDateTime::now",
    "SystemTime",
    "std::time::Instant",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "Uuid::now_v7",
    "Uuid::new_v4",
    "TimeZone::system",
];

const LOCKS: [&str; 2] = ["Mutex", "RwLock"];

/// Everything impure in the sources of `hence-core`; its tests may read files.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_below("crates/hence-core/src/") {
        findings.extend(paths(file).chain(words(file)).filter(|found| !file.is_test_line(found.line)));
    }
    findings
}

fn paths(file: &RustFile) -> impl Iterator<Item = Finding> {
    let imported = file.imported().map(|(path, line)| (path.to_owned(), line));
    let named = file.named().into_iter().map(|named| (named.path, named.line));
    imported.chain(named).filter_map(|(path, line)| {
        let is_below = |start: &&str| path.strip_prefix(*start).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        let has_end = |end: &&str| path == **end || path.ends_with(&format!("::{end}"));
        let has_lock = path.split("::").any(|part| LOCKS.contains(&part));
        let is_impure = ACTS.iter().any(is_below) || ASKS.iter().any(has_end) || has_lock;
        is_impure.then(|| {
            let message = format!(
                "`{path}` in hence-core, which only decides; take the value as an argument or move the deed to a crate that acts"
            );
            Finding::new(&file.path, line, message)
        })
    })
}

fn words(file: &RustFile) -> impl Iterator<Item = Finding> {
    file.tokens.iter().enumerate().filter_map(|(index, token)| {
        if token.kind != Kind::Word {
            return None;
        }
        let message = match token.text.as_str() {
            word @ ("async" | "await") => {
                format!("`{word}` in hence-core, which only decides; the caller waits")
            }
            "cfg" | "cfg_attr" => {
                let open = if file.text(index + 1) == "!" { index + 2 } else { index + 1 };
                let inside = &file.tokens[open.min(file.tokens.len())..file.tokens.get(open)?.partner.max(open)];
                if !inside.iter().any(|token| token.text == "feature") {
                    return None;
                }
                "`cfg(feature)` in hence-core: a decision must not depend on how it was built".to_owned()
            }
            _ => return None,
        };
        Some(Finding::new(&file.path, token.line, message))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::check;

    const PATH: &str = "crates/hence-core/src/plan.rs";

    #[test]
    fn whatever_acts_or_asks_is_found_in_core() {
        for text in [
            "use std::fs;",
            "use std::{collections::HashMap, net::IpAddr};",
            "fn f() { std::env::var(\"A\"); }",
            "use std::process::Command;",
            "use std::time::SystemTime;",
            "use std::time::Instant;",
            "fn f() { jiff::Timestamp::now(); }",
            "use jiff::Timestamp; fn f() { Timestamp::now(); }",
            "use rand::Rng;",
            "fn f() { fastrand::u32(0..2); }",
            "use tokio::sync::mpsc;",
            "struct A { b: std::sync::Mutex<u8> }",
            "use std::sync::RwLock;",
            "async fn f() {}",
            "fn f() { let a = async { 1 }; }",
            "#[cfg(feature = \"x\")] fn f() {}",
            "fn f() -> bool { cfg!(feature = \"x\") }",
            "fn f() { uuid::Uuid::now_v7(); }",
        ] {
            assert_eq!(lines(check, PATH, text), [1], "{text}");
        }
    }

    #[test]
    fn what_only_looks_so_passes() {
        for text in [
            "use jiff::Timestamp; fn f(now: Timestamp) -> Timestamp { now }",
            "// std::fs\nfn f() -> &'static str { \"tokio::spawn\" }",
            "use crate::random::Dice; use std::time::Duration;",
            "#[cfg(test)]\nmod tests { use std::fs; }",
            "struct Instant(i64); fn f(at: Instant) {}",
        ] {
            assert_eq!(lines(check, PATH, text), [0_usize; 0], "{text}");
        }
    }

    #[test]
    fn other_crates_may() {
        assert_eq!(lines(check, "crates/hence-store/src/a.rs", "use std::fs;"), []);
    }
}
