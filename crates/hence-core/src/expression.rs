//! Conditions: a small, bounded, side-effect-free language in the syntax of CEL.
//!
//! [`Expression::parse`] reads a source, [`Expression::bind`] finds every name and type in it, [`Expression::evaluate`] gives its
//! value. There are no loops and no functions of the user, so cost grows with the source and the values it looks at alone, and the
//! limits below hold for any source and any facts: no panic, no more than [`STEPS_MAX`] steps, no more than [`MEMORY_BYTES_MAX`]
//! of values made. A bound expression meets a value of a wrong type only where the declared type is `any`.
//! The subset is written down in `docs/reference/expressions.md`, why it is our own in ADR 0002. Leaves to others: what an error
//! means (`decide`: try again).

mod bind;
mod check;
mod evaluate;
mod fold;
mod lex;
mod operate;
mod parse;
mod syntax;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::value::{FactTypes, Facts, FieldType, TypeName, Value};
use syntax::{Node, NodeKind};

pub use evaluate::{EvaluationError, EvaluationErrorKind};
pub(crate) use operate::text_of;

/// The longest source, in bytes: some fifty lines; what is longer is better computed as a fact.
pub const SOURCE_BYTES_MAX: usize = 4096;
/// The deepest nesting of one source. Recursion is bounded by it.
pub const DEPTH_MAX: usize = 32;
/// The deepest nesting with lets put in.
pub const DEPTH_BOUND_MAX: usize = 64;
/// The most parts of one source: names, literals, operators, calls.
pub const NODES_MAX: usize = 512;
/// The most parts with lets put in; a fifth of the steps, so that what is left over pays for looking at long values.
pub const NODES_BOUND_MAX: usize = 2048;
/// The most steps of one evaluation: one for each part, for each element compared, and for 64 bytes of text looked at.
pub const STEPS_MAX: usize = 10_000;
/// The most bytes of values that one evaluation makes: as much as the longest fact.
pub const MEMORY_BYTES_MAX: usize = 64 * 1024;

/// A condition or a value, as it was written.
#[derive(Debug, Clone)]
pub struct Expression {
    source: String,
    root: Node,
    /// Parts, those of lets put in included.
    nodes: usize,
    nullable_uses: Vec<(String, Range<usize>)>,
}

/// What is wrong with a source, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    span: Range<usize>,
    message: String,
    help: String,
}

impl ExpressionError {
    fn new(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: help.into() }
    }

    pub(crate) fn of(span: Range<usize>, message: &str, help: &str) -> Self {
        Self::new(span, message, help)
    }

    /// The same within a longer text, `by` bytes after its start.
    pub(crate) fn moved(mut self, by: usize) -> Self {
        self.span = self.span.start + by..self.span.end + by;
        self
    }

    /// The bytes of the source it speaks of.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What to do now.
    pub fn help(&self) -> &str {
        &self.help
    }
}

/// What one evaluation cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Steps, at most one more than [`STEPS_MAX`].
    pub steps: usize,
    /// Bytes of values that were made, at most [`MEMORY_BYTES_MAX`].
    pub bytes: usize,
}

/// The names that a source may use, with their types.
#[derive(Debug, Clone, Default)]
pub struct Names {
    facts: FactTypes,
    variables: BTreeMap<String, FieldType>,
    lets: BTreeMap<String, (Arc<Expression>, FieldType)>,
}

impl Names {
    /// Adds the declared facts: `group.field`.
    pub fn facts(&mut self, types: &FactTypes) {
        self.facts.extend(types.clone());
    }

    /// Adds a variable.
    pub fn variable(&mut self, name: &str, kind: FieldType) {
        self.variables.insert(name.to_owned(), kind);
    }

    /// Adds a bound expression under a name.
    pub fn define(&mut self, name: &str, expression: Expression, kind: FieldType) {
        self.lets.insert(name.to_owned(), (Arc::new(expression), kind));
    }

    /// Adds what is known when a task fires: `now`, `due` and `anchor` (times), `attempt` (int) and `entity` (the id, a string).
    pub fn firing(&mut self) {
        for (name, kind) in [
            ("now", FieldType::required(TypeName::Time)),
            ("due", FieldType::required(TypeName::Time)),
            ("anchor", FieldType::nullable(TypeName::Time)),
            ("attempt", FieldType::required(TypeName::Int)),
            ("entity", FieldType::required(TypeName::String)),
        ] {
            self.variable(name, kind);
        }
    }
}

/// The values that names have while an expression is evaluated.
#[derive(Debug, Clone, Default)]
pub struct Context {
    facts: Facts,
    variables: BTreeMap<String, Value>,
}

