//! `hence test`: runs the `[[test]]` blocks of definitions on a virtual clock, and shows what differs.

mod report;

use std::path::PathBuf;

use hence::core::simulate::{self, ExampleResult};
use serde_json::{Value, json};

use crate::definitions;
use crate::output::{self, Answer};
use crate::problem::{Exit, Problem};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files, or folders of `.toml` files [default: `timelines.paths` of the configuration]
    paths: Vec<PathBuf>,
    /// Only tests whose name contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How results are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How results are written.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    /// Each test, and what differs
    #[default]
    Human,
    /// JUnit XML, as build servers read it
    Junit,
    /// TAP 14
    Tap,
}

/// A test that was run, and where it stands.
struct Ran {
    path: String,
    line: usize,
    result: ExampleResult,
}

/// One line of a comparison.
#[derive(Debug, PartialEq, Eq)]
enum Side<'a> {
    Both(&'a str),
    Missing(&'a str),
    Extra(&'a str),
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Exit, Problem> {
    let files = definitions::usable(&session.definition_paths(&args.paths)?)?;
    let mut results: Vec<Ran> = Vec::new();
    for file in &files {
        let Ok(loaded) = &file.loaded else { continue };
        let wanted = |name: &str| args.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
        for example in loaded.definition.tests.iter().filter(|example| wanted(&example.name)) {
            let result = simulate::run_example(&loaded.definition, example);
            results.push(Ran { path: file.path.display().to_string(), line: example.line, result });
        }
    }
    let failed = results.iter().filter(|ran| !ran.result.is_as_expected()).count();
    match args.format {
        Format::Human if session.give(|| Answer::list(document(&results), "tests", "name")) => {}
        Format::Human => {
            results.iter().for_each(show);
            let passed = results.len() - failed;
            output::line(&format!("{passed} passed, {failed} failed"));
            if results.is_empty() {
                output::note("no test ran; a definition's tests are its `[[test]]` tables");
            }
        }
        Format::Junit => output::raw(report::junit(&results).as_bytes()),
        Format::Tap => output::raw(report::tap(&results).as_bytes()),
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Definitions })
}

fn show(Ran { path, line, result }: &Ran) {
    let (green, red, cyan) = (output::GREEN, output::RED, output::CYAN);
    if result.is_as_expected() {
        return output::line(&format!("{green}pass{green:#} {}", result.name));
    }
    output::line(&format!("{red}fail{red:#} {}", result.name));
    output::line(&format!("     {path}:{line}: {KEY}"));
    for side in compare(&result.expected, &result.found) {
        output::line(&match side {
            Side::Both(text) => format!("       {text}"),
            Side::Missing(text) => format!("     {red}- {text}{red:#}"),
            Side::Extra(text) => format!("     {cyan}+ {text}{cyan:#}"),
        });
    }
}

/// What the signs of a comparison mean.
const KEY: &str = "`-` was expected and did not come, `+` came and was not expected";

/// The comparison without colours.
fn plain(result: &ExampleResult) -> Vec<String> {
    let sides = compare(&result.expected, &result.found);
    let line = |side: &Side<'_>| match side {
        Side::Both(text) => format!("  {text}"),
        Side::Missing(text) => format!("- {text}"),
        Side::Extra(text) => format!("+ {text}"),
    };
    sides.iter().map(line).collect()
}

/// The shortest way from one list to the other.
fn compare<'a>(expected: &'a [String], found: &'a [String]) -> Vec<Side<'a>> {
    // common[i][j]: how many lines expected[i..] and found[j..] have in common, in order.
    let mut common = vec![vec![0_usize; found.len() + 1]; expected.len() + 1];
    for i in (0..expected.len()).rev() {
        for j in (0..found.len()).rev() {
            common[i][j] =
                if expected[i] == found[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut sides) = (0, 0, Vec::new());
    while i < expected.len() || j < found.len() {
        if i < expected.len() && j < found.len() && expected[i] == found[j] {
            sides.push(Side::Both(&expected[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == found.len() || (i < expected.len() && common[i + 1][j] >= common[i][j + 1]) {
            sides.push(Side::Missing(&expected[i]));
            i += 1;
        } else {
            sides.push(Side::Extra(&found[j]));
            j += 1;
        }
    }
    sides
}

fn document(results: &[Ran]) -> Value {
    let of = |Ran { path, line, result }: &Ran| {
        json!({
            "file": path,
            "line": line,
            "name": result.name,
            "passed": result.is_as_expected(),
            "expected": result.expected,
            "found": result.found,
        })
    };
    json!({ "tests": results.iter().map(of).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    //! Goal: the comparison keeps what is equal and names the rest. Method: a table of small lists.
    use super::*;

    fn check(expected: &str, found: &str, sides: &str) {
        let split = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let (expected, found) = (split(expected), split(found));
        let words: Vec<String> = compare(&expected, &found)
            .into_iter()
            .map(|side| match side {
                Side::Both(text) => text.to_owned(),
                Side::Missing(text) => format!("-{text}"),
                Side::Extra(text) => format!("+{text}"),
            })
            .collect();
        assert_eq!(words.join(" "), sides);
    }

    #[test]
    fn differences_are_the_fewest() {
        check("abc", "abc", "a b c");
        check("abc", "axc", "a -b +x c");
        check("", "a", "+a");
        check("ab", "", "-a -b");
        check("abcd", "acde", "a -b c d +e");
    }
}
