//! The engine: performs what the scheduler says, and reports back to it.
//!
//! Owns the attempts under way and the batch of their ends. Decides nothing: `ownership` says what is this node's and until when, the
//! scheduler what to do, `decide` and `answer` what a firing and a reply mean. A node that owns nothing goes on and takes part again; a
//! store that is away for a while is waited for. Stop order: starts, attempts, outcomes, shards, and the beats last (F4).

mod attempt;
mod attempts;
mod beside;
mod finish;
mod look;
mod places;
mod recover;

#[cfg(test)]
mod nodes_tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hence_core::decide::Rules;
use hence_core::name::EntityKey;
use hence_core::sabotage::{Bug, is_planted};
use hence_core::shard::Shard;
use hence_core::task::{AttemptEnd, Task};
use hence_core::timeline::EntitySnapshot;
use hence_dispatch::Dispatchers;
use hence_store::port::{Lease, OwnedShard, StartRequest, StoreIdentity};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use self::attempts::{Attempts, Back};
use self::beside::Beside;
use self::places::Places;
use crate::audit::Audits;
use crate::client::Client;
use crate::clock::{Reading, WAIT_MAX};
use crate::error::Error;
use crate::host::Host;
use crate::jump::JumpGuard;
use crate::keeper::{Keeper, KeeperOptions, Readiness};
use crate::ownership::{Owner, Timing};
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
///
/// ```
/// let mut options = hence::EngineOptions::default();
/// options.attempts_max = 8;
/// let builder = hence::Hence::builder().engine(options);
/// ```
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
    /// The spans by which several engines share one store; the same for all of them.
    pub timing: Timing,
    /// Whether the process is aborted when the engine makes no progress for a minute; otherwise its node only leaves all to others.
    pub abort_when_stuck: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            attempts_max: 64,
            slow_attempts_max: None,
            catch_up_per_second: 200,
            seed: None,
            timing: Timing::default(),
            abort_when_stuck: false,
        }
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

