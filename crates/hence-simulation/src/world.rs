//! The world that the processes share: the clock, chance, the ledger of what really happened, and the trace.
//!
//! One lock, never held over an `.await`; with one thread nobody ever waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use hence::simulation::{Host, Spawned, Work};
use hence_core::library::Library;
use jiff::{SignedDuration, Timestamp};

use crate::executor::{Executor, OUTSIDE, Process};
use crate::ledger::{Ledger, Moment};
use crate::swarm::Swarm;

/// All that processes share.
pub(crate) struct World {
    /// What carries everything on.
    pub(crate) executor: Executor,
    state: Mutex<State>,
}

/// What is behind the lock.
pub(crate) struct State {
    /// Chance.
    pub(crate) dice: Rng,
    /// What this seed has drawn.
    pub(crate) swarm: Swarm,
    /// What really happened.
    pub(crate) ledger: Ledger,
    /// What is told of it.
    pub(crate) trace: Trace,
    /// Whether faults have stopped.
    pub(crate) is_quiet: bool,
    /// When each entity paid, by the application's own database.
    pub(crate) paid: BTreeMap<String, (Duration, Timestamp)>,
    /// Events that were told, by their mark: whether they were accepted or definitely refused. What nobody knows is not here.
    pub(crate) told: BTreeMap<i64, bool>,
    /// The mark of the newest event.
    pub(crate) last_mark: i64,
    /// The definitions of this run, read once.
    pub(crate) library: Arc<Library>,
    last_process: u32,
    wall_offset: SignedDuration,
}

/// The lines of a run: a hash of all, and the last of them.
pub(crate) struct Trace {
    hash: u64,
    lines: VecDeque<String>,
    lines_kept: usize,
}

impl Trace {
    /// Takes a number into the hash.
    pub(crate) fn mix(&mut self, number: u64) {
        // FNV-1a, 64 bits.
        for byte in number.to_le_bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Notes a line.
    pub(crate) fn note(&mut self, at: Duration, line: &str) {
        let line = format!("{:>10.4} {line}", at.as_secs_f64());
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.lines.push_back(line);
        if self.lines.len() > self.lines_kept {
            self.lines.pop_front();
        }
    }

    /// The hash of everything so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}

impl World {
    /// The world of a seed, with so many lines of its trace kept for the reader.
    pub(crate) fn new(seed: u64, lines_kept: usize) -> Arc<Self> {
        let mut dice = Rng::with_seed(seed);
        let swarm = Swarm::draw(&mut dice);
        // A Monday morning, so that open hours are near.
        let begins = Timestamp::from_second(1_772_441_400).expect("an instant of 2026");
        let offset = begins.duration_since(Timestamp::UNIX_EPOCH) + SignedDuration::from_millis(dice.i64(0..1_800_000));
        let state = State {
            dice,
            ledger: Ledger::new(swarm.is_calm),
            swarm,
            trace: Trace { hash: 0xcbf2_9ce4_8422_2325, lines: VecDeque::new(), lines_kept },
            is_quiet: false,
            paid: BTreeMap::new(),
            told: BTreeMap::new(),
            last_mark: 0,
            library: Arc::default(),
            last_process: OUTSIDE.0,
            wall_offset: offset,
        };
        let world = Self { executor: Executor::default(), state: Mutex::new(state) };
        world.with(|state| state.ledger.watch(world.executor.clone()));
        Arc::new(world)
    }

    /// Looks at or changes what is shared.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Judges something that happened, with the moment it happened at.
    pub(crate) fn observe(&self, work: impl FnOnce(&mut Ledger, Moment, &mut Trace)) {
        let at = self.executor.now();
        self.with(|state| {
            let wall = wall(state, at);
            work(&mut state.ledger, Moment { at, wall }, &mut state.trace);
        });
    }

    /// The wall clock, whole microseconds.
    pub(crate) fn wall(&self) -> Timestamp {
        let at = self.executor.now();
        self.with(|state| wall(state, at))
    }

    /// Sets the wall clock forward or back.
    pub(crate) fn step_clock(&self, by: SignedDuration) {
        self.with(|state| state.wall_offset += by);
    }

    /// Notes a line.
    pub(crate) fn note(&self, line: &str) {
        let at = self.executor.now();
        self.with(|state| state.trace.note(at, line));
    }

    /// A number for a process that begins.
    pub(crate) fn new_process(&self) -> Process {
        self.with(|state| {
            state.last_process += 1;
            Process(state.last_process)
        })
    }

    /// A random span up to `most`.
    pub(crate) fn span(&self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
        self.with(|state| Duration::from_micros(state.dice.u64(..=most)))
    }

    /// Whether something that happens `of_thousand` times happens now; never once faults have stopped.
    pub(crate) fn strikes(&self, of_thousand: u32) -> bool {
        self.with(|state| !state.is_quiet && of_thousand > 0 && state.dice.u32(..1000) < of_thousand)
    }
}

fn wall(state: &mut State, at: Duration) -> Timestamp {
    let since = state.wall_offset + SignedDuration::try_from(at).expect("a run lasts minutes");
    let wall =
        Timestamp::from_microsecond(i64::try_from(since.as_micros()).expect("an instant of 2026")).expect("an instant of 2026");
    state.ledger.shown(wall);
    wall
}

/// The host of one process.
pub(crate) struct SimulatedHost {
    /// Where it stands.
    pub(crate) world: Arc<World>,
    /// Which process it carries.
    pub(crate) process: Process,
}

impl Host for SimulatedHost {
    fn wall(&self) -> Timestamp {
        self.world.wall()
    }

    fn elapsed(&self) -> Duration {
        self.world.executor.now()
    }

    fn wait(&self, span: Duration) -> Work {
        self.world.executor.wait(span.max(Duration::from_millis(1)))
    }

    fn spawn(&self, work: Work) -> Spawned {
        self.world.executor.spawn(self.process, work)
    }

    fn dice(&self) -> u64 {
        self.world.with(|state| state.dice.u64(..))
    }
}
