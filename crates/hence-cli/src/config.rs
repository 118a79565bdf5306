//! The configuration: `hence.toml`, found upward from the current folder, overridden by `HENCE_…` in the environment.
//!
//! Invariants: an unknown key is an error with a suggestion; paths are relative to the file (to the current folder where there is none);
//! secrets stand in the file or, better, in a file of their own, and never enter a message. `HENCE_STORE__URL` is `[store] url`.

mod format;
mod held;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hence::dispatch::{HttpFacts, MailServer, Secret, WebhookTarget, Webhooks};
use hence::{EngineOptions, FactReaders, PostgresReader, SqliteReader};

pub(crate) use held::Held;

use crate::problem::{Exit, Problem};
use crate::store::Place;

/// The file's name.
pub(crate) const FILE_NAME: &str = "hence.toml";

/// What is configured, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// The file it came from; `None` where defaults hold.
    pub(crate) file: Option<PathBuf>,
    /// What relative paths are relative to.
    pub(crate) folder: PathBuf,
    pub(crate) store: Place,
    /// Whether the configuration itself says which store, and not a default or `DATABASE_URL`.
    pub(crate) is_store_chosen: bool,
    pub(crate) timelines: Vec<PathBuf>,
    pub(crate) targets: Vec<WebhookTarget>,
    pub(crate) sources: BTreeMap<String, Place>,
    pub(crate) mail: Option<MailServer>,
    /// Where templates are, also where no mail server is configured.
    pub(crate) templates: PathBuf,
    pub(crate) engine: EngineOptions,
}

impl Config {
    /// Reads the given file, or the nearest one upward from the current folder, or takes the defaults.
    /// # Errors
    /// HNC-0320: it cannot be read, a key is not known, or a value does not fit.
    pub(crate) fn load(given: Option<&Path>) -> Result<Self, Problem> {
        let Source { file, folder, text } = Source::find(given)?;
        let name = file.as_deref().map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
        let settings = format::Settings::read(text.as_deref(), std::env::vars(), &name)?;
        settings.checked(file, folder, database_url().as_deref())
    }

    /// Every key that holds, in the order of the keys, secrets masked; refuses what [`Config::load`] refuses.
    /// # Errors
    /// HNC-0320, HNC-0321.
    pub(crate) fn held(given: Option<&Path>) -> Result<Vec<Held>, Problem> {
        Self::load(given)?;
        let Source { file, text, .. } = Source::find(given)?;
        held::all(file.as_deref(), text.as_deref())
    }

    /// Whether the store is a default's, `hence.db`, and there.
    pub(crate) fn is_default_there(&self) -> bool {
        matches!(&self.store, Place::File(path) if path.exists())
    }

    /// Where facts are read.
    /// # Errors
    /// HNC-0329: a target is not allowed.
    pub(crate) fn readers(&self) -> Result<FactReaders, Problem> {
        let mut readers = FactReaders::default().with_http(HttpFacts::new(&self.webhooks()?));
        for (name, place) in &self.sources {
            readers = match place {
                Place::File(path) => readers.with_database(name, Arc::new(SqliteReader::new(path))),
                Place::Database(url) => readers.with_database(name, Arc::new(PostgresReader::new(url)?)),
            };
        }
        Ok(readers)
    }

    /// The targets, ready to be sent to.
    /// # Errors
    /// HNC-0329: a target is not allowed.
    pub(crate) fn webhooks(&self) -> Result<Webhooks, Problem> {
        Webhooks::new(&self.targets, None).map_err(|problem| {
            Problem::new("HNC-0329", problem.message(), Exit::Usage).help(format!("mend `[targets]` in {}", self.place()))
        })
    }

    /// The file, or where one would be.
    pub(crate) fn place(&self) -> String {
        self.file.clone().unwrap_or_else(|| self.folder.join(FILE_NAME)).display().to_string()
    }
}

/// The file, found and read; no text where there is none.
struct Source {
    file: Option<PathBuf>,
    folder: PathBuf,
    text: Option<String>,
}

impl Source {
    fn find(given: Option<&Path>) -> Result<Self, Problem> {
        let current = std::env::current_dir().map_err(|error| Problem::file("find", Path::new("."), &error))?;
        let file = match given {
            Some(path) => Some(current.join(path)),
            None => current.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file()),
        };
        let folder = file.as_deref().and_then(Path::parent).unwrap_or(&current).to_owned();
        let text = match &file {
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                Problem::file("read", path, &error).help("name another with `--config FILE`, or begin with `hence init`")
            })?),
            None => None,
        };
        Ok(Self { file, folder, text })
    }
}

