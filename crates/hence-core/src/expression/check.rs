//! Types of a bound tree, and everything about it that can be known to fail before there are facts.
//!
//! Goes on after a mistake: a part that is wrong counts as `any`, so that it is told once and the rest is still looked at.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::value::{TypeName, Value};

use super::evaluate::{self, EvaluationErrorKind};
use super::syntax::{Binding, Function, Node, NodeKind, Operator, Path, Segment};
use super::types::{self, Base, Type};
use super::{Context, ExpressionError, Names};

pub(super) struct Checked {
    pub(super) result: Type,
    pub(super) errors: Vec<ExpressionError>,
    pub(super) nullable_uses: Vec<(String, Range<usize>)>,
}

/// The type of a bound tree with every problem in it, after those found by binding.
pub(super) fn check(root: &Node, names: &Names, errors: Vec<ExpressionError>) -> Checked {
    let mut checker = Checker { names, errors, uses: Vec::new(), tested: BTreeSet::new() };
    let result = checker.node(root);
    if checker.errors.is_empty() && !checker.fixed_parts(root) {
        checker.fixed_part(root);
    }
    let Checker { mut errors, mut uses, tested, .. } = checker;
    errors.sort_by_key(|error| error.span.start);
    uses.retain(|(name, _)| !tested.contains(name));
    Checked { result, errors, nullable_uses: uses }
}

struct Checker<'a> {
    names: &'a Names,
    errors: Vec<ExpressionError>,
    uses: Vec<(String, Range<usize>)>,
    tested: BTreeSet<String>,
}

