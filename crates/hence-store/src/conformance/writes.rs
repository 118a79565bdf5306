//! Change sets: written whole or not at all, and only over what the caller saw.

use std::sync::Arc;

use hence_core::history::{RecordKind, fold};
use hence_core::name::{Fence, TaskId, TimelineId, WishId};
use hence_core::reason::Reason;
use hence_core::task::{AttemptEnd, TaskEvent, TaskState};
use hence_core::timeline::{ChangeSet, EntitySnapshot};

use super::Site;
use super::fixture::{Bench, at, cancel, change, done, end, entity, event, note, record, task, timeline, transition};
use crate::port::{Conflict, HistoryFilter, HistoryOrder, Written};

async fn snapshot(bench: &Bench, of: &str) -> EntitySnapshot {
    bench.store.snapshots(&[entity(of)]).await.unwrap().remove(0)
}

pub(super) async fn an_unknown_entity_is_empty(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let of = entity("account/1");
    let empty = EntitySnapshot { entity: of, version: 0, timelines: vec![], live: vec![], records: vec![] };
    assert_eq!(snapshot(&bench, "account/1").await, empty);
    assert_eq!(bench.store.task(TaskId(1)).await.unwrap(), None);
    assert!(!bench.store.erase(&entity("account/1"), at(0)).await.unwrap());
    assert_eq!(bench.store.totals().await.unwrap(), crate::port::Totals::default());
}

pub(super) async fn what_is_written_comes_back(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let tasks = bench.enrol("account/1", &[("expire", 300), ("remind", 100)]).await;
    bench.enrol("account/2", &[("remind", 200)]).await;
    let of = entity("account/1");
    let mut ad_hoc = ChangeSet::new(of.clone());
    let id = bench.ids(1).await[0];
    ad_hoc.created.push(task(id, None, &of, ("call_back", at(200))));
    bench.write(ad_hoc.clone(), at(1)).await;
    let mut found = snapshot(&bench, "account/1").await;
    assert_eq!((found.version, found.entity.clone()), (1, of.clone()));
    assert_eq!(found.timelines, [timeline(found.timelines[0].id.0, &of)]);
    assert_eq!(found.live, [tasks[1].clone(), ad_hoc.created[0].clone(), tasks[0].clone()], "by due instant");
    assert_eq!(found.records.iter().map(|record| record.kind).collect::<Vec<_>>(), [RecordKind::Enrolled]);
    // A timeline is replaced by its number.
    let mut line = found.timelines.remove(0);
    line.status = hence_core::timeline::TimelineStatus::Ended;
    line.facts = serde_json::json!({});
    let mut changes = ChangeSet::new(of.clone());
    changes.timelines.push(line.clone());
    bench.write(changes, at(2)).await;
    let both = site.open().snapshots(&[entity("account/2"), of]).await.unwrap();
    assert_eq!(both[1].timelines, [line]);
    assert_eq!((both[1].version, both[0].version), (1, 1), "only plans are counted");
    assert_eq!(both[0].live.len(), 1);
}

pub(super) async fn second_plan_from_the_same_version_conflicts(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    bench.enrol("account/1", &[("remind", 100)]).await;
    let mut plan = ChangeSet::new(entity("account/1"));
    plan.planned_from = Some(1);
    plan.records.push(record(&entity("account/1"), RecordKind::Event, at(1), note("told")));
    bench.write(plan.clone(), at(1)).await;
    assert_eq!(bench.refused(plan.clone(), at(2)).await, Conflict::VersionChanged { planned_from: 1, stored: 2 });
    plan.planned_from = Some(0);
    assert_eq!(bench.refused(plan.clone(), at(2)).await, Conflict::VersionChanged { planned_from: 0, stored: 2 });
    assert_eq!(snapshot(&bench, "account/1").await.records.len(), 2);
    let mut unknown = ChangeSet::new(entity("account/9"));
    unknown.planned_from = Some(3);
    assert_eq!(bench.refused(unknown, at(2)).await, Conflict::VersionChanged { planned_from: 3, stored: 0 });
}

pub(super) async fn a_wish_is_carried_out_once(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let of = entity("account/1");
    bench.store.accept(vec![event(&of, "account.paid")], at(0)).await.unwrap();
    let id = bench.store.wishes(None, at(0), 1).await.unwrap()[0].id();
    let mut changes = ChangeSet::new(of.clone());
    changes.carried_out.push(id);
    changes.records.push(record(&of, RecordKind::Event, at(0), note("paid")));
    bench.write(changes.clone(), at(1)).await;
    assert_eq!(bench.refused(changes.clone(), at(1)).await, Conflict::WishGone(id));
    changes.carried_out = vec![WishId(id.0 + 1000)];
    assert_eq!(bench.refused(changes, at(1)).await, Conflict::WishGone(WishId(id.0 + 1000)));
    assert_eq!(snapshot(&bench, "account/1").await.records.len(), 1);
    assert_eq!(bench.store.wishes(None, at(0), 10).await.unwrap(), []);
}

