//! What is stored of everything that some change sets speak of, read at once and held until the commit.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use hence_core::history::Record;
use hence_core::task::{Task, TaskState};
use hence_core::timeline::ChangeSet;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::{Call, StepKey};
use crate::codes::{ANSWER_AWAITED, HELD, flags, is_cancel_asked, state_code};
use crate::error::Error;
use crate::format::{cut, instant, micros};
use crate::postgres::connection::Connected;
use crate::postgres::failure::Stop;
use crate::postgres::row::{code, column, escape, small};
use crate::postgres::statement::{
    ENTITY_FIND, INBOX_FIND, WRITE_FIND_BODIES, WRITE_FIND_LIVE, WRITE_FIND_TIMELINE, WRITE_NEWEST_RECORD,
};

/// What is stored, and what change sets that were taken have made of it. Entities stand by their place in `entities`.
pub(super) struct Stored {
    pub(super) entities: Vec<Entity>,
    places: HashMap<String, usize>,
    pub(super) wishes: HashSet<i64>,
    /// Whose wishes they are, by number.
    pub(super) wish_of: HashMap<i64, i64>,
    pub(super) timelines: HashMap<i64, (Option<usize>, String)>,
    pub(super) live: BTreeMap<i64, Live>,
    steps: BTreeMap<StepKey, i64>,
    /// Numbers of tasks that there are, or were.
    pub(super) bodies: HashSet<i64>,
    /// Timeline, step and occurrence of tasks that there are, or were.
    pub(super) occurrences: HashSet<(i64, i64, String)>,
    newest: Option<i64>,
}

/// An entity that change sets speak of.
pub(super) struct Entity {
    pub(super) key: hence_core::name::EntityKey,
    /// Its number; `None` while it has no row.
    pub(super) id: Option<i64>,
    pub(super) version: i64,
    pub(super) shard: i16,
    pub(super) touched: Option<Touched>,
}

/// What was written about an entity.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) plans: i64,
    pub(super) erase_at: Option<i64>,
}

/// A task that is or was live.
pub(super) struct Live {
    pub(super) entity: Option<usize>,
    pub(super) timeline: Option<i64>,
    pub(super) step: i64,
    /// Fence and state as they are stored; `None` for one that is made by this call.
    pub(super) before: Option<(i64, i16)>,
    pub(super) state: LiveState,
    /// What its row becomes, if this call changes it; `None` inside when it ends.
    pub(super) after: Option<Option<LiveRow>>,
}

/// Where a task stands after the change sets that were taken.
#[derive(Clone, Copy)]
pub(super) struct LiveState {
    pub(super) code: i64,
    pub(super) fence: i64,
    pub(super) due_at: i64,
    pub(super) is_cancel_asked: bool,
}

/// The columns of a task that change.
pub(super) struct LiveRow {
    pub(super) wake_at: i64,
    pub(super) due_at: i64,
    pub(super) fence: i64,
    pub(super) started_at: Option<i64>,
    pub(super) attempt: i64,
    pub(super) takeovers: i64,
    pub(super) state: i16,
    pub(super) flags: i16,
    pub(super) is_parked: bool,
}

impl LiveRow {
    /// The row of a task that is not final.
    pub(super) fn of(task: &Task) -> Self {
        let state = state_code(task);
        Self {
            wake_at: micros(task.wake_at),
            due_at: micros(task.due_at),
            fence: task.fence.0,
            started_at: task.started_at.map(micros),
            attempt: i64::from(task.attempt),
            takeovers: i64::from(task.takeovers),
            state: small(state),
            flags: small(flags(task)),
            is_parked: state == HELD || state == ANSWER_AWAITED,
        }
    }
}

impl LiveState {
    pub(super) fn of(task: &Task) -> Self {
        Self { code: state_code(task), fence: task.fence.0, due_at: micros(task.due_at), is_cancel_asked: task.cancel_asked }
    }
}

