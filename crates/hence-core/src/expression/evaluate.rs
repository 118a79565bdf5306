//! The value of an expression, within its limits of steps and memory.
//!
//! Every operation is checked: what overflows, divides by zero, meets null or is of another type gives an error, never a guess.
//! `&&`, `||` and `?:` look only at what they need, left to right; an error on the way is the error of the whole.

use std::ops::Range;

use jiff::Timestamp;

use super::syntax::{Function, Node, NodeKind, Operator, Path};
use super::{Context, MEMORY_BYTES_MAX, STEPS_MAX};
use crate::calendar::Zone;
use crate::value::{Value, parse_duration, parse_time};

/// Why an expression has no value by these facts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct EvaluationError {
    problem: String,
    span: Range<usize>,
}

impl EvaluationError {
    /// The bytes of the source it speaks of.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

pub(super) fn evaluate(root: &Node, context: &Context) -> Result<Value, EvaluationError> {
    Run { context, steps: 0, bytes: 0 }.node(root)
}

/// The value, where no name matters for it.
pub(super) fn constant(root: &Node) -> Option<Value> {
    if !root.has_names() {
        return evaluate(root, &Context::new()).ok();
    }
    let (operator, parts) = chain(root)?;
    let constants = || parts.iter().filter_map(|part| constant(part));
    match operator {
        Operator::Or => constants().find(|value| value == &Value::Bool(true)),
        Operator::And => constants().find(|value| value == &Value::Bool(false)),
        _ => {
            let [left, right] = parts.as_slice() else { return None };
            let is_same = left.is_same(right);
            match operator {
                Operator::Equal | Operator::LessOrEqual | Operator::GreaterOrEqual if is_same => Some(Value::Bool(true)),
                Operator::NotEqual | Operator::Less | Operator::Greater if is_same => Some(Value::Bool(false)),
                _ => None,
            }
        }
    }
}

/// The operands of a chain of one logical operator, or the two of any other.
fn chain(root: &Node) -> Option<(Operator, Vec<&Node>)> {
    let NodeKind::Binary(operator, ..) = &root.kind else { return None };
    let is_logical = matches!(operator, Operator::And | Operator::Or);
    let mut parts = Vec::new();
    let mut here = root;
    while let NodeKind::Binary(other, left, right) = &here.kind
        && other == operator
    {
        parts.push(&**right);
        here = left;
        if !is_logical {
            break;
        }
    }
    parts.push(here);
    parts.reverse();
    Some((*operator, parts))
}

struct Run<'a> {
    context: &'a Context,
    steps: usize,
    bytes: usize,
}

fn fail<T>(node: &Node, problem: impl Into<String>) -> Result<T, EvaluationError> {
    Err(EvaluationError { problem: problem.into(), span: node.span.clone() })
}

