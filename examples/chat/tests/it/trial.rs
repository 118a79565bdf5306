//! Goal: the example's definition is sound and does what its own `[[test]]` blocks say.
//! Method: loaded as Hence loads it, without warnings, each block played by the simulation.

use hence_core::definition::Definition;
use hence_core::simulate::run_example;

#[test]
fn trial_definition_loads_and_its_examples_hold() {
    let loaded = Definition::load(include_str!("../../timelines/trial.toml")).unwrap();
    assert!(loaded.warnings.is_empty(), "{:#?}", loaded.warnings);
    assert!(loaded.definition.tests.len() >= 6);
    for example in &loaded.definition.tests {
        let result = run_example(&loaded.definition, example);
        assert_eq!(result.found, result.expected, "{}", result.name);
    }
}
