//! Problems as SARIF 2.1.0 (OASIS), the form that code scanners exchange: one run, one result for each problem.
//!
//! Columns count characters, from 1, and the end is the first one behind the place. A code's rule carries its page.

use std::collections::BTreeSet;

use hence::core::diagnostic::{Diagnostic, Position};
use serde_json::{Value, json};

use super::severity;
use crate::definitions::File;
use crate::pages;

/// Where the form is written down.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The problems of all files as one document.
pub(crate) fn sarif(files: &[File]) -> Value {
    let codes: BTreeSet<&str> = files.iter().flat_map(File::diagnostics).map(|diagnostic| diagnostic.code.0).collect();
    let results: Vec<Value> =
        files.iter().flat_map(|file| file.diagnostics().iter().map(|diagnostic| result(file, diagnostic))).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "hence",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|code| rule(code)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: &str) -> Value {
    let head = pages::all().find(|(known, _)| *known == code).map_or(code, |(_, head)| head);
    let page = pages::page(code).unwrap_or(head);
    json!({ "id": code, "shortDescription": { "text": head }, "help": { "text": page, "markdown": page } })
}

fn result(file: &File, diagnostic: &Diagnostic) -> Value {
    let text = match diagnostic.help.as_str() {
        "" => diagnostic.message.clone(),
        help => format!("{}; {help}", diagnostic.message),
    };
    // An address, so with forward slashes on every system.
    let address = file.path.to_string_lossy().replace('\\', "/");
    let place = |start, end| {
        let (start, end) = (Position::of(&file.source, start), Position::of(&file.source, end));
        json!({ "physicalLocation": {
            "artifactLocation": { "uri": address },
            "region": {
                "startLine": start.line, "startColumn": start.column,
                "endLine": end.line, "endColumn": end.column.max(start.column + usize::from(start.line == end.line)),
            },
        }})
    };
    let locations = match diagnostic.spans.first() {
        Some(span) => vec![place(span.start, span.end)],
        None => vec![json!({ "physicalLocation": { "artifactLocation": { "uri": address } } })],
    };
    json!({
        "ruleId": diagnostic.code.0,
        "level": severity(diagnostic),
        "message": { "text": text },
        "locations": locations,
    })
}
