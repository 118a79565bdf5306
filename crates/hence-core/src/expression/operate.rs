//! What each operator and function does with values.
//!
//! Everything is checked: overflow, division by zero and text that cannot be read are errors, never a wrong value. Bytes are
//! counted before they are made, text and elements before they are compared.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::value::{Value, parse_duration, parse_time};

use super::evaluate::{EvaluationError, EvaluationErrorKind, Evaluator, Found, mismatch};
use super::syntax::{Function, Node, Operator};

type Outcome = Result<Value, EvaluationErrorKind>;

impl<'a> Evaluator<'a> {
    /// `-x`.
    pub(super) fn negate(&mut self, value: &Value, node: &Node) -> Found<'a> {
        let negated = match value {
            Value::Int(value) => value.checked_neg().map(Value::Int),
            Value::Float(value) => Some(Value::Float(-value)),
            Value::Duration(value) => value.checked_neg().map(Value::Duration),
            Value::Null => return Err(super::evaluate::null(node)),
            other => return Err(mismatch("-", &[other]).at(&node.span)),
        };
        negated.map(Cow::Owned).ok_or_else(|| EvaluationErrorKind::Overflow.at(&node.span))
    }

    /// Every operator with two operands but `&&` and `||`.
    pub(super) fn operate(
        &mut self,
        operator: Operator,
        left: Cow<'a, Value>,
        right: Cow<'a, Value>,
        span: &Range<usize>,
    ) -> Found<'a> {
        let value = match operator {
            Operator::Equal => Value::Bool(self.is_equal(&left, &right, span)?),
            Operator::NotEqual => Value::Bool(!self.is_equal(&left, &right, span)?),
            Operator::In => Value::Bool(self.is_in(&left, &right, span)?),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                let order = self.order(operator, &left, &right, span)?;
                Value::Bool(order.is_some_and(|order| match operator {
                    Operator::Less => order.is_lt(),
                    Operator::LessOrEqual => order.is_le(),
                    Operator::Greater => order.is_gt(),
                    _ => order.is_ge(),
                }))
            }
            Operator::Add if matches!(*left, Value::String(_) | Value::List(_)) => return self.append(left, right, span),
            _ => arithmetic(operator, &left, &right).map_err(|kind| kind.at(span))?,
        };
        Ok(Cow::Owned(value))
    }

    /// Equality of values of any type; those of different types are unequal, numbers compare by value.
    fn is_equal(&mut self, left: &Value, right: &Value, span: &Range<usize>) -> Result<bool, EvaluationError> {
        self.step(1, span)?;
        Ok(match (left, right) {
            (Value::String(left), Value::String(right)) => {
                self.step(left.len().min(right.len()) / 64, span)?;
                left == right
            }
            (Value::List(left), Value::List(right)) if left.len() == right.len() => {
                for (left, right) in left.iter().zip(right) {
                    if !self.is_equal(left, right, span)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Map(left), Value::Map(right)) if left.len() == right.len() => {
                for ((left_key, left), (right_key, right)) in left.iter().zip(right) {
                    self.step(left_key.len().min(right_key.len()) / 64, span)?;
                    if left_key != right_key || !self.is_equal(left, right, span)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Int(left), Value::Float(right)) => compare_mixed(*left, *right) == Some(Ordering::Equal),
            (Value::Float(left), Value::Int(right)) => compare_mixed(*right, *left) == Some(Ordering::Equal),
            (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_)) => false,
            (left, right) => left == right,
        })
    }

    fn is_in(&mut self, wanted: &Value, container: &Value, span: &Range<usize>) -> Result<bool, EvaluationError> {
        match (wanted, container) {
            (_, Value::List(items)) => {
                for item in items {
                    if self.is_equal(wanted, item, span)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Value::String(key), Value::Map(map)) => {
                self.step(1 + key.len() / 64, span)?;
                Ok(map.contains_key(key))
            }
            (Value::Null, Value::Map(_)) => Err(EvaluationErrorKind::Null { name: "the key".to_owned() }.at(span)),
            _ => Err(mismatch("in", &[wanted, container]).at(span)),
        }
    }

    /// The order of two values; `None` where a float is no number.
    fn order(
        &mut self,
        operator: Operator,
        left: &Value,
        right: &Value,
        span: &Range<usize>,
    ) -> Result<Option<Ordering>, EvaluationError> {
        Ok(match (left, right) {
            (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
            (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
            (Value::Int(left), Value::Float(right)) => compare_mixed(*left, *right),
            (Value::Float(left), Value::Int(right)) => compare_mixed(*right, *left).map(Ordering::reverse),
            (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
            (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
            (Value::String(left), Value::String(right)) => {
                self.step(left.len().min(right.len()) / 64, span)?;
                Some(left.cmp(right))
            }
            (left, right) => return Err(mismatch(operator.symbol(), &[left, right]).at(span)),
        })
    }

    /// Text after text, or list after list.
    fn append(&mut self, left: Cow<'a, Value>, right: Cow<'a, Value>, span: &Range<usize>) -> Found<'a> {
        match (left.as_ref(), right.as_ref()) {
            (Value::String(first), Value::String(second)) => {
                self.produce(first.len() + second.len(), span)?;
                Ok(Cow::Owned(Value::String(format!("{first}{second}"))))
            }
            (Value::List(_), Value::List(_)) => {
                self.produce_copy(&left, span)?;
                self.produce_copy(&right, span)?;
                match (left.into_owned(), right.into_owned()) {
                    (Value::List(mut first), Value::List(second)) => {
                        first.extend(second);
                        Ok(Cow::Owned(Value::List(first)))
                    }
                    // Just matched as two lists.
                    (first, _) => Ok(Cow::Owned(first)),
                }
            }
            (first, second) => Err(mismatch("+", &[first, second]).at(span)),
        }
    }

    /// Counts a value that is about to be copied, with all it holds.
    pub(super) fn produce_copy(&mut self, value: &Value, span: &Range<usize>) -> Result<(), EvaluationError> {
        self.produce(size_of::<Value>(), span)?;
        self.step(1, span)?;
        match value {
            Value::String(text) => self.produce(text.len(), span),
            Value::List(items) => items.iter().try_for_each(|item| self.produce_copy(item, span)),
            Value::Map(map) => map.iter().try_for_each(|(key, item)| {
                self.produce(key.len() + size_of::<String>(), span)?;
                self.produce_copy(item, span)
            }),
            _ => Ok(()),
        }
    }

    /// A function with its arguments, none of them null.
    pub(super) fn call(&mut self, function: Function, arguments: &[Cow<'a, Value>], span: &Range<usize>) -> Found<'a> {
        for argument in arguments {
            if let Value::String(text) = argument.as_ref() {
                self.step(text.len() / 64, span)?;
            }
        }
        let values: Vec<&Value> = arguments.iter().map(AsRef::as_ref).collect();
        let value = match (function, values.as_slice()) {
            (Function::LowerAscii | Function::UpperAscii, [Value::String(text)]) => {
                self.produce(text.len(), span)?;
                let is_lower = function == Function::LowerAscii;
                Ok(Value::String(if is_lower { text.to_ascii_lowercase() } else { text.to_ascii_uppercase() }))
            }
            (Function::String, [value]) => {
                self.produce(if let Value::String(text) = value { text.len() } else { 64 }, span)?;
                text_of(value).map(Value::String).ok_or_else(|| mismatch("string", &[value]))
            }
            (function, _) if function.takes_zone() => {
                // A zone is looked up by name among some 600.
                self.step(16, span)?;
                time_part(function, &values)
            }
            _ => plain_call(function, &values),
        };
        value.map(Cow::Owned).map_err(|kind| kind.at(span))
    }
}

/// Order of an int and a float, exact also where the float cannot hold the int.
fn compare_mixed(int: i64, float: f64) -> Option<Ordering> {
    // 2^63, the first float beyond every int; its negative is the least int.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        None
    } else if float >= BEYOND {
        Some(Ordering::Less)
    } else if float < -BEYOND {
        Some(Ordering::Greater)
    } else {
        let whole = float.trunc();
        // In range, as just tested; what is cut off decides between equals.
        let order = int.cmp(&(whole as i64));
        Some(order.then_with(|| 0.0_f64.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal)))
    }
}

fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Outcome {
    let overflow = EvaluationErrorKind::Overflow;
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => int_arithmetic(operator, *left, *right),
        (Value::Float(first), Value::Float(second)) => Ok(Value::Float(match operator {
            Operator::Add => first + second,
            Operator::Subtract => first - second,
            Operator::Multiply => first * second,
            Operator::Divide => first / second,
            _ => return Err(mismatch(operator.symbol(), &[left, right])),
        })),
        (Value::Time(time), Value::Duration(span)) | (Value::Duration(span), Value::Time(time)) => {
            let moved = match (operator, left) {
                (Operator::Add, _) => time.checked_add(*span),
                (Operator::Subtract, Value::Time(_)) => time.checked_sub(*span),
                _ => return Err(mismatch(operator.symbol(), &[left, right])),
            };
            moved.map(Value::Time).map_err(|_| overflow)
        }
        (Value::Time(later), Value::Time(earlier)) if operator == Operator::Subtract => {
            Ok(Value::Duration(later.duration_since(*earlier)))
        }
        (Value::Duration(first), Value::Duration(second)) => {
            let sum = match operator {
                Operator::Add => first.checked_add(*second),
                Operator::Subtract => first.checked_sub(*second),
                _ => return Err(mismatch(operator.symbol(), &[left, right])),
            };
            sum.map(Value::Duration).ok_or(overflow)
        }
        _ => Err(mismatch(operator.symbol(), &[left, right])),
    }
}

fn int_arithmetic(operator: Operator, left: i64, right: i64) -> Outcome {
    let is_division = matches!(operator, Operator::Divide | Operator::Remainder);
    if is_division && right == 0 {
        return Err(EvaluationErrorKind::DivisionByZero);
    }
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => left.checked_div(right),
        _ => left.checked_rem(right),
    };
    result.map(Value::Int).ok_or(EvaluationErrorKind::Overflow)
}

fn plain_call(function: Function, arguments: &[&Value]) -> Outcome {
    let unreadable = EvaluationErrorKind::Unreadable { function: function.name() };
    Ok(match (function, arguments) {
        (Function::Size, [Value::String(text)]) => length(text.chars().count()),
        (Function::Size, [Value::List(items)]) => length(items.len()),
        (Function::Size, [Value::Map(map)]) => length(map.len()),
        (Function::StartsWith, [Value::String(text), Value::String(part)]) => Value::Bool(text.starts_with(part.as_str())),
        (Function::EndsWith, [Value::String(text), Value::String(part)]) => Value::Bool(text.ends_with(part.as_str())),
        (Function::Contains, [Value::String(text), Value::String(part)]) => Value::Bool(text.contains(part.as_str())),
        (Function::Timestamp, [Value::Time(time)]) => Value::Time(*time),
        (Function::Timestamp, [Value::String(text)]) => Value::Time(parse_time(text).ok_or(unreadable)?),
        (Function::Timestamp, [Value::Int(seconds)]) => {
            Value::Time(Timestamp::from_second(*seconds).map_err(|_| EvaluationErrorKind::Overflow)?)
        }
        (Function::Duration, [Value::Duration(span)]) => Value::Duration(*span),
        (Function::Duration, [Value::String(text)]) => Value::Duration(parse_duration(text).ok_or(unreadable)?),
        (Function::Int, [Value::Int(value)]) => Value::Int(*value),
        (Function::Int, [Value::Time(time)]) => Value::Int(time.as_second()),
        (Function::Int, [Value::String(text)]) => Value::Int(text.trim().parse().map_err(|_| unreadable)?),
        (Function::Int, [Value::Float(value)]) => {
            let whole = value.trunc();
            // The bounds of i64 as floats: the upper one is 2^63 and not an int any more.
            if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&whole) {
                return Err(EvaluationErrorKind::Overflow);
            }
            Value::Int(whole as i64)
        }
        (Function::Double, [Value::Float(value)]) => Value::Float(*value),
        (Function::Double, [Value::Int(value)]) => Value::Float(*value as f64),
        (Function::Double, [Value::String(text)]) => Value::Float(text.trim().parse().map_err(|_| unreadable)?),
        (function, arguments) => return Err(mismatch(function.name(), arguments)),
    })
}

fn length(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Text as `string(x)` and interpolation show it; none for lists, maps and null.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        // 1e300 would be 301 digits long.
        Value::Float(value) if value.abs() >= 1e17 => format!("{value:e}"),
        Value::Float(value) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Time(time) => time.to_string(),
        Value::Duration(duration) => format!("{duration:#}"),
        Value::Null | Value::List(_) | Value::Map(_) => return None,
    })
}

