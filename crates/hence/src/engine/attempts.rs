//! The attempts under way: begun beside the engine, and their ends in the order they came.
//!
//! Invariant: every attempt that was begun comes back exactly once from [`Attempts::next`] or [`Attempts::next_now`], also one that broke.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use hence_core::name::Fence;
use tokio::sync::mpsc;

use super::Ended;
use crate::host::{Host, Spawned};

/// The attempts of one engine.
pub(super) struct Attempts {
    host: Arc<dyn Host>,
    under_way: BTreeMap<Fence, Spawned>,
    // Bounded by the attempts under way, which the scheduler limits.
    ends: mpsc::UnboundedReceiver<Report>,
    reports: mpsc::UnboundedSender<Report>,
}

/// How an attempt came back: with its end, or broken.
struct Report {
    fence: Fence,
    ended: Option<Ended>,
}

/// Reports when it is dropped, so that an attempt that panics is reported too.
struct Reporter {
    report: Report,
    reports: mpsc::UnboundedSender<Report>,
}

impl Attempts {
    pub(super) fn new(host: Arc<dyn Host>) -> Self {
        let (reports, ends) = mpsc::unbounded_channel();
        Self { host, under_way: BTreeMap::new(), ends, reports }
    }

    /// Carries the attempt of a started task on until it ends.
    pub(super) fn begin(&mut self, fence: Fence, attempt: impl Future<Output = Ended> + Send + 'static) {
        let mut reporter = Reporter { report: Report { fence, ended: None }, reports: self.reports.clone() };
        let work = async move { reporter.ended(attempt.await) };
        self.under_way.insert(fence, self.host.spawn(Box::pin(work)));
    }

    /// The next attempt to end, `None` if it broke; waits for ever when none is under way. Dropping the wait loses nothing.
    pub(super) async fn next(&mut self) -> Option<Ended> {
        // This end of the channel is held here, so it never closes.
        let report = self.ends.recv().await?;
        self.take(report)
    }

    /// As [`Attempts::next`], if one has ended already.
    pub(super) fn next_now(&mut self) -> Option<Option<Ended>> {
        let report = self.ends.try_recv().ok()?;
        Some(self.take(report))
    }

    /// How many are under way.
    pub(super) fn count(&self) -> usize {
        self.under_way.len()
    }

    /// Whether the attempt of that start has not come back.
    pub(super) fn is_under_way(&self, fence: Fence) -> bool {
        self.under_way.contains_key(&fence)
    }

    /// Ends all that are under way at their next `.await`.
    pub(super) fn abort(&mut self) {
        self.under_way.clear();
    }

    fn take(&mut self, report: Report) -> Option<Ended> {
        self.under_way.remove(&report.fence);
        report.ended
    }
}

impl Reporter {
    fn ended(&mut self, ended: Ended) {
        self.report.ended = Some(ended);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        let report = Report { fence: self.report.fence, ended: self.report.ended.take() };
        // Nobody listens any more once the engine has ended.
        let _ = self.reports.send(report);
    }
}

#[cfg(test)]
mod tests {
    //! Goal: every attempt comes back once, also one that panics. Method: attempts on the machine's host.
    use hence_core::reason::Reason;
    use hence_core::task::{AttemptEnd, Task};
    use jiff::Timestamp;

    use super::*;
    use crate::host::machine;

    fn task(fence: i64) -> Task {
        let wanted = hence_core::plan::Wanted {
            step: "remind".parse().unwrap(),
            occurrence: String::new(),
            due_at: Timestamp::UNIX_EPOCH,
            reason: Reason::Note { text: String::new() },
        };
        let entity = "account/1".parse().unwrap();
        let about = (hence_core::name::TimelineId(1), &entity);
        let mut task = hence_core::reconcile::task_of(wanted, hence_core::name::TaskId(fence), about, Timestamp::UNIX_EPOCH);
        task.fence = Fence(fence);
        task
    }

    fn failed(task: Task) -> Ended {
        let end = AttemptEnd::Failed { reason: Reason::Note { text: "it failed".to_owned() } };
        Ended { task, end, snapshot: None }
    }

    #[tokio::test]
    async fn an_attempt_that_panics_comes_back_as_broken() {
        let mut attempts = Attempts::new(machine());
        attempts.begin(Fence(1), async { panic!("on purpose") });
        assert!(attempts.next().await.is_none());
        attempts.begin(Fence(2), async { failed(task(2)) });
        assert_eq!(attempts.next().await.map(|ended| ended.task.fence), Some(Fence(2)));
        assert!(attempts.next_now().is_none());
        assert!(attempts.under_way.is_empty());
    }
}
