//! What goes to the screen: data to stdout, talk to stderr, tables for people, JSON for programs.
//!
//! Colours follow `NO_COLOR`, `CLICOLOR_FORCE` and `TERM` (by `anstream`) and `--color`. A reader that went away (`| head`) ends the
//! process quietly.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table};
use hence::core::calendar::Zone;
use hence::core::reason::Reason;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::cli::Format;

/// From this width on, a table has room to say instants twice.
const WIDE_ENOUGH: usize = 96;
/// However narrow the terminal, so many characters stand beside an indentation.
const WORDS_MIN: usize = 24;

pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const PLAIN: Style = Style::new();
/// What problems of definitions are drawn with, beside bold; none of them hides anything.
const DRAWN: [AnsiColor; 6] = [
    AnsiColor::BrightRed,
    AnsiColor::Yellow,
    AnsiColor::BrightYellow,
    AnsiColor::BrightGreen,
    AnsiColor::BrightCyan,
    AnsiColor::BrightBlue,
];

/// A line of data for people.
pub(crate) fn line(text: &str) {
    give(writeln!(anstream::stdout(), "{}", visible(text)));
}

/// The text with everything made visible that would change how a terminal shows it: control characters other than line ends and tabs,
/// controls of direction and invisible marks. The styles of this module and of drawn problems stay.
fn visible(text: &str) -> std::borrow::Cow<'_, str> {
    let is_hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(is_hidden) {
        return text.into();
    }
    let styles: Vec<String> = [RED, GREEN, CYAN, BOLD]
        .into_iter()
        .chain(DRAWN.map(AnsiColor::on_default))
        .flat_map(|style| [style.render().to_string(), style.render_reset().to_string()])
        .collect();
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        // Bold and a colour are two sequences, one behind the other.
        let style = styles.iter().filter(|style| rest.starts_with(style.as_str())).max_by_key(|style| style.len());
        let length = match style {
            Some(style) => {
                shown.push_str(style);
                style.len()
            }
            None if is_hidden(c) => {
                shown.extend(c.escape_unicode());
                c.len_utf8()
            }
            None => {
                shown.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    shown.into()
}

/// A word as a shell takes it: in single quotes unless it is plain.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What is said beside the answer, and above it; the same for the whole run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Talk {
    pub(crate) is_quiet: bool,
    pub(crate) has_headings: bool,
    /// Rows go on beyond the edge of the terminal.
    pub(crate) is_wide: bool,
}

static TALK: OnceLock<Talk> = OnceLock::new();

/// Makes it hold for everything that is written from now on.
pub(crate) fn set_up(talk: Talk) {
    // Only `main` sets it up, once.
    let _ = TALK.set(talk);
}

/// A line of talk.
pub(crate) fn note(text: &str) {
    if !TALK.get().is_some_and(|talk| talk.is_quiet) {
        complain(text);
    }
}

/// A line that is said also when only errors are wanted.
pub(crate) fn complain(text: &str) {
    complain_as_it_is(&visible(text));
}

