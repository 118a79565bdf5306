//! The three spans that ownership goes by, and what must hold between them.

use std::time::Duration;

/// The spans of ownership, the same on all nodes of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// L: how long after it sent its last acknowledged beat a node may begin side effects; 10 s by default.
    pub lease: Duration,
    /// R: the time between two beats; 2 s by default.
    pub renew: Duration,
    /// S: how long a node's beat must be watched to stand still until its shards are taken; 14 s by default.
    pub takeover: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { lease: Duration::from_secs(10), renew: Duration::from_secs(2), takeover: Duration::from_secs(14) }
    }
}

/// What does not hold between the spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// Beats would never end, or never come.
    #[error("`renew` is {0:?}; it must be from 0.1 s to 60 s")]
    Renew(Duration),
    /// One beat that is lost would stop the node.
    #[error("`lease` is {lease:?}; it must be at least three times `renew`, {renew:?}")]
    Lease {
        /// L.
        lease: Duration,
        /// R.
        renew: Duration,
    },
    /// Two nodes could act at once.
    #[error("`takeover` is {takeover:?}; it must be at least `lease` and twice `renew`, {least:?}")]
    Takeover {
        /// S.
        takeover: Duration,
        /// L + 2R.
        least: Duration,
    },
}

impl Timing {
    /// The same timing, if it is safe.
    /// # Errors
    /// `renew` out of 0.1 s to 60 s, `lease` < 3 `renew`, or `takeover` < `lease` + 2 `renew`.
    pub fn checked(self) -> Result<Self, TimingError> {
        let Self { lease, renew, takeover } = self;
        if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&renew) {
            return Err(TimingError::Renew(renew));
        }
        if lease < renew * 3 {
            return Err(TimingError::Lease { lease, renew });
        }
        // Two renewals absorb that clocks run differently and that a thread is scheduled late.
        let least = lease.saturating_add(renew * 2);
        if takeover < least {
            return Err(TimingError::Takeover { takeover, least });
        }
        Ok(self)
    }
}
