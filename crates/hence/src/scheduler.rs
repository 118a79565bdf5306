//! The scheduler: a state machine that takes an event and returns actions, and never waits.
//!
//! Owns when to settle the inbox, how many tasks to start and from which end of the queue, when to look ahead, when a
//! virtual clock may move on, and in which order to stop. Leaves to others: what is owned (`ownership`), where attempts go (`places`),
//! doing it and reporting back by the next event. Invariants: never more attempts than [`Limits::attempts_max`], of those that count;
//! work that was due for longer than
//! [`BACKLOG_AGE`] is started at most at [`Limits::catch_up_per_second`], so that what is due now is served beside a backlog;
//! a virtual clock moves only when nothing is running, waiting in the inbox or due.

use std::time::Duration;

use hence_core::reason::delay::BACKLOG_AGE;
use hence_core::sabotage::{Bug, is_planted};
use jiff::{SignedDuration, Timestamp};

/// The longest time between two passes (P of the guarantees).
pub(crate) const PASS: Duration = Duration::from_secs(1);
/// The most tasks in one start.
const START_MAX: usize = 1000;
/// The most rounds of carrying wishes out in one pass.
const SETTLES_MAX: u32 = 4;
/// The shortest wait while something is due and not started.
const BLOCKED_MIN: Duration = Duration::from_millis(50);

/// What the scheduler keeps to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The most attempts under way.
    pub(crate) attempts_max: usize,
    /// The most starts a second of what is backlog.
    pub(crate) catch_up_per_second: u32,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A pass begins: the clock shows `now`, of real time `elapsed` has passed since the engine began.
    Woke { elapsed: Duration, target: Option<Timestamp> },
    /// This many wishes were carried out; `is_more` when the inbox was not emptied.
    Settled { is_more: bool },
    /// A start came back with this many tasks.
    Started { count: usize, is_backlog: bool },
    /// The next task that is scheduled.
    Looked { next: Option<Timestamp> },
    /// This many attempts ended and were written.
    Written { count: usize },
    /// The engine is to stop.
    StopAsked,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Carry out what is in the inbox.
    Settle,
    /// Start what is due between the two instants.
    Start { from: Option<Timestamp>, to: Timestamp, limit: usize },
    /// Find the next task that is scheduled.
    Look,
    /// Look which attempts under way should end, because others cancelled their tasks.
    Watch,
    /// Let a virtual clock show this instant.
    Step { to: Timestamp },
    /// Wait for an end of an attempt, something told, or at most so long.
    Wait { at_most: Duration },
    /// Everything is written: leave and stop.
    Stop,
}

/// The state of the scheduler.
#[derive(Debug)]
pub(crate) struct Scheduler {
    limits: Limits,
    running: usize,
    /// Of those, how many are not counted.
    aside: usize,
    is_stopping: bool,
    elapsed: Duration,
    watched_at: Duration,
    /// Starts of backlog that may be made now; filled with time.
    tokens: f64,
    target: Option<Timestamp>,
    /// How often this pass carried wishes out, and whether some are left.
    settled: u32,
    is_more: bool,
    /// Starts of this pass.
    started: usize,
    /// Passes since something that is due was found, but nothing of it could be started.
    blocked: u32,
    /// How far it has looked; kept by planted failures only.
    watermark: Option<Timestamp>,
}

