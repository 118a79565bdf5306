//! The rules of the project that no compiler knows, each in a module of its own with its tests.
//!
//! A rule is a function from the [`Tree`] (all text files, the Rust files cut into tokens) to [`Finding`]s. It decides
//! nothing by reading the disk, so a test hands it a snippet. What a rule must let pass for a good reason stands in
//! `exceptions`. To add a rule: write the module, add a row to [`RULES`].

mod arrows;
mod boundaries;
mod comments;
mod error_pages;
mod exceptions;
mod manifest;
mod names;
mod rust;
mod serde;
mod size;
mod spawn;
mod sql;
mod testing;
mod time;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use self::tree::Tree;

/// A rule's name (shown in brackets, asked for by `--rule`) and what looks for violations.
type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

/// Every rule, in the order of `STYLE.md`.
const RULES: &[Rule] = &[
    ("parse", |tree| tree.unreadable.clone()),
    ("names", names::check),
    ("file-length", size::check_files),
    ("function-size", size::check_functions),
    ("module-doc", size::check_docs),
    ("arrows", arrows::check),
    ("versions", manifest::check),
    ("pure-core", boundaries::check),
    ("serde", serde::check),
    ("error-pages", error_pages::check),
    ("time", time::check),
    ("spawn", spawn::check),
    ("sql", sql::check),
    ("tests", testing::check),
    ("comments", comments::check_open_ends),
    ("machine-paths", comments::check_machine_paths),
];

/// One violation: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    message: String,
}

impl Finding {
    /// `run` fills in the rule, so that a rule need not know its own name.
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule: "", message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: [{}] {}", self.path, self.line, self.rule, self.message)
    }
}

/// Checks all rules, or the one named, and prints what was found.
///
/// # Errors
/// Something was found; there is no such rule; a file cannot be read.
pub(crate) fn run(root: &Path, only: Option<&str>) -> Result<()> {
    if let Some(name) = only
        && !RULES.iter().any(|(known, _)| *known == name)
    {
        let known: Vec<_> = RULES.iter().map(|(name, _)| *name).collect();
        bail!("there is no rule `{name}`; there are: {}", known.join(", "));
    }
    let findings = findings(&Tree::read(root)?, only);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("1 rule is broken, see above"),
        count => bail!("{count} rules are broken, see above"),
    }
}

/// The crates under `crates/` that have a feature to switch.
pub(crate) fn crates_with_features(root: &Path) -> Result<Vec<String>> {
    Ok(manifest::crates_with_features(&Tree::read(root)?))
}

fn findings(tree: &Tree, only: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, check) in RULES {
        if only.is_none_or(|only| only == *name) {
            findings.extend(check(tree).into_iter().map(|found| Finding { rule: name, ..found }));
        }
    }
    findings.sort();
    findings.dedup();
    exceptions::apply(findings, only.is_none())
}

#[cfg(test)]
mod tests {
    use super::tree::Tree;
    use super::{Finding, RULES, findings};

    /// What `check` finds in `files`, as `path:line message`, one line each.
    pub(super) fn shown(check: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)]) -> String {
        let mut found = check(&Tree::of(files));
        found.sort();
        let lines: Vec<_> =
            found.iter().map(|finding| format!("{}:{} {}", finding.path, finding.line, finding.message)).collect();
        lines.join("\n")
    }

    /// The lines of the one file `path` with `text` in which `check` finds something.
    pub(super) fn lines(check: fn(&Tree) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
        let mut lines: Vec<_> = check(&Tree::of(&[(path, text)])).iter().map(|found| found.line).collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    }

    #[test]
    fn a_finding_names_place_and_rule() {
        let tree = Tree::of(&[("crates/hence/src/util.rs", "//! Odds and ends.\n")]);
        let found = findings(&tree, Some("names"));
        assert_eq!(
            found[0].to_string(),
            "crates/hence/src/util.rs:1: [names] `util` says nothing of what is inside; name the file after what it owns"
        );
    }

    #[test]
    fn a_file_that_is_not_rust_is_found_and_not_fatal() {
        let tree = Tree::of(&[("crates/hence/src/a.rs", "//! A.\nfn (")]);
        assert_eq!(findings(&tree, Some("parse")).len(), 1);
    }

    #[test]
    fn each_rule_has_its_own_name() {
        for (index, (name, _)) in RULES.iter().enumerate() {
            assert!(RULES[..index].iter().all(|(other, _)| other != name), "{name}");
        }
    }
}
