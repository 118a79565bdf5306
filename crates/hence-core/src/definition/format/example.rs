//! `[[test]]`: examples of the document's meaning.
//!
//! Owns their reading and the check that they speak of what the document has. Leaves running them to the simulation.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::super::check;
use super::super::document::{Entry, Fields, Reader, SENTENCE_BYTES_MAX, suggestion};
use super::super::{Anchor, Example, ExampleEvent, Trigger, codes};
use super::{Draft, keys};
use crate::calendar::{Zone, parse_instant};
use crate::diagnostic::Position;
use crate::name::Name;
use crate::value::{FactTypes, Facts, FieldType, TypeName, Value};

/// The most examples.
const TESTS_MAX: usize = 200;
/// The most events of one example.
const EVENTS_MAX: usize = 1_000;
/// The most expected lines of one example.
const EXPECT_MAX: usize = 2_000;

/// Reads every `[[test]]`; `None` when one of them is wrong.
pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>, draft: &Draft) -> Option<Vec<Example>> {
    let Some(entry) = root.entry("test") else { return Some(Vec::new()) };
    if matches!(entry.value, toml::de::DeValue::Table(_)) {
        reader.error(
            codes::WRONG_TYPE,
            &entry.at,
            "`test` must be a list of tables, not a table",
            "write `[[test]]` with two brackets",
        );
        return None;
    }
    let entries = reader.list(&entry, TESTS_MAX)?;
    let types: FactTypes = draft.fact_types();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut tests = Vec::new();
    let mut is_complete = true;
    for entry in entries {
        let test = read_test(reader, &entry, draft, &types);
        if let Some(test) = &test {
            let line = *names.entry(test.name.clone()).or_insert(test.line);
            if line != test.line {
                let at = reader.place(&format!("{}.name", entry.path));
                let message = format!("a test is already called `{}`, in line {line}", test.name);
                reader.error(codes::TAKEN_NAME, &at, message, "rename one of the two");
            }
        }
        is_complete &= test.is_some();
        tests.extend(test);
    }
    is_complete.then_some(tests)
}

fn read_test(reader: &mut Reader<'_>, entry: &Entry<'_>, draft: &Draft, types: &FactTypes) -> Option<Example> {
    let fields = reader.fields(entry, keys::TEST)?;
    let name = reader.required(&fields, "name", "write what the test shows, such as `name = \"never pays\"`");
    let name = name.and_then(|entry| reader.full_text(&entry, SENTENCE_BYTES_MAX));
    let start =
        reader.required(&fields, "start", "write when the entity is enrolled: `start = \"2026-03-02T10:00[Europe/Oslo]\"`");
    let start = start.and_then(|entry| reader.time_text(&entry, |text| parse_instant(text, None)));
    let zone = start.as_ref().and_then(|(_, zone)| zone.clone()).unwrap_or_else(Zone::utc);
    let given = read_given(reader, &fields, draft, &zone);
    let facts = read_facts(reader, &fields, (types, &draft.unsure_facts));
    let answer = read_answers(reader, &fields, draft);
    let events = read_events(reader, &fields, draft, (&zone, types));
    let until = fields.entry("until").map(|entry| instant(reader, &entry, &zone));
    let expect = reader.required(&fields, "expect", "write the lines it should give, or `expect = []` for none");
    let expect = expect.and_then(|entry| read_expect(reader, &entry, draft));
    let (start, _) = start?;
    if let Some(Some(until)) = until
        && until < start
    {
        let at = reader.place(&format!("{}.until", fields.path));
        reader.error(codes::EXAMPLE, &at, "the test ends before it starts", "write `until` after `start`");
    }
    Some(Example {
        name: name?.to_owned(),
        start,
        zone,
        given: given?,
        facts: facts?,
        answer: answer?,
        events: events?,
        until: until.map_or(Some(None), |until| until.map(Some))?,
        expect: expect?,
        line: Position::of(reader.source, fields.at.start).line,
    })
}

