//! Erasing and forgetting.

use hence_core::name::{EntityKey, TaskId, WishId};
use hence_core::timeline::TimelineStatus;
use hence_core::wish::Wish;
use jiff::Timestamp;

use super::state::State;
use crate::erasure::{ending, proof, scrub};
use crate::format::micros;
use crate::port::Lease;

pub(super) fn erase(state: &mut State, entity: &EntityKey, now: Timestamp) -> bool {
    let now = state.written_at(now);
    if !state.entities.contains_key(entity) {
        return false;
    }
    for row in state.history.values_mut().filter(|row| row.record.entity == *entity) {
        row.record.reason = scrub(row.record.reason.clone());
    }
    for origin in state.origins.values_mut().filter(|origin| origin.entity == *entity) {
        origin.reason = scrub(origin.reason.clone());
        origin.action = None;
    }
    for timeline in state.timelines.values_mut().filter(|timeline| timeline.entity == *entity) {
        timeline.status = TimelineStatus::Ended;
        timeline.given.clear();
        timeline.facts = serde_json::json!({});
    }
    let last = state.wishes.iter().rev().find(|(_, wish)| matches!(&wish.wish, Wish::Erase { entity: of } if of == entity));
    let until = last.map_or(WishId(i64::MAX), |(id, _)| *id);
    state.wishes.retain(|id, wish| wish.wish.entity() != entity || *id > until);
    state.postponed.remove(entity);
    state.keys.retain(|_, key| key.entity != *entity);
    let ahead: Vec<TaskId> = state.live.values().filter(|task| task.entity == *entity).map(|task| task.id).collect();
    for id in ahead {
        let (end, record) = ending(&state.live[&id], now);
        state.finish(id, end.as_str(), now);
        state.add_record(record, now);
    }
    state.add_record(proof(entity, now), now);
    let row = state.entity(entity, now);
    row.version += 1;
    row.erase_at = None;
    state.touch(entity, now);
    true
}

pub(super) fn due(state: &State, lease: Option<&Lease>, now: Timestamp, limit: usize) -> Vec<EntityKey> {
    let is_wanted = |entity: &EntityKey| lease.is_none_or(|lease| lease.epoch(state.shard_of(entity)).is_some());
    let rows = state.entities.iter().filter_map(|(entity, row)| Some((row.erase_at?, entity.to_string(), entity)));
    let mut due: Vec<_> = rows.filter(|(erase_at, _, entity)| *erase_at <= now && is_wanted(entity)).collect();
    due.sort();
    due.into_iter().take(limit).map(|(_, _, entity)| entity.clone()).collect()
}

pub(super) fn prune(state: &mut State, before: Timestamp, limit: usize) -> usize {
    let is_idle = |entity: &EntityKey, since: Option<Timestamp>| {
        since.is_some_and(|since| micros(since) < micros(before))
            && !state.wishes.values().any(|wish| wish.wish.entity() == entity)
    };
    let rows = state.entities.iter().filter(|(entity, row)| is_idle(entity, row.idle_since));
    let mut idle: Vec<_> = rows.map(|(entity, row)| (row.idle_since, entity.to_string(), entity.clone())).collect();
    idle.sort();
    idle.truncate(limit);
    for (_, _, entity) in &idle {
        state.entities.remove(entity);
        state.timelines.retain(|_, timeline| timeline.entity != *entity);
        state.origins.retain(|_, origin| origin.entity != *entity);
        state.history.retain(|_, row| row.record.entity != *entity);
        state.keys.retain(|_, key| key.entity != *entity);
    }
    idle.len()
}
