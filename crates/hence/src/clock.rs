//! The one place that reads or waits for time.
//!
//! The store says which clock holds: the system's, or a virtual one that stands still until somebody advances it. All processes on
//! one store therefore agree. Waiting is in real time, in steps of at most a second, so that a machine that slept is noticed.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hence_store::Store;
use hence_store::port::ClockSetting;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::error::Error;
use crate::host::{Host, machine};

/// The longest single wait.
pub const WAIT_MAX: Duration = Duration::from_secs(1);

/// The clock of a store.
#[derive(Clone)]
pub struct Clock {
    store: Arc<dyn Store>,
    host: Arc<dyn Host>,
    shown: Arc<Shown>,
    /// Raised when an engine of this process has moved a virtual clock.
    moved: Arc<Notify>,
}

/// What the clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The instant.
    pub now: Timestamp,
    /// For a virtual clock: how far it has been advanced; it moves there as fast as the work allows.
    pub target: Option<Timestamp>,
}

impl Clock {
    /// The clock of this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::on(machine(), store)
    }

    /// The clock of this store, as a process on that host reads it.
    pub(crate) fn on(host: Arc<dyn Host>, store: Arc<dyn Store>) -> Self {
        let shown = Arc::new(Shown::new(host.wall()));
        Self { store, host, shown, moved: Arc::default() }
    }

    /// What it shows now, whole microseconds.
    /// # Errors
    /// The store cannot be read.
    pub async fn read(&self) -> Result<Reading, Error> {
        let asked = self.shown.ask();
        let reading = match self.store.clock().await? {
            ClockSetting::System => Reading { now: self.host.wall(), target: None },
            ClockSetting::Database { now } => Reading { now, target: None },
            ClockSetting::Virtual { now, target } => Reading { now, target: Some(target) },
        };
        self.shown.answer(asked, reading.now);
        Ok(reading)
    }

    /// What it shows now, as far as that follows from a reading: a virtual clock stands as long as anything runs.
    pub(crate) fn since(&self, reading: Reading) -> Timestamp {
        if reading.target.is_some() { reading.now } else { self.host.wall() }
    }

    /// What it showed when it was read last in this process, by a client or an engine; without asking the store.
    ///
    /// It goes back only where the clock itself did: the machine's was set back, or somebody made it virtual or another one.
    pub fn last_shown(&self) -> Timestamp {
        self.shown.last()
    }

    /// Makes the clock virtual, standing at `at`.
    /// # Errors
    /// The store cannot be written.
    pub async fn make_virtual(&self, at: Timestamp) -> Result<(), Error> {
        self.store.set_clock(ClockSetting::Virtual { now: at, target: at }).await?;
        self.shown.set(at);
        Ok(())
    }

    /// Lets the store follow the system's clock.
    /// # Errors
    /// The store cannot be written.
    pub async fn make_system(&self) -> Result<(), Error> {
        Ok(self.store.set_clock(ClockSetting::System).await?)
    }

    /// Asks a virtual clock to move to `target`; an engine moves it there, stopping at everything that is due on the way.
    /// # Errors
    /// The clock is the system's, `target` lies behind it, or the store cannot be written.
    pub async fn advance(&self, target: Timestamp) -> Result<(), Error> {
        match self.store.clock().await? {
            ClockSetting::System | ClockSetting::Database { .. } => {
                Err(Error::Refused { code: "HNC-0311", problem: "the clock is the system's and cannot be advanced".to_owned() })
            }
            ClockSetting::Virtual { now, target: before } if target >= now && target >= before => {
                Ok(self.store.set_clock(ClockSetting::Virtual { now, target }).await?)
            }
            ClockSetting::Virtual { now, target: before } => Err(Error::Refused {
                code: "HNC-0312",
                problem: format!("{target} lies behind the clock, which goes from {now} to {before}"),
            }),
        }
    }

    /// Lets a virtual clock show `now`; only the engine does this, on the way to the target.
    pub(crate) async fn step(&self, now: Timestamp, target: Timestamp) -> Result<(), Error> {
        // Shown before it is stored: whoever sees the store there must not meet an older instant in this process.
        self.shown.begin_step(now);
        let stored = self.store.set_clock(ClockSetting::Virtual { now, target: target.max(now) }).await;
        self.shown.end_step();
        stored?;
        self.moved.notify_waiters();
        Ok(())
    }

    /// Ends once the clock is at that instant or later: a virtual one when an engine of this process has moved it there, and so has done what
    /// was due before; only a virtual one is waited for.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # use hence::jiff::{SignedDuration, Timestamp};
    /// let hence = hence::Hence::builder().virtual_clock(Timestamp::UNIX_EPOCH).start().await?;
    /// let tomorrow = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24);
    /// hence.advance(tomorrow).await?;
    /// hence.clock().arrived(tomorrow).await?;
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// The store cannot be read.
    pub async fn arrived(&self, at: Timestamp) -> Result<(), Error> {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // Listens from here on, so that a move between the reading and the waiting is heard.
            moved.as_mut().enable();
            if self.read().await?.now >= at {
                return Ok(());
            }
            moved.await;
        }
    }
}

