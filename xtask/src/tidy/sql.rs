//! Statements: one per file with a comment at its head, columns named, time a parameter, every file used.
//!
//! That each statement can be prepared, and by which index it runs, is tested where the databases are.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::{Tree, crate_of};

const BACKENDS: [&str; 2] = ["sqlite", "postgres"];

/// Areas that need not be the same for both backends: each has its own history.
const OWN_AREAS: [&str; 1] = ["migrations"];

/// Words that stand still in a transaction, or read a clock nobody can turn.
const CLOCKS: [&str; 6] =
    ["current_timestamp", "current_date", "current_time", "localtimestamp", "transaction_timestamp", "statement_timestamp"];

/// All rules about `.sql` files.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut places = Vec::new();
    for (path, text) in tree.texts_ending("sql") {
        if !text.trim_start().starts_with("--") {
            let message = "does not begin with a `--` comment; say what it does, who calls it, which index serves it, what the parameters are";
            findings.push(Finding::new(path, 1, message));
        }
        findings.extend(check_text(path, text));
        match Place::of(path, text) {
            Some(Ok(place)) => places.push(place),
            Some(Err(())) => {
                let message =
                    "stands in the wrong place; statements are sql/<backend>/<area>/<name>.sql, backend sqlite or postgres";
                findings.push(Finding::new(path, 1, message));
            }
            None => {}
        }
    }
    findings.extend(check_use(tree, &places));
    findings.extend(check_pairs(&places));
    findings
}

/// A statement's file, `…/sql/<backend>/<area>/<name>.sql`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    path: &'a str,
    backend: &'a str,
    area: &'a str,
    name: &'a str,
    /// Whether it says why the other backend has none of its kind.
    is_alone: bool,
}

impl<'a> Place<'a> {
    /// None for files outside of a folder `sql`.
    fn of(path: &'a str, text: &str) -> Option<Result<Self, ()>> {
        let (_, below) = path.split_once("/sql/")?;
        let parts: Vec<_> = below.split('/').collect();
        let place = match parts.as_slice() {
            [backend, area, file] if BACKENDS.contains(backend) => {
                let is_alone = text.starts_with(&format!("-- Only {backend}: "));
                Ok(Self { path, backend, area, name: file.trim_end_matches(".sql"), is_alone })
            }
            _ => Err(()),
        };
        Some(place)
    }
}

/// A word or mark of a statement, in small letters, with its line; or a string.
struct Word {
    text: String,
    line: usize,
    is_string: bool,
}

fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let words = words(text);
    let at = |index: usize| words.get(index).map_or("", |word| word.text.as_str());
    let mut findings = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let before = index.checked_sub(1).map_or("", at);
        let message = match word.text.as_str() {
            "now" if word.is_string => "`'now'` reads the clock; give the instant as a parameter",
            _ if word.is_string => continue,
            "*" if matches!(before, "select" | "distinct" | "returning" | "," | ".") => {
                "`*` takes whatever columns there are; name them"
            }
            "now" if at(index + 1) == "(" => "`now()` stands still in a transaction; give the instant as a parameter",
            "unixepoch" if at(index + 1) == "(" && at(index + 2) == ")" => {
                "`unixepoch()` reads the clock; give the instant as a parameter"
            }
            clock if CLOCKS.contains(&clock) => "the clock stands still in a transaction; give the instant as a parameter",
            "offset" => "`offset` reads what it skips; page by the last key seen",
            _ => continue,
        };
        findings.push(Finding::new(path, word.line, message));
    }
    findings
}

/// Cuts SQL into words; comments are left out, strings kept without their quotes.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut chars = text.chars().peekable();
    let mut line = 1;
    while let Some(char) = chars.next() {
        let start = line;
        let mut word = char.to_string();
        let mut is_string = false;
        match char {
            '\n' => {
                line += 1;
                continue;
            }
            _ if char.is_whitespace() => continue,
            '-' if chars.peek() == Some(&'-') => {
                while chars.peek().is_some_and(|next| *next != '\n') {
                    chars.next();
                }
                continue;
            }
            '/' if chars.peek() == Some(&'*') => {
                let mut last = ' ';
                for next in chars.by_ref() {
                    line += usize::from(next == '\n');
                    if last == '*' && next == '/' {
                        break;
                    }
                    last = next;
                }
                continue;
            }
            '\'' => {
                word.clear();
                is_string = true;
                for next in chars.by_ref().take_while(|next| *next != '\'') {
                    line += usize::from(next == '\n');
                    word.push(next);
                }
            }
            _ if is_word(char) => {
                while let Some(next) = chars.next_if(|next| is_word(*next)) {
                    word.push(next);
                }
            }
            _ => {}
        }
        words.push(Word { text: word.to_lowercase(), line: start, is_string });
    }
    words
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_' || char == '$'
}

