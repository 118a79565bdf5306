//! Handing mails to a mail server.
//!
//! Owns their texts and the conversation. A mail has the same `Message-ID` however often it is sent.

use std::time::Duration;

use anyhow::Context;
use lettre::Message;
use lettre::message::Mailbox;
use lettre::transport::smtp::client::SmtpConnection;
use lettre::transport::smtp::extension::ClientId;

use crate::memory::Mail;

/// How long the server may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A mail server; one connection serves many mails.
pub struct Post {
    host: String,
    port: u16,
    from: Mailbox,
    connection: Option<SmtpConnection>,
}

/// Why a mail was not sent.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// The server was not reached, or did not take it.
    Certainly(anyhow::Error),
    /// The connection broke, perhaps behind the last byte.
    Perhaps(anyhow::Error),
}

impl Post {
    /// A server such as `smtp://127.0.0.1:25`, without encryption: the jobs run beside it.
    ///
    /// # Errors
    /// The address of the server or of the sender cannot be read.
    pub fn new(server: &str, from: &str) -> anyhow::Result<Post> {
        let address = server.strip_prefix("smtp://").context("the mail server must begin with smtp://")?.trim_end_matches('/');
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "25"));
        let port: u16 = port.parse().with_context(|| format!("`{port}` is no port"))?;
        let from = from.parse().with_context(|| format!("`{from}` is no sender"))?;
        Ok(Post { host: host.to_owned(), port, from, connection: None })
    }

    pub(crate) fn send(&mut self, mail: Mail, account: i64, to: &str) -> Result<(), NotSent> {
        let message = self.message(mail, account, to).map_err(NotSent::Certainly)?;
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().map_err(NotSent::Certainly)?,
        };
        match connection.send(message.envelope(), &message.formatted()) {
            Ok(_) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) => {
                let is_answer = error.is_permanent() || error.is_transient();
                let error = anyhow::Error::new(error).context(format!("the mail to account {account} was not sent"));
                Err(if is_answer { NotSent::Certainly(error) } else { NotSent::Perhaps(error) })
            }
        }
    }

    fn connect(&self) -> anyhow::Result<SmtpConnection> {
        let server = (self.host.as_str(), self.port);
        let connection = SmtpConnection::connect(server, Some(SILENCE_MAX), &ClientId::default(), None, None);
        connection.with_context(|| format!("the mail server {}:{} cannot be reached", self.host, self.port))
    }

    fn message(&self, mail: Mail, account: i64, to: &str) -> anyhow::Result<Message> {
        let to: Mailbox = to.parse().with_context(|| format!("account {account} has no usable address"))?;
        let id = format!("<{}.{account}@{}>", mail.kind(), self.from.email.domain());
        let (subject, text) = words(mail, account);
        Ok(Message::builder().from(self.from.clone()).to(to).subject(subject).message_id(Some(id)).body(text)?)
    }
}

fn words(mail: Mail, account: i64) -> (&'static str, String) {
    match mail {
        Mail::TrialEnding => (
            "Your chat trial ends in five days",
            format!(
                "Hello,\n\nthe trial of your chat widget (account {account}) ends in about five days. Set payment up before then.\n"
            ),
        ),
        Mail::TrialOver => (
            "Your chat trial is over",
            format!("Hello,\n\nthe trial of your chat widget (account {account}) is over, and the chat is switched off.\n"),
        ),
        Mail::StillUsed => (
            "Your site still loads our chat",
            format!(
                "Hello,\n\nthe chat of account {account} was switched off two days ago, but your site still loads its script.\n"
            ),
        ),
    }
}
