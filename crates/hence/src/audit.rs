//! The audit: the batch job kept as a safety net. It asks the truth who should be enrolled, compares, and heals.
//!
//! Owns the comparison and the instants at which the engine makes it. Whatever it heals goes the one way: a missing entity is told as
//! an enrolment, a timeline whose tasks are gone is planned again by telling that nothing new is known, a surplus one has its waiting
//! tasks cancelled. So everything it does stands in history, with the actor `audit`. What it only finds is in its report and the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hence_core::carry_out;
use hence_core::definition::{AuditRule, Definition};
use hence_core::library::Library;
use hence_core::name::{EntityKey, Name, TaskId};
use hence_core::timeline::{EntitySnapshot, TimelineStatus};
use hence_store::port::{PageRequest, UpcomingFilter};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Enrolment, Telling, Told};
use crate::error::Error;
use crate::facts::Row;
use crate::host::Spawned;

/// Entities that are compared at once.
const PAGE: usize = 500;
/// The most findings that a report lists; all of them are counted and healed.
const LISTED_MAX: usize = 1000;
/// Surplus entities are cancelled only as long as they are no more than this, or than one in ten of those with something ahead:
/// a statement that was changed by mistake must not cancel everybody in one night.
const EXTRA_MAX: usize = 20;
const EXTRA_SHARE: usize = 10;
/// Who was enrolled while the audit is made, or this long before, is no surplus: whoever enrols may commit its own row a little later.
const NEW: SignedDuration = SignedDuration::from_mins(5);
/// The most pages of the inbox that are carried out before an audit; the engine carries out the rest.
const SETTLED_MAX: usize = 20;
/// When an audit that could not be made is tried again.
const AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// What an audit found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AuditReport {
    /// Which timeline.
    pub timeline: Name,
    /// When it was compared.
    pub at: Timestamp,
    /// How many entities should be enrolled.
    pub expected: usize,
    /// How many findings there are of each kind.
    pub counts: BTreeMap<FindingKind, usize>,
    /// The first of them, 1,000 at most.
    pub findings: Vec<Finding>,
}

/// One difference between what should be and what is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// Whom it is about.
    pub entity: EntityKey,
    /// What differs.
    pub kind: FindingKind,
    /// What was done about it.
    pub result: Healing,
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// It should be enrolled and never was, or nothing of it is stored any more.
    Missing,
    /// It is enrolled, and tasks that should be waiting are not there.
    TasksMissing,
    /// Something is ahead for it, and it is not among those that should be enrolled.
    Extra,
}

impl FindingKind {
    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::Missing => "not enrolled",
            FindingKind::TasksMissing => "tasks missing",
            FindingKind::Extra => "not expected",
        }
    }
}

/// What was done about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healing {
    /// Nothing: the definition says to report it, or the caller only wanted to know.
    Reported,
    /// It was enrolled, planned again, or cancelled.
    Healed,
    /// It was tried, and this is why not.
    NotHealed(String),
}

/// Whether an audit heals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditMode {
    /// As the definition says: `missing = "enrol"`, `extra = "cancel"`.
    Heal,
    /// Only says what it finds.
    Look,
}

impl Client {
    /// Compares the entities of a timeline with those that its `[audit]` expects, and heals what the definition says is to be healed.
    ///
    /// Missing tasks of an enrolled entity are planned again in every case: that changes nothing but what the definition wants.
    /// Doing it twice finds nothing the second time, but for what is only reported.
    /// # Errors
    /// [`Error::Refused`] with HNC-0313: the timeline has no `[audit]`, or the statement cannot be read; or the store fails.
    pub async fn audit(&self, timeline: &Name, mode: AuditMode) -> Result<AuditReport, Error> {
        self.audit_until(timeline, mode, &CancellationToken::new()).await
    }

