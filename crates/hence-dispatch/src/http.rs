//! The HTTP clients every outgoing request goes through.
//!
//! Owns: how a client is set up (guarded resolver, no redirects, no proxy, no compression, HTTP/1.1, own TLS roots),
//! reading an answer's body within a limit, and knowing whether anything of a request was sent ([`SentMark`]).
//! Leaves to others: which URL, what is sent, what an answer means.
//!
//! Invariant: one client for each reach, kept for the life of the process, so that connections are reused.

use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::{Client, Response, redirect, retry};
use rustls::ClientConfig;

use crate::guard::{Denied, GuardedResolver, Lookup, Reach};
use crate::port::Problem;
use crate::tls::client_config;

/// Longest body of an answer that is read, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Most header lines an answer may have.
const HEADERS_MAX: usize = 64;
/// Shorter than the idle time of common servers and balancers, which drop a connection after 60 s and more.
const IDLE: Duration = Duration::from_secs(20);

/// The clients, one for each reach.
#[derive(Clone)]
pub(crate) struct Clients {
    public: Client,
    private: Client,
}

impl Clients {
    /// Sets the clients up; `roots_pem` are certificates trusted beside the usual ones.
    pub(crate) fn new(roots_pem: Option<&str>, lookup: Arc<dyn Lookup>) -> Result<Clients, Problem> {
        let mut tls = client_config(roots_pem)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Clients {
            public: client(tls.clone(), Reach::Public, Arc::clone(&lookup))?,
            private: client(tls, Reach::Private, lookup)?,
        })
    }

    pub(crate) fn of(&self, reach: Reach) -> &Client {
        match reach {
            Reach::Public => &self.public,
            Reach::Private => &self.private,
        }
    }
}

fn client(tls: ClientConfig, reach: Reach, lookup: Arc<dyn Lookup>) -> Result<Client, Problem> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(GuardedResolver { reach, lookup })
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        // HTTP/1.1 only: one request on a connection, so "was it sent?" has an answer, and no frame floods.
        .http1_only()
        .http1_max_headers(HEADERS_MAX)
        .pool_idle_timeout(IDLE)
        .user_agent(concat!("hence/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Problem::new("bad-client", format!("cannot set up HTTP: {}", cause(&error))))
}

/// Says whether any byte of a request's body was handed to a connection, and can forbid that from now on.
///
/// A receiver cannot act on a request whose body it did not get: it could not check the signature.
#[derive(Clone, Default)]
pub(crate) struct SentMark(Arc<AtomicU8>);

const FRESH: u8 = 0;
const SENT: u8 = 1;
const ABANDONED: u8 = 2;

impl SentMark {
    /// True when nothing was sent and, from now on, nothing will be.
    pub(crate) fn abandon(&self) -> bool {
        self.swap(ABANDONED) != SENT
    }

    /// True when the body may be sent.
    fn send(&self) -> bool {
        self.swap(SENT) != ABANDONED
    }

    /// Leaves `FRESH` once; gives back what it was.
    fn swap(&self, to: u8) -> u8 {
        match self.0.compare_exchange(FRESH, to, Ordering::AcqRel, Ordering::Acquire) {
            Ok(before) | Err(before) => before,
        }
    }
}

/// A body in one piece that sets its mark the moment a connection asks for it.
pub(crate) struct MarkedBody {
    pub(crate) bytes: Option<Bytes>,
    pub(crate) mark: SentMark,
}

impl Body for MarkedBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        match self.bytes.take() {
            None => Poll::Ready(None),
            Some(_) if !self.mark.send() => {
                Poll::Ready(Some(Err(std::io::Error::other("the attempt was given up before it was sent"))))
            }
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// What was read of an answer's body.
pub(crate) enum Read {
    /// All of it.
    Whole(Vec<u8>),
    /// The beginning; there was more than [`BODY_BYTES_MAX`].
    TooLong,
    /// The connection ended before the body did.
    Cut(String),
}

/// Reads a body, never more than [`BODY_BYTES_MAX`]; the caller sets the deadline.
pub(crate) async fn read_body(mut response: Response) -> Read {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Read::Whole(body),
            Ok(Some(chunk)) if body.len() + chunk.len() > BODY_BYTES_MAX => return Read::TooLong,
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return Read::Cut(cause(&error)),
        }
    }
}

/// The denial in the source chain of a failed request, if the guard stopped it.
pub(crate) fn denial(error: &reqwest::Error) -> Option<Denied> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(denied) = inner.downcast_ref::<Denied>() {
            return Some(denied.clone());
        }
        source = inner.source();
    }
    None
}

/// The innermost cause of a failed request, without its URL.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let Some(mut deepest) = error.source() else {
        return "the request could not be made".into();
    };
    while let Some(inner) = deepest.source() {
        deepest = inner;
    }
    deepest.to_string()
}
