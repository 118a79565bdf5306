//! `do`: what a started task delivers, to whom.
//!
//! Owns the keys of each transport. Exactly one of them names the transport; the others belong to it. Leaves to others: whether a
//! template, target or handler of that name exists, which only the configuration knows.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::super::document::{Entry, Fields, Reader, SENTENCE_BYTES_MAX};
use super::super::scope::{Scope, TextScope};
use super::super::{Action, Broker, Destination, codes};
use super::{facts, keys};
use crate::interpolation::Interpolation;
use crate::name::Name;

/// The most fields of `data`.
const DATA_MAX: usize = 50;
/// The longest text of one field of `data`, in bytes.
const DATA_BYTES_MAX: usize = 4 * 1024;
/// How long one attempt may take when nothing is said: what receivers of webhooks expect.
const TIMEOUT_DEFAULT: SignedDuration = SignedDuration::from_secs(20);
/// The shortest `timeout`.
const TIMEOUT_MIN: SignedDuration = SignedDuration::from_millis(100);
/// The longest `timeout`: whoever needs longer answers "accepted" and completes later.
const TIMEOUT_MAX: SignedDuration = SignedDuration::from_secs(300);

/// The transports by their key, with all keys that belong to each.
const TRANSPORTS: [(&str, &[&str]); 7] = [
    ("email", keys::DO_EMAIL),
    ("webhook", keys::DO_WEBHOOK),
    ("rabbitmq", keys::DO_RABBITMQ),
    ("servicebus", keys::DO_SERVICEBUS),
    ("nats", keys::DO_NATS),
    ("log", keys::DO_LOG),
    ("handler", keys::DO_HANDLER),
];
const TRANSPORTS_HELP: &str = "name one of `email`, `webhook`, `rabbitmq`, `servicebus`, `nats`, `log` and `handler`";

/// Reads `do` of a step.
pub(super) fn read(reader: &mut Reader<'_>, step: &Fields<'_>, scope: &mut Scope) -> Option<Action> {
    let help = "write what it does, such as `do = { webhook = \"app\", path = \"/hence/deactivate\" }`";
    let entry = reader.required(step, "do", help)?;
    let fields = reader.table(&entry)?;
    let given: Vec<(&str, &[&str])> = TRANSPORTS.into_iter().filter(|(transport, _)| fields.entry(transport).is_some()).collect();
    let (transport, known) = match given.as_slice() {
        [only] => *only,
        [] => return no_transport(reader, &fields),
        [(first, _), (second, _), ..] => {
            let message = format!("`{}` names two receivers: `{first}` and `{second}`", entry.path);
            reader.error(codes::ACTION, &entry.at, message, "keep one, and make a step of its own for the other");
            return None;
        }
    };
    reader.only_known(&fields, known);
    let to = read_destination(reader, &fields, transport, scope);
    let data = fields.entry("data").map(|entry| read_data(reader, &entry, scope));
    let timeout = fields.entry("timeout").map(|entry| reader.length(&entry, TIMEOUT_MIN, TIMEOUT_MAX));
    let data = data.unwrap_or_else(|| Some(BTreeMap::new()));
    Some(Action { to: to?, data: data?, timeout: timeout.unwrap_or(Some(TIMEOUT_DEFAULT))? })
}

