//! Mail: a task becomes a message made from a template, handed to a mail server over SMTP.
//!
//! Owns: the configuration ([`MailServer`]) and what the end of a conversation means for a task. Leaves to others:
//! templates, the message, the conversation (`email/`).
//!
//! Invariants: `Message-ID` is made of the task's id, the same in every attempt. Before the final dot nothing was
//! sent; after it only the server's answer tells, and without one the reply is [`Reply::Unknown`].

mod message;
mod relay;
mod smtp;
mod templates;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use serde_json::json;

use crate::email::message::{Composed, checked_subject, compose, one_mailbox, recipients};
use crate::email::relay::Relay;
use crate::email::smtp::{Failure, Session};
use crate::email::templates::Templates;
pub use crate::email::templates::Templates as MailTemplates;
use crate::port::{Attempt, Destination, Dispatcher, Problem, Reply};
use crate::secret::Secret;

/// Most connections kept open between mails.
const IDLE_MAX: usize = 4;
/// How long one that lay idle may take to say that it still lives: what stands in between may forget a silent connection without telling.
const RESET: Duration = Duration::from_secs(2);

/// A mail server and the templates of what it is handed, as the configuration describes them.
#[derive(Clone, Debug)]
pub struct MailServer {
    /// `smtps://host[:465]`, `smtp+starttls://host[:587]`, or `smtp://host[:25]` in the clear: to this machine only,
    /// unless `?tls=none` is added.
    pub url: String,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// The sender, such as `Example <hello@example.com>`.
    pub from: String,
    /// Folder of the templates.
    pub templates: PathBuf,
    /// Certificates (PEM) trusted beside the usual public ones.
    pub roots_pem: Option<String>,
}

/// The dispatcher of mails.
pub struct Mails {
    relay: Relay,
    from: Mailbox,
    templates: Templates,
    idle: Mutex<Vec<Session>>,
}

impl fmt::Debug for Mails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mails").field("relay", &self.relay).finish_non_exhaustive()
    }
}

impl Mails {
    /// Checks the configuration and reads all templates; blocks for as long as the files take to read.
    ///
    /// # Errors
    /// All that is wrong: address, sender, and each template that cannot be read, with its line.
    pub fn new(server: &MailServer) -> Result<Mails, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keep = |problem: Problem| problems.push(problem);
        let relay = Relay::parse(&server.url, server.login.clone(), server.roots_pem.as_deref()).map_err(&mut keep).ok();
        let from = one_mailbox(&server.from).map_err(&mut keep).ok();
        let templates = Templates::load(&server.templates).map_err(|found| problems.extend(found)).ok();
        match (relay, from, templates) {
            (Some(relay), Some(from), Some(templates)) => {
                let relay = relay.saying_hello_as(from.email.domain());
                Ok(Mails { relay, from, templates, idle: Mutex::default() })
            }
            _ => Err(problems),
        }
    }

    /// The names of the templates, in alphabetical order.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        self.templates.names()
    }

    /// Every name that the files of a mail use and no payload of this form has.
    pub fn unknown_names(&self, mail: &str, payload: &serde_json::Value) -> Vec<Problem> {
        self.templates.unknown_names(mail, payload)
    }

    fn compose(&self, attempt: &Attempt) -> Result<Composed, Problem> {
        self.accepts(&attempt.to)?;
        let Destination::Email { template, to, subject } = &attempt.to else {
            return Err(wrong_destination());
        };
        let rendered = self.templates.render(template, attempt)?;
        let subject = subject.clone().or(rendered.subject).unwrap_or_default();
        compose(attempt, &self.from, &recipients(to)?, &checked_subject(&subject)?, rendered.bodies)
    }

    /// Hands one message over. `dotted` is set right before the byte after which the server may keep the mail.
    async fn hand_over(&self, composed: &Composed, dotted: &AtomicBool) -> Result<(), (Stage, Failure)> {
        let opening = |failure| (Stage::Opening, failure);
        let mut session = self.session().await.map_err(opening)?;
        let addressing = |failure| (Stage::Addressing, failure);
        session.address(&composed.from, &composed.to).await.map_err(addressing)?;
        session.content(&composed.bytes).await.map_err(addressing)?;
        dotted.store(true, Ordering::Release);
        session.end().await.map_err(|failure| (Stage::Dotted, failure))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(session);
        }
        Ok(())
    }

    /// An idle connection that still answers, else a new one.
    async fn session(&self) -> Result<Session, Failure> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match kept {
                None => return Session::open(&self.relay).await,
                Some(mut session) => {
                    if let Ok(Ok(_)) = tokio::time::timeout(RESET, session.reset()).await {
                        return Ok(session);
                    }
                    // The others lay idle for at least as long.
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
                }
            }
        }
    }
}

/// How far a conversation had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Addressing,
    Dotted,
}

fn wrong_destination() -> Problem {
    Problem::new("wrong-destination", "this dispatcher carries mails only")
}

#[async_trait]
impl Dispatcher for Mails {
    fn carries(&self) -> &str {
        "email"
    }

    fn accepts(&self, to: &Destination) -> Result<(), Problem> {
        let Destination::Email { template, to, subject } = to else {
            return Err(wrong_destination());
        };
        let has_subject = self.templates.has_subject(template)?;
        recipients(to)?;
        match subject {
            Some(subject) => checked_subject(subject).map(|_| ()),
            None if has_subject => Ok(()),
            None => Err(Problem::new(
                "no-subject",
                format!("template `{template}` has no `Subject:` line, and the step gives no subject"),
            )),
        }
    }

    async fn deliver(&self, attempt: &Attempt) -> Reply {
        let composed = match self.compose(attempt) {
            Ok(composed) => composed,
            Err(problem) => return Reply::Refused { problem },
        };
        let dotted = Arc::new(AtomicBool::new(false));
        match tokio::time::timeout(attempt.timeout, self.hand_over(&composed, &dotted)).await {
            Ok(Ok(())) => Reply::Done { outcome: None, result: json!({ "message_id": composed.message_id }) },
            Ok(Err((stage, failure))) => meaning(stage, failure),
            Err(_) => {
                let problem = Problem::new("timed-out", format!("the mail server was not through within {:?}", attempt.timeout));
                if dotted.load(Ordering::Acquire) { Reply::Unknown { problem } } else { Reply::again(problem) }
            }
        }
    }
}

fn meaning(stage: Stage, failure: Failure) -> Reply {
    match (stage, failure) {
        (Stage::Addressing | Stage::Dotted, Failure::Said { code: code @ 500..=599, text }) => {
            Reply::Refused { problem: Problem::new("refused", format!("the mail server answered {code}: {text}")) }
        }
        (Stage::Dotted, Failure::Said { code: code @ 400..=499, text }) => {
            Reply::again(Problem::new("not-now", format!("the mail server answered {code}: {text}")))
        }
        (Stage::Dotted, Failure::Said { code, .. }) => Reply::Unknown {
            problem: Problem::new("bad-answer", format!("the mail server answered {code} after the mail was sent")),
        },
        (Stage::Dotted, Failure::Lost(cause)) => {
            Reply::Unknown { problem: Problem::new("no-answer", format!("mail sent, but not answered: {cause}")) }
        }
        (_, Failure::Said { code, text }) => {
            Reply::again(Problem::new("not-now", format!("the mail server answered {code}: {text}")))
        }
        (_, Failure::Lost(cause)) => Reply::again(Problem::new("not-connected", format!("cannot hand the mail over: {cause}"))),
    }
}