    /// As `audit`; ends between two pages once `stop` is cancelled, with what was found until then.
    async fn audit_until(&self, timeline: &Name, mode: AuditMode, stop: &CancellationToken) -> Result<AuditReport, Error> {
        self.reload().await?;
        let library = self.library();
        let definition = library.current(timeline).cloned();
        let definition = definition.ok_or_else(|| refused(format!("timeline `{timeline}` is not defined")))?;
        let rule = definition.audit.clone().ok_or_else(|| refused(format!("timeline `{timeline}` has no `[audit]`")))?;
        // What the inbox holds is carried out first: it is what should be.
        for _ in 0..SETTLED_MAX {
            if stop.is_cancelled() || self.settle(PAGE).await? == 0 {
                break;
            }
        }
        let began_at = self.now().await?;
        let expected = self.expected(&definition, &rule).await?;
        let report = AuditReport {
            timeline: timeline.clone(),
            at: began_at,
            expected: expected.len(),
            counts: BTreeMap::new(),
            findings: Vec::new(),
        };
        let mut audit = Audit { client: self, definition: &definition, rule: &rule, library, mode, report };
        let keys: Vec<&EntityKey> = expected.keys().collect();
        for page in keys.chunks(PAGE) {
            if stop.is_cancelled() {
                return Ok(audit.report);
            }
            let page: Vec<EntityKey> = page.iter().map(|key| (*key).clone()).collect();
            for snapshot in self.store().snapshots(&page).await? {
                let given = expected.get(&snapshot.entity).cloned().unwrap_or_default();
                audit.look_at(&snapshot, given).await?;
            }
        }
        audit.surplus(&expected, stop).await?;
        Ok(audit.report)
    }

    /// Who should be enrolled, each with the instants that are given.
    async fn expected(
        &self,
        definition: &Definition,
        rule: &AuditRule,
    ) -> Result<BTreeMap<EntityKey, BTreeMap<Name, Timestamp>>, Error> {
        let rows = self.readers().rows(rule.source.as_str(), &rule.expect).await;
        let rows = rows.map_err(|problem| refused(format!("the audit of `{}` cannot be made: {problem}", definition.name)))?;
        let mut expected = BTreeMap::new();
        for row in rows {
            let (entity, given) = read(definition, &row)
                .map_err(|problem| refused(format!("the audit of `{}` cannot use a row: {problem}", definition.name)))?;
            expected.insert(entity, given);
        }
        Ok(expected)
    }
}

/// One audit under way.
struct Audit<'a> {
    client: &'a Client,
    definition: &'a Arc<Definition>,
    rule: &'a AuditRule,
    library: Arc<Library>,
    mode: AuditMode,
    report: AuditReport,
}

