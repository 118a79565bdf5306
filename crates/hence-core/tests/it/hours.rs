//! Goal: open hours mean what they say, in every zone. Method: tables for the grammar; for the search, a clock that walks
//! minute by minute and asks `is_open`, and tables of `is_open` around changes of clocks.

use hence_core::calendar::{CLOSED_DAYS_MAX, Calendar};
use hence_core::calendar::{Zone, parse_instant};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

/// Random cases of the search; each walks up to ten days of minutes.
const CASES: u32 = 300;
const ZONES: [&str; 8] = [
    "Europe/Oslo",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "UTC",
];
const HOURS: [&str; 8] = [
    "mon-fri 08:00-18:00",
    "mon-thu 08:00-12:00 13:00-17:00, fri 08:00-15:00, sat,sun closed",
    "daily 22:00-02:30",
    "daily 02:00-02:30",
    "daily 00:00-24:00",
    "sun 01:59:30-03:00:30",
    "sat-mon 00:00-00:01 23:00-24:00",
    "wed 02:10-02:50, sun 02:10-02:50, thu 00:15-00:45",
];

fn refused(text: &str) -> String {
    match Calendar::parse_hours(text) {
        Ok(calendar) => format!("accepted as {calendar:?}"),
        Err(error) => error.to_string(),
    }
}

/// Which minutes of the week from Monday 2026-03-02 are open, as ranges.
fn week(text: &str) -> String {
    let calendar = Calendar::parse_hours(text).unwrap();
    let mut at = parse_instant("2026-03-02T00:00Z", None).unwrap().0;
    let end = at + SignedDuration::from_hours(7 * 24);
    let mut found = Vec::new();
    while let Some(open) = calendar.next_open(at, &Zone::utc()).filter(|open| *open < end) {
        at = calendar.open_until(open, end, &Zone::utc());
        let shown = |at: Timestamp, form: &str| Zone::utc().zoned(at).strftime(form).to_string();
        found.push(format!("{}-{}", shown(open, "%a %H:%M"), shown(at, "%H:%M")));
    }
    found.join(" ")
}

#[test]
fn the_grammar_reads_what_people_write() {
    let plain = "Mon 08:00-18:00 Tue 08:00-18:00 Wed 08:00-18:00 Thu 08:00-18:00 Fri 08:00-18:00";
    assert_eq!(week("mon-fri 08:00-18:00"), plain);
    assert_eq!(week("  Monday-FRIDAY   08:00-18:00 "), plain);
    assert_eq!(week("mon-fri 08:00-18:00, sat,sun closed"), plain);
    assert_eq!(week("mon,tue,wed,thu,fri 08:00-18:00"), plain);
    assert_eq!(week("mon-fri 08:00-12:00, mon-fri 12:00-18:00"), plain, "touching ranges are one");
    assert_eq!(week("mon-fri 08:00-13:00 12:00-18:00"), plain, "overlapping ranges are one");
    let lunch = "Mon 08:00-12:00 Mon 13:00-17:00 Fri 08:00-15:00";
    assert_eq!(week("mon 08:00-12:00 13:00-17:00, fri 08:00-15:00"), lunch);
    assert_eq!(week("mon 08:00-12:00, 13:00-17:00, fri 08:00-15:00"), lunch);
    assert_eq!(week("sat-mon 10:00-11:00"), "Mon 10:00-11:00 Sat 10:00-11:00 Sun 10:00-11:00");
    assert_eq!(week("wed 22:00-02:00"), "Wed 22:00-02:00");
    assert_eq!(week("sun 22:00-02:00"), "Mon 00:00-02:00 Sun 22:00-00:00", "the week before reaches into Monday");
    assert_eq!(week("daily 00:00-24:00"), "Mon 00:00-00:00");
    assert_eq!(week("tue 20:00-24:00, wed 00:00-04:00"), "Tue 20:00-04:00");
}

