//! No key of the format is ignored: for each, two documents that differ in nothing else give different models.
//!
//! The documents are those of `fixtures/`; each row takes one key out or changes it. A key that has no row fails the last test.

use std::collections::BTreeSet;

use hence_core::definition::json_schema;

use crate::definition::{EVERY_KEY, load};

/// Key path as in the schema, what is written in `every_key.toml`, what is written instead.
const KEYS: &[(&str, &str, &str)] = &[
    ("timeline.name", "name = \"subscription\"", "name = \"other\""),
    ("timeline.entity", "entity = \"subscription\"", "entity = \"other\""),
    ("timeline.about", "about = \"Dunning of a subscription\"\n", ""),
    ("timeline.anchor", "anchor = \"billing.period_end\"", "anchor = \"other\""),
    ("timeline.zone", "zone = { from = \"billing.timezone\", else = \"Europe/Berlin\" }", "zone = \"Europe/Berlin\""),
    ("timeline.zone.from", "{ from = \"billing.timezone\"", "{ from = \"billing.email\""),
    ("timeline.zone.else", "else = \"Europe/Berlin\"", "else = \"UTC\""),
    ("timeline.again", "again = \"restart\"\n", ""),
    ("timeline.late", "late = { after = \"2 hours\", then = \"hold\" }\n", ""),
    ("late.after", "after = \"2 hours\"", "after = \"3 hours\""),
    ("late.then", "then = \"hold\"", "then = \"run\""),
    ("calendar.hours", "hours = \"mon-fri 08:00-18:00\"", "hours = \"mon-fri 08:00-17:00\""),
    ("calendar.closed", "closed = [\"12-25\", \"2026-05-01\"]\n", ""),
    ("facts.source", "source = \"app\"\n", "source = \"other\"\n"),
    ("facts.sql", "from subscription where", "from subscriptions where"),
    ("facts.http", "http = \"app\"", "http = \"other\""),
    ("facts.path", "\"/usage/{entity}\"", "\"/used/{entity}\""),
    ("facts.timeout", "timeout = \"3s\"\n", ""),
    ("facts.fields", "{ hits = \"int\" }", "{ hits = \"int?\" }"),
    ("let", "known_partner = \"flags.is_partner == true\"", "known_partner = \"flags.is_partner != true\""),
    ("step.about", "about = \"Three working days before the period ends\"\n", ""),
    ("step.anchor", "anchor = \"checked_at\"\n", ""),
    ("step.after", "after = \"charge:charged\"", "after = \"charge:refused\""),
    ("step.clock", "clock = \"due\"\n", ""),
    ("step.due", "due = \"6 hours\"\n", ""),
    ("step.at", "at = \"09:30\"\n", ""),
    ("step.open", "open = \"office\"", "open = \"daily 08:00-18:00\""),
    ("step.before", "before = \"charge\"\n", ""),
    ("step.spread", "spread = \"45 minutes\"\n", ""),
    ("step.repeat", "repeat = \"7 days\"", "repeat = \"8 days\""),
    ("step.until", "until = \"60 days\"\n", ""),
    ("step.times", "times = 4\n", ""),
    ("step.cron", "cron = \"0 9 1 * *\"\n", ""),
    ("step.rrule", "rrule = \"FREQ=MONTHLY;BYDAY=-1FR;COUNT=6\"\n", ""),
    ("step.when", "when = \"owes && is_used\"\n", "when = \"is_used\"\n"),
    ("step.do", "{ handler = \"archive\" }", "{ log = \"archive\" }"),
    ("step.says", "says = [\"charged\", \"refused\"]", "says = [\"charged\", \"refused\", \"later\"]"),
    ("step.retry", "retry = { tries = 1, wait = \"1m..2h\" }\n", ""),
    ("retry.tries", "tries = 1", "tries = 2"),
    ("retry.wait", "wait = \"1m..2h\"", "wait = \"1m..3h\""),
    ("step.late", "late = { after = \"1 day\", then = \"skip\" }\n", ""),
    ("step.delivery", "delivery = \"at_most_once\"\n", ""),
    ("do.email", "email = \"period_ends\"", "email = \"other\""),
    ("do.to", "to = \"{billing.email}\"", "to = \"a@example.com\""),
    ("do.subject", ", subject = \"Your period ends soon\"", ""),
    ("do.webhook", "webhook = \"billing\"", "webhook = \"other\""),
    ("do.path", "\"/charge/{entity}\"", "\"/other/{entity}\""),
    ("do.timeout", "timeout = \"30s\", ", ""),
    ("do.data", "data = { amount = \"{billing.amount}\" }", "data = {}"),
    ("do.rabbitmq", "rabbitmq = \"crm\"", "rabbitmq = \"other\""),
    ("do.key", "key = \"dunning\"", "key = \"other\""),
    ("do.servicebus", "servicebus = \"reports\"", "servicebus = \"other\""),
    ("do.queue", "queue = \"monthly\"", "key = \"yearly\""),
    ("do.nats", "nats = \"reviews\"", "nats = \"other\""),
    ("do.subject", "subject = \"review.due\"", "key = \"review.other\""),
    ("do.log", "log = \"charged {entity}\"", "log = \"other\""),
    ("do.handler", "handler = \"archive\"", "handler = \"other\""),
    ("on.cancel", "cancel = [\"charge\", \"remind\"]", "cancel = [\"charge\"]"),
    ("on.reason", "reason = \"paid\"\n", ""),
    ("on.shift", "{event.days} days", "{event.weeks} weeks"),
    ("on.recompute", "recompute = true\n", "recompute = false\n"),
    ("on.erase", "erase = \"30 days\"\n", ""),
    ("change.new_step", "new_step = \"run_late\"\n", ""),
    ("change.moved", "moved = \"keep\"\n", ""),
    ("change.removed", "removed = \"keep\"\n", ""),
    ("change.renamed", "{ nudge = \"remind\" }", "{ push = \"remind\" }"),
    ("audit.every", "every = \"6 hours\"", "every = \"7 hours\""),
    ("audit.source", "source = \"warehouse\"\n", ""),
    ("audit.expect", "select id from subscription\"", "select id from customer\""),
    ("audit.missing", "missing = \"enrol\"\n", ""),
    ("audit.extra", "extra = \"cancel\"\n", ""),
    ("test.name", "name = \"refused once, then paid\"", "name = \"other\""),
    ("test.start", "start = \"2026-03-02T10:00[Europe/Berlin]\"", "start = \"2026-03-02T10:00[Europe/Oslo]\""),
    ("test.given", "given = { signed_at = \"2026-01-15T12:00\" }\n", ""),
    ("test.facts", "usage = { hits = 3 }", "usage = { hits = 4 }"),
    ("test.answer", "answer = { charge = \"refused\" }\n", ""),
    ("test.event", ", name = \"billing.paid\", data", ", name = \"billing.moved\", data"),
    ("test.event.at", "at = \"2026-04-05T12:00\"", "at = \"2026-04-06T12:00\""),
    ("test.event.name", "name = \"billing.paid\", data", "name = \"account.closed\", data"),
    ("test.event.data", "data = { amount = 100 }", "data = { amount = 101 }"),
    ("test.event.facts", ", facts = { billing = { paid_at = \"2026-04-05T10:00:00Z\" } }", ""),
    ("test.until", "until = \"2026-05-01T00:00\"\n", ""),
    ("test.expect", "expect = [\"2026-04-01T06:00 charge refused\"]", "expect = []"),
];

