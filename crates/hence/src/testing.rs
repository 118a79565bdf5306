//! For tests of programs that embed Hence: the real engine on a store in memory and a virtual clock that moves when the test says so.
//!
//! Nothing sleeps, nothing listens on a port, and no engine runs between two lines of a test. Handlers that the test registered are really
//! called, one after the other; what would leave the process (webhooks, mails, brokers) is noted and answered as the test says, `done` if it
//! says nothing. A store of the test's own may be given with [`Builder::sqlite`] or [`Builder::store`].
//!
//! ```
//! use hence::Hence;
//! use serde_json::{Value, json};
//!
//! const TRIAL: &str = r#"
//!     [timeline]
//!     name = "trial"
//!     entity = "account"
//!     anchor = "created_at"
//!     [step.remind]
//!     due = "25 days"
//!     do = { email = "trial_ending", to = "someone@example.com" }
//!     [step.expire]
//!     due = "30 days"
//!     do = { webhook = "app", path = "/deactivate" }
//!     says = ["deactivated"]
//!     [step.tell]
//!     after = "expire:deactivated"
//!     do = { email = "trial_over", to = "someone@example.com" }
//!     [on."account.paid"]
//!     cancel = "*"
//! "#;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), hence::Error> {
//! let hence = Hence::builder().definition(TRIAL).test("2026-03-02T09:00Z").await;
//! hence.answer("expire", "deactivated");
//! hence.enrol("trial", "account/1", Value::Null).await?;
//! hence.enrol("trial", "account/2", Value::Null).await?;
//! hence.assert_upcoming("account/1", &["2026-03-27T09:00Z remind", "2026-04-01T09:00Z expire"]).await;
//!
//! hence.advance("26 days").await;
//! hence.event("account/2", "account.paid", Value::Null).await?;
//! hence.advance("10 days").await;
//!
//! hence.assert_ended("account/2", &["2026-03-27T09:00Z remind done", "2026-03-28T09:00Z expire cancelled"]).await;
//! hence.assert_upcoming("account/1", &[]).await;
//! hence.assert_delivered(&[
//!     "2026-03-27T09:00Z account/1 remind done",
//!     "2026-03-27T09:00Z account/2 remind done",
//!     "2026-04-01T09:00Z account/1 expire deactivated",
//!     "2026-04-01T09:00Z account/1 tell done",
//! ]);
//! # Ok(())
//! # }
//! ```

mod recorder;

use std::fmt::Write;
use std::future::Future;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;

use hence_core::calendar::Zone;
use hence_core::history::RecordKind;
use hence_core::reason::delay::Delay;
use hence_core::task::{Task, TaskState};
use hence_dispatch::{Attempt, Dispatchers, Problem, Reply};
use hence_store::port::{PageRequest, UpcomingFilter};
use jiff::{SignedDuration, Span, Timestamp};
use tokio_util::sync::CancellationToken;

use self::recorder::{Recorder, Recording};
use crate::builder::Builder;
use crate::client::{Because, Client};
use crate::engine::{Engine, EngineOptions};
use crate::error::Error;

/// Hence for one test; used like a [`Client`]. Made by [`Builder::test`].
///
/// What cannot be done panics, with a sentence that says what and why: this is for tests.
pub struct TestHence {
    client: Client,
    dispatchers: Dispatchers,
    options: EngineOptions,
    recording: Arc<Recording>,
}

/// One delivery that reached a handler or would have left the process.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// When, by the virtual clock.
    pub at: Timestamp,
    /// Whom it was about, as written: `account/42`.
    pub entity: String,
    /// The step; for an ad-hoc task its key.
    pub step: String,
    /// Where it went.
    pub to: hence_dispatch::Destination,
    /// What was sent.
    pub payload: serde_json::Value,
    /// Which attempt of its task it was, from 1.
    pub attempt: u32,
    /// What was answered.
    pub reply: Reply,
}

