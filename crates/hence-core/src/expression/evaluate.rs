//! Values of a tree for given facts, counted in steps and bytes.
//!
//! Looks at facts in place and makes new values only where an operator does. Of `&&` and `||`, one side that decides is
//! enough even where the other fails, as in CEL; only a passed limit is never hidden that way.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::value::Value;

use super::syntax::{Binding, Node, NodeKind, Operator, Path};
use super::{Context, MEMORY_BYTES_MAX, STEPS_MAX};

/// Why an expression has no value now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct EvaluationError {
    kind: EvaluationErrorKind,
    span: Range<usize>,
}

/// The kinds of [`EvaluationError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvaluationErrorKind {
    /// A value is null where an operator needs one.
    Null {
        /// The name, or `a value` where it has none.
        name: String,
    },
    /// A group of facts, or a variable, has not been read.
    NotRead {
        /// The group or variable.
        name: String,
    },
    /// A field was not given although it may not be null.
    NotGiven {
        /// `group.field`.
        name: String,
    },
    /// An operator met values it does not take; only possible where a type is `any`.
    Type {
        /// The operator or function.
        operator: &'static str,
        /// The types it met.
        found: String,
    },
    /// A number or instant would be out of range.
    Overflow,
    /// Divided by zero.
    DivisionByZero,
    /// A list has no element there.
    NoElement,
    /// Text cannot be read as what a function makes of it.
    Unreadable {
        /// The function.
        function: &'static str,
    },
    /// It took more than [`STEPS_MAX`] steps.
    Steps,
    /// It made more than [`MEMORY_BYTES_MAX`] bytes of values.
    Memory,
}

/// The outcome of one evaluation.
#[derive(Debug)]
pub(super) struct Evaluation<'a> {
    pub(super) result: Result<Value, EvaluationError>,
    pub(super) steps: usize,
    pub(super) bytes: usize,
    seen: Vec<(&'a str, Cow<'a, Value>)>,
}

pub(super) type Found<'a> = Result<Cow<'a, Value>, EvaluationError>;

impl EvaluationError {
    /// The kind, to branch on.
    pub fn kind(&self) -> &EvaluationErrorKind {
        &self.kind
    }

    /// The bytes of the source it speaks of; for a part inside a let, those of the let's name.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl Evaluation<'_> {
    /// The names the result depended on, with their values.
    pub(super) fn deciding(&self) -> BTreeMap<String, Value> {
        self.seen.iter().map(|(name, value)| ((*name).to_owned(), value.as_ref().clone())).collect()
    }
}

impl EvaluationErrorKind {
    pub(super) fn at(self, span: &Range<usize>) -> EvaluationError {
        EvaluationError { kind: self, span: span.clone() }
    }

    fn is_limit(&self) -> bool {
        matches!(self, EvaluationErrorKind::Steps | EvaluationErrorKind::Memory)
    }
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            EvaluationErrorKind::Null { name } => write!(f, "{name} is null"),
            EvaluationErrorKind::NotRead { name } => write!(f, "`{name}` has not been read"),
            EvaluationErrorKind::NotGiven { name } => write!(f, "`{name}` was not given"),
            EvaluationErrorKind::Type { operator, found } => write!(f, "`{operator}` cannot take {found}"),
            EvaluationErrorKind::Overflow => f.write_str("the result is out of range"),
            EvaluationErrorKind::DivisionByZero => f.write_str("division by zero"),
            EvaluationErrorKind::NoElement => f.write_str("the list has no such element"),
            EvaluationErrorKind::Unreadable { function } => write!(f, "`{function}` cannot read this text"),
            EvaluationErrorKind::Steps => write!(f, "the expression takes more than {STEPS_MAX} steps"),
            EvaluationErrorKind::Memory => write!(f, "the expression makes more than {MEMORY_BYTES_MAX} bytes"),
        }
    }
}

/// Evaluates a tree.
pub(super) fn run<'a>(root: &'a Node, context: &'a Context) -> Evaluation<'a> {
    let mut evaluator = Evaluator { context, steps: 0, bytes: 0, seen: Vec::new() };
    let result = evaluator.node(root).map(Cow::into_owned);
    let Evaluator { steps, bytes, seen, .. } = evaluator;
    Evaluation { result, steps, bytes, seen }
}