impl Audit<'_> {
    async fn look_at(&mut self, snapshot: &EntitySnapshot, given: BTreeMap<Name, Timestamp>) -> Result<(), Error> {
        let entity = &snapshot.entity;
        let Some(timeline) = snapshot.timelines.iter().rfind(|timeline| timeline.name == self.definition.name) else {
            // It should have been enrolled when its story began, so that whatever was told since then counts.
            let began_at = given.values().min().copied().unwrap_or(self.report.at).min(self.report.at);
            let mut enrolment = Enrolment::new(self.definition.name.clone(), entity.clone());
            enrolment.given = given;
            let is_wanted = self.rule.missing_enrol;
            return self.found((entity, FindingKind::Missing), is_wanted, Telling::enrol(enrolment).at(began_at)).await;
        };
        if timeline.status == TimelineStatus::Active && self.lacks_tasks(snapshot) {
            let again = Telling::facts(entity.clone(), json!({}));
            return self.found((entity, FindingKind::TasksMissing), true, again).await;
        }
        Ok(())
    }

    /// Whether planning the entity anew would make tasks that are not there.
    fn lacks_tasks(&self, snapshot: &EntitySnapshot) -> bool {
        let carried = carry_out::carry_out(snapshot, &[], &Value::Null, &self.library, self.report.at);
        !carried.changes.created.is_empty()
    }

    async fn found(&mut self, (entity, kind): (&EntityKey, FindingKind), is_wanted: bool, cure: Telling) -> Result<(), Error> {
        let result = if !is_wanted || self.mode == AuditMode::Look {
            Healing::Reported
        } else if !self.client.store().wishes_of(entity).await?.is_empty() {
            // Whatever keeps that from being carried out would keep another wish from it too.
            Healing::NotHealed("something that was told of it waits to be carried out".to_owned())
        } else {
            match self.client.tell(cure).await? {
                Told::Refused { code, problem } => Healing::NotHealed(format!("{code}: {problem}")),
                Told::Accepted(not_yet) => Healing::NotHealed(format!("it waits to be carried out: {not_yet}")),
                _ => Healing::Healed,
            }
        };
        self.add(entity, kind, result);
        Ok(())
    }

    /// Entities with something ahead that are not expected, and were not enrolled since it was asked who is.
    async fn surplus(
        &mut self,
        expected: &BTreeMap<EntityKey, BTreeMap<Name, Timestamp>>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let new_from = self.report.at.saturating_sub(NEW).unwrap_or(Timestamp::MIN);
        let mut new: BTreeSet<EntityKey> = BTreeSet::new();
        let filter = UpcomingFilter { timeline: Some(self.definition.name.clone()), ..UpcomingFilter::default() };
        let mut page = PageRequest::first(PAGE);
        let mut ahead: BTreeSet<EntityKey> = BTreeSet::new();
        let mut surplus: BTreeMap<EntityKey, Vec<TaskId>> = BTreeMap::new();
        loop {
            if stop.is_cancelled() {
                return Ok(());
            }
            let found = self.client.store().upcoming(&filter, page.clone()).await?;
            for task in found.items {
                if task.created_at >= new_from {
                    new.insert(task.entity.clone());
                }
                if !expected.contains_key(&task.entity) {
                    surplus.entry(task.entity.clone()).or_default().push(task.id);
                }
                ahead.insert(task.entity);
            }
            page.after = found.next;
            if page.after.is_none() {
                break;
            }
        }
        surplus.retain(|entity, _| !new.contains(entity));
        let is_wanted = self.rule.extra_cancel && self.mode == AuditMode::Heal;
        let is_too_many = surplus.len() > EXTRA_MAX.max(ahead.len() / EXTRA_SHARE);
        for (entity, tasks) in surplus {
            let result = if !is_wanted {
                Healing::Reported
            } else if is_too_many {
                Healing::NotHealed("too many to be cancelled without a person".to_owned())
            } else {
                for task in tasks {
                    self.client.cancel(task, "not among those that should be enrolled").await?;
                }
                Healing::Healed
            };
            self.add(&entity, FindingKind::Extra, result);
        }
        Ok(())
    }

    fn add(&mut self, entity: &EntityKey, kind: FindingKind, result: Healing) {
        *self.report.counts.entry(kind).or_default() += 1;
        if self.report.findings.len() < LISTED_MAX {
            self.report.findings.push(Finding { entity: entity.clone(), kind, result });
        }
    }
}

/// A row as an entity and its instants: the id is the first column, the instants are the columns of their names.
fn read(definition: &Definition, row: &Row) -> Result<(EntityKey, BTreeMap<Name, Timestamp>), String> {
    let id = match row.first() {
        Some((_, Value::String(id))) => id.clone(),
        Some((_, Value::Number(id))) => id.to_string(),
        Some((name, _)) => return Err(format!("`{name}`, the first column, must be the entity's id")),
        None => return Err("it has no columns".to_owned()),
    };
    let entity = EntityKey::new(definition.entity.clone(), &id).map_err(|error| error.to_string())?;
    let mut given = BTreeMap::new();
    for name in definition.given_instants() {
        let value = row.iter().find(|(column, _)| column == name.as_str()).map(|(_, value)| value);
        let Some(Value::String(text)) = value else { return Err(format!("{entity} has no column `{name}` with an instant")) };
        let at = text.parse().map_err(|_| format!("`{name}` of {entity} is `{text}`, which is no instant"))?;
        given.insert(name.clone(), at);
    }
    Ok((entity, given))
}

fn refused(problem: String) -> Error {
    Error::Refused { code: "HNC-0313", problem }
}

/// When the engine audits what: at its start, and then as often as each definition says.
///
/// Beside the engine, so that nothing waits for a long comparison; under a virtual clock within it, so that the clock waits.
pub(crate) struct Audits {
    next_at: BTreeMap<Name, Timestamp>,
    under_way: BTreeMap<Name, Spawned>,
    // Bounded by the definitions: of each there is one audit at a time.
    ended: mpsc::UnboundedReceiver<Ended>,
    reports: mpsc::UnboundedSender<Ended>,
    stop: CancellationToken,
}

