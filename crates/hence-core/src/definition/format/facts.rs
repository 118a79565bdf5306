//! `[facts.*]` and `[let]`: what is known of an entity, and the conditions named once.
//!
//! Owns their reading and the order in which conditions may use each other. A field whose type cannot be read counts as `any`, so
//! that one mistake is one problem. Leaves to others: what the conditions mean (`scope`).

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::super::document::{Entry, Fields, Reader, SQL_BYTES_MAX, suggestion};
use super::super::scope::{Scope, TextScope, identifiers};
use super::super::{FactGroup, FactPath, FactSource, codes};
use super::{keys, named_tables};
use crate::expression::Expression;
use crate::name::Name;
use crate::value::{FactTypes, FieldType, TypeName};

/// The most fact groups.
const GROUPS_MAX: usize = 50;
/// The most fields over all groups.
const FIELDS_MAX: usize = 200;
/// The most conditions under `[let]`.
const LETS_MAX: usize = 200;
/// How long one reading may take when nothing is said.
const TIMEOUT_DEFAULT: SignedDuration = SignedDuration::from_secs(5);
/// The shortest `timeout`.
const TIMEOUT_MIN: SignedDuration = SignedDuration::from_millis(100);
/// The longest `timeout` of a reading: it holds up the attempt that waits for it.
const TIMEOUT_MAX: SignedDuration = SignedDuration::from_secs(30);
/// Names that expressions have beside facts and conditions.
pub(super) const BUILT_IN: [&str; 6] = ["now", "due", "anchor", "attempt", "entity", "event"];

/// All fact groups that could be read, and their types.
pub(in crate::definition) struct Read {
    pub(in crate::definition) groups: BTreeMap<Name, FactGroup>,
    pub(in crate::definition) types: FactTypes,
    /// Fields whose type could not be read, and groups whose fields are not all known: already reported.
    pub(in crate::definition) unsure: BTreeSet<String>,
}

/// Reads every `[facts.NAME]`.
pub(super) fn read(reader: &mut Reader<'_>, root: &Fields<'_>) -> Read {
    let mut read = Read { groups: BTreeMap::new(), types: FactTypes::new(), unsure: BTreeSet::new() };
    let mut scope = Scope::new(&read.types);
    for (name, entry) in named_tables(reader, root, ("facts", GROUPS_MAX)) {
        let at = reader.key_place(&entry.path);
        let name: Option<Name> = reader.name_of(name, &at);
        let Some(fields) = reader.fields(&entry, keys::FACTS) else { continue };
        let source = read_source(reader, &fields, &mut scope);
        let timeout = fields.entry("timeout").and_then(|entry| reader.length(&entry, TIMEOUT_MIN, TIMEOUT_MAX));
        if let (Some(entry), None, None) = (fields.entry("timeout"), fields.entry("sql"), fields.entry("http")) {
            let message = format!("`{}` without `sql` or `http`: nothing is read", entry.path);
            reader.error(codes::CONTRADICTION, &entry.at, message, "remove it; these facts are pushed by the caller");
        }
        let Some(name) = name else { continue };
        not_taken(reader, &name, &at, "fact group");
        let declared = read_fields(reader, &fields, &name, &mut read.unsure);
        let types = declared.iter().map(|(field, kind)| (field.to_string(), *kind)).collect();
        read.types.insert(name.to_string(), types);
        read.groups
            .insert(name, FactGroup { source: source.flatten(), timeout: timeout.unwrap_or(TIMEOUT_DEFAULT), fields: declared });
    }
    read.types.retain(|group, _| !read.unsure.contains(group));
    let count = read.groups.values().map(|group| group.fields.len()).sum();
    let at = reader.place("facts");
    reader.within(count, FIELDS_MAX, "facts", &at);
    read
}

