//! Who owns what: beats, taking and giving back, and what is found by whoever takes a shard over.

use std::collections::BTreeSet;
use std::sync::Arc;

use hence_core::shard::Shard;
use hence_core::task::{AttemptEnd, Task, TaskEvent};
use hence_core::timeline::ChangeSet;

use super::Site;
use super::fixture::{Bench, at, beat, change, done, end, entity, event, note, own_all};
use crate::port::{Beat, Conflict, Lease, Life, OwnedShard, Store, Written};

fn shards(lease: &Lease) -> Vec<Shard> {
    lease.shards.iter().map(|owned| owned.shard).collect()
}

async fn owned_by(store: &dyn Store, node: &str) -> Lease {
    store.ownership().await.unwrap().lease_of(node)
}

/// Forty entities with one task each, due at second 100 and later.
async fn population(bench: &Bench) -> Vec<Task> {
    let mut tasks = Vec::new();
    for number in 0..40 {
        tasks.extend(bench.enrol(&format!("account/{number}"), &[("remind", 100 + number)]).await);
    }
    tasks
}

pub(super) async fn beats_never_go_back_and_show_who_owns_what(site: Arc<dyn Site>) {
    let (one, two) = (site.open(), site.open());
    let count = one.identity().await.unwrap().shards;
    let first = one.beat(&beat("one", 5)).await.unwrap();
    assert_eq!(first.nodes.iter().map(|row| (row.node.as_str(), row.beat)).collect::<Vec<_>>(), [("one", 6)]);
    assert_eq!(first.shards.iter().map(|row| row.shard).collect::<Vec<_>>(), (0..count).map(Shard).collect::<Vec<_>>());
    assert!(first.shards.iter().all(|row| row.holder.is_none() && row.epoch.0 == 0), "nobody has owned one yet");
    two.beat(&beat("b two", 6)).await.unwrap();
    let notice = Some("the clock jumped".to_owned());
    let seen =
        one.beat(&Beat { node: "one".to_owned(), number: 8, at: at(7), is_leaving: true, notice: notice.clone() }).await.unwrap();
    let shown: Vec<_> = seen.nodes.iter().map(|row| (row.node.as_str(), row.beat, row.joined_at, row.beaten_at)).collect();
    assert_eq!(shown, [("b two", 7, at(6), at(6)), ("one", 8, at(5), at(7))], "by name");
    assert_eq!((seen.nodes[0].notice.clone(), seen.nodes[1].notice.clone()), (None, notice));
    assert_eq!((seen.nodes[0].is_leaving, seen.nodes[1].is_leaving), (false, true));
    assert_eq!(two.ownership().await.unwrap(), seen, "looking changes nothing");
    assert_eq!(one.beat(&beat("one", 8)).await.unwrap().nodes[1].notice, None, "a notice holds until the next beat");
    let late = one.beat(&beat("one", 2)).await.unwrap();
    assert_eq!(late.node("one").unwrap().beat, 9, "a call that was long on its way does not count back");
}

pub(super) async fn a_free_shard_is_taken_once(site: Arc<dyn Site>) {
    let (one, two) = (site.open(), site.open());
    let seen: Vec<OwnedShard> = one.beat(&beat("one", 0)).await.unwrap().free().collect();
    assert_eq!(two.take("two", &seen).await.unwrap(), [], "a node that has never beaten owns nothing");
    two.beat(&beat("two", 0)).await.unwrap();
    let taken = one.take("one", &seen).await.unwrap();
    assert_eq!(taken.iter().map(|owned| owned.shard).collect::<Vec<_>>(), seen.iter().map(|seen| seen.shard).collect::<Vec<_>>());
    assert!(taken.iter().all(|owned| owned.epoch.0 > 0));
    assert_eq!(owned_by(two.as_ref(), "one").await.shards, taken);
    for seen in [&seen, &taken] {
        assert_eq!(two.take("two", seen).await.unwrap(), [], "another owns it");
        assert_eq!(one.take("one", seen).await.unwrap(), [], "it owns it already");
    }
    one.release(&Lease { node: "one".to_owned(), shards: taken.clone() }).await.unwrap();
    assert_eq!(two.take("two", &seen).await.unwrap(), [], "it was given since that was seen");
    assert_eq!(two.take("two", &[taken[0], taken[0]]).await.unwrap().len(), 1);
    assert_eq!(
        two.take("two", &[OwnedShard { shard: Shard(u16::MAX), ..taken[0] }]).await.unwrap(),
        [],
        "there is no such shard"
    );
}

