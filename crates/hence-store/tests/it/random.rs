//! Goal: the SQL stores do exactly what the memory store does. Method: random commands on both; each answer must be equal, and
//! so must, after every few of them, all that can be read. A failure prints the shortest commands that show it, and proptest keeps its seed.

use std::sync::Arc;

use hence_core::answer::Problem;
use hence_core::history::RecordKind;
use hence_core::name::{TaskId, WishId};
use hence_core::reason::Reason;
use hence_core::task::{AttemptEnd, Task, TaskEvent, TaskState};
use hence_core::timeline::{ChangeSet, Postponement, TimelineStatus};
use hence_store::Store;
use hence_store::conformance::Site;
use hence_store::conformance::fixture::{at, entity, event, name, note, own_all, record, task, timeline};
use hence_store::port::{
    CountOf, CountSpan, CountsFilter, EntityFilter, HistoryFilter, Lease, PageRequest, StartRequest, UpcomingFilter,
};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};

use crate::sites::{InFile, InMemory, InPostgres};

/// How many random stories are played on SQLite, and on PostgreSQL, where each needs a database of its own.
const STORIES: u32 = 150;
const STORIES_POSTGRES: u32 = 24;
/// After how many commands everything is compared.
const LOOKED_AT_EACH: usize = 5;
const ENTITIES: [&str; 3] = ["account/1", "account/2", "order/1"];

#[derive(Debug, Clone)]
enum Command {
    Enrol {
        of: usize,
        due: i64,
        is_stale: bool,
    },
    AdHoc {
        of: usize,
        due: i64,
    },
    Wish {
        of: usize,
        key: Option<u8>,
    },
    CarryOut {
        of: usize,
    },
    Postpone {
        of: usize,
        after: i64,
    },
    /// To the n-th live task; stale ones are written from what was seen before the newest change.
    Change {
        nth: usize,
        what: u8,
        is_stale: bool,
        with_lease: bool,
    },
    /// Several change sets in one call.
    Several {
        nth: usize,
    },
    Start {
        limit: usize,
        from: Option<i64>,
    },
    Lease,
    Die,
    End {
        of: usize,
    },
    EraseAt {
        of: usize,
        after: i64,
    },
    Erase {
        of: usize,
    },
    Prune {
        before: i64,
    },
    Pass {
        seconds: i64,
    },
}

fn command() -> impl Strategy<Value = Command> {
    let of = || 0..ENTITIES.len();
    prop_oneof![
        4 => (of(), 0..60_i64, prop::bool::weighted(0.1)).prop_map(|(of, due, is_stale)| Command::Enrol { of, due, is_stale }),
        2 => (of(), 0..60_i64).prop_map(|(of, due)| Command::AdHoc { of, due }),
        3 => (of(), prop::option::of(0..3_u8)).prop_map(|(of, key)| Command::Wish { of, key }),
        3 => of().prop_map(|of| Command::CarryOut { of }),
        2 => (of(), -20..60_i64).prop_map(|(of, after)| Command::Postpone { of, after }),
        14 => (0..20_usize, 0..15_u8, prop::bool::weighted(0.15), any::<bool>())
            .prop_map(|(nth, what, is_stale, with_lease)| Command::Change { nth, what, is_stale, with_lease }),
        2 => (0..20_usize).prop_map(|nth| Command::Several { nth }),
        8 => (1..4_usize, prop::option::of(-100..60_i64)).prop_map(|(limit, from)| Command::Start { limit, from }),
        2 => Just(Command::Lease),
        1 => Just(Command::Die),
        1 => of().prop_map(|of| Command::End { of }),
        1 => (of(), -50..50_i64).prop_map(|(of, after)| Command::EraseAt { of, after }),
        1 => of().prop_map(|of| Command::Erase { of }),
        1 => (-200..10_i64).prop_map(|before| Command::Prune { before }),
        6 => (-10..60_i64).prop_map(|seconds| Command::Pass { seconds }),
    ]
}

