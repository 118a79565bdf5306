//! The engine: performs what the scheduler says, and reports back to it.
//!
//! Owns the lease, the attempts under way and the batch of their ends. Decides nothing: the scheduler says what to do, `decide` and
//! `answer` say what a firing and a reply mean. Stop order: starts, attempts, outcomes, lease.

mod attempt;
mod attempts;
mod beside;
mod finish;
mod look;
mod places;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hence_core::decide::Rules;
use hence_core::name::EntityKey;
use hence_core::task::{AttemptEnd, Task};
use hence_core::timeline::EntitySnapshot;
use hence_dispatch::Dispatchers;
use hence_store::port::{Beat, Lease, Life, OwnedShard, StartRequest};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use self::attempts::Attempts;
use self::beside::Beside;
use self::places::Places;
use crate::audit::Audits;
use crate::client::Client;
use crate::clock::{Reading, WAIT_MAX};
use crate::error::Error;
use crate::host::Host;
use crate::scheduler::{Action, Event, Limits, Scheduler};
use crate::settle;

/// The most wishes that are carried out in one go.
const SETTLE_BATCH: usize = 500;
/// How often, in real time, postponed wishes are tried again under a virtual clock.
const RETRIED_EACH: Duration = Duration::from_millis(250);
/// The most orphans that are taken over in one go.
const ORPHAN_BATCH: usize = 500;
/// The time between two tries to write to a store that is full, or that another process keeps locked.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often answers that are overdue, and erasures that are due, are looked for.
const LOOK: SignedDuration = SignedDuration::from_secs(1);
/// How long ends of attempts are gathered while the engine has about as many attempts under way as it may.
const GATHER: Duration = Duration::from_millis(2);

/// What an engine keeps to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EngineOptions {
    /// The most attempts under way at once; 64 by default.
    pub attempts_max: usize,
    /// The most attempts at one target, mail server or handler while it keeps attempts waiting for over a second; those beyond are not
    /// counted among the ones under way, so that it delays no other. A quarter of `attempts_max` by default.
    pub slow_attempts_max: Option<usize>,
    /// The most starts a second of what has been due for over a minute; 200 by default.
    pub catch_up_per_second: u32,
    /// The seed of the retries' jitter; random by default.
    pub seed: Option<u64>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { attempts_max: 64, slow_attempts_max: None, catch_up_per_second: 200, seed: None }
    }
}

/// What an engine has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Attempts that were started.
    pub started: u64,
    /// Attempts whose end was written.
    pub written: u64,
    /// Running tasks of a node that is gone, taken over.
    pub taken_over: u64,
}

/// Makes happen what is due.
pub struct Engine {
    client: Client,
    dispatchers: Arc<Dispatchers>,
    options: EngineOptions,
}

/// One attempt that ended, to be written.
pub(crate) struct Ended {
    task: Task,
    end: AttemptEnd,
    /// What was stored of the entity when the attempt began, if it was read.
    snapshot: Option<EntitySnapshot>,
}

struct Performer {
    client: Client,
    dispatchers: Arc<Dispatchers>,
    lease: Lease,
    store_id: Arc<str>,
    attempts: Attempts,
    /// Wishes being carried out that need facts to be read; at most one batch.
    beside: Option<Beside>,
    is_virtual: bool,
    /// When wishes that are postponed were tried last, under a virtual clock, in real time.
    retried_at: Duration,
    audits: Audits,
    places: Places,
    summary: Summary,
    began: Duration,
    dice: fastrand::Rng,
    /// The clock as it was read last.
    reading: Reading,
    /// When what comes seldom was looked for last.
    looked_at: Option<Timestamp>,
    attempts_max: usize,
}

impl Engine {
    /// An engine over this client's store.
    pub fn new(client: Client, dispatchers: Dispatchers, options: EngineOptions) -> Self {
        Self { client, dispatchers: Arc::new(dispatchers), options }
    }

