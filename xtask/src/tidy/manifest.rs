//! What the `Cargo.toml` files of the members say: dependencies, features; versions stand in the workspace table only.

use toml::{Table, Value};

use super::Finding;
use super::tree::{Tree, crate_of};

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To build and to run.
    Normal,
    /// For tests, benches and examples.
    Development,
}

/// One dependency of a member.
#[derive(Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) purpose: Purpose,
    pub(super) line: usize,
    is_from_workspace: bool,
}

/// A member's manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) path: String,
    /// The folder's name, which is the crate's.
    pub(super) name: String,
    pub(super) dependencies: Vec<Dependency>,
    features: Vec<String>,
}

/// Dependencies that carry a version, a path or a source of their own.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in read(tree) {
        for dependency in manifest.dependencies.iter().filter(|dependency| !dependency.is_from_workspace) {
            let name = &dependency.name;
            let message = format!(
                "`{name}` has its own version; put it under [workspace.dependencies] of the root and write `{name} = {{ workspace = true }}` here"
            );
            findings.push(Finding::new(&manifest.path, dependency.line, message));
        }
    }
    findings
}

/// The crates under `crates/` with at least one feature that can be switched.
pub(super) fn crates_with_features(tree: &Tree) -> Vec<String> {
    read(tree)
        .into_iter()
        .filter(|manifest| manifest.path.starts_with("crates/"))
        .filter(|manifest| manifest.features.iter().any(|feature| feature != "default"))
        .map(|manifest| manifest.name)
        .collect()
}

/// The manifests of all members; one that is no TOML is cargo's to report.
pub(super) fn read(tree: &Tree) -> Vec<Manifest> {
    tree.texts
        .iter()
        .filter(|(path, _)| path.ends_with("/Cargo.toml") && !crate_of(path).is_empty())
        .filter_map(|(path, text)| {
            let table: Table = text.parse().ok()?;
            Some(Manifest {
                path: path.clone(),
                name: crate_of(path).to_owned(),
                dependencies: dependencies(&table, text),
                features: table
                    .get("features")
                    .and_then(Value::as_table)
                    .map(|features| features.keys().cloned().collect())
                    .unwrap_or_default(),
            })
        })
        .collect()
}

fn dependencies(table: &Table, text: &str) -> Vec<Dependency> {
    let mut tables = vec![table];
    if let Some(targets) = table.get("target").and_then(Value::as_table) {
        tables.extend(targets.values().filter_map(Value::as_table));
    }
    let kinds =
        [("dependencies", Purpose::Normal), ("build-dependencies", Purpose::Normal), ("dev-dependencies", Purpose::Development)];
    let mut found = Vec::new();
    for (section, purpose) in kinds {
        for entries in tables.iter().filter_map(|table| table.get(section)?.as_table()) {
            for (name, value) in entries {
                found.push(Dependency {
                    name: name.clone(),
                    purpose,
                    line: line_of(text, section, name),
                    is_from_workspace: is_from_workspace(value),
                });
            }
        }
    }
    found
}

fn is_from_workspace(value: &Value) -> bool {
    let Some(table) = value.as_table() else {
        return false;
    };
    // A crate that names itself asks for its own features in its tests; there is no version in that.
    if table.get("path").and_then(Value::as_str) == Some(".") {
        return true;
    }
    let own = ["version", "path", "git", "registry"];
    table.get("workspace").and_then(Value::as_bool) == Some(true) && !own.iter().any(|key| table.contains_key(*key))
}

/// The line of `name` in the last section before it that ends with `section`; 1 when it is written in another way.
fn line_of(text: &str, section: &str, name: &str) -> usize {
    let mut is_inside = false;
    for (index, line) in text.lines().enumerate() {
        if let Some(title) = line.trim().strip_prefix('[') {
            let title = title.trim_end_matches(']');
            let parts: Vec<_> = title.rsplit('.').collect();
            is_inside = parts[0] == section;
            if parts.len() > 1 && parts[1] == section && parts[0] == name {
                return index + 1;
            }
        }
        let key = line.split(['=', '.']).next().unwrap_or("").trim();
        if is_inside && key == name {
            return index + 1;
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::super::tree::Tree;
    use super::{check, crates_with_features};

    const PATH: &str = "crates/hence/Cargo.toml";

    fn found(text: &str) -> Vec<String> {
        let shown = shown(check, &[(PATH, text)]);
        shown.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn versions_stand_in_the_workspace_table() {
        assert!(found("[dependencies]\na = { workspace = true, features = [\"x\"] }\nb.workspace = true\n").is_empty());
        assert!(found("[dev-dependencies]\nhence = { path = \".\", features = [\"x\"] }\n").is_empty());
        assert_eq!(found("[dependencies]\na = \"1\"\n"), ["crates/hence/Cargo.toml:2"]);
        assert_eq!(found("[dev-dependencies]\na = { version = \"1\" }\n"), ["crates/hence/Cargo.toml:2"]);
        assert_eq!(found("[target.'cfg(unix)'.dependencies]\na = { path = \"../a\" }\n"), ["crates/hence/Cargo.toml:2"]);
        assert_eq!(found("[dependencies.a]\nversion = \"1\"\n"), ["crates/hence/Cargo.toml:1"]);
    }

    #[test]
    fn the_root_may_name_versions() {
        assert_eq!(shown(check, &[("Cargo.toml", "[workspace.dependencies]\na = \"1\"\n")]), "");
    }

    #[test]
    fn a_crate_with_only_default_has_nothing_to_switch() {
        let tree = Tree::of(&[
            ("crates/a/Cargo.toml", "[features]\ndefault = []\n"),
            ("crates/b/Cargo.toml", "[features]\ndefault = [\"x\"]\nx = []\n"),
            ("crates/c/Cargo.toml", "[package]\n"),
            ("xtask/Cargo.toml", "[features]\nx = []\n"),
        ]);
        assert_eq!(crates_with_features(&tree), ["b"]);
    }
}
