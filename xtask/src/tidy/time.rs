//! Only `hence::clock` reads or waits for time, so that a virtual clock moves everything.
//!
//! `hence-dispatch` may put a deadline on another party. The command line, the examples and these chores may wait, for
//! a person sees them do it, but do not decide by what a clock says. `hence-core` has a rule of its own.

use super::Finding;
use super::tree::{Tree, crate_of};

/// Ends of paths that say what time it is.
const READS: &[&str] = &[
    "Timestamp::now",
    "ZonedDateTime::now",
    "Zoned::now",
    "SystemTime::now",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "Uuid::now_v7",
];

/// Ends of paths that let time go by.
const WAITS: &[&str] = &[
    "tokio::time::sleep",
    "tokio::time::sleep_until",
    "tokio::time::interval",
    "tokio::time::interval_at",
    "time::sleep",
    "thread::sleep",
];

/// Ends of paths that bound the wait for somebody.
const DEADLINES: &[&str] = &["tokio::time::timeout", "tokio::time::timeout_at", "time::timeout", "time::timeout_at"];

/// What a crate may do with time outside of `hence::clock`.
struct Leave {
    waits: bool,
    deadlines: bool,
}

/// Every read and wait outside of its place; tests have a rule of their own.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust.iter().filter(|file| !is_clock(&file.path)) {
        let Some(leave) = leave(crate_of(&file.path)) else {
            continue;
        };
        for named in file.named().into_iter().filter(|named| !file.is_test_line(named.line)) {
            let is = |ends: &[&str]| ends.iter().any(|end| named.ends_with(end));
            let advice = if is(READS) {
                "take `now` as an argument or ask the clock you were given"
            } else if is(WAITS) && !leave.waits {
                "wait on the clock you were given"
            } else if is(DEADLINES) && !leave.deadlines {
                "bound the wait by the clock you were given, a database call by its statement timeout"
            } else {
                continue;
            };
            let message = format!("`{}` outside of `hence::clock`; {advice}", named.path);
            findings.push(Finding::new(&file.path, named.line, message));
        }
    }
    findings
}

fn is_clock(path: &str) -> bool {
    path == "crates/hence/src/clock.rs" || path.starts_with("crates/hence/src/clock/")
}

/// None where this rule has nothing to say.
fn leave(name: &str) -> Option<Leave> {
    let (waits, deadlines) = match name {
        // What measures from outside must look at the clock.
        "hence-core" | "hence-proof" => return None,
        "hence-dispatch" => (false, true),
        "hence-cli" | "chat" | "xtask" => (true, true),
        _ => (false, false),
    };
    Some(Leave { waits, deadlines })
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::check;

    const READ: &str = "fn f() {\n jiff::Timestamp::now();\n std::time::Instant::now();\n}";
    const WAIT: &str = "use tokio::time::sleep;\nfn f() {\n sleep(d);\n std::thread::sleep(d);\n}";
    const DEADLINE: &str = "use tokio::time;\nfn f() {\n time::timeout(d, g());\n}";

    #[test]
    fn only_the_clock_reads_and_waits() {
        for path in ["crates/hence/src/engine.rs", "crates/hence-store/src/a.rs", "crates/hence-server/src/a.rs"] {
            assert_eq!(lines(check, path, READ), [2, 3], "{path}");
            assert_eq!(lines(check, path, WAIT), [3, 4], "{path}");
            assert_eq!(lines(check, path, DEADLINE), [3], "{path}");
        }
        for path in ["crates/hence/src/clock.rs", "crates/hence/src/clock/virtual.rs"] {
            assert_eq!(lines(check, path, &format!("{READ}{WAIT}{DEADLINE}")), [], "{path}");
        }
    }

    #[test]
    fn dispatchers_bound_and_the_command_line_waits_but_neither_reads() {
        assert_eq!(lines(check, "crates/hence-dispatch/src/a.rs", DEADLINE), []);
        assert_eq!(lines(check, "crates/hence-dispatch/src/a.rs", WAIT), [3, 4]);
        assert_eq!(lines(check, "crates/hence-cli/src/a.rs", WAIT), []);
        assert_eq!(lines(check, "crates/hence-cli/src/a.rs", READ), [2, 3]);
        assert_eq!(lines(check, "examples/chat/src/a.rs", READ), [2, 3]);
    }

    #[test]
    fn a_clock_that_is_asked_is_no_finding() {
        assert_eq!(lines(check, "crates/hence/src/a.rs", "fn f() { clock.now(); clock.sleep(d); }"), []);
    }
}
