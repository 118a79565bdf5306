//! The client's side of an SMTP conversation.
//!
//! Owns: connecting, TLS, login, handing one message over in steps. Leaves to others: composing (checked bytes come in),
//! deadlines (the caller drops the conversation), what an end means.
//!
//! Why not a library's: the caller has to know on which side of the final dot a conversation ended (RFC 1047), and
//! after `STARTTLS` no byte sent in the clear may count as an answer; the kept library shows neither.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::email::relay::{Encryption, Relay};

/// Longest line of an answer and most lines of one; RFC 5321 asks for 512 bytes.
const LINE_BYTES_MAX: u64 = 2048;
const LINES_MAX: usize = 100;
/// How much of an answer's text is kept.
const TEXT_CHARS_MAX: usize = 200;

/// Why a step did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server's answer was no success.
    Said { code: u16, text: String },
    /// No answer, or none that can be understood.
    Lost(String),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Lost(error.to_string())
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A conversation that is past its greeting.
pub(crate) struct Session {
    stream: BufReader<Box<dyn Stream>>,
    /// What the server offers, one line each, in upper case.
    offers: Vec<String>,
}

impl Session {
    /// Connects, encrypts and logs in, as the relay asks.
    pub(crate) async fn open(relay: &Relay) -> Result<Session, Failure> {
        let tcp = TcpStream::connect((relay.host.as_str(), relay.port)).await?;
        // One message is a few small writes that wait for an answer each.
        tcp.set_nodelay(true)?;
        let mut session = match relay.encryption {
            Encryption::Always => Session::over(encrypted(Box::new(tcp), relay).await?),
            Encryption::Starttls | Encryption::None => Session::over(Box::new(tcp)),
        };
        session.answer(220).await?;
        session.hello(relay).await?;
        if relay.encryption == Encryption::Starttls {
            session = session.upgraded(relay).await?;
            session.hello(relay).await?;
        }
        if let Some((user, password)) = &relay.login {
            session.login(user, password.reveal()).await?;
        }
        Ok(session)
    }

    /// Names sender and recipients, and asks to send the content. If one recipient is refused, all are.
    pub(crate) async fn address(&mut self, from: &str, to: &[String]) -> Result<(), Failure> {
        self.say(&format!("MAIL FROM:<{from}>")).await?;
        self.answer(250).await?;
        for to in to {
            self.say(&format!("RCPT TO:<{to}>")).await?;
            self.answer(250).await?;
        }
        self.say("DATA").await?;
        self.answer(354).await.map(drop)
    }

    /// Sends the content, without the dot that ends it. Lines end in CRLF, the last one too.
    pub(crate) async fn content(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(&stuffed(bytes)).await?;
        Ok(self.stream.flush().await?)
    }

    /// Sends the final dot; when this succeeds the server has the mail.
    pub(crate) async fn end(&mut self) -> Result<(), Failure> {
        self.say(".").await?;
        self.answer(250).await.map(drop)
    }

    /// Asks whether the server is still there and forgets any message under way.
    pub(crate) async fn reset(&mut self) -> Result<(), Failure> {
        self.say("RSET").await?;
        self.answer(250).await.map(drop)
    }

    fn over(stream: Box<dyn Stream>) -> Session {
        Session { stream: BufReader::new(stream), offers: Vec::new() }
    }

    async fn hello(&mut self, relay: &Relay) -> Result<(), Failure> {
        self.say(&format!("EHLO {}", relay.hello)).await?;
        let lines = self.answer(250).await?;
        self.offers = lines.iter().skip(1).map(|line| line.trim().to_ascii_uppercase()).collect();
        Ok(())
    }

    async fn upgraded(mut self, relay: &Relay) -> Result<Session, Failure> {
        if !self.offers.iter().any(|offer| offer == "STARTTLS") {
            return Err(Failure::Lost("the mail server does not offer STARTTLS; nothing is sent in the clear".into()));
        }
        self.say("STARTTLS").await?;
        self.answer(220).await?;
        if !self.stream.buffer().is_empty() {
            return Err(Failure::Lost("the mail server sent more in the clear after STARTTLS".into()));
        }
        Ok(Session::over(encrypted(self.stream.into_inner(), relay).await?))
    }

