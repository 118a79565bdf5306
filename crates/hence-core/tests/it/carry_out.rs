//! Goal: what was told becomes the right tasks, whatever the order of telling. Method: the trial's definition, wishes as data, the
//! tasks that stand afterwards as lines.

use std::sync::Arc;

use hence_core::calendar::Zone;
use hence_core::carry_out::{self, RunAgain, WishResult};
use hence_core::definition::Definition;
use hence_core::history::{Record, RecordKind};
use hence_core::library::Library;
use hence_core::name::{EntityKey, Fence, TaskId, WishId};
use hence_core::reason::Reason;
use hence_core::task::{AttemptEnd, Refused, Task, TaskEvent};
use hence_core::timeline::{ChangeSet, EntitySnapshot};
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
        self.write(carried.changes);
        carried.results.remove(0).1
    }

    fn write(&mut self, mut changes: ChangeSet) {
        let count = i64::try_from(changes.numbers_wanted()).unwrap();
        changes.number(self.next_id);
        self.next_id += count;
        self.snapshot.apply(&changes);
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
    assert_eq!(world.tell("2026-03-02T09:00:00Z", enrol_bare()), WishResult::Enrolled);
    assert_eq!(world.tasks(), Vec::<String>::new());
    for day in ["2026-04-01T10:00:00Z", "2026-04-02T10:00:00Z"] {
        let facts = json!({ "account": { "started_at": day } });
        world.tell("2026-03-03T09:00:00Z", Wish::PutFacts { entity: account(), facts });
        assert_eq!(world.tasks(), [format!("weekly {day} scheduled")]);
    }
}

/// Tells wishes of one after another and compares the waiting tasks, with their occurrences, after the last.
fn check_ahead(definition: &str, told: &[(&str, Wish)], expected: &[&str]) {
    let mut world = World::new(definition);
    for (at, wish) in told {
        let result = world.tell(at, wish.clone());
        assert!(!matches!(result, WishResult::Refused { .. }), "{result:?}");
    }
    let ahead = world.snapshot.live.iter().map(|task| format!("{} [{}] {}", task.step, task.occurrence, task.due_at));
    let mut ahead: Vec<String> = ahead.collect();
    ahead.sort();
    assert_eq!(ahead, expected);
}

/// An enrolment that gives no instant.
fn enrol_bare() -> Wish {
    let mut wish = enrol();
    if let Wish::Enrol { given, .. } = &mut wish {
        given.clear();
    }
    wish
}

fn started_at(at: &Value) -> Wish {
    Wish::PutFacts { entity: account(), facts: json!({ "account": { "started_at": at } }) }
}

const ENDING: &str = r#"
[timeline]
name = "trial"
entity = "account"
anchor = "created_at"
[facts.account]
fields = { started_at = "time?", email = "string?", timezone = "string?", status = "string?" }
[step.remind]
due = "25 days"
before = "end"
do = { log = "{entity}" }
[step.end]
anchor = "account.started_at"
due = "0 days"
do = { log = "{entity}" }
"#;

#[test]
fn what_was_withdrawn_comes_back_when_the_plan_wants_it_again() {
    let end = |at: &str| started_at(&json!(at));
    let mut told = vec![("2026-03-02T09:00:00Z", enrol()), ("2026-03-03T09:00:00Z", end("2026-04-01T09:00:00Z"))];
    check_ahead(ENDING, &told, &["end [] 2026-04-01T09:00:00Z", "remind [] 2026-03-27T09:00:00Z"]);
    told.push(("2026-03-04T09:00:00Z", end("2026-03-10T09:00:00Z")));
    check_ahead(ENDING, &told, &["end [] 2026-03-10T09:00:00Z"]);
    told.push(("2026-03-05T09:00:00Z", end("2026-05-01T09:00:00Z")));
    check_ahead(ENDING, &told, &["end [] 2026-05-01T09:00:00Z", "remind [~2] 2026-03-27T09:00:00Z"]);
}

