//! The moment of firing: a task was started; is it delivered, skipped, expired or held?
//!
//! [`before_facts`] judges what needs no facts (the `late` and `before` rules), [`facts_needed`] says which groups must be read,
//! [`with_facts`] evaluates the condition and fills in what is sent. A condition that cannot be evaluated is tried again, never
//! taken for false. Leaves to others: reading facts, delivering, judging the answer (`answer`).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::answer::{Answer, Problem};
use crate::carry_out;
use crate::definition::{AdHoc, Definition, Destination, Late, LateRule, Step};
use crate::expression::{Context, Expression};
use crate::interpolation::Interpolation;
use crate::library::Library;
use crate::name::{EntityKey, Name};
use crate::plan::{self, EndedTask, PlanInput};
use crate::reason::Reason;
use crate::task::{AttemptEnd, Task};
use crate::timeline::{EntitySnapshot, Timeline};
use crate::value::{Facts, Value};

/// What a task is carried out by: a step of the definition that its timeline follows, or what an ad-hoc task brings along.
#[derive(Debug, Clone)]
pub struct Rules<'a> {
    /// The step.
    pub step: Cow<'a, Step>,
    /// The rule for a late start where the step has none.
    pub late: LateRule,
    /// The definition and the timeline; `None` for an ad-hoc task.
    pub timeline: Option<(&'a Definition, &'a Timeline)>,
    /// The `data` of an ad-hoc task.
    data: Option<serde_json::Value>,
}

impl<'a> Rules<'a> {
    /// The rules of a task of this entity.
    /// # Errors
    /// In words for people: what is not known, so that the task must wait for somebody who knows it.
    pub fn of(task: &Task, snapshot: &'a EntitySnapshot, library: &'a Library) -> Result<Self, String> {
        let Some(id) = task.timeline else { return Self::ad_hoc(task) };
        let timeline = snapshot.timeline(id).ok_or_else(|| format!("{id} is not stored"))?;
        let Some(definition) = library.version(&timeline.definition) else {
            return Err(format!("this engine does not know version {} of `{}`", timeline.definition.short(), timeline.name));
        };
        let step = definition.step(&task.step).ok_or_else(|| format!("`{}` has no step `{}`", timeline.name, task.step))?;
        Ok(Self { step: Cow::Borrowed(step), late: definition.late.clone(), timeline: Some((definition, timeline)), data: None })
    }

    fn ad_hoc(task: &Task) -> Result<Self, String> {
        let action = task.action.as_ref().ok_or("what it does was erased")?;
        let told = AdHoc::read(&task.step, action).map_err(|problems| {
            let first = problems.first().map_or_else(String::new, |problem| problem.message.clone());
            format!("this engine cannot read what it does: {first}")
        })?;
        Ok(Self { step: Cow::Owned(told.step), late: told.late, timeline: None, data: Some(told.data) })
    }
}

/// What is stored of a task's timeline and matters when it fires; nothing for an ad-hoc task.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The facts that were told or read before.
    pub facts: Facts,
    /// The timeline's tasks that are final.
    ended: Vec<EndedTask>,
    /// The timeline's tasks that are not.
    live: Vec<Task>,
    /// The timeline's anchor with every shift, where it is known.
    anchor_at: Option<Timestamp>,
}

impl Known {
    /// What is stored.
    pub fn of(rules: &Rules<'_>, snapshot: &EntitySnapshot, library: &Library) -> Self {
        let Some((definition, timeline)) = rules.timeline else { return Self::default() };
        let facts = carry_out::facts_of(timeline, library);
        let (ended, live) = (carry_out::ended_of(snapshot, timeline.id), carry_out::live_of(snapshot, timeline.id));
        let events = carry_out::events_of(snapshot);
        let anchor_at = plan::anchor_of(PlanInput {
            definition,
            timeline,
            facts: &facts,
            events: &events,
            ended: &ended,
            live: &live,
            is_superseded: carry_out::is_superseded(snapshot, timeline),
            cause: "",
        });
        Self { facts, ended, live, anchor_at }
    }
}

/// What a started task is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Firing<'a> {
    /// What it is carried out by.
    pub rules: &'a Rules<'a>,
    /// What is stored of its timeline.
    pub known: &'a Known,
    /// The task, running.
    pub task: &'a Task,
    /// The clock.
    pub now: Timestamp,
}

/// What is sent, with everything filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Where it goes.
    pub to: Rendered,
    /// The facts seen and the step's `data`, as a JSON object.
    pub payload: serde_json::Value,
    /// The facts that decided, by path.
    pub facts: BTreeMap<String, serde_json::Value>,
    /// The condition that held.
    pub when: Option<String>,
    /// How long it may take.
    pub timeout: SignedDuration,
}