pub(super) struct Evaluator<'a> {
    context: &'a Context,
    steps: usize,
    bytes: usize,
    seen: Vec<(&'a str, Cow<'a, Value>)>,
}

impl<'a> Evaluator<'a> {
    /// Counts work; `span` is what is told when it is too much.
    pub(super) fn step(&mut self, count: usize, span: &Range<usize>) -> Result<(), EvaluationError> {
        self.steps = self.steps.saturating_add(count).min(STEPS_MAX + 1);
        if self.steps > STEPS_MAX { Err(EvaluationErrorKind::Steps.at(span)) } else { Ok(()) }
    }

    /// Counts bytes before they are made.
    pub(super) fn produce(&mut self, bytes: usize, span: &Range<usize>) -> Result<(), EvaluationError> {
        let total = self.bytes.saturating_add(bytes);
        if total > MEMORY_BYTES_MAX {
            return Err(EvaluationErrorKind::Memory.at(span));
        }
        self.bytes = total;
        self.step(bytes / 64, span)
    }

    fn node(&mut self, node: &'a Node) -> Found<'a> {
        self.step(1, &node.span)?;
        match &node.kind {
            NodeKind::Literal(value) => Ok(Cow::Borrowed(value)),
            NodeKind::Path(path) => self.path(path, &node.span),
            NodeKind::Let(_, expression) => {
                self.node(&expression.root).map_err(|error| EvaluationError { span: node.span.clone(), ..error })
            }
            NodeKind::Member(inner, segment) => {
                let found = self.node(inner)?;
                member(found, &segment.name).map_err(|kind| kind.at(&segment.span))
            }
            NodeKind::Index(inner, index) => {
                let (container, key) = (self.node(inner)?, self.node(index)?);
                self.index(container, &key, node)
            }
            NodeKind::Not(inner) => {
                let value = self.bool(inner, "!")?;
                Ok(Cow::Owned(Value::Bool(!value)))
            }
            NodeKind::Negate(inner) => {
                let value = self.node(inner)?;
                self.negate(&value, inner)
            }
            NodeKind::Binary(..) => self.spine(node),
            NodeKind::Conditional(parts) => {
                let [condition, then, otherwise] = &**parts;
                let branch = if self.bool(condition, "? :")? { then } else { otherwise };
                self.node(branch)
            }
            NodeKind::List(items) => self.list(items, &node.span),
            NodeKind::Call(function, arguments) => {
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    let value = self.node(argument)?;
                    if value.is_null() {
                        return Err(null(argument));
                    }
                    values.push(value);
                }
                self.call(*function, &values, &node.span)
            }
            NodeKind::Has(inner) => {
                let found = self.node(inner)?;
                Ok(Cow::Owned(Value::Bool(!found.is_null())))
            }
        }
    }

