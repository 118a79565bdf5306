//! What a delivery gave, and what it means for the task: done, another attempt, failed, unknown or wait.
//!
//! [`judge`] is pure: chance comes as a number. Leaves to others: delivering (dispatchers) and writing the end (the engine).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::definition::{Guarantee, RetryPolicy};
use crate::name::Name;
use crate::reason::Reason;
use crate::task::AttemptEnd;

/// How long an answer may take that the receiver promised without saying when.
pub const ANSWER_WAIT: SignedDuration = SignedDuration::from_hours(24);
/// The longest a receiver's wish to be left alone is obeyed.
pub const ASKED_WAIT_MAX: SignedDuration = SignedDuration::from_hours(24 * 7);

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

/// What an answer means for the task.
pub fn judge(by: &Judgement<'_>, answer: Answer) -> AttemptEnd {
    match answer {
        Answer::Done { outcome, result } => match accepted_word(by.says, outcome.as_deref()) {
            Ok(outcome) => AttemptEnd::Done { outcome, reason: answered(by, result) },
            Err(problem) => again(by, None, &problem, true),
        },
        Answer::Again { after, problem } => again(by, after, &problem, false),
        Answer::Refused { problem } => AttemptEnd::Failed { reason: failed(&problem, None) },
        Answer::Unknown { problem } => match by.delivery {
            Guarantee::AtLeastOnce => again(by, None, &problem, true),
            Guarantee::AtMostOnce => AttemptEnd::Unknown { reason: failed(&problem, None) },
        },
        Answer::Later { within } => {
            let until = by.now.saturating_add(within.unwrap_or(ANSWER_WAIT)).unwrap_or(Timestamp::MAX);
            AttemptEnd::AnswerAwaited { until, reason: answered(by, serde_json::Value::Null) }
        }
    }
}

/// When the next attempt may start: a random part of a wait that doubles ("full jitter": Brooker, "Exponential Backoff And Jitter",
/// 2015), at least a second; `None` when no attempt is left. `failed` counts the attempts so far, from 1.
pub fn next_attempt_at(policy: &RetryPolicy, failed: u32, now: Timestamp, dice: u64) -> Option<Timestamp> {
    if failed >= policy.tries {
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

fn again(by: &Judgement<'_>, after: Option<SignedDuration>, problem: &Problem, may_have_arrived: bool) -> AttemptEnd {
    let Some(next_at) = next_attempt_at(by.retry, by.attempt, by.now, by.dice) else {
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
