//! The stories: random definitions, and programs that enrol, tell events, change facts, cancel, hold, move and erase at random.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use hence::{Client, Enrolment, Telling, Told};
use hence_core::name::{EntityKey, TaskId};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::world::{State, World};

/// How often something is told again because nobody knows whether it arrived.
const TRIES_MAX: u32 = 4;

/// A random definition.
pub(crate) fn definition(dice: &mut Rng, name: &str) -> String {
    let mut text = format!("[timeline]\nname = \"{name}\"\nentity = \"account\"\nanchor = \"created_at\"\n");
    text += &format!("zone = \"{}\"\n", one_of(dice, &["UTC", "Europe/Oslo"]));
    text += &format!("again = \"{}\"\n", one_of(dice, &["ignore", "restart", "error"]));
    if dice.bool() {
        text += &late(dice);
    }
    text += "[facts.account]\nfields = { paid_at = \"time?\", plan = \"string?\" }\n";
    if dice.bool() {
        text += "source = \"app\"\nsql = \"select paid_at, plan from account where id = $1\"\n";
    }
    counted_steps(&mut text, dice);
    let follow = |text: &mut String, dice: &mut Rng, name: &str, after: &str| {
        *text += &format!(
            "[step.{name}]\nafter = \"{after}\"\ndue = \"{} seconds\"\ndo = {{ handler = \"plain\", timeout = \"3s\" }}\n",
            dice.u32(0..20)
        );
        *text += &format!("retry = {{ tries = {}, wait = \"1s..4s\" }}\n", dice.u32(2..6));
    };
    follow(&mut text, dice, "tell_expired", "expire:done");
    let cause = one_of(dice, &["expire:failed", "remind:failed", "expire:expired", "remind:skipped"]);
    follow(&mut text, dice, "alarm", cause);
    if dice.bool() {
        follow(&mut text, dice, "regret", "expire:cancelled");
    }
    if dice.bool() {
        text += &format!(
            "[step.nudge]\ndue = \"{} seconds\"\nrepeat = \"{} seconds\"\ntimes = {}\n",
            dice.u32(1..20),
            dice.u32(3..15),
            dice.u32(2..6)
        );
        text += "do = { handler = \"plain\", timeout = \"2s\" }\nretry = { tries = 3, wait = \"1s..3s\" }\n";
    }
    text += &format!(
        "[on.\"paid\"]\ncancel = {}\nreason = \"paid\"\n",
        one_of(dice, &["\"*\"", "[\"remind\"]", "[\"remind\", \"expire\"]"])
    );
    text += "[on.\"extended\"]\nshift = \"{event.seconds} seconds\"\n";
    text += "[on.\"changed\"]\nrecompute = true\n";
    text += &format!("[on.\"closed\"]\ncancel = \"*\"\nerase = \"{} seconds\"\n", dice.u32(0..40));
    text
}

/// The two steps that are counted from the anchor.
fn counted_steps(text: &mut String, dice: &mut Rng) {
    let first = dice.u32(3..60);
    let second = first + dice.u32(0..60);
    let handler = |dice: &mut Rng| one_of(dice, &["plain", "plain", "rare"]);
    for (step, due) in [("remind", first), ("expire", second)] {
        *text += &format!(
            "[step.{step}]\ndue = \"{due} seconds\"\ndo = {{ handler = \"{}\", timeout = \"{}s\" }}\n",
            handler(dice),
            dice.u32(1..5)
        );
        *text += &format!("retry = {{ tries = {}, wait = \"1s..{}s\" }}\n", dice.u32(1..5), dice.u32(1..8));
        if dice.bool() {
            *text += "when = \"account.paid_at == null\"\n";
        }
        if dice.bool() {
            *text += "says = [\"off\", \"paid_already\"]\n";
        }
        if dice.u32(..3) == 0 {
            *text += &late(dice);
        }
        if dice.u32(..4) == 0 {
            *text += "delivery = \"at_most_once\"\n";
        }
        if dice.u32(..5) == 0 {
            *text += "spread = \"10 seconds\"\n";
        }
        if step == "remind" && dice.bool() {
            *text += "before = \"expire\"\n";
        }
        if step == "expire" && dice.u32(..6) == 0 {
            *text += "open = \"mon-fri 09:00-18:00\"\n";
        }
    }
}