fn time_part(function: Function, arguments: &[&Value]) -> Outcome {
    let unreadable = EvaluationErrorKind::Unreadable { function: function.name() };
    let (time, zone) = match arguments {
        [Value::Duration(span)] => return duration_part(function, *span),
        [Value::Time(time)] => (time, TimeZone::UTC),
        [Value::Time(time), Value::String(zone)] => (time, TimeZone::get(zone).map_err(|_| unreadable)?),
        _ => return Err(mismatch(function.name(), arguments)),
    };
    let local = time.to_zoned_datetime(zone);
    Ok(Value::Int(match function {
        Function::GetFullYear => i64::from(local.year()),
        // CEL counts months from 0, days of the month by getDate from 1, days of the week from Sunday = 0.
        Function::GetMonth => i64::from(local.month()) - 1,
        Function::GetDate => i64::from(local.day()),
        Function::GetDayOfWeek => i64::from(local.weekday().to_sunday_zero_offset()),
        Function::GetHours => i64::from(local.hour()),
        Function::GetMinutes => i64::from(local.minute()),
        _ => i64::from(local.second()),
    }))
}

/// As in CEL, the whole duration in that unit.
fn duration_part(function: Function, span: SignedDuration) -> Outcome {
    Ok(Value::Int(match function {
        Function::GetHours => span.as_hours(),
        Function::GetMinutes => span.as_mins(),
        Function::GetSeconds => span.as_secs(),
        other => return Err(mismatch(other.name(), &[&Value::Duration(span)])),
    }))
}