impl<'a> Run<'a> {
    fn node(&mut self, node: &Node) -> Result<Value, EvaluationError> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return fail(node, format!("more than {STEPS_MAX} steps"));
        }
        match &node.kind {
            NodeKind::Literal(value) => self.made(node, value.clone()),
            NodeKind::Path(path) => {
                let value = self.path(node, path)?.clone();
                self.made(node, value)
            }
            NodeKind::Let(_, expression) => self.node(&expression.root),
            NodeKind::Binary(..) => self.spine(node),
            NodeKind::Member(inner, segment) => match self.node(inner)? {
                Value::Map(mut map) => Ok(map.remove(&segment.name).unwrap_or(Value::Null)),
                other => fail(node, format!("{} has no fields", described(&other))),
            },
            NodeKind::Index(inner, index) => self.index(node, inner, index),
            NodeKind::Not(inner) => Ok(Value::Bool(!self.bool(inner)?)),
            NodeKind::Negate(inner) => match self.node(inner)? {
                Value::Int(value) => value.checked_neg().map_or_else(|| overflow(node), |value| Ok(Value::Int(value))),
                Value::Float(value) => Ok(Value::Float(-value)),
                Value::Duration(value) => value.checked_neg().map_or_else(|| overflow(node), |value| Ok(Value::Duration(value))),
                other => fail(node, format!("`-` does not take {}", described(&other))),
            },
            NodeKind::Conditional(parts) => {
                let [condition, then, otherwise] = &**parts;
                let taken = if self.bool(condition)? { then } else { otherwise };
                self.node(taken)
            }
            NodeKind::List(items) => {
                let values = items.iter().map(|item| self.node(item)).collect::<Result<Vec<_>, _>>()?;
                Ok(Value::List(values))
            }
            NodeKind::Call(function, arguments) => self.call(node, *function, arguments),
            NodeKind::Has(inner) => self.has(inner),
        }
    }

    /// Counts a value that was copied or made against the limit of memory.
    fn made(&mut self, node: &Node, value: Value) -> Result<Value, EvaluationError> {
        self.bytes = self.bytes.saturating_add(bytes_of(&value));
        if self.bytes > MEMORY_BYTES_MAX {
            fail(node, format!("more than {MEMORY_BYTES_MAX} bytes of values"))
        } else {
            Ok(value)
        }
    }

    fn bool(&mut self, node: &Node) -> Result<bool, EvaluationError> {
        match self.node(node)? {
            Value::Bool(value) => Ok(value),
            other => fail(node, format!("expected true or false, found {}", described(&other))),
        }
    }

    fn path(&self, node: &Node, path: &Path) -> Result<&'a Value, EvaluationError> {
        let context: &'a Context = self.context;
        let first = &path.segments[0].name;
        let (mut value, rest) = match (context.variables.get(first), path.segments.get(1)) {
            (Some(value), _) => (value, &path.segments[1..]),
            (None, Some(field)) => match context.facts.get(&format!("{first}.{}", field.name)) {
                Some(value) => (value, &path.segments[2..]),
                None => return fail(node, format!("`{}` is not known", path.text)),
            },
            (None, None) => return fail(node, format!("`{}` is not known", path.text)),
        };
        for segment in rest {
            value = match value {
                Value::Map(map) => map.get(&segment.name).unwrap_or(&Value::Null),
                Value::Null => return fail(node, format!("`{}` asks for a field of null", path.text)),
                other => return fail(node, format!("{} has no fields", described(other))),
            };
        }
        Ok(value)
    }

    fn index(&mut self, node: &Node, inner: &Node, index: &Node) -> Result<Value, EvaluationError> {
        match (self.node(inner)?, self.node(index)?) {
            (Value::Map(mut map), Value::String(key)) => Ok(map.remove(&key).unwrap_or(Value::Null)),
            (Value::List(mut items), Value::Int(at)) => match usize::try_from(at).ok().filter(|at| *at < items.len()) {
                Some(at) => Ok(items.swap_remove(at)),
                None => fail(node, format!("the list has {} elements, none at {at}", items.len())),
            },
            (value, key) => fail(node, format!("`[ ]` does not take {} and {}", described(&value), described(&key))),
        }
    }

    /// Whether the field is there and not null.
    fn has(&mut self, inner: &Node) -> Result<Value, EvaluationError> {
        let value = match &inner.kind {
            NodeKind::Path(path) => self.path(inner, path).ok().cloned(),
            _ => self.node(inner).ok(),
        };
        Ok(Value::Bool(value.is_some_and(|value| !value.is_null())))
    }

    /// A chain of operators leans left; it is folded in a loop, because it may be long.
    fn spine(&mut self, node: &Node) -> Result<Value, EvaluationError> {
        let mut rights: Vec<(&Node, Operator, &Node)> = Vec::new();
        let mut here = node;
        while let NodeKind::Binary(operator, left, right) = &here.kind {
            rights.push((here, *operator, right));
            here = left;
        }
        let mut value = self.node(here)?;
        for (whole, operator, right) in rights.into_iter().rev() {
            self.steps += 1;
            value = match (operator, value) {
                (Operator::And, Value::Bool(false)) => Value::Bool(false),
                (Operator::Or, Value::Bool(true)) => Value::Bool(true),
                (Operator::And | Operator::Or, Value::Bool(_)) => Value::Bool(self.bool(right)?),
                (Operator::And | Operator::Or, other) => {
                    return fail(whole, format!("expected true or false, found {}", described(&other)));
                }
                (operator, left) => {
                    let right = self.node(right)?;
                    let value = operate(whole, operator, left, right)?;
                    self.made(whole, value)?
                }
            };
        }
        Ok(value)
    }

    fn call(&mut self, node: &Node, function: Function, arguments: &[Node]) -> Result<Value, EvaluationError> {
        let values = arguments.iter().map(|argument| self.node(argument)).collect::<Result<Vec<_>, _>>()?;
        let mut values = values.into_iter();
        let Some(first) = values.next() else { return fail(node, "a function without a value") };
        let value = call(node, function, first, values.next())?;
        self.made(node, value)
    }
}

