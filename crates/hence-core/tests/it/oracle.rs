//! Goal: adding an offset agrees with a person who watches the clock on the wall. Method: a brute-force oracle that knows
//! only "which local time is it at this instant" and walks minute by minute; half of the starts are near a change of clocks.

use hence_core::calendar::{Offset, Zone, parse_instant};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;

/// Random cases; each walks up to four days of minutes. GUARANTEES T5 asks for 10⁶ in a long run.
const CASES: u32 = 3_000;
const MINUTE: SignedDuration = SignedDuration::from_secs(60);
const ZONES: [&str; 14] = [
    "Europe/Oslo",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Scoresbysund",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Antarctica/Troll",
    "Pacific/Kwajalein",
    "Europe/Dublin",
    "UTC",
];

/// The first minute at which the wall clock shows `wanted`; where it never does, the wanted time counted on by the clock as
/// it ran before the gap.
fn oracle(zone: &Zone, wanted: DateTime) -> Timestamp {
    // No zone is further than 26 hours from UTC or jumps by more than a day.
    let guess = parse_instant(&format!("{wanted}Z"), None).unwrap().0;
    let mut at = guess - SignedDuration::from_hours(50);
    let end = guess + SignedDuration::from_hours(50);
    let mut before = at;
    while at < end {
        let local = zone.local(at);
        if local == wanted {
            return at;
        }
        if local > wanted {
            return before + zone.local(before).duration_until(wanted);
        }
        before = at;
        at += MINUTE;
    }
    panic!("{wanted} in {zone} was not found");
}

/// A whole minute in 1995..2090, half of them within three days of a change of clocks.
fn start(zone: &Zone, minute: i64, is_near: bool) -> Timestamp {
    let at = Timestamp::from_second(788_918_400 + minute * 60).unwrap();
    match zone.next_transition(at) {
        Some(change) if is_near => change + SignedDuration::from_mins(minute % 8_640 - 4_320),
        _ => at,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn adding_days_and_hours_agrees_with_the_wall_clock(
        zone in 0..ZONES.len(), minute in 0_i64..50_000_000, is_near: bool,
        months in 0_i32..3, days in 0_i32..5, elapsed in 0_i64..3_000, is_back: bool,
    ) {
        let zone = Zone::parse(ZONES[zone]).unwrap();
        let at = start(&zone, minute, is_near);
        let sign = if is_back { "-" } else { "" };
        let offset = Offset::parse(&format!("{sign}P{months}M{days}DT{elapsed}M")).unwrap();
        let found = offset.add_to(at, &zone).unwrap();

        let local = zone.local(at);
        let span = months.months().days(days);
        let span = if is_back { -span } else { span };
        let wanted = local.checked_add(span).unwrap();
        let moved = if wanted == local { at } else { oracle(&zone, wanted) };
        let expected = moved + MINUTE * i32::try_from(if is_back { -elapsed } else { elapsed }).unwrap();
        prop_assert_eq!(found, expected, "{} plus {} in {}", at, offset, zone);
    }
}
