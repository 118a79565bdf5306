//! Goal: lateness is judged where nobody was reached yet. Method: a late task with the attempts and takeovers that it has behind it.

use hence_core::decide::{Firing, Known, Rules, before_facts};
use hence_core::definition::Definition;
use hence_core::library::Library;
use hence_core::name::{DefinitionHash, Fence, TaskId, TimelineId};
use hence_core::plan::Wanted;
use hence_core::reason::Reason;
use hence_core::reconcile::task_of;
use hence_core::task::{AttemptEnd, TaskState};
use hence_core::timeline::{EntitySnapshot, Timeline, TimelineStatus};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

const SKIPS: &str = r#"
[timeline]
name = "t"
entity = "account"
anchor = "start"
[step.remind]
late = { after = "1 hour", then = "skip" }
do = { log = "remind" }
"#;

/// Whether a task that is due for three days is given up at this attempt.
fn is_given_up(attempt: u32, takeovers: u32) -> bool {
    let definition = std::sync::Arc::new(Definition::load(SKIPS).unwrap().definition);
    let hash: DefinitionHash = definition.hash.clone();
    let mut library = Library::default();
    library.add(definition);
    let due_at = Timestamp::UNIX_EPOCH;
    let entity: hence_core::name::EntityKey = "account/1".parse().unwrap();
    let reason = Reason::Note { text: String::new() };
    let wanted = Wanted { step: "remind".parse().unwrap(), occurrence: String::new(), due_at, reason };
    let mut task = task_of(wanted, TaskId(1), (TimelineId(1), &entity), due_at);
    (task.state, task.fence, task.attempt, task.takeovers) = (TaskState::Running, Fence(7), attempt, takeovers);
    let timeline = Timeline {
        id: TimelineId(1),
        name: "t".parse().unwrap(),
        definition: hash,
        entity: entity.clone(),
        run: 1,
        status: TimelineStatus::Active,
        enrolled_at: due_at,
        given: [("start".parse().unwrap(), due_at)].into(),
        facts: Value::Null,
    };
    let snapshot =
        EntitySnapshot { entity, version: 1, timelines: vec![timeline], live: vec![task.clone()], records: Vec::new() };
    let rules = Rules::of(&task, &snapshot, &library).unwrap();
    let known = Known::of(&rules, &snapshot, &library);
    let now = due_at + SignedDuration::from_hours(72);
    let end = before_facts(Firing { rules: &rules, known: &known, task: &task, now });
    matches!(end, Some(AttemptEnd::Expired { .. }))
}

#[test]
fn an_attempt_that_died_with_its_engine_does_not_make_a_late_task_timely() {
    let found = [(1, 0), (2, 1), (3, 2), (2, 0), (3, 1)].map(|(attempt, takeovers)| is_given_up(attempt, takeovers));
    assert_eq!(found, [true, true, true, false, false]);
}
