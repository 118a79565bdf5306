//! What a delivery gave, and what it means for the task: done, another attempt, failed, unknown or wait.
//!
//! [`judge`] is pure: chance comes as a number. Leaves to others: delivering (dispatchers) and writing the end (the engine).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::definition::{Guarantee, RetryPolicy};
use crate::history::{Record, RecordKind};
use crate::name::Name;
use crate::reason::Reason;
use crate::sabotage::{Bug, is_planted};
use crate::task::AttemptEnd;

/// How long an answer may take that the receiver promised without saying when.
pub const ANSWER_WAIT: SignedDuration = SignedDuration::from_hours(24);
/// The longest a receiver's wish to be left alone is obeyed.
pub const ASKED_WAIT_MAX: SignedDuration = SignedDuration::from_hours(24 * 31);
/// How long a receiver may put one task off by asking for another try, from its first asking on; within this no try is used up.
pub const PUT_OFF_MAX: SignedDuration = SignedDuration::from_hours(24 * 31);
/// The code of a receiver's wish to be asked again, which is no failure.
pub const ASKED_AGAIN: &str = "asked-again";

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It arrived and was carried out.
    Done {
        /// The word that the receiver said; `None` for plain `done`.
        outcome: Option<String>,
        /// What it gave back.
        result: serde_json::Value,
    },
    /// Definitely not carried out.
    Again {
        /// How long the receiver asked to be left alone.
        after: Option<SignedDuration>,
        /// What failed.
        problem: Problem,
    },
    /// The receiver took it and wants to be asked again: not now is no failure.
    AskedAgain {
        /// How long it asked to be left alone.
        after: SignedDuration,
        /// What it said.
        problem: Problem,
    },
    /// Sent, and nobody can know whether it arrived.
    Unknown {
        /// What was seen.
        problem: Problem,
    },
    /// The receiver will answer later.
    Later {
        /// Within this time, if it said so.
        within: Option<SignedDuration>,
    },
    /// Refused for good.
    Refused {
        /// Why.
        problem: Problem,
    },
}

/// What went wrong, in a form that can always be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The stable word to branch on.
    pub code: String,
    /// One line for people.
    pub message: String,
}

/// What an answer is judged by.
#[derive(Debug, Clone)]
pub struct Judgement<'a> {
    /// The words that the receiver may say beyond `done`.
    pub says: &'a [Name],
    /// How failed attempts are repeated.
    pub retry: &'a RetryPolicy,
    /// What an unknown outcome means.
    pub delivery: Guarantee,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// How the receiver has put it off before.
    pub put_off: PutOff,
    /// What was seen and sent, for the reason.
    pub to: String,
    /// The facts that were seen.
    pub facts: BTreeMap<String, serde_json::Value>,
    /// The condition that held.
    pub when: Option<String>,
    /// Whether an earlier attempt may have arrived.
    pub possible_duplicate: bool,
    /// The clock.
    pub now: Timestamp,
    /// Chance: any number, all of them equally likely.
    pub dice: u64,
}

/// How often the receiver of a task asked for another try, and since when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PutOff {
    /// How many of the attempts ended so.
    pub count: u32,
    /// When the first of them did.
    pub since: Option<Timestamp>,
}

impl PutOff {
    /// What the records of a task say.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut put_off = Self::default();
        for record in records {
            if record.kind == RecordKind::Retried && matches!(&record.reason, Reason::Failed { code, .. } if code == ASKED_AGAIN)
            {
                put_off.count += 1;
                put_off.since = Some(put_off.since.map_or(record.at, |since| since.min(record.at)));
            }
        }
        put_off
    }
}

/// What an answer means for the task.
pub fn judge(by: &Judgement<'_>, answer: Answer) -> AttemptEnd {
    match answer {
        Answer::Done { outcome, result } => match accepted_word(by.says, outcome.as_deref()) {
            Ok(outcome) => AttemptEnd::Done { outcome, reason: answered(by, result) },
            Err(problem) => unsure(by, &problem),
        },
        Answer::Again { after, problem } => again(by, after, &problem, false),
        Answer::AskedAgain { after, problem } => put_off(by, after, &problem),
        Answer::Refused { problem } => AttemptEnd::Failed { reason: failed(&problem, None) },
        Answer::Unknown { problem } => unsure(by, &problem),
        Answer::Later { within } => {
            let until = by.now.saturating_add(within.unwrap_or(ANSWER_WAIT)).unwrap_or(Timestamp::MAX);
            AttemptEnd::AnswerAwaited { until, reason: answered(by, serde_json::Value::Null) }
        }
    }
}

/// When the next attempt may start: a random part of a wait that doubles ("full jitter": Brooker, "Exponential Backoff And Jitter",
/// 2015), at least a second; `None` when no attempt is left. `failed` counts the attempts so far, from 1.
pub fn next_attempt_at(policy: &RetryPolicy, failed: u32, now: Timestamp, dice: u64) -> Option<Timestamp> {
    if failed >= policy.tries && !is_planted(Bug::F59) {
        return None;
    }
    let doublings = failed.saturating_sub(1).min(40);
    let longest = policy.wait_first.as_millis().saturating_mul(1 << doublings).min(policy.wait_max.as_millis()).max(1_000);
    let wait = 1_000 + i128::from(dice) % (longest - 999);
    let wait = i64::try_from(wait).expect("a wait is at most wait_max, which is an i64 of milliseconds");
    Some(now.saturating_add(SignedDuration::from_millis(wait)).unwrap_or(Timestamp::MAX))
}

