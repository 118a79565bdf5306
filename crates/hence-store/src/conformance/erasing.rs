//! Erasing and forgetting.

use std::sync::Arc;

use hence_core::history::RecordKind;
use hence_core::reason::Reason;
use hence_core::task::{AttemptEnd, TaskEvent, TaskState};
use hence_core::timeline::ChangeSet;

use super::Site;
use super::fixture::{Bench, at, cancel, change, done, end, entity, event, name, note, record, task, timeline};
use crate::port::{Conflict, CountOf, CountSpan, CountsFilter, EntityFilter, HistoryFilter, PageRequest, UpcomingFilter};

/// A text that stands in everything that callers, receivers and people told of the entity that is erased.
pub const MARKER: &str = "anna.secret.marker";

/// Fills a store with [`MARKER`] in every place that holds what was told of `account/1`; gives a task that runs.
pub async fn tell_marker(bench: &Bench) -> hence_core::task::Task {
    let of = entity("account/1");
    let facts = || serde_json::json!({ "account": { "email": MARKER } });
    let ids = bench.ids(6).await;
    let mut line = timeline(ids[0], &of);
    line.facts = facts();
    let mut changes = ChangeSet::new(of.clone());
    changes.planned_from = Some(0);
    for (id, step, due) in [(ids[1], "remind", 100), (ids[2], "expire", 101), (ids[3], "tell", 5000)] {
        let mut task = task(id, Some(&line), &of, (step, at(due)));
        task.reason = Reason::Facts { facts: facts(), actor: MARKER.to_owned() };
        changes.created.push(task);
    }
    let mut ad_hoc = task(ids[4], None, &of, ("call", at(5000)));
    ad_hoc.action = Some(serde_json::json!({ "log": MARKER }));
    ad_hoc.reason = Reason::AdHoc { actor: MARKER.to_owned(), text: MARKER.to_owned() };
    changes.created.push(ad_hoc);
    let data = serde_json::json!({ "card": MARKER });
    let told = Reason::Event { name: "account.paid".into(), at: at(0), actor: MARKER.into(), data, text: Some(MARKER.into()) };
    let moved = Reason::Moved { from: at(0), cause: "x".into(), because: Box::new(told.clone()) };
    changes.records = [told, moved, note(MARKER), Reason::Facts { facts: facts(), actor: MARKER.into() }]
        .map(|reason| record(&of, RecordKind::Event, at(0), reason))
        .into();
    changes.timelines.push(line);
    bench.write(changes, at(1)).await;
    let lease = bench.lease().await;
    let first = bench.start(&lease, 100, 1).await.remove(0);
    let answered = Reason::Answered {
        to: MARKER.into(),
        facts: [("account.email".to_owned(), serde_json::json!(MARKER))].into(),
        when: None,
        result: serde_json::json!({ "said": MARKER }),
        possible_duplicate: false,
    };
    let ended = AttemptEnd::Done { outcome: name("done"), reason: answered };
    bench.write(change(&first, end(&first, ended), at(100)), at(100)).await;
    let second = bench.start(&lease, 101, 1).await.remove(0);
    let failed = Reason::Failed { code: "timed-out".into(), problem: MARKER.into(), retry_at: None };
    let retry = AttemptEnd::Retry { wake_at: at(101), may_have_arrived: true, reason: failed };
    bench.write(change(&second, end(&second, retry), at(101)), at(101)).await;
    let running = bench.start(&lease, 102, 1).await.remove(0);
    let mut wish = event(&of, "account.paid");
    wish.actor = MARKER.to_owned();
    wish.key = Some(MARKER.to_owned());
    bench.store.accept(vec![wish], at(103)).await.unwrap();
    running
}

/// Everything that the port shows, as text.
async fn everything(bench: &Bench) -> String {
    let store = &bench.store;
    let mut all = Vec::new();
    let entities = store.entities(&EntityFilter::default(), PageRequest::first(100)).await.unwrap().items;
    for row in &entities {
        all.push(format!("{row:?}"));
        all.push(format!("{:?}", store.snapshots(std::slice::from_ref(&row.entity)).await.unwrap()));
    }
    let rows = bench.history(&HistoryFilter::default(), 100).await;
    for row in &rows {
        if let Some(id) = row.record.task {
            all.push(format!("{:?}", store.task(id).await.unwrap()));
        }
    }
    all.push(format!("{rows:?}"));
    all.push(format!("{:?}", bench.upcoming(&UpcomingFilter::default(), 100).await));
    all.push(format!("{:?}", store.wishes(None, at(0), 100).await.unwrap()));
    all.join("\n")
}

pub(super) async fn erasing_leaves_no_trace_of_what_was_told(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    tell_marker(&bench).await;
    bench.enrol("account/2", &[("remind", 100)]).await;
    assert!(everything(&bench).await.matches(MARKER).count() > 10, "there is something to erase");
    let other = bench.store.snapshots(&[entity("account/2")]).await.unwrap();
    assert!(bench.store.erase(&entity("account/1"), at(200)).await.unwrap());
    assert!(!everything(&bench).await.contains(MARKER));
    assert_eq!(bench.store.snapshots(&[entity("account/2")]).await.unwrap(), other, "of another nothing is erased");
    let mut wish = event(&entity("account/1"), "account.closed");
    wish.key = Some(MARKER.to_owned());
    let accepted = bench.store.accept(vec![wish], at(201)).await.unwrap();
    assert!(matches!(accepted[0], crate::port::Acceptance::Accepted { is_duplicate: false, .. }), "its keys are free");
}

