//! A TOML document with the place of every key and value, and plain questions to it that collect problems.
//!
//! Owns reading of single values (text, number, table, name, duration) with their messages, and [`Reader`], which gathers every
//! problem of a file and knows the place of every path such as `step.remind.due`. Leaves to others: which keys exist (`format`).
//! Invariant: whoever gets `None` from a reader need not report anything, the problem is already there.

use std::collections::BTreeMap;
use std::ops::Range;
use std::str::FromStr;

use jiff::SignedDuration;
use toml::de::{DeArray, DeTable, DeValue};

use super::codes;
use crate::calendar::CalendarError;
use crate::diagnostic::{Code, Diagnostic};
use crate::name::{Name, NameError};

/// The largest document, in bytes.
pub(super) const SOURCE_BYTES_MAX: usize = 256 * 1024;
/// How deep tables and lists may nest; the format itself needs six.
const DEPTH_MAX: usize = 40;
/// The longest sentence for people (`about`, `reason`, a test's name), in bytes.
pub(super) const SENTENCE_BYTES_MAX: usize = 1_000;
/// The longest SQL statement, in bytes.
pub(super) const SQL_BYTES_MAX: usize = 16 * 1024;
/// How many known keys or names are listed when none is near.
const LISTED_MAX: usize = 20;

/// A parsed document and every problem found in it so far.
pub(super) struct Reader<'s> {
    pub(super) source: &'s str,
    pub(super) problems: Vec<Diagnostic>,
    places: BTreeMap<String, Range<usize>>,
}

/// A value of the document with its path and place.
#[derive(Debug, Clone)]
pub(super) struct Entry<'d> {
    pub(super) path: String,
    pub(super) at: Range<usize>,
    pub(super) value: &'d DeValue<'d>,
}

/// A table of the document.
#[derive(Debug, Clone)]
pub(super) struct Fields<'d> {
    pub(super) path: String,
    pub(super) at: Range<usize>,
    table: &'d DeTable<'d>,
}

/// Parses the text as TOML and hands the document to `read`.
///
/// # Errors
/// All syntax errors of the text, or that it is too large or nests too deeply; then `read` is not called.
pub(super) fn with_document<T>(
    source: &str,
    read: impl FnOnce(&mut Reader<'_>, &Fields<'_>) -> Option<T>,
) -> (Option<T>, Vec<Diagnostic>) {
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("the file has {} bytes, the limit is {SOURCE_BYTES_MAX}", source.len());
        return (None, vec![Diagnostic::error(codes::LIMIT, 0..0, message, "split it into several definitions")]);
    }
    let (document, errors) = DeTable::parse_recoverable(source);
    let mut table = document.into_inner();
    if let Some(at) = too_deep(&table) {
        dismantle(std::mem::take(&mut table));
        let message = format!("tables and lists nest deeper than {DEPTH_MAX}");
        return (
            None,
            vec![Diagnostic::error(codes::LIMIT, at, message, "the format needs no more than six levels: remove some")],
        );
    }
    if !errors.is_empty() {
        return (None, errors.iter().map(|error| syntax_problem(source, error)).collect());
    }
    let mut reader = Reader { source, problems: Vec::new(), places: BTreeMap::new() };
    reader.note_places("", &table);
    let root = Fields { path: String::new(), at: 0..0, table: &table };
    let read = read(&mut reader, &root);
    (read, reader.problems)
}