pub(super) async fn many_nodes_share_the_shards(site: Arc<dyn Site>) {
    let nodes = ["one", "two", "three"].map(|node| (node, site.open()));
    let bench = Bench { store: site.open() };
    let tasks = population(&bench).await;
    let mut leases = Vec::new();
    for (number, (node, store)) in (0..).zip(&nodes) {
        let seen = store.beat(&beat(node, 0)).await.unwrap();
        let mine: Vec<_> = seen.free().filter(|seen| seen.shard.0 % 3 == number).collect();
        leases.push(Lease { node: (*node).to_owned(), shards: store.take(node, &mine).await.unwrap() });
    }
    let count = bench.store.identity().await.unwrap().shards;
    let mut started = Vec::new();
    for (lease, (node, store)) in leases.iter().zip(&nodes) {
        assert_eq!(owned_by(bench.store.as_ref(), node).await, *lease);
        let own = |task: &&Task| lease.epoch(Shard::of(&task.entity, count)).is_some();
        let expected: Vec<_> = tasks.iter().filter(own).map(|task| (task.wake_at, task.id)).collect();
        assert_eq!(store.due_soon(lease, at(900), None, 1000).await.unwrap(), expected);
        let bench = Bench { store: Arc::clone(store) };
        let found = bench.start(lease, 900, 1000).await;
        assert_eq!(found.iter().map(|task| (task.wake_at, task.id)).collect::<Vec<_>>(), expected);
        started.extend(found.into_iter().map(|task| task.id));
    }
    let all: BTreeSet<_> = started.iter().copied().collect();
    assert_eq!((started.len(), all.len()), (40, 40), "each task by one node");
}

pub(super) async fn a_dead_node_is_replaced_at_once(site: Arc<dyn Site>) {
    let (one, two) = (site.open(), site.open());
    let old = own_all(one.as_ref(), "one").await;
    // The process ends without a word.
    drop(one);
    let seen = two.beat(&beat("two", 0)).await.unwrap();
    let dead = seen.node("one").unwrap();
    assert_ne!(dead.life, Life::Alive);
    assert!(two.forget("one", dead.beat).await.unwrap());
    assert!(!two.forget("one", dead.beat).await.unwrap(), "once");
    let seen = two.ownership().await.unwrap();
    assert_eq!(seen.node("one"), None);
    let free: Vec<_> = seen.free().collect();
    assert_eq!(free, old.shards, "all that it owned");
    let taken = two.take("two", &free).await.unwrap();
    assert!(taken.iter().zip(&old.shards).all(|(new, old)| new.epoch > old.epoch));
    two.release(&old).await.unwrap();
    assert_eq!(owned_by(two.as_ref(), "two").await.shards, taken, "an outdated lease releases nothing");
}

pub(super) async fn a_beat_defeats_forgetting(site: Arc<dyn Site>) {
    let (one, two) = (site.open(), site.open());
    let lease = own_all(one.as_ref(), "one").await;
    let seen = two.beat(&beat("two", 0)).await.unwrap();
    let beat_seen = seen.node("one").unwrap().beat;
    one.beat(&beat("one", 1)).await.unwrap();
    assert!(!two.forget("one", beat_seen).await.unwrap());
    assert!(!two.forget("nobody", 1).await.unwrap());
    assert_eq!(one.beat(&beat("one", 2)).await.unwrap().lease_of("one"), lease);
}

