//! Goal: what comes again comes once each time, also where clocks change. Method: tables of start, rule and the first
//! occurrences; random starts near changes of clocks for the two promises "instants rise" and "keys are unique".

use hence_core::calendar::{Zone, parse_instant};
use hence_core::due::{self, DueRule};
use hence_core::recurrence::{Nominal, Occurrence, Recurrence, Start, Until};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

/// Random cases of each property.
const CASES: u32 = 500;

/// Reads `repeat 7 days times 4 until 2026-12-31`, `cron 0 9 * * *` or `rrule FREQ=DAILY`.
fn recurrence(text: &str) -> Recurrence {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn parse(text: &str) -> Result<Recurrence, hence_core::calendar::CalendarError> {
    let (kind, rest) = text.split_once(' ').unwrap();
    match kind {
        "cron" => Recurrence::parse_cron(rest),
        "rrule" => Recurrence::parse_rrule(rest),
        _ => {
            let (rest, until) = rest.split_once(" until ").map_or((rest, None), |(rest, until)| (rest, Some(until)));
            let (every, times) = rest.split_once(" times ").map_or((rest, None), |(every, times)| (every, Some(times)));
            Recurrence::parse_repeat(every, times.map(|times| times.parse().unwrap()), until.map(Until::parse).transpose()?)
        }
    }
}

fn all(recurrence: &Recurrence, start: &Start, zone: &Zone, count: usize) -> Vec<Occurrence> {
    let mut found: Vec<Occurrence> = recurrence.first(start, zone).into_iter().collect();
    while let Some(last) = found.last().filter(|_| found.len() < count) {
        let Some(next) = recurrence.next_after(&last.nominal, start, zone) else { break };
        found.push(next);
    }
    found
}

/// `check(start, rule, "the local times of the first occurrences, with their offset to UTC")`
fn check(start: &str, rule: &str, expected: &str) {
    let (at, zone) = parse_instant(start, None).unwrap();
    let zone = zone.unwrap();
    let expected: Vec<&str> = expected.split_whitespace().collect();
    let count = expected.iter().filter(|text| **text != "end").count() + 1;
    let mut found: Vec<String> = all(&recurrence(rule), &Start::new(at, &zone), &zone, count)
        .iter()
        .map(|occurrence| zone.zoned(occurrence.at).strftime("%m-%dT%H:%M%:z").to_string())
        .collect();
    match expected.last() {
        Some(&"end") => found.push("end".to_owned()),
        _ => found.truncate(expected.len()),
    }
    assert_eq!(found, expected, "{start} {rule}");
}

fn refused(text: &str) -> String {
    match parse(text) {
        Ok(recurrence) => format!("accepted as {recurrence:?}"),
        Err(error) => format!("{error}; {}", error.help()),
    }
}

#[test]
fn days_repeat_at_the_local_time() {
    check("2026-03-26T10:00[Europe/Oslo]", "repeat 2 days times 3", "03-26T10:00+01:00 03-28T10:00+01:00 03-30T10:00+02:00 end");
    check("2026-01-31T10:00[UTC]", "repeat 1 month", "01-31T10:00+00:00 02-28T10:00+00:00 03-31T10:00+00:00 04-30T10:00+00:00");
    check("2024-02-29T10:00[UTC]", "repeat 1 year times 2", "02-29T10:00+00:00 02-28T10:00+00:00 end");
    check("2026-03-28T02:30[Europe/Oslo]", "repeat 1 day", "03-28T02:30+01:00 03-29T03:30+02:00 03-30T02:30+02:00");
    check("2026-10-24T02:30[Europe/Oslo]", "repeat 1 day", "10-24T02:30+02:00 10-25T02:30+02:00 10-26T02:30+01:00");
    check("2026-10-25T02:30+01:00[Europe/Oslo]", "repeat 1 day", "10-25T02:30+01:00 10-26T02:30+01:00");
    check("2011-12-28T10:00[Pacific/Apia]", "repeat 1 day", "12-28T10:00-10:00 12-29T10:00-10:00 12-31T10:00+14:00");
}

#[test]
fn hours_repeat_as_they_pass() {
    check("2026-03-29T01:00[Europe/Oslo]", "repeat 1 hour", "03-29T01:00+01:00 03-29T03:00+02:00 03-29T04:00+02:00");
    check("2026-10-25T02:00+02:00[Europe/Oslo]", "repeat 1 hour", "10-25T02:00+02:00 10-25T02:00+01:00 10-25T03:00+01:00");
    check("2026-03-28T12:00[Europe/Oslo]", "repeat 24 hours", "03-28T12:00+01:00 03-29T13:00+02:00 03-30T13:00+02:00");
}

#[test]
fn until_is_the_last_moment() {
    let start = "2026-03-28T10:00[Europe/Oslo]";
    check(start, "repeat 1 day until 2026-03-29", "03-28T10:00+01:00 03-29T10:00+02:00 end");
    check(start, "repeat 1 day until 2026-03-29T10:00", "03-28T10:00+01:00 03-29T10:00+02:00 end");
    check(start, "repeat 1 day until 2026-03-29T09:59", "03-28T10:00+01:00 end");
    check(start, "repeat 1 day until 2026-03-29T08:00:00Z", "03-28T10:00+01:00 03-29T10:00+02:00 end");
    check(start, "repeat 1 day until 2026-03-29T07:59:59Z", "03-28T10:00+01:00 end");
    check(start, "repeat 1 day until 1 day", "03-28T10:00+01:00 03-29T10:00+02:00 end");
    check(start, "repeat 1 day until 2026-03-27", "end");
}

#[test]
fn cron_patterns_match_local_time() {
    check("2026-03-02T10:00[Europe/Oslo]", "cron 0 9 * * mon-fri", "03-03T09:00+01:00 03-04T09:00+01:00 03-05T09:00+01:00");
    check("2026-03-02T09:00[Europe/Oslo]", "cron 0 9 * * *", "03-02T09:00+01:00 03-03T09:00+01:00");
    check("2026-03-28T00:00[Europe/Oslo]", "cron 30 2 * * *", "03-28T02:30+01:00 03-29T03:30+02:00 03-30T02:30+02:00");
    check("2026-10-25T00:00[Europe/Oslo]", "cron 30 2 * * *", "10-25T02:30+02:00 10-26T02:30+01:00");
    // The half hours of the gap would come together with those after it, so they are left out.
    check("2026-03-29T01:30[Europe/Oslo]", "cron */30 * * * *", "03-29T01:30+01:00 03-29T03:00+02:00 03-29T03:30+02:00");
    // Each local time once: the second hour of the fold is silent.
    check("2026-10-25T02:30+02:00[Europe/Oslo]", "cron */30 * * * *", "10-25T02:30+02:00 10-25T03:00+01:00");
    check("2026-10-25T02:15+01:00[Europe/Oslo]", "cron */30 * * * *", "10-25T03:00+01:00");
    check("2026-01-01T00:00[UTC]", "cron 0 0 29 2 *", "02-29T00:00+00:00 02-29T00:00+00:00");
    check("2026-01-01T00:00[UTC]", "cron 0 9 L * *", "01-31T09:00+00:00 02-28T09:00+00:00");
    check("2026-01-01T00:00[UTC]", "cron @monthly", "01-01T00:00+00:00 02-01T00:00+00:00");
}

#[test]
fn rules_match_local_time() {
    check(
        "2026-03-02T10:00[Europe/Oslo]",
        "rrule FREQ=MONTHLY;BYDAY=-1FR",
        "03-27T10:00+01:00 04-24T10:00+02:00 05-29T10:00+02:00",
    );
    check(
        "2026-03-28T02:30[Europe/Oslo]",
        "rrule FREQ=DAILY;COUNT=3",
        "03-28T02:30+01:00 03-29T03:30+02:00 03-30T02:30+02:00 end",
    );
    check(
        "2026-03-02T10:00[Europe/Oslo]",
        "rrule RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH;UNTIL=20260320",
        "03-02T10:00+01:00 03-05T10:00+01:00 03-16T10:00+01:00 03-19T10:00+01:00 end",
    );
    check(
        "2026-01-31T10:00[UTC]",
        "rrule FREQ=MONTHLY",
        "01-31T10:00+00:00 03-31T10:00+00:00 05-31T10:00+00:00 07-31T10:00+00:00",
    );
    check("2024-02-29T10:00[UTC]", "rrule FREQ=YEARLY", "02-29T10:00+00:00 02-29T10:00+00:00");
    check("2026-03-02T10:00[UTC]", "rrule FREQ=DAILY;UNTIL=20260303T100000Z", "03-02T10:00+00:00 03-03T10:00+00:00 end");
    check(
        "2026-03-02T10:00[UTC]",
        "rrule FREQ=DAILY;BYHOUR=9,15;BYMINUTE=0,30",
        "03-02T15:00+00:00 03-02T15:30+00:00 03-03T09:00+00:00",
    );
    check("2026-03-30T10:00[UTC]", "rrule FREQ=MONTHLY;BYMONTH=2", "end");
}

#[test]
fn keys_are_nominal_times() {
    let keys = |start: &str, rule: &str| {
        let (at, zone) = parse_instant(start, None).unwrap();
        let zone = zone.unwrap();
        let found = all(&recurrence(rule), &Start::new(at, &zone), &zone, 3);
        let keys: Vec<String> = found.iter().map(Occurrence::key).collect();
        for (key, occurrence) in keys.iter().zip(&found) {
            assert_eq!(key.parse::<Nominal>(), Ok(occurrence.nominal));
        }
        keys.join(" ")
    };
    assert_eq!(keys("2026-03-28T02:30[Europe/Oslo]", "repeat 1 day"), "2026-03-28T02:30 2026-03-29T02:30 2026-03-30T02:30");
    assert_eq!(
        keys("2026-03-28T02:30:15.5[Europe/Oslo]", "repeat 1 day"),
        "2026-03-28T02:30:15 2026-03-29T02:30:15 2026-03-30T02:30:15"
    );
    assert_eq!(
        keys("2026-10-25T02:00+02:00[Europe/Oslo]", "repeat 1 hour"),
        "2026-10-25T00:00:00Z 2026-10-25T01:00:00Z 2026-10-25T02:00:00Z"
    );
    assert_eq!(
        keys("2026-10-25T02:00:00.75+02:00[Europe/Oslo]", "repeat 30s"),
        "2026-10-25T00:00:00Z 2026-10-25T00:00:30Z 2026-10-25T00:01:00Z"
    );
    for text in
        ["", "now", "2026-03-28", "2026-03-28T02:30+01:00", "2026-02-30T02:30", "2026-03-28T02:30[UTC]", "2026-03-28T02:30:00.5"]
    {
        assert!(text.parse::<Nominal>().is_err(), "{text}");
    }
}

#[test]
fn a_start_in_a_gap_keeps_its_wanted_time() {
    let oslo = Zone::parse("Europe/Oslo").unwrap();
    let mut rule = DueRule::new("1 day".parse().unwrap());
    rule.at = Some("02:30".parse().unwrap());
    let anchor = parse_instant("2026-03-28T10:00[Europe/Oslo]", None).unwrap().0;
    let begun = due::begin(&rule, anchor, &oslo).unwrap();
    let found = all(&recurrence("repeat 1 day"), &begun.start(), &oslo, 2);
    assert_eq!(found[0].at.to_string(), "2026-03-29T01:30:00Z");
    assert_eq!(found[1].at.to_string(), "2026-03-30T00:30:00Z");
    assert_eq!(
        found[0].into_due(begun, &oslo).to_string(),
        "Sat 2026-03-28 10:00 (Europe/Oslo); plus 1 day: Sun 2026-03-29 10:00; at 02:30: Sun 2026-03-29 02:30; \
         Sun 2026-03-29 02:30 does not exist there (clocks are put forward), moved forward by 1 hour: Sun 2026-03-29 03:30; \
         occurrence 1: Sun 2026-03-29 02:30; \
         Sun 2026-03-29 02:30 does not exist there (clocks are put forward), moved forward by 1 hour: Sun 2026-03-29 03:30"
    );
}

#[test]
fn a_moved_start_goes_on_after_the_last_key() {
    let utc = Zone::utc();
    let start = |text: &str| Start::new(parse_instant(text, None).unwrap().0, &utc);
    let weekly = recurrence("repeat 7 days");
    let last = "2026-03-09T10:00".parse().unwrap();
    let next = |start: &Start| weekly.next_after(&last, start, &utc).unwrap().key();
    assert_eq!(next(&start("2026-03-02T10:00Z")), "2026-03-16T10:00");
    assert_eq!(next(&start("2026-03-03T10:00Z")), "2026-03-10T10:00");
    assert_eq!(next(&start("2026-06-01T08:00Z")), "2026-06-01T08:00");
}

#[test]
fn descriptions_are_sentences() {
    for (text, expected) in [
        ("repeat 7 days times 4", "every 7 days, 4 times"),
        ("repeat P1D until 2026-12-31", "every 1 day, until 2026-12-31"),
        ("repeat 6h until 90 days", "every 6 hours, for 90 days"),
        ("rrule freq=weekly;byday=mo", "by the rule FREQ=WEEKLY;BYDAY=MO"),
    ] {
        assert_eq!(recurrence(text).describe(), expected);
    }
    let cron = recurrence("cron 0  9 * * mon-fri").describe();
    assert!(cron.ends_with("(cron `0 9 * * mon-fri`)"), "{cron}");
}

#[test]
fn what_never_comes_is_refused() {
    let cron = "write five fields, minute hour day-of-month month weekday, such as `0 9 * * mon-fri`";
    for (text, problem) in [
        ("0 0 30 2 *", "names a date that never comes"),
        ("0 0 31 2,4,6,9,11 *", "names a date that never comes"),
        ("* * * *", "has 4 fields instead of 5"),
        ("0 0 9 * * *", "has 6 fields instead of 5"),
        ("@reboot", "has 1 fields instead of 5"),
    ] {
        assert_eq!(refused(&format!("cron {text}")), format!("cron pattern `{text}` {problem}; {cron}"));
    }
    for text in ["60 * * * *", "* 24 * * *", "a b c d e", "*/0 * * * *", "0 0 0 * *", "0 9 * * mon-xyz"] {
        assert!(refused(&format!("cron {text}")).starts_with(&format!("cron pattern `{text}` is refused: ")), "{text}");
    }
    for (text, problem) in [
        ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", "names a date that never comes"),
        ("FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=31", "names a date that never comes"),
        ("FREQ=DAILY;COUNT=0", "has a COUNT that is not from 1 to 10000"),
        ("FREQ=DAILY;UNTIL=tomorrow", "has an UNTIL that is not like `20261231` or `20261231T120000Z`"),
        ("FREQ=MINUTELY", "is finer than hourly"),
        ("FREQ=DAILY;DTSTART=20260101", "has a part that is not known here: `DTSTART=20260101`"),
    ] {
        assert!(refused(&format!("rrule {text}")).starts_with(&format!("recurrence rule `{text}` {problem};")), "{text}");
    }
    for text in ["", "FREQ=FORTNIGHTLY", "BYDAY=MO", "FREQ=DAILY;BYHOUR=25", "FREQ=WEEKLY;BYMONTHDAY=3", "FREQ=DAILY;INTERVAL=x"]
    {
        assert!(refused(&format!("rrule {text}")).starts_with("recurrence rule `"), "{text}");
    }
    for (text, problem) in [
        ("-7 days", "`repeat = \"-7 days\"` does not go forward"),
        ("0 days", "`repeat = \"0 days\"` does not go forward"),
        ("1 day 6 hours", "`repeat = \"1 day 6 hours\"` mixes calendar days with elapsed hours"),
        ("500ms", "`repeat = \"500 milliseconds\"` is not in whole seconds"),
        ("2 working days", "`repeat = \"2 working days\"` cannot count working days"),
        ("7 days times 0", "`times = 0` says never"),
        ("7 days until -3 days", "`-3 days` is no end of a repeat"),
        ("7 days until 2026-12-31T12:00+99:00", "not an end of a repeat: `2026-12-31T12:00+99:00` is not an instant"),
    ] {
        assert!(refused(&format!("repeat {text}")).starts_with(problem), "{text}: {}", refused(&format!("repeat {text}")));
    }
}

#[test]
fn far_and_hostile_rules_take_no_time() {
    let utc = Zone::utc();
    // Nothing is measured here: a search without bounds would run into the limit of the test runner.
    let start = Start::new(parse_instant("2000-01-01T00:00Z", None).unwrap().0, &utc);
    let late = "2199-06-01T12:00".parse::<Nominal>().unwrap();
    for text in [
        "repeat 1s",
        "repeat 1 day",
        "repeat 1 month",
        "cron * * * * *",
        "cron 0 0 29 2 *",
        "rrule FREQ=HOURLY",
        "rrule FREQ=HOURLY;INTERVAL=7",
        "rrule FREQ=DAILY;INTERVAL=3",
        "rrule FREQ=WEEKLY;INTERVAL=2",
        "rrule FREQ=YEARLY",
    ] {
        let found = recurrence(text).next_after(&late, &start, &utc).unwrap_or_else(|| panic!("{text}"));
        assert!(found.at > parse_instant("2199-06-01T12:00Z", None).unwrap().0, "{text}");
    }
    for text in ["rrule FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30", "rrule FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "cron 0 0 30 2 *"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn instants_rise_and_keys_are_unique(zone in 0..7_usize, rule in 0..12_usize, second in 0_i64..1_400_000_000, from_change in -259_200_i64..90_000) {
        let zones = ["Europe/Oslo", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo", "Africa/Casablanca", "America/Scoresbysund"];
        let rules = [
            "repeat 1 day", "repeat 1 month", "repeat 1 week times 40", "repeat 1 hour", "repeat 25 minutes", "cron */17 * * * *",
            "cron 30 0-3 * * *", "cron 5,35 2 * * sun", "cron 0 */5 * * *", "rrule FREQ=HOURLY;BYMINUTE=0,30",
            "rrule FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=15", "rrule FREQ=WEEKLY;BYDAY=SU,SA;COUNT=30",
        ];
        let zone = Zone::parse(zones[zone]).unwrap();
        let recurrence = recurrence(rules[rule]);
        let at = Timestamp::from_second(788_918_400 + second).unwrap();
        let at = zone.next_transition(at).unwrap_or(at) + SignedDuration::from_secs(from_change);
        let start = Start::new(at, &zone);
        let found = all(&recurrence, &start, &zone, 60);
        prop_assert!(!found.is_empty() && found[0].at >= at);
        for pair in found.windows(2) {
            prop_assert!(pair[0].at < pair[1].at, "{:?}", pair);
            prop_assert!(pair[0].key() < pair[1].key(), "{:?}", pair);
        }
        for later in [0, 1, 59, 3_600, 90_000] {
            let until = found[found.len() / 2].at + SignedDuration::from_secs(later);
            if until < found[found.len() - 1].at {
                let walked = found.iter().rfind(|occurrence| occurrence.at <= until).copied();
                prop_assert_eq!(recurrence.newest_until(until, &start, &zone), walked);
            }
        }
        prop_assert_eq!(recurrence.newest_until(at - SignedDuration::from_secs(1), &start, &zone), None);
        for occurrence in &found {
            let read: Nominal = occurrence.key().parse().unwrap();
            prop_assert_eq!(read, occurrence.nominal);
            if let Nominal::Local(nominal) = read && nominal != start.nominal {
                prop_assert_eq!(zone.resolve(nominal).unwrap().at, occurrence.at);
            }
        }
    }
}
