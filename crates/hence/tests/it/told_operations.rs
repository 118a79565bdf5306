//! Goal: a cancel, a move or an erasure that was told through the inbox does what it would do at once, in the order of telling. Method:
//! wishes put into the inbox while no engine runs, then an engine; history as lines. On every store.

use hence_core::wish::Wish;
use hence_store::port::NewWish;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{BEGIN, World, at, entity, places};

const TWO: &str = r#"
    [timeline]
    name = "two"
    entity = "account"
    anchor = "start"
    [step.a]
    due = "1 day"
    do = { handler = "note" }
    [step.b]
    due = "2 days"
    do = { handler = "note" }
    [step.after_cancel]
    after = "a:cancelled"
    do = { handler = "note" }
"#;

fn name(text: &str) -> hence_core::name::Name {
    text.parse().unwrap()
}

fn cancel(timeline: Option<&str>, step: &str) -> Wish {
    Wish::Cancel { entity: entity(), timeline: timeline.map(name), step: name(step), text: "told".to_owned() }
}

fn reschedule(timeline: Option<&str>, step: &str, due_at: &str) -> Wish {
    let (timeline, step, due_at) = (timeline.map(name), name(step), at(due_at));
    Wish::Reschedule { entity: entity(), timeline, step, due_at, text: "told".to_owned() }
}

fn schedule(key: &str, due_at: &str) -> Wish {
    Wish::Schedule { entity: entity(), key: name(key), due_at: at(due_at), action: json!({ "handler": "note" }) }
}

fn event(word: &str) -> Wish {
    Wish::Event { entity: entity(), name: word.parse().unwrap(), data: Value::Null, facts: Value::Null }
}

fn enrol() -> Wish {
    Wish::Enrol { timeline: name("two"), entity: entity(), given: [].into(), facts: Value::Null }
}

/// The wishes lie in the inbox when an engine comes; what history holds of tasks a week later.
async fn check(wishes: &[Wish], expected: &[&str]) {
    for place in places() {
        let world = World::new(place.store).await;
        world.client.put_definition(TWO).await.unwrap();
        let told: Timestamp = at(BEGIN);
        let new = wishes.iter().map(|wish| NewWish { wish: wish.clone(), at: told, actor: "sql:app".to_owned(), key: None });
        world.client.store().accept(new.collect(), told).await.unwrap();
        world.advance("2026-03-09T09:00:00Z").await;
        assert_eq!(world.history().await, expected, "{wishes:?}");
        assert_eq!(world.client.store().totals().await.unwrap().wishes, 0);
    }
}

#[tokio::test]
async fn a_step_is_cancelled_although_it_was_planned_by_the_wish_before() {
    let cancelled = ["2026-03-02T09:00:00Z a cancelled", "2026-03-02T09:00:00Z after_cancel done", "2026-03-04T09:00:00Z b done"];
    check(&[enrol(), cancel(Some("two"), "a")], &cancelled).await;
    check(&[enrol(), event("x"), cancel(Some("two"), "a"), event("y"), cancel(Some("two"), "a")], &cancelled).await;
}

#[tokio::test]
async fn an_ad_hoc_task_is_scheduled_moved_and_cancelled_in_the_order_of_telling() {
    check(&[schedule("call", "2026-03-03T09:00:00Z"), cancel(None, "call")], &["2026-03-02T09:00:00Z call cancelled"]).await;
    let moved = ["2026-03-02T09:00:00Z call moved", "2026-03-05T09:00:00Z call done"];
    check(&[schedule("call", "2026-03-03T09:00:00Z"), reschedule(None, "call", "2026-03-05T09:00:00Z")], &moved).await;
    let again = ["2026-03-02T09:00:00Z call cancelled", "2026-03-03T09:00:00Z call done"];
    let call = || schedule("call", "2026-03-03T09:00:00Z");
    check(&[call(), cancel(None, "call"), call()], &again).await;
}

#[tokio::test]
async fn a_planned_step_stays_where_it_was_moved_to() {
    let wishes = [enrol(), reschedule(Some("two"), "a", "2026-03-06T10:00:00Z"), event("x")];
    check(&wishes, &["2026-03-02T09:00:00Z a moved", "2026-03-04T09:00:00Z b done", "2026-03-06T10:00:00Z a done"]).await;
}

#[tokio::test]
async fn what_is_told_after_an_erasure_counts() {
    check(&[enrol(), Wish::Erase { entity: entity() }], &["2026-03-02T09:00:00Z - notice"]).await;
    let wishes = [enrol(), Wish::Erase { entity: entity() }, schedule("call", "2026-03-03T09:00:00Z")];
    check(&wishes, &["2026-03-02T09:00:00Z - notice", "2026-03-03T09:00:00Z call done"]).await;
}

#[tokio::test]
async fn operating_on_what_is_not_there_is_refused_and_kept() {
    for place in places() {
        let world = World::new(place.store).await;
        world.client.put_definition(TWO).await.unwrap();
        let new = NewWish { wish: cancel(None, "call"), at: at(BEGIN), actor: "sql:app".to_owned(), key: None };
        world.client.store().accept(vec![new], at(BEGIN)).await.unwrap();
        world.client.settle(10).await.unwrap();
        let said: Vec<String> =
            world.rows().await.iter().map(|row| row.record.reason.sentence(&hence_core::calendar::Zone::utc())).collect();
        assert_eq!(said, ["refused: account/42 has no task `call` (HNC-0310)"]);
    }
}
