//! Plain values to test stores with: instants by seconds, entities by text, change sets that do one thing.

use std::collections::BTreeMap;
use std::sync::Arc;

use hence_core::history::{Record, RecordKind};
use hence_core::name::{DefinitionHash, EntityKey, Fence, Name, TaskId, TimelineId};
use hence_core::reason::Reason;
use hence_core::task::{AttemptEnd, Task, TaskEvent, TaskState};
use hence_core::timeline::{ChangeSet, TaskWrite, Timeline, TimelineStatus};
use hence_core::wish::Wish;
use jiff::Timestamp;

use crate::port::{Beat, Conflict, Lease, Life, NewWish, OwnedShard, PageRequest, StartRequest, Store, Written};

/// 2026-03-01T00:00:00Z and that many seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_772_323_200 + seconds).unwrap()
}

/// The entity of its written form.
pub fn entity(text: &str) -> EntityKey {
    text.parse().unwrap()
}

/// A name.
pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A reason that says this.
pub fn note(text: &str) -> Reason {
    Reason::Note { text: text.to_owned() }
}

/// An active timeline of the definition `trial`.
pub fn timeline(id: i64, entity: &EntityKey) -> Timeline {
    Timeline {
        id: TimelineId(id),
        name: name("trial"),
        definition: DefinitionHash("ab".repeat(32)),
        entity: entity.clone(),
        run: 1,
        status: TimelineStatus::Active,
        enrolled_at: at(0),
        given: BTreeMap::from([(name("created_at"), at(-60))]),
        facts: serde_json::json!({ "account": { "email": "a@example.com" } }),
    }
}

/// A waiting task of that timeline; of none, it is an ad-hoc task and `step` is its key.
pub fn task(id: i64, timeline: Option<&Timeline>, of: &EntityKey, (step, due_at): (&str, Timestamp)) -> Task {
    Task {
        id: TaskId(id),
        timeline: timeline.map(|timeline| timeline.id),
        entity: of.clone(),
        step: name(step),
        occurrence: String::new(),
        due_at,
        wake_at: due_at,
        state: TaskState::Scheduled,
        fence: Fence(0),
        started_at: None,
        attempt: 0,
        takeovers: 0,
        possible_duplicate: false,
        cancel_asked: false,
        answer_awaited: false,
        created_at: at(0),
        reason: note("planned"),
        action: timeline.is_none().then(|| serde_json::json!({ "log": "hello" })),
    }
}

/// A record about the entity as a whole.
pub fn record(of: &EntityKey, kind: RecordKind, told_at: Timestamp, reason: Reason) -> Record {
    Record::about(of.clone(), (kind, told_at), reason)
}

/// The event as a conditional write of that task.
pub fn transition(task: &Task, event: TaskEvent, now: Timestamp) -> TaskWrite {
    let applied = task.apply(event, now).unwrap();
    TaskWrite {
        id: task.id,
        state_before: task.state,
        fence_before: task.fence,
        cancel_asked_before: task.cancel_asked,
        task: applied.task,
        record: applied.record,
    }
}

/// A change set with one transition.
pub fn change(task: &Task, event: TaskEvent, now: Timestamp) -> ChangeSet {
    let mut changes = ChangeSet::new(task.entity.clone());
    changes.transitions.push(transition(task, event, now));
    changes
}

/// The end of the attempt under way.
pub fn end(task: &Task, end: AttemptEnd) -> TaskEvent {
    TaskEvent::End { fence: task.fence, end }
}

/// Delivered, plainly.
pub fn done() -> AttemptEnd {
    AttemptEnd::Done { outcome: name("done"), reason: note("delivered") }
}

/// A cancel by a person.
pub fn cancel() -> TaskEvent {
    TaskEvent::Cancel { reason: Reason::Person { actor: "cli:anna".to_owned(), text: "not needed".to_owned() } }
}

/// An event wish without data.
pub fn event(of: &EntityKey, word: &str) -> NewWish {
    let wish = Wish::Event {
        entity: of.clone(),
        name: word.parse().unwrap(),
        data: serde_json::json!({}),
        facts: serde_json::Value::Null,
    };
    NewWish { wish, at: at(0), actor: "app".to_owned(), key: None }
}

