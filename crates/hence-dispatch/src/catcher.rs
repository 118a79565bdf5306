//! A mail catcher: a small real SMTP server on loopback that keeps what it is sent and delivers nothing.
//!
//! Owns: listening on a free port, the server's side of the conversation, keeping mails in memory and, if asked, in a
//! folder. For demos, development and tests. Leaves to others: showing mails.
//!
//! Invariants: loopback only; lines, mails, recipients, connections and the number of mails kept are limited; a mail is
//! listed before its final dot is answered, so whoever saw the answer finds the mail; a file is there wholly or not at all.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mailparse::{MailHeaderMap, ParsedMail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Longest line of a conversation, in bytes.
const LINE_BYTES_MAX: usize = 4096;
/// Longest mail, in bytes.
const MAIL_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most recipients of one mail.
const RECIPIENTS_MAX: usize = 100;
/// Most conversations at a time; others wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// Most mails kept in memory; older ones are forgotten.
const MAILS_MAX: usize = 10_000;
/// How long a client may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A mail that was caught.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaughtMail {
    /// Counted from 1, across all that the folder keeps.
    pub number: u64,
    /// Sender of the envelope.
    pub from: String,
    /// Recipients of the envelope.
    pub to: Vec<String>,
    /// Subject, decoded.
    pub subject: String,
    /// `Message-ID`, with its angle brackets.
    pub message_id: String,
    /// `Date`, as it was sent.
    pub date: String,
    /// The text form, decoded; empty when there is none.
    pub text: String,
    /// The HTML form, decoded; empty when there is none.
    pub html: String,
}

/// A running mail catcher; dropping it stops it at once.
#[derive(Debug)]
pub struct MailCatcher {
    address: SocketAddr,
    kept: Arc<Kept>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// What was caught.
#[derive(Debug)]
struct Kept {
    mails: Mutex<VecDeque<CaughtMail>>,
    count: watch::Sender<u64>,
    folder: Option<PathBuf>,
}

impl MailCatcher {
    /// Starts on a free port of this machine; with a folder, each mail is also written there as `000001.eml`.
    ///
    /// Mails that an earlier catcher left in the folder count as caught, and the numbers go on behind them. Their envelopes are gone;
    /// sender and recipients are those of their heads.
    ///
    /// # Errors
    /// The folder cannot be made or read, or no port is to be had.
    pub async fn start(folder: Option<PathBuf>) -> io::Result<MailCatcher> {
        let earlier = match &folder {
            Some(folder) => {
                tokio::fs::create_dir_all(folder).await?;
                left_over(folder).await?
            }
            None => VecDeque::new(),
        };
        let count = earlier.back().map_or(0, |mail| mail.number);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let kept = Arc::new(Kept { mails: Mutex::new(earlier), count: watch::Sender::new(count), folder });
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, Arc::clone(&kept), stopped));
        Ok(MailCatcher { address, kept, stop, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as a mail server's URL.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The mails caught so far, oldest first; the last 10,000 at most.
    pub fn mails(&self) -> Vec<CaughtMail> {
        self.kept.lock().iter().cloned().collect()
    }

    /// How many mails were caught, those that the folder had already included.
    pub fn count(&self) -> u64 {
        *self.kept.count.borrow()
    }

    /// Waits until at least this many mails were caught; the caller sets the deadline.
    pub async fn caught(&self, count: u64) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.kept.count.subscribe().wait_for(|caught| *caught >= count).await;
    }

    /// Stops: no new conversations, those under way end with their next line. Gives back what was caught.
    pub async fn stop(mut self) -> Vec<CaughtMail> {
        self.stop.send_replace(true);
        // It ends by itself; a panic inside has been reported already and changes nothing of what was caught.
        let _ = (&mut self.serving).await;
        self.mails()
    }
}

impl Drop for MailCatcher {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Kept {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<CaughtMail>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn keep(&self, envelope: Envelope, bytes: &[u8]) -> io::Result<()> {
        let mut mail = read(bytes);
        mail.from = envelope.from.unwrap_or_default();
        mail.to = envelope.to;
        let number = {
            let mut mails = self.lock();
            mail.number = *self.count.borrow() + 1;
            let number = mail.number;
            mails.push_back(mail);
            if mails.len() > MAILS_MAX {
                mails.pop_front();
            }
            self.count.send_replace(number);
            number
        };
        match &self.folder {
            Some(folder) => write(folder, number, bytes).await,
            None => Ok(()),
        }
    }
}

async fn write(folder: &Path, number: u64, bytes: &[u8]) -> io::Result<()> {
    // Written beside and moved into place, so that who dies in between leaves no half mail.
    let beside = folder.join(format!("{number:06}.part"));
    tokio::fs::write(&beside, bytes).await?;
    tokio::fs::rename(beside, folder.join(format!("{number:06}.eml"))).await
}

/// The mails that the folder has, oldest first; the last ones where there are too many.
async fn left_over(folder: &Path) -> io::Result<VecDeque<CaughtMail>> {
    let mut files: Vec<(u64, PathBuf)> = Vec::new();
    let mut entries = tokio::fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        let path = entry.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|ending| ending == "eml")) {
            files.push((number, path));
        }
    }
    files.sort_unstable();
    let mut mails = VecDeque::new();
    for (number, path) in files.split_off(files.len().saturating_sub(MAILS_MAX)) {
        mails.push_back(CaughtMail { number, ..read_whole(&tokio::fs::read(path).await?) });
    }
    Ok(mails)
}