#[test]
fn the_grammar_refuses_what_could_mean_two_things() {
    for (text, expected) in [
        ("", "`` has an empty item between commas"),
        ("mon-fri 08:00-18:00,", "`mon-fri 08:00-18:00,` has an empty item between commas"),
        ("mon-fri", "`mon-fri` ends with days that have no hours"),
        ("08:00-18:00", "`08:00-18:00` does not say on which days"),
        ("mon, 08:00-18:00", "`08:00-18:00` does not say on which days"),
        ("mo-fr 08:00-18:00", "`mo` is not a weekday"),
        ("mon-fri 8-18", "`8-18` is not a range of hours"),
        ("mon-fri 08:00", "`08:00` is not a range of hours"),
        ("mon-fri 08:00-25:00", "`08:00-25:00` is not a range of hours"),
        ("mon-fri 08:00-24:30", "`08:00-24:30` is not a range of hours"),
        ("mon-fri 24:00-08:00", "`24:00-08:00` begins at the end of the day"),
        ("mon-fri 08:00-08:00", "`08:00-08:00` begins when it ends; the whole day is `00:00-24:00`"),
        ("mon-fri 08:00-18:00, fri closed", "`mon-fri 08:00-18:00, fri closed` says both open and closed for friday"),
        ("mon-fri 08:00-18:00 closed", "`closed` is not a range of hours"),
        ("daily closed", "the open hours leave no moment open"),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
    assert!(refused(&"mon 08:00-09:00,".repeat(100)).ends_with("is too long for open hours"));
}

#[test]
fn closed_days_are_closed() {
    let plain = Calendar::parse_hours("daily 09:00-21:00, sat 22:00-02:00").unwrap();
    let next = |closed: &str, from: &str| match plain.clone().with_closed(closed) {
        Ok(calendar) => {
            let at = parse_instant(from, Some(&Zone::utc())).unwrap().0;
            calendar.next_open(at, &Zone::utc()).map_or("never".to_owned(), |at| at.to_string())
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(next("2026-12-25", "2026-12-25T10:00"), "2026-12-26T09:00:00Z");
    assert_eq!(next("2026-12-25", "2027-12-25T10:00"), "2027-12-25T10:00:00Z");
    assert_eq!(next("12-25", "2027-12-25T10:00"), "2027-12-26T09:00:00Z");
    assert_eq!(next("2026-07-01..2026-07-31", "2026-07-10T10:00"), "2026-08-01T09:00:00Z");
    assert_eq!(next("12-24..01-01", "2026-12-28T10:00"), "2027-01-02T09:00:00Z");
    assert_eq!(next("02-29", "2028-02-29T10:00"), "2028-03-01T09:00:00Z");
    // Saturday's night belongs to Saturday: closing Sunday the 8th leaves it, closing Saturday the 7th takes it.
    assert_eq!(next("2026-03-08", "2026-03-08T01:00"), "2026-03-08T01:00:00Z");
    assert_eq!(next("2026-03-07", "2026-03-08T01:00"), "2026-03-08T09:00:00Z");
    assert_eq!(next("2026-01-01..2040-01-01", "2026-03-08T01:00"), "never");
    assert_eq!(next("01-01..12-31", "2026-03-08T01:00"), "the open hours leave no moment open");
    assert_eq!(next("2026-07-31..2026-07-01", "2026-03-08T01:00"), "`2026-07-31..2026-07-01` ends before it begins");
    for text in ["christmas", "2026-02-30", "02-30", "2026-12-25..12-26", "", "..", "2026-12-25T10:00", "13-01", "+26-12-251"] {
        assert_eq!(next(text, "2026-03-08T01:00"), format!("`{text}` is not a closed day"));
    }
    let mut full = plain.clone();
    for _ in 0..CLOSED_DAYS_MAX {
        full = full.with_closed("2026-12-25").unwrap();
    }
    assert!(full.with_closed("2026-12-25").is_err());
}

#[test]
fn open_hours_follow_the_clock_on_the_wall() {
    let next = |zone: &str, hours: &str, from: &str| {
        let zone = Zone::parse(zone).unwrap();
        let at = parse_instant(&format!("{from}[{zone}]"), None).unwrap().0;
        let open = Calendar::parse_hours(hours).unwrap().next_open(at, &zone).unwrap();
        zone.zoned(open).strftime("%Y-%m-%dT%H:%M%:z").to_string()
    };
    // The range from 02:00 to 02:30 does not exist on the day of the gap.
    assert_eq!(next("Europe/Oslo", "daily 02:00-02:30", "2026-03-29T00:00"), "2026-03-30T02:00+02:00");
    // One from 02:30 to 05:00 begins when the gap ends.
    assert_eq!(next("Europe/Oslo", "daily 02:30-05:00", "2026-03-29T00:00"), "2026-03-29T03:00+02:00");
    // In the night of the fold, 02:00 to 02:30 comes twice.
    assert_eq!(next("Europe/Oslo", "daily 02:00-02:30", "2026-10-25T02:40+02:00"), "2026-10-25T02:00+01:00");
    assert_eq!(next("Europe/Oslo", "daily 02:00-02:30", "2026-10-25T02:10+01:00"), "2026-10-25T02:10+01:00");
    // Apia had no Friday 30 December 2011.
    assert_eq!(next("Pacific/Apia", "fri 09:00-17:00", "2011-12-29T10:00"), "2012-01-06T09:00+14:00");
}

#[test]
fn the_end_of_time_is_no_trap() {
    let calendar = Calendar::parse_hours("mon 08:00-09:00").unwrap();
    let oslo = Zone::parse("Europe/Oslo").unwrap();
    assert_eq!(calendar.next_open(Timestamp::MAX, &oslo), None);
    assert!(calendar.next_open(Timestamp::MIN, &oslo).is_some());
    assert_eq!(calendar.open_until(Timestamp::MAX, Timestamp::MAX, &oslo), Timestamp::MAX);
}

/// An instant in 1995..2040, half of them within three days of a change of clocks.
fn instant(zone: &Zone, second: i64, is_near: bool) -> Timestamp {
    let at = Timestamp::from_second(788_918_400 + second).unwrap();
    match zone.next_transition(at) {
        Some(change) if is_near => change + SignedDuration::from_secs(second % 518_400 - 259_200),
        _ => at,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn next_open_is_the_first_open_minute(
        zone in 0..ZONES.len(), hours in 0..HOURS.len(), second in 0_i64..1_400_000_000, is_near: bool, is_closed: bool,
    ) {
        let zone = Zone::parse(ZONES[zone]).unwrap();
        let mut calendar = Calendar::parse_hours(HOURS[hours]).unwrap();
        let at = instant(&zone, second, is_near);
        if is_closed {
            let first = zone.local(at).date();
            calendar = calendar.with_closed(&format!("{first}..{}", first.tomorrow().unwrap())).unwrap();
        }
        let found = calendar.next_open(at, &zone).unwrap();
        prop_assert!(found >= at);
        prop_assert!(calendar.is_open(found, &zone));
        // Half minutes, because two of the ranges begin and end in the middle of a minute.
        let step = SignedDuration::from_secs(30);
        let last = found.min(at + SignedDuration::from_hours(240));
        let mut walker = at;
        while walker < last {
            prop_assert!(!calendar.is_open(walker, &zone), "open at {walker}, found {found}");
            walker += step;
        }
        let limit = found + SignedDuration::from_hours(30);
        let closed = calendar.open_until(found, limit, &zone);
        prop_assert!(closed == limit || !calendar.is_open(closed, &zone));
        let mut walker = found;
        while walker < closed {
            prop_assert!(calendar.is_open(walker, &zone), "closed at {walker}, found {closed}");
            walker += step;
        }
    }
}
