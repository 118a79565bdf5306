//! What holds, and where it came from: the defaults, the file over them, the environment over both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{File, FileFormat, Source};
use hence::EngineOptions;
use serde_json::{Value, json};

use super::format::environment;
use crate::problem::Problem;

/// What stands in the place of a secret.
const MASK: &str = "(set, not shown)";

/// A key that holds.
pub(crate) struct Held {
    /// Such as `store.url`.
    pub(crate) key: String,
    /// Its value; secrets are masked.
    pub(crate) value: Value,
    /// Where it came from.
    pub(crate) origin: Origin,
}

/// Where a value came from.
pub(crate) enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Variable(name) => f.write_str(name),
        }
    }
}

/// Every key that holds, in the order of the keys.
pub(super) fn all(file: Option<&Path>, text: Option<&str>) -> Result<Vec<Held>, Problem> {
    let problem = |error: config::ConfigError| Problem::usage("HNC-0320", error.to_string());
    let mut held: BTreeMap<String, (Value, Origin)> = BTreeMap::new();
    for (key, value) in defaults() {
        held.insert(key.to_owned(), (value, Origin::Default));
    }
    if let (Some(file), Some(text)) = (file, text) {
        let given = File::from_str(text, FileFormat::Toml).collect().map_err(problem)?;
        add(&mut held, given, |_| Origin::File(file.to_owned()));
    }
    let given = environment(std::env::vars()).collect().map_err(problem)?;
    add(&mut held, given, |key| Origin::Variable(format!("HENCE_{}", key.to_uppercase().replace('.', "__"))));
    // Without the section itself, a default below it says nothing.
    let has_mail = held.contains_key("mail.url");
    held.retain(|key, _| has_mail || key != "mail.templates");
    Ok(held.into_iter().map(|(key, (value, origin))| Held { value: masked(&key, value), key, origin }).collect())
}

fn defaults() -> [(&'static str, Value); 9] {
    let engine = EngineOptions::default();
    let seconds = |span: std::time::Duration| json!(format!("{}s", span.as_secs()));
    [
        ("store.url", json!("sqlite:hence.db")),
        ("timelines.paths", json!(["timelines"])),
        ("mail.templates", json!("templates")),
        ("engine.attempts_max", json!(engine.attempts_max)),
        ("engine.slow_attempts_max", json!("a quarter of attempts_max")),
        ("engine.catch_up_per_second", json!(engine.catch_up_per_second)),
        ("engine.renew", seconds(engine.timing.renew)),
        ("engine.lease", seconds(engine.timing.lease)),
        ("engine.takeover", seconds(engine.timing.takeover)),
    ]
}

fn add(
    held: &mut BTreeMap<String, (Value, Origin)>,
    given: config::Map<String, config::Value>,
    origin: impl Fn(&str) -> Origin + Copy,
) {
    for (key, value) in given {
        // What was read as a configuration can be said as JSON.
        let value = value.try_deserialize::<Value>().unwrap_or_default();
        leaves(&key, value, &mut |key, value| {
            let origin = origin(&key);
            held.insert(key, (value, origin));
        });
    }
}

fn leaves(path: &str, value: Value, found: &mut impl FnMut(String, Value)) {
    match value {
        Value::Object(fields) => fields.into_iter().for_each(|(key, value)| leaves(&format!("{path}.{key}"), value, found)),
        value => found(path.to_owned(), value),
    }
}

/// The value as it may be shown: no secret, and no password within an address.
fn masked(key: &str, value: Value) -> Value {
    if matches!(key.rsplit('.').next(), Some("secret" | "password")) {
        return json!(MASK);
    }
    match value {
        Value::String(text) => json!(without_password(&text)),
        value => value,
    }
}

/// `scheme://user:password@host` with the password masked.
fn without_password(text: &str) -> String {
    let masked = || {
        let (scheme, rest) = text.split_once("://")?;
        // The driver of PostgreSQL also takes a password with characters that end the login elsewhere.
        let end = match scheme {
            "postgres" | "postgresql" => rest.len(),
            _ => rest.find('/').unwrap_or(rest.len()),
        };
        let (login, host) = rest[..end].rsplit_once('@')?;
        let (user, _) = login.split_once(':')?;
        Some(format!("{scheme}://{user}:…@{host}{}", &rest[end..]))
    };
    masked().unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    //! Goal: no password is shown. Method: addresses.
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(without_password(text), expected);
    }

    #[test]
    fn passwords_in_addresses_are_masked() {
        check("postgres://anna:s3:cr@t@db.example:5432/app", "postgres://anna:…@db.example:5432/app");
        check("postgres://anna@db.example/app", "postgres://anna@db.example/app");
        check("postgres://anna:a/b@db.example/app", "postgres://anna:…@db.example/app");
        check("https://app.example.com/a:b@c", "https://app.example.com/a:b@c");
        check("sqlite:hence.db", "sqlite:hence.db");
    }
}
