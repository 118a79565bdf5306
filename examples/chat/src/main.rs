//! The program `chat`: the back end on its own, which tells Hence by running the command `hence`.
//!
//! Owns the command line and [`HenceCommand`]. Leaves to others: everything the back end does (the library).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, bail};
use async_trait::async_trait;
use chat::{AccountId, ChatOptions, HenceCalls, start};
use clap::Parser;
use jiff::Timestamp;
use serde_json::Value;
use tokio::process::Command;

/// The back end of a little chat widget whose 30-day trial Hence looks after.
#[derive(Parser)]
#[command(name = "chat", version)]
struct Arguments {
    /// Its own SQLite file; made when missing.
    #[arg(long, default_value = "chat.db")]
    database: PathBuf,
    /// Where it listens. There is no login: keep it on loopback.
    #[arg(long, default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// Secret (whsec_…) that Hence signs its webhooks with; without it unsigned ones are taken.
    #[arg(long, env = "CHAT_WEBHOOK_SECRET", hide_env_values = true)]
    webhook_secret: Option<String>,
    /// The command that tells Hence.
    #[arg(long, default_value = "hence")]
    hence: PathBuf,
    /// The folder with `hence.toml`, in which that command is run.
    #[arg(long, default_value = ".")]
    hence_folder: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let hence = HenceCommand { program: arguments.hence, folder: arguments.hence_folder };
    let running = start(ChatOptions {
        database: arguments.database,
        listen: arguments.listen,
        webhook_secret: arguments.webhook_secret,
        hence: Arc::new(hence),
        clock: Arc::new(Timestamp::now),
    })
    .await?;
    tracing::info!(url = running.url(), "the chat back end listens; Ctrl-C stops it");
    tokio::signal::ctrl_c().await?;
    running.stop().await
}

/// Tells Hence by its command line.
struct HenceCommand {
    program: PathBuf,
    folder: PathBuf,
}

impl HenceCommand {
    async fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        // Killed when nobody waits for it any more, so that no answer comes after its deadline.
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.with_context(|| format!("cannot run `{}`", self.program.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`hence {}` ended with {}: {}", arguments[0], output.status, said.trim());
        }
        Ok(())
    }
}

#[async_trait]
impl HenceCalls for HenceCommand {
    async fn enrol(&self, account_id: AccountId, created_at: Timestamp, facts: Value) -> anyhow::Result<()> {
        let entity = format!("account/{account_id}");
        let given = format!("created_at={created_at}");
        self.run(&["enrol", "trial", &entity, "--given", &given, "--facts", &facts.to_string()]).await
    }

    async fn event(&self, account_id: AccountId, name: &str, _at: Timestamp, data: Value, facts: Value) -> anyhow::Result<()> {
        let entity = format!("account/{account_id}");
        self.run(&["event", &entity, name, "--data", &data.to_string(), "--facts", &facts.to_string()]).await
    }
}
