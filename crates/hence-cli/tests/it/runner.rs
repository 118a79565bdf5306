//! A folder of its own and the built binary in it: what it says, and how it ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// The trial, as the design describes it.
pub(crate) const TRIAL: &str = include_str!("../../../hence-core/tests/fixtures/trial.toml");

/// A folder in which `hence` is run.
pub(crate) struct Folder(TempDir);

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// A folder that `hence init` was run in, whose store follows a virtual clock that stands at 2026-03-02 10:00 UTC.
    pub(crate) fn trial() -> Self {
        let folder = Self::new();
        folder.done(&["init"]);
        folder.done(&["clock", "virtual", "2026-03-02T10:00Z"]);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The command, without what the surroundings would say to it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hence"));
        command.args(arguments).current_dir(self.path()).env_clear().env("USER", "anna");
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Runs it; it must succeed. What it wrote to stdout.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.exit, 0, "hence {arguments:?}: {ran:?}");
        ran.out
    }

    /// Runs it with `--json`; it must succeed and write one JSON document.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.done(&arguments)).unwrap()
    }

    /// Runs it; it must end with that exit code and say that to stderr.
    pub(crate) fn refused(&self, arguments: &[&str], exit: i32, says: &str) {
        let ran = self.run(arguments);
        assert_eq!(ran.exit, exit, "hence {arguments:?}: {ran:?}");
        assert!(ran.err.contains(says), "hence {arguments:?} does not say {says:?}: {ran:?}");
    }
}

/// An engine in a process of its own, killed at the end.
pub(crate) struct Engine(Child);

impl Engine {
    /// Begins and waits until it says that it serves.
    pub(crate) fn begin(folder: &Folder, arguments: &[&str]) -> Self {
        Self::of(folder.command(arguments))
    }

    /// The same of a command; what it says once it serves goes nowhere.
    pub(crate) fn of(command: Command) -> Self {
        Self(waits_for(command, "serving "))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn waits_for(mut command: Command, says: &str) -> Child {
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    let has_said =
        lines.by_ref().map_while(Result::ok).inspect(|line| said.push(line.clone())).any(|line| line.starts_with(says));
    assert!(has_said, "{command:?} ended before it said {says:?}: {said:?}");
    // Its pipe stays open until it ends.
    std::thread::spawn(move || lines.count());
    child
}

/// Sends a signal by its name; the shell knows how, and is there wherever tests run.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").args(["-c", "kill -$0 $1", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success(), "cannot send {name}");
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            exit: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
