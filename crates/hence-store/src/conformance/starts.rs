//! Starts: when due, in order, one of an entity at a time, under the lease.

use std::sync::Arc;

use hence_core::name::TaskId;
use hence_core::task::{AttemptEnd, Task, TaskEvent, TaskState};
use hence_core::timeline::ChangeSet;

use super::Site;
use super::fixture::{Bench, at, cancel, change, done, end, event, note};
use crate::error::ErrorKind;
use crate::port::{Conflict, StartRequest, Written};

fn ids(tasks: &[Task]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.id).collect()
}

/// One task for each of that many entities, due one second after the other from second 100.
async fn population(bench: &Bench, count: i64) -> Vec<TaskId> {
    let mut tasks = Vec::new();
    // Enrolled in another order than they are due.
    for number in (0..count).rev() {
        tasks.extend(bench.enrol(&format!("account/{number}"), &[("remind", 100 + number)]).await);
    }
    tasks.sort_by_key(|task| task.due_at);
    ids(&tasks)
}

pub(super) async fn due_tasks_start_earliest_first(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let all = population(&bench, 7).await;
    let lease = bench.lease().await;
    assert_eq!(ids(&bench.start(&lease, 200, 3).await), all[..3], "no more than asked for");
    assert_eq!(ids(&bench.start(&lease, 200, 1000).await), all[3..]);
    assert_eq!(bench.start(&lease, 200, 1000).await, []);
    for limit in [0, 1001] {
        let request = StartRequest { now: at(0), from: None, to: at(0), limit };
        assert_eq!(bench.store.start(&lease, request).await.unwrap_err().kind(), &ErrorKind::Invalid);
    }
}

pub(super) async fn nothing_starts_early(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let all = population(&bench, 3).await;
    let lease = bench.lease().await;
    assert_eq!(bench.start(&lease, 99, 10).await, []);
    // Until later than now: now decides.
    let request = StartRequest { now: at(100), from: None, to: at(500), limit: 10 };
    assert_eq!(ids(&bench.store.start(&lease, request).await.unwrap()), all[..1]);
    // Until earlier than now.
    let request = StartRequest { now: at(500), from: None, to: at(101), limit: 10 };
    assert_eq!(ids(&bench.store.start(&lease, request).await.unwrap()), all[1..2]);
}

pub(super) async fn a_start_raises_the_fence(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    population(&bench, 3).await;
    let lease = bench.lease().await;
    let mut newest = lease.shards.iter().map(|owned| owned.epoch).max().unwrap();
    for round in 1..=3 {
        for started in bench.start(&lease, 200 + round, 10).await {
            assert!(started.fence > newest, "{} after {newest}", started.fence);
            newest = started.fence;
            let shown = (started.state, started.attempt, started.started_at);
            assert_eq!(shown, (TaskState::Running, u32::try_from(round).unwrap(), Some(at(200 + round))));
            assert_eq!(started.reason, note("planned"));
            assert_eq!(bench.live(started.id).await.as_ref(), Some(&started), "it is stored");
            let retry = AttemptEnd::Retry { wake_at: at(0), may_have_arrived: false, reason: note("again") };
            bench.write(change(&started, end(&started, retry), at(200 + round)), at(200 + round)).await;
        }
    }
    let next = bench.lease().await;
    assert!(next.shards.iter().all(|owned| owned.epoch > newest), "epochs and starts share one sequence");
}

pub(super) async fn an_outdated_lease_starts_nothing(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let all = population(&bench, 2).await;
    let old = bench.lease().await;
    let new = bench.lease().await;
    assert_eq!(bench.start(&old, 500, 10).await, []);
    assert_eq!(bench.store.due_soon(&old, at(500), None, 10).await.unwrap(), []);
    assert_eq!(bench.live(all[0]).await.unwrap().state, TaskState::Scheduled);
    let first = bench.start(&new, 500, 1).await.remove(0);
    let ended = change(&first, end(&first, done()), at(501));
    let refused = bench.store.write(Some(&old), vec![ended.clone()], at(501)).await.unwrap().remove(0);
    assert!(matches!(refused, Written::Conflict(Conflict::FenceLost(_))), "{refused:?}");
    assert_eq!(bench.live(first.id).await.unwrap().state, TaskState::Running, "nothing was written");
    assert_eq!(bench.store.write(Some(&new), vec![ended], at(501)).await.unwrap(), [Written::Applied]);
    assert_eq!(bench.live(first.id).await, None);
}

