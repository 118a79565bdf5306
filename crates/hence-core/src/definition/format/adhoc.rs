//! Ad-hoc tasks: one task without a definition, told as JSON.
//!
//! Owns what such a task may say: the keys of a step's `do`, and beside them `retry`, `late`, `delivery` and `says` as a step has
//! them. The reader of steps reads it, so that no key can mean something else here. Nothing is filled in: whoever schedules it has
//! the values at hand, and what customers wrote is never read as a template (S5). `data` therefore is any JSON object.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::document::{Fields, Reader, with_document};
use super::super::scope::Scope;
use super::super::{AdHoc, Step, codes};
use super::{LATE_DEFAULT, facts, step};
use crate::diagnostic::{Diagnostic, Severity};
use crate::name::Name;

/// The keys that stand beside `do` in a step.
const BESIDE_DO: [&str; 4] = ["says", "retry", "late", "delivery"];
/// The longest action as JSON, in bytes: what receivers of webhooks commonly take.
const ACTION_BYTES_MAX: usize = 256 * 1024;
/// How deep an action may nest: half of what a store can read back.
const DEPTH_MAX: usize = 64;

/// Reads the action of an ad-hoc task, or says everything that is wrong with it.
pub(in crate::definition) fn read(key: &Name, action: &Value) -> Result<AdHoc, Vec<Diagnostic>> {
    let Some(fields) = action.as_object() else {
        let help = "write what it does, such as `{ \"webhook\": \"app\", \"path\": \"/hence/call\" }`";
        return Err(vec![problem("the action is not an object", help)]);
    };
    if let Some(flaw) = flaw(action, DEPTH_MAX) {
        return Err(vec![problem(flaw, "hand over a key, and let the receiver look up the rest")]);
    }
    let data = match fields.get("data") {
        None | Some(Value::Null) => Value::Object(serde_json::Map::new()),
        Some(data @ Value::Object(_)) => data.clone(),
        Some(_) => return Err(vec![problem("`data` is not an object", "write it as `{ \"name\": \"value\" }`")]),
    };
    let (step, problems) = with_document(&document(key, fields), read_step);
    let errors: Vec<Diagnostic> = problems.into_iter().filter(|problem| problem.severity == Severity::Error).collect();
    match step {
        Some(step) if errors.is_empty() => Ok(AdHoc { step, late: LATE_DEFAULT, data }),
        _ => Err(errors.into_iter().map(|error| of_action(error, key)).collect()),
    }
}

fn read_step(reader: &mut Reader<'_>, root: &Fields<'_>) -> Option<Step> {
    let facts = facts::read(reader, root);
    let mut scope = Scope::new(&facts.types);
    let known = step::Known { calendars: &BTreeMap::new(), facts: &facts };
    step::read(reader, root, &known, &mut scope).pop()?.build()
}

/// The document with one step that does this; null counts as not given.
fn document(key: &Name, fields: &serde_json::Map<String, Value>) -> String {
    let (mut action, mut beside) = (Vec::new(), String::new());
    for (name, value) in fields.iter().filter(|(name, value)| *name != "data" && !value.is_null()) {
        if BESIDE_DO.contains(&name.as_str()) {
            beside.push_str(&format!("{} = {}\n", quoted(name), written(value, false)));
        } else {
            action.push(format!("{} = {}", quoted(name), written(value, true)));
        }
    }
    format!("[step.{}]\ndo = {{ {} }}\n{beside}", quoted(key.as_str()), action.join(", "))
}

/// A JSON value as TOML writes it; with `is_literal` the braces of texts stand for themselves.
fn written(value: &Value, is_literal: bool) -> String {
    match value {
        Value::String(text) if is_literal => quoted(&text.replace('{', "{{").replace('}', "}}")),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| written(item, is_literal)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let given = fields.iter().filter(|(_, value)| !value.is_null());
            let fields: Vec<String> =
                given.map(|(name, value)| format!("{} = {}", quoted(name), written(value, is_literal))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Null => quoted(""),
        plain => plain.to_string(),
    }
}

/// Text in quotes: what JSON escapes, TOML understands; the one character that only TOML escapes is added.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string().replace('\u{7f}', "\\u007f")
}

/// What no store can keep, wherever it stands.
fn flaw(value: &Value, depth_left: usize) -> Option<&'static str> {
    fn inner(value: &Value, depth_left: usize) -> Option<&'static str> {
        match value {
            Value::Array(_) | Value::Object(_) if depth_left == 0 => Some("the action nests deeper than 64"),
            Value::Array(items) => items.iter().find_map(|item| inner(item, depth_left - 1)),
            Value::Object(fields) => fields.iter().find_map(|(name, value)| match name.contains('\0') {
                true => Some("the action holds the character U+0000"),
                false => inner(value, depth_left - 1),
            }),
            Value::String(text) if text.contains('\0') => Some("the action holds the character U+0000"),
            _ => None,
        }
    }
    inner(value, depth_left).or_else(|| {
        let is_long = value.to_string().len() > ACTION_BYTES_MAX;
        is_long.then_some("the action is longer than 262144 bytes")
    })
}

fn problem(message: &str, help: &str) -> Diagnostic {
    Diagnostic::error(codes::ACTION, 0..0, message, help)
}

/// The problem in the words of the action, whose keys stand in no step.
fn of_action(mut problem: Diagnostic, key: &Name) -> Diagnostic {
    for text in [&mut problem.message, &mut problem.help] {
        *text = text.replace(&format!("step.{key}.do."), "").replace(&format!("step.{key}.do"), "action");
        *text = text.replace(&format!("step.{key}."), "").replace(&format!("step.{key}"), "action");
    }
    problem
}
