//! JSON as values of declared types: what is taken, what is refused in which words, and that facts survive being written down.

use hence_core::value::{FACT_DEPTH_MAX, FACT_ELEMENTS_MAX, FACT_TEXT_BYTES_MAX, FactTypes, Facts, FieldType, Value};
use serde_json::{Value as Json, json};

#[track_caller]
fn check(kind: &str, json: &Json, expected: &str) {
    let declared: FieldType = kind.parse().unwrap();
    let found = match declared.accept(json) {
        Ok(value) => {
            assert!(declared.holds(&value), "{kind} {json}");
            value.to_string()
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected, "{kind} {json}");
}

#[test]
fn json_is_read_as_the_declared_type() {
    check("string", &json!("a"), "\"a\"");
    check("string", &json!("a\u{0}b"), "\"a\u{FFFD}b\"");
    check("int", &json!(3), "3");
    check("int", &json!(3.0), "3");
    check("int", &json!(-9_223_372_036_854_775_808_i64), "-9223372036854775808");
    check("float", &json!(3), "3.0");
    check("float", &json!(0.5), "0.5");
    check("bool", &json!(true), "true");
    check("time", &json!("2026-03-02T10:00:00Z"), "2026-03-02T10:00:00Z");
    check("time", &json!("2026-03-02 10:00:00Z"), "2026-03-02T10:00:00Z");
    check("time", &json!("2026-03-02 10:00:00.5+01"), "2026-03-02T09:00:00.5Z");
    check("time", &json!("2026-03-02T10:00[Europe/Oslo]"), "2026-03-02T09:00:00Z");
    check("duration", &json!("48h"), "48h");
    check("duration", &json!("PT1H30M"), "1h 30m");
    check("list", &json!([1, "a", null]), "[1,\"a\",null]");
    check("map", &json!({"a": {"b": 1.5}}), "{\"a\":{\"b\":1.5}}");
    check("any", &json!("a"), "\"a\"");
    check("time?", &json!(null), "null");
    check("any?", &json!(null), "null");
}

#[test]
fn what_is_of_another_type_is_refused() {
    check("string", &json!(3), "expected a string, found a number");
    check("string", &json!(null), "expected a string, found null");
    check("any", &json!(null), "expected any value, found null");
    check("int", &json!("3"), "expected an int, found a string");
    check("int", &json!(3.5), "expected an int, found a number with a fraction");
    check("int", &json!(1e19), "expected an int, found a number out of its range");
    check("int", &json!(u64::MAX), "expected an int, found a number out of its range");
    check("bool", &json!(1), "expected a bool, found a number");
    check("float", &json!(true), "expected a float, found true or false");
    check("list", &json!({}), "expected a list, found a map");
    check("map", &json!([]), "expected a map, found a list");
    let time = "expected a time, found text that is not one: write it as `2026-03-02T10:00:00Z`, with an offset or zone";
    check("time", &json!("yesterday"), time);
    check("time", &json!("2026-03-02 10:00:00"), time);
    check("time", &json!(1_772_442_000), "expected a time, found a number");
    let duration = "expected a duration, found text that is not one: write it as `48h`, `90 minutes` or `PT48H`; days have no fixed length here";
    check("duration", &json!("2 days"), duration);
}

#[test]
fn what_is_too_large_is_refused() {
    check("string", &json!("x".repeat(FACT_TEXT_BYTES_MAX + 1)), "text of 65537 bytes is longer than 65536");
    check("any", &json!(["x".repeat(FACT_TEXT_BYTES_MAX + 1)]), "text of 65537 bytes is longer than 65536");
    let nested = |depth: usize| (1..depth).fold(json!(1), |inner, _| json!([inner]));
    check("any", &nested(FACT_DEPTH_MAX + 1), "lists and maps nest deeper than 32");
    assert!("list".parse::<FieldType>().unwrap().accept(&nested(FACT_DEPTH_MAX)).is_ok());
    check("list", &json!(vec![1; FACT_ELEMENTS_MAX + 1]), "lists and maps hold more than 1000 elements");
    check("list", &json!(vec![vec![1; 400]; 3]), "lists and maps hold more than 1000 elements");
}

#[test]
fn what_a_database_gives_is_read_by_its_type() {
    let read = |kind: &str, json: Json| match kind.parse::<FieldType>().unwrap().accept_sql(&json) {
        Ok(value) => value.to_json().to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(read("bool", json!(1)), "true");
    assert_eq!(read("bool?", json!(0)), "false");
    assert_eq!(read("bool", json!(true)), "true");
    assert_eq!(read("bool", json!(2)), "expected a bool, found a number");
    assert_eq!(read("bool?", json!(null)), "null");
    assert_eq!(read("time", json!("2026-03-02 10:00:00")), "\"2026-03-02T10:00:00Z\"");
    assert_eq!(read("time", json!("2026-03-02T10:00:00.5")), "\"2026-03-02T10:00:00.5Z\"");
    assert_eq!(read("time", json!("2026-03-02")), "\"2026-03-02T00:00:00Z\"");
    assert_eq!(read("time", json!("2026-03-02T10:00:00+02:00")), "\"2026-03-02T08:00:00Z\"");
    assert_eq!(read("time", json!(1_772_445_600)), "expected a time, found a number");
    assert_eq!(
        read("time", json!("soon")),
        "expected a time, found text that is not one: write it as `2026-03-02T10:00:00Z`, with an offset or zone"
    );
    assert_eq!(read("int", json!(1)), "1");
}

#[test]
fn type_names_are_read_and_shown() {
    for name in ["string", "int", "float", "bool", "time", "duration", "list", "map", "any", "string?", "any?"] {
        assert_eq!(name.parse::<FieldType>().unwrap().to_string(), name);
    }
    for name in ["", "?", "text", "String", "int??", "time ?"] {
        let error = name.parse::<FieldType>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("type `{name}` is not known; types are `string`, ")), "{error}");
    }
}

