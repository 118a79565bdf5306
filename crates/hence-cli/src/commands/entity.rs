//! `hence entity`: whom Hence knows, and all that it knows of one.

use hence::Client;
use hence::core::name::EntityKey;
use hence::store::port::{Cursor, EntityFilter, EntitySummary, PageRequest, Postponed};
use serde_json::json;

use super::{history, upcoming};
use crate::input::{parsed, parsed_if};
use crate::output::{self, Answer, Times};
use crate::problem::{Exit, Problem};
use crate::session::Session;
use crate::wire;

/// How many records `show` writes.
const RECORDS_SHOWN: usize = 20;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List entities
    List(List),
    /// Show one entity: its timelines, what is ahead and what happened
    Show {
        /// Such as account/42
        entity: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only those whose id begins so; without --type, whose `type/id` begins so
    prefix: Option<String>,
    /// Only of this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only those of whom something that was told waits, because their facts cannot be read
    #[arg(long)]
    waiting: bool,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

pub(crate) async fn run(session: &Session, command: &Command) -> Result<Exit, Problem> {
    match command {
        Command::List(args) => list(session, args).await,
        Command::Show { entity } => show(session, &parsed(entity)?).await,
    }
}

async fn list(session: &Session, args: &List) -> Result<Exit, Problem> {
    let client = session.client().await?;
    let kind = parsed_if(args.kind.as_deref())?;
    let filter = EntityFilter { kind, prefix: args.prefix.clone(), is_postponed: args.waiting };
    let request = PageRequest { limit: args.limit.into(), after: args.cursor.clone().map(Cursor) };
    let page = client.store().entities(&filter, request).await?;
    if session.give(|| Answer::list(wire::page(&page, wire::entity), "items", "entity")) {
        return Ok(Exit::Done);
    }
    let times = session.times(client.now().await?)?;
    if args.waiting {
        show_waiting(&page.items, &times);
        upcoming::more(page.next.as_ref());
        return Ok(Exit::Done);
    }
    let headings = ["entity", "next due", "to be erased", "version"];
    let columns = if times.is_wide { 4 } else { 3 };
    let mut table = output::table(&headings[..columns]);
    for entity in &page.items {
        let (next, erase) = (times.cell_or_dash(entity.next_due_at), times.cell_or_dash(entity.erase_at));
        table.add_row([entity.entity.to_string(), next, erase, entity.version.to_string()].into_iter().take(columns));
    }
    if page.items.is_empty() {
        output::note("no entity is known; enrol one with `hence enrol TIMELINE ENTITY`");
    } else {
        output::show(&table);
    }
    upcoming::more(page.next.as_ref());
    Ok(Exit::Done)
}

fn show_waiting(entities: &[EntitySummary], times: &Times) {
    let mut table = output::table(&["entity", "since", "tried", "next try", "why"]);
    for (entity, postponed) in entities.iter().filter_map(|row| Some((&row.entity, row.postponed.as_ref()?))) {
        let Postponed { since, tries, try_at, problem, .. } = postponed;
        let why = format!("{} ({})", problem.message, problem.code);
        table.add_row([entity.to_string(), times.cell(*since), tries.to_string(), times.cell(*try_at), why]);
    }
    if entities.is_empty() {
        output::note("nothing waits because facts cannot be read");
    } else {
        output::show(&table);
    }
}

async fn show(session: &Session, entity: &EntityKey) -> Result<Exit, Problem> {
    let client = session.client().await?;
    let snapshots = client.store().snapshots(std::slice::from_ref(entity)).await?;
    let known = snapshots.into_iter().next().filter(|snapshot| snapshot.version > 0 || !snapshot.records.is_empty());
    let snapshot = known.ok_or_else(|| unknown(entity))?;
    let document = || {
        json!({
            "entity": entity.to_string(),
            "version": snapshot.version,
            "timelines": snapshot.timelines.iter().map(wire::timeline).collect::<Vec<_>>(),
            "upcoming": snapshot.live.iter().map(wire::task).collect::<Vec<_>>(),
            "history": snapshot.records.iter().map(wire::record).collect::<Vec<_>>(),
        })
    };
    if session.give(|| Answer::one(document(), "entity")) {
        return Ok(Exit::Done);
    }
    let times = session.times(client.now().await?)?;
    let bold = output::BOLD;
    output::line(&format!("{bold}{entity}{bold:#}"));
    for timeline in &snapshot.timelines {
        let since = times.said(timeline.enrolled_at);
        let (name, run, status) = (&timeline.name, timeline.run, timeline.status.as_str());
        output::line(&format!("{} {name} run {run}: {status}, enrolled {since}", timeline.id));
        for (name, at) in &timeline.given {
            output::line(&format!("  {name} = {}", times.said(*at)));
        }
        output::folded(4, output::PLAIN, &format!("  facts {}", timeline.facts));
    }
    output::line(&format!("{bold}ahead{bold:#}"));
    if snapshot.live.is_empty() {
        output::line("  nothing");
    }
    for task in &snapshot.live {
        output::line(&format!("  {}  {} {} ({})", times.cell(task.due_at), task.step, task.state, task.id));
    }
    output::line(&format!("{bold}before{bold:#}"));
    for record in snapshot.records.iter().rev().take(RECORDS_SHOWN) {
        let step = record.step.as_ref().map(|step| format!("{step} ")).unwrap_or_default();
        let why = times.sentence(&record.reason);
        let text = format!("  {}  {step}{}: {why}", times.cell(record.at), history::word(record));
        output::folded(4, output::PLAIN, &text);
    }
    if snapshot.records.len() > RECORDS_SHOWN {
        output::note(&format!("all of it: `hence history {} --oldest-first`", output::quoted(&entity.to_string())));
    }
    Ok(Exit::Done)
}

/// Refuses an entity of which nothing is stored.
/// # Errors
/// HNC-0324.
pub(crate) async fn known(client: &Client, entity: &EntityKey) -> Result<(), Problem> {
    let snapshots = client.store().snapshots(std::slice::from_ref(entity)).await?;
    let is_known = snapshots.iter().any(|snapshot| snapshot.version > 0 || !snapshot.records.is_empty());
    // What was told and waits to be carried out is known too.
    if is_known || !client.store().wishes_of(entity).await?.is_empty() { Ok(()) } else { Err(unknown(entity)) }
}

/// Nothing is stored of that entity.
pub(crate) fn unknown(entity: &EntityKey) -> Problem {
    Problem::not_found(format!("nothing is known of {entity}")).help("list who is known with `hence entity list`")
}
