//! Every error code has a page that says what to do, and every page belongs to a code.

use std::collections::BTreeMap;

use super::Finding;
use super::tree::Tree;

const FOLDER: &str = "docs/errors/";
const PREFIX: &str = "HNC-";
const DIGITS: usize = 4;

/// Codes without a page, pages without a code, pages with the wrong head.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let used = used(tree);
    for (code, (path, line)) in &used {
        if !tree.texts.contains_key(&format!("{FOLDER}{code}.md")) {
            let message = format!("`{code}` has no page; write {FOLDER}{code}.md: what happened, why, what to do");
            findings.push(Finding::new(path, *line, message));
        }
    }
    for (path, text) in tree.texts.iter().filter(|(path, _)| path.starts_with(FOLDER)) {
        let name = path[FOLDER.len()..].trim_end_matches(".md");
        if codes(name).next() != Some(name) {
            continue;
        }
        if !used.contains_key(name) {
            findings.push(Finding::new(
                path,
                1,
                format!("no code in crates/*/src or crates/*/sql gives `{name}`; remove the page"),
            ));
        }
        let rest = text.strip_prefix("# ").and_then(|text| text.strip_prefix(name));
        if rest.is_none_or(|rest| rest.starts_with(|char: char| char.is_ascii_digit())) {
            findings.push(Finding::new(path, 1, format!("does not begin with `# {name}`; `hence explain` shows it by its head")));
        }
    }
    findings
}

/// The codes given by the sources and by functions in SQL, tests left out, each with the place that names it first.
fn used(tree: &Tree) -> BTreeMap<String, (String, usize)> {
    let mut used = BTreeMap::new();
    for file in tree.rust_below("crates/").filter(|file| file.path.contains("/src/")) {
        for token in file.tokens.iter().filter(|token| !file.is_test_line(token.line)) {
            for code in token.string().into_iter().flat_map(codes) {
                used.entry(code.to_owned()).or_insert_with(|| (file.path.clone(), token.line));
            }
        }
    }
    for (path, text) in tree.texts_ending("sql").filter(|(path, _)| path.contains("/sql/")) {
        for (line, text) in (1..).zip(text.lines()) {
            for code in codes(text) {
                used.entry(code.to_owned()).or_insert_with(|| (path.to_owned(), line));
            }
        }
    }
    used
}

/// The codes in a text, `HNC-` and four digits each.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(PREFIX).filter_map(|(start, _)| {
        let end = start + PREFIX.len() + DIGITS;
        let digits = text.get(start + PREFIX.len()..end)?;
        let is_longer = text[end..].starts_with(|char: char| char.is_ascii_digit());
        (digits.bytes().all(|byte| byte.is_ascii_digit()) && !is_longer).then(|| &text[start..end])
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::check;

    const CODE: (&str, &str) = ("crates/hence/src/a.rs", "//! HNC-0001 in words.\n\nconst A: &str = \"HNC-0104\";\n");

    #[test]
    fn a_code_with_its_page_passes() {
        let overview = ("docs/errors/README.md", "All codes.\n");
        assert_eq!(shown(check, &[CODE, ("docs/errors/HNC-0104.md", "# HNC-0104: no such calendar\n"), overview]), "");
    }

    #[test]
    fn a_code_without_a_page_is_found() {
        assert!(shown(check, &[CODE]).starts_with("crates/hence/src/a.rs:3 `HNC-0104` has no page"));
    }

    #[test]
    fn a_page_without_a_code_or_head_is_found() {
        let found = shown(check, &[CODE, ("docs/errors/HNC-0104.md", "HNC-0104\n"), ("docs/errors/HNC-0200.md", "# HNC-0200\n")]);
        assert_eq!(found.lines().count(), 2, "{found}");
        assert!(found.contains("does not begin with `# HNC-0104`"), "{found}");
        assert!(found.contains("no code in crates/*/src or crates/*/sql gives `HNC-0200`"), "{found}");
    }
}
