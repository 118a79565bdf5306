//! Goal: a rule gives the instant its words promise, and the explanation names every adjustment. Method: tables from
//! anchor and rule to instant and sentence; random spreads must be stable and stay open.

use hence_core::calendar::Calendar;
use hence_core::calendar::{Zone, parse_instant};
use hence_core::due::{self, Due, DueError, DueRule};
use hence_core::spread;
use jiff::SignedDuration;
use proptest::prelude::*;

/// Random cases of each property; raise it for a long run (`PROPTEST_CASES` is not looked at).
const CASES: u32 = 1_000;

/// Reads `+25 days at 09:00 open "mon-fri 08:00-18:00" closed 2026-12-25 spread 30min` (each part may be left out).
fn rule(text: &str) -> Result<DueRule, DueError> {
    let part = |name: &str| {
        let rest = text.split_once(&format!(" {name} "))?.1;
        let end = [" at ", " open ", " closed ", " spread "].iter().filter_map(|next| rest.find(next)).min();
        Some(rest[..end.unwrap_or(rest.len())].trim())
    };
    let offset = part("plus").unwrap_or("0 days");
    let mut rule = DueRule::new(offset.parse()?);
    rule.at = part("at").map(str::parse).transpose()?;
    rule.open = part("open").map(Calendar::parse_hours).transpose()?;
    if let (Some(open), Some(closed)) = (rule.open.clone(), part("closed")) {
        rule.open = Some(open.with_closed(closed)?);
    }
    rule.spread = part("spread").map(|spread| spread.parse().unwrap());
    rule.check()?;
    Ok(rule)
}

fn compute(text: &str, seed: u64) -> Result<(Due, Zone), DueError> {
    let (anchor, zone) = parse_instant(text.split_once(' ').map_or(text, |(anchor, _)| anchor), None)?;
    let zone = zone.unwrap_or_else(Zone::utc);
    Ok((due::compute(&rule(text)?, anchor, &zone, seed)?, zone))
}

/// The instant in the zone, without its name.
fn check(text: &str, expected: &str) {
    let found = match compute(text, 1) {
        Ok((due, zone)) => zone.zoned(due.at).strftime("%Y-%m-%dT%H:%M%:z").to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected, "{text}");
}

fn check_why(text: &str, expected: &str) {
    assert_eq!(compute(text, 1).unwrap().0.to_string(), expected, "{text}");
}

#[test]
fn the_trial_is_due_as_its_definition_says() {
    check("2026-03-02T10:00[Europe/Oslo] plus 25 days at 09:00 open mon-fri 08:00-18:00", "2026-03-27T09:00+01:00");
    check("2026-03-02T10:00[Europe/Oslo] plus 30 days", "2026-04-01T10:00+02:00");
    check("2026-03-02T10:00[Europe/Oslo] plus 25 days at 09:00", "2026-03-27T09:00+01:00");
    check("2026-03-03T10:00[Europe/Oslo] plus 25 days at 09:00 open mon-fri 08:00-18:00", "2026-03-30T08:00+02:00");
    check("2026-03-02T10:00[Europe/Oslo] plus -5 days at 09:00", "2026-02-25T09:00+01:00");
    check("2026-03-02T10:00[Europe/Oslo] at 09:00", "2026-03-02T09:00+01:00");
    check("2026-03-02T10:00[Europe/Oslo] plus 0 days", "2026-03-02T10:00+01:00");
}

#[test]
fn the_day_is_the_entitys_day_not_ours() {
    // 23:30 UTC on the 1st is already the 2nd in Oslo and still the 1st in New York.
    check("2026-03-01T23:30Z plus 1 day at 09:00", "2026-03-02T09:00+00:00");
    check("2026-03-02T00:30[Europe/Oslo] plus 1 day at 09:00", "2026-03-03T09:00+01:00");
    check("2026-03-01T18:30[America/New_York] plus 1 day at 09:00", "2026-03-02T09:00-05:00");
}

#[test]
fn time_of_day_meets_gap_and_fold() {
    check("2026-03-02T10:00[Europe/Oslo] plus 27 days at 02:30", "2026-03-29T03:30+02:00");
    check("2026-10-01T10:00[Europe/Oslo] plus 24 days at 02:30", "2026-10-25T02:30+02:00");
    check("2026-10-01T10:00[Australia/Lord_Howe] plus 3 days at 02:15", "2026-10-04T02:45+11:00");
    check("2011-12-28T10:00[Pacific/Apia] plus 2 days at 09:00", "2011-12-31T09:00+14:00");
}

#[test]
fn working_days_need_open_hours() {
    check("2026-03-06T10:00[Europe/Oslo] plus 3 working days at 09:00 open mon-fri 08:00-18:00", "2026-03-11T09:00+01:00");
    check("2026-03-01T00:00[Europe/Berlin] plus -3 working days at 09:00 open mon-fri 08:00-18:00", "2026-02-25T09:00+01:00");
    check("2026-03-06T10:00[Europe/Oslo] plus 3 working days", "`3 working days` needs open hours to know which days are worked");
}