/// A destination with its texts filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    /// A mail.
    Email {
        /// The template's name.
        template: String,
        /// The recipients.
        to: String,
        /// Instead of the template's subject.
        subject: Option<String>,
    },
    /// A POST.
    Webhook {
        /// The target's name.
        target: String,
        /// The path.
        path: String,
    },
    /// A function of the program.
    Handler {
        /// Its name.
        name: String,
    },
    /// A line in the log.
    Log {
        /// The line.
        message: String,
    },
    /// A message to a broker.
    Broker {
        /// The kind of broker.
        kind: String,
        /// The target's name.
        target: String,
        /// Routing key, queue or subject.
        key: String,
    },
}

impl std::fmt::Display for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Rendered::Email { template, to, .. } => write!(f, "mail `{template}` to {to}"),
            Rendered::Webhook { target, path } => write!(f, "webhook {target}{path}"),
            Rendered::Handler { name } => write!(f, "handler {name}"),
            Rendered::Log { message } => write!(f, "log: {message}"),
            Rendered::Broker { kind, target, key } => write!(f, "{kind} {target} {key}"),
        }
    }
}

/// What to do with a started task once its facts are known.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Deliver this.
    Deliver(Box<Delivery>),
    /// It ends without a delivery.
    End(AttemptEnd),
    /// What it needs cannot be known now: to be judged like a delivery that failed.
    CannotTell(Answer),
}

/// How a started task ends without looking at facts, if it does.
///
/// Lateness is judged at the first attempt only: a retry, or what a person released, is not late by its own waiting. An attempt that died
/// with its engine does not count: nobody knows that it reached anybody.
pub fn before_facts(firing: Firing<'_>) -> Option<AttemptEnd> {
    let (step, known) = (&firing.rules.step, firing.known);
    let has_passed = |before| plan::passed(before, &known.ended, &known.live).or_else(|| is_overtaken(firing, before));
    if let Some(reason) = step.before.as_ref().and_then(has_passed) {
        return Some(AttemptEnd::Skipped { reason });
    }
    let rule = step.late.as_ref().unwrap_or(&firing.rules.late);
    let late_from = firing.task.due_at.saturating_add(rule.after).unwrap_or(Timestamp::MAX);
    if firing.task.attempt.saturating_sub(firing.task.takeovers) > 1 || firing.now <= late_from {
        return None;
    }
    let reason = || Reason::Late { due_at: firing.task.due_at, rule: late_in_words(rule) };
    match rule.then {
        Late::Run => None,
        Late::Skip => Some(AttemptEnd::Expired { reason: reason() }),
        Late::Hold => Some(AttemptEnd::Held { reason: reason() }),
    }
}

/// Whether the instant has come of the step that the task must come before, such as while no engine ran: what it announces happens next.
fn is_overtaken(firing: Firing<'_>, before: &Name) -> Option<Reason> {
    let is_next = |task: &&Task| &task.step == before && firing.task.due_at < task.due_at && task.due_at <= firing.now;
    let next = firing.known.live.iter().filter(is_next).min_by_key(|task| task.due_at)?;
    Some(Reason::Before { step: before.to_string(), how: "was due".to_owned(), at: next.due_at })
}

/// The fact groups that the step's condition and texts look at.
pub fn facts_needed(step: &Step) -> BTreeSet<String> {
    let mut names: Vec<String> = step.when.iter().flat_map(crate::expression::Expression::names).collect();
    names.extend(texts(step).flat_map(Interpolation::names));
    names.iter().filter_map(|name| name.split_once('.')).map(|(group, _)| group.to_owned()).collect()
}

/// Whether the condition holds by these facts, and if so what is sent.
pub fn with_facts(firing: Firing<'_>, facts: &Facts) -> Decision {
    let context = context_of(firing, facts);
    if let Some(when) = &firing.rules.step.when {
        let seen = deciding(when, &context, facts);
        match when.evaluate(&context) {
            Ok(Value::Bool(true)) => {}
            Ok(Value::Bool(false)) => {
                let reason = Reason::Condition { when: when.to_string(), facts: seen };
                return Decision::End(AttemptEnd::Skipped { reason });
            }
            Ok(other) => return cannot_tell(&format!("`{when}` is {other:?}, not true or false")),
            Err(error) => return cannot_tell(&format!("`{when}` cannot be evaluated: {error}")),
        }
    }
    match delivery(firing, facts, &context) {
        Ok(delivery) => Decision::Deliver(Box::new(delivery)),
        Err(problem) => cannot_tell(&problem),
    }
}

fn cannot_tell(problem: &str) -> Decision {
    let message = problem.chars().take(512).collect();
    Decision::CannotTell(Answer::Again { after: None, problem: Problem { code: "cannot-tell".to_owned(), message } })
}

/// The facts that decide a condition, with their values: of `a || b` that is true because of `a`, only those of `a`.
fn deciding(when: &Expression, context: &Context, facts: &Facts) -> BTreeMap<String, serde_json::Value> {
    let seen = when.deciding(context).into_iter().filter(|(name, _)| facts.get(name).is_some());
    seen.map(|(name, value)| (name, value.to_json())).collect()
}

