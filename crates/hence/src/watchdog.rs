//! The watchdog: whether the engine still moves, judged by a counter that it raises with every step (F18).
//!
//! Only time during which the watchdog itself was running counts, so that a machine that slept or a process that was stopped is not
//! taken for an engine that hangs.

use std::time::Duration;

/// After how long without a step the engine is not ready.
pub(crate) const STALLED: Duration = Duration::from_secs(10);
/// After how long its node gives up. Every wait of the engine on its store is bounded well below that.
pub(crate) const STUCK: Duration = Duration::from_secs(60);
/// How much time one look may add.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Whether the engine moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Health {
    /// It does.
    #[default]
    Ready,
    /// It has not for 10 s.
    Stalled,
    /// It has not for a minute: its node renews nothing more.
    Stuck,
}

/// Watches one engine.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    progress: u64,
    still_for: Duration,
    woke_at: Duration,
}

impl Watchdog {
    /// What `progress` at `now` means; to be asked at least each second.
    pub(crate) fn woke(&mut self, now: Duration, progress: u64) -> Health {
        let passed = now.saturating_sub(self.woke_at).min(LOOK_MAX);
        self.woke_at = now;
        self.still_for = if progress == self.progress { self.still_for + passed } else { Duration::ZERO };
        self.progress = progress;
        match self.still_for {
            still if still >= STUCK => Health::Stuck,
            still if still >= STALLED => Health::Stalled,
            _ => Health::Ready,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: an engine that hangs is noticed, a machine that slept is not taken for one. Method: seconds and counters in, health out.
    use super::*;

    #[test]
    fn an_engine_that_hangs_is_first_not_ready_and_then_given_up() {
        let mut watchdog = Watchdog::default();
        let mut told = Vec::new();
        for second in 0..=70_u64 {
            let health = watchdog.woke(Duration::from_secs(second), second.min(5));
            if told.last().is_none_or(|(_, last)| *last != health) {
                told.push((second, health));
            }
        }
        assert_eq!(told, [(0, Health::Ready), (15, Health::Stalled), (65, Health::Stuck)]);
        assert_eq!(watchdog.woke(Duration::from_secs(71), 6), Health::Ready);
    }

    #[test]
    fn a_sleep_of_the_machine_is_no_hang() {
        let mut watchdog = Watchdog::default();
        for hour in 0..9_u64 {
            assert_eq!(watchdog.woke(Duration::from_secs(hour * 3600), 1), Health::Ready, "hour {hour}");
        }
    }
}
