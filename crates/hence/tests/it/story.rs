//! Random stories: a definition, an entity that is enrolled, what happens to it, and what receivers answer. The same seed gives the
//! same story. Definitions that the check refuses are thrown again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use fastrand::Rng;
use hence_core::definition::Definition;
use hence_core::name::{EntityKey, EventName, Name};
use hence_core::wish::Wish;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Where all stories begin.
pub(crate) const START: &str = "2026-03-02T09:00:00Z";
/// How long they are told.
pub(crate) const DAYS: i64 = 60;

const ZONES: [&str; 7] =
    ["Europe/Oslo", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC"];

/// What may be in a story.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spice {
    /// Steps that follow a cancelled one, and events that carry facts.
    pub(crate) depends_on_order: bool,
}

/// One story.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) source: String,
    pub(crate) definition: Arc<Definition>,
    pub(crate) entity: EntityKey,
    pub(crate) enrolled_at: Timestamp,
    pub(crate) enrolment: Wish,
    pub(crate) events: Vec<(Timestamp, Wish)>,
    pub(crate) answers: BTreeMap<Name, Name>,
}

impl Story {
    pub(crate) fn random(seed: u64, spice: Spice) -> Story {
        let mut dice = Rng::with_seed(seed);
        let name = format!("story{seed}");
        let (source, definition) = loop {
            let source = definition(&mut dice, &name, spice);
            if let Ok(loaded) = Definition::load(&source) {
                break (source, Arc::new(loaded.definition));
            }
        };
        let start: Timestamp = START.parse().unwrap();
        let entity: EntityKey = format!("thing/{seed}").parse().unwrap();
        // Minutes before or after the start, so that some steps lie in the past when the story begins.
        let began_at = start - SignedDuration::from_mins(dice.i64(0..60 * 24 * 6));
        let paid_at = if dice.u8(0..4) == 0 { json!(start.to_string()) } else { Value::Null };
        let zone = dice.choice(ZONES).unwrap();
        let facts = json!({ "thing": { "zone": zone, "paid_at": paid_at, "level": dice.i64(0..7) } });
        let given = BTreeMap::from([("began_at".parse().unwrap(), began_at)]);
        let enrolment = Wish::Enrol { timeline: definition.name.clone(), entity: entity.clone(), given, facts };
        let enrolled_at = start + SignedDuration::from_mins(dice.i64(0..60));
        let mut events: Vec<(Timestamp, Wish)> =
            (0..dice.usize(0..5)).map(|_| event(&mut dice, &entity, enrolled_at, spice)).collect();
        events.sort_by_key(|(at, _)| *at);
        let answers = definition.steps.iter().map(|step| {
            let word = if step.says.is_empty() {
                ["done", "done", "failed"][dice.usize(0..3)]
            } else {
                ["yes", "no", "failed", "done"][dice.usize(0..4)]
            };
            (step.name.clone(), word.parse().unwrap())
        });
        let answers = answers.collect();
        Story { source, definition, entity, enrolled_at, enrolment, events, answers }
    }

    pub(crate) fn end() -> Timestamp {
        START.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * DAYS)
    }
}

/// An event at an instant with a fraction that nothing else has.
fn event(dice: &mut Rng, entity: &EntityKey, from: Timestamp, spice: Spice) -> (Timestamp, Wish) {
    let micros = dice.i64(1..DAYS * 24 * 3600) * 1_000_000 + dice.i64(1..1_000_000);
    let at = from + SignedDuration::from_micros(micros);
    let (name, data) = match dice.u8(0..5) {
        0 => ("thing.ended", json!({})),
        1 => ("thing.paused", json!({})),
        2 | 3 => ("thing.moved", json!({ "days": dice.i64(-3..9) })),
        _ => ("thing.unknown", json!({ "days": 3 })),
    };
    let facts = match dice.u8(0..3) {
        0 if spice.depends_on_order => json!({ "thing": { "zone": dice.choice(ZONES).unwrap(), "level": dice.i64(0..7) } }),
        _ => Value::Null,
    };
    let name: EventName = name.parse().unwrap();
    (at, Wish::Event { entity: entity.clone(), name, data, facts })
}

