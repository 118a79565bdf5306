//! Refused and odd definitions, with the exact messages a person reads.
//!
//! Each row changes one document in one place; the snapshot shows the change and every problem with its line and column. To add a
//! case, add a row and look at the snapshot.

use std::fmt::Write;

use hence_core::definition::{CODES, Definition};

use crate::definition::rendered;

/// A document without problems. Line numbers in the snapshot are those of this text.
const BASE: &str = r#"[timeline]
name = "trial"
entity = "account"
anchor = "created_at"
zone = { from = "account.timezone", else = "UTC" }
[calendar.office]
hours = "mon-fri 08:00-18:00"
closed = ["12-25"]
[facts.account]
source = "app"
sql = "select email, timezone, paid_at, logins from account where id = $1"
fields = { email = "string", timezone = "string?", paid_at = "time?", logins = "int" }
[facts.widget]
http = "app"
path = "/usage/{entity}"
fields = { hits = "int" }
[let]
unpaid = "account.paid_at == null"
[step.remind]
due = "25 days"
at = "09:00"
open = "office"
before = "expire"
when = "unpaid"
do = { email = "ending", to = "{account.email}" }
[step.expire]
due = "30 days"
when = "unpaid"
do = { webhook = "app", path = "/off" }
says = ["deactivated"]
retry = { tries = 8, wait = "30s..6h" }
late = { after = "7 days", then = "hold" }
[step.used]
after = "expire:deactivated"
due = "2 days"
clock = "finished"
when = "widget.hits > 0"
do = { rabbitmq = "crm", key = "used" }
[on."account.paid"]
cancel = "*"
[on."trial.extended"]
shift = "{event.days} days"
[change]
renamed = { nudge = "remind" }
[audit]
every = "1 hour"
expect = "select id from account"
[[test]]
name = "never pays"
start = "2026-03-02T10:00[Europe/Oslo]"
facts = { account = { email = "a@example.com" }, widget = { hits = 1 } }
answer = { expire = "deactivated" }
expect = ["2026-03-27T09:00 remind done"]
"#;