impl Scheduler {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            running: 0,
            aside: 0,
            is_stopping: false,
            elapsed: Duration::ZERO,
            watched_at: Duration::ZERO,
            tokens: f64::from(limits.catch_up_per_second),
            target: None,
            settled: 0,
            is_more: false,
            started: 0,
            blocked: 0,
            watermark: None,
        }
    }

    /// How many of the attempts under way are not counted, because their receivers keep more than their share waiting.
    pub(crate) fn set_aside(&mut self, count: usize) {
        self.aside = count;
    }

    /// What follows from an event at `now` by the store's clock.
    pub(crate) fn on_event(&mut self, now: Timestamp, event: Event) -> Vec<Action> {
        if is_planted(Bug::F29) && matches!(event, Event::Settled { .. }) {
            let latest = self.watermark.map_or(now, |latest| latest.max(now));
            self.watermark = Some(latest);
            if now < latest {
                return self.wait(PASS);
            }
        }
        match event {
            Event::Woke { elapsed, target } => self.woke(elapsed, target),
            Event::Settled { is_more } => self.settled(now, is_more),
            Event::Started { count, is_backlog } => self.started(now, count, is_backlog),
            Event::Looked { next } => self.looked(now, next),
            Event::Written { count } => {
                self.running = self.running.saturating_sub(count);
                Vec::new()
            }
            Event::StopAsked => {
                self.is_stopping = true;
                self.stop_or_wait()
            }
        }
    }

    fn woke(&mut self, elapsed: Duration, target: Option<Timestamp>) -> Vec<Action> {
        if is_planted(Bug::F58) {
            self.limits.catch_up_per_second = u32::MAX;
        }
        let passed = elapsed.saturating_sub(self.elapsed);
        let rate = f64::from(self.limits.catch_up_per_second);
        self.tokens = (self.tokens + passed.as_secs_f64() * rate).min(rate.max(1.0));
        self.elapsed = elapsed;
        self.target = target;
        (self.settled, self.is_more, self.started) = (0, false, 0);
        let mut actions = Vec::new();
        if self.running > 0 && elapsed.saturating_sub(self.watched_at) >= PASS {
            self.watched_at = elapsed;
            actions.push(Action::Watch);
        }
        if self.is_stopping {
            actions.extend(self.stop_or_wait());
        } else {
            actions.push(Action::Settle);
        }
        actions
    }

    /// A full inbox is emptied over many passes, so that it keeps nothing else waiting.
    fn settled(&mut self, now: Timestamp, is_more: bool) -> Vec<Action> {
        self.settled += 1;
        if is_more && self.settled < SETTLES_MAX {
            return vec![Action::Settle];
        }
        self.is_more = is_more;
        self.start_due(now)
    }

    /// What is due now comes first, then the backlog as far as its tokens reach.
    fn start_due(&mut self, now: Timestamp) -> Vec<Action> {
        match self.free() {
            0 => self.wait(PASS),
            free if is_planted(Bug::F19) => {
                let from = self.watermark.replace(now);
                vec![Action::Start { from: from.or(Some(backlog_end(now))), to: now, limit: free.min(START_MAX) }]
            }
            free => {
                let to = if is_planted(Bug::F32) { now + SignedDuration::from_secs(1) } else { now };
                vec![Action::Start { from: Some(backlog_end(now)), to, limit: free.min(START_MAX) }]
            }
        }
    }

    fn started(&mut self, now: Timestamp, count: usize, is_backlog: bool) -> Vec<Action> {
        self.running += count;
        self.started += count;
        if is_backlog {
            self.tokens -= count as f64;
            return vec![Action::Look];
        }
        if is_planted(Bug::F19) {
            return vec![Action::Look];
        }
        // Whole tokens only; at least none, at most what is free.
        let limit = (self.tokens.max(0.0) as usize).min(self.free()).min(START_MAX);
        if limit == 0 {
            return vec![Action::Look];
        }
        vec![Action::Start { from: None, to: backlog_end(now), limit }]
    }

    fn looked(&mut self, now: Timestamp, next: Option<Timestamp>) -> Vec<Action> {
        let is_due = next.is_some_and(|next| next <= now);
        if self.running == 0
            && !is_due
            && !self.is_more
            && let Some(target) = self.target.filter(|target| *target > now)
        {
            let to = next.map_or(target, |next| next.min(target));
            return vec![Action::Step { to }];
        }
        if self.target.is_some() {
            return self.wait(if is_due && self.running == 0 { Duration::from_millis(20) } else { PASS / 4 });
        }
        let until_next = next.map_or(PASS, |next| Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO));
        if is_due && self.free() > 0 {
            let at_most = self.until_unblocked();
            return self.wait(at_most);
        }
        self.blocked = 0;
        self.wait(until_next.min(PASS))
    }

    /// What is due and not started waits for tokens, or is blocked by its entity: perhaps for hours, so it is looked at less and less often.
    fn until_unblocked(&mut self) -> Duration {
        let is_blocked = self.started == 0 && self.tokens >= 1.0;
        self.blocked = if is_blocked { self.blocked.saturating_add(1) } else { 0 };
        BLOCKED_MIN.saturating_mul(1 << self.blocked.saturating_sub(1).min(16)).min(PASS)
    }

    fn stop_or_wait(&self) -> Vec<Action> {
        if self.running == 0 { vec![Action::Stop] } else { self.wait(PASS) }
    }

    fn wait(&self, at_most: Duration) -> Vec<Action> {
        let at_most = if self.is_more { Duration::ZERO } else { at_most };
        vec![Action::Wait { at_most }]
    }

    fn free(&self) -> usize {
        self.limits.attempts_max.saturating_sub(self.running.saturating_sub(self.aside))
    }
}