/// A mail without its envelope: sender and recipients as its head names them.
fn read_whole(bytes: &[u8]) -> CaughtMail {
    let head = |name: &str| {
        let parsed = mailparse::parse_headers(bytes).ok();
        let value = parsed.and_then(|(headers, _)| headers.get_first_header(name).map(mailparse::addrparse_header));
        let addresses = value.and_then(Result::ok).map(mailparse::MailAddrList::into_inner).unwrap_or_default();
        addresses.into_iter().flat_map(each).collect::<Vec<_>>()
    };
    CaughtMail { from: head("From").pop().unwrap_or_default(), to: head("To"), ..read(bytes) }
}

fn each(address: mailparse::MailAddr) -> Vec<String> {
    match address {
        mailparse::MailAddr::Single(single) => vec![single.addr],
        mailparse::MailAddr::Group(group) => group.addrs.into_iter().map(|single| single.addr).collect(),
    }
}

/// What a person wants to see of a mail; whatever cannot be read stays empty.
fn read(bytes: &[u8]) -> CaughtMail {
    let Ok(parsed) = mailparse::parse_mail(bytes) else {
        return CaughtMail::default();
    };
    let header = |name: &str| parsed.headers.get_first_value(name).unwrap_or_default();
    let body = |kind: &str| {
        let is_wanted = |part: &&ParsedMail<'_>| part.subparts.is_empty() && part.ctype.mimetype == kind;
        let found = parsed.parts().find(is_wanted).and_then(|part| part.get_body().ok());
        found.unwrap_or_default().replace("\r\n", "\n")
    };
    CaughtMail {
        subject: header("Subject"),
        message_id: header("Message-ID"),
        date: header("Date"),
        text: body("text/plain"),
        html: body("text/html"),
        ..CaughtMail::default()
    }
}

