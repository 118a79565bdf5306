//! Mail templates: files in one folder, in the Jinja language.
//!
//! Owns: reading and compiling all of them when the process starts, the `Subject:` line, rendering within limits.
//! Leaves to others: who gets the mail, encoding.
//!
//! `NAME.txt` is the text, `NAME.html` the HTML form of mail `NAME`; one of them is needed. The first line of the
//! first of them may be `Subject: …`, itself a template. All files can include one another by file name, and nothing
//! outside the folder. Values are never read as templates, and are escaped in HTML.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::json;

use crate::port::{Attempt, Problem};

/// Steps of one rendering.
const FUEL: u64 = 100_000;
/// Includes and blocks inside one another.
const DEPTH_MAX: usize = 32;
/// Longest rendered part, in bytes.
const OUTPUT_BYTES_MAX: usize = 1_000_000;
/// Longest template file, in bytes, and most of them.
const FILE_BYTES_MAX: u64 = 256 * 1024;
const FILES_MAX: usize = 500;

/// The code of a template that cannot be filled in.
const FAILED: &str = "template-failed";

/// What a rendered mail says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Bodies {
    pub(crate) text: Option<String>,
    pub(crate) html: Option<String>,
}

/// A rendered mail.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) subject: Option<String>,
    pub(crate) bodies: Bodies,
}

/// Which files a mail has.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    subject: bool,
    text: bool,
    html: bool,
}

/// All mail templates of a folder, compiled.
pub struct Templates {
    environment: Environment<'static>,
    parts: BTreeMap<String, Parts>,
}

impl Templates {
    /// Reads and compiles a folder.
    ///
    /// # Errors
    /// Every file that cannot be used, with its line.
    pub fn load(folder: &Path) -> Result<Templates, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut templates = Templates { environment: environment(), parts: BTreeMap::new() };
        match files(folder) {
            Ok(files) => {
                for (name, file) in files {
                    match file {
                        Ok(source) => templates.add(&name, &source, &mut problems),
                        Err(why) => problems.push(Problem::new("bad-template", format!("template `{name}`: {why}"))),
                    }
                }
            }
            Err(error) => {
                let text = format!("cannot read the folder of mail templates `{}`: {error}", folder.display());
                problems.push(Problem::new("no-templates", text));
            }
        }
        if problems.is_empty() { Ok(templates) } else { Err(problems) }
    }

    /// The names of the mails, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.keys().map(String::as_str)
    }

    /// Every name that the files of a mail use and no payload of this form has, by file; not those of files that they include.
    pub fn unknown_names(&self, mail: &str, payload: &serde_json::Value) -> Vec<Problem> {
        let Some(parts) = self.parts.get(mail) else { return Vec::new() };
        let known = known_names(payload, json!({}));
        // The subject is the first line of the first file.
        let first = if parts.text { "txt" } else { "html" };
        let files = [(parts.subject, "subject", first), (parts.text, "txt", "txt"), (parts.html, "html", "html")];
        let there = files.into_iter().filter(|(is_there, ..)| *is_there);
        let unknown =
            there.filter_map(|(_, part, end)| Some((unknown_in(&self.environment, &format!("{mail}.{part}"), &known)?, end)));
        unknown.map(|(what, end)| Problem::new(FAILED, format!("mail template `{mail}.{end}`: {what}"))).collect()
    }

    /// Whether a mail brings a subject of its own.
    pub(crate) fn has_subject(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.parts(name)?.subject)
    }

    /// Renders a mail for an attempt.
    pub(crate) fn render(&self, name: &str, attempt: &Attempt) -> Result<Rendered, Problem> {
        let parts = self.parts(name)?;
        let context = context(attempt);
        let part = |is_there: bool, end: &str| is_there.then(|| self.render_file(&format!("{name}.{end}"), &context)).transpose();
        Ok(Rendered {
            subject: part(parts.subject, "subject")?,
            bodies: Bodies { text: part(parts.text, "txt")?, html: part(parts.html, "html")? },
        })
    }

    fn parts(&self, name: &str) -> Result<Parts, Problem> {
        self.parts.get(name).copied().ok_or_else(|| {
            let known: Vec<&str> = self.names().collect();
            Problem::new("no-template", format!("mail template `{name}` does not exist; known are: {}", known.join(", ")))
        })
    }

    fn add(&mut self, file: &str, source: &str, problems: &mut Vec<Problem>) {
        let Some((name, end)) = file.rsplit_once('.') else { return };
        // The text comes before the HTML, as `files` sorts it to, so the first of both has the subject.
        let parts = self.parts.entry(name.to_owned()).or_default();
        let mut body = source.to_owned();
        if let Some((subject, rest)) = subject_line(source) {
            // The line and the empty ones below stay, as a comment that renders to nothing: line numbers stay true.
            let text = rest.trim_start_matches(['\r', '\n']);
            let empty_lines = rest[..rest.len() - text.len()].matches('\n').count();
            body = format!("{{#{} -#}}\n{text}", "\n".repeat(empty_lines));
            if !parts.subject {
                parts.subject = true;
                if let Err(error) = self.environment.add_template_owned(format!("{name}.subject"), subject.to_owned()) {
                    problems.push(problem_of(&error, &format!("{name}.{end}"), |_| None));
                }
            }
        }
        match end {
            "txt" => parts.text = true,
            _ => parts.html = true,
        }
        if let Err(error) = self.environment.add_template_owned(file.to_owned(), body) {
            problems.push(problem_of(&error, file, |_| None));
        }
    }

    fn render_file(&self, file: &str, context: &Names) -> Result<String, Problem> {
        let problem = |error: Error| problem_of(&error, file, |name| unknown_in(&self.environment, name, context));
        let template = self.environment.get_template(file).map_err(problem)?;
        let mut output = Limited(Vec::new());
        template.render_captured_to(Value::from(Serde(context)), &mut output).map_err(problem)?;
        String::from_utf8(output.0).map_err(|_| Problem::new(FAILED, format!("mail template `{file}` gave no text")))
    }
}