/// What is written in [`BASE`], and what is written instead; where the first is empty, the second is put at the end.
const BROKEN: &[(&str, &str)] = &[
    // The file.
    ("[timeline]", "[timeline"),
    ("name = \"trial\"", "name = trial"),
    ("name = \"trial\"", "name = \"trial\"\nname = \"other\""),
    ("", "[step.remind]\ndo = { log = \"again\" }\n"),
    ("[timeline]", "[time]"),
    ("[step.remind]", "[steps.remind]"),
    ("due = \"25 days\"", "dew = \"25 days\""),
    ("due = \"25 days\"", "colour = \"red\""),
    ("due = \"25 days\"", "due = 25"),
    ("[facts.account]", "[facts]\naccount = 1\n[facts.other]"),
    // Timeline.
    ("name = \"trial\"\n", ""),
    ("entity = \"account\"\n", ""),
    ("anchor = \"created_at\"\n", ""),
    ("name = \"trial\"", "name = \"Free Trial\""),
    ("entity = \"account\"", "entity = \"\""),
    ("entity = \"account\"", "entity = \"account\"\nabout = \"\""),
    ("anchor = \"created_at\"", "anchor = \"account.email\""),
    ("anchor = \"created_at\"", "anchor = \"account.payed_at\""),
    ("anchor = \"created_at\"", "anchor = \"created_at\"\nagain = \"ignored\""),
    ("anchor = \"created_at\"", "anchor = \"created_at\"\nlate = { after = \"12 hours\" }"),
    ("anchor = \"created_at\"", "anchor = \"created_at\"\nlate = { after = \"-1 hour\", then = \"run\" }"),
    ("anchor = \"created_at\"", "anchor = \"created_at\"\nlate = { after = \"1 month\", then = \"run\" }"),
    ("zone = { from = \"account.timezone\", else = \"UTC\" }", "zone = \"Europe/Olso\""),
    ("zone = { from = \"account.timezone\", else = \"UTC\" }", "zone = \"+02:00\""),
    ("zone = { from = \"account.timezone\", else = \"UTC\" }", "zone = 2"),
    ("zone = { from = \"account.timezone\", else = \"UTC\" }", "zone = { from = \"account.timezone\" }"),
    ("zone = { from = \"account.timezone\"", "zone = { from = \"account.logins\""),
    // Calendars.
    ("hours = \"mon-fri 08:00-18:00\"", "hours = \"mon-fri 8-18\""),
    ("hours = \"mon-fri 08:00-18:00\"\n", ""),
    ("closed = [\"12-25\"]", "closed = [\"25.12.\"]"),
    ("open = \"office\"", "open = \"ofice\""),
    ("open = \"office\"", "open = \"weekdays 08:00-18:00\""),
    // Facts.
    ("source = \"app\"\n", ""),
    ("where id = $1", ""),
    ("path = \"/usage/{entity}\"\n", ""),
    ("path = \"/usage/{entity}\"", "path = \"usage\""),
    ("path = \"/usage/{entity}\"", "path = \"/usage/{account.email}\""),
    ("path = \"/usage/{entity}\"", "path = \"/usage/../admin\""),
    ("http = \"app\"", "http = \"app\"\nsource = \"app\"\nsql = \"select 1 where $1\""),
    ("http = \"app\"", "http = \"app\"\ntimeout = \"2 minutes\""),
    ("http = \"app\"\npath = \"/usage/{entity}\"", "timeout = \"3s\""),
    ("fields = { hits = \"int\" }\n", ""),
    ("hits = \"int\"", "hits = \"integer\""),
    ("hits = \"int\"", "\"Hits\" = \"int\""),
    ("[facts.widget]", "[facts.event]"),
    // Conditions.
    ("\"account.paid_at == null\"", "\"account.paid_at ==\""),
    ("\"account.paid_at == null\"", "\"account.payed_at == null\""),
    ("\"account.paid_at == null\"", "\"acount.paid_at == null\""),
    ("\"account.paid_at == null\"", "\"account.logins == 'many'\""),
    ("\"account.paid_at == null\"", "\"other\"\nother = \"unpaid\""),
    ("\"account.paid_at == null\"", "\"account.paid_at == null\"\nnow = \"true\""),
    ("\"account.paid_at == null\"", "\"account.paid_at == null\"\nwidget = \"true\""),
    ("when = \"widget.hits > 0\"", "when = \"widget.hits\""),
    ("when = \"widget.hits > 0\"", "when = \"unpayed\""),
    ("when = \"widget.hits > 0\"", "when = \"\""),
    ("when = \"widget.hits > 0\"", "when = true"),
    ("when = \"widget.hits > 0\"", "when = \"event.days > 0\""),
    ("when = \"widget.hits > 0\"", "when = \"widget.hits > 'a' && account.nothing\""),
    // Due.
    ("due = \"25 days\"", "due = \"soon\""),
    ("due = \"25 days\"", "due = \"25 days 3 hours\""),
    ("due = \"30 days\"", "due = \"3 working days\""),
    ("due = \"2 days\"", "due = \"-2 days\""),
    ("at = \"09:00\"", "at = \"9:00\""),
    ("at = \"09:00\"", "at = \"24:00\""),
    ("at = \"09:00\"", "at = \"09:00\"\nspread = \"8 days\""),
    ("at = \"09:00\"", "at = \"09:00\"\nanchor = \"account.email\""),
    ("before = \"expire\"", "before = \"expires\""),
    ("before = \"expire\"", "before = \"remind\""),
    ("due = \"2 days\"", "due = \"2 days\"\nbefore = \"expire\""),
    ("due = \"30 days\"", "due = \"30 days\"\nbefore = \"remind\""),
    // Follow-ups.
    ("after = \"expire:deactivated\"", "after = \"expire\""),
    ("after = \"expire:deactivated\"", "after = \"expired:deactivated\""),
    ("after = \"expire:deactivated\"", "after = \"expire:deactivate\""),
    ("after = \"expire:deactivated\"", "after = \"expire:paid\""),
    ("after = \"expire:deactivated\"", "after = \"used:done\""),
    ("due = \"30 days\"", "after = \"used:done\""),
    ("after = \"expire:deactivated\"", "after = \"expire:deactivated\"\nanchor = \"created_at\""),
    ("after = \"expire:deactivated\"\n", ""),
    ("clock = \"finished\"", "clock = \"finish\""),
    // Recurrence.
    ("due = \"30 days\"", "due = \"30 days\"\nuntil = \"2026-12-31\""),
    ("due = \"30 days\"", "due = \"30 days\"\nrrule = \"FREQ=DAILY\"\ntimes = 3"),
    ("due = \"30 days\"", "due = \"30 days\"\nrepeat = \"7 days\"\ncron = \"0 9 * * *\""),
    ("due = \"30 days\"", "repeat = \"0 days\""),
    ("due = \"30 days\"", "repeat = \"7 days\"\ntimes = 0"),
    ("due = \"30 days\"", "repeat = \"7 days\"\nuntil = \"some day\""),
    ("due = \"30 days\"", "cron = \"0 9 * *\""),
    ("due = \"30 days\"", "cron = \"0 9 * * *\"\nat = \"09:00\""),
    ("due = \"30 days\"", "rrule = \"FREQ=SECONDLY\""),
    // Action.
    ("do = { webhook = \"app\", path = \"/off\" }\n", ""),
    ("do = { webhook = \"app\", path = \"/off\" }", "do = {}"),
    ("do = { webhook = \"app\", path = \"/off\" }", "do = { webhok = \"app\", path = \"/off\" }"),
    ("do = { webhook = \"app\", path = \"/off\" }", "do = { webhook = \"app\", path = \"/off\", log = \"off\" }"),
    ("do = { webhook = \"app\", path = \"/off\" }", "do = { webhook = \"app\" }"),
    ("do = { webhook = \"app\", path = \"/off\" }", "do = { webhook = \"https://example.com\", path = \"/off\" }"),
    ("do = { webhook = \"app\", path = \"/off\" }", "do = { webhook = \"app\", path = \"/off\", to = \"x\" }"),
    ("do = { webhook = \"app\", path = \"/off\" }", "do = { webhook = \"app\", path = \"/off\", timeout = \"1 hour\" }"),
    ("do = { webhook = \"app\", path = \"/off\" }", "do = { webhook = \"app\", path = \"/off\", data = { days = 3 } }"),
    ("do = { webhook = \"app\", path = \"/off\" }", "do = { nats = \"app\", subject = \"a\", key = \"a\" }"),
    ("do = { webhook = \"app\", path = \"/off\" }", "do = { servicebus = \"app\" }"),
    ("to = \"{account.email}\"", "to = \"{account.mail}\""),
    ("to = \"{account.email}\"", "to = \"{account.email\""),
    ("to = \"{account.email}\"", "to = \"nobody\""),
    ("to = \"{account.email}\"", "to = \"{account.email}\", subject = \"a\\nb\""),
    ("do = { rabbitmq = \"crm\", key = \"used\" }", "do = \"crm\""),
    // Outcomes, retries, late, delivery.
    ("says = [\"deactivated\"]", "says = \"deactivated\""),
    ("says = [\"deactivated\"]", "says = [\"deactivated\", \"failed\"]"),
    ("says = [\"deactivated\"]", "says = [\"deactivated\", \"deactivated\"]"),
    ("says = [\"deactivated\"]", "says = [\"deactivated\", \"Paid\"]"),
    ("tries = 8", "tries = 0"),
    ("tries = 8", "tries = 2.5"),
    ("wait = \"30s..6h\"", "wait = \"30s-6h\""),
    ("wait = \"30s..6h\"", "wait = \"6h..30s\""),
    ("then = \"hold\"", "then = \"ask\""),
    ("says = [\"deactivated\"]", "says = [\"deactivated\"]\ndelivery = \"exactly_once\""),
    // Events.
    ("[on.\"account.paid\"]", "[on.account.paid]"),
    ("[on.\"account.paid\"]", "[on.\"account paid\"]"),
    ("cancel = \"*\"", "cancel = \"all\""),
    ("cancel = \"*\"", "cancel = [\"remind\", \"expires\"]"),
    ("cancel = \"*\"", "cancel = []"),
    ("cancel = \"*\"", "cancel = true"),
    ("cancel = \"*\"", "erase = \"-1 day\""),
    ("cancel = \"*\"", "recompute = \"yes\""),
    ("shift = \"{event.days} days\"", "shift = \"{event.days} dayz\""),
    ("shift = \"{event.days} days\"", "shift = \"{account.logins} days\""),
    ("shift = \"{event.days} days\"", "shift = \"a week\""),
    // Change and audit.
    ("renamed = { nudge = \"remind\" }", "renamed = { nudge = \"remin\" }"),
    ("renamed = { nudge = \"remind\" }", "renamed = { expire = \"remind\" }"),
    ("renamed = { nudge = \"remind\" }", "renamed = { nudge = \"remind\", push = \"remind\" }"),
    ("renamed = { nudge = \"remind\" }", "new_step = \"future\""),
    ("every = \"1 hour\"", "every = \"1 second\""),
    ("every = \"1 hour\"\n", ""),
    ("expect = \"select id from account\"", "expect = \"select id from account where id = $1\""),
    ("expect = \"select id from account\"", "expect = \"select id from account\"\nmissing = \"enroll\""),
    // Tests.
    ("[[test]]", "[test]"),
    ("start = \"2026-03-02T10:00[Europe/Oslo]\"", "start = \"2026-03-02T10:00\""),
    ("start = \"2026-03-02T10:00[Europe/Oslo]\"", "start = \"2026-03-02T10:00[Europe/Oslo]\"\nuntil = \"2026-03-01T10:00\""),
    (
        "start = \"2026-03-02T10:00[Europe/Oslo]\"",
        "start = \"2026-03-02T10:00[Europe/Oslo]\"\ngiven = { made_at = \"2026-03-02\" }",
    ),
    ("widget = { hits = 1 }", "widget = { hits = \"many\" }"),
    ("widget = { hits = 1 }", "widget = { clicks = 1 }"),
    ("answer = { expire = \"deactivated\" }", "answer = { expires = \"deactivated\" }"),
    ("answer = { expire = \"deactivated\" }", "answer = { expire = \"paid\" }"),
    ("answer = { expire = \"deactivated\" }", "event = [{ at = \"tomorrow\", name = \"account.paid\" }]"),
    ("answer = { expire = \"deactivated\" }", "event = [{ name = \"Paid\" }]"),
    ("[\"2026-03-27T09:00 remind done\"]", "[\"2026-03-27T09:00 remind\"]"),
    ("[\"2026-03-27T09:00 remind done\"]", "[\"2026-03-27 remind done\"]"),
    ("[\"2026-03-27T09:00 remind done\"]", "[\"2026-03-27T09:00 remind sent\"]"),
    ("[\"2026-03-27T09:00 remind done\"]", "[\"2026-03-27T09:00 reminder done\"]"),
    ("expect = [\"2026-03-27T09:00 remind done\"]\n", ""),
    ("", "[[test]]\nname = \"never pays\"\nstart = \"2026-03-02T10:00Z\"\nexpect = []\n"),
];

