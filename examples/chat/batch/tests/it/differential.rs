//! Goal: over random populations both ways have the same effects on the same days. Method: everything happens in both worlds at the
//! same instants; of each customer all mails and switch-offs are compared, day by day where the customer lives.
//!
//! The two ways decide at different hours of the same day: the jobs when the night is over, Hence at the hour the definition says.
//! Whoever does something between the two is dealt with differently by right, so such customers (see [`Edges`]) are left out, and
//! counted. `CHAT_BATCH_SEEDS` says how many seeds; a failure names its seed, and `CHAT_BATCH_FIRST_SEED` begins with that one.

use std::collections::{BTreeMap, BTreeSet};

use chat::{Action, What, population};
use jiff::civil::{Date, Weekday};
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::gate::Gate;
use crate::world::{BatchWorld, Effect, HenceWorld, START, day_in, does, set_both, trial};

/// Seeds in the test command.
const SEEDS: u64 = 3;
const CUSTOMERS: usize = 65;
/// The last sign-up, the longest extension, and the trial.
const DAYS: i64 = 36 + 14 + 34;

/// What happens, in both worlds.
#[derive(Debug, Clone)]
enum Happening {
    Act(Action),
    /// The program of the jobs runs.
    Tick,
    MailsShut,
    MailsOpen,
    /// The receiver of the switch-offs is out of order until then. The jobs have none: they write into the same database.
    ReceiverFails(Timestamp),
}

/// What happened to be compared, over all seeds.
#[derive(Debug, Default)]
struct Sum {
    customers: usize,
    at_the_edge: usize,
    differ_at_the_edge: usize,
    effects: usize,
    not_sent: u32,
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_and_hence_do_the_same_on_the_same_days() {
    let first = number("CHAT_BATCH_FIRST_SEED", 1);
    let mut sum = Sum::default();
    for seed in first..first + number("CHAT_BATCH_SEEDS", SEEDS) {
        one_seed(seed, &mut sum).await;
    }
    // The test must not pass because nearly everybody was left out or nothing happened.
    println!("{sum:?}");
    assert!(sum.at_the_edge * 3 < sum.customers, "{sum:?}");
    assert!(sum.effects > sum.customers, "{sum:?}");
}

async fn one_seed(seed: u64, sum: &mut Sum) {
    let start: Timestamp = START.parse().unwrap();
    let mut dice = fastrand::Rng::with_seed(seed);
    let actions = population(CUSTOMERS, seed, start);
    let outages = Outages::random(&mut dice, start);
    let hence = HenceWorld::new(&trial("")).await;
    let mut batch = BatchWorld::new().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut numbers: BTreeMap<usize, i64> = BTreeMap::new();
    let mut refused: BTreeSet<i64> = BTreeSet::new();
    for (at, happening) in happenings(&actions, &outages, start) {
        if !matches!(happening, Happening::Tick) {
            hence.arrive(at).await;
        }
        batch.set_clock(at);
        match happening {
            Happening::Tick => sum.not_sent += batch.night(at).not_sent,
            Happening::MailsShut => set_both(&hence, &batch, Gate::Shut),
            Happening::MailsOpen => set_both(&hence, &batch, Gate::Open),
            Happening::ReceiverFails(until) => hence.fail(&http, until).await,
            Happening::Act(action) => {
                let next = i64::try_from(numbers.len()).unwrap() + 1;
                let number = *numbers.entry(action.account).or_insert(next);
                let answers =
                    (does(&http, &hence.url, number, &action.what).await, does(&http, &batch.url, number, &action.what).await);
                if answers.0 != answers.1 {
                    refused.insert(number);
                }
            }
        }
    }
    let end = start + SignedDuration::from_hours(24 * DAYS);
    hence.arrive(end).await;
    let zones = crate::world::accounts(&hence.database());
    let (by_hence, by_batch) = (hence.end(&http).await, batch.end().await);
    let edges =
        Edges { actions: &actions, numbers: &numbers, outages: &outages, by_hence: &by_hence, by_batch: &by_batch }.find();
    for number in zones.keys() {
        let of = |effects: &BTreeSet<Effect>| -> Vec<(Date, String)> {
            let mut of: Vec<_> = effects
                .iter()
                .filter(|effect| effect.account == *number)
                .map(|effect| (effect.on, effect.what.clone()))
                .collect();
            of.sort();
            of
        };
        let (one, other) = (of(&by_hence), of(&by_batch));
        sum.customers += 1;
        if edges.contains(number) {
            sum.at_the_edge += 1;
            sum.differ_at_the_edge += usize::from(one != other);
            continue;
        }
        sum.effects += one.len();
        let did: Vec<&Action> = actions.iter().filter(|action| numbers[&action.account] == *number).collect();
        assert!(
            one == other && !refused.contains(number),
            "seed {seed}, account {number} ({:?})\nby Hence {one:#?}\nby the jobs {other:#?}\nit did {did:#?}\n{outages:#?}",
            zones[number]
        );
    }
}

fn happenings(actions: &[Action], outages: &Outages, start: Timestamp) -> Vec<(Timestamp, Happening)> {
    let mut all: Vec<(Timestamp, Happening)> =
        (0..DAYS * 24).map(|hour| (start + SignedDuration::from_hours(hour), Happening::Tick)).collect();
    all.extend(actions.iter().map(|action| (action.at, Happening::Act(action.clone()))));
    for (from, until) in &outages.mails {
        all.extend([(*from, Happening::MailsShut), (*until, Happening::MailsOpen)]);
    }
    all.extend(outages.receiver.iter().map(|(from, until)| (*from, Happening::ReceiverFails(*until))));
    all.sort_by_key(|(at, _)| *at);
    all
}

/// When what cannot be reached.
#[derive(Debug)]
struct Outages {
    mails: Vec<(Timestamp, Timestamp)>,
    receiver: Vec<(Timestamp, Timestamp)>,
}

impl Outages {
    /// Mails are tried eight times within about an hour, so their outages are shorter; switch-offs for two days.
    fn random(dice: &mut fastrand::Rng, start: Timestamp) -> Outages {
        let mut some = |count: usize, minutes: std::ops::Range<i64>| {
            let mut from = start + SignedDuration::from_hours(24 * 24);
            let mut all = Vec::new();
            for _ in 0..count {
                from += SignedDuration::from_mins(dice.i64(60 * 12..60 * 24 * 3));
                let until = from + SignedDuration::from_mins(dice.i64(minutes.clone()));
                all.push((from, until));
                from = until;
            }
            all
        };
        Outages { mails: some(6, 10..40), receiver: some(4, 30..240) }
    }
}

/// Finds who did something, or could not be reached, on the day of a decision.
struct Edges<'a> {
    actions: &'a [Action],
    numbers: &'a BTreeMap<usize, i64>,
    outages: &'a Outages,
    by_hence: &'a BTreeSet<Effect>,
    by_batch: &'a BTreeSet<Effect>,
}

