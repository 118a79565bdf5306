//! Goal: local time is right in every zone, also where clocks change. Method: tables of rule and expected instant, the
//! expectations taken from the zones' published rules, not from the code.

use hence_core::calendar::Calendar;
use hence_core::calendar::Offset;
use hence_core::calendar::TimeOfDay;
use hence_core::calendar::in_words;
use hence_core::calendar::{Zone, parse_instant, tzdb_version};

/// `check("2026-03-02T10:00[Europe/Oslo]", "25 days", "2026-03-27T10:00:00+01:00[Europe/Oslo]")`
fn check(anchor: &str, offset: &str, expected: &str) {
    let (at, zone) = parse_instant(anchor, None).unwrap_or_else(|error| panic!("{anchor}: {error}"));
    let zone = zone.unwrap_or_else(Zone::utc);
    let found = match Offset::parse(offset).and_then(|offset| offset.add_to(at, &zone)) {
        Ok(at) => zone.zoned(at).to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected, "{anchor} plus {offset}");
}

#[test]
fn days_keep_the_local_time_over_clock_changes() {
    check("2026-03-02T10:00[Europe/Oslo]", "25 days", "2026-03-27T10:00:00+01:00[Europe/Oslo]");
    check("2026-03-02T10:00[Europe/Oslo]", "30 days", "2026-04-01T10:00:00+02:00[Europe/Oslo]");
    check("2026-10-24T10:00[Europe/Oslo]", "1 day", "2026-10-25T10:00:00+01:00[Europe/Oslo]");
    check("2026-03-07T12:00[America/New_York]", "1 day", "2026-03-08T12:00:00-04:00[America/New_York]");
    check("2026-04-01T10:00[Europe/Oslo]", "-3 days", "2026-03-29T10:00:00+02:00[Europe/Oslo]");
    check("2026-04-01T10:00[Europe/Oslo]", "3 days ago", "2026-03-29T10:00:00+02:00[Europe/Oslo]");
    check("2026-04-01T10:00[Europe/Oslo]", "-P4D", "2026-03-28T10:00:00+01:00[Europe/Oslo]");
}

#[test]
fn hours_count_what_has_passed() {
    check("2026-03-28T12:00[Europe/Oslo]", "24 hours", "2026-03-29T13:00:00+02:00[Europe/Oslo]");
    check("2026-10-24T12:00[Europe/Oslo]", "24h", "2026-10-25T11:00:00+01:00[Europe/Oslo]");
    check("2026-03-27T23:00[Europe/Oslo]", "1 day 3 hours", "2026-03-29T03:00:00+02:00[Europe/Oslo]");
    check("2026-10-25T02:30+02:00[Europe/Oslo]", "1 hour", "2026-10-25T02:30:00+01:00[Europe/Oslo]");
}

#[test]
fn a_time_in_a_gap_moves_forward_by_the_gap() {
    check("2026-03-28T02:30[Europe/Oslo]", "1 day", "2026-03-29T03:30:00+02:00[Europe/Oslo]");
    check("2026-03-30T02:30[Europe/Oslo]", "-1 day", "2026-03-29T03:30:00+02:00[Europe/Oslo]");
    check("2026-03-07T02:15[America/New_York]", "1 day", "2026-03-08T03:15:00-04:00[America/New_York]");
    check("2026-10-03T02:10[Australia/Lord_Howe]", "1 day", "2026-10-04T02:40:00+11:00[Australia/Lord_Howe]");
    // Cairo begins summer time at midnight of the last Friday in April.
    check("2026-04-23T00:30[Africa/Cairo]", "1 day", "2026-04-24T01:30:00+03:00[Africa/Cairo]");
    // Casablanca goes back to +01 at the end of Ramadan, on Sunday 2026-03-22 at 02:00.
    check("2026-03-21T02:30[Africa/Casablanca]", "1 day", "2026-03-22T03:30:00+01:00[Africa/Casablanca]");
    // Apia had no 30 December 2011: it crossed the date line.
    check("2011-12-29T10:00[Pacific/Apia]", "1 day", "2011-12-31T10:00:00+14:00[Pacific/Apia]");
    check("2011-12-29T10:00[Pacific/Apia]", "2 days", "2011-12-31T10:00:00+14:00[Pacific/Apia]");
}

#[test]
fn a_time_that_comes_twice_is_the_first() {
    check("2026-10-24T02:30[Europe/Oslo]", "1 day", "2026-10-25T02:30:00+02:00[Europe/Oslo]");
    check("2026-10-31T01:30[America/New_York]", "1 day", "2026-11-01T01:30:00-04:00[America/New_York]");
    check("2026-04-04T01:45[Australia/Lord_Howe]", "1 day", "2026-04-05T01:45:00+11:00[Australia/Lord_Howe]");
    check("2026-10-28T23:30[Africa/Cairo]", "1 day", "2026-10-29T23:30:00+03:00[Africa/Cairo]");
    check("2026-02-14T02:30[Africa/Casablanca]", "1 day", "2026-02-15T02:30:00+01:00[Africa/Casablanca]");
}