/// Changes that leave a document usable but odd.
const ODD: &[(&str, &str)] = &[
    ("due = \"25 days\"", "due = \"31 days\""),
    ("due = \"25 days\"\nat = \"09:00\"", "due = \"30 days\"\nspread = \"1 hour\""),
    ("when = \"widget.hits > 0\"\n", ""),
    ("hits = \"int\" }\n", "hits = \"int\" }\n[facts.site]\nfields = { url = \"string\" }\n"),
    ("\"account.paid_at == null\"", "\"account.paid_at == null\"\npaid = \"!unpaid\""),
    ("open = \"office\"\n", ""),
    ("cancel = \"*\"", "reason = \"paid\""),
    ("shift = \"{event.days} days\"", "cancel = \"*\"\nshift = \"{event.days} days\""),
    ("shift = \"{event.days} days\"", "shift = \"0 days\""),
    ("when = \"widget.hits > 0\"", "when = \"widget.hits > 0 || true\""),
    ("when = \"widget.hits > 0\"", "when = \"widget.hits > 0 && 1 > 2\""),
    ("when = \"widget.hits > 0\"", "when = \"widget.hits > 0 && account.paid_at > now\""),
    ("[step.used]\nafter = \"expire:deactivated\"\ndue = \"2 days\"\nclock = \"finished\"", "[step.used]\ndue = \"2 days\""),
    ("", "[step.early]\nafter = \"late:done\"\ndo = { log = \"1\" }\n[step.late]\ndue = \"90 days\"\ndo = { log = \"2\" }\n"),
    ("after = \"7 days\", then = \"hold\"", "after = \"0s\", then = \"skip\""),
    ("do = { email", "retry = { tries = 100, wait = \"1h..12h\" }\ndo = { email"),
    ("says = [\"deactivated\"]", "says = [\"deactivated\"]\ndelivery = \"at_most_once\""),
    ("after = \"expire:deactivated\"", "after = \"expire:unknown\""),
    ("after = \"expire:deactivated\"", "after = \"expire:expired\""),
    ("answer = { expire = \"deactivated\" }", "event = [{ at = \"2026-03-10\", name = \"account.payed\" }]"),
];

