//! `hence why`: why something will happen, happened, or does not happen.
//!
//! For a task: its state, then why it exists, then all that happened to it. For an entity: the same for each of its steps, those
//! without a task too, whose absence the planner explains from what is stored.

use hence::Client;
use hence::core::carry_out;
use hence::core::history::{Record, RecordKind};
use hence::core::library::Library;
use hence::core::name::{EntityKey, Name, TaskId};
use hence::core::plan::{self, PlanInput};
use hence::core::reason::delay::Delay;
use hence::core::task::{Task, TaskState};
use hence::core::timeline::{EntitySnapshot, Timeline};
use hence::store::port::TaskView;
use serde_json::{Value, json};

use super::{entity, history, task};
use crate::input::{is_task, or_else, parsed, parsed_if, suggestion, task_id};
use crate::output::{self, Answer, Times};
use crate::problem::{Exit, Problem};
use crate::session::Session;
use crate::wire;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Such as account/42 or task_7
    of: String,
    /// Only this step of the entity's timelines
    step: Option<String>,
}

/// One answer: what is, and why.
pub(crate) struct Because {
    pub(crate) step: String,
    task: Option<TaskId>,
    headline: String,
    pub(crate) reasons: Vec<String>,
    pub(crate) data: Vec<Value>,
    /// What holds back a task that is late, or what was told.
    delays: Vec<Delay>,
    held_back: Vec<String>,
}

impl Because {
    /// Writes it for people.
    pub(crate) fn show(&self) {
        output::folded(2, output::BOLD, &self.headline);
        for delay in &self.held_back {
            output::folded(4, output::PLAIN, &format!("  - held back: {delay}"));
        }
        for reason in &self.reasons {
            output::folded(4, output::PLAIN, &format!("  - {reason}"));
        }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "step": Some(&self.step).filter(|step| !step.is_empty()),
            "task_id": self.task.map(|id| id.to_string()),
            "headline": self.headline,
            "because": self.reasons,
            "reasons": self.data,
            "held_back": self.held_back,
            "delays": self.delays.iter().map(wire::delay).collect::<Vec<_>>(),
        })
    }
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Problem> {
    let client = session.client().await?;
    let times = session.times(client.now().await?)?;
    if is_task(&args.of) {
        let id = task_id(&client, &args.of).await?;
        let view = client.store().task(id).await?.ok_or_else(|| task::unknown(id))?;
        let answer = of_task_now(&client, &view, &times).await?;
        if !session.give(|| document(&view.origin.entity, std::slice::from_ref(&answer))) {
            answer.show();
        }
        return Ok(Exit::Done);
    }
    let key: EntityKey = parsed(&args.of)?;
    let step: Option<Name> = parsed_if(args.step.as_deref())?;
    let snapshots = client.store().snapshots(std::slice::from_ref(&key)).await?;
    let waiting = client.not_carried_out(&key).await?.map(|delay| waiting(&key, delay, &times));
    let is_known = |snapshot: &EntitySnapshot| !snapshot.records.is_empty() || snapshot.version > 0 || waiting.is_some();
    let snapshot = snapshots.into_iter().next().filter(is_known).ok_or_else(|| entity::unknown(&key))?;
    let mut answers = of_entity(&client, (&snapshot, step.as_ref()), &times).await?;
    answers.splice(0..0, waiting);
    if answers.is_empty() {
        let what = step.as_ref().map_or_else(|| "any step".to_owned(), |step| format!("step `{step}`"));
        let library = client.library();
        let versions = snapshot.timelines.iter().filter_map(|timeline| library.version(&timeline.definition));
        let known: Vec<&str> = versions.flat_map(|definition| definition.steps.iter().map(|step| step.name.as_str())).collect();
        let all = format!("see all of it with `hence why {key}`");
        let help = step.map_or_else(|| all.clone(), |step| or_else(&suggestion(step.as_str(), &known), &all));
        return Err(Problem::not_found(format!("no timeline of {key} has {what}")).help(help));
    }
    if !session.give(|| document(&key, &answers)) {
        answers.iter().for_each(Because::show);
    }
    Ok(Exit::Done)
}

/// That something that was told waits, and may change everything below.
fn waiting(entity: &EntityKey, delay: Delay, times: &Times) -> Because {
    Because {
        step: String::new(),
        task: None,
        headline: format!("what was told of {entity} is not carried out yet"),
        reasons: Vec::new(),
        data: Vec::new(),
        held_back: vec![delay.sentence(&times.words)],
        delays: vec![delay],
    }
}

fn document(entity: &EntityKey, answers: &[Because]) -> Answer {
    let answers: Vec<Value> = answers.iter().map(Because::json).collect();
    Answer::list(json!({ "entity": entity.to_string(), "answers": answers }), "answers", "task_id")
}

/// All that is to be said of one task, and what holds it back if it is late.
pub(crate) async fn of_task_now(client: &Client, view: &TaskView, times: &Times) -> Result<Because, Problem> {
    let mut answer = of_task(view, times);
    if let Some(task) = &view.live {
        answer.delays = client.delays(task).await?;
        answer.held_back = answer.delays.iter().map(|delay| delay.sentence(&times.words)).collect();
    }
    Ok(answer)
}

