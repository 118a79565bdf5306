//! Names to what they mean: each path of a tree becomes a variable, a fact, or the let that is put in its place.
//!
//! A name is a let, a variable, or a field of a group of facts, looked for in this order. What lets bring in is counted, so
//! that few of them, each using the one before twice, cannot become many.

use std::ops::Range;
use std::sync::Arc;

use super::syntax::{Binding, Node, NodeKind, Path, Segment};
use super::{DEPTH_BOUND_MAX, ExpressionError, NODES_BOUND_MAX, Names, nearest, parse};

/// Resolves every path below `root`, puts lets in, and counts the parts; names that are not known stay unbound.
pub(super) fn bind(root: &mut Node, names: &Names, errors: &mut Vec<ExpressionError>) -> usize {
    names.bind_node(root, errors);
    let nodes = nodes_put_in(root);
    if root.depth > DEPTH_BOUND_MAX || nodes > NODES_BOUND_MAX {
        let message = format!(
            "with its lets put in the expression has more than {NODES_BOUND_MAX} parts or nests deeper than {DEPTH_BOUND_MAX}"
        );
        errors.push(ExpressionError::new(root.span.clone(), message, "use fewer lets within lets"));
    }
    nodes
}

impl Names {
    fn bind_node(&self, node: &mut Node, errors: &mut Vec<ExpressionError>) {
        for child in node.children_mut() {
            self.bind_node(child, errors);
        }
        if let NodeKind::Path(path) = &mut node.kind {
            match self.bind_path(path) {
                Ok(None) => {}
                Ok(Some(replacement)) => *node = replacement,
                Err(error) => errors.push(error),
            }
        }
        node.depth = parse::depth(node);
    }

    /// Marks what a path means; a let is given back as the node to put in its place.
    fn bind_path(&self, path: &mut Path) -> Result<Option<Node>, ExpressionError> {
        let first = path.segments[0].clone();
        let is_field = path.segments.len() > 1 && self.facts.contains_key(&first.name);
        if let Some((expression, _)) = self.lets.get(&first.name).filter(|_| !is_field) {
            let kind = NodeKind::Let(first.name, Arc::clone(expression));
            let mut node = Node { kind, span: first.span, depth: expression.root.depth + 1 };
            for segment in path.segments.drain(1..) {
                let (span, depth) = (node.span.start..segment.span.end, node.depth + 1);
                node = Node { kind: NodeKind::Member(Box::new(node), segment), span, depth };
            }
            return Ok(Some(node));
        }
        if self.variables.contains_key(&first.name) {
            path.binding = Binding::Variable;
            return Ok(None);
        }
        let Some(fields) = self.facts.get(&first.name) else { return Err(self.unknown(path)) };
        let Some(field) = path.segments.get(1) else {
            let help = format!("name one of its fields: {}", list(fields.keys(), &format!("{}.", first.name)));
            return Err(ExpressionError::new(first.span, format!("`{}` is a group of facts, not a value", first.name), help));
        };
        let Some(declared) = fields.get(&field.name) else {
            let span = first.span.start..field.span.end;
            return Err(unknown_field(&first.name, field, (fields.keys(), span)));
        };
        path.binding = Binding::Fact { nullable: declared.nullable };
        Ok(None)
    }

    fn unknown(&self, path: &Path) -> ExpressionError {
        let first = &path.segments[0];
        let named = &path.segments[..path.segments.len().min(2)];
        let span = first.span.start..named.iter().map(|segment| segment.span.end).max().unwrap_or(first.span.end);
        let name = named.iter().map(|segment| segment.name.as_str()).collect::<Vec<_>>().join(".");
        let plain = || self.facts.keys().chain(self.variables.keys()).chain(self.lets.keys());
        let fields = || self.facts.iter().flat_map(|(group, fields)| fields.keys().map(move |field| format!("{group}.{field}")));
        let owner = self.facts.iter().find(|(_, fields)| fields.contains_key(&first.name));
        let close = nearest(&name, fields().chain(plain().cloned())).or_else(|| nearest(&first.name, plain()));
        let help = match (owner, close) {
            (Some((group, _)), _) if named.len() == 1 => format!("did you mean `{group}.{name}`?"),
            (_, Some(close)) => format!("did you mean `{close}`?"),
            (_, None) => format!("known here are {}", list(plain(), "")),
        };
        ExpressionError::new(span, format!("`{name}` is not known"), help)
    }
}

/// Parts of a tree, those of lets included.
fn nodes_put_in(root: &Node) -> usize {
    let parts = root.walk().map(|node| match &node.kind {
        NodeKind::Let(_, expression) => expression.nodes.saturating_add(1),
        _ => 1,
    });
    parts.fold(0, usize::saturating_add)
}

fn unknown_field<'a>(
    group: &str,
    field: &Segment,
    (known, span): (impl Iterator<Item = &'a String> + Clone, Range<usize>),
) -> ExpressionError {
    let help = match nearest(&field.name, known.clone()) {
        Some(close) => format!("did you mean `{group}.{close}`?"),
        None => format!("known are {}", list(known, &format!("{group}."))),
    };
    ExpressionError::new(span, format!("`{group}.{}` is not known", field.name), help)
}

fn list<T: AsRef<str>>(names: impl Iterator<Item = T>, prefix: &str) -> String {
    let names: Vec<String> = names.map(|name| format!("`{prefix}{}`", name.as_ref())).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
