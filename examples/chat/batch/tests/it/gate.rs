//! A gate before a mail server: it can be shut for a while, and it can hold the server's answers back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hence::dispatch::MailCatcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What the gate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Connections are turned away, those there are broken off.
    Shut,
    /// The server takes mails, but from the one behind so many on nobody hears that it did.
    Silent {
        after: u64,
    },
    /// The server is not given anything any more once it took so many mails.
    Deaf {
        after: u64,
    },
}

/// How many mails the server took.
struct Taken {
    count: AtomicU64,
    stuck: watch::Sender<u64>,
}

/// A running gate.
pub(crate) struct Keeper {
    pub(crate) address: SocketAddr,
    state: watch::Sender<Gate>,
    taken: Arc<Taken>,
    serving: JoinHandle<()>,
}

impl Keeper {
    /// A gate before this catcher, open.
    pub(crate) async fn before(catcher: &MailCatcher) -> Keeper {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, seen) = watch::channel(Gate::Open);
        let server = catcher.address();
        let taken = Arc::new(Taken { count: AtomicU64::new(0), stuck: watch::Sender::new(0) });
        let counted = Arc::clone(&taken);
        let serving = tokio::spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while talks.try_join_next().is_some() {}
                talks.spawn(talk(client, server, seen.clone(), Arc::clone(&counted)));
            }
        });
        Keeper { address, state, taken, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Waits until a mail got stuck in a silent or deaf gate.
    pub(crate) async fn stuck(&self) {
        self.taken.stuck.subscribe().wait_for(|count| *count > 0).await.unwrap();
    }

    /// Forgets what was taken until now.
    pub(crate) fn forget(&self) {
        self.taken.count.store(0, Ordering::SeqCst);
        self.taken.stuck.send_replace(0);
    }

    pub(crate) fn set(&self, gate: Gate) {
        self.state.send_replace(gate);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn talk(mut client: TcpStream, server: SocketAddr, mut gate: watch::Receiver<Gate>, taken: Arc<Taken>) {
    if *gate.borrow() == Gate::Shut {
        // Whoever is turned away may have left already.
        let _ = client.write_all(b"421 shut for a while\r\n").await;
        return;
    }
    let mut server = TcpStream::connect(server).await.unwrap();
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let listening = gate.clone();
    let answers = async {
        let mut bytes = [0; 4096];
        while let Ok(read) = from_server.read(&mut bytes).await
            && read > 0
        {
            if bytes.starts_with(b"250 caught") {
                let number = taken.count.fetch_add(1, Ordering::SeqCst) + 1;
                let is_silent = matches!(*listening.borrow(), Gate::Silent { after } if number > after);
                if is_silent {
                    taken.stuck.send_modify(|count| *count += 1);
                    std::future::pending::<()>().await;
                }
            }
            if to_client.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    };
    let hearing = gate.clone();
    let orders = async {
        let mut bytes = [0; 4096];
        while let Ok(read) = from_client.read(&mut bytes).await
            && read > 0
        {
            let is_deaf = matches!(*hearing.borrow(), Gate::Deaf { after } if taken.count.load(Ordering::SeqCst) >= after);
            if is_deaf {
                taken.stuck.send_modify(|count| *count += 1);
                std::future::pending::<()>().await;
            }
            if to_server.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = orders => {}
        () = answers => {}
        _ = gate.wait_for(|gate| *gate == Gate::Shut) => {}
    }
}