pub(super) async fn erasing_ends_what_was_ahead(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let running = tell_marker(&bench).await;
    let of = entity("account/1");
    let before = bench.store.snapshots(std::slice::from_ref(&of)).await.unwrap().remove(0);
    assert!(bench.store.erase(&of, at(200)).await.unwrap());
    let after = bench.store.snapshots(std::slice::from_ref(&of)).await.unwrap().remove(0);
    assert_eq!(after.live, []);
    assert_eq!(after.version, before.version + 1, "a plan made before is outdated");
    assert!(
        after.timelines.iter().all(|line| line.status == hence_core::timeline::TimelineStatus::Ended && line.given.is_empty())
    );
    assert_eq!(after.records.len(), before.records.len() + before.live.len() + 1);
    assert_eq!(after.records.last().unwrap().kind, RecordKind::Notice, "the proof");
    let ends = |kind: RecordKind| after.records.iter().filter(|record| record.kind == kind).count();
    assert_eq!((ends(RecordKind::Cancelled), ends(RecordKind::Unknown), ends(RecordKind::Done)), (2, 1, 1));
    // The attempt that ran has nothing to write to any more.
    let late = change(&running, end(&running, done()), at(201));
    assert_eq!(bench.refused(late, at(201)).await, Conflict::TaskChanged(running.id));
    let lease = bench.lease().await;
    assert_eq!(bench.start(&lease, 100_000, 10).await, []);
    assert!(bench.store.erase(&of, at(300)).await.unwrap());
    let again = bench.store.snapshots(&[of]).await.unwrap().remove(0);
    assert_eq!(again.records.len(), after.records.len() + 1, "erasing twice leaves a second proof");
}

pub(super) async fn erasures_come_due(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    for (of, instants) in [("account/1", vec![300, 200, 400]), ("account/2", vec![150])] {
        for second in instants {
            let mut changes = ChangeSet::new(entity(of));
            changes.erase_at = Some(at(second));
            bench.write(changes, at(0)).await;
        }
    }
    bench.write(ChangeSet::new(entity("account/1")), at(1)).await;
    assert_eq!(bench.store.due_erasures(None, at(149), 10).await.unwrap(), []);
    let (one, two) = (entity("account/1"), entity("account/2"));
    assert_eq!(
        bench.store.due_erasures(None, at(200), 10).await.unwrap(),
        [two.clone(), one.clone()],
        "the earliest instant stays"
    );
    assert_eq!(bench.store.due_erasures(None, at(200), 1).await.unwrap(), std::slice::from_ref(&two));
    bench.store.erase(&two, at(201)).await.unwrap();
    assert_eq!(bench.store.due_erasures(None, at(900), 10).await.unwrap(), [one]);
}

pub(super) async fn pruning_forgets_only_what_is_over(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    // Over; still active; over but told of again; over, later.
    let mut over = Vec::new();
    for (of, ended_at) in [("account/1", 10), ("account/3", 10), ("account/4", 500)] {
        let task = bench.enrol(of, &[("remind", 100)]).await.remove(0);
        let mut changes = change(&task, cancel(), at(ended_at));
        let mut line = timeline(task.timeline.unwrap().0, &task.entity);
        line.status = hence_core::timeline::TimelineStatus::Ended;
        changes.timelines.push(line);
        bench.write(changes, at(ended_at)).await;
        over.push(task);
    }
    let waiting = bench.enrol("account/2", &[("remind", 100)]).await.remove(0);
    bench.write(change(&waiting, TaskEvent::Hold { reason: note("") }, at(20)), at(20)).await;
    bench.store.accept(vec![event(&entity("account/3"), "account.paid")], at(30)).await.unwrap();
    assert_eq!(bench.store.prune(at(10), 10).await.unwrap(), 0);
    let filter = CountsFilter {
        of: CountOf::Finished,
        span: CountSpan::Day,
        from: at(-100_000),
        until: at(100_000),
        timeline: None,
        step: None,
    };
    let counts = bench.store.counts(&filter).await.unwrap();
    assert_eq!(bench.store.prune(at(400), 10).await.unwrap(), 1);
    assert_eq!(bench.store.prune(at(400), 10).await.unwrap(), 0);
    assert_eq!(bench.store.task(over[0].id).await.unwrap(), None);
    assert_eq!(bench.live(waiting.id).await.unwrap().state, TaskState::Held);
    assert!(bench.store.task(over[1].id).await.unwrap().is_some());
    assert!(bench.store.task(over[2].id).await.unwrap().is_some());
    let totals = bench.store.totals().await.unwrap();
    assert_eq!((totals.entities, totals.timelines), (3, 3));
    assert_eq!(bench.store.counts(&filter).await.unwrap(), counts, "counters stay");
    let left = bench.history(&HistoryFilter { entity: Some(entity("account/1")), ..HistoryFilter::default() }, 9).await;
    assert_eq!(left, []);
}
