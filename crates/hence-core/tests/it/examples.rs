//! Goal: a document's examples say what the engine would do. Method: the trial's own examples, as they are and changed.

use hence_core::definition::Definition;
use hence_core::simulate::run_example;

fn found(source: &str) -> Vec<String> {
    let definition = Definition::load(source).unwrap().definition;
    definition.tests.iter().flat_map(|example| run_example(&definition, example).found).collect()
}

const TRIAL: &str = include_str!("../fixtures/trial.toml");

#[test]
fn the_trial_does_what_its_example_expects() {
    let definition = Definition::load(TRIAL).unwrap().definition;
    let result = run_example(&definition, &definition.tests[0]);
    assert_eq!(result.found, result.expected);
    assert!(result.is_as_expected());
}

#[test]
fn paying_cancels_what_is_ahead() {
    let paid = TRIAL.replace(
        "answer = { expire = \"deactivated\" }",
        "event = [{ at = \"2026-03-10T12:00[Europe/Oslo]\", name = \"account.paid\" }]",
    );
    assert_eq!(found(&paid), ["2026-03-10T12:00 remind cancelled", "2026-03-10T12:00 expire cancelled"]);
}

#[test]
fn paying_without_telling_skips_by_the_facts() {
    let paid = TRIAL.replace("status = \"trial\" }", "status = \"paid\", paid_at = \"2026-03-03T00:00:00Z\" }");
    assert_eq!(found(&paid), ["2026-03-27T09:00 remind skipped", "2026-04-01T10:00 expire skipped"]);
}

#[test]
fn a_step_that_fails_for_good_has_its_follow_up() {
    let broken = TRIAL.replace("expire = \"deactivated\"", "expire = \"failed\"");
    assert_eq!(
        found(&broken),
        ["2026-03-27T09:00 remind done", "2026-04-01T10:00 expire failed", "2026-04-01T10:00 expire_broken done"]
    );
}
