//! The keys of each table of the document, in the order of the reference page; `schema` and the reference are tested against them.

pub(in crate::definition) const ROOT: &[&str] =
    &["timeline", "calendar", "facts", "let", "step", "on", "change", "audit", "test"];
pub(in crate::definition) const TIMELINE: &[&str] = &["name", "entity", "about", "anchor", "zone", "again", "late"];
pub(in crate::definition) const ZONE: &[&str] = &["from", "else"];
pub(in crate::definition) const LATE: &[&str] = &["after", "then"];
pub(in crate::definition) const CALENDAR: &[&str] = &["hours", "closed"];
pub(in crate::definition) const FACTS: &[&str] = &["source", "sql", "http", "path", "timeout", "fields"];
pub(in crate::definition) const STEP: &[&str] = &[
    "about", "anchor", "after", "clock", "due", "at", "open", "before", "spread", "repeat", "until", "times", "cron", "rrule",
    "when", "do", "says", "retry", "late", "delivery",
];
pub(in crate::definition) const RETRY: &[&str] = &["tries", "wait"];
pub(in crate::definition) const DO_EMAIL: &[&str] = &["email", "to", "subject", "data", "timeout"];
pub(in crate::definition) const DO_WEBHOOK: &[&str] = &["webhook", "path", "data", "timeout"];
pub(in crate::definition) const DO_RABBITMQ: &[&str] = &["rabbitmq", "key", "data", "timeout"];
pub(in crate::definition) const DO_SERVICEBUS: &[&str] = &["servicebus", "queue", "key", "data", "timeout"];
pub(in crate::definition) const DO_NATS: &[&str] = &["nats", "subject", "key", "data", "timeout"];
pub(in crate::definition) const DO_LOG: &[&str] = &["log", "data", "timeout"];
pub(in crate::definition) const DO_HANDLER: &[&str] = &["handler", "data", "timeout"];
pub(in crate::definition) const ON: &[&str] = &["cancel", "reason", "shift", "recompute", "erase"];
pub(in crate::definition) const CHANGE: &[&str] = &["new_step", "moved", "removed", "renamed"];
pub(in crate::definition) const AUDIT: &[&str] = &["every", "source", "expect", "missing", "extra"];
pub(in crate::definition) const TEST: &[&str] = &["name", "start", "given", "facts", "answer", "event", "until", "expect"];
pub(in crate::definition) const TEST_EVENT: &[&str] = &["at", "name", "data", "facts"];
