//! The document of a definition, as users write it: from TOML text to the checked model.
//!
//! Owns the names of all keys (`keys`), their defaults and the order of reading: facts and conditions first, since everything else
//! is typed by them. Reports every problem of a file at once. A new key is read here, written into the hash (`canonical`), described
//! in `schema` and in `docs/reference/definition.md`; tests compare all four. Leaves to others: what refers to what (`check`),
//! what is odd (`lint`).

mod action;
pub(super) mod adhoc;
mod example;
mod facts;
pub(super) mod keys;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::canonical;
use super::check;
use super::codes;
use super::document::{Entry, Fields, Reader, SENTENCE_BYTES_MAX, SQL_BYTES_MAX, joined, with_document};
use super::lint;
use super::scope::{Scope, TextScope};
use super::{
    Again, Anchor, AuditRule, ChangeRule, Definition, FactPath, FactSource, Late, LateRule, Loaded, NewStep, Reaction, Selection,
    ZoneRule,
};
use crate::calendar::{Calendar, Offset, Zone};
use crate::diagnostic::{Diagnostic, Severity};
use crate::name::{EventName, Name};

pub(super) use step::{BUILT_IN_OUTCOMES, RETRY_DEFAULT, StepDraft};

/// The most `[on]` tables.
const EVENTS_MAX: usize = 200;
/// The most `[calendar]` tables.
const CALENDARS_MAX: usize = 50;
/// The most renamed steps.
const RENAMED_MAX: usize = 200;
/// The longest `late.after`: beyond ten years nothing is late.
const LATE_MAX: SignedDuration = SignedDuration::from_hours(24 * 3660);
/// The shortest time between two audits.
const AUDIT_EVERY_MIN: SignedDuration = SignedDuration::from_secs(60);
/// The longest time between two audits.
const AUDIT_EVERY_MAX: SignedDuration = SignedDuration::from_hours(24 * 31);
/// The default of `timeline.late`: what DESIGN's trial writes down.
const LATE_DEFAULT: LateRule = LateRule { after: SignedDuration::from_hours(12), then: Late::Run };

/// A `[calendar.NAME]` table and how its hours and closed days were written.
pub(super) struct NamedCalendar {
    pub(super) calendar: Calendar,
    pub(super) text: String,
}

/// Everything that was read, before it is known whether it fits together.
pub(super) struct Draft {
    pub(super) facts: BTreeMap<Name, super::FactGroup>,
    /// Groups and fields that could not be read.
    pub(super) unsure_facts: BTreeSet<String>,
    pub(super) calendars: BTreeMap<Name, Option<NamedCalendar>>,
    pub(super) steps: Vec<StepDraft>,
    pub(super) on: BTreeMap<EventName, Reaction>,
    pub(super) anchor: Option<Anchor>,
    /// The path and text of every expression and text with `{…}`, for the lints.
    pub(super) scope: Scope,
}

/// Reads a document: the definition and its warnings, or every problem it has.
pub(super) fn load(source: &str) -> Result<Loaded, Vec<Diagnostic>> {
    let (definition, mut problems) = with_document(source, read);
    problems.sort_by_key(|problem| problem.spans.first().map(|span| (span.start, span.end)));
    problems.dedup();
    let has_errors = problems.iter().any(|problem| problem.severity == Severity::Error);
    match definition {
        Some(definition) if !has_errors => Ok(Loaded { definition, warnings: problems }),
        _ => {
            problems.retain(|problem| problem.severity == Severity::Error);
            assert!(!problems.is_empty(), "a definition that cannot be used has at least one error");
            Err(problems)
        }
    }
}

fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Option<Definition> {
    reader.only_known(root, keys::ROOT);
    let calendars = read_calendars(reader, root);
    let facts = facts::read(reader, root);
    let mut scope = Scope::new(&facts.types);
    facts.unsure.iter().filter(|path| !path.contains('.')).for_each(|group| scope.unsure(group));
    let lets = facts::read_lets(reader, root, &facts, &mut scope);
    let timeline = root.entry("timeline").and_then(|entry| reader.fields(&entry, keys::TIMELINE));
    if root.entry("timeline").is_none() {
        let help = "write `[timeline]` with `name`, `entity` and `anchor`";
        reader.error(codes::MISSING_KEY, &(0..0), "`[timeline]` is missing in the file", help);
    }
    let head = timeline.as_ref().map(|timeline| read_head(reader, timeline, &facts));
    let steps = step::read(reader, root, &step::Known { calendars: &calendars, facts: &facts }, &mut scope);
    let on = read_events(reader, root, &mut scope);
    let anchor = head.as_ref().and_then(|head| head.anchor.clone());
    let groups = facts.groups.clone();
    let draft = Draft { unsure_facts: facts.unsure, facts: facts.groups, calendars, steps, on, anchor, scope };
    check::steps(reader, &draft);
    let change = read_change(reader, root, &draft);
    let audit = root.entry("audit").map(|entry| read_audit(reader, &entry, &groups));
    let tests = example::read(reader, root, &draft);

    let head = head?;
    let steps = draft.steps.iter().map(|step| step.clone().build()).collect::<Option<Vec<_>>>()?;
    let mut definition = Definition {
        hash: crate::name::DefinitionHash(String::new()),
        name: head.name?,
        entity: head.entity?,
        about: head.about,
        anchor: head.anchor?,
        zone: head.zone?,
        again: head.again,
        late: head.late,
        facts: groups,
        lets: lets?,
        steps,
        on: draft.on.clone(),
        change: change?,
        audit: audit.map_or(Some(None), |audit| audit.map(Some))?,
        tests: tests?,
    };
    definition.hash = canonical::hash(&definition, &draft.open_texts());
    lint::definition(reader, &definition, &draft);
    Some(definition)
}

impl Draft {
    /// How the open hours of each step were written, with the closed days of the calendar it names.
    fn open_texts(&self) -> BTreeMap<Name, String> {
        self.steps.iter().filter_map(|step| Some((step.name.clone(), step.open_text.clone()?))).collect()
    }
}

/// What `[timeline]` says.
struct Head {
    name: Option<Name>,
    entity: Option<Name>,
    about: String,
    anchor: Option<Anchor>,
    zone: Option<ZoneRule>,
    again: Again,
    late: LateRule,
}

fn read_head(reader: &mut Reader<'_>, timeline: &Fields<'_>, facts: &facts::Read) -> Head {
    let name = reader.required(timeline, "name", "write the name that enrolments use, such as `name = \"trial\"`");
    let entity = reader.required(timeline, "entity", "write the type of entity it is for, such as `entity = \"account\"`");
    let anchor = reader.required(timeline, "anchor", "write where day 0 comes from, such as `anchor = \"created_at\"`");
    let zone = match timeline.entry("zone") {
        Some(entry) => read_zone(reader, &entry, facts),
        None => Some(ZoneRule { from: None, otherwise: Zone::utc() }),
    };
    let again = [("ignore", Again::Ignore), ("restart", Again::Restart), ("error", Again::Error)];
    Head {
        name: name.and_then(|entry| reader.name(&entry)),
        entity: entity.and_then(|entry| reader.name(&entry)),
        about: read_about(reader, timeline),
        anchor: anchor.and_then(|entry| read_anchor(reader, &entry, facts)),
        zone,
        again: timeline.entry("again").and_then(|entry| reader.word(&entry, &again)).unwrap_or(Again::Ignore),
        late: timeline.entry("late").and_then(|entry| read_late(reader, &entry)).unwrap_or(LATE_DEFAULT),
    }
}

fn read_about(reader: &mut Reader<'_>, fields: &Fields<'_>) -> String {
    let about = fields.entry("about").and_then(|entry| reader.full_text(&entry, SENTENCE_BYTES_MAX));
    about.unwrap_or_default().to_owned()
}

/// An anchor: a name is given at enrolment, `group.field` is a fact of type `time`.
fn read_anchor(reader: &mut Reader<'_>, entry: &Entry<'_>, facts: &facts::Read) -> Option<Anchor> {
    let text = reader.text(entry)?;
    if !text.contains('.') {
        return reader.name_of(text, &entry.at).map(Anchor::Given);
    }
    facts::path(reader, entry, (text, crate::value::TypeName::Time), facts).map(Anchor::Fact)
}

