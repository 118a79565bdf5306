//! A raw HTTP/1.1 server for tests: it reads whole requests and answers with exactly the bytes it was given.
//!
//! Bytes, not a framework's responses: half answers and hostile ones have to be possible.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What to do with each request from now on.
#[derive(Clone)]
pub(crate) enum Do {
    /// Take the request, answer with these bytes, keep the connection.
    Answer(Vec<u8>),
    /// Take the request, answer with these bytes, then close.
    AnswerAndClose(Vec<u8>),
    /// Take the request, answer with these bytes, then send nothing more.
    AnswerAndStall(Vec<u8>),
    /// Take the request, then these bytes again and again.
    Endless(&'static [u8]),
    /// Read nothing, say nothing.
    Silent,
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// Such as `POST /hook HTTP/1.1`.
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

struct State {
    next: Do,
    requests: Vec<Request>,
    connections: usize,
}

pub(crate) struct HttpServer {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

impl HttpServer {
    pub(crate) async fn start() -> HttpServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { next: Do::Silent, requests: Vec::new(), connections: 0 }));
        let mut serving = JoinSet::new();
        let shared = state.clone();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                connections.spawn(serve(stream, shared.clone()));
            }
        });
        HttpServer { address, state, _serving: serving }
    }

    pub(crate) fn next(&self, what: Do) {
        self.state.lock().unwrap().next = what;
    }

    /// Answers with a status, headers (each ended by CRLF) and a body of the right length.
    pub(crate) fn answer(&self, status: u16, headers: &str, body: &str) {
        let length = body.len();
        let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        self.next(Do::Answer(text.into_bytes()));
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    loop {
        if matches!(state.lock().unwrap().next, Do::Silent) {
            std::future::pending::<()>().await;
        }
        let Some(request) = read(&mut stream).await else { return };
        let next = {
            let mut state = state.lock().unwrap();
            state.requests.push(request);
            state.next.clone()
        };
        let is_written = match &next {
            Do::Answer(bytes) | Do::AnswerAndClose(bytes) | Do::AnswerAndStall(bytes) => stream.write_all(bytes).await.is_ok(),
            Do::Endless(bytes) => {
                while stream.write_all(bytes).await.is_ok() {}
                false
            }
            Do::Silent => true,
        };
        match next {
            Do::Answer(_) if is_written => (),
            Do::AnswerAndStall(_) | Do::Silent => std::future::pending::<()>().await,
            _ => return,
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut request = Request::default();
    let mut line = String::new();
    while stream.read_line(&mut line).await.ok()? > 0 {
        let text = line.trim_end();
        if text.is_empty() {
            let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
            request.body = vec![0; length];
            stream.read_exact(&mut request.body).await.ok()?;
            return Some(request);
        }
        match text.split_once(": ") {
            _ if request.line.is_empty() => request.line = text.to_owned(),
            Some((name, value)) => request.headers.push((name.to_owned(), value.to_owned())),
            None => return None,
        }
        line.clear();
    }
    None
}