fn accepted_word(says: &[Name], word: Option<&str>) -> Result<Name, Problem> {
    let word = word.unwrap_or("done");
    let name = word.parse::<Name>().ok().filter(|name| word == "done" || says.contains(name));
    name.ok_or_else(|| {
        let words: Vec<&str> = std::iter::once("done").chain(says.iter().map(Name::as_str)).collect();
        let shown: String = word.chars().take(64).filter(|c| !c.is_control()).collect();
        Problem {
            code: "unexpected-outcome".to_owned(),
            message: format!("the receiver answered `{shown}`; the step says only: {}", words.join(", ")),
        }
    })
}

/// Another try at the instant that the receiver named, as long as it has not put the task off for too long.
fn put_off(by: &Judgement<'_>, after: SignedDuration, problem: &Problem) -> AttemptEnd {
    let after = after.clamp(SignedDuration::from_secs(1), ASKED_WAIT_MAX);
    let wake_at = by.now.saturating_add(after).unwrap_or(Timestamp::MAX);
    let until = by.put_off.since.unwrap_or(by.now).saturating_add(PUT_OFF_MAX).unwrap_or(Timestamp::MAX);
    if wake_at > until {
        let message = format!("{}, and had put it off since {}", problem.message, by.put_off.since.unwrap_or(by.now));
        return AttemptEnd::Failed { reason: failed(&Problem { code: problem.code.clone(), message }, None) };
    }
    AttemptEnd::Retry { wake_at, may_have_arrived: false, reason: failed(problem, Some(wake_at)) }
}

/// It arrived, or may have: another attempt only where it may be repeated.
fn unsure(by: &Judgement<'_>, problem: &Problem) -> AttemptEnd {
    match by.delivery {
        Guarantee::AtLeastOnce => again(by, None, problem, !is_planted(Bug::F60)),
        Guarantee::AtMostOnce if is_planted(Bug::F62) => again(by, None, problem, true),
        Guarantee::AtMostOnce => AttemptEnd::Unknown { reason: failed(problem, None) },
    }
}

fn again(by: &Judgement<'_>, after: Option<SignedDuration>, problem: &Problem, may_have_arrived: bool) -> AttemptEnd {
    let failed_tries = by.attempt.saturating_sub(by.put_off.count);
    let Some(next_at) = next_attempt_at(by.retry, failed_tries, by.now, by.dice) else {
        return AttemptEnd::Failed { reason: failed(problem, None) };
    };
    let asked = after.map_or(by.now, |after| by.now.saturating_add(after.min(ASKED_WAIT_MAX)).unwrap_or(Timestamp::MAX));
    let wake_at = next_at.max(asked);
    AttemptEnd::Retry { wake_at, may_have_arrived, reason: failed(problem, Some(wake_at)) }
}

fn failed(problem: &Problem, retry_at: Option<Timestamp>) -> Reason {
    Reason::Failed { code: problem.code.clone(), problem: problem.message.clone(), retry_at }
}

fn answered(by: &Judgement<'_>, result: serde_json::Value) -> Reason {
    Reason::Answered {
        to: by.to.clone(),
        facts: by.facts.clone(),
        when: by.when.clone(),
        result,
        possible_duplicate: by.possible_duplicate,
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a receiver that says "not now" is asked again when it said, and that is no failure. Method: answers in, ends out.
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn check(attempt: u32, put_off: PutOff, answer: Answer) -> String {
        let retry = RetryPolicy { tries: 2, wait_first: SignedDuration::from_secs(30), wait_max: SignedDuration::from_hours(6) };
        let by = Judgement {
            says: &[],
            retry: &retry,
            delivery: Guarantee::AtLeastOnce,
            attempt,
            put_off,
            to: String::new(),
            facts: BTreeMap::new(),
            when: None,
            possible_duplicate: false,
            now: at("2026-03-10T10:00:00Z"),
            dice: 0,
        };
        match judge(&by, answer) {
            AttemptEnd::Retry { wake_at, .. } => wake_at.to_string(),
            AttemptEnd::Failed { reason: Reason::Failed { problem, .. } } => problem,
            other => format!("{other:?}"),
        }
    }

    fn problem() -> Problem {
        Problem { code: ASKED_AGAIN.to_owned(), message: "the receiver asked for another try".to_owned() }
    }

    fn asked(days: i64) -> Answer {
        Answer::AskedAgain { after: SignedDuration::from_hours(24 * days), problem: problem() }
    }

    fn failed() -> Answer {
        Answer::Again { after: None, problem: problem() }
    }

    fn since(count: u32, text: &str) -> PutOff {
        PutOff { count, since: Some(at(text)) }
    }

    #[test]
    fn asking_again_is_obeyed_to_the_second_and_uses_no_try_up() {
        let now = Answer::AskedAgain { after: SignedDuration::ZERO, problem: problem() };
        assert_eq!(check(1, PutOff::default(), now), "2026-03-10T10:00:01Z");
        assert_eq!(check(9, since(8, "2026-03-01T10:00:00Z"), asked(1)), "2026-03-11T10:00:00Z");
        // The ninth attempt is the first that failed.
        assert_eq!(check(9, since(8, "2026-03-01T10:00:00Z"), failed()), "2026-03-10T10:00:01Z");
        assert_eq!(check(2, PutOff::default(), failed()), problem().message);
    }

    #[test]
    fn nothing_is_put_off_for_more_than_31_days() {
        assert_eq!(check(1, PutOff::default(), asked(400)), "2026-04-10T10:00:00Z");
        assert_eq!(check(2, since(1, "2026-02-10T10:00:00Z"), asked(3)), "2026-03-13T10:00:00Z");
        let expected = "the receiver asked for another try, and had put it off since 2026-02-10T10:00:00Z";
        assert_eq!(check(2, since(1, "2026-02-10T10:00:00Z"), asked(4)), expected);
    }
}
