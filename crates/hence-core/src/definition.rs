//! The definition: the user's document that says which tasks exist, as a model that is already checked.
//!
//! Owns the types of every key of the format. A value of [`Definition`] has passed every check that can be made without facts:
//! names refer to what exists, expressions are typed, rules can be computed. Leaves to others: reading documents (`format`),
//! judging them (`check`, `lint`), what follows from a definition (`plan`).

mod canonical;
mod check;
mod codes;
mod document;
mod format;
mod lint;
mod schema;
mod scope;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::calendar::{Calendar, Offset, TimeOfDay, Zone};
use crate::diagnostic::Diagnostic;
use crate::expression::Expression;
use crate::interpolation::Interpolation;
use crate::name::{DefinitionHash, EventName, Name};
use crate::recurrence::Recurrence;
use crate::value::{FactTypes, FieldType};

pub use codes::CODES;
pub use schema::json_schema;

/// A definition that can be used, and what is odd about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The definition.
    pub definition: Definition,
    /// What is allowed but probably not meant, in the order of the document.
    pub warnings: Vec<Diagnostic>,
}

/// One version of a user's document.
#[derive(Debug, Clone)]
pub struct Definition {
    /// SHA-256 of the normalised document: equal for documents that differ in comments, order of keys and spelling of durations only.
    pub hash: DefinitionHash,
    /// `timeline.name`: enrolments name it.
    pub name: Name,
    /// `timeline.entity`: the type of entity it is for.
    pub entity: Name,
    /// `timeline.about`: a sentence for people; may be empty.
    pub about: String,
    /// `timeline.anchor`: day 0.
    pub anchor: Anchor,
    /// `timeline.zone`: the zone that calendar days and times of day are counted in.
    pub zone: ZoneRule,
    /// `timeline.again`: what a second enrolment means.
    pub again: Again,
    /// `timeline.late`: the rule of steps that have none of their own.
    pub late: LateRule,
    /// `[facts.*]` by group.
    pub facts: BTreeMap<Name, FactGroup>,
    /// `[let]`: conditions named once, in an order in which each uses earlier ones only; already expanded in the steps' conditions.
    pub lets: Vec<(Name, Expression)>,
    /// `[step.*]` in the order of the document.
    pub steps: Vec<Step>,
    /// `[on."…"]` by event.
    pub on: BTreeMap<EventName, Reaction>,
    /// `[change]`: how waiting entities follow a new version.
    pub change: ChangeRule,
    /// `[audit]`: the batch job kept as a safety net.
    pub audit: Option<AuditRule>,
    /// `[[test]]` in the order of the document.
    pub tests: Vec<Example>,
}

impl Definition {
    /// Reads and checks a document: TOML as `docs/reference/definition.md` describes it.
    ///
    /// ```
    /// use hence_core::definition::Definition;
    /// let source = r#"
    ///     [timeline]
    ///     name = "greeting"
    ///     entity = "account"
    ///     anchor = "created_at"
    ///     [step.greet]
    ///     due = "1 day"
    ///     do = { log = "hello {entity}" }
    /// "#;
    /// let loaded = Definition::load(source).unwrap();
    /// assert_eq!(loaded.definition.steps.len(), 1);
    /// let problems = Definition::load(&source.replace("due", "deu")).unwrap_err();
    /// assert_eq!(problems[0].help, "did you mean `due`?");
    /// ```
    /// # Errors
    /// Every problem of the document that can be seen without facts, in the order of their places; never an empty list.
    pub fn load(source: &str) -> Result<Loaded, Vec<Diagnostic>> {
        format::load(source)
    }

    /// The step of that name.
    pub fn step(&self, name: &Name) -> Option<&Step> {
        self.steps.iter().find(|step| &step.name == name)
    }

    /// The declared type of every field, by group.
    pub fn fact_types(&self) -> FactTypes {
        let types = |group: &FactGroup| group.fields.iter().map(|(field, kind)| (field.to_string(), *kind)).collect();
        self.facts.iter().map(|(name, group)| (name.to_string(), types(group))).collect()
    }