#[test]
fn adding_nothing_changes_nothing() {
    check("2026-10-25T02:30+01:00[Europe/Oslo]", "0 days", "2026-10-25T02:30:00+01:00[Europe/Oslo]");
    check("2026-10-25T02:30+02:00[Europe/Oslo]", "P0D", "2026-10-25T02:30:00+02:00[Europe/Oslo]");
}

#[test]
fn month_ends_and_leap_days_clamp() {
    check("2026-01-31T10:00[Europe/Oslo]", "1 month", "2026-02-28T10:00:00+01:00[Europe/Oslo]");
    check("2028-01-31T10:00Z", "1 month", "2028-02-29T10:00:00+00:00[UTC]");
    check("2024-02-29T10:00Z", "1 year", "2025-02-28T10:00:00+00:00[UTC]");
    check("2024-02-29T10:00Z", "4 years", "2028-02-29T10:00:00+00:00[UTC]");
    check("2026-03-31T10:00Z", "-1 month", "2026-02-28T10:00:00+00:00[UTC]");
    check("2026-01-31T10:00Z", "1 month 1 day", "2026-03-01T10:00:00+00:00[UTC]");
    check("2026-01-31T10:00Z", "2 weeks", "2026-02-14T10:00:00+00:00[UTC]");
}

#[test]
fn nothing_is_cut_at_the_ends_of_time() {
    let outside = "the computed time lies outside the years 1 to 9999";
    check("2026-01-01T00:00Z", "8000 years", outside);
    check("2026-01-01T00:00Z", "-2026 years", outside);
    check("2026-01-01T00:00Z", "-17753473 hours", outside);
    check("2026-01-01T00:00Z", "7900 years", "9926-01-01T00:00:00+00:00[UTC]");
}

