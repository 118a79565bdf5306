//! Machines whose time goes on when a test says so: they freeze as a stopped process does, and lose the way to their store.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use crate::host::{Host, Spawned, Work};

/// What every step lets pass.
const STEP: Duration = Duration::from_millis(50);
/// How often everybody is let go on, so that all that was woken has done what it could.
const ROUNDS: usize = 30;

/// Time that all machines share.
#[derive(Default)]
pub(super) struct Time {
    state: Mutex<State>,
    /// Nothing is on its way to a store any more.
    is_still: Notify,
}

#[derive(Default)]
struct State {
    elapsed: Duration,
    waiting: Vec<(Duration, Waker)>,
    /// Calls that a store is at.
    calls: usize,
}

/// A call on its way; dropping it is its end.
pub(super) struct Calling(Arc<Time>);

/// A machine of its own in that time.
#[derive(Clone)]
pub(super) struct Machine {
    time: Arc<Time>,
    /// Seconds that its wall clock is wrong by.
    pub(super) skew: Arc<AtomicI64>,
    /// Whether nothing of it reaches its store.
    pub(super) is_cut: Arc<AtomicBool>,
    gate: Arc<Gate>,
    dice: Arc<Mutex<fastrand::Rng>>,
}

#[derive(Default)]
struct Gate {
    is_frozen: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

/// Work that stands still while its machine is frozen.
struct Gated {
    gate: Arc<Gate>,
    work: Work,
}

struct Until {
    time: Arc<Time>,
    at: Duration,
}

impl Time {
    fn elapsed(&self) -> Duration {
        self.state.lock().unwrap().elapsed
    }

    /// Lets time go by in small steps, and everybody do what is to be done at each.
    pub(super) async fn run_for(&self, span: Duration) {
        let until = self.elapsed() + span;
        while self.elapsed() < until {
            self.step();
            self.settle().await;
        }
    }

    fn step(&self) {
        let mut due = Vec::new();
        let mut state = self.state.lock().unwrap();
        state.elapsed += STEP;
        let now = state.elapsed;
        state.waiting.retain(|(at, waker)| {
            let is_due = *at <= now;
            if is_due {
                due.push(waker.clone());
            }
            !is_due
        });
        drop(state);
        due.into_iter().for_each(Waker::wake);
    }

    /// Ends when everybody waits for time, and no store is at anything.
    async fn settle(&self) {
        loop {
            for _ in 0..ROUNDS {
                tokio::task::yield_now().await;
            }
            if self.state.lock().unwrap().calls == 0 {
                return;
            }
            self.is_still.notified().await;
        }
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap();
        state.calls -= 1;
        if state.calls == 0 {
            self.0.is_still.notify_one();
        }
    }
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.gate.is_frozen.load(Ordering::SeqCst) {
            self.gate.waiting.lock().unwrap().push(context.waker().clone());
            return Poll::Pending;
        }
        self.work.as_mut().poll(context)
    }
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.time.state.lock().unwrap();
        if state.elapsed >= self.at {
            return Poll::Ready(());
        }
        state.waiting.push((self.at, context.waker().clone()));
        Poll::Pending
    }
}

impl Host for Machine {
    /// Long ago, so that a database's own clock finds due what this one does.
    fn wall(&self) -> Timestamp {
        let began = Timestamp::from_second(1_700_000_000 + self.skew.load(Ordering::SeqCst)).unwrap();
        began + SignedDuration::try_from(self.elapsed()).unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.time.elapsed()
    }

    fn wait(&self, span: Duration) -> Work {
        let at = self.elapsed() + span.max(Duration::from_millis(1));
        Box::pin(Until { time: Arc::clone(&self.time), at })
    }

    fn spawn(&self, work: Work) -> Spawned {
        let gated = Gated { gate: Arc::clone(&self.gate), work };
        Box::new(tokio_util::task::AbortOnDropHandle::new(tokio::spawn(gated)))
    }

    fn dice(&self) -> u64 {
        self.dice.lock().unwrap().u64(..)
    }
}

impl Machine {
    pub(super) fn new(time: &Arc<Time>, name: &str) -> Self {
        let seed = name.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(256).wrapping_add(u64::from(byte)));
        Machine {
            time: Arc::clone(time),
            skew: Arc::default(),
            is_cut: Arc::default(),
            gate: Arc::default(),
            dice: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
        }
    }

    pub(super) fn freeze(&self, is_frozen: bool) {
        self.gate.is_frozen.store(is_frozen, Ordering::SeqCst);
        for waker in self.gate.waiting.lock().unwrap().drain(..) {
            waker.wake();
        }
    }

    /// Something begins that time must not go on without.
    pub(super) fn calling(&self) -> Calling {
        self.time.state.lock().unwrap().calls += 1;
        Calling(Arc::clone(&self.time))
    }
}
