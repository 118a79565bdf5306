//! The gate: which steps a change must pass, and in which order.
//!
//! Every step runs, also after one has failed, so that one run shows all there is to mend. The tests come last and
//! print last. The steps share one set of build artefacts as far as cargo can: clippy, feature builds and docs use the
//! checked dependencies, doc tests and tests the built ones.

pub(crate) mod cargo;
mod closing;

use std::path::Path;

use anyhow::{Result, bail};

use self::cargo::Cargo;
use crate::{reference, tidy};

/// A crate that has features is checked with none, the default and all of them.
const FEATURE_SETS: [&[&str]; 3] = [&["--no-default-features"], &[], &["--all-features"]];

/// Format, tidy, clippy and the unit tests: what to run before each commit.
pub(crate) fn quick(root: &Path) -> Result<()> {
    let cargo = Cargo::new(root, false);
    let mut gate = Gate::default();
    gate.begin(root, &cargo);
    gate.step("unit tests", || closing::run(&cargo, &["--lib", "--bins"]));
    gate.end()
}

/// All there is: `quick`, the feature builds, docs, doc tests and all tests.
pub(crate) fn ci(root: &Path) -> Result<()> {
    let cargo = Cargo::new(root, true);
    let mut gate = Gate::default();
    gate.begin(root, &cargo);
    for name in tidy::crates_with_features(root)? {
        gate.step(&format!("features of {name}"), || {
            FEATURE_SETS.iter().try_for_each(|set| cargo.run("check", &[&["--quiet", "--package", &name], *set].concat()))
        });
    }
    gate.step("generated pages", || reference::run(root, "", true));
    gate.step("docs", || docs(&cargo));
    if cargo.knows("deny") {
        gate.step("licences and sources", || cargo.run("deny", &["check", "bans", "licenses", "sources"]));
    } else {
        println!("── licences and sources: not checked, cargo-deny is not installed");
    }
    gate.step("doc tests", || cargo.run("test", &["--quiet", "--workspace", "--doc"]));
    gate.step("tests", || closing::run(&cargo, &["--tests"]));
    gate.end()
}

/// Runs the simulator, which is a crate of its own so that these chores need not be built with all of Hence.
pub(crate) fn simulate(root: &Path, arguments: &[String]) -> Result<()> {
    let arguments = arguments.iter().map(String::as_str);
    let run = ["--quiet", "--package", "hence-simulation", "--"].into_iter().chain(arguments);
    Cargo::new(root, false).run("run", &run.collect::<Vec<_>>())
}

/// API docs with every warning an error. The binary `hence` is left out: its pages would overwrite those of the library.
fn docs(cargo: &Cargo<'_>) -> Result<()> {
    let arguments = ["--quiet", "--workspace", "--no-deps", "--exclude", "hence-cli"];
    cargo.run_with("doc", &arguments, ("RUSTDOCFLAGS", "-D warnings"))
}

/// Remembers which steps failed.
#[derive(Default)]
struct Gate {
    failed: Vec<String>,
}

impl Gate {
    /// The steps both gates begin with, the cheap ones first.
    fn begin(&mut self, root: &Path, cargo: &Cargo<'_>) {
        self.step("format", || cargo.run("fmt", &["--all", "--check"]));
        self.step("tidy", || tidy::run(root, None));
        self.step("clippy", || cargo.run("clippy", &["--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    }

    fn step(&mut self, title: &str, run: impl FnOnce() -> Result<()>) {
        println!("── {title}");
        if let Err(error) = run() {
            eprintln!("xtask: {title}: {error:#}");
            self.failed.push(title.to_owned());
        }
    }

    /// Says what failed; says nothing when all went well, so that the last line is the test runner's.
    fn end(self) -> Result<()> {
        if self.failed.is_empty() {
            return Ok(());
        }
        bail!("failed: {}", self.failed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::Gate;

    #[test]
    fn a_failed_step_does_not_keep_the_next_from_running_and_is_named_at_the_end() {
        let mut gate = Gate::default();
        let mut ran = false;
        gate.step("first", || bail!("broken"));
        gate.step("second", || {
            ran = true;
            Ok(())
        });
        assert!(ran);
        assert_eq!(gate.end().unwrap_err().to_string(), "failed: first");
    }

    #[test]
    fn a_gate_without_failures_says_nothing() {
        let mut gate = Gate::default();
        gate.step("only", || Ok(()));
        assert!(gate.end().is_ok());
    }
}
