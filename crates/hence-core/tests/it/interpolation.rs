//! Texts with `{…}` in them: what they become, and what is refused in which words.

use hence_core::expression::{Context, Names};
use hence_core::interpolation::{Interpolation, TEXT_BYTES_MAX};
use hence_core::value::{FieldType, TypeName, Value};
use serde_json::json;

fn names() -> Names {
    let mut names = Names::default();
    names.firing();
    names.variable("event", FieldType::required(TypeName::Map));
    names.variable("tags", FieldType::required(TypeName::List));
    names
}

fn context() -> Context {
    Context::new()
        .with("now", Value::Time("2026-03-27T08:00:00Z".parse().unwrap()))
        .with("attempt", Value::Int(2))
        .with("entity", Value::String("{attempt}".into()))
        .with("event", Value::from_json(&json!({"days": 7.0, "who": {"name": "Ann"}, "long": "x".repeat(TEXT_BYTES_MAX)})))
}

#[track_caller]
fn check(source: &str, expected: &str) {
    let found = match Interpolation::parse(source) {
        Err(error) => format!("`{}`: {error} ({})", &source[error.span()], error.help()),
        Ok(mut text) => match text.bind(&names()) {
            Err(errors) => {
                let errors = errors.iter().map(|error| format!("`{}`: {error} ({})", &source[error.span()], error.help()));
                errors.collect::<Vec<_>>().join("; ")
            }
            Ok(()) => text.render(&context()).unwrap_or_else(|error| format!("fails: {error}")),
        },
    };
    assert_eq!(found, expected, "{source}");
}

#[test]
fn parts_become_their_values() {
    check("", "");
    check("plain", "plain");
    check("try {attempt} of 3", "try 2 of 3");
    check("{attempt}{attempt + 1}", "23");
    check("{event.days} days", "7 days");
    check("{event.who.name}: {now}", "Ann: 2026-03-27T08:00:00Z");
    check("{now - timestamp('2026-03-27T06:30:00Z')}", "1h 30m");
    check("{attempt == 2 ? 'a}' : \"{b\"}", "a}");
    check("{{{attempt}}} and }}", "{2} and }");
    check("å {'ø'} æ", "å ø æ");
}

#[test]
fn a_value_is_never_read_as_a_template() {
    check("{entity}", "{attempt}");
}

#[test]
fn what_has_no_text_fails() {
    check("{event.missing}", "fails: `{event.missing}` has no text: it is null, a list or a map");
    check("{event.who}", "fails: `{event.who}` has no text: it is null, a list or a map");
    check("{event.long}{attempt}", "fails: the text is longer than 65536 bytes");
}

#[test]
fn what_cannot_be_read_is_refused_where_it_stands() {
    check("a } b", "`}`: `}` closes nothing (write `}}` for the brace itself)");
    check("a {b", "`{b`: `{` is not closed (close it with `}`, or write `{{` for the brace itself)");
    check("a {1 +} b", "``: expected a value, found the end (the expression stops too early)");
    check("å {attemp} b", "`attemp`: `attemp` is not known (did you mean `attempt`?)");
    check("{tags}", "`tags`: a list or map cannot be put into a text (use one of its elements)");
    check(
        "{attempt + 'a'} {nov}",
        "`attempt + 'a'`: `+` cannot join `int` and `string` (make both text: `string(x)`); `nov`: `nov` is not known (did you mean `now`?)",
    );
}

#[test]
fn names_are_listed_once() {
    let text = Interpolation::parse("{event.days} {event.days + attempt} {1}").unwrap();
    assert_eq!(text.names(), ["attempt", "event.days"]);
    assert!(Interpolation::parse("{{a}}").unwrap().is_constant());
    assert!(!text.is_constant());
    assert_eq!(text.to_string(), "{event.days} {event.days + attempt} {1}");
}

#[test]
fn in_a_path_every_value_stays_in_its_segment() {
    let rendered = |id: &str| {
        let mut text = Interpolation::parse("/x/{entity}?try={attempt}").unwrap();
        text.bind(&names()).unwrap();
        text.render_path(&context().with("entity", Value::String(id.to_owned()))).unwrap()
    };
    assert_eq!(rendered("a-b_c.d~9"), "/x/a-b_c.d~9?try=2");
    assert_eq!(rendered("a?b=c"), "/x/a%3Fb%3Dc?try=2");
    assert_eq!(rendered("../a/b;c&d#e f%"), "/x/..%2Fa%2Fb%3Bc%26d%23e%20f%25?try=2");
    assert_eq!(rendered("å\n"), "/x/%C3%A5%0A?try=2");
}