/// All that is to be said of one task.
fn of_task(view: &TaskView, times: &Times) -> Because {
    let origin = &view.origin;
    let name = match origin.occurrence.as_str() {
        "" => format!("{} of {}", origin.step, origin.entity),
        occurrence => format!("{} ({occurrence}) of {}", origin.step, origin.entity),
    };
    let headline = match (&view.live, view.records.iter().rev().find(|row| row.record.kind.final_state().is_some())) {
        (Some(task), _) => format!("{name} {} ({})", standing(task, times), task.id),
        (None, Some(row)) => format!("{name} {} ({})", ending(&row.record, times), origin.id),
        (None, None) => format!("{name} is gone ({})", origin.id),
    };
    let mut reasons = vec![format!("planned {}: {}", times.said(origin.created_at), times.sentence(&origin.reason))];
    let mut data = vec![wire::reason(&origin.reason)];
    for row in &view.records {
        let record = &row.record;
        reasons.push(format!("{} {}: {}", history::word(record), times.said(record.at), times.sentence(&record.reason)));
        data.push(wire::reason(&record.reason));
    }
    Because {
        step: origin.step.to_string(),
        task: Some(origin.id),
        headline,
        reasons,
        data,
        delays: Vec::new(),
        held_back: Vec::new(),
    }
}

/// How a task stands that is not final: `is due in 3 days`.
fn standing(task: &Task, times: &Times) -> String {
    let due = times.said(task.due_at);
    match task.state {
        TaskState::Held => {
            format!("waits for a person since it was held; it was due {due}. Let it go on with `hence task release {}`", task.id)
        }
        TaskState::Running if task.answer_awaited => {
            format!("is delivered; the receiver answers until {}", times.said(task.wake_at))
        }
        TaskState::Running => format!("is running, attempt {}; it was due {due}", task.attempt),
        _ if task.attempt > 0 => {
            format!("failed {} time(s) and is tried again {}; it was due {due}", task.attempt, times.said(task.wake_at))
        }
        _ if task.wake_at < task.due_at => {
            format!("is to run now, ahead of its instant {due}: it starts as soon as an engine is free for it")
        }
        _ if task.due_at < times.now => format!("is late: it was due {due} and starts as soon as an engine is free for it"),
        _ => format!("will happen {due}"),
    }
}

/// How a task ended: `ended done, 2 hours ago`.
fn ending(record: &Record, times: &Times) -> String {
    let due = record.due_at.map(|at| format!("; it was due {}", times.said(at))).unwrap_or_default();
    match record.kind {
        RecordKind::Done => format!("happened {}: {}{due}", times.said(record.at), history::word(record)),
        _ => format!("did not happen: {} {}{due}", history::word(record), times.said(record.at)),
    }
}

async fn of_entity(
    client: &Client,
    (snapshot, step): (&EntitySnapshot, Option<&Name>),
    times: &Times,
) -> Result<Vec<Because>, Problem> {
    let mut answers = Vec::new();
    let is_asked = |name: &Name| step.is_none_or(|step| step == name);
    let mut ids: Vec<TaskId> = Vec::new();
    for record in snapshot.records.iter().filter(|record| record.kind.final_state().is_some()) {
        if let (Some(id), Some(name)) = (record.task, &record.step)
            && is_asked(name)
        {
            ids.push(id);
        }
    }
    ids.extend(snapshot.live.iter().filter(|task| is_asked(&task.step)).map(|task| task.id));
    for id in ids {
        if let Some(view) = client.store().task(id).await? {
            answers.push(of_task_now(client, &view, times).await?);
        }
    }
    for timeline in &snapshot.timelines {
        // A run that another took the place of has nothing ahead, and the newer one says so itself.
        if !carry_out::is_superseded(snapshot, timeline) {
            answers.extend(
                absent(&client.library(), (snapshot, timeline), times)
                    .into_iter()
                    .filter(|answer| {
                        step.is_none_or(|step| step.as_str() == answer.step)
                            && !answers.iter().any(|other| other.step == answer.step)
                    })
                    .collect::<Vec<_>>(),
            );
        }
    }
    Ok(answers)
}

/// The steps of a timeline that have no task ahead, with the planner's reasons.
pub(crate) fn absent(library: &Library, (snapshot, timeline): (&EntitySnapshot, &Timeline), times: &Times) -> Vec<Because> {
    let Some(definition) = library.version(&timeline.definition) else { return Vec::new() };
    let facts = carry_out::facts_of(timeline, library);
    let events = carry_out::events_of(snapshot);
    let ended = carry_out::ended_of(snapshot, timeline.id);
    let live = carry_out::live_of(snapshot, timeline.id);
    let planned = plan::plan(PlanInput {
        definition,
        timeline,
        facts: &facts,
        events: &events,
        ended: &ended,
        live: &live,
        is_superseded: false,
        cause: "",
    });
    let mut answers: Vec<Because> = Vec::new();
    for absent in planned.absent {
        let due = absent.due_at.map(|at| format!(", which would be due {}", times.said(at))).unwrap_or_default();
        answers.push(Because {
            headline: format!("{} of {} is not ahead{due}", absent.step, snapshot.entity),
            step: absent.step.to_string(),
            task: None,
            reasons: vec![times.sentence(&absent.reason)],
            data: vec![wire::reason(&absent.reason)],
            delays: Vec::new(),
            held_back: Vec::new(),
        });
    }
    answers
}
