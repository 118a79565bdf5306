//! `[step.*]`: one kind of task each.
//!
//! Owns their reading; what a step says of other steps is kept for `check`, also when the rest of the step is wrong. Leaves `do` to
//! `action`.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::super::document::{Entry, Fields, Reader, parse_length, suggestion};
use super::super::scope::Scope;
use super::super::{Action, Anchor, FollowClock, Guarantee, LateRule, RetryPolicy, Step, Trigger, codes};
use super::{NamedCalendar, action, facts, keys, named_tables, read_about, read_anchor, read_late};
use crate::calendar::{Calendar, Offset, TimeOfDay};
use crate::due::{DueError, DueRule};
use crate::expression::Expression;
use crate::name::Name;
use crate::recurrence::{Recurrence, Repeat, Until};

/// The most steps.
pub(super) const STEPS_MAX: usize = 200;
/// The most outcomes one step `says`.
const SAYS_MAX: usize = 50;
/// The most occurrences of `times`.
const TIMES_MAX: u32 = 1_000_000;
/// The most attempts.
const TRIES_MAX: u32 = 100;
/// Attempts and waits when nothing is said: with waits up to 8.5 hours in all before the last, a night's outage is survived.
pub(in crate::definition) const RETRY_DEFAULT: RetryPolicy =
    RetryPolicy { tries: 12, wait_first: SignedDuration::from_secs(30), wait_max: SignedDuration::from_hours(6) };
/// The shortest first wait.
const WAIT_MIN: SignedDuration = SignedDuration::from_secs(1);
/// The longest wait.
const WAIT_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Words that a task can end with, whatever its step says.
pub(in crate::definition) const BUILT_IN_OUTCOMES: [&str; 6] = ["done", "failed", "skipped", "expired", "cancelled", "unknown"];
/// Words of states, which no outcome may be called.
const STATES: [&str; 3] = ["scheduled", "running", "held"];

/// What is known when steps are read.
pub(super) struct Known<'a> {
    pub(super) calendars: &'a BTreeMap<Name, Option<NamedCalendar>>,
    pub(super) facts: &'a facts::Read,
}

/// A step as far as it could be read; `rest` is there when all of it could.
#[derive(Debug, Clone)]
pub(in crate::definition) struct StepDraft {
    pub(in crate::definition) name: Name,
    pub(in crate::definition) path: String,
    pub(in crate::definition) trigger: Option<Trigger>,
    pub(in crate::definition) before: Option<Name>,
    pub(in crate::definition) says: Vec<Name>,
    /// Whether `says` could be read: if not, no outcome is called unknown.
    pub(in crate::definition) says_is_sure: bool,
    pub(in crate::definition) calendar: Option<Name>,
    pub(in crate::definition) open_text: Option<String>,
    pub(in crate::definition) has_own_retry: bool,
    rest: Option<Rest>,
}

#[derive(Debug, Clone)]
struct Rest {
    about: String,
    due: DueRule,
    recurrence: Option<Recurrence>,
    when: Option<Expression>,
    action: Action,
    retry: RetryPolicy,
    late: Option<LateRule>,
    delivery: Guarantee,
}

/// `None` when it is wrong, which is reported; `Some(None)` when it is not there.
type Optional<T> = Option<Option<T>>;

impl StepDraft {
    /// The step, when all of it could be read.
    pub(in crate::definition) fn build(self) -> Option<Step> {
        let rest = self.rest?;
        let due = rest.due;
        Some(Step {
            name: self.name,
            about: rest.about,
            trigger: self.trigger?,
            due: due.offset,
            at: due.at,
            open: due.open,
            before: self.before,
            spread: due.spread,
            recurrence: rest.recurrence,
            when: rest.when,
            action: rest.action,
            says: self.says,
            retry: rest.retry,
            late: rest.late,
            delivery: rest.delivery,
        })
    }
}