/// An audit that ended; without a result if it broke.
struct Ended {
    timeline: Name,
    result: Option<Result<AuditReport, Error>>,
}

/// Reports when it is dropped, so that an audit that panics is reported too.
struct Reporter {
    ended: Option<Ended>,
    reports: mpsc::UnboundedSender<Ended>,
}

impl Reporter {
    fn came_to(&mut self, ended: Ended) {
        self.ended = Some(ended);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            // Nobody listens any more once the engine has ended.
            let _ = self.reports.send(ended);
        }
    }
}

impl Audits {
    pub(crate) fn new() -> Self {
        let (reports, ended) = mpsc::unbounded_channel();
        Self { next_at: BTreeMap::new(), under_way: BTreeMap::new(), ended, reports, stop: CancellationToken::new() }
    }

    /// Begins the audits that are due at `now`. One that cannot be made is tried again a little later.
    pub(crate) async fn run_due(&mut self, engine: &Client, now: Timestamp) -> Result<(), Error> {
        while let Ok(ended) = self.ended.try_recv() {
            self.take(&ended, now);
        }
        let rules: Vec<(Name, SignedDuration)> = engine
            .library()
            .all_current()
            .filter_map(|definition| Some((definition.name.clone(), definition.audit.as_ref()?.every)))
            .collect();
        self.next_at.retain(|name, _| rules.iter().any(|(known, _)| known == name));
        for (name, every) in rules {
            let is_due = self.next_at.get(&name).is_none_or(|next_at| *next_at <= now);
            if !is_due || self.under_way.contains_key(&name) {
                continue;
            }
            self.begin(engine, name.clone()).await?;
            self.next_at.insert(name, now.saturating_add(every).unwrap_or(Timestamp::MAX));
            if engine.clock().read().await?.target.is_some() {
                self.join(now).await;
            }
        }
        Ok(())
    }

    /// When the next one is due; a virtual clock stops there too.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.next_at.values().min().copied()
    }

    /// Lets those under way end at their next page, and waits for that.
    pub(crate) async fn end(&mut self, now: Timestamp) {
        self.stop.cancel();
        self.join(now).await;
    }

    async fn begin(&mut self, engine: &Client, timeline: Name) -> Result<(), Error> {
        let client = engine.acting_as("audit").await?;
        let stop = self.stop.clone();
        let name = timeline.clone();
        let ended = Ended { timeline: timeline.clone(), result: None };
        let mut reporter = Reporter { ended: Some(ended), reports: self.reports.clone() };
        let work = async move {
            let result = client.audit_until(&name, AuditMode::Heal, &stop).await;
            reporter.came_to(Ended { timeline: name, result: Some(result) });
        };
        self.under_way.insert(timeline, engine.host().spawn(Box::pin(work)));
        Ok(())
    }

    async fn join(&mut self, now: Timestamp) {
        while !self.under_way.is_empty() {
            // This end of the channel is held here, so it never closes.
            let Some(ended) = self.ended.recv().await else { return };
            self.take(&ended, now);
        }
    }

    fn take(&mut self, ended: &Ended, now: Timestamp) {
        self.under_way.remove(&ended.timeline);
        let problem = match &ended.result {
            Some(Ok(report)) => return log(report),
            Some(Err(error)) => error.to_string(),
            None => "it broke".to_owned(),
        };
        tracing::warn!(timeline = %ended.timeline, problem, "an audit could not be made");
        let again_at = now.saturating_add(AGAIN).unwrap_or(Timestamp::MAX);
        let next_at = self.next_at.entry(ended.timeline.clone()).or_insert(again_at);
        *next_at = again_at.min(*next_at);
    }
}

fn log(report: &AuditReport) {
    for finding in &report.findings {
        let (entity, found, result) = (&finding.entity, finding.kind.as_str(), &finding.result);
        tracing::warn!(timeline = %report.timeline, %entity, found, ?result, "the audit found a difference");
    }
}
