//! Customers to play with: a mixed population over forty days, the same for the same seed.
//!
//! Owns who does what and when. Leaves to others: doing it, and judging what Hence made of it. Invariants: actions are in
//! order of time, an account's first is its sign-up, and none comes after the fortieth day.

use fastrand::Rng;
use jiff::{SignedDuration, Span, Timestamp};

/// How long it is played.
const PLAYED: SignedDuration = SignedDuration::from_hours(40 * 24);
/// Where customers live and move to; on both sides of the equator, with half hours, with and without summer time.
const ZONES: [&str; 10] = [
    "Europe/Oslo",
    "America/New_York",
    "Asia/Kolkata",
    "Europe/Berlin",
    "America/Los_Angeles",
    "Asia/Tokyo",
    "Pacific/Auckland",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "UTC",
];
const NAMES: [&str; 12] = ["anna", "bjarne", "chen", "dalia", "emeka", "fatou", "goran", "hana", "ivo", "jo", "kaveh", "lucia"];

/// Something a customer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// When.
    pub at: Timestamp,
    /// Who: from 0 up to, not including, the size of the population.
    pub account: usize,
    /// What.
    pub what: What,
}

/// What a customer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Begins the trial.
    Signup {
        /// Address, different for each account.
        email: String,
        /// IANA name.
        timezone: String,
    },
    /// Sets payment up.
    Pay,
    /// Leaves.
    Close,
    /// Is given a longer trial.
    Extend {
        /// By so many days.
        days: u32,
    },
    /// Moves.
    Timezone {
        /// IANA name.
        timezone: String,
    },
    /// The script is seen on the customer's site.
    Usage {
        /// So often.
        hits: u32,
    },
}

/// The kinds of customers, dealt out in turn so that a small population has all of them.
#[derive(Clone, Copy)]
enum Kind {
    PaysEarly,
    PaysLate,
    PaysJustBeforeReminder,
    PaysJustBeforeEnd,
    PaysAfterEnd,
    Closes,
    ClosesAfterEnd,
    ExtendsByAWeek,
    ExtendsThenPays,
    SilentAndUses,
    SilentAndGone,
    MovesAndUses,
    MovesThenPays,
}

const KINDS: [Kind; 13] = [
    Kind::SilentAndUses,
    Kind::PaysEarly,
    Kind::SilentAndGone,
    Kind::PaysLate,
    Kind::Closes,
    Kind::ExtendsByAWeek,
    Kind::MovesAndUses,
    Kind::PaysJustBeforeEnd,
    Kind::PaysAfterEnd,
    Kind::PaysJustBeforeReminder,
    Kind::ExtendsThenPays,
    Kind::MovesThenPays,
    Kind::ClosesAfterEnd,
];

/// What `count` customers do in the forty days from `start`, in order of time. The same arguments give the same actions.
///
/// Most sign up in the first six days, so that their trials end within the play; every tenth comes later, so that
/// something is still to happen at its end.
pub fn population(count: usize, seed: u64, start: Timestamp) -> Vec<Action> {
    let mut rng = Rng::with_seed(seed);
    let mut actions = Vec::new();
    for account in 0..count {
        let mut customer = Customer::new(account, &mut rng, start);
        customer.live(KINDS[account % KINDS.len()], &mut rng);
        actions.append(&mut customer.actions);
    }
    let end = start + PLAYED;
    actions.retain(|action| action.at < end);
    actions.sort_by_key(|action| (action.at, action.account));
    actions
}

/// One customer and what they have done so far.
struct Customer {
    account: usize,
    signed_up_at: Timestamp,
    timezone: &'static str,
    actions: Vec<Action>,
}

impl Customer {
    fn new(account: usize, rng: &mut Rng, start: Timestamp) -> Customer {
        let days = if account % 10 == 9 { 10..36 } else { 0..6 };
        let signed_up_at = start + hours(rng.i64(days) * 24) + seconds(rng.i64(0..24 * 3600));
        let timezone = ZONES[rng.usize(0..ZONES.len())];
        let email = format!("{}.{account}@example.com", NAMES[rng.usize(0..NAMES.len())]);
        let what = What::Signup { email, timezone: timezone.to_owned() };
        Customer { account, signed_up_at, timezone, actions: vec![Action { at: signed_up_at, account, what }] }
    }

