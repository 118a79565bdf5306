//! Lists for people: every filter, and pages that are complete.

use std::collections::BTreeSet;
use std::sync::Arc;

use hence_core::history::RecordKind;
use hence_core::task::{Task, TaskEvent, TaskState};
use hence_core::timeline::ChangeSet;

use super::Site;
use super::fixture::{Bench, at, cancel, change, done, end, entity, event, name, note, record, task};
use crate::error::ErrorKind;
use crate::port::{Cursor, EntityFilter, HistoryFilter, HistoryOrder, HistoryRow, PageRequest, UpcomingFilter};

/// Tasks of two types of entities, in several states, ad-hoc ones among them; the lease is held by the node `one`.
async fn mixed(bench: &Bench) {
    for number in 0..4 {
        bench.enrol(&format!("account/{number}"), &[("remind", 100 + number), ("expire", 200)]).await;
        bench.enrol(&format!("order/{number}"), &[("remind", 150)]).await;
        let of = entity(&format!("account/{number}"));
        let mut ad_hoc = ChangeSet::new(of.clone());
        ad_hoc.created.push(task(bench.ids(1).await[0], None, &of, ("remind", at(300))));
        bench.write(ad_hoc, at(number)).await;
    }
    let lease = bench.lease().await;
    let started = bench.start(&lease, 101, 10).await;
    bench.write(change(&started[0], end(&started[0], done()), at(102)), at(102)).await;
    let waiting = bench.store.snapshots(&[entity("account/2"), entity("order/1")]).await.unwrap();
    let hold = TaskEvent::Hold { reason: note("wait") };
    bench.write(change(&waiting[0].live[0], hold, at(103)), at(103)).await;
    bench.write(change(&waiting[1].live[0], cancel(), at(104)), at(104)).await;
}

/// Every combination of these choices.
fn upcoming_filters() -> Vec<UpcomingFilter> {
    let mut filters = Vec::new();
    for entity_of in [None, Some(entity("account/2")), Some(entity("account/99"))] {
        for kind in [None, Some(name("account")), Some(name("order"))] {
            for (timeline, step) in [(None, None), (Some("trial"), None), (None, Some("remind")), (Some("trial"), Some("expire"))]
            {
                for states in
                    [vec![], vec![TaskState::Scheduled], vec![TaskState::Held, TaskState::Running], vec![TaskState::Done]]
                {
                    for (from, until) in [(None, None), (Some(at(101)), Some(at(200)))] {
                        filters.push(UpcomingFilter {
                            entity: entity_of.clone(),
                            entity_kind: kind.clone(),
                            timeline: timeline.map(name),
                            step: step.map(name),
                            states: states.clone(),
                            due_from: from,
                            due_until: until,
                        });
                    }
                }
            }
        }
    }
    filters
}

fn fits(filter: &UpcomingFilter, task: &Task) -> bool {
    filter.entity.as_ref().is_none_or(|of| task.entity == *of)
        && filter.entity_kind.as_ref().is_none_or(|kind| task.entity.kind() == kind)
        && (filter.timeline.is_none() || task.timeline.is_some())
        && filter.step.as_ref().is_none_or(|step| task.timeline.is_some() && task.step == *step)
        && (filter.states.is_empty() || filter.states.contains(&task.state))
        && filter.due_from.is_none_or(|from| task.due_at >= from)
        && filter.due_until.is_none_or(|until| task.due_at < until)
}

pub(super) async fn upcoming_filters_agree_with_the_tasks(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    mixed(&bench).await;
    let all = bench.upcoming(&UpcomingFilter::default(), 1000).await;
    let total: u64 = bench.store.totals().await.unwrap().live.values().sum();
    assert_eq!(all.len() as u64, total);
    assert!(all.is_sorted_by_key(|task| (task.due_at, task.id)));
    for filter in upcoming_filters() {
        let expected: Vec<Task> = all.iter().filter(|task| fits(&filter, task)).cloned().collect();
        assert_eq!(bench.upcoming(&filter, 3).await, expected, "{filter:?}");
    }
}

