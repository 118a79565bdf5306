//! Goal: several nodes that are killed, stopped and cut off lose nothing, do nothing early or against a cancel, and end nothing twice.
//! Method: three processes of the built binary on one PostgreSQL database, each behind a proxy; then history is held against what a
//! receiver logged. `cargo xtask blackbox` does the same for longer.

use hence_proof::blackbox::{self, Options};

#[test]
fn nodes_that_are_hurt_lose_and_repeat_nothing_unsaid() {
    let options = Options::new(env!("CARGO_BIN_EXE_hence").into(), 6);
    let outcome = blackbox::run_once(&options, None).unwrap();
    assert_eq!(outcome.violations(), Vec::<String>::new(), "{outcome}");
    assert!(outcome.faults.len() >= 3 && outcome.report.requests > 100, "hardly anything happened: {outcome}");
}