pub(super) async fn cancelled_task_never_starts(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let task = bench.enrol("account/1", &[("remind", 100)]).await.remove(0);
    let lease = bench.lease().await;
    assert_eq!(bench.store.due_soon(&lease, at(100), None, 10).await.unwrap(), [(at(100), task.id)]);
    bench.write(change(&task, cancel(), at(99)), at(99)).await;
    assert_eq!(bench.start(&lease, 100, 10).await, [], "looking ahead is no start");
    assert_eq!(bench.store.due_soon(&lease, at(100), None, 10).await.unwrap(), []);
    // The other way round: of two, only the first is right.
    let task = bench.enrol("account/2", &[("remind", 100)]).await.remove(0);
    bench.start(&lease, 100, 10).await;
    assert_eq!(bench.refused(change(&task, cancel(), at(100)), at(100)).await, Conflict::TaskChanged(task.id));
}

pub(super) async fn one_task_of_an_entity_runs_at_a_time(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let tasks = bench.enrol("account/1", &[("remind", 100), ("expire", 100), ("tell", 90)]).await;
    let other = bench.enrol("account/2", &[("remind", 150)]).await;
    let lease = bench.lease().await;
    let first = bench.start(&lease, 200, 10).await;
    assert_eq!(ids(&first), [tasks[2].id, other[0].id], "the earliest of each entity");
    assert_eq!(bench.start(&lease, 200, 10).await, []);
    bench.write(change(&first[0], end(&first[0], done()), at(201)), at(201)).await;
    let second = bench.start(&lease, 201, 10).await;
    assert_eq!(ids(&second), [tasks[0].id], "of two at one instant the one planned first");
    let retry = AttemptEnd::Retry { wake_at: at(300), may_have_arrived: false, reason: note("again") };
    bench.write(change(&second[0], end(&second[0], retry), at(202)), at(202)).await;
    assert_eq!(ids(&bench.start(&lease, 202, 10).await), [tasks[1].id], "one that waits longer does not block");
}

pub(super) async fn an_awaited_answer_blocks_and_a_held_task_does_not(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let tasks = bench.enrol("account/1", &[("remind", 100), ("expire", 110)]).await;
    let lease = bench.lease().await;
    let running = bench.start(&lease, 100, 10).await.remove(0);
    let waiting = AttemptEnd::AnswerAwaited { until: at(900), reason: note("later") };
    let awaited = change(&running, end(&running, waiting), at(101));
    bench.write(awaited.clone(), at(101)).await;
    assert_eq!(bench.start(&lease, 200, 10).await, []);
    let awaited = awaited.transitions[0].task.clone();
    assert_eq!(bench.live(awaited.id).await.as_ref(), Some(&awaited));
    let held = AttemptEnd::Held { reason: note("look at it") };
    bench.write(change(&awaited, end(&awaited, held), at(201)), at(201)).await;
    assert_eq!(ids(&bench.start(&lease, 201, 10).await), [tasks[1].id]);
}

pub(super) async fn a_wish_prevents_the_start(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let task = bench.enrol("account/1", &[("remind", 100)]).await.remove(0);
    let other = bench.enrol("account/2", &[("remind", 101)]).await.remove(0);
    let lease = bench.lease().await;
    bench.store.accept(vec![event(&task.entity, "account.paid")], at(99)).await.unwrap();
    assert_eq!(ids(&bench.start(&lease, 200, 10).await), [other.id], "others do not wait for it");
    let mut changes = ChangeSet::new(task.entity.clone());
    changes.carried_out.push(bench.store.wishes(None, at(0), 1).await.unwrap()[0].id());
    bench.write(changes, at(200)).await;
    assert_eq!(ids(&bench.start(&lease, 200, 10).await), [task.id]);
}