pub(super) async fn a_node_that_stands_still_is_replaced_unless_it_is_known_to_live(site: Arc<dyn Site>) {
    let (one, two) = (Bench { store: site.open() }, Bench { store: site.open() });
    let task = one.enrol("account/1", &[("remind", 100)]).await.remove(0);
    let old = one.lease().await;
    let running = one.start(&old, 100, 1).await.remove(0);
    let seen = two.store.beat(&beat("two", 0)).await.unwrap();
    let still = seen.node("one").unwrap();
    let is_forgotten = two.store.forget("one", still.beat).await.unwrap();
    assert_eq!(is_forgotten, still.life != Life::Alive);
    if is_forgotten {
        let free: Vec<_> = two.store.ownership().await.unwrap().free().collect();
        let new = Lease { node: "two".to_owned(), shards: two.store.take("two", &free).await.unwrap() };
        assert_eq!(new.shards.len(), old.shards.len());
        assert_eq!(two.store.orphans(&new, 10).await.unwrap(), std::slice::from_ref(&running));
    }
    // It wakes.
    let ended = change(&running, end(&running, done()), at(120));
    let written = one.store.write(Some(&old), vec![ended], at(120)).await.unwrap().remove(0);
    let awake = one.store.beat(&beat("one", 120)).await.unwrap();
    let row = awake.node("one").unwrap();
    if is_forgotten {
        assert!(matches!(written, Written::Conflict(Conflict::FenceLost(_))), "{written:?}");
        assert_eq!((row.beat, row.joined_at), (121, at(120)), "it is a new node");
        assert_eq!(awake.lease_of("one").shards, [], "and owns nothing");
        assert_eq!(one.live(task.id).await.unwrap(), running);
    } else {
        assert_eq!(written, Written::Applied);
        assert_eq!(awake.lease_of("one"), old);
    }
}

pub(super) async fn released_shards_are_free(site: Arc<dyn Site>) {
    let (one, two) = (site.open(), site.open());
    let lease = own_all(one.as_ref(), "one").await;
    two.beat(&beat("two", 0)).await.unwrap();
    one.release(&lease).await.unwrap();
    one.release(&lease).await.unwrap();
    let free: Vec<_> = two.ownership().await.unwrap().free().collect();
    assert_eq!(free, lease.shards, "an epoch stays until it is given again");
    let taken = two.take("two", &free).await.unwrap();
    assert_eq!(taken.len(), free.len());
    one.release(&lease).await.unwrap();
    assert_eq!(owned_by(one.as_ref(), "two").await.shards, taken, "releasing an old lease frees nothing");
    // Leaving is forgetting oneself.
    let beats = two.ownership().await.unwrap().node("two").unwrap().beat;
    assert!(two.forget("two", beats).await.unwrap());
    let seen = one.ownership().await.unwrap();
    assert_eq!(seen.nodes.iter().map(|row| row.node.as_str()).collect::<Vec<_>>(), ["one"]);
    assert_eq!(seen.free().collect::<Vec<_>>(), taken);
    assert_eq!(one.take("one", &taken).await.unwrap().len(), taken.len());
}

pub(super) async fn a_new_epoch_outdates_the_old(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    population(&bench).await;
    let old = bench.lease().await;
    let new = bench.lease().await;
    assert!(new.shards.iter().zip(&old.shards).all(|(new, old)| new.shard == old.shard && new.epoch > old.epoch));
    bench.store.release(&old).await.unwrap();
    assert_eq!(owned_by(bench.store.as_ref(), "one").await, new);
    assert_eq!(bench.start(&old, 900, 1000).await, []);
    assert_eq!(bench.start(&new, 900, 1000).await.len(), 40);
}