/// One of the two stores, and what the story has given it.
struct Side {
    site: Arc<dyn Site>,
    store: Arc<dyn Store>,
    lease: Option<Lease>,
    last_id: i64,
    last_node: u32,
    now: i64,
    /// A live task as it was seen before the newest change of it.
    seen: Option<Task>,
}

impl Side {
    fn new(site: Arc<dyn Site>) -> Self {
        let store = site.open();
        Self { site, store, lease: None, last_id: 0, last_node: 0, now: 0, seen: None }
    }

    fn new_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    async fn write(&self, changes: Vec<ChangeSet>, with_lease: bool) -> String {
        let lease = self.lease.as_ref().filter(|_| with_lease);
        format!("{:?}", self.store.write(lease, changes, at(self.now)).await.map_err(|error| error.kind().clone()))
    }

    /// Carries the command out; what was answered, as text.
    async fn play(&mut self, command: &Command) -> String {
        match command {
            Command::Enrol { of, due, is_stale } => self.enrol(*of, *due, *is_stale).await,
            Command::AdHoc { of, due } => {
                let of = entity(ENTITIES[*of]);
                let mut changes = ChangeSet::new(of.clone());
                changes.created.push(task(self.new_id(), None, &of, ("call", at(*due))));
                self.write(vec![changes], false).await
            }
            Command::Wish { of, key } => {
                let mut wish = event(&entity(ENTITIES[*of]), "account.paid");
                wish.key = key.map(|key| key.to_string());
                format!("{:?}", self.store.accept(vec![wish.clone(), wish], at(self.now)).await.unwrap())
            }
            Command::CarryOut { of } => {
                let of = entity(ENTITIES[*of]);
                let mut changes = ChangeSet::new(of.clone());
                changes.carried_out = self.store.wishes_of(&of).await.unwrap().iter().map(|wish| wish.id()).collect();
                changes.records.push(record(&of, RecordKind::Event, at(self.now), note("told")));
                self.write(vec![changes], false).await
            }
            Command::Postpone { of, after } => {
                let of = entity(ENTITIES[*of]);
                let wish = self.store.wishes_of(&of).await.unwrap().last().map_or(WishId(9_999), |wish| wish.id());
                let problem = Problem { code: "facts-not-read".to_owned(), message: after.to_string() };
                let mut changes = ChangeSet::new(of);
                changes.postponed = Some(Postponement { wish, try_at: at(self.now + after), problem });
                self.write(vec![changes], false).await
            }
            Command::Change { nth, what, is_stale, with_lease } => self.change(*nth, (*what, *is_stale), *with_lease).await,
            Command::Several { nth } => {
                let Some(task) = self.live(*nth).await else { return String::new() };
                let cancel = transition_of(&task, 0, self.now);
                let again = ChangeSet { planned_from: Some(-1), ..cancel.clone() };
                self.write(vec![again, cancel.clone(), cancel, ChangeSet::new(entity("order/9"))], false).await
            }
            Command::Start { limit, from } => {
                let Some(lease) = &self.lease else { return String::new() };
                let request = StartRequest { now: at(self.now), from: from.map(at), to: at(self.now), limit: *limit };
                format!("{:?}", self.store.start(lease, request).await.map_err(|error| error.kind().clone()))
            }
            Command::Lease => self.take_lease().await,
            Command::Die => {
                self.store = self.site.open();
                self.take_lease().await
            }
            Command::End { of } => {
                let found = self.store.snapshots(&[entity(ENTITIES[*of])]).await.unwrap().remove(0);
                let mut changes = ChangeSet::new(found.entity);
                changes.timelines = found.timelines;
                for line in &mut changes.timelines {
                    line.status = TimelineStatus::Ended;
                }
                self.write(vec![changes], true).await
            }
            Command::EraseAt { of, after } => {
                let mut changes = ChangeSet::new(entity(ENTITIES[*of]));
                changes.erase_at = Some(at(self.now + after));
                self.write(vec![changes], false).await
            }
            Command::Erase { of } => format!("{:?}", self.store.erase(&entity(ENTITIES[*of]), at(self.now)).await.unwrap()),
            Command::Prune { before } => format!("{:?}", self.store.prune(at(self.now + before), 2).await.unwrap()),
            Command::Pass { seconds } => {
                self.now += seconds;
                String::new()
            }
        }
    }

