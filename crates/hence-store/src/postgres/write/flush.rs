//! Sending what the change sets come to: one statement for each kind of row, all on their way at once, in one transaction.
//!
//! Every write of a task is conditional although its row is held: that all of them found what they expect is an invariant of ours.

use hence_core::name::EntityKey;

use super::Call;
use super::changing::Changing;
use super::stored::{LiveRow, Stored};
use crate::codes::{kind_code, status_code};
use crate::format::{corrupt, micros, write_given, write_json, write_reason};
use crate::postgres::connection::Connected;
use crate::postgres::failure::Stop;
use crate::postgres::row::{escape, small};
use crate::postgres::statement::{
    ENTITY_TOUCH, INBOX_CARRIED_OUT, INBOX_DELETE, INBOX_POSTPONE, WRITE_CHANGE_BODY, WRITE_DELETE_LIVE, WRITE_INSERT_BODY,
    WRITE_INSERT_LIVE, WRITE_INSERT_RECORD, WRITE_PUT_TIMELINE, WRITE_UPDATE_LIVE,
};
use crate::postgres::{counter, entity};

/// Writes it; how many rows of counters were noted.
pub(super) async fn flush(
    connected: &Connected,
    call: &Call<'_>,
    stored: &mut Stored,
    changing: Changing<'_>,
) -> Result<u64, Stop> {
    insert_entities(connected, call, stored, &changing).await?;
    let statements = [
        &INBOX_DELETE,
        &INBOX_CARRIED_OUT,
        &INBOX_POSTPONE,
        &WRITE_PUT_TIMELINE,
        &WRITE_INSERT_BODY,
        &WRITE_INSERT_LIVE,
        &WRITE_UPDATE_LIVE,
        &WRITE_DELETE_LIVE,
        &WRITE_CHANGE_BODY,
        &WRITE_INSERT_RECORD,
        &ENTITY_TOUCH,
    ];
    connected.ready(&statements).await?;
    let (stored, changing) = (&*stored, &changing);
    // In this order they are sent and carried out; `touch` looks at what the others wrote.
    let (wishes, settled, postponed, timelines, bodies, made, changed, ended, moved, records, touched, noted) = futures::join!(
        delete_wishes(connected, changing),
        settle(connected, stored, changing),
        postpone(connected, stored, changing),
        put_timelines(connected, stored, changing),
        insert_bodies(connected, stored, changing),
        insert_live(connected, stored),
        update_live(connected, stored),
        delete_live(connected, stored),
        change_bodies(connected, changing),
        insert_records(connected, stored, changing),
        touch(connected, stored, changing),
        counter::add(connected, changing.tallies.clone()),
    );
    let results = [wishes, settled, postponed, timelines, bodies, made, changed, ended, moved, records, touched];
    results.into_iter().collect::<Result<Vec<()>, Stop>>()?;
    noted
}

async fn insert_entities(
    connected: &Connected,
    call: &Call<'_>,
    stored: &mut Stored,
    changing: &Changing<'_>,
) -> Result<(), Stop> {
    let new: Vec<EntityKey> = stored
        .entities
        .iter()
        .filter(|entity| entity.touched.is_some() && entity.id.is_none())
        .map(|entity| entity.key.clone())
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let keys: Vec<&EntityKey> = new.iter().collect();
    let made = entity::insert(connected, call.shards, &keys, changing.now).await?;
    for entity in stored.entities.iter_mut().filter(|entity| entity.id.is_none()) {
        entity.id = made.get(&entity.key.to_string()).copied();
    }
    Ok(())
}

/// The number of an entity whose row is there by now.
fn id_of(stored: &Stored, place: usize) -> i64 {
    stored.entities[place].id.expect("the rows of entities that are written about were made before")
}

/// Holds how many rows a conditional write found against how many it must have.
fn hold(found: u64, wanted: usize) -> Result<(), Stop> {
    if found == wanted as u64 {
        return Ok(());
    }
    Err(corrupt(&format!("of {wanted} rows that were held, {found} could be changed")).into())
}

