//! Counters: always what a recount gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use hence_core::history::RecordKind;
use hence_core::task::{AttemptEnd, TaskEvent};
use hence_core::timeline::ChangeSet;

use super::Site;
use super::fixture::{Bench, at, cancel, change, done, end, entity, event, name, note, task};
use crate::port::{Count, CountOf, CountSpan, CountsFilter, HistoryFilter, UpcomingFilter};

const HOUR: i64 = 3600;

fn counts_of(of: CountOf, span: CountSpan) -> CountsFilter {
    CountsFilter { of, span, from: at(-100 * HOUR), until: at(1000 * HOUR), timeline: None, step: None }
}

/// What the lists give: upcoming and finished, by hour, step and outcome.
async fn recount(bench: &Bench) -> BTreeMap<(String, i64, Option<String>), u64> {
    let mut counted = BTreeMap::new();
    for task in bench.upcoming(&UpcomingFilter::default(), 100).await {
        let step = task.timeline.map_or_else(String::new, |_| task.step.to_string());
        *counted.entry((step, task.due_at.as_second().div_euclid(HOUR), None)).or_default() += 1;
    }
    for row in bench.history(&HistoryFilter::default(), 100).await {
        if row.record.kind.final_state().is_some() {
            let step = row.record.timeline.map_or_else(String::new, |_| row.record.step.clone().unwrap().to_string());
            *counted.entry((step, row.written_at.as_second().div_euclid(HOUR), row.record.outcome)).or_default() += 1;
        }
    }
    counted
}

async fn counted(bench: &Bench) -> BTreeMap<(String, i64, Option<String>), u64> {
    let mut all = BTreeMap::new();
    for of in [CountOf::Upcoming, CountOf::Finished] {
        for Count { begins_at, timeline, step, outcome, count } in
            bench.store.counts(&counts_of(of, CountSpan::Hour)).await.unwrap()
        {
            assert!(count > 0);
            assert_eq!(timeline.is_some(), step.is_some());
            let step = step.map(|step| step.to_string()).unwrap_or_default();
            all.insert((step, begins_at.as_second().div_euclid(HOUR), outcome), count);
        }
    }
    all
}

async fn agree(bench: &Bench) {
    let recounted = recount(bench).await;
    assert_eq!(counted(bench).await, recounted);
    let totals = bench.store.totals().await.unwrap();
    let upcoming: u64 = recounted.iter().filter(|((_, _, outcome), _)| outcome.is_none()).map(|(_, count)| count).sum();
    assert_eq!(totals.live.values().sum::<u64>(), upcoming);
    let mut finished: BTreeMap<String, u64> = BTreeMap::new();
    for ((_, _, outcome), count) in recounted {
        if let Some(outcome) = outcome {
            *finished.entry(outcome).or_default() += count;
        }
    }
    assert_eq!(totals.finished, finished);
}

pub(super) async fn counters_equal_a_recount(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let lease = bench.lease().await;
    let mut tasks = Vec::new();
    for number in 0..6 {
        tasks.extend(bench.enrol(&format!("account/{number}"), &[("remind", 100), ("expire", number * HOUR)]).await);
    }
    let of = entity("account/0");
    let mut ad_hoc = ChangeSet::new(of.clone());
    ad_hoc.created.push(task(bench.ids(1).await[0], None, &of, ("call", at(5))));
    bench.write(ad_hoc, at(1)).await;
    bench.store.accept(vec![event(&of, "account.paid"), event(&entity("order/1"), "x")], at(1)).await.unwrap();
    agree(&bench).await;
    let totals = bench.store.totals().await.unwrap();
    assert_eq!((totals.entities, totals.timelines, totals.wishes), (7, 6, 2));
    assert_eq!(totals.next_wake_at, Some(at(0)));
    for (number, started) in bench.start(&lease, 2 * HOUR, 5).await.into_iter().enumerate() {
        let ended = match number {
            0 => AttemptEnd::Retry { wake_at: at(9 * HOUR), may_have_arrived: false, reason: note("") },
            1 => AttemptEnd::Done { outcome: name("already_paid"), reason: note("") },
            2 => AttemptEnd::AnswerAwaited { until: at(9 * HOUR), reason: note("") },
            _ => done(),
        };
        bench.write(change(&started, end(&started, ended), at(2 * HOUR)), at(2 * HOUR)).await;
        agree(&bench).await;
    }
    let waiting = bench.upcoming(&UpcomingFilter { entity: Some(entity("account/5")), ..UpcomingFilter::default() }, 10).await;
    bench
        .write(change(&waiting[0], TaskEvent::Move { due_at: at(50 * HOUR), reason: note("") }, at(3 * HOUR)), at(3 * HOUR))
        .await;
    agree(&bench).await;
    bench.write(change(waiting.last().unwrap(), cancel(), at(3 * HOUR)), at(3 * HOUR)).await;
    assert_eq!(
        bench.history(&HistoryFilter { kinds: vec![RecordKind::Cancelled], ..HistoryFilter::default() }, 9).await.len(),
        1
    );
    agree(&bench).await;
    bench.store.erase(&entity("account/4"), at(4 * HOUR)).await.unwrap();
    agree(&bench).await;
}

pub(super) async fn days_sum_up_hours(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    for (number, hour) in [0, 1, 23, 24, 47, 48, -1].into_iter().enumerate() {
        bench.enrol(&format!("account/{number}"), &[("remind", hour * HOUR + 59)]).await;
    }
    bench.enrol("order/1", &[("expire", 60)]).await;
    let shown = |counts: Vec<Count>| {
        let shown = counts.into_iter().map(|count| ((count.begins_at.as_second() - at(0).as_second()) / HOUR, count.count));
        shown.collect::<Vec<_>>()
    };
    let filter = CountsFilter { step: Some(name("remind")), ..counts_of(CountOf::Upcoming, CountSpan::Day) };
    assert_eq!(shown(bench.store.counts(&filter).await.unwrap()), [(-24, 1), (0, 3), (24, 2), (48, 1)]);
    // A span that began before the range is left out, and so is one that begins at its end.
    let filter = CountsFilter { from: at(-24 * HOUR + 1), until: at(24 * HOUR), ..filter };
    assert_eq!(shown(bench.store.counts(&filter).await.unwrap()), [(0, 3)]);
    let filter = CountsFilter { span: CountSpan::Hour, from: at(1), until: at(23 * HOUR + 1), ..filter };
    assert_eq!(shown(bench.store.counts(&filter).await.unwrap()), [(1, 1), (23, 1)]);
    let filter = CountsFilter { timeline: Some(name("other")), ..counts_of(CountOf::Upcoming, CountSpan::Day) };
    assert_eq!(bench.store.counts(&filter).await.unwrap(), []);
}
