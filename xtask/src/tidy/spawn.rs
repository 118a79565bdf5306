//! No detached tasks: what is spawned is kept and joined by an owner.

use super::Finding;
use super::tree::Tree;

/// Ends of paths that start something and give a handle.
const SPAWNS: &[&str] = &["tokio::spawn", "task::spawn", "task::spawn_blocking", "task::spawn_local", "thread::spawn"];

/// Spawns whose handle is dropped at once: `tokio::spawn(…);`, `let _ = tokio::spawn(…)`, `drop(tokio::spawn(…))`.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        for named in file.named().into_iter().filter(|named| !file.is_test_line(named.line)) {
            if !SPAWNS.iter().any(|end| named.ends_with(end)) || file.text(named.next) != "(" {
                continue;
            }
            let before = |steps: usize| named.first.checked_sub(steps).map_or("", |index| file.text(index));
            let after = file.text(file.tokens[named.next].partner + 1);
            let is_statement = after == ";" && matches!(before(1), "" | "{" | "}" | ";");
            let is_ignored = before(1) == "=" && before(2) == "_";
            let is_dropped = before(1) == "(" && before(2) == "drop";
            if is_statement || is_ignored || is_dropped {
                let message = format!(
                    "the handle of `{}` is dropped; keep it (a `JoinSet`, a field) and join it when its owner stops",
                    named.path
                );
                findings.push(Finding::new(&file.path, named.line, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::check;

    const PATH: &str = "crates/hence/src/a.rs";

    #[test]
    fn a_dropped_handle_is_found() {
        for text in [
            "fn f() { tokio::spawn(async move { g().await; }); }",
            "fn f() { g(); tokio::spawn(h()); }",
            "use tokio::task; fn f() { let _ = task::spawn_blocking(g); }",
            "fn f() { drop(std::thread::spawn(g)); }",
        ] {
            assert_eq!(lines(check, PATH, text), [1], "{text}");
        }
    }

    #[test]
    fn a_kept_handle_passes() {
        for text in [
            "fn f() { let pump = tokio::spawn(g()); pump.await; }",
            "fn f() { set.spawn(g()); }",
            "fn f() -> JoinHandle<()> { tokio::spawn(g()) }",
            "fn f() { tokio::spawn(g()).await; }",
            "fn f() { Node { pump: tokio::spawn(g()), } }",
            "fn f() { handles.push(tokio::spawn(g())); }",
            "#[test]\nfn f() { tokio::spawn(g()); }",
        ] {
            assert_eq!(lines(check, PATH, text), [0_usize; 0], "{text}");
        }
    }
}
