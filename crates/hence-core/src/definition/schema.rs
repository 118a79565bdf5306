//! The JSON Schema of a definition, for editors and for programs that write definitions.
//!
//! Owns descriptions, words and shapes of all keys as a schema sees them; what refers to what, units and expressions are beyond a
//! schema and stay with `check`. Tests hold it against `keys`, the documents that load and those that do not.

use serde_json::{Map, Value, json};

use super::format::keys;

/// The JSON Schema (draft 2020-12) of the document; `hence schema` prints it.
///
/// ```
/// let schema = hence_core::definition::json_schema();
/// assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
/// ```
pub fn json_schema() -> Value {
    let mut root = table(
        keys::ROOT,
        &["timeline", "step"],
        json!({
            "timeline": timeline(),
            "calendar": by_name(&calendar(), "Open hours that steps name in `open`."),
            "facts": by_name(&facts(), "What is known of an entity, by group."),
            "let": by_name(&text("A condition, used by its name."), "Conditions named once."),
            "step": by_name(&step(), "One table for each kind of task, in the order they happen."),
            "on": on(),
            "change": change(),
            "audit": audit(),
            "test": { "type": "array", "items": test(), "maxItems": 200, "description": "Examples, run by `hence test` on a virtual clock." },
        }),
        "Which tasks exist for an entity, and when.",
    );
    let root_keys = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Hence definition" });
    if let (Value::Object(root), Value::Object(more)) = (&mut root, root_keys) {
        root.extend(more);
    }
    root
}

/// A table with these keys and no others. `properties` has exactly the keys that are read: a test compares.
fn table(known: &[&str], required: &[&str], properties: Value, description: &str) -> Value {
    let Value::Object(mut found) = properties else { return Value::Null };
    // In the order of the reference, whatever the order above.
    let ordered: Map<String, Value> = known.iter().filter_map(|key| Some(((*key).to_owned(), found.remove(*key)?))).collect();
    assert!(found.is_empty() && ordered.len() == known.len(), "the schema has the keys that are read: {description}");
    json!({
        "type": "object",
        "description": description,
        "properties": ordered,
        "required": required,
        "additionalProperties": false,
    })
}

fn by_name(value: &Value, description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "propertyNames": { "pattern": NAME, "maxLength": 64 },
        "additionalProperties": value,
    })
}

const NAME: &str = "^[a-z][a-z0-9_]*$";
const EVENT: &str = "^[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)*$";

fn text(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

fn name(description: &str) -> Value {
    json!({ "type": "string", "pattern": NAME, "maxLength": 64, "description": description })
}

fn words(words: &[&str], default: &str, description: &str) -> Value {
    json!({ "enum": words, "default": default, "description": description })
}

fn flag(description: &str) -> Value {
    json!({ "type": "boolean", "default": false, "description": description })
}

fn texts_by_name(description: &str) -> Value {
    json!({ "type": "object", "additionalProperties": { "type": "string" }, "maxProperties": 50, "description": description })
}

fn timeline() -> Value {
    let zone_table = table(
        keys::ZONE,
        &["from", "else"],
        json!({ "from": text("The fact of type `string` that holds the zone."), "else": text("The zone where the fact is null or names none.") }),
        "The zone of each entity.",
    );
    table(
        keys::TIMELINE,
        &["name", "entity", "anchor"],
        json!({
            "name": name("The name that enrolments use."),
            "entity": name("The type of entity it is for."),
            "about": text("A sentence for people."),
            "anchor": text("Day 0: an instant given at enrolment, or a fact of type `time` such as `account.started_at`."),
            "zone": { "anyOf": [text("An IANA zone such as `Europe/Oslo`."), zone_table], "default": "UTC", "description": "The zone that days and times of day are counted in." },
            "again": words(&["ignore", "restart", "error"], "ignore", "What a second enrolment of the same entity means."),
            "late": late("The rule of steps that have none of their own; `12 hours`, `run` when not given."),
        }),
        "What the definition is called and what it is for.",
    )
}

fn late(description: &str) -> Value {
    table(
        keys::LATE,
        &["after", "then"],
        json!({
            "after": text("How much later than due is late; a day is 24 hours here."),
            "then": { "enum": ["run", "skip", "hold"], "description": "Run it all the same, end it as `expired`, or let a person decide." },
        }),
        description,
    )
}

fn calendar() -> Value {
    table(
        keys::CALENDAR,
        &["hours"],
        json!({
            "hours": text("Weekly open hours, such as `mon-fri 08:00-18:00`."),
            "closed": { "type": "array", "items": { "type": "string" }, "maxItems": 1000, "description": "Closed days: `2026-12-25`, `12-25` for each year, or a range with `..`." },
        }),
        "Open hours with closed days.",
    )
}

fn facts() -> Value {
    let types = "^(string|int|float|bool|time|duration|list|map|any)\\??$";
    let mut group = table(
        keys::FACTS,
        &["fields"],
        json!({
            "source": name("A database of the server's configuration."),
            "sql": { "type": "string", "pattern": "\\$1", "description": "A statement that gives one row or none; `$1` is the entity's id." },
            "http": name("A target of the server's configuration."),
            "path": { "type": "string", "pattern": "^/", "description": "The path below the target's address; may hold `{entity}`." },
            "timeout": { "type": "string", "default": "5s", "description": "How long one reading may take." },
            "fields": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": NAME },
                "additionalProperties": { "type": "string", "pattern": types },
                "description": "Each field's type; with `?` it may be null.",
            },
        }),
        "Facts pushed by the caller, or read when a step fires.",
    );
    group["dependentRequired"] = json!({ "source": ["sql"], "sql": ["source"], "http": ["path"], "path": ["http"] });
    group["not"] = json!({ "required": ["sql", "http"] });
    group
}