/// Makes happen what is due. [`Hence`](crate::Hence) has one beside the program; by itself it is for those that run it as they like:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hence::Error> {
/// use hence::dispatch::{Dispatchers, Log};
/// use hence::{Engine, EngineOptions};
///
/// let client = hence::Hence::builder().client().await?;
/// let dispatchers = Dispatchers::new().with(std::sync::Arc::new(Log));
/// let stop = tokio_util::sync::CancellationToken::new();
/// stop.cancel();
/// let summary = Engine::new(client, dispatchers, EngineOptions::default()).run(stop).await?;
/// assert_eq!(summary.started, 0);
/// # Ok(())
/// # }
/// ```
pub struct Engine {
    client: Client,
    dispatchers: Arc<Dispatchers>,
    options: EngineOptions,
    readiness: Readiness,
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
    store_id: Arc<str>,
    shards: u16,
    keeper: Keeper,
    /// What may be started in during this pass.
    lease: Lease,
    /// The lease under which nothing is left to be taken over.
    recovered: Lease,
    /// Whether tasks may have been started that no attempt is under way for.
    is_in_doubt: bool,
    guard: JumpGuard,
    is_paused: bool,
    timing: Timing,
    attempts: Attempts,
    /// Ends of attempts that are not written yet.
    unwritten: Vec<Ended>,
    /// How many came back without an end to write, since the scheduler was told.
    lost: usize,
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
        Self { client, dispatchers: Arc::new(dispatchers), options, readiness: Readiness::default() }
    }

    /// Tells whether the engine is ready, also while it runs.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Runs until `stop` is cancelled and everything that was started has ended and is written.
    ///
    /// Any number of engines may run on one store, in one process or many: they share its shards. Where another has all of them, this
    /// one stands by. Dropping what this gives, instead of stopping, is like a crash: others take over after [`Timing::takeover`].
    /// # Errors
    /// HNC-0326: the timing is not safe. The store fails in a way that does not pass: it is damaged, read-only or newer.
    pub async fn run(self, stop: CancellationToken) -> Result<Summary, Error> {
        let timing = self.options.timing.checked();
        let timing = timing.map_err(|error| Error::Refused { code: "HNC-0326", problem: error.to_string() })?;
        let host = Arc::clone(self.client.host());
        // Never from the seed of the options: two engines with one seed are still two nodes.
        let node = format!("node_{:016x}{:016x}", host.dice(), host.dice());
        let (reading, identity) = self.first_read(&stop).await?;
        let options = KeeperOptions { abort_when_stuck: self.options.abort_when_stuck, readiness: self.readiness };
        let keeper = Keeper::begin(&host, self.client.store(), Owner::new(node, timing), options);
        let mut performer = Performer {
            client: self.client,
            dispatchers: self.dispatchers,
            store_id: identity.store_id.into(),
            shards: identity.shards,
            keeper,
            lease: Lease::default(),
            recovered: Lease::default(),
            is_in_doubt: false,
            guard: JumpGuard::default(),
            is_paused: false,
            timing,
            attempts: Attempts::new(Arc::clone(&host)),
            unwritten: Vec::new(),
            lost: 0,
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

    /// The clock and what the store is; one that is away is waited for, unless the engine is to stop.
    async fn first_read(&self, stop: &CancellationToken) -> Result<(Reading, StoreIdentity), Error> {
        loop {
            let read = async {
                let reading = self.client.clock().read().await?;
                Ok((reading, self.client.store().identity().await?))
            };
            match read.await {
                Err(error) if Error::is_passing(&error) && !stop.is_cancelled() => {
                    tracing::warn!(%error, "the store cannot be used; the engine begins when it can");
                    self.client.host().wait(PATIENCE).await;
                }
                read => return read,
            }
        }
    }
}

impl Performer {
    async fn run(&mut self, mut scheduler: Scheduler, stop: &CancellationToken) -> Result<(), Error> {
        let mut is_stop_told = false;
        let mut failing_since = None;
        loop {
            match self.pass(&mut scheduler, stop, &mut is_stop_told).await {
                Ok(Pass::Over) => failing_since = None,
                Ok(Pass::Last) => {
                    self.leave().await;
                    return Ok(());
                }
                // What was begun goes on; a new pass begins, and starts nothing before the store can be used again.
                Err(error) if error.is_passing() => {
                    let now = self.host().elapsed();
                    let since = *failing_since.get_or_insert(now);
                    if stop.is_cancelled() && now.saturating_sub(since) >= self.timing.lease {
                        return Err(error);
                    }
                    tracing::warn!(%error, "the store cannot be used; nothing is started until it can");
                    self.keeper.end_pass();
                    self.host().wait(PATIENCE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One pass: all that the scheduler says until it has waited or stops.
    async fn pass(
        &mut self,
        scheduler: &mut Scheduler,
        stop: &CancellationToken,
        is_stop_told: &mut bool,
    ) -> Result<Pass, Error> {
        let reading = self.client.clock().read().await?;
        self.reading = reading;
        let mut now = reading.now;
        self.is_virtual = reading.target.is_some();
        self.lease = self.keeper.begin_pass();
        let permits = self.keeper.permits();
        self.attempts.abort_lost(|owned| permits.is_owned(owned));
        self.recover().await?;
        self.watch_clock(now);
        let elapsed = self.elapsed();
        let attempts = &self.attempts;
        self.places.look(elapsed, |fence| attempts.has(fence));
        scheduler.set_aside(self.places.aside());
        let target = reading.target.filter(|_| self.moves_clock());
        let mut actions: VecDeque<Action> = scheduler.on_event(now, Event::Woke { elapsed, target }).into();
        if stop.is_cancelled() && !*is_stop_told {
            *is_stop_told = true;
            self.keeper.ask_stop();
            actions = scheduler.on_event(now, Event::StopAsked).into();
        }
        while let Some(action) = actions.pop_front() {
            self.keeper.step();
            match action {
                Action::Wait { at_most } => {
                    self.keeper.end_pass();
                    self.wait(at_most, stop, *is_stop_told).await;
                    let count = self.write().await? + std::mem::take(&mut self.lost);
                    actions.extend(scheduler.on_event(now, Event::Written { count }));
                }
                Action::Stop => {
                    if let Some(beside) = self.beside.take() {
                        beside.ended().await?;
                    }
                    self.audits.end(now).await;
                    return Ok(Pass::Last);
                }
                Action::Step { to } => {
                    self.client.clock().step(to, reading.target.unwrap_or(to)).await?;
                    now = to;
                    self.reading.now = to;
                }
                action => {
                    if let Some(event) = self.perform(action, now).await? {
                        actions.extend(scheduler.on_event(now, event));
                    }
                }
            }
        }
        Ok(Pass::Over)
    }

    async fn perform(&mut self, action: Action, now: Timestamp) -> Result<Option<Event>, Error> {
        match action {
            // What a clock that jumped says must neither erase nor plan.
            Action::Settle if self.is_paused => Ok(Some(Event::Settled { is_more: false })),
            Action::Settle => {
                if self.is_time_to_look(now) {
                    self.looked_at = Some(now);
                    self.look(now).await?;
                }
                Ok(Some(self.settle(now).await?))
            }
            Action::Start { from, to, limit } => {
                let request = StartRequest { now, from, to, limit };
                let may_start = !self.is_paused && !self.lease.shards.is_empty();
                let count = if may_start { self.start(request).await? } else { 0 };
                Ok(Some(Event::Started { count, is_backlog: from.is_none() }))
            }
            Action::Watch => {
                self.client.watch().await?;
                Ok(None)
            }
            Action::Look => Ok(Some(Event::Looked { next: self.next(now).await? })),
            Action::Wait { .. } | Action::Stop | Action::Step { .. } => Ok(None),
        }
    }

    async fn start(&mut self, request: StartRequest) -> Result<usize, Error> {
        let now = request.now;
        let except = self.places.full_steps(&self.client.library());
        let started = self.client.store().start_except(&self.lease, request, &except).await;
        // Whether it was carried out is not known: what was started without an answer is looked for.
        self.is_in_doubt |= started.as_ref().is_err_and(|error| !error.definite());
        let tasks = started?;
        let count = tasks.len();
        self.begin(tasks, now).await?;
        Ok(count)
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
        if is_planted(Bug::F21) {
            entries.retain(|entry| self.client.is_behind_cursor(entry.id()));
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
        // Until each has its attempt, they are started and nobody is at them.
        let was_in_doubt = std::mem::replace(&mut self.is_in_doubt, true);
        let snapshots = self.snapshots(&entities).await?;
        let mut in_turn = Vec::new();
        let (library, elapsed) = (self.client.library(), self.elapsed());
        for (task, snapshot) in tasks.into_iter().zip(snapshots) {
            let shard = Shard::of(&task.entity, self.shards);
            // A store starts in owned shards only; what it should have started elsewhere is no attempt of this node.
            let Some(epoch) = self.lease.epoch(shard) else { continue };
            let owned = OwnedShard { shard, epoch };
            self.keeper.began(shard);
            if let Ok(rules) = Rules::of(&task, &snapshot, &library) {
                self.places.began(task.fence, &rules.step.action.to, elapsed);
            }
            let attempt = attempt::Attempt {
                client: self.client.clone(),
                dispatchers: Arc::clone(&self.dispatchers),
                store_id: Arc::clone(&self.store_id),
                snapshot,
                entered: self.client.under_way().enter(&task),
                task: task.clone(),
                owned,
                permits: self.keeper.permits(),
                reading: Reading { now, ..self.reading },
                dice: self.dice.u64(..),
            };
            if is_planted(Bug::F14) {
                in_turn.push((task, owned, attempt));
            } else {
                self.attempts.begin(task, owned, attempt.run());
            }
        }
        self.attempts.begin_in_turn(in_turn.into_iter().map(|(task, owned, attempt)| (task, owned, attempt.run())));
        self.is_in_doubt = was_in_doubt;
        Ok(())
    }

    /// What is stored of entities whose tasks were started: they run by now, so that it is asked for until it comes.
    async fn snapshots(&self, entities: &[EntityKey]) -> Result<Vec<EntitySnapshot>, Error> {
        loop {
            match self.client.snapshots(entities).await {
                Err(error) if error.is_passing() => {
                    self.keeper.step();
                    self.host().wait(PATIENCE).await;
                }
                read => return read,
            }
        }
    }

    /// Takes in the attempts that came back, once there is one; none when something was told, what is owned changed, the engine is to
    /// stop, or the time is up.
    async fn wait(&mut self, at_most: Duration, stop: &CancellationToken, is_stopping: bool) {
        // By a hint only, so for ever: the planted failure.
        let at_most =
            if is_planted(Bug::F22) && self.attempts.is_empty() { Duration::from_secs(86_400) } else { at_most.min(WAIT_MAX) };
        let passed = self.host().wait(at_most);
        let mut next = tokio::select! {
            biased;
            back = self.attempts.next() => back,
            () = stop.cancelled(), if !is_stopping => None,
            () = self.client.told().notified() => None,
            () = self.keeper.changed() => None,
            () = passed => None,
        };
        // Those that ended meanwhile are written in the same batch. While hardly anything more can be started, a moment longer makes
        // it a large one: each batch costs two commits, whatever its size.
        let mut gathering = (self.attempts.count() >= self.attempts_max / 2).then(|| self.host().wait(GATHER));
        while let Some(back) = next {
            self.take_in(back);
            next = self.attempts.next_now();
            if next.is_none()
                && let Some(moment) = gathering.as_mut()
                && self.unwritten.len() < self.attempts_max / 4
            {
                next = tokio::select! {
                    biased;
                    back = self.attempts.next() => back,
                    () = moment => None,
                };
            }
        }
    }

    fn take_in(&mut self, back: Back) {
        let task = match back {
            Back::Ended(ended) => {
                self.places.ended(ended.task.fence, self.elapsed());
                return self.unwritten.push(*ended);
            }
            Back::Lost(task) => {
                tracing::info!(task = %task.id, "an attempt ended because another node owns its shard");
                task
            }
            Back::Broken(task) => {
                tracing::error!(task = %task.id, "an attempt broke");
                self.is_in_doubt = true;
                task
            }
        };
        self.keeper.ended(Shard::of(&task.entity, self.shards));
        self.lost += 1;
    }

    /// The real time since the engine began.
    fn elapsed(&self) -> Duration {
        self.host().elapsed().saturating_sub(self.began)
    }

    fn host(&self) -> &Arc<dyn Host> {
        self.client.host()
    }

    /// Writes the ends of attempts, under what is owned now; a store that is away is waited for.
    async fn write(&mut self) -> Result<usize, Error> {
        if self.unwritten.is_empty() {
            return Ok(0);
        }
        let ended = std::mem::take(&mut self.unwritten);
        let shards: Vec<Shard> = ended.iter().map(|ended| Shard::of(&ended.task.entity, self.shards)).collect();
        finish::write(&self.client, &self.keeper.all(), ended, &|| self.keeper.step()).await?;
        for shard in &shards {
            self.keeper.ended(*shard);
        }
        self.summary.written += shards.len() as u64;
        Ok(shards.len())
    }

    /// Leaves the shards to others. A store that cannot be reached is not waited for: others find out by themselves.
    async fn leave(&mut self) {
        self.keeper.end_pass();
        let begun = self.host().elapsed();
        while !self.keeper.has_left() && self.host().elapsed().saturating_sub(begun) < self.timing.takeover {
            let passed = self.host().wait(WAIT_MAX);
            tokio::select! {
                biased;
                () = self.keeper.changed() => {}
                () = passed => {}
            }
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
            finish::write(&self.client, &self.lease, ended, &|| self.keeper.step()).await?;
        }
        for entity in self.client.store().due_erasures(Some(&self.lease), now, ORPHAN_BATCH).await? {
            self.client.store().erase(&entity, now).await?;
        }
        // One node audits for all.
        if self.moves_clock() { self.audits.run_due(&self.client, now).await } else { Ok(()) }
    }
}

/// What a pass came to.
enum Pass {
    Over,
    Last,
}