    async fn enrol(&mut self, of: usize, due: i64, is_stale: bool) -> String {
        let of = entity(ENTITIES[of]);
        let version = self.store.snapshots(std::slice::from_ref(&of)).await.unwrap()[0].version;
        let line = timeline(self.new_id(), &of);
        let mut changes = ChangeSet::new(of.clone());
        changes.planned_from = Some(version - i64::from(is_stale));
        changes.created.push(task(self.new_id(), Some(&line), &of, ("remind", at(due))));
        changes.created.push(task(self.new_id(), Some(&line), &of, ("expire", at(due + 40))));
        let mut enrolled = record(&of, RecordKind::Enrolled, at(self.now), note("enrolled"));
        enrolled.timeline = Some(line.id);
        changes.records.push(enrolled);
        changes.timelines.push(line);
        self.write(vec![changes], false).await
    }

    async fn change(&mut self, nth: usize, (what, is_stale): (u8, bool), with_lease: bool) -> String {
        let stale = self.seen.clone().filter(|_| is_stale);
        let Some(task) = (match stale {
            Some(task) => Some(task),
            None => self.live(nth).await,
        }) else {
            return String::new();
        };
        let changes = transition_of(&task, what, self.now);
        self.seen = Some(task);
        self.write(vec![changes], with_lease).await
    }

    async fn live(&self, nth: usize) -> Option<Task> {
        let all = self.store.upcoming(&UpcomingFilter::default(), PageRequest::first(100)).await.unwrap().items;
        if all.is_empty() { None } else { all.get(nth % all.len()).cloned() }
    }

    async fn take_lease(&mut self) -> String {
        self.last_node += 1;
        let lease = own_all(self.store.as_ref(), &self.last_node.to_string()).await;
        let shown = format!("{lease:?}");
        self.lease = Some(lease);
        shown
    }

    /// All that can be read.
    async fn everything(&self) -> String {
        let mut all = Vec::new();
        let store = &self.store;
        let entities = ENTITIES.map(entity);
        all.push(format!("{:?}", store.snapshots(&entities).await.unwrap()));
        all.push(format!("{:?}", store.wishes(None, at(self.now), 100).await.unwrap()));
        let postponed = EntityFilter { is_postponed: true, ..EntityFilter::default() };
        all.push(format!("{:?}", store.entities(&postponed, PageRequest::first(500)).await.unwrap()));
        all.push(format!("{:?}", store.totals().await.unwrap()));
        all.push(format!("{:?}", store.history(&HistoryFilter::default(), PageRequest::first(500)).await.unwrap()));
        all.push(format!("{:?}", store.upcoming(&UpcomingFilter::default(), PageRequest::first(500)).await.unwrap()));
        all.push(format!("{:?}", store.entities(&EntityFilter::default(), PageRequest::first(500)).await.unwrap()));
        all.push(format!("{:?}", store.due_erasures(None, at(self.now), 10).await.unwrap()));
        for of in [CountOf::Upcoming, CountOf::Finished] {
            let (from, until) = (at(-1_000_000), at(1_000_000));
            let filter = CountsFilter { of, span: CountSpan::Hour, from, until, timeline: None, step: None };
            all.push(format!("{:?}", store.counts(&filter).await.unwrap()));
        }
        for id in 1..=self.last_id {
            all.push(format!("{:?}", store.task(TaskId(id)).await.unwrap()));
        }
        if let Some(lease) = &self.lease {
            all.push(format!("{:?}", store.due_soon(lease, at(self.now), None, 100).await.map_err(|error| error.kind().clone())));
            let running = UpcomingFilter { states: vec![TaskState::Running], ..UpcomingFilter::default() };
            let running = store.upcoming(&running, PageRequest::first(500)).await.unwrap().items;
            let attempts: Vec<_> = running.iter().map(|task| (task.id, task.fence)).collect();
            all.push(format!("{:?}", store.attempts_to_stop(&attempts).await.unwrap()));
            all.push(format!("{:?}", store.orphans(lease, 100).await.map_err(|error| error.kind().clone())));
            let overdue = store.overdue_answers(lease, at(self.now), 100).await;
            all.push(format!("{:?}", overdue.map_err(|error| error.kind().clone())));
        }
        all.join("\n")
    }
}