    async fn login(&mut self, user: &str, password: &str) -> Result<(), Failure> {
        let offered: Vec<&str> = self
            .offers
            .iter()
            .filter_map(|offer| offer.strip_prefix("AUTH ").or_else(|| offer.strip_prefix("AUTH=")))
            .flat_map(str::split_whitespace)
            .collect();
        if offered.contains(&"PLAIN") {
            self.say(&format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{user}\0{password}")))).await?;
        } else if offered.contains(&"LOGIN") {
            self.say("AUTH LOGIN").await?;
            self.answer(334).await?;
            self.say(&STANDARD.encode(user)).await?;
            self.answer(334).await?;
            self.say(&STANDARD.encode(password)).await?;
        } else {
            return Err(Failure::Lost("the mail server offers no login this client knows (PLAIN, LOGIN)".into()));
        }
        self.answer(235).await.map(drop)
    }

    async fn say(&mut self, line: &str) -> Result<(), Failure> {
        // Addresses and names were parsed; a control character here would be a second command.
        if line.chars().any(char::is_control) {
            return Err(Failure::Lost("a command would have had control characters in it".into()));
        }
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        Ok(self.stream.flush().await?)
    }

    /// Reads one answer; its lines, without the code, when it has the expected one.
    async fn answer(&mut self, expected: u16) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        for _ in 0..LINES_MAX {
            let mut line = Vec::new();
            let read = (&mut self.stream).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
            if read == 0 {
                return Err(Failure::Lost("the mail server closed the connection".into()));
            }
            if !line.ends_with(b"\n") {
                return Err(Failure::Lost("the mail server's answer has no end".into()));
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok()).filter(|code| (200..600).contains(code));
            let Some(code) = code else {
                return Err(Failure::Lost("the mail server's answer is not understood".into()));
            };
            let is_last = !line[3..].starts_with('-');
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if is_last {
                return if code == expected || (expected == 250 && code == 251) {
                    Ok(lines)
                } else {
                    Err(Failure::Said { code, text: shown(&lines.join(" ")) })
                };
            }
        }
        Err(Failure::Lost(format!("the mail server's answer has more than {LINES_MAX} lines")))
    }
}

async fn encrypted(stream: Box<dyn Stream>, relay: &Relay) -> Result<Box<dyn Stream>, Failure> {
    let name =
        ServerName::try_from(relay.host.clone()).map_err(|_| Failure::Lost("the mail server's name is no host name".into()))?;
    let connector = TlsConnector::from(relay.tls.clone());
    Ok(Box::new(connector.connect(name, stream).await?))
}

/// An answer's text with addresses taken out: servers like to repeat the recipient.
fn shown(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().map(|word| if word.contains('@') { "<address>" } else { word }).collect();
    words.join(" ").chars().take(TEXT_CHARS_MAX).collect()
}

/// Doubles each dot at the beginning of a line.
fn stuffed(bytes: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(bytes.len() + 16);
    let mut is_line_start = true;
    for &byte in bytes {
        if is_line_start && byte == b'.' {
            stuffed.push(b'.');
        }
        stuffed.push(byte);
        is_line_start = byte == b'\n';
    }
    stuffed
}

#[cfg(test)]
mod tests {
    //! Goal: dots are doubled where they end a mail, and only there. Method: texts in, bytes out.
    use super::*;

    #[test]
    fn dots_at_line_starts_are_doubled() {
        for (text, expected) in [("", ""), (".", ".."), (".\r\n", "..\r\n"), ("a.b\r\n..\r\n.c\r\n", "a.b\r\n...\r\n..c\r\n")] {
            assert_eq!(stuffed(text.as_bytes()), expected.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn answers_are_shown_without_addresses() {
        assert_eq!(shown("5.1.1 <ann@example.com>: unknown\tuser"), "5.1.1 <address> unknown user");
    }
}
