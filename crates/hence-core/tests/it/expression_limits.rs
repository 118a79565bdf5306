//! No input breaks a limit: sources made to exhaust time, memory or stack are refused or answered, and random ones never panic.
//!
//! Tables of known attacks on expression languages, then random text, random words of the language, and random expressions of
//! right types, which must never meet a wrong type once they are bound. Steps are counted beside the evaluator itself.

use std::collections::BTreeMap;

use hence_core::expression::{Context, EvaluationErrorKind, Expression, Names};
use hence_core::interpolation::Interpolation;
use hence_core::value::{FACT_TEXT_BYTES_MAX, Facts, FieldType, TypeName, Value};
use proptest::prelude::*;

fn names() -> Names {
    let mut names = Names::default();
    for (name, base) in [
        ("b", TypeName::Bool),
        ("i", TypeName::Int),
        ("f", TypeName::Float),
        ("s", TypeName::String),
        ("t", TypeName::Time),
        ("d", TypeName::Duration),
        ("list", TypeName::List),
        ("map", TypeName::Map),
    ] {
        names.variable(name, FieldType::required(base));
    }
    names.variable("x", FieldType::nullable(TypeName::Any));
    names
}

fn context(text: &str) -> Context {
    let map = BTreeMap::from([("a".to_owned(), Value::Int(1))]);
    Context::new()
        .with_facts(&Facts::default())
        .with("b", Value::Bool(true))
        .with("i", Value::Int(i64::MAX))
        .with("f", Value::Float(f64::NAN))
        .with("s", Value::String(text.to_owned()))
        .with("t", Value::Time(jiff::Timestamp::MAX))
        .with("d", Value::Duration(jiff::SignedDuration::MIN))
        .with("list", Value::List(vec![Value::String(text.to_owned()); 3]))
        .with("map", Value::Map(map))
        .with("x", Value::Null)
}

/// What becomes of a source: refused when read, refused when bound, failed, or a value.
fn fate(source: &str, text: &str) -> String {
    let mut expression = match Expression::parse(source) {
        Ok(expression) => expression,
        Err(error) => return format!("not read: {error}"),
    };
    if let Err(errors) = expression.bind(&names()) {
        return format!("not bound: {}", errors[0]);
    }
    expression.constant();
    match expression.evaluate(&context(text)) {
        Ok(value) => format!("{:?}", value.type_name()),
        Err(error) => format!("failed: {error}"),
    }
}

#[track_caller]
fn check(source: &str, expected: &str) {
    assert_eq!(fate(source, "text"), expected, "{}", &source[..source.len().min(80)]);
}

#[test]
fn nesting_is_refused_before_it_can_exhaust_the_stack() {
    let deep = "not read: the expression nests deeper than 32";
    for (open, close) in
        [("(", ")"), ("[", "]"), ("!", ""), ("-", ""), ("size(", ")"), ("b ? b : ", ""), ("b ? ", " : b"), ("has(", ")")]
    {
        for count in [33, 100, 400] {
            let source = format!("{}b{}", open.repeat(count), close.repeat(count));
            assert_eq!(fate(&source, ""), deep, "{open}");
            // Never closed.
            assert_eq!(fate(&open.repeat(count), ""), deep, "{open}");
        }
    }
    check(&format!("list{}", "[0]".repeat(400)), deep);
    check(&format!("map{}", ".a".repeat(400)), deep);
    check(&format!("s{}", ".lowerAscii()".repeat(100)), deep);
    check(&format!("{}b{}", "(".repeat(30), ")".repeat(30)), "Some(Bool)");
    check(&"(".repeat(4097), "not read: the expression has 4097 bytes, the limit is 4096");
    check(&"(".repeat(100_000), "not read: the expression has 100000 bytes, the limit is 4096");
}

#[test]
fn long_chains_are_flat_and_bounded() {
    check(&format!("b{}", " && b".repeat(200)), "Some(Bool)");
    check(&format!("0{}", " + 1".repeat(255)), "Some(Int)");
    check(&format!("0{}", "+1".repeat(2000)), "not read: the expression has more than 512 parts");
    check(&format!("[{}]", "1,".repeat(2000)), "not read: the expression has more than 512 parts");
    check(&format!("size({})", "1,".repeat(2000)), "not read: the expression has more than 512 parts");
}

