//! Definitions load: good documents without warnings, their hash, what the schema says of them, and that no text panics.
//!
//! Works on the documents under `fixtures/`; `definition_broken` has the refused ones, `definition_keys` each key.

use hence_core::definition::{Definition, Loaded, json_schema};
use hence_core::diagnostic::Diagnostic;
use proptest::prelude::*;

pub(crate) const TRIAL: &str = include_str!("../fixtures/trial.toml");
pub(crate) const EVERY_KEY: &str = include_str!("../fixtures/definition/every_key.toml");
pub(crate) const MINIMAL: &str = include_str!("../fixtures/definition/minimal.toml");

/// One problem as a person would read it, without the source.
pub(crate) fn rendered(source: &str, problems: &[Diagnostic]) -> String {
    let line = |problem: &Diagnostic| {
        format!("{} {} {}\n    help: {}\n", problem.code, problem.position(source), problem.message, problem.help)
    };
    problems.iter().map(line).collect()
}

pub(crate) fn load(source: &str) -> Loaded {
    Definition::load(source).unwrap_or_else(|problems| panic!("{}", rendered(source, &problems)))
}

#[test]
fn good_documents_load_without_warnings() {
    for source in [TRIAL, EVERY_KEY, MINIMAL] {
        let loaded = load(source);
        assert_eq!(rendered(source, &loaded.warnings), "");
    }
}

#[test]
fn the_trial_becomes_the_model_that_it_says() {
    let trial = load(TRIAL).definition;
    let step =
        |step: &hence_core::definition::Step| format!("{} {:?} due {} at {:?}", step.name, step.trigger, step.due, step.at);
    let model = trial.steps.iter().map(step).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(model);
    assert_eq!(trial.given_instants().iter().map(ToString::to_string).collect::<Vec<_>>(), ["created_at"]);
}

fn check_same_hash(source: &str, changes: &[(&str, &str)]) {
    let mut changed = source.to_owned();
    for (from, to) in changes {
        assert!(changed.contains(from), "`{from}` is in the document");
        changed = changed.replacen(from, to, 1);
    }
    assert_eq!(load(source).definition.hash, load(&changed).definition.hash, "{changes:?}");
}

#[test]
fn what_changes_no_meaning_changes_no_hash() {
    check_same_hash(TRIAL, &[("# timelines/trial.toml", "# another comment")]);
    check_same_hash(TRIAL, &[("\"25 days\"", "\"P25D\"")]);
    check_same_hash(TRIAL, &[("\"30 minutes\"", "\"1800s\"")]);
    check_same_hash(TRIAL, &[("after = \"3 days\", then = \"skip\"", "then = \"skip\", after = \"72 hours\"")]);
    check_same_hash(TRIAL, &[("about  = \"30-day trial of the embedded chat\"", "about = \"something else\"")]);
    check_same_hash(TRIAL, &[("name   = \"never pays,", "name   = \"another name,")]);
    check_same_hash(TRIAL, &[("[\"deactivated\", \"already_paid\"]", "[\"already_paid\", \"deactivated\"]")]);
    check_same_hash(MINIMAL, &[("anchor = \"created_at\"", "anchor = \"created_at\"\nagain = \"ignore\"\nzone = \"UTC\"")]);
    check_same_hash(MINIMAL, &[("due = \"1 day\"", "retry = { tries = 12, wait = \"30s..6h\" }\ndue = \"1 day\"")]);
    check_same_hash(EVERY_KEY, &[("[\"charge\", \"remind\"]", "[\"remind\", \"charge\"]")]);
    check_same_hash(EVERY_KEY, &[("[\"12-25\", \"2026-05-01\"]", "[\"2026-05-01\", \"12-25\"]")]);
    let moved_events = TRIAL.replacen("[on.\"account.closed\"]\ncancel = \"*\"\n", "", 1).replacen(
        "[on.\"account.paid\"]",
        "[on.\"account.closed\"]\nerase  = \"30 days\"\ncancel = \"*\"\n[on.\"account.paid\"]",
        1,
    );
    let moved_events =
        moved_events.replacen("erase  = \"30 days\"                     # facts, payloads and results in history\n", "", 1);
    assert_eq!(load(TRIAL).definition.hash, load(&moved_events).definition.hash);
}

#[test]
fn the_order_of_steps_takes_part_in_the_hash() {
    let (one, two) = ("[step.one]\ndo = { log = \"1\" }\n", "[step.two]\ndo = { log = \"2\" }\n");
    let head = MINIMAL.split("[step").next().unwrap();
    let (first, second) = (load(&format!("{head}{one}{two}")), load(&format!("{head}{two}{one}")));
    assert_ne!(first.definition.hash, second.definition.hash);
}

#[test]
fn hashes_of_released_documents_stay() {
    // A changed value here means that every waiting timeline would lose its version: see `canonical`.
    let hashes: Vec<String> = [TRIAL, EVERY_KEY, MINIMAL].map(|source| load(source).definition.hash.to_string()).into();
    insta::assert_snapshot!(hashes.join("\n"));
}

#[test]
fn good_documents_fit_the_schema() {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    for source in [TRIAL, EVERY_KEY, MINIMAL] {
        let errors: Vec<String> =
            schema.iter_errors(&as_json(source)).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new());
    }
}