    /// Runs until `stop` is cancelled and everything that was started has ended and is written.
    /// # Errors
    /// Another engine owns the store; the store fails; or the lease was lost, and another engine goes on.
    pub async fn run(self, stop: CancellationToken) -> Result<Summary, Error> {
        let host = Arc::clone(self.client.host());
        // Never from the seed of the options: two engines with one seed are still two nodes.
        let node = format!("node_{:016x}{:016x}", host.dice(), host.dice());
        let reading = self.client.clock().read().await?;
        let lease = take_all(&self.client, node).await?;
        let store_id = self.client.store().identity().await?.store_id;
        let mut performer = Performer {
            client: self.client,
            dispatchers: self.dispatchers,
            lease,
            store_id: store_id.into(),
            attempts: Attempts::new(Arc::clone(&host)),
            beside: None,
            is_virtual: false,
            retried_at: Duration::ZERO,
            audits: Audits::new(),
            places: Places::new(self.options.slow_attempts_max.unwrap_or(self.options.attempts_max / 4)),
            summary: Summary::default(),
            began: host.elapsed(),
            dice: fastrand::Rng::with_seed(self.options.seed.unwrap_or_else(|| host.dice())),
            reading,
            looked_at: None,
            attempts_max: self.options.attempts_max.max(1),
        };
        let limits = Limits {
            attempts_max: self.options.attempts_max.max(1),
            catch_up_per_second: self.options.catch_up_per_second.max(1),
        };
        let result = performer.run(Scheduler::new(limits), &stop).await;
        if result.is_err() {
            performer.attempts.abort();
        }
        result.map(|()| performer.summary)
    }
}

impl Performer {
    async fn run(&mut self, mut scheduler: Scheduler, stop: &CancellationToken) -> Result<(), Error> {
        self.take_over().await?;
        let mut is_stop_told = false;
        loop {
            let reading = self.client.clock().read().await?;
            self.reading = reading;
            let mut now = reading.now;
            let elapsed = self.elapsed();
            self.is_virtual = reading.target.is_some();
            let woke = Event::Woke { elapsed, target: reading.target };
            let attempts = &self.attempts;
            self.places.look(elapsed, |fence| attempts.is_under_way(fence));
            scheduler.set_aside(self.places.aside());
            let mut actions: VecDeque<Action> = scheduler.on_event(now, woke).into();
            if stop.is_cancelled() && !is_stop_told {
                is_stop_told = true;
                actions = scheduler.on_event(now, Event::StopAsked).into();
            }
            while let Some(action) = actions.pop_front() {
                match action {
                    Action::Wait { at_most } => {
                        let (ended, broken) = self.wait(at_most, stop, is_stop_told).await;
                        let count = self.write(ended).await? + broken;
                        actions.extend(scheduler.on_event(now, Event::Written { count }));
                    }
                    Action::Stop => {
                        if let Some(beside) = self.beside.take() {
                            beside.ended().await?;
                        }
                        self.audits.end(now).await;
                        let store = self.client.store();
                        store.release(&self.lease).await?;
                        let own = store.ownership().await?.node(&self.lease.node).map_or(0, |row| row.beat);
                        store.forget(&self.lease.node, own).await?;
                        return Ok(());
                    }
                    Action::Step { to } => {
                        self.client.clock().step(to, reading.target.unwrap_or(to)).await?;
                        now = to;
                        self.reading.now = to;
                    }
                    action => match self.perform(action, now).await {
                        Ok(Some(event)) => actions.extend(scheduler.on_event(now, event)),
                        Ok(None) => {}
                        Err(error) if error.is_passing() => {
                            // What was begun goes on; a new pass begins, and starts nothing before the store can be written again.
                            tracing::warn!(%error, "the store cannot be written; nothing is started until it can");
                            self.host().wait(PATIENCE).await;
                            actions.clear();
                        }
                        Err(error) => return Err(error),
                    },
                }
            }
        }
    }