fn changed(from: &str, to: &str) -> String {
    if from.is_empty() {
        return format!("{BASE}{to}");
    }
    assert!(BASE.contains(from), "`{from}` is in the document");
    BASE.replacen(from, to, 1)
}

fn title(from: &str, to: &str) -> String {
    let lines = |sign: &str, text: &str| text.lines().map(|line| format!("{sign} {line}\n")).collect::<String>();
    format!("{}{}", lines("-", from), lines("+", to))
}

#[test]
fn the_base_has_no_problems() {
    assert_eq!(rendered(BASE, &crate::definition::load(BASE).warnings), "");
}

#[test]
fn broken_definitions_say_what_is_wrong_and_where() {
    assert!(BROKEN.len() >= 60, "a table of at least 60 broken definitions");
    let mut found = String::new();
    for (from, to) in BROKEN {
        let source = changed(from, to);
        let problems = match Definition::load(&source) {
            Err(problems) => rendered(&source, &problems),
            Ok(_) => "ACCEPTED\n".to_owned(),
        };
        writeln!(found, "{}{problems}", title(from, to)).unwrap();
    }
    insta::assert_snapshot!(found);
    assert!(!found.contains("ACCEPTED"), "a broken definition is accepted");
}

#[test]
fn odd_definitions_load_with_warnings() {
    let mut found = String::new();
    for (from, to) in ODD {
        let source = changed(from, to);
        let warnings = rendered(&source, &crate::definition::load(&source).warnings);
        assert!(!warnings.is_empty(), "no warning for\n{}", title(from, to));
        writeln!(found, "{}{warnings}", title(from, to)).unwrap();
    }
    insta::assert_snapshot!(found);
}