/// A beat of that node at that second, and numbered by it from 1.
pub fn beat(node: &str, second: i64) -> Beat {
    Beat { node: node.to_owned(), number: second + 1, at: at(second), is_leaving: false, notice: None }
}

/// Gives the node all shards under new epochs, except those of nodes that are known to live in another process.
pub async fn own_all(store: &dyn Store, node: &str) -> Lease {
    let seen = store.beat(&beat(node, 0)).await.unwrap();
    store.release(&seen.lease_of(node)).await.unwrap();
    for other in seen.nodes.iter().filter(|other| other.node != node && other.life != Life::Alive) {
        store.forget(&other.node, other.beat).await.unwrap();
    }
    let free: Vec<OwnedShard> = store.ownership().await.unwrap().free().collect();
    Lease { node: node.to_owned(), shards: store.take(node, &free).await.unwrap() }
}

/// A store with the few calls that most checks need.
pub struct Bench {
    /// The store.
    pub store: Arc<dyn Store>,
}

impl Bench {
    /// Writes one change set, which must be applied.
    pub async fn write(&self, changes: ChangeSet, now: Timestamp) {
        assert_eq!(self.store.write(None, vec![changes], now).await.unwrap(), [Written::Applied]);
    }

    /// Writes one change set, which must be refused.
    pub async fn refused(&self, changes: ChangeSet, now: Timestamp) -> Conflict {
        match self.store.write(None, vec![changes], now).await.unwrap().remove(0) {
            Written::Conflict(conflict) => conflict,
            Written::Applied => panic!("the change set was written"),
        }
    }

    /// New numbers.
    pub async fn ids(&self, count: usize) -> Vec<i64> {
        self.store.reserve_ids(count).await.unwrap().collect()
    }

    /// Enrols the entity with one waiting task for each step, written at second 0.
    pub async fn enrol(&self, of: &str, steps: &[(&str, i64)]) -> Vec<Task> {
        let of = entity(of);
        let version = self.store.snapshots(std::slice::from_ref(&of)).await.unwrap()[0].version;
        let ids = self.ids(steps.len() + 1).await;
        let line = timeline(ids[0], &of);
        let mut changes = ChangeSet::new(of.clone());
        changes.planned_from = Some(version);
        let tasks = ids[1..].iter().zip(steps).map(|(id, (step, due))| task(*id, Some(&line), &of, (step, at(*due))));
        changes.created = tasks.collect();
        let mut enrolled = record(&of, RecordKind::Enrolled, at(0), note("enrolled"));
        enrolled.timeline = Some(line.id);
        changes.records.push(enrolled);
        changes.timelines.push(line);
        let tasks = changes.created.clone();
        self.write(changes, at(0)).await;
        tasks
    }

    /// All shards, given to the node `one` under new epochs.
    pub async fn lease(&self) -> Lease {
        own_all(self.store.as_ref(), "one").await
    }

    /// Starts up to `limit` tasks that are due at that second.
    pub async fn start(&self, lease: &Lease, second: i64, limit: usize) -> Vec<Task> {
        let request = StartRequest { now: at(second), from: None, to: at(second), limit };
        self.store.start(lease, request).await.unwrap()
    }

    /// The live task of that number.
    pub async fn live(&self, id: TaskId) -> Option<Task> {
        self.store.task(id).await.unwrap()?.live
    }

    /// The whole history, oldest first, by small pages.
    pub async fn history(&self, filter: &crate::port::HistoryFilter, limit: usize) -> Vec<crate::port::HistoryRow> {
        let mut rows = Vec::new();
        let mut request = PageRequest::first(limit);
        loop {
            let page = self.store.history(filter, request.clone()).await.unwrap();
            assert!(page.items.len() <= limit);
            rows.extend(page.items);
            request.after = page.next;
            if request.after.is_none() {
                return rows;
            }
        }
    }

    /// All upcoming tasks, by small pages.
    pub async fn upcoming(&self, filter: &crate::port::UpcomingFilter, limit: usize) -> Vec<Task> {
        let mut tasks = Vec::new();
        let mut request = PageRequest::first(limit);
        loop {
            let page = self.store.upcoming(filter, request.clone()).await.unwrap();
            assert!(page.items.len() <= limit);
            tasks.extend(page.items);
            request.after = page.next;
            if request.after.is_none() {
                return tasks;
            }
        }
    }
}