fn overflow<T>(node: &Node) -> Result<T, EvaluationError> {
    fail(node, "the number or instant is out of range")
}

/// About how much memory a value takes.
fn bytes_of(value: &Value) -> usize {
    let own = std::mem::size_of::<Value>();
    own + match value {
        Value::String(text) => text.len(),
        Value::List(items) => items.iter().map(bytes_of).sum(),
        Value::Map(map) => map.iter().map(|(key, value)| key.len() + bytes_of(value)).sum(),
        _ => 0,
    }
}

fn described(value: &Value) -> &'static str {
    value.type_name().map_or("null", |kind| kind.with_article())
}

fn operate(node: &Node, operator: Operator, left: Value, right: Value) -> Result<Value, EvaluationError> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match operator {
        Operator::Equal => return Ok(Value::Bool(is_equal(&left, &right))),
        Operator::NotEqual => return Ok(Value::Bool(!is_equal(&left, &right))),
        Operator::In => return is_in(node, &left, &right),
        _ => {}
    }
    if left.is_null() || right.is_null() {
        return fail(node, format!("`{}` meets null", operator.symbol()));
    }
    let ordered = |wanted: &[std::cmp::Ordering]| match compare(&left, &right) {
        Some(order) => Ok(Value::Bool(wanted.contains(&order))),
        None => mismatch(node, operator, &left, &right),
    };
    match operator {
        Operator::Less => ordered(&[Less]),
        Operator::LessOrEqual => ordered(&[Less, Equal]),
        Operator::Greater => ordered(&[Greater]),
        Operator::GreaterOrEqual => ordered(&[Greater, Equal]),
        _ => arithmetic(node, operator, left, right),
    }
}

fn mismatch<T>(node: &Node, operator: Operator, left: &Value, right: &Value) -> Result<T, EvaluationError> {
    fail(node, format!("`{}` does not take {} and {}", operator.symbol(), described(left), described(right)))
}

fn is_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Int(_), Value::Float(_)) | (Value::Float(_), Value::Int(_)) => {
            compare(left, right) == Some(std::cmp::Ordering::Equal)
        }
        _ => left == right,
    }
}

fn is_in(node: &Node, left: &Value, right: &Value) -> Result<Value, EvaluationError> {
    match (left, right) {
        (_, Value::List(items)) => Ok(Value::Bool(items.iter().any(|item| is_equal(left, item)))),
        (Value::String(key), Value::Map(map)) => Ok(Value::Bool(map.contains_key(key))),
        _ => mismatch(node, Operator::In, left, right),
    }
}

fn compare(left: &Value, right: &Value) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Int(left), Value::Float(right)) => (*left as f64).partial_cmp(right),
        (Value::Float(left), Value::Int(right)) => left.partial_cmp(&(*right as f64)),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn arithmetic(node: &Node, operator: Operator, left: Value, right: Value) -> Result<Value, EvaluationError> {
    let is_zero = matches!(right, Value::Int(0));
    if matches!(operator, Operator::Divide | Operator::Remainder) && is_zero {
        return fail(node, "division by zero");
    }
    let value = match (operator, left, right) {
        (_, Value::Int(left), Value::Int(right)) => integer(operator, left, right).map(Value::Int),
        (Operator::Add, Value::Float(left), Value::Float(right)) => Some(Value::Float(left + right)),
        (Operator::Subtract, Value::Float(left), Value::Float(right)) => Some(Value::Float(left - right)),
        (Operator::Multiply, Value::Float(left), Value::Float(right)) => Some(Value::Float(left * right)),
        (Operator::Divide, Value::Float(left), Value::Float(right)) => Some(Value::Float(left / right)),
        (Operator::Add, Value::String(left), Value::String(right)) => Some(Value::String(left + &right)),
        (Operator::Add, Value::List(mut left), Value::List(right)) => {
            left.extend(right);
            Some(Value::List(left))
        }
        (Operator::Add, Value::Time(at), Value::Duration(span)) | (Operator::Add, Value::Duration(span), Value::Time(at)) => {
            at.checked_add(span).ok().map(Value::Time)
        }
        (Operator::Subtract, Value::Time(at), Value::Duration(span)) => at.checked_sub(span).ok().map(Value::Time),
        (Operator::Subtract, Value::Time(left), Value::Time(right)) => Some(Value::Duration(left.duration_since(right))),
        (Operator::Add, Value::Duration(left), Value::Duration(right)) => left.checked_add(right).map(Value::Duration),
        (Operator::Subtract, Value::Duration(left), Value::Duration(right)) => left.checked_sub(right).map(Value::Duration),
        (_, left, right) => return mismatch(node, operator, &left, &right),
    };
    value.map_or_else(|| overflow(node), Ok)
}

