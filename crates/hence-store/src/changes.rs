//! What a change set must be by itself, before anything stored is looked at. The same for all stores.

use std::collections::BTreeSet;

use hence_core::history::Record;
use hence_core::task::TaskState;
use hence_core::timeline::{ChangeSet, TaskWrite};

use crate::port::Conflict;

/// The first contradiction within a change set.
pub(crate) fn check(changes: &ChangeSet) -> Result<(), Conflict> {
    let mut wishes = BTreeSet::new();
    for id in &changes.carried_out {
        hold(wishes.insert(*id), || format!("{id} is carried out twice"))?;
    }
    let mut timelines = BTreeSet::new();
    for timeline in &changes.timelines {
        hold(timeline.id.0 > 0, || format!("{} is not a number of the store", timeline.id))?;
        hold(timeline.entity == changes.entity, || format!("{} is of another entity", timeline.id))?;
        hold(timelines.insert(timeline.id), || format!("{} is written twice", timeline.id))?;
    }
    for record in changes.records.iter().chain(&changes.closing) {
        check_record(changes, record)?;
    }
    let mut tasks = BTreeSet::new();
    for task in &changes.created {
        hold(task.id.0 > 0, || format!("{} is not a number of the store", task.id))?;
        hold(task.entity == changes.entity, || format!("{} is of another entity", task.id))?;
        hold(task.state == TaskState::Scheduled, || format!("new {} is {}, not scheduled", task.id, task.state))?;
        hold(tasks.insert(task.id), || format!("{} is written twice", task.id))?;
    }
    for write in &changes.transitions {
        check_transition(changes, write)?;
        hold(tasks.insert(write.id), || format!("{} is written twice", write.id))?;
    }
    Ok(())
}

fn check_record(changes: &ChangeSet, record: &Record) -> Result<(), Conflict> {
    hold(record.entity == changes.entity, || "a record is about another entity".to_owned())
}

fn check_transition(changes: &ChangeSet, write: &TaskWrite) -> Result<(), Conflict> {
    let (id, task) = (write.id, &write.task);
    hold(task.id == id && task.entity == changes.entity, || format!("{id} is written as another task"))?;
    hold(!write.state_before.is_final(), || format!("{id} was final and cannot change"))?;
    hold(task.fence >= write.fence_before, || format!("{id} would get an older fence"))?;
    let Some(record) = &write.record else {
        return hold(!task.state.is_final(), || format!("{id} would end without a record"));
    };
    check_record(changes, record)?;
    let is_of_task = record.task == Some(id) && record.timeline == task.timeline && record.step.as_ref() == Some(&task.step);
    hold(is_of_task, || format!("the record of {id} is of another task"))?;
    hold(record.kind.final_state() == Some(task.state).filter(|state| state.is_final()), || {
        format!("the record of {id} tells of another state")
    })
}

fn hold(is_right: bool, problem: impl FnOnce() -> String) -> Result<(), Conflict> {
    if is_right { Ok(()) } else { Err(Conflict::Invalid(problem())) }
}
