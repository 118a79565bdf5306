//! Sources made to exhaust an evaluator, and the facts they look at: known attacks on CEL and its like (F71), and worse ones for this one.
//!
//! Shared by the test that demands the limits and the example that measures what they cost (`examples/hostile.rs`).

use std::collections::BTreeMap;

use hence_core::expression::{Context, Expression, Names};
use hence_core::value::{FACT_TEXT_BYTES_MAX, FieldType, TypeName, Value};

/// The longest list of facts that a definition of reasonable size would hold, a hundred times over.
const LIST: usize = 10_000;

/// What an attack is, and its source.
pub(crate) struct Attack {
    pub(crate) name: String,
    pub(crate) source: String,
}

/// The names that the attacks use.
pub(crate) fn names() -> Names {
    let mut names = Names::default();
    for (name, base) in [
        ("b", TypeName::Bool),
        ("i", TypeName::Int),
        ("f", TypeName::Float),
        ("s", TypeName::String),
        ("t", TypeName::Time),
        ("d", TypeName::Duration),
        ("list", TypeName::List),
        ("long", TypeName::List),
        ("map", TypeName::Map),
    ] {
        names.variable(name, FieldType::required(base));
    }
    names.variable("x", FieldType::nullable(TypeName::Any));
    names
}

/// Facts as long as facts may be.
pub(crate) fn context() -> Context {
    let text = "x".repeat(FACT_TEXT_BYTES_MAX);
    let map: BTreeMap<String, Value> = (0..1000).map(|number| (format!("k{number}"), Value::Int(number))).collect();
    Context::new()
        .with("b", Value::Bool(true))
        .with("i", Value::Int(i64::MAX))
        .with("f", Value::Float(f64::MAX))
        .with("s", Value::String(text.clone()))
        .with("t", Value::Time("2026-03-29T01:30:00Z".parse().unwrap()))
        .with("d", Value::Duration(jiff::SignedDuration::MAX))
        .with("list", Value::List(vec![Value::String(text); 3]))
        .with("long", Value::List((0..LIST).map(|number| Value::Int(number as i64)).collect()))
        .with("map", Value::Map(map))
        .with("x", Value::Null)
}

/// All attacks.
pub(crate) fn corpus() -> Vec<Attack> {
    let mut all = Vec::new();
    let mut add = |name: &str, source: String| all.push(Attack { name: name.to_owned(), source });
    // F71: loops within loops, and nesting.
    add(
        "maps within maps",
        "[0].map(x,[x,x]).map(x,[x,x]).map(x,[x,x]).map(x,[x,x]).map(x,[x,x]).map(x,[x,x]).map(x,[x,x])".to_owned(),
    );
    add("all within all", "[0,0].all(a,[0,0].all(b,[0,0].all(c,[0,0].all(d,[0,0].all(e,true)))))".to_owned());
    for (open, close) in
        [("(", ")"), ("[", "]"), ("!", ""), ("-", ""), ("{'a':", "}"), ("size(", ")"), ("b?b:", ""), ("b?", ":b")]
    {
        for count in [31, 300, 2000] {
            add(&format!("{count} times `{open}`"), format!("{}b{}", open.repeat(count), close.repeat(count)));
        }
    }
    add("indexes", format!("long{}", "[0]".repeat(1300)));
    add("members", format!("map{}", ".k1".repeat(1300)));
    // Long and flat.
    for part in [" + 1", " && b", " || !b", " + s", " == b", " - i", " * 2", " % 7"] {
        add(
            &format!("a chain of `{part}`"),
            format!("{}{}", if part.contains('b') { "b" } else { "i" }, part.repeat(4090 / part.len())),
        );
        add(&format!("a short chain of `{part}`"), format!("{}{}", if part.contains('b') { "b" } else { "1" }, part.repeat(250)));
    }
    add("a list of all it holds", format!("size([{}0]) > 0", "0,".repeat(500)));
    // Every part looks at the longest text, or makes one.
    let each = |part: &str, count: usize| format!("b{}", format!(" && {part}").repeat(count));
    for part in [
        "s.contains('y') == false",
        "s.endsWith(s)",
        "s == s",
        "size(s) > 0",
        "s + '' == s",
        "s.lowerAscii() == s",
        "s.upperAscii() != s",
        "string(s) == s",
        "s in list",
        "list == list",
        "list + list == list",
        "[list, list] == [list, list]",
        "i in long",
        "long == long",
        "long + long == long",
        "size(long + long) > 0",
        "map == map",
        "string(f) != ''",
        "string(d) != ''",
        "string(t) != ''",
        "int('9223372036854775807') > 0",
        "double('1e308') > 0.0",
        "double(s) > 0.0",
        "int(s) > 0",
        "timestamp(s) > t",
        "timestamp('2026-03-29T01:30:00Z') == t",
        "duration('2562047h47m16s') != d",
        "duration(s) != d",
        "t.getHours('America/Argentina/ComodRivadavia') > 0",
        "t.getFullYear('Pacific/Kiritimati') > 0",
        "t.getDayOfWeek('Europe/Oslo') > 0",
        "t.getHours('Not/A_Zone') > 0",
        "t.getHours(s) > 0",
        "x == null",
    ] {
        add(&format!("once `{part}`"), each(part, 1));
        add(
            &format!("many times `{part}`"),
            each(part, (500 / (part.matches([' ', '(', '.', ',']).count() + 2)).min(4000 / (part.len() + 4))),
        );
    }
    // Text that grows.
    add("a text doubled", "s + s".to_owned());
    add("texts in texts", format!("size({}) > 0", ["s"; 250].join(" + ")));
    add("lists in lists", "[[[[[[list,list],[list,list]],[[list,list],[list,list]]],[[list],[list]]]]] == [[list]]".to_owned());
    add("long lists in lists", "size([long,long,long,long,long,long,long,long]) > 0 && [long,long] == [long,long]".to_owned());
    // Broken in ways that a reader might stumble over.
    add("only quotes", "'".repeat(4096));
    add("an open text", format!("'{}", "x".repeat(4000)));
    add("escapes", format!("'{}' == s", "\\u00e9".repeat(600)));
    add("digits", format!("{} > 0", "9".repeat(4000)));
    add("a float of digits", format!("{}.{} > 0.0", "9".repeat(2000), "9".repeat(2000)));
    add("a name as long as can be", format!("{} == 1", "a".repeat(4000)));
    add("many unknown names", (0..200).map(|number| format!("name_{number} == 1")).collect::<Vec<_>>().join(" && "));
    add("dots", ".".repeat(4096));
    add("marks of all kinds", "&&||==!=<=>=?:,.[]{}()!-+*/%".repeat(140));
    add("too long", "b && ".repeat(100_000));
    all
}

/// Conditions that stand in conditions: each one says the one before it twice.
pub(crate) fn doubling_lets(count: usize, first: &str) -> (Names, String) {
    let mut names = names();
    let mut last = first.to_owned();
    for number in 0..count {
        let Ok(mut expression) = Expression::parse(&format!("{last} && {last}")) else { break };
        // Past the limit a let cannot be bound, so no document could name it either.
        let Ok(kind) = expression.bind(&names) else { break };
        last = format!("let_{number}");
        names.define(&last, expression, kind);
    }
    (names, last)
}
