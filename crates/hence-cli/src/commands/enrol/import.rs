//! Enrolling from a file: every row is checked before the first one is written.
//!
//! Invariant: unless `--partial` was given, one bad row means that nothing is written.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use hence::core::definition::Definition;
use hence::core::name::{EntityKey, Name};
use hence::core::value::{Facts, TypeName};
use hence::{Client, Enrolment, Telling, Told};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use super::super::event;
use super::not_given;
use crate::input::Now;
use crate::output::{self, Answer};
use crate::problem::{Exit, Problem};
use crate::session::Session;
use rows::Row;

/// How many bad rows are shown.
const SHOWN_MAX: usize = 20;
/// How many rows are written in one go.
const BATCH: usize = 1000;

/// What is to be enrolled.
pub(super) struct Import<'a> {
    pub(super) client: Client,
    pub(super) definition: Arc<Definition>,
    pub(super) now: Now,
    pub(super) path: &'a Path,
    pub(super) is_partial: bool,
}

/// A row that cannot be enrolled.
struct Bad {
    line: u64,
    problem: String,
}

/// What became of the good rows.
#[derive(Default)]
struct Tally {
    enrolled: usize,
    already: usize,
    accepted: Vec<Waits>,
}

/// A good row that is accepted and not carried out yet.
struct Waits {
    line: u64,
    entity: EntityKey,
    why: String,
    data: Value,
}

pub(super) async fn run(session: &Session, import: Import<'_>) -> Result<Exit, Problem> {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let mut lines: BTreeMap<EntityKey, u64> = BTreeMap::new();
    for (line, row) in rows::read(import.path, &import.definition)? {
        match row.and_then(|row| import.enrolment(row)) {
            Err(problem) => bad.push(Bad { line, problem }),
            Ok(enrolment) => match lines.get(&enrolment.entity) {
                Some(first) => bad.push(Bad { line, problem: format!("{} stands on line {first} already", enrolment.entity) }),
                None => {
                    lines.insert(enrolment.entity.clone(), line);
                    good.push((line, enrolment));
                }
            },
        }
    }
    show(import.path, &bad);
    if !bad.is_empty() && !import.is_partial {
        let message = format!("{} of {} rows cannot be enrolled; nothing was written", bad.len(), bad.len() + good.len());
        return Err(Problem::usage("HNC-0332", message).help("mend them, or enrol the others with `--partial`"));
    }
    let lacking: BTreeSet<String> =
        good.iter().flat_map(|(_, enrolment)| not_given(&import.definition, &enrolment.facts)).collect();
    let (tally, refused) = import.write(good).await?;
    show(import.path, &refused);
    let bad = bad.len() + refused.len();
    report(session, &import, (&tally, bad));
    if !lacking.is_empty() {
        let names = lacking.into_iter().collect::<Vec<_>>().join(", ");
        output::note(&format!("warning: some rows lack {names}; a step that needs it is tried again until it is told"));
    }
    Ok(if bad == 0 { Exit::Done } else { Exit::Partly })
}

fn show(path: &Path, bad: &[Bad]) {
    for Bad { line, problem } in bad.iter().take(SHOWN_MAX) {
        output::note(&format!("{}:{line}: {problem}", path.display()));
    }
    if bad.len() > SHOWN_MAX {
        output::note(&format!("… and {} more", bad.len() - SHOWN_MAX));
    }
}

fn report(session: &Session, import: &Import<'_>, (tally, bad): (&Tally, usize)) {
    let name = &import.definition.name;
    let document = json!({
        "timeline": name.to_string(),
        "enrolled": tally.enrolled,
        "already_enrolled": tally.already,
        "accepted": tally.accepted.len(),
        "not_yet": tally.accepted.iter().take(SHOWN_MAX).map(Waits::json).collect::<Vec<_>>(),
        "bad": bad,
    });
    if session.give(|| Answer::one(document, "timeline")) {
        return;
    }
    let mut words = vec![format!("{} enrolled in {name}", tally.enrolled)];
    for (count, word) in
        [(tally.already, "enrolled already"), (tally.accepted.len(), "accepted and not carried out yet"), (bad, "bad")]
    {
        if count > 0 {
            words.push(format!("{count} {word}"));
        }
    }
    output::line(&words.join(", "));
    if let Some(Waits { line, why, .. }) = tally.accepted.first() {
        output::note(&format!("{}:{line}: not carried out yet, because {why}", import.path.display()));
        output::note("all that wait: `hence entity list --waiting`");
    }
    output::note(&format!("next: `hence upcoming --timeline {name} --count day`"));
}

