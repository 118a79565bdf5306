//! No open ends without an issue number, and no path of somebody's machine.

use super::Finding;
use super::rust::RustFile;
use super::tree::{Tree, extension};

/// Words that promise something.
const OPEN_ENDS: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Kinds of files in which such a word is a comment of the author; prose may speak of the word.
const CODE: [&str; 9] = ["rs", "sql", "toml", "sh", "run", "html", "css", "js", "j2"];

/// Folders that exist on one machine only.
const MACHINE: [&str; 4] = ["/work/", "/root/", "/home/", "/Users/"];

/// `TODO` without `#12` on its line. Strings of Rust files do not count.
pub(super) fn check_open_ends(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts.iter().filter(|(path, _)| CODE.contains(&extension(path))) {
        let rust = tree.rust.iter().find(|file| file.path == *path);
        for (index, line) in text.lines().enumerate() {
            let Some((word, column)) = open_end(line) else {
                continue;
            };
            let is_string = rust.is_some_and(|file| is_in_string(file, index + 1, column));
            if !is_string && !has_issue(line) {
                let message = format!("`{word}` without an issue number; do it now, or write `{word}(#12)`");
                findings.push(Finding::new(path, index + 1, message));
            }
        }
    }
    findings
}

/// Absolute paths into a home or a checkout, in any text.
pub(super) fn check_machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in &tree.texts {
        for (index, line) in text.lines().enumerate() {
            if let Some(found) = MACHINE.iter().find(|folder| is_named(line, folder)) {
                let message = format!("`{found}` exists on one machine only; write the path relative to the repository");
                findings.push(Finding::new(path, index + 1, message));
            }
        }
    }
    findings
}

/// The first such word, and the column it begins in.
fn open_end(line: &str) -> Option<(&'static str, usize)> {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    OPEN_ENDS.iter().find_map(|word| {
        let (start, _) = line.match_indices(word).find(|(start, _)| {
            let before = line[..*start].chars().next_back();
            let after = line[start + word.len()..].chars().next();
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })?;
        Some((*word, line[..start].chars().count()))
    })
}

fn is_in_string(file: &RustFile, line: usize, column: usize) -> bool {
    file.tokens.iter().filter(|token| token.string().is_some()).any(|token| {
        let is_after = (token.line, token.column) <= (line, column);
        is_after && (line, column) < (token.last_line, token.last_column)
    })
}

fn has_issue(line: &str) -> bool {
    line.split('#').skip(1).any(|rest| rest.starts_with(|char: char| char.is_ascii_digit()))
}

/// Whether the folder begins a path; `https://example.com/home/` names no folder.
fn is_named(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|char| char.is_alphanumeric() || "._-}~*".contains(char))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::{check_machine_paths, check_open_ends};

    #[test]
    fn an_open_end_needs_an_issue() {
        assert_eq!(lines(check_open_ends, "crates/hence/src/a.rs", "//! A.\n// TODO later\nfn f() {}\n"), [2]);
        assert_eq!(lines(check_open_ends, "crates/hence/src/a.rs", "//! A.\n/// FIXME: wrong.\nfn f() {}\n"), [2]);
        assert_eq!(lines(check_open_ends, "a/b.sql", "-- A.\n-- TODO index\n"), [2]);
        assert_eq!(lines(check_open_ends, "crates/hence/src/a.rs", "// TODO(#12): later\nfn f() {}\n"), []);
    }

    #[test]
    fn strings_names_and_prose_may_say_the_word() {
        assert_eq!(lines(check_open_ends, "crates/hence/src/a.rs", "const A: &str = \"TODO\";\nconst TODO_MAX: u8 = 1;\n"), []);
        assert_eq!(lines(check_open_ends, "CONTRIBUTING.md", "No `TODO` without an issue.\n"), []);
    }

    #[test]
    fn paths_of_a_machine_are_found_and_addresses_are_not() {
        assert_eq!(lines(check_machine_paths, "docs/a.md", "See /home/me/hence.\nfile:///root/x\n"), [1, 2]);
        assert_eq!(lines(check_machine_paths, "docs/a.md", "https://example.com/home/ and ~/work/ and ./work/a\n"), []);
    }
}
