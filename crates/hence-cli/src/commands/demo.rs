//! `hence demo`: the example application, a mail catcher and the engine, and a population that lives through forty days.
//!
//! Everything is real but the clock: the application is reached over HTTP, mails go over SMTP, the store is a file that stays. Stopped
//! with Ctrl-C it can be started again and goes on where it was. Owns the play (`play`) and its setting (`setting`); what came of it
//! is told by `report`.

mod play;
mod report;
mod setting;

use std::path::PathBuf;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::serve::interrupts;
use crate::problem::Exit;
use crate::session::Session;

/// What to play.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// The folder that keeps the store, the application's database and the mails; a play that was stopped there goes on
    #[arg(long, default_value = "hence-demo")]
    dir: PathBuf,
    /// How many accounts
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    accounts: u32,
    /// The seed of the population
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// How many days are played
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=400))]
    days: u32,
    /// Throw away what an earlier play left in the folder
    #[arg(long)]
    fresh: bool,
    /// Keep the store in a PostgreSQL server of the play's own, which ends with it; with --database, in a database of yours
    #[arg(long, conflicts_with = "store")]
    private_postgres: bool,
}

/// Plays the demo; what came of it goes to standard output, progress to standard error.
pub(crate) async fn run(session: &Session, args: &DemoArgs) -> anyhow::Result<Exit> {
    let setting = setting::Setting::open(session, args).await?;
    let stop = CancellationToken::new();
    let mut beside = JoinSet::new();
    beside.spawn(interrupts(stop.clone()));
    let ended = play::play(&setting, &stop).await;
    beside.shutdown().await;
    let ended = ended?;
    report::tell(session, &setting, ended).await?;
    setting.close().await?;
    Ok(if ended.is_over { Exit::Done } else { Exit::Interrupted })
}