#[test]
fn an_occurrence_that_was_shifted_away_and_back_comes_once_more() {
    let away = started_at(&json!("2026-04-08T10:00:00Z"));
    let first = started_at(&json!("2026-04-01T10:00:00Z"));
    let unknown = started_at(&Value::Null);
    let day = "2026-03-03T09:00:00Z";
    let mut told = vec![("2026-03-02T09:00:00Z", enrol_bare()), (day, first.clone())];
    check_ahead(ANCHORED, &told, &["weekly [2026-04-01T10:00] 2026-04-01T10:00:00Z"]);
    told.push((day, away));
    check_ahead(ANCHORED, &told, &["weekly [2026-04-08T10:00] 2026-04-08T10:00:00Z"]);
    told.push((day, first.clone()));
    check_ahead(ANCHORED, &told, &["weekly [2026-04-01T10:00~2] 2026-04-01T10:00:00Z"]);
    told.push((day, unknown));
    check_ahead(ANCHORED, &told, &[]);
    told.push((day, first));
    check_ahead(ANCHORED, &told, &["weekly [2026-04-01T10:00~3] 2026-04-01T10:00:00Z"]);
}

#[test]
fn of_the_occurrences_before_the_enrolment_only_the_newest_is_made_up_for() {
    let endless = ANCHORED.replace("times = 3", "");
    let mut told =
        vec![("2026-03-02T09:00:00Z", enrol_bare()), ("2026-03-02T10:00:00Z", started_at(&json!("2023-03-01T10:00:00Z")))];
    check_ahead(&endless, &told, &["weekly [2026-02-25T10:00] 2026-02-25T10:00:00Z"]);
    told[1].1 = started_at(&json!("2026-03-01T10:00:00Z"));
    check_ahead(&endless, &told, &["weekly [2026-03-01T10:00] 2026-03-01T10:00:00Z"]);
}

#[test]
fn what_had_to_come_before_a_step_that_has_ended_is_skipped() {
    let mut world = World::new(ENDING);
    world.tell("2026-03-02T09:00:00Z", enrol());
    world.tell("2026-03-03T09:00:00Z", started_at(&json!("2026-04-01T09:00:00Z")));
    let end = world.snapshot.live.iter().find(|task| task.step.as_str() == "end").cloned().unwrap();
    let begun = end.apply(TaskEvent::Start { fence: Fence(9) }, at("2026-03-20T09:00:00Z")).unwrap().task;
    world.snapshot.live.retain(|task| task.id != begun.id);
    world.snapshot.live.push(begun.clone());
    let reason = Reason::Note { text: "run early".to_owned() };
    let done = AttemptEnd::Done { outcome: "done".parse().unwrap(), reason };
    let event = TaskEvent::End { fence: Fence(9), end: done };
    let changes = carry_out::finish(&world.snapshot, &begun, event, &world.library, at("2026-03-20T09:00:01Z")).unwrap();
    world.snapshot.apply(&changes);
    assert_eq!(world.tasks(), Vec::<String>::new());
    assert_eq!(world.kinds(), ["enrolled", "facts", "done", "skipped", "ended"]);
}

#[test]
fn where_a_person_put_a_task_it_stays_until_an_event_cancels_it() {
    let mut world = World::new(TRIAL);
    world.tell("2026-03-02T09:00:00Z", enrol());
    let expire = world.snapshot.live.iter().find(|task| task.step.as_str() == "expire").cloned().unwrap();
    let reason = Reason::Person { actor: "anna".to_owned(), text: "they asked for a week".to_owned() };
    let later = TaskEvent::Move { due_at: at("2026-05-01T08:00:00Z"), reason };
    let moved = carry_out::finish(&world.snapshot, &expire, later, &world.library, at("2026-03-03T09:00:00Z")).unwrap();
    world.snapshot.apply(&moved);
    let told = world.snapshot.records.last().unwrap().reason.sentence(&Zone::utc());
    assert_eq!(told, "moved from Wed 2026-04-01 08:00 (UTC), asked for by anna: they asked for a week");
    let zone = json!({ "account": { "timezone": "America/New_York" } });
    world.tell("2026-03-10T09:00:00Z", event("account.timezone_changed", Value::Null, zone));
    assert_eq!(world.tasks(), ["expire 2026-05-01T08:00:00Z scheduled", "remind 2026-03-27T13:00:00Z scheduled"]);
    world.tell("2026-03-11T09:00:00Z", event("account.paid", Value::Null, Value::Null));
    assert_eq!(world.tasks(), Vec::<String>::new());
}

