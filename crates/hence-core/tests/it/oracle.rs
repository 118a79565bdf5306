//! Goal: due instants agree with a person who watches the clock on the wall, in every zone there is. Method: a brute-force oracle that
//! knows only "which local time is it at this instant" and walks minute by minute; at least half of the anchors are within three days
//! of a change of clocks. Anchors lie in 1973..2100: until 1972 Liberia was off by half a minute, and the oracle walks in minutes.
//!
//! `HENCE_ORACLE_CASES` is the number of cases of each zone, `HENCE_ORACLE_SEED` makes others; the test command takes the defaults.

use hence_core::calendar::{Calendar, Offset, TimeOfDay, Zone, parse_instant};
use hence_core::due::{DueRule, compute};
use jiff::civil::{DateTime, Time, Weekday, time};
use jiff::{SignedDuration, Timestamp, ToSpan};

/// Cases of each zone in the test command.
const CASES: u64 = 30;
const MINUTE: SignedDuration = SignedDuration::from_secs(60);
/// 1973-01-01 and 2100-01-01, in minutes since 1970.
const MINUTES: std::ops::Range<i64> = 1_577_880..68_374_080;

/// Whether it is open at a local time.
type IsOpen = fn(DateTime) -> bool;

/// Open hours, and the oracle's own opinion of them.
const HOURS: [(&str, IsOpen); 4] = [
    ("mon-fri 08:00-18:00", |at| !is_weekend(at) && (time(8, 0, 0, 0)..time(18, 0, 0, 0)).contains(&at.time())),
    // On the day on which clocks skip this half hour it is not open at all.
    ("daily 02:00-02:30", |at| (time(2, 0, 0, 0)..time(2, 30, 0, 0)).contains(&at.time())),
    ("sat,sun 00:00-24:00", is_weekend),
    ("daily 00:00-00:10 23:50-24:00", |at| at.time() < time(0, 10, 0, 0) || at.time() >= time(23, 50, 0, 0)),
];

fn is_weekend(at: DateTime) -> bool {
    matches!(at.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Dice from a seed: SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        i64::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// The first minute at which the wall clock shows `wanted`; where it never does, the wanted time counted on by the clock as
/// it ran before the gap.
fn first_shown(zone: &Zone, wanted: DateTime) -> Timestamp {
    // No zone is further than 15 hours ahead of UTC or behind it, and the longest gap is a day.
    let guess = parse_instant(&format!("{wanted}Z"), None).unwrap().0;
    let mut at = guess - SignedDuration::from_hours(16);
    let end = guess + SignedDuration::from_hours(48);
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

/// One random rule, written down.
#[derive(Debug)]
struct Case {
    anchor: Timestamp,
    months: i64,
    days: i64,
    elapsed: i64,
    is_back: bool,
    at: Option<Time>,
    hours: Option<usize>,
}

impl Case {
    fn random(dice: &mut Dice, anchor: Timestamp) -> Case {
        let at = (dice.below(3) == 0).then(|| time(dice.below(24).try_into().unwrap(), dice.below(60).try_into().unwrap(), 0, 0));
        let hours = usize::try_from(dice.below(8)).unwrap();
        Case {
            anchor,
            months: dice.below(3),
            days: dice.below(40) % 8,
            // Hours beside a time of day are refused.
            elapsed: if at.is_some() { 0 } else { dice.below(2) * dice.below(3_000) },
            is_back: dice.below(4) == 0,
            at,
            hours: Some(hours).filter(|hours| *hours < HOURS.len()),
        }
    }

    fn found(&self, zone: &Zone) -> Timestamp {
        let Case { months, days, elapsed, .. } = self;
        let sign = if self.is_back { "-" } else { "" };
        let time_part = if *elapsed == 0 { String::new() } else { format!("T{elapsed}M") };
        let mut rule = DueRule::new(Offset::parse(&format!("{sign}P{months}M{days}D{time_part}")).unwrap());
        rule.at = self.at.map(|at| TimeOfDay::parse(&at.strftime("%H:%M").to_string()).unwrap());
        rule.open = self.hours.map(|hours| Calendar::parse_hours(HOURS[hours].0).unwrap());
        compute(&rule, self.anchor, zone, 0).unwrap().at
    }

    fn expected(&self, zone: &Zone) -> Timestamp {
        let local = zone.local(self.anchor);
        let span = self.months.months().days(self.days);
        let mut wanted = local.checked_add(if self.is_back { -span } else { span }).unwrap();
        if let Some(at) = self.at {
            wanted = wanted.date().to_datetime(at);
        }
        let mut at = if wanted == local { self.anchor } else { first_shown(zone, wanted) };
        let elapsed = i32::try_from(self.elapsed).unwrap();
        at += MINUTE * if self.is_back { -elapsed } else { elapsed };
        if let Some((_, is_open)) = self.hours.map(|hours| HOURS[hours]) {
            while !is_open(zone.local(at)) {
                at += MINUTE;
            }
        }
        at
    }
}

/// Every change of clocks of the zone in those years.
fn changes(zone: &Zone) -> Vec<Timestamp> {
    let end = Timestamp::from_second(MINUTES.end * 60).unwrap();
    let first = zone.next_transition(Timestamp::from_second(MINUTES.start * 60).unwrap());
    std::iter::successors(first, |at| zone.next_transition(*at)).take_while(|at| *at < end).collect()
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn due_instants_agree_with_the_wall_clock_in_every_zone() {
    let (cases, seed) = (number("HENCE_ORACLE_CASES", CASES), number("HENCE_ORACLE_SEED", 1));
    let (mut all, mut near, mut zones) = (0_u64, 0_u64, 0_u64);
    for (index, name) in jiff::tz::db().available().enumerate() {
        let zone = Zone::parse(name.as_str()).unwrap();
        let changes = changes(&zone);
        let mut dice = Dice(seed.wrapping_mul(1_000_003).wrapping_add(index as u64));
        zones += 1;
        for _ in 0..cases {
            // Some zones have no changes, so those that have some get more than half of theirs near one.
            let is_near = !changes.is_empty() && dice.below(4) < 3;
            let minute = if is_near {
                let change = changes[usize::try_from(dice.below(changes.len().try_into().unwrap())).unwrap()];
                change.as_second().div_euclid(60) + dice.below(8_640) - 4_320
            } else {
                MINUTES.start + dice.below(MINUTES.end - MINUTES.start)
            };
            let case = Case::random(&mut dice, Timestamp::from_second(minute * 60).unwrap());
            let (found, expected) = (case.found(&zone), case.expected(&zone));
            assert_eq!(found, expected, "{case:?} in {name}, HENCE_ORACLE_SEED={seed}");
            all += 1;
            near += u64::from(is_near);
        }
    }
    println!("{all} cases in {zones} zones, {near} of them within three days of a change of clocks");
    assert!(zones > 500 && near * 2 >= all, "{all} cases in {zones} zones, {near} near a change of clocks");
}
