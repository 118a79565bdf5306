//! Goal: no key of the format is ignored by the engine. Method: each row is a document with one key in question, and a story; it is played
//! with the key and with what stands in its place, on every store: what happens with it is written down, and without it something else
//! must happen. The model's half of this stands in `hence-core` (`definition_keys`).

use serde_json::{Value, json};

use crate::world::{World, places};

/// What happens, in order.
#[derive(Clone)]
enum Do {
    /// The engine runs while time passes.
    Pass(&'static str),
    /// Time passes while no engine runs.
    Down(&'static str),
    /// An event is told, with data and facts.
    Tell(&'static str, Value, Value),
    /// The entity is enrolled once more.
    Again,
}
use Do::{Again, Down, Pass, Tell};

/// One key in question.
struct Key {
    /// Its path, such as `step.late.then`.
    name: &'static str,
    /// `timeline` lines, then `step.a`, then the rest; `KEY` stands for the line in question.
    document: &'static str,
    with: &'static str,
    without: &'static str,
    story: Vec<Do>,
    expected: &'static [&'static str],
}

const TIMELINE: &str = "[timeline]\nname = \"t\"\nentity = \"account\"\nanchor = \"start\"\n";
const FACTS: &str = "[facts.account]\nfields = { paid = \"bool?\", zone = \"string?\", start = \"time?\" }\n";

/// What happens to the entity in that document: its history and the calls that reached handlers.
async fn played(document: &str, story: &[Do]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for place in places() {
        let world = World::new(place.store).await;
        let facts = json!({ "account": { "zone": "Europe/Oslo", "start": "2026-03-02T10:00:00Z" } });
        let facts = if document.contains("[facts.account]") { facts } else { Value::Null };
        world.enrol(document, facts.clone()).await;
        for step in story {
            match step.clone() {
                Pass(to) => world.advance(to).await,
                Down(to) => world.down_until(to).await,
                Tell(event, data, facts) => {
                    world.event(event, data, facts).await;
                }
                Again => {
                    world.enrol(document, facts.clone()).await;
                }
            }
        }
        let calls = world.calls.lock().unwrap().clone();
        all.push([world.history().await, calls].concat());
    }
    all
}

async fn check(key: Key) {
    let Key { name, document, with, without, story, expected } = key;
    let timeline = if document.contains("[timeline]") { "" } else { TIMELINE };
    let document = |line: &str| format!("{timeline}{}", document.replacen("KEY", line, 1));
    let found = played(&document(with), &story).await;
    for found in &found {
        assert_eq!(found, expected, "with {name}: `{with}`");
    }
    let ignored = played(&document(without), &story).await;
    for (ignored, found) in ignored.iter().zip(&found) {
        assert_ne!(ignored, found, "{name} is ignored: `{without}` gives the same");
    }
}

macro_rules! keys {
    ($($test:ident: $name:literal, $document:expr, $with:literal / $without:literal, [$($story:expr),*], $expected:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            let story = vec![$($story),*];
            check(Key { name: $name, document: $document, with: $with, without: $without, story, expected: &$expected }).await;
        })*
    };
}

const DOWN: &str = "2026-03-03T11:00:00Z";
const LATER: &str = "2026-03-03T12:00:00Z";
const STEP: &str = "[step.a]\ndue = \"1 day\"\ndo = { log = \"a\" }\nKEY\n";
const HEAD: &str =
    "[timeline]\nname = \"t\"\nentity = \"account\"\nanchor = \"start\"\nKEY\n[step.a]\ndue = \"1 day\"\ndo = { log = \"a\" }\n";

keys! {
    // When the engine was down.
    late_skip: "step.late.then = skip", STEP, "late = { after = \"1 hour\", then = \"skip\" }" / "", [Down(DOWN), Pass(LATER)],
        ["2026-03-03T11:00:00Z a expired"];
    late_hold: "step.late.then = hold", STEP, "late = { after = \"1 hour\", then = \"hold\" }" / "", [Down(DOWN), Pass(LATER)],
        ["2026-03-03T11:00:00Z a held"];
    late_run: "step.late.then = run",
        "[timeline]\nname = \"t\"\nentity = \"account\"\nanchor = \"start\"\nlate = { after = \"1 hour\", then = \"hold\" }\n\
         [step.a]\ndue = \"1 day\"\ndo = { log = \"a\" }\nKEY\n",
        "late = { after = \"1 hour\", then = \"run\" }" / "", [Down(DOWN), Pass(LATER)],
        ["2026-03-03T11:00:00Z a done"];
    late_after: "step.late.after", STEP,
        "late = { after = \"1 hour\", then = \"skip\" }" / "late = { after = \"3 hours\", then = \"skip\" }", [Down(DOWN), Pass(LATER)],
        ["2026-03-03T11:00:00Z a expired"];
    timeline_late: "timeline.late", HEAD, "late = { after = \"1 hour\", then = \"skip\" }" / "", [Down(DOWN), Pass(LATER)],
        ["2026-03-03T11:00:00Z a expired"];

    // When it is due.
    due: "step.due", "[step.a]\nKEY\ndo = { log = \"a\" }\n", "due = \"2 days\"" / "", [Pass("2026-03-05T00:00:00Z")],
        ["2026-03-04T09:00:00Z a done"];
    at: "step.at", STEP, "at = \"11:30\"" / "", [Pass("2026-03-05T00:00:00Z")], ["2026-03-03T11:30:00Z a done"];
    open: "step.open", STEP, "open = \"mon-fri 10:00-16:00\"" / "", [Pass("2026-03-05T00:00:00Z")],
        ["2026-03-03T10:00:00Z a done"];
    calendar_hours: "calendar.hours", "[calendar.office]\nKEY\n[step.a]\ndue = \"1 day\"\nopen = \"office\"\ndo = { log = \"a\" }\n",
        "hours = \"daily 11:00-16:00\"" / "hours = \"daily 08:00-16:00\"", [Pass("2026-03-05T00:00:00Z")],
        ["2026-03-03T11:00:00Z a done"];
    calendar_closed: "calendar.closed",
        "[calendar.office]\nhours = \"daily 08:00-16:00\"\nKEY\n[step.a]\ndue = \"1 day\"\nopen = \"office\"\ndo = { log = \"a\" }\n",
        "closed = [\"2026-03-03\"]" / "", [Pass("2026-03-05T00:00:00Z")],
        ["2026-03-04T08:00:00Z a done"];
    zone: "timeline.zone", "[timeline]\nname = \"t\"\nentity = \"account\"\nanchor = \"start\"\nKEY\n\
         [step.a]\ndue = \"1 day\"\nat = \"12:00\"\ndo = { log = \"a\" }\n",
        "zone = \"America/New_York\"" / "", [Pass("2026-03-05T00:00:00Z")], ["2026-03-03T17:00:00Z a done"];
    zone_from: "timeline.zone.from",
        "[timeline]\nname = \"t\"\nentity = \"account\"\nanchor = \"start\"\nKEY\n\
         [facts.account]\nfields = { paid = \"bool?\", zone = \"string?\", start = \"time?\" }\n\
         [step.a]\ndue = \"1 day\"\nat = \"12:00\"\ndo = { log = \"a\" }\n",
        "zone = { from = \"account.zone\", else = \"UTC\" }" / "zone = \"UTC\"", [Pass("2026-03-05T00:00:00Z")],
        ["2026-03-03T11:00:00Z a done"];
    anchor: "timeline.anchor",
        "[timeline]\nname = \"t\"\nentity = \"account\"\nKEY\n\
         [facts.account]\nfields = { paid = \"bool?\", zone = \"string?\", start = \"time?\" }\n\
         [step.a]\ndue = \"1 day\"\ndo = { log = \"a\" }\n",
        "anchor = \"account.start\"" / "anchor = \"start\"", [Pass("2026-03-05T00:00:00Z")], ["2026-03-03T10:00:00Z a done"];
    own_anchor: "step.anchor",
        "[facts.account]\nfields = { paid = \"bool?\", zone = \"string?\", start = \"time?\" }\n\
         [step.a]\ndue = \"1 day\"\nKEY\ndo = { log = \"a\" }\n",
        "anchor = \"account.start\"" / "", [Pass("2026-03-05T00:00:00Z")], ["2026-03-03T10:00:00Z a done"];
    before: "step.before", "[step.a]\ndue = \"3 days\"\nKEY\ndo = { log = \"a\" }\n[step.b]\ndue = \"1 day\"\ndo = { log = \"b\" }\n",
        "before = \"b\"" / "", [Pass("2026-03-06T00:00:00Z")], ["2026-03-03T09:00:00Z b done"];
    // While no engine ran, both fell due: what the first one announces happens next.
    before_overtaken: "step.before",
        "[step.a]\ndue = \"1 day\"\nKEY\ndo = { log = \"a\" }\n[step.b]\ndue = \"2 days\"\ndo = { log = \"b\" }\n",
        "before = \"b\"" / "", [Down("2026-03-06T00:00:00Z"), Pass("2026-03-07T00:00:00Z")],
        ["2026-03-06T00:00:00Z a skipped", "2026-03-06T00:00:00Z b done"];

    // Recurring.
    repeat: "step.repeat", "[step.a]\ndue = \"1 day\"\nKEY\ndo = { log = \"a\" }\n", "repeat = \"1 day\"\ntimes = 2" / "",
        [Pass("2026-03-06T00:00:00Z")], ["2026-03-03T09:00:00Z a done", "2026-03-04T09:00:00Z a done"];
    times: "step.times", "[step.a]\ndue = \"1 day\"\nrepeat = \"1 day\"\nKEY\ndo = { log = \"a\" }\n", "times = 2" / "",
        [Pass("2026-03-06T00:00:00Z")], ["2026-03-03T09:00:00Z a done", "2026-03-04T09:00:00Z a done"];
    until: "step.until", "[step.a]\ndue = \"1 day\"\nrepeat = \"1 day\"\nKEY\ndo = { log = \"a\" }\n", "until = \"30 hours\"" / "",
        [Pass("2026-03-06T00:00:00Z")], ["2026-03-03T09:00:00Z a done", "2026-03-04T09:00:00Z a done"];
    cron: "step.cron", "[step.a]\nKEY\ndo = { log = \"a\" }\n", "cron = \"30 12 * * *\"" / "", [Pass("2026-03-04T23:00:00Z")],
        ["2026-03-02T12:30:00Z a done", "2026-03-03T12:30:00Z a done", "2026-03-04T12:30:00Z a done"];
    rrule: "step.rrule", "[step.a]\nKEY\ndo = { log = \"a\" }\n", "rrule = \"FREQ=WEEKLY;BYDAY=WE;COUNT=2\"" / "",
        [Pass("2026-03-20T00:00:00Z")], ["2026-03-04T09:00:00Z a done", "2026-03-11T09:00:00Z a done"];

    // Follow-ups.
    after: "step.after", "[step.a]\ndue = \"1 day\"\ndo = { log = \"a\" }\n[step.b]\nKEY\ndo = { log = \"b\" }\n",
        "after = \"a:done\"" / "after = \"a:failed\"", [Pass(LATER)], ["2026-03-03T09:00:00Z a done", "2026-03-03T09:00:00Z b done"];
    clock_due: "step.clock = due",
        "[step.a]\ndue = \"1 day\"\ndo = { log = \"a\" }\n[step.b]\nafter = \"a:done\"\ndue = \"4 hours\"\nKEY\ndo = { log = \"b\" }\n",
        "clock = \"due\"" / "", [Down(DOWN), Pass("2026-03-04T00:00:00Z")],
        ["2026-03-03T11:00:00Z a done", "2026-03-03T13:00:00Z b done"];
    clock_finished: "step.clock = finished",
        "[step.a]\ndue = \"1 day\"\ndo = { log = \"a\" }\n[step.b]\nafter = \"a:done\"\ndue = \"4 hours\"\nKEY\ndo = { log = \"b\" }\n",
        "clock = \"finished\"" / "clock = \"due\"", [Down(DOWN), Pass("2026-03-04T00:00:00Z")],
        ["2026-03-03T11:00:00Z a done", "2026-03-03T15:00:00Z b done"];
    says: "step.says", "[step.a]\ndue = \"1 day\"\ndo = { handler = \"say\" }\nretry = { tries = 1 }\nKEY\n", "says = [\"yes\"]" / "",
        [Pass(LATER)], ["2026-03-03T09:00:00Z a yes", "2026-03-03T09:00:00Z a {} 20s"];

    // Delivering.
    when: "step.when", "[facts.account]\nfields = { paid = \"bool?\", zone = \"string?\", start = \"time?\" }\n\
         [step.a]\ndue = \"1 day\"\nKEY\ndo = { log = \"a\" }\n",
        "when = \"account.paid == true\"" / "", [Pass(LATER)], ["2026-03-03T09:00:00Z a skipped"];
    named_condition: "let", "[facts.account]\nfields = { paid = \"bool?\", zone = \"string?\", start = \"time?\" }\n\
         [let]\nKEY\n[step.a]\ndue = \"1 day\"\nwhen = \"is_paid\"\ndo = { log = \"a\" }\n",
        "is_paid = \"account.paid == true\"" / "is_paid = \"account.paid != true\"", [Pass(LATER)], ["2026-03-03T09:00:00Z a skipped"];
    receiver: "step.do", "[step.a]\ndue = \"1 day\"\nKEY\n", "do = { handler = \"note\" }" / "do = { log = \"a\" }", [Pass(LATER)],
        ["2026-03-03T09:00:00Z a done", "2026-03-03T09:00:00Z a {} 20s"];
    timeout: "do.timeout", "[step.a]\ndue = \"1 day\"\nKEY\n",
        "do = { handler = \"note\", timeout = \"3s\" }" / "do = { handler = \"note\" }", [Pass(LATER)],
        ["2026-03-03T09:00:00Z a done", "2026-03-03T09:00:00Z a {} 3s"];
    data: "do.data", "[step.a]\ndue = \"1 day\"\nKEY\n",
        "do = { handler = \"note\", data = { who = \"{entity}\" } }" / "do = { handler = \"note\" }", [Pass(LATER)],
        ["2026-03-03T09:00:00Z a done", "2026-03-03T09:00:00Z a {\"who\":\"42\"} 20s"];
    tries: "retry.tries", "[step.a]\ndue = \"1 day\"\ndo = { handler = \"broken\" }\nretry = { KEYwait = \"1s..1s\" }\n", "tries = 2, " / "",
        [Pass(LATER)], ["2026-03-03T09:00:00Z a retried", "2026-03-03T09:00:01Z a failed"];
    // A wait of one second leaves nothing to chance; the default would meet it once in 30,000 runs.
    wait: "retry.wait", "[step.a]\ndue = \"1 day\"\ndo = { handler = \"broken\" }\nretry = { tries = 3KEY }\n", ", wait = \"1s..1s\"" / "",
        [Pass(LATER)],
        ["2026-03-03T09:00:00Z a retried", "2026-03-03T09:00:01Z a retried", "2026-03-03T09:00:02Z a failed"];
    at_most_once: "step.delivery", "[step.a]\ndue = \"1 day\"\ndo = { handler = \"unsure\" }\nretry = { tries = 1 }\nKEY\n",
        "delivery = \"at_most_once\"" / "", [Pass(LATER)], ["2026-03-03T09:00:00Z a unknown"];

    // Events.
    cancel: "on.cancel", "[step.a]\ndue = \"1 day\"\ndo = { log = \"a\" }\n[step.b]\ndue = \"1 day\"\ndo = { log = \"b\" }\n\
         [on.\"account.paid\"]\nKEY\nreason = \"paid\"\n",
        "cancel = [\"a\"]" / "cancel = \"*\"", [Tell("account.paid", Value::Null, Value::Null), Pass(LATER)],
        ["2026-03-02T09:00:00Z a cancelled (paid)", "2026-03-03T09:00:00Z b done"];
    reason: "on.reason", "[step.a]\ndue = \"1 day\"\ndo = { log = \"a\" }\n[on.\"account.paid\"]\ncancel = \"*\"\nKEY\n",
        "reason = \"it paid\"" / "", [Tell("account.paid", Value::Null, Value::Null)], ["2026-03-02T09:00:00Z a cancelled (it paid)"];
    shift: "on.shift", "[step.a]\ndue = \"1 day\"\ndo = { log = \"a\" }\n[on.\"trial.extended\"]\nKEY\n",
        "shift = \"{event.days} days\"" / "erase = \"900 days\"",
        [Tell("trial.extended", json!({ "days": 2 }), Value::Null), Pass("2026-03-06T00:00:00Z")],
        ["2026-03-02T09:00:00Z a moved", "2026-03-05T09:00:00Z a done"];
    erase: "on.erase", "[step.a]\ndue = \"1 day\"\ndo = { log = \"a\" }\n[on.\"account.closed\"]\ncancel = \"*\"\nKEY\n",
        "erase = \"2 days\"" / "", [Tell("account.closed", Value::Null, Value::Null), Pass("2026-03-04T10:00:00Z")],
        ["2026-03-02T09:00:00Z a cancelled", "2026-03-04T09:00:00Z - notice"];
    again: "timeline.again", HEAD, "again = \"restart\"" / "", [Pass("2026-03-02T20:00:00Z"), Again, Pass("2026-03-05T00:00:00Z")],
        ["2026-03-02T20:00:00Z a cancelled", "2026-03-03T20:00:00Z a done"];
}

#[tokio::test(flavor = "multi_thread")]
async fn spread_parts_a_peak_by_entity_and_stays_the_same_for_each() {
    let document = format!("{TIMELINE}{FACTS}[step.a]\ndue = \"1 day\"\nspread = \"2 hours\"\ndo = {{ log = \"{{entity}}\" }}\n");
    let mut seen = Vec::new();
    for document in [document.clone(), document.clone(), document.replace("spread = \"2 hours\"\n", "")] {
        for place in places() {
            let world = World::new(place.store).await;
            let timeline = world.client.put_definition(&document).await.unwrap().name.clone();
            for number in 0..20 {
                let entity = format!("account/{number}").parse().unwrap();
                world.client.tell(hence::Telling::enrol(hence::Enrolment::new(timeline.clone(), entity))).await.unwrap();
            }
            world.advance("2026-03-04T09:00:00Z").await;
            let history =
                world.client.store().history(&Default::default(), hence_store::port::PageRequest::first(100)).await.unwrap();
            let done = history.items.into_iter().filter(|row| row.record.outcome.as_deref() == Some("done"));
            let mut at: Vec<(String, jiff::Timestamp)> = done.map(|row| (row.record.entity.to_string(), row.record.at)).collect();
            at.sort();
            seen.push(at);
        }
    }
    assert!(seen[..4].iter().all(|one| *one == seen[0]), "an entity keeps its place");
    let instants = |of: usize| seen[of].iter().map(|(_, at)| *at).collect::<std::collections::BTreeSet<_>>();
    assert!(instants(0).len() > 15, "{:?}", instants(0));
    let (from, until) = (crate::world::at("2026-03-03T09:00:00Z"), crate::world::at("2026-03-03T11:00:00Z"));
    assert!(instants(0).iter().all(|at| (from..until).contains(at)));
    assert_eq!(instants(4).len(), 1, "without it all come at once");
}
