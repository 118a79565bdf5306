//! Goal: whatever kills the engine, nothing is lost, nothing ends twice, what is repeated says so, and what was cancelled stays away.
//! Method: the built binary is killed while it drains, by `SIGKILL` at random moments and by `strace` at calls to the system, or its disk
//! is full for a while; then history is held against what a receiver logged. `cargo xtask crash` does the same for longer.

use std::path::PathBuf;

use hence_proof::crash::{self, Options};

fn hence() -> PathBuf {
    env!("CARGO_BIN_EXE_hence").into()
}

#[test]
fn an_engine_killed_at_random_moments_loses_and_repeats_nothing_unsaid() {
    let mut options = Options::new(hence(), 1_200);
    options.kills = 12;
    options.cancels = 80;
    let report = crash::run(&options).unwrap();
    assert_eq!(report.violations, Vec::<String>::new(), "{report}");
    assert!(report.taken_over > 0, "no attempt was under way at any kill: {report}");
}

#[test]
fn an_engine_killed_at_any_boundary_loses_and_repeats_nothing_unsaid() {
    let mut options = Options::new(hence(), 2_000);
    options.boundaries = 18;
    options.cancels = 80;
    let report = crash::run(&options).unwrap();
    assert_eq!(report.violations, Vec::<String>::new(), "{report}");
    let reached = report.kills.keys().filter(|kind| !kind.contains("not reached")).count();
    assert!(reached >= 3, "hardly any boundary was reached: {report}");
}

#[test]
fn an_engine_whose_disk_was_full_goes_on_by_itself() {
    let report = crash::full::run(&hence(), 1_500).unwrap();
    assert_eq!(report.violations, Vec::<String>::new(), "{report}");
}
