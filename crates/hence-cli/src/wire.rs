//! The JSON that reading commands print: `snake_case`, RFC 3339 in UTC, ids as text, reasons as data. Fields are only ever added.

use hence::core::history::Record;
use hence::core::name::TaskId;
use hence::core::reason::Reason;
use hence::core::reason::delay::Delay;
use hence::core::task::{Task, TaskState};
use hence::core::timeline::Timeline;
use hence::store::port::{Count, Cursor, EntitySummary, HistoryRow, Life, NodeRow, Ownership, Page, Postponed, Totals};
use serde_json::{Map, Value, json};

/// A page of a list.
pub(crate) fn page<T>(page: &Page<T>, item: impl Fn(&T) -> Value) -> Value {
    let next = page.next.as_ref().map(|Cursor(text)| text.clone());
    json!({ "items": page.items.iter().map(item).collect::<Vec<_>>(), "next_cursor": next })
}

/// A task that is not final.
pub(crate) fn task(task: &Task) -> Value {
    json!({
        "id": task.id.to_string(),
        "entity": task.entity.to_string(),
        "timeline_id": task.timeline.map(|id| id.to_string()),
        "step": task.step.to_string(),
        "occurrence": none_if_empty(&task.occurrence),
        "state": task.state.as_str(),
        "due_at": task.due_at.to_string(),
        "wake_at": task.wake_at.to_string(),
        "attempt": task.attempt,
        "fence": (task.state == TaskState::Running).then(|| task.fence.0.to_string()),
        "started_at": task.started_at.map(|at| at.to_string()),
        "answer_awaited": task.answer_awaited,
        "cancel_asked": task.cancel_asked,
        "possible_duplicate": task.possible_duplicate,
        "created_at": task.created_at.to_string(),
        "reason": reason(&task.reason),
    })
}

/// What holds back a task that is late.
pub(crate) fn delay(delay: &Delay) -> Value {
    let because = |because: &Option<Box<Reason>>| because.as_ref().map(|because| reason(because));
    match delay {
        Delay::Held { since, because: why } => json!({ "delay": "held", "since": since.to_string(), "because": because(why) }),
        Delay::UnderWay { attempt, started_at } => {
            json!({ "delay": "under_way", "attempt": attempt, "started_at": started_at.to_string() })
        }
        Delay::AnswerAwaited { until } => json!({ "delay": "answer_awaited", "until": until.to_string() }),
        Delay::Retry { wake_at, attempts, because: why } => {
            json!({ "delay": "retry", "wake_at": wake_at.to_string(), "attempts": attempts, "because": because(why) })
        }
        Delay::Wishes { count, waiting } => json!({
            "delay": "wishes",
            "count": count,
            "since": waiting.as_ref().map(|waiting| waiting.since.to_string()),
            "try_at": waiting.as_ref().map(|waiting| waiting.try_at.to_string()),
            "code": waiting.as_ref().map(|waiting| waiting.problem.code.clone()),
            "problem": waiting.as_ref().map(|waiting| waiting.problem.message.clone()),
        }),
        Delay::Behind { task, step, due_at, is_running } => json!({
            "delay": "behind",
            "task_id": TaskId(*task).to_string(),
            "step": step,
            "due_at": due_at.to_string(),
            "is_running": is_running,
        }),
        Delay::NoEngine { last_seen } => json!({ "delay": "no_engine", "last_seen": last_seen.map(|at| at.to_string()) }),
        Delay::CatchUp { due_before } => json!({ "delay": "catch_up", "due_before": due_before }),
        // Delays are only ever added; one of a newer release still has its sentence.
        _ => json!({ "delay": "other" }),
    }
}

/// A record of history as it is stored.
pub(crate) fn row(row: &HistoryRow) -> Value {
    let mut value = record(&row.record);
    if let Value::Object(fields) = &mut value {
        fields.insert("seq".to_owned(), json!(row.seq));
        fields.insert("written_at".to_owned(), json!(row.written_at.to_string()));
        fields.insert("timeline".to_owned(), json!(row.timeline_name.as_ref().map(ToString::to_string)));
    }
    value
}

