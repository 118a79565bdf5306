//! The guard against a clock that jumps: nothing is started while the store's clock and the time that really passed disagree (G7, F30).
//!
//! Owns the comparison of the clock that decides what is due with the node's elapsed time, which no one can set. Invariants: a step of
//! more than [`STEP_MAX`] pauses at once; the pause ends when the clock comes back, or when it has stood by its new time for [`HOLDS`].
//! A smaller step, and one that is backwards, only delay by themselves. Never used on a virtual clock, which may jump as it likes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The largest step that is followed without a pause.
pub(crate) const STEP_MAX: SignedDuration = SignedDuration::from_mins(5);
/// How long a clock must agree with itself after a jump.
pub(crate) const HOLDS: Duration = Duration::from_secs(60);

/// Watches one clock.
#[derive(Debug, Default)]
pub(crate) struct JumpGuard {
    /// What the clock showed at the beginning of elapsed time, by the last reading that was believed.
    believed: Option<Timestamp>,
    /// The same by a reading that was not, and when it was read first.
    doubted: Option<(Timestamp, Duration)>,
}

impl JumpGuard {
    /// How far the clock has jumped, while that is a reason to start nothing.
    pub(crate) fn check(&mut self, now: Timestamp, elapsed: Duration) -> Option<SignedDuration> {
        let zero = SignedDuration::try_from(elapsed).ok().and_then(|elapsed| now.checked_sub(elapsed).ok()).unwrap_or(now);
        let Some(believed) = self.believed else {
            self.believed = Some(zero);
            return None;
        };
        let step = zero.duration_since(believed);
        if step.abs() <= STEP_MAX {
            // Small steps are followed, one after the other.
            self.believed = Some(zero);
            self.doubted = None;
            return None;
        }
        let since = match self.doubted {
            Some((doubted, since)) if zero.duration_since(doubted).abs() <= STEP_MAX => since,
            _ => elapsed,
        };
        if elapsed.saturating_sub(since) >= HOLDS {
            self.believed = Some(zero);
            self.doubted = None;
            return None;
        }
        self.doubted = Some((zero, since));
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a jump pauses, a step does not, and the pause ends by itself. Method: readings in, pauses out.
    use super::*;

    const HOUR: i64 = 3600;

    /// Reads once a second while the clock is `ahead` by so many seconds at each second; gives when pauses began and ended.
    fn check(ahead: impl Fn(i64) -> i64, until: i64, expected: &[(i64, Option<i64>)]) {
        let mut guard = JumpGuard::default();
        let mut told: Vec<(i64, Option<i64>)> = Vec::new();
        for second in 0..until {
            let now = Timestamp::from_second(1_800_000_000 + second + ahead(second)).unwrap();
            let step = guard.check(now, Duration::from_secs(second.unsigned_abs())).map(|step| step.as_secs());
            if told.last().map_or(step.is_some(), |(_, last)| *last != step) {
                told.push((second, step));
            }
        }
        assert_eq!(told, expected);
    }

    #[test]
    fn a_clock_that_runs_is_believed() {
        check(|_| 0, 1000, &[]);
        check(|second| second / 10, 10_000, &[]);
        check(|second| if second < 100 { 0 } else { -299 }, 1000, &[]);
        check(|second| if second < 100 { 0 } else { 300 }, 1000, &[]);
    }

    #[test]
    fn two_days_ahead_for_half_a_minute_pauses_for_just_that_long() {
        let jump = |second: i64| if (100..130).contains(&second) { 48 * HOUR } else { 0 };
        check(jump, 1000, &[(100, Some(48 * HOUR)), (130, None)]);
    }

    #[test]
    fn a_jump_that_stays_is_believed_after_a_minute() {
        for step in [48 * HOUR, -HOUR, 301] {
            check(|second| if second < 100 { 0 } else { step }, 1000, &[(100, Some(step)), (160, None)]);
        }
    }

    #[test]
    fn a_second_jump_begins_the_minute_anew() {
        let jump = |second: i64| match second {
            0..100 => 0,
            100..150 => HOUR,
            _ => 2 * HOUR,
        };
        check(jump, 1000, &[(100, Some(HOUR)), (150, Some(2 * HOUR)), (210, None)]);
    }

    #[test]
    fn a_machine_that_slept_has_not_jumped() {
        let mut guard = JumpGuard::default();
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        assert_eq!(guard.check(at(0), Duration::ZERO), None);
        // Elapsed time counts while the machine sleeps.
        assert_eq!(guard.check(at(9 * HOUR), Duration::from_secs(9 * 3600)), None);
    }
}