#[test]
fn all_problems_are_reported_at_once() {
    let mut source = BASE.to_owned();
    let changes = [
        ("zone = { from = \"account.timezone\"", "zone = { from = \"account.timezon\""),
        ("hits = \"int\"", "hits = \"number\""),
        ("\"account.paid_at == null\"", "\"account.paid == null\""),
        ("at = \"09:00\"", "at = \"nine\""),
        ("before = \"expire\"", "before = \"end\""),
        ("tries = 8", "tries = 800"),
        ("after = \"expire:deactivated\"", "after = \"expire:off\""),
        ("cancel = \"*\"", "cancel = [\"reminder\"]"),
        ("every = \"1 hour\"", "evry = \"1 hour\""),
        ("expect = [\"2026-03-27T09:00 remind done\"]", "expect = [\"soon\"]"),
    ];
    for (from, to) in changes {
        source = source.replacen(from, to, 1);
    }
    insta::assert_snapshot!(rendered(&source, &Definition::load(&source).unwrap_err()));
}

#[test]
fn every_code_has_a_case_and_a_page() {
    let limits = [" ".repeat(300 * 1024)];
    let sources = BROKEN.iter().chain(ODD).map(|(from, to)| changed(from, to)).chain(limits);
    let problems = sources.flat_map(|source| match Definition::load(&source) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    });
    let found: std::collections::BTreeSet<_> = problems.map(|problem| problem.code).collect();
    for (code, title) in CODES {
        assert!(found.contains(code), "{code} ({title}) has no case");
        let path = format!("{}/../../docs/errors/{code}.md", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(page.starts_with(&format!("# {code}: {title}\n")), "{code} has no page that begins with `# {code}: {title}`");
    }
}
