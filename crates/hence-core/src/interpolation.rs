//! Texts with `{expression}` parts, such as `"{account.email}"`; `{{` and `}}` stand for the braces themselves.
//!
//! Parsed and typed like conditions, with the limits of `expression`; the result is at most [`TEXT_BYTES_MAX`] long. A value is put
//! in as it is, or percent-encoded into a path, and never read as a template again.

use std::ops::Range;

use crate::expression::{Context, EvaluationError, Expression, ExpressionError, Names, text_of};
use crate::value::{FieldType, TypeName};

/// The longest text that is made, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A text to be filled in.
#[derive(Debug, Clone)]
pub struct Interpolation {
    source: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Value { expression: Expression, start: usize },
}

/// Why a text cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// A part has no value.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// A part has a value that is no text: null, a list or a map.
    #[error("`{{{part}}}` has no text: it is null, a list or a map")]
    NoText {
        /// The part.
        part: String,
    },
    /// The text is too long.
    #[error("the text is longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
}

impl Interpolation {
    /// Reads a source; its names are not looked at yet.
    /// # Errors
    /// A brace that is not closed or not opened, or a part that is no expression.
    pub fn parse(source: &str) -> Result<Self, ExpressionError> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut at = 0;
        while let Some(found) = source[at..].find(['{', '}']).map(|offset| at + offset) {
            text.push_str(&source[at..found]);
            let rest = &source[found..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                text.push_str(&rest[..1]);
                at = found + 2;
            } else if rest.starts_with('}') {
                return Err(error(found..found + 1, "`}` closes nothing", "write `}}` for the brace itself"));
            } else {
                let Some(length) = end_of_part(&rest[1..]) else {
                    return Err(error(
                        found..source.len(),
                        "`{` is not closed",
                        "close it with `}`, or write `{{` for the brace itself",
                    ));
                };
                let inside = &rest[1..=length];
                let expression = Expression::parse(inside).map_err(|problem| problem.moved(found + 1))?;
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Value { expression, start: found + 1 });
                at = found + length + 2;
            }
        }
        text.push_str(&source[at..]);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self { source: source.to_owned(), parts })
    }

    /// Finds every name and checks that every part has a text.
    /// # Errors
    /// Every name that is not known and every part that has no text.
    pub fn bind(&mut self, names: &Names) -> Result<(), Vec<ExpressionError>> {
        let mut errors = Vec::new();
        for part in &mut self.parts {
            let Part::Value { expression, start } = part else { continue };
            let end = *start + expression.to_string().len();
            match expression.bind(names) {
                Ok(FieldType { base: TypeName::List | TypeName::Map, .. }) => {
                    errors.push(error(*start..end, "a list or map cannot be put into a text", "use one of its elements"));
                }
                Ok(_) => {}
                Err(found) => errors.extend(found.into_iter().map(|problem| problem.moved(*start))),
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The text by these names; times are RFC 3339 in UTC.
    /// # Errors
    /// [`FillError`]: a part has no value or no text, or the whole is too long.
    pub fn render(&self, context: &Context) -> Result<String, FillError> {
        self.fill(context, |value| value)
    }

    /// The same for the path of an address: every value is percent-encoded, so that it stays within its segment.
    /// # Errors
    /// As [`Interpolation::render`].
    pub fn render_path(&self, context: &Context) -> Result<String, FillError> {
        self.fill(context, |value| path_segment(&value))
    }

    fn fill(&self, context: &Context, written: impl Fn(String) -> String) -> Result<String, FillError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Value { expression, .. } => {
                    let value = expression.evaluate(context)?;
                    let part = text_of(&value).ok_or_else(|| FillError::NoText { part: expression.to_string() })?;
                    text.push_str(&written(part));
                }
            }
            if text.len() > TEXT_BYTES_MAX {
                return Err(FillError::TooLong);
            }
        }
        Ok(text)
    }

    /// Every dotted name that the text depends on.
    pub fn names(&self) -> Vec<String> {
        let expressions = self.parts.iter().filter_map(|part| match part {
            Part::Value { expression, .. } => Some(expression),
            Part::Text(_) => None,
        });
        let mut names: Vec<String> = expressions.flat_map(Expression::names).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether nothing is to be filled in.
    pub fn is_constant(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }
}

impl std::fmt::Display for Interpolation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source)
    }
}

/// A value as one segment of a path: everything but letters, digits and `-._~` is percent-encoded (RFC 3986, unreserved characters).
pub fn path_segment(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The length of the expression before the closing brace; braces in its quoted texts do not count.
fn end_of_part(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), '\\') if !is_escaped => {
                is_escaped = true;
                continue;
            }
            (Some(open), c) if c == open && !is_escaped => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '}') => return Some(at),
            _ => {}
        }
        is_escaped = false;
    }
    None
}

fn error(span: Range<usize>, message: &str, help: &str) -> ExpressionError {
    ExpressionError::of(span, message, help)
}
