//! What a command says when it cannot do what was asked: code, sentence, help and exit code.
//!
//! Invariant: a problem is shown once, on stderr, as `error[CODE]: sentence`, then what to do now, then where to read more.

use std::process::ExitCode;

use hence::ErrorKind;
use hence::core::diagnostic::Problems;
use hence::store::ErrorKind as StoreErrorKind;

use crate::output;

/// How the process ends; the numbers are a promise, listed in `hence --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Something failed.
    Failed,
    /// The command line or the input does not fit.
    Usage,
    /// Definitions are invalid, or their tests are red.
    Definitions,
    /// Some of it was done, the rest could not be.
    Partly,
    /// There is no such thing.
    NotFound,
    /// Something else came first, or the state does not allow it.
    Conflict,
    /// The store cannot be reached.
    Unreachable,
    /// `--wait` ran out before it was done.
    Pending,
    /// Ctrl-C came before the end.
    Interrupted,
}

/// The list for `--help`.
pub(crate) const EXITS: &str = "\
Exit codes:
  0   done
  1   failed
  2   the command line, the configuration or the input does not fit
  3   definitions are invalid, or their tests are red
  4   done in part: `enrol --partial` left bad rows out
  5   not found
  6   conflict: the state does not allow it, or another was first
  7   the store cannot be reached
  8   still pending: --wait ran out
  130 interrupted

Every error has a code; `hence explain CODE` says what to do.";

impl Exit {
    pub(crate) fn number(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Definitions => 3,
            Exit::Partly => 4,
            Exit::NotFound => 5,
            Exit::Conflict => 6,
            Exit::Unreachable => 7,
            Exit::Pending => 8,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.number())
    }
}

/// Why a command ended without doing what was asked.
#[derive(Debug)]
pub(crate) struct Problem {
    code: &'static str,
    message: String,
    help: String,
    pub(crate) exit: Exit,
}

impl Problem {
    /// Bad usage: what was given does not fit.
    pub(crate) fn usage(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, message, Exit::Usage)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new("HNC-0324", message, Exit::NotFound)
    }

    /// A file could not be read or written.
    pub(crate) fn file(action: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new("HNC-0323", format!("cannot {action} {}: {error}", path.display()), Exit::Failed)
    }

    pub(crate) fn new(code: &'static str, message: impl Into<String>, exit: Exit) -> Self {
        Self { code, message: message.into(), help: String::new(), exit }
    }

    /// Says what to do now.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// Writes it to stderr as one JSON object on a line, for programs.
    pub(crate) fn show_as_json(&self) {
        let help = Some(&self.help).filter(|help| !help.is_empty());
        let (code, message, exit) = (self.code, &self.message, self.exit.number());
        let error = serde_json::json!({ "error": { "code": code, "message": message, "help": help, "exit": exit } });
        output::complain_as_it_is(&error.to_string());
    }

    /// Writes it to stderr.
    pub(crate) fn show(&self) {
        let (red, bold, cyan) = (output::RED, output::BOLD, output::CYAN);
        let code = self.code;
        output::complain(&format!("{red}error[{code}]{red:#}{bold}: {}{bold:#}", self.message));
        if !self.help.is_empty() {
            output::complain(&format!("  {cyan}help{cyan:#}: {}", self.help));
        }
        output::complain(&format!("  {cyan}more{cyan:#}: hence explain {code}"));
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "; {}", self.help) }
    }
}

impl From<hence::Error> for Problem {
    fn from(error: hence::Error) -> Self {
        match error {
            ErrorKind::Store(error) => error.into(),
            ErrorKind::Definition(problems) => Self::new("HNC-0325", Problems(problems).to_string(), Exit::Definitions)
                .help("run `hence check` to see each problem with its place"),
            ErrorKind::Refused { code: code @ "HNC-0326", problem } => {
                Self::new(code, problem, Exit::Usage).help("mend `[engine]`; without these keys safe spans hold")
            }
            ErrorKind::Refused { code: code @ "HNC-0314", problem } => Self::usage(code, problem),
            ErrorKind::Refused { code, problem } => Self::new(code, problem, Exit::Conflict),
            ErrorKind::NotFound(what) => Self::not_found(format!("{what} is not known"))
                .help("list what is known with `hence upcoming` and `hence history`"),
            ErrorKind::Contended(_) => Self::new("HNC-0310", error.to_string(), Exit::Conflict).help("try again in a moment"),
            error => Self::new("HNC-0322", error.to_string(), Exit::Failed),
        }
    }
}

impl From<hence::store::Error> for Problem {
    fn from(error: hence::store::Error) -> Self {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        match error.kind() {
            StoreErrorKind::Missing => Self::new("HNC-0327", message, Exit::Unreachable)
                .help("`hence dev`, `hence serve` and `hence enrol` make it; or say where it is with `--store sqlite:PATH`"),
            StoreErrorKind::NewerSchema { .. } => {
                Self::new("HNC-0327", message, Exit::Unreachable).help("use the newer `hence` that wrote it")
            }
            StoreErrorKind::ReadOnly => Self::new("HNC-0327", message, Exit::Unreachable).help(
                "what is stored can be listed and explained; to change it, use an account that may write the file and its folder",
            ),
            StoreErrorKind::Invalid => Self::new("HNC-0328", message, Exit::Usage),
            StoreErrorKind::Busy => Self::new("HNC-0327", message, Exit::Unreachable).help("try again in a moment"),
            _ => Self::new("HNC-0327", message, Exit::Unreachable).help("run `hence doctor`"),
        }
    }
}
