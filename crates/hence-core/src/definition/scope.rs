//! The names that conditions and texts of a document may use, and their reading.
//!
//! Owns which names exist where: facts and conditions everywhere, `now`, `due`, `anchor`, `attempt` and `entity` when a task fires,
//! `event` where an event is told. Notes which names were used, for the lints. Leaves the language to `expression` and
//! `interpolation`.

use std::collections::BTreeSet;
use std::ops::Range;

use super::codes;
use super::document::{Entry, Reader};
use crate::diagnostic::{Code, Diagnostic};
use crate::expression::{Expression, ExpressionError, Names};
use crate::interpolation::Interpolation;
use crate::name::Name;
use crate::value::{FactTypes, FieldType, TypeName};

/// Which names a text with `{…}` may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextScope {
    /// Everything that is known when a task fires.
    Task,
    /// Only the entity's id: facts are not read yet.
    Entity,
    /// Only what the event carries.
    Event,
}

/// What expressions of one document may use, and what they have used so far.
pub(super) struct Scope {
    task: Names,
    entity: Names,
    event: Names,
    used: BTreeSet<String>,
}

impl Scope {
    /// A scope of facts, without conditions.
    pub(super) fn new(types: &FactTypes) -> Self {
        let (mut task, mut entity, mut event) = (Names::default(), Names::default(), Names::default());
        task.facts(types);
        task.firing();
        entity.variable("entity", FieldType::required(TypeName::String));
        event.variable("event", FieldType::required(TypeName::Map));
        Self { task, entity, event, used: BTreeSet::new() }
    }

    /// Reads a condition under `[let]` and makes its name known; one that is wrong counts as of any type for its users.
    pub(super) fn named(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>, name: &Name) -> Option<Expression> {
        let Some((bound, kind)) = self.bound(reader, entry) else {
            self.unsure(name.as_str());
            return None;
        };
        self.task.define(name.as_str(), bound.clone(), kind);
        Some(bound)
    }

    /// Marks a condition or fact group as not readable, so that its users are not reported too.
    pub(super) fn unsure(&mut self, name: &str) {
        self.task.variable(name, FieldType::nullable(TypeName::Any));
    }

    /// Reads a condition of a step, which is true or false.
    pub(super) fn condition(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Expression> {
        let (bound, kind) = self.bound(reader, entry)?;
        let help = match kind.base {
            TypeName::Any => return Some(bound),
            TypeName::Bool if kind.nullable => "say what null means, such as `… == true`",
            TypeName::Bool => return Some(bound),
            _ => "compare it with something, such as `== null` or `> 0`",
        };
        let message = format!("`{}` must be true or false, but `{bound}` is of type `{kind}`", entry.path);
        reader.error(codes::NOT_A_CONDITION, &entry.at, message, help);
        None
    }

    /// Reads a text with `{…}`.
    pub(super) fn text(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>, names: TextScope) -> Option<Interpolation> {
        let source = reader.text(entry)?;
        let scope = match names {
            TextScope::Task => &self.task,
            TextScope::Entity => &self.entity,
            TextScope::Event => &self.event,
        };
        let bound = Interpolation::parse(source).map_err(|error| vec![error]).and_then(|mut text| {
            self.used.extend(text.names().iter().map(|path| first_name(path)));
            text.bind(scope).map(|()| text)
        });
        for part in parts(source) {
            unguarded_part(reader, entry, part, scope);
        }
        bound.map_err(|errors| report(reader, entry, codes::INTERPOLATION, errors)).ok()
    }

    /// Whether a fact group or condition is used by any condition or text so far.
    pub(super) fn is_used(&self, name: &str) -> bool {
        self.used.contains(name)
    }

    fn bound(&mut self, reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<(Expression, FieldType)> {
        let text = reader.text(entry)?;
        let bound = Expression::parse(text).map_err(|error| vec![error]).and_then(|mut expression| {
            self.used.extend(expression.names().iter().map(|path| first_name(path)));
            expression.bind(&self.task).map(|kind| (expression, kind))
        });
        let bound = bound.map_err(|errors| report(reader, entry, codes::EXPRESSION, errors)).ok()?;
        for (name, at) in bound.0.nullable_uses() {
            unguarded(reader, entry, &name, at);
        }
        Some(bound)
    }
}

/// Warns of a `{…}` that is nothing but a nullable fact: null has no text.
fn unguarded_part(reader: &mut Reader<'_>, entry: &Entry<'_>, (source, at): (&str, Range<usize>), scope: &Names) {
    let Ok(mut expression) = Expression::parse(source) else { return };
    if let Ok(FieldType { base, nullable: true }) = expression.bind(scope)
        && base != TypeName::Any
    {
        unguarded(reader, entry, source.trim(), at);
    }
}

fn unguarded(reader: &mut Reader<'_>, entry: &Entry<'_>, name: &str, at: Range<usize>) {
    let at = reader.within_text(entry, at);
    let message = format!("`{name}` may be null here, which is an error that delays the task");
    let help = format!("ask first, such as `{name} != null && …` in `when`, or `{name} != null ? {name} : …`");
    reader.problems.push(Diagnostic::error(codes::UNGUARDED, at, message, help).into_warning());
}

/// The insides of all `{…}` of a text, with their place; `{{` stands for the brace itself.
fn parts(text: &str) -> Vec<(&str, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find('{').map(|offset| at + offset + 1) {
        if text[open..].starts_with('{') {
            at = open + 1;
            continue;
        }
        let Some(close) = text[open..].find('}').map(|offset| open + offset) else { break };
        found.push((&text[open..close], open..close));
        at = close + 1;
    }
    found
}

fn first_name(path: &str) -> String {
    path.split('.').next().unwrap_or_default().to_owned()
}

fn report(reader: &mut Reader<'_>, entry: &Entry<'_>, code: Code, errors: Vec<ExpressionError>) {
    for error in errors {
        let at = reader.within_text(entry, error.span());
        reader.error(code, &at, error.to_string(), error.help());
    }
}

/// The first names of all paths in a text: of an expression, or of the `{…}` of a text. What stands in quotes is passed over.
pub(super) fn identifiers(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut chars = text.char_indices().peekable();
    let mut previous = ' ';
    while let Some((start, c)) = chars.next() {
        if c == '"' || c == '\'' {
            while let Some((_, inner)) = chars.next() {
                if inner == '\\' {
                    chars.next();
                } else if inner == c {
                    break;
                }
            }
        } else if c.is_ascii_alphabetic() || c == '_' {
            let mut end = start + 1;
            while let Some((at, _)) = chars.next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '_') {
                end = at + 1;
            }
            if previous != '.' {
                found.insert(text[start..end].to_owned());
            }
        }
        if !c.is_whitespace() {
            previous = c;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(identifiers(text).into_iter().collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn identifiers_are_first_names_outside_quotes() {
        check("unpaid && account.paid_at == null", "account null unpaid");
        check("a . b + 'c \\' d' + \"e\"", "a");
        check("size(x1) > 0", "size x1");
        check("", "");
    }
}
