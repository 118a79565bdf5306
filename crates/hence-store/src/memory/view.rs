//! Reading for people, by looking at everything.

use std::collections::BTreeMap;

use hence_core::name::{Name, TaskId};
use hence_core::task::{Task, TaskState};
use jiff::Timestamp;

use super::state::State;
use crate::error::Error;
use crate::format::{instant, micros};
use crate::limits::{HOUR, check_count, hour_of, page, read_seq_cursor, read_task_cursor, task_cursor};
use crate::port::{
    Count, CountOf, CountSpan, CountsFilter, Cursor, EntityFilter, EntitySummary, HistoryFilter, HistoryOrder, HistoryRow, Page,
    PageRequest, TaskView, Totals, UpcomingFilter,
};

pub(super) fn upcoming(state: &State, filter: &UpcomingFilter, request: &PageRequest) -> Result<Page<Task>, Error> {
    check_count(request.limit)?;
    let after = request.after.as_ref().map(read_task_cursor).transpose()?;
    let mut found: Vec<Task> = state.live.values().filter(|task| is_wanted(state, filter, task)).cloned().collect();
    found.sort_by_key(|task| (task.due_at, task.id));
    found.retain(|task| after.is_none_or(|after| (micros(task.due_at), task.id.0) > after));
    found.truncate(request.limit + 1);
    Ok(page(found, request, |task| task_cursor(micros(task.due_at), task.id)))
}

fn is_wanted(state: &State, filter: &UpcomingFilter, task: &Task) -> bool {
    let timeline = state.timeline_name(task.timeline);
    filter.entity.as_ref().is_none_or(|entity| task.entity == *entity)
        && filter.entity_kind.as_ref().is_none_or(|kind| task.entity.kind() == kind)
        && filter.timeline.as_ref().is_none_or(|name| timeline.as_ref() == Some(name))
        && filter.step.as_ref().is_none_or(|step| timeline.is_some() && task.step == *step)
        && (filter.states.is_empty() || filter.states.contains(&task.state))
        && filter.due_from.is_none_or(|from| micros(task.due_at) >= micros(from))
        && filter.due_until.is_none_or(|until| micros(task.due_at) < micros(until))
}

pub(super) fn history(state: &State, filter: &HistoryFilter, request: &PageRequest) -> Result<Page<HistoryRow>, Error> {
    check_count(request.limit)?;
    let after = request.after.as_ref().map(read_seq_cursor).transpose()?;
    let mut found: Vec<HistoryRow> = state.history.values().filter(|row| is_asked_for(filter, row)).cloned().collect();
    match filter.order {
        HistoryOrder::OldestFirst => found.retain(|row| after.is_none_or(|after| row.seq > after)),
        HistoryOrder::NewestFirst => {
            found.reverse();
            found.retain(|row| after.is_none_or(|after| row.seq < after));
        }
    }
    found.truncate(request.limit + 1);
    Ok(page(found, request, |row| Cursor(row.seq.to_string())))
}

fn is_asked_for(filter: &HistoryFilter, row: &HistoryRow) -> bool {
    let record = &row.record;
    filter.entity.as_ref().is_none_or(|entity| record.entity == *entity)
        && filter.task.is_none_or(|task| record.task == Some(task))
        && filter.timeline.as_ref().is_none_or(|name| row.timeline_name.as_ref() == Some(name))
        && filter.step.as_ref().is_none_or(|step| record.timeline.is_some() && record.step.as_ref() == Some(step))
        && (filter.kinds.is_empty() || filter.kinds.contains(&record.kind))
        && filter.from.is_none_or(|from| micros(row.written_at) >= micros(from))
        && filter.until.is_none_or(|until| micros(row.written_at) < micros(until))
}

pub(super) fn task(state: &State, id: TaskId) -> Option<TaskView> {
    let origin = state.origins.get(&id)?.clone();
    Some(TaskView {
        live: state.live.get(&id).cloned(),
        records: state.history.values().filter(|row| row.record.task == Some(id)).cloned().collect(),
        timeline: origin.timeline.and_then(|id| state.timelines.get(&id)).cloned(),
        origin,
    })
}

