//! What every command works with: the arguments that are the same for all, the configuration, the store and the clock to show times by.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use hence::core::calendar::Zone;
use hence::store::OpenMode;
use hence::{Client, Store};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::{Format, Global};
use crate::config::Config;
use crate::output::{self, Answer, Times};
use crate::problem::Problem;
use crate::store::Place;

/// One run of the command line.
pub(crate) struct Session {
    pub(crate) global: Global,
    config: OnceLock<Config>,
}

impl Session {
    pub(crate) fn new(global: Global) -> Self {
        Self { global, config: OnceLock::new() }
    }

    /// How the answer is to be written.
    pub(crate) fn format(&self) -> Format {
        if self.global.json { Format::Json } else { self.global.output.unwrap_or(Format::Table) }
    }

    /// Whether a person wants more columns.
    pub(crate) fn is_wide(&self) -> bool {
        self.format() == Format::Wide
    }

    /// Writes the answer for programs, where one is to read it; false where a person does.
    pub(crate) fn give(&self, answer: impl FnOnce() -> Answer) -> bool {
        let is_wanted = self.is_for_programs();
        if is_wanted {
            output::answer(self.format(), &answer());
        }
        is_wanted
    }

    /// Whether a program reads the answer.
    pub(crate) fn is_for_programs(&self) -> bool {
        !matches!(self.format(), Format::Table | Format::Wide)
    }

    /// The configuration, read once. Where the configured store is not there yet and `hence dev` has one, that one is meant.
    /// # Errors
    /// HNC-0320, HNC-0321.
    pub(crate) fn config(&self) -> Result<&Config, Problem> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let mut config = self.load()?;
        let development = development_store(&config);
        let is_meant = config.is_store_chosen && config.store.may_be_there();
        if self.global.store.is_none() && !is_meant && !config.is_default_there() && development.exists() {
            output::note(&format!("on the store of `hence dev`: {}", shorter(&development).display()));
            config.store = Place::File(development);
        }
        Ok(self.config.get_or_init(|| config))
    }

    /// Whether the store is the one of `hence dev`.
    pub(crate) fn is_on_development_store(&self) -> bool {
        self.config().is_ok_and(|config| config.store == Place::File(development_store(config)))
    }

    /// Lets `hence serve` work on the configured store and no other.
    /// # Errors
    /// HNC-0320, HNC-0321.
    pub(crate) fn use_configured_store(&self) -> Result<(), Problem> {
        self.keep(self.load()?);
        Ok(())
    }

    /// Lets `hence dev` work on a store of its own, `.hence/dev.db` beside the configuration, unless one was named with `--store`.
    /// # Errors
    /// HNC-0320, HNC-0321, or the folder cannot be made.
    pub(crate) fn use_development_store(&self) -> Result<(), Problem> {
        let mut config = self.load()?;
        if self.global.store.is_none() {
            let file = development_store(&config);
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder).map_err(|error| Problem::file("make", folder, &error))?;
            }
            config.store = Place::File(file);
        }
        self.keep(config);
        Ok(())
    }

    fn keep(&self, config: Config) {
        // Both callers are the first to ask for the configuration; if they were not, the one in use would stay.
        let _ = self.config.set(config);
    }

    fn load(&self) -> Result<Config, Problem> {
        let mut config = Config::load(self.global.config.as_deref())?;
        if let Some(url) = &self.global.store {
            config.store = Place::read(url, "--store")?;
        }
        Ok(config)
    }

    /// The given paths, or the configured ones.
    pub(crate) fn definition_paths(&self, given: &[PathBuf]) -> Result<Vec<PathBuf>, Problem> {
        if !given.is_empty() {
            return Ok(given.to_vec());
        }
        Ok(self.config()?.timelines.iter().map(|path| shorter(path)).collect())
    }

    /// The configured store.
    /// # Errors
    /// HNC-0327: it is not there, or cannot be opened.
    pub(crate) async fn store(&self, mode: OpenMode) -> Result<Arc<dyn Store>, Problem> {
        self.config()?.store.open(mode).await
    }

    /// A client of the store as it is.
    pub(crate) async fn client(&self) -> Result<Client, Problem> {
        self.client_in(OpenMode::Existing).await
    }

    /// A client of the store, which is made if it is not there.
    pub(crate) async fn client_or_new(&self) -> Result<Client, Problem> {
        self.client_in(OpenMode::Create).await
    }

    /// A client of the store; the configured one is made if it is not there, one that was named with `--store` has to be there.
    pub(crate) async fn client_of_configured_store(&self) -> Result<Client, Problem> {
        if self.global.store.is_some() || self.config()?.store.may_be_there() {
            return self.client().await;
        }
        output::note(&format!("made a new store: {}", self.config()?.store));
        self.client_or_new().await
    }

    pub(crate) async fn client_in(&self, mode: OpenMode) -> Result<Client, Problem> {
        let readers = self.config()?.readers()?;
        Ok(Client::open(self.store(mode).await?, readers, &actor()).await?)
    }

    /// How instants are written, seen from the store's now.
    /// # Errors
    /// HNC-0330: the zone is not known.
    pub(crate) fn times(&self, now: Timestamp) -> Result<Times, Problem> {
        let (zone, name) = (self.zone()?, self.global.tz.as_deref().unwrap_or("UTC"));
        // jiff has just found the zone under that name.
        let words = Zone::parse(name).unwrap_or_else(|_| Zone::utc());
        Ok(Times { now, zone, words, width: output::width(), is_wide: self.is_wide() })
    }

    /// The zone that local times are read and written in.
    pub(crate) fn zone(&self) -> Result<TimeZone, Problem> {
        let Some(name) = &self.global.tz else { return Ok(TimeZone::UTC) };
        TimeZone::get(name).map_err(|_| {
            Problem::usage("HNC-0330", format!("the zone `{name}` is not known")).help("name one as in `Europe/Oslo`")
        })
    }
}

/// The path as seen from the current folder, where it lies below.
fn shorter(path: &Path) -> PathBuf {
    let current = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&current).map_or_else(|_| path.to_owned(), PathBuf::from)
}

/// Where `hence dev` keeps its store.
fn development_store(config: &Config) -> PathBuf {
    config.folder.join(".hence").join("dev.db")
}

/// Who tells: kept in history.
fn actor() -> String {
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty() && user.len() <= 64);
    format!("cli:{}", user.as_deref().unwrap_or("unknown"))
}
