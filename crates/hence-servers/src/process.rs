//! Processes: running a program as somebody who is not root, and the folder of a server with its watch.
//!
//! A server that is shared between processes lives in a folder with three locks of the operating system, which end with the process
//! that holds them: `start` (held while a server is started or stopped), `users` (held shared by everybody who uses it) and `watch`
//! (held by the process that stops the server once nobody has held `users` for a while).

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Error, failed};

/// Waits until nobody has held `users` for `$2` seconds, then runs `$4…` as the server's user and removes the folder `$3`.
const WATCH: &str = r#"
exec 9>"$1/watch.lock"
flock --nonblock 9 || exit 0
idle=0
folder=$1; linger=$2; gone=$3; shift 3
while :; do
    sleep 1
    [ -d "$folder" ] || exit 0
    idle=$((idle + 1))
    flock --nonblock --exclusive "$folder/users.lock" true || idle=0
    if [ "$idle" -ge "$linger" ]; then
        exec 8>"$folder/start.lock"
        flock 8
        if flock --nonblock --exclusive "$folder/users.lock" true; then
            "$@"
            rm -rf "$gone"
            exit 0
        fi
        exec 8>&-
        idle=0
    fi
done
"#;

/// As whom servers run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum User {
    /// As whoever runs this.
    Ourselves,
    /// As this user and group, because we are root and servers refuse that.
    Other { uid: u32, gid: u32 },
}

impl User {
    /// Ourselves, unless that is root; then the user of that name.
    pub(crate) fn named(name: &str) -> Result<Self, Error> {
        let own = std::fs::metadata("/proc/self").map_err(failed("read /proc/self"))?.uid();
        if own != 0 {
            return Ok(Self::Ourselves);
        }
        let users = std::fs::read_to_string("/etc/passwd").map_err(failed("read /etc/passwd"))?;
        let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name);
        let number = |fields: &[&str], index: usize| fields.get(index).and_then(|text| text.parse().ok());
        let found = fields.and_then(|fields| Some(Self::Other { uid: number(&fields, 2)?, gid: number(&fields, 3)? }));
        found.ok_or_else(|| Error::new(format!("we are root, and there is no user `{name}` to run the server as")))
    }

    /// The beginning of a command line that runs a program as this user.
    pub(crate) fn command(&self, program: &Path) -> Vec<String> {
        let program = program.display().to_string();
        match self {
            User::Ourselves => vec![program],
            User::Other { uid, gid } => {
                vec!["setpriv".into(), format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into(), program]
            }
        }
    }

    /// Makes the folder, owned by this user and readable by nobody else.
    pub(crate) fn make_folder(&self, path: &Path) -> Result<(), Error> {
        std::fs::create_dir_all(path).map_err(failed(format!("make {}", path.display())))?;
        if let User::Other { uid, gid } = self {
            chown(path, Some(*uid), Some(*gid)).map_err(failed(format!("give away {}", path.display())))?;
        }
        Ok(())
    }
}

/// Runs the command line to its end; its output, or an error with what it said.
pub(crate) fn run(line: &[String]) -> Result<String, Error> {
    run_with(line, &[])
}

/// As [`run`], with more variables in the environment.
pub(crate) fn run_with(line: &[String], variables: &[(&str, &str)]) -> Result<String, Error> {
    let (program, arguments) = line.split_first().ok_or_else(|| Error::new("there is no command"))?;
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().copied()).current_dir("/").stdin(Stdio::null());
    let ran = command.output();
    let output = ran.map_err(failed(format!("run {program}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    // Arguments can hold a password, so that only the program is named.
    let name = line.iter().find(|part| part.contains("/bin/")).unwrap_or(program);
    Err(Error::new(format!("{name} ended with {}: {}", output.status, String::from_utf8_lossy(&said).trim())))
}

/// The folder of a server and its locks.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
}

/// Says to the watch that the server is in use, for as long as it is kept.
#[derive(Debug)]
pub(crate) struct InUse {
    _lock: File,
}

impl Place {
    /// The folder, which is made if it is not there. Others may pass through it, as the server's user must.
    pub(crate) fn at(folder: PathBuf) -> Result<Self, Error> {
        std::fs::create_dir_all(&folder).map_err(failed(format!("make {}", folder.display())))?;
        Ok(Self { folder })
    }

    /// Holds the lock `start` for as long as the result is kept.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let lock = self.file("start")?;
        lock.lock().map_err(failed("lock the server's folder"))?;
        Ok(lock)
    }

    /// Notes a user of the server. Ask for it under the lock `start`, or the watch may stop the server meanwhile.
    pub(crate) fn enter(&self) -> Result<InUse, Error> {
        let lock = self.file("users")?;
        lock.lock_shared().map_err(failed("lock the server's folder"))?;
        Ok(InUse { _lock: lock })
    }

    /// Begins the watch unless there is one: once unused for `linger` seconds it runs `stop` and removes `gone`.
    pub(crate) fn watch(&self, linger: u32, gone: &Path, stop: &[String]) -> Result<(), Error> {
        if let Ok(free) = self.file("watch")?.try_lock() {
            let () = free;
            let paths = [self.folder.display().to_string(), linger.to_string(), gone.display().to_string()];
            let begun = Command::new("setsid")
                .args(["--fork", "sh", "-c", WATCH, "hence-servers-watch"])
                .args(paths)
                .args(stop)
                .current_dir("/")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            begun.map_err(failed("begin the watch of the server"))?;
        }
        Ok(())
    }

    fn file(&self, name: &str) -> Result<File, Error> {
        let path = self.folder.join(format!("{name}.lock"));
        let opened = File::options().create(true).truncate(false).write(true).open(&path);
        opened.map_err(failed(format!("open {}", path.display())))
    }
}

/// Removes a folder; that it is gone already is fine.
pub(crate) fn remove(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(format!("remove {}", folder.display()))(error)),
        _ => Ok(()),
    }
}
