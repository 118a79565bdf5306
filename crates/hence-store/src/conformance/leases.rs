//! The lease, and what is found by whoever takes it over.

use std::sync::Arc;

use hence_core::task::{AttemptEnd, TaskEvent};

use super::Site;
use super::fixture::{Bench, at, change, end, note};
use crate::error::{Error, ErrorKind};
use crate::port::Lease;

fn held_by(result: Result<Lease, Error>) -> String {
    match result.unwrap_err().kind() {
        ErrorKind::LeaseHeld { by } => by.clone(),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn one_node_holds_the_lease(site: Arc<dyn Site>) {
    let (one, other) = (site.open(), site.open());
    let lease = one.take_lease("one", at(0)).await.unwrap();
    assert_eq!((lease.node.as_str(), lease.shards.as_slice()), ("one", [0].as_slice()));
    assert_eq!(held_by(other.take_lease("two", at(1_000_000)).await), "one", "time does not matter while it lives");
    assert_eq!(held_by(one.take_lease("two", at(1)).await), "one", "nor the process");
    one.renew(&lease, at(2)).await.unwrap();
}

pub(super) async fn a_dead_node_is_replaced_at_once(site: Arc<dyn Site>) {
    let (one, other) = (site.open(), site.open());
    let old = one.take_lease("one", at(0)).await.unwrap();
    // The process ends without a word.
    drop(one);
    let new = other.take_lease("two", at(0)).await.unwrap();
    assert!(new.epoch > old.epoch);
    assert_eq!(other.renew(&old, at(1)).await.unwrap_err().kind(), &ErrorKind::FenceLost);
    other.release(&old).await.unwrap();
    other.renew(&new, at(1)).await.unwrap();
}

pub(super) async fn a_released_lease_is_free(site: Arc<dyn Site>) {
    let (one, other) = (site.open(), site.open());
    let lease = one.take_lease("one", at(0)).await.unwrap();
    one.release(&lease).await.unwrap();
    one.release(&lease).await.unwrap();
    assert_eq!(one.renew(&lease, at(1)).await.unwrap_err().kind(), &ErrorKind::FenceLost);
    let next = other.take_lease("two", at(1)).await.unwrap();
    one.release(&lease).await.unwrap();
    assert_eq!(held_by(one.take_lease("one", at(2)).await), "two", "releasing an old lease frees nothing");
    other.renew(&next, at(2)).await.unwrap();
}

pub(super) async fn a_new_epoch_outdates_the_old(site: Arc<dyn Site>) {
    let store = site.open();
    let old = store.take_lease("one", at(0)).await.unwrap();
    let new = store.take_lease("one", at(1)).await.unwrap();
    assert!(new.epoch > old.epoch);
    assert_eq!(store.renew(&old, at(2)).await.unwrap_err().kind(), &ErrorKind::FenceLost);
    store.release(&old).await.unwrap();
    store.renew(&new, at(2)).await.unwrap();
}

pub(super) async fn orphans_are_those_of_older_leases(site: Arc<dyn Site>) {
    let one = Bench { store: site.open() };
    let bench = Bench { store: site.open() };
    for number in 0..3 {
        bench.enrol(&format!("account/{number}"), &[("remind", 100 + number)]).await;
    }
    let old = one.lease().await;
    let started = one.start(&old, 200, 3).await;
    assert_eq!(one.store.orphans(&old, 10).await.unwrap(), [], "its own attempts are none");
    let waiting = AttemptEnd::AnswerAwaited { until: at(900), reason: note("later") };
    one.write(change(&started[0], end(&started[0], waiting), at(201)), at(201)).await;
    drop(one);
    let new = bench.store.take_lease("two", at(300)).await.unwrap();
    let orphans = bench.store.orphans(&new, 10).await.unwrap();
    assert_eq!(orphans, started[1..], "an awaited answer can still come");
    assert_eq!(bench.store.orphans(&new, 1).await.unwrap(), started[1..2]);
    for orphan in orphans {
        let taken = change(&orphan, TaskEvent::TakeOver { may_repeat: true }, at(301));
        bench.write(taken, at(301)).await;
    }
    assert_eq!(bench.store.orphans(&new, 10).await.unwrap(), []);
    let again = bench.start(&new, 301, 10).await;
    assert_eq!(again.iter().map(|task| (task.attempt, task.possible_duplicate)).collect::<Vec<_>>(), [(2, true), (2, true)]);
}

pub(super) async fn overdue_answers_are_found(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    for number in 0..3 {
        bench.enrol(&format!("account/{number}"), &[("remind", 100)]).await;
    }
    let lease = bench.lease().await;
    let mut awaited = Vec::new();
    for (number, task) in (0..).zip(bench.start(&lease, 100, 2).await) {
        let waiting = AttemptEnd::AnswerAwaited { until: at(500 - number), reason: note("later") };
        let changes = change(&task, end(&task, waiting), at(101));
        bench.write(changes.clone(), at(101)).await;
        awaited.insert(0, changes.transitions[0].task.clone());
    }
    bench.start(&lease, 600, 1).await;
    assert_eq!(bench.store.overdue_answers(&lease, at(498), 10).await.unwrap(), []);
    assert_eq!(bench.store.overdue_answers(&lease, at(499), 10).await.unwrap(), awaited[..1]);
    assert_eq!(bench.store.overdue_answers(&lease, at(600), 10).await.unwrap(), awaited);
    assert_eq!(bench.store.overdue_answers(&lease, at(600), 1).await.unwrap(), awaited[..1]);
}