/// The same for programs.
pub(crate) fn complain_as_it_is(text: &str) {
    // Where stderr is gone there is nobody left to tell.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// An answer for programs.
pub(crate) struct Answer {
    document: Value,
    items: Option<&'static str>,
    name: &'static str,
}

impl Answer {
    /// A document that holds a list under `items`; the field `name` of each item is what it is called.
    pub(crate) fn list(document: Value, items: &'static str, name: &'static str) -> Self {
        Self { document, items: Some(items), name }
    }

    /// A document about one thing, which its field `name` names.
    pub(crate) fn one(document: Value, name: &'static str) -> Self {
        Self { document, items: None, name }
    }

    /// The things it holds.
    fn things(&self) -> &[Value] {
        match self.items {
            Some(items) => self.document[items].as_array().map_or(&[], Vec::as_slice),
            None => std::slice::from_ref(&self.document),
        }
    }
}

/// Writes an answer for programs.
pub(crate) fn answer(format: Format, answer: &Answer) {
    match format {
        Format::Jsonl => {
            for thing in answer.things() {
                give(writeln!(std::io::stdout(), "{thing}"));
            }
        }
        Format::Name => {
            for thing in answer.things() {
                match &thing[answer.name] {
                    // What has no name, such as a record that belongs to no task, has no line.
                    Value::Null => {}
                    Value::String(text) => give(writeln!(std::io::stdout(), "{text}")),
                    other => give(writeln!(std::io::stdout(), "{other}")),
                }
            }
        }
        Format::Json | Format::Table | Format::Wide => json(&answer.document),
    }
}

/// A JSON document, one line when piped, laid out on a terminal.
pub(crate) fn json(value: &serde_json::Value) {
    let text = if std::io::stdout().is_terminal() { format!("{value:#}") } else { value.to_string() };
    give(writeln!(std::io::stdout(), "{text}"));
}

/// Bytes as they are.
pub(crate) fn raw(bytes: &[u8]) {
    give(std::io::stdout().write_all(bytes));
}

fn give(written: std::io::Result<()>) {
    if let Err(error) = written {
        // `| head` is satisfied; anything else means that the answer did not arrive.
        let code = if error.kind() == std::io::ErrorKind::BrokenPipe { 0 } else { 1 };
        std::process::exit(code);
    }
}

/// Whether a person looks at stdout.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// How many characters fit beside each other, where a person looks.
pub(crate) fn width() -> Option<usize> {
    if is_terminal() { Table::new().width().map(usize::from) } else { None }
}

/// A line of data that is folded between words where it is too long for the terminal; what follows stands below the indentation.
pub(crate) fn folded(indent: usize, style: Style, text: &str) {
    let width = width().map_or(usize::MAX, |width| width.max(indent + WORDS_MIN));
    for row in fold(indent, text, width) {
        line(&format!("{style}{row}{style:#}"));
    }
}

fn fold(indent: usize, text: &str, width: usize) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    let (mut row, mut length) = (String::new(), 0);
    for (index, word) in text.split(' ').enumerate() {
        let count = word.chars().count();
        if index > 0 && length > indent && length + 1 + count > width {
            rows.push(std::mem::replace(&mut row, " ".repeat(indent)));
            length = indent;
        } else if index > 0 {
            row.push(' ');
            length += 1;
        }
        row.push_str(word);
        length += count;
    }
    rows.push(row);
    rows
}

/// A table with these headings.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    if TALK.get().is_none_or(|talk| talk.has_headings) {
        table.set_header(headings.iter().map(|heading| heading.to_uppercase()).collect::<Vec<_>>());
    }
    let is_wide = TALK.get().is_some_and(|talk| talk.is_wide);
    let arrangement = if is_terminal() && !is_wide { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
    table.set_content_arrangement(arrangement);
    table
}

/// Writes a table, without blanks at the ends of lines.
pub(crate) fn show(table: &Table) {
    for row in table.trim_fmt().lines() {
        line(row.strip_prefix(' ').unwrap_or(row));
    }
}

/// How instants are written: for people by the clock of the store, for programs as RFC 3339.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    pub(crate) now: Timestamp,
    pub(crate) zone: TimeZone,
    /// The same zone, as the core's sentences take it.
    pub(crate) words: Zone,
    /// How wide the terminal is, where there is one.
    pub(crate) width: Option<usize>,
    pub(crate) is_wide: bool,
}

impl Times {
    /// In a table: `in 3 days · 2026-03-27 09:00 UTC` on a terminal, only the second half on a narrow one, RFC 3339 when piped.
    pub(crate) fn cell(&self, at: Timestamp) -> String {
        match self.width {
            None => at.to_string(),
            Some(width) if width < WIDE_ENOUGH && !self.is_wide => self.minute(at),
            Some(_) => format!("{} · {}", self.seen_from_now(at), self.minute(at)),
        }
    }

    /// To the minute: `2026-03-27 09:00 UTC`.
    pub(crate) fn minute(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }

    /// In a sentence: `2026-03-27 09:00 UTC (in 3 days)` on a terminal, RFC 3339 when piped.
    pub(crate) fn said(&self, at: Timestamp) -> String {
        if self.width.is_some() { format!("{} ({})", self.local(at), self.seen_from_now(at)) } else { at.to_string() }
    }

    /// The same, a dash for none.
    pub(crate) fn cell_or_dash(&self, at: Option<Timestamp>) -> String {
        at.map_or_else(|| "-".to_owned(), |at| self.cell(at))
    }