fn no_transport<T>(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<T> {
    let transports = TRANSPORTS.iter().map(|(transport, _)| *transport);
    let near = fields.entries().find_map(|(key, _)| {
        let help = super::super::document::suggestion(key, transports.clone(), "receivers");
        help.starts_with("did").then_some((key, help))
    });
    let (message, help) = match near {
        Some((key, help)) => (format!("unknown receiver `{key}` in `{}`", fields.path), help),
        None => (format!("`{}` names no receiver", fields.path), TRANSPORTS_HELP.to_owned()),
    };
    reader.error(codes::ACTION, &fields.at, message, help);
    None
}

fn read_destination(reader: &mut Reader<'_>, fields: &Fields<'_>, transport: &str, scope: &mut Scope) -> Option<Destination> {
    let named = fields.entry(transport)?;
    if transport == "log" {
        let message = read_text(reader, &named, scope);
        return Some(Destination::Log { message: message? });
    }
    let name: Option<Name> = reader.name(&named);
    match transport {
        "email" => {
            let to = reader.required(fields, "to", "write the recipient, such as `to = \"{account.email}\"`");
            let to = to.and_then(|entry| read_recipient(reader, &entry, scope));
            let subject = fields.entry("subject").map(|entry| read_text(reader, &entry, scope));
            let subject = subject.map_or(Some(None), |subject| subject.map(Some));
            Some(Destination::Email { template: name?, to: to?, subject: subject? })
        }
        "webhook" => {
            let path = reader.required(fields, "path", "write the path below the target's address, such as `path = \"/hence\"`");
            let path = path.and_then(|entry| facts::read_path(reader, &entry, scope, TextScope::Task));
            Some(Destination::Webhook { target: name?, path: path? })
        }
        "handler" => Some(Destination::Handler { name: name? }),
        "rabbitmq" => read_broker(reader, fields, (Broker::RabbitMq, name, "key"), scope),
        "servicebus" => read_broker(reader, fields, (Broker::ServiceBus, name, "queue"), scope),
        _ => read_broker(reader, fields, (Broker::Nats, name, "subject"), scope),
    }
}

/// A broker's target with its key, which has a name of its own for some brokers.
fn read_broker(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    (broker, target, own): (Broker, Option<Name>, &str),
    scope: &mut Scope,
) -> Option<Destination> {
    let second = fields.entry("key").filter(|_| own != "key");
    let key = match (fields.entry(own), second) {
        (Some(own_entry), Some(key)) => {
            let message = format!("`{}` and `{own}` say the same", key.path);
            reader.error(codes::CONTRADICTION, &key.at, message, format!("keep `{own}`"));
            Some(own_entry)
        }
        (Some(entry), None) | (None, Some(entry)) => Some(entry),
        (None, None) => reader.required(fields, own, "write where the message goes, such as `trial.still_used`"),
    };
    let key = key.and_then(|entry| read_text(reader, &entry, scope));
    Some(Destination::Broker { broker, target: target?, key: key? })
}

fn read_recipient(reader: &mut Reader<'_>, entry: &Entry<'_>, scope: &mut Scope) -> Option<Interpolation> {
    let text = read_text(reader, entry, scope)?;
    let is_written_out = text.is_constant();
    if is_written_out && reader.text(entry)?.split(',').any(|address| !is_address(address.trim())) {
        let message = format!("`{}` is not an e-mail address", entry.path);
        reader.error(codes::VALUE, &entry.at, message, "write `name@example.com`, or a fact such as `{account.email}`");
    }
    Some(text)
}

/// Whether it could be an address at all; the mail server knows the rest.
fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()) && !text.contains(char::is_control)
}

fn read_text(reader: &mut Reader<'_>, entry: &Entry<'_>, scope: &mut Scope) -> Option<Interpolation> {
    let text = reader.full_text(entry, SENTENCE_BYTES_MAX)?;
    if text.contains(char::is_control) {
        let message = format!("`{}` holds a line break or another control character", entry.path);
        reader.error(codes::VALUE, &entry.at, message, "write it on one line");
    }
    scope.text(reader, entry, TextScope::Task)
}

fn read_data(reader: &mut Reader<'_>, entry: &Entry<'_>, scope: &mut Scope) -> Option<BTreeMap<String, Interpolation>> {
    let fields = reader.table(entry)?;
    if !reader.within(fields.len(), DATA_MAX, &fields.path, &fields.at) {
        return None;
    }
    let mut data = BTreeMap::new();
    let mut is_complete = true;
    for (key, entry) in fields.entries() {
        let at = reader.key_place(&entry.path);
        let name = reader.name_of::<Name>(key, &at);
        // An empty text is a value like any other here.
        let text = reader.text(&entry).and_then(|text| match text.len() <= DATA_BYTES_MAX && !text.contains('\0') {
            true => scope.text(reader, &entry, TextScope::Task),
            false => {
                let message = format!("`{}` is longer than {DATA_BYTES_MAX} bytes or holds U+0000", entry.path);
                reader.error(codes::VALUE, &entry.at, message, "hand over a key, and let the receiver look up the rest");
                None
            }
        });
        match (name, text) {
            (Some(name), Some(text)) => {
                data.insert(name.to_string(), text);
            }
            _ => is_complete = false,
        }
    }
    is_complete.then_some(data)
}
