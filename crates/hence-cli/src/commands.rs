//! One file for each command, and which command is which.

pub(crate) mod audit;
pub(crate) mod check;
pub(crate) mod clock;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod db;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod enrol;
pub(crate) mod entity;
pub(crate) mod event;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod preview;
pub(crate) mod reference;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod task;
pub(crate) mod test;
pub(crate) mod upcoming;
pub(crate) mod why;

use crate::cli::{Cli, Command};
use crate::problem::{Exit, Problem};
use crate::session::Session;

/// Does what the command line says.
pub(crate) async fn run(cli: Cli) -> Result<Exit, Problem> {
    let session = Session::new(cli.global);
    match cli.command {
        Command::Init(args) => init::run(&args),
        Command::Check(args) => check::run(&session, &args),
        Command::Test(args) => test::run(&session, &args),
        Command::Preview(args) => preview::run(&session, &args).await,
        Command::Schema => Ok(schema::run()),
        Command::Demo(args) => {
            demo::run(&session, &args).await.map_err(|error| Problem::new("HNC-0322", format!("{error:#}"), Exit::Failed))
        }
        Command::Explain(args) => explain::run(&session, &args),
        Command::Enrol(args) => enrol::run(&session, &args).await,
        Command::Event(args) => event::run(&session, &args).await,
        Command::Upcoming(args) => upcoming::run(&session, &args).await,
        Command::History(args) => history::run(&session, &args).await,
        Command::Why(args) => why::run(&session, &args).await,
        Command::Entity(command) => entity::run(&session, &command).await,
        Command::Task(command) => task::run(&session, &command).await,
        Command::Audit(command) => audit::run(&session, &command).await,
        Command::Clock(command) => clock::run(&session, &command).await,
        Command::Serve => serve::run(&session).await,
        Command::Dev(args) => serve::dev(session, &args).await,
        Command::Doctor => doctor::run(&session).await,
        Command::Config(command) => config::run(&session, &command),
        Command::Db(command) => db::run(&session, &command).await,
        Command::Status => status::run(&session).await,
        Command::Completions(args) => Ok(completions::run(&args)),
        Command::Reference(args) => Ok(reference::run(&args)),
        Command::Man(args) => completions::man(&args),
    }
}
