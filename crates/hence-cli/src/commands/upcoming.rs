//! `hence upcoming`: what is ahead, for the whole system or one entity, as a list or as a chart of counts.

use std::collections::BTreeMap;

use hence::core::library::Library;
use hence::core::task::TaskState;
use hence::store::port::{CountOf, CountSpan, CountsFilter, Cursor, Page, PageRequest, UpcomingFilter};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::entity;
use crate::input::{Now, known, parsed, parsed_if};
use crate::output::{self, Answer, Times};
use crate::problem::{Exit, Problem};
use crate::session::Session;
use crate::wire;

/// How wide a bar may be, in characters.
const BAR_WIDTH: u64 = 50;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of one entity, such as account/42, or of all entities of a type, such as account
    entity: Option<String>,
    /// Only of this timeline
    #[arg(long)]
    timeline: Option<String>,
    /// Only of this step
    #[arg(long)]
    step: Option<String>,
    /// Only in this state: scheduled, running or held; may be repeated
    #[arg(long, value_parser = ["scheduled", "running", "held"])]
    state: Vec<String>,
    /// Only what is due from then on
    #[arg(long, value_name = "INSTANT")]
    from: Option<String>,
    /// Only what is due before then
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
    /// In which order
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Counts instead of a list: a chart by hour or day (UTC)
    #[arg(long, value_enum, value_name = "SPAN", conflicts_with_all = ["entity", "state", "cursor"])]
    count: Option<Width>,
}

/// In which order tasks are listed.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Sort {
    /// The earliest due instant first
    #[default]
    Due,
}

/// How wide the bars of a chart are.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Width {
    Hour,
    Day,
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Problem> {
    let client = session.client().await?;
    let now = Now { at: client.now().await?, zone: session.zone()? };
    let times = session.times(now.at)?;
    let from = args.from.as_deref().map(|text| now.instant(text)).transpose()?;
    let until = args.until.as_deref().map(|text| now.instant(text)).transpose()?;
    let (timeline, step) = known(&client, args.timeline.as_deref(), args.step.as_deref())?;
    if let Some(width) = args.count {
        let filter = CountsFilter { timeline, step, ..spans(width, now.at, (from, until)) };
        let around = Around { earlier: from.is_none(), later: until.is_none() };
        return chart(session, &client, (&filter, around), &times).await;
    }
    let mut filter = UpcomingFilter {
        timeline,
        step,
        states: args.state.iter().filter_map(|word| TaskState::from_word(word)).collect(),
        due_from: from,
        due_until: until,
        ..UpcomingFilter::default()
    };
    match args.entity.as_deref() {
        Some(text) if text.contains('/') => filter.entity = Some(parsed(text)?),
        kind => filter.entity_kind = parsed_if(kind)?,
    }
    let Sort::Due = args.sort;
    let request = PageRequest { limit: args.limit.into(), after: args.cursor.clone().map(Cursor) };
    let page = client.store().upcoming(&filter, request).await?;
    if let (true, Some(entity)) = (page.items.is_empty(), &filter.entity) {
        entity::known(&client, entity).await?;
    }
    if !session.give(|| Answer::list(wire::page(&page, wire::task), "items", "id")) {
        if page.items.is_empty() {
            let what = Asked { of: args.entity.as_deref(), timeline: args.timeline.as_deref(), step: args.step.as_deref() };
            output::note(&what.nothing(&client.library(), "nothing is ahead", "what was: `hence history`"));
            return Ok(Exit::Done);
        }
        list(&page, &times, filter.entity.is_some());
    }
    Ok(Exit::Done)
}

/// What a list was asked for, to say why it may be empty.
pub(super) struct Asked<'a> {
    pub(super) of: Option<&'a str>,
    pub(super) timeline: Option<&'a str>,
    pub(super) step: Option<&'a str>,
}

impl Asked<'_> {
    /// Says that there is nothing, and what to do next.
    pub(super) fn nothing(&self, library: &Library, nothing: &str, elsewhere: &str) -> String {
        match self.of {
            Some(of) if of.contains('/') || of.starts_with("task_") => {
                format!("{nothing} for {of}; all about it: `hence why {of}`")
            }
            _ if self.timeline.is_some() || self.step.is_some() => format!("{nothing} that fits; {elsewhere}"),
            _ if library.all_current().next().is_none() => {
                format!("{nothing}: nobody is enrolled; begin with `hence enrol TIMELINE ENTITY`")
            }
            _ => format!("{nothing}; {elsewhere}"),
        }
    }
}

