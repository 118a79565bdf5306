//! The writer: one thread that carries out all writes of this process, several waiting ones in one commit.
//!
//! A call is answered after the commit that it is part of. Each call stands in a savepoint of its own, so that one that fails takes
//! only itself back. When the commit of several fails, or one of them broke the transaction, each is carried out again by itself.

use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::connection::Connected;
use super::failure;
use crate::error::{Error, ErrorKind};

/// How many calls may wait; a caller waits for room beyond that.
const CALLS_WAITING_MAX: usize = 256;
/// How many calls share a commit at most.
const CALLS_COMMITTED_MAX: usize = 64;

/// A call that waits for the writer.
trait Call: Send {
    /// Carries it out within the open transaction and keeps the result; `false` when it failed. May be called again after a rollback.
    fn carry_out(&mut self, connected: &mut Connected) -> bool;
    /// Forgets the result: what it did is not stored, for this reason.
    fn spoil(&mut self, error: Error);
    /// Tells the caller.
    fn answer(self: Box<Self>);
}

struct WaitingCall<T, W> {
    work: W,
    result: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T: Send, W: FnMut(&mut Connected) -> Result<T, Error> + Send> Call for WaitingCall<T, W> {
    fn carry_out(&mut self, connected: &mut Connected) -> bool {
        let result = (self.work)(connected);
        let is_ok = result.is_ok();
        self.result = Some(result);
        is_ok
    }

    fn spoil(&mut self, error: Error) {
        self.result = Some(Err(error));
    }

    fn answer(self: Box<Self>) {
        if let Some(result) = self.result {
            // A caller that went away does not want its answer.
            let _ = self.reply.send(result);
        }
    }
}

/// The writing thread and the way to it. Dropping it carries out what waits and ends the thread.
pub(super) struct Writer {
    calls: Option<mpsc::Sender<Box<dyn Call>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Begins the thread on this connection.
    pub(super) fn begin(connected: Connected) -> Result<Self, Error> {
        let (calls, waiting) = mpsc::channel(CALLS_WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("hence-store-writer".to_owned())
            .spawn(move || write_all(connected, waiting))
            .map_err(|error| Error::new(ErrorKind::Unavailable, "the writing thread cannot begin").caused_by(error))?;
        Ok(Self { calls: Some(calls), thread: Some(thread) })
    }

    /// Carries `work` out in a transaction and gives its result once that is committed.
    ///
    /// `work` may be called again when a transaction that it shared with others had to be taken back.
    pub(super) async fn call<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnMut(&mut Connected) -> Result<T, Error> + Send + 'static,
    {
        let gone = || Error::new(ErrorKind::Unavailable, "the writing thread has ended");
        let (reply, answer) = oneshot::channel();
        let call = Box::new(WaitingCall { work, result: None, reply });
        let calls = self.calls.as_ref().ok_or_else(gone)?;
        calls.send(call).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.calls = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was shown when it happened; its callers were told that it is gone.
            let _ = thread.join();
        }
    }
}

fn write_all(mut connected: Connected, mut waiting: mpsc::Receiver<Box<dyn Call>>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut calls = vec![first];
        while calls.len() < CALLS_COMMITTED_MAX
            && let Ok(next) = waiting.try_recv()
        {
            calls.push(next);
        }
        carry_out(&mut connected, &mut calls);
        for call in calls {
            call.answer();
        }
    }
}

fn carry_out(connected: &mut Connected, calls: &mut [Box<dyn Call>]) {
    if let [call] = calls {
        return match begin(connected) {
            Ok(()) => commit_alone(connected, call.as_mut()),
            Err(error) => call.spoil(error),
        };
    }
    if let Err(error) = begin(connected) {
        // Nobody tries again alone: each would wait as long for the same lock.
        for call in calls {
            call.spoil(Error::new(error.kind().clone(), error.to_string()));
        }
        return;
    }
    if commit_together(connected, calls) {
        return;
    }
    for call in calls {
        match begin(connected) {
            Ok(()) => commit_alone(connected, call.as_mut()),
            Err(error) => call.spoil(error),
        }
    }
}

/// Whether all calls were carried out or refused in one commit; if not, nothing of them is stored and each must be tried by itself.
fn commit_together(connected: &mut Connected, calls: &mut [Box<dyn Call>]) -> bool {
    for call in calls {
        let is_whole = connected.control("savepoint call").is_ok();
        if !is_whole || (!call.carry_out(connected) && !take_back(connected)) {
            roll_back(connected);
            return false;
        }
        if connected.control("release call").is_err() {
            roll_back(connected);
            return false;
        }
    }
    if commit(connected).is_err() {
        roll_back(connected);
        return false;
    }
    true
}

fn commit_alone(connected: &mut Connected, call: &mut dyn Call) {
    if !call.carry_out(connected) {
        return roll_back(connected);
    }
    if let Err(error) = commit(connected) {
        roll_back(connected);
        call.spoil(error);
    }
}

/// Takes one call back; `false` when the database has already taken the whole transaction back.
fn take_back(connected: &mut Connected) -> bool {
    connected.forget();
    !connected.connection.is_autocommit() && connected.control("rollback to call").is_ok()
}

fn begin(connected: &Connected) -> Result<(), Error> {
    let begun = connected.control("begin immediate");
    begun.map_err(|error| failure(error, "another process keeps the store locked"))
}

fn commit(connected: &Connected) -> Result<(), Error> {
    connected.control("commit").map_err(|error| failure(error, "the store cannot be written"))
}

fn roll_back(connected: &mut Connected) {
    connected.forget();
    if !connected.connection.is_autocommit() {
        // If this fails the connection is broken, and so the next `begin` fails and says why.
        let _ = connected.control("rollback");
    }
}

/// Carries out a part of a call so that its failure takes only itself back.
///
/// # Errors
/// The outer error: the whole transaction is lost. The inner one: only the part is.
pub(super) fn part<T>(
    connected: &mut Connected,
    work: impl FnOnce(&mut Connected) -> Result<T, Error>,
) -> Result<Result<T, Error>, Error> {
    let lost = |error| failure(error, "the store cannot be written");
    connected.control("savepoint part").map_err(lost)?;
    let result = work(connected);
    if result.is_err() {
        connected.forget();
        if connected.connection.is_autocommit() {
            return result.map(Ok);
        }
        connected.control("rollback to part").map_err(lost)?;
    }
    connected.control("release part").map_err(lost)?;
    Ok(result)
}