/// What a task without a definition does.
fn action(dice: &mut Rng) -> Value {
    let delivery = one_of(dice, &["at_least_once", "at_least_once", "at_most_once"]);
    let retry = json!({ "tries": dice.u32(1..4), "wait": "1s..3s" });
    let (handler, number) = (one_of(dice, &["plain", "plain", "rare"]), dice.u32(..3));
    json!({ "handler": handler, "timeout": "3s", "retry": retry, "delivery": delivery, "data": { "number": number } })
}

fn late(dice: &mut Rng) -> String {
    format!("late = {{ after = \"{} seconds\", then = \"{}\" }}\n", dice.u32(5..40), one_of(dice, &["run", "skip", "hold"]))
}

fn one_of(dice: &mut Rng, words: &[&'static str]) -> &'static str {
    words[dice.usize(..words.len())]
}

/// One program.
pub(crate) struct Teller {
    /// Where it stands.
    pub(crate) world: Arc<World>,
    /// Through what it tells.
    pub(crate) client: Client,
}

impl Teller {
    /// Tells and operates until faults stop.
    pub(crate) async fn go_on(self) {
        while !self.world.with(|state| state.is_quiet) {
            let pause = self.world.span(Duration::from_secs(4));
            self.world.executor.wait(pause).await;
            match self.world.with(|state| state.dice.u32(..100)) {
                0..30 => self.enrol().await,
                30..40 => self.pay().await,
                40..48 => self.event("extended").await,
                48..54 => self.event("changed").await,
                54..57 => self.event("closed").await,
                57..62 => self.facts().await,
                62..64 => self.erase().await,
                64..72 => self.schedule().await,
                _ => self.operate().await,
            }
        }
    }

    fn entity(&self) -> EntityKey {
        let number = self.world.with(|state| state.dice.usize(1..=state.swarm.entities));
        format!("account/{number}").parse().expect("a number is an id")
    }

    async fn enrol(&self) {
        let timeline = if self.world.with(|state| state.dice.bool()) { "one" } else { "two" };
        let wall = self.world.wall();
        let ahead = self.world.with(|state| state.dice.i64(-60..20));
        let created_at = wall.saturating_add(SignedDuration::from_secs(ahead)).unwrap_or(wall);
        let name = "created_at".parse().expect("a name");
        let enrolment = Enrolment::new(timeline.parse().expect("a name"), self.entity()).given(name, created_at);
        self.tell(Telling::enrol(enrolment), None).await;
    }

    /// The application knows it at once, and tells it in most cases.
    async fn pay(&self) {
        let entity = self.entity();
        let (at, wall) = (self.world.executor.now(), self.world.wall());
        let is_told = self.world.with(|state| {
            state.paid.entry(entity.id().to_owned()).or_insert((at, wall));
            state.dice.u32(..4) > 0
        });
        self.world.note(&format!("{entity} pays"));
        if is_told {
            self.event_of(entity, "paid").await;
        }
    }

    async fn event(&self, name: &str) {
        self.event_of(self.entity(), name).await;
    }

    async fn event_of(&self, entity: EntityKey, name: &str) {
        let (mark, seconds) = self.world.with(|state| {
            state.last_mark += 1;
            (state.last_mark, state.dice.i32(1..30))
        });
        let data = json!({ "mark": mark, "seconds": seconds });
        let telling = Telling::event(entity, name.parse().expect("a name"), data, Value::Null);
        self.tell(telling, Some(mark)).await;
    }

    async fn facts(&self) {
        let paid_at =
            if self.world.with(|state| state.dice.bool()) { Value::String(self.world.wall().to_string()) } else { Value::Null };
        self.tell(Telling::facts(self.entity(), json!({ "account": { "paid_at": paid_at } })), None).await;
    }

    /// Asks for a task without a definition, under one of two keys.
    async fn schedule(&self) {
        let (entity, wall) = (self.entity(), self.world.wall());
        let (key, ahead, action) = self.world.with(|state| {
            let (key, ahead) = (one_of(&mut state.dice, &["call", "visit"]), state.dice.i64(-10..40));
            (key, ahead, action(&mut state.dice))
        });
        let due_at = wall.saturating_add(SignedDuration::from_secs(ahead)).unwrap_or(wall);
        self.tell(Telling::schedule(entity, key.parse().expect("a name"), due_at, action), None).await;
    }

    /// Tells it, with a key in most cases; what nobody knows is told again only with a key.
    async fn tell(&self, mut telling: Telling, mark: Option<i64>) {
        let key = self.world.with(|state| {
            state.last_mark += 1;
            (state.dice.u32(..10) < 7).then_some(state.last_mark)
        });
        if let Some(key) = key {
            telling = telling.key(&format!("key-{key}"));
        }
        let mut is_known = true;
        for _ in 0..TRIES_MAX {
            match self.client.tell(telling.clone()).await {
                Ok(Told::Refused { .. }) => return,
                Ok(_) => return self.note_told(mark, true),
                Err(hence::Error::Store(error)) if error.definite() => {
                    if is_known {
                        self.note_told(mark, false);
                    }
                    return;
                }
                Err(_) => is_known = false,
            }
            if key.is_none() {
                return;
            }
            self.world.executor.wait(Duration::from_millis(500)).await;
        }
    }

    fn note_told(&self, mark: Option<i64>, is_accepted: bool) {
        let Some(mark) = mark else { return };
        self.world.with(|state| state.told.insert(mark, is_accepted));
        self.world
            .note(&format!("the event with mark {mark} is {}", if is_accepted { "accepted" } else { "definitely refused" }));
    }

    async fn erase(&self) {
        // What this comes to is seen where it is committed.
        let _ = self.client.store().erase(&self.entity(), self.world.wall()).await;
    }

    /// A person operates on some task.
    async fn operate(&self) {
        let Some(id) = self.world.with(some_task) else { return };
        let (what, ahead) = self.world.with(|state| (state.dice.u32(..100), state.dice.i64(-20..40)));
        let done = match what {
            0..30 => {
                let answer = self.client.cancel(id, "by a person").await;
                if let Ok(answer) = answer {
                    self.world.observe(|ledger, _, _| ledger.cancel_answered(id, answer));
                }
                format!("cancel {id}: {answer:?}")
            }
            30..45 => format!("hold {id}: {}", self.client.hold(id, "wait").await.is_ok()),
            45..65 => format!("release {id}: {}", self.client.release(id, "go on").await.is_ok()),
            65..80 => format!("run {id} now: {}", self.client.run_now(id, "now").await.is_ok()),
            _ => {
                let wall = self.world.wall();
                let due_at = wall.saturating_add(SignedDuration::from_secs(ahead)).unwrap_or(wall);
                format!("move {id} to {due_at}: {}", self.client.reschedule(id, due_at, "moved").await.is_ok())
            }
        };
        self.world.note(&done);
    }
}

/// Some task, in most cases one that is not final.
fn some_task(state: &mut State) -> Option<TaskId> {
    let all: Vec<(TaskId, bool)> = state.ledger.tasks.values().map(|known| (known.task.id, known.end.is_none())).collect();
    let live: Vec<TaskId> = all.iter().filter(|(_, is_live)| *is_live).map(|(id, _)| *id).collect();
    if !live.is_empty() && state.dice.u32(..4) > 0 {
        return Some(live[state.dice.usize(..live.len())]);
    }
    if all.is_empty() { None } else { Some(all[state.dice.usize(..all.len())].0) }
}
