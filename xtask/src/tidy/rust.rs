//! One Rust file as the rules see it: tokens with their lines, full paths of what is named, and which lines are tests.
//!
//! Most rules ask "is this path named here?". Tokens answer that inside macros too (`select!`, `assert_eq!`), where a
//! syntax tree is blind, and never mistake a comment or a string for code. Imports are followed within the file, so
//! `use tokio::time::sleep; sleep(…)` is seen as `tokio::time::sleep`.

mod tokens;

use std::collections::HashMap;
use std::ops::RangeInclusive;

use syn::visit::Visit;

use super::Finding;
pub(crate) use tokens::{Kind, Token};

/// A parsed file.
pub(crate) struct RustFile {
    /// From the root of the repository.
    pub(crate) path: String,
    /// The whole file is for tests.
    pub(crate) is_test: bool,
    /// Files and folders, without ending, of modules declared under `#[cfg(test)]`.
    pub(crate) test_modules: Vec<String>,
    /// The lines of the `//!` docs at its head, without the marks, as one text.
    pub(crate) module_doc: String,
    /// All tokens but docs, in order.
    pub(crate) tokens: Vec<Token>,
    /// For rules about functions.
    pub(crate) syntax: syn::File,
    test_lines: Vec<RangeInclusive<usize>>,
    imports: HashMap<String, String>,
    import_lines: Vec<(String, usize)>,
}

/// A path named in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// In full as far as the imports of the file tell: `tokio::time::sleep`.
    pub(crate) path: String,
    pub(crate) line: usize,
    /// Index of its first token.
    pub(crate) first: usize,
    /// Index of the token that follows it.
    pub(crate) next: usize,
}

impl Named {
    /// Whether it ends with these segments.
    pub(crate) fn ends_with(&self, end: &str) -> bool {
        self.path.strip_suffix(end).is_some_and(|start| start.is_empty() || start.ends_with("::"))
    }
}

impl RustFile {
    /// Reads `text`; what is not Rust is a finding.
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, Finding> {
        let unreadable =
            |error: &dyn std::fmt::Display, line| Finding::new(path, line, format!("is not Rust: {error}; mend the syntax"));
        let stream: proc_macro2::TokenStream =
            text.parse().map_err(|error: proc_macro2::LexError| unreadable(&error, error.span().start().line))?;
        let tokens = tokens::flatten(stream.clone(), text);
        let syntax: syn::File = syn::parse2(stream).map_err(|error| unreadable(&error, error.span().start().line))?;
        let mut imports = Imports::default();
        imports.visit_file(&syntax);
        let (test_lines, test_modules) = tests_of(path, &tokens);
        Ok(Self {
            path: path.to_owned(),
            is_test: path.split('/').any(|part| part == "tests" || part == "benches"),
            test_modules,
            module_doc: module_doc(text),
            tokens,
            syntax,
            test_lines,
            imports: imports.by_name,
            import_lines: imports.lines,
        })
    }