/// `None` when it is wrong, `Some(None)` when the facts are pushed.
fn read_source(reader: &mut Reader<'_>, fields: &Fields<'_>, scope: &mut Scope) -> Option<Option<FactSource>> {
    let [source, sql, http, path] = ["source", "sql", "http", "path"].map(|key| fields.entry(key));
    match (source, sql, http, path) {
        (None, None, None, None) => Some(None),
        (source, sql, None, None) => {
            let missing = if source.is_none() { "source" } else { "sql" };
            let (Some(source), Some(sql)) = (source, sql) else {
                return missing_beside(reader, fields, missing, "a database needs both `source` and `sql`");
            };
            let (source, text) = (reader.name(&source), reader.full_text(&sql, SQL_BYTES_MAX)?);
            if !text.contains("$1") {
                let message = format!("`{}` does not ask for one entity", sql.path);
                reader.error(codes::VALUE, &sql.at, message, "add `where id = $1`: `$1` is the entity's id");
            }
            Some(Some(FactSource::Sql { source: source?, sql: text.to_owned() }))
        }
        (None, None, http, path) => {
            let missing = if http.is_none() { "http" } else { "path" };
            let (Some(http), Some(path)) = (http, path) else {
                return missing_beside(reader, fields, missing, "a target needs both `http` and `path`");
            };
            let (target, path) = (reader.name(&http), read_path(reader, &path, scope, TextScope::Entity));
            Some(Some(FactSource::Http { target: target?, path: path? }))
        }
        _ => {
            let message = format!("{} is read in two ways", fields.title());
            let help = "keep `source` with `sql`, or `http` with `path`, and make another fact group of the rest";
            reader.error(codes::CONTRADICTION, &fields.at, message, help);
            None
        }
    }
}

fn missing_beside<T>(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str, help: &str) -> Option<T> {
    reader.error(codes::MISSING_KEY, &fields.at, format!("`{key}` is missing in {}", fields.title()), help);
    None
}

/// A path below a target's address.
pub(super) fn read_path(
    reader: &mut Reader<'_>,
    entry: &Entry<'_>,
    scope: &mut Scope,
    names: TextScope,
) -> Option<crate::interpolation::Interpolation> {
    let text = reader.full_text(entry, super::SENTENCE_BYTES_MAX)?;
    let outside: String = outside_braces(text);
    let problem = if !text.starts_with('/') || text.starts_with("//") {
        Some("must begin with one `/`")
    } else if outside.split(['/', '?']).any(|part| part == "..") {
        Some("must not go up by `..`")
    } else if outside.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#' || c == '\\') {
        Some("must not hold blanks, `#` or `\\`")
    } else {
        None
    };
    if let Some(problem) = problem {
        let help = "write the path below the target's address, such as `/hence/deactivate`";
        reader.error(codes::VALUE, &entry.at, format!("`{}` {problem}", entry.path), help);
    }
    scope.text(reader, entry, names)
}

fn outside_braces(text: &str) -> String {
    let mut depth = 0_usize;
    let mut outside = String::new();
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => outside.push(c),
            _ => {}
        }
    }
    outside
}

fn read_fields(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    group: &Name,
    unsure: &mut BTreeSet<String>,
) -> BTreeMap<Name, FieldType> {
    let mut declared = BTreeMap::new();
    let help = "declare them, such as `fields = { email = \"string\", paid_at = \"time?\" }`";
    let table = reader.required(fields, "fields", help).and_then(|entry| reader.table(&entry));
    let Some(table) = table else {
        unsure.insert(group.to_string());
        return declared;
    };
    if table.len() == 0 {
        unsure.insert(group.to_string());
        reader.error(codes::VALUE, &table.at, format!("`{}` declares nothing", table.path), help);
    }
    for (field, entry) in table.entries() {
        let at = reader.key_place(&entry.path);
        let name: Option<Name> = reader.name_of(field, &at);
        let kind = reader.text(&entry).and_then(|text| read_type(reader, &entry, text));
        let Some(name) = name else {
            unsure.insert(group.to_string());
            continue;
        };
        if kind.is_none() {
            unsure.insert(format!("{group}.{name}"));
        }
        declared.insert(name, kind.unwrap_or(FieldType { base: TypeName::Any, nullable: true }));
    }
    declared
}

fn read_type(reader: &mut Reader<'_>, entry: &Entry<'_>, text: &str) -> Option<FieldType> {
    let parsed: Result<FieldType, _> = text.parse();
    if parsed.is_err() {
        let message = format!("`{}` has no type `{}`", entry.path, crate::calendar::shown(text));
        let names = TypeName::ALL.iter().map(|kind| kind.name());
        let help = match suggestion(text.trim_end_matches('?'), names, "types") {
            near if near.starts_with("did") => near,
            known => format!("{known}, each with `?` when it may be null"),
        };
        reader.error(codes::UNKNOWN_WORD, &entry.at, message, help);
    }
    parsed.ok()
}

