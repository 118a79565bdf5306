//! One file for each command, and which command is which.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod schema;
pub(crate) mod test;

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
        Command::Schema => Ok(schema::run()),
        Command::Demo(args) => demo::run(args)
            .await
            .map(|()| Exit::Done)
            .map_err(|error| Problem::new("HNC-0322", format!("{error:#}"), Exit::Failed)),
        Command::Explain(args) => explain::run(&session, &args),
        Command::Completions(args) => Ok(completions::run(&args)),
        Command::Man(args) => completions::man(&args),
    }
}
