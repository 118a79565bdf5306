//! Goal: whatever users write is read or refused, without a panic and within the limits. Method: `fuzz/runner.rs` over the kept corpus and what
//! it makes of it; besides not to panic, each target keeps a promise of its own.

use hence_core::definition::Definition;
use hence_core::expression::{Context, Expression, MEMORY_BYTES_MAX, Names, STEPS_MAX};
use hence_core::interpolation::Interpolation;
use hence_core::simulate::run_example;
use hence_core::value::{parse_duration, parse_time};

#[path = "../../../../fuzz/runner.rs"]
mod runner;

use super::hostile_corpus::{context, names};

fn hunt(name: &str, target: impl Fn(&str)) {
    runner::hunt(name, env!("CARGO_TARGET_TMPDIR"), |bytes| target(&String::from_utf8_lossy(bytes)));
}

#[test]
fn any_definition_is_read_or_refused_and_its_examples_end() {
    hunt("definition", |source| match Definition::load(source) {
        Ok(loaded) => {
            let again = Definition::load(source).expect("what was read once is read again");
            assert_eq!(loaded.definition.hash, again.definition.hash, "the hash follows from the document");
            for example in &loaded.definition.tests {
                run_example(&loaded.definition, example);
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "a refusal says why");
            for span in problems.iter().flat_map(|problem| &problem.spans) {
                assert!(source.get(span.start..span.end).is_some(), "{span:?} lies in the document");
            }
        }
    });
}

#[test]
fn any_expression_is_refused_or_evaluated_within_its_limits() {
    let (names, context): (Names, Context) = (names(), context());
    hunt("expression", |source| {
        let Ok(mut expression) = Expression::parse(source) else { return };
        if expression.bind(&names).is_ok() {
            let cost = expression.cost(&context);
            assert!(cost.steps <= STEPS_MAX + 1 && cost.bytes <= MEMORY_BYTES_MAX, "{cost:?}");
            let _ = expression.evaluate(&context);
            expression.deciding(&context);
        }
    });
}

#[test]
fn any_text_with_placeholders_is_refused_or_filled_in() {
    let (names, context) = (names(), context());
    hunt("template", |source| {
        let Ok(mut text) = Interpolation::parse(source) else { return };
        if text.bind(&names).is_ok() {
            let _ = text.render(&context);
            if let Ok(path) = text.render_path(&context) {
                assert!(!path.chars().any(char::is_control) || source.chars().any(char::is_control), "{path:?}");
            }
        }
    });
}

#[test]
fn any_span_of_time_is_refused_or_means_the_same_twice() {
    hunt("duration", |source| {
        assert_eq!(parse_duration(source), parse_duration(source));
        let _ = parse_time(source);
        let due = format!(
            "[timeline]\nname = \"a\"\nentity = \"a\"\nanchor = \"s\"\n[step.a]\ndue = {source:?}\ndo = {{ log = \"x\" }}\n"
        );
        let _ = Definition::load(&due);
    });
}
