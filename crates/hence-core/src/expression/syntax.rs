//! The tree of an expression: what the parser makes and everything else walks.
//!
//! A node knows its place in the source and its depth. Chains of operators lean to the left without adding depth, so that
//! `a && b && c …` may be long; whoever evaluates them walks the left spine in a loop.

use std::ops::Range;
use std::sync::Arc;

use crate::value::Value;

use super::Expression;

/// One node with the bytes of the source it stands for.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    pub(super) span: Range<usize>,
    pub(super) depth: usize,
}

#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    Literal(Value),
    Path(Path),
    Let(String, Arc<Expression>),
    Member(Box<Node>, Segment),
    Index(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Conditional(Box<[Node; 3]>),
    List(Vec<Node>),
    Call(Function, Vec<Node>),
    Has(Box<Node>),
}

/// A dotted name such as `account.paid_at`.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub(super) text: String,
    pub(super) segments: Vec<Segment>,
    pub(super) binding: Binding,
}

#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

/// What the first names of a path turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binding {
    Unbound,
    Variable,
    Fact { nullable: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    StartsWith,
    EndsWith,
    Contains,
    LowerAscii,
    UpperAscii,
    Timestamp,
    Duration,
    Int,
    Double,
    String,
    GetFullYear,
    GetMonth,
    GetDate,
    GetDayOfWeek,
    GetHours,
    GetMinutes,
    GetSeconds,
}

impl Operator {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Operator::Or => "||",
            Operator::And => "&&",
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::In => "in",
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::Remainder => "%",
        }
    }

    /// Binds tighter the higher it is; as in CEL.
    pub(super) fn precedence(self) -> u8 {
        match self {
            Operator::Or => 1,
            Operator::And => 2,
            Operator::Equal
            | Operator::NotEqual
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual
            | Operator::In => 3,
            Operator::Add | Operator::Subtract => 4,
            Operator::Multiply | Operator::Divide | Operator::Remainder => 5,
        }
    }

    pub(super) fn is_equality(self) -> bool {
        matches!(self, Operator::Equal | Operator::NotEqual)
    }
}

impl Function {
    pub(super) const ALL: [(Function, &'static str); 18] = [
        (Function::Size, "size"),
        (Function::StartsWith, "startsWith"),
        (Function::EndsWith, "endsWith"),
        (Function::Contains, "contains"),
        (Function::LowerAscii, "lowerAscii"),
        (Function::UpperAscii, "upperAscii"),
        (Function::Timestamp, "timestamp"),
        (Function::Duration, "duration"),
        (Function::Int, "int"),
        (Function::Double, "double"),
        (Function::String, "string"),
        (Function::GetFullYear, "getFullYear"),
        (Function::GetMonth, "getMonth"),
        (Function::GetDate, "getDate"),
        (Function::GetDayOfWeek, "getDayOfWeek"),
        (Function::GetHours, "getHours"),
        (Function::GetMinutes, "getMinutes"),
        (Function::GetSeconds, "getSeconds"),
    ];

    pub(super) fn named(name: &str) -> Option<Function> {
        Function::ALL.into_iter().find(|(_, known)| *known == name).map(|(function, _)| function)
    }

    pub(super) fn name(self) -> &'static str {
        Function::ALL.into_iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    /// Written as `size(x)`.
    pub(super) fn is_global(self) -> bool {
        matches!(
            self,
            Function::Size | Function::Timestamp | Function::Duration | Function::Int | Function::Double | Function::String
        )
    }

    /// Written as `x.size()`.
    pub(super) fn is_method(self) -> bool {
        self == Function::Size || !self.is_global()
    }

    /// Reads a part of a time, in UTC or the zone that is given.
    pub(super) fn takes_zone(self) -> bool {
        matches!(
            self,
            Function::GetFullYear
                | Function::GetMonth
                | Function::GetDate
                | Function::GetDayOfWeek
                | Function::GetHours
                | Function::GetMinutes
                | Function::GetSeconds
        )
    }

    /// How to write a call, for messages.
    pub(super) fn usage(self) -> String {
        let name = self.name();
        match self {
            Function::StartsWith | Function::EndsWith | Function::Contains => format!("text.{name}(text)"),
            function if function.is_global() => format!("{name}(value)"),
            Function::LowerAscii | Function::UpperAscii => format!("text.{name}()"),
            _ => format!("time.{name}(\"Europe/Oslo\")"),
        }
    }
}

impl Node {
    /// The nodes directly below, left to right; what a let stands for is not among them.
    pub(super) fn children(&self) -> Vec<&Node> {
        match &self.kind {
            NodeKind::Literal(_) | NodeKind::Path(_) | NodeKind::Let(..) => Vec::new(),
            NodeKind::Member(inner, _) | NodeKind::Not(inner) | NodeKind::Negate(inner) | NodeKind::Has(inner) => vec![inner],
            NodeKind::Index(left, right) | NodeKind::Binary(_, left, right) => vec![left, right],
            NodeKind::Conditional(parts) => parts.iter().collect(),
            NodeKind::List(items) | NodeKind::Call(_, items) => items.iter().collect(),
        }
    }

    /// The nodes directly below, to be changed in place.
    pub(super) fn children_mut(&mut self) -> Vec<&mut Node> {
        match &mut self.kind {
            NodeKind::Literal(_) | NodeKind::Path(_) | NodeKind::Let(..) => Vec::new(),
            NodeKind::Member(inner, _) | NodeKind::Not(inner) | NodeKind::Negate(inner) | NodeKind::Has(inner) => vec![inner],
            NodeKind::Index(left, right) | NodeKind::Binary(_, left, right) => vec![left, right],
            NodeKind::Conditional(parts) => parts.iter_mut().collect(),
            NodeKind::List(items) | NodeKind::Call(_, items) => items.iter_mut().collect(),
        }
    }

    /// This node and all below it, each before what it contains, left to right.
    pub(super) fn walk(&self) -> impl Iterator<Item = &Node> {
        let mut open = vec![self];
        std::iter::from_fn(move || {
            let node = open.pop()?;
            open.extend(node.children().into_iter().rev());
            Some(node)
        })
    }

    /// Whether the value can depend on a name; lets count by what they stand for.
    pub(super) fn has_names(&self) -> bool {
        self.walk().any(|node| match &node.kind {
            NodeKind::Path(_) => true,
            NodeKind::Let(_, expression) => expression.root.has_names(),
            _ => false,
        })
    }

    /// Whether both are written alike, spaces and parentheses aside.
    pub(super) fn is_same(&self, other: &Node) -> bool {
        let heads_match = match (&self.kind, &other.kind) {
            (NodeKind::Literal(left), NodeKind::Literal(right)) => left == right,
            (NodeKind::Path(left), NodeKind::Path(right)) => left.text == right.text,
            (NodeKind::Let(left, _), NodeKind::Let(right, _)) => left == right,
            (NodeKind::Member(_, left), NodeKind::Member(_, right)) => left.name == right.name,
            (NodeKind::Binary(left, ..), NodeKind::Binary(right, ..)) => left == right,
            (NodeKind::Call(left, _), NodeKind::Call(right, _)) => left == right,
            (left, right) => std::mem::discriminant(left) == std::mem::discriminant(right),
        };
        let (mine, theirs) = (self.children(), other.children());
        heads_match && mine.len() == theirs.len() && mine.iter().zip(theirs).all(|(left, right)| left.is_same(right))
    }
}
