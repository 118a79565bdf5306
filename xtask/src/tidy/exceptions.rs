//! What a rule lets pass, each with its reason; one that is needed no longer is itself a finding.

use super::Finding;

/// One thing that may stay.
struct Exception {
    rule: &'static str,
    /// The file, or the folder with `/` at its end.
    path: &'static str,
    /// Part of the message, so that the exception does not hide more than it means; empty for all of the rule.
    what: &'static str,
    reason: &'static str,
}

/// All exceptions. Add a row only where the rule is right and the case is special; where the rule is wrong, mend it.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        rule: "machine-paths",
        path: "xtask/src/tidy/comments.rs",
        what: "",
        reason: "the rule itself names what it looks for",
    },
    Exception {
        rule: "pure-core",
        path: "crates/hence-core/src/sabotage.rs",
        what: "feature",
        reason: "the bug bank, which no shipped build has; everything else asks it without a `cfg`",
    },
    Exception {
        rule: "time",
        path: "fuzz/runner.rs",
        what: "Instant::now",
        reason: "bounds a run of tests by real time; no target sees it",
    },
    Exception {
        rule: "versions",
        path: "examples/beside-sqlx/Cargo.toml",
        what: "",
        reason: "no member of the workspace: it links another SQLite, so that its versions are its own",
    },
    Exception {
        rule: "time",
        path: "crates/hence-simulation/src/main.rs",
        what: "Instant::now",
        reason: "tells a person how many steps a second there were; no run sees it",
    },
    Exception {
        rule: "time",
        path: "examples/chat/src/main.rs",
        what: "Timestamp::now",
        reason: "a program of its own that does not use the `hence` crate; its library is given the clock",
    },
    Exception {
        rule: "time",
        path: "examples/chat/batch/src/main.rs",
        what: "Timestamp::now",
        reason: "a program of its own that does not use the `hence` crate; its library is given the instant",
    },
    Exception {
        rule: "time",
        path: "crates/hence-cli/src/commands/demo/play.rs",
        what: "Instant::now",
        reason: "tells a person how long the play took; nothing is decided by it",
    },
];

/// Takes out what may stay; with `all_rules` adds the exceptions that nothing needed.
pub(super) fn apply(findings: Vec<Finding>, all_rules: bool) -> Vec<Finding> {
    apply_list(EXCEPTIONS, findings, all_rules)
}

fn apply_list(exceptions: &[Exception], mut findings: Vec<Finding>, all_rules: bool) -> Vec<Finding> {
    let mut unused = Vec::new();
    for exception in exceptions {
        let before = findings.len();
        findings.retain(|finding| !covers(exception, finding));
        if findings.len() == before && all_rules {
            unused.push(Finding {
                path: "xtask/src/tidy/exceptions.rs".to_owned(),
                line: 1,
                rule: "exceptions",
                message: format!(
                    "nothing needs the exception from `{}` for {} any more (\"{}\"); remove it",
                    exception.rule, exception.path, exception.reason
                ),
            });
        }
    }
    findings.append(&mut unused);
    findings
}

fn covers(exception: &Exception, finding: &Finding) -> bool {
    let is_folder = exception.path.ends_with('/');
    let is_place = finding.path == exception.path || (is_folder && finding.path.starts_with(exception.path));
    exception.rule == finding.rule && is_place && finding.message.contains(exception.what)
}

#[cfg(test)]
mod tests {
    use super::super::Finding;
    use super::{EXCEPTIONS, Exception, apply_list};

    fn finding(path: &str) -> Finding {
        Finding { rule: "time", ..Finding::new(path, 3, "`Instant::now` outside of `hence::clock`") }
    }

    fn exception(what: &'static str) -> Exception {
        Exception { rule: "time", path: "crates/a/src/", what, reason: "it is special" }
    }

    #[test]
    fn an_exception_covers_its_place_and_no_other() {
        let left = apply_list(&[exception("Instant")], vec![finding("crates/a/src/b.rs"), finding("crates/c/src/b.rs")], true);
        assert_eq!(left, [finding("crates/c/src/b.rs")]);
        assert_eq!(apply_list(&[exception("SystemTime")], vec![finding("crates/a/src/b.rs")], false).len(), 1);
    }

    #[test]
    fn an_exception_nothing_needs_is_found() {
        let left = apply_list(&[exception("")], Vec::new(), true);
        assert!(left[0].message.starts_with("nothing needs the exception from `time` for crates/a/src/"), "{}", left[0]);
        assert!(apply_list(&[exception("")], Vec::new(), false).is_empty());
    }

    #[test]
    fn every_exception_has_a_reason() {
        assert!(EXCEPTIONS.iter().all(|exception| !exception.reason.is_empty()));
    }
}
