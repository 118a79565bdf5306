//! The attempts under way: begun beside the engine, and their ends in the order they came.
//!
//! Invariant: every attempt that was begun comes back exactly once from [`Attempts::next`] or [`Attempts::next_now`], also one that broke
//! or whose shard was lost.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use hence_core::name::Fence;
use hence_core::task::Task;
use hence_store::port::OwnedShard;
use tokio::sync::mpsc;

use super::Ended;
use crate::host::{Host, Spawned};

/// The attempts of one engine.
pub(super) struct Attempts {
    host: Arc<dyn Host>,
    under_way: BTreeMap<Fence, (OwnedShard, Spawned)>,
    // Bounded by the attempts under way, which the scheduler limits.
    ends: mpsc::UnboundedReceiver<Report>,
    reports: mpsc::UnboundedSender<Report>,
}

/// How an attempt came back.
pub(super) enum Back {
    /// With its end.
    Ended(Box<Ended>),
    /// Without one: its shard was lost, and its end is another's to write.
    Lost(Task),
    /// Broken: its task is still running.
    Broken(Task),
}

struct Report {
    fence: Fence,
    back: Back,
}

/// Reports when it is dropped, so that an attempt that panics is reported too.
struct Reporter {
    task: Task,
    back: Option<Back>,
    reports: mpsc::UnboundedSender<Report>,
}

impl Attempts {
    pub(super) fn new(host: Arc<dyn Host>) -> Self {
        let (reports, ends) = mpsc::unbounded_channel();
        Self { host, under_way: BTreeMap::new(), ends, reports }
    }

    /// Carries the attempt of a task that was started under `owned` on until it ends; `None` is no end, because the shard was lost.
    pub(super) fn begin(&mut self, task: Task, owned: OwnedShard, attempt: impl Future<Output = Option<Ended>> + Send + 'static) {
        let fence = task.fence;
        let mut reporter = Reporter { task, back: None, reports: self.reports.clone() };
        let work = async move {
            let task = reporter.task.clone();
            reporter.came(attempt.await.map_or(Back::Lost(task), |ended| Back::Ended(Box::new(ended))));
        };
        self.under_way.insert(fence, (owned, self.host.spawn(Box::pin(work))));
    }

    /// One after the other, as the planted failure F14 does.
    pub(super) fn begin_in_turn(
        &mut self,
        attempts: impl Iterator<Item = (Task, OwnedShard, impl Future<Output = Option<Ended>> + Send + 'static)>,
    ) {
        let mut before: Option<tokio::sync::oneshot::Receiver<()>> = None;
        for (task, owned, attempt) in attempts {
            let (ending, ended) = tokio::sync::oneshot::channel();
            let turn = before.replace(ended);
            self.begin(task, owned, async move {
                if let Some(turn) = turn {
                    // An error means that the one before ended.
                    let _ = turn.await;
                }
                let end = attempt.await;
                let _ = ending.send(());
                end
            });
        }
    }

    /// Whether none is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The next attempt to come back; waits for ever when none is under way. Dropping the wait loses nothing.
    pub(super) async fn next(&mut self) -> Option<Back> {
        // This end of the channel is held here, so it never closes.
        let report = self.ends.recv().await?;
        Some(self.take(report))
    }

    /// As [`Attempts::next`], if one has ended already.
    pub(super) fn next_now(&mut self) -> Option<Back> {
        let report = self.ends.try_recv().ok()?;
        Some(self.take(report))
    }

    /// Whether an attempt of that fence is under way.
    pub(super) fn has(&self, fence: Fence) -> bool {
        self.under_way.contains_key(&fence)
    }

    /// How many are under way.
    pub(super) fn count(&self) -> usize {
        self.under_way.len()
    }

    /// Ends all that are under way at their next `.await`.
    pub(super) fn abort(&mut self) {
        self.under_way.clear();
    }

    /// The same for those whose shard is owned no longer under the epoch that they were started under.
    pub(super) fn abort_lost(&mut self, is_owned: impl Fn(OwnedShard) -> bool) {
        self.under_way.retain(|_, (owned, _)| is_owned(*owned));
    }

    fn take(&mut self, report: Report) -> Back {
        let was_under_way = self.under_way.remove(&report.fence).is_some();
        match report.back {
            // It was ended from here.
            Back::Broken(task) if !was_under_way => Back::Lost(task),
            back => back,
        }
    }
}

impl Reporter {
    fn came(&mut self, back: Back) {
        self.back = Some(back);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        let back = self.back.take().unwrap_or_else(|| Back::Broken(self.task.clone()));
        let report = Report { fence: self.task.fence, back };
        // Nobody listens any more once the engine has ended.
        let _ = self.reports.send(report);
    }
}

#[cfg(test)]
mod tests {
    //! Goal: every attempt comes back once, also one that panics. Method: attempts on the machine's host.
    use hence_core::reason::Reason;
    use hence_core::task::AttemptEnd;
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

    const OWNED: OwnedShard = OwnedShard { shard: hence_core::shard::Shard(0), epoch: Fence(1) };

    fn shown(back: Option<Back>) -> String {
        match back {
            Some(Back::Ended(ended)) => format!("{} ended", ended.task.fence),
            Some(Back::Lost(task)) => format!("{} was lost", task.fence),
            Some(Back::Broken(task)) => format!("{} broke", task.fence),
            None => "nothing".to_owned(),
        }
    }

    #[tokio::test]
    async fn every_attempt_comes_back_once_also_one_that_panics_or_is_lost() {
        let mut attempts = Attempts::new(machine());
        attempts.begin(task(1), OWNED, async { panic!("on purpose") });
        assert_eq!(shown(attempts.next().await), "fence_1 broke");
        attempts.begin(task(2), OWNED, async { Some(failed(task(2))) });
        assert_eq!(shown(attempts.next().await), "fence_2 ended");
        attempts.begin(task(3), OWNED, async { None });
        assert_eq!(shown(attempts.next().await), "fence_3 was lost");
        attempts.begin(task(4), OWNED, std::future::pending());
        attempts.abort_lost(|owned| owned == OWNED);
        assert!(attempts.has(Fence(4)));
        attempts.abort_lost(|owned| owned.epoch > OWNED.epoch);
        assert_eq!(shown(attempts.next().await), "fence_4 was lost");
        assert!(attempts.next_now().is_none());
        assert!(attempts.under_way.is_empty());
    }
}
