//! What an engine does about what others left and about clocks that jump: taking over, and starting nothing while in doubt.

use std::collections::BTreeSet;

use hence_core::sabotage::{Bug, is_planted};
use hence_core::shard::Shard;
use hence_core::task::{Task, TaskState};
use hence_store::port::{PageRequest, UpcomingFilter};
use jiff::Timestamp;

use super::{ORPHAN_BATCH, Performer, finish, look};
use crate::error::Error;

/// How many pages of orphans are taken over in one go; what is left comes with the next pass.
const PAGES_MAX: usize = 20;

impl Performer {
    /// Takes over what was left running in shards that are new to this node, and what this node itself lost sight of.
    pub(super) async fn recover(&mut self) -> Result<(), Error> {
        if is_planted(Bug::F10) {
            return Ok(());
        }
        if self.lease.shards.iter().any(|owned| !self.recovered.shards.contains(owned)) {
            for _ in 0..PAGES_MAX {
                let orphans = self.client.store().orphans(&self.lease, ORPHAN_BATCH).await?;
                if orphans.is_empty() {
                    self.recovered = self.lease.clone();
                    break;
                }
                self.take_over(orphans).await?;
            }
        }
        if self.is_in_doubt {
            self.take_over_unattended().await?;
            self.is_in_doubt = false;
        }
        Ok(())
    }

    async fn take_over(&mut self, orphans: Vec<Task>) -> Result<(), Error> {
        self.summary.taken_over += orphans.len() as u64;
        finish::take_over(&self.client, &self.lease, orphans, &|| self.keeper.step()).await
    }

    /// Tasks that run in this node's shards under its own epochs, without an attempt: their start was committed and its answer lost
    /// (F45), or the attempt broke.
    async fn take_over_unattended(&mut self) -> Result<(), Error> {
        let filter = UpcomingFilter { states: vec![TaskState::Running], ..UpcomingFilter::default() };
        let unwritten: BTreeSet<_> = self.unwritten.iter().map(|ended| ended.task.fence).collect();
        let mut request = PageRequest::first(ORPHAN_BATCH);
        loop {
            let page = self.client.store().upcoming(&filter, request.clone()).await?;
            let is_unattended = |task: &Task| {
                let epoch = self.lease.epoch(Shard::of(&task.entity, self.shards));
                let is_attended = self.attempts.has(task.fence) || unwritten.contains(&task.fence);
                epoch.is_some_and(|epoch| task.fence > epoch) && !is_attended && !task.answer_awaited
            };
            let lost: Vec<Task> = page.items.into_iter().filter(is_unattended).collect();
            if !lost.is_empty() {
                tracing::warn!(count = lost.len(), "tasks were running without an attempt; they are taken over");
                self.take_over(lost).await?;
            }
            request.after = page.next;
            if request.after.is_none() {
                return Ok(());
            }
        }
    }

    /// Starts nothing while the clock that decides what is due has jumped. A virtual clock may jump as it likes.
    pub(super) fn watch_clock(&mut self, now: Timestamp) {
        let elapsed = self.host().elapsed();
        let step = if self.is_virtual { None } else { self.guard.check(now, elapsed) };
        let is_paused = step.is_some();
        if is_paused != self.is_paused {
            self.is_paused = is_paused;
            let notice = step.map(|step| format!("starts nothing: the clock jumped by {step:#}"));
            match &notice {
                Some(notice) => tracing::error!(notice, "this node"),
                None => tracing::warn!("this node starts again: the clock holds"),
            }
            self.keeper.note(notice);
        }
    }

    /// Whether this node may let a virtual clock move on: one does for all, the owner of the first shard.
    pub(super) fn moves_clock(&self) -> bool {
        self.lease.epoch(Shard(0)).is_some()
    }

    /// When the next thing happens by itself. Whoever moves a virtual clock for others too looks at all of theirs, and takes what still
    /// runs or waits there for due now.
    pub(super) async fn next(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let (store, lease) = (self.client.store().as_ref(), &self.lease);
        let is_alone = lease.shards.len() == usize::from(self.shards);
        let next = match (self.is_virtual && self.moves_clock(), is_alone) {
            (true, true) => look::next_stop(store, lease, now).await?,
            (true, false) => self.next_stop_of_all(now).await?,
            (false, _) => look::next(store, lease).await?,
        };
        Ok(next.into_iter().chain(self.audits.next()).min())
    }

    async fn next_stop_of_all(&self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let filter = UpcomingFilter { states: vec![TaskState::Running], ..UpcomingFilter::default() };
        let mut request = PageRequest::first(ORPHAN_BATCH);
        let mut answers = Vec::new();
        loop {
            let page = self.client.store().upcoming(&filter, request.clone()).await?;
            if page.items.iter().any(|task| !task.answer_awaited) {
                return Ok(Some(now));
            }
            answers.extend(page.items.iter().map(|task| task.wake_at));
            request.after = page.next;
            if request.after.is_none() {
                break;
            }
        }
        let totals = self.client.store().totals().await?;
        if totals.wishes > 0 {
            return Ok(Some(now));
        }
        Ok(answers.into_iter().chain(totals.next_wake_at).min())
    }
}
