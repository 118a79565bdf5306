//! Goal: whatever holds a late task back is named, what must end first coming first. Method: tasks and what is around them in, sentences
//! out.

use hence_core::answer::Problem;
use hence_core::calendar::Zone;
use hence_core::history::{Record, RecordKind};
use hence_core::name::{EntityKey, Fence, TaskId, TimelineId};
use hence_core::plan::Wanted;
use hence_core::reason::Reason;
use hence_core::reason::delay::{Around, EngineSeen, Waiting, delays};
use hence_core::task::{Task, TaskState};
use hence_core::timeline::EntitySnapshot;
use jiff::Timestamp;

fn at(minute: i64) -> Timestamp {
    "2026-03-02T09:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_mins(minute)
}

/// A task due at that minute, in that state, after so many attempts.
fn task(id: i64, minute: i64, state: TaskState, attempt: u32) -> Task {
    let entity: EntityKey = "account/42".parse().unwrap();
    let (step, reason) = (format!("step_{id}").parse().unwrap(), Reason::Note { text: String::new() });
    let wanted = Wanted { step, occurrence: String::new(), due_at: at(minute), reason };
    let mut task = hence_core::reconcile::task_of(wanted, TaskId(id), (TimelineId(1), &entity), at(-60));
    task.state = state;
    task.attempt = attempt;
    task.fence = Fence(i64::from(attempt));
    task.started_at = (attempt > 0).then(|| at(minute));
    task
}

/// What is around a task beside its entity.
#[derive(Clone, Copy)]
struct Beside {
    wishes: u64,
    is_postponed: bool,
    engine: EngineSeen,
    due_before: u64,
}

const ALIVE: Beside = Beside { wishes: 0, is_postponed: false, engine: EngineSeen::Alive, due_before: 0 };

/// The first task is the one in question; it is ten minutes past nine.
fn check(tasks: &[Task], beside: Beside, expected: &[&str]) {
    let mut snapshot = EntitySnapshot::unknown("account/42".parse().unwrap());
    snapshot.live = tasks.to_vec();
    for task in tasks {
        let (kind, problem) = match task.state {
            TaskState::Held => (RecordKind::Held, "a person wants to look"),
            TaskState::Scheduled if task.attempt > 0 => (RecordKind::Retried, "the receiver is down"),
            _ => continue,
        };
        let mut record = Record::about(task.entity.clone(), (kind, at(1)), Reason::Note { text: problem.to_owned() });
        record.task = Some(task.id);
        snapshot.records.push(record);
    }
    let problem = Problem { code: "facts-not-read".to_owned(), message: "the database is down".to_owned() };
    let waiting = Waiting { since: at(2), try_at: at(12), problem };
    let around = Around {
        snapshot: &snapshot,
        wishes: beside.wishes,
        waiting: beside.is_postponed.then_some(&waiting),
        engine: beside.engine,
        due_before: beside.due_before,
        now: at(10),
    };
    let found: Vec<String> = delays(&tasks[0], around).iter().map(|delay| delay.sentence(&Zone::utc())).collect();
    assert_eq!(found, expected);
}

#[test]
fn whatever_holds_a_task_back_is_named() {
    use TaskState::{Held, Running, Scheduled};
    check(&[task(1, 20, Scheduled, 0)], ALIVE, &[]);
    check(&[task(1, 10, Scheduled, 0)], ALIVE, &[]);
    check(
        &[task(1, 9, Held, 0)],
        ALIVE,
        &["a person must let it go on since Mon 2026-03-02 09:01 (UTC): a person wants to look"],
    );
    check(&[task(1, 9, Running, 2)], ALIVE, &["attempt 2 is under way since Mon 2026-03-02 09:09 (UTC)"]);
    let mut retry = task(1, 9, Scheduled, 2);
    retry.wake_at = at(15);
    let again = "it was tried 2 times and is tried again Mon 2026-03-02 09:15 (UTC): the receiver is down";
    check(&[retry.clone()], ALIVE, &[again]);
    let mut awaited = task(1, 9, Running, 1);
    (awaited.answer_awaited, awaited.wake_at) = (true, at(60));
    check(&[awaited], ALIVE, &["the receiver took it and has time to answer until Mon 2026-03-02 10:00 (UTC)"]);
    let behind = |state, word: &str| {
        let expected = format!("step_2 (task_2) of the same entity {word}; its instant is Mon 2026-03-02 09:08 (UTC)");
        check(&[task(1, 9, Scheduled, 0), task(2, 8, state, 1)], ALIVE, &[&expected]);
    };
    behind(Running, "is running");
    behind(Scheduled, "comes first");
    // What is held, or is due later, stands in nobody's way; what runs comes before what only waits.
    check(&[task(1, 9, Scheduled, 0), task(2, 8, Held, 0), task(3, 10, Scheduled, 0)], ALIVE, &[]);
    check(
        &[task(1, 9, Scheduled, 0), task(2, 7, Scheduled, 0), task(3, 8, Running, 1)],
        ALIVE,
        &["step_3 (task_3) of the same entity is running; its instant is Mon 2026-03-02 09:08 (UTC)"],
    );
}

#[test]
fn what_is_beside_the_entity_is_named_too() {
    let late = || [task(1, 5, TaskState::Scheduled, 0)];
    check(&late(), Beside { wishes: 1, ..ALIVE }, &["something that was told of its entity must be carried out first"]);
    check(
        &late(),
        Beside { wishes: 2, is_postponed: true, ..ALIVE },
        &["2 things that were told of its entity cannot be carried out since Mon 2026-03-02 09:02 (UTC): the database is down \
           (facts-not-read); tried again Mon 2026-03-02 09:12 (UTC)"],
    );
    let gone = EngineSeen::Gone { last_seen: Some(at(3)) };
    check(&late(), Beside { engine: gone, ..ALIVE }, &["no engine is running; one was seen last Mon 2026-03-02 09:03 (UTC)"]);
    check(
        &late(),
        Beside { engine: EngineSeen::Gone { last_seen: None }, wishes: 1, ..ALIVE },
        &["something that was told of its entity must be carried out first", "no engine is running"],
    );
    check(
        &late(),
        Beside { due_before: 1200, ..ALIVE },
        &["it has been due for over a minute, with about 1200 tasks before it; engines start these at a limited speed"],
    );
    check(&late(), Beside { due_before: 1200, engine: EngineSeen::Unknown, ..ALIVE }, &[]);
}
