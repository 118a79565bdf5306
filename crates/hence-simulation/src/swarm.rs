//! What one seed draws: how many of everything, which faults there are, and how often they come.
//!
//! Each kind of fault is there in about half of the seeds, so that a seed can show what another fault would hide.

use std::time::Duration;

use fastrand::Rng;

/// The nature of one run.
#[derive(Debug, Clone)]
pub(crate) struct Swarm {
    /// Engines.
    pub(crate) nodes: usize,
    /// Programs that tell and operate.
    pub(crate) tellers: usize,
    /// Entities.
    pub(crate) entities: usize,
    /// How long faults go on.
    pub(crate) span: Duration,
    /// Whether nothing fails but receivers: then lateness and repeats are judged strictly.
    pub(crate) is_calm: bool,
    /// Calls to the store that are slow, of a thousand, and how slow at most.
    pub(crate) slow: (u32, Duration),
    /// Calls that are refused, of a thousand.
    pub(crate) refused: u32,
    /// Calls whose answer is lost, of a thousand.
    pub(crate) lost: u32,
    /// Seconds between two crashes, two pauses, two stops, two steps of the clock; 0 for never.
    pub(crate) crash: u64,
    /// The same for pauses.
    pub(crate) pause: u64,
    /// The same for graceful stops.
    pub(crate) stop: u64,
    /// The same for steps of the clock.
    pub(crate) clock: u64,
    /// Readings of facts that fail, of a thousand.
    pub(crate) unreadable: u32,
    /// What receivers do.
    pub(crate) receivers: Receivers,
    /// Whether one node lacks a handler.
    pub(crate) is_mixed: bool,
    /// The most attempts under way in one engine.
    pub(crate) attempts_max: usize,
    /// The most starts of backlog a second.
    pub(crate) catch_up: u32,
    /// Shards of the store.
    pub(crate) shards: u16,
    /// Whether the store knows at once that a process has ended, as SQLite does; otherwise only beats tell.
    pub(crate) knows_lives: bool,
}

/// How often receivers do what, of a thousand; the rest answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receivers {
    /// Say that nothing happened.
    pub(crate) again: u32,
    /// Refuse for good.
    pub(crate) refuse: u32,
    /// Act, and the answer is lost.
    pub(crate) act_then_fail: u32,
    /// Never answer, and act in half of the cases.
    pub(crate) hang: u32,
    /// Answer later.
    pub(crate) later: u32,
    /// Say a word that the step does not.
    pub(crate) unexpected: u32,
    /// Kill the node that delivers.
    pub(crate) poison: u32,
    /// The longest time to an answer.
    pub(crate) answer_max: Duration,
}

impl Swarm {
    /// What the seed draws.
    pub(crate) fn draw(dice: &mut Rng) -> Self {
        let is_calm = dice.u32(..100) < 15;
        let mut every = |choices: &[u64]| if is_calm || dice.bool() { 0 } else { choices[dice.usize(..choices.len())] };
        let (crash, pause, stop) = (every(&[15, 40]), every(&[20, 60]), every(&[20, 60]));
        let (clock, slow) = (every(&[15, 40]), every(&[20, 100, 300]));
        let (refused, lost, unreadable) = (every(&[2, 8]), every(&[2, 8]), every(&[100, 400]));
        let permille = |value: u64| u32::try_from(value).unwrap_or(1000);
        let mut some = |most: u32| if dice.bool() { 0 } else { dice.u32(..=most) };
        let receivers = Receivers {
            again: some(300),
            refuse: some(80),
            act_then_fail: some(200),
            hang: some(150),
            later: some(200),
            unexpected: some(60),
            poison: if is_calm { 0 } else { some(120) },
            answer_max: Duration::from_millis(u64::from(some(4_000)) + 20),
        };
        Self {
            nodes: dice.usize(1..=3),
            tellers: dice.usize(1..=2),
            entities: dice.usize(1..=6),
            span: Duration::from_secs(dice.u64(60..=240)),
            is_calm,
            slow: (permille(slow), Duration::from_millis(dice.u64(50..4_000))),
            refused: permille(refused),
            lost: permille(lost),
            crash,
            pause,
            stop,
            clock,
            unreadable: permille(unreadable),
            receivers,
            is_mixed: dice.u32(..100) < 15,
            attempts_max: if dice.bool() { 64 } else { dice.usize(2..=4) },
            catch_up: if dice.bool() { 200 } else { 1 },
            shards: if dice.bool() { 1 } else { dice.u16(2..=4) },
            knows_lives: dice.bool(),
        }
    }
}
