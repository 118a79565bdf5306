//! Problems in a user's document, as data: what is wrong, where, and what to do.
//!
//! Owns the shape of a problem and the way from a byte offset to a line and column. Leaves drawing (carets, colours) to the
//! command line, and problem+json to the server. Each code has a page under `docs/errors/`.

use std::fmt;

/// The stable name of a kind of problem, such as `HNC-0103`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// The document can be used, but probably does not mean what it says.
    Warning,
}

/// A place in the source: bytes from `start` up to, not including, `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// What to write beside it; may be empty.
    pub label: String,
}

/// One problem of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind of problem; `docs/errors/` has a page for it.
    pub code: Code,
    /// Whether the document can be used all the same.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where; the first is the main place.
    pub spans: Vec<Span>,
    /// What to do now.
    pub help: String,
}

impl Diagnostic {
    /// An error at one place.
    pub(crate) fn error(code: Code, at: std::ops::Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        let spans = vec![Span { start: at.start, end: at.end, label: String::new() }];
        Self { code, severity: Severity::Error, message: message.into(), spans, help: help.into() }
    }

    /// The same problem with one more place.
    pub(crate) fn with_span(mut self, at: std::ops::Range<usize>, label: impl Into<String>) -> Self {
        self.spans.push(Span { start: at.start, end: at.end, label: label.into() });
        self
    }

    /// The same problem as a warning.
    pub(crate) fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Where it begins in the source; the beginning when it has no place.
    pub fn position(&self, source: &str) -> Position {
        Position::of(source, self.spans.first().map_or(0, |span| span.start))
    }
}

/// A place for people: both count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

impl Position {
    /// The position of a byte; one past the end for offsets beyond it, the character's own for offsets within one.
    ///
    /// ```
    /// use hence_core::diagnostic::Position;
    /// assert_eq!(Position::of("a = 1\nå = 2", 9), Position { line: 2, column: 3 });
    /// ```
    pub fn of(source: &str, offset: usize) -> Self {
        let mut end = offset.min(source.len());
        while !source.is_char_boundary(end) {
            end -= 1;
        }
        let before = &source[..end];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// All problems of one document, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Diagnostic>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{} ({})", problem.message, problem.code)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Vec<Diagnostic>> for Problems {
    fn from(problems: Vec<Diagnostic>) -> Self {
        Self(problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, offset: usize, expected: &str) {
        assert_eq!(Position::of(source, offset).to_string(), expected);
    }

    #[test]
    fn positions_count_from_one_in_characters() {
        check("", 0, "1:1");
        check("abc", 99, "1:4");
        check("a\nb", 2, "2:1");
        check("å=1", 2, "1:2");
        check("å=1", 1, "1:1");
        check("a\r\nb", 3, "2:1");
    }
}
