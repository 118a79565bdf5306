//! A TCP proxy between one node and the database, whose way can be cut and stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What a way does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// They pass.
    Open,
    /// Connections end, and new ones end at once.
    Cut,
    /// Connections stay, and no byte passes either way: a half-open line.
    Stopped,
}

/// A proxy on this machine.
pub(super) struct Proxy {
    port: u16,
    way: watch::Sender<Way>,
    serving: JoinHandle<()>,
    /// How many connections it has carried.
    carried: Arc<AtomicU16>,
}

impl Proxy {
    /// Begins on a free port before `to`.
    pub(super) async fn begin(to: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port is free")?;
        let port = listener.local_addr()?.port();
        let (way, seen) = watch::channel(Way::Open);
        let carried = Arc::new(AtomicU16::new(0));
        let serving = tokio::spawn(serve(listener, to, seen, Arc::clone(&carried)));
        Ok(Self { port, way, serving, carried })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    pub(super) fn carried(&self) -> u16 {
        self.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, to: u16, way: watch::Receiver<Way>, carried: Arc<AtomicU16>) {
    // Its connections end with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((from, _)) = accepted else { continue };
                if *way.borrow() == Way::Cut {
                    continue;
                }
                carried.fetch_add(1, Ordering::Relaxed);
                connections.spawn(connect(from, to, way.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(from: TcpStream, to: u16, way: watch::Receiver<Way>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    let ((read_from, write_from), (read_to, write_to)) = (from.into_split(), server.into_split());
    let mut cut = way.clone();
    // Whichever way ends first ends both.
    tokio::select! {
        () = carry(read_from, write_to, way.clone()) => {}
        () = carry(read_to, write_from, way) => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count) = from.read(&mut buffer).await else { return };
        // A stopped way keeps what it has, and passes it on when it is open again.
        if count == 0 || way.wait_for(|way| *way != Way::Stopped).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
