//! The tree of commands and the arguments that all of them have.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands;
use crate::problem::EXITS;

/// Write down what will happen to an entity, and when. Hence makes it happen, and can always say why.
#[derive(Debug, Parser)]
#[command(name = "hence", version, about, after_help = EXITS, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Arguments of every command.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// The configuration [default: the nearest hence.toml upward from here]
    #[arg(short, long, global = true, env = "HENCE_CONFIG", value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// The store, instead of the configured one, such as sqlite:hence.db or postgres://user@host/database
    #[arg(long, visible_alias = "database", global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) store: Option<String>,
    /// How an answer is written [default: table]
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", help_heading = "Global options")]
    pub(crate) output: Option<Format>,
    /// The same as --output json
    #[arg(long, global = true, conflicts_with = "output", help_heading = "Global options")]
    pub(crate) json: bool,
    /// Tables without their headings
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) no_header: bool,
    /// Only the answer and errors, nothing beside
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// When to use colours; NO_COLOR is followed too
    #[arg(long, global = true, value_enum, default_value_t, help_heading = "Global options")]
    pub(crate) color: Color,
    /// The zone in which local times are read and written [default: UTC]
    #[arg(long, global = true, env = "HENCE_TZ", value_name = "ZONE", help_heading = "Global options")]
    pub(crate) tz: Option<String>,
}

impl Global {
    /// Which configuration is meant, in words.
    pub(crate) fn place(&self) -> String {
        self.config.as_ref().map_or_else(
            || "the folders of `[timelines] paths`".to_owned(),
            |path| format!("`[timelines] paths` of {}", path.display()),
        )
    }
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For people, with more columns
    Wide,
    /// One JSON document
    Json,
    /// One JSON object on each line
    Jsonl,
    /// Only ids, one on each line
    Name,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Makes it hold for everything that is written from now on.
    pub(crate) fn apply(self) {
        let choice = match self {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Begin: a configuration, a first timeline with a test, and mail templates
    Init(commands::init::Args),
    /// Check definitions: every problem with its place
    Check(commands::check::Args),
    /// Run the tests of definitions on a virtual clock
    Test(commands::test::Args),
    /// Enrol an entity in a timeline, or a file of them
    Enrol(commands::enrol::Args),
    /// Tell that something happened to an entity
    Event(commands::event::Args),
    /// List what is ahead, or count it by hour or day
    Upcoming(commands::upcoming::Args),
    /// List what happened
    History(commands::history::Args),
    /// Say why something will happen, happened, or does not happen
    Why(commands::why::Args),
    /// Look at entities
    #[command(subcommand)]
    Entity(commands::entity::Command),
    /// Look at tasks, and decide about them
    #[command(subcommand)]
    Task(commands::task::Command),
    /// Compare who is enrolled with who should be, as `[audit]` says
    #[command(subcommand)]
    Audit(commands::audit::Command),
    /// Show, advance or replace the store's clock
    #[command(subcommand)]
    Clock(commands::clock::Command),
    /// Look at the configuration
    #[command(subcommand)]
    Config(commands::config::Command),
    /// Look at the schema of a store in PostgreSQL, and bring it up to date
    #[command(subcommand)]
    Db(commands::db::Command),
    /// Show how much there is
    Status,
    /// Look at everything that could keep it from working
    Doctor,
    /// Run the engine on the configured store
    Serve,
    /// Run the engine while developing: a store in .hence/, mails caught, changed timelines taken over
    Dev(commands::serve::DevArgs),
    /// Show what will happen, for a timeline or for a stored entity
    Preview(commands::preview::Args),
    /// Print the JSON Schema of definitions
    Schema,
    /// Play the trial end to end: a real application, real mails, a virtual clock
    Demo(commands::demo::DemoArgs),
    /// Explain an error code
    Explain(commands::explain::Args),
    /// Print a completion script for a shell
    Completions(commands::completions::Args),
    /// Print the man page, or write all of them into a folder
    Man(commands::completions::ManArgs),
    /// Print a generated page of docs/reference
    #[command(hide = true)]
    Reference(commands::reference::Args),
}
