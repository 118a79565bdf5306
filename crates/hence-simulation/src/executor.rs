//! One thread that carries many processes on, by a clock of its own: what is ready is polled in an order that the seed chooses, and
//! when nothing is ready the clock jumps to the next wait that ends.
//!
//! A process can be paused (nothing of it is polled) and killed (all of it is dropped where it stands). Nothing here reads the machine's
//! time or chance, so a seed gives the same run for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fastrand::Rng;
use hence::simulation::{Spawned, Work};

/// What every poll costs, so that no loop stands outside of time.
const POLL_MICROS: u64 = 10;

/// Which process something belongs to. Each start of a process is a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process(pub u32);

/// The network, the disk and the receivers: what no crash of ours ends.
pub(crate) const OUTSIDE: Process = Process(0);

/// The executor; clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Executor {
    inner: Arc<Mutex<Inner>>,
    ready: Arc<Mutex<BTreeSet<u64>>>,
}

#[derive(Default)]
struct Inner {
    now: u64,
    steps: u64,
    last_key: u64,
    tasks: BTreeMap<u64, Slot>,
    /// By the instant they end and the order they began.
    waits: BTreeMap<(u64, u64), Waker>,
    paused_until: BTreeMap<Process, u64>,
}

struct Slot {
    process: Process,
    /// `None` while it is polled.
    work: Option<Work>,
}

struct Ready {
    key: u64,
    ready: Arc<Mutex<BTreeSet<u64>>>,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        lock(&self.ready).insert(self.key);
    }
}

struct Wait {
    executor: Executor,
    until: u64,
    key: Option<(u64, u64)>,
}

struct Guard {
    executor: Executor,
    key: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    /// Time since the beginning.
    pub(crate) fn now(&self) -> Duration {
        Duration::from_micros(lock(&self.inner).now)
    }

    /// Polls and ends of waits so far.
    pub(crate) fn steps(&self) -> u64 {
        lock(&self.inner).steps
    }

    /// Ends after that much time.
    pub(crate) fn wait(&self, span: Duration) -> Work {
        let span = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let until = lock(&self.inner).now.saturating_add(span);
        Box::pin(Wait { executor: self.clone(), until, key: None })
    }

    /// Carries work of a process on until it ends or the guard is dropped.
    pub(crate) fn spawn(&self, process: Process, work: Work) -> Spawned {
        Box::new(Guard { executor: self.clone(), key: self.begin(process, work) })
    }

    /// Carries work of a process on until it ends or the process is killed.
    pub(crate) fn begin(&self, process: Process, work: Work) -> u64 {
        let mut inner = lock(&self.inner);
        inner.last_key += 1;
        let key = inner.last_key;
        inner.tasks.insert(key, Slot { process, work: Some(work) });
        lock(&self.ready).insert(key);
        key
    }

    /// Ends everything of the process where it stands.
    pub(crate) fn kill(&self, process: Process) {
        let mut inner = lock(&self.inner);
        let keys: Vec<u64> = inner.tasks.iter().filter(|(_, slot)| slot.process == process).map(|(key, _)| *key).collect();
        let ended: Vec<Option<Slot>> = keys.iter().map(|key| inner.tasks.remove(key)).collect();
        inner.paused_until.remove(&process);
        // What is dropped may end other things here.
        drop(inner);
        drop(ended);
    }

    /// Lets nothing of the process be polled for that long.
    pub(crate) fn pause(&self, process: Process, span: Duration) {
        let mut inner = lock(&self.inner);
        let until = inner.now + u64::try_from(span.as_micros()).unwrap_or(u64::MAX / 4);
        inner.paused_until.insert(process, until);
    }

    /// Ends every pause.
    pub(crate) fn resume_all(&self) {
        lock(&self.inner).paused_until.clear();
    }

    /// Whether anything of the process is left.
    pub(crate) fn is_alive(&self, process: Process) -> bool {
        lock(&self.inner).tasks.values().any(|slot| slot.process == process)
    }

