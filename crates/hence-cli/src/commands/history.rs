//! `hence history`: what happened, for the whole system, one entity or one task.

use hence::Client;
use hence::core::history::{Record, RecordKind};
use hence::core::name::Name;
use hence::store::port::{Cursor, HistoryFilter, HistoryOrder, PageRequest};

use super::upcoming::{self, Asked};
use super::{entity, task};
use crate::input::{Now, is_task, known, parsed_if, task_id};
use crate::output::{self, Answer, Times};
use crate::problem::{Exit, Problem};
use crate::session::Session;
use crate::wire;

/// A reason of which less could be shown is left out.
const REASON_MIN: usize = 20;
/// The longest reason in a table that is not on a terminal, in characters; `-o wide` and `--json` have all of it.
const REASON_MAX: usize = 300;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of one entity, such as account/42, or of one task, such as task_7 or hnc_k3v7q2ma_7
    of: Option<String>,
    /// Only of this timeline
    #[arg(long)]
    timeline: Option<String>,
    /// Only of this step
    #[arg(long)]
    step: Option<String>,
    /// Only of this kind, such as event, done, skipped, failed; may be repeated
    #[arg(long, value_parser = kind)]
    kind: Vec<RecordKind>,
    /// Only what was written from then on
    #[arg(long, value_name = "INSTANT")]
    from: Option<String>,
    /// Only what was written before then
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,
    /// The oldest first
    #[arg(long)]
    oldest_first: bool,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

fn kind(word: &str) -> Result<RecordKind, String> {
    RecordKind::from_word(word).ok_or_else(|| {
        let known: Vec<&str> = RecordKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("kinds are {}", known.join(", "))
    })
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Problem> {
    let client = session.client().await?;
    let now = Now { at: client.now().await?, zone: session.zone()? };
    let filter = filter(&client, args, &now).await?;
    let request = PageRequest { limit: args.limit.into(), after: args.cursor.clone().map(Cursor) };
    let page = client.store().history(&filter, request).await?;
    if page.items.is_empty() {
        is_known(&client, &filter).await?;
    }
    // Of a record, what one goes on with is its task.
    if session.give(|| Answer::list(wire::page(&page, wire::row), "items", "task_id")) {
        return Ok(Exit::Done);
    }
    if page.items.is_empty() {
        let what = Asked { of: args.of.as_deref(), timeline: args.timeline.as_deref(), step: args.step.as_deref() };
        output::note(&what.nothing(&client.library(), "nothing has happened", "what is ahead: `hence upcoming`"));
        return Ok(Exit::Done);
    }
    let times = session.times(now.at)?;
    let mut headings = vec!["at", "entity", "what", "step", "task", "why"];
    if times.is_wide {
        headings.splice(5..5, ["due", "attempt", "timeline", "seq"]);
    }
    let is_one = times.width.is_some() && filter.entity.is_some() && !times.is_wide;
    if is_one {
        headings.retain(|heading| *heading != "entity");
    }
    let mut rows = Vec::new();
    for row in &page.items {
        let record = &row.record;
        let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let mut cells = vec![
            times.cell(record.at),
            record.entity.to_string(),
            word(record),
            dash(record.step.as_ref().map(ToString::to_string)),
            dash(record.task.map(|id| id.to_string())),
        ];
        if times.is_wide {
            cells.push(times.cell_or_dash(record.due_at));
            cells.push(record.attempt.to_string());
            cells.push(dash(row.timeline_name.as_ref().map(ToString::to_string)));
            cells.push(row.seq.to_string());
        }
        let sentence = times.sentence(&record.reason);
        cells.push(if times.is_wide { sentence } else { output::cut(&sentence, REASON_MAX) });
        if is_one {
            cells.remove(1);
        }
        rows.push(cells);
    }
    let is_cut = cut_last(&mut headings, &mut rows, &times);
    let mut table = output::table(&headings);
    table.add_rows(rows);
    output::show(&table);
    if is_cut {
        output::note("every reason to its end: `-o wide`; all about one task: `hence why TASK`");
    }
    upcoming::more(page.next.as_ref());
    Ok(Exit::Done)
}

/// Cuts the last cells to what the terminal leaves for them, so that a record stays on its line, or takes the column out where too
/// little is left; whether any was cut.
fn cut_last(headings: &mut Vec<&str>, rows: &mut [Vec<String>], times: &Times) -> bool {
    let Some(width) = times.width.filter(|_| !times.is_wide) else { return false };
    let widest = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let columns = headings.len().saturating_sub(1);
    // A blank stands on either side of each cell.
    let taken: usize = (0..columns).map(|column| widest(column).max(headings[column].len()) + 2).sum();
    let left = width.saturating_sub(taken + 2);
    if left < REASON_MIN {
        headings.truncate(columns);
        rows.iter_mut().for_each(|row| row.truncate(columns));
        return true;
    }
    let mut is_cut = false;
    for text in rows.iter_mut().filter_map(|row| row.last_mut()) {
        let whole = std::mem::take(text);
        *text = output::cut(&whole, left);
        is_cut |= *text != whole;
    }
    is_cut
}

async fn filter(client: &Client, args: &Args, now: &Now) -> Result<HistoryFilter, Problem> {
    let (timeline, step) = known(client, args.timeline.as_deref(), args.step.as_deref())?;
    let mut filter = HistoryFilter {
        timeline,
        step,
        kinds: args.kind.clone(),
        from: args.from.as_deref().map(|text| now.instant(text)).transpose()?,
        until: args.until.as_deref().map(|text| now.instant(text)).transpose()?,
        order: if args.oldest_first { HistoryOrder::OldestFirst } else { HistoryOrder::NewestFirst },
        ..HistoryFilter::default()
    };
    match args.of.as_deref() {
        Some(text) if is_task(text) => filter.task = Some(task_id(client, text).await?),
        entity => filter.entity = parsed_if(entity).map_err(|problem| whose(problem, entity))?,
    }
    Ok(filter)
}

/// What to do about a text that is no entity: a type alone lists nothing here.
fn whose(problem: Problem, text: Option<&str>) -> Problem {
    match text.filter(|text| text.parse::<Name>().is_ok()) {
        Some(kind) => problem
            .help(format!("of all of them: `hence history --timeline NAME`; who there is: `hence entity list --type {kind}`")),
        None => problem,
    }
}

/// Refuses an entity or a task of which nothing is stored.
async fn is_known(client: &Client, filter: &HistoryFilter) -> Result<(), Problem> {
    if let Some(id) = filter.task {
        client.store().task(id).await?.ok_or_else(|| task::unknown(id))?;
    }
    match &filter.entity {
        Some(key) => entity::known(client, key).await,
        None => Ok(()),
    }
}

/// What a record tells in one word: the outcome where there is one.
pub(crate) fn word(record: &Record) -> String {
    record.outcome.clone().unwrap_or_else(|| record.kind.as_str().replace('_', " "))
}
