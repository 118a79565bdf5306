//! W2: a backlog is drained. The clock stops when the last end is written, not when the last handler ran.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::line::Found;
use super::{Options, raw, setting};
use crate::machine::Stopwatch;

/// By the engine: start, look, deliver, judge, plan, write.
pub(super) async fn by_engine(options: &Options, folder: &Path) -> Result<Found> {
    let client = seeded(options, folder).await?;
    let watch = Arc::<setting::Watch>::default();
    watch.wanted.store(options.count, Ordering::Relaxed);
    let stop = CancellationToken::new();
    let engine = setting::engine(&client, options, &watch, false);
    let began = Stopwatch::begin();
    let running = tokio::spawn(engine.run(stop.clone()));
    watch.all_done.notified().await;
    stop.cancel();
    let summary = running.await.context("the engine broke")??;
    let took = began.stop();
    ensure!(summary.written == options.count as u64, "{} of {} were written", summary.written, options.count);
    let done = client.store().totals().await?.finished.get("done").copied().unwrap_or(0);
    ensure!(done == options.count as u64, "{done} of {} are done by the store", options.count);
    Ok(Found::of(options.count, took))
}

/// By the least statements that leave the same rows behind.
pub(super) async fn by_statements(options: &Options, folder: &Path) -> Result<Found> {
    drop(seeded(options, folder).await?);
    raw::drain_our_tables(options, folder)
}

/// A store in which every task has been due for an hour, as many as 100 in each millisecond.
async fn seeded(options: &Options, folder: &Path) -> Result<hence::Client> {
    let client = setting::client(folder, setting::ONE).await?;
    let began = Timestamp::now() - SignedDuration::from_hours(1);
    let due = |number: usize| began + SignedDuration::from_micros(number as i64 * 10);
    setting::enrol_many(&client, "one", 0..options.count, due).await?;
    Ok(client)
}
