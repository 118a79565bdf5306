//! `hence clock`: the clock that everything on a store follows.

use std::time::Duration;

use hence::Client;
use serde_json::json;

use crate::input::Now;
use crate::output::{self, Answer};
use crate::problem::{Exit, Problem};
use crate::session::Session;

/// How often `--wait` looks.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show what the clock says
    Show,
    /// Advance a virtual clock; an engine moves it there, stopping at everything that is due on the way
    Advance {
        /// To an instant, or by a span such as '3 days'
        to: String,
        /// Waits until an engine has moved it there
        #[arg(long)]
        wait: bool,
        /// With --wait: how long, in seconds of real time
        #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "wait")]
        timeout: u32,
    },
    /// Make the clock virtual: it stands still until it is advanced
    Virtual {
        /// Where it stands [default: now]
        at: Option<String>,
    },
}

pub(crate) async fn run(session: &Session, command: &Command) -> Result<Exit, Problem> {
    match command {
        Command::Show => show(session, &session.client().await?).await,
        Command::Virtual { at } => {
            let client = session.client_or_new().await?;
            let now = Now { at: client.now().await?, zone: session.zone()? };
            let at = at.as_deref().map_or(Ok(now.at), |text| now.instant(text))?;
            client.clock().make_virtual(at).await?;
            show(session, &client).await?;
            output::note("next: `hence clock advance '1 day'`, while `hence dev` or `hence serve` runs");
            Ok(Exit::Done)
        }
        Command::Advance { to, wait, timeout } => {
            let client = session.client().await?;
            let reading = client.clock().read().await?;
            // A span counts from where the clock is going already, so that advancing twice by a day is two days.
            let now = Now { at: reading.target.unwrap_or(reading.now), zone: session.zone()? };
            let target = now.instant(to)?;
            client.advance(target).await.map_err(|error| {
                Problem::from(error).help("make it virtual with `hence clock virtual`; a virtual clock never goes back")
            })?;
            if *wait && !arrived(&client, target, *timeout).await? {
                show(session, &client).await?;
                output::note("an engine moves the clock: start one with `hence dev` or `hence serve`");
                return Ok(Exit::Pending);
            }
            show(session, &client).await
        }
    }
}

async fn arrived(client: &Client, target: jiff::Timestamp, seconds: u32) -> Result<bool, Problem> {
    let looks = u64::from(seconds) * 1000 / LOOK.as_millis() as u64;
    for _ in 0..looks.max(1) {
        if client.clock().read().await?.now >= target {
            return Ok(true);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(client.clock().read().await?.now >= target)
}

async fn show(session: &Session, client: &Client) -> Result<Exit, Problem> {
    let reading = client.clock().read().await?;
    let kind = if reading.target.is_some() { "virtual" } else { "system" };
    let target = reading.target.map(|at| at.to_string());
    if session.give(|| Answer::one(json!({ "kind": kind, "now": reading.now.to_string(), "target": target }), "now")) {
        return Ok(Exit::Done);
    }
    let times = session.times(reading.now)?;
    let moving = match reading.target {
        Some(target) if target > reading.now => format!(", on its way to {}", times.local(target)),
        _ => String::new(),
    };
    output::line(&format!("{} ({kind} clock{moving})", times.local(reading.now)));
    Ok(Exit::Done)
}
