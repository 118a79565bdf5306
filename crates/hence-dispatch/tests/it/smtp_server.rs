//! A mail server for tests that misbehaves at the step it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Where a conversation goes wrong, and how.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// `connect`, a command, or `.` for the final dot.
    pub(crate) at: &'static str,
    /// These bytes instead of the usual answer; then as `then` says.
    pub(crate) say: Vec<u8>,
    pub(crate) then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    Stall,
    Close,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    message_ids: Vec<String>,
    commands: Vec<String>,
}

pub(crate) struct SmtpServer {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

impl SmtpServer {
    pub(crate) async fn start() -> SmtpServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let mut serving = JoinSet::new();
        let shared = state.clone();
        serving.spawn(async move {
            let mut conversations = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                conversations.spawn(serve(stream, shared.clone()));
            }
        });
        SmtpServer { address, state, _serving: serving }
    }

    pub(crate) fn misbehave(&self, fault: Option<Fault>) {
        self.state.lock().unwrap().fault = fault;
    }

    /// `Message-ID`s of the mails whose final dot came and was not refused.
    pub(crate) fn message_ids(&self) -> Vec<String> {
        self.state.lock().unwrap().message_ids.clone()
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.state.lock().unwrap().commands.clone()
    }
}

/// Answers a step; false when the conversation is over.
async fn answer(stream: &mut BufReader<TcpStream>, state: &Mutex<State>, step: &str, usual: &str) -> bool {
    let fault = state.lock().unwrap().fault.clone().filter(|fault| fault.at == step);
    let Some(fault) = fault else {
        return stream.write_all(format!("{usual}\r\n").as_bytes()).await.is_ok();
    };
    let is_written = stream.write_all(&fault.say).await.is_ok();
    match fault.then {
        Then::GoOn => is_written,
        Then::Close => false,
        Then::Stall => std::future::pending().await,
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    if !answer(&mut stream, &state, "connect", "220 test").await {
        return;
    }
    let mut message_id = None;
    let mut is_content = false;
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).await.unwrap_or(0) > 0 {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        let (step, usual) = if is_content && text != "." {
            if let Some(id) = text.strip_prefix("Message-ID: ") {
                message_id = Some(id.to_owned());
            }
            continue;
        } else if is_content {
            let mut state = state.lock().unwrap();
            let is_refused = state
                .fault
                .as_ref()
                .is_some_and(|fault| fault.at == "." && fault.say.starts_with(b"4") | fault.say.starts_with(b"5"));
            if !is_refused {
                state.message_ids.extend(message_id.take());
            }
            (".", "250 kept")
        } else {
            state.lock().unwrap().commands.push(text.clone());
            match text.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" => ("EHLO", "250-test\r\n250-STARTTLS\r\n250 AUTH PLAIN"),
                "MAIL" => ("MAIL", "250 ok"),
                "RCPT" => ("RCPT", "250 ok"),
                "DATA" => ("DATA", "354 go on"),
                "AUTH" => ("AUTH", "235 welcome"),
                "RSET" => ("RSET", "250 ok"),
                "STARTTLS" => ("STARTTLS", "220 go on"),
                _ => ("other", "502 what?"),
            }
        };
        if !answer(&mut stream, &state, step, usual).await {
            return;
        }
        is_content = step == "DATA" && state.lock().unwrap().fault.as_ref().is_none_or(|fault| fault.at != "DATA");
    }
}