pub(super) async fn a_change_set_is_written_whole_or_not_at_all(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let tasks = bench.enrol("account/1", &[("remind", 100), ("expire", 200)]).await;
    let of = entity("account/1");
    bench.store.accept(vec![event(&of, "account.paid")], at(0)).await.unwrap();
    let before = (snapshot(&bench, "account/1").await, bench.store.totals().await.unwrap());
    let mut changes = change(&tasks[0], cancel(), at(1));
    changes.planned_from = Some(1);
    changes.carried_out.push(bench.store.wishes(None, at(0), 1).await.unwrap()[0].id());
    changes.timelines.push(timeline(bench.ids(1).await[0], &of));
    changes.records.push(record(&of, RecordKind::Event, at(1), note("paid")));
    changes.created.push(task(bench.ids(1).await[0], None, &of, ("call", at(9))));
    // The last part of it cannot be written.
    let mut wrong = transition(&tasks[1], cancel(), at(1));
    wrong.fence_before = Fence(0);
    wrong.state_before = TaskState::Held;
    changes.transitions.push(wrong);
    assert_eq!(bench.refused(changes.clone(), at(1)).await, Conflict::TaskChanged(tasks[1].id));
    assert_eq!((snapshot(&bench, "account/1").await, bench.store.totals().await.unwrap()), before);
    assert_eq!(bench.store.wishes(None, at(0), 10).await.unwrap().len(), 1);
    // Without that part it can.
    changes.transitions.pop();
    bench.write(changes, at(1)).await;
    assert_eq!(bench.store.wishes(None, at(0), 10).await.unwrap(), []);
}

pub(super) async fn an_occurrence_is_planned_once(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let tasks = bench.enrol("account/1", &[("remind", 100)]).await;
    let of = entity("account/1");
    let line = snapshot(&bench, "account/1").await.timelines.remove(0);
    let ids = bench.ids(3).await;
    let create = |id: i64, occurrence: &str| {
        let mut changes = ChangeSet::new(of.clone());
        let mut new = task(id, Some(&line), &of, ("remind", at(500)));
        new.occurrence = occurrence.to_owned();
        changes.created.push(new);
        changes
    };
    let twice = Conflict::DuplicateTask(TaskId(ids[0]));
    assert_eq!(bench.refused(create(ids[0], ""), at(1)).await, twice, "while it waits");
    bench.write(change(&tasks[0], cancel(), at(2)), at(2)).await;
    assert_eq!(bench.refused(create(ids[0], ""), at(3)).await, twice, "once it is over");
    bench.write(create(ids[0], "2026-05-01"), at(4)).await;
    assert_eq!(bench.refused(create(ids[0], "2026-06-01"), at(5)).await, twice, "the number is taken");
    let mut both = create(ids[1], "2026-07-01");
    both.created.extend(create(ids[2], "2026-07-01").created);
    assert_eq!(bench.refused(both, at(6)).await, Conflict::DuplicateTask(TaskId(ids[2])));
    // Two ad-hoc tasks may have the same key: the planner says when one is meant.
    let mut ad_hoc = ChangeSet::new(of.clone());
    ad_hoc.created = ids[1..].iter().map(|id| task(*id, None, &of, ("call", at(9)))).collect();
    bench.write(ad_hoc, at(7)).await;
}

