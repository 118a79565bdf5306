//! The language of conditions: what each construct gives, what is refused and in which words.
//!
//! Tables of sources with the type and value they have for one entity, or the problem with the text it points at. Hostile and
//! random inputs stand in `expression_limits`.

use std::collections::BTreeMap;

use hence_core::expression::{Context, EvaluationErrorKind, Expression, Names};
use hence_core::value::{FactTypes, Facts, FieldType, TypeName, Value};
use serde_json::json;

fn types() -> FactTypes {
    let account = [
        ("email", "string"),
        ("status", "string"),
        ("plan", "string?"),
        ("paid_at", "time?"),
        ("started_at", "time"),
        ("seats", "int"),
        ("rate", "float"),
        ("grace", "duration"),
        ("active", "bool"),
        ("vip", "bool?"),
        ("tags", "list"),
        ("settings", "map"),
        ("extra", "any?"),
    ];
    let fields = account.into_iter().map(|(name, kind)| (name.to_owned(), kind.parse().unwrap())).collect();
    let widget = BTreeMap::from([("hits".to_owned(), FieldType::required(TypeName::Int))]);
    BTreeMap::from([("account".to_owned(), fields), ("widget".to_owned(), widget)])
}

fn names() -> Names {
    let mut names = Names::default();
    names.facts(&types());
    names.firing();
    names.variable("event", FieldType::required(TypeName::Map));
    for (name, source) in [("unpaid", "account.paid_at == null"), ("big", "account.seats > 100"), ("nested", "unpaid && !big")] {
        let mut expression = Expression::parse(source).unwrap();
        let kind = expression.bind(&names).unwrap();
        names.define(name, expression, kind);
    }
    names
}

fn context() -> Context {
    let facts = json!({"account": {
        "email": "ann@example.com", "status": "trial", "started_at": "2026-03-02T10:00:00Z",
        "seats": 7, "rate": 0.5, "grace": "48h", "active": true, "vip": null,
        "tags": ["new", "eu"], "settings": {"lang": "no", "limits": {"chats": 3}}, "extra": 3,
    }});
    let facts = Facts::from_json(&facts, &types()).unwrap();
    let time = |text: &str| Value::Time(text.parse().unwrap());
    Context::new()
        .with_facts(&facts)
        .with("now", time("2026-03-27T08:00:00Z"))
        .with("due", time("2026-03-27T08:00:00Z"))
        .with("anchor", time("2026-03-02T10:00:00Z"))
        .with("attempt", Value::Int(1))
        .with("entity", Value::String("42".into()))
        .with("event", Value::from_json(&json!({"days": 7, "who": {"name": "Ann"}, "list": [1, 2.5, "x"], "none": null})))
}

/// The type and value of a source, or its problems: the text they point at, the message and the help.
fn outcome(source: &str) -> String {
    let problem = |span: std::ops::Range<usize>, message: String, help: &str| {
        format!("`{}`: {message} ({help})", source.get(span.clone()).unwrap_or("NOT IN THE SOURCE"))
    };
    let mut expression = match Expression::parse(source) {
        Ok(expression) => expression,
        Err(error) => return problem(error.span(), error.to_string(), error.help()),
    };
    match expression.bind(&names()) {
        Ok(kind) => match expression.evaluate(&context()) {
            Ok(value) => format!("{kind} {value}"),
            Err(error) => format!("{kind} fails at `{}`: {error}", &source[error.span()]),
        },
        Err(errors) => {
            let errors = errors.into_iter().map(|error| problem(error.span(), error.to_string(), error.help()));
            errors.collect::<Vec<_>>().join("; ")
        }
    }
}

#[track_caller]
fn check(source: &str, expected: &str) {
    assert_eq!(outcome(source), expected, "{source}");
}