impl format::Settings {
    fn checked(self, file: Option<PathBuf>, folder: PathBuf, database_url: Option<&str>) -> Result<Config, Problem> {
        let below = |path: &str| folder.join(path);
        let is_store_chosen = self.store.url.is_some();
        let url = self.store.url.as_deref().or(database_url).unwrap_or(format::STORE_DEFAULT);
        let store = Place::read(url, "store.url")?.below(&folder);
        let mut targets = Vec::new();
        for (name, target) in &self.targets {
            let mut checked = WebhookTarget::new(name, &target.url);
            checked.secrets = secret(&target.secret, &target.secret_file, &folder)?.into_iter().collect();
            checked.allow_private = target.allow_private;
            // Within a private network, plain HTTP is what one has; towards the public one it stays refused.
            checked.allow_http = target.allow_private;
            checked.timeout = target.timeout.as_deref().map(|text| span(text, &format!("targets.{name}.timeout"))).transpose()?;
            targets.push(checked);
        }
        let mut sources = BTreeMap::new();
        for (name, source) in &self.sources {
            let place = Place::read(&source.url, &format!("sources.{name}.url"))?;
            sources.insert(name.clone(), place.below(&folder));
        }
        let templates = below(self.mail.as_ref().and_then(|mail| mail.templates.as_deref()).unwrap_or("templates"));
        let mail = match &self.mail {
            None => None,
            Some(mail) => Some(MailServer {
                url: mail.url.clone(),
                login: match (&mail.user, secret(&mail.password, &mail.password_file, &folder)?) {
                    (Some(user), Some(password)) => Some((user.clone(), password)),
                    (None, None) => None,
                    _ => return Err(problem("`mail.user` and `mail.password_file` belong together")),
                },
                from: mail.from.clone(),
                templates: templates.clone(),
                roots_pem: None,
            }),
        };
        let mut engine = EngineOptions::default();
        if let Some(attempts) = self.engine.attempts_max {
            engine.attempts_max = attempts.get();
        }
        engine.slow_attempts_max = self.engine.slow_attempts_max.map(std::num::NonZero::get);
        if let Some(rate) = self.engine.catch_up_per_second {
            engine.catch_up_per_second = rate.get();
        }
        // A process that hangs must not keep its shards from others.
        engine.abort_when_stuck = true;
        let timing = &mut engine.timing;
        for (given, key, into) in [
            (&self.engine.renew, "engine.renew", &mut timing.renew),
            (&self.engine.lease, "engine.lease", &mut timing.lease),
            (&self.engine.takeover, "engine.takeover", &mut timing.takeover),
        ] {
            if let Some(text) = given {
                *into = span(text, key)?;
            }
        }
        let timelines = self.timelines.paths.iter().map(|path| folder.join(path)).collect();
        Ok(Config { file, store, is_store_chosen, timelines, targets, sources, mail, templates, engine, folder })
    }
}

/// The address that many surroundings give by `DATABASE_URL`; only PostgreSQL's is meant for us.
fn database_url() -> Option<String> {
    std::env::var("DATABASE_URL").ok().filter(|url| url.starts_with("postgres://") || url.starts_with("postgresql://"))
}

/// The file that `sqlite:PATH` names.
pub(crate) fn database(url: &str, key: &str) -> Result<PathBuf, Problem> {
    match url.strip_prefix("sqlite:") {
        Some("") => Err(problem(format!("`{key}` names no file")).help("write it as `sqlite:hence.db`")),
        Some(path) => Ok(PathBuf::from(path.strip_prefix("//").unwrap_or(path))),
        None => Err(problem(format!("`{key}` is not an address that this release knows"))
            .help("write it as `sqlite:hence.db` or `postgres://user@host/database`")),
    }
}

fn secret(plain: &Option<String>, file: &Option<String>, folder: &Path) -> Result<Option<Secret>, Problem> {
    match (plain, file) {
        (Some(_), Some(_)) => Err(problem("a secret is given twice: in the configuration and as a file")),
        (Some(text), None) => Ok(Some(Secret::new(text))),
        (None, Some(path)) => {
            let path = folder.join(path);
            let text = std::fs::read_to_string(&path).map_err(|error| Problem::file("read the secret in", &path, &error))?;
            Ok(Some(Secret::new(text.trim())))
        }
        (None, None) => Ok(None),
    }
}

fn span(text: &str, key: &str) -> Result<Duration, Problem> {
    let parsed = hence::core::value::parse_duration(text).and_then(|span| Duration::try_from(span).ok());
    parsed.filter(|span| !span.is_zero()).ok_or_else(|| {
        problem(format!("`{key}` is `{text}`, which is not a span of time")).help("write it as `10s` or `2 minutes`")
    })
}

fn problem(message: impl Into<String>) -> Problem {
    Problem::usage("HNC-0320", message)
}
