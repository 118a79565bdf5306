//! Goal: what was told becomes the right tasks, whatever the order of telling. Method: the trial's definition, wishes as data, the
//! tasks that stand afterwards as lines.

use std::sync::Arc;

use hence_core::carry_out::{self, WishResult};
use hence_core::definition::Definition;
use hence_core::library::Library;
use hence_core::name::{EntityKey, WishId};
use hence_core::timeline::EntitySnapshot;
use hence_core::wish::{StoredWish, Wish};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

const TRIAL: &str = include_str!("../fixtures/trial.toml");

struct World {
    library: Library,
    snapshot: EntitySnapshot,
    next_id: i64,
    next_wish: i64,
}

fn account() -> EntityKey {
    "account/42".parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn enrol() -> Wish {
    Wish::Enrol {
        timeline: "trial".parse().unwrap(),
        entity: account(),
        given: [("created_at".parse().unwrap(), at("2026-03-02T09:00:00Z"))].into(),
        facts: json!({ "account": { "email": "a@example.com", "timezone": "Europe/Oslo", "status": "trial" } }),
    }
}

fn event(name: &str, data: Value, facts: Value) -> Wish {
    Wish::Event { entity: account(), name: name.parse().unwrap(), data, facts }
}

impl World {
    fn new(definition: &str) -> Self {
        let mut library = Library::default();
        let mut definition = Definition::load(definition).unwrap().definition;
        for step in &mut definition.steps {
            step.spread = None;
        }
        library.add(Arc::new(definition));
        Self { library, snapshot: EntitySnapshot::unknown(account()), next_id: 1, next_wish: 1 }
    }

    fn tell(&mut self, told: &str, wish: Wish) -> WishResult {
        let stored = StoredWish { id: WishId(self.next_wish), wish, at: at(told), actor: "test".to_owned() };
        self.next_wish += 1;
        let now = at(told);
        let mut carried = carry_out::carry_out(&self.snapshot, &[stored], &Value::Null, &self.library, now);
        let count = i64::try_from(carried.changes.numbers_wanted()).unwrap();
        carried.changes.number(self.next_id);
        self.next_id += count;
        self.snapshot.apply(&carried.changes);
        carried.results.remove(0).1
    }

    /// The waiting tasks, by step.
    fn tasks(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.snapshot.live.iter().map(|task| format!("{} {} {}", task.step, task.due_at, task.state)).collect();
        lines.sort();
        lines
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.snapshot.records.iter().map(|record| record.kind.as_str()).collect()
    }
}

#[test]
fn enrolling_writes_the_known_future_down() {
    let mut world = World::new(TRIAL);
    assert_eq!(world.tell("2026-03-02T09:00:00Z", enrol()), WishResult::Enrolled);
    assert_eq!(world.tasks(), ["expire 2026-04-01T08:00:00Z scheduled", "remind 2026-03-27T08:00:00Z scheduled"]);
    assert_eq!(world.kinds(), ["enrolled"]);
}

#[test]
fn a_second_enrolment_is_ignored_refused_or_begins_again() {
    let mut world = World::new(TRIAL);
    world.tell("2026-03-02T09:00:00Z", enrol());
    assert_eq!(world.tell("2026-03-03T09:00:00Z", enrol()), WishResult::AlreadyEnrolled);
    assert_eq!(world.tasks().len(), 2);

    let mut world = World::new(&TRIAL.replace("again  = \"ignore\"", "again  = \"error\""));
    world.tell("2026-03-02T09:00:00Z", enrol());
    assert!(matches!(world.tell("2026-03-03T09:00:00Z", enrol()), WishResult::Refused { code: "HNC-0305", .. }));
    assert_eq!(world.kinds(), ["enrolled", "refused"]);

    let mut world = World::new(&TRIAL.replace("again  = \"ignore\"", "again  = \"restart\""));
    world.tell("2026-03-02T09:00:00Z", enrol());
    assert_eq!(world.tell("2026-03-03T09:00:00Z", enrol()), WishResult::Enrolled);
    assert_eq!(world.tasks().len(), 2);
    assert_eq!(world.snapshot.timelines.len(), 2);
    assert_eq!(world.kinds(), ["enrolled", "enrolled", "cancelled", "cancelled", "ended"]);
}

#[test]
fn paying_cancels_and_ends_the_timeline() {
    let mut world = World::new(TRIAL);
    world.tell("2026-03-02T09:00:00Z", enrol());
    world.tell("2026-03-10T09:00:00Z", event("account.paid", Value::Null, Value::Null));
    assert_eq!(world.tasks(), Vec::<String>::new());
    assert_eq!(world.kinds(), ["enrolled", "event", "cancelled", "cancelled", "ended"]);
}

#[test]
fn an_extension_moves_what_is_ahead_in_the_entitys_zone() {
    let mut world = World::new(TRIAL);
    world.tell("2026-03-02T09:00:00Z", enrol());
    world.tell("2026-03-10T09:00:00Z", event("trial.extended", json!({ "days": 14 }), Value::Null));
    assert_eq!(world.tasks(), ["expire 2026-04-15T08:00:00Z scheduled", "remind 2026-04-10T07:00:00Z scheduled"]);
    let refused = world.tell("2026-03-10T09:00:00Z", event("trial.extended", json!({}), Value::Null));
    assert!(matches!(refused, WishResult::Refused { code: "HNC-0304", .. }), "{refused:?}");
}

#[test]
fn a_new_zone_recomputes_what_is_ahead() {
    let mut world = World::new(TRIAL);
    world.tell("2026-03-02T09:00:00Z", enrol());
    let moved = json!({ "account": { "timezone": "America/New_York" } });
    world.tell("2026-03-10T09:00:00Z", event("account.timezone_changed", Value::Null, moved));
    assert_eq!(world.tasks(), ["expire 2026-04-01T08:00:00Z scheduled", "remind 2026-03-27T13:00:00Z scheduled"]);
}

#[test]
fn facts_of_the_wrong_type_and_unknown_timelines_are_refused_and_kept() {
    let mut world = World::new(TRIAL);
    world.tell("2026-03-02T09:00:00Z", enrol());
    let wrong = json!({ "account": { "paid_at": "soon" } });
    let refused = world.tell("2026-03-03T09:00:00Z", Wish::PutFacts { entity: account(), facts: wrong });
    assert!(matches!(refused, WishResult::Refused { code: "HNC-0303", .. }), "{refused:?}");
    let unknown = Wish::Enrol { timeline: "dunning".parse().unwrap(), entity: account(), given: [].into(), facts: Value::Null };
    let refused = world.tell("2026-03-03T09:00:00Z", unknown);
    assert!(matches!(refused, WishResult::Refused { code: "HNC-0301", .. }), "{refused:?}");
    assert_eq!(world.tasks().len(), 2);
    assert_eq!(world.kinds(), ["enrolled", "refused", "refused"]);
}

const ANCHORED: &str = r#"
[timeline]
name = "trial"
entity = "account"
anchor = "account.started_at"
[facts.account]
fields = { started_at = "time?", email = "string?", timezone = "string?", status = "string?" }
[step.weekly]
repeat = "7 days"
times = 3
do = { log = "{entity}" }
"#;

#[test]
fn an_anchor_that_is_a_fact_moves_what_is_pending() {
    let mut world = World::new(ANCHORED);
    let mut begin = enrol();
    if let Wish::Enrol { given, .. } = &mut begin {
        given.clear();
    }
    assert_eq!(world.tell("2026-03-02T09:00:00Z", begin), WishResult::Enrolled);
    assert_eq!(world.tasks(), Vec::<String>::new());
    for day in ["2026-04-01T10:00:00Z", "2026-04-02T10:00:00Z"] {
        let facts = json!({ "account": { "started_at": day } });
        world.tell("2026-03-03T09:00:00Z", Wish::PutFacts { entity: account(), facts });
        assert_eq!(world.tasks(), [format!("weekly {day} scheduled")]);
    }
}

fn wishes() -> Vec<(&'static str, Wish)> {
    vec![
        ("2026-03-02T09:00:00Z", enrol()),
        ("2026-03-05T09:00:00Z", event("trial.extended", json!({ "days": 7 }), Value::Null)),
        ("2026-03-06T09:00:00Z", event("trial.extended", json!({ "days": 30 }), Value::Null)),
        ("2026-03-20T09:00:00Z", event("account.upgraded", Value::Null, Value::Null)),
        ("2026-03-01T09:00:00Z", event("account.paid", Value::Null, Value::Null)),
    ]
}

proptest! {
    /// Sunday 3 May moves to Monday, when it opens. The last event lies before the enrolment and belongs to an earlier life of the entity.
    #[test]
    fn any_order_of_telling_gives_the_same_future(order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let mut world = World::new(TRIAL);
        for index in order {
            let (told, wish) = wishes().swap_remove(index);
            let result = world.tell(told, wish);
            prop_assert!(!matches!(result, WishResult::Refused { .. }), "{result:?}");
        }
        prop_assert_eq!(world.tasks(), ["expire 2026-05-08T08:00:00Z scheduled", "remind 2026-05-04T06:00:00Z scheduled"]);
    }

    #[test]
    fn planning_twice_changes_nothing(told in prop::collection::vec(0..5_usize, 0..8)) {
        let mut world = World::new(TRIAL);
        for index in told {
            let (told, wish) = wishes().swap_remove(index);
            world.tell(told, wish);
        }
        let again = carry_out::carry_out(&world.snapshot, &[], &Value::Null, &world.library, at("2026-03-20T09:00:00Z"));
        prop_assert!(again.changes.created.is_empty() && again.changes.transitions.is_empty() && again.changes.timelines.is_empty());
    }
}
