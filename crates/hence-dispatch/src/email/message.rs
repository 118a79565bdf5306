//! Making a message that can be handed to any mail server.
//!
//! Owns: parsing recipients and subjects from untrusted values, composing the message, and the last check of its
//! bytes. Leaves to others: rendering, sending.
//!
//! Invariants (S5): no value from outside can add a header or end the message early: CR, LF, NUL and encoded words are
//! refused in header fields, bodies are quoted-printable, and the bytes are checked once more before they leave.

use std::time::SystemTime;

use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, MultiPart, SinglePart};

use crate::email::templates::Bodies;
use crate::port::{Attempt, Problem};

/// Most recipients of one mail.
const RECIPIENTS_MAX: usize = 50;
/// Longest subject, in bytes; also the longest line of a mail.
const LINE_BYTES_MAX: usize = 998;
/// Longest list of recipients, in bytes: each as long as an address may be, with a name.
const TO_BYTES_MAX: usize = RECIPIENTS_MAX * 400;

/// A message ready to be handed over.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) message_id: String,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Only CRLF line ends, ASCII, the last line ended.
    pub(crate) bytes: Vec<u8>,
}

/// One or more addresses, separated by commas. The value itself is never repeated in a problem.
pub(crate) fn recipients(to: &str) -> Result<Vec<Mailbox>, Problem> {
    let problem = |what: &str| Problem::new("bad-recipient", format!("the recipient {what}"));
    if to.trim().is_empty() {
        return Err(problem("is empty"));
    }
    if to.len() > TO_BYTES_MAX {
        return Err(problem("is too long"));
    }
    if to.chars().any(char::is_control) {
        return Err(problem("has control characters in it"));
    }
    if has_encoded_word(to) {
        return Err(problem("has an encoded word (`=?…?=`) in it"));
    }
    let parsed: Mailboxes = to.parse().map_err(|_| problem("is not a list of mail addresses"))?;
    let mailboxes: Vec<Mailbox> = parsed.into_iter().collect();
    if mailboxes.is_empty() {
        return Err(problem("is empty"));
    }
    if mailboxes.len() > RECIPIENTS_MAX {
        return Err(problem(&format!("has more than {RECIPIENTS_MAX} addresses")));
    }
    for mailbox in &mailboxes {
        let address = mailbox.email.to_string();
        if !address.bytes().all(|b| b.is_ascii_graphic()) || address.contains(['<', '>']) || address.len() > 320 {
            return Err(problem("has an address outside plain ASCII; write its domain in punycode"));
        }
    }
    Ok(mailboxes)
}

/// Exactly one address, such as the sender.
pub(crate) fn one_mailbox(text: &str) -> Result<Mailbox, Problem> {
    let mut found = recipients(text)
        .map_err(|problem| Problem::new("bad-sender", problem.message().replacen("the recipient", "the sender", 1)))?;
    match (found.pop(), found.is_empty()) {
        (Some(mailbox), true) => Ok(mailbox),
        _ => Err(Problem::new("bad-sender", "the sender has to be one address")),
    }
}

/// A subject that fits one header field.
pub(crate) fn checked_subject(subject: &str) -> Result<String, Problem> {
    let problem = |what: &str| Problem::new("bad-subject", format!("the subject {what}"));
    let subject = subject.trim_matches(' ');
    if subject.is_empty() {
        return Err(problem("is empty"));
    }
    if subject.len() > LINE_BYTES_MAX {
        return Err(problem(&format!("is longer than {LINE_BYTES_MAX} bytes")));
    }
    if subject.chars().any(char::is_control) {
        return Err(problem("has control characters or line ends in it"));
    }
    if has_encoded_word(subject) {
        return Err(problem("has an encoded word (`=?…?=`) in it"));
    }
    Ok(subject.to_owned())
}

/// A mail program would decode it, so that a reader sees another text than the one that was checked.
fn has_encoded_word(text: &str) -> bool {
    text.split_once("=?").is_some_and(|(_, rest)| rest.contains("?="))
}

/// Composes the message of an attempt.
pub(crate) fn compose(
    attempt: &Attempt,
    from: &Mailbox,
    to: &[Mailbox],
    subject: &str,
    bodies: Bodies,
) -> Result<Composed, Problem> {
    let problem = |what: String| Problem::new("bad-message", what);
    let message_id = message_id(&attempt.task, from.email.domain());
    let date = SystemTime::try_from(attempt.sent_at).map_err(|_| problem("the time is out of range".into()))?;
    let mut builder = Message::builder()
        .from(from.clone())
        .subject(subject)
        .date(date)
        .message_id(Some(message_id.clone()))
        // Tells mail programs not to answer with "I am on holiday".
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()));
    for mailbox in to {
        builder = builder.to(mailbox.clone());
    }
    let message = match bodies {
        Bodies { text: Some(text), html: Some(html) } => builder.multipart(
            MultiPart::alternative()
                .singlepart(part(ContentType::TEXT_PLAIN, &text))
                .singlepart(part(ContentType::TEXT_HTML, &html)),
        ),
        Bodies { text: Some(text), html: None } => builder.singlepart(part(ContentType::TEXT_PLAIN, &text)),
        Bodies { text: None, html: Some(html) } => builder.singlepart(part(ContentType::TEXT_HTML, &html)),
        Bodies { text: None, html: None } => return Err(problem("the template has no body".into())),
    };
    let message = message.map_err(|error| problem(format!("the mail cannot be made: {error}")))?;
    let mut bytes = message.formatted();
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    check_bytes(&bytes)?;
    Ok(Composed {
        message_id,
        from: from.email.to_string(),
        to: to.iter().map(|mailbox| mailbox.email.to_string()).collect(),
        bytes,
    })
}

fn part(kind: ContentType, body: &str) -> SinglePart {
    // Quoted-printable can carry any text, so making the part cannot fail.
    SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(with_plain_lines(body))
}

/// Line ends as `\n`, other control characters but the tab gone.
fn with_plain_lines(body: &str) -> String {
    body.replace("\r\n", "\n").replace('\r', "\n").chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// `<task@domain>`; characters that a message id cannot have are written in hex.
fn message_id(task: &str, domain: &str) -> String {
    use std::fmt::Write as _;
    let mut id = String::from("<");
    for byte in task.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            id.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(id, "={byte:02x}");
        }
    }
    format!("{id}@{domain}>")
}

/// The last look at what leaves: only CRLF ends a line, all is ASCII, no line is too long.
fn check_bytes(bytes: &[u8]) -> Result<(), Problem> {
    let problem = |what: &str| Err(Problem::new("bad-message", format!("the mail has {what}; it was not sent")));
    let mut line = 0;
    let mut before = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if before != b'\r' => return problem("a bare line feed"),
            b'\r' if bytes.get(at + 1) != Some(&b'\n') => return problem("a bare carriage return"),
            b'\r' | b'\n' => line = 0,
            0 => return problem("a NUL"),
            128.. => return problem("bytes outside ASCII"),
            _ => line += 1,
        }
        if line > LINE_BYTES_MAX {
            return problem("a line longer than 998 bytes");
        }
        before = byte;
    }
    Ok(())
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
