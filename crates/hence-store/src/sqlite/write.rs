//! Writing change sets: each in a savepoint of its own, all in one commit.

use hence_core::history::{Record, RecordKind};
use hence_core::name::{EntityKey, TimelineId};
use hence_core::task::{Task, TaskState};
use hence_core::timeline::{ChangeSet, Postponement, TaskWrite, Timeline};
use jiff::Timestamp;

use super::connection::Connected;
use super::entity::find_or_insert;
use super::row::column;
use super::statement::{
    ENTITY_TOUCH, INBOX_CARRIED_OUT, INBOX_DELETE, INBOX_POSTPONE, WRITE_CHANGE_BODY, WRITE_DELETE_LIVE, WRITE_FIND_LIVE,
    WRITE_FIND_TIMELINE, WRITE_INSERT_BODY, WRITE_INSERT_LIVE, WRITE_INSERT_RECORD, WRITE_NEWEST_RECORD, WRITE_PUT_TIMELINE,
    WRITE_UPDATE_LIVE,
};
use super::{counter, lease, writer};
use crate::changes;
use crate::codes::{flags, is_cancel_asked, kind_code, state_code, state_of, status_code};
use crate::error::{Error, ErrorKind};
use crate::format::{cut, instant, micros, write_given, write_json, write_reason};
use crate::port::{Conflict, Lease, Written};
use crate::tallies::Tallies;

/// Why a change set was not written: it may not be, or it could not be.
pub(super) enum Stop {
    Conflict(Conflict),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

impl From<Conflict> for Stop {
    fn from(conflict: Conflict) -> Self {
        Stop::Conflict(conflict)
    }
}

pub(super) fn write(
    connected: &mut Connected,
    lease: Option<&Lease>,
    changes: &[ChangeSet],
    now: Timestamp,
) -> Result<Vec<Written>, Error> {
    if let Some(lease) = lease
        && lease::epoch(connected, lease)?.is_none()
    {
        return Ok(vec![Written::Conflict(Conflict::FenceLost(lease::SHARD)); changes.len()]);
    }
    let now = written_at(connected, now)?;
    let mut tallies = Tallies::default();
    let mut written = Vec::with_capacity(changes.len());
    for changes in changes {
        written.push(match write_one(connected, changes, now)? {
            Ok(counted) => {
                tallies.take(counted);
                Written::Applied
            }
            Err(conflict) => Written::Conflict(conflict),
        });
    }
    counter::add(connected, tallies)?;
    Ok(written)
}

/// `now` as history keeps it: never earlier than the newest record.
pub(super) fn written_at(connected: &Connected, now: Timestamp) -> Result<Timestamp, Error> {
    let newest = connected.find(WRITE_NEWEST_RECORD, [], |row| column(row, 0))?;
    Ok(newest.map(instant).transpose()?.map_or(cut(now), |newest| newest.max(cut(now))))
}

/// The outer error is one of the whole batch; a row that cannot be stored hurts its own change set only.
fn write_one(connected: &mut Connected, changes: &ChangeSet, now: Timestamp) -> Result<Result<Tallies, Conflict>, Error> {
    if let Err(conflict) = changes::check(changes) {
        return Ok(Err(conflict));
    }
    let mut refused = None;
    let result = writer::part(connected, |connected| {
        Writing::begin(connected, changes, now).and_then(|writing| writing.write(changes)).map_err(|stop| match stop {
            Stop::Failed(error) => error,
            Stop::Conflict(conflict) => {
                let error = Error::new(ErrorKind::Invalid, conflict.to_string());
                refused = Some(conflict);
                error
            }
        })
    })?;
    match result {
        Ok(counted) => Ok(Ok(counted)),
        Err(error) => match (refused, error.kind()) {
            (Some(conflict), _) => Ok(Err(conflict)),
            (None, ErrorKind::Invalid) => Ok(Err(Conflict::Invalid(error.to_string()))),
            (None, _) => Err(error),
        },
    }
}

/// A change set being written.
pub(super) struct Writing<'c> {
    connected: &'c mut Connected,
    entity: EntityKey,
    entity_id: i64,
    now: Timestamp,
    tallies: Tallies,
    /// Names of timelines of the entity that were looked up already.
    names: Vec<(TimelineId, String)>,
}

impl<'c> Writing<'c> {
    fn begin(connected: &'c mut Connected, changes: &ChangeSet, now: Timestamp) -> Result<Self, Stop> {
        let mut tallies = Tallies::default();
        let (entity_id, stored) = find_or_insert(connected, &changes.entity, now, &mut tallies)?;
        if let Some(planned_from) = changes.planned_from
            && planned_from != stored
        {
            return Err(Conflict::VersionChanged { planned_from, stored }.into());
        }
        Ok(Self { connected, entity: changes.entity.clone(), entity_id, now, tallies, names: Vec::new() })
    }