impl Builder {
    /// Hence for one test, whose virtual clock stands at `at`: an instant such as `2026-03-02T09:00Z` or `2026-03-02T10:00[Europe/Oslo]`.
    ///
    /// # Panics
    /// `at` is no instant, a definition has problems (all of them are told), or the store cannot be opened.
    pub async fn test(mut self, at: &str) -> TestHence {
        let recording = Arc::new(Recording::default());
        let handlers = std::mem::take(&mut self.handlers);
        let own = std::mem::take(&mut self.dispatchers).with(Arc::new(handlers));
        let kinds = ["handler", "webhook", "email", "log", "rabbitmq", "servicebus", "nats"];
        for kind in kinds.into_iter().chain(own.kinds().filter(|kind| !kinds.contains(kind))) {
            let inner = own.all().find(|dispatcher| dispatcher.carries() == kind).cloned();
            self.dispatchers.add(Arc::new(Recorder { kind: kind.to_owned(), inner, recording: Arc::clone(&recording) }));
        }
        // One after the other, and the same scatter of retries each time: a test should see the same twice.
        self.options.attempts_max = 1;
        self.options.seed.get_or_insert(1);
        match self.virtual_clock(instant(at)).open().await {
            Ok((client, dispatchers, options)) => TestHence { client, dispatchers, options, recording },
            Err(Error::Definition(problems)) => {
                let problems: Vec<String> =
                    problems.iter().map(|problem| format!("{}\n    {}", problem.message, problem.help)).collect();
                panic!("the definition has problems:\n  {}", problems.join("\n  "))
            }
            Err(error) => panic!("Hence cannot be begun: {error}"),
        }
    }
}

impl TestHence {
    /// Lets that much time pass, such as `26 days` or `90 minutes`; days are days in UTC. All that becomes due on the way happens.
    /// # Panics
    /// `span` is none or goes back, or the engine ends by an error.
    pub async fn advance(&self, span: &str) {
        let parsed: Span = span.parse().unwrap_or_else(|error| panic!("`{span}` is no span of time, such as `26 days`: {error}"));
        let now = self.now().await.to_zoned_datetime(jiff::tz::TimeZone::UTC);
        let to = now.checked_add(parsed).unwrap_or_else(|error| panic!("`{span}` after {now} is no instant: {error}"));
        self.run_until(to.timestamp()).await;
    }

    /// Lets the time pass until that instant, as [`TestHence::advance`].
    /// # Panics
    /// `at` is no instant or lies behind, or the engine ends by an error.
    pub async fn advance_to(&self, at: &str) {
        self.run_until(instant(at)).await;
    }

    /// Lets everything happen that is due now, and what follows from it now.
    /// # Panics
    /// The engine ends by an error.
    pub async fn run_due(&self) {
        self.run_until(self.now().await).await;
    }

    /// The task that is due next, of all entities.
    pub async fn next_due(&self) -> Option<Task> {
        let filter = UpcomingFilter { states: vec![TaskState::Scheduled], ..UpcomingFilter::default() };
        let page = self.client.store().upcoming(&filter, PageRequest::first(1)).await;
        page.unwrap_or_else(|error| panic!("the store cannot be read: {error}")).items.into_iter().next()
    }

    /// What the virtual clock shows.
    pub async fn now(&self) -> Timestamp {
        self.client.now().await.unwrap_or_else(|error| panic!("the store cannot be read: {error}"))
    }

