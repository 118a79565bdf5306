//! The stored form of a reason: JSON, tagged by `why`; fields are only ever added.
//!
//! Instants are RFC 3339 in UTC. Names are plain text here, because a document outlives the definition that it speaks of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why something is as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// A step of a definition, counted from an anchor.
    Planned {
        /// The definition's name.
        definition: String,
        /// The first digits of its hash.
        version: String,
        /// The rule in words, such as `25 days after created_at at 09:00`.
        rule: String,
        /// The instant it is counted from.
        anchor_at: Timestamp,
        /// The zone it is counted in.
        zone: String,
        /// How the instant was found, one sentence for each adjustment.
        steps: Vec<String>,
        /// What made the plan be made: `enrolled`, an event, an outcome.
        cause: String,
    },
    /// A follow-up of a step that ended with an outcome.
    Followed {
        /// The definition's name.
        definition: String,
        /// The first digits of its hash.
        version: String,
        /// The step before it.
        after: String,
        /// How that ended.
        outcome: String,
        /// That task.
        task: i64,
        /// The instant it is counted from.
        anchor_at: Timestamp,
        /// The rule in words.
        rule: String,
        /// How the instant was found.
        steps: Vec<String>,
    },
    /// An entity was enrolled.
    Enrolled {
        /// The definition's name.
        definition: String,
        /// The first digits of its hash.
        version: String,
        /// Which run of the definition for this entity, from 1.
        run: u32,
        /// By whom.
        actor: String,
    },
    /// An event was told and does this.
    Event {
        /// Its name.
        name: String,
        /// When it happened.
        at: Timestamp,
        /// By whom it was told.
        actor: String,
        /// What it carries.
        #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
        data: serde_json::Value,
        /// The definition's word for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// Facts were told or read.
    Facts {
        /// What they are now, by group.
        facts: serde_json::Value,
        /// By whom they were told, or where they were read.
        actor: String,
    },
    /// The condition decided.
    Condition {
        /// Its source.
        when: String,
        /// The facts it looked at.
        facts: BTreeMap<String, serde_json::Value>,
    },
    /// It is too late by the rule.
    Late {
        /// When it was due.
        due_at: Timestamp,
        /// The rule in words.
        rule: String,
    },
    /// It must come before a step that is not after it any more.
    Before {
        /// That step.
        step: String,
        /// In which way it comes first: `is due`, `was due`, `started`, `ended`.
        how: String,
        /// When.
        at: Timestamp,
    },
    /// A delivery was answered.
    Answered {
        /// The transport and target in words.
        to: String,
        /// The facts that were seen.
        facts: BTreeMap<String, serde_json::Value>,
        /// The condition that held, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        when: Option<String>,
        /// What the receiver answered.
        #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
        result: serde_json::Value,
        /// Whether it may have arrived twice.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        possible_duplicate: bool,
    },
    /// An attempt failed.
    Failed {
        /// The problem's code.
        code: String,
        /// What happened.
        problem: String,
        /// When another attempt comes, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// The node that ran the attempt was lost.
    NodeLost {
        /// The fence of that attempt.
        fence: i64,
    },
    /// A person, or a program in its own name, decided.
    Person {
        /// Who.
        actor: String,
        /// In their words; may be empty.
        text: String,
    },
    /// A person, or a program in its own name, wanted an ended task done once more.
    RunAgain {
        /// The task that had ended.
        task: i64,
        /// Who.
        actor: String,
        /// In their words; may be empty.
        text: String,
    },
    /// The plan no longer wants it.
    Unplanned {
        /// What changed: an event, facts, another run.
        cause: String,
        /// The plan's reason.
        because: Box<Reason>,
    },
    /// It stands at another instant than before.
    Moved {
        /// The instant before.
        from: Timestamp,
        /// What changed.
        cause: String,
        /// Why it is due when it is due now.
        because: Box<Reason>,
    },
    /// What it is counted from is not known.
    NoAnchor {
        /// The name or fact that is missing.
        anchor: String,
    },
    /// The step before it has not ended, or ended otherwise.
    NotFollowed {
        /// The step it follows.
        after: String,
        /// The outcome it follows.
        outcome: String,
        /// How the step ended, if it has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<String>,
    },
    /// Its instant cannot be computed.
    NoInstant {
        /// The problem.
        problem: String,
    },
    /// A recurrence has come to its end.
    NoMore {
        /// The rule in words.
        rule: String,
    },
    /// Asked for by itself, without a definition.
    AdHoc {
        /// By whom.
        actor: String,
        /// In their words; may be empty.
        text: String,
    },
    /// A wish could not be carried out.
    Refused {
        /// The code of the problem.
        code: String,
        /// What was wrong.
        problem: String,
    },
    /// Anything else that a person should read.
    Note {
        /// The sentence.
        text: String,
    },
}
