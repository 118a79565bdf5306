//! Goal: the states of a task and what moves them. Method: the whole table as a snapshot, and random stories against the rules that
//! hold for all of them.

use std::fmt::Write as _;

use hence_core::history::{Record, fold};
use hence_core::name::{Fence, TaskId, TimelineId};
use hence_core::plan::Wanted;
use hence_core::reason::Reason;
use hence_core::reconcile::task_of;
use hence_core::task::{AttemptEnd, Refused, Task, TaskEvent, TaskState};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-03-27T08:00:00Z".parse().unwrap()
}

fn note() -> Reason {
    Reason::Note { text: "test".to_owned() }
}

fn task(state: TaskState) -> Task {
    let wanted = Wanted { step: "remind".parse().unwrap(), occurrence: String::new(), due_at: now(), reason: note() };
    let mut task = task_of(wanted, TaskId(1), (TimelineId(1), &"account/42".parse().unwrap()), now());
    task.state = state;
    if state == TaskState::Running {
        task.fence = Fence(5);
        task.attempt = 1;
        task.started_at = Some(now());
    }
    task
}

fn events(fence: Fence) -> Vec<(&'static str, TaskEvent)> {
    let end = |end| TaskEvent::End { fence, end };
    let later = now() + SignedDuration::from_mins(5);
    vec![
        ("start", TaskEvent::Start { fence: Fence(fence.0 + 1) }),
        ("end done", end(AttemptEnd::Done { outcome: "done".parse().unwrap(), reason: note() })),
        ("end skipped", end(AttemptEnd::Skipped { reason: note() })),
        ("end expired", end(AttemptEnd::Expired { reason: note() })),
        ("end held", end(AttemptEnd::Held { reason: note() })),
        ("end retry", end(AttemptEnd::Retry { wake_at: later, may_have_arrived: true, reason: note() })),
        ("end failed", end(AttemptEnd::Failed { reason: note() })),
        ("end unknown", end(AttemptEnd::Unknown { reason: note() })),
        ("end awaited", end(AttemptEnd::AnswerAwaited { until: later, reason: note() })),
        ("take over", TaskEvent::TakeOver { may_repeat: true }),
        ("take over, at most once", TaskEvent::TakeOver { may_repeat: false }),
        ("cancel", TaskEvent::Cancel { reason: note() }),
        ("skip", TaskEvent::Skip { reason: note() }),
        ("move", TaskEvent::Move { due_at: later, reason: note() }),
        ("hold", TaskEvent::Hold { reason: note() }),
        ("release", TaskEvent::Release { reason: note() }),
        ("run now", TaskEvent::RunNow { reason: note() }),
    ]
}

fn row(task: &Task, event: TaskEvent) -> String {
    match task.apply(event, now()) {
        Ok(transition) => {
            let after = transition.task;
            let mut marks = String::new();
            for (mark, is_set) in [
                ("cancel asked", after.cancel_asked),
                ("possible duplicate", after.possible_duplicate),
                ("answer awaited", after.answer_awaited),
            ] {
                if is_set {
                    write!(marks, ", {mark}").unwrap();
                }
            }
            let record = transition.record.map_or("-", |record| record.kind.as_str());
            format!("{}{marks} [{record}]", after.state)
        }
        Err(refused) => format!("refused: {refused}"),
    }
}

#[test]
fn every_event_in_every_state() {
    let mut table = String::new();
    for state in TaskState::ALL {
        for cancel_asked in [false, true] {
            if cancel_asked && state != TaskState::Running {
                continue;
            }
            let mut task = task(state);
            task.cancel_asked = cancel_asked;
            writeln!(table, "{state}{}", if cancel_asked { ", cancel asked" } else { "" }).unwrap();
            for (name, event) in events(task.fence) {
                writeln!(table, "  {name:<24} -> {}", row(&task, event)).unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_node_that_dies_again_and_again_leaves_the_task_to_a_person() {
    let mut task = task(TaskState::Scheduled);
    for fence in 1..=3 {
        task = task.apply(TaskEvent::Start { fence: Fence(fence) }, now()).unwrap().task;
        task = task.apply(TaskEvent::TakeOver { may_repeat: true }, now()).unwrap().task;
    }
    assert_eq!(task.state, TaskState::Held);
}

#[test]
fn an_outdated_attempt_ends_nothing() {
    let running = task(TaskState::Running);
    let end = AttemptEnd::Done { outcome: "done".parse().unwrap(), reason: note() };
    let stale = running.apply(TaskEvent::End { fence: Fence(4), end }, now());
    assert_eq!(stale, Err(Refused::Stale { given: Fence(4), current: Fence(5) }));
    let waiting = task(TaskState::Scheduled);
    assert!(matches!(waiting.apply(TaskEvent::Start { fence: Fence(0) }, now()), Err(Refused::Stale { .. })));
}

proptest! {
    #[test]
    fn folding_the_history_gives_the_state(story in prop::collection::vec(0_usize..17, 0..40)) {
        let mut task = task(TaskState::Scheduled);
        let mut records: Vec<Record> = Vec::new();
        for step in story {
            let (_, event) = events(task.fence).swap_remove(step);
            let before = task.clone();
            match before.apply(event, now()) {
                Ok(transition) => {
                    prop_assert!(!before.state.is_final(), "a final state changed");
                    prop_assert!(transition.task.fence >= before.fence);
                    task = transition.task;
                    records.extend(transition.record);
                }
                Err(_) => continue,
            }
            // The live row holds the attempt under way; history tells the rest.
            if task.state != TaskState::Running {
                prop_assert_eq!(fold(&records), task.state);
            }
        }
        let ends = records.iter().filter(|record| record.kind.final_state().is_some()).count();
        prop_assert_eq!(ends, usize::from(task.state.is_final()));
    }
}
