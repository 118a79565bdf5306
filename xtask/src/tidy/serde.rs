//! `serde` only in modules called `format` (what we must read for years) and `wire` (bodies of the API).
//!
//! The command line, the examples and these chores print and read for themselves and are free.

use super::Finding;
use super::rust::RustFile;
use super::tree::{Tree, crate_of};

const TRAITS: [&str; 2] = ["Serialize", "Deserialize"];
const PLACES: [&str; 2] = ["format", "wire"];

/// Derived and written implementations outside of their places; tests are free.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_below("crates/").filter(|file| crate_of(&file.path) != "hence-cli" && !is_place(&file.path)) {
        let places = inner_places(file);
        for (index, token) in file.tokens.iter().enumerate() {
            if !TRAITS.contains(&token.text.as_str()) || file.is_test_line(token.line) {
                continue;
            }
            let is_inside = places.iter().any(|(open, close)| (*open..*close).contains(&index));
            if !is_inside && (is_derived(file, index) || is_implemented(file, index)) {
                let message = format!(
                    "`{}` outside of a module called `format` or `wire`; convert to a type of such a module, so that what is stored does not change with the domain",
                    token.text
                );
                findings.push(Finding::new(&file.path, token.line, message));
            }
        }
    }
    findings
}

fn is_place(path: &str) -> bool {
    path.split('/').any(|part| PLACES.contains(&part.trim_end_matches(".rs")))
}

/// The brackets of `mod format { … }` and `mod wire { … }` inside a file.
fn inner_places(file: &RustFile) -> Vec<(usize, usize)> {
    (0..file.tokens.len())
        .filter(|index| file.text(*index) == "mod" && PLACES.contains(&file.text(index + 1)) && file.text(index + 2) == "{")
        .map(|index| (index + 2, file.tokens[index + 2].partner))
        .collect()
}

/// Inside `derive(…)`.
fn is_derived(file: &RustFile, index: usize) -> bool {
    let open = (0..index).rev().find(|at| matches!(file.text(*at), "(" | ")" | "]" | "}" | ";"));
    open.is_some_and(|open| file.text(open) == "(" && open > 0 && file.text(open - 1) == "derive")
}

/// `impl Serialize for`, `impl<'de> serde::Deserialize<'de> for`; a bound (`T: Serialize`) is none.
fn is_implemented(file: &RustFile, index: usize) -> bool {
    let mut first = index;
    while first >= 2 && file.text(first - 1) == "::" {
        first -= 2;
    }
    let is_header = first > 0 && matches!(file.text(first - 1), "impl" | ">");
    let next = (index + 1..file.tokens.len()).find(|at| matches!(file.text(*at), "for" | "{" | "(" | ")" | "," | "+" | ";"));
    is_header && next.is_some_and(|next| file.text(next) == "for")
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::check;

    const DERIVED: &str = "#[derive(Debug, Clone, Serialize)]\nstruct A;";

    #[test]
    fn a_domain_type_is_not_serialised() {
        let path = "crates/hence-core/src/task.rs";
        assert_eq!(lines(check, path, DERIVED), [1]);
        assert_eq!(lines(check, path, "#[derive(serde::Deserialize)]\nstruct A;"), [1]);
        assert_eq!(lines(check, path, "impl<'de> Deserialize<'de> for A {}"), [1]);
        assert_eq!(lines(check, path, "impl serde::Serialize for A {}"), [1]);
    }

    #[test]
    fn formats_wires_and_people_are_served() {
        for path in [
            "crates/hence-core/src/definition/format.rs",
            "crates/hence-core/src/format/step.rs",
            "crates/hence-server/src/wire.rs",
            "crates/hence-cli/src/upcoming.rs",
            "examples/chat/src/a.rs",
            "xtask/src/a.rs",
            "crates/hence/tests/it/a.rs",
        ] {
            assert_eq!(lines(check, path, DERIVED), [], "{path}");
        }
    }

    #[test]
    fn a_bound_or_a_module_inside_a_file_passes() {
        let path = "crates/hence-core/src/task.rs";
        assert_eq!(lines(check, path, "fn f<T: Serialize>(value: &T) {}"), []);
        assert_eq!(lines(check, path, "impl<T: Serialize> Body for A<T> {}"), []);
        assert_eq!(lines(check, path, "mod wire {\n#[derive(Serialize)]\nstruct A;\n}"), []);
    }
}
