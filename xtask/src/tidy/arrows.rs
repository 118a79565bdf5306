//! Which crate may depend on which: decide ← do ← join ← show, and no other edge.
//!
//! Dependencies for tests are free as long as they close no cycle.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::manifest::{self, Purpose};
use super::tree::Tree;

/// Each crate and the crates of ours it may use. The helper binary `xtask` may use all and is used by none.
const ARROWS: &[(&str, &[&str])] = &[
    ("hence-core", &[]),
    ("hence-store", &["hence-core"]),
    ("hence-dispatch", &["hence-core"]),
    ("hence", &["hence-core", "hence-store", "hence-dispatch"]),
    // The simulator, for developers only: nothing is built on it.
    ("hence-simulation", &["hence-core", "hence-store", "hence-dispatch", "hence"]),
    ("hence-server", &["hence"]),
    ("chat", &["hence"]),
    // Starts database servers for tests, benches and the demo; knows nothing of Hence.
    ("hence-servers", &[]),
    // The same trial without Hence, to compare with.
    ("chat-batch", &[]),
    // `hence demo` plays the example, on a server of its own if asked to.
    ("hence-cli", &["hence-server", "hence", "chat", "hence-servers"]),
    // Programs that embed it.
    ("embedding", &["hence"]),
    ("beside-sqlx", &["hence"]),
    // Measures the library, and the built binary as a process.
    ("hence-proof", &["hence", "hence-servers"]),
];

/// Edges that are not in the table, crates that are not, and cycles through tests.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = manifest::read(tree);
    let ours: BTreeSet<&str> = manifests.iter().map(|manifest| manifest.name.as_str()).collect();
    let reach = reach();
    let mut findings = Vec::new();
    for manifest in manifests.iter().filter(|manifest| manifest.name != "xtask") {
        let name = manifest.name.as_str();
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            let message = format!("the crate `{name}` has no place yet; say in xtask/src/tidy/arrows.rs what it may use");
            findings.push(Finding::new(&manifest.path, 1, message));
            continue;
        };
        for used in manifest.dependencies.iter().filter(|used| ours.contains(used.name.as_str())) {
            let message = match used.purpose {
                Purpose::Normal if !allowed.contains(&used.name.as_str()) => format!(
                    "`{name}` must not use `{}`; it may use {}. Move the code to where both can see it",
                    used.name,
                    list(allowed)
                ),
                Purpose::Development if reach.get(used.name.as_str()).is_some_and(|below| below.contains(name)) => {
                    format!("the tests of `{name}` use `{}`, which is built on it; move the test there", used.name)
                }
                _ => continue,
            };
            findings.push(Finding::new(&manifest.path, used.line, message));
        }
    }
    findings
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        return "none of ours".to_owned();
    }
    names.join(", ")
}

/// For each crate all it may use, directly or not. The table is in order, so one pass is enough.
fn reach() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut reach: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, uses) in ARROWS {
        let mut all: BTreeSet<&str> = uses.iter().copied().collect();
        for used in *uses {
            all.extend(reach.get(used).into_iter().flatten());
        }
        reach.insert(name, all);
    }
    reach
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::check;

    fn found(name: &str, section: &str, used: &str) -> String {
        let path = format!("crates/{name}/Cargo.toml");
        let text = format!("[{section}]\n{used} = {{ workspace = true }}\n");
        let other = format!("crates/{used}/Cargo.toml");
        shown(check, &[(&path, &text), (&other, "[package]\n")])
    }

    #[test]
    fn arrows_of_the_design_pass() {
        for (name, used) in [("hence-store", "hence-core"), ("hence", "hence-dispatch"), ("hence-server", "hence")] {
            assert_eq!(found(name, "dependencies", used), "", "{name} {used}");
        }
    }

    #[test]
    fn every_other_arrow_is_found() {
        for (name, used) in [
            ("hence-core", "hence-store"),
            ("hence-store", "hence-dispatch"),
            ("hence-dispatch", "hence-store"),
            ("hence-server", "hence-store"),
            ("hence-cli", "hence-core"),
            ("hence", "hence-server"),
        ] {
            let found = found(name, "dependencies", used);
            assert!(found.starts_with(&format!("crates/{name}/Cargo.toml:2 `{name}` must not use `{used}`")), "{found}");
        }
    }

    #[test]
    fn tests_may_use_what_is_beside_or_below_but_not_what_is_above() {
        assert_eq!(found("hence-cli", "dev-dependencies", "hence-store"), "");
        assert_eq!(found("hence-store", "dev-dependencies", "hence-dispatch"), "");
        assert!(found("hence-core", "dev-dependencies", "hence").contains("is built on it"));
    }

    #[test]
    fn a_new_crate_must_be_given_a_place() {
        let found = shown(check, &[("crates/hence-new/Cargo.toml", "[package]\n")]);
        assert!(found.contains("has no place yet"), "{found}");
    }
}
