//! W3: 500 tasks a second fall due beside resting ones. How late does a handler begin, start committed?

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::line::Found;
use super::{Options, setting};
use crate::machine::Stopwatch;

/// Tasks that fall due in a second.
pub(super) const RATE: usize = 500;
/// Between enrolment and the first due instant.
const LEAD: SignedDuration = SignedDuration::from_secs(5);

/// By the engine.
pub(super) async fn by_engine(options: &Options, folder: &Path) -> Result<Found> {
    let client = setting::client(folder, setting::ONE).await?;
    let far = Timestamp::now() + SignedDuration::from_hours(24 * 30);
    setting::enrol_many(&client, "one", 0..options.resting, |number| far + SignedDuration::from_millis(number as i64)).await?;
    let count = RATE * options.seconds;
    let lead = LEAD + SignedDuration::from_millis(i64::try_from(count / 10)?);
    let began = Timestamp::now() + lead;
    let due = |number: usize| began + SignedDuration::from_micros((number - options.resting) as i64 * 1_000_000 / RATE as i64);
    setting::enrol_many(&client, "one", options.resting..options.resting + count, due).await?;
    let watch = Arc::<setting::Watch>::default();
    watch.wanted.store(count, Ordering::Relaxed);
    let stop = CancellationToken::new();
    let running = tokio::spawn(setting::engine(&client, options, &watch, true).run(stop.clone()));
    let started = Stopwatch::begin();
    watch.all_done.notified().await;
    let took = started.stop();
    stop.cancel();
    running.await.context("the engine broke")??;
    let mut lateness: Vec<Duration> = {
        let kept = watch.lateness.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.iter().map(|late| Duration::try_from(*late).unwrap_or_default()).collect()
    };
    lateness.sort_unstable();
    Ok(Found { tasks: count, took, lateness })
}