async fn serve(listener: TcpListener, kept: Arc<Kept>, mut stopped: watch::Receiver<bool>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut conversations = JoinSet::new();
    loop {
        // The semaphore is never closed, so this always gives a seat.
        let seat = tokio::select! {
            seat = Arc::clone(&seats).acquire_owned() => seat,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        while conversations.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else { continue };
        let conversation = Conversation::new(stream, Arc::clone(&kept));
        let mut stopped = stopped.clone();
        conversations.spawn(async move {
            tokio::select! {
                // A client that breaks off has said all it wanted to say.
                _ = conversation.run() => (),
                _ = stopped.wait_for(|stop| *stop) => (),
            }
            drop(seat);
        });
    }
    while conversations.join_next().await.is_some() {}
}

#[derive(Debug, Default)]
struct Envelope {
    from: Option<String>,
    to: Vec<String>,
}

struct Conversation {
    input: BufReader<OwnedReadHalf>,
    output: OwnedWriteHalf,
    kept: Arc<Kept>,
    envelope: Envelope,
}

/// What one line from a client was.
enum Line {
    Text(Vec<u8>),
    TooLong,
    End,
}

impl Conversation {
    fn new(stream: TcpStream, kept: Arc<Kept>) -> Conversation {
        let (input, output) = stream.into_split();
        Conversation { input: BufReader::new(input), output, kept, envelope: Envelope::default() }
    }

    async fn run(mut self) -> io::Result<()> {
        self.say("220 localhost mail catcher ready").await?;
        loop {
            let line = match self.line().await? {
                Line::Text(line) => String::from_utf8_lossy(&line).into_owned(),
                Line::TooLong => {
                    self.say("500 line too long").await?;
                    continue;
                }
                Line::End => return Ok(()),
            };
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.say("250-localhost\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 2097152").await?,
                "HELO" | "NOOP" => self.say("250 localhost").await?,
                "RSET" => {
                    self.envelope = Envelope::default();
                    self.say("250 forgotten").await?;
                }
                "MAIL" => self.mail(&line).await?,
                "RCPT" => self.recipient(&line).await?,
                "DATA" => self.data().await?,
                "QUIT" => return self.say("221 bye").await,
                _ => self.say("502 not known here").await?,
            }
        }
    }

    async fn mail(&mut self, line: &str) -> io::Result<()> {
        match (&self.envelope.from, address(line, "MAIL FROM:")) {
            (Some(_), _) => self.say("503 there is a sender already").await,
            (None, None) => self.say("501 MAIL FROM:<address>").await,
            (None, Some(address)) => {
                self.envelope.from = Some(address);
                self.say("250 sender known").await
            }
        }
    }

    async fn recipient(&mut self, line: &str) -> io::Result<()> {
        if self.envelope.from.is_none() {
            return self.say("503 MAIL first").await;
        }
        match address(line, "RCPT TO:").filter(|address| !address.is_empty()) {
            None => self.say("501 RCPT TO:<address>").await,
            Some(_) if self.envelope.to.len() >= RECIPIENTS_MAX => self.say("452 too many recipients").await,
            Some(address) => {
                self.envelope.to.push(address);
                self.say("250 recipient known").await
            }
        }
    }

    async fn data(&mut self) -> io::Result<()> {
        if self.envelope.to.is_empty() {
            return self.say("503 RCPT first").await;
        }
        self.say("354 end with a dot on a line of its own").await?;
        let mut mail = Vec::new();
        let mut is_whole = true;
        loop {
            match self.line().await? {
                Line::End => return Err(io::ErrorKind::UnexpectedEof.into()),
                Line::TooLong => is_whole = false,
                Line::Text(line) if line == b"." => break,
                Line::Text(line) => {
                    let line = line.strip_prefix(b".").unwrap_or(&line);
                    is_whole &= mail.len() + line.len() < MAIL_BYTES_MAX;
                    if is_whole {
                        mail.extend_from_slice(line);
                        mail.extend_from_slice(b"\r\n");
                    }
                }
            }
        }
        let envelope = std::mem::take(&mut self.envelope);
        if !is_whole {
            return self.say("552 mail or line too long").await;
        }
        match self.kept.keep(envelope, &mail).await {
            Ok(()) => self.say("250 caught").await,
            Err(_) => self.say("452 cannot write the mail to its folder").await,
        }
    }

    /// One line without its end; only CRLF ends a line, so that a bare line feed cannot end a mail.
    async fn line(&mut self) -> io::Result<Line> {
        let mut line = Vec::new();
        let mut is_too_long = false;
        loop {
            let before = line.len();
            let mut rest = (&mut self.input).take(LINE_BYTES_MAX as u64);
            let read = tokio::time::timeout(SILENCE_MAX, rest.read_until(b'\n', &mut line)).await;
            if read.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
                return Ok(Line::End);
            }
            if line.ends_with(b"\r\n") {
                line.truncate(line.len() - 2);
                return Ok(if is_too_long { Line::TooLong } else { Line::Text(line) });
            }
            if line.len() > LINE_BYTES_MAX {
                is_too_long = true;
                // What is too long is not kept, but the byte that may be half of the line's end.
                let last = line.get(before..).and_then(|new| new.last().copied());
                line.clear();
                line.extend(last);
            }
        }
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.output.write_all(format!("{line}\r\n").as_bytes()).await
    }
}

/// The address in `MAIL FROM:<address> …`; empty for `<>`.
fn address(line: &str, start: &str) -> Option<String> {
    let rest = line.get(..start.len()).filter(|begin| begin.eq_ignore_ascii_case(start)).map(|_| &line[start.len()..])?;
    let (address, _) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    Some(address.to_owned())
}
