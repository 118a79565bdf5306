//! Reading the rows of a `.csv` or `.jsonl` file: columns `id`, given instants by name, facts as `group.field`.
//!
//! A JSON line may also hold whole objects: `{"id": "42", "given": {…}, "facts": {"account": {…}}}`. An empty cell is not given.
//! Lines count from 1, as an editor shows them.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use hence::core::definition::Definition;
use hence::core::value::FieldType;
use serde_json::{Map, Value};

use super::{cell, put};
use crate::problem::Problem;

/// One row, not yet compared with the definition but for its types.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) given: BTreeMap<String, String>,
    pub(super) facts: Value,
}

/// A line, and what stands on it or is wrong with it.
pub(super) type Numbered = (u64, Result<Row, String>);

/// What a column means.
#[derive(Debug, Clone)]
enum Column {
    Id,
    Given(String),
    Fact { group: String, field: String, kind: FieldType },
}

/// All rows, each with its line.
/// # Errors
/// The file cannot be read, its ending is not known, or a column of its head means nothing.
pub(super) fn read(path: &Path, definition: &Definition) -> Result<Vec<Numbered>, Problem> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => csv(path, definition),
        Some("jsonl" | "ndjson") => json_lines(path, definition),
        _ => Err(Problem::usage("HNC-0332", format!("{} is neither .csv nor .jsonl", path.display()))),
    }
}

fn csv(path: &Path, definition: &Definition) -> Result<Vec<Numbered>, Problem> {
    let file = std::fs::File::open(path).map_err(|error| Problem::file("read", path, &error))?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let bad_head = |problem: String| Problem::usage("HNC-0332", format!("{}:1: {problem}", path.display()));
    let head = reader.headers().map_err(|error| bad_head(error.to_string()))?.clone();
    let columns: Vec<Column> = head.iter().map(|name| column(name, definition)).collect::<Result<_, _>>().map_err(bad_head)?;
    if !columns.iter().any(|column| matches!(column, Column::Id)) {
        return Err(bad_head("there is no column `id`".to_owned()));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let values = columns.iter().zip(record.iter()).filter(|(_, text)| !text.is_empty());
                rows.push((line, row(values.map(|(column, text)| (column.clone(), Value::from(text))), true)));
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                rows.push((line, Err(what_is_wrong(&error))));
            }
        }
    }
    Ok(rows)
}

fn what_is_wrong(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!("has {len} cells, the head has {expected_len}"),
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

fn json_lines(path: &Path, definition: &Definition) -> Result<Vec<Numbered>, Problem> {
    let file = std::fs::File::open(path).map_err(|error| Problem::file("read", path, &error))?;
    let mut rows = Vec::new();
    for (line, text) in (1..).zip(std::io::BufReader::new(file).lines()) {
        let text = match text {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                rows.push((line, Err("is not UTF-8".to_owned())));
                continue;
            }
            Err(error) => return Err(Problem::file("read", path, &error)),
        };
        if !text.trim().is_empty() {
            rows.push((line, json_line(&text, definition)));
        }
    }
    Ok(rows)
}

fn json_line(text: &str, definition: &Definition) -> Result<Row, String> {
    let object: Map<String, Value> = serde_json::from_str(text).map_err(|error| format!("is not a JSON object: {error}"))?;
    let mut cells = Vec::new();
    for (key, value) in object {
        match (key.as_str(), value) {
            ("given", Value::Object(given)) => {
                for (name, at) in given {
                    cells.push((Column::Given(name), at));
                }
            }
            ("facts", Value::Object(groups)) => {
                for (group, fields) in groups {
                    let Value::Object(fields) = fields else { return Err(format!("facts `{group}` is not an object")) };
                    for (field, value) in fields {
                        cells.push((column(&format!("{group}.{field}"), definition)?, value));
                    }
                }
            }
            (key, value) => cells.push((column(key, definition)?, value)),
        }
    }
    row(cells.into_iter(), false)
}

fn column(name: &str, definition: &Definition) -> Result<Column, String> {
    if name == "id" {
        return Ok(Column::Id);
    }
    let Some((group, field)) = name.split_once('.') else {
        let wanted = definition.given_instants();
        return match wanted.iter().find(|wanted| wanted.as_str() == name) {
            Some(name) => Ok(Column::Given(name.to_string())),
            None => {
                let known: Vec<String> = wanted.iter().map(ToString::to_string).collect();
                Err(format!("column `{name}` means nothing; there are: id, {}, and facts as `group.field`", known.join(", ")))
            }
        };
    };
    let kind = definition.fact_types().get(group).and_then(|fields| fields.get(field)).copied();
    let kind = kind.ok_or_else(|| format!("column `{name}`: timeline `{}` declares no such fact", definition.name))?;
    Ok(Column::Fact { group: group.to_owned(), field: field.to_owned(), kind })
}

/// A row of its cells; `is_text` where everything came as text and is read by the type of its column.
fn row(cells: impl Iterator<Item = (Column, Value)>, is_text: bool) -> Result<Row, String> {
    let (mut id, mut given, mut facts) = (None, BTreeMap::new(), Map::new());
    for (column, value) in cells {
        match (column, value) {
            (Column::Id, Value::String(text)) => id = Some(text),
            (Column::Id, Value::Number(number)) => id = Some(number.to_string()),
            (Column::Id, _) => return Err("`id` is neither text nor a number".to_owned()),
            (Column::Given(name), Value::String(text)) => {
                given.insert(name, text);
            }
            (Column::Given(name), _) => return Err(format!("{name} is not text")),
            (Column::Fact { group, field, kind }, Value::String(text)) if is_text => {
                put(&mut facts, (&group, &field), cell(&text, kind.base));
            }
            (Column::Fact { group, field, .. }, value) => put(&mut facts, (&group, &field), value),
        }
    }
    let id = id.ok_or_else(|| "`id` is empty".to_owned())?;
    Ok(Row { id, given, facts: Value::Object(facts) })
}