    /// One poll, or the end of one wait; `false` when nothing is left that could happen.
    pub(crate) fn step(&self, dice: &mut Rng) -> bool {
        if let Some((key, work)) = self.pick(dice) {
            self.poll(key, work);
            return true;
        }
        let mut inner = lock(&self.inner);
        let next_wait = inner.waits.keys().next().map(|(at, _)| *at);
        let next_resume = inner.paused_until.values().min().copied();
        let Some(next) = next_wait.into_iter().chain(next_resume).min() else { return false };
        inner.now = inner.now.max(next);
        let now = inner.now;
        inner.paused_until.retain(|_, until| *until > now);
        inner.steps += 1;
        let mut woken = Vec::new();
        while let Some(entry) = inner.waits.first_entry().filter(|entry| entry.key().0 <= now) {
            woken.push(entry.remove());
        }
        drop(inner);
        woken.into_iter().for_each(Waker::wake);
        true
    }

    fn pick(&self, dice: &mut Rng) -> Option<(u64, Work)> {
        let mut inner = lock(&self.inner);
        let mut ready = lock(&self.ready);
        ready.retain(|key| inner.tasks.contains_key(key));
        let is_running = |key: &&u64| inner.tasks.get(key).is_some_and(|slot| !inner.paused_until.contains_key(&slot.process));
        let able: Vec<u64> = ready.iter().filter(is_running).copied().collect();
        if able.is_empty() {
            return None;
        }
        let key = able[dice.usize(..able.len())];
        ready.remove(&key);
        inner.now += POLL_MICROS;
        inner.steps += 1;
        let now = inner.now;
        inner.paused_until.retain(|_, until| *until > now);
        let work = inner.tasks.get_mut(&key)?.work.take()?;
        Some((key, work))
    }

    fn poll(&self, key: u64, mut work: Work) {
        let waker = Waker::from(Arc::new(Ready { key, ready: Arc::clone(&self.ready) }));
        let is_over = work.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        let mut inner = lock(&self.inner);
        let mut ended = None;
        match inner.tasks.get_mut(&key) {
            Some(slot) if !is_over => slot.work = Some(work),
            // Over, or killed by what it did itself.
            Some(_) => {
                inner.tasks.remove(&key);
                ended = Some(work);
            }
            None => ended = Some(work),
        }
        drop(inner);
        drop(ended);
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let executor = self.executor.clone();
        let mut inner = lock(&executor.inner);
        if let Some(key) = self.key.take() {
            inner.waits.remove(&key);
        }
        if inner.now >= self.until {
            return Poll::Ready(());
        }
        inner.last_key += 1;
        let key = (self.until, inner.last_key);
        inner.waits.insert(key, context.waker().clone());
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            lock(&self.executor.inner).waits.remove(&key);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let ended = lock(&self.executor.inner).tasks.remove(&self.key);
        drop(ended);
    }
}

#[cfg(test)]
mod tests {
    //! Goal: time, pauses and deaths are as they should be. Method: small pieces of work that note what they did.
    use super::*;

    type Notes = Arc<Mutex<Vec<String>>>;

    fn note(executor: &Executor, notes: &Notes, process: u32, (text, after): (&'static str, u64)) {
        let (notes, clock) = (Arc::clone(notes), executor.clone());
        executor.begin(
            Process(process),
            Box::pin(async move {
                clock.wait(Duration::from_millis(after)).await;
                lock(&notes).push(format!("{} {text}", clock.now().as_millis()));
            }),
        );
    }

    #[test]
    fn waits_end_in_order_pauses_delay_and_deaths_end() {
        let (executor, notes, mut dice) = (Executor::default(), Notes::default(), Rng::with_seed(1));
        note(&executor, &notes, 1, ("late", 300));
        note(&executor, &notes, 1, ("early", 100));
        note(&executor, &notes, 2, ("paused", 100));
        note(&executor, &notes, 3, ("killed", 100));
        executor.pause(Process(2), Duration::from_millis(200));
        executor.kill(Process(3));
        while executor.step(&mut dice) {}
        // What is paused from the beginning begins to wait at 200.
        assert_eq!(*lock(&notes), ["100 early", "300 paused", "300 late"]);
        assert!(!executor.is_alive(Process(1)));
    }
}