    /// The names of instants that an enrolment must give: every anchor that is not a fact.
    pub fn given_instants(&self) -> Vec<&Name> {
        let steps = self.steps.iter().filter_map(|step| match &step.trigger {
            Trigger::Anchor(Some(Anchor::Given(name))) => Some(name),
            Trigger::Anchor(_) | Trigger::After { .. } => None,
        });
        let own = match &self.anchor {
            Anchor::Given(name) => Some(name),
            Anchor::Fact(_) => None,
        };
        let mut names: Vec<&Name> = own.into_iter().chain(steps).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// A field of a fact group, written `account.paid_at`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FactPath {
    /// The group, such as `account`.
    pub group: Name,
    /// The field within it, such as `paid_at`.
    pub field: Name,
}

impl std::fmt::Display for FactPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.group, self.field)
    }
}

/// Where day 0 comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// An instant that the enrolment gives under this name.
    Given(Name),
    /// A field of type `time`: when it moves, what is pending moves.
    Fact(FactPath),
}

/// `zone = "UTC"` or `zone = { from = "account.timezone", else = "UTC" }`.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneRule {
    /// The field of type `string` that holds an IANA name.
    pub from: Option<FactPath>,
    /// The zone where the field is null or names no zone.
    pub otherwise: Zone,
}

/// What a second enrolment of the same entity means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Nothing changes.
    Ignore,
    /// What is pending is cancelled and a new run begins.
    Restart,
    /// The call is refused.
    Error,
}

/// What to do with a task whose start comes later than it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateRule {
    /// How much later than due is late; zero or more.
    pub after: SignedDuration,
    /// What happens to a late task.
    pub then: Late,
}

/// The three ways to treat a late task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// Run it all the same.
    Run,
    /// Do not run it: it ends `expired`.
    Skip,
    /// A person decides: it becomes `held`.
    Hold,
}

/// `[facts.NAME]`: what is known of an entity, pushed by the caller or read when a step fires.
#[derive(Debug, Clone)]
pub struct FactGroup {
    /// Where the engine reads them; `None` when the caller pushes them.
    pub source: Option<FactSource>,
    /// How long one reading may take.
    pub timeout: SignedDuration,
    /// The declared fields.
    pub fields: BTreeMap<Name, FieldType>,
}

/// Where facts are read.
#[derive(Debug, Clone)]
pub enum FactSource {
    /// A statement on a database named in the server's configuration; `$1` is the entity's id; one row or none.
    Sql {
        /// The database's name in the configuration.
        source: Name,
        /// The statement.
        sql: String,
    },
    /// A GET on a target named in the server's configuration that answers a JSON object.
    Http {
        /// The target's name in the configuration.
        target: Name,
        /// The path below the target's address.
        path: Interpolation,
    },
}

/// `[step.NAME]`: one kind of task.
#[derive(Debug, Clone)]
pub struct Step {
    /// The step's name, unique in the document.
    pub name: Name,
    /// A sentence for people; may be empty.
    pub about: String,
    /// What it hangs from.
    pub trigger: Trigger,
    /// `due`: how far from the trigger; zero when not given.
    pub due: Offset,
    /// `at`: local time on that day.
    pub at: Option<TimeOfDay>,
    /// `open`: only then; else the next open moment.
    pub open: Option<Calendar>,
    /// `before`: never later than this step is due, and never after it was started.
    pub before: Option<Name>,
    /// `spread`: moved later by a part of this that is stable for the entity.
    pub spread: Option<SignedDuration>,
    /// `repeat`, `cron` or `rrule`.
    pub recurrence: Option<Recurrence>,
    /// `when`: the condition, a boolean, with lets expanded.
    pub when: Option<Expression>,
    /// `do`: what is delivered.
    pub action: Action,
    /// `says`: the outcomes beyond `done` that the receiver may answer.
    pub says: Vec<Name>,
    /// `retry`: how failed attempts are repeated.
    pub retry: RetryPolicy,
    /// `late`: its own rule, else the timeline's.
    pub late: Option<LateRule>,
    /// `delivery`: what an unknown outcome means.
    pub delivery: Guarantee,
}