impl<'s> Reader<'s> {
    /// Remembers an error at a place.
    pub(super) fn error(&mut self, code: Code, at: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Diagnostic::error(code, at.clone(), message, help));
    }

    /// Remembers a warning at the place of a path.
    pub(super) fn warn(&mut self, code: Code, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let at = self.place(path);
        self.problems.push(Diagnostic::error(code, at, message, help).into_warning());
    }

    /// Remembers an error about a time text.
    pub(super) fn time_error(&mut self, at: &Range<usize>, error: &CalendarError) {
        self.error(codes::TIME_TEXT, at, error.to_string(), error.help());
    }

    /// Where the value of a path stands; the nearest table around it when it is not there.
    pub(super) fn place(&self, path: &str) -> Range<usize> {
        let mut path = path;
        loop {
            if let Some(at) = self.places.get(path) {
                return at.clone();
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return 0..0,
            }
        }
    }

    /// Where the key of a path stands, for problems of the key rather than its value.
    pub(super) fn key_place(&self, path: &str) -> Range<usize> {
        self.places.get(&format!("{path}#key")).cloned().unwrap_or_else(|| self.place(path))
    }

    fn note_places(&mut self, path: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = joined(path, key.get_ref());
            self.places.insert(format!("{path}#key"), key.span());
            self.note_value(path, value);
        }
    }

    fn note_value(&mut self, path: String, value: &toml::Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => self.note_places(&path, table),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.note_value(format!("{path}[{index}]"), item);
                }
            }
            _ => {}
        }
        self.places.insert(path, value.span());
    }

    /// The value of a key that must be there.
    pub(super) fn required<'d>(&mut self, fields: &Fields<'d>, key: &str, help: &str) -> Option<Entry<'d>> {
        let entry = fields.entry(key);
        if entry.is_none() {
            let message = format!("`{key}` is missing in {}", fields.title());
            self.error(codes::MISSING_KEY, &fields.at, message, help);
        }
        entry
    }

    /// The table, all of whose keys are among the known ones.
    pub(super) fn fields<'d>(&mut self, entry: &Entry<'d>, known: &[&str]) -> Option<Fields<'d>> {
        let fields = self.table(entry)?;
        self.only_known(&fields, known);
        Some(fields)
    }

    /// The table, whatever its keys.
    pub(super) fn table<'d>(&mut self, entry: &Entry<'d>) -> Option<Fields<'d>> {
        match entry.value {
            DeValue::Table(table) => Some(Fields { path: entry.path.clone(), at: entry.at.clone(), table }),
            _ => self.wrong_type(entry, "a table"),
        }
    }

    /// Reports each key that is not among the known ones.
    pub(super) fn only_known(&mut self, fields: &Fields<'_>, known: &[&str]) {
        for (key, entry) in fields.entries() {
            if !known.contains(&key) {
                let message = format!("unknown key `{}` in {}", crate::calendar::shown(key), fields.title());
                let at = self.key_place(&entry.path);
                self.error(codes::UNKNOWN_KEY, &at, message, suggestion(key, known.iter().copied(), "keys"));
            }
        }
    }

    /// The elements of a list.
    pub(super) fn list<'d>(&mut self, entry: &Entry<'d>, count_max: usize) -> Option<Vec<Entry<'d>>> {
        let DeValue::Array(items) = entry.value else {
            return self.wrong_type(entry, "a list");
        };
        if !self.within(items.len(), count_max, &entry.path, &entry.at) {
            return None;
        }
        Some(entry.items(items))
    }

    /// Whether a count is within its limit; reports it when not.
    pub(super) fn within(&mut self, count: usize, count_max: usize, path: &str, at: &Range<usize>) -> bool {
        if count > count_max {
            let message = format!("`{path}` has {count} entries, the limit is {count_max}");
            self.error(codes::LIMIT, at, message, "remove some, or split the definition");
        }
        count <= count_max
    }

    /// Text of any content.
    pub(super) fn text<'d>(&mut self, entry: &Entry<'d>) -> Option<&'d str> {
        match entry.value {
            DeValue::String(text) => Some(text),
            _ => self.wrong_type(entry, "text in quotes"),
        }
    }

    /// Text that is not empty, within a limit and without U+0000.
    pub(super) fn full_text<'d>(&mut self, entry: &Entry<'d>, bytes_max: usize) -> Option<&'d str> {
        let text = self.text(entry)?;
        let problem = if text.trim().is_empty() {
            "is empty".to_owned()
        } else if text.contains('\0') {
            "holds the character U+0000".to_owned()
        } else if text.len() > bytes_max {
            format!("has {} bytes, the limit is {bytes_max}", text.len())
        } else {
            return Some(text);
        };
        let help = if text.trim().is_empty() { "write it, or remove the key" } else { "shorten or correct it" };
        self.error(codes::VALUE, &entry.at, format!("`{}` {problem}", entry.path), help);
        None
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, entry: &Entry<'_>) -> Option<bool> {
        match entry.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type(entry, "`true` or `false`"),
        }
    }

    /// A whole number within a range, both ends included.
    pub(super) fn number(&mut self, entry: &Entry<'_>, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let DeValue::Integer(number) = entry.value else {
            return self.wrong_type(entry, "a whole number");
        };
        let number = u32::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| range.contains(number));
        if number.is_none() {
            let message = format!("`{}` must lie between {} and {}", entry.path, range.start(), range.end());
            self.error(codes::VALUE, &entry.at, message, "write a number in this range");
        }
        number
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, entry: &Entry<'_>, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(entry)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let message = format!("`{}` cannot be `{}`", entry.path, crate::calendar::shown(text));
            let help = suggestion(text, words.iter().map(|(word, _)| *word), "words");
            self.error(codes::UNKNOWN_WORD, &entry.at, message, help);
        }
        found
    }

    /// A name.
    pub(super) fn name(&mut self, entry: &Entry<'_>) -> Option<Name> {
        let text = self.text(entry)?;
        let at = entry.at.clone();
        self.name_of(text, &at)
    }

    /// A key that is a name or, for events, names joined by dots.
    pub(super) fn name_of<T: FromStr<Err = NameError>>(&mut self, text: &str, at: &Range<usize>) -> Option<T> {
        match text.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                let lower: String = text.to_lowercase().chars().map(|c| if c == '-' || c == ' ' { '_' } else { c }).collect();
                let help = match lower.parse::<T>() {
                    Ok(_) => format!("write `{lower}`"),
                    Err(_) => "use lower-case letters, digits and `_`, beginning with a letter".to_owned(),
                };
                self.error(codes::NAME, at, error.to_string(), help);
                None
            }
        }
    }

    /// What a parser of time texts makes of the text.
    pub(super) fn time_text<T>(&mut self, entry: &Entry<'_>, parse: impl FnOnce(&str) -> Result<T, CalendarError>) -> Option<T> {
        let text = self.text(entry)?;
        parse(text).map_err(|error| self.time_error(&entry.at, &error)).ok()
    }

    /// A length of time, a day being 24 hours, within a range.
    pub(super) fn length(&mut self, entry: &Entry<'_>, least: SignedDuration, most: SignedDuration) -> Option<SignedDuration> {
        let text = self.text(entry)?;
        let Some(length) = parse_length(text) else {
            let message = format!("`{}` is not a length of time", crate::calendar::shown(text));
            self.error(
                codes::TIME_TEXT,
                &entry.at,
                message,
                "write `30s`, `12 hours` or `3 days`; a day counts as 24 hours here",
            );
            return None;
        };
        if length < least || length > most {
            let message = format!("`{}` must lie between {} and {}", entry.path, in_units(least), in_units(most));
            self.error(codes::VALUE, &entry.at, message, "write a length of time in this range");
            return None;
        }
        Some(length)
    }

    /// Where a part of a text value stands in the source; the whole value when it is written with escapes.
    pub(super) fn within_text(&self, entry: &Entry<'_>, part: Range<usize>) -> Range<usize> {
        let DeValue::String(text) = entry.value else { return entry.at.clone() };
        let raw = self.source.get(entry.at.clone()).unwrap_or_default();
        match raw.find(text.as_ref()) {
            Some(offset) if !text.is_empty() && part.end <= text.len() => {
                let start = entry.at.start + offset;
                start + part.start..start + part.end
            }
            _ => entry.at.clone(),
        }
    }

    /// Reports a value of another type than the key has.
    pub(super) fn wrong_type<T>(&mut self, entry: &Entry<'_>, expected: &str) -> Option<T> {
        let message = format!("`{}` must be {expected}, not {}", entry.path, kind(entry.value));
        self.error(codes::WRONG_TYPE, &entry.at, message, format!("write {expected}"));
        None
    }
}

