//! How long a file and a function may be, and that every file says what it is.
//!
//! A line of code has a token on it; comments, docs, blank lines and tests do not count.

use std::collections::BTreeSet;

use syn::visit::Visit;

use super::Finding;
use super::rust::RustFile;
use super::tree::Tree;

/// More than this fails.
const FILE_LINES_MAX: usize = 1000;
/// More than this needs a reason.
const FILE_LINES_UNEXPLAINED: usize = 600;
/// What the reason is found by.
const REASON: &str = "one thing because";
const FUNCTION_LINES_MAX: usize = 70;
/// `self` does not count.
const PARAMETERS_MAX: usize = 5;

/// Files that are too long, or long without saying why.
pub(super) fn check_files(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        let lines = code_lines(file, 1..=usize::MAX, true);
        if lines > FILE_LINES_MAX {
            let message =
                format!("{lines} lines of code, at most {FILE_LINES_MAX} are allowed; split it where the interface gets small");
            findings.push(Finding::new(&file.path, 1, message));
        } else if lines > FILE_LINES_UNEXPLAINED && !file.module_doc.contains(REASON) {
            let message = format!(
                "{lines} lines of code, over {FILE_LINES_UNEXPLAINED}; split it, or say in the `//!` doc \"This is {REASON} …\""
            );
            findings.push(Finding::new(&file.path, 1, message));
        }
    }
    findings
}

/// Functions that are too long or take too much; tests may be long.
pub(super) fn check_functions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        let mut functions = Functions { file, findings: Vec::new() };
        functions.visit_file(&file.syntax);
        findings.append(&mut functions.findings);
    }
    findings
}

/// Files that do not begin with what they are for.
pub(super) fn check_docs(tree: &Tree) -> Vec<Finding> {
    let is_missing = |file: &&RustFile| {
        let text = tree.texts.get(&file.path).map_or("", String::as_str);
        !text.starts_with("//!") || file.module_doc.trim().is_empty()
    };
    let message = |file: &RustFile| {
        let what = if file.is_test { "goal and method" } else { "what the file owns" };
        Finding::new(&file.path, 1, format!("does not begin with a `//!` doc; say {what} in the first line"))
    };
    tree.rust.iter().filter(is_missing).map(message).collect()
}

fn code_lines(file: &RustFile, within: std::ops::RangeInclusive<usize>, without_tests: bool) -> usize {
    let mut lines = BTreeSet::new();
    for token in &file.tokens {
        if within.contains(&token.line) && !(without_tests && file.is_test_line(token.line)) {
            lines.extend(token.line..=token.last_line);
        }
    }
    lines.len()
}

struct Functions<'a> {
    file: &'a RustFile,
    findings: Vec<Finding>,
}

impl Functions<'_> {
    fn check(&mut self, signature: &syn::Signature, body: Option<&syn::Block>) {
        let first = signature.fn_token.span.start().line;
        let name = &signature.ident;
        let parameters = signature.inputs.iter().filter(|input| matches!(input, syn::FnArg::Typed(_))).count();
        if parameters > PARAMETERS_MAX {
            let message =
                format!("`{name}` takes {parameters} parameters, at most {PARAMETERS_MAX} are allowed; make an options struct");
            self.findings.push(Finding::new(&self.file.path, first, message));
        }
        let Some(body) = body else {
            return;
        };
        let lines = code_lines(self.file, first..=body.brace_token.span.close().end().line, false);
        if lines > FUNCTION_LINES_MAX && !self.file.is_test_line(first) {
            let message = format!(
                "`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX} are allowed; leave the branches here and move the steps into functions of their own"
            );
            self.findings.push(Finding::new(&self.file.path, first, message));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.check(&item.sig, Some(&item.block));
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.check(&item.sig, Some(&item.block));
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.check(&item.sig, item.default.as_ref());
        syn::visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{lines, shown};
    use super::{check_docs, check_files, check_functions};

    const PATH: &str = "crates/hence/src/a.rs";

    fn file(doc: &str, code_lines: usize) -> String {
        format!("{doc}\n{}", "const A: u8 = 1;\n".repeat(code_lines))
    }

    fn function(code_lines: usize) -> String {
        format!("fn f() {{\n{}}}\n", "    g();\n".repeat(code_lines - 2))
    }

    #[test]
    fn a_long_file_needs_a_reason_and_a_very_long_one_fails() {
        let plain = "//! A.";
        let reasoned = "//! A. This is one thing because\n//! it is a table.";
        assert_eq!(lines(check_files, PATH, &file(plain, 600)), []);
        assert_eq!(lines(check_files, PATH, &file(plain, 601)), [1]);
        assert_eq!(lines(check_files, PATH, &file(reasoned, 1000)), []);
        assert_eq!(lines(check_files, PATH, &file(reasoned, 1001)), [1]);
    }

    #[test]
    fn tests_docs_and_comments_do_not_make_a_file_long() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "const A: u8 = 1;\n".repeat(700));
        let words = "/// Doc.\nconst A: u8 = 1;\n// Why.\n\n".repeat(300);
        assert_eq!(lines(check_files, PATH, &format!("//! A.\n{words}{tests}")), []);
        assert_eq!(lines(check_files, "crates/hence/tests/it/a.rs", &file("//! A.", 2000)), []);
    }

    #[test]
    fn a_function_has_at_most_70_lines() {
        assert_eq!(lines(check_functions, PATH, &function(70)), []);
        assert_eq!(lines(check_functions, PATH, &function(71)), [1]);
        assert_eq!(lines(check_functions, PATH, &format!("impl A {{\n{}}}\n", function(71))), [2]);
        assert_eq!(lines(check_functions, PATH, &format!("#[test]\n{}", function(200))), []);
    }

    #[test]
    fn a_function_takes_at_most_five_parameters_and_self() {
        assert_eq!(lines(check_functions, PATH, "fn f(a: A, b: B, c: C, d: D, e: E) {}"), []);
        assert_eq!(lines(check_functions, PATH, "trait T {\n fn f(&self, a: A, b: B, c: C, d: D, e: E);\n}"), []);
        assert_eq!(
            shown(check_functions, &[(PATH, "trait T {\n fn f(&self, a: A, b: B, c: C, d: D, e: E, g: G);\n}")]),
            "crates/hence/src/a.rs:2 `f` takes 6 parameters, at most 5 are allowed; make an options struct"
        );
    }

    #[test]
    fn every_file_begins_with_its_doc() {
        assert_eq!(lines(check_docs, PATH, "//! What it owns.\nfn f() {}"), []);
        assert_eq!(lines(check_docs, PATH, "fn f() {}"), [1]);
        assert_eq!(lines(check_docs, PATH, "// A comment.\n//! Too late.\nfn f() {}"), [1]);
        assert_eq!(lines(check_docs, "crates/hence/tests/it/main.rs", "//!\nmod a;"), [1]);
    }
}
