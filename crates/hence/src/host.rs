//! What a client and its engine run on: time that passes, tasks beside them, chance. The machine, or a simulation of one.
//!
//! Owns the one seam between this crate and the runtime: everything else here waits, spawns and throws dice through [`Host`], so that a
//! simulator performs the very engine that users run. Leaves to others: reading and waiting for the machine's time (`clock`).

#![cfg_attr(not(feature = "simulation"), allow(unreachable_pub, reason = "seen from outside by the simulator only"))]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::task::AbortOnDropHandle;

use crate::clock;

/// Something to be carried on, beside what began it.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Keeps what was spawned going; dropping it ends that at its next `.await`.
pub type Spawned = Box<dyn Send + Sync>;

/// What the engine runs on.
pub trait Host: Send + Sync {
    /// The wall clock, whole microseconds; it may be set back and forth.
    fn wall(&self) -> Timestamp;

    /// Real time that has passed since some beginning; it never goes back.
    fn elapsed(&self) -> Duration;

    /// Ends once that much real time has passed.
    fn wait(&self, span: Duration) -> Work;

    /// Carries `work` on until it ends or what this gives is dropped.
    fn spawn(&self, work: Work) -> Spawned;

    /// Any number, all of them equally likely.
    fn dice(&self) -> u64;
}

/// The machine and its tokio runtime.
struct Machine;

/// The machine that this process runs on.
pub(crate) fn machine() -> Arc<dyn Host> {
    Arc::new(Machine)
}

impl Host for Machine {
    fn wall(&self) -> Timestamp {
        clock::wall()
    }

    fn elapsed(&self) -> Duration {
        clock::elapsed()
    }

    fn wait(&self, span: Duration) -> Work {
        Box::pin(clock::wait(span))
    }

    fn spawn(&self, work: Work) -> Spawned {
        Box::new(AbortOnDropHandle::new(tokio::spawn(work)))
    }

    fn dice(&self) -> u64 {
        fastrand::u64(..)
    }
}