impl<'d> Entry<'d> {
    fn items(&self, items: &'d DeArray<'d>) -> Vec<Entry<'d>> {
        let entry = |(index, item): (usize, &'d toml::Spanned<DeValue<'d>>)| Entry {
            path: format!("{}[{index}]", self.path),
            at: item.span(),
            value: item.get_ref(),
        };
        items.iter().enumerate().map(entry).collect()
    }

    /// Whether it is text.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    /// The value as JSON; dates and times as text.
    pub(super) fn to_json(&self) -> serde_json::Value {
        json(self.value)
    }
}

impl<'d> Fields<'d> {
    /// The value of a key.
    pub(super) fn entry(&self, key: &str) -> Option<Entry<'d>> {
        self.table.get(key).map(|value| Entry { path: joined(&self.path, key), at: value.span(), value: value.get_ref() })
    }

    /// All keys with their values, in the order of the document.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'d str, Entry<'d>)> + use<'d> {
        let path = self.path.clone();
        self.table.iter().map(move |(key, value)| {
            let key: &'d str = key.get_ref();
            (key, Entry { path: joined(&path, key), at: value.span(), value: value.get_ref() })
        })
    }

    /// How many keys it has.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The table as it is named to people: `[step.remind]`.
    pub(super) fn title(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { format!("`[{}]`", self.path) }
    }
}