/// One task without a definition: what was scheduled for an entity under a key.
#[derive(Debug, Clone)]
pub struct AdHoc {
    /// What it delivers and how failed attempts are repeated, as a step that is named by the key.
    pub step: Step,
    /// The rule where it has none of its own.
    pub late: LateRule,
    /// `data`: a JSON object that is sent as it is.
    pub data: serde_json::Value,
}

impl AdHoc {
    /// Reads an action: the `do` of a step as JSON, and beside its keys `retry`, `late`, `delivery` and `says` as a step has them.
    ///
    /// Nothing in it is filled in: braces are braces, and `data` is any JSON object.
    ///
    /// ```
    /// use hence_core::definition::AdHoc;
    /// let key = "call_back".parse().unwrap();
    /// let action = serde_json::json!({ "webhook": "app", "path": "/call", "data": { "phone": 7 }, "retry": { "tries": 3 } });
    /// assert_eq!(AdHoc::read(&key, &action).unwrap().step.retry.tries, 3);
    /// let problems = AdHoc::read(&key, &serde_json::json!({ "webhook": "app", "pth": "/call" })).unwrap_err();
    /// assert_eq!(problems[0].help, "did you mean `path`?");
    /// ```
    /// # Errors
    /// Everything that is wrong with it; never an empty list.
    pub fn read(key: &Name, action: &serde_json::Value) -> Result<Self, Vec<Diagnostic>> {
        format::adhoc::read(key, action)
    }
}

/// What a step hangs from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// An anchor of its own, or the timeline's where `None`.
    Anchor(Option<Anchor>),
    /// `after = "step:outcome"`: exists once that step ended so.
    After {
        /// The step it follows.
        step: Name,
        /// The word it must have ended with: `done`, `failed`, `skipped`, `expired`, `cancelled`, `unknown` or one that it `says`.
        outcome: Name,
        /// What `due` is counted from.
        clock: FollowClock,
    },
}

/// `clock`: what a follow-up's `due` is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowClock {
    /// When the step before it really ended.
    Finished,
    /// When the step before it was due by the plan.
    Due,
}

/// `do`: what a started task delivers, to whom.
#[derive(Debug, Clone)]
pub struct Action {
    /// The transport and its address.
    pub to: Destination,
    /// `data`: more fields of the payload, beside the facts seen.
    pub data: BTreeMap<String, Interpolation>,
    /// `timeout`: how long one attempt may take.
    pub timeout: SignedDuration,
}

/// The transport and its address; no addresses or secrets, only names from the configuration.
#[derive(Debug, Clone)]
pub enum Destination {
    /// A mail from a template.
    Email {
        /// The template's name.
        template: Name,
        /// The recipients, separated by commas.
        to: Interpolation,
        /// Instead of the template's own subject.
        subject: Option<Interpolation>,
    },
    /// A POST to a target.
    Webhook {
        /// The target's name.
        target: Name,
        /// The path below the target's address.
        path: Interpolation,
    },
    /// A function of the program that embeds the engine.
    Handler {
        /// The name it was registered under.
        name: Name,
    },
    /// A line in the engine's log.
    Log {
        /// The line.
        message: Interpolation,
    },
    /// A message to a broker.
    Broker {
        /// Which kind of broker.
        broker: Broker,
        /// The target's name.
        target: Name,
        /// Routing key, queue or subject.
        key: Interpolation,
    },
}

/// The kinds of brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// RabbitMQ (AMQP 0.9.1).
    RabbitMq,
    /// Azure Service Bus.
    ServiceBus,
    /// NATS JetStream.
    Nats,
}

impl Broker {
    /// The key that names it in `do`.
    pub fn as_str(self) -> &'static str {
        match self {
            Broker::RabbitMq => "rabbitmq",
            Broker::ServiceBus => "servicebus",
            Broker::Nats => "nats",
        }
    }
}