    /// From now on each delivery of that step, or of an ad-hoc task of that key, is answered with this word; a handler is not called for it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// let hence = hence::Hence::builder().test("2026-03-02T09:00Z").await;
    /// hence.answer("call", "reached");
    /// let action = serde_json::json!({ "webhook": "app", "path": "/call", "says": ["reached"] });
    /// hence.schedule("order/7", "call", hence.now().await, action).await?;
    /// hence.run_due().await;
    /// hence.assert_ended("order/7", &["2026-03-02T09:00Z call reached"]).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn answer(&self, step: &str, word: &str) {
        let reply = Reply::Done { outcome: (word != "done").then(|| word.to_owned()), result: serde_json::Value::Null };
        self.answer_with(step, move |_| Some(reply.clone()));
    }

    /// The next `times` deliveries of that step fail as if the receiver were down; then it is answered as if this had not been said.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// let hence = hence::Hence::builder().test("2026-03-02T09:00Z").await;
    /// hence.fail("call", 2);
    /// let action = serde_json::json!({ "webhook": "app", "path": "/call", "retry": { "tries": 3, "wait": "1m..1m" } });
    /// hence.schedule("order/7", "call", hence.now().await, action).await?;
    /// hence.advance("1 hour").await;
    /// assert_eq!(hence.deliveries().len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail(&self, step: &str, times: u32) {
        let mut left = times;
        self.answer_with(step, move |_| {
            left = left.checked_sub(1)?;
            Some(Reply::again(Problem::new("test", "the test lets it fail")))
        });
    }

    /// From now on deliveries of that step are answered by this function; by its handler, or with `done`, where it gives `None`.
    pub fn answer_with(&self, step: &str, answer: impl FnMut(&Attempt) -> Option<Reply> + Send + 'static) {
        self.recording.answer_with(step, Box::new(answer));
    }

    /// All deliveries so far, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.recording.deliveries()
    }

    /// All deliveries since this was called last, in order.
    pub fn take_deliveries(&self) -> Vec<Delivery> {
        self.recording.take_deliveries()
    }

    /// The deliveries so far are these, in order; a line is `2026-03-27T09:00Z account/1 remind done`, the instant in UTC.
    /// # Panics
    /// They are not: with both lists.
    #[track_caller]
    pub fn assert_delivered(&self, expected: &[&str]) {
        let found: Vec<String> = self.deliveries().iter().map(Delivery::line).collect();
        if let Some(difference) = difference(expected, &found) {
            panic!("what was delivered is not as expected\n{difference}");
        }
    }

    /// What is ahead for an entity is this, in order; a line is `2026-03-27T09:00Z remind`, the instant in UTC. A task that does not wait for
    /// its instant has its state behind: `2026-03-27T09:00Z remind held`.
    ///
    /// Gives a future, so that the message names the line of the test.
    /// # Panics
    /// It is not: with both lists, and why each step is ahead, happened, or is not ahead.
    #[track_caller]
    pub fn assert_upcoming(&self, entity: &str, expected: &[&str]) -> impl Future<Output = ()> {
        let place = Location::caller();
        async move {
            let ahead = self.client.upcoming(entity).await.unwrap_or_else(|error| panic!("{place}: {error}"));
            let line = |task: &Task| match task.state {
                TaskState::Scheduled => format!("{} {}", written(task.due_at), task.step),
                state => format!("{} {} {}", written(task.due_at), task.step, state.as_str()),
            };
            let found: Vec<String> = ahead.iter().map(line).collect();
            self.compare((place, "what is ahead for"), entity, (expected, &found)).await;
        }
    }

    /// How the tasks of an entity ended is this, in order; a line is `2026-03-27T09:00Z remind done`, as in a `[[test]]` of a definition but
    /// in UTC. Tasks that were cancelled or skipped are lines too, and so are those that wait for a person: `held`.
    ///
    /// Gives a future, so that the message names the line of the test.
    /// # Panics
    /// As [`TestHence::assert_upcoming`].
    #[track_caller]
    pub fn assert_ended(&self, entity: &str, expected: &[&str]) -> impl Future<Output = ()> {
        let place = Location::caller();
        async move {
            let rows = self.client.history(entity).await.unwrap_or_else(|error| panic!("{place}: {error}"));
            let ends = rows.iter().map(|row| &row.record);
            let ends = ends.filter(|record| record.kind.final_state().is_some() || record.kind == RecordKind::Held);
            let line = ends.filter_map(|record| {
                let word = record.outcome.as_deref().unwrap_or(record.kind.as_str());
                Some(format!("{} {} {word}", written(record.at), record.step.as_ref()?))
            });
            let found: Vec<String> = line.collect();
            self.compare((place, "what ended of"), entity, (expected, &found)).await;
        }
    }

    async fn compare(&self, (place, what): (&Location<'_>, &str), entity: &str, (expected, found): (&[&str], &[String])) {
        let Some(difference) = difference(expected, found) else { return };
        let why = self.client.why(entity).await.unwrap_or_else(|error| panic!("{place}: {error}"));
        // No engine runs between two lines of a test, which explains nothing.
        let no_engine = format!("held back: {}", Delay::NoEngine { last_seen: None }.sentence(&Zone::utc()));
        let without = |mut because: Because| {
            because.reasons.retain(|reason| !reason.starts_with(&no_engine));
            because
        };
        let why: Vec<String> =
            why.into_iter().map(without).map(|because| format!("  {}", because.to_string().replace('\n', "\n  "))).collect();
        let now = written(self.now().await);
        panic!("{place}: {what} {entity} is not as expected; it is {now}\n{difference}why:\n{}", why.join("\n"));
    }

    /// Lets an engine run until the clock has arrived at that instant and everything due by then has been done.
    async fn run_until(&self, to: Timestamp) {
        // A virtual clock moves on only once everything at an instant has been done: a microsecond more shows that all is done at `to`.
        let beyond = to.saturating_add(SignedDuration::from_micros(1)).unwrap_or(to);
        self.client.clock().advance(beyond).await.unwrap_or_else(fail);
        let stop = CancellationToken::new();
        let engine = Engine::new(self.client.clone(), self.dispatchers.clone(), self.options.clone());
        let mut engine = tokio::spawn(engine.run(stop.clone()));
        let arrived = self.client.clock().arrived(beyond);
        tokio::select! {
            biased;
            ended = &mut engine => match ended {
                Ok(Ok(_)) => panic!("the engine ended before the time had passed"),
                Ok(Err(error)) => panic!("the engine ended: {error}"),
                Err(broken) => std::panic::resume_unwind(broken.into_panic()),
            },
            arrived = arrived => arrived.unwrap_or_else(fail),
        }
        stop.cancel();
        match engine.await {
            Ok(ended) => ended.map(|_| ()).unwrap_or_else(fail),
            Err(broken) => std::panic::resume_unwind(broken.into_panic()),
        }
        self.client.clock().make_virtual(to).await.unwrap_or_else(fail);
    }
}