/// Ends a live task of that step, started at the same instant, with this outcome; which task that was.
fn end(world: &mut World, step: &str, now: &str, outcome: &str) -> TaskId {
    let task = world.snapshot.live.iter().find(|task| task.step.as_str() == step).cloned().unwrap();
    let fence = Fence(task.fence.0 + 1);
    let begun = task.apply(TaskEvent::Start { fence }, at(now)).unwrap().task;
    world.snapshot.live.retain(|other| other.id != begun.id);
    world.snapshot.live.push(begun.clone());
    let reason = Reason::Note { text: "a test".to_owned() };
    let end = match outcome {
        "failed" => AttemptEnd::Failed { reason },
        word => AttemptEnd::Done { outcome: word.parse().unwrap(), reason },
    };
    let event = TaskEvent::End { fence, end };
    let changes = carry_out::finish(&world.snapshot, &begun, event, &world.library, at(now)).unwrap();
    world.write(changes);
    task.id
}

fn run_again(world: &mut World, task: TaskId, now: &str) -> Result<(), Refused> {
    let is_end = |record: &&Record| record.task == Some(task) && record.kind.final_state().is_some();
    let ended = world.snapshot.records.iter().find(is_end).cloned().unwrap();
    let again = RunAgain { ended: &ended, action: None, actor: "anna", text: "it was broken" };
    let changes = carry_out::run_again(&world.snapshot, again, &world.library, at(now))?;
    world.write(changes);
    Ok(())
}

const FOLLOWED: &str = r#"
[timeline]
name = "trial"
entity = "account"
anchor = "created_at"
[facts.account]
fields = { email = "string?", timezone = "string?", status = "string?" }
[step.expire]
due = "1 day"
do = { log = "{entity}" }
says = ["deactivated"]
[step.tell]
after = "expire:deactivated"
due = "1 day"
do = { log = "{entity}" }
[step.alarm]
after = "expire:failed"
do = { log = "{entity}" }
"#;

#[test]
fn what_is_run_again_is_followed_only_where_it_ends_otherwise() {
    let mut world = World::new(FOLLOWED);
    world.tell("2026-03-02T09:00:00Z", enrol());
    let first = end(&mut world, "expire", "2026-03-03T09:00:00Z", "failed");
    end(&mut world, "alarm", "2026-03-03T09:00:00Z", "done");
    assert_eq!(world.kinds(), ["enrolled", "failed", "done", "ended"]);

    run_again(&mut world, first, "2026-03-04T09:00:00Z").unwrap();
    assert_eq!(world.tasks(), ["expire 2026-03-04T09:00:00Z scheduled"]);
    let asked = world.snapshot.records.last().unwrap();
    assert_eq!((asked.kind.as_str(), asked.task), ("run_asked", Some(world.snapshot.live[0].id)));
    let said = format!("what {first} did once more, asked for by anna: it was broken");
    assert_eq!(asked.reason.sentence(&Zone::utc()), said);
    assert_eq!(world.snapshot.timelines[0].status.as_str(), "active");

    // The same end once more: the alarm has been given.
    let second = end(&mut world, "expire", "2026-03-04T10:00:00Z", "failed");
    assert_eq!(world.tasks(), Vec::<String>::new());
    run_again(&mut world, second, "2026-03-05T09:00:00Z").unwrap();
    let third = end(&mut world, "expire", "2026-03-05T09:00:00Z", "deactivated");
    assert_eq!(world.tasks(), ["tell 2026-03-06T09:00:00Z scheduled"]);

    // What follows waits already, and stays where it is.
    run_again(&mut world, third, "2026-03-05T10:00:00Z").unwrap();
    end(&mut world, "expire", "2026-03-05T10:00:00Z", "deactivated");
    assert_eq!(world.tasks(), ["tell 2026-03-06T09:00:00Z scheduled"]);
    end(&mut world, "tell", "2026-03-06T09:00:00Z", "done");
    let expires = world.snapshot.records.iter().filter(|record| record.kind == RecordKind::RunAsked);
    assert_eq!(expires.map(|record| record.occurrence.as_str()).collect::<Vec<_>>(), ["#2", "#3", "#4"]);
    assert_eq!(world.snapshot.timelines[0].status.as_str(), "ended");
}