async fn delete_wishes(connected: &Connected, changing: &Changing<'_>) -> Result<(), Stop> {
    if changing.wishes.is_empty() {
        return Ok(());
    }
    hold(connected.run(&INBOX_DELETE, &[&changing.wishes]).await?, changing.wishes.len())
}

/// Ends the postponement of entities of whose wishes some were carried out.
async fn settle(connected: &Connected, stored: &Stored, changing: &Changing<'_>) -> Result<(), Stop> {
    if changing.settled.is_empty() {
        return Ok(());
    }
    let entities: Vec<i64> = changing.settled.iter().map(|place| id_of(stored, *place)).collect();
    connected.run(&INBOX_CARRIED_OUT, &[&entities]).await.map(|_| ())
}

async fn postpone(connected: &Connected, stored: &Stored, changing: &Changing<'_>) -> Result<(), Stop> {
    let of = &changing.postponed;
    if of.is_empty() {
        return Ok(());
    }
    let entities: Vec<i64> = of.keys().map(|place| id_of(stored, *place)).collect();
    let try_at: Vec<i64> = of.values().map(|postponement| micros(postponement.try_at)).collect();
    let codes: Vec<String> = of.values().map(|postponement| escape(&postponement.problem.code)).collect();
    let messages: Vec<String> = of.values().map(|postponement| escape(&postponement.problem.message)).collect();
    connected.run(&INBOX_POSTPONE, &[&entities, &try_at, &codes, &messages, &micros(changing.now)]).await.map(|_| ())
}

async fn put_timelines(connected: &Connected, stored: &Stored, changing: &Changing<'_>) -> Result<(), Stop> {
    let of = &changing.timelines;
    if of.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = of.keys().copied().collect();
    let entities: Vec<i64> = of.values().map(|(place, _)| id_of(stored, *place)).collect();
    let names: Vec<&str> = of.values().map(|(_, timeline)| timeline.name.as_str()).collect();
    let definitions: Vec<&str> = of.values().map(|(_, timeline)| timeline.definition.0.as_str()).collect();
    let runs: Vec<i64> = of.values().map(|(_, timeline)| i64::from(timeline.run)).collect();
    let statuses: Vec<i16> = of.values().map(|(_, timeline)| small(status_code(timeline.status))).collect();
    let enrolled: Vec<i64> = of.values().map(|(_, timeline)| micros(timeline.enrolled_at)).collect();
    let given: Vec<String> = of.values().map(|(_, timeline)| write_given(&timeline.given)).collect();
    let facts: Vec<String> = of.values().map(|(_, timeline)| write_json(&timeline.facts)).collect();
    connected
        .run(&WRITE_PUT_TIMELINE, &[&ids, &entities, &names, &definitions, &runs, &statuses, &enrolled, &given, &facts])
        .await
        .map(|_| ())
}

async fn insert_bodies(connected: &Connected, stored: &Stored, changing: &Changing<'_>) -> Result<(), Stop> {
    let of = &changing.bodies;
    if of.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = of.keys().copied().collect();
    let timelines: Vec<Option<i64>> = of.values().map(|(_, _, task)| task.timeline.map(|id| id.0)).collect();
    let steps: Vec<i64> = of.values().map(|(_, step, _)| *step).collect();
    let keys: Vec<Option<&str>> = of.values().map(|(_, _, task)| task.timeline.is_none().then(|| task.step.as_str())).collect();
    let occurrences: Vec<String> = of.values().map(|(_, _, task)| escape(&task.occurrence)).collect();
    let created: Vec<i64> = of.values().map(|(_, _, task)| micros(task.created_at)).collect();
    let entities: Vec<i64> = of.values().map(|(place, ..)| id_of(stored, *place)).collect();
    let reasons: Vec<String> = of.values().map(|(_, _, task)| write_reason(&task.reason)).collect();
    let actions: Vec<Option<String>> = of.values().map(|(_, _, task)| task.action.as_ref().map(write_json)).collect();
    connected
        .run(&WRITE_INSERT_BODY, &[&ids, &timelines, &steps, &keys, &occurrences, &created, &entities, &reasons, &actions])
        .await
        .map(|_| ())
}