    /// For an entity whose row is known, without a plan.
    pub(super) fn of(connected: &'c mut Connected, entity: &EntityKey, entity_id: i64, now: Timestamp) -> Self {
        Self { connected, entity: entity.clone(), entity_id, now, tallies: Tallies::default(), names: Vec::new() }
    }

    fn write(mut self, changes: &ChangeSet) -> Result<Tallies, Stop> {
        for id in &changes.carried_out {
            if self.connected.run(INBOX_DELETE, [id.0])? == 0 {
                return Err(Conflict::WishGone(*id).into());
            }
            self.tallies.add("wishes", -1);
        }
        if !changes.carried_out.is_empty() {
            self.connected.run(INBOX_CARRIED_OUT, [self.entity_id])?;
        }
        if let Some(postponement) = &changes.postponed {
            self.postpone(postponement)?;
        }
        for timeline in &changes.timelines {
            self.put_timeline(timeline)?;
        }
        for record in &changes.records {
            self.add_record(record)?;
        }
        for task in &changes.created {
            self.create(task)?;
        }
        for write in &changes.transitions {
            self.transit(write)?;
        }
        for record in &changes.closing {
            self.add_record(record)?;
        }
        let counted_up = i64::from(changes.planned_from.is_some());
        self.finish(counted_up, changes.erase_at)
    }

    fn postpone(&self, postponement: &Postponement) -> Result<(), Stop> {
        let Postponement { wish, try_at, problem } = postponement;
        let params = (wish.0, self.entity_id, micros(self.now), micros(*try_at), &problem.code, &problem.message);
        if self.connected.run(INBOX_POSTPONE, params)? == 0 {
            return Err(Conflict::WishGone(*wish).into());
        }
        Ok(())
    }

    /// Notes that something was written about the entity, and gives what was counted.
    pub(super) fn finish(self, counted_up: i64, erase_at: Option<Timestamp>) -> Result<Tallies, Stop> {
        self.connected.run(ENTITY_TOUCH, (self.entity_id, counted_up, erase_at.map(micros), micros(self.now)))?;
        Ok(self.tallies)
    }

    fn put_timeline(&mut self, timeline: &Timeline) -> Result<(), Stop> {
        match self.find_timeline(timeline.id)? {
            Some((owner, _)) if owner != self.entity_id => {
                return Err(Conflict::Invalid(format!("{} is of another entity", timeline.id)).into());
            }
            Some(_) => {}
            None => self.tallies.add("timelines", 1),
        }
        if !self.names.iter().any(|(id, _)| *id == timeline.id) {
            self.names.push((timeline.id, timeline.name.to_string()));
        }
        self.connected.run(
            WRITE_PUT_TIMELINE,
            (
                timeline.id.0,
                self.entity_id,
                timeline.name.as_str(),
                &timeline.definition.0,
                timeline.run,
                status_code(timeline.status),
                micros(timeline.enrolled_at),
                write_given(&timeline.given),
                write_json(&timeline.facts),
            ),
        )?;
        Ok(())
    }

    fn find_timeline(&self, id: TimelineId) -> Result<Option<(i64, String)>, Error> {
        self.connected.find(WRITE_FIND_TIMELINE, [id.0], |row| Ok((column(row, 0)?, column(row, 1)?)))
    }

    /// The name of a timeline that a task or record names.
    fn timeline_name(&mut self, id: Option<TimelineId>) -> Result<Option<String>, Stop> {
        let Some(id) = id else { return Ok(None) };
        if let Some((_, name)) = self.names.iter().find(|(known, _)| *known == id) {
            return Ok(Some(name.clone()));
        }
        match self.find_timeline(id)? {
            Some((owner, name)) if owner == self.entity_id => {
                self.names.push((id, name.clone()));
                Ok(Some(name))
            }
            _ => Err(Conflict::UnknownTimeline(id).into()),
        }
    }

    fn create(&mut self, task: &Task) -> Result<(), Stop> {
        let timeline = self.timeline_name(task.timeline)?;
        let step = self.connected.step(timeline.as_deref(), task.entity.kind(), Some(&task.step))?;
        let key = task.timeline.is_none().then(|| task.step.as_str());
        let made = self.connected.run(
            WRITE_INSERT_BODY,
            (
                task.id.0,
                task.timeline.map(|id| id.0),
                step,
                key,
                &task.occurrence,
                micros(task.created_at),
                self.entity_id,
                write_reason(&task.reason),
                task.action.as_ref().map(write_json),
            ),
        )?;
        if made == 0 {
            return Err(Conflict::DuplicateTask(task.id).into());
        }
        let (wake_at, due_at) = (micros(task.wake_at), micros(task.due_at));
        self.connected.run(
            WRITE_INSERT_LIVE,
            (task.id.0, wake_at, due_at, self.entity_id, step, task.attempt, task.takeovers, flags(task)),
        )?;
        self.tallies.add_live(TaskState::Scheduled, step, due_at, 1);
        Ok(())
    }