#[test]
fn rule_that_contradict_are_refused() {
    check("2026-03-06T10:00Z plus 3h at 09:00", "`at = \"09:00\"` cannot stand beside `3 hours`, which has hours of its own");
    check("2026-03-06T10:00Z plus 1 day spread -30m", "a spread lies between 0 and 7 days");
    check("2026-03-06T10:00Z plus 1 day spread 169h", "a spread lies between 0 and 7 days");
    check(
        "2026-03-06T10:00Z plus 1 day open daily 09:00-10:00 closed 2026-01-01..2036-01-01",
        "`daily 09:00-10:00` has no open moment within five years of 2026-03-07T10:00:00Z",
    );
    check("9999-12-30T10:00Z plus 1 day", "the computed time lies outside the years 1 to 9999");
}

#[test]
fn every_step_is_explained() {
    check_why("2026-03-02T10:00[Europe/Oslo] plus 0 days", "Mon 2026-03-02 10:00 (Europe/Oslo)");
    check_why(
        "2026-03-02T10:00[Europe/Oslo] plus 27 days at 02:30 open mon-fri 08:00-18:00",
        "Mon 2026-03-02 10:00 (Europe/Oslo); plus 27 days: Sun 2026-03-29 10:00; at 02:30: Sun 2026-03-29 02:30; \
         Sun 2026-03-29 02:30 does not exist there (clocks are put forward), moved forward by 1 hour: Sun 2026-03-29 03:30; \
         Sun 2026-03-29 03:30 is not open (mon-fri 08:00-18:00), next open moment: Mon 2026-03-30 08:00",
    );
    check_why(
        "2026-10-24T02:30[Europe/Oslo] plus 1 day 3h",
        "Sat 2026-10-24 02:30 (Europe/Oslo); plus 1 day: Sun 2026-10-25 02:30; \
         Sun 2026-10-25 02:30 comes twice there (clocks are put back), the first is taken; plus 3 hours: Sun 2026-10-25 04:30",
    );
    check_why(
        "2026-03-02T10:00[Europe/Oslo] plus -3 days spread 30m",
        "Mon 2026-03-02 10:00 (Europe/Oslo); 3 days before: Fri 2026-02-27 10:00; \
         spread by 16 minutes 59 seconds 810 milliseconds: Fri 2026-02-27 10:16:59",
    );
}

#[test]
fn the_hash_never_changes() {
    // A task must not jump on an upgrade, so these numbers are for ever.
    assert_eq!(spread::seed_of(""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(spread::seed_of("a"), 0xaf63_dc4c_8601_ec8c);
    let hour = SignedDuration::from_hours(1);
    let delays: Vec<i128> = (0..3).map(|seed| spread::delay(seed, hour).as_millis()).collect();
    assert_eq!(delays, [3_179_918, 2_039_621, 2_128_283]);
    assert_eq!(spread::delay(7, SignedDuration::ZERO), SignedDuration::ZERO);
}

#[test]
fn a_spread_is_even() {
    let mut tenths = [0_u32; 10];
    for entity in 0..10_000 {
        let delay = spread::delay(spread::seed_of(&format!("account/{entity} remind")), SignedDuration::from_secs(10));
        tenths[usize::try_from(delay.as_secs()).unwrap()] += 1;
    }
    assert!(tenths.iter().all(|count| (900..1_100).contains(count)), "{tenths:?}");
}

#[test]
fn a_spread_wraps_inside_the_open_window() {
    let text = "2026-03-02T10:00[Europe/Oslo] plus 25 days at 08:50 open mon-fri 08:00-09:00 spread 2h";
    let mut delays = Vec::new();
    for seed in 0..200 {
        let (due, zone) = compute(text, seed).unwrap();
        let local = zone.local(due.at);
        assert_eq!((local.date().to_string().as_str(), local.hour(), local.minute() >= 50), ("2026-03-27", 8, true), "{local}");
        delays.push(local.minute());
    }
    delays.sort_unstable();
    delays.dedup();
    assert_eq!(delays.len(), 10, "all ten minutes are used");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_spread_is_stable_and_stays_open(seed: u64, minute in 0_i64..600_000, spread in 0_i64..=10_080) {
        let hours = Calendar::parse_hours("mon-thu 08:00-12:00 13:00-17:00, fri 22:00-02:00").unwrap();
        let zone = Zone::parse("America/New_York").unwrap();
        let spread = SignedDuration::from_mins(spread);
        let anchor = parse_instant("2026-01-01T00:00Z", None).unwrap().0 + SignedDuration::from_mins(minute);
        let mut rule = DueRule::new("0 days".parse().unwrap());
        rule.spread = Some(spread);
        let free = due::compute(&rule, anchor, &zone, seed).unwrap();
        let delay = anchor.duration_until(free.at);
        prop_assert!(delay == SignedDuration::ZERO || (!delay.is_negative() && delay < spread));
        rule.open = Some(hours.clone());
        let due = due::compute(&rule, anchor, &zone, seed).unwrap();
        prop_assert_eq!(&due, &due::compute(&rule, anchor, &zone, seed).unwrap());
        prop_assert!(hours.is_open(due.at, &zone));
        let open = hours.next_open(anchor, &zone).unwrap();
        prop_assert!(open <= due.at && open.duration_until(due.at) <= delay);
        prop_assert_eq!(hours.open_until(open, due.at, &zone), due.at, "the same open window");
    }
}
