//! Goal: the future does not depend on the order in which things are told, only on when they happened. Method: the enrolment and the
//! events of random stories told in order, and in random orders and groups, each with the instant it happened; the tasks that wait
//! then must be the same.
//!
//! Left out, because they do depend on the order: steps that follow a cancelled one (a task that was never made cannot be cancelled),
//! and facts that come with events (what was told last is known). A task that was withdrawn and planned again has a key of its own
//! (`~2`), which does not count. `HENCE_STORIES` is the number of stories.

use std::collections::BTreeSet;
use std::sync::Arc;

use fastrand::Rng;
use hence_core::carry_out::carry_out;
use hence_core::library::Library;
use hence_core::name::WishId;
use hence_core::timeline::EntitySnapshot;
use hence_core::wish::{StoredWish, Wish};
use jiff::Timestamp;
use serde_json::Value;

use crate::forecast::number;
use crate::story::{Spice, Story};

/// Stories in the test command.
const STORIES: u64 = 3_000;
/// Orders in which each is told.
const ORDERS: usize = 6;

/// What waits once all of these groups were told at `now`.
fn future(story: &Story, groups: &[Vec<(Timestamp, Wish)>], now: Timestamp) -> BTreeSet<String> {
    let mut library = Library::default();
    library.add(Arc::clone(&story.definition));
    let mut snapshot = EntitySnapshot::unknown(story.entity.clone());
    let mut next_id = 1;
    for group in groups {
        let wishes: Vec<StoredWish> = group
            .iter()
            .enumerate()
            .map(|(index, (at, wish))| StoredWish {
                id: WishId(i64::try_from(index).unwrap()),
                wish: wish.clone(),
                at: *at,
                actor: "test".to_owned(),
            })
            .collect();
        let mut changes = carry_out(&snapshot, &wishes, &Value::Null, &library, now).changes;
        let wanted = i64::try_from(changes.numbers_wanted()).unwrap();
        changes.number(next_id);
        next_id += wanted;
        snapshot.apply(&changes);
    }
    let key = |occurrence: &str| occurrence.split('~').next().unwrap_or_default().to_owned();
    snapshot.live.iter().map(|task| format!("{}[{}] {}", task.step, key(&task.occurrence), task.due_at)).collect()
}

#[test]
fn future_depends_on_when_things_happened_not_on_when_they_were_told() {
    let (first, count) = (number("HENCE_FIRST_STORY", 1), number("HENCE_STORIES", STORIES));
    let (mut tasks, mut orders) = (0, 0);
    for seed in first..first + count {
        let story = Story::random(seed, Spice { depends_on_order: false });
        let mut told = vec![(story.enrolled_at, story.enrolment.clone())];
        told.extend(story.events.iter().cloned());
        let now = Story::end();
        let each: Vec<Vec<(Timestamp, Wish)>> = told.iter().map(|wish| vec![wish.clone()]).collect();
        let expected = future(&story, &each, now);
        tasks += expected.len();
        let mut dice = Rng::with_seed(seed);
        for _ in 0..ORDERS {
            dice.shuffle(&mut told);
            let mut groups: Vec<Vec<(Timestamp, Wish)>> = Vec::new();
            for wish in &told {
                if groups.is_empty() || dice.bool() {
                    groups.push(Vec::new());
                }
                groups.last_mut().unwrap().push(wish.clone());
            }
            let found = future(&story, &groups, now);
            orders += 1;
            assert_eq!(found, expected, "story {seed} told as {groups:#?}\n{}", story.source);
        }
    }
    println!("{count} stories in {orders} orders, {tasks} tasks wait at their ends");
    assert!(tasks as u64 > count / 2);
}
