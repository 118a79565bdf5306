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
use tokio_util::sync::CancellationToken;
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

    /// Real time that has passed since some beginning, also while the machine slept; it never goes back.
    fn elapsed(&self) -> Duration;

    /// Ends once that much real time has passed.
    fn wait(&self, span: Duration) -> Work;

    /// Carries `work` on until it ends or what this gives is dropped.
    fn spawn(&self, work: Work) -> Spawned;

    /// As [`Host::spawn`], but where nothing else can keep `work` from going on: on a thread and a runtime of its own. A host without
    /// threads carries it on like everything else.
    fn spawn_apart(&self, name: &'static str, work: Work) -> Spawned {
        let _ = name;
        self.spawn(work)
    }

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

    fn spawn_apart(&self, name: &'static str, work: Work) -> Spawned {
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime of one thread needs no more than a few file handles");
            runtime.block_on(ended.run_until_cancelled(work));
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        Box::new((end, thread.expect("a thread can be begun where an engine is begun")))
    }

    fn dice(&self) -> u64 {
        fastrand::u64(..)
    }
}