fn step() -> Value {
    let retry = table(
        keys::RETRY,
        &[],
        json!({
            "tries": { "type": "integer", "minimum": 1, "maximum": 100, "default": 12, "description": "Attempts in all." },
            "wait": { "type": "string", "default": "30s..6h", "description": "The first and the longest wait; doubles in between, each cut at random." },
        }),
        "How failed attempts are repeated.",
    );
    let mut step = table(
        keys::STEP,
        &["do"],
        json!({
            "about": text("A sentence for people."),
            "anchor": text("An anchor of its own: a name given at enrolment, or a fact of type `time`."),
            "after": { "type": "string", "pattern": "^\\s*[a-z][a-z0-9_]*\\s*:\\s*[a-z][a-z0-9_]*\\s*$", "description": "`step:outcome`: exists once that step ended so." },
            "clock": words(&["finished", "due"], "finished", "What `due` of a follow-up is counted from."),
            "due": { "type": "string", "default": "0 days", "description": "How far from the anchor: `25 days`, `-3 days`, `P25D`, `3 working days`." },
            "at": { "type": "string", "pattern": "^[0-9]{2}:[0-9]{2}(:[0-9]{2})?$", "description": "Local time on that day." },
            "open": text("Only then, else the next open moment: hours, or the name of a calendar."),
            "before": name("Never later than this step: then skipped."),
            "spread": { "type": "string", "default": "0s", "description": "Later by up to this much, the same each time for one entity; at most 7 days." },
            "repeat": text("Again and again, such as `7 days`."),
            "until": text("The end of `repeat`: an instant, or a duration from its start."),
            "times": { "type": "integer", "minimum": 1, "maximum": 1_000_000, "description": "The most occurrences of `repeat`." },
            "cron": text("At the local times of a cron pattern with five fields."),
            "rrule": text("At the local times of an RFC 5545 rule."),
            "when": text("The condition; checked against live facts when the task fires."),
            "do": action(),
            "says": {
                "type": "array",
                "items": {
                    "type": "string",
                    "pattern": NAME,
                    "not": { "enum": ["done", "failed", "skipped", "expired", "cancelled", "unknown", "scheduled", "running", "held"] },
                },
                "maxItems": 50,
                "uniqueItems": true,
                "description": "Outcomes beyond `done` that the receiver may answer.",
            },
            "retry": retry,
            "late": late("What to do when it starts late; the timeline's rule when not given."),
            "delivery": words(&["at_least_once", "at_most_once"], "at_least_once", "What an unknown outcome means: send again, or end `unknown`."),
        }),
        "One kind of task.",
    );
    step["dependentRequired"] = json!({ "clock": ["after"], "until": ["repeat"], "times": ["repeat"] });
    let apart = [["repeat", "cron"], ["repeat", "rrule"], ["cron", "rrule"], ["after", "anchor"], ["cron", "at"]];
    step["allOf"] = apart.iter().map(|pair| json!({ "not": { "required": pair } })).collect();
    step
}