fn instant(reader: &mut Reader<'_>, entry: &Entry<'_>, zone: &Zone) -> Option<Timestamp> {
    reader.time_text(entry, |text| parse_instant(text, Some(zone))).map(|(at, _)| at)
}

fn read_given(reader: &mut Reader<'_>, fields: &Fields<'_>, draft: &Draft, zone: &Zone) -> Option<BTreeMap<Name, Timestamp>> {
    let Some(entry) = fields.entry("given") else { return Some(BTreeMap::new()) };
    let known = draft.given_instants();
    let mut given = BTreeMap::new();
    let mut is_complete = true;
    for (key, entry) in reader.table(&entry)?.entries() {
        let at = reader.key_place(&entry.path);
        let found = known.iter().find(|name| name.as_str() == key);
        if found.is_none() {
            let help = suggestion(key, known.iter().map(Name::as_str), "given instants");
            let message = format!("no step is counted from `{}`", crate::calendar::shown(key));
            reader.error(codes::EXAMPLE, &at, message, help);
        }
        let value = instant(reader, &entry, zone);
        match (found, value) {
            (Some(name), Some(value)) => {
                given.insert(name.clone(), value);
            }
            _ => is_complete = false,
        }
    }
    is_complete.then_some(given)
}

fn read_facts(reader: &mut Reader<'_>, fields: &Fields<'_>, (types, unsure): (&FactTypes, &BTreeSet<String>)) -> Option<Facts> {
    let Some(entry) = fields.entry("facts") else { return Some(Facts::default()) };
    reader.table(&entry)?;
    match Facts::from_json(&entry.to_json(), types) {
        Ok(facts) => Some(facts),
        Err(errors) => {
            let is_sure = |path: &str| !unsure.contains(path.split('.').next().unwrap_or(path));
            for error in errors.into_iter().filter(|error| is_sure(&error.path)) {
                let at = reader.place(&format!("{}.{}", entry.path, error.path));
                let message = format!("fact `{}`: {}", crate::calendar::shown(&error.path), error.problem);
                reader.error(codes::EXAMPLE, &at, message, "give what `[facts]` declares, or declare it there");
            }
            None
        }
    }
}

fn read_answers(reader: &mut Reader<'_>, fields: &Fields<'_>, draft: &Draft) -> Option<BTreeMap<Name, Name>> {
    let Some(entry) = fields.entry("answer") else { return Some(BTreeMap::new()) };
    let mut answers = BTreeMap::new();
    let mut is_complete = true;
    for (key, entry) in reader.table(&entry)?.entries() {
        let at = reader.key_place(&entry.path);
        let step = check::known_step(reader, draft, key, &at);
        let word = reader.name(&entry);
        let (Some(step), Some(word)) = (step, word) else {
            is_complete = false;
            continue;
        };
        let says = step.says.iter().map(Name::as_str);
        let known: Vec<&str> = ["done", "failed", "unknown"].into_iter().chain(says).collect();
        if !known.contains(&word.as_str()) && step.says_is_sure {
            let message = format!("the receiver of `{key}` cannot answer `{word}`");
            reader.error(codes::UNKNOWN_OUTCOME, &entry.at, message, suggestion(word.as_str(), known.into_iter(), "answers"));
        }
        answers.insert(step.name.clone(), word);
    }
    is_complete.then_some(answers)
}

fn read_events(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    draft: &Draft,
    (zone, types): (&Zone, &FactTypes),
) -> Option<Vec<ExampleEvent>> {
    let Some(entry) = fields.entry("event") else { return Some(Vec::new()) };
    let mut events = Vec::new();
    let mut is_complete = true;
    for entry in reader.list(&entry, EVENTS_MAX)? {
        let event = read_event(reader, &entry, draft, (zone, types));
        is_complete &= event.is_some();
        events.extend(event);
    }
    is_complete.then_some(events)
}

