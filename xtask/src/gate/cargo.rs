//! Calls to cargo from the folder of the workspace, with the cargo that runs us.
//!
//! The environment goes through unchanged, so `CARGO_TARGET_DIR` and the like keep their meaning.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Commands that know `--locked`: the lock file must then be the committed one.
const LOCKABLE: [&str; 5] = ["check", "clippy", "doc", "test", "nextest"];

/// Cargo, bound to a workspace.
pub(crate) struct Cargo<'a> {
    root: &'a Path,
    locked: bool,
}

impl<'a> Cargo<'a> {
    /// With `locked`, a lock file that is out of date is an error instead of being mended in passing.
    pub(crate) fn new(root: &'a Path, locked: bool) -> Self {
        Self { root, locked }
    }

    /// Runs to the end, output to the terminal; an exit code other than 0 is an error.
    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Result<()> {
        finish(self.command(command, arguments))
    }

    /// As [`Cargo::run`], with one environment variable set.
    pub(crate) fn run_with(&self, command: &str, arguments: &[&str], variable: (&str, &str)) -> Result<()> {
        let mut prepared = self.command(command, arguments);
        prepared.env(variable.0, variable.1);
        finish(prepared)
    }

    /// Whether cargo has the subcommand (`nextest`, `deny`: wanted, not needed).
    pub(crate) fn knows(&self, command: &str) -> bool {
        self.program()
            .args([command, "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// The command, for callers that read its output.
    pub(crate) fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut prepared = self.program();
        prepared.arg(command);
        if command == "nextest" {
            prepared.arg("run");
        }
        if self.locked && LOCKABLE.contains(&command) {
            prepared.arg("--locked");
        }
        prepared.args(arguments);
        prepared
    }

    fn program(&self) -> Command {
        let mut program = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        program.current_dir(self.root);
        program
    }
}

fn finish(mut command: Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Cargo;

    fn check(locked: bool, command: &str, arguments: &[&str], expected: &str) {
        let command = Cargo::new(Path::new("."), locked).command(command, arguments);
        let shown: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn the_lock_file_is_held_only_where_asked_and_known() {
        check(true, "check", &["--quiet"], "check --locked --quiet");
        check(false, "check", &["--quiet"], "check --quiet");
        check(true, "fmt", &["--all"], "fmt --all");
        check(true, "nextest", &["--workspace"], "nextest run --locked --workspace");
    }
}