    fn live(&mut self, kind: Kind, rng: &mut Rng) {
        let minutes = minutes(rng.i64(1..60));
        self.uses_on(rng.i64(1..20), rng);
        match kind {
            Kind::PaysEarly => self.does_on(rng.i64(1..21), What::Pay, rng),
            Kind::PaysLate => self.does_on(rng.i64(26..29), What::Pay, rng),
            Kind::PaysJustBeforeReminder => self.does(self.reminded_at() - minutes, What::Pay),
            Kind::PaysJustBeforeEnd => self.does(self.day(30) - minutes, What::Pay),
            Kind::PaysAfterEnd => {
                self.uses_on(30, rng);
                self.does(self.day(30) + hours(rng.i64(1..120)), What::Pay);
            }
            Kind::Closes => self.does_on(rng.i64(2..28), What::Close, rng),
            Kind::ClosesAfterEnd => {
                self.uses_on(30, rng);
                self.does(self.day(30) + hours(rng.i64(1..40)), What::Close);
            }
            Kind::ExtendsByAWeek => {
                self.does_on(rng.i64(5..29), What::Extend { days: 7 }, rng);
                self.uses_on(37, rng);
            }
            Kind::ExtendsThenPays => {
                self.does_on(rng.i64(20..25), What::Extend { days: 14 }, rng);
                self.does_on(rng.i64(26..33), What::Pay, rng);
            }
            Kind::SilentAndUses => self.uses_on(30, rng),
            Kind::SilentAndGone => {}
            Kind::MovesAndUses => {
                self.moves(rng);
                self.uses_on(30, rng);
                self.uses_on(31, rng);
            }
            Kind::MovesThenPays => {
                self.moves(rng);
                self.does_on(rng.i64(21..31), What::Pay, rng);
            }
        }
    }

    fn moves(&mut self, rng: &mut Rng) {
        let others: Vec<&str> = ZONES.into_iter().filter(|zone| *zone != self.timezone).collect();
        let timezone = others[rng.usize(0..others.len())].to_owned();
        self.does_on(rng.i64(2..20), What::Timezone { timezone }, rng);
    }

    /// Some use on that day of the trial, counted in whole days and a part of one.
    fn uses_on(&mut self, day: i64, rng: &mut Rng) {
        let hits = rng.u32(1..500);
        self.does_on(day, What::Usage { hits }, rng);
    }

    fn does_on(&mut self, day: i64, what: What, rng: &mut Rng) {
        let at = self.day(day) + seconds(rng.i64(60..23 * 3600));
        self.does(at, what);
    }

    fn does(&mut self, at: Timestamp, what: What) {
        self.actions.push(Action { at, account: self.account, what });
    }

    /// So many calendar days after the sign-up, where the customer signed up.
    fn day(&self, days: i64) -> Timestamp {
        let local = self.signed_up_at.in_tz(self.timezone).and_then(|at| at.checked_add(Span::new().days(days)));
        local.map_or(self.signed_up_at + hours(24 * days), |at| at.timestamp())
    }

    /// Nine o'clock on day 25, when the reminder is due on a working day.
    fn reminded_at(&self) -> Timestamp {
        let day = self.day(25);
        let local = day.in_tz(self.timezone).and_then(|at| at.date().at(9, 0, 0, 0).in_tz(self.timezone));
        local.map_or(day, |at| at.timestamp())
    }
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    //! Goal: the population is what its description says. Method: one of 260 customers, looked at as a whole.

    use std::collections::BTreeSet;

    use super::{PLAYED, What, population};
    use jiff::Timestamp;

    fn start() -> Timestamp {
        "2026-03-02T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_population() {
        assert_eq!(population(50, 7, start()), population(50, 7, start()));
        assert_ne!(population(50, 7, start()), population(50, 8, start()));
    }

    #[test]
    fn actions_are_in_order_and_begin_with_the_sign_up() {
        let actions = population(260, 1, start());
        assert!(actions.is_sorted_by_key(|action| action.at));
        assert!(actions.iter().all(|action| action.at >= start() && action.at < start() + PLAYED));
        let mut known = BTreeSet::new();
        for action in &actions {
            let is_new = known.insert(action.account);
            assert_eq!(is_new, matches!(action.what, What::Signup { .. }), "{action:?}");
        }
        assert_eq!(known, (0..260).collect());
    }

    #[test]
    fn everything_that_can_be_done_is_done_in_many_zones() {
        let actions = population(200, 1, start());
        let count = |is: fn(&What) -> bool| actions.iter().filter(|action| is(&action.what)).count();
        assert!(count(|what| matches!(what, What::Pay)) > 60);
        assert!(count(|what| matches!(what, What::Close)) > 15);
        assert!(count(|what| matches!(what, What::Extend { days: 7 })) > 8);
        assert!(count(|what| matches!(what, What::Extend { days: 14 })) > 8);
        assert!(count(|what| matches!(what, What::Timezone { .. })) > 15);
        assert!(count(|what| matches!(what, What::Usage { .. })) > 200);
        let zones: BTreeSet<&str> = actions
            .iter()
            .filter_map(|action| match &action.what {
                What::Signup { timezone, .. } => Some(timezone.as_str()),
                _ => None,
            })
            .collect();
        assert!(zones.len() >= 8, "{zones:?}");
    }
}