impl Waits {
    fn json(&self) -> Value {
        json!({ "line": self.line, "entity": self.entity.to_string(), "because": self.data })
    }
}

impl Import<'_> {
    /// The enrolment that a row means.
    fn enrolment(&self, row: Row) -> Result<Enrolment, String> {
        let definition = &self.definition;
        let kind = definition.entity.clone();
        let id = row.id.strip_prefix(&format!("{kind}/")).unwrap_or(&row.id);
        let entity = EntityKey::new(kind, id).map_err(|error| error.to_string())?;
        let wanted = definition.given_instants();
        let mut given: BTreeMap<Name, jiff::Timestamp> = BTreeMap::new();
        for (name, text) in &row.given {
            let known = wanted.iter().find(|wanted| wanted.as_str() == name);
            let known = known.ok_or_else(|| format!("timeline `{}` knows no instant `{name}`", definition.name))?;
            let at = self.now.instant(text).map_err(|_| format!("{name}: `{text}` is not an instant"))?;
            given.insert((*known).clone(), at);
        }
        Facts::from_json(&row.facts, &definition.fact_types())
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let enrolment = Enrolment::new(definition.name.clone(), entity).facts(row.facts);
        Ok(given.into_iter().fold(enrolment, |enrolment, (name, at)| enrolment.given(name, at)))
    }

    async fn write(&self, good: Vec<(u64, Enrolment)>) -> Result<(Tally, Vec<Bad>), Problem> {
        let bar = progress(good.len());
        let (mut tally, mut refused) = (Tally::default(), Vec::new());
        for batch in good.chunks(BATCH) {
            let tellings = batch.iter().map(|(_, enrolment)| Telling::enrol(enrolment.clone())).collect();
            let told = self.client.tell_many(tellings).await.inspect_err(|_| {
                // Batches before this one are durable; enrolling the file again passes over them where `again = "ignore"`.
                let written = tally.enrolled + tally.already + tally.accepted.len();
                let count = batch.len();
                output::note(&format!("{written} rows were written before this, and of the next {count} some or all may be"));
            })?;
            for ((line, enrolment), told) in batch.iter().zip(told) {
                let data = event::not_yet(&told);
                match told {
                    Told::CarriedOut => tally.enrolled += 1,
                    Told::AlreadyEnrolled | Told::Duplicate => tally.already += 1,
                    Told::Accepted(not_yet) => {
                        let (line, entity) = (*line, enrolment.entity.clone());
                        tally.accepted.push(Waits { line, entity, why: not_yet.to_string(), data });
                    }
                    Told::Refused { problem, .. } => refused.push(Bad { line: *line, problem }),
                }
            }
            bar.inc(batch.len() as u64);
        }
        bar.finish_and_clear();
        Ok((tally, refused))
    }
}

fn progress(rows: usize) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(rows as u64), target);
    let style = ProgressStyle::with_template("enrolling {bar:40} {human_pos}/{human_len} ({eta} to go)");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// The JSON that a cell of a text file means in a column of that type.
fn cell(text: &str, base: TypeName) -> Value {
    let as_json = || serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    match base {
        TypeName::String | TypeName::Time | TypeName::Duration => json!(text),
        TypeName::Bool | TypeName::Int | TypeName::Float | TypeName::List | TypeName::Map | TypeName::Any => as_json(),
    }
}

/// Puts a value at `group.field`.
fn put(facts: &mut Map<String, Value>, (group, field): (&str, &str), value: Value) {
    if let Value::Object(fields) = facts.entry(group).or_insert_with(|| json!({})) {
        fields.insert(field.to_owned(), value);
    }
}