impl Stored {
    /// Reads and holds what the change sets speak of.
    pub(super) async fn load(connected: &Connected, call: &Call<'_>, wanted: &[(usize, &ChangeSet)]) -> Result<Self, Stop> {
        let mut this = Self::entities(connected, call, wanted).await?;
        let sets = || wanted.iter().map(|(_, changes)| *changes);
        let postponed = sets().filter_map(|set| Some(set.postponed.as_ref()?.wish.0));
        let wishes: Vec<i64> = sets().flat_map(|set| &set.carried_out).map(|id| id.0).chain(postponed).collect();
        let timelines: BTreeSet<i64> = sets().flat_map(timelines_of).collect();
        let timelines: Vec<i64> = timelines.into_iter().collect();
        let tasks: Vec<i64> = sets().flat_map(|set| &set.transitions).map(|write| write.id.0).collect();
        connected.ready(&[&INBOX_FIND, &WRITE_FIND_TIMELINE, &WRITE_FIND_LIVE, &WRITE_NEWEST_RECORD]).await?;
        let (wishes, timelines, live, newest) = futures::join!(
            some(connected, &INBOX_FIND, &wishes),
            some(connected, &WRITE_FIND_TIMELINE, &timelines),
            some(connected, &WRITE_FIND_LIVE, &tasks),
            connected.first(&WRITE_NEWEST_RECORD, &[]),
        );
        this.newest = newest?.map(|row| column(&row, 0)).transpose()?;
        for row in wishes? {
            this.wishes.insert(column(&row, 0)?);
            this.wish_of.insert(column(&row, 0)?, column(&row, 1)?);
        }
        let owners: HashMap<i64, usize> =
            this.entities.iter().enumerate().filter_map(|(place, entity)| Some((entity.id?, place))).collect();
        for row in timelines? {
            let owner = owners.get(&column::<i64>(&row, 1)?).copied();
            this.timelines.insert(column(&row, 0)?, (owner, column(&row, 2)?));
        }
        for row in live? {
            this.live.insert(column(&row, 0)?, live_of(&row, &owners)?);
        }
        this.steps = call.known.steps(connected, this.steps_of(wanted)).await?;
        this.find_bodies(connected, call, wanted).await?;
        Ok(this)
    }

    async fn entities(connected: &Connected, call: &Call<'_>, wanted: &[(usize, &ChangeSet)]) -> Result<Self, Stop> {
        let mut entities: Vec<Entity> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (_, changes) in wanted {
            places.entry(changes.entity.to_string()).or_insert_with(|| {
                let shard = crate::postgres::entity::shard_of(&changes.entity, call.shards);
                entities.push(Entity { key: changes.entity.clone(), id: None, version: 0, shard, touched: None });
                entities.len() - 1
            });
        }
        let keys: Vec<&str> = places.keys().map(String::as_str).collect();
        for row in connected.rows(&ENTITY_FIND, &[&keys]).await? {
            let place = places.get(column::<&str>(&row, 0)?).copied();
            if let Some(entity) = place.and_then(|place| entities.get_mut(place)) {
                (entity.id, entity.version, entity.shard) = (Some(column(&row, 1)?), column(&row, 2)?, column(&row, 3)?);
            }
        }
        Ok(Self {
            entities,
            places,
            wishes: HashSet::new(),
            wish_of: HashMap::new(),
            timelines: HashMap::new(),
            live: BTreeMap::new(),
            steps: BTreeMap::new(),
            bodies: HashSet::new(),
            occurrences: HashSet::new(),
            newest: None,
        })
    }

    /// The steps that tasks and records of the change sets name.
    fn steps_of(&self, wanted: &[(usize, &ChangeSet)]) -> BTreeSet<StepKey> {
        let mut steps = BTreeSet::new();
        for (_, changes) in wanted {
            let mut add = |timeline: Option<i64>, step: Option<&str>| {
                let name = timeline.map(|id| self.name_of(changes, id));
                if name != Some(None) {
                    steps.insert(step_key(name.flatten(), changes.entity.kind().as_str(), step));
                }
            };
            for task in &changes.created {
                add(task.timeline.map(|id| id.0), Some(task.step.as_str()));
            }
            for record in records_of(changes).filter(|record| has_step(record)) {
                add(record.timeline.map(|id| id.0), record.step.as_ref().map(|step| step.as_str()));
            }
        }
        steps
    }