#[test]
fn offsets_are_shown_in_one_form() {
    let shown = |text: &str| match Offset::parse(text) {
        Ok(offset) => {
            assert_eq!(Offset::parse(&offset.to_string()), Ok(offset), "{text} reads back");
            offset.to_string()
        }
        Err(error) => format!("{error}; {}", error.help()),
    };
    let help = "write `25 days`, `-3 days`, `2 days 3h`, `P25D` or `3 working days`";
    for (text, expected) in [
        ("25 days", "25 days"),
        ("P25D", "25 days"),
        ("1d", "1 day"),
        ("-P3D", "-3 days"),
        ("-3 days", "-3 days"),
        ("3 days ago", "-3 days"),
        ("2 days 3h", "2 days 3 hours"),
        ("90 minutes", "1 hour 30 minutes"),
        ("1.5 hours", "1 hour 30 minutes"),
        ("-90s", "-1 minute 30 seconds"),
        ("P1Y2M3W4DT5H6M7S", "1 year 2 months 3 weeks 4 days 5 hours 6 minutes 7 seconds"),
        ("250ms", "250 milliseconds"),
        ("0 hours", "0 days"),
        ("3 working days", "3 working days"),
        ("-1 working day", "-1 working day"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
    for (text, problem) in [
        ("", "is not a duration"),
        ("soon", "is not a duration"),
        ("25", "is not a duration"),
        ("working days", "is not a number of working days"),
        ("2 days 3 working days", "is not a number of working days"),
        ("10001 working days", "is more than 10000 working days"),
        ("99999999999999999999 days", "is not a duration"),
    ] {
        assert_eq!(shown(text), format!("`{text}` {problem}; {help}"));
    }
    assert!(shown("0 working days").starts_with("`0 working days` says nothing; write `0 days`"));
}

#[test]
fn offsets_know_their_parts() {
    let parts = |text: &str| {
        let offset = Offset::parse(text).unwrap();
        (offset.has_calendar_part(), offset.has_time_part(), offset.is_negative())
    };
    assert_eq!(parts("25 days"), (true, false, false));
    assert_eq!(parts("-3h"), (false, true, true));
    assert_eq!(parts("1 week 2s"), (true, true, false));
    assert_eq!(parts("0 days"), (false, false, false));
    assert_eq!(parts("-2 working days"), (true, false, true));
}

#[test]
fn working_days_count_open_days() {
    let oslo = Zone::parse("Europe/Oslo").unwrap();
    let hours = Calendar::parse_hours("mon-fri 08:00-16:00").unwrap().with_closed("2026-04-02..2026-04-06").unwrap();
    let check = |anchor: &str, offset: &str, expected: &str| {
        let at = parse_instant(anchor, Some(&oslo)).unwrap().0;
        let found = Offset::parse(offset).unwrap().from_instant(at, &oslo, Some(&hours)).unwrap();
        assert_eq!(oslo.local(found.at).to_string(), expected, "{anchor} {offset}");
    };
    check("2026-03-02T10:00", "3 working days", "2026-03-05T10:00:00");
    check("2026-03-06T10:00", "1 working day", "2026-03-09T10:00:00");
    check("2026-03-07T10:00", "1 working day", "2026-03-09T10:00:00");
    check("2026-03-07T10:00", "-1 working day", "2026-03-06T10:00:00");
    check("2026-04-01T10:00", "1 working day", "2026-04-07T10:00:00");
    check("2026-04-07T10:00", "-3 working days", "2026-03-30T10:00:00");
    let refused = Offset::parse("3 working days").unwrap().add_to(jiff::Timestamp::UNIX_EPOCH, &oslo).unwrap_err();
    assert_eq!(refused.to_string(), "`3 working days` needs open hours to know which days are worked");
}

#[test]
fn zones_are_found_or_proposed() {
    let found = |name: &str| match Zone::parse(name) {
        Ok(zone) => zone.name().to_owned(),
        Err(error) => format!("{error}; {}", error.help()),
    };
    assert_eq!(found("Europe/Oslo"), "Europe/Oslo");
    assert_eq!(found("europe/OSLO"), "Europe/Oslo");
    assert_eq!(found("UTC"), "UTC");
    assert_eq!(found("utc"), "UTC");
    assert_eq!(found("Europe/Olso"), "there is no time zone `Europe/Olso`; did you mean `Europe/Oslo`?");
    assert_eq!(found("New York"), "there is no time zone `New York`; did you mean `America/New_York`?");
    assert_eq!(found("Mars"), "there is no time zone `Mars`; use an IANA name such as `Europe/Oslo` or `UTC`");
    assert!(found("+02:00").contains("a fixed offset knows no summer time"));
    for refused in ["", "Etc/Unknown", "localtime", "../etc/passwd", "Europe/Oslo\0", &"x".repeat(10_000)] {
        assert!(found(refused).starts_with("there is no time zone"), "{refused}");
    }
    assert!(tzdb_version().starts_with("20"), "{}", tzdb_version());
}

#[test]
fn instants_are_read_with_their_zone() {
    let read = |text: &str| match parse_instant(text, None) {
        Ok((at, zone)) => format!("{at} {}", zone.map_or("-".to_owned(), |zone| zone.to_string())),
        Err(error) => error.to_string(),
    };
    assert_eq!(read("2026-03-02T10:00[Europe/Oslo]"), "2026-03-02T09:00:00Z Europe/Oslo");
    assert_eq!(read("2026-03-02T10:00+01:00[Europe/Oslo]"), "2026-03-02T09:00:00Z Europe/Oslo");
    assert_eq!(read("2026-03-02T10:00+01:00"), "2026-03-02T09:00:00Z -");
    assert_eq!(read("2026-03-02T10:00Z"), "2026-03-02T10:00:00Z -");
    assert_eq!(read("2026-03-02T10:00"), "`2026-03-02T10:00` has no time zone");
    assert_eq!(read("2026-03-02T10:00[Europe/Olso]"), "there is no time zone `Europe/Olso`");
    assert!(read("2026-03-02T10:00+05:00[Europe/Oslo]").starts_with("`2026-03-02T10:00+05:00[Europe/Oslo]` is not an instant"));
    assert_eq!(read("-000001-01-01T00:00Z"), "the computed time lies outside the years 1 to 9999");
    assert!(read("tomorrow").starts_with("`tomorrow` is not an instant"));
}

#[test]
fn times_of_day_are_strict() {
    for (text, expected) in [("09:00", "09:00"), ("09:00:30", "09:00:30"), ("00:00", "00:00"), ("23:59:59", "23:59:59")] {
        assert_eq!(TimeOfDay::parse(text).unwrap().to_string(), expected);
    }
    for text in ["24:00", "9:00", "09", "09:60", "09:00:60", "25:00", "09:00Z", "0９:00", "", "+9:00", "09:00:00.5"] {
        let error = TimeOfDay::parse(text).unwrap_err();
        assert_eq!(error.to_string(), format!("`{text}` is not a time of day"));
    }
    assert!(TimeOfDay::parse("24:00").unwrap_err().help().contains("count one day more"));
}

#[test]
fn distances_are_said_in_words() {
    let oslo = Zone::parse("Europe/Oslo").unwrap();
    let check = |from: &str, to: &str, expected: &str| {
        let at = |text: &str| parse_instant(text, Some(&oslo)).unwrap().0;
        assert_eq!(in_words(at(from), at(to), &oslo), expected);
    };
    check("2026-03-02T10:00", "2026-03-02T10:00", "now");
    check("2026-03-02T10:00", "2026-03-02T10:00:01", "in 1 second");
    check("2026-03-02T10:00", "2026-03-02T09:59:15", "45 seconds ago");
    check("2026-03-02T10:00", "2026-03-02T11:20", "in 1 hour 20 minutes");
    check("2026-03-02T10:00", "2026-03-02T08:00", "2 hours ago");
    check("2026-03-28T12:00", "2026-03-29T12:00", "in 1 day");
    check("2026-03-02T10:00", "2026-03-06T13:00", "in 4 days");
    check("2026-03-02T10:00", "2026-04-05T10:00", "in 1 month 3 days");
    check("2026-03-02T10:00", "2023-03-02T10:00", "3 years ago");
}