impl Checker<'_> {
    fn error(&mut self, span: &Range<usize>, message: String, help: impl Into<String>) -> Type {
        self.errors.push(ExpressionError::new(span.clone(), message, help));
        Type::ANY
    }

    fn node(&mut self, node: &Node) -> Type {
        match &node.kind {
            NodeKind::Literal(value) => Type::of(value),
            NodeKind::Path(path) => self.path(path),
            NodeKind::Let(name, _) => self.names.lets.get(name).map_or(Type::ANY, |(_, kind)| Type::from(*kind)),
            NodeKind::Member(inner, segment) => {
                let found = self.node(inner);
                self.member(&found, segment)
            }
            NodeKind::Index(inner, index) => self.index(inner, index),
            NodeKind::Not(inner) => self.bool_operand("!", inner),
            NodeKind::Negate(inner) => self.negate(inner),
            NodeKind::Binary(..) => self.spine(node),
            NodeKind::Conditional(parts) => self.conditional(parts),
            NodeKind::List(items) => self.list(items),
            NodeKind::Call(function, arguments) => self.call(*function, arguments, &node.span),
            NodeKind::Has(inner) => {
                self.mark_tested(inner);
                let found = self.node(inner);
                if !found.nullable && !found.is_any() {
                    let message = format!("{} is never null", subject(inner));
                    self.error(&node.span, message, "leave out the test: it is always true");
                }
                Type::new(TypeName::Bool)
            }
        }
    }

    fn path(&mut self, path: &Path) -> Type {
        let first = &path.segments[0].name;
        let (declared, used) = match (path.binding, path.segments.get(1)) {
            (Binding::Fact { .. }, Some(field)) => (self.names.facts.get(first).and_then(|fields| fields.get(&field.name)), 2),
            _ => (self.names.variables.get(first), 1),
        };
        let mut found = declared.map_or(Type::ANY, |declared| Type::from(*declared));
        for segment in &path.segments[used..] {
            found = self.member(&found, segment);
        }
        found
    }

    fn member(&mut self, found: &Type, segment: &Segment) -> Type {
        if found.fits(TypeName::Map) {
            return Type { nullable: true, ..Type::ANY };
        }
        let message = format!("`{found}` has no field `{}`", segment.name);
        self.error(&segment.span, message, "only maps have fields, such as `event.days`")
    }

    fn index(&mut self, inner: &Node, index: &Node) -> Type {
        let (container, key) = (self.node(inner), self.node(index));
        self.need_value(index, &key);
        let any = Type { nullable: true, ..Type::ANY };
        match (&container.base, container.name()) {
            (Base::ListOf(element), _) if key.fits(TypeName::Int) => (**element).clone(),
            (_, TypeName::List) if key.fits(TypeName::Int) => any,
            (_, TypeName::Map) if key.fits(TypeName::String) => any,
            (_, TypeName::Any) if !container.is_null() && (key.fits(TypeName::Int) || key.fits(TypeName::String)) => any,
            (_, TypeName::List) => {
                self.error(&index.span, format!("a list is indexed by an int, not `{key}`"), "write `x[0]` for the first")
            }
            (_, TypeName::Map) => {
                self.error(&index.span, format!("a map is indexed by a string, not `{key}`"), "write `x[\"key\"]`")
            }
            _ => self.error(&inner.span, format!("`{container}` cannot be indexed"), "only lists and maps can"),
        }
    }

    fn negate(&mut self, inner: &Node) -> Type {
        let found = self.node(inner);
        self.need_value(inner, &found);
        if found.is_any() || found.is_number() || found.fits(TypeName::Duration) {
            return Type { nullable: false, ..found };
        }
        self.error(&inner.span, format!("`-` takes a number or a duration, not `{found}`"), "use `!` to negate a condition")
    }

    fn bool_operand(&mut self, symbol: &str, operand: &Node) -> Type {
        let found = self.node(operand);
        self.need_value(operand, &found);
        if !found.fits(TypeName::Bool) {
            let help = if found.nullable {
                "test it with `!= null`"
            } else {
                "compare it with something, such as `> 0` or `== \"text\"`"
            };
            self.error(&operand.span, format!("`{symbol}` takes bools, not `{found}`"), help);
        }
        Type::new(TypeName::Bool)
    }

    /// A chain of operators, from its leftmost operand on, without entering itself for each.
    fn spine(&mut self, node: &Node) -> Type {
        let mut links = Vec::new();
        let mut leftmost = node;
        while let NodeKind::Binary(operator, left, right) = &leftmost.kind {
            links.push((*operator, &**left, &**right, &leftmost.span));
            leftmost = left;
        }
        let mut found = match links.last() {
            Some((Operator::And | Operator::Or, ..)) => Type::new(TypeName::Bool),
            _ => self.node(leftmost),
        };
        for (operator, left, right, span) in links.into_iter().rev() {
            found = match operator {
                Operator::And | Operator::Or => {
                    if std::ptr::eq(left, leftmost) {
                        self.bool_operand(operator.symbol(), left);
                    } else if !found.fits(TypeName::Bool) {
                        let message = format!("`{}` takes bools, not `{found}`", operator.symbol());
                        self.error(&left.span, message, "compare it with something, such as `> 0`");
                    }
                    self.bool_operand(operator.symbol(), right)
                }
                _ => {
                    let other = self.node(right);
                    self.binary(operator, (left, &found), (right, &other), span)
                }
            };
        }
        found
    }

    fn binary(&mut self, operator: Operator, left: (&Node, &Type), right: (&Node, &Type), span: &Range<usize>) -> Type {
        if operator.is_equality() {
            return self.equality(left, right, span);
        }
        if operator == Operator::In {
            return self.membership(left, right, span);
        }
        self.need_value(left.0, left.1);
        self.need_value(right.0, right.1);
        let (first, second) = (left.1, right.1);
        let is_order = matches!(operator, Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual);
        let result = if is_order {
            let fits = first.is_ordered() && second.is_ordered() && first.is_comparable(second);
            fits.then(|| Type::new(TypeName::Bool))
        } else {
            types::arithmetic(operator, first, second)
        };
        match result {
            Some(result) => result,
            None => {
                let message = format!("`{}` cannot join `{first}` and `{second}`", operator.symbol());
                let found = self.error(span, message, mismatch_help(operator, first, second));
                if is_order { Type::new(TypeName::Bool) } else { found }
            }
        }
    }

    fn equality(&mut self, left: (&Node, &Type), right: (&Node, &Type), span: &Range<usize>) -> Type {
        for (tested, other) in [(left, right), (right, left)] {
            if other.1.is_null() {
                self.mark_tested(tested.0);
            }
        }
        if left.1.is_comparable(right.1) {
            return Type::new(TypeName::Bool);
        }
        let (message, help) = match (left.1.is_null(), right.1.is_null()) {
            (false, true) => never_null(left.0),
            (true, false) => never_null(right.0),
            _ => {
                let message = format!("`{}` and `{}` are never equal", left.1, right.1);
                (message, mismatch_help(Operator::Equal, left.1, right.1))
            }
        };
        self.error(span, message, help);
        Type::new(TypeName::Bool)
    }

    fn membership(&mut self, left: (&Node, &Type), right: (&Node, &Type), span: &Range<usize>) -> Type {
        self.need_value(right.0, right.1);
        let fits = match (&right.1.base, right.1.name()) {
            (Base::ListOf(element), _) => left.1.is_comparable(element),
            (Base::Null, _) => false,
            (_, TypeName::Map) => left.1.fits(TypeName::String),
            (_, name) => matches!(name, TypeName::List | TypeName::Any),
        };
        if !fits {
            let help = match right.1.name() {
                TypeName::String => "to look for text in text write `text.contains(\"part\")`".to_owned(),
                TypeName::List => "the elements must be of the same type as what is looked for".to_owned(),
                _ => "`in` looks in a list, or for a key in a map".to_owned(),
            };
            let message = match &right.1.base {
                Base::ListOf(element) => format!("`{}` is never in a list of `{element}`", left.1),
                _ => format!("`in` cannot look for `{}` in `{}`", left.1, right.1),
            };
            self.error(span, message, help);
        }
        Type::new(TypeName::Bool)
    }

    fn conditional(&mut self, [condition, then, otherwise]: &[Node; 3]) -> Type {
        self.bool_operand("? :", condition);
        let (first, second) = (self.node(then), self.node(otherwise));
        match first.join(&second) {
            Some(joined) => joined,
            None => {
                let span = then.span.start..otherwise.span.end;
                let message = format!("the branches of `? :` are of different types, `{first}` and `{second}`");
                self.error(&span, message, "give both branches one type, for instance with `string(…)` or `double(…)`")
            }
        }
    }

    fn list(&mut self, items: &[Node]) -> Type {
        let mut all: Option<Type> = None;
        for item in items {
            let found = self.node(item);
            all = match all {
                None => Some(found),
                Some(before) => match before.join(&found) {
                    Some(joined) => Some(joined),
                    None => {
                        let message = format!("a list cannot hold both `{before}` and `{found}`");
                        Some(self.error(&item.span, message, "give all elements one type"))
                    }
                },
            };
        }
        Type::list_of(all)
    }

    fn call(&mut self, function: Function, arguments: &[Node], span: &Range<usize>) -> Type {
        let mut found = Vec::new();
        for argument in arguments {
            let argument_type = self.node(argument);
            self.need_value(argument, &argument_type);
            found.push(argument_type);
        }
        if let Some(result) = types::call(function, &found) {
            return result;
        }
        let given: Vec<String> = found.iter().map(|argument| format!("`{argument}`")).collect();
        let given = if given.is_empty() { "nothing".to_owned() } else { given.join(", ") };
        let help = format!("write `{}`; it takes {}", function.usage(), types::takes(function));
        self.error(span, format!("`{}` cannot take {given}", function.name()), help)
    }

    /// Notes a name that may be null where that would be an error.
    fn need_value(&mut self, node: &Node, found: &Type) {
        if let NodeKind::Path(path) = &node.kind
            && found.nullable
            && !found.is_any()
        {
            self.uses.push((path.text.clone(), node.span.clone()));
        }
    }

    fn mark_tested(&mut self, node: &Node) {
        if let NodeKind::Path(path) = &node.kind {
            self.tested.insert(path.text.clone());
        }
    }

    /// Evaluates the largest parts without names, which fail always if they fail now; whether this part has names.
    fn fixed_parts(&mut self, node: &Node) -> bool {
        let has_names = match &node.kind {
            NodeKind::Path(_) => true,
            NodeKind::Let(..) => node.has_names(),
            _ => {
                let children: Vec<(&Node, bool)> =
                    node.children().into_iter().map(|child| (child, self.fixed_parts(child))).collect();
                let has_names = children.iter().any(|(_, has_names)| *has_names);
                if has_names {
                    children.iter().filter(|(_, has_names)| !has_names).for_each(|(child, _)| self.fixed_part(child));
                }
                has_names
            }
        };
        if has_names {
            self.literals(node);
        }
        has_names
    }

    fn fixed_part(&mut self, node: &Node) {
        if let Err(error) = evaluate::run(node, &Context::new()).result {
            let help = match error.kind() {
                EvaluationErrorKind::Unreadable { function: "timestamp" } => {
                    "write the instant as `2026-03-02T10:00:00Z`, with an offset or zone"
                }
                EvaluationErrorKind::Unreadable { function: "duration" } => {
                    "write it as `48h`, `90 minutes` or `PT48H`; days have no fixed length here"
                }
                _ => "this part always fails: correct it",
            };
            self.error(&error.span(), error.to_string(), help);
        }
    }

    /// Literals beside names that can only fail.
    fn literals(&mut self, node: &Node) {
        if let NodeKind::Binary(Operator::Divide | Operator::Remainder, _, divisor) = &node.kind
            && matches!(divisor.kind, NodeKind::Literal(Value::Int(0)))
        {
            self.error(&divisor.span, "division by zero".to_owned(), "this part always fails: correct it");
        }
        if let NodeKind::Call(function, arguments) = &node.kind
            && function.takes_zone()
            && let Some(NodeKind::Literal(Value::String(zone))) = arguments.get(1).map(|argument| &argument.kind)
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            let message = format!("time zone `{zone}` is not known");
            self.error(&arguments[1].span, message, "write an IANA name such as `Europe/Oslo`");
        }
    }
}

