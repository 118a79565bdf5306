//! Tokens to a tree, within the limits of depth and nodes.
//!
//! A parser by precedence. It enters itself only where the source nests, and counts that: text of any kind can neither
//! exhaust the stack nor build a tree that would.

use std::ops::Range;

use crate::value::Value;

use super::lex::{self, Spanned, Token, number_too_large};
use super::syntax::{Binding, Function, Node, NodeKind, Operator, Path, Segment};
use super::{DEPTH_MAX, ExpressionError, NODES_MAX, SOURCE_BYTES_MAX, nearest};

/// The tree of a source.
pub(super) fn parse(source: &str) -> Result<Node, ExpressionError> {
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("the expression has {} bytes, the limit is {SOURCE_BYTES_MAX}", source.len());
        return Err(ExpressionError::new(0..source.len(), message, "split it: name parts of it under [let]"));
    }
    let mut parser = Parser { tokens: lex::tokens(source)?, at: 0, nesting: 0, nodes: 0 };
    if parser.peek() == &Token::End {
        return Err(ExpressionError::new(
            0..source.len(),
            "the expression is empty",
            "write a condition such as `account.paid_at == null`",
        ));
    }
    let root = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(root),
        _ => Err(parser.unexpected("an operator")),
    }
}

struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    nesting: usize,
    nodes: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].token
    }

    fn span(&self) -> Range<usize> {
        self.tokens[self.at].span.clone()
    }

    /// The token here, moving on; the end stays where it is.
    fn take(&mut self) -> Spanned {
        let taken = self.tokens[self.at].clone();
        if taken.token != Token::End {
            self.at += 1;
        }
        taken
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let is_there = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        if is_there {
            self.at += 1;
        }
        is_there
    }

    fn expect_symbol(&mut self, symbol: &'static str) -> Result<usize, ExpressionError> {
        let end = self.span().end;
        if self.take_symbol(symbol) { Ok(end) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    fn expression(&mut self) -> Result<Node, ExpressionError> {
        self.enter()?;
        let condition = self.binary(1)?;
        let node = if self.take_symbol("?") {
            let then = self.expression()?;
            self.expect_symbol(":")?;
            let otherwise = self.expression()?;
            let span = condition.span.start..otherwise.span.end;
            self.node(NodeKind::Conditional(Box::new([condition, then, otherwise])), span)?
        } else {
            condition
        };
        self.nesting -= 1;
        Ok(node)
    }

    fn binary(&mut self, weakest: u8) -> Result<Node, ExpressionError> {
        let mut left = self.unary()?;
        while let Some(operator) = self.peek_operator().filter(|operator| operator.precedence() >= weakest) {
            self.at += 1;
            let right = self.binary(operator.precedence() + 1)?;
            let span = left.span.start..right.span.end;
            left = self.node(NodeKind::Binary(operator, Box::new(left), Box::new(right)), span)?;
        }
        Ok(left)
    }

    fn peek_operator(&self) -> Option<Operator> {
        Some(match self.peek() {
            Token::Name(name) if name == "in" => Operator::In,
            Token::Symbol(symbol) => match *symbol {
                "||" => Operator::Or,
                "&&" => Operator::And,
                "==" => Operator::Equal,
                "!=" => Operator::NotEqual,
                "<" => Operator::Less,
                "<=" => Operator::LessOrEqual,
                ">" => Operator::Greater,
                ">=" => Operator::GreaterOrEqual,
                "+" => Operator::Add,
                "-" => Operator::Subtract,
                "*" => Operator::Multiply,
                "/" => Operator::Divide,
                "%" => Operator::Remainder,
                _ => return None,
            },
            _ => return None,
        })
    }

    fn unary(&mut self) -> Result<Node, ExpressionError> {
        let start = self.span().start;
        if self.take_symbol("!") {
            self.enter()?;
            let inner = self.unary()?;
            self.nesting -= 1;
            let span = start..inner.span.end;
            return self.node(NodeKind::Not(Box::new(inner)), span);
        }
        if self.take_symbol("-") {
            self.enter()?;
            let node = self.negated(start)?;
            self.nesting -= 1;
            return Ok(node);
        }
        let first = self.primary()?;
        self.postfix(first)
    }

    /// What follows a minus; a number right after it is one literal, so that the least int can be written.
    fn negated(&mut self, start: usize) -> Result<Node, ExpressionError> {
        let literal = match self.peek() {
            Token::Int(magnitude) => Some(Value::Int(0_i64.wrapping_sub_unsigned(*magnitude))),
            Token::Float(magnitude) => Some(Value::Float(-magnitude)),
            _ => None,
        };
        if let Some(value) = literal {
            let end = self.take().span.end;
            let first = self.node(NodeKind::Literal(value), start..end)?;
            return self.postfix(first);
        }
        let inner = self.unary()?;
        let span = start..inner.span.end;
        self.node(NodeKind::Negate(Box::new(inner)), span)
    }

    fn primary(&mut self) -> Result<Node, ExpressionError> {
        let span = self.span();
        match self.peek().clone() {
            Token::Int(value) => match i64::try_from(value) {
                Ok(value) => self.literal(Value::Int(value)),
                Err(_) => Err(number_too_large(span)),
            },
            Token::Float(value) => self.literal(Value::Float(value)),
            Token::Text(text) => self.literal(Value::String(text)),
            Token::Name(name) => match name.as_str() {
                "true" => self.literal(Value::Bool(true)),
                "false" => self.literal(Value::Bool(false)),
                "null" => self.literal(Value::Null),
                _ => self.name_or_call(name),
            },
            Token::Symbol("(") => {
                self.at += 1;
                let inner = self.expression()?;
                let end = self.expect_symbol(")")?;
                Ok(Node { span: span.start..end, ..inner })
            }
            Token::Symbol("[") => {
                self.at += 1;
                let (items, end) = self.items("]")?;
                self.node(NodeKind::List(items), span.start..end)
            }
            Token::Symbol("{") => Err(ExpressionError::new(span, "maps cannot be written here", "compare the fields one by one")),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn literal(&mut self, value: Value) -> Result<Node, ExpressionError> {
        let span = self.take().span;
        self.node(NodeKind::Literal(value), span)
    }

    fn name_or_call(&mut self, name: String) -> Result<Node, ExpressionError> {
        let span = self.take().span;
        if is_reserved(&name) {
            let message = format!("`{name}` is a reserved word");
            return Err(ExpressionError::new(span, message, "CEL keeps it for later use; choose another name"));
        }
        if !self.take_symbol("(") {
            let segment = Segment { name: name.clone(), span: span.clone() };
            let path = Path { text: name, segments: vec![segment], binding: Binding::Unbound };
            return self.node(NodeKind::Path(path), span);
        }
        let (arguments, end) = self.items(")")?;
        if name == "has" {
            return self.has(arguments, span.start..end);
        }
        match Function::named(&name) {
            Some(function) if function.is_global() => self.node(NodeKind::Call(function, arguments), span.start..end),
            Some(function) => {
                let message = format!("`{name}` is called on a value");
                Err(ExpressionError::new(span, message, format!("write `{}`", function.usage())))
            }
            None => Err(unknown_function(&name, span, Function::is_global)),
        }
    }

    fn has(&mut self, mut arguments: Vec<Node>, span: Range<usize>) -> Result<Node, ExpressionError> {
        match arguments.pop() {
            Some(argument) if arguments.is_empty() && is_member(&argument) => self.node(NodeKind::Has(Box::new(argument)), span),
            _ => Err(ExpressionError::new(span, "`has` takes one field", "write `has(event.days)`")),
        }
    }

    /// Comma-separated expressions up to the closing symbol, and where that ends.
    fn items(&mut self, close: &'static str) -> Result<(Vec<Node>, usize), ExpressionError> {
        let mut items = Vec::new();
        loop {
            let end = self.span().end;
            if self.take_symbol(close) {
                return Ok((items, end));
            }
            if !items.is_empty() {
                if !self.take_symbol(",") {
                    return Err(self.unexpected(&format!("`,` or `{close}`")));
                }
                let end = self.span().end;
                // A comma may stand after the last element of a list, as in CEL.
                if close == "]" && self.take_symbol(close) {
                    return Ok((items, end));
                }
            }
            items.push(self.expression()?);
        }
    }

    fn postfix(&mut self, mut node: Node) -> Result<Node, ExpressionError> {
        loop {
            if self.take_symbol(".") {
                node = self.member(node)?;
            } else if self.take_symbol("[") {
                let index = self.expression()?;
                let end = self.expect_symbol("]")?;
                let span = node.span.start..end;
                node = self.node(NodeKind::Index(Box::new(node), Box::new(index)), span)?;
            } else {
                return Ok(node);
            }
        }
    }

    fn member(&mut self, receiver: Node) -> Result<Node, ExpressionError> {
        let span = self.span();
        let Token::Name(name) = self.peek().clone() else { return Err(self.unexpected("a name after `.`")) };
        self.at += 1;
        if self.take_symbol("(") {
            let (mut arguments, end) = self.items(")")?;
            let whole = receiver.span.start..end;
            arguments.insert(0, receiver);
            return match Function::named(&name) {
                Some(function) if function.is_method() => self.node(NodeKind::Call(function, arguments), whole),
                Some(function) => {
                    let message = format!("`{name}` is not called on a value");
                    Err(ExpressionError::new(span, message, format!("write `{}`", function.usage())))
                }
                None => Err(unknown_function(&name, span, Function::is_method)),
            };
        }
        let segment = Segment { name, span: span.clone() };
        let whole = receiver.span.start..span.end;
        match receiver.kind {
            NodeKind::Path(mut path) => {
                if path.segments.len() >= DEPTH_MAX {
                    return Err(too_deep(whole));
                }
                path.text = format!("{}.{}", path.text, segment.name);
                path.segments.push(segment);
                Ok(Node { kind: NodeKind::Path(path), span: whole, depth: receiver.depth })
            }
            _ => self.node(NodeKind::Member(Box::new(receiver), segment), whole),
        }
    }

    /// Builds a node, counting it and its depth. The left operand of an operator adds none.
    fn node(&mut self, kind: NodeKind, span: Range<usize>) -> Result<Node, ExpressionError> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let message = format!("the expression has more than {NODES_MAX} parts");
            return Err(ExpressionError::new(span, message, "split it: name parts of it under [let]"));
        }
        let mut node = Node { kind, span, depth: 1 };
        node.depth = depth(&node);
        if node.depth > DEPTH_MAX { Err(too_deep(node.span)) } else { Ok(node) }
    }

    fn enter(&mut self) -> Result<(), ExpressionError> {
        self.nesting += 1;
        if self.nesting > DEPTH_MAX { Err(too_deep(self.span())) } else { Ok(()) }
    }

    fn unexpected(&self, wanted: &str) -> ExpressionError {
        let before = self.at.checked_sub(1).map(|before| &self.tokens[before].token);
        if matches!(before, Some(Token::Name(name)) if name == "not") {
            let span = self.tokens[self.at - 1].span.clone();
            return ExpressionError::new(span, format!("expected {wanted} after `not`"), "write `!` for not");
        }
        let (found, help) = match self.peek() {
            Token::End => ("the end".to_owned(), "the expression stops too early"),
            Token::Name(name) if name == "and" => ("`and`".to_owned(), "write `&&` for and"),
            Token::Name(name) if name == "or" => ("`or`".to_owned(), "write `||` for or"),
            Token::Name(name) if name == "is" => ("`is`".to_owned(), "compare with `==`"),
            Token::Name(name) => (format!("`{name}`"), "join two parts with an operator such as `&&` or `==`"),
            Token::Int(_) | Token::Float(_) => ("a number".to_owned(), "join two parts with an operator such as `+` or `==`"),
            Token::Text(_) => ("text".to_owned(), "join two parts with an operator such as `==` or `+`"),
            Token::Symbol(symbol) => (format!("`{symbol}`"), "is something missing before it, or is it too much?"),
        };
        ExpressionError::new(self.span(), format!("expected {wanted}, found {found}"), help)
    }
}

/// Depth of a node over its children; operators lean left for free.
pub(super) fn depth(node: &Node) -> usize {
    match &node.kind {
        NodeKind::Binary(_, left, right) => left.depth.max(right.depth + 1),
        NodeKind::Let(_, expression) => expression.root.depth + 1,
        _ => node.children().into_iter().map(|child| child.depth).max().unwrap_or(0) + 1,
    }
}

fn too_deep(span: Range<usize>) -> ExpressionError {
    let message = format!("the expression nests deeper than {DEPTH_MAX}");
    ExpressionError::new(span, message, "split it: name parts of it under [let]")
}

fn is_member(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Path(path) => path.segments.len() > 1,
        NodeKind::Member(..) | NodeKind::Index(..) => true,
        _ => false,
    }
}

fn unknown_function(name: &str, span: Range<usize>, fits: fn(Function) -> bool) -> ExpressionError {
    let message = format!("function `{name}` is not known");
    let known = || Function::ALL.into_iter().filter(|(function, _)| fits(*function)).map(|(_, name)| name);
    let help = match (name, nearest(name, known())) {
        ("matches", _) => "regular expressions are not supported; use `startsWith`, `endsWith` or `contains`".to_owned(),
        ("all" | "exists" | "exists_one" | "filter" | "map", _) => {
            "loops over lists are not supported; use `in`, or give the answer as a fact".to_owned()
        }
        (_, Some(close)) => format!("did you mean `{close}`?"),
        (_, None) => format!("known are {}", known().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    };
    ExpressionError::new(span, message, help)
}

/// The words CEL keeps for itself.
pub(super) fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "true"
            | "false"
            | "null"
            | "in"
            | "as"
            | "break"
            | "const"
            | "continue"
            | "else"
            | "for"
            | "function"
            | "if"
            | "import"
            | "let"
            | "loop"
            | "package"
            | "namespace"
            | "return"
            | "var"
            | "void"
            | "while"
    )
}
