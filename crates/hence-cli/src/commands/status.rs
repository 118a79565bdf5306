//! `hence status`: how much there is, and whether it moves.

use hence::Client;
use hence::store::port::{EntityFilter, EntitySummary, InboxEntry, Life, Ownership, Page, PageRequest, Totals};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::output::{self, Answer, Times};
use crate::problem::{Exit, Problem};
use crate::session::Session;
use crate::wire;

/// What waits longer than this does not just happen to be under way.
pub(super) const OLD: SignedDuration = SignedDuration::from_mins(1);

/// How many entities whose wishes wait for facts are counted; beyond that it says "or more".
const WAITING_MAX: usize = 1000;
/// How many of them are named.
const WAITING_SHOWN: usize = 5;

/// What was told and is not carried out yet.
pub(super) struct Inbox {
    count: u64,
    oldest: Option<InboxEntry>,
    /// Entities whose wishes wait because facts cannot be read.
    waiting: Page<EntitySummary>,
}

impl Inbox {
    pub(super) async fn read(client: &Client, totals: &Totals) -> Result<Self, Problem> {
        let oldest = client.store().wishes(None, Timestamp::MAX, 1).await?.pop();
        let filter = EntityFilter { is_postponed: true, ..EntityFilter::default() };
        let waiting = client.store().entities(&filter, PageRequest::first(WAITING_MAX)).await?;
        Ok(Self { count: totals.wishes, oldest, waiting })
    }

    /// When the oldest one happened.
    fn since(&self) -> Option<Timestamp> {
        match self.oldest.as_ref()? {
            InboxEntry::Wish(stored) => Some(stored.at),
            InboxEntry::Unreadable { .. } => None,
        }
    }

    /// What to do about one that waits for too long, although nothing keeps it from being carried out.
    pub(super) fn stuck(&self, now: Timestamp) -> Option<String> {
        let oldest = self.oldest.as_ref()?;
        let entity = oldest.entity();
        let is_old = self.since().is_none_or(|at| now.duration_since(at) > OLD);
        let waits_for_facts = self.waiting.items.iter().any(|row| row.entity == *entity);
        let since = self.since().map_or_else(String::new, |at| format!(" since {at}"));
        (is_old && !waits_for_facts).then(|| {
            format!(
                "{} wait, the oldest about {entity}{since}; start an engine with `hence serve`, or look into the log of the one that runs",
                self.count
            )
        })
    }

    /// How many entities wait for their facts, in words; `None` when none does.
    fn unread(&self) -> Option<String> {
        let more = if self.waiting.next.is_some() { " or more" } else { "" };
        match self.waiting.items.len() {
            0 => None,
            1 => Some("what was told of 1 entity waits, because its facts cannot be read".to_owned()),
            count => Some(format!("what was told of {count}{more} entities waits, because their facts cannot be read")),
        }
    }

    /// The same with the first of them: who, since when, why, and when it is tried again.
    pub(super) fn unread_lines(&self, times: &Times) -> Vec<String> {
        let Some(first) = self.unread() else { return Vec::new() };
        let line = |row: &EntitySummary| {
            let postponed = row.postponed.as_ref()?;
            let (since, next) = (times.said(postponed.since), times.said(postponed.try_at));
            let (code, problem) = (&postponed.problem.code, &postponed.problem.message);
            let tries = if postponed.tries == 1 { "once".to_owned() } else { format!("{} times", postponed.tries) };
            Some(format!("{}: {problem} ({code}); tried {tries} since {since}; next try {next}", row.entity))
        };
        let mut lines = vec![first];
        lines.extend(self.waiting.items.iter().filter_map(line).take(WAITING_SHOWN));
        if self.waiting.items.len() > WAITING_SHOWN {
            lines.push("all of them: `hence entity list --waiting`".to_owned());
        }
        lines
    }

    /// Warns of what waits for facts, and of what waits for no reason that is known.
    fn warn(&self, times: &Times) {
        for (index, text) in self.unread_lines(times).iter().enumerate() {
            output::note(&if index == 0 { format!("warning: inbox: {text}") } else { format!("  {text}") });
        }
        if let Some(text) = self.stuck(times.now) {
            output::note(&format!("warning: inbox: {text}"));
        }
    }

