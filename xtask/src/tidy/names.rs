//! Names that say nothing of what is inside, for files, folders and modules.

use super::Finding;
use super::tree::Tree;

/// What a thing that owns something is not called.
const EMPTY: [&str; 11] =
    ["util", "utils", "utility", "utilities", "common", "helper", "helpers", "manager", "misc", "data", "stuff"];

/// Rust and SQL files, their folders, and modules written inside a file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in tree.texts.keys().filter(|path| path.ends_with(".rs") || path.ends_with(".sql")) {
        for part in path.split('/') {
            let name = part.split('.').next().unwrap_or(part);
            if EMPTY.contains(&name) {
                findings.push(Finding::new(path, 1, message(name, "file")));
            }
        }
    }
    for file in &tree.rust {
        for (index, token) in file.tokens.iter().enumerate() {
            let name = file.text(index + 1);
            let is_inside = token.text == "mod" && file.text(index + 2) == "{";
            if is_inside && EMPTY.contains(&name) {
                findings.push(Finding::new(&file.path, token.line, message(name, "module")));
            }
        }
    }
    findings
}

fn message(name: &str, what: &str) -> String {
    format!("`{name}` says nothing of what is inside; name the {what} after what it owns")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{lines, shown};
    use super::check;

    #[test]
    fn empty_names_are_refused_for_files_folders_and_modules() {
        for path in ["crates/hence/src/utils.rs", "crates/hence/src/common/a.rs", "crates/hence/tests/it/helpers.rs"] {
            assert_eq!(lines(check, path, "//! A."), [1], "{path}");
        }
        assert_eq!(lines(check, "crates/hence/src/a.rs", "//! A.\nmod misc {\n}\n"), [2]);
        assert_eq!(shown(check, &[("crates/hence-store/sql/sqlite/data/a.sql", "")]).lines().count(), 1);
    }

    #[test]
    fn names_that_merely_contain_such_a_word_pass() {
        for path in ["crates/hence/src/database.rs", "crates/hence/src/data_directory.rs", "docs/data.md"] {
            assert_eq!(shown(check, &[(path, "//! A.")]), "", "{path}");
        }
    }
}
