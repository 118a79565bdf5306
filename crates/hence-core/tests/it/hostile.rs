//! Goal: no source, whatever its author wants, takes more than the steps and the memory that are promised. Method: the corpus of attacks
//! on the longest facts there may be; steps and bytes as the evaluator counts them, and memory as the allocator does, which is as
//! repeatable. Time is measured by `cargo run --release -p hence-core --example hostile`.

use hence_core::expression::{Context, Expression, MEMORY_BYTES_MAX, Names, STEPS_MAX};

use crate::hostile_corpus::{context, corpus, doubling_lets, names};

/// What is promised for reading, checking and evaluating one hostile expression.
const ALLOCATED_BYTES_MAX: u64 = 1024 * 1024;

/// Reads, binds and evaluates; what it came to, with the counted cost.
fn run(source: &str, names: &Names, context: &Context) -> (&'static str, usize, usize) {
    let Ok(mut expression) = Expression::parse(source) else { return ("not read", 0, 0) };
    if expression.bind(names).is_err() {
        return ("not bound", 0, 0);
    }
    expression.constant();
    let cost = expression.cost(context);
    match expression.evaluate(context) {
        Ok(_) => ("a value", cost.steps, cost.bytes),
        Err(_) => ("failed", cost.steps, cost.bytes),
    }
}

#[track_caller]
fn check(name: &str, source: &str, names: &Names, context: &Context) -> &'static str {
    let mut found = ("", 0, 0);
    let allocated = allocation_counter::measure(|| found = run(source, names, context));
    let (fate, steps, bytes) = found;
    assert!(steps <= STEPS_MAX + 1, "{name}: {steps} steps");
    assert!(bytes <= MEMORY_BYTES_MAX, "{name}: {bytes} bytes");
    assert!(allocated.bytes_max <= ALLOCATED_BYTES_MAX, "{name}: {} bytes allocated at once", allocated.bytes_max);
    fate
}

#[test]
fn every_attack_stays_within_steps_and_memory() {
    let (names, context) = (names(), context());
    let mut fates: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for attack in corpus() {
        *fates.entry(check(&attack.name, &attack.source, &names, &context)).or_default() += 1;
    }
    // The corpus reaches every stage; were all refused at once, it would show nothing.
    for fate in ["not read", "not bound", "failed", "a value"] {
        assert!(fates.get(fate).is_some_and(|count| *count >= 5), "{fates:?}");
    }
}

#[test]
fn conditions_within_conditions_stay_within_steps_and_memory() {
    let context = context();
    for first in ["b", "s == s", "s.contains('y') == false", "t.getHours('Europe/Oslo') >= 0"] {
        let (names, last) = doubling_lets(40, first);
        check(first, &format!("{last} && {last}"), &names, &context);
        check(first, &last, &names, &context);
    }
}

#[test]
fn what_is_not_hostile_costs_next_to_nothing() {
    let context = context();
    let mut expression = Expression::parse("x == null && i > 3 && !(b == false)").unwrap();
    expression.bind(&names()).unwrap();
    let cost = expression.cost(&context);
    assert!((8..=20).contains(&cost.steps) && cost.bytes == 0, "{cost:?}");
}
