//! Expressions that give the same value for all facts, for the lint of constant conditions.

use crate::value::Value;

use super::syntax::{Node, NodeKind, Operator};
use super::{Context, evaluate};

/// The value a tree always has, if that can be seen.
pub(super) fn constant(node: &Node) -> Option<Value> {
    if !node.has_names() {
        return evaluate::run(node, &Context::new()).result.ok();
    }
    match &node.kind {
        NodeKind::Let(_, expression) => constant(&expression.root),
        NodeKind::Not(inner) => match constant(inner)? {
            Value::Bool(value) => Some(Value::Bool(!value)),
            _ => None,
        },
        NodeKind::Binary(operator @ (Operator::And | Operator::Or), left, right) => logic(*operator, left, right),
        NodeKind::Binary(operator, left, right) if left.is_same(right) => match operator {
            Operator::Equal | Operator::LessOrEqual | Operator::GreaterOrEqual => Some(Value::Bool(true)),
            Operator::NotEqual | Operator::Less | Operator::Greater => Some(Value::Bool(false)),
            _ => None,
        },
        NodeKind::Conditional(parts) => {
            let [condition, then, otherwise] = &**parts;
            match constant(condition) {
                Some(Value::Bool(true)) => constant(then),
                Some(Value::Bool(false)) => constant(otherwise),
                _ => constant(then).filter(|value| constant(otherwise).as_ref() == Some(value)),
            }
        }
        _ => None,
    }
}

fn logic(operator: Operator, left: &Node, right: &Node) -> Option<Value> {
    let decides = Value::Bool(operator == Operator::Or);
    let values = (constant(left), constant(right));
    let is_opposite = |one: &Node, other: &Node| matches!(&one.kind, NodeKind::Not(inner) if inner.is_same(other));
    if values.0.as_ref() == Some(&decides) || values.1.as_ref() == Some(&decides) {
        return Some(decides);
    }
    if is_opposite(left, right) || is_opposite(right, left) || is_negated_equality(left, right) {
        return Some(decides);
    }
    // Neither decides, so both being constant leaves the other value.
    values.0.and(values.1)
}

/// `x == y` beside `x != y`.
fn is_negated_equality(left: &Node, right: &Node) -> bool {
    match (&left.kind, &right.kind) {
        (NodeKind::Binary(first, a, b), NodeKind::Binary(second, c, d)) => {
            first.is_equality() && second.is_equality() && first != second && a.is_same(c) && b.is_same(d)
        }
        _ => false,
    }
}