/// Writes tasks as a table; says so where there are more.
fn list(page: &Page<hence::core::task::Task>, times: &Times, is_one: bool) {
    // On a terminal, the entity that was asked for need not be said again on each line.
    let is_one = is_one && times.width.is_some() && !times.is_wide;
    let mut headings = vec!["due", "entity", "step", "state", "task"];
    if times.is_wide {
        headings.extend(["starts", "attempts", "timeline", "why"]);
    }
    if is_one {
        headings.remove(1);
    }
    let mut table = output::table(&headings);
    for task in &page.items {
        let mut state = task.state.to_string();
        if task.state == TaskState::Scheduled && task.attempt > 0 {
            state.push_str(&format!(", next try {}", times.local(task.wake_at)));
        } else if task.wake_at < task.due_at && task.state == TaskState::Scheduled {
            state.push_str(", to run now");
        } else if task.due_at < times.now && task.state == TaskState::Scheduled {
            state.push_str(", late");
        }
        let step = if task.occurrence.is_empty() { task.step.to_string() } else { format!("{} {}", task.step, task.occurrence) };
        let mut cells = vec![times.cell(task.due_at), task.entity.to_string(), step, state, task.id.to_string()];
        if times.is_wide {
            let timeline = task.timeline.map_or_else(|| "-".to_owned(), |id| id.to_string());
            cells.extend([times.cell(task.wake_at), task.attempt.to_string(), timeline, times.sentence(&task.reason)]);
        }
        if is_one {
            cells.remove(1);
        }
        table.add_row(cells);
    }
    output::show(&table);
    more(page.next.as_ref());
}

/// Says how to read on.
pub(crate) fn more(next: Option<&Cursor>) {
    if let Some(Cursor(next)) = next {
        output::note(&format!("there are more: add `--cursor '{next}'`"));
    }
}

/// Whole spans around the wanted time: two days of hours, or five weeks of days, where nothing is said.
fn spans(width: Width, now: Timestamp, (from, until): (Option<Timestamp>, Option<Timestamp>)) -> CountsFilter {
    let (span, seconds, default) = match width {
        Width::Hour => (CountSpan::Hour, 3_600, 48),
        Width::Day => (CountSpan::Day, 86_400, 35),
    };
    let begins = |at: Timestamp| {
        let floor = at.as_second().div_euclid(seconds) * seconds;
        Timestamp::from_second(floor).unwrap_or(at)
    };
    let from = begins(from.unwrap_or(now));
    let until = until.unwrap_or_else(|| from.checked_add(SignedDuration::from_secs(seconds * default)).unwrap_or(Timestamp::MAX));
    CountsFilter { of: CountOf::Upcoming, span, from, until, timeline: None, step: None }
}

/// Whether what lies before and behind the shown time is counted too.
#[derive(Debug, Clone, Copy)]
struct Around {
    earlier: bool,
    later: bool,
}

async fn chart(
    session: &Session,
    client: &hence::Client,
    (filter, around): (&CountsFilter, Around),
    times: &Times,
) -> Result<Exit, Problem> {
    let counts = client.store().counts(filter).await?;
    let beside = async |is_wanted: bool, from: Timestamp, until: Timestamp| -> Result<u64, Problem> {
        if !is_wanted {
            return Ok(0);
        }
        let filter = CountsFilter { from, until, ..filter.clone() };
        Ok(client.store().counts(&filter).await?.iter().map(|count| count.count).sum())
    };
    let earlier = beside(around.earlier, Timestamp::MIN, filter.from).await?;
    let later = beside(around.later, filter.until, Timestamp::MAX).await?;
    let document = || json!({ "counts": counts.iter().map(wire::count).collect::<Vec<_>>(), "earlier": earlier, "later": later });
    if session.give(|| Answer::list(document(), "counts", "begins_at")) {
        return Ok(Exit::Done);
    }
    let mut sums: BTreeMap<Timestamp, u64> = BTreeMap::new();
    for count in &counts {
        *sums.entry(count.begins_at).or_default() += count.count;
    }
    let largest = sums.values().copied().chain([earlier]).max().unwrap_or(0);
    if largest == 0 {
        output::note("nothing is ahead in this time; look further with `--until`");
    }
    let pattern = if filter.span == CountSpan::Day { "%Y-%m-%d UTC" } else { "%Y-%m-%d %H:00 UTC" };
    let head = |at: &Timestamp| if times.width.is_some() { at.strftime(pattern).to_string() } else { at.to_string() };
    let cyan = output::CYAN;
    let bar = |head: &str, count: u64| {
        output::line(&format!("{head}  {count:>6} {cyan}{}{cyan:#}", output::bar(count, largest, BAR_WIDTH)));
    };
    if earlier > 0 {
        let width = head(&filter.from).chars().count();
        bar(&format!("{:<width$}", "late, before"), earlier);
    }
    for (begins_at, count) in &sums {
        bar(&head(begins_at), *count);
    }
    if later > 0 {
        output::note(&format!("{later} more from {} on; look further with `--until`", times.local(filter.until)));
    }
    Ok(Exit::Done)
}