#[test]
fn what_is_ahead_is_not_run_a_second_time() {
    let mut world = World::new(FOLLOWED);
    world.tell("2026-03-02T09:00:00Z", enrol());
    let first = end(&mut world, "expire", "2026-03-03T09:00:00Z", "failed");
    run_again(&mut world, first, "2026-03-04T09:00:00Z").unwrap();
    let again = world.snapshot.live.iter().find(|task| task.step.as_str() == "expire").unwrap().id;
    assert_eq!(run_again(&mut world, first, "2026-03-04T09:00:01Z"), Err(Refused::Ahead(again)));

    // Withdrawn, wanted again, and once more withdrawn: the occurrence is ahead under another key.
    let mut world = World::new(ANCHORED);
    let day = "2026-03-03T09:00:00Z";
    world.tell("2026-03-02T09:00:00Z", enrol_bare());
    for facts in [json!("2026-04-01T10:00:00Z"), Value::Null] {
        world.tell(day, started_at(&facts));
    }
    let withdrawn = world.snapshot.records.iter().find_map(|record| record.task.filter(|_| record.kind == RecordKind::Cancelled));
    run_again(&mut world, withdrawn.unwrap(), day).unwrap();
    world.tell(day, started_at(&json!("2026-04-01T10:00:00Z")));
    assert_eq!(world.tasks(), [format!("weekly {day} scheduled")], "a person has that occurrence run already");
    end(&mut world, "weekly", day, "done");
    assert_eq!(world.tasks(), ["weekly 2026-04-08T10:00:00Z scheduled"]);
}

#[test]
fn a_follow_up_of_what_was_withdrawn_twice_comes_once() {
    let definition = format!("{ENDING}[step.told]\nafter = \"remind:cancelled\"\ndo = {{ log = \"{{entity}}\" }}\n");
    let mut world = World::new(&definition);
    world.tell("2026-03-02T09:00:00Z", enrol());
    for end_at in ["2026-04-01T09:00:00Z", "2026-03-10T09:00:00Z", "2026-05-01T09:00:00Z", "2026-03-11T09:00:00Z"] {
        world.tell("2026-03-03T09:00:00Z", started_at(&json!(end_at)));
    }
    assert_eq!(world.tasks(), ["end 2026-03-11T09:00:00Z scheduled", "told 2026-03-03T09:00:00Z scheduled"]);
    end(&mut world, "told", "2026-03-03T09:00:00Z", "done");
    assert_eq!(world.tasks(), ["end 2026-03-11T09:00:00Z scheduled"]);
}

#[test]
fn an_event_takes_back_what_a_person_asked_for_before_it_was_told_whatever_clocks_show() {
    let mut world = World::new(TRIAL);
    world.tell("2026-03-02T09:00:00Z", enrol());
    let expire = world.snapshot.live.iter().find(|task| task.step.as_str() == "expire").cloned().unwrap();
    let reason = Reason::Person { actor: "anna".to_owned(), text: "once more".to_owned() };
    let again =
        |created_at| Task { occurrence: "#2".to_owned(), created_at: at(created_at), reason: reason.clone(), ..expire.clone() };
    // Asked for before the event was told, by a clock that was set back afterwards.
    world.snapshot.live.push(Task { id: TaskId(900), ..again("2026-03-03T09:00:00Z") });
    world.tell("2026-03-03T08:50:00Z", event("account.paid", Value::Null, Value::Null));
    assert_eq!(world.tasks(), Vec::<String>::new());
    // Asked for when it was known, by a clock that was set back once more.
    world.snapshot.live.push(Task { id: TaskId(901), ..again("2026-03-03T08:40:00Z") });
    world.tell("2026-03-03T08:41:00Z", Wish::PutFacts { entity: account(), facts: json!({ "account": { "timezone": "UTC" } }) });
    assert_eq!(world.tasks(), ["expire 2026-04-01T08:00:00Z scheduled"]);
}

#[test]
fn what_is_scheduled_anew_is_a_new_task_where_the_old_one_may_have_arrived() {
    let schedule = |number: u32| Wish::Schedule {
        entity: account(),
        key: "call".parse().unwrap(),
        due_at: at("2026-03-05T09:00:00Z"),
        action: json!({ "handler": "call", "data": { "number": number } }),
    };
    let mut world = World::new(TRIAL);
    world.tell("2026-03-02T09:00:00Z", schedule(1));
    world.tell("2026-03-02T09:01:00Z", schedule(2));
    assert_eq!(world.kinds(), ["moved"]);
    let sent = &mut world.snapshot.live[0];
    (sent.attempt, sent.possible_duplicate) = (1, true);
    let id = sent.id;
    world.tell("2026-03-02T09:02:00Z", schedule(2));
    assert_eq!((world.snapshot.live[0].id, world.kinds()), (id, vec!["moved"]));
    world.tell("2026-03-02T09:03:00Z", schedule(3));
    assert_eq!(world.tasks(), ["call 2026-03-05T09:00:00Z scheduled"]);
    assert!(world.snapshot.live[0].id != id && !world.snapshot.live[0].possible_duplicate);
    assert_eq!(world.kinds(), ["moved", "cancelled"]);
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