fn types() -> FactTypes {
    let fields = [("email", "string"), ("paid_at", "time?"), ("grace", "duration"), ("rate", "float"), ("extra", "any?")];
    let fields = fields.into_iter().map(|(name, kind)| (name.to_owned(), kind.parse().unwrap())).collect();
    FactTypes::from([("account".to_owned(), fields)])
}

#[test]
fn facts_survive_being_written_down() {
    let json = json!({"account": {"email": "a", "paid_at": "2026-03-02T10:00:00Z", "grace": "PT48H", "rate": 3.0, "extra": [1, {"a": null}]}});
    let facts = Facts::from_json(&json, &types()).unwrap();
    assert_eq!(facts.to_json(), json);
    assert_eq!(Facts::from_json(&facts.to_json(), &types()).unwrap(), facts);
}

#[test]
fn all_problems_of_facts_are_told_at_once() {
    let json = json!({"acount": {}, "account": {"email": 3, "mail": "a", "paid_at": null}});
    let errors = Facts::from_json(&json, &types()).unwrap_err();
    let mut errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    errors.sort();
    assert_eq!(
        errors,
        [
            "`account.email`: expected a string, found a number",
            "`account.mail`: not declared; known are `email`, `extra`, `grace`, `paid_at`, `rate`",
            "`acount`: not declared; known are `account`",
        ]
    );
    assert_eq!(Facts::from_json(&json!({"account": 3}), &types()).unwrap_err()[0].to_string(), "`account`: expected a map");
}

#[test]
fn merging_replaces_field_by_field() {
    let read = |json: &Json| Facts::from_json(json, &types()).unwrap();
    let mut facts = read(&json!({"account": {"email": "a", "rate": 1.0}}));
    facts.merge(read(&json!({"account": {"rate": 2.0, "paid_at": null}})));
    assert_eq!(facts.to_json(), json!({"account": {"email": "a", "rate": 2.0, "paid_at": null}}));
    assert_eq!(facts.get("account.paid_at"), Some(&Value::Null));
    assert_eq!(facts.get("account.grace"), None);
    assert_eq!(facts.get("account"), None);
}
