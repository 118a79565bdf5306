//! The program `chat-batch`: runs the nightly jobs once. Meant for cron, each hour.
//!
//! Owns the command line. Leaves to others: the jobs (the library).

use std::path::PathBuf;

use chat_batch::{InDoubt, Jobs, Post, Report};
use clap::{Parser, ValueEnum};
use jiff::Timestamp;

/// The 30-day trial of the chat example as nightly jobs, without Hence.
#[derive(Parser)]
#[command(name = "chat-batch", version)]
struct Arguments {
    /// Which job.
    #[arg(value_enum, default_value = "all")]
    job: Job,
    /// The database of the chat back end.
    #[arg(long, default_value = "chat.db")]
    database: PathBuf,
    /// The mail server; it is spoken to without encryption.
    #[arg(long, default_value = "smtp://127.0.0.1:25")]
    mail: String,
    /// The sender.
    #[arg(long, default_value = "Little Chat <hello@chat.example>")]
    from: String,
    /// The instant for which to run [default: now]
    #[arg(long)]
    now: Option<Timestamp>,
    /// What to do with a mail that an earlier run began and did not end.
    #[arg(long, value_enum, default_value = "send")]
    in_doubt: Doubt,
}

#[derive(Clone, Copy, ValueEnum)]
enum Job {
    All,
    Remind,
    Expire,
    Look,
}

#[derive(Clone, Copy, ValueEnum)]
enum Doubt {
    Send,
    Leave,
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let now = arguments.now.unwrap_or_else(Timestamp::now);
    let in_doubt = match arguments.in_doubt {
        Doubt::Send => InDoubt::Send,
        Doubt::Leave => InDoubt::Leave,
    };
    let mut jobs = Jobs::open(&arguments.database, Post::new(&arguments.mail, &arguments.from)?, in_doubt)?;
    let mut report = Report::default();
    match arguments.job {
        Job::All => report = jobs.night(now)?,
        Job::Remind => jobs.remind(now, &mut report)?,
        Job::Expire => jobs.expire(now, &mut report)?,
        Job::Look => jobs.look(now, &mut report)?,
    }
    tracing::info!(?report, "done");
    Ok(())
}
