//! Names and types: everything about an expression that can be known before there are facts.
//!
//! Walks the tree once, bottom up. A mistake is reported and counts as `any` from there on, so that one mistake is reported once.

use std::ops::Range;
use std::sync::Arc;

use super::syntax::{Binding, Function, Node, NodeKind, Operator};
use super::{DEPTH_MAX, Expression, ExpressionError, Names, STEPS_MAX, nearest, parse};
use crate::value::{FieldType, TypeName, Value};

const ANY: FieldType = FieldType::nullable(TypeName::Any);
const BOOL: FieldType = FieldType::required(TypeName::Bool);

pub(super) fn bind(expression: &mut Expression, names: &Names) -> Result<FieldType, Vec<ExpressionError>> {
    let mut checker = Checker { names, errors: Vec::new(), let_cost: 0 };
    let kind = checker.node(&mut expression.root);
    let whole = 0..expression.source.len();
    if expression.root.depth > DEPTH_MAX {
        let message = format!("the expression nests deeper than {DEPTH_MAX} with its lets put in");
        checker.error(whole.clone(), message, "use fewer lets within lets");
    }
    expression.cost = expression.root.walk().count().saturating_add(checker.let_cost);
    if expression.cost > STEPS_MAX {
        let message = format!("the expression takes {} steps with its lets put in, the limit is {STEPS_MAX}", expression.cost);
        checker.error(whole, message, "use each let fewer times");
    }
    if checker.errors.is_empty() { Ok(kind) } else { Err(checker.errors) }
}

/// Names of facts that may be null, used other than in a comparison with null, and never compared with null.
pub(super) fn nullable_uses(root: &Node) -> Vec<(String, Range<usize>)> {
    let mut guarded: Vec<&str> = Vec::new();
    let mut used: Vec<(String, Range<usize>)> = Vec::new();
    for node in root.walk() {
        match &node.kind {
            NodeKind::Binary(operator, left, right) if operator.is_equality() => {
                for (side, other) in [(left, right), (right, left)] {
                    if let NodeKind::Path(path) = &side.kind
                        && is_null(other)
                    {
                        guarded.push(&path.text);
                    }
                }
            }
            NodeKind::Has(inner) => {
                if let NodeKind::Path(path) = &inner.kind {
                    guarded.push(&path.text);
                }
            }
            NodeKind::Binary(..) | NodeKind::Call(..) | NodeKind::Negate(_) | NodeKind::Not(_) => {
                for child in node.children() {
                    if let NodeKind::Path(path) = &child.kind
                        && path.binding == (Binding::Fact { nullable: true })
                    {
                        used.push((path.text.clone(), child.span.clone()));
                    }
                }
            }
            _ => {}
        }
    }
    used.retain(|(name, _)| !guarded.contains(&name.as_str()));
    used
}

struct Checker<'a> {
    names: &'a Names,
    errors: Vec<ExpressionError>,
    let_cost: usize,
}