pub(super) async fn a_lease_reaches_its_own_shards_only(site: Arc<dyn Site>) {
    let bench = Bench { store: site.open() };
    let count = bench.store.identity().await.unwrap().shards;
    let lease = bench.lease().await;
    let part =
        Lease { node: lease.node.clone(), shards: lease.shards.iter().copied().filter(|owned| owned.shard.0 % 2 == 1).collect() };
    let entities: Vec<_> = (0..40).map(|number| entity(&format!("account/{number}"))).collect();
    let own: Vec<_> = entities.iter().filter(|of| part.epoch(Shard::of(of, count)).is_some()).cloned().collect();
    bench.store.accept(entities.iter().map(|of| event(of, "account.paid")).collect(), at(1)).await.unwrap();
    let told = |entries: Vec<crate::port::InboxEntry>| entries.iter().map(|entry| entry.entity().clone()).collect::<Vec<_>>();
    assert_eq!(told(bench.store.wishes(Some(&part), at(0), 1000).await.unwrap()), own);
    assert_eq!(told(bench.store.wishes(Some(&lease), at(0), 1000).await.unwrap()), entities);
    assert_eq!(bench.store.wishes(Some(&Lease::default()), at(0), 1000).await.unwrap(), []);
    for of in &entities {
        let changes = ChangeSet { erase_at: Some(at(50)), ..ChangeSet::new(of.clone()) };
        let written = bench.store.write(Some(&part), vec![changes.clone()], at(2)).await.unwrap().remove(0);
        let is_own = own.contains(of);
        let expected = if is_own { Written::Applied } else { Written::Conflict(Conflict::FenceLost(Shard::of(of, count))) };
        assert_eq!(written, expected);
        if !is_own {
            bench.write(changes, at(2)).await;
        }
    }
    let mut due = bench.store.due_erasures(Some(&part), at(50), 1000).await.unwrap();
    due.sort_by_key(|of| own.iter().position(|other| other == of));
    assert_eq!(due, own);
    assert_eq!(bench.store.due_erasures(None, at(50), 1000).await.unwrap().len(), 40);
}

pub(super) async fn orphans_are_those_of_older_epochs(site: Arc<dyn Site>) {
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
    let new = own_all(bench.store.as_ref(), "two").await;
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

pub(super) async fn a_shard_that_changes_hands_leaves_the_others_alone(site: Arc<dyn Site>) {
    let (one, two) = (Bench { store: site.open() }, Bench { store: site.open() });
    let tasks = population(&one).await;
    let lease = one.lease().await;
    let started = one.start(&lease, 200, 1000).await;
    assert_eq!(started.len(), tasks.len());
    // Half of the shards, at least one, go to another node while attempts are under way.
    let (given, kept) = lease.shards.split_at(lease.shards.len().div_ceil(2));
    one.store.release(&Lease { node: lease.node.clone(), shards: given.to_vec() }).await.unwrap();
    two.store.beat(&beat("two", 201)).await.unwrap();
    let taken = Lease { node: "two".to_owned(), shards: two.store.take("two", given).await.unwrap() };
    assert_eq!(shards(&taken), given.iter().map(|owned| owned.shard).collect::<Vec<_>>());
    let count = one.store.identity().await.unwrap().shards;
    let (lost, own): (Vec<_>, Vec<_>) =
        started.into_iter().partition(|task| taken.epoch(Shard::of(&task.entity, count)).is_some());
    assert_eq!(two.store.orphans(&taken, 1000).await.unwrap(), lost);
    assert_eq!(one.store.orphans(&lease, 1000).await.unwrap(), [], "the old lease finds nothing in what it lost");
    // The same call writes what is its own and refuses the rest, each by itself.
    let all: Vec<_> = lost.iter().chain(&own).map(|task| change(task, end(task, done()), at(202))).collect();
    let written = one.store.write(Some(&lease), all, at(202)).await.unwrap();
    for (task, written) in lost.iter().chain(&own).zip(written) {
        let shard = Shard::of(&task.entity, count);
        let is_kept = kept.iter().any(|owned| owned.shard == shard);
        let expected = if is_kept { Written::Applied } else { Written::Conflict(Conflict::FenceLost(shard)) };
        assert_eq!(written, expected, "{}", task.entity);
    }
    assert_eq!(two.store.orphans(&taken, 1000).await.unwrap(), lost, "nothing of it was written");
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