fn never_null(node: &Node) -> (String, String) {
    (format!("{} is never null", subject(node)), "declare its type with `?` if it may be, or leave out the test".to_owned())
}

fn subject(node: &Node) -> String {
    match &node.kind {
        NodeKind::Path(path) => format!("`{}`", path.text),
        NodeKind::Let(name, _) => format!("`{name}`"),
        _ => "this".to_owned(),
    }
}

fn mismatch_help(operator: Operator, left: &Type, right: &Type) -> String {
    use TypeName::{Duration, Float, Int, String as Text, Time};
    let names = (left.name(), right.name());
    let is_pair = |one: TypeName, other: TypeName| names == (one, other) || names == (other, one);
    if left.is_null() || right.is_null() {
        "null can only be compared with `==` and `!=`".to_owned()
    } else if is_pair(Int, Float) {
        "make both floats: `double(x)`".to_owned()
    } else if is_pair(Time, Text) {
        "write the instant as `timestamp(\"2026-03-02T10:00:00Z\")`".to_owned()
    } else if matches!(operator, Operator::Multiply | Operator::Divide | Operator::Remainder) {
        "only numbers can be multiplied and divided".to_owned()
    } else if is_pair(Duration, Text) || is_pair(Time, Int) || is_pair(Duration, Int) {
        "write the span of time as `duration(\"48h\")`".to_owned()
    } else if is_pair(Int, Text) && operator == Operator::Add {
        "make both text: `string(x)`".to_owned()
    } else if is_pair(Int, Text) || is_pair(Float, Text) {
        "leave out the quotes, or convert with `int(x)` or `string(x)`".to_owned()
    } else if names == (Time, Time) {
        "times are subtracted from each other; what is added is a `duration(\"48h\")`".to_owned()
    } else if left.name() == right.name() {
        "numbers, text, times and durations have an order, and `+` and `-`; other types have `==` and `in`".to_owned()
    } else {
        "both sides must be of one type".to_owned()
    }
}