    /// A reason in one sentence.
    pub(crate) fn sentence(&self, reason: &Reason) -> String {
        reason.sentence(&self.words)
    }

    /// To the second, where it has some: `2026-03-27 09:00:12 UTC`.
    pub(crate) fn local(&self, at: Timestamp) -> String {
        let zoned = at.to_zoned_datetime(self.zone.clone());
        let pattern = if zoned.datetime().time().second() == 0 { "%Y-%m-%d %H:%M %Z" } else { "%Y-%m-%d %H:%M:%S %Z" };
        zoned.strftime(pattern).to_string()
    }

    /// `in 3 days`, `2 hours ago`, `now`.
    pub(crate) fn seen_from_now(&self, at: Timestamp) -> String {
        let span = at.duration_since(self.now);
        let words = rough(span.abs());
        match (words.as_str(), span.is_negative()) {
            ("", _) => "now".to_owned(),
            (words, true) => format!("{words} ago"),
            (words, false) => format!("in {words}"),
        }
    }
}

/// A span in the words of a person: the greatest unit that fits twice, or once; empty below a second.
pub(crate) fn rough(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    for (unit, length) in [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)] {
        let count = seconds / length;
        if count >= 1 {
            let plural = if count == 1 { "" } else { "s" };
            return format!("{count} {unit}{plural}");
        }
    }
    String::new()
}

/// The text where it fits, else its beginning.
pub(crate) fn cut(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let kept: String = text.chars().take(length.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A bar whose length is `count` of `largest`, in eighths of a character; never empty for a count above zero.
pub(crate) fn bar(count: u64, largest: u64, width: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if count == 0 || largest == 0 {
        return String::new();
    }
    let eighths = u128::from(count) * u128::from(width) * 8 / u128::from(largest);
    let eighths = usize::try_from(eighths.max(1)).unwrap_or(usize::MAX);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    //! Goal: spans and bars read as a person would write them. Method: tables.
    use super::*;

    fn check(seconds: i64, expected: &str) {
        let now = Timestamp::UNIX_EPOCH;
        let times = Times { now, zone: TimeZone::UTC, words: Zone::utc(), width: Some(80), is_wide: false };
        assert_eq!(times.seen_from_now(now + SignedDuration::from_secs(seconds)), expected);
    }

    #[test]
    fn spans_are_said_in_words() {
        check(0, "now");
        check(1, "in 1 second");
        check(-90, "1 minute ago");
        check(3 * 86_400, "in 3 days");
        check(-7_200, "2 hours ago");
    }

    #[test]
    fn long_lines_are_folded_between_words() {
        let check = |indent, text: &str, expected: &[&str]| assert_eq!(fold(indent, text, 12), expected);
        check(2, "- one two three four", &["- one two", "  three four"]);
        check(0, "short", &["short"]);
        check(2, "  - a-word-that-is-too-long b", &["  -", "  a-word-that-is-too-long", "  b"]);
        assert_eq!(fold(4, "  - one  two", usize::MAX), ["  - one  two"]);
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abc def", 5), "abc…");
    }

    #[test]
    fn nothing_of_a_text_hides_or_turns_what_a_person_reads() {
        assert_eq!(visible("a/ok å\tx"), "a/ok å\tx");
        assert_eq!(visible("a/\u{202e}gpj\u{200b}"), "a/\\u{202e}gpj\\u{200b}");
        assert_eq!(visible("a\u{1b}[2Jb\u{1b}[8m\r"), "a\\u{1b}[2Jb\\u{1b}[8m\\u{d}");
        let bold = format!("{BOLD}a\u{7}{BOLD:#} {RED}b{RED:#}");
        assert_eq!(visible(&bold), format!("{BOLD}a\\u{{7}}{BOLD:#} {RED}b{RED:#}"));
    }

    #[test]
    fn hints_can_be_given_to_a_shell_as_they_are() {
        assert_eq!(quoted("account/42"), "account/42");
        assert_eq!(quoted("account/'; drop $x"), "'account/'\\''; drop $x'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn bars_show_every_count_above_zero() {
        assert_eq!(bar(0, 10, 4), "");
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(bar(5, 10, 3), "█▌");
        assert_eq!(bar(1, 1_000_000, 4), "▏");
    }
}