fn backlog_end(now: Timestamp) -> Timestamp {
    now.saturating_sub(BACKLOG_AGE).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    //! Goal: the scheduler keeps to its limits and its order. Method: events in, actions out, no clock.
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn scheduler(attempts_max: usize, catch_up_per_second: u32) -> Scheduler {
        Scheduler::new(Limits { attempts_max, catch_up_per_second })
    }

    fn woke(second: u64) -> Event {
        Event::Woke { elapsed: Duration::from_secs(second), target: None }
    }

    #[test]
    fn a_pass_settles_then_starts_what_is_due_then_backlog_then_looks() {
        let mut s = scheduler(10, 4);
        assert_eq!(s.on_event(at(0), woke(0)), [Action::Settle]);
        let due = Action::Start { from: Some(at(-60)), to: at(0), limit: 10 };
        assert_eq!(s.on_event(at(0), Event::Settled { is_more: false }), [due]);
        let backlog = Action::Start { from: None, to: at(-60), limit: 4 };
        assert_eq!(s.on_event(at(0), Event::Started { count: 3, is_backlog: false }), [backlog]);
        assert_eq!(s.on_event(at(0), Event::Started { count: 4, is_backlog: true }), [Action::Look]);
        assert_eq!(s.on_event(at(0), Event::Looked { next: Some(at(5)) }), [Action::Wait { at_most: PASS }]);
        assert_eq!(s.running, 7);
    }

    #[test]
    fn backlog_is_started_no_faster_than_its_limit() {
        let mut s = scheduler(1000, 4);
        let mut started = 0;
        for second in 0..10 {
            s.on_event(at(0), woke(second));
            let actions = s.on_event(at(0), Event::Started { count: 0, is_backlog: false });
            if let [Action::Start { from: None, limit, .. }] = actions[..] {
                started += limit;
                s.on_event(at(0), Event::Started { count: limit, is_backlog: true });
            }
        }
        assert_eq!(started, 40);
    }

    #[test]
    fn no_more_attempts_than_allowed_are_under_way() {
        let mut s = scheduler(2, 100);
        s.on_event(at(0), Event::Started { count: 2, is_backlog: false });
        assert_eq!(s.on_event(at(0), Event::Settled { is_more: false }), [Action::Wait { at_most: PASS }]);
        s.on_event(at(0), Event::Written { count: 1 });
        let one = Action::Start { from: Some(at(-60)), to: at(0), limit: 1 };
        assert_eq!(s.on_event(at(0), Event::Settled { is_more: false }), [one]);
    }

    #[test]
    fn a_full_inbox_keeps_nothing_else_waiting() {
        let mut s = scheduler(10, 4);
        s.on_event(at(0), woke(0));
        for _ in 1..SETTLES_MAX {
            assert_eq!(s.on_event(at(0), Event::Settled { is_more: true }), [Action::Settle]);
        }
        let due = Action::Start { from: Some(at(-60)), to: at(0), limit: 10 };
        assert_eq!(s.on_event(at(0), Event::Settled { is_more: true }), [due]);
        assert_eq!(s.on_event(at(0), Event::Looked { next: None }), [Action::Wait { at_most: Duration::ZERO }]);
    }

    #[test]
    fn what_is_blocked_is_looked_at_less_and_less_often() {
        let mut s = scheduler(10, 4);
        let mut waits = Vec::new();
        for pass in 0..8 {
            s.on_event(at(0), woke(pass));
            s.on_event(at(0), Event::Settled { is_more: false });
            s.on_event(at(0), Event::Started { count: 0, is_backlog: false });
            if let [Action::Wait { at_most }] = s.on_event(at(0), Event::Looked { next: Some(at(-1)) })[..] {
                waits.push(at_most.as_millis());
            }
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000, 1000]);
        s.on_event(at(0), woke(8));
        s.on_event(at(0), Event::Started { count: 1, is_backlog: false });
        let soon = Action::Wait { at_most: Duration::from_millis(50) };
        assert_eq!(s.on_event(at(0), Event::Looked { next: Some(at(-1)) }), [soon]);
    }

    #[test]
    fn a_virtual_clock_moves_to_the_next_task_only_when_nothing_runs() {
        let mut s = scheduler(2, 100);
        s.on_event(at(0), Event::Woke { elapsed: Duration::ZERO, target: Some(at(100)) });
        assert_eq!(s.on_event(at(0), Event::Looked { next: Some(at(40)) }), [Action::Step { to: at(40) }]);
        assert_eq!(s.on_event(at(40), Event::Looked { next: Some(at(400)) }), [Action::Step { to: at(100) }]);
        s.on_event(at(40), Event::Started { count: 1, is_backlog: false });
        assert_eq!(s.on_event(at(40), Event::Looked { next: None }), [Action::Wait { at_most: PASS / 4 }]);
    }

    #[test]
    fn stopping_starts_nothing_more_and_waits_for_attempts() {
        let mut s = scheduler(2, 100);
        s.on_event(at(0), Event::Started { count: 1, is_backlog: false });
        assert_eq!(s.on_event(at(0), Event::StopAsked), [Action::Wait { at_most: PASS }]);
        assert_eq!(s.on_event(at(0), woke(1)), [Action::Watch, Action::Wait { at_most: PASS }]);
        s.on_event(at(0), Event::Written { count: 1 });
        assert_eq!(s.on_event(at(0), woke(1)), [Action::Stop]);
    }

    #[test]
    fn cancels_are_looked_for_each_second_while_something_runs() {
        let mut s = scheduler(2, 100);
        assert_eq!(s.on_event(at(0), woke(1)), [Action::Settle]);
        s.on_event(at(0), Event::Started { count: 1, is_backlog: false });
        let woke = |tenths: u64| Event::Woke { elapsed: Duration::from_millis(tenths * 100), target: None };
        let looks: Vec<u64> = (10..60).filter(|tenths| s.on_event(at(0), woke(*tenths)).contains(&Action::Watch)).collect();
        assert_eq!(looks, [10, 20, 30, 40, 50]);
    }
}
