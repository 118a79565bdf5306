//! PostgreSQL: a server of our own in a temporary folder, on a free port of the loopback interface, and databases in it.
//!
//! [`Server::shared`] is one server for all processes of a test run, with a database for each test; [`Server::start`] is one for a single
//! test that stops it, fills its disk or cuts it off. Tests connect as the role `hence`, which owns its databases and is no superuser. Texts are
//! sorted by the rules of a language, not by bytes, so that a statement that forgets to say how it sorts is found. `fsync` is on.

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::process::{InUse, Place, User, remove, run, run_with};
use crate::{Error, failed};

/// How long the shared server stays when nobody uses it, in seconds: longer than the pause between two tests.
const SHARED_LINGER: u32 = 15;
/// How often another port is tried, because somebody else took the free one in between.
const PORT_TRIES: u32 = 10;
/// What every private server is told, beside what its options say.
const SETTINGS: [&str; 9] = [
    "unix_socket_directories=",
    "listen_addresses=127.0.0.1",
    "max_connections=300",
    "shared_buffers=128MB",
    "max_wal_size=2GB",
    "logging_collector=off",
    "log_min_messages=warning",
    "password_encryption=md5",
    // After a crash one call for the whole disk instead of one for each of a thousand files.
    "recovery_init_sync_method=syncfs",
];

/// How a server of one's own is set up.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// More settings for its command line, each `name=value`; they win over the defaults.
    pub settings: Vec<String>,
}

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Connections are closed, everything is written.
    Fast,
    /// As when power fails: nothing more is written, the next start recovers.
    Immediate,
}

/// A running server. One of your own stops when this is dropped or its process ends, the shared one when nobody uses it any more.
#[derive(Debug)]
pub struct Server {
    place: Place,
    programs: PathBuf,
    user: User,
    port: u16,
    password: String,
    settings: Vec<String>,
    is_shared: bool,
    templates: Mutex<BTreeSet<String>>,
    in_use: Option<InUse>,
}

/// A database in a server. It goes with its server.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Its address for the role `hence`, which owns it.
    pub url: String,
    /// Its address for the superuser.
    pub admin_url: String,
}

