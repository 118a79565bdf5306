//! Goal: the jobs are as good as jobs can be: repeatable, they catch up, and they do not act twice. Method: some accounts written
//! into the application's own tables, a real mail server, nights one after the other.

use chat_batch::{InDoubt, Jobs, Post, Report};
use jiff::Timestamp;

use crate::gate::Gate;
use crate::world::BatchWorld;

/// An account that began its trial then, in UTC.
fn account(world: &BatchWorld, id: i64, created_at: &str) {
    let row = "insert into account (id, email, timezone, created_at, trial_days, status) values (?1, ?2, 'UTC', ?3, 30, 'trial')";
    world.database.execute(row, (id, format!("a{id}@example.com"), created_at)).unwrap();
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn nothing() -> Report {
    Report::default()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_job_acts_once_however_often_it_runs() {
    let mut world = BatchWorld::new().await;
    account(&world, 1, "2026-03-03T10:00:00.000Z");
    world.database.execute("insert into widget_hit values (1, '2026-04-03T12:00:00.000Z', 7)", ()).unwrap();
    assert_eq!(world.night(at("2026-03-27T04:00:00Z")), nothing());
    assert_eq!(world.night(at("2026-03-30T04:00:00Z")), Report { mailed: 1, ..nothing() });
    assert_eq!(world.night(at("2026-03-30T04:00:00Z")), nothing());
    assert_eq!(world.night(at("2026-04-02T04:00:00Z")), Report { mailed: 1, switched_off: 1, ..nothing() });
    assert_eq!(world.night(at("2026-04-03T04:00:00Z")), nothing());
    assert_eq!(world.night(at("2026-04-04T04:00:00Z")), Report { mailed: 1, ..nothing() });
    assert_eq!(world.night(at("2026-04-05T04:00:00Z")), nothing());
    assert_eq!(world.end().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_nights_are_caught_up_with_within_their_limits() {
    let mut world = BatchWorld::new().await;
    account(&world, 1, "2026-03-02T10:00:00.000Z");
    account(&world, 2, "2026-02-20T10:00:00.000Z");
    // Due on 27 March and 1 April; the second account's switch-off was due on 22 March.
    assert_eq!(world.night(at("2026-03-30T04:00:00Z")), Report { mailed: 1, too_late: 1, ..nothing() });
    assert_eq!(world.night(at("2026-04-04T04:00:00Z")), Report { mailed: 1, switched_off: 1, too_late: 1, ..nothing() });
    assert_eq!(world.night(at("2026-04-06T04:00:00Z")), Report { gone: 1, too_late: 1, ..nothing() });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mail_server_refuses_is_sent_the_next_night() {
    let mut world = BatchWorld::new().await;
    account(&world, 1, "2026-03-02T10:00:00.000Z");
    world.gate.set(Gate::Shut);
    assert_eq!(world.night(at("2026-04-01T04:00:00Z")), Report { switched_off: 1, not_sent: 1, ..nothing() });
    world.gate.set(Gate::Open);
    assert_eq!(world.night(at("2026-04-02T04:00:00Z")), Report { mailed: 1, ..nothing() });
}

#[tokio::test(flavor = "multi_thread")]
async fn payers_are_left_alone_and_two_runs_exclude_each_other() {
    let mut world = BatchWorld::new().await;
    account(&world, 1, "2026-03-02T10:00:00.000Z");
    world.database.execute("update account set paid_at = '2026-03-05T10:00:00.000Z', status = 'paid'", ()).unwrap();
    assert_eq!(world.night(at("2026-04-01T04:00:00Z")), nothing());
    let path = world.database.path().unwrap().to_owned();
    let second = Jobs::open(path.as_ref(), Post::new("smtp://127.0.0.1:1", "a@b.example").unwrap(), InDoubt::Send);
    assert_eq!(second.err().unwrap().to_string(), "another run is under way");
}