    async fn perform(&mut self, action: Action, now: Timestamp) -> Result<Option<Event>, Error> {
        match action {
            Action::Settle => {
                if self.is_time_to_look(now) {
                    self.looked_at = Some(now);
                    self.look(now).await?;
                }
                Ok(Some(self.settle(now).await?))
            }
            Action::Start { from, to, limit } => {
                let request = StartRequest { now, from, to, limit };
                let except = self.places.full_steps(&self.client.library());
                let tasks = self.client.store().start_except(&self.lease, request, &except).await?;
                let count = tasks.len();
                self.begin(tasks, now).await?;
                Ok(Some(Event::Started { count, is_backlog: from.is_none() }))
            }
            Action::Watch => {
                self.client.watch().await?;
                Ok(None)
            }
            Action::Look => {
                let (store, lease) = (self.client.store().as_ref(), &self.lease);
                let next =
                    if self.is_virtual { look::next_stop(store, lease, now).await? } else { look::next(store, lease).await? };
                let next = next.into_iter().chain(self.audits.next()).min();
                Ok(Some(Event::Looked { next }))
            }
            Action::Renew => {
                let seen = self.client.store().beat(&beat(&self.client, &self.lease.node)).await?;
                if seen.lease_of(&self.lease.node) == self.lease {
                    return Ok(None);
                }
                Err(not_owned("another engine took the store over"))
            }
            Action::Wait { .. } | Action::Stop | Action::Step { .. } => Ok(None),
        }
    }

    /// Carries out what is in the inbox. What needs facts to be read is carried out beside the loop, so that a slow source delays
    /// nobody else; but a virtual clock must not move on before it.
    async fn settle(&mut self, now: Timestamp) -> Result<Event, Error> {
        if let Some(beside) = &mut self.beside
            && let Some(read) = beside.ended_now()
        {
            self.beside = None;
            read?;
        }
        let mut entries = self.client.store().wishes(Some(&self.lease), now, SETTLE_BATCH).await?;
        if entries.is_empty() && self.is_virtual && self.host().elapsed().saturating_sub(self.retried_at) >= RETRIED_EACH {
            // Where a virtual clock stands, the instants of postponed wishes may never come: real time counts.
            self.retried_at = self.host().elapsed();
            entries = self.client.store().wishes(Some(&self.lease), Timestamp::MAX, SETTLE_BATCH).await?;
        }
        let is_full = entries.len() == SETTLE_BATCH;
        let (mut at_once, by_facts) = settle::split(&self.client.library(), entries);
        if self.is_virtual {
            at_once.extend(by_facts);
        } else if !by_facts.is_empty() && self.beside.is_none() {
            self.beside = Some(Beside::begin(&self.client, by_facts, now));
        }
        let count = settle::settle(&self.client, at_once, (now, Some(settle::READING_MAX))).await?.len();
        Ok(Event::Settled { is_more: is_full && count > 0 })
    }

    /// Starts the attempts of started tasks, each in a task of its own.
    async fn begin(&mut self, tasks: Vec<Task>, now: Timestamp) -> Result<(), Error> {
        if tasks.is_empty() {
            return Ok(());
        }
        self.summary.started += tasks.len() as u64;
        let entities: Vec<_> = tasks.iter().map(|task| task.entity.clone()).collect();
        let snapshots = self.snapshots(&entities).await?;
        let (library, elapsed) = (self.client.library(), self.elapsed());
        for (task, snapshot) in tasks.into_iter().zip(snapshots) {
            let fence = task.fence;
            if let Ok(rules) = Rules::of(&task, &snapshot, &library) {
                self.places.began(fence, &rules.step.action.to, elapsed);
            }
            let attempt = attempt::Attempt {
                client: self.client.clone(),
                dispatchers: Arc::clone(&self.dispatchers),
                store_id: Arc::clone(&self.store_id),
                snapshot,
                entered: self.client.under_way().enter(&task),
                task,
                reading: Reading { now, ..self.reading },
                dice: self.dice.u64(..),
            };
            self.attempts.begin(fence, attempt.run());
        }
        Ok(())
    }

    /// What is stored of entities whose tasks were started: they run by now, so that it is asked for until it comes.
    async fn snapshots(&self, entities: &[EntityKey]) -> Result<Vec<EntitySnapshot>, Error> {
        loop {
            match self.client.store().snapshots(entities).await.map_err(Error::from) {
                Err(error) if error.is_passing() => self.host().wait(PATIENCE).await,
                read => return read,
            }
        }
    }

