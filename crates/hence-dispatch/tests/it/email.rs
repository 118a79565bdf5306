//! Goal: mails conform, arrive whole, and it is known on which side of the final dot a conversation ended. Method: a
//! mail server that misbehaves as told, and the mail catcher for what arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hence_dispatch::conformance::{self, Behaviour, Rig};
use hence_dispatch::{Attempt, CancelSignal, Destination, Dispatcher, MailCatcher, MailServer, Mails, Reply, Secret};
use serde_json::json;
use tempfile::TempDir;

use crate::smtp_server::{Fault, SmtpServer, Then};

const TEXT: &str = "Subject: Your trial, {{ account.name }}\n\n.\n..dots\nDear {{ account.name }} — bye\n";
const HTML: &str = "<p>Dear <b>{{ account.name }}</b></p>\n";

fn templates() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("trial_over.txt"), TEXT).unwrap();
    std::fs::write(folder.path().join("trial_over.html"), HTML).unwrap();
    std::fs::write(folder.path().join("plain.txt"), "no subject of its own\n").unwrap();
    folder
}

fn server(url: String, folder: &TempDir) -> MailServer {
    MailServer {
        url,
        login: None,
        from: "Example <hello@example.com>".into(),
        templates: folder.path().to_owned(),
        roots_pem: None,
    }
}

fn to() -> Destination {
    Destination::Email { template: "plain".into(), to: "a@example.org".into(), subject: Some("Hello".into()) }
}

fn attempt(to: Destination) -> Attempt {
    Attempt {
        task: "task_1".into(),
        entity_type: "account".into(),
        entity_id: "42".into(),
        timeline: "trial".into(),
        step: "tell".into(),
        occurrence: None,
        due_at: "2026-04-01T08:00:00Z".parse().unwrap(),
        started_at: "2026-04-01T08:00:01Z".parse().unwrap(),
        sent_at: "2026-04-01T08:00:02Z".parse().unwrap(),
        attempt: 1,
        fence: 1,
        possible_duplicate: false,
        payload: json!({"account": {"name": "Ann & <Bob>\r\n.\r\nMAIL FROM:<x>"}}),
        to,
        timeout: Duration::from_secs(10),
        cancel: CancelSignal::default(),
    }
}

struct MailRig {
    server: SmtpServer,
    up: Arc<Mails>,
    down: Arc<Mails>,
    is_down: AtomicBool,
    hostile: AtomicUsize,
    _folder: TempDir,
}

async fn rig() -> MailRig {
    let folder = templates();
    let server = SmtpServer::start().await;
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = unused.local_addr().unwrap();
    drop(unused);
    let mails = |address| Arc::new(Mails::new(&self::server(format!("smtp://{address}"), &folder)).unwrap());
    MailRig {
        up: mails(server.address),
        down: mails(nobody),
        is_down: false.into(),
        hostile: AtomicUsize::new(0),
        server,
        _folder: folder,
    }
}

fn fault(at: &'static str, say: &str, then: Then) -> Option<Fault> {
    Some(Fault { at, say: say.as_bytes().to_vec(), then })
}

#[async_trait]
impl Rig for MailRig {
    fn dispatcher(&self) -> Arc<dyn Dispatcher> {
        if self.is_down.load(Ordering::SeqCst) { self.down.clone() } else { self.up.clone() }
    }
    fn destination(&self) -> Destination {
        to()
    }
    async fn behave(&self, behaviour: Behaviour) -> bool {
        self.is_down.store(behaviour == Behaviour::Unreachable, Ordering::SeqCst);
        let flood = "250-x\r\n".repeat(1000);
        let long = "2".repeat(10_000);
        self.server.misbehave(match behaviour {
            Behaviour::Accept | Behaviour::Unreachable => None,
            Behaviour::RefuseForNow => fault("RCPT", "450 later, a@example.com\r\n", Then::GoOn),
            Behaviour::RefuseForGood => fault("RCPT", "550 <a@example.com> unknown\r\n", Then::GoOn),
            Behaviour::ActAndStall => fault(".", "", Then::Stall),
            Behaviour::ActAndBreakOff => fault(".", "", Then::Close),
            Behaviour::Silent => fault("EHLO", "", Then::Stall),
            Behaviour::Hostile => match self.hostile.fetch_add(1, Ordering::SeqCst) {
                0 => fault("MAIL", "\0\u{1b}[31m\r\n", Then::GoOn),
                1 => fault("RCPT", &flood, Then::GoOn),
                2 => fault("DATA", &long, Then::Stall),
                3 => fault(".", "999 \r\n", Then::GoOn),
                4 => fault(".", "ä", Then::Close),
                5 => fault("RCPT", "550 \0\r\n550", Then::Close),
                6 => fault("DATA", "250 not what was asked\r\n", Then::Close),
                _ => fault("MAIL", "25", Then::Close),
            },
        });
        true
    }
    async fn carried_out(&self) -> Vec<String> {
        self.server.message_ids()
    }
}

