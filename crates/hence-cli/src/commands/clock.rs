//! `hence clock`: the clock that everything on a store follows.

use std::time::Duration;

use hence::core::task::TaskState;
use hence::{Client, ErrorKind};
use jiff::Timestamp;
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
        #[arg(allow_hyphen_values = true)]
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
        /// Also on a store that is in use by the machine's clock: nothing starts by itself there any more
        #[arg(long)]
        yes: bool,
    },
    /// Let the store follow the machine's clock again
    System {
        /// Also on a store that is in use: what is due between the two clocks starts at once
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) async fn run(session: &Session, command: &Command) -> Result<Exit, Problem> {
    match command {
        Command::Show => show(session, &session.client().await?).await,
        Command::Virtual { at, yes } => {
            let client = session.client_or_new().await?;
            let now = Now { at: client.now().await?, zone: session.zone()? };
            let at = at.as_deref().map(|text| now.instant(text)).transpose()?;
            may_become_virtual(&client, at, *yes).await?;
            client.clock().make_virtual(at.unwrap_or(now.at)).await?;
            show(session, &client).await?;
            output::note("next: `hence clock advance '1 day'`, while `hence dev` or `hence serve` runs");
            Ok(Exit::Done)
        }
        Command::System { yes } => {
            let client = session.client().await?;
            may_become_system(&client, *yes).await?;
            client.clock().make_system().await?;
            show(session, &client).await
        }
        Command::Advance { to, wait, timeout } => {
            let client = session.client().await?;
            let reading = client.clock().read().await?;
            // A span counts from where the clock is going already, so that advancing twice by a day is two days.
            let now = Now { at: reading.target.unwrap_or(reading.now), zone: session.zone()? };
            let target = now.instant(to)?;
            client.advance(target).await.map_err(|error| match error {
                ErrorKind::Refused { .. } => {
                    Problem::from(error).help("make it virtual with `hence clock virtual`; a virtual clock never goes back")
                }
                error => error.into(),
            })?;
            if *wait && !arrived(&client, target, *timeout).await? {
                show(session, &client).await?;
                let running = client.store().totals().await?.live.get(&TaskState::Running).copied().unwrap_or(0);
                output::note(&match running {
                    0 => "the clock has not arrived: an engine moves it, `hence dev` or `hence serve`".to_owned(),
                    _ => format!("the clock has not arrived: {running} running, see `hence upcoming --state running`"),
                });
                return Ok(Exit::Pending);
            }
            show(session, &client).await
        }
    }
}

/// Whether anybody is enrolled, or about to be.
async fn is_in_use(client: &Client) -> Result<bool, Problem> {
    let totals = client.store().totals().await?;
    Ok(totals.entities > 0 || totals.wishes > 0)
}

/// Refuses to stop the clock of a store that is in use, unless that is wanted, and to let a virtual clock jump.
pub(super) async fn may_become_virtual(client: &Client, at: Option<Timestamp>, is_wanted: bool) -> Result<(), Problem> {
    if !is_in_use(client).await? {
        return Ok(());
    }
    let reading = client.clock().read().await?;
    if let Some(at) = at.filter(|at| *at < reading.now) {
        return Err(backwards(at, reading.now));
    }
    let (problem, help) = match reading.target {
        None if is_wanted => return Ok(()),
        None => (
            "this store is in use and follows the machine's clock; on a virtual one nothing starts by itself",
            "use another store, or say that it is meant with `--yes`",
        ),
        Some(_) if at.is_some_and(|at| at > reading.now) => (
            "the clock is virtual and in use; it goes on step by step, past nothing that is due on the way",
            "`hence clock advance` lets it go on",
        ),
        Some(_) => return Ok(()),
    };
    Err(Problem::new("HNC-0335", problem, Exit::Conflict).help(help))
}

/// Refuses to go back in time, and to start what is due in between unless that is wanted.
async fn may_become_system(client: &Client, is_wanted: bool) -> Result<(), Problem> {
    let reading = client.clock().read().await?;
    if reading.target.is_none() || !is_in_use(client).await? {
        return Ok(());
    }
    let wall = hence::clock::wall();
    if wall < reading.now {
        return Err(backwards(wall, reading.now));
    }
    if is_wanted {
        return Ok(());
    }
    let problem = format!("this store is in use: what is due between {} and {wall} starts at once", reading.now);
    Err(Problem::new("HNC-0335", problem, Exit::Conflict).help("say that it is meant with `--yes`"))
}

fn backwards(to: Timestamp, from: Timestamp) -> Problem {
    Problem::new("HNC-0312", format!("{to} lies behind the clock, which shows {from}"), Exit::Conflict)
        .help("a clock that somebody was enrolled under never goes back; use a new store")
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
