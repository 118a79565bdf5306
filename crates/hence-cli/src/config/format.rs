//! The keys of `hence.toml` as they are read, with a suggestion for each key that is not known.

use std::collections::{BTreeMap, HashMap};
use std::num::{NonZeroU32, NonZeroUsize};

use config::{Environment, File, FileFormat};
use serde::Deserialize;
use serde_json::Value;

use crate::input::suggestion;
use crate::problem::Problem;

/// The keys of each section; `*` stands for any name.
const KEYS: &[(&str, &[&str])] = &[
    ("", &["store", "timelines", "targets", "sources", "mail", "engine"]),
    ("store", &["url"]),
    ("timelines", &["paths"]),
    ("targets", &["*"]),
    ("targets.*", &["url", "secret", "secret_file", "allow_private", "timeout"]),
    ("sources", &["*"]),
    ("sources.*", &["url"]),
    ("mail", &["url", "from", "templates", "user", "password", "password_file"]),
    ("engine", &["attempts_max", "slow_attempts_max", "catch_up_per_second", "renew", "lease", "takeover"]),
];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    pub(super) store: Store,
    pub(super) timelines: Timelines,
    pub(super) targets: BTreeMap<String, Target>,
    pub(super) sources: BTreeMap<String, Source>,
    pub(super) mail: Option<Mail>,
    pub(super) engine: Engine,
}

/// Where everything is kept unless something else is said.
pub(super) const STORE_DEFAULT: &str = "sqlite:hence.db";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Store {
    pub(super) url: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Timelines {
    pub(super) paths: Vec<String>,
}

impl Default for Timelines {
    fn default() -> Self {
        Self { paths: vec!["timelines".to_owned()] }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) secret: Option<String>,
    pub(super) secret_file: Option<String>,
    #[serde(default)]
    pub(super) allow_private: bool,
    pub(super) timeout: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Source {
    pub(super) url: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Mail {
    pub(super) url: String,
    pub(super) from: String,
    pub(super) templates: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) password_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Engine {
    pub(super) attempts_max: Option<NonZeroUsize>,
    pub(super) slow_attempts_max: Option<NonZeroUsize>,
    pub(super) catch_up_per_second: Option<NonZeroU32>,
    pub(super) renew: Option<String>,
    pub(super) lease: Option<String>,
    pub(super) takeover: Option<String>,
}

impl Settings {
    /// Reads the file's text and the environment over it; `name` is how problems call the place.
    pub(super) fn read(
        text: Option<&str>,
        variables: impl Iterator<Item = (String, String)>,
        name: &str,
    ) -> Result<Self, Problem> {
        let problem = |error: &dyn std::fmt::Display| Problem::usage("HNC-0320", format!("{name}: {error}"));
        let environment = environment(variables);
        let mut builder = config::Config::builder();
        if let Some(text) = text {
            builder = builder.add_source(File::from_str(text, FileFormat::Toml));
        }
        let merged = builder.add_source(environment).build().map_err(|error| problem(&error))?;
        let tree: Value = merged.clone().try_deserialize().map_err(|error| problem(&error))?;
        check_keys("", "", &tree, name)?;
        merged.try_deserialize().map_err(|error| problem(&error).help("docs/reference/configuration.md lists every key"))
    }
}

/// The keys that variables give.
pub(super) fn environment(variables: impl Iterator<Item = (String, String)>) -> Environment {
    // Other `HENCE_…` variables, such as HENCE_CONFIG, are arguments of the command line.
    let ours: HashMap<String, String> = variables.filter(|(key, _)| key.starts_with("HENCE_") && key.contains("__")).collect();
    Environment::with_prefix("HENCE").prefix_separator("_").separator("__").try_parsing(true).source(Some(ours))
}

/// Refuses the first key that is not known, below `path`; `section` is the path with names as `*`.
fn check_keys(section: &str, path: &str, tree: &Value, name: &str) -> Result<(), Problem> {
    let Some((_, known)) = KEYS.iter().find(|(known, _)| *known == section) else { return Ok(()) };
    let join = |left: &str, right: &str| if left.is_empty() { right.to_owned() } else { format!("{left}.{right}") };
    for (key, value) in tree.as_object().into_iter().flatten() {
        let is_any = known == &["*"];
        if !is_any && !known.contains(&key.as_str()) {
            let problem = Problem::usage("HNC-0321", format!("{name}: `{}` is not known", join(path, key)));
            return Err(problem.help(suggestion(key, known)));
        }
        // The library would take `"yes"` and `1` for true; what opens a network has to be said plainly.
        if key == "allow_private" && !value.is_boolean() {
            let problem = format!("{name}: `{}` is {value}, which is neither true nor false", join(path, key));
            return Err(Problem::usage("HNC-0320", problem).help("write it without quotes"));
        }
        check_keys(&join(section, if is_any { "*" } else { key }), &join(path, key), value, name)?;
    }
    Ok(())
}
