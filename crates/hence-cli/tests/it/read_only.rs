//! Goal: a store that cannot be written can be looked at, and what would change it says why it cannot. Method: the built binary on files
//! and folders without the right to write. Root may write all the same, so that a test that is run by root gives that up for the command.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::runner::{Engine, Folder, Ran};

/// A user and a group that own nothing.
const NOBODY: &str = "65534";
/// Only to be read, and only to be listed.
const READ: u32 = 0o444;
const LIST: u32 = 0o555;

/// A store with one enrolment, and a binary that everybody may run.
struct Place {
    folder: Folder,
    bin: tempfile::TempDir,
}

fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

impl Place {
    fn new() -> Self {
        let (folder, bin) = (Folder::trial(), tempfile::tempdir().unwrap());
        folder.done(&["enrol", "trial", "account/42", "--facts", r#"{"account": {"email": "a@example.com"}}"#]);
        std::fs::copy(env!("CARGO_BIN_EXE_hence"), bin.path().join("hence")).unwrap();
        permit(bin.path(), LIST);
        permit(folder.path(), 0o755);
        Self { folder, bin }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("hence.db")
    }

    /// The command as somebody who may not write.
    fn run(&self, arguments: &[&str]) -> Ran {
        let binary = self.bin.path().join("hence");
        let mut command = match std::fs::metadata(self.bin.path()).unwrap().uid() {
            0 => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(binary);
                command
            }
            _ => Command::new(binary),
        };
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("PATH", "/usr/bin:/bin").env("USER", "anna");
        Ran::of(command.output().unwrap())
    }

    fn check_that_it_is_only_read(&self) {
        let note = "hence.db cannot be written by you; it is only read";
        for (arguments, says) in [
            (&["upcoming"][..], "remind"),
            (&["history"], "enrolled"),
            (&["why", "account/42"], "remind"),
            (&["entity", "show", "account/42"], "a@example.com"),
            (&["status"], "1 entit"),
        ] {
            let ran = self.run(arguments);
            let said = format!("{}{}", ran.out, ran.err);
            let is_said = said.contains(says) || arguments == ["status"];
            assert!(ran.exit == 0 && is_said && ran.err.matches(note).count() == 1, "{arguments:?}: {ran:?}");
        }
        for arguments in
            [&["event", "account/42", "account.paid"][..], &["task", "cancel", "task_2"], &["clock", "advance", "1 day"]]
        {
            let ran = self.run(arguments);
            assert_eq!(ran.exit, 7, "{arguments:?}: {ran:?}");
            assert!(ran.err.contains("error[HNC-0327]: the store was opened for reading only"), "{ran:?}");
            assert!(ran.err.contains("use an account that may write the file and its folder"), "{ran:?}");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // So that whoever runs the test can remove the folder.
        let _ = std::fs::set_permissions(self.folder.path(), Permissions::from_mode(0o755));
        let _ = std::fs::set_permissions(self.bin.path(), Permissions::from_mode(0o755));
    }
}

#[test]
fn a_store_in_a_folder_that_cannot_be_written_is_read() {
    let place = Place::new();
    permit(&place.store(), READ);
    permit(place.folder.path(), LIST);
    let before = std::fs::read(place.store()).unwrap();
    place.check_that_it_is_only_read();
    assert_eq!(std::fs::read(place.store()).unwrap(), before);
}

#[test]
fn a_file_that_cannot_be_written_is_read() {
    let place = Place::new();
    permit(&place.store(), READ);
    permit(place.folder.path(), 0o777);
    place.check_that_it_is_only_read();
}

#[test]
fn a_store_is_read_beside_the_engine_of_another_user() {
    let place = Place::new();
    let _engine = Engine::begin(&place.folder, &["serve"]);
    permit(&place.store(), READ);
    permit(place.folder.path(), LIST);
    place.check_that_it_is_only_read();
}

#[test]
fn changes_in_a_log_that_cannot_be_read_are_not_passed_over() {
    let place = Place::new();
    place.folder.write("hence.db-wal", "what somebody wrote last");
    permit(&place.store(), READ);
    permit(place.folder.path(), LIST);
    let ran = place.run(&["upcoming"]);
    assert_eq!(ran.exit, 7, "{ran:?}");
    assert!(ran.err.contains("cannot be read without writing beside it"), "{ran:?}");
    assert!(ran.err.contains("copy both files into a folder of your own"), "{ran:?}");
}