fn read_zone(reader: &mut Reader<'_>, entry: &Entry<'_>, facts: &facts::Read) -> Option<ZoneRule> {
    if entry.is_text() {
        return Some(ZoneRule { from: None, otherwise: reader.time_text(entry, Zone::parse)? });
    }
    let toml::de::DeValue::Table(_) = entry.value else {
        return reader
            .wrong_type(entry, "a zone such as `\"Europe/Oslo\"`, or `{ from = \"account.timezone\", else = \"UTC\" }`");
    };
    let fields = reader.fields(entry, keys::ZONE)?;
    let from = reader.required(&fields, "from", "name the fact that holds the zone, or write `zone = \"UTC\"`");
    let otherwise = reader.required(&fields, "else", "write the zone to use when the fact is null, such as `else = \"UTC\"`");
    let from: Option<FactPath> = from.and_then(|entry| {
        let text = reader.text(&entry)?;
        facts::path(reader, &entry, (text, crate::value::TypeName::String), facts)
    });
    let otherwise = otherwise.and_then(|entry| reader.time_text(&entry, Zone::parse));
    Some(ZoneRule { from: Some(from?), otherwise: otherwise? })
}

fn read_late(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<LateRule> {
    let fields = reader.fields(entry, keys::LATE)?;
    let after = reader.required(&fields, "after", "write how late is late, such as `after = \"12 hours\"`");
    let then = reader.required(&fields, "then", "write what happens then: `run`, `skip` or `hold`");
    let after = after.and_then(|entry| reader.length(&entry, SignedDuration::ZERO, LATE_MAX));
    let words = [("run", Late::Run), ("skip", Late::Skip), ("hold", Late::Hold)];
    let then = then.and_then(|entry| reader.word(&entry, &words));
    Some(LateRule { after: after?, then: then? })
}

fn read_calendars(reader: &mut Reader<'_>, root: &Fields<'_>) -> BTreeMap<Name, Option<NamedCalendar>> {
    let mut calendars = BTreeMap::new();
    let Some(tables) = root.entry("calendar").and_then(|entry| reader.table(&entry)) else { return calendars };
    if !reader.within(tables.len(), CALENDARS_MAX, "calendar", &tables.at) {
        return calendars;
    }
    for (name, entry) in tables.entries() {
        let at = reader.key_place(&entry.path);
        let Some(name) = reader.name_of(name, &at) else { continue };
        let calendar = read_calendar(reader, &entry);
        calendars.insert(name, calendar);
    }
    calendars
}

fn read_calendar(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<NamedCalendar> {
    let fields = reader.fields(entry, keys::CALENDAR)?;
    let hours = reader.required(&fields, "hours", "write `hours = \"mon-fri 08:00-18:00\"`")?;
    let mut calendar = reader.time_text(&hours, Calendar::parse_hours)?;
    let mut closed_texts: Vec<String> = Vec::new();
    let closed = fields.entry("closed").map(|entry| reader.list(&entry, crate::calendar::CLOSED_DAYS_MAX));
    for entry in closed.flatten().unwrap_or_default() {
        let text = reader.text(&entry)?;
        calendar = reader.time_text(&entry, |text| calendar.with_closed(text))?;
        closed_texts.push(text.split_whitespace().collect());
    }
    closed_texts.sort();
    closed_texts.dedup();
    let text = std::iter::once(calendar.to_string()).chain(closed_texts).collect::<Vec<_>>().join(" closed ");
    Some(NamedCalendar { calendar, text })
}

fn read_events(reader: &mut Reader<'_>, root: &Fields<'_>, scope: &mut Scope) -> BTreeMap<EventName, Reaction> {
    let mut on = BTreeMap::new();
    let Some(tables) = root.entry("on").and_then(|entry| reader.table(&entry)) else { return on };
    if !reader.within(tables.len(), EVENTS_MAX, "on", &tables.at) {
        return on;
    }
    for (name, entry) in tables.entries() {
        let at = reader.key_place(&entry.path);
        let name: Option<EventName> = reader.name_of(name, &at);
        let reaction = read_reaction(reader, &entry, scope);
        if let (Some(name), Some(reaction)) = (name, reaction) {
            on.insert(name, reaction);
        }
    }
    on
}

fn read_reaction(reader: &mut Reader<'_>, entry: &Entry<'_>, scope: &mut Scope) -> Option<Reaction> {
    let fields = reader.table(entry)?;
    let nested =
        fields.entries().find(|(key, value)| !keys::ON.contains(key) && matches!(value.value, toml::de::DeValue::Table(_)));
    if let Some((key, value)) = nested {
        let at = reader.key_place(&value.path);
        let outer = entry.path.trim_start_matches("on.").trim_matches('"');
        let help = format!("put the whole name in quotes: `[on.\"{outer}.{key}\"]`");
        reader.error(codes::UNKNOWN_KEY, &at, format!("unknown key `{key}` in {}", fields.title()), help);
    } else {
        reader.only_known(&fields, keys::ON);
    }
    let cancel = fields.entry("cancel").and_then(|entry| read_selection(reader, &entry));
    let reason = fields.entry("reason").and_then(|entry| reader.full_text(&entry, SENTENCE_BYTES_MAX));
    let shift = fields.entry("shift").and_then(|entry| read_shift(reader, &entry, scope));
    let recompute = fields.entry("recompute").and_then(|entry| reader.boolean(&entry)).unwrap_or(false);
    let erase = fields.entry("erase").and_then(|entry| {
        let erase = reader.time_text(&entry, Offset::parse)?;
        if erase.is_negative() || erase.needs_calendar() {
            let message = format!("`{}` must count forward in days or hours", entry.path);
            reader.error(codes::VALUE, &entry.at, message, "write how long after the event, such as `30 days`");
        }
        Some(erase)
    });
    Some(Reaction { cancel, reason: reason.map(str::to_owned), shift, recompute, erase })
}

fn read_selection(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Selection> {
    if entry.is_text() {
        return match reader.text(entry)? {
            "*" => Some(Selection::All),
            text => {
                let message = format!("`{}` cannot be `{}`", entry.path, crate::calendar::shown(text));
                let help = format!("write `\"*\"` for every step, or a list such as `[\"{}\"]`", crate::calendar::shown(text));
                reader.error(codes::UNKNOWN_WORD, &entry.at, message, help);
                None
            }
        };
    }
    if !matches!(entry.value, toml::de::DeValue::Array(_)) {
        return reader.wrong_type(entry, "`\"*\"` or a list of steps");
    }
    let items = reader.list(entry, step::STEPS_MAX)?;
    if items.is_empty() {
        let message = format!("`{}` names no step", entry.path);
        reader.error(codes::VALUE, &entry.at, message, "name steps, write `\"*\"` for all, or remove the key");
        return None;
    }
    let names: Vec<Option<Name>> = items.iter().map(|entry| reader.name(entry)).collect();
    Some(Selection::Steps(names.into_iter().collect::<Option<Vec<_>>>()?))
}

/// A shift whose text is a span once its `{…}` are filled in.
fn read_shift(reader: &mut Reader<'_>, entry: &Entry<'_>, scope: &mut Scope) -> Option<crate::interpolation::Interpolation> {
    let text = reader.full_text(entry, SENTENCE_BYTES_MAX)?;
    let shift = scope.text(reader, entry, TextScope::Event)?;
    // A number stands for what the event carries; whatever else it carries is refused when the event is told.
    let sample = filled_with_one(text);
    match Offset::parse(&sample) {
        Ok(span) if span.needs_calendar() => {
            let message = format!("`{}` cannot count working days", entry.path);
            reader.error(codes::VALUE, &entry.at, message, "count calendar days, such as `{event.days} days`");
        }
        Ok(_) => {}
        Err(error) if shift.is_constant() => reader.time_error(&entry.at, &error),
        Err(_) if text.trim().starts_with('{') && text.trim().ends_with('}') => {}
        Err(_) => {
            let message = format!("`{}` does not become a span of time", entry.path);
            reader.error(codes::TIME_TEXT, &entry.at, message, "write a number and a unit, such as `{event.days} days`");
        }
    }
    Some(shift)
}

fn filled_with_one(text: &str) -> String {
    let mut filled = String::new();
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '{' => {
                if depth == 0 {
                    filled.push('1');
                }
                depth += 1;
            }
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => filled.push(c),
            _ => {}
        }
    }
    filled
}

fn read_change(reader: &mut Reader<'_>, root: &Fields<'_>, draft: &Draft) -> Option<ChangeRule> {
    let mut change =
        ChangeRule { new_step: NewStep::IfFuture, moved_recompute: true, removed_cancel: true, renamed: BTreeMap::new() };
    let Some(entry) = root.entry("change") else { return Some(change) };
    let fields = reader.fields(&entry, keys::CHANGE)?;
    let new_step = [("if_future", NewStep::IfFuture), ("run_late", NewStep::RunLate), ("never", NewStep::Never)];
    if let Some(word) = fields.entry("new_step").and_then(|entry| reader.word(&entry, &new_step)) {
        change.new_step = word;
    }
    if let Some(word) = fields.entry("moved").and_then(|entry| reader.word(&entry, &[("recompute", true), ("keep", false)])) {
        change.moved_recompute = word;
    }
    if let Some(word) = fields.entry("removed").and_then(|entry| reader.word(&entry, &[("cancel", true), ("keep", false)])) {
        change.removed_cancel = word;
    }
    let renamed = fields.entry("renamed").and_then(|entry| reader.table(&entry));
    if let Some(renamed) = renamed.filter(|renamed| reader.within(renamed.len(), RENAMED_MAX, &renamed.path, &renamed.at)) {
        for (old, entry) in renamed.entries() {
            let at = reader.key_place(&entry.path);
            let (old, new) = (reader.name_of::<Name>(old, &at), reader.name(&entry));
            if let (Some(old), Some(new)) = (old, new) {
                check::renamed(reader, draft, (&old, &new), &entry.path, &change.renamed);
                change.renamed.insert(old, new);
            }
        }
    }
    Some(change)
}

fn read_audit(reader: &mut Reader<'_>, entry: &Entry<'_>, groups: &BTreeMap<Name, super::FactGroup>) -> Option<AuditRule> {
    let fields = reader.fields(entry, keys::AUDIT)?;
    let every = reader.required(&fields, "every", "write how often, such as `every = \"1 hour\"`");
    let every = every.and_then(|entry| reader.length(&entry, AUDIT_EVERY_MIN, AUDIT_EVERY_MAX));
    let expect = reader.required(&fields, "expect", "write the statement whose rows are the entities that should be enrolled");
    let expect = expect.and_then(|entry| {
        let text = reader.full_text(&entry, SQL_BYTES_MAX)?;
        if text.contains("$1") {
            let message = format!("`{}` asks for one entity", entry.path);
            reader.error(codes::VALUE, &entry.at, message, "select all entities that should be enrolled: there is no `$1` here");
        }
        Some(text.to_owned())
    });
    let mut sources: Vec<&Name> = groups
        .values()
        .filter_map(|group| match &group.source {
            Some(FactSource::Sql { source, .. }) => Some(source),
            _ => None,
        })
        .collect();
    sources.sort();
    sources.dedup();
    let source = match (fields.entry("source"), sources.as_slice()) {
        (Some(entry), _) => reader.name(&entry),
        (None, [only]) => Some((*only).clone()),
        (None, _) => {
            let message = format!("`source` is missing in {}", fields.title());
            let help = "name the database that `expect` is asked of, such as `source = \"app\"`";
            reader.error(codes::MISSING_KEY, &fields.at, message, help);
            None
        }
    };
    let missing = fields.entry("missing").and_then(|entry| reader.word(&entry, &[("enrol", true), ("report", false)]));
    let extra = fields.entry("extra").and_then(|entry| reader.word(&entry, &[("cancel", true), ("report", false)]));
    Some(AuditRule {
        every: every?,
        source: source?,
        expect: expect?,
        missing_enrol: missing.unwrap_or(false),
        extra_cancel: extra.unwrap_or(false),
    })
}

/// The tables under one key of the file, each with its name; too many are reported and passed over.
fn named_tables<'d>(reader: &mut Reader<'_>, root: &Fields<'d>, (key, count_max): (&str, usize)) -> Vec<(&'d str, Entry<'d>)> {
    let Some(tables) = root.entry(key).and_then(|entry| reader.table(&entry)) else { return Vec::new() };
    if !reader.within(tables.len(), count_max, &joined("", key), &tables.at) {
        return Vec::new();
    }
    tables.entries().collect()
}