/// The change set of the `what`-th event, if it fits the task; else one that is not a transition of it.
fn transition_of(task: &Task, what: u8, now: i64) -> ChangeSet {
    let reason = Reason::Person { actor: "cli:anna".to_owned(), text: what.to_string() };
    let end = |end: AttemptEnd| TaskEvent::End { fence: task.fence, end };
    let event = match what {
        0 => TaskEvent::Cancel { reason },
        1 => TaskEvent::Move { due_at: at(now + 30), reason },
        2 => TaskEvent::Hold { reason },
        3 => TaskEvent::Release { reason },
        4 => TaskEvent::RunNow { reason },
        5 => TaskEvent::TakeOver { may_repeat: true },
        6 => end(AttemptEnd::Retry { wake_at: at(now + 10), may_have_arrived: true, reason }),
        7 => end(AttemptEnd::Failed { reason }),
        8 | 14 => end(AttemptEnd::AnswerAwaited { until: at(now + 10), reason }),
        9 => end(AttemptEnd::Held { reason }),
        10 => end(AttemptEnd::Skipped { reason }),
        11 => end(AttemptEnd::Unknown { reason }),
        _ => end(AttemptEnd::Done { outcome: name("done"), reason }),
    };
    let mut changes = ChangeSet::new(task.entity.clone());
    if let Ok(applied) = task.apply(event, at(now)) {
        changes.transitions.push(hence_core::timeline::TaskWrite {
            id: task.id,
            state_before: task.state,
            fence_before: task.fence,
            cancel_asked_before: task.cancel_asked,
            task: applied.task,
            record: applied.record,
        });
    }
    changes
}

/// Plays the commands on a memory store and on the other one.
fn play(commands: &[Command], other: Arc<dyn Site>) -> Result<(), TestCaseError> {
    play_as(commands, other, Command::clone)
}

/// The same; the other store is given what `planted` makes of each command.
fn play_as(commands: &[Command], other: Arc<dyn Site>, planted: fn(&Command) -> Command) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut memory = Side::new(Arc::new(InMemory::new(1)));
        let mut other = Side::new(other);
        prop_assert_eq!(memory.take_lease().await, other.take_lease().await);
        for (number, command) in (1..).zip(commands) {
            prop_assert_eq!(memory.play(command).await, other.play(&planted(command)).await, "answer to {:?}", command);
            if number % LOOKED_AT_EACH == 0 || number == commands.len() {
                prop_assert_eq!(memory.everything().await, other.everything().await, "after {:?}", command);
            }
        }
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: STORIES, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_store_does_what_the_memory_store_does(commands in prop::collection::vec(command(), 1..80)) {
        play(&commands, Arc::new(InFile::new()))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: STORIES_POSTGRES, ..ProptestConfig::default() })]

    #[test]
    fn postgres_store_does_what_the_memory_store_does(commands in prop::collection::vec(command(), 1..80)) {
        play(&commands, Arc::new(InPostgres::new(1)))?;
    }
}

#[test]
fn a_difference_is_shown_by_few_commands() {
    // The other store cancels what was to be held.
    let planted = |command: &Command| match command.clone() {
        Command::Change { nth, what: 2, is_stale, with_lease } => Command::Change { nth, what: 0, is_stale, with_lease },
        other => other,
    };
    let config = ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let failed =
        runner.run(&prop::collection::vec(command(), 1..80), |commands| play_as(&commands, Arc::new(InMemory::new(1)), planted));
    let Err(TestError::Fail(reason, commands)) = failed else { panic!("it was not found: {failed:?}") };
    // Something to be held, the holding, and a look at what came of it.
    assert!(commands.len() <= 3, "{commands:?}");
    assert!(matches!(commands.last(), Some(Command::Change { what: 2, .. })), "{commands:?}");
    assert!(reason.message().contains("Change { nth: 0, what: 2"), "{reason}");
}