impl Context {
    /// No names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.variables.insert(name.to_owned(), value);
        self
    }

    /// Adds facts.
    #[must_use]
    pub fn with_facts(mut self, facts: &Facts) -> Self {
        self.facts.merge(facts.clone());
        self
    }
}

impl Expression {
    /// Reads a source; its names are not looked at yet.
    ///
    /// ```
    /// use hence_core::expression::Expression;
    /// assert!(Expression::parse("account.paid_at == null && attempt < 3").is_ok());
    /// assert_eq!(Expression::parse("1 +").unwrap_err().to_string(), "expected a value, found the end");
    /// ```
    /// # Errors
    /// The first thing that is not of the language, or a limit that is passed.
    pub fn parse(source: &str) -> Result<Self, ExpressionError> {
        let root = parse::parse(source)?;
        let nodes = root.walk().count();
        Ok(Self { source: source.to_owned(), root, nodes, nullable_uses: Vec::new() })
    }

    /// Finds every name, puts lets in their place, checks all types, and says what the value will be.
    ///
    /// Binding again, by the same names, changes nothing.
    /// # Errors
    /// Every name that is not known, every operator whose operands do not fit, every part without names that always fails, or a
    /// limit that is passed with lets put in.
    pub fn bind(&mut self, names: &Names) -> Result<FieldType, Vec<ExpressionError>> {
        let mut errors = Vec::new();
        self.nodes = bind::bind(&mut self.root, names, &mut errors);
        let checked = check::check(&self.root, names, errors);
        self.nullable_uses = checked.nullable_uses;
        if checked.errors.is_empty() { Ok(checked.result.field_type()) } else { Err(checked.errors) }
    }

    /// The value by these names.
    /// # Errors
    /// A fact that is not known or null where a value is needed, an overflow, a division by zero, or a limit that is passed.
    pub fn evaluate(&self, context: &Context) -> Result<Value, EvaluationError> {
        evaluate::run(&self.root, context).result
    }

    /// The names that the value depends on by these facts, with their values.
    ///
    /// Only what was looked at: of `a && b` that is false because of `b`, the names in `b`.
    pub fn deciding(&self, context: &Context) -> BTreeMap<String, Value> {
        evaluate::run(&self.root, context).deciding()
    }

    /// What [`Expression::evaluate`] costs by these names, in the units of its limits.
    pub fn cost(&self, context: &Context) -> Cost {
        let evaluation = evaluate::run(&self.root, context);
        Cost { steps: evaluation.steps, bytes: evaluation.bytes }
    }

    /// Every dotted name that the value depends on, sorted; lets by what they stand for.
    pub fn names(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        collect_names(&self.root, &mut names);
        names.into_iter().collect()
    }

    /// The value, where it is the same whatever the facts are.
    pub fn constant(&self) -> Option<Value> {
        fold::constant(&self.root)
    }

    /// Nullable names that a bound expression uses where null is an error, and never tests: nothing in it compares them with null.
    ///
    /// Names of type `any`, such as the fields of an event, are not among them, nor are those inside lets, which have their own.
    pub fn nullable_uses(&self) -> Vec<(String, Range<usize>)> {
        self.nullable_uses.clone()
    }

    /// Whether the language keeps the word for itself.
    pub fn is_reserved(name: &str) -> bool {
        parse::is_reserved(name)
    }
}

impl std::fmt::Display for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source)
    }
}

fn collect_names(root: &Node, names: &mut BTreeSet<String>) {
    for node in root.walk() {
        match &node.kind {
            NodeKind::Path(path) => {
                names.insert(path.text.clone());
            }
            NodeKind::Let(_, expression) => collect_names(&expression.root, names),
            _ => {}
        }
    }
}

/// The known word that is most like the given one, if any is like it; case counts little.
fn nearest<S: AsRef<str>>(word: &str, known: impl Iterator<Item = S>) -> Option<String> {
    // Comparing costs the product of both lengths; nobody means a name by a word this long.
    if word.len() > 128 {
        return None;
    }
    let lower = word.to_lowercase();
    let distance = |candidate: &str| strsim::osa_distance(&lower, &candidate.to_lowercase());
    known
        .filter(|candidate| candidate.as_ref().len() <= 128)
        .map(|candidate| {
            let is_beginning = word.len() >= 3 && candidate.as_ref().starts_with(word);
            (if is_beginning { 1 } else { distance(candidate.as_ref()) }, candidate.as_ref().to_owned())
        })
        .min()
        .filter(|(distance, _)| *distance <= 1 + word.len() / 5)
        .map(|(_, candidate)| candidate)
}