/// `retry = { tries = 8, wait = "30s..6h" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, 1..=100.
    pub tries: u32,
    /// The longest wait before the second attempt; doubles with each one.
    pub wait_first: SignedDuration,
    /// The longest wait before any attempt.
    pub wait_max: SignedDuration,
}

/// `delivery`: what happens when a delivery was sent and nobody can know whether it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// It is sent again with the same id, marked as a possible duplicate.
    AtLeastOnce,
    /// It is never sent again: the task ends `unknown`.
    AtMostOnce,
}

/// `[on."event"]`: what an event does to a timeline.
#[derive(Debug, Clone)]
pub struct Reaction {
    /// `cancel`: whose tasks must not happen any more.
    pub cancel: Option<Selection>,
    /// `reason`: a word or sentence for people, kept with every change it causes.
    pub reason: Option<String>,
    /// `shift`: moves the anchor by the span that this text renders to.
    pub shift: Option<Interpolation>,
    /// `recompute`: reads the facts again and computes what is pending anew.
    pub recompute: bool,
    /// `erase`: facts, payloads and results are scrubbed from history this long after the event.
    pub erase: Option<Offset>,
}

/// `"*"` or a list of steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Every step.
    All,
    /// These steps.
    Steps(Vec<Name>),
}

impl Selection {
    /// Whether the step is among them.
    pub fn includes(&self, step: &Name) -> bool {
        match self {
            Selection::All => true,
            Selection::Steps(steps) => steps.contains(step),
        }
    }
}

/// `[change]`: read and checked here; carried out where definitions are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRule {
    /// `new_step`.
    pub new_step: NewStep,
    /// `moved`: whether a changed due rule moves what is pending.
    pub moved_recompute: bool,
    /// `removed`: whether tasks of a removed step are cancelled.
    pub removed_cancel: bool,
    /// `renamed`: old name to new name.
    pub renamed: BTreeMap<Name, Name>,
}

/// What a new step means for entities that are already enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewStep {
    /// It exists for those whose due instant still lies ahead.
    IfFuture,
    /// It exists for all, late ones too.
    RunLate,
    /// It exists for new enrolments only.
    Never,
}

/// `[audit]`: read and checked here; carried out by the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRule {
    /// `every`: how often; more than zero.
    pub every: SignedDuration,
    /// `source`: the database, when it is not that of the only SQL fact group.
    pub source: Name,
    /// `expect`: a statement whose rows are the entities that should be enrolled.
    pub expect: String,
    /// `missing = "enrol"`: whether entities without a timeline are enrolled, else reported.
    pub missing_enrol: bool,
    /// `extra = "cancel"`: whether timelines without an entity are cancelled, else reported.
    pub extra_cancel: bool,
}

/// `[[test]]`: an example of the document's meaning, run on a virtual clock.
#[derive(Debug, Clone)]
pub struct Example {
    /// `name`: what it shows.
    pub name: String,
    /// `start`: when the entity is enrolled.
    pub start: Timestamp,
    /// The zone of `start`, in which `expect` is written.
    pub zone: Zone,
    /// `given`: instants given at enrolment; each that is missing is `start`.
    pub given: BTreeMap<Name, Timestamp>,
    /// `facts`: what is known, by group.
    pub facts: crate::value::Facts,
    /// `answer`: what receivers say, by step; `done` where missing.
    pub answer: BTreeMap<Name, Name>,
    /// `event`: what happens, and when.
    pub events: Vec<ExampleEvent>,
    /// `until`: where the example ends; 10 years after `start` when not given.
    pub until: Option<Timestamp>,
    /// `expect`: the lines `instant step outcome`, in order.
    pub expect: Vec<String>,
    /// The 1-based line of `[[test]]` in the document.
    pub line: usize,
}

/// `{ at = "…", name = "account.paid", data = {…}, facts = {…} }` in an example.
#[derive(Debug, Clone)]
pub struct ExampleEvent {
    /// When it happens.
    pub at: Timestamp,
    /// Its name.
    pub name: EventName,
    /// What it carries.
    pub data: crate::value::Value,
    /// Facts that change with it.
    pub facts: crate::value::Facts,
}
