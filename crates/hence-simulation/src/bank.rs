//! The bug bank at work: how many seeds it takes to find each planted failure. This measures the tester, not the product.

use hence_core::sabotage::Bug;

use crate::ledger::Breach;
use crate::play::{Options, run};

/// How one failure was found.
#[derive(Debug, Clone)]
pub struct Find {
    /// Which failure.
    pub bug: Bug,
    /// How many seeds it took, and the breach that showed it; `None`: not found.
    pub found: Option<(u64, Breach)>,
}

/// Runs seeds from `first` on with the failure planted until one shows it, at most `seeds_max`. A seed that breaks something without it
/// shows nothing.
pub fn hunt(bug: Bug, first: u64, seeds_max: u64) -> Find {
    let options = Options { bug: Some(bug), ..Options::default() };
    let is_sound = |seed| run(seed, Options::default()).breach.is_none();
    let found = (0..seeds_max).find_map(|number| {
        let seed = first + number;
        let breach = run(seed, options).breach?;
        is_sound(seed).then_some((number + 1, breach))
    });
    Find { bug, found }
}

/// The middle of the numbers of seeds, and the highest; `None` when one failure was not found.
pub fn median_and_worst(finds: &[Find]) -> Option<(u64, u64)> {
    let mut seeds: Vec<u64> = finds.iter().map(|find| find.found.as_ref().map(|(seeds, _)| *seeds)).collect::<Option<_>>()?;
    seeds.sort_unstable();
    Some((*seeds.get(seeds.len() / 2)?, *seeds.last()?))
}
