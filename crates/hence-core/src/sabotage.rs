//! The bug bank: failures that were seen elsewhere, planted where they would stand here, to measure whether the simulator finds them.
//!
//! Without the feature `sabotage`, and in every build without debug assertions, [`is_planted`] is `false` for the compiler and nothing of
//! this is left. With it, a thread that asked for one ([`plant`]) runs with it; nobody else does. The numbers are those of the failure
//! modes that the project keeps.

/// One failure of the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[doc(hidden)]
#[non_exhaustive]
pub enum Bug {
    /// A write does not ask for the stored state: who read "scheduled" takes back what was started meanwhile.
    F1,
    /// Neither the task nor the store asks for the fence: the end of an older attempt ends a newer one.
    F2,
    /// An attempt that runs for long is taken for dead.
    F3,
    /// On stopping the lease goes before the attempts have ended.
    F4,
    /// A node that was stopped for longer than its lease sends when it wakes.
    F5,
    /// What this node has no handler for is thrown away as failed.
    F9,
    /// What a dead node left running is left for ever.
    F10,
    /// A running task does not keep the next one of its entity from starting.
    F12,
    /// The attempts of one start run one after the other.
    F14,
    /// A task that waits for its next attempt is taken for due.
    F15,
    /// The look-ahead keeps a watermark: what lies behind it is not seen again.
    F19,
    /// The end of a task deletes what was due before it.
    F20,
    /// The inbox is read by a cursor: a wish that had to wait is passed over.
    F21,
    /// Waiting ends by a hint only.
    F22,
    /// After the clock was set back nothing runs until it has caught up.
    F29,
    /// A timer goes off a second early.
    F32,
    /// A plan is written although the entity was changed since it was read.
    F34,
    /// A start takes more than it was asked for.
    F37,
    /// An idempotency key is not looked up.
    F45,
    /// A cancelled attempt that fails is tried again.
    F54,
    /// A change to a running task is dropped.
    F55,
    /// What this node has no handler for is said to be done.
    F56,
    /// A task that kills its nodes is taken over for ever.
    F57,
    /// After an outage everything starts at once.
    F58,
    /// The budget of tries is not kept.
    F59,
    /// A repeated delivery is not marked.
    F60,
    /// An answer that nobody knows is taken for done.
    F61,
    /// What was sent at most once is sent again when nobody knows whether it arrived.
    F62,
}

#[cfg(all(feature = "sabotage", debug_assertions))]
mod bank {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants one failure in this thread, instead of the one before.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether this thread runs with that failure.
    pub fn is_planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(not(all(feature = "sabotage", debug_assertions)))]
mod bank {
    use super::Bug;

    /// Plants nothing: this build has no bank.
    pub fn plant(_: Option<Bug>) {}

    /// `false`: this build has no bank.
    #[inline(always)]
    pub const fn is_planted(_: Bug) -> bool {
        false
    }
}

pub use bank::{is_planted, plant};

impl Bug {
    /// All of the bank.
    pub const ALL: [Bug; 28] = [
        Bug::F1,
        Bug::F2,
        Bug::F3,
        Bug::F4,
        Bug::F5,
        Bug::F9,
        Bug::F10,
        Bug::F12,
        Bug::F14,
        Bug::F15,
        Bug::F19,
        Bug::F20,
        Bug::F21,
        Bug::F22,
        Bug::F29,
        Bug::F32,
        Bug::F34,
        Bug::F37,
        Bug::F45,
        Bug::F54,
        Bug::F55,
        Bug::F56,
        Bug::F57,
        Bug::F58,
        Bug::F59,
        Bug::F60,
        Bug::F61,
        Bug::F62,
    ];
}