    /// Whether the line belongs to a test.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.is_test || self.test_lines.iter().any(|range| range.contains(&line))
    }

    /// The token at `index`, as text; empty beyond the end.
    pub(crate) fn text(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| &token.text)
    }

    /// The full paths that are imported, each with its line.
    pub(crate) fn imported(&self) -> impl Iterator<Item = (&str, usize)> {
        self.import_lines.iter().map(|(path, line)| (path.as_str(), *line))
    }

    /// Every path named outside of imports. Methods and fields (after a dot) and defined functions are not paths.
    pub(crate) fn named(&self) -> Vec<Named> {
        let mut named = Vec::new();
        let mut index = 0;
        while index < self.tokens.len() {
            if self.text(index) == "use" && self.tokens[index].kind == Kind::Word && self.text(index + 1) != "<" {
                while index < self.tokens.len() && self.text(index) != ";" {
                    index += 1;
                }
                continue;
            }
            let next = self.path_end(index);
            if next > index && !self.is_definition_or_member(index) {
                named.push(Named { path: self.resolve(index, next), line: self.tokens[index].line, first: index, next });
            }
            index = next.max(index + 1);
        }
        named
    }

    /// The index after the path that begins at `index`; `index` itself when none does.
    fn path_end(&self, index: usize) -> usize {
        let is_word = |at: usize| self.tokens.get(at).is_some_and(|token| token.kind == Kind::Word);
        let mut end = index;
        if is_word(end) {
            end += 1;
            while self.text(end) == "::" && is_word(end + 1) {
                end += 2;
            }
        }
        end
    }

    fn is_definition_or_member(&self, index: usize) -> bool {
        let before = index.checked_sub(1).map_or("", |before| self.text(before));
        let is_range = index >= 2 && self.text(index - 2) == ".";
        (before == "." && !is_range) || before == "fn"
    }

    fn resolve(&self, first: usize, next: usize) -> String {
        let head = self.text(first);
        let mut path = self.imports.get(head).map_or(head, String::as_str).to_owned();
        for index in first + 1..next {
            path.push_str(self.text(index));
        }
        path
    }
}

/// What the `use` items of a file bring in.
#[derive(Default)]
struct Imports {
    by_name: HashMap<String, String>,
    lines: Vec<(String, usize)>,
}

impl Imports {
    fn walk(&mut self, prefix: &str, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => self.walk(&format!("{prefix}{}::", path.ident), &path.tree),
            syn::UseTree::Name(name) if name.ident == "self" => {
                let full = prefix.trim_end_matches("::").to_owned();
                let last = full.rsplit("::").next().unwrap_or(&full).to_owned();
                self.add(last, full, name.ident.span().start().line);
            }
            syn::UseTree::Name(name) => {
                let full = format!("{prefix}{}", name.ident);
                self.add(name.ident.to_string(), full, name.ident.span().start().line);
            }
            syn::UseTree::Rename(name) => {
                let full = format!("{prefix}{}", name.ident);
                self.add(name.rename.to_string(), full, name.ident.span().start().line);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.walk(prefix, tree);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, name: String, full: String, line: usize) {
        self.lines.push((full.clone(), line));
        self.by_name.insert(name, full);
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.walk("", &item.tree);
    }
}

/// The `//!` lines at the head.
fn module_doc(text: &str) -> String {
    let lines: Vec<_> = text.lines().map_while(|line| line.trim_start().strip_prefix("//!")).map(str::trim).collect();
    lines.join(" ")
}

/// The lines of items under `#[test]`, `#[tokio::test]` or `#[cfg(test)]`, and the modules so declared that stand in
/// other files.
fn tests_of(path: &str, tokens: &[Token]) -> (Vec<RangeInclusive<usize>>, Vec<String>) {
    let mut lines = Vec::new();
    let mut modules = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if token.text != "#" || tokens.get(index + 1).is_none_or(|next| next.text != "[") {
            continue;
        }
        if !means_test(&tokens[index + 2..tokens[index + 1].partner]) {
            continue;
        }
        let Some(item) = item_after(tokens, tokens[index + 1].partner + 1) else {
            continue;
        };
        lines.push(token.line..=tokens[item.1].last_line);
        let words: Vec<_> = tokens[item.0..=item.1].iter().map(|token| token.text.as_str()).collect();
        if let Some(at) = words.iter().position(|word| *word == "mod")
            && words.get(at + 2) == Some(&";")
        {
            modules.push(format!("{}/{}", module_folder(path), words[at + 1]));
        }
    }
    (lines, modules)
}

/// Whether the inside of an attribute says that the item is for tests only.
fn means_test(inside: &[Token]) -> bool {
    let words: Vec<_> = inside.iter().map(|token| token.text.as_str()).collect();
    match words.as_slice() {
        ["cfg", "(", "test", ")"] => true,
        ["cfg", "(", "all", "(", rest @ ..] => rest.split(|word| *word == ",").any(|part| part.first() == Some(&"test")),
        ["cfg", ..] => false,
        ["test"] => true,
        // `tokio::test`, `tokio::test(start_paused = true)`
        _ => {
            let path = words.split(|word| *word == "(").next().unwrap_or(&[]);
            path.len() > 1 && path.ends_with(&["::", "test"])
        }
    }
}

