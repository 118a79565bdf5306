//! Goal: nothing breaks in thousands of simulated runs, each run can be repeated, and the simulator finds what is planted.
//! Method: seeds on all cores; a breach prints its seed, the command that repeats it, and the last lines of its trace.

#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hence_simulation::{Bug, Find, Options, hunt, median_and_worst, run, run_many};

/// How many seeds are run.
const SEEDS: u64 = 5_000;
/// How many seeds are run twice.
const REPEATED: u64 = 60;
/// How many seeds a planted failure has.
const HUNTED: u64 = 1_000;

#[test]
fn thousands_of_seeds_break_nothing() {
    let (breaches, _, commits) = run_many(0..SEEDS, Options::default());
    let reports: Vec<String> = breaches.iter().take(5).map(|outcome| outcome.report(40)).collect();
    assert!(breaches.is_empty(), "{} of {SEEDS} seeds break something\n{}", breaches.len(), reports.join("\n"));
    // A simulator in which nothing happens finds nothing either.
    assert!(commits > 50 * SEEDS, "only {commits} commits in {SEEDS} seeds");
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in 0..REPEATED {
        let (first, second) = (run(seed, Options::default()), run(seed, Options::default()));
        assert_eq!(first, second, "seed {seed}");
        assert!(first.lines.len() > 10, "seed {seed} has {} lines", first.lines.len());
    }
}

#[test]
fn every_planted_failure_is_found() {
    let (next, finds) = (AtomicUsize::new(0), Mutex::new(Vec::<Find>::new()));
    let work = || {
        while let Some(bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            let find = hunt(*bug, 0, HUNTED);
            finds.lock().unwrap().push(find);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let finds = finds.into_inner().unwrap();
    let missed: Vec<Bug> = finds.iter().filter(|find| find.found.is_none()).map(|find| find.bug).collect();
    assert_eq!(missed, [], "not found within {HUNTED} seeds");
    let (median, worst) = median_and_worst(&finds).unwrap();
    assert!(median <= 50, "the median is {median} seeds, the worst {worst}");
}