#[test]
fn literals_read_as_in_cel() {
    check("1", "int 1");
    check("-9223372036854775808", "int -9223372036854775808");
    check("9223372036854775807", "int 9223372036854775807");
    check("0x1F", "int 31");
    check("1.5", "float 1.5");
    check(".5", "float 0.5");
    check("1e3", "float 1000.0");
    check(r#""a\tb\"\u00e9\x41\101""#, r#"string "a\tb\"éAA""#);
    check(r"'it\'s'", r#"string "it's""#);
    check(r#"r"\d""#, r#"string "\\d""#);
    check(
        r#""""two
lines""""#,
        r#"string "two\nlines""#,
    );
    check("[1, 2, 3,]", "list [1,2,3]");
    check("null", "any? null");
    check("true // and a comment", "bool true");
}

#[test]
fn operators_give_their_values() {
    check("1 + 2 * 3 - 4 / 2 % 3", "int 5");
    check("(1 + 2) * 3", "int 9");
    check("7 / 2", "int 3");
    check("-7 / 2", "int -3");
    check("-7 % 3", "int -1");
    check("1.0 / 0.0", "float inf");
    check("1.5 * 2.0", "float 3.0");
    check(r#""a" + 'b'"#, r#"string "ab""#);
    check("[1] + [2]", "list [1,2]");
    check("1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3", "bool true");
    check("1 == 1.0", "bool true");
    check("9007199254740993 == 9007199254740992.0", "bool false");
    check("9007199254740993 > 9007199254740992.0", "bool true");
}

#[test]
fn order_logic_and_membership_give_bools() {
    check(r#""a" < "b""#, "bool true");
    check("!true || false", "bool false");
    check("true ? 1 : 2", "int 1");
    check("false ? 1 : true ? 2 : 3", "int 2");
    check("2 in [1, 2]", "bool true");
    check(r#""x" in ["a", "b"]"#, "bool false");
    check("- -3", "int 3");
    check(r#""ab".size() + size([1, 2])"#, "int 4");
    check("0.0 / 0.0 == 0.0 / 0.0", "bool false");
}

#[test]
fn names_are_facts_variables_and_lets() {
    check(r#"account.status == "trial""#, "bool true");
    check("account.paid_at == null", "bool true");
    check("account.paid_at", "time? null");
    check(r#"account.plan == "pro""#, "bool false");
    check(r#"account.plan != "pro""#, "bool true");
    check("unpaid", "bool true");
    check("nested", "bool true");
    check("nested && attempt == 1", "bool true");
    check("account.seats + attempt", "int 8");
    check(r#"entity == "42""#, "bool true");
}

#[test]
fn fields_of_maps_and_lists_are_null_where_there_is_none() {
    check("event.days", "any? 7");
    check("event.days > 3", "bool true");
    check("event.missing == null", "bool true");
    check("event.missing.deeper == null", "bool true");
    check("event.who.name", r#"any? "Ann""#);
    check(r#"event["days"] + 1"#, "int 8");
    check("event.list[2]", r#"any? "x""#);
    check("event.list[1] < 3", "bool true");
    check("account.tags[0]", r#"any? "new""#);
    check(r#""eu" in account.tags"#, "bool true");
    check(r#""lang" in account.settings"#, "bool true");
    check("account.settings.limits.chats + 1", "int 4");
    check(r#"account.extra == "3""#, "bool false");
    check("account.extra == 3", "bool true");
    check("has(event.days) && !has(event.none) && !has(event.nope)", "bool true");
    check("has(account.paid_at)", "bool false");
    check("account.vip == true", "bool false");
}

#[test]
fn time_is_exact() {
    check("now - account.started_at", "duration 598h");
    check(r#"now - account.started_at > duration("14 hours")"#, "bool true");
    check("account.started_at + account.grace", "time 2026-03-04T10:00:00Z");
    check(r#"account.started_at - duration("1h30m")"#, "time 2026-03-02T08:30:00Z");
    check(r#"duration("PT1H") + duration("30m") == duration("90 minutes")"#, "bool true");
    check(r#"now > timestamp("2026-03-01T00:00:00Z")"#, "bool true");
    check(r#"timestamp("2026-03-02 10:00:00+01")"#, "time 2026-03-02T09:00:00Z");
    check(r#"timestamp("2026-03-02T10:00[Europe/Oslo]") == timestamp("2026-03-02T09:00:00Z")"#, "bool true");
}

#[test]
fn parts_of_time_are_read_in_a_zone() {
    check("timestamp(0)", "time 1970-01-01T00:00:00Z");
    check("now.getHours()", "int 8");
    check(r#"now.getHours("Europe/Oslo")"#, "int 9");
    check("now.getFullYear() * 100 + now.getMonth() + 1", "int 202603");
    check("now.getDate() == 27 && now.getDayOfWeek() == 5", "bool true");
    check("account.grace.getHours()", "int 48");
    check("-account.grace", "duration 48h ago");
}

#[test]
fn functions_convert_and_look_inside() {
    check(
        r#"account.email.endsWith("@example.com") && account.email.startsWith("ann") && account.email.contains("@")"#,
        "bool true",
    );
    check(r#""ÅB".lowerAscii() + "åb".upperAscii()"#, r#"string "ÅbåB""#);
    check(r#"size("åé")"#, "int 2");
    check(r#"int("12") + int(2.9) + int(-2.9)"#, "int 12");
    check("int(now)", "int 1774598400");
    check("double(3) / 2.0", "float 1.5");
    check("string(1) + string(1.5) + string(2.0) + string(true)", r#"string "11.52true""#);
    check("string(now)", r#"string "2026-03-27T08:00:00Z""#);
    check(r#"string(duration("90m"))"#, r#"string "1h 30m""#);
    check("string(1e300)", r#"string "1e300""#);
    check(r#"double("x" + account.status)"#, r#"float fails at `double("x" + account.status)`: `double` cannot read this text"#);
}

#[test]
fn failures_mean_try_again() {
    check("account.plan.size() > 0", "bool fails at `account.plan`: `account.plan` is null");
    check(r#"account.plan < "x""#, "bool fails at `account.plan`: `account.plan` is null");
    check("account.vip && true", "bool fails at `account.vip`: `account.vip` is null");
    check("account.vip || true", "bool true");
    check("true || account.vip", "bool true");
    check("false && account.vip", "bool false");
    check("account.vip && false", "bool false");
    check("widget.hits > 0", "bool fails at `widget.hits`: `widget` has not been read");
    check("widget.hits > 0 || unpaid", "bool true");
    check("widget.hits > 0 && unpaid", "bool fails at `widget.hits`: `widget` has not been read");
    check("has(event.x) && widget.hits > 0", "bool false");
}

#[test]
fn arithmetic_never_gives_a_wrong_value() {
    check("account.seats / (account.seats - 7)", "int fails at `account.seats / (account.seats - 7)`: division by zero");
    check("account.seats % (attempt - 1)", "int fails at `account.seats % (attempt - 1)`: division by zero");
    check(
        "account.seats + 9223372036854775807",
        "int fails at `account.seats + 9223372036854775807`: the result is out of range",
    );
    check(
        "-(account.seats - 9223372036854775807 - 9)",
        "int fails at `(account.seats - 9223372036854775807 - 9)`: the result is out of range",
    );
    check(r#"now + duration("80000000h")"#, r#"time fails at `now + duration("80000000h")`: the result is out of range"#);
}

#[test]
fn values_of_any_type_are_checked_when_they_are_used() {
    check("event.list[9]", "any? fails at `event.list[9]`: the list has no such element");
    check("event.list[0 - attempt]", "any? fails at `event.list[0 - attempt]`: the list has no such element");
    check("int(account.status)", "int fails at `int(account.status)`: `int` cannot read this text");
    check("event.who > 3", "bool fails at `event.who > 3`: `>` cannot take a map and an int");
    check("event.days && true", "bool fails at `event.days`: `&&` cannot take an int");
    check("event.days.name", "any? fails at `event.days.name`: `.` cannot take an int");
    check(r#"nested ? event.list["x"] : 1"#, r#"any? fails at `event.list["x"]`: `[]` cannot take a list and a string"#);
}

#[test]
fn unknown_names_are_refused_with_a_hint() {
    check("account.paid", "`account.paid`: `account.paid` is not known (did you mean `account.paid_at`?)");
    check("acount.paid_at", "`acount.paid_at`: `acount.paid_at` is not known (did you mean `account.paid_at`?)");
    check("paid_at == null", "`paid_at`: `paid_at` is not known (did you mean `account.paid_at`?)");
    check("unpayed", "`unpayed`: `unpayed` is not known (did you mean `unpaid`?)");
    check(
        "account",
        "`account`: `account` is a group of facts, not a value (name one of its fields: `account.active`, `account.email`, `account.extra`, `account.grace`, `account.paid_at`, `account.plan`, `account.rate`, `account.seats`, `account.settings`, `account.started_at`, `account.status`, `account.tags`, `account.vip`)",
    );
    check("account.paid_at.year", "`year`: `time?` has no field `year` (only maps have fields, such as `event.days`)");
    check(
        "xyz",
        "`xyz`: `xyz` is not known (known here are `account`, `widget`, `anchor`, `attempt`, `due`, `entity`, `event`, `now`, `big`, `nested`, `unpaid`)",
    );
    check(
        "account.email.length()",
        "`length`: function `length` is not known (known are `size`, `startsWith`, `endsWith`, `contains`, `lowerAscii`, `upperAscii`, `getFullYear`, `getMonth`, `getDate`, `getDayOfWeek`, `getHours`, `getMinutes`, `getSeconds`)",
    );
    check("sizes(1)", "`sizes`: function `sizes` is not known (did you mean `size`?)");
    check(r#"startsWith("a", "b")"#, "`startsWith`: `startsWith` is called on a value (write `text.startsWith(text)`)");
    check(r#""a".timestamp()"#, "`timestamp`: `timestamp` is not called on a value (write `timestamp(value)`)");
    check(
        "account.tags.all(x, x > 1)",
        "`all`: function `all` is not known (loops over lists are not supported; use `in`, or give the answer as a fact)",
    );
    check(
        r#"account.email.matches("a.*")"#,
        "`matches`: function `matches` is not known (regular expressions are not supported; use `startsWith`, `endsWith` or `contains`)",
    );
}

#[test]
fn types_are_checked_before_there_are_facts() {
    check(
        r#"account.seats == "7""#,
        r#"`account.seats == "7"`: `int` and `string` are never equal (leave out the quotes, or convert with `int(x)` or `string(x)`)"#,
    );
    check(
        r#"account.seats > "7""#,
        r#"`account.seats > "7"`: `>` cannot join `int` and `string` (leave out the quotes, or convert with `int(x)` or `string(x)`)"#,
    );
    check(
        "account.email == null",
        "`account.email == null`: `account.email` is never null (declare its type with `?` if it may be, or leave out the test)",
    );
    check(
        "null != account.seats",
        "`null != account.seats`: `account.seats` is never null (declare its type with `?` if it may be, or leave out the test)",
    );
    check("has(account.email)", "`has(account.email)`: `account.email` is never null (leave out the test: it is always true)");
}

#[test]
fn operators_refuse_types_they_have_no_meaning_for() {
    check(
        "account.seats + account.rate",
        "`account.seats + account.rate`: `+` cannot join `int` and `float` (make both floats: `double(x)`)",
    );
    check(
        "account.seats && true",
        r#"`account.seats`: `&&` takes bools, not `int` (compare it with something, such as `> 0` or `== "text"`)"#,
    );
    check(
        "account.seats || account.email",
        r#"`account.seats`: `||` takes bools, not `int` (compare it with something, such as `> 0` or `== "text"`); `account.email`: `||` takes bools, not `string` (compare it with something, such as `> 0` or `== "text"`)"#,
    );
    check(
        "!account.seats",
        r#"`account.seats`: `!` takes bools, not `int` (compare it with something, such as `> 0` or `== "text"`)"#,
    );
    check("-account.email", "`account.email`: `-` takes a number or a duration, not `string` (use `!` to negate a condition)");
    check(
        r#"account.started_at > "2026-01-01""#,
        r#"`account.started_at > "2026-01-01"`: `>` cannot join `time` and `string` (write the instant as `timestamp("2026-03-02T10:00:00Z")`)"#,
    );
    check(
        "account.started_at + 3",
        r#"`account.started_at + 3`: `+` cannot join `time` and `int` (write the span of time as `duration("48h")`)"#,
    );
    check(
        "now + now",
        r#"`now + now`: `+` cannot join `time` and `time` (times are subtracted from each other; what is added is a `duration("48h")`)"#,
    );
    check(
        "account.grace * 2",
        "`account.grace * 2`: `*` cannot join `duration` and `int` (only numbers can be multiplied and divided)",
    );
    check(
        "true < false",
        "`true < false`: `<` cannot join `bool` and `bool` (numbers, text, times and durations have an order, and `+` and `-`; other types have `==` and `in`)",
    );
    check(
        "[1] < [2]",
        "`[1] < [2]`: `<` cannot join `list` and `list` (numbers, text, times and durations have an order, and `+` and `-`; other types have `==` and `in`)",
    );
    check("null + 1", "`null + 1`: `+` cannot join `null` and `int` (null can only be compared with `==` and `!=`)");
}

#[test]
fn containers_and_branches_hold_one_type() {
    check(r#"account.seats in [1, "a"]"#, r#"`"a"`: a list cannot hold both `int` and `string` (give all elements one type)"#);
    check(
        r#"account.seats in ["a"]"#,
        r#"`account.seats in ["a"]`: `int` is never in a list of `string` (the elements must be of the same type as what is looked for)"#,
    );
    check(
        r#""a" in "abc""#,
        r#"`"a" in "abc"`: `in` cannot look for `string` in `string` (to look for text in text write `text.contains("part")`)"#,
    );
    check(
        r#"true ? 1 : "a""#,
        r#"`1 : "a"`: the branches of `? :` are of different types, `int` and `string` (give both branches one type, for instance with `string(…)` or `double(…)`)"#,
    );
    check("1 ? 2 : 3", r#"`1`: `? :` takes bools, not `int` (compare it with something, such as `> 0` or `== "text"`)"#);
    check("account.seats.name", "`name`: `int` has no field `name` (only maps have fields, such as `event.days`)");
    check(r#"account.tags["a"]"#, r#"`"a"`: a list is indexed by an int, not `string` (write `x[0]` for the first)"#);
    check("account.settings[1]", r#"`1`: a map is indexed by a string, not `int` (write `x["key"]`)"#);
    check("account.seats[0]", "`account.seats`: `int` cannot be indexed (only lists and maps can)");
}

#[test]
fn functions_refuse_what_they_do_not_take() {
    check("size(3)", "`size(3)`: `size` cannot take `int` (write `size(value)`; it takes a string or a list or a map)");
    check("size()", "`size()`: `size` cannot take nothing (write `size(value)`; it takes a string or a list or a map)");
    check(
        r#""a".startsWith()"#,
        r#"`"a".startsWith()`: `startsWith` cannot take `string` (write `text.startsWith(text)`; it takes a string)"#,
    );
    check(
        r#""a".contains(1)"#,
        r#"`"a".contains(1)`: `contains` cannot take `string`, `int` (write `text.contains(text)`; it takes a string)"#,
    );
    check(
        "now.getHours(3)",
        r#"`now.getHours(3)`: `getHours` cannot take `time`, `int` (write `time.getHours("Europe/Oslo")`; it takes a time or a duration)"#,
    );
    check(
        r#"account.grace.getHours("Europe/Oslo")"#,
        r#"`account.grace.getHours("Europe/Oslo")`: `getHours` cannot take `duration`, `string` (write `time.getHours("Europe/Oslo")`; it takes a time or a duration)"#,
    );
    check(
        r#"acount.x && account.seats == "a" && -account.email"#,
        r#"`acount.x`: `acount.x` is not known (did you mean `account`?); `account.seats == "a"`: `int` and `string` are never equal (leave out the quotes, or convert with `int(x)` or `string(x)`); `account.email`: `-` takes a number or a duration, not `string` (use `!` to negate a condition)"#,
    );
}

#[test]
fn what_always_fails_is_refused() {
    check("1 / 0", "`1 / 0`: division by zero (this part always fails: correct it)");
    check("account.seats / 0", "`0`: division by zero (this part always fails: correct it)");
    check("account.seats > 1 % 0", "`1 % 0`: division by zero (this part always fails: correct it)");
    check(
        "9223372036854775807 + 1",
        "`9223372036854775807 + 1`: the result is out of range (this part always fails: correct it)",
    );
    check(
        "-9223372036854775808 / -1",
        "`-9223372036854775808 / -1`: the result is out of range (this part always fails: correct it)",
    );
    check(
        r#"timestamp("yesterday") < now"#,
        r#"`timestamp("yesterday")`: `timestamp` cannot read this text (write the instant as `2026-03-02T10:00:00Z`, with an offset or zone)"#,
    );
    check(
        r#"duration("2 days")"#,
        r#"`duration("2 days")`: `duration` cannot read this text (write it as `48h`, `90 minutes` or `PT48H`; days have no fixed length here)"#,
    );
    check(
        r#"now.getHours("Mars/Base")"#,
        r#"`"Mars/Base"`: time zone `Mars/Base` is not known (write an IANA name such as `Europe/Oslo`)"#,
    );
    check(r#"int("x")"#, r#"`int("x")`: `int` cannot read this text (this part always fails: correct it)"#);
    check("[1][3]", "`[1][3]`: the list has no such element (this part always fails: correct it)");
    check("account.active && [1, 2][2] == 1", "`[1, 2][2]`: the list has no such element (this part always fails: correct it)");
    check("true || 1 / 0 > 0", "bool true");
}

#[test]
fn text_that_is_no_expression_is_refused() {
    check("   ", "`   `: the expression is empty (write a condition such as `account.paid_at == null`)");
    check("1 +", "``: expected a value, found the end (the expression stops too early)");
    check("(1", "``: expected `)`, found the end (the expression stops too early)");
    check("1)", "`)`: expected an operator, found `)` (is something missing before it, or is it too much?)");
    check("[1", "``: expected `,` or `]`, found the end (the expression stops too early)");
    check("a b", "`b`: expected an operator, found `b` (join two parts with an operator such as `&&` or `==`)");
    check("account.paid_at = null", "`=`: character `=` is not allowed here (compare with `==`)");
    check("a & b", "`&`: character `&` is not allowed here (write `&&` for and)");
    check("a and b", "`and`: expected an operator, found `and` (write `&&` for and)");
    check("not a", "`not`: expected an operator after `not` (write `!` for not)");
}

#[test]
fn literals_that_cannot_be_read_are_refused() {
    check(r#""abc"#, r#"`"abc`: the text does not end (end the text with ")"#);
    check(
        r#""a\q""#,
        r#"`\q`: escape `\q` is not known (known are \n \t \r \\ \" \' \xHH \uHHHH; in r"…" a backslash means itself)"#,
    );
    check(r#""\u12""#, r"`\u12`: the escape is not a character (it takes 4 digits that name a Unicode character)");
    check(r#""a\0b""#, r"`\0`: the escape is not a character (it takes 3 digits that name a Unicode character)");
    check(r#"b"x""#, r#"`b`: bytes are not supported (write text: "…")"#);
    check("1u", "`1u`: a number cannot end in letters (leave out the `u`: all whole numbers are signed)");
    check(
        "12h",
        r#"`12h`: a number cannot end in letters (put a blank or an operator after a number; a span of time is written `duration("48h")`)"#,
    );
    check(
        "99999999999999999999",
        "`99999999999999999999`: the number is too large (an int goes from -9223372036854775808 to 9223372036854775807; write 1e19 for a float)",
    );
    check(
        "1e999",
        "`1e999`: the number is too large (an int goes from -9223372036854775808 to 9223372036854775807; write 1e19 for a float)",
    );
    check(
        "9223372036854775808",
        "`9223372036854775808`: the number is too large (an int goes from -9223372036854775808 to 9223372036854775807; write 1e19 for a float)",
    );
    check(r#"{"a": 1}"#, "`{`: maps cannot be written here (compare the fields one by one)");
}

#[test]
fn syntax_that_stops_in_the_middle_is_refused() {
    check("account.", "``: expected a name after `.`, found the end (the expression stops too early)");
    check("account.1", "`.1`: expected an operator, found a number (join two parts with an operator such as `+` or `==`)");
    check("a..b", "`.`: expected a name after `.`, found `.` (is something missing before it, or is it too much?)");
    check("while", "`while`: `while` is a reserved word (CEL keeps it for later use; choose another name)");
    check("has(a)", "`has(a)`: `has` takes one field (write `has(event.days)`)");
    check("has(1 + 2)", "`has(1 + 2)`: `has` takes one field (write `has(event.days)`)");
    check("size(1,)", "`)`: expected a value, found `)` (is something missing before it, or is it too much?)");
    check("a ? b", "``: expected `:`, found the end (the expression stops too early)");
    check("#$", "`#`: character `#` is not allowed here (an expression is made of names, numbers, quoted text and operators)");
    check("“a”", r#"`“`: character `“` is not allowed here (text stands in straight quotes: "…" or '…')"#);
    check("'a' 'b'", "`'b'`: expected an operator, found text (join two parts with an operator such as `==` or `+`)");
    check("x == 5 is null", "`is`: expected an operator, found `is` (compare with `==`)");
}

#[test]
fn names_are_listed_through_lets() {
    let mut expression = Expression::parse("nested && event.days > size(account.email)").unwrap();
    assert_eq!(expression.names(), ["account.email", "event.days", "nested"]);
    expression.bind(&names()).unwrap();
    assert_eq!(expression.names(), ["account.email", "account.paid_at", "account.seats", "event.days"]);
    assert_eq!(expression.to_string(), "nested && event.days > size(account.email)");
}

#[test]
fn a_let_can_be_used_under_another_let_only_within_the_limits() {
    let mut names = names();
    let mut last = "big".to_owned();
    for step in 0..20 {
        let mut expression = Expression::parse(&format!("{last} && {last}")).unwrap();
        match expression.bind(&names) {
            Ok(kind) => names.define(&format!("let{step}"), expression, kind),
            Err(errors) => {
                let limit = "with its lets put in the expression has more than 2048 parts or nests deeper than 64";
                assert_eq!(errors[0].to_string(), limit);
                return;
            }
        }
        last = format!("let{step}");
    }
    panic!("a million parts were accepted");
}

#[track_caller]
fn check_constant(source: &str, expected: Option<bool>) {
    let mut expression = Expression::parse(source).unwrap();
    expression.bind(&names()).unwrap();
    assert_eq!(expression.constant(), expected.map(Value::Bool), "{source}");
}

#[test]
fn constant_conditions_are_seen() {
    check_constant("1 < 2", Some(true));
    check_constant("account.seats == account.seats", Some(true));
    check_constant("account.seats != account.seats && unpaid", Some(false));
    check_constant("unpaid || 1 == 1", Some(true));
    check_constant("unpaid && !unpaid", Some(false));
    check_constant("account.status == 'a' || account.status != 'a'", Some(true));
    check_constant("unpaid ? true : true", Some(true));
    check_constant("!(unpaid && false)", Some(true));
    check_constant("account.seats > 3", None);
    check_constant("unpaid && true", None);
    check_constant("unpaid ? true : false", None);
}

#[track_caller]
fn check_nullable(source: &str, expected: &[&str]) {
    let mut expression = Expression::parse(source).unwrap();
    expression.bind(&names()).unwrap();
    let found: Vec<String> = expression.nullable_uses().into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, expected, "{source}");
}

#[test]
fn nullable_names_are_noticed_where_null_is_an_error() {
    check_nullable("account.paid_at < now", &["account.paid_at"]);
    check_nullable("account.plan.size() > 0 && account.vip", &["account.plan", "account.vip"]);
    check_nullable("account.vip ? true : false", &["account.vip"]);
    check_nullable("account.paid_at != null && account.paid_at < now", &[]);
    check_nullable("has(account.paid_at) && account.paid_at < now", &[]);
    check_nullable("account.plan == 'pro' || account.plan in ['a']", &[]);
    check_nullable("event.days > 3", &[]);
}

#[track_caller]
fn check_deciding(source: &str, expected: &str) {
    let mut expression = Expression::parse(source).unwrap();
    expression.bind(&names()).unwrap();
    let deciding = expression.deciding(&context());
    let shown: Vec<String> = deciding.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(shown.join(" "), expected, "{source}");
}

#[test]
fn deciding_names_are_those_the_result_depended_on() {
    check_deciding("unpaid && account.seats > 3", "account.paid_at=null account.seats=7");
    check_deciding("unpaid && account.seats > 100", "account.seats=7");
    check_deciding("unpaid || account.seats > 3", "account.paid_at=null");
    check_deciding("big || account.status == 'trial'", r#"account.status="trial""#);
    check_deciding("big ? account.email == 'a' : account.active", "account.active=true account.seats=7");
    check_deciding("event.days > 3", "event.days=7");
}

#[test]
fn errors_of_evaluation_have_a_kind() {
    let kind = |source: &str| {
        let mut expression = Expression::parse(source).unwrap();
        expression.bind(&names()).unwrap();
        expression.evaluate(&context()).unwrap_err().kind().clone()
    };
    assert_eq!(kind("widget.hits > 0"), EvaluationErrorKind::NotRead { name: "widget".to_owned() });
    assert_eq!(kind("account.plan < 'a'"), EvaluationErrorKind::Null { name: "`account.plan`".to_owned() });
    let context = Context::new().with_facts(&Facts::from_json(&json!({"account": {}}), &types()).unwrap());
    let mut seats = Expression::parse("account.seats > 3").unwrap();
    seats.bind(&names()).unwrap();
    let error = seats.evaluate(&context).unwrap_err();
    assert_eq!(error.kind(), &EvaluationErrorKind::NotGiven { name: "account.seats".to_owned() });
}