fn read_event(
    reader: &mut Reader<'_>,
    entry: &Entry<'_>,
    draft: &Draft,
    (zone, types): (&Zone, &FactTypes),
) -> Option<ExampleEvent> {
    let fields = reader.fields(entry, keys::TEST_EVENT)?;
    let at = reader.required(&fields, "at", "write when it happens, such as `at = \"2026-03-10T12:00\"`");
    let at = at.and_then(|entry| instant(reader, &entry, zone));
    let name = reader.required(&fields, "name", "write what happens, such as `name = \"account.paid\"`");
    let name_entry = name.clone();
    let name: Option<crate::name::EventName> = name.and_then(|entry| {
        let text = reader.text(&entry)?;
        reader.name_of(text, &entry.at)
    });
    let facts = read_facts(reader, &fields, (types, &draft.unsure_facts));
    let data = match fields.entry("data") {
        None => Some(Value::Map(BTreeMap::new())),
        Some(entry) => read_event_data(reader, &entry),
    };
    if let (Some(name), Some(entry)) = (&name, name_entry)
        && !draft.on.contains_key(name)
        && fields.entry("facts").is_none()
    {
        let help = suggestion(name.as_str(), draft.on.keys().map(crate::name::EventName::as_str), "events");
        reader.warn(codes::UNHEARD_EVENT, &entry.path, format!("nothing is said under `[on.\"{name}\"]`"), help);
    }
    Some(ExampleEvent { at: at?, name: name?, data: data?, facts: facts? })
}

fn read_event_data(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Value> {
    reader.table(entry)?;
    let accepted = FieldType { base: TypeName::Map, nullable: false }.accept(&entry.to_json());
    if let Err(error) = &accepted {
        reader.error(codes::EXAMPLE, &entry.at, format!("`{}`: {error}", entry.path), "give less, or correct it");
    }
    accepted.ok()
}

/// Lines such as `2026-03-27T09:00 remind done`.
fn read_expect(reader: &mut Reader<'_>, entry: &Entry<'_>, draft: &Draft) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    for entry in reader.list(entry, EXPECT_MAX)? {
        let Some(text) = reader.text(&entry) else { continue };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [at, step, outcome] = words.as_slice() else {
            let help = "write instant, step and outcome, such as `2026-03-27T09:00 remind done`";
            reader.error(codes::EXAMPLE, &entry.at, format!("`{}` is not three words", crate::calendar::shown(text)), help);
            continue;
        };
        if at.parse::<DateTime>().is_err() || !at.contains('T') || at.contains(['[', '+', 'Z']) {
            let help = "write it in the zone of `start`, such as `2026-03-27T09:00`";
            reader.error(codes::EXAMPLE, &entry.at, format!("`{}` is not a local time", crate::calendar::shown(at)), help);
        }
        if let Some(step) = check::known_step(reader, draft, step, &entry.at) {
            check::known_outcome(reader, step, outcome, &entry.at);
        }
        lines.push(words.join(" "));
    }
    Some(lines)
}

impl Draft {
    /// The declared types of all facts.
    fn fact_types(&self) -> FactTypes {
        let types =
            |group: &super::super::FactGroup| group.fields.iter().map(|(field, kind)| (field.to_string(), *kind)).collect();
        self.facts.iter().map(|(name, group)| (name.to_string(), types(group))).collect()
    }

    /// The names of every anchor that is given at enrolment.
    fn given_instants(&self) -> Vec<Name> {
        let own = self.steps.iter().filter_map(|step| match &step.trigger {
            Some(Trigger::Anchor(anchor)) => anchor.as_ref(),
            _ => None,
        });
        let given = self.anchor.iter().chain(own).filter_map(|anchor| match anchor {
            Anchor::Given(name) => Some(name.clone()),
            Anchor::Fact(_) => None,
        });
        given.collect()
    }
}