pub(super) async fn a_changed_task_is_not_overwritten(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let tasks = bench.enrol("account/1", &[("remind", 100)]).await;
    let changed = Conflict::TaskChanged(tasks[0].id);
    let lease = bench.lease().await;
    let started = bench.start(&lease, 100, 10).await.remove(0);
    assert_eq!(bench.refused(change(&tasks[0], cancel(), at(101)), at(101)).await, changed, "it runs by now");
    let mut stale = change(&started, end(&started, done()), at(101));
    stale.transitions[0].fence_before = Fence(started.fence.0 - 1);
    assert_eq!(bench.refused(stale, at(101)).await, changed, "another fence");
    let mut other = change(&started, end(&started, done()), at(101));
    other.entity = entity("account/2");
    other.transitions[0].task.entity = other.entity.clone();
    other.transitions[0].record.as_mut().unwrap().entity = other.entity.clone();
    assert_eq!(bench.refused(other, at(101)).await, changed, "another entity's");
    let mut unknown = change(&started, end(&started, done()), at(101));
    unknown.transitions[0].id = TaskId(tasks[0].id.0 + 5000);
    unknown.transitions[0].task.id = unknown.transitions[0].id;
    unknown.transitions[0].record.as_mut().unwrap().task = Some(unknown.transitions[0].id);
    assert!(matches!(bench.refused(unknown, at(101)).await, Conflict::TaskChanged(_)));
    assert_eq!(bench.live(started.id).await, Some(started.clone()));
    // A cancel that is asked of a running task changes neither state nor fence, and yet nobody may overwrite it unseen.
    let ended = change(&started, end(&started, done()), at(102));
    bench.write(change(&started, cancel(), at(102)), at(102)).await;
    assert_eq!(bench.refused(ended, at(102)).await, changed, "a cancel was asked");
    let marked = bench.live(started.id).await.unwrap();
    assert!(marked.cancel_asked);
    bench.write(change(&marked, end(&marked, done()), at(103)), at(103)).await;
}

pub(super) async fn a_final_state_never_changes(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    bench.enrol("account/1", &[("remind", 100)]).await;
    let lease = bench.lease().await;
    let started = bench.start(&lease, 100, 10).await.remove(0);
    let ended = change(&started, end(&started, done()), at(101));
    bench.write(ended.clone(), at(101)).await;
    assert_eq!(bench.refused(ended, at(102)).await, Conflict::TaskChanged(started.id));
    let failed = change(&started, end(&started, AttemptEnd::Failed { reason: note("no") }), at(102));
    assert_eq!(bench.refused(failed, at(102)).await, Conflict::TaskChanged(started.id));
    let view = bench.store.task(started.id).await.unwrap().unwrap();
    assert_eq!(view.live, None);
    let last = &view.records.last().unwrap().record;
    assert_eq!((last.kind, last.outcome.as_deref(), last.attempt), (RecordKind::Done, Some("done"), 1));
    assert_eq!((last.started_at, last.fence), (Some(at(100)), started.fence));
}

pub(super) async fn contradictions_are_refused(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let tasks = bench.enrol("account/1", &[("remind", 100)]).await;
    let (of, other) = (entity("account/1"), entity("account/2"));
    let ids = bench.ids(1).await;
    let invalid = |conflict: Conflict| assert!(matches!(conflict, Conflict::Invalid(_)), "{conflict:?}");
    let mut changes = ChangeSet::new(of.clone());
    changes.records.push(record(&other, RecordKind::Event, at(0), note("")));
    invalid(bench.refused(changes, at(1)).await);
    let mut changes = ChangeSet::new(of.clone());
    changes.created.push(task(ids[0], None, &other, ("call", at(0))));
    invalid(bench.refused(changes, at(1)).await);
    let mut changes = ChangeSet::new(of.clone());
    changes.created.push(task(-1, None, &of, ("call", at(0))));
    invalid(bench.refused(changes, at(1)).await);
    let mut changes = change(&tasks[0], cancel(), at(1));
    changes.transitions[0].record = None;
    invalid(bench.refused(changes, at(1)).await);
    let mut changes = change(&tasks[0], cancel(), at(1));
    changes.transitions.push(changes.transitions[0].clone());
    invalid(bench.refused(changes, at(1)).await);
    let mut changes = ChangeSet::new(other.clone());
    changes.timelines.push(timeline(tasks[0].timeline.unwrap().0, &other));
    invalid(bench.refused(changes, at(1)).await);
    let mut changes = ChangeSet::new(other.clone());
    let mut foreign = task(ids[0], None, &other, ("call", at(0)));
    foreign.timeline = tasks[0].timeline;
    changes.created.push(foreign);
    assert_eq!(bench.refused(changes, at(1)).await, Conflict::UnknownTimeline(tasks[0].timeline.unwrap()));
    let mut changes = ChangeSet::new(of.clone());
    let mut lost = record(&of, RecordKind::Ended, at(1), note(""));
    lost.timeline = Some(TimelineId(987_654));
    changes.records.push(lost);
    assert_eq!(bench.refused(changes, at(1)).await, Conflict::UnknownTimeline(TimelineId(987_654)));
    assert_eq!(bench.store.totals().await.unwrap().entities, 1, "nothing of it was written");
}