/// Keys that say the same for every value in `every_key.toml` or take no part in what happens, and so are not in the hash.
const NOT_IN_HASH: [&str; 3] = ["timeline.about", "step.about", "test"];

#[test]
fn no_key_is_ignored() {
    let full = load(EVERY_KEY).definition;
    for (key, from, to) in KEYS {
        assert!(EVERY_KEY.contains(from), "{key}: `{from}` is in the document");
        let changed = load(&EVERY_KEY.replacen(from, to, 1)).definition;
        let strip = |definition: &hence_core::definition::Definition| {
            let mut definition = definition.clone();
            definition.hash = hence_core::name::DefinitionHash(String::new());
            for test in &mut definition.tests {
                test.line = 0;
            }
            format!("{definition:?}")
        };
        assert_ne!(strip(&full), strip(&changed), "{key} is ignored");
        let takes_part = !NOT_IN_HASH.iter().any(|name| key == name || key.starts_with(&format!("{name}.")));
        assert_eq!(full.hash != changed.hash, takes_part, "{key} and the hash");
    }
}

#[test]
fn every_key_of_the_schema_is_tested_and_documented() {
    let tested: BTreeSet<&str> = KEYS.iter().map(|(key, ..)| key.rsplit('.').next().unwrap()).collect();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/definition.md")).unwrap();
    let mut keys = BTreeSet::new();
    collect_keys(&json_schema(), &mut keys);
    for key in keys {
        let is_table = ["timeline", "calendar", "facts", "let", "step", "on", "change", "audit", "test"].contains(&key.as_str());
        assert!(is_table || tested.contains(key.as_str()), "`{key}` has no row in KEYS");
        assert!(page.contains(&format!("`{key}`")) || page.contains(&format!("[{key}")), "`{key}` is not in the reference");
    }
}

/// The names of all properties of a schema, at any depth.
fn collect_keys(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(map) => {
            if let Some(serde_json::Value::Object(properties)) = map.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            map.values().for_each(|value| collect_keys(value, keys));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}
