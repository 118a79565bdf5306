//! `hence serve` and `hence dev`: the engine on the configured store.
//!
//! Both check every definition of the configured folders first, publish them and refuse to start while one has problems. `dev` uses a
//! store of its own in `.hence/`, catches mails where no server is configured, and takes changed definitions over while it runs.
//! Ctrl-C drains: nothing new is started, what runs ends and is written; a second one quits at once.

pub(crate) mod transports;
mod watch;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use hence::store::OpenMode;
use hence::{Client, Engine, Summary};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::clock::may_become_virtual;
use crate::definitions;
use crate::input::Now;
use crate::output::{self, rough};
use crate::problem::{Exit, Problem};
use crate::session::Session;
use crate::store::Place;

/// How often a line says how it goes.
const REPORT: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct DevArgs {
    /// The folder of the project [default: the current one]
    folder: Option<PathBuf>,
    /// Which clock the store follows; a virtual one stands still until `hence clock advance`
    #[arg(long, value_enum)]
    clock: Option<ClockKind>,
    /// Where a clock that becomes virtual stands at first [default: now]
    #[arg(long, value_name = "INSTANT", requires = "clock")]
    start: Option<String>,
}

/// Which clock a store follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ClockKind {
    /// The machine's
    Real,
    /// One that stands still until it is advanced
    Virtual,
}

/// `hence serve`.
pub(crate) async fn run(session: &Session) -> Result<Exit, Problem> {
    write_log();
    session.use_configured_store()?;
    // A file is made when there is none; the schema of a database that many use is changed by `hence db migrate` alone.
    let mode = match session.config()?.store {
        Place::File(_) => OpenMode::Create,
        Place::Database(_) => OpenMode::Existing,
    };
    let client = begin(session, mode).await?;
    let transports = transports::configured(session, transports::MailsGo::AsConfigured)?;
    serve(session, client, transports, Vec::new()).await
}

/// `hence dev`.
pub(crate) async fn dev(session: Session, args: &DevArgs) -> Result<Exit, Problem> {
    let session = match &args.folder {
        None => session,
        Some(folder) => {
            std::env::set_current_dir(folder).map_err(|error| Problem::file("enter", folder, &error))?;
            session
        }
    };
    write_log();
    session.use_development_store()?;
    let client = begin(&session, OpenMode::Create).await?;
    let start = match &args.start {
        Some(text) => Some(Now { at: client.now().await?, zone: session.zone()? }.instant(text)?),
        None => None,
    };
    set_clock(&client, args.clock, start).await?;
    let catcher = match session.config()?.mail {
        Some(_) => None,
        None => Some(transports::Catcher::start(&session).await?),
    };
    let mails = catcher.as_ref().map_or(transports::MailsGo::AsConfigured, transports::MailsGo::To);
    let transports = transports::configured(&session, mails)?;
    let watched = session.definition_paths(&[])?;
    serve(&session, client, transports, watched).await
}

/// Lets the log, and the lines of `log` steps, go to standard error; `HENCE_LOG` chooses what, such as `info,hence=debug`.
fn write_log() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("HENCE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // A file that stderr goes to gets no colours, whatever stdout is.
    let has_colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(has_colours);
    // A second one in the same process would be refused; the first then goes on.
    let _ = log.try_init();
}

async fn set_clock(client: &Client, wanted: Option<ClockKind>, start: Option<Timestamp>) -> Result<(), Problem> {
    let reading = client.clock().read().await?;
    match (wanted, reading.target) {
        (Some(ClockKind::Virtual), None) => {
            may_become_virtual(client, start, false).await?;
            client.clock().make_virtual(start.unwrap_or(reading.now)).await?;
            output::note("the clock is virtual and stands still; from another terminal: `hence clock advance '1 day'`");
        }
        (Some(ClockKind::Real), Some(_)) => {
            return Err(Problem::new("HNC-0334", "this store follows a virtual clock already", Exit::Conflict)
                .help("what is ahead was planned on it; begin a new store to use the machine's clock"));
        }
        (_, Some(_)) => {
            output::note(&format!("the clock is virtual and shows {}; advance it with `hence clock advance`", reading.now))
        }
        (_, None) => {}
    }
    Ok(())
}

