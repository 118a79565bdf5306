//! Results of tests for build servers: JUnit XML and TAP 14.
//!
//! Written out here: the part of both forms that results need is a few lines, and the only hard thing is what a name may hold.

use std::fmt::Write as _;

use super::{KEY, Ran, plain};

/// One suite for each file, one case for each test.
pub(super) fn junit(results: &[Ran]) -> String {
    let failures = |results: &[&Ran]| results.iter().filter(|ran| !ran.result.is_as_expected()).count();
    let all: Vec<&Ran> = results.iter().collect();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(text, "<testsuites name=\"hence test\" tests=\"{}\" failures=\"{}\">", all.len(), failures(&all));
    for suite in all.chunk_by(|left, right| left.path == right.path) {
        let (file, count, failed) = (xml(&suite[0].path), suite.len(), failures(suite));
        let _ = writeln!(text, "  <testsuite name=\"{file}\" tests=\"{count}\" failures=\"{failed}\">");
        for ran in suite {
            let (name, line) = (xml(&ran.result.name), ran.line);
            let _ = write!(text, "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" line=\"{line}\"");
            if ran.result.is_as_expected() {
                text.push_str("/>\n");
                continue;
            }
            let difference = plain(&ran.result).join("\n");
            let _ = write!(text, ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n", xml(KEY), xml(&difference));
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// One line for each test; what differs stands in its YAML block.
pub(super) fn tap(results: &[Ran]) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", results.len());
    for (number, ran) in (1..).zip(results) {
        let not = if ran.result.is_as_expected() { "" } else { "not " };
        // `#` would begin a directive.
        let name = ran.result.name.replace('\\', "\\\\").replace('#', "\\#");
        let _ = writeln!(text, "{not}ok {number} - {name}");
        if !ran.result.is_as_expected() {
            let _ = writeln!(text, "  ---\n  at: {}:{}\n  message: \"{KEY}\"\n  difference: |-2", ran.path, ran.line);
            for line in plain(&ran.result) {
                let _ = writeln!(text, "    {line}");
            }
            text.push_str("  ...\n");
        }
    }
    text
}

/// A text as it stands in XML; what XML 1.0 cannot hold at all is left out.
fn xml(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            '\n' | '\t' => written.push(char),
            char if char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') => {}
            char => written.push(char),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    //! Goal: no name breaks the form. Method: hostile names.
    use super::*;

    #[test]
    fn no_text_leaves_its_place_in_xml() {
        assert_eq!(xml("a<b> & \"c\"\u{1}\u{ffff}ø"), "a&lt;b&gt; &amp; &quot;c&quot;ø");
    }
}
