//! The tests, by nextest where it is installed and by `cargo test` elsewhere; either way one closing line ends the output.
//!
//! nextest closes by itself ("Summary … 812 tests run: 812 passed"). `cargo test` prints a line for each binary, so the
//! sums are added up and printed in the same form.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::cargo::Cargo;

/// Runs the tests of the whole workspace that `targets` (cargo's own flags) selects; all of them, also after a failure.
pub(crate) fn run(cargo: &Cargo<'_>, targets: &[&str]) -> Result<()> {
    if cargo.knows("nextest") {
        return cargo.run("nextest", &[&["--workspace", "--no-fail-fast", "--cargo-quiet"], targets].concat());
    }
    let arguments = [&["--quiet", "--workspace", "--no-fail-fast"], targets].concat();
    let mut child = cargo.command("test", &arguments).stdout(Stdio::piped()).spawn().context("cannot run cargo test")?;
    let output = child.stdout.take().context("the tests' output is not piped")?;
    let mut sum = Sum::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read the tests' output")?;
        println!("{line}");
        sum.add(&line);
    }
    let status = child.wait().context("cannot wait for the tests")?;
    println!("{}", sum.line(status.success()));
    if !status.success() {
        bail!("cargo test ended with {status}");
    }
    Ok(())
}

/// Tests counted over all binaries.
#[derive(Default)]
struct Sum {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Sum {
    /// Adds a line such as `test result: ok. 12 passed; 0 failed; 0 ignored; …`; other lines count nothing.
    fn add(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        let rest = rest.split_once(". ").map_or(rest, |(_, counts)| counts);
        for part in rest.split("; ") {
            let Some((count, what)) = part.split_once(' ') else {
                continue;
            };
            let count = count.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }

    fn line(&self, is_ok: bool) -> String {
        let verdict = if is_ok { "ok" } else { "FAILED" };
        format!(
            "test result: {verdict}. {} passed; {} failed; {} ignored; all binaries together",
            self.passed, self.failed, self.ignored
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn results_of_all_binaries_are_added_up() {
        let mut sum = Sum::default();
        for line in [
            "running 2 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ] {
            sum.add(line);
        }
        assert_eq!(sum.line(false), "test result: FAILED. 15 passed; 2 failed; 1 ignored; all binaries together");
    }
}