/// What was shown last to this process.
struct Shown(Mutex<LastShown>);

struct LastShown {
    at: Timestamp,
    /// Counts what was shown.
    answers: u64,
    /// Counts how often this process set the clock.
    settings: u64,
    /// While this process moves the clock: readings of what it showed before do not count.
    floor: Timestamp,
}

/// How much had been shown when somebody began to read the clock.
#[derive(Clone, Copy)]
struct Asked {
    answers: u64,
    settings: u64,
}

impl Shown {
    fn new(at: Timestamp) -> Self {
        Self(Mutex::new(LastShown { at, answers: 0, settings: 0, floor: Timestamp::MIN }))
    }

    fn ask(&self) -> Asked {
        let last = self.lock();
        Asked { answers: last.answers, settings: last.settings }
    }

    /// Of readings that overlap, the latest instant stands: an earlier one was only slower on its way.
    fn answer(&self, asked: Asked, at: Timestamp) {
        let mut last = self.lock();
        let is_overtaken = at < last.at && asked.answers != last.answers;
        if asked.settings == last.settings && !is_overtaken && at >= last.floor {
            last.at = at;
            last.answers += 1;
        }
    }

    fn set(&self, at: Timestamp) {
        let mut last = self.lock();
        *last = LastShown { at, answers: last.answers + 1, settings: last.settings + 1, floor: Timestamp::MIN };
    }

    fn begin_step(&self, to: Timestamp) {
        let mut last = self.lock();
        (last.at, last.floor, last.answers) = (to, to, last.answers + 1);
    }

    /// What was asked for during the step counts as overtaken from here on.
    fn end_step(&self) {
        let mut last = self.lock();
        (last.floor, last.answers) = (Timestamp::MIN, last.answers + 1);
    }

    fn last(&self) -> Timestamp {
        self.lock().at
    }

    fn lock(&self) -> MutexGuard<'_, LastShown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wall clock, whole microseconds: what the stores keep.
pub fn wall() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// Waits in real time, at least a millisecond.
pub(crate) async fn wait(span: Duration) {
    tokio::time::sleep(span.max(Duration::from_millis(1))).await;
}

/// Real time since this was asked first, also while the machine slept (F27).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn elapsed() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    static BEGAN: LazyLock<Duration> = LazyLock::new(since_boot);
    fn since_boot() -> Duration {
        Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
    }
    since_boot().saturating_sub(*BEGAN)
}

/// Real time since this was asked first; elsewhere than on Linux it may stand still while the machine sleeps.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn elapsed() -> Duration {
    static BEGAN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    BEGAN.elapsed()
}

#[cfg(test)]
mod tests {
    //! Goal: what was shown last goes back only where the clock did. Method: readings that overlap and such that follow one another.
    use super::*;

    #[test]
    fn what_was_shown_last_goes_back_only_where_the_clock_did() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let shown = Shown::new(at(100));
        let early = shown.ask();
        shown.begin_step(at(110));
        let during = shown.ask();
        shown.answer(early, at(100));
        shown.answer(during, at(100));
        assert_eq!(shown.last(), at(110), "it is shown before it is stored");
        let late = shown.ask();
        shown.end_step();
        shown.answer(late, at(100));
        assert_eq!(shown.last(), at(110));
        let (slow, quick) = (shown.ask(), shown.ask());
        shown.answer(quick, at(120));
        shown.answer(slow, at(110));
        assert_eq!(shown.last(), at(120), "a reading that was slower on its way");
        shown.answer(shown.ask(), at(115));
        assert_eq!(shown.last(), at(115), "the machine's clock was set back");
        let before = shown.ask();
        shown.set(at(5));
        shown.answer(before, at(130));
        assert_eq!(shown.last(), at(5), "read before it became virtual");
    }
}
