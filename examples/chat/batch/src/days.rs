//! Days where a customer lives.
//!
//! Owns the arithmetic of the trial: pure functions of an account's row and an instant.

use anyhow::Context;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// An account is dealt with from this hour of its own day.
const NIGHT_ENDS: i8 = 3;
/// The reminder goes out so long before the end.
const REMIND_BEFORE: i32 = 5;
/// A reminder that is later than this is not sent.
const REMIND_LATE_MAX: i32 = 3;
/// A switch-off that is later than this is left to a person.
const EXPIRE_LATE_MAX: i32 = 7;
/// It is looked for the script so long after the switch-off.
const LOOK_AFTER: i32 = 2;

/// What of an account says when its trial ends.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    pub(crate) timezone: String,
    pub(crate) created_at: Timestamp,
    pub(crate) trial_days: i64,
}

/// Whether something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    NotYet,
    Now,
    /// For so long that it is not done any more.
    TooLate,
}

/// The day it is for somebody whose night is over, or the day before.
pub(crate) fn today(timezone: &str, now: Timestamp) -> anyhow::Result<Date> {
    let local = zone(timezone)?.to_datetime(now);
    let is_night = local.hour() < NIGHT_ENDS;
    Ok(if is_night { local.date().yesterday()? } else { local.date() })
}

impl Trial {
    /// Five days before the end, or the next working day.
    pub(crate) fn remind(&self, now: Timestamp) -> anyhow::Result<Due> {
        let ends_on = self.ends_on()?;
        let mut due_on = plus(ends_on, -REMIND_BEFORE)?;
        while matches!(due_on.weekday(), Weekday::Saturday | Weekday::Sunday) {
            due_on = due_on.tomorrow()?;
        }
        let today = today(&self.timezone, now)?;
        Ok(if today < due_on {
            Due::NotYet
        } else if today > plus(due_on, REMIND_LATE_MAX)? || today >= ends_on {
            Due::TooLate
        } else {
            Due::Now
        })
    }

    /// The last day.
    pub(crate) fn expire(&self, now: Timestamp) -> anyhow::Result<Due> {
        let ends_on = self.ends_on()?;
        let today = today(&self.timezone, now)?;
        Ok(if today < ends_on {
            Due::NotYet
        } else if today > plus(ends_on, EXPIRE_LATE_MAX)? {
            Due::TooLate
        } else {
            Due::Now
        })
    }

    fn ends_on(&self) -> anyhow::Result<Date> {
        let began_on = zone(&self.timezone)?.to_datetime(self.created_at).date();
        Ok(began_on.checked_add(Span::new().try_days(self.trial_days)?)?)
    }
}

/// Two days after a switch-off on `ended_on`.
pub(crate) fn look(ended_on: Date, timezone: &str, now: Timestamp) -> anyhow::Result<Due> {
    let is_due = today(timezone, now)? >= plus(ended_on, LOOK_AFTER)?;
    Ok(if is_due { Due::Now } else { Due::NotYet })
}

fn plus(day: Date, days: i32) -> anyhow::Result<Date> {
    Ok(day.checked_add(Span::new().try_days(days)?)?)
}

fn zone(name: &str) -> anyhow::Result<TimeZone> {
    TimeZone::get(name).with_context(|| format!("the account's time zone `{name}` is not known"))
}

/// A day as the tables have it.
pub(crate) fn day_of(text: &str) -> anyhow::Result<Date> {
    text.parse().with_context(|| format!("the database has `{text}` where a day should be"))
}

/// An instant as the tables have it.
pub(crate) fn text_of(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// An instant read from a table.
pub(crate) fn instant_of(text: &str) -> anyhow::Result<Timestamp> {
    text.parse().with_context(|| format!("the database has `{text}` where an instant should be"))
}

#[cfg(test)]
mod tests {
    //! Goal: nights, weekends and limits. Method: one trial in several places, looked at at many instants.

    use super::{Due, Trial, look, today};

    fn trial(timezone: &str, created_at: &str) -> Trial {
        Trial { timezone: timezone.to_owned(), created_at: created_at.parse().unwrap(), trial_days: 30 }
    }

    #[test]
    fn a_night_ends_at_three_where_the_customer_lives() {
        for (zone, at, day) in [
            ("UTC", "2026-03-10T02:59:59Z", "2026-03-09"),
            ("UTC", "2026-03-10T03:00:00Z", "2026-03-10"),
            ("Pacific/Auckland", "2026-03-09T14:00:00Z", "2026-03-10"),
            ("America/Los_Angeles", "2026-03-10T09:59:00Z", "2026-03-09"),
        ] {
            assert_eq!(today(zone, at.parse().unwrap()).unwrap().to_string(), day, "{zone} {at}");
        }
        assert!(today("Mars/Olympus", "2026-03-10T02:59:59Z".parse().unwrap()).is_err());
    }

    #[test]
    fn reminder_waits_for_monday_and_is_given_up_when_late() {
        // Day 25 is a Saturday.
        let trial = trial("UTC", "2026-03-03T20:00:00Z");
        let due = |day: &str| trial.remind(format!("{day}T04:00:00Z").parse().unwrap()).unwrap();
        assert_eq!(due("2026-03-28"), Due::NotYet);
        assert_eq!(due("2026-03-30"), Due::Now);
        assert_eq!(due("2026-04-01"), Due::Now);
        assert_eq!(due("2026-04-02"), Due::TooLate, "the trial ends on that day");
    }

    #[test]
    fn switch_off_is_caught_up_with_for_a_week() {
        let trial = trial("Europe/Oslo", "2026-03-02T23:30:00Z");
        let due = |at: &str| trial.expire(at.parse().unwrap()).unwrap();
        // Began on 3 March in Oslo; summer time by the end.
        assert_eq!(due("2026-04-02T00:59:00Z"), Due::NotYet);
        assert_eq!(due("2026-04-02T01:00:00Z"), Due::Now);
        assert_eq!(due("2026-04-09T12:00:00Z"), Due::Now);
        assert_eq!(due("2026-04-10T12:00:00Z"), Due::TooLate);
    }

    #[test]
    fn it_is_looked_for_the_script_two_days_later() {
        let ended_on = "2026-04-02".parse().unwrap();
        assert_eq!(look(ended_on, "UTC", "2026-04-04T02:00:00Z".parse().unwrap()).unwrap(), Due::NotYet);
        assert_eq!(look(ended_on, "UTC", "2026-04-04T03:00:00Z".parse().unwrap()).unwrap(), Due::Now);
    }
}