/// First and last token of the item that begins at `start`, further attributes skipped.
fn item_after(tokens: &[Token], mut start: usize) -> Option<(usize, usize)> {
    while tokens.get(start)?.text == "#" {
        start = tokens.get(start + 1)?.partner + 1;
    }
    let mut index = start;
    let mut has_keyword = false;
    loop {
        let token = tokens.get(index)?;
        match token.text.as_str() {
            ";" => return Some((start, index)),
            "{" => return Some((start, token.partner)),
            "(" | "[" => index = token.partner + 1,
            // A field or a variant: it has no keyword and ends at the comma, or where its parent ends.
            "," if !has_keyword => return Some((start, index)),
            "}" | ")" | "]" => return Some((start, index.saturating_sub(1))),
            word => {
                has_keyword |= matches!(
                    word,
                    "fn" | "mod" | "struct" | "enum" | "impl" | "use" | "const" | "static" | "trait" | "type" | "let"
                );
                index += 1;
            }
        }
    }
}

/// Where the files of the modules declared in `path` stand.
fn module_folder(path: &str) -> &str {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    match name {
        "lib" | "main" | "mod" => folder,
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::RustFile;

    fn file(text: &str) -> RustFile {
        RustFile::parse("crates/hence/src/a.rs", text).unwrap()
    }

    fn check_named(text: &str, expected: &[&str]) {
        let named = file(text).named();
        let paths: Vec<_> = named.iter().map(|named| named.path.as_str()).collect();
        for path in expected {
            assert!(paths.contains(path), "{path} is not in {paths:?}");
        }
    }

    #[test]
    fn imports_are_followed() {
        check_named("use tokio::time::sleep; fn f() { sleep(d) }", &["tokio::time::sleep"]);
        check_named("use std::time; fn f() { time::Instant::now() }", &["std::time::Instant::now"]);
        check_named("use std::{fs::{self, File}}; fn f() { fs::read(p) }", &["std::fs::read"]);
        check_named("use jiff::Timestamp as T; fn f() { T::now() }", &["jiff::Timestamp::now"]);
    }

    #[test]
    fn macros_are_looked_into_and_strings_and_methods_are_not() {
        check_named("fn f() { select! { _ = tokio::time::sleep(d) => {} } }", &["tokio::time::sleep"]);
        let named = file("fn sleep() { clock.sleep(d); let s = \"tokio::time::sleep\"; // sleep\n }").named();
        assert!(named.iter().all(|named| !named.ends_with("sleep")), "{named:?}");
    }

    #[test]
    fn the_lines_of_tests_are_known() {
        let file = file(
            "fn a() {}\n#[test]\nfn b() {\n}\nfn c() {}\n#[cfg(test)]\nmod tests {\n fn d<A, B>() {}\n}\nfn e() {}\n#[tokio::test(start_paused = true)]\nasync fn f() {}\n",
        );
        let tests: Vec<_> = (1..=12).filter(|line| file.is_test_line(*line)).collect();
        assert_eq!(tests, [2, 3, 4, 6, 7, 8, 9, 11, 12]);
    }

    #[test]
    fn code_that_is_only_also_for_tests_is_code() {
        let file = file("#[cfg(any(test, feature = \"x\"))]\nfn a() {}\n#[cfg(not(test))]\nfn b() {}\n");
        assert!((1..=4).all(|line| !file.is_test_line(line)));
    }

    #[test]
    fn paths_match_by_whole_segments() {
        let file = file("fn f() { MyTimestamp::now(); }");
        assert!(file.named().iter().all(|named| !named.ends_with("Timestamp::now")));
    }
}