/// Each file is named by its crate: `include_str!("../sql/sqlite/due/next.sql")`, or `"due/next"` given to a macro that
/// includes it.
fn check_use(tree: &Tree, places: &[Place<'_>]) -> Vec<Finding> {
    let is_named_by = |place: &Place<'_>, text: &str| {
        let parts: Vec<_> = text.trim_end_matches(".sql").split('/').filter(|part| !matches!(*part, "." | ".." | "")).collect();
        let wanted = ["sql", place.backend, place.area, place.name];
        let skip = wanted.len().saturating_sub(parts.len());
        parts.len() >= 2 && parts[parts.len().saturating_sub(wanted.len())..] == wanted[skip..]
    };
    let is_used = |place: &&Place<'_>| {
        tree.rust
            .iter()
            .filter(|file| crate_of(&file.path) == crate_of(place.path))
            .flat_map(|file| &file.tokens)
            .filter_map(|token| token.string())
            .any(|text| is_named_by(place, text))
    };
    let message = "is used by nobody; include it with `include_str!` or remove it";
    places.iter().filter(|place| !is_used(place)).map(|place| Finding::new(place.path, 1, message)).collect()
}

/// Once both backends are there, what one has the other has under the same name, unless the statement says that and why it stands alone.
fn check_pairs(places: &[Place<'_>]) -> Vec<Finding> {
    let has = |backend: &str| places.iter().any(|place| place.backend == backend);
    if !BACKENDS.iter().all(|backend| has(backend)) {
        return Vec::new();
    }
    let names: BTreeSet<_> = places.iter().map(|place| (crate_of(place.path), place.backend, place.area, place.name)).collect();
    let mut findings = Vec::new();
    for place in places.iter().filter(|place| !OWN_AREAS.contains(&place.area) && !place.is_alone) {
        let other = BACKENDS[usize::from(place.backend == BACKENDS[0])];
        if !names.contains(&(crate_of(place.path), other, place.area, place.name)) {
            let message = format!(
                "has no sql/{other}/{}/{}.sql; both backends have the same statements, or say `Only {}: …`",
                place.area, place.name, place.backend
            );
            findings.push(Finding::new(place.path, 1, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::check;

    const SQLITE: &str = "crates/hence-store/sql/sqlite/due/next.sql";
    const POSTGRES: &str = "crates/hence-store/sql/postgres/due/next.sql";
    const GOOD: &str = "-- The next due tasks; called by the look-ahead.\nselect id, count(*) from task where due_at <= $1 order by due_at limit $2;\n";
    const USER: (&str, &str) =
        ("crates/hence-store/src/a.rs", "//! A.\nconst A: &str = include_str!(\"../sql/sqlite/due/next.sql\");");

    fn found(text: &str) -> String {
        shown(check, &[(SQLITE, text), USER])
    }

    #[test]
    fn a_statement_by_the_rules_passes() {
        assert_eq!(found(GOOD), "");
        assert_eq!(found("-- now() in a comment, select *\nselect a * b, 'offset' from c where d = 'it''s';"), "");
    }

    #[test]
    fn a_statement_begins_with_a_comment() {
        assert!(found("select id from task;").contains("next.sql:1 does not begin with a `--` comment"));
    }

    #[test]
    fn columns_are_named_time_is_given_and_pages_have_keys() {
        for text in [
            "select * from task",
            "select t.* from task t",
            "select distinct * from task",
            "delete from task returning *",
            "select id from task where due_at <= now()",
            "select id from task where due_at <= NOW ()",
            "insert into task (at) values (current_timestamp)",
            "select datetime('now')",
            "select unixepoch()",
            "select id from task limit 10 offset 20",
        ] {
            let found = found(&format!("-- Comment.\n{text};\n"));
            assert_eq!(found.lines().count(), 1, "{text}: {found}");
            assert!(found.contains("next.sql:2 "), "{text}: {found}");
        }
    }

    #[test]
    fn a_statement_stands_in_its_backend_and_area() {
        let found = shown(check, &[("crates/hence-store/sql/next.sql", GOOD)]);
        assert!(found.contains("stands in the wrong place"), "{found}");
        assert_eq!(shown(check, &[("examples/chat/src/schema.sql", "-- Accounts.\n")]), "");
    }

    #[test]
    fn a_statement_nobody_uses_is_found() {
        assert!(shown(check, &[(SQLITE, GOOD)]).contains("is used by nobody"));
        let macro_user = ("crates/hence-store/src/a.rs", "//! A.\nstatements! { next: \"due/next\" }");
        assert_eq!(shown(check, &[(SQLITE, GOOD), macro_user]), "");
        let other = ("crates/hence-store/src/a.rs", "//! A.\nconst A: &str = include_str!(\"../sql/postgres/due/next.sql\");");
        assert!(shown(check, &[(SQLITE, GOOD), other]).contains("is used by nobody"));
    }

    #[test]
    fn both_backends_have_the_same_statements() {
        let user = (
            "crates/hence-store/src/a.rs",
            "//! A.\nstatements! { a: \"due/next\", b: \"due/last\", c: \"migrations/0001_first\" }",
        );
        let last = "crates/hence-store/sql/sqlite/due/last.sql";
        let migration = "crates/hence-store/sql/sqlite/migrations/0001_first.sql";
        let found = shown(check, &[(SQLITE, GOOD), (POSTGRES, GOOD), (last, GOOD), (migration, GOOD), user]);
        assert_eq!(
            found,
            "crates/hence-store/sql/sqlite/due/last.sql:1 has no sql/postgres/due/last.sql; both backends have the same statements, or say `Only sqlite: …`"
        );
        let alone = format!("-- Only sqlite: the other has no such thing. {GOOD}");
        assert_eq!(shown(check, &[(SQLITE, GOOD), (POSTGRES, GOOD), (last, &alone), (migration, GOOD), user]), "");
    }
}