/// `parent.key`, the key in quotes where it is no bare key.
pub(super) fn joined(parent: &str, key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key = if is_bare { key.to_owned() } else { format!("{key:?}") };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

/// "did you mean …?" or the list of what is known.
pub(super) fn suggestion<'a>(found: &str, known: impl Iterator<Item = &'a str>, what: &str) -> String {
    let known: Vec<&str> = known.collect();
    let near = known
        .iter()
        .map(|name| (strsim::osa_distance(&found.to_lowercase(), name), *name))
        .filter(|(distance, name)| *distance * 3 <= found.chars().count().max(name.chars().count()))
        .min();
    if let Some((_, name)) = near {
        return format!("did you mean `{name}`?");
    }
    let listed: Vec<String> = known.iter().take(LISTED_MAX).map(|name| format!("`{name}`")).collect();
    match known.len() {
        0 => format!("there are no {what} to name here"),
        count if count > LISTED_MAX => format!("known {what} are {} and {} more", listed.join(", "), count - LISTED_MAX),
        _ => format!("known {what} are {}", listed.join(", ")),
    }
}

/// A length of time in which a day has 24 hours; no months or years.
pub(super) fn parse_length(text: &str) -> Option<SignedDuration> {
    let span: jiff::Span = text.trim().parse().ok()?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()
}

/// A length in its largest whole unit, for messages.
pub(super) fn in_units(length: SignedDuration) -> String {
    if length.as_secs() == 0 && !length.is_zero() {
        return format!("{} milliseconds", length.as_millis());
    }
    let seconds = length.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let found = units.into_iter().find(|(unit, _)| seconds != 0 && seconds % unit == 0);
    let (count, unit) = found.map_or((0, "second"), |(size, unit)| (seconds / size, unit));
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn json(value: &DeValue<'_>) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        DeValue::String(text) => Json::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).map_or(Json::Null, Json::from),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Json::Null, Json::from),
        DeValue::Boolean(value) => Json::Bool(*value),
        DeValue::Datetime(value) => Json::String(value.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            Json::Object(table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect())
        }
    }
}

fn syntax_problem(source: &str, error: &toml::de::Error) -> Diagnostic {
    let at = error.span().unwrap_or(source.len()..source.len());
    let message: String = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    let help = if message.contains("duplicate key") {
        "remove one of the two, or rename it"
    } else {
        "correct it: text stands in quotes, a table begins with `[name]`"
    };
    Diagnostic::error(codes::SYNTAX, at, format!("not valid TOML: {message}"), help)
}

/// The place of the first value below the deepest level that is allowed.
fn too_deep(root: &DeTable<'_>) -> Option<Range<usize>> {
    let mut left: Vec<(usize, &toml::Spanned<DeValue<'_>>)> = root.iter().map(|(_, value)| (1, value)).collect();
    while let Some((depth, value)) = left.pop() {
        if depth > DEPTH_MAX {
            return Some(value.span());
        }
        match value.get_ref() {
            DeValue::Table(table) => left.extend(table.iter().map(|(_, value)| (depth + 1, value))),
            DeValue::Array(items) => left.extend(items.iter().map(|value| (depth + 1, value))),
            _ => {}
        }
    }
    None
}

/// Drops a document level by level, since dropping a very deep one at once would exhaust the stack.
fn dismantle(table: DeTable<'_>) {
    let mut left: Vec<DeValue<'_>> = vec![DeValue::Table(table)];
    while let Some(value) = left.pop() {
        match value {
            DeValue::Table(table) => left.extend(table.into_iter().map(|(_, value)| value.into_inner())),
            DeValue::Array(items) => left.extend(items.into_iter().map(toml::Spanned::into_inner)),
            _ => {}
        }
    }
}