    /// Writes a transition if the stored task is as the caller saw it.
    fn transit(&mut self, write: &TaskWrite) -> Result<(), Stop> {
        let Some(stored) = self.find_live(write)? else { return Err(Conflict::TaskChanged(write.id).into()) };
        let task = &write.task;
        let before = (write.id.0, write.fence_before.0, stored.state);
        let changed = if task.state.is_final() {
            self.connected.run(WRITE_DELETE_LIVE, before)?
        } else {
            let params = (
                before.0,
                before.1,
                before.2,
                micros(task.wake_at),
                micros(task.due_at),
                state_code(task),
                task.fence.0,
                task.started_at.map(micros),
                task.attempt,
                task.takeovers,
                flags(task),
            );
            self.connected.run(WRITE_UPDATE_LIVE, params)?
        };
        // The row was read under the write lock, so nobody can have changed it since.
        assert!(changed == 1, "a task that was read as expected is changed by this transaction");
        self.count(write, &stored);
        let Some(record) = &write.record else { return Ok(()) };
        if record.kind == RecordKind::Moved {
            let params = (write.id.0, write_reason(&task.reason), task.action.as_ref().map(write_json));
            self.connected.run(WRITE_CHANGE_BODY, params)?;
        }
        self.add_record_at(record, Some(stored.step))
    }

    fn find_live(&self, write: &TaskWrite) -> Result<Option<Stored>, Stop> {
        let found = self.connected.find(WRITE_FIND_LIVE, [write.id.0], |row| {
            Ok((
                Stored { entity: column(row, 0)?, step: column(row, 1)?, due_at: column(row, 2)?, state: column(row, 3)? },
                column::<i64>(row, 4)?,
                column::<Option<i64>>(row, 5)?,
                column::<i64>(row, 6)?,
            ))
        })?;
        let Some((stored, fence, timeline, marks)) = found else { return Ok(None) };
        let is_same = stored.entity == self.entity_id && timeline == write.task.timeline.map(|id| id.0);
        let is_marked_so = is_cancel_asked(marks) == write.cancel_asked_before;
        let is_expected = is_marked_so && state_of(stored.state)? == write.state_before && fence == write.fence_before.0;
        Ok((is_same && is_expected).then_some(stored))
    }

    fn count(&mut self, write: &TaskWrite, stored: &Stored) {
        let task = &write.task;
        self.tallies.add_live(write.state_before, stored.step, stored.due_at, -1);
        if task.state.is_final() {
            let outcome = write.record.as_ref().and_then(|record| record.outcome.as_deref());
            self.tallies.add_finished(stored.step, outcome.unwrap_or(task.state.as_str()), self.now);
        } else {
            self.tallies.add_live(task.state, stored.step, micros(task.due_at), 1);
        }
    }

    /// Ends a task by erasure.
    pub(super) fn end(&mut self, task: &Task, state: TaskState, record: &Record) -> Result<(), Stop> {
        let write = TaskWrite {
            id: task.id,
            state_before: task.state,
            fence_before: task.fence,
            cancel_asked_before: task.cancel_asked,
            task: Task { state, ..task.clone() },
            record: Some(record.clone()),
        };
        self.transit(&write)
    }

    pub(super) fn add_record(&mut self, record: &Record) -> Result<(), Stop> {
        let timeline = self.timeline_name(record.timeline)?;
        let step = match (&timeline, &record.step) {
            (None, None) => None,
            _ => Some(self.connected.step(timeline.as_deref(), self.entity.kind(), record.step.as_ref())?),
        };
        self.add_record_at(record, step)
    }

    fn add_record_at(&mut self, record: &Record, step: Option<i64>) -> Result<(), Stop> {
        let key = record.step.as_ref().filter(|_| record.timeline.is_none()).map(|step| step.as_str());
        let reason = write_reason(&record.reason);
        let params: [&dyn rusqlite::ToSql; 15] = [
            &micros(self.now),
            &micros(record.at),
            &kind_code(record.kind),
            &self.entity_id,
            &record.timeline.map(|id| id.0),
            &record.task.map(|id| id.0),
            &step,
            &key,
            &record.occurrence,
            &record.due_at.map(micros),
            &record.started_at.map(micros),
            &record.fence.0,
            &record.attempt,
            &record.outcome,
            &reason,
        ];
        self.connected.run(WRITE_INSERT_RECORD, params)?;
        Ok(())
    }
}

/// Where a task stands, as it is stored.
struct Stored {
    entity: i64,
    step: i64,
    due_at: i64,
    /// The code; a running task has one of two.
    state: i64,
}