fn integer(operator: Operator, left: i64, right: i64) -> Option<i64> {
    match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => left.checked_div(right),
        _ => left.checked_rem(right),
    }
}

fn call(node: &Node, function: Function, first: Value, second: Option<Value>) -> Result<Value, EvaluationError> {
    let value = match (function, first, second) {
        (Function::Size, Value::String(text), _) => Some(int(text.chars().count())),
        (Function::Size, Value::List(items), _) => Some(int(items.len())),
        (Function::Size, Value::Map(map), _) => Some(int(map.len())),
        (Function::StartsWith, Value::String(text), Some(Value::String(part))) => Some(Value::Bool(text.starts_with(&part))),
        (Function::EndsWith, Value::String(text), Some(Value::String(part))) => Some(Value::Bool(text.ends_with(&part))),
        (Function::Contains, Value::String(text), Some(Value::String(part))) => Some(Value::Bool(text.contains(&part))),
        (Function::LowerAscii, Value::String(text), _) => Some(Value::String(text.to_ascii_lowercase())),
        (Function::UpperAscii, Value::String(text), _) => Some(Value::String(text.to_ascii_uppercase())),
        (Function::Timestamp, Value::String(text), _) => parse_time(&text).map(Value::Time),
        (Function::Timestamp, Value::Time(at), _) => Some(Value::Time(at)),
        (Function::Duration, Value::String(text), _) => parse_duration(&text).map(Value::Duration),
        (Function::Duration, Value::Duration(span), _) => Some(Value::Duration(span)),
        (Function::Int, Value::Int(value), _) => Some(Value::Int(value)),
        (Function::Int, Value::Float(value), _) => int_of(value),
        (Function::Int, Value::String(text), _) => text.parse().ok().map(Value::Int),
        (Function::Double, Value::Int(value), _) => Some(Value::Float(value as f64)),
        (Function::Double, Value::Float(value), _) => Some(Value::Float(value)),
        (Function::Double, Value::String(text), _) => text.parse().ok().map(Value::Float),
        (Function::String, value, _) => text_of(&value).map(Value::String),
        (function, Value::Time(at), zone) => return calendar_field(node, function, at, zone),
        (function, other, _) => return fail(node, format!("`{}` does not take {}", function.name(), described(&other))),
    };
    value.map_or_else(|| fail(node, format!("`{}` cannot convert the value", function.name())), Ok)
}

fn int(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// The whole part, where an int can hold it.
fn int_of(value: f64) -> Option<Value> {
    let whole = value.trunc();
    // 2^63 is the first float above every int; -2^63 is an int itself.
    let limit = 9_223_372_036_854_775_808.0;
    (whole >= -limit && whole < limit).then_some(Value::Int(whole as i64))
}

/// The text of a value as it is put into a text; null and containers have none.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Time(at) => Some(at.to_string()),
        Value::Duration(span) => Some(span.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

fn calendar_field(node: &Node, function: Function, at: Timestamp, zone: Option<Value>) -> Result<Value, EvaluationError> {
    let zone = match zone {
        None => Zone::utc(),
        Some(Value::String(name)) => match Zone::parse(&name) {
            Ok(zone) => zone,
            Err(error) => return fail(node, error.to_string()),
        },
        Some(other) => return fail(node, format!("a zone is text, not {}", described(&other))),
    };
    let local = zone.local(at);
    let value = match function {
        Function::GetFullYear => i64::from(local.year()),
        // CEL counts months from 0 and days of the week from Sunday as 0.
        Function::GetMonth => i64::from(local.month()) - 1,
        Function::GetDate => i64::from(local.day()),
        Function::GetDayOfWeek => i64::from(local.weekday().to_sunday_zero_offset()),
        Function::GetHours => i64::from(local.hour()),
        Function::GetMinutes => i64::from(local.minute()),
        Function::GetSeconds => i64::from(local.second()),
        other => return fail(node, format!("`{}` does not take a time", other.name())),
    };
    Ok(Value::Int(value))
}