/// A record of history.
pub(crate) fn record(record: &Record) -> Value {
    json!({
        "at": record.at.to_string(),
        "kind": record.kind.as_str(),
        "entity": record.entity.to_string(),
        "timeline_id": record.timeline.map(|id| id.to_string()),
        "task_id": record.task.map(|id| id.to_string()),
        "step": record.step.as_ref().map(ToString::to_string),
        "occurrence": none_if_empty(&record.occurrence),
        "due_at": record.due_at.map(|at| at.to_string()),
        "started_at": record.started_at.map(|at| at.to_string()),
        "attempt": record.attempt,
        "outcome": record.outcome,
        "reason": reason(&record.reason),
    })
}

/// A reason as data.
pub(crate) fn reason(reason: &hence::core::reason::Reason) -> Value {
    // A reason is plain data with text keys, which JSON can always hold.
    serde_json::to_value(reason).unwrap_or_default()
}

/// A timeline.
pub(crate) fn timeline(timeline: &Timeline) -> Value {
    let given: Map<String, Value> = timeline.given.iter().map(|(name, at)| (name.to_string(), json!(at.to_string()))).collect();
    json!({
        "id": timeline.id.to_string(),
        "timeline": timeline.name.to_string(),
        "definition": timeline.definition.to_string(),
        "run": timeline.run,
        "status": timeline.status.as_str(),
        "enrolled_at": timeline.enrolled_at.to_string(),
        "given": given,
        "facts": timeline.facts,
    })
}

/// One entity of a list.
pub(crate) fn entity(entity: &EntitySummary) -> Value {
    json!({
        "entity": entity.entity.to_string(),
        "version": entity.version,
        "next_due_at": entity.next_due_at.map(|at| at.to_string()),
        "erase_at": entity.erase_at.map(|at| at.to_string()),
        "waiting": entity.postponed.as_ref().map(postponed),
    })
}

/// That what was told of an entity waits because its facts cannot be read.
fn postponed(postponed: &Postponed) -> Value {
    json!({
        "wishes": postponed.wishes,
        "since": postponed.since.to_string(),
        "tries": postponed.tries,
        "try_at": postponed.try_at.to_string(),
        "code": postponed.problem.code,
        "problem": postponed.problem.message,
    })
}

/// One counter.
pub(crate) fn count(count: &Count) -> Value {
    json!({
        "begins_at": count.begins_at.to_string(),
        "timeline": count.timeline.as_ref().map(ToString::to_string),
        "step": count.step.as_ref().map(ToString::to_string),
        "count": count.count,
    })
}

/// How many of everything.
pub(crate) fn totals(totals: &Totals) -> Value {
    let live: Map<String, Value> = totals.live.iter().map(|(state, count)| (state.to_string(), json!(count))).collect();
    json!({
        "live": live,
        "finished": totals.finished,
        "entities": totals.entities,
        "timelines": totals.timelines,
        "wishes": totals.wishes,
        "next_wake_at": totals.next_wake_at.map(|at| at.to_string()),
    })
}

/// The engines on a store.
pub(crate) fn nodes(ownership: &Ownership) -> Value {
    let shown = |row: &NodeRow| {
        json!({
            "node": row.node,
            "shards": ownership.lease_of(&row.node).shards.iter().map(|owned| owned.shard.0).collect::<Vec<_>>(),
            "beat": row.beat,
            "joined_at": row.joined_at.to_string(),
            "beaten_at": row.beaten_at.to_string(),
            "is_leaving": row.is_leaving,
            "life": match row.life {
                Life::Unknown => "unknown",
                Life::Alive => "alive",
                Life::Gone => "gone",
            },
            "notice": row.notice,
        })
    };
    ownership.nodes.iter().map(shown).collect()
}

fn none_if_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