impl Checker<'_> {
    fn error(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> FieldType {
        self.errors.push(ExpressionError::new(span, message, help));
        ANY
    }

    fn node(&mut self, node: &mut Node) -> FieldType {
        if matches!(node.kind, NodeKind::Binary(..)) {
            let (kind, depth) = self.spine(node);
            node.depth = depth;
            return kind;
        }
        let kind = self.kind(node);
        node.depth = parse::depth(node);
        kind
    }

    fn kind(&mut self, node: &mut Node) -> FieldType {
        if matches!(node.kind, NodeKind::Path(_)) {
            return self.path(node);
        }
        let is_has = matches!(node.kind, NodeKind::Has(_));
        let kinds: Vec<(FieldType, Range<usize>)> =
            node.children_mut().into_iter().map(|child| (self.node(child), child.span.clone())).collect();
        if is_has {
            return BOOL;
        }
        let span = node.span.clone();
        match &node.kind {
            NodeKind::Literal(value) => value.type_name().map_or(ANY, FieldType::required),
            NodeKind::Let(_, _) | NodeKind::Path(_) | NodeKind::Binary(..) | NodeKind::Has(_) => BOOL,
            NodeKind::List(_) => FieldType::required(TypeName::List),
            NodeKind::Not(_) => self.want(&kinds[0], &[TypeName::Bool], "`!`", BOOL),
            NodeKind::Negate(_) => {
                let numeric = [TypeName::Int, TypeName::Float, TypeName::Duration];
                let result = FieldType::required(kinds[0].0.base);
                self.want(&kinds[0], &numeric, "`-`", result)
            }
            NodeKind::Member(_, segment) => {
                let name = segment.name.clone();
                self.want(&kinds[0], &[TypeName::Map], &format!("`.{name}`"), ANY)
            }
            NodeKind::Index(..) => {
                let wanted = if kinds[0].0.base == TypeName::List { TypeName::Int } else { TypeName::String };
                self.want(&kinds[0], &[TypeName::List, TypeName::Map], "`[ ]`", ANY);
                if kinds[0].0.base == TypeName::Any { ANY } else { self.want(&kinds[1], &[wanted], "`[ ]`", ANY) }
            }
            NodeKind::Conditional(parts) => {
                let (then_null, else_null) = (is_null(&parts[1]), is_null(&parts[2]));
                self.want(&kinds[0], &[TypeName::Bool], "the part before `?`", BOOL);
                self.branches((&kinds[1].0, then_null), (&kinds[2].0, else_null), span)
            }
            NodeKind::Call(function, _) => {
                let function = *function;
                self.call(function, &kinds, span)
            }
        }
    }

    /// A chain of operators leans left; it is walked in a loop, because it may be long. Gives its type and depth.
    fn spine(&mut self, node: &mut Node) -> (FieldType, usize) {
        let mut rights: Vec<(Operator, &mut Node)> = Vec::new();
        let mut here = node;
        while matches!(here.kind, NodeKind::Binary(..)) {
            let NodeKind::Binary(operator, left, right) = &mut here.kind else { return (ANY, 1) };
            rights.push((*operator, right));
            here = left;
        }
        let mut left = Side { kind: self.node(here), is_null: is_null(here), span: here.span.clone() };
        let mut depth = here.depth;
        for (operator, node) in rights.into_iter().rev() {
            let right = Side { kind: self.node(node), is_null: is_null(node), span: node.span.clone() };
            depth = depth.max(node.depth + 1);
            let span = left.span.start..right.span.end;
            let kind = self.binary(operator, &left, &right);
            left = Side { kind, is_null: false, span };
        }
        (left.kind, depth)
    }

    fn path(&mut self, node: &mut Node) -> FieldType {
        let NodeKind::Path(path) = &mut node.kind else { return ANY };
        let first = path.segments[0].name.clone();
        if let Some((expression, kind)) = self.names.lets.get(&first)
            && path.segments.len() == 1
        {
            self.let_cost = self.let_cost.saturating_add(expression.cost);
            node.kind = NodeKind::Let(first, Arc::clone(expression));
            return *kind;
        }
        if let Some(kind) = self.names.variables.get(&first) {
            path.binding = Binding::Variable;
            if path.segments.len() == 1 {
                return *kind;
            }
            if matches!(kind.base, TypeName::Map | TypeName::Any) {
                return ANY;
            }
            let message = format!("`{first}` is {}, it has no fields", kind.base.with_article());
            return self.error(node.span.clone(), message, format!("write `{first}` alone"));
        }
        self.fact(node)
    }

    fn fact(&mut self, node: &mut Node) -> FieldType {
        let NodeKind::Path(path) = &mut node.kind else { return ANY };
        let text = path.text.clone();
        let group = self.names.facts.get(&path.segments[0].name);
        let kind = path.segments.get(1).and_then(|field| group?.get(&field.name));
        let Some(kind) = kind.copied() else {
            let help = match nearest(&text, self.names.known()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => match group {
                    Some(fields) => {
                        let fields: Vec<&str> = fields.keys().map(String::as_str).collect();
                        format!("`{}` has the fields {}", path.segments[0].name, fields.join(", "))
                    }
                    None => "declare it under [facts] or [let]".to_owned(),
                },
            };
            return self.error(node.span.clone(), format!("`{text}` is not known"), help);
        };
        path.binding = Binding::Fact { nullable: kind.nullable };
        match (path.segments.len(), kind.base) {
            (2, _) => kind,
            (_, TypeName::Map | TypeName::Any) => ANY,
            (_, base) => {
                let message = format!("`{text}` asks for a field of {}", base.with_article());
                self.error(node.span.clone(), message, "only a map has fields")
            }
        }
    }

    /// `result`, if the operand is of a wanted type or may be of any.
    fn want(&mut self, operand: &(FieldType, Range<usize>), wanted: &[TypeName], by: &str, result: FieldType) -> FieldType {
        let base = operand.0.base;
        if base == TypeName::Any || wanted.contains(&base) {
            return result;
        }
        let words: Vec<&str> = wanted.iter().map(|kind| kind.with_article()).collect();
        let message = format!("{by} needs {}, this is {}", words.join(" or "), base.with_article());
        let help = if wanted == [TypeName::Bool] {
            "compare it with something, such as `x != null` or `x > 0`"
        } else {
            "see the types in `fields`"
        };
        self.error(operand.1.clone(), message, help)
    }

    fn binary(&mut self, operator: Operator, left: &Side, right: &Side) -> FieldType {
        let span = left.span.start..right.span.end;
        let symbol = operator.symbol();
        match operator {
            Operator::And | Operator::Or => {
                for side in [left, right] {
                    self.want(&(side.kind, side.span.clone()), &[TypeName::Bool], &format!("`{symbol}`"), BOOL);
                }
                BOOL
            }
            Operator::Equal | Operator::NotEqual => self.equality(left, right, span),
            Operator::In => self.want(&(right.kind, right.span.clone()), &[TypeName::List, TypeName::Map], "`in`", BOOL),
            _ if left.is_null || right.is_null => {
                self.error(span, format!("`{symbol}` cannot be used with null"), "compare with null by `==` or `!=`")
            }
            _ => match result_of(operator, left.kind.base, right.kind.base) {
                Some(base) => FieldType { base, nullable: base == TypeName::Any },
                None => {
                    let message = format!(
                        "`{symbol}` does not take {} and {}",
                        left.kind.base.with_article(),
                        right.kind.base.with_article()
                    );
                    let help = match (left.kind.base, right.kind.base) {
                        (TypeName::Int, TypeName::Float) | (TypeName::Float, TypeName::Int) => {
                            "convert one with `double(x)` or `int(x)`"
                        }
                        _ => "both sides must be of types that fit",
                    };
                    self.error(span, message, help)
                }
            },
        }
    }

    fn equality(&mut self, left: &Side, right: &Side, span: Range<usize>) -> FieldType {
        for (side, other) in [(left, right), (right, left)] {
            if other.is_null && !side.is_null && !side.kind.nullable && side.kind.base != TypeName::Any {
                let message = format!("this {} is never null", side.kind.base.name());
                return self.error(side.span.clone(), message, "add `?` to its type in `fields`, or take the comparison out");
            }
        }
        if left.is_null || right.is_null || is_comparable(left.kind.base, right.kind.base) {
            return BOOL;
        }
        let message = format!("{} is never equal to {}", left.kind.base.with_article(), right.kind.base.with_article());
        self.error(span, message, "both sides must be of the same type")
    }

    fn branches(&mut self, then: (&FieldType, bool), otherwise: (&FieldType, bool), span: Range<usize>) -> FieldType {
        match (then, otherwise) {
            ((_, true), (kind, _)) | ((kind, _), (_, true)) => FieldType { base: kind.base, nullable: true },
            ((left, _), (right, _)) if left.base == right.base => {
                FieldType { base: left.base, nullable: left.nullable || right.nullable }
            }
            ((left, _), (right, _)) if left.base == TypeName::Any || right.base == TypeName::Any => ANY,
            ((left, _), (right, _)) => {
                let message = format!("the parts after `?` are {} and {}", left.base.with_article(), right.base.with_article());
                self.error(span, message, "both must be of the same type")
            }
        }
    }

    fn call(&mut self, function: Function, kinds: &[(FieldType, Range<usize>)], span: Range<usize>) -> FieldType {
        let (least, most) = arguments_of(function);
        if kinds.len() < least || kinds.len() > most {
            let message = format!("`{}` is given {} values", function.name(), kinds.len());
            return self.error(span, message, format!("write `{}`", function.usage()));
        }
        let by = format!("`{}`", function.name());
        let result = FieldType::required(function.result());
        let first = match function {
            Function::Size => &[TypeName::String, TypeName::List, TypeName::Map][..],
            Function::StartsWith | Function::EndsWith | Function::Contains | Function::LowerAscii | Function::UpperAscii => {
                &[TypeName::String]
            }
            Function::Timestamp => &[TypeName::String, TypeName::Time],
            Function::Duration => &[TypeName::String, TypeName::Duration],
            Function::Int | Function::Double => &[TypeName::Int, TypeName::Float, TypeName::String],
            Function::String => {
                &[TypeName::String, TypeName::Int, TypeName::Float, TypeName::Bool, TypeName::Time, TypeName::Duration]
            }
            _ => &[TypeName::Time],
        };
        self.want(&kinds[0], first, &by, result);
        for argument in &kinds[1..] {
            self.want(argument, &[TypeName::String], &by, result);
        }
        result
    }
}