pub(super) async fn a_move_brings_reason_and_action(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let of = entity("account/1");
    let waiting = task(bench.ids(1).await[0], None, &of, ("call", at(100)));
    let mut changes = ChangeSet::new(of);
    changes.created.push(waiting.clone());
    bench.write(changes, at(0)).await;
    let mut moved = change(&waiting, TaskEvent::Move { due_at: at(300), reason: note("later") }, at(1));
    moved.transitions[0].task.reason = note("new");
    moved.transitions[0].task.action = Some(serde_json::json!({ "log": "bye" }));
    bench.write(moved, at(1)).await;
    let now = bench.live(waiting.id).await.unwrap();
    assert_eq!((now.due_at, now.wake_at, &now.reason), (at(300), at(300), &note("new")));
    assert_eq!(now.action, Some(serde_json::json!({ "log": "bye" })));
    // Nothing else does.
    let mut held = change(&now, TaskEvent::Hold { reason: note("wait") }, at(2));
    held.transitions[0].task.reason = note("other");
    held.transitions[0].task.action = None;
    bench.write(held, at(2)).await;
    let held = bench.live(waiting.id).await.unwrap();
    assert_eq!((held.state, held.reason, held.action), (TaskState::Held, now.reason, now.action));
}

pub(super) async fn a_batch_answers_each_change_set(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let tasks = bench.enrol("account/1", &[("remind", 100), ("expire", 200)]).await;
    let cancel_first = change(&tasks[0], cancel(), at(1));
    let held = change(&tasks[1], TaskEvent::Hold { reason: note("wait") }, at(1));
    let now_held = held.transitions[0].task.clone();
    // The last one sees what the third one wrote.
    let released = change(&now_held, TaskEvent::Release { reason: note("go") }, at(1));
    let batch = vec![cancel_first.clone(), cancel_first, held, released];
    let answers = bench.store.write(None, batch, at(1)).await.unwrap();
    let expected = [Written::Applied, Written::Conflict(Conflict::TaskChanged(tasks[0].id)), Written::Applied, Written::Applied];
    assert_eq!(answers, expected);
    let kinds: Vec<_> = snapshot(&bench, "account/1").await.records.iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [RecordKind::Enrolled, RecordKind::Cancelled, RecordKind::Held, RecordKind::Released]);
}

pub(super) async fn time_never_goes_back_in_history(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let of = entity("account/1");
    for (now, told_at) in [(100, 5), (50, 7), (200, 1)] {
        let mut changes = ChangeSet::new(of.clone());
        changes.records.push(record(&of, RecordKind::Event, at(told_at), note("told")));
        bench.write(changes, at(now)).await;
    }
    let filter = HistoryFilter { order: HistoryOrder::OldestFirst, ..HistoryFilter::default() };
    let rows = bench.history(&filter, 10).await;
    let shown: Vec<_> = rows.iter().map(|row| (row.written_at, row.record.at)).collect();
    assert_eq!(shown, [(at(100), at(5)), (at(100), at(7)), (at(200), at(1))]);
}

pub(super) async fn history_folds_to_the_state(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let created = bench.enrol("account/1", &[("remind", 100)]).await.remove(0);
    let lease = bench.lease().await;
    let person = || Reason::Person { actor: "cli:anna".to_owned(), text: String::new() };
    let mut now = 100;
    let mut state = created;
    for round in 0..4 {
        state = match round {
            0 | 2 => bench.start(&lease, now, 1).await.remove(0),
            1 => {
                let until = AttemptEnd::Retry { wake_at: at(now + 1), may_have_arrived: true, reason: note("again") };
                let changes = change(&state, end(&state, until), at(now));
                bench.write(changes.clone(), at(now)).await;
                changes.transitions[0].task.clone()
            }
            _ => {
                let changes = change(&state, TaskEvent::Cancel { reason: person() }, at(now));
                bench.write(changes.clone(), at(now)).await;
                changes.transitions[0].task.clone()
            }
        };
        now += 10;
        let view = bench.store.task(state.id).await.unwrap().unwrap();
        let live = view.live.unwrap();
        assert_eq!(live, state);
        // A start shows in the live row until the attempt ends.
        let records: Vec<_> = view.records.into_iter().map(|row| row.record).collect();
        let folded = fold(&records);
        assert!(folded == live.state || (folded, live.state) == (TaskState::Scheduled, TaskState::Running));
    }
    let failed = change(&state, end(&state, AttemptEnd::Failed { reason: note("no") }), at(now));
    bench.write(failed, at(now)).await;
    let records = snapshot(&bench, "account/1").await.records;
    let of_task: Vec<_> = records.into_iter().filter(|record| record.task == Some(state.id)).collect();
    assert_eq!(fold(&of_task), TaskState::Cancelled, "a failure after a cancel is a cancel");
}