#[tokio::test]
async fn mails_conform() {
    conformance::run(&rig().await).await;
}

#[tokio::test]
async fn the_final_dot_divides_again_from_unknown() {
    let rig = rig().await;
    for (at, say, then, expected) in [
        ("connect", "", Then::Close, "again not-connected"),
        ("connect", "554 no service\r\n", Then::GoOn, "again not-now"),
        ("connect", "", Then::Stall, "again timed-out"),
        ("EHLO", "", Then::Close, "again not-connected"),
        ("MAIL", "550 not you\r\n", Then::GoOn, "refused refused"),
        ("MAIL", "421 closing\r\n", Then::Close, "again not-now"),
        ("RCPT", "", Then::Stall, "again timed-out"),
        ("DATA", "", Then::Close, "again not-connected"),
        ("DATA", "451 later\r\n", Then::GoOn, "again not-now"),
        (".", "451 later\r\n", Then::GoOn, "again not-now"),
        (".", "554 spam\r\n", Then::GoOn, "refused refused"),
        (".", "", Then::Stall, "unknown timed-out"),
        (".", "", Then::Close, "unknown no-answer"),
        (".", "250", Then::Close, "unknown no-answer"),
        (".", "354 again?\r\n", Then::GoOn, "unknown bad-answer"),
    ] {
        rig.server.misbehave(fault(at, say, then));
        let timeout = Duration::from_millis(if then == Then::Stall { 200 } else { 10_000 });
        let attempt = Attempt { timeout, ..attempt(to()) };
        let reply = rig.up.deliver(&attempt).await;
        let kind = match &reply {
            Reply::Again { .. } => "again",
            Reply::Refused { .. } => "refused",
            Reply::Unknown { .. } => "unknown",
            _ => "other",
        };
        let code = reply.problem().map_or("", |problem| problem.code());
        assert_eq!(format!("{kind} {code}"), expected, "{at} {say:?} {then:?}: {reply:?}");
    }
}

#[tokio::test]
async fn whole_mails_arrive() {
    let folder = templates();
    let kept = tempfile::tempdir().unwrap();
    let catcher = MailCatcher::start(Some(kept.path().join("mails"))).await.unwrap();
    let mails = Mails::new(&server(catcher.url(), &folder)).unwrap();
    assert_eq!(mails.templates().collect::<Vec<_>>(), ["plain", "trial_over"]);
    let to = Destination::Email {
        template: "trial_over".into(),
        to: "Ann <ann@example.org>, bob@example.org".into(),
        subject: Some("Über — \"it\"".into()),
    };
    let reply = mails.deliver(&attempt(to)).await;
    let result = json!({"message_id": "<task_1@example.com>"});
    assert_eq!(reply, Reply::Done { outcome: None, result });
    let mails = catcher.stop().await;
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(mail.from, "hello@example.com");
    assert_eq!(mail.to, ["ann@example.org", "bob@example.org"]);
    assert_eq!(mail.subject, "Über — \"it\"");
    assert_eq!(mail.message_id, "<task_1@example.com>");
    assert_eq!(mail.date, "Wed, 01 Apr 2026 08:00:02 +0000");
    assert_eq!(mail.text.trim_end(), ".\n..dots\nDear Ann & <Bob>\n.\nMAIL FROM:<x> — bye");
    assert_eq!(mail.html.trim_end(), "<p>Dear <b>Ann &amp; &lt;Bob&gt;\n.\nMAIL FROM:&lt;x&gt;</b></p>");
    let file = std::fs::read_to_string(kept.path().join("mails/000001.eml")).unwrap();
    assert!(file.contains("Message-ID: <task_1@example.com>\r\n"));
}

