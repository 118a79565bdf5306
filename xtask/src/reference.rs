//! The generated pages of `docs/reference/`: which file comes from which command of the binary `hence`.
//!
//! To add a page, add a row to [`PAGES`] and run `cargo xtask docs`. The command prints the page to stdout and must
//! print the same bytes on every machine and every day.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// One generated page.
struct Page {
    /// Where it stands, from the root of the repository.
    path: &'static str,
    /// What is asked of `hence`.
    arguments: &'static [&'static str],
}

/// Every generated page.
const PAGES: &[Page] = &[
    Page { path: "docs/reference/cli.md", arguments: &["reference", "cli"] },
    Page { path: "docs/reference/definition.schema.json", arguments: &["schema"] },
    Page { path: "docs/reference/errors.md", arguments: &["reference", "errors"] },
];

/// Writes the pages whose path ends with `suffix`, or with `check` only compares them.
///
/// # Errors
/// The generator fails; a file cannot be written; with `check`, at least one page differs (all of them are named).
pub(crate) fn run(root: &Path, suffix: &str, check: bool) -> Result<()> {
    let mut stale = Vec::new();
    for page in PAGES.iter().filter(|page| page.path.ends_with(suffix)) {
        let wanted = generate(root, page)?;
        let path = root.join(page.path);
        let found = fs::read_to_string(&path).unwrap_or_default();
        match difference(&found, &wanted) {
            None => {}
            Some(line) if check => stale.push(format!("{}:{line}", page.path)),
            Some(_) => {
                write(&path, &wanted)?;
                println!("wrote {}", page.path);
            }
        }
    }
    if !stale.is_empty() {
        bail!("out of date (first differing line): {}; run `cargo xtask docs`", stale.join(", "));
    }
    Ok(())
}

fn generate(root: &Path, page: &Page) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root)
        .args(["run", "--quiet", "--package", "hence-cli", "--bin", "hence", "--"])
        .args(page.arguments)
        // A page must not depend on the width or the colours of a terminal.
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .output()
        .with_context(|| format!("cannot run the generator of {}", page.path))?;
    if !output.status.success() {
        bail!("the generator of {} failed: {}", page.path, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} is not UTF-8", page.path))
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The first line, counted from 1, that differs; none when the texts are the same byte for byte.
fn difference(found: &str, wanted: &str) -> Option<usize> {
    if found == wanted {
        return None;
    }
    let same = found.split('\n').zip(wanted.split('\n')).take_while(|(left, right)| left == right).count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::{PAGES, difference};

    #[test]
    fn the_first_differing_line_is_named() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(difference("", "a\n"), Some(1));
        assert_eq!(difference("a\n", "a"), Some(2));
    }

    #[test]
    fn every_page_stands_in_the_docs_once() {
        for (index, page) in PAGES.iter().enumerate() {
            assert!(page.path.starts_with("docs/"), "{}", page.path);
            assert!(PAGES[..index].iter().all(|other| other.path != page.path), "{}", page.path);
        }
    }
}