    /// The ends of attempts, once there is one, and how many broke; none when something was told, the engine is to stop, or the time
    /// is up. What broke is taken over at the next start.
    async fn wait(&mut self, at_most: Duration, stop: &CancellationToken, is_stopping: bool) -> (Vec<Ended>, usize) {
        let passed = self.host().wait(at_most.min(WAIT_MAX));
        let mut next = tokio::select! {
            biased;
            end = self.attempts.next() => Some(end),
            () = stop.cancelled(), if !is_stopping => None,
            () = self.client.told().notified() => None,
            () = passed => None,
        };
        // Those that ended meanwhile are written in the same batch. While hardly anything more can be started, a moment longer makes
        // it a large one: each batch costs two commits, whatever its size.
        let mut gathering = (self.attempts.count() >= self.attempts_max / 2).then(|| self.host().wait(GATHER));
        let (mut ended, mut broken) = (Vec::new(), 0);
        while let Some(end) = next {
            match end {
                Some(end) => {
                    self.places.ended(end.task.fence, self.elapsed());
                    ended.push(end);
                }
                None => {
                    tracing::error!("an attempt broke; it is taken over at the next start");
                    broken += 1;
                }
            }
            next = self.attempts.next_now();
            if next.is_none()
                && let Some(moment) = gathering.as_mut()
                && ended.len() < self.attempts_max / 4
            {
                next = tokio::select! {
                    biased;
                    end = self.attempts.next() => Some(end),
                    () = moment => None,
                };
            }
        }
        (ended, broken)
    }

    /// The real time since the engine began.
    fn elapsed(&self) -> Duration {
        self.host().elapsed().saturating_sub(self.began)
    }

    fn host(&self) -> &Arc<dyn Host> {
        self.client.host()
    }

    async fn write(&mut self, ended: Vec<Ended>) -> Result<usize, Error> {
        let count = ended.len();
        if count > 0 {
            finish::write(&self.client, &self.lease, ended).await?;
            self.summary.written += count as u64;
        }
        Ok(count)
    }

    /// Takes over what nodes that are gone have left running.
    async fn take_over(&mut self) -> Result<(), Error> {
        loop {
            let orphans = self.client.store().orphans(&self.lease, ORPHAN_BATCH).await?;
            if orphans.is_empty() {
                return Ok(());
            }
            self.summary.taken_over += orphans.len() as u64;
            finish::take_over(&self.client, &self.lease, orphans).await?;
        }
    }

    /// Each second of the system's clock, whichever way it goes; at each step of a virtual one.
    fn is_time_to_look(&self, now: Timestamp) -> bool {
        let is_virtual = self.reading.target.is_some();
        is_virtual || self.looked_at.is_none_or(|before| now.duration_since(before).abs() >= LOOK)
    }

    /// What comes seldom: answers that were promised and did not come, erasures, and audits.
    async fn look(&mut self, now: Timestamp) -> Result<(), Error> {
        let overdue = self.client.store().overdue_answers(&self.lease, now, ORPHAN_BATCH).await?;
        if !overdue.is_empty() {
            let ended = attempt::unanswered(&self.client, overdue, now, &mut self.dice).await?;
            finish::write(&self.client, &self.lease, ended).await?;
        }
        for entity in self.client.store().due_erasures(Some(&self.lease), now, ORPHAN_BATCH).await? {
            self.client.store().erase(&entity, now).await?;
        }
        self.audits.run_due(&self.client, now).await
    }
}

fn beat(client: &Client, node: &str) -> Beat {
    Beat { node: node.to_owned(), at: client.host().wall(), is_leaving: false, notice: None }
}

/// Takes all shards, also those of nodes whose process is known to have ended.
async fn take_all(client: &Client, node: String) -> Result<Lease, Error> {
    let store = client.store();
    for gone in store.beat(&beat(client, &node)).await?.nodes.iter().filter(|row| row.life == Life::Gone) {
        store.forget(&gone.node, gone.beat).await?;
    }
    let seen = store.ownership().await?;
    let free: Vec<OwnedShard> = seen.free().collect();
    let shards = store.take(&node, &free).await?;
    if shards.len() == seen.shards.len() {
        return Ok(Lease { node, shards });
    }
    store.release(&Lease { node: node.clone(), shards }).await?;
    let own = seen.node(&node).map_or(0, |row| row.beat);
    store.forget(&node, own).await?;
    Err(not_owned("another engine serves this store"))
}

fn not_owned(problem: &str) -> Error {
    Error::Refused { code: "HNC-0326", problem: problem.to_owned() }
}