    /// Which numbers and occurrences of new tasks are taken. Those of a timeline that is new as well can hardly be.
    async fn find_bodies(&mut self, connected: &Connected, call: &Call<'_>, wanted: &[(usize, &ChangeSet)]) -> Result<(), Stop> {
        let (mut ids, mut timelines, mut steps, mut occurrences) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (_, changes) in wanted {
            for task in &changes.created {
                let is_of_new = task.timeline.is_some_and(|id| !self.timelines.contains_key(&id.0));
                let name = task.timeline.map(|id| self.name_of(changes, id.0));
                if (is_of_new && !call.is_careful()) || name == Some(None) {
                    continue;
                }
                let step = self.step(name.flatten(), changes.entity.kind().as_str(), Some(task.step.as_str()));
                ids.push(task.id.0);
                timelines.push(task.timeline.map(|id| id.0));
                steps.push(step);
                occurrences.push(escape(&task.occurrence));
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        let rows = connected.rows(&WRITE_FIND_BODIES, &[&ids, &timelines, &steps, &occurrences]).await?;
        let asked: HashMap<i64, usize> = ids.iter().enumerate().map(|(index, id)| (*id, index)).collect();
        for row in rows {
            let id: i64 = column(&row, 0)?;
            if column(&row, 1)? {
                self.bodies.insert(id);
            }
            if let (true, Some(index)) = (column(&row, 2)?, asked.get(&id))
                && let (Some(timeline), Some(step)) = (timelines[*index], steps[*index])
            {
                self.occurrences.insert((timeline, step, occurrences[*index].clone()));
            }
        }
        Ok(())
    }

    /// The name of a timeline that the change set brings, or that is stored.
    pub(super) fn name_of<'s>(&'s self, changes: &'s ChangeSet, id: i64) -> Option<&'s str> {
        let new = changes.timelines.iter().find(|timeline| timeline.id.0 == id).map(|timeline| timeline.name.as_str());
        new.or_else(|| self.timelines.get(&id).map(|(_, name)| name.as_str()))
    }

    /// The number of a step that was asked for.
    pub(super) fn step(&self, timeline: Option<&str>, kind: &str, step: Option<&str>) -> Option<i64> {
        self.steps.get(&step_key(timeline, kind, step)).copied()
    }

    /// Where the entity of a change set stands.
    pub(super) fn place(&self, changes: &ChangeSet) -> usize {
        self.places[&changes.entity.to_string()]
    }

    /// `now` as history keeps it: never earlier than the newest record.
    pub(super) fn written_at(&self, now: Timestamp) -> Result<Timestamp, Stop> {
        let newest = self.newest.map(instant).transpose()?;
        Ok(newest.map_or(cut(now), |newest| newest.max(cut(now))))
    }
}

fn live_of(row: &Row, owners: &HashMap<i64, usize>) -> Result<Live, Error> {
    let is_cancel_asked = is_cancel_asked(code(row, 7)?);
    let code = code(row, 4)?;
    let fence: i64 = column(row, 5)?;
    Ok(Live {
        entity: owners.get(&column::<i64>(row, 1)?).copied(),
        timeline: column(row, 6)?,
        step: column(row, 2)?,
        before: Some((fence, small(code))),
        state: LiveState { code, fence, due_at: column(row, 3)?, is_cancel_asked },
        after: None,
    })
}

/// Rows for some numbers; none are asked for without any.
async fn some(
    connected: &Connected,
    statement: &crate::postgres::statement::Statement,
    ids: &Vec<i64>,
) -> Result<Vec<Row>, Stop> {
    if ids.is_empty() { Ok(Vec::new()) } else { connected.rows(statement, &[ids]).await }
}

/// The numbers of all timelines that a change set names.
fn timelines_of(changes: &ChangeSet) -> impl Iterator<Item = i64> {
    let brought = changes.timelines.iter().map(|timeline| timeline.id.0);
    let of_tasks = changes.created.iter().filter_map(|task| task.timeline).map(|id| id.0);
    brought.chain(of_tasks).chain(records_of(changes).filter_map(|record| record.timeline).map(|id| id.0))
}

/// All records of a change set.
fn records_of(changes: &ChangeSet) -> impl Iterator<Item = &Record> {
    let of_transitions = changes.transitions.iter().filter_map(|write| write.record.as_ref());
    changes.records.iter().chain(of_transitions).chain(&changes.closing)
}

/// Whether a record is listed under a step.
pub(super) fn has_step(record: &Record) -> bool {
    record.timeline.is_some() || record.step.is_some()
}

/// What a step is known by. An ad-hoc task's key is none of it.
fn step_key(timeline: Option<&str>, kind: &str, step: Option<&str>) -> StepKey {
    let name = if timeline.is_some() { step.unwrap_or_default() } else { "" };
    (timeline.unwrap_or_default().to_owned(), kind.to_owned(), name.to_owned())
}

/// The state that a code stands for, where it is one that a live row can have.
pub(super) fn is_state(code: i64, state: TaskState) -> bool {
    crate::codes::state_of(code).is_ok_and(|stored| stored == state)
}