pub(super) async fn steps_that_are_left_out_keep_nobody_waiting(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let left_out = bench.enrol("account/1", &[("remind", 100), ("expire", 101)]).await;
    let other = bench.enrol("account/2", &[("expire", 102)]).await.remove(0);
    let lease = bench.lease().await;
    let request = StartRequest { now: at(200), from: None, to: at(200), limit: 10 };
    let except = [("trial".parse().unwrap(), "remind".parse().unwrap()), ("other".parse().unwrap(), "expire".parse().unwrap())];
    let started = bench.store.start_except(&lease, request, &except).await.unwrap();
    assert_eq!(ids(&started), [other.id], "what is left out still comes first of its entity");
    assert_eq!(ids(&bench.start(&lease, 200, 10).await), [left_out[0].id]);
}

pub(super) async fn a_range_starts_fresh_tasks_beside_a_backlog(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let all = population(&bench, 6).await;
    // A fresh task of an entity with an older one is not its first.
    let behind = bench.enrol("account/100", &[("remind", 90), ("expire", 104)]).await;
    let lease = bench.lease().await;
    let request = StartRequest { now: at(500), from: Some(at(104)), to: at(500), limit: 10 };
    assert_eq!(ids(&bench.store.start(&lease, request).await.unwrap()), all[4..]);
    assert_eq!(bench.live(behind[1].id).await.unwrap().state, TaskState::Scheduled);
    assert_eq!(ids(&bench.start(&lease, 500, 2).await), [behind[0].id, all[0]]);
}

pub(super) async fn the_look_ahead_pages_without_gaps(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let mut all = Vec::new();
    for number in 0..5 {
        // Several at the same instant.
        let of = format!("account/{number}");
        all.extend(bench.enrol(&of, &[("remind", 100), ("expire", 100 + number % 2)]).await);
    }
    let held = all.swap_remove(3);
    bench.write(change(&held, TaskEvent::Hold { reason: note("wait") }, at(1)), at(1)).await;
    let lease = bench.lease().await;
    let mut expected: Vec<_> = all.iter().map(|task| (task.wake_at, task.id)).collect();
    expected.sort_unstable();
    let mut found = Vec::new();
    loop {
        let page = bench.store.due_soon(&lease, at(101), found.last().copied(), 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, expected);
    assert_eq!(bench.store.due_soon(&lease, at(99), None, 10).await.unwrap(), []);
}

pub(super) async fn attempts_that_should_end_are_named(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    population(&bench, 5).await;
    let lease = bench.lease().await;
    let running = bench.start(&lease, 200, 5).await;
    let attempts: Vec<_> = running.iter().map(|task| (task.id, task.fence)).collect();
    assert_eq!(bench.store.attempts_to_stop(&attempts).await.unwrap(), []);
    assert_eq!(bench.store.attempts_to_stop(&[]).await.unwrap(), []);
    // Cancelled by another process; erased; ended; one goes on, and one is told of under an older fence.
    let other = Bench { store: site.open() };
    other.write(change(&running[1], cancel(), at(201)), at(201)).await;
    assert!(other.store.erase(&running[2].entity, at(202)).await.unwrap());
    other.write(change(&running[3], end(&running[3], done()), at(203)), at(203)).await;
    let stopped = [running[1].id, running[2].id, running[3].id];
    assert_eq!(bench.store.attempts_to_stop(&attempts).await.unwrap(), stopped);
    let older = (running[0].id, hence_core::name::Fence(running[0].fence.0 - 1));
    assert_eq!(bench.store.attempts_to_stop(&[older, attempts[4]]).await.unwrap(), [running[0].id]);
}
