//! The bodies a webhook's two sides send: a CloudEvent out, an answer in.
//!
//! Owns: the JSON of both, version 1. Within this version fields are only added. Leaves to others: what an answer means.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::guard::path_segment;
use crate::port::Attempt;

/// A CloudEvent 1.0 in structured mode.
#[derive(Serialize)]
pub(crate) struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    time: String,
    datacontenttype: &'static str,
    henceattempt: u32,
    /// A string: a CloudEvents integer has 32 bits, a fence has 64.
    hencefence: String,
    hencedue: String,
    hencepossibleduplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    henceoccurrence: Option<&'a str>,
    data: &'a Value,
}

impl<'a> CloudEvent<'a> {
    pub(crate) fn of(attempt: &'a Attempt) -> CloudEvent<'a> {
        let timeline = match attempt.timeline.as_str() {
            "" => "adhoc",
            name => name,
        };
        CloudEvent {
            specversion: "1.0",
            id: &attempt.task,
            source: format!("hence/{}", path_segment(timeline)),
            kind: format!("hence.{timeline}.{}", attempt.step),
            subject: format!("{}/{}", attempt.entity_type, attempt.entity_id),
            time: attempt.due_at.to_string(),
            datacontenttype: "application/json",
            henceattempt: attempt.attempt,
            hencefence: attempt.fence.to_string(),
            hencedue: attempt.due_at.to_string(),
            hencepossibleduplicate: attempt.possible_duplicate,
            henceoccurrence: attempt.occurrence.as_deref(),
            data: &attempt.payload,
        }
    }
}

/// What a receiver may answer; fields not named here are ignored.
#[derive(Default, Deserialize)]
pub(crate) struct Answer {
    /// The word that decides the follow-up steps.
    pub(crate) outcome: Option<String>,
    /// Anything worth keeping with the task.
    #[serde(default)]
    pub(crate) result: Value,
    /// Not now: "in 10 minutes".
    pub(crate) again: Option<String>,
    /// Not now: "PT10M".
    pub(crate) again_in: Option<String>,
    /// With status 202: within which time it will be completed.
    pub(crate) within: Option<String>,
}