#[tokio::test]
async fn bad_values_are_refused_before_anything_is_sent() {
    let rig = rig().await;
    let email = |template: &str, to: &str, subject: Option<&str>| Destination::Email {
        template: template.into(),
        to: to.into(),
        subject: subject.map(str::to_owned),
    };
    for (to, code) in [
        (email("none", "a@example.org", None), "no-template"),
        (email("../plain", "a@example.org", None), "no-template"),
        (email("plain", "a@example.org", None), "no-subject"),
        (email("plain", "a@example.org\r\nBcc: x@example.org", Some("s")), "bad-recipient"),
        (email("plain", "", Some("s")), "bad-recipient"),
        (email("plain", "a@example.org", Some("s\r\nBcc: x@example.org")), "bad-subject"),
        // The subject of the template holds a value with line ends.
        (email("trial_over", "a@example.org", None), "bad-subject"),
    ] {
        let reply = rig.up.deliver(&attempt(to.clone())).await;
        assert!(matches!(&reply, Reply::Refused { problem } if problem.code() == code), "{to:?}: {reply:?}");
    }
    assert!(rig.server.commands().is_empty());
}

#[tokio::test]
async fn connections_are_reused_and_replaced() {
    let rig = rig().await;
    for _ in 0..3 {
        assert!(matches!(rig.up.deliver(&attempt(to())).await, Reply::Done { .. }));
    }
    let greetings = || rig.server.commands().iter().filter(|command| command.starts_with("EHLO")).count();
    assert_eq!(greetings(), 1);
    rig.server.misbehave(fault("RSET", "421 too long idle\r\n", Then::Close));
    assert!(matches!(rig.up.deliver(&attempt(to())).await, Reply::Done { .. }));
    assert_eq!(greetings(), 2);
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_where_tls_is_asked_for() {
    let folder = templates();
    let smtp = SmtpServer::start().await;
    let mut config = server(format!("smtp+starttls://{}", smtp.address), &folder);
    config.login = Some(("ann".into(), Secret::new("hunter2")));
    let mails = Mails::new(&config).unwrap();
    let injected = "220 go on\r\n250-test\r\n250 AUTH PLAIN\r\n235 welcome\r\n";
    for (at, say) in
        [("STARTTLS", injected), ("STARTTLS", "220 go on\r\nnot tls\r\n"), ("EHLO", "250-test\r\n250 AUTH PLAIN\r\n")]
    {
        smtp.misbehave(fault(at, say, Then::GoOn));
        let reply = mails.deliver(&attempt(to())).await;
        assert!(matches!(&reply, Reply::Again { .. }), "{reply:?}");
    }
    let said = smtp.commands();
    assert!(said.iter().all(|command| command.starts_with("EHLO") || command == "STARTTLS"), "{said:?}");
    assert!(!format!("{config:?}{mails:?}").contains("hunter2"));
}

#[tokio::test]
async fn login_is_plain_where_that_is_offered() {
    let folder = templates();
    let smtp = SmtpServer::start().await;
    let mut config = server(format!("smtp://{}", smtp.address), &folder);
    config.login = Some(("ann".into(), Secret::new("hunter2")));
    let mails = Mails::new(&config).unwrap();
    assert!(matches!(mails.deliver(&attempt(to())).await, Reply::Done { .. }));
    assert!(smtp.commands().contains(&"AUTH PLAIN AGFubgBodW50ZXIy".to_owned()));
    smtp.misbehave(fault("AUTH", "535 wrong\r\n", Then::GoOn));
    let mails = Mails::new(&config).unwrap();
    assert!(matches!(mails.deliver(&attempt(to())).await, Reply::Again { .. }));
}

#[tokio::test]
async fn all_that_is_wrong_with_a_configuration_is_told() {
    let folder = templates();
    std::fs::write(folder.path().join("broken.txt"), "{{").unwrap();
    let config = MailServer { from: "nobody".into(), ..server("ftp://x".into(), &folder) };
    let problems = Mails::new(&config).unwrap_err();
    let codes: Vec<_> = problems.iter().map(|problem| problem.code()).collect();
    assert_eq!(codes, ["bad-mail-server", "bad-sender", "template-failed"]);
}