pub(super) async fn upcoming_pages_are_complete_while_rows_come(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let mut expected = BTreeSet::new();
    for number in 0..10 {
        expected
            .extend(bench.enrol(&format!("account/{number}"), &[("remind", 100 + number % 3)]).await.iter().map(|task| task.id));
    }
    let mut seen = Vec::new();
    let mut request = PageRequest::first(2);
    for number in 10.. {
        let page = bench.store.upcoming(&UpcomingFilter::default(), request.clone()).await.unwrap();
        seen.extend(page.items.iter().map(|task| task.id));
        request.after = page.next;
        if request.after.is_none() {
            break;
        }
        // One before and one at the place where the page ended.
        bench.enrol(&format!("account/{number}"), &[("remind", 50), ("expire", 101)]).await;
        assert!(number < 100, "the pages come to an end");
    }
    let distinct: BTreeSet<_> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len(), "none twice");
    assert!(expected.is_subset(&distinct), "none left out");
}

fn is_of(filter: &HistoryFilter, row: &HistoryRow) -> bool {
    let record = &row.record;
    filter.entity.as_ref().is_none_or(|of| record.entity == *of)
        && filter.task.is_none_or(|task| record.task == Some(task))
        && filter.timeline.as_ref().is_none_or(|name| row.timeline_name.as_ref() == Some(name))
        && filter.step.as_ref().is_none_or(|step| record.timeline.is_some() && record.step.as_ref() == Some(step))
        && (filter.kinds.is_empty() || filter.kinds.contains(&record.kind))
        && filter.from.is_none_or(|from| row.written_at >= from)
        && filter.until.is_none_or(|until| row.written_at < until)
}

pub(super) async fn history_filters_agree_with_the_records(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    mixed(&bench).await;
    let oldest_first = HistoryFilter { order: HistoryOrder::OldestFirst, ..HistoryFilter::default() };
    let all = bench.history(&oldest_first, 1000).await;
    assert!(all.is_sorted_by(|one, other| one.seq < other.seq && one.written_at <= other.written_at));
    let ended = all.iter().find(|row| row.record.kind == RecordKind::Done).unwrap().record.task;
    let kinds = [
        vec![],
        vec![RecordKind::Held, RecordKind::Cancelled],
        vec![RecordKind::Enrolled, RecordKind::Held],
        vec![RecordKind::Retried],
    ];
    for of in [None, Some(entity("account/0")), Some(entity("account/99"))] {
        for task in [None, ended] {
            for (timeline, step) in [(None, None), (Some("trial"), None), (None, Some("remind")), (Some("trial"), Some("expire"))]
            {
                for kinds in &kinds {
                    for (from, until) in
                        [(None, None), (Some(at(102)), None), (None, Some(at(103))), (Some(at(103)), Some(at(104)))]
                    {
                        let filter = HistoryFilter {
                            entity: of.clone(),
                            task,
                            timeline: timeline.map(name),
                            step: step.map(name),
                            kinds: kinds.clone(),
                            from,
                            until,
                            order: HistoryOrder::OldestFirst,
                        };
                        let expected: Vec<_> = all.iter().filter(|row| is_of(&filter, row)).cloned().collect();
                        assert_eq!(bench.history(&filter, 2).await, expected, "{filter:?}");
                    }
                }
            }
        }
    }
}

pub(super) async fn history_pages_both_ways(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let of = entity("account/1");
    for second in 0..11 {
        let mut changes = ChangeSet::new(of.clone());
        changes.records.push(record(&of, RecordKind::Event, at(second), note(&second.to_string())));
        bench.write(changes, at(second)).await;
    }
    for filter in [HistoryFilter::default(), HistoryFilter { entity: Some(of), ..HistoryFilter::default() }] {
        let newest_first = bench.history(&filter, 3).await;
        let mut oldest_first = bench.history(&HistoryFilter { order: HistoryOrder::OldestFirst, ..filter }, 4).await;
        assert_eq!(newest_first.len(), 11);
        assert_eq!(newest_first[0].record.at, at(10));
        oldest_first.reverse();
        assert_eq!(oldest_first, newest_first);
    }
}