#[test]
fn doubling_text_and_lists_is_stopped() {
    let over = "failed: the expression makes more than 65536 bytes";
    let long = "x".repeat(FACT_TEXT_BYTES_MAX);
    assert_eq!(fate("s + s", &long), over);
    assert_eq!(fate("[s]", &long), over);
    assert_eq!(fate("list + list", &long), over);
    assert_eq!(fate("s.lowerAscii().upperAscii()", &long), over);
    assert_eq!(fate("[list, list, list] == [list]", &long), over);
    // The 125 bytes of F71 double a list by maps within maps; without loops only a written chain can grow.
    let nested = "[[[[[[list,list],[list,list]],[[list,list],[list,list]]],[[list],[list]]]]]";
    assert_eq!(fate(nested, &long), over);
    assert_eq!(fate(&format!("size(s{}) > 0", " + s".repeat(250)), &"x".repeat(1000)), over);
    check("[1].map(x, [x, x]).map(x, [x, x]).map(x, [x, x])", "not read: function `map` is not known");
    check("[0,0].all(a, [0,0].all(b, [0,0].all(c, true)))", "not read: function `all` is not known");
}

#[test]
fn looking_at_long_text_takes_steps() {
    let long = "x".repeat(FACT_TEXT_BYTES_MAX);
    let over = "failed: the expression takes more than 10000 steps";
    let many = format!("b{}", " && s.contains('y') == false".repeat(50));
    assert_eq!(fate(&many, &long), over);
    let many = format!("b{}", " && s == s".repeat(50));
    assert_eq!(fate(&many, &long), over);
    assert_eq!(fate("s.contains('y') || s == 'z' || s.endsWith('y')", &long), "Some(Bool)");
}

#[test]
fn numbers_and_instants_never_overflow() {
    check("i + 1", "failed: the result is out of range");
    check("i * i", "failed: the result is out of range");
    check("-i - 2", "failed: the result is out of range");
    check("(-i - 1) / -1", "failed: the result is out of range");
    check("(-i - 1) % -1", "failed: the result is out of range");
    check("-(-i - 1)", "failed: the result is out of range");
    check("i / (i - i)", "failed: division by zero");
    check("i % (i - i)", "failed: division by zero");
    check("int(f)", "failed: the result is out of range");
    check("int(1e300 * double(i))", "failed: the result is out of range");
    check("f < f || f == f", "Some(Bool)");
    check("t + duration('1h')", "failed: the result is out of range");
    check("t - d", "failed: the result is out of range");
    check("-d", "failed: the result is out of range");
    check("d + d", "failed: the result is out of range");
    check("timestamp(i)", "failed: the result is out of range");
    check("t - timestamp('-009998-01-01T00:00:00Z')", "Some(Duration)");
    check("t.getFullYear('Pacific/Kiritimati')", "Some(Int)");
    check("list[i]", "failed: the list has no such element");
    check("list[-i]", "failed: the list has no such element");
}

#[test]
fn rendered_text_is_bounded() {
    let text = Interpolation::parse(&"{s}".repeat(40)).unwrap();
    assert!(text.render(&context(&"x".repeat(2000))).is_err());
    assert_eq!(text.render(&context("ab")).unwrap().len(), 80);
}

/// Words of the language, so that random sequences of them come further than random text does.
const WORDS: [&str; 44] = [
    "b",
    "i",
    "f",
    "s",
    "t",
    "d",
    "list",
    "map",
    "x",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    "?",
    ":",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "in",
    "null",
    "true",
    "1",
    "9223372036854775808",
    "1.5",
    "'a'",
    "\"\\u00e9\"",
    "size(",
    "has(",
    ".a",
    ".contains(",
    "timestamp(",
];

fn bools(depth: u32) -> BoxedStrategy<String> {
    let plain = prop_oneof![Just("b".to_owned()), Just("true".to_owned()), Just("false".to_owned())];
    if depth == 0 {
        return plain.boxed();
    }
    let below = depth - 1;
    let order = prop_oneof![Just("<"), Just("<="), Just(">"), Just(">="), Just("=="), Just("!=")];
    prop_oneof![
        plain,
        (bools(below), prop_oneof![Just("&&"), Just("||"), Just("==")], bools(below)).prop_map(joined),
        bools(below).prop_map(|inner| format!("!{inner}")),
        (numbers(below), order.clone(), numbers(below)).prop_map(joined),
        (texts(below), order.clone(), texts(below)).prop_map(joined),
        (times(below), order.clone(), times(below)).prop_map(joined),
        (spans(below), order, spans(below)).prop_map(joined),
        (texts(below), texts(below)).prop_map(|(text, part)| format!("{text}.contains({part})")),
        (texts(below), texts(below)).prop_map(|(text, other)| format!("({text} in [{other}, 'a'])")),
    ]
    .boxed()
}