/// The fact that a text names, when it is declared with the type.
pub(super) fn path(reader: &mut Reader<'_>, entry: &Entry<'_>, (text, kind): (&str, TypeName), facts: &Read) -> Option<FactPath> {
    let group = text.split('.').next().unwrap_or(text);
    if facts.unsure.contains(text) || facts.unsure.contains(group) {
        return None;
    }
    let declared = text.split_once('.').and_then(|(group, field)| facts.types.get(group)?.get(field));
    match declared {
        Some(found) if found.base == kind => {
            let (group, field) = text.split_once('.')?;
            Some(FactPath { group: group.parse().ok()?, field: field.parse().ok()? })
        }
        Some(found) => {
            let message =
                format!("`{text}` is {}, but `{}` must be {}", found.base.with_article(), entry.path, kind.with_article());
            let help = format!("name a fact of type `{}`", kind.name());
            reader.error(codes::FACT_TYPE, &entry.at, message, help);
            None
        }
        None => {
            let known: Vec<String> = facts
                .types
                .iter()
                .flat_map(|(group, fields)| fields.iter().map(move |(field, found)| (group, field, found)))
                .filter(|(_, _, found)| found.base == kind)
                .map(|(group, field, _)| format!("{group}.{field}"))
                .collect();
            let what = format!("facts of type `{}`", kind.name());
            let help = suggestion(text, known.iter().map(String::as_str), &what);
            reader.error(codes::UNKNOWN_FACT, &entry.at, format!("there is no fact `{}`", crate::calendar::shown(text)), help);
            None
        }
    }
}

/// Reads `[let]`: each condition after those it uses.
pub(super) fn read_lets(
    reader: &mut Reader<'_>,
    root: &Fields<'_>,
    facts: &Read,
    scope: &mut Scope,
) -> Option<Vec<(Name, Expression)>> {
    let mut waiting: Vec<(Name, Entry<'_>, BTreeSet<String>)> = Vec::new();
    let mut is_complete = true;
    for (name, entry) in named_tables(reader, root, ("let", LETS_MAX)) {
        let at = reader.key_place(&entry.path);
        let (name, text) = (reader.name_of::<Name>(name, &at), reader.text(&entry));
        let (Some(name), Some(text)) = (name, text) else {
            is_complete = false;
            continue;
        };
        not_taken(reader, &name, &at, "condition");
        if facts.groups.contains_key(&name) {
            let message = format!("`{name}` is a fact group and a condition");
            reader.error(codes::TAKEN_NAME, &at, message, "rename one of the two");
        }
        waiting.push((name, entry, identifiers(text)));
    }
    let names: BTreeSet<String> = waiting.iter().map(|(name, ..)| name.to_string()).collect();
    for (.., uses) in &mut waiting {
        uses.retain(|used| names.contains(used));
    }
    let mut lets = Vec::new();
    let mut done: BTreeSet<String> = BTreeSet::new();
    while let Some(next) = waiting.iter().position(|(.., uses)| uses.is_subset(&done)) {
        let (name, entry, _) = waiting.remove(next);
        let expression = scope.named(reader, &entry, &name);
        is_complete &= expression.is_some();
        done.insert(name.to_string());
        lets.extend(expression.map(|expression| (name, expression)));
    }
    report_cycles(reader, &waiting, scope);
    (is_complete && waiting.is_empty()).then_some(lets)
}

/// Reports conditions that wait for each other; those that only use one of them stay silent.
fn report_cycles(reader: &mut Reader<'_>, waiting: &[(Name, Entry<'_>, BTreeSet<String>)], scope: &mut Scope) {
    let uses: BTreeMap<&str, &BTreeSet<String>> = waiting.iter().map(|(name, _, uses)| (name.as_str(), uses)).collect();
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    for (name, entry, _) in waiting {
        scope.unsure(name.as_str());
        let next = |at: &str| uses.get(at).map(|uses| uses.iter().map(String::as_str).collect()).unwrap_or_default();
        let Some(way) = super::super::check::way_back(name.as_str(), next) else { continue };
        if reported.contains(name.as_str()) {
            continue;
        }
        reported.extend(way.iter().copied());
        let message = format!("conditions use each other: {}", way.join(" → "));
        let at = entry.at.clone();
        reader.error(codes::CYCLE, &at, message, "write one of them without the others");
    }
}

fn not_taken(reader: &mut Reader<'_>, name: &Name, at: &std::ops::Range<usize>, what: &str) {
    if BUILT_IN.contains(&name.as_str()) || Expression::is_reserved(name.as_str()) {
        let message = format!("`{name}` cannot name a {what}: expressions have it already");
        reader.error(codes::TAKEN_NAME, at, message, "choose another name");
    }
}