    fn path(&mut self, path: &'a Path, span: &Range<usize>) -> Found<'a> {
        let found = self.look_up(path).map_err(|kind| kind.at(span))?;
        self.seen.push((&path.text, found.clone()));
        Ok(found)
    }

    fn look_up(&mut self, path: &'a Path) -> Result<Cow<'a, Value>, EvaluationErrorKind> {
        let first = &path.segments[0].name;
        let variable = match path.binding {
            Binding::Fact { .. } => None,
            Binding::Variable | Binding::Unbound => self.context.variables.get(first),
        };
        let (mut found, used) = match (variable, path.segments.get(1)) {
            (Some(value), _) => (Cow::Borrowed(value), 1),
            (None, Some(field)) if path.binding != Binding::Variable => {
                let group =
                    self.context.facts.group(first).ok_or_else(|| EvaluationErrorKind::NotRead { name: first.clone() })?;
                match group.get(&field.name) {
                    Some(value) => (Cow::Borrowed(value), 2),
                    None if path.binding == (Binding::Fact { nullable: true }) => (Cow::Owned(Value::Null), 2),
                    None => return Err(EvaluationErrorKind::NotGiven { name: format!("{first}.{}", field.name) }),
                }
            }
            _ => return Err(EvaluationErrorKind::NotRead { name: first.clone() }),
        };
        for segment in &path.segments[used..] {
            found = member(found, &segment.name)?;
        }
        Ok(found)
    }

    fn index(&mut self, container: Cow<'a, Value>, key: &Value, node: &'a Node) -> Found<'a> {
        match (container.as_ref(), key) {
            (Value::Null, _) => Ok(Cow::Owned(Value::Null)),
            (Value::Map(_), Value::String(key)) => member(container, key).map_err(|kind| kind.at(&node.span)),
            (Value::List(items), Value::Int(at)) => {
                let at = usize::try_from(*at).ok().filter(|at| *at < items.len());
                let Some(at) = at else { return Err(EvaluationErrorKind::NoElement.at(&node.span)) };
                Ok(match container {
                    Cow::Borrowed(Value::List(items)) => Cow::Borrowed(&items[at]),
                    Cow::Owned(Value::List(mut items)) => Cow::Owned(items.swap_remove(at)),
                    // Just matched as a list.
                    _ => Cow::Owned(Value::Null),
                })
            }
            (_, Value::Null) => Err(EvaluationErrorKind::Null { name: "the index".to_owned() }.at(&node.span)),
            (container, key) => Err(mismatch("[]", &[container, key]).at(&node.span)),
        }
    }

    fn list(&mut self, items: &'a [Node], span: &Range<usize>) -> Found<'a> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let value = self.node(item)?;
            self.produce_copy(&value, span)?;
            values.push(value.into_owned());
        }
        Ok(Cow::Owned(Value::List(values)))
    }

    fn bool(&mut self, node: &'a Node, operator: &'static str) -> Result<bool, EvaluationError> {
        let value = self.node(node)?;
        as_bool(&value, node, operator)
    }

    /// A chain of operators, from its leftmost operand on, without entering itself for each.
    fn spine(&mut self, node: &'a Node) -> Found<'a> {
        let mut links = Vec::new();
        let mut leftmost = node;
        while let NodeKind::Binary(operator, left, right) = &leftmost.kind {
            self.step(1, &leftmost.span)?;
            links.push((*operator, left, right, &leftmost.span));
            leftmost = left;
        }
        let mark = self.seen.len();
        let mut found = self.node(leftmost);
        for (operator, left, right, span) in links.into_iter().rev() {
            found = match (operator, found) {
                (Operator::And | Operator::Or, first) => {
                    let first = first.and_then(|value| as_bool(&value, left, operator.symbol()));
                    self.logic(operator, first, (right, mark)).map(|value| Cow::Owned(Value::Bool(value)))
                }
                (_, Ok(first)) => self.join(operator, (left, first), right, span),
                // A failure goes on to the left: an `||` there may not need this side.
                (_, failed) => failed,
            };
        }
        found
    }

    /// An operator that needs both sides.
    fn join(&mut self, operator: Operator, left: (&Node, Cow<'a, Value>), right: &'a Node, span: &Range<usize>) -> Found<'a> {
        let second = self.node(right)?;
        if !operator.is_equality() {
            let is_null_left = left.1.is_null() && operator != Operator::In;
            if is_null_left || second.is_null() {
                return Err(null(if is_null_left { left.0 } else { right }));
            }
        }
        self.operate(operator, left.1, second, span)
    }

    /// `&&` and `||`: the left side decides, else the right one, else the left side's failure stands.
    fn logic(
        &mut self,
        operator: Operator,
        first: Result<bool, EvaluationError>,
        (right, mark): (&'a Node, usize),
    ) -> Result<bool, EvaluationError> {
        let decides = operator == Operator::Or;
        match &first {
            Ok(value) if *value == decides => return first,
            Err(error) if error.kind.is_limit() => return first,
            _ => {}
        }
        let before = self.seen.len();
        let second = self.bool(right, operator.symbol());
        match second {
            Ok(value) if value == decides => {
                self.seen.drain(mark..before);
                Ok(value)
            }
            Err(error) if error.kind.is_limit() => Err(error),
            second => first.and(second),
        }
    }
}

fn as_bool(value: &Value, node: &Node, operator: &'static str) -> Result<bool, EvaluationError> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::Null => Err(null(node)),
        other => Err(mismatch(operator, &[other]).at(&node.span)),
    }
}

fn member<'a>(found: Cow<'a, Value>, name: &str) -> Result<Cow<'a, Value>, EvaluationErrorKind> {
    match found {
        Cow::Borrowed(Value::Map(map)) => Ok(map.get(name).map_or(Cow::Owned(Value::Null), Cow::Borrowed)),
        Cow::Owned(Value::Map(mut map)) => Ok(Cow::Owned(map.remove(name).unwrap_or_default())),
        found if found.is_null() => Ok(Cow::Owned(Value::Null)),
        found => Err(mismatch(".", &[&found])),
    }
}