/// The regular files of a folder that are templates, in order, each with its text or why it has none.
#[allow(clippy::type_complexity)]
fn files(folder: &Path) -> io::Result<Vec<(String, Result<String, String>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !(name.ends_with(".txt") || name.ends_with(".html")) || name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type()?;
        let text = if !kind.is_file() {
            Err("is no plain file; links and folders are not followed".to_owned())
        } else if entry.metadata()?.len() > FILE_BYTES_MAX {
            Err(format!("is longer than {FILE_BYTES_MAX} bytes"))
        } else {
            fs::read_to_string(entry.path()).map_err(|error| error.to_string())
        };
        files.push((name, text));
        if files.len() > FILES_MAX {
            return Err(io::Error::other(format!("there are more than {FILES_MAX} templates")));
        }
    }
    files.sort_by_key(|(name, _)| (name.ends_with(".html"), name.clone()));
    Ok(files)
}

/// A first line `Subject: …`, and what follows it.
fn subject_line(source: &str) -> Option<(&str, &str)> {
    let (first, rest) = source.split_once('\n').unwrap_or((source, ""));
    let subject = first.strip_prefix("Subject:")?;
    Some((subject.trim(), rest))
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH_MAX);
    // Debug information would repeat values in errors.
    environment.set_debug(false);
    environment.set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
    environment
}

/// What a template can name.
type Names = serde_json::Map<String, serde_json::Value>;

fn context(attempt: &Attempt) -> Names {
    let hence = json!({
        "task": attempt.task,
        "entity_type": attempt.entity_type,
        "entity_id": attempt.entity_id,
        "timeline": attempt.timeline,
        "step": attempt.step,
        "occurrence": attempt.occurrence,
        "due": attempt.due_at.to_string(),
        "attempt": attempt.attempt,
    });
    known_names(&attempt.payload, hence)
}

/// The payload's own fields; each group of its facts by its own name too, where no field has that; and `hence` for the task.
fn known_names(payload: &serde_json::Value, hence: serde_json::Value) -> Names {
    let mut names = payload.as_object().cloned().unwrap_or_default();
    if let Some(serde_json::Value::Object(groups)) = payload.get("facts") {
        for (group, fields) in groups {
            names.entry(group).or_insert_with(|| fields.clone());
        }
    }
    names.insert("hence".to_owned(), hence);
    names
}

/// The names that a file uses and that are not among these, in words. What stands below a plain value is not looked at.
fn unknown_in(environment: &Environment<'_>, file: &str, known: &Names) -> Option<String> {
    let template = environment.get_template(file).ok()?;
    let is_known = |name: &String| {
        let mut parts = name.split('.');
        let first = parts.next().unwrap_or_default();
        let mut at = known.get(first);
        for part in parts {
            match at {
                // Without fields the object stands for one whose fields are not known.
                Some(serde_json::Value::Object(fields)) if !fields.is_empty() => at = fields.get(part),
                _ => break,
            }
        }
        at.is_some() || environment.globals().any(|(global, _)| global == first)
    };
    let mut unknown: Vec<String> = template.undeclared_variables(true).into_iter().filter(|name| !is_known(name)).collect();
    unknown.sort();
    let words = unknown.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let known = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    (!unknown.is_empty()).then(|| format!("{words} is not known here; known are: {known}"))
}

/// What is wrong, and where; never the values it went wrong with. `unknown` says which names of a file are not known.
fn problem_of(error: &Error, file: &str, unknown: impl Fn(&str) -> Option<String>) -> Problem {
    let name = match error.name() {
        Some(name) if !name.ends_with(".subject") => name,
        _ => file,
    };
    let place = error.line().map_or_else(String::new, |line| format!(", line {line}"));
    let what = match error.kind() {
        // While a template is compiled there are no values yet that a detail could repeat.
        ErrorKind::SyntaxError => format!("syntax error: {}", error.detail().unwrap_or("not understood")),
        ErrorKind::UndefinedError => unknown(name).unwrap_or_else(|| "uses a name that is not defined here".to_owned()),
        ErrorKind::OutOfFuel => format!("needs more than {FUEL} steps"),
        ErrorKind::WriteFailure => format!("gives more than {OUTPUT_BYTES_MAX} bytes"),
        ErrorKind::TemplateNotFound => "includes a template that does not exist in its folder".to_owned(),
        kind => kind.to_string(),
    };
    Problem::new(FAILED, format!("mail template `{name}`{place}: {what}"))
}

/// A buffer that is full at [`OUTPUT_BYTES_MAX`].
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_BYTES_MAX {
            return Err(io::Error::other("full"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "templates_tests.rs"]
mod tests;