pub(super) async fn a_task_shows_all_of_itself(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let planned = bench.enrol("account/1", &[("remind", 100), ("expire", 200)]).await.remove(0);
    let lease = bench.lease().await;
    let started = bench.start(&lease, 100, 1).await.remove(0);
    let view = bench.store.task(planned.id).await.unwrap().unwrap();
    assert_eq!(view.live.as_ref(), Some(&started));
    assert_eq!(view.records, []);
    bench.write(change(&started, end(&started, done()), at(101)), at(101)).await;
    let view = bench.store.task(planned.id).await.unwrap().unwrap();
    let origin = &view.origin;
    assert_eq!((origin.id, &origin.entity, &origin.step), (planned.id, &planned.entity, &planned.step));
    assert_eq!((&origin.reason, origin.created_at, origin.timeline), (&planned.reason, planned.created_at, planned.timeline));
    assert_eq!(view.live, None);
    assert_eq!(view.records.len(), 1);
    assert_eq!(view.records[0].timeline_name, Some(name("trial")));
    assert_eq!(view.timeline.unwrap().id, planned.timeline.unwrap());
}

pub(super) async fn entities_are_listed_by_their_written_form(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    for of in ["account/10", "account/1", "account/é", "account_old/1", "order/1"] {
        bench.enrol(of, &[("expire", 200), ("remind", 100)]).await;
    }
    // One that only a wish speaks of.
    bench.store.accept(vec![event(&entity("account/2"), "account.paid")], at(0)).await.unwrap();
    let all = |kind: Option<&str>, prefix: Option<&str>| EntityFilter {
        kind: kind.map(name),
        prefix: prefix.map(str::to_owned),
        is_postponed: false,
    };
    for (filter, expected) in [
        (all(None, None), vec!["account/1", "account/10", "account/2", "account/é", "account_old/1", "order/1"]),
        (all(Some("account"), None), vec!["account/1", "account/10", "account/2", "account/é"]),
        (all(Some("account"), Some("1")), vec!["account/1", "account/10"]),
        (all(None, Some("account_")), vec!["account_old/1"]),
        (all(None, Some("x")), vec![]),
    ] {
        let mut found = Vec::new();
        let mut request = PageRequest::first(2);
        loop {
            let page = bench.store.entities(&filter, request.clone()).await.unwrap();
            found.extend(page.items);
            request.after = page.next;
            if request.after.is_none() {
                break;
            }
        }
        assert_eq!(found.iter().map(|row| row.entity.to_string()).collect::<Vec<_>>(), expected);
        for row in &found {
            let is_planned = row.entity != entity("account/2");
            assert_eq!((row.version, row.next_due_at), if is_planned { (1, Some(at(100))) } else { (0, None) });
        }
    }
}

pub(super) async fn wrong_cursors_are_refused(site: Arc<dyn Site>) {
    let store = site.open();
    for text in ["", "x", "1:2:3", "99999999999999999999", "-"] {
        let page = PageRequest { limit: 1, after: Some(Cursor(text.to_owned())) };
        let upcoming = store.upcoming(&UpcomingFilter::default(), page.clone()).await.unwrap_err();
        let history = store.history(&HistoryFilter::default(), page).await.unwrap_err();
        assert_eq!((upcoming.kind(), history.kind()), (&ErrorKind::Invalid, &ErrorKind::Invalid), "{text}");
    }
    let nothing = store.upcoming(&UpcomingFilter::default(), PageRequest::first(0)).await.unwrap_err();
    assert_eq!(nothing.kind(), &ErrorKind::Invalid);
}
