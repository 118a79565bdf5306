//! W1 and W5: telling. One call at a time, eight clients at once, or in bulk.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use hence::{Client, Telling, Told};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use super::line::Found;
use super::{Options, Workload, setting};
use crate::machine::{Stopwatch, Took};

/// Tasks of an entity in W5.
const TASKS_OF_ENTITY: usize = 3;
/// Clients in W1B and W5P.
pub(super) const CLIENTS: usize = 8;

/// By the client of the library.
pub(super) async fn by_client(workload: Workload, options: &Options, folder: &Path) -> Result<Found> {
    let far = Timestamp::now() + SignedDuration::from_hours(24 * 10);
    match workload {
        Workload::W1c => {
            let client = setting::client(folder, setting::ONE).await?;
            let began = Stopwatch::begin();
            setting::enrol_many(&client, "one", 0..options.count, |number| far + SignedDuration::from_millis(number as i64))
                .await?;
            Ok(Found::of(options.count, began.stop()))
        }
        Workload::W1a | Workload::W1b => {
            let client = setting::client(folder, setting::ONE).await?;
            let clients = if workload == Workload::W1a { 1 } else { CLIENTS };
            let told = |number: usize| setting::enrolment("one", number, far);
            let took = in_turn(&client, options.calls, clients, told).await?;
            Ok(Found::of(options.calls, took))
        }
        _ => {
            let client = setting::client(folder, setting::THREE).await?;
            setting::enrol_many(&client, "three", 0..options.calls, |_| far).await?;
            let clients = if workload == Workload::W5 { 1 } else { CLIENTS };
            let closed = |number: usize| {
                let name = "account.closed".parse()?;
                Ok(Telling::event(setting::entity(number)?, name, serde_json::Value::Null, serde_json::Value::Null))
            };
            let took = in_turn(&client, options.calls, clients, closed).await?;
            let live: u64 = client.store().totals().await?.live.values().sum();
            ensure!(live == 0, "{live} tasks were not cancelled");
            Ok(Found::of(options.calls * TASKS_OF_ENTITY, took))
        }
    }
}

/// Each client tells its share, one call after the other.
async fn in_turn(client: &Client, calls: usize, clients: usize, telling: impl Fn(usize) -> Result<Telling>) -> Result<Took> {
    let mut shares: Vec<Vec<Telling>> = Vec::new();
    for share in 0..clients {
        shares.push((share..calls).step_by(clients).map(&telling).collect::<Result<_>>()?);
    }
    let began = Stopwatch::begin();
    let mut running = JoinSet::new();
    for share in shares {
        let client = client.clone();
        running.spawn(async move {
            for telling in share {
                let told = client.tell(telling).await?;
                ensure!(told == Told::CarriedOut, "a call was not carried out: {told:?}");
            }
            Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.context("a client broke")??;
    }
    Ok(began.stop())
}
