//! An attempt to test with, the same for unit tests and the conformance suite.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::port::{Attempt, CancelSignal, Destination};

/// The task of the trial that switches an account off, tried for the first time.
pub(crate) fn sample() -> Attempt {
    // Fixed instants: 2026-04-01T08:00:00Z and a little later.
    let due_at = Timestamp::UNIX_EPOCH + Duration::from_secs(1_775_030_400);
    Attempt {
        task: "task_01jq7m3c5vf8e9k2".into(),
        entity_type: "account".into(),
        entity_id: "42".into(),
        timeline: "trial".into(),
        step: "expire".into(),
        occurrence: None,
        due_at,
        started_at: due_at + Duration::from_secs(1),
        sent_at: due_at + Duration::from_secs(2),
        attempt: 1,
        fence: 7,
        possible_duplicate: false,
        payload: json!({"account": {"email": "a@example.com"}}),
        to: Destination::Handler { name: "expire".into() },
        timeout: Duration::from_secs(5),
        cancel: CancelSignal::default(),
    }
}