/// The error for a null operand, by its name where it has one.
pub(super) fn null(node: &Node) -> EvaluationError {
    let name = match &node.kind {
        NodeKind::Path(path) => format!("`{}`", path.text),
        NodeKind::Let(name, _) => format!("`{name}`"),
        _ => "a value".to_owned(),
    };
    EvaluationErrorKind::Null { name }.at(&node.span)
}

/// The error for operands of wrong types.
pub(super) fn mismatch(operator: &'static str, found: &[&Value]) -> EvaluationErrorKind {
    let names: Vec<&str> = found.iter().map(|value| value.type_name().map_or("null", |name| name.with_article())).collect();
    EvaluationErrorKind::Type { operator, found: names.join(" and ") }
}

#[cfg(test)]
mod tests {
    //! The budget holds for the dearest sources of full length, counted in steps and bytes and not in time.

    use super::super::{Expression, NODES_MAX, Names};
    use super::*;
    use crate::value::{FACT_TEXT_BYTES_MAX, FieldType, TypeName};

    fn names() -> Names {
        let mut names = Names::default();
        names.variable("s", FieldType::required(TypeName::String));
        names.variable("l", FieldType::required(TypeName::List));
        names
    }

    /// Steps and bytes of one evaluation where `s` has `text_bytes` and `l` a thousand elements.
    #[track_caller]
    fn spent(source: &str, text_bytes: usize) -> (usize, usize) {
        let mut expression = Expression::parse(source).unwrap_or_else(|error| panic!("{error}"));
        expression.bind(&names()).unwrap_or_else(|errors| panic!("{errors:?}"));
        let context = Context::new()
            .with("s", Value::String("x".repeat(text_bytes)))
            .with("l", Value::List(vec![Value::String("x".repeat(text_bytes / 1000)); 1000]));
        let spent = run(&expression.root, &context);
        (spent.steps, spent.bytes)
    }

    #[test]
    fn every_source_of_full_length_runs_within_the_budget_on_short_values() {
        let chain = |part: &str, times: usize| vec![part; times].join(" && ");
        for source in [
            chain("s.contains(s) == true", 80),
            chain("size(s+s)>0", 70),
            chain("s in [s,s,s]", 70),
            format!("size([{}]) > 0", vec!["s"; NODES_MAX - 10].join(",")),
        ] {
            let (steps, bytes) = spent(&source, 8);
            assert!(steps <= 4 * NODES_MAX, "{steps} steps: {source}");
            assert!(bytes <= MEMORY_BYTES_MAX, "{bytes} bytes: {source}");
        }
    }

    #[test]
    fn long_values_end_an_evaluation_at_the_limit_and_not_later() {
        let chain = |part: &str, times: usize| vec![part; times].join(" && ");
        for source in [
            chain("s.contains('y') == false", 80),
            chain("!('y' in l)", 100),
            chain("l == l", 80),
            chain("s < s || s == s", 60),
            chain("size(s+s)>0", 70),
            format!("size([{}]) > 0", vec!["l"; NODES_MAX - 10].join(",")),
        ] {
            let (steps, bytes) = spent(&source, FACT_TEXT_BYTES_MAX);
            assert!(steps <= STEPS_MAX + 1, "{steps} steps: {source}");
            assert!(bytes <= MEMORY_BYTES_MAX, "{bytes} bytes: {source}");
        }
    }
}