#[test]
fn broken_documents_do_not_fit_the_schema() {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    let changes = [
        ("due = \"1 day\"", "dew = \"1 day\""),
        ("due = \"1 day\"", "due = 1"),
        ("name = \"greeting\"", ""),
        ("name = \"greeting\"", "name = \"Greeting\""),
        ("[step.greet]", "[steps.greet]"),
        ("[step.greet]", "[step.Greet]"),
        ("do = { log = \"hello {entity}\" }", ""),
        ("do = { log = \"hello {entity}\" }", "do = { log = \"a\", handler = \"b\" }"),
        ("do = { log = \"hello {entity}\" }", "do = { mail = \"a\" }"),
        ("do = { log = \"hello {entity}\" }", "do = { webhook = \"a\" }"),
        ("due = \"1 day\"", "delivery = \"exactly_once\""),
        ("due = \"1 day\"", "retry = { tries = 0 }"),
        ("due = \"1 day\"", "says = \"done\""),
        ("due = \"1 day\"", "late = { after = \"1 day\" }"),
        ("due = \"1 day\"", "clock = \"due\""),
        ("due = \"1 day\"", "repeat = \"1 day\"\ncron = \"0 0 * * *\""),
        ("anchor = \"created_at\"", "anchor = \"created_at\"\nzone = { from = \"a.b\" }"),
        ("anchor = \"created_at\"", "anchor = \"created_at\"\nagain = \"maybe\""),
        ("[step.greet]", "[facts.a]\nfields = { b = \"text\" }\n[step.greet]"),
        ("[step.greet]", "[facts.a]\nsql = \"select 1\"\nfields = { b = \"int\" }\n[step.greet]"),
        ("[step.greet]", "[[test]]\nname = \"a\"\n[step.greet]"),
        ("[step.greet]", "[test]\nname = \"a\"\n[step.greet]"),
        ("[step.greet]", "[on.\"a.b\"]\ncancel = \"all\"\n[step.greet]"),
        ("[step.greet]", "[audit]\nevery = \"1 hour\"\n[step.greet]"),
        ("[step.greet]", "[change]\nmoved = \"maybe\"\n[step.greet]"),
    ];
    for (from, to) in changes {
        let source = MINIMAL.replacen(from, to, 1);
        assert!(!schema.is_valid(&as_json(&source)), "the schema accepts\n{source}");
        assert!(Definition::load(&source).is_err(), "the reader accepts\n{source}");
    }
}

fn as_json(source: &str) -> serde_json::Value {
    serde_json::to_value(toml::from_str::<toml::Table>(source).unwrap()).unwrap()
}

#[test]
fn hostile_documents_are_refused_in_time() {
    let deep_key = format!("[{}]", ["a"; 100_000].join("."));
    let deep_list = format!("a = {}", "[".repeat(200_000));
    let closed_list = format!("a = {}{}", "[".repeat(70), "]".repeat(70));
    let too_large = " ".repeat(300 * 1024);
    let many_steps: String = (0..5_000).map(|number| format!("[step.s{number}]\n")).collect();
    let chain: String = (0..200)
        .map(|n| format!("[step.s{n}]\nafter = \"s{}:done\"\nbefore = \"s{}\"\n", (n + 1) % 200, (n + 7) % 200))
        .collect();
    for source in [deep_key, deep_list, closed_list, too_large, many_steps, chain] {
        assert!(Definition::load(&source).is_err());
    }
}

/// A piece of a document that turns up where it does not belong.
fn piece() -> impl Strategy<Value = String> {
    let lines: Vec<String> = TRIAL.lines().chain(EVERY_KEY.lines()).map(|line| format!("\n{line}\n")).collect();
    prop_oneof![
        proptest::sample::select(lines),
        proptest::sample::select(vec!["\"", "'", "{", "}", "[", "]", "=", ".", "#", "\n", "\0", "é", "\u{feff}", "-1", "9e999"])
            .prop_map(str::to_owned),
        ".{0,8}".prop_map(|text| text),
    ]
}

proptest! {
    #[test]
    fn mutated_documents_never_panic(
        is_trial: bool,
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), piece()), 0..4),
    ) {
        let mut text: Vec<char> = (if is_trial { TRIAL } else { EVERY_KEY }).chars().collect();
        for (start, length, piece) in cuts {
            let start = start.index(text.len().max(1)).min(text.len());
            let end = start + length.index(40).min(text.len() - start);
            text.splice(start..end, piece.chars());
        }
        let source: String = text.into_iter().collect();
        if let Err(problems) = Definition::load(&source) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                for span in &problem.spans {
                    prop_assert!(span.start <= span.end && span.end <= source.len(), "{problem:?}");
                    prop_assert!(source.is_char_boundary(span.start) && source.is_char_boundary(span.end), "{problem:?}");
                }
                prop_assert!(!problem.help.is_empty() && !problem.message.is_empty(), "{problem:?}");
            }
        }
    }

    #[test]
    fn truncated_documents_never_panic(end: prop::sample::Index) {
        let end = end.index(TRIAL.len());
        let end = (0..=end).rev().find(|end| TRIAL.is_char_boundary(*end)).unwrap();
        let _ = Definition::load(&TRIAL[..end]);
    }
}