impl Deref for TestHence {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Delivery {
    /// As [`TestHence::assert_delivered`] compares it.
    fn line(&self) -> String {
        let word = match &self.reply {
            Reply::Done { outcome, .. } => outcome.as_deref().unwrap_or("done"),
            Reply::Again { .. } => "again",
            Reply::Unknown { .. } => "unknown",
            Reply::Later { .. } => "later",
            Reply::Refused { .. } => "refused",
            Reply::Gone { .. } => "gone",
        };
        format!("{} {} {} {word}", written(self.at), self.entity, self.step)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "given to `unwrap_or_else`")]
fn fail(error: Error) {
    panic!("the time cannot pass: {error}")
}

/// An instant, with an offset or with the zone in brackets.
fn instant(text: &str) -> Timestamp {
    hence_core::value::parse_time(text)
        .unwrap_or_else(|| panic!("`{text}` is no instant, such as `2026-03-02T09:00Z` or `2026-03-02T10:00[Europe/Oslo]`"))
}

/// To the minute, or to the second where that is not zero.
fn written(at: Timestamp) -> String {
    let form = if at.as_second() % 60 == 0 { "%Y-%m-%dT%H:%MZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    at.strftime(form).to_string()
}

/// Both lists in one, line by line; nothing when they are the same.
fn difference(expected: &[&str], found: &[String]) -> Option<String> {
    if expected.iter().eq(found.iter()) {
        return None;
    }
    let mut text = String::new();
    let mut line = |mark: &str, line: &str| writeln!(text, "  {mark} {line}").expect("a string can always be written to");
    let mut left = found.iter().peekable();
    for wanted in expected {
        // What comes before a line that is found further on is too much; a line that is nowhere ahead is missing.
        if left.clone().any(|found| found == wanted) {
            while let Some(found) = left.next_if(|found| found != wanted) {
                line("found, not expected:", found);
            }
            left.next();
            line("as expected:        ", wanted);
        } else {
            line("expected, not found:", wanted);
        }
    }
    left.for_each(|found| line("found, not expected:", found));
    Some(text)
}

#[cfg(test)]
mod tests {
    //! Goal: a failed assertion can be read. Method: lists in, text out.
    use super::*;

    #[test]
    fn lists_are_compared_line_by_line() {
        let found = ["b".to_owned(), "c".to_owned(), "d".to_owned()];
        assert_eq!(difference(&["b", "c", "d"], &found), None);
        let text = difference(&["a", "b", "d", "e"], &found).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let expected = [
            "expected, not found: a",
            "as expected:         b",
            "found, not expected: c",
            "as expected:         d",
            "expected, not found: e",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn instants_are_written_short_and_read_in_any_zone() {
        assert_eq!(written(instant("2026-03-02T10:00[Europe/Oslo]")), "2026-03-02T09:00Z");
        assert_eq!(written(instant("2026-03-02T09:00:01Z")), "2026-03-02T09:00:01Z");
    }
}