    fn json(&self) -> Value {
        json!({
            "entities": self.waiting.items.len(),
            "is_all": self.waiting.next.is_none(),
            "items": self.waiting.items.iter().take(WAITING_SHOWN).map(wire::entity).collect::<Vec<_>>(),
        })
    }
}

pub(crate) async fn run(session: &Session) -> Result<Exit, Problem> {
    let client = session.client().await?;
    let reading = client.clock().read().await?;
    let totals = client.store().totals().await?;
    let identity = client.store().identity().await?;
    let inbox = Inbox::read(&client, &totals).await?;
    let ownership = client.store().ownership().await?;
    let kind = if reading.target.is_some() { "virtual" } else { "system" };
    let store = session.config()?.store.to_string();
    let library = client.library();
    let document = || {
        let definitions: Vec<_> = library
            .all_current()
            .map(|definition| json!({ "timeline": definition.name.to_string(), "hash": definition.hash.to_string() }))
            .collect();
        json!({
            "store": store,
            "store_id": identity.store_id,
            "schema_version": identity.schema_version,
            "clock": { "kind": kind, "now": reading.now.to_string() },
            "timelines": definitions,
            "totals": wire::totals(&totals),
            "nodes": wire::nodes(&ownership),
            "free_shards": ownership.free().count(),
            "oldest_wish": inbox.oldest.as_ref().map(|oldest| json!({
                "entity": oldest.entity().to_string(),
                "at": inbox.since().map(|at| at.to_string()),
            })),
            "waiting_for_facts": inbox.json(),
        })
    };
    if session.give(|| Answer::one(document(), "store")) {
        return Ok(Exit::Done);
    }
    let times = session.times(reading.now)?;
    let mut table = output::table(&["what", "value"]);
    let timelines: Vec<String> =
        library.all_current().map(|definition| format!("{} ({})", definition.name, definition.hash.short())).collect();
    let counts = |pairs: Vec<String>| if pairs.is_empty() { "none".to_owned() } else { pairs.join(", ") };
    let waiting = match &inbox.oldest {
        None => "empty".to_owned(),
        Some(oldest) => format!(
            "{}, the oldest about {}: {}",
            inbox.count,
            oldest.entity(),
            inbox.since().map_or_else(|| "-".to_owned(), |at| times.said(at))
        ),
    };
    let rows = [
        ("store", format!("{store} ({}, schema {})", identity.store_id, identity.schema_version)),
        ("clock", format!("{} ({kind})", times.local(reading.now))),
        ("timelines", counts(timelines)),
        ("entities", totals.entities.to_string()),
        ("ahead", counts(totals.live.iter().map(|(state, count)| format!("{count} {state}")).collect())),
        ("ended", counts(totals.finished.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect())),
        ("next start", totals.next_wake_at.map_or_else(|| "-".to_owned(), |at| times.said(at))),
        ("inbox", waiting),
    ];
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    for (name, value) in nodes(&ownership) {
        table.add_row([name.to_owned(), value]);
    }
    output::show(&table);
    inbox.warn(&times);
    Ok(Exit::Done)
}

/// A line for each engine, and one for what none of them owns.
fn nodes(ownership: &Ownership) -> Vec<(&'static str, String)> {
    let all = ownership.shards.len();
    let mut lines: Vec<_> = ownership
        .nodes
        .iter()
        .map(|row| {
            let owned = ownership.lease_of(&row.node).shards.len();
            let still = hence::clock::wall().duration_since(row.beaten_at);
            let beat = match output::rough(still) {
                text if text.is_empty() => "now".to_owned(),
                text => format!("{text} ago"),
            };
            let life = match row.life {
                Life::Gone => "; its process has ended",
                Life::Alive | Life::Unknown if row.is_leaving => "; it is stopping",
                Life::Alive | Life::Unknown => "",
            };
            let notice = row.notice.as_ref().map(|notice| format!("; {notice}")).unwrap_or_default();
            ("node", format!("{}: {owned} of {all} shards, last beat {beat}{life}{notice}", row.node))
        })
        .collect();
    let free = ownership.free().count();
    if free > 0 {
        lines.push(("free shards", format!("{free} of {all}: {}", if free == all { "no engine runs" } else { "soon taken" })));
    }
    lines
}