async fn insert_live(connected: &Connected, stored: &Stored) -> Result<(), Stop> {
    let new = stored.live.iter().filter(|(_, live)| live.before.is_none());
    let rows: Vec<(i64, usize, i64, &LiveRow)> =
        new.filter_map(|(id, live)| Some((*id, live.entity?, live.step, live.after.as_ref()?.as_ref()?))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = rows.iter().map(|(id, ..)| *id).collect();
    let wake: Vec<i64> = rows.iter().map(|(.., row)| row.wake_at).collect();
    let due: Vec<i64> = rows.iter().map(|(.., row)| row.due_at).collect();
    let entities: Vec<i64> = rows.iter().map(|(_, place, ..)| id_of(stored, *place)).collect();
    let steps: Vec<i64> = rows.iter().map(|(_, _, step, _)| *step).collect();
    let fences: Vec<i64> = rows.iter().map(|(.., row)| row.fence).collect();
    let started: Vec<Option<i64>> = rows.iter().map(|(.., row)| row.started_at).collect();
    let attempts: Vec<i64> = rows.iter().map(|(.., row)| row.attempt).collect();
    let takeovers: Vec<i64> = rows.iter().map(|(.., row)| row.takeovers).collect();
    let shards: Vec<i16> = rows.iter().map(|(_, place, ..)| stored.entities[*place].shard).collect();
    let states: Vec<i16> = rows.iter().map(|(.., row)| row.state).collect();
    let flags: Vec<i16> = rows.iter().map(|(.., row)| row.flags).collect();
    let parked: Vec<bool> = rows.iter().map(|(.., row)| row.is_parked).collect();
    connected
        .run(
            &WRITE_INSERT_LIVE,
            &[&ids, &wake, &due, &entities, &steps, &fences, &started, &attempts, &takeovers, &shards, &states, &flags, &parked],
        )
        .await
        .map(|_| ())
}

async fn update_live(connected: &Connected, stored: &Stored) -> Result<(), Stop> {
    let rows: Vec<(i64, (i64, i16), &LiveRow)> =
        stored.live.iter().filter_map(|(id, live)| Some((*id, live.before?, live.after.as_ref()?.as_ref()?))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = rows.iter().map(|(id, ..)| *id).collect();
    let fences_before: Vec<i64> = rows.iter().map(|(_, before, _)| before.0).collect();
    let states_before: Vec<i16> = rows.iter().map(|(_, before, _)| before.1).collect();
    let wake: Vec<i64> = rows.iter().map(|(.., row)| row.wake_at).collect();
    let due: Vec<i64> = rows.iter().map(|(.., row)| row.due_at).collect();
    let states: Vec<i16> = rows.iter().map(|(.., row)| row.state).collect();
    let fences: Vec<i64> = rows.iter().map(|(.., row)| row.fence).collect();
    let started: Vec<Option<i64>> = rows.iter().map(|(.., row)| row.started_at).collect();
    let attempts: Vec<i64> = rows.iter().map(|(.., row)| row.attempt).collect();
    let takeovers: Vec<i64> = rows.iter().map(|(.., row)| row.takeovers).collect();
    let flags: Vec<i16> = rows.iter().map(|(.., row)| row.flags).collect();
    let parked: Vec<bool> = rows.iter().map(|(.., row)| row.is_parked).collect();
    let changed = connected
        .run(
            &WRITE_UPDATE_LIVE,
            &[
                &ids,
                &fences_before,
                &states_before,
                &wake,
                &due,
                &states,
                &fences,
                &started,
                &attempts,
                &takeovers,
                &flags,
                &parked,
            ],
        )
        .await?;
    hold(changed, rows.len())
}

async fn delete_live(connected: &Connected, stored: &Stored) -> Result<(), Stop> {
    let gone = stored.live.iter().filter(|(_, live)| matches!(live.after, Some(None)));
    let rows: Vec<(i64, (i64, i16))> = gone.filter_map(|(id, live)| Some((*id, live.before?))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
    let fences: Vec<i64> = rows.iter().map(|(_, before)| before.0).collect();
    let states: Vec<i16> = rows.iter().map(|(_, before)| before.1).collect();
    hold(connected.run(&WRITE_DELETE_LIVE, &[&ids, &fences, &states]).await?, rows.len())
}

async fn change_bodies(connected: &Connected, changing: &Changing<'_>) -> Result<(), Stop> {
    if changing.moved.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = changing.moved.keys().copied().collect();
    let reasons: Vec<&str> = changing.moved.values().map(|(reason, _)| reason.as_str()).collect();
    let actions: Vec<Option<&str>> = changing.moved.values().map(|(_, action)| action.as_deref()).collect();
    connected.run(&WRITE_CHANGE_BODY, &[&ids, &reasons, &actions]).await.map(|_| ())
}

async fn insert_records(connected: &Connected, stored: &Stored, changing: &Changing<'_>) -> Result<(), Stop> {
    let of = &changing.records;
    if of.is_empty() {
        return Ok(());
    }
    let at: Vec<i64> = of.iter().map(|(.., record)| micros(record.at)).collect();
    let kinds: Vec<i16> = of.iter().map(|(.., record)| small(kind_code(record.kind))).collect();
    let entities: Vec<i64> = of.iter().map(|(place, ..)| id_of(stored, *place)).collect();
    let timelines: Vec<Option<i64>> = of.iter().map(|(.., record)| record.timeline.map(|id| id.0)).collect();
    let tasks: Vec<Option<i64>> = of.iter().map(|(.., record)| record.task.map(|id| id.0)).collect();
    let steps: Vec<Option<i64>> = of.iter().map(|(_, step, _)| *step).collect();
    let key = |record: &hence_core::history::Record| {
        record.step.as_ref().filter(|_| record.timeline.is_none()).map(|step| step.as_str().to_owned())
    };
    let keys: Vec<Option<String>> = of.iter().map(|(.., record)| key(record)).collect();
    let occurrences: Vec<String> = of.iter().map(|(.., record)| escape(&record.occurrence)).collect();
    let due: Vec<Option<i64>> = of.iter().map(|(.., record)| record.due_at.map(micros)).collect();
    let started: Vec<Option<i64>> = of.iter().map(|(.., record)| record.started_at.map(micros)).collect();
    let fences: Vec<i64> = of.iter().map(|(.., record)| record.fence.0).collect();
    let attempts: Vec<i64> = of.iter().map(|(.., record)| i64::from(record.attempt)).collect();
    let outcomes: Vec<Option<String>> = of.iter().map(|(.., record)| record.outcome.as_deref().map(escape)).collect();
    let reasons: Vec<String> = of.iter().map(|(.., record)| write_reason(&record.reason)).collect();
    let now = micros(changing.now);
    connected
        .run(
            &WRITE_INSERT_RECORD,
            &[
                &now,
                &at,
                &kinds,
                &entities,
                &timelines,
                &tasks,
                &steps,
                &keys,
                &occurrences,
                &due,
                &started,
                &fences,
                &attempts,
                &outcomes,
                &reasons,
            ],
        )
        .await
        .map(|_| ())
}

async fn touch(connected: &Connected, stored: &Stored, changing: &Changing<'_>) -> Result<(), Stop> {
    let mut rows: Vec<(i64, i64, Option<i64>)> = stored
        .entities
        .iter()
        .filter_map(|entity| Some((entity.id?, entity.touched.as_ref()?)))
        .map(|(id, touched)| (id, touched.plans, touched.erase_at))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_unstable();
    let ids: Vec<i64> = rows.iter().map(|(id, ..)| *id).collect();
    let plans: Vec<i64> = rows.iter().map(|(_, plans, _)| *plans).collect();
    let erase: Vec<Option<i64>> = rows.iter().map(|(.., erase_at)| *erase_at).collect();
    hold(connected.run(&ENTITY_TOUCH, &[&ids, &plans, &erase, &micros(changing.now)]).await?, rows.len())
}
