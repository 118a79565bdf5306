//! Asking about one entity: what is ahead, what happened, and why. Lists over many entities are the store's own calls, page by page.

use std::fmt;

use hence_core::calendar::Zone;
use hence_core::carry_out;
use hence_core::name::{EntityKey, Name, TaskId};
use hence_core::plan::{self, PlanInput};
use hence_core::task::Task;
use hence_core::timeline::{EntitySnapshot, Timeline};
use hence_store::port::{HistoryFilter, HistoryOrder, HistoryRow, PageRequest, TaskView, UpcomingFilter};

use super::Client;
use crate::error::Error;

/// How many rows are read in one go.
const PAGE: usize = 500;

/// Why a step of an entity is ahead, happened, or is not ahead. Written out, it is a sentence and its reasons, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Because {
    /// The step, or the key of an ad-hoc task.
    pub step: Name,
    /// Its task; `None` when there is none.
    pub task: Option<TaskId>,
    /// What is.
    pub headline: String,
    /// Why, oldest first.
    pub reasons: Vec<String>,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)?;
        self.reasons.iter().try_for_each(|reason| write!(f, "\n  - {reason}"))
    }
}

impl Client {
    /// The tasks of an entity that are not final, by (due instant, id).
    ///
    /// For lists over many entities use [`Store::upcoming`](crate::Store::upcoming) of [`Client::store`], page by page.
    ///
    /// ```
    /// # use hence::jiff::SignedDuration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # let client = hence::Hence::builder().client().await?;
    /// let tomorrow = client.now().await? + SignedDuration::from_hours(24);
    /// client.schedule("order/7", "call_back", tomorrow, serde_json::json!({ "handler": "call" })).await?;
    /// let ahead = client.upcoming("order/7").await?;
    /// assert_eq!((ahead[0].step.as_str(), ahead[0].due_at), ("call_back", tomorrow));
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// The store cannot be read, or `entity` is none.
    pub async fn upcoming<E>(&self, entity: E) -> Result<Vec<Task>, Error>
    where
        E: TryInto<EntityKey>,
        Error: From<E::Error>,
    {
        let filter = UpcomingFilter { entity: Some(entity.try_into()?), ..UpcomingFilter::default() };
        let (mut page, mut found) = (PageRequest::first(PAGE), Vec::new());
        loop {
            let read = self.store().upcoming(&filter, page).await?;
            found.extend(read.items);
            match read.next {
                Some(after) => page = PageRequest { limit: PAGE, after: Some(after) },
                None => return Ok(found),
            }
        }
    }

    /// All that happened to an entity, oldest first, each with its reason.
    ///
    /// For lists over many entities use [`Store::history`](crate::Store::history) of [`Client::store`], page by page.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # let client = hence::Hence::builder().actor("billing").client().await?;
    /// client.event("account/42", "account.paid", serde_json::Value::Null).await?;
    /// let happened = client.history("account/42").await?;
    /// assert_eq!(happened[0].record.kind.as_str(), "event");
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// As [`Client::upcoming`].
    pub async fn history<E>(&self, entity: E) -> Result<Vec<HistoryRow>, Error>
    where
        E: TryInto<EntityKey>,
        Error: From<E::Error>,
    {
        let order = HistoryOrder::OldestFirst;
        let filter = HistoryFilter { entity: Some(entity.try_into()?), order, ..HistoryFilter::default() };
        let (mut page, mut found) = (PageRequest::first(PAGE), Vec::new());
        loop {
            let read = self.store().history(&filter, page).await?;
            found.extend(read.items);
            match read.next {
                Some(after) => page = PageRequest { limit: PAGE, after: Some(after) },
                None => return Ok(found),
            }
        }
    }

