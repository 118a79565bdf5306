//! Problems of definitions, drawn for people (file, line, caret, help), or as JSON, SARIF or GitHub annotations.
//!
//! All of them go to stdout: for `hence check` the problems are the data.

mod sarif;

use std::path::Path;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use hence::core::diagnostic::{Diagnostic, Position, Severity};
use serde_json::{Value, json};

pub(crate) use sarif::sarif;

use crate::output;

/// How problems are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// With the source and a caret.
    #[default]
    Human,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0, as code scanning reads it.
    Sarif,
    /// Workflow commands that GitHub shows beside the changed lines.
    Github,
}

/// One problem as a person reads it in a terminal.
pub(crate) fn human(path: &Path, source: &str, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut snippet = Snippet::source(source).path(path.display().to_string());
    for (index, span) in diagnostic.spans.iter().enumerate() {
        let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        let mut annotation = kind.span(whole_characters(source, span.start, span.end));
        if !span.label.is_empty() {
            annotation = annotation.label(span.label.clone());
        }
        snippet = snippet.annotation(annotation);
    }
    let mut group = level.primary_title(diagnostic.message.clone()).id(diagnostic.code.0).element(snippet);
    if !diagnostic.help.is_empty() {
        group = group.element(Level::HELP.message(diagnostic.help.clone()));
    }
    Renderer::styled().decor_style(DecorStyle::Ascii).render(&[group])
}

/// A span within the source that cuts no character.
fn whole_characters(source: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let floor = |at: usize| (0..=at.min(source.len())).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
    let (start, end) = (floor(start), floor(end));
    start..end.max(start)
}

/// One problem as JSON: places count from 1, columns in characters.
pub(crate) fn json(path: &Path, source: &str, diagnostic: &Diagnostic) -> Value {
    let place = |offset| {
        let Position { line, column } = Position::of(source, offset);
        json!({ "line": line, "column": column, "byte": offset })
    };
    let spans: Vec<Value> = diagnostic
        .spans
        .iter()
        .map(|span| json!({ "start": place(span.start), "end": place(span.end), "label": span.label }))
        .collect();
    json!({
        "file": path.display().to_string(),
        "severity": severity(diagnostic),
        "code": diagnostic.code.0,
        "message": diagnostic.message,
        "help": diagnostic.help,
        "spans": spans,
    })
}

/// One problem as a workflow command.
pub(crate) fn github(path: &Path, source: &str, diagnostic: &Diagnostic) -> String {
    let Position { line, column } = diagnostic.position(source);
    let text = match diagnostic.help.as_str() {
        "" => diagnostic.message.clone(),
        help => format!("{}; {help}", diagnostic.message),
    };
    let escaped = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let file = path.display();
    format!("::{} file={file},line={line},col={column},title={}::{escaped}", severity(diagnostic), diagnostic.code)
}

pub(crate) fn severity(diagnostic: &Diagnostic) -> &'static str {
    match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Writes the problems of one file to stderr, where they are not the data that was asked for.
pub(crate) fn note(path: &Path, source: &str, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        output::note(&human(path, source, diagnostic));
    }
}
