//! The simulator: the real engine, clients and decisions on one thread, from a seed, among faults; and a ledger that judges every commit.
//!
//! `executor` is the machine, `world` what all share, `store` and `receiver` the models around the product, `story` what is told,
//! `ledger` the judge, `play` one run, `bank` the measure of the tester. Never shipped. `docs/internals/simulation.md` says what it
//! covers and what it does not.

mod executor;
mod swarm;

mod ledger;
mod world;

mod receiver;
mod store;
mod story;

mod bank;
mod play;

pub use bank::{Find, hunt, median_and_worst};
pub use hence_core::sabotage::Bug;
pub use ledger::Breach;
pub use play::{Options, Outcome, run};

use std::sync::atomic::{AtomicU64, Ordering};

/// Runs many seeds on all cores; gives those with a breach, and the steps and commits of all.
pub fn run_many(seeds: std::ops::Range<u64>, options: Options) -> (Vec<Outcome>, u64, u64) {
    let (next, steps, commits) = (AtomicU64::new(seeds.start), AtomicU64::new(0), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let work = || {
        let mut breaches = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return breaches;
            }
            let outcome = run(seed, options);
            steps.fetch_add(outcome.steps, Ordering::Relaxed);
            commits.fetch_add(outcome.commits, Ordering::Relaxed);
            if outcome.breach.is_some() {
                breaches.push(outcome);
            }
        }
    };
    let breaches = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let found = threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        found.collect::<Vec<Outcome>>()
    });
    (breaches, steps.into_inner(), commits.into_inner())
}

impl Outcome {
    /// The breach as a person reads it: what, how to see it again, and the last lines before it.
    pub fn report(&self, lines: usize) -> String {
        let Some(breach) = &self.breach else { return format!("seed {}: nothing broke", self.seed) };
        let last = &self.lines[self.lines.len().saturating_sub(lines)..];
        format!(
            "seed {}: {} is broken: {}\nagain: cargo xtask sim --seed {}\n{}\n",
            self.seed,
            breach.rule,
            breach.text,
            self.seed,
            last.join("\n")
        )
    }
}
