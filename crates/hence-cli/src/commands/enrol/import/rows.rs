//! Reading the rows of a `.csv` or `.jsonl` file: columns `id`, given instants by name, facts as `group.field`.
//!
//! A JSON line may also hold whole objects: `{"id": "42", "account": {…}}` or `{"id": "42", "given": {…}, "facts": {"account": {…}}}`. An
//! empty cell is not given. All of a file is held in memory: its rows are checked before the first one is written anyway.
//! Lines count from 1, as an editor shows them.

use std::collections::BTreeMap;
use std::io::Read;
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

/// All rows, each with its line; `-` is standard input.
/// # Errors
/// The file cannot be read, its ending is not known, a column of its head means nothing, or a quote is never closed.
pub(super) fn read(path: &Path, definition: &Definition) -> Result<Vec<Numbered>, Problem> {
    let mut text = Vec::new();
    let kind = match path.extension().and_then(|ending| ending.to_str()) {
        _ if path == Path::new("-") => {
            std::io::stdin().read_to_end(&mut text).map_err(|error| Problem::file("read", path, &error))?;
            if text.trim_ascii_start().starts_with(b"{") { "jsonl" } else { "csv" }
        }
        Some("csv") => "csv",
        Some("jsonl" | "ndjson") => "jsonl",
        _ => {
            return Err(Problem::usage("HNC-0332", format!("{} is neither .csv nor .jsonl", path.display()))
                .help("name the file so, or give it on standard input with `--from -`"));
        }
    };
    if text.is_empty() && path != Path::new("-") {
        text = std::fs::read(path).map_err(|error| Problem::file("read", path, &error))?;
    }
    if kind == "csv" { csv(path, &text, definition) } else { Ok(json_lines(&text, definition)) }
}

fn csv(path: &Path, text: &[u8], definition: &Definition) -> Result<Vec<Numbered>, Problem> {
    let problem = |line: u64, problem: String| Problem::usage("HNC-0332", format!("{}:{line}: {problem}", path.display()));
    if let Some(line) = unclosed_quote(text) {
        // Where the rows after it begin cannot be known, so none can be enrolled.
        return Err(problem(line, "a quote is opened here and never closed".to_owned())
            .help("close it, or write it twice where it belongs to the value; nothing was written"));
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let head = reader.headers().map_err(|error| problem(1, error.to_string()))?.clone();
    let columns = head.iter().map(|name| column(name, definition)).collect::<Result<Vec<Column>, _>>();
    let columns = columns.map_err(|text| problem(1, text))?;
    if !columns.iter().any(|column| matches!(column, Column::Id)) {
        return Err(problem(1, "there is no column `id`".to_owned()));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let values = columns.iter().zip(record.iter()).filter(|(_, text)| !text.is_empty());
                let found = match record.iter().zip(head.iter()).find(|(text, _)| text.chars().any(char::is_control)) {
                    Some((_, name)) => Err(format!(
                        "`{name}` holds a line end or another control character: is a quote missing? (.jsonl takes such texts)"
                    )),
                    None => row(values.map(|(column, text)| (column.clone(), Value::from(text))), true),
                };
                rows.push((line, found));
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                rows.push((line, Err(what_is_wrong(&error))));
            }
        }
    }
    Ok(rows)
}

/// The line on which a quote is opened that is never closed. A quote counts where a cell begins, as the reader counts it.
fn unclosed_quote(text: &[u8]) -> Option<u64> {
    let (mut line, mut opened, mut begins) = (1, None, true);
    let mut bytes = text.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte == b'\n' {
            line += 1;
        }
        match (opened, byte) {
            (Some(_), b'"') if bytes.peek() == Some(&&b'"') => {
                bytes.next();
            }
            (Some(_), b'"') => opened = None,
            (Some(_), _) => {}
            (None, b'"') if begins => {
                opened = Some(line);
                begins = false;
            }
            (None, b',' | b'\n' | b'\r') => begins = true,
            (None, _) => begins = false,
        }
    }
    opened
}

fn what_is_wrong(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!("has {len} cells, the head has {expected_len}"),
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

fn json_lines(text: &[u8], definition: &Definition) -> Vec<Numbered> {
    let mut rows = Vec::new();
    for (line, text) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        match std::str::from_utf8(text) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => rows.push((line, json_line(text, definition))),
            Err(_) => rows.push((line, Err("is not UTF-8".to_owned()))),
        }
    }
    rows
}

fn json_line(text: &str, definition: &Definition) -> Result<Row, String> {
    let object: Map<String, Value> = serde_json::from_str(text).map_err(|error| format!("is not a JSON object: {error}"))?;
    let mut cells = Vec::new();
    let types = definition.fact_types();
    for (key, value) in object {
        match (key.as_str(), value) {
            (group, Value::Object(fields)) if types.contains_key(group) => {
                for (field, value) in fields {
                    cells.push((column(&format!("{group}.{field}"), definition)?, value));
                }
            }
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
                let known = if known.is_empty() { String::new() } else { format!(" {},", known.join(", ")) };
                Err(format!("column `{name}` means nothing; there are: id,{known} and facts as `group.field`"))
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

#[cfg(test)]
#[path = "../../../../../../fuzz/runner.rs"]
mod runner;

#[cfg(test)]
mod tests {
    //! Goal: a quote that is not closed is found where it is opened. Method: texts and lines.
    use std::path::Path;

    use hence::core::definition::Definition;

    use super::{csv, json_lines, runner, unclosed_quote};

    /// By `fuzz/runner.rs`: whatever is in a file, each row is on one of its lines.
    #[test]
    fn any_file_of_rows_is_refused_or_read_line_by_line() {
        let trial = "[timeline]\nname = \"trial\"\nentity = \"account\"\nanchor = \"created_at\"\n[facts.account]\n\
            fields = { email = \"string?\", n = \"int?\" }\n[step.a]\ndue = \"1 day\"\ndo = { log = \"x\" }\n";
        let definition = Definition::load(trial).unwrap().definition;
        let scratch = std::env::temp_dir();
        runner::hunt("rows", scratch.to_str().unwrap(), |bytes| {
            let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
            let rows = csv(Path::new("rows.csv"), bytes, &definition).unwrap_or_default();
            for (line, _) in rows.iter().chain(&json_lines(bytes, &definition)) {
                assert!((1..=lines).contains(line), "line {line} of {lines}");
            }
        });
    }

    #[test]
    fn a_quote_that_is_never_closed_is_found_on_its_line() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(unclosed_quote(text.as_bytes()), expected, "{text:?}");
        check("id,a\n1,\"x\n2,y\n", Some(2));
        check("id,a\n1,\"x\"\"\n", Some(2));
        check("id,a\n1,\"x\"\r\n2,\"y", Some(3));
        check("id,a\n1,\"x\ny\"\n2,\"\"\n", None);
        check("id,a\n1,in\"side\n\"2\",\"a\"\"b\"", None);
    }
}