impl Server {
    /// The server that all processes of this user share, started by the first of them.
    /// # Errors
    /// PostgreSQL is not installed, or does not start.
    pub fn shared() -> Result<&'static Server, Error> {
        static SHARED: OnceLock<Server> = OnceLock::new();
        if let Some(server) = SHARED.get() {
            return Ok(server);
        }
        let owner = std::fs::metadata("/proc/self").map_err(failed("read /proc/self"))?;
        let uid = std::os::unix::fs::MetadataExt::uid(&owner);
        let place = Place::at(std::env::temp_dir().join(format!("hence-postgres-{uid}")))?;
        let server = Self::join(place)?;
        // Of two threads that come here at once one server object stays; both speak of the same server.
        Ok(SHARED.get_or_init(|| server))
    }

    /// A server for yourself alone.
    /// # Errors
    /// PostgreSQL is not installed, or does not start.
    pub fn start(options: &Options) -> Result<Server, Error> {
        let place = Place::at(std::env::temp_dir().join(format!("hence-postgres-own-{}", unique())))?;
        let mut server = Self::unstarted(place, false)?;
        server.settings.clone_from(&options.settings);
        server.begin()
    }

    /// Joins the server of that place, or starts it.
    fn join(place: Place) -> Result<Server, Error> {
        let lock = place.lock()?;
        let mut server = Self::unstarted(place, true)?;
        if let Some((port, password)) = server.address() {
            (server.port, server.password) = (port, password);
            if server.is_ready() {
                return server.watched();
            }
            // Whatever is there is dead, or was never finished.
            server.halt(Stop::Immediate).ok();
            remove(&server.data())?;
        }
        let server = server.begin()?;
        drop(lock);
        Ok(server)
    }

    fn unstarted(place: Place, is_shared: bool) -> Result<Server, Error> {
        Ok(Self {
            place,
            programs: programs()?,
            user: User::named("postgres")?,
            port: 0,
            password: secret()?,
            settings: Vec::new(),
            is_shared,
            templates: Mutex::default(),
            in_use: None,
        })
    }

    /// Makes the cluster and starts it.
    fn begin(mut self) -> Result<Server, Error> {
        remove(&self.data())?;
        self.user.make_folder(&self.run_folder())?;
        let password_file = self.place.folder.join("password");
        std::fs::write(&password_file, &self.password).map_err(failed("write the password"))?;
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&password_file, readable).map_err(failed("write the password"))?;
        let file = password_file.display().to_string();
        let options = ["--username=postgres", "--auth=md5", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"];
        let language = ["--locale-provider=icu", "--icu-locale=en-US"];
        let mut line = self.program("initdb");
        line.extend(options.iter().chain(&language).map(|option| (*option).to_owned()));
        line.extend([format!("--pwfile={file}"), format!("--pgdata={}", self.data().display())]);
        let made = run(&line);
        std::fs::remove_file(&password_file).map_err(failed("remove the password"))?;
        made?;
        self = self.watched()?;
        self.start_somewhere()?;
        self.psql(
            &self.admin_url("postgres"),
            &format!("create role hence login nosuperuser createdb password '{}'", self.password),
        )?;
        let address = self.place.folder.join("address");
        std::fs::write(&address, format!("{} {}", self.port, self.password)).map_err(failed("write the address"))?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&address, private).map_err(failed("write the address"))?;
        Ok(self)
    }

    fn start_somewhere(&mut self) -> Result<(), Error> {
        let mut last = Error::new("the server was not started");
        for _ in 0..PORT_TRIES {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
            self.port = free.map_err(failed("find a free port"))?.port();
            match self.start_again() {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let end: Vec<&str> = log.lines().rev().take(5).collect();
        Err(Error::new(format!("{last}; the server's log ends with: {}", end.into_iter().rev().collect::<Vec<_>>().join(" | "))))
    }

    /// Marks the server as used, and sees to it that somebody stops it when it no longer is.
    fn watched(mut self) -> Result<Server, Error> {
        self.in_use = Some(self.place.enter()?);
        let mut stop = self.program("pg_ctl");
        stop.extend(["stop", "--silent", "--mode=immediate", "--pgdata"].map(str::to_owned));
        stop.push(self.data().display().to_string());
        let (linger, gone) = if self.is_shared { (SHARED_LINGER, self.run_folder()) } else { (1, self.place.folder.clone()) };
        self.place.watch(linger, &gone, &stop)?;
        Ok(self)
    }

    /// Starts a server that was stopped, on the same port.
    /// # Errors
    /// It does not start.
    pub fn start_again(&self) -> Result<(), Error> {
        let settings = SETTINGS.iter().copied().chain(self.settings.iter().map(String::as_str));
        let options: Vec<String> = settings.map(|setting| format!("-c {setting}")).collect();
        let mut line = self.program("pg_ctl");
        line.extend(["start", "--silent", "--wait", "--timeout=60", "--pgdata"].map(str::to_owned));
        line.extend([self.data().display().to_string(), "--log".to_owned(), self.log().display().to_string()]);
        line.extend(["--options".to_owned(), format!("-p {} {}", self.port, options.join(" "))]);
        run(&line).map(|_| ())
    }

    /// Stops it; its data stay.
    /// # Errors
    /// It does not run.
    pub fn halt(&self, how: Stop) -> Result<(), Error> {
        let mode = match how {
            Stop::Fast => "--mode=fast",
            Stop::Immediate => "--mode=immediate",
        };
        let mut line = self.program("pg_ctl");
        line.extend(["stop", "--silent", "--wait", "--timeout=60", mode, "--pgdata"].map(str::to_owned));
        line.push(self.data().display().to_string());
        run(&line).map(|_| ())
    }

    /// A new empty database, owned by the role `hence`.
    /// # Errors
    /// The server refuses.
    pub fn new_database(&self) -> Result<Database, Error> {
        self.create(&format!("db_{}", unique()), "template0")
    }

    /// A new database that is a copy of what `make` made of an empty one; `make` runs once for each `key` and server.
    ///
    /// `key` is a word of lower-case letters, digits and `_` that changes whenever `make` would make something else.
    /// # Errors
    /// The server refuses, or `make` fails.
    pub fn new_database_like(&self, key: &str, make: impl FnOnce(&Database) -> Result<(), String>) -> Result<Database, Error> {
        let template = format!("like_{key}");
        let mut known = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&template) {
            let _lock = self.place.lock()?;
            let found = format!("select datistemplate from pg_database where datname = '{template}'");
            if self.psql(&self.admin_url("postgres"), &found)?.trim() != "t" {
                self.psql(&self.admin_url("postgres"), &format!("drop database if exists {template}"))?;
                let database = self.create(&template, "template0")?;
                make(&database).map_err(|error| Error::new(format!("the template {key} cannot be made: {error}")))?;
                self.psql(&self.admin_url("postgres"), &format!("alter database {template} with is_template true"))?;
            }
            known.insert(template.clone());
        }
        drop(known);
        self.create(&format!("db_{}", unique()), &template)
    }

    fn create(&self, name: &str, template: &str) -> Result<Database, Error> {
        let sql = format!("create database {name} owner hence template {template}");
        self.psql(&self.admin_url("postgres"), &sql)?;
        let url = format!("postgres://hence:{}@127.0.0.1:{}/{name}", self.password, self.port);
        Ok(Database { name: name.to_owned(), url, admin_url: self.admin_url(name) })
    }

    /// The address of a database for the superuser.
    pub fn admin_url(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// On which port of 127.0.0.1 it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Carries out SQL by `psql`; what it printed, a line for each row with `|` between columns.
    /// # Errors
    /// The server refuses or cannot be reached.
    pub fn psql(&self, url: &str, sql: &str) -> Result<String, Error> {
        let mut line = vec![self.programs.join("psql").display().to_string()];
        // Command lines can be read by everybody on the machine, environments cannot.
        let url = url.replace(&format!(":{}@", self.password), "@");
        line.extend(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &url, "-c", sql].map(str::to_owned));
        run_with(&line, &[("PGPASSWORD", &self.password)])
    }

    /// Where the server's programs are, such as `pg_basebackup`.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The folder of its data.
    pub fn data(&self) -> PathBuf {
        self.run_folder().join("data")
    }

    fn run_folder(&self) -> PathBuf {
        self.place.folder.join("run")
    }

    fn log(&self) -> PathBuf {
        self.run_folder().join("log")
    }

    fn program(&self, name: &str) -> Vec<String> {
        self.user.command(&self.programs.join(name))
    }

    /// Where a server of this place that was started before listens.
    fn address(&self) -> Option<(u16, String)> {
        let text = std::fs::read_to_string(self.place.folder.join("address")).ok()?;
        let (port, password) = text.split_once(' ')?;
        self.data().exists().then_some((port.parse().ok()?, password.to_owned()))
    }

    fn is_ready(&self) -> bool {
        self.psql(&self.admin_url("postgres"), "select 1").is_ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.is_shared {
            // The watch does the same where this fails.
            let _ = self.halt(Stop::Immediate);
            let _ = remove(&self.place.folder);
        }
    }
}

/// The folder with `initdb`, `pg_ctl` and the others: that of `HENCE_POSTGRES_BIN`, or the newest that Debian's packages installed.
fn programs() -> Result<PathBuf, Error> {
    if let Some(folder) = std::env::var_os("HENCE_POSTGRES_BIN") {
        return Ok(PathBuf::from(folder));
    }
    let releases = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = releases
        .map(|release| release.path().join("bin"))
        .filter(|folder| folder.join("initdb").is_file())
        .max_by_key(|folder| folder.iter().nth_back(1).and_then(|name| name.to_str()?.parse::<u32>().ok()));
    newest.ok_or_else(|| {
        Error::new(
            "PostgreSQL is not installed: install the package `postgresql`, or name the folder of `initdb` in HENCE_POSTGRES_BIN",
        )
    })
}

/// A text that no other process and no other call gives.
fn unique() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let random = RandomState::new().build_hasher().finish();
    format!("{}_{}_{random:016x}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed))
}

/// A new password.
fn secret() -> Result<String, Error> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).map_err(failed("read /dev/urandom"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