/// The names that expressions may use when a task fires.
fn context_of(firing: Firing<'_>, facts: &Facts) -> Context {
    let anchor = firing.known.anchor_at.map_or(Value::Null, Value::Time);
    Context::new()
        .with_facts(facts)
        .with("now", Value::Time(firing.now))
        .with("due", Value::Time(firing.task.due_at))
        .with("anchor", anchor)
        .with("attempt", Value::Int(i64::from(firing.task.attempt)))
        .with("entity", Value::String(firing.task.entity.id().to_owned()))
}

fn delivery(firing: Firing<'_>, facts: &Facts, context: &Context) -> Result<Delivery, String> {
    let render = |text: &Interpolation| text.render(context).map_err(|error| format!("`{text}` cannot be filled in: {error}"));
    let step = &firing.rules.step;
    let to = match &step.action.to {
        Destination::Email { template, to, subject } => Rendered::Email {
            template: template.to_string(),
            to: render(to)?,
            subject: subject.as_ref().map(render).transpose()?,
        },
        Destination::Webhook { target, path } => {
            let path = path.render_path(context).map_err(|error| format!("`{path}` cannot be filled in: {error}"))?;
            Rendered::Webhook { target: target.to_string(), path }
        }
        Destination::Handler { name } => Rendered::Handler { name: name.to_string() },
        Destination::Log { message } => Rendered::Log { message: render(message)? },
        Destination::Broker { broker, target, key } => {
            Rendered::Broker { kind: broker.as_str().to_owned(), target: target.to_string(), key: render(key)? }
        }
    };
    let data = match &firing.rules.data {
        Some(data) => data.clone(),
        None => {
            let mut data = serde_json::Map::new();
            for (key, text) in &step.action.data {
                data.insert(key.clone(), serde_json::Value::String(render(text)?));
            }
            serde_json::Value::Object(data)
        }
    };
    let when = step.when.as_ref();
    let mut seen = when.map(|when| deciding(when, context, facts)).unwrap_or_default();
    for name in texts(step).flat_map(Interpolation::names) {
        if let Some(value) = facts.get(&name) {
            seen.insert(name, value.to_json());
        }
    }
    Ok(Delivery {
        to,
        payload: payload(firing, facts, &data),
        facts: seen,
        when: when.map(ToString::to_string),
        timeout: step.action.timeout,
    })
}

/// The body of a delivery: whom, what, when, the facts of the groups that the step looks at, and its own data.
fn payload(firing: Firing<'_>, facts: &Facts, data: &serde_json::Value) -> serde_json::Value {
    let step = &firing.rules.step;
    let needed = facts_needed(step);
    let seen: serde_json::Map<String, serde_json::Value> = facts
        .iter()
        .filter(|(group, _)| needed.contains(*group))
        .map(|(group, fields)| {
            let fields = fields.iter().map(|(field, value)| (field.clone(), value.to_json())).collect();
            (group.to_owned(), serde_json::Value::Object(fields))
        })
        .collect();
    serde_json::json!({
        "entity": entity_json(&firing.task.entity),
        "timeline": firing.rules.timeline.map(|(definition, _)| definition.name.as_str()),
        "step": step.name.as_str(),
        "occurrence": firing.task.occurrence,
        "due_at": firing.task.due_at.to_string(),
        "facts": seen,
        "data": data,
    })
}

/// What every payload of a step has, without values: the fields of the fact groups that the step looks at are null, its data too.
pub fn payload_form(definition: &Definition, step: &Step) -> serde_json::Value {
    let needed = facts_needed(step);
    let nulls = |names: Vec<&str>| {
        let fields = names.into_iter().map(|name| (name.to_owned(), serde_json::Value::Null)).collect();
        serde_json::Value::Object(fields)
    };
    let groups = definition.facts.iter().filter(|(name, _)| needed.contains(name.as_str()));
    let facts: serde_json::Map<String, serde_json::Value> = groups
        .map(|(name, group)| (name.to_string(), nulls(group.fields.keys().map(|field| field.as_str()).collect())))
        .collect();
    serde_json::json!({
        "entity": { "type": null, "id": null },
        "timeline": null,
        "step": null,
        "occurrence": null,
        "due_at": null,
        "facts": facts,
        "data": nulls(step.action.data.keys().map(String::as_str).collect()),
    })
}

fn entity_json(entity: &EntityKey) -> serde_json::Value {
    serde_json::json!({ "type": entity.kind().as_str(), "id": entity.id() })
}

/// Every text of the step's action that is filled in.
fn texts(step: &Step) -> impl Iterator<Item = &Interpolation> {
    let address: Vec<&Interpolation> = match &step.action.to {
        Destination::Email { to, subject, .. } => std::iter::once(to).chain(subject).collect(),
        Destination::Webhook { path, .. } => vec![path],
        Destination::Log { message } => vec![message],
        Destination::Broker { key, .. } => vec![key],
        Destination::Handler { .. } => Vec::new(),
    };
    address.into_iter().chain(step.action.data.values())
}

fn late_in_words(rule: &LateRule) -> String {
    let then = match rule.then {
        Late::Run => "run",
        Late::Skip => "skip",
        Late::Hold => "hold",
    };
    format!("more than {:#} late: {then}", rule.after)
}