fn definition(dice: &mut Rng, name: &str, spice: Spice) -> String {
    let mut text = format!("[timeline]\nname = \"{name}\"\nentity = \"thing\"\nanchor = \"began_at\"\n");
    text.push_str("zone = { from = \"thing.zone\", else = \"UTC\" }\n");
    if dice.bool() {
        writeln!(text, "late = {}", late(dice)).unwrap();
    }
    text.push_str("[facts.thing]\nfields = { zone = \"string?\", paid_at = \"time?\", level = \"int\" }\n");
    let count = dice.usize(1..6);
    for index in 0..count {
        step(dice, &mut text, (index, count), spice);
    }
    text.push_str("[on.\"thing.moved\"]\nshift = \"{event.days} days\"\n");
    text.push_str("[on.\"thing.ended\"]\ncancel = \"*\"\n");
    writeln!(text, "[on.\"thing.paused\"]\ncancel = [\"s{}\"]", dice.usize(0..count)).unwrap();
    text
}

fn step(dice: &mut Rng, text: &mut String, (index, count): (usize, usize), spice: Spice) {
    writeln!(text, "[step.s{index}]").unwrap();
    writeln!(text, "do = {{ handler = \"receiver\" }}").unwrap();
    let is_follow_up = index > 0 && dice.u8(0..3) == 0;
    let mut has_hours = false;
    if is_follow_up {
        let outcomes = ["done", "yes", "no", "skipped", "expired", "failed", "cancelled"];
        let known = if spice.depends_on_order { outcomes.len() } else { outcomes.len() - 1 };
        writeln!(text, "after = \"s{}:{}\"", dice.usize(0..index), outcomes[dice.usize(0..known)]).unwrap();
        if dice.bool() {
            writeln!(text, "clock = \"{}\"", ["due", "finished"][dice.usize(0..2)]).unwrap();
        }
    }
    if !is_follow_up || dice.bool() {
        has_hours = dice.u8(0..3) == 0;
        let unit = if has_hours { "hours" } else { "days" };
        writeln!(text, "due = \"{} {unit}\"", dice.i64(0..if has_hours { 400 } else { 30 })).unwrap();
    }
    if !has_hours && dice.u8(0..2) == 0 {
        writeln!(text, "at = \"{:02}:{:02}\"", dice.u8(0..24), dice.u8(0..60)).unwrap();
    }
    if dice.u8(0..4) == 0 {
        writeln!(text, "open = \"mon-fri 08:00-18:00\"").unwrap();
    }
    if dice.u8(0..4) == 0 {
        writeln!(text, "spread = \"{} minutes\"", dice.u8(1..90)).unwrap();
    }
    if dice.u8(0..4) == 0 {
        writeln!(text, "before = \"s{}\"", dice.usize(0..count)).unwrap();
    }
    match dice.u8(0..5) {
        0 => writeln!(text, "when = \"thing.paid_at == null\"").unwrap(),
        1 => writeln!(text, "when = \"thing.level > 3\"").unwrap(),
        _ => {}
    }
    if dice.u8(0..2) == 0 {
        writeln!(text, "says = [\"yes\", \"no\"]").unwrap();
    }
    if dice.u8(0..4) == 0 {
        writeln!(text, "late = {}", late(dice)).unwrap();
    }
    match dice.u8(0..8) {
        0 => writeln!(text, "repeat = \"{} days\"\ntimes = {}", dice.u8(1..9), dice.u8(1..5)).unwrap(),
        1 => writeln!(text, "cron = \"0 9 * * mon,thu\"").unwrap(),
        _ => {}
    }
}

fn late(dice: &mut Rng) -> String {
    let then = ["run", "skip", "hold"][dice.usize(0..3)];
    format!("{{ after = \"{} hours\", then = \"{then}\" }}", dice.u8(0..100))
}
