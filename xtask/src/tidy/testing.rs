//! Tests that can be trusted: none left out, none that passes by any panic, no sleeping, wall clock or fixed port.
//!
//! A monotonic `Instant` and a deadline that only bounds a hang are fine.

use super::Finding;
use super::rust::{Kind, Named, RustFile};
use super::tree::Tree;

/// Attributes and why not.
const ATTRIBUTES: [(&str, &str); 2] = [
    ("ignore", "`#[ignore]` is a test nobody runs; mend it or remove it"),
    ("should_panic", "`#[should_panic]` passes by any panic; look at the error, or at the message with `catch_unwind`"),
];

/// Ends of paths.
const SLEEPS: [&str; 4] = ["time::sleep", "time::sleep_until", "thread::sleep", "sleep"];
const WALL_CLOCKS: [&str; 4] = ["Timestamp::now", "ZonedDateTime::now", "SystemTime::now", "Utc::now"];

/// Everything in tests that makes them lie or wait.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        let mut found = attributes(file);
        for named in file.named() {
            found.extend(message(file, &named).map(|message| Finding::new(&file.path, named.line, message)));
        }
        found.extend(bound_ports(file));
        findings.extend(found.into_iter().filter(|finding| file.is_test_line(finding.line)));
    }
    findings
}

fn attributes(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, token) in file.tokens.iter().enumerate() {
        let is_attribute = token.text == "#" && file.text(index + 1) == "[";
        let known = ATTRIBUTES.iter().find(|(name, _)| *name == file.text(index + 2));
        if let (true, Some((_, message))) = (is_attribute, known) {
            findings.push(Finding::new(&file.path, token.line, *message));
        }
    }
    findings
}

fn message(file: &RustFile, named: &Named) -> Option<String> {
    let is = |ends: &[&str]| ends.iter().any(|end| named.ends_with(end));
    if file.text(named.next) != "(" {
        return None;
    }
    if is(&SLEEPS) {
        return Some(format!("`{}` in a test; wait for the thing itself, or advance a virtual clock", named.path));
    }
    is(&WALL_CLOCKS)
        .then(|| format!("`{}` in a test; write the instant down, so that the test is the same every day", named.path))
}

/// `bind("127.0.0.1:8080")`, `bind(([127, 0, 0, 1], 8080))`.
fn bound_ports(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, token) in file.tokens.iter().enumerate() {
        if token.text != "bind" || file.text(index + 1) != "(" {
            continue;
        }
        let inside = &file.tokens[index + 2..file.tokens[index + 1].partner];
        let fixed = inside.iter().filter(|token| token.kind == Kind::Literal).find(|token| match token.string() {
            Some(text) => is_address(text),
            None => token.text.replace('_', "").parse::<u32>().is_ok_and(|number| number > 255),
        });
        if let Some(fixed) = fixed {
            let message = format!("{} is a fixed port; bind port 0 and ask for the one given", fixed.text);
            findings.push(Finding::new(&file.path, fixed.line, message));
        }
    }
    findings
}

/// A host and a port other than 0; `::1` is a host alone.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_host = !host.contains(':') || host.ends_with(']');
        is_host && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;
    use super::check;

    const PATH: &str = "crates/hence/tests/it/a.rs";

    #[test]
    fn what_makes_a_test_lie_or_wait_is_found() {
        for text in [
            "#[test]\n#[ignore]\nfn f() {}",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
            "#[test]\n#[should_panic(expected = \"a\")]\nfn f() {}",
            "fn f() {\ntokio::time::sleep(d);\n}",
            "use std::thread::sleep; fn f() {\nsleep(d);\n}",
            "fn f() {\njiff::Timestamp::now();\n}",
            "fn f() {\nstd::time::SystemTime::now();\n}",
            "fn f() {\nTcpListener::bind(\"127.0.0.1:8080\");\n}",
            "fn f() {\nTcpListener::bind((\"::1\", 8_080));\n}",
            "fn f() {\nServer::new().bind(SocketAddr::from(([127, 0, 0, 1], 8080)));\n}",
        ] {
            assert_eq!(lines(check, PATH, text), [2], "{text}");
        }
    }

    #[test]
    fn honest_tests_pass() {
        for text in [
            "#[test]\nfn f() { clock.sleep(d); let t = Instant::now(); }",
            "fn f() { TcpListener::bind(\"127.0.0.1:0\"); TcpListener::bind((\"::1\", 0)); TcpListener::bind(\"[::1]:0\"); }",
            "fn f() { check(\"http://127.0.0.1:8080/\"); query.bind(5); }",
        ] {
            assert_eq!(lines(check, PATH, text), [0_usize; 0], "{text}");
        }
    }

    #[test]
    fn tests_beside_the_code_are_tests_and_the_code_is_not() {
        let text =
            "fn f() { TcpListener::bind(\"127.0.0.1:8080\"); }\n#[cfg(test)]\nmod tests {\n fn g() { thread::sleep(d); }\n}";
        assert_eq!(lines(check, "crates/hence/src/a.rs", text), [4]);
    }
}