fn action() -> Value {
    let data = || texts_by_name("More fields of the payload, beside the facts seen.");
    let timeout =
        || json!({ "type": "string", "default": "20s", "description": "How long one attempt may take, up to 5 minutes." });
    let one = |known: &[&str], required: &[&str], own: Value, description: &str| {
        let Value::Object(mut properties) = own else { return Value::Null };
        properties.insert("data".to_owned(), data());
        properties.insert("timeout".to_owned(), timeout());
        table(known, required, Value::Object(properties), description)
    };
    let broker = |known: &[&str], own: &str, about: &str| {
        let mut properties = json!({ known[0]: name("A target of the server's configuration.") });
        for key in [own, "key"] {
            properties[key] = text("Where the message goes; may hold `{…}`.");
        }
        let mut broker = one(known, &[known[0]], properties, about);
        if own != "key" {
            broker["oneOf"] = json!([{ "required": [own] }, { "required": ["key"] }]);
        } else {
            broker["required"] = json!([known[0], "key"]);
        }
        broker
    };
    let email = json!({
        "email": name("The template."),
        "to": text("Recipients, separated by commas; may hold `{…}`."),
        "subject": text("Instead of the template's own subject."),
    });
    let webhook = json!({
        "webhook": name("A target of the server's configuration."),
        "path": { "type": "string", "pattern": "^/", "description": "The path below the target's address; may hold `{…}`." },
    });
    json!({
        "description": "What a task delivers, and to whom: exactly one receiver.",
        "oneOf": [
            one(keys::DO_EMAIL, &["email", "to"], email, "A mail from a template."),
            one(keys::DO_WEBHOOK, &["webhook", "path"], webhook, "A POST to a target."),
            broker(keys::DO_RABBITMQ, "key", "A message to RabbitMQ."),
            broker(keys::DO_SERVICEBUS, "queue", "A message to Azure Service Bus."),
            broker(keys::DO_NATS, "subject", "A message to NATS JetStream."),
            one(keys::DO_LOG, &["log"], json!({ "log": text("The line; may hold `{…}`.") }), "A line in the engine's log."),
            one(keys::DO_HANDLER, &["handler"], json!({ "handler": name("The name it was registered under.") }), "A function of the program that embeds the engine."),
        ],
    })
}

fn on() -> Value {
    let reaction = table(
        keys::ON,
        &[],
        json!({
            "cancel": {
                "anyOf": [{ "const": "*" }, { "type": "array", "items": { "type": "string", "pattern": NAME }, "minItems": 1 }],
                "description": "Whose tasks must not happen any more: `*` or a list of steps.",
            },
            "reason": text("A word or sentence for people, kept with every change."),
            "shift": text("Moves the anchor by this span; `{event.…}` stands for what the event carries."),
            "recompute": flag("Reads the facts again and computes what is pending anew."),
            "erase": text("Facts, payloads and results are scrubbed from history this long after."),
        }),
        "What an event does to a timeline.",
    );
    json!({
        "type": "object",
        "description": "What events do, by the event's name in quotes.",
        "propertyNames": { "pattern": EVENT, "maxLength": 128 },
        "additionalProperties": reaction,
    })
}

fn change() -> Value {
    table(
        keys::CHANGE,
        &[],
        json!({
            "new_step": words(&["if_future", "run_late", "never"], "if_future", "What a new step means for entities that are enrolled already."),
            "moved": words(&["recompute", "keep"], "recompute", "Whether a changed due rule moves what is pending."),
            "removed": words(&["cancel", "keep"], "cancel", "What happens to the tasks of a removed step."),
            "renamed": { "type": "object", "propertyNames": { "pattern": NAME }, "additionalProperties": { "type": "string", "pattern": NAME }, "description": "Old name to new name of each renamed step." },
        }),
        "How waiting entities follow a new version of the file.",
    )
}

fn audit() -> Value {
    table(
        keys::AUDIT,
        &["every", "expect"],
        json!({
            "every": text("How often, from 1 minute to 31 days."),
            "source": name("The database; not needed when all SQL facts come from one."),
            "expect": text("A statement whose rows are the entities that should be enrolled."),
            "missing": words(&["enrol", "report"], "report", "What happens to entities without a timeline."),
            "extra": words(&["cancel", "report"], "report", "What happens to timelines without an entity."),
        }),
        "The batch job, kept as a safety net.",
    )
}

fn test() -> Value {
    let facts =
        || json!({ "type": "object", "additionalProperties": { "type": "object" }, "description": "What is known, by group." });
    let event = table(
        keys::TEST_EVENT,
        &["at", "name"],
        json!({
            "at": text("When it happens."),
            "name": { "type": "string", "pattern": EVENT, "description": "What happens." },
            "data": { "type": "object", "description": "What it carries." },
            "facts": facts(),
        }),
        "Something that happens during the test.",
    );
    table(
        keys::TEST,
        &["name", "start", "expect"],
        json!({
            "name": text("What the test shows."),
            "start": text("When the entity is enrolled, with its zone: `2026-03-02T10:00[Europe/Oslo]`."),
            "given": texts_by_name("Instants given at enrolment; each that is missing is `start`."),
            "facts": facts(),
            "answer": texts_by_name("What receivers answer, by step; `done` where missing."),
            "event": { "type": "array", "items": event, "maxItems": 1000, "description": "What happens, and when." },
            "until": text("Where the test ends; 10 years after `start` when not given."),
            "expect": { "type": "array", "items": { "type": "string" }, "description": "Lines `instant step outcome`, in order." },
        }),
        "An example of what the definition means.",
    )
}
