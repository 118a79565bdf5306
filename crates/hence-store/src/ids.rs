//! Numbers that a store object has reserved and hands out one after the other.

use std::ops::Range;

/// Numbers that are reserved and not given yet.
#[derive(Debug, Default)]
pub(crate) struct IdBlock {
    left: Range<i64>,
}

impl IdBlock {
    /// The next `count` numbers, if that many are left.
    pub(crate) fn take(&mut self, count: usize) -> Option<Range<i64>> {
        let end = self.left.start.checked_add(i64::try_from(count).ok()?)?;
        if end > self.left.end {
            return None;
        }
        let taken = self.left.start..end;
        self.left.start = end;
        Some(taken)
    }

    /// The first `count` numbers of a new block; the rest is kept if it is the newest block.
    pub(crate) fn renew(&mut self, block: Range<i64>, count: usize) -> Range<i64> {
        let mut new = IdBlock { left: block.clone() };
        let taken = new.take(count).unwrap_or(block);
        if new.left.start > self.left.start {
            *self = new;
        }
        taken
    }
}