/// What of a customer decides when something is due.
#[derive(Clone)]
struct Life {
    zone: String,
    created_at: Timestamp,
    trial_days: i64,
}

impl Life {
    /// When Hence reminds, switches off, and looks again; the jobs do on the same days.
    fn decisions(&self) -> [Timestamp; 3] {
        let began = self.created_at.in_tz(&self.zone).unwrap();
        let end = began.checked_add(self.trial_days.days()).unwrap();
        let mut remind = end.checked_sub(5.days()).unwrap().date();
        while matches!(remind.weekday(), Weekday::Saturday | Weekday::Sunday) {
            remind = remind.tomorrow().unwrap();
        }
        let remind = remind.at(9, 0, 0, 0).in_tz(&self.zone).unwrap();
        [remind.timestamp(), end.timestamp(), end.checked_add(2.days()).unwrap().timestamp()]
    }
}

impl Edges<'_> {
    fn find(&self) -> BTreeSet<i64> {
        let mut lives: BTreeMap<i64, Life> = BTreeMap::new();
        let mut edges = BTreeSet::new();
        for action in self.actions {
            let number = self.numbers[&action.account];
            if let What::Signup { timezone, .. } = &action.what {
                // The application keeps whole milliseconds.
                let created_at = Timestamp::from_millisecond(action.at.as_millisecond()).unwrap();
                lives.insert(number, Life { zone: timezone.clone(), created_at, trial_days: 30 });
                continue;
            }
            let before = lives[&number].clone();
            let mut after = before.clone();
            match &action.what {
                What::Extend { days } => after.trial_days += i64::from(*days),
                What::Timezone { timezone } => after.zone.clone_from(timezone),
                _ => {}
            }
            let is_edge = match &action.what {
                What::Usage { .. } => self.is_usage_edge(number, action.at),
                _ => [&before, &after].iter().any(|life| {
                    let today = day_in(&life.zone, action.at);
                    let mut decisions = before.decisions().into_iter().chain(after.decisions());
                    decisions.any(|decision| day_in(&life.zone, decision) == today)
                }),
            };
            if is_edge {
                edges.insert(number);
            }
            lives.insert(number, after);
        }
        edges.extend(lives.iter().filter(|(_, life)| self.is_outage_edge(life)).map(|(number, _)| *number));
        edges
    }

    /// Use counts for 48 hours before each way looks; whether this use is within the one span and near the end of the other.
    fn is_usage_edge(&self, number: i64, at: Timestamp) -> bool {
        let off = |effects: &BTreeSet<Effect>| {
            effects.iter().find(|effect| effect.account == number && effect.what == "switched_off").map(|effect| effect.at)
        };
        let (Some(one), Some(other)) = (off(self.by_hence), off(self.by_batch)) else { return false };
        // The jobs look up to an hour after the end of the night, and clocks change by an hour.
        let (from, until) = (one.min(other) - SignedDuration::from_hours(2), one.max(other) + SignedDuration::from_hours(2));
        let is_within = |days: i64| {
            let later = SignedDuration::from_hours(24 * days);
            (from + later..=until + later).contains(&at)
        };
        is_within(0) || is_within(2)
    }

    /// Whether an outage carries what is due over midnight.
    fn is_outage_edge(&self, life: &Life) -> bool {
        let crosses = |outages: &[(Timestamp, Timestamp)], due: Timestamp, slack: i64| {
            let carried = |(from, until): &(Timestamp, Timestamp)| {
                let until = *until + SignedDuration::from_mins(slack);
                let from = *from - SignedDuration::from_mins(slack);
                (from..=until).contains(&due) && day_in(&life.zone, due) != day_in(&life.zone, until)
            };
            outages.iter().any(carried)
        };
        life.decisions().into_iter().any(|due| crosses(&self.outages.mails, due, 60) || crosses(&self.outages.receiver, due, 300))
    }
}