/// Reads every `[step.NAME]`.
pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>, known: &Known<'_>, scope: &mut Scope) -> Vec<StepDraft> {
    let tables = named_tables(reader, root, ("step", STEPS_MAX));
    if root.entry("step").is_none() {
        let help = "add one, such as `[step.remind]` with `due` and `do`";
        reader.error(codes::MISSING_KEY, &(0..0), "the file has no step", help);
    }
    let mut steps = Vec::new();
    for (name, entry) in tables {
        let at = reader.key_place(&entry.path);
        let name: Option<Name> = reader.name_of(name, &at);
        let Some(fields) = reader.fields(&entry, keys::STEP) else { continue };
        // A step with a bad name is still read for the other problems it has.
        let is_named = name.is_some();
        let name = name.or_else(|| "unnamed".parse().ok());
        let step = name.map(|name| read_step(reader, &fields, name, (known, &mut *scope)));
        steps.extend(step.filter(|_| is_named));
    }
    steps
}

fn read_step(reader: &mut Reader<'_>, fields: &Fields<'_>, name: Name, (known, scope): (&Known<'_>, &mut Scope)) -> StepDraft {
    let trigger = read_trigger(reader, fields, known);
    let before = fields.entry("before").map(|entry| reader.name(&entry));
    let says = fields.entry("says").map(|entry| read_says(reader, &entry));
    let (open, calendar, open_text) = read_open(reader, fields, known);
    let due = read_due(reader, fields, open);
    let recurrence = read_recurrence(reader, fields);
    let when = fields.entry("when").map(|entry| scope.condition(reader, &entry));
    let action = action::read(reader, fields, scope);
    let retry = fields.entry("retry").map(|entry| read_retry(reader, &entry));
    let late = fields.entry("late").map(|entry| read_late(reader, &entry));
    let words = [("at_least_once", Guarantee::AtLeastOnce), ("at_most_once", Guarantee::AtMostOnce)];
    let delivery = fields.entry("delivery").map(|entry| reader.word(&entry, &words));
    let about = read_about(reader, fields);
    let rest = || {
        Some(Rest {
            about,
            due: due?,
            recurrence: recurrence?,
            when: optional(when)?,
            action: action?,
            retry: optional(retry)?.unwrap_or(RETRY_DEFAULT),
            late: optional(late)?,
            delivery: optional(delivery)?.unwrap_or(Guarantee::AtLeastOnce),
        })
    };
    StepDraft {
        name,
        path: fields.path.clone(),
        trigger,
        before: before.flatten(),
        says_is_sure: !matches!(says, Some(None)),
        says: says.flatten().unwrap_or_default(),
        calendar,
        open_text,
        has_own_retry: fields.entry("retry").is_some(),
        rest: rest(),
    }
}

/// Turns "there, but wrong" into `None`.
fn optional<T>(read: Option<Option<T>>) -> Optional<T> {
    match read {
        None => Some(None),
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
    }
}

fn read_trigger(reader: &mut Reader<'_>, fields: &Fields<'_>, known: &Known<'_>) -> Option<Trigger> {
    let (after, anchor, clock) = (fields.entry("after"), fields.entry("anchor"), fields.entry("clock"));
    let words = [("finished", FollowClock::Finished), ("due", FollowClock::Due)];
    let clock_read = clock.as_ref().map(|entry| reader.word(entry, &words));
    let Some(after) = after else {
        if let Some(clock) = clock {
            let message = format!("`{}` without `after`", clock.path);
            reader.error(codes::CONTRADICTION, &clock.at, message, "remove it: only a follow-up has a choice of clock");
        }
        return match anchor {
            None => Some(Trigger::Anchor(None)),
            Some(entry) => read_anchor(reader, &entry, known.facts).map(|anchor: Anchor| Trigger::Anchor(Some(anchor))),
        };
    };
    if let Some(anchor) = anchor {
        let message = format!("`{}` beside `after`", anchor.path);
        reader.error(codes::CONTRADICTION, &anchor.at, message, "remove one: a follow-up is counted from the step it follows");
    }
    let (step, outcome) = read_after(reader, &after)?;
    Some(Trigger::After { step, outcome, clock: optional(clock_read)?.unwrap_or(FollowClock::Finished) })
}

fn read_after(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<(Name, Name)> {
    let text = reader.text(entry)?;
    let Some((step, outcome)) = text.split_once(':') else {
        let message = format!("`{}` must name a step and an outcome", entry.path);
        let help = format!("write `{}:done`, or another outcome after the colon", crate::calendar::shown(text));
        reader.error(codes::NAME, &entry.at, message, help);
        return None;
    };
    let (step_at, outcome_at) = (0..step.len(), step.len() + 1..text.len());
    let step = reader.name_of(step.trim(), &reader.within_text(entry, step_at));
    let outcome = reader.name_of(outcome.trim(), &reader.within_text(entry, outcome_at));
    Some((step?, outcome?))
}

fn read_says(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Vec<Name>> {
    let mut says: Vec<Name> = Vec::new();
    let mut is_complete = true;
    for entry in reader.list(entry, SAYS_MAX)? {
        let Some(word) = reader.name(&entry) else {
            is_complete = false;
            continue;
        };
        if BUILT_IN_OUTCOMES.contains(&word.as_str()) || STATES.contains(&word.as_str()) {
            let message = format!("`{word}` has a meaning of its own");
            let help = "remove it: every step can end with `done`, `failed`, `skipped`, `expired`, `cancelled` and `unknown`";
            reader.error(codes::TAKEN_NAME, &entry.at, message, help);
        } else if says.contains(&word) {
            reader.error(codes::TAKEN_NAME, &entry.at, format!("`{word}` is said twice"), "remove one of the two");
        }
        says.push(word);
    }
    is_complete.then_some(says)
}

/// The open hours, the calendar they come from, and how they were written.
fn read_open(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    known: &Known<'_>,
) -> (Optional<Calendar>, Option<Name>, Option<String>) {
    let Some(entry) = fields.entry("open") else { return (Some(None), None, None) };
    let Some(text) = reader.text(&entry) else { return (None, None, None) };
    let Ok(name) = text.parse::<Name>() else {
        let calendar = reader.time_text(&entry, Calendar::parse_hours);
        let text = calendar.as_ref().map(ToString::to_string);
        return (calendar.map(Some), None, text);
    };
    match known.calendars.get(&name) {
        Some(Some(named)) => (Some(Some(named.calendar.clone())), Some(name), Some(named.text.clone())),
        Some(None) => (None, Some(name), None),
        None => {
            let help = match known.calendars.is_empty() {
                true => format!("add `[calendar.{name}]`, or write hours such as `open = \"mon-fri 08:00-18:00\"`"),
                false => suggestion(text, known.calendars.keys().map(Name::as_str), "calendars"),
            };
            reader.error(codes::UNKNOWN_CALENDAR, &entry.at, format!("calendar `{name}` is not defined"), help);
            (None, None, None)
        }
    }
}

fn read_due(reader: &mut Reader<'_>, fields: &Fields<'_>, open: Optional<Calendar>) -> Option<DueRule> {
    let due = fields.entry("due").map(|entry| reader.time_text(&entry, Offset::parse));
    let at = fields.entry("at").map(|entry| reader.time_text(&entry, TimeOfDay::parse));
    let spread = fields.entry("spread").map(|entry| reader.length(&entry, SignedDuration::ZERO, crate::due::SPREAD_MAX));
    let open_is_unsure = open.is_none();
    if let (Some(entry), true) = (fields.entry("due"), fields.entry("after").is_some())
        && due.flatten().is_some_and(|due| due.is_negative())
    {
        let message = format!("`{}` lies before the step that it follows", entry.path);
        reader.error(codes::VALUE, &entry.at, message, "count forward: a follow-up exists only once that step has ended");
    }
    let rule = DueRule {
        offset: optional(due)?.unwrap_or(Offset::ZERO),
        at: optional(at)?,
        open: open.flatten(),
        spread: optional(spread)?,
    };
    match rule.check() {
        Ok(()) if open_is_unsure => None,
        Ok(()) => Some(rule),
        Err(DueError::NoCalendar { .. }) if open_is_unsure => None,
        Err(error) => {
            let key = if matches!(error, DueError::TimeTwice { .. }) { "at" } else { "due" };
            let at = reader.place(&format!("{}.{key}", fields.path));
            reader.error(codes::CONTRADICTION, &at, error.to_string(), error.help());
            None
        }
    }
}

fn read_recurrence(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Optional<Recurrence> {
    let [repeat, cron, rrule, until, times] = ["repeat", "cron", "rrule", "until", "times"].map(|key| fields.entry(key));
    let given: Vec<&Entry<'_>> = [&repeat, &cron, &rrule].into_iter().flatten().collect();
    if let [_, second, ..] = given.as_slice() {
        let message = format!("{} recurs in two ways", fields.title());
        reader.error(codes::CONTRADICTION, &second.at, message, "keep one of `repeat`, `cron` and `rrule`");
        return None;
    }
    if repeat.is_none() {
        for entry in [&until, &times].into_iter().flatten() {
            let message = format!("`{}` without `repeat`", entry.path);
            let help = match rrule.is_some() {
                true => "write it into the rule as `UNTIL=` or `COUNT=`",
                false => "add `repeat`, such as `repeat = \"7 days\"`, or remove it",
            };
            reader.error(codes::CONTRADICTION, &entry.at, message, help);
        }
    }
    if let (Some(entry), true) = (fields.entry("at"), cron.is_some()) {
        let message = format!("`{}` beside `cron`", entry.path);
        reader.error(codes::CONTRADICTION, &entry.at, message, "write the time of day into the pattern");
    }
    if let Some(entry) = cron {
        return reader.time_text(&entry, Recurrence::parse_cron).map(Some);
    }
    if let Some(entry) = rrule {
        return reader.time_text(&entry, Recurrence::parse_rrule).map(Some);
    }
    let Some(entry) = repeat else { return Some(None) };
    let times = times.map(|entry| reader.number(&entry, 1..=TIMES_MAX));
    let until = until.map(|entry| reader.time_text(&entry, Until::parse));
    let every = reader.time_text(&entry, Offset::parse)?;
    let (times, until) = (optional(times)?, optional(until)?);
    reader.time_text(&entry, |_| Repeat::new(every, times, until)).map(|repeat| Some(Recurrence::Repeat(repeat)))
}

fn read_retry(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<RetryPolicy> {
    let fields = reader.fields(entry, keys::RETRY)?;
    let tries = fields.entry("tries").map(|entry| reader.number(&entry, 1..=TRIES_MAX));
    let wait = fields.entry("wait").map(|entry| read_wait(reader, &entry));
    let (wait_first, wait_max) = optional(wait)?.unwrap_or((RETRY_DEFAULT.wait_first, RETRY_DEFAULT.wait_max));
    Some(RetryPolicy { tries: optional(tries)?.unwrap_or(RETRY_DEFAULT.tries), wait_first, wait_max })
}

/// `30s..6h`, or one length for all waits.
fn read_wait(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<(SignedDuration, SignedDuration)> {
    let text = reader.text(entry)?;
    let (first, most) = text.split_once("..").unwrap_or((text, text));
    let (Some(first), Some(most)) = (parse_length(first), parse_length(most)) else {
        let message = format!("`{}` is not a range of waits", crate::calendar::shown(text));
        reader.error(codes::TIME_TEXT, &entry.at, message, "write the first and the longest wait, such as `30s..6h`");
        return None;
    };
    if first < WAIT_MIN || most > WAIT_MAX || first > most {
        let message = format!("`{}` must rise, from 1 second or more to 7 days or less", entry.path);
        reader.error(codes::VALUE, &entry.at, message, "write the first and the longest wait, such as `30s..6h`");
        return None;
    }
    Some((first, most))
}