/// One operand.
struct Side {
    kind: FieldType,
    is_null: bool,
    span: Range<usize>,
}

fn is_null(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Literal(Value::Null))
}

fn is_numeric(base: TypeName) -> bool {
    matches!(base, TypeName::Int | TypeName::Float)
}

fn is_comparable(left: TypeName, right: TypeName) -> bool {
    left == right || left == TypeName::Any || right == TypeName::Any || (is_numeric(left) && is_numeric(right))
}

/// How many values a function takes, its receiver included.
fn arguments_of(function: Function) -> (usize, usize) {
    match function {
        Function::StartsWith | Function::EndsWith | Function::Contains => (2, 2),
        function if function.is_global() => (1, 1),
        Function::LowerAscii | Function::UpperAscii => (1, 1),
        _ => (1, 2),
    }
}

/// The type of an operator's value; `None` where the operands do not fit.
fn result_of(operator: Operator, left: TypeName, right: TypeName) -> Option<TypeName> {
    use TypeName::{Any, Bool, Duration, Float, Int, List, String, Time};
    let is_order = matches!(operator, Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual);
    match (operator, left, right) {
        (_, Any, _) | (_, _, Any) => Some(if is_order { Bool } else { Any }),
        _ if is_order => {
            let is_ordered = |base| matches!(base, Int | Float | String | Time | Duration);
            (is_ordered(left) && is_comparable(left, right)).then_some(Bool)
        }
        (_, Int, Int) => Some(Int),
        (Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide, Float, Float) => Some(Float),
        (Operator::Add, String, String) => Some(String),
        (Operator::Add, List, List) => Some(List),
        (Operator::Add, Time, Duration) | (Operator::Add, Duration, Time) | (Operator::Subtract, Time, Duration) => Some(Time),
        (Operator::Subtract, Time, Time) | (Operator::Add | Operator::Subtract, Duration, Duration) => Some(Duration),
        _ => None,
    }
}