    /// Why each step of an entity is ahead, happened, or is not ahead; instants are said in UTC.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), hence::Error> {
    /// # let client = hence::Hence::builder().client().await?;
    /// let at = "2100-01-01T09:00:00Z".parse().expect("an instant");
    /// client.schedule("order/7", "call_back", at, serde_json::json!({ "handler": "call" })).await?;
    /// let why = client.why("order/7").await?;
    /// assert_eq!(why[0].headline, "call_back of order/7 is scheduled, due 2100-01-01T09:00:00Z");
    /// # Ok(())
    /// # }
    /// ```
    /// # Errors
    /// As [`Client::upcoming`].
    pub async fn why<E>(&self, entity: E) -> Result<Vec<Because>, Error>
    where
        E: TryInto<EntityKey>,
        Error: From<E::Error>,
    {
        let entity = entity.try_into()?;
        let snapshots = self.store().snapshots(std::slice::from_ref(&entity)).await?;
        let Some(snapshot) = snapshots.first() else { return Ok(Vec::new()) };
        let ended = snapshot.records.iter().filter(|record| record.kind.final_state().is_some()).filter_map(|record| record.task);
        let ids: Vec<TaskId> = ended.chain(snapshot.live.iter().map(|task| task.id)).collect();
        let mut answers = Vec::new();
        for id in ids {
            if let Some(view) = self.store().task(id).await? {
                let mut because = of_task(&view);
                if let Some(task) = &view.live {
                    let held_back = self.delays(task).await?;
                    because.reasons.extend(held_back.iter().map(|delay| format!("held back: {}", delay.sentence(&Zone::utc()))));
                }
                answers.push(because);
            }
        }
        for timeline in snapshot.timelines.iter().filter(|timeline| !carry_out::is_superseded(snapshot, timeline)) {
            for absent in self.absent(snapshot, timeline) {
                if !answers.iter().any(|other| other.step == absent.step) {
                    answers.push(absent);
                }
            }
        }
        Ok(answers)
    }

    /// The steps of a timeline that have no task ahead, with the planner's reasons.
    fn absent(&self, snapshot: &EntitySnapshot, timeline: &Timeline) -> Vec<Because> {
        let library = self.library();
        let Some(definition) = library.version(&timeline.definition) else { return Vec::new() };
        let planned = plan::plan(PlanInput {
            definition,
            timeline,
            facts: &carry_out::facts_of(timeline, &library),
            events: &carry_out::events_of(snapshot),
            ended: &carry_out::ended_of(snapshot, timeline.id),
            live: &carry_out::live_of(snapshot, timeline.id),
            is_superseded: false,
            cause: "",
        });
        let because = |absent: plan::Absent| Because {
            headline: format!("{} of {} is not ahead", absent.step, snapshot.entity),
            step: absent.step,
            task: None,
            reasons: vec![absent.reason.sentence(&Zone::utc())],
        };
        planned.absent.into_iter().map(because).collect()
    }
}

/// All that is stored of one task, as sentences.
fn of_task(view: &TaskView) -> Because {
    let (origin, zone) = (&view.origin, Zone::utc());
    let name = match origin.occurrence.as_str() {
        "" => format!("{} of {}", origin.step, origin.entity),
        occurrence => format!("{} ({occurrence}) of {}", origin.step, origin.entity),
    };
    let last = view.records.iter().rev().find(|row| row.record.kind.final_state().is_some());
    let headline = match (&view.live, last) {
        (Some(task), _) => format!("{name} is {}, due {}", task.state.as_str(), task.due_at),
        (None, Some(row)) => format!("{name} ended {} at {}", word(row), row.record.at),
        (None, None) => format!("{name} is gone"),
    };
    let planned = format!("planned {}: {}", origin.created_at, origin.reason.sentence(&zone));
    let happened = |row: &HistoryRow| format!("{} {}: {}", word(row), row.record.at, row.record.reason.sentence(&zone));
    let reasons = std::iter::once(planned).chain(view.records.iter().map(happened)).collect();
    Because { step: origin.step.clone(), task: Some(origin.id), headline, reasons }
}

fn word(row: &HistoryRow) -> &str {
    row.record.outcome.as_deref().unwrap_or(row.record.kind.as_str())
}
