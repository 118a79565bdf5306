//! All text files of the repository, by path from its root with `/`, the Rust ones read as [`RustFile`]s.
//!
//! Left out: build artefacts (a folder with `CACHEDIR.TAG`), hidden folders but `.ci`, `.cargo`, `.config` and
//! `.github`, and the lock file. A Rust file that cannot be parsed is a finding, not an end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Finding;
use super::rust::RustFile;

/// Endings of files that are text.
const TEXT: [&str; 18] = [
    "rs", "toml", "sql", "md", "sh", "html", "css", "js", "json", "txt", "yml", "yaml", "j2", "ics", "csv", "trycmd", "stdout",
    "run",
];

/// Hidden folders that belong to the project.
const HIDDEN: [&str; 4] = [".ci", ".cargo", ".config", ".github"];

/// The repository, as the rules see it.
pub(crate) struct Tree {
    /// Text of every file by path, Rust files included.
    pub(crate) texts: BTreeMap<String, String>,
    /// The Rust files that could be parsed, by path.
    pub(crate) rust: Vec<RustFile>,
    /// The Rust files that could not.
    pub(crate) unreadable: Vec<Finding>,
}

impl Tree {
    /// Reads everything below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut texts = BTreeMap::new();
        gather(root, "", &mut texts)?;
        Ok(Self::new(texts))
    }

    /// A tree of snippets, for tests.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let pairs = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self::new(pairs.collect())
    }

    fn new(texts: BTreeMap<String, String>) -> Self {
        let mut rust = Vec::new();
        let mut unreadable = Vec::new();
        for (path, text) in texts.iter().filter(|(path, _)| path.ends_with(".rs")) {
            match RustFile::parse(path, text) {
                Ok(file) => rust.push(file),
                Err(finding) => unreadable.push(finding),
            }
        }
        let test_modules: Vec<String> = rust.iter().flat_map(|file| file.test_modules.clone()).collect();
        for file in &mut rust {
            let is_below = |module: &String| file.path == format!("{module}.rs") || file.path.starts_with(&format!("{module}/"));
            file.is_test |= test_modules.iter().any(is_below);
        }
        Self { texts, rust, unreadable }
    }

    /// The Rust files whose path begins with `start`.
    pub(crate) fn rust_below(&self, start: &str) -> impl Iterator<Item = &RustFile> {
        self.rust.iter().filter(move |file| file.path.starts_with(start))
    }

    /// The files that end with `.ending`.
    pub(crate) fn texts_ending(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().filter(move |(path, _)| extension(path) == ending).map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

/// The crate a path belongs to: `hence-core`, `chat`, `xtask`; empty for files of the whole project.
pub(crate) fn crate_of(path: &str) -> &str {
    let mut parts = path.split('/');
    match parts.next() {
        Some("crates" | "examples") => parts.next().unwrap_or(""),
        Some("xtask") => "xtask",
        Some("proof") => "hence-proof",
        _ => "",
    }
}

/// What follows the last dot of the file name; the whole name when there is none.
pub(crate) fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit('.').next().unwrap_or(name)
}

fn gather(folder: &Path, prefix: &str, texts: &mut BTreeMap<String, String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().with_context(|| format!("cannot look at {path}"))?;
        if kind.is_dir() {
            let is_ours = !name.starts_with('.') || HIDDEN.contains(&name.as_str());
            let is_built = name == "target" || name == "node_modules" || entry.path().join("CACHEDIR.TAG").exists();
            if is_ours && !is_built {
                gather(&entry.path(), &format!("{path}/"), texts)?;
            }
        } else if kind.is_file() && TEXT.contains(&extension(&name)) {
            let text = fs::read_to_string(entry.path()).with_context(|| format!("cannot read {path}"))?;
            texts.insert(path, text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Tree, crate_of, extension};

    #[test]
    fn paths_tell_crate_and_ending() {
        assert_eq!(crate_of("crates/hence-core/src/a.rs"), "hence-core");
        assert_eq!(crate_of("examples/chat/src/a.rs"), "chat");
        assert_eq!(crate_of("xtask/src/a.rs"), "xtask");
        assert_eq!(crate_of("proof/src/a.rs"), "hence-proof");
        assert_eq!(crate_of("docs/a.md"), "");
        assert_eq!(extension(".ci/run"), "run");
        assert_eq!(extension("a/b.test.sql"), "sql");
    }

    #[test]
    fn a_test_module_in_its_own_file_is_a_test_file_with_all_below_it() {
        let tree = Tree::of(&[
            ("crates/hence/src/lib.rs", "//! Lib.\nmod a;\n"),
            ("crates/hence/src/a.rs", "//! A.\n#[cfg(test)]\nmod tests;\nmod b;\n"),
            ("crates/hence/src/a/b.rs", "//! B.\n"),
            ("crates/hence/src/a/tests.rs", "//! Tests.\n"),
            ("crates/hence/src/a/tests/more.rs", "//! More tests.\n"),
            ("crates/hence/tests/it/main.rs", "//! Tests from outside.\n"),
        ]);
        let tests: Vec<_> = tree.rust.iter().filter(|file| file.is_test).map(|file| &*file.path).collect();
        assert_eq!(tests, ["crates/hence/src/a/tests.rs", "crates/hence/src/a/tests/more.rs", "crates/hence/tests/it/main.rs"]);
    }
}