/// Checks and publishes the definitions.
async fn begin(session: &Session, mode: OpenMode) -> Result<Client, Problem> {
    let paths = session.definition_paths(&[])?;
    let files = definitions::usable(&paths)?;
    let client = session.client_in(mode).await?;
    for definition in definitions::publish(&client, &files).await? {
        output::note(&format!("timeline `{}` ({})", definition.name, definition.hash.short()));
    }
    Ok(client)
}

async fn serve(
    session: &Session,
    client: Client,
    transports: transports::Transports,
    watched: Vec<PathBuf>,
) -> Result<Exit, Problem> {
    for warning in transports.warnings(&client.library()) {
        output::note(&format!("warning: {warning}"));
    }
    let stop = CancellationToken::new();
    let engine = Engine::new(client.clone(), transports.dispatchers, session.config()?.engine.clone());
    let mut beside = JoinSet::new();
    beside.spawn(interrupts(stop.clone()));
    // Whoever reads this may ask it to stop at once.
    output::note(&format!("serving {}; Ctrl-C stops", session.config()?.store));
    beside.spawn(reports(client.clone(), stop.clone()));
    if !watched.is_empty() {
        beside.spawn(watch::run(client, watched, stop.clone()));
    }
    let ended = engine.run(stop.clone()).await;
    stop.cancel();
    beside.shutdown().await;
    let Summary { started, written, taken_over, .. } = ended?;
    output::note(&format!("stopped: {started} attempts started, {written} written, {taken_over} taken over"));
    Ok(Exit::Done)
}

/// Stops the engine at the first Ctrl-C (or SIGTERM) and the process at the second; both are heard from this call on.
pub(super) fn interrupts(stop: CancellationToken) -> impl Future<Output = ()> + Send {
    let signals = Signals::listen();
    async move {
        let mut signals = match signals {
            Ok(signals) => signals,
            Err(error) => return output::note(&format!("warning: cannot listen to Ctrl-C: {error}")),
        };
        signals.next().await;
        output::note("stopping: what runs ends and is written; once more quits at once");
        stop.cancel();
        signals.next().await;
        std::process::exit(Exit::Interrupted.number().into());
    }
}

/// What asks the process to stop.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// What asks the process to stop.
#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        let _ = self.0.recv().await;
    }
}

/// When the next start is, in words.
fn next_in(span: SignedDuration) -> String {
    let words = rough(span);
    if span.is_negative() || words.is_empty() { "next now".to_owned() } else { format!("next in {words}") }
}

/// One line each minute.
async fn reports(client: Client, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(REPORT) => {}
            () = stop.cancelled() => return,
        }
        match client.store().totals().await {
            Ok(totals) => {
                let now = client.clock().last_shown();
                let counts = |word: &str, count: u64| format!("{count} {word}");
                let mut words: Vec<String> = totals.live.iter().map(|(state, count)| counts(state.as_str(), *count)).collect();
                words.extend(totals.finished.iter().map(|(outcome, count)| counts(outcome, *count)));
                let next = totals.next_wake_at.map(|at| format!("; {}", next_in(at.duration_since(now)))).unwrap_or_default();
                output::note(&format!("{now} {}{next}", words.join(", ")));
            }
            Err(error) => output::note(&format!("cannot read the store: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the line each minute always says when the next start is. Method: spans, late ones among them.
    use super::*;

    #[test]
    fn next_start_is_said_in_words() {
        let check = |seconds: i64, expected: &str| assert_eq!(next_in(SignedDuration::from_secs(seconds)), expected);
        check(90, "next in 1 minute");
        check(0, "next now");
        check(-7_200, "next now");
    }
}