/// What a counter is found by: hour, timeline, step, outcome.
type CountKey = (i64, Option<Name>, Option<Name>, Option<String>);

pub(super) fn counts(state: &State, filter: &CountsFilter) -> Result<Vec<Count>, Error> {
    let mut counters: BTreeMap<CountKey, u64> = BTreeMap::new();
    let mut add = |(hour, timeline, step, outcome): CountKey, count: u64| {
        let begins = match filter.span {
            CountSpan::Hour => hour,
            CountSpan::Day => hour.div_euclid(24) * 24,
        };
        let begins_at = begins * HOUR;
        let is_wanted = filter.timeline.as_ref().is_none_or(|name| timeline.as_ref() == Some(name))
            && filter.step.as_ref().is_none_or(|name| step.as_ref() == Some(name))
            && (micros(filter.from)..micros(filter.until)).contains(&begins_at);
        if is_wanted {
            *counters.entry((begins_at, timeline, step, outcome)).or_default() += count;
        }
    };
    match filter.of {
        CountOf::Upcoming => {
            for task in state.live.values() {
                let timeline = state.timeline_name(task.timeline);
                let step = timeline.is_some().then(|| task.step.clone());
                add((hour_of(task.due_at), timeline, step, None), 1);
            }
        }
        CountOf::Finished => {
            for (key, count) in &state.finished {
                add((key.hour, key.timeline.clone(), key.step.clone(), Some(key.outcome.clone())), *count);
            }
        }
    }
    let rows = counters.into_iter();
    rows.map(|((begins_at, timeline, step, outcome), count)| {
        Ok(Count { begins_at: instant(begins_at)?, timeline, step, outcome, count })
    })
    .collect()
}

pub(super) fn totals(state: &State) -> Totals {
    let mut totals = Totals {
        entities: state.entities.len() as u64,
        timelines: state.timelines.len() as u64,
        wishes: state.wishes.len() as u64,
        next_wake_at: state.by_wake_at(TaskState::Scheduled).first().map(|(wake_at, _)| *wake_at),
        ..Totals::default()
    };
    for task in state.live.values() {
        *totals.live.entry(task.state).or_default() += 1;
    }
    for (key, count) in &state.finished {
        *totals.finished.entry(key.outcome.clone()).or_default() += count;
    }
    totals
}

pub(super) fn entities(state: &State, filter: &EntityFilter, request: &PageRequest) -> Result<Page<EntitySummary>, Error> {
    check_count(request.limit)?;
    let prefix = filter.prefix.as_deref().unwrap_or_default();
    let prefix = filter.kind.as_ref().map_or_else(|| prefix.to_owned(), |kind| format!("{kind}/{prefix}"));
    let mut found: Vec<(String, EntitySummary)> = Vec::new();
    for (entity, row) in &state.entities {
        let written = entity.to_string();
        let is_after = request.after.as_ref().is_none_or(|after| written > after.0);
        let mut postponed = state.postponed.get(entity).cloned();
        if is_after && written.starts_with(&prefix) && (postponed.is_some() || !filter.is_postponed) {
            if let Some(postponed) = &mut postponed {
                postponed.wishes = state.wishes.values().filter(|wish| wish.wish.entity() == entity).count() as u64;
            }
            let next_due_at: Option<Timestamp> =
                state.live.values().filter(|task| task.entity == *entity).map(|task| task.due_at).min();
            let (entity, erase_at) = (entity.clone(), row.erase_at);
            let summary = EntitySummary { entity, version: row.version, next_due_at, erase_at, postponed };
            found.push((written, summary));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let found = page(found, request, |(written, _)| Cursor(written.clone()));
    Ok(Page { items: found.items.into_iter().map(|(_, summary)| summary).collect(), next: found.next })
}
