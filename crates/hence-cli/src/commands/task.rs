//! `hence task`: looking at tasks, and deciding about them.

mod complete;
mod schedule;

use hence::core::name::TaskId;
use hence::core::task::{Task, TaskState};
use hence::store::port::TaskView;
use hence::{CancelAnswer, Client, ErrorKind};
use serde_json::{Value, json};

use super::{upcoming, why};
use crate::input::{Now, task_id};
use crate::output::{self, Answer, Times};
use crate::problem::{Exit, Problem};
use crate::session::Session;
use crate::wire;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List tasks that are ahead; the same as `hence upcoming`
    List(upcoming::Args),
    /// Show all that is stored of one task
    Show {
        /// Such as task_7, or hnc_k3v7q2ma_7 as receivers and mails know it
        id: String,
    },
    /// Schedule one task that no timeline wants
    Schedule(schedule::Args),
    /// End an attempt whose receiver said that it answers later
    Complete(complete::Args),
    /// Cancel tasks: they never start
    Cancel(Which),
    /// Let tasks wait for a person
    Hold(Which),
    /// Let held tasks go on
    Release(Which),
    /// Make tasks due now; a final one is done once more, as a new task
    Run(Which),
    /// Give tasks another instant
    Reschedule {
        /// When: an instant, or a span from now
        #[arg(long, value_name = "INSTANT", allow_hyphen_values = true)]
        to: String,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Such as task_7, or hnc_k3v7q2ma_7 as receivers and mails know it
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Why, kept in history
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

/// What is to be done to each task.
enum Deed {
    Cancel,
    Hold,
    Release,
    Run,
    Reschedule(jiff::Timestamp),
}

/// What came of it.
struct Done {
    id: TaskId,
    answer: &'static str,
    text: String,
    exit: Exit,
}

pub(crate) async fn run(session: &Session, command: &Command) -> Result<Exit, Problem> {
    match command {
        Command::List(args) => upcoming::run(session, args).await,
        Command::Show { id } => show(session, id).await,
        Command::Schedule(args) => schedule::run(session, args).await,
        Command::Complete(args) => complete::run(session, args).await,
        Command::Cancel(which) => each(session, which, &Deed::Cancel).await,
        Command::Hold(which) => each(session, which, &Deed::Hold).await,
        Command::Release(which) => each(session, which, &Deed::Release).await,
        Command::Run(which) => each(session, which, &Deed::Run).await,
        Command::Reschedule { to, which } => {
            let client = session.client().await?;
            let now = Now { at: client.now().await?, zone: session.zone()? };
            each(session, which, &Deed::Reschedule(now.instant(to)?)).await
        }
    }
}

async fn show(session: &Session, id: &str) -> Result<Exit, Problem> {
    let client = session.client().await?;
    let id = task_id(&client, id).await?;
    let view = client.store().task(id).await?.ok_or_else(|| unknown(id))?;
    if session.give(|| Answer::one(document(&view), "id")) {
        return Ok(Exit::Done);
    }
    let times = session.times(client.now().await?)?;
    let mut table = output::table(&["what", "value"]);
    let state = view.live.as_ref().map(|task| task.state);
    let ended = view.records.iter().rev().find_map(|row| row.record.outcome.clone());
    let mut rows = vec![
        ("task", id.to_string()),
        ("entity", view.origin.entity.to_string()),
        ("step", view.origin.step.to_string()),
        ("state", state.map_or_else(|| ended.unwrap_or_default(), |state| state.to_string())),
        ("planned", times.said(view.origin.created_at)),
    ];
    if let Some(timeline) = &view.timeline {
        rows.push(("timeline", format!("{} ({}), run {}", timeline.name, timeline.id, timeline.run)));
    }
    if let Some(task) = &view.live {
        rows.push(("due", times.said(task.due_at)));
        rows.push(("starts", times.said(task.wake_at)));
        rows.push(("attempts", task.attempt.to_string()));
        if task.state == TaskState::Running {
            rows.push(("fence", task.fence.0.to_string()));
        }
    }
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    output::show(&table);
    why::of_task_now(&client, &view, &times).await?.show();
    Ok(Exit::Done)
}

fn document(view: &TaskView) -> Value {
    json!({
        "id": view.origin.id.to_string(),
        "entity": view.origin.entity.to_string(),
        "step": view.origin.step.to_string(),
        "created_at": view.origin.created_at.to_string(),
        "reason": wire::reason(&view.origin.reason),
        "task": view.live.as_ref().map(wire::task),
        "timeline": view.timeline.as_ref().map(wire::timeline),
        "history": view.records.iter().map(wire::row).collect::<Vec<_>>(),
    })
}

async fn each(session: &Session, which: &Which, deed: &Deed) -> Result<Exit, Problem> {
    let client = session.client().await?;
    let mut ids = Vec::new();
    for id in &which.ids {
        ids.push(task_id(&client, id).await?);
    }
    if ids.len() > 1 {
        output::note(&format!("{} tasks", ids.len()));
    }
    let times = session.times(client.now().await?)?;
    let (mut answers, mut exit): (Vec<Value>, Exit) = (Vec::new(), Exit::Done);
    for id in ids {
        let done = one(&client, id, (deed, &which.reason), &times).await?;
        if done.exit != Exit::Done {
            exit = done.exit;
        }
        if !session.is_for_programs() {
            output::line(&format!("{} {}", done.id, done.text));
        }
        answers.push(json!({ "id": id.to_string(), "answer": done.answer, "text": done.text }));
    }
    if !session.give(|| Answer::list(json!({ "tasks": answers }), "tasks", "id")) {
        let at = times.local(times.now);
        output::note(&format!("as of {at}; next: `hence why {}`", which.ids.first().map_or("ID", String::as_str)));
    }
    Ok(exit)
}

async fn one(client: &Client, id: TaskId, (deed, reason): (&Deed, &str), times: &Times) -> Result<Done, Problem> {
    let done = |answer: &'static str, text: String, exit: Exit| Ok(Done { id, answer, text, exit });
    let changed = |word: &'static str, result: Result<Task, hence::Error>| match result {
        Ok(task) => Ok((word, format!("is {}, due {}", task.state, times.said(task.due_at)), Exit::Done)),
        Err(error) => refused(error),
    };
    let (answer, text, exit) = match deed {
        Deed::Cancel => match client.cancel(id, reason).await {
            Ok(CancelAnswer::Cancelled) => ("cancelled", "is cancelled: no attempt ever starts".to_owned(), Exit::Done),
            Ok(CancelAnswer::AlreadyRunning { attempt, .. }) => {
                ("already_running", format!("is running already (attempt {attempt}): no further attempt starts"), Exit::Conflict)
            }
            Ok(CancelAnswer::Already(TaskState::Cancelled)) => ("cancelled", "was cancelled before".to_owned(), Exit::Done),
            Ok(CancelAnswer::Already(state)) => ("already_final", format!("was {state} before"), Exit::Conflict),
            Err(error) => refused(error)?,
        },
        Deed::Hold => changed("held", client.hold(id, reason).await)?,
        Deed::Release => changed("released", client.release(id, reason).await)?,
        Deed::Reschedule(to) => changed("rescheduled", client.reschedule(id, *to, reason).await)?,
        Deed::Run => match client.run_now(id, reason).await {
            Ok(()) => ("run_asked", "is due now; an engine starts it".to_owned(), Exit::Done),
            Err(error) => refused(error)?,
        },
    };
    done(answer, text, exit)
}

/// A task that refuses is an answer about that task, and the others still get theirs; anything else ends the command.
fn refused(error: hence::Error) -> Result<(&'static str, String, Exit), Problem> {
    match error {
        ErrorKind::Refused { code, problem } => Ok(("refused", format!("refused: {problem} ({code})"), Exit::Conflict)),
        ErrorKind::NotFound(_) => Ok(("not_found", "is not known".to_owned(), Exit::NotFound)),
        error => Err(error.into()),
    }
}

/// There is no task of that number.
pub(crate) fn unknown(id: TaskId) -> Problem {
    Problem::not_found(format!("{id} is not known")).help("list tasks with `hence upcoming`, past ones with `hence history`")
}
