//! `hence db`: the schema of a store in PostgreSQL, looked at and brought up to date by hand, so that nobody else's start changes it.

use hence::store::OpenMode;
use hence::store::postgres::{PostgresOptions, PostgresStore, SchemaFound};
use serde_json::json;

use crate::output::{self, Answer};
use crate::problem::{Exit, Problem};
use crate::session::Session;
use crate::store::Place;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show which schema the store has, and which this program needs
    Status,
    /// Bring the schema up to date, or make a new store
    Migrate {
        /// Print the SQL instead, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

pub(crate) async fn run(session: &Session, command: &Command) -> Result<Exit, Problem> {
    let place = &session.config()?.store;
    let Place::Database(url) = place else {
        return Err(Problem::usage("HNC-0320", format!("the store {place} is a SQLite file"))
            .help("its schema is brought up to date whenever it is opened; `hence db` is for `postgres://…`"));
    };
    let store = PostgresStore::new(url, PostgresOptions::new(OpenMode::Create))?;
    let before = store.schema().await?;
    match command {
        Command::Status => Ok(status(session, place, before)),
        Command::Migrate { dry_run: true } => {
            let wanted = before.found.unwrap_or_default() + 1..=before.known;
            wanted.filter_map(PostgresStore::migration).for_each(output::line);
            Ok(Exit::Done)
        }
        Command::Migrate { dry_run: false } => {
            let applied = store.migrate().await?;
            let after = store.schema().await?;
            output::note(&match applied.len() {
                0 => "nothing was to be done".to_owned(),
                count => format!("{count} migrations were applied"),
            });
            Ok(status(session, place, after))
        }
    }
}

fn status(session: &Session, place: &Place, SchemaFound { found, known }: SchemaFound) -> Exit {
    let is_current = found == Some(known);
    let document = || json!({ "store": place.to_string(), "schema": found, "needed": known, "is_current": is_current });
    if !session.give(|| Answer::one(document(), "store")) {
        output::line(&match found {
            None => format!("{place}: no store; make it with `hence db migrate`"),
            Some(found) if is_current => format!("{place}: schema {found}, up to date"),
            Some(found) => format!("{place}: schema {found}, and {known} is needed; run `hence db migrate`"),
        });
    }
    if is_current { Exit::Done } else { Exit::Failed }
}