fn joined((left, operator, right): (String, &str, String)) -> String {
    format!("({left} {operator} {right})")
}

fn numbers(depth: u32) -> BoxedStrategy<String> {
    let plain = prop_oneof![Just("i".to_owned()), any::<i64>().prop_map(|number| format!("({number})")), Just("7".to_owned())];
    if depth == 0 {
        return plain.boxed();
    }
    let below = depth - 1;
    let operator = prop_oneof![Just("+"), Just("-"), Just("*"), Just("/"), Just("%")];
    prop_oneof![
        plain,
        (numbers(below), operator, numbers(below)).prop_map(joined),
        numbers(below).prop_map(|inner| format!("(-{inner})")),
        texts(below).prop_map(|text| format!("size({text})")),
        times(below).prop_map(|time| format!("{time}.getHours('Europe/Oslo')")),
        (bools(below), numbers(below), numbers(below)).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
    ]
    .boxed()
}

fn texts(depth: u32) -> BoxedStrategy<String> {
    let plain = prop_oneof![Just("s".to_owned()), "[a-z]{0,4}".prop_map(|text| format!("'{text}'"))];
    if depth == 0 {
        return plain.boxed();
    }
    let below = depth - 1;
    prop_oneof![
        plain,
        (texts(below), Just("+"), texts(below)).prop_map(joined),
        texts(below).prop_map(|text| format!("{text}.lowerAscii()")),
        numbers(below).prop_map(|number| format!("string({number})")),
        times(below).prop_map(|time| format!("string({time})")),
    ]
    .boxed()
}

fn times(depth: u32) -> BoxedStrategy<String> {
    if depth == 0 {
        return Just("t".to_owned()).boxed();
    }
    let below = depth - 1;
    prop_oneof![
        Just("timestamp('2026-03-02T10:00:00Z')".to_owned()),
        (times(below), prop_oneof![Just("+"), Just("-")], spans(below)).prop_map(joined),
    ]
    .boxed()
}

fn spans(depth: u32) -> BoxedStrategy<String> {
    if depth == 0 {
        return prop_oneof![Just("d".to_owned()), Just("duration('48h')".to_owned())].boxed();
    }
    let below = depth - 1;
    prop_oneof![
        (times(below), Just("-"), times(below)).prop_map(joined),
        (spans(below), prop_oneof![Just("+"), Just("-")], spans(below)).prop_map(joined),
    ]
    .boxed()
}

proptest! {
    #[test]
    fn random_text_never_panics(source in ".{0,300}") {
        fate(&source, "text");
        let _ = Interpolation::parse(&source).map(|text| text.render(&context("text")));
    }

    #[test]
    fn random_words_never_panic(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..60)) {
        fate(&words.concat(), "text");
        fate(&words.join(" "), "text");
    }

    #[test]
    fn well_typed_expressions_never_meet_a_wrong_type(source in bools(4)) {
        let mut expression = Expression::parse(&source).map_err(|error| TestCaseError::reject(error.to_string()))?;
        match expression.bind(&names()) {
            Ok(kind) => {
                prop_assert_eq!(kind, FieldType::required(TypeName::Bool));
                match expression.evaluate(&context("text")) {
                    Ok(value) => prop_assert!(kind.holds(&value)),
                    Err(error) => {
                        let is_type = matches!(error.kind(), EvaluationErrorKind::Type { .. } | EvaluationErrorKind::Null { .. });
                        prop_assert!(!is_type, "{}: {}", source, error);
                    }
                }
                // What is told to be constant is what comes out.
                if let (Some(constant), Ok(value)) = (expression.constant(), expression.evaluate(&context("text"))) {
                    prop_assert_eq!(constant, value, "{}", source);
                }
            }
            // Parts without names that always fail are refused here; nothing else is.
            Err(errors) => for error in errors {
                prop_assert_eq!(error.help(), "this part always fails: correct it", "{}: {}", source, error);
            },
        }
    }

    #[test]
    fn binding_twice_changes_nothing(source in bools(3)) {
        let mut expression = Expression::parse(&source).unwrap();
        if let Ok(kind) = expression.bind(&names()) {
            let first = expression.evaluate(&context("text"));
            prop_assert_eq!(expression.bind(&names()), Ok(kind));
            prop_assert_eq!(expression.evaluate(&context("text")), first);
        }
    }
}
