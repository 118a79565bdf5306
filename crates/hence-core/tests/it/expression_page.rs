//! The page `docs/reference/expressions.md` tells the truth: its examples load, its limits are those of the code, and no function is left out.

use hence_core::expression::{
    DEPTH_BOUND_MAX, DEPTH_MAX, Expression, MEMORY_BYTES_MAX, NODES_BOUND_MAX, NODES_MAX, Names, SOURCE_BYTES_MAX, STEPS_MAX,
};
use hence_core::value::{FACT_DEPTH_MAX, FACT_ELEMENTS_MAX, FACT_TEXT_BYTES_MAX, FactTypes, FieldType, TypeName};

const PAGE: &str = include_str!("../../../../docs/reference/expressions.md");

fn names() -> Names {
    let account = [
        ("email", "string"),
        ("status", "string"),
        ("plan", "string?"),
        ("paid_at", "time?"),
        ("started_at", "time"),
        ("seats", "int"),
        ("rate", "float"),
    ];
    let account = account.into_iter().map(|(name, kind)| (name.to_owned(), kind.parse().unwrap())).collect();
    let widget = [("hits".to_owned(), FieldType::required(TypeName::Int))].into();
    let mut names = Names::default();
    names.facts(&FactTypes::from([("account".to_owned(), account), ("widget".to_owned(), widget)]));
    names.firing();
    names.variable("event", FieldType::required(TypeName::Map));
    names
}

#[test]
fn every_example_loads() {
    let blocks = PAGE.split("```cel\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let examples: Vec<&str> = blocks.flat_map(str::lines).collect();
    assert!(examples.len() > 10, "the examples were not found");
    for example in examples {
        let mut expression = Expression::parse(example).unwrap_or_else(|error| panic!("{example}: {error}"));
        expression.bind(&names()).unwrap_or_else(|errors| panic!("{example}: {errors:?}"));
        assert_eq!(expression.nullable_uses(), [], "{example}");
    }
}

#[test]
fn every_limit_is_the_one_of_the_code() {
    for line in [
        format!("| source | {SOURCE_BYTES_MAX} bytes |"),
        format!("| nesting | {DEPTH_MAX}, and {DEPTH_BOUND_MAX} with lets put in |"),
        format!("| {NODES_MAX}, and {NODES_BOUND_MAX} with lets put in |"),
        format!("| steps of one evaluation | {STEPS_MAX}: "),
        format!("| values made by one evaluation | {MEMORY_BYTES_MAX} bytes |"),
        format!("| {FACT_TEXT_BYTES_MAX} bytes of text, nesting {FACT_DEPTH_MAX}, {FACT_ELEMENTS_MAX} elements |"),
    ] {
        assert!(PAGE.contains(&line), "the page does not say: {line}");
    }
}

#[test]
fn every_type_and_function_is_on_the_page() {
    for kind in TypeName::ALL {
        assert!(PAGE.contains(&format!("| `{kind}` |")), "{kind}");
    }
    // An unknown function is told all that are known.
    let told = |source: &str| Expression::parse(source).unwrap_err().help().to_owned();
    let known = told("quite_unknown(1)") + &told("'a'.quite_unknown()");
    let functions: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    assert!(functions.len() > 15, "{known}");
    for function in functions {
        assert!(PAGE.contains(&format!("{function}(")), "{function}");
    }
}
