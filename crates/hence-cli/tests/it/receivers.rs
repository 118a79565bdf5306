//! Goal: what receivers and readers of mails get is what the pages say. Method: the built binary, a listener that keeps what it is sent,
//! and the examples of the pages themselves.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use crate::runner::{Engine, Folder};

const TRIAL: &str = r#"
[timeline]
name = "trial"
entity = "account"
anchor = "created_at"
[facts.account]
fields = { email = "string", paid_at = "time?" }
[step.expire]
due = "30 days"
when = "account.paid_at == null"
do = { webhook = "app", path = "/hence/{entity}", data = { plan = "basic" } }
"#;

/// The first block of that language in a page.
fn example(page: &str, language: &str) -> String {
    let after = page.split_once(&format!("```{language}\n")).unwrap().1;
    after.split_once("```").unwrap().0.to_owned()
}

/// The first request that comes, answered with 200: its first line and its body.
fn first_request(listener: &TcpListener) -> (String, Value) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).unwrap();
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            return (head.lines().next().unwrap().to_owned(), body);
        }
    }
}

#[test]
fn a_webhook_is_as_its_page_shows_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::new();
    let target = format!("[targets.app]\nurl = \"http://{}\"\nallow_private = true\n", listener.local_addr().unwrap());
    folder.write("hence.toml", &target);
    folder.write("timelines/trial.toml", TRIAL);
    let engine = Engine::begin(&folder, &["dev", "--clock", "virtual"]);
    let enrol = ["enrol", "trial", "account/42", "--given", "created_at=2026-03-02T08:00Z", "--facts"];
    folder.done(&[&enrol[..], &[r#"{"account": {"email": "a@example.com"}}"#]].concat());
    let (line, body) = first_request(&listener);
    assert_eq!(line, "POST /hence/42 HTTP/1.1");
    let mut expected: Value =
        serde_json::from_str(&example(include_str!("../../../../docs/reference/webhooks.md"), "json")).unwrap();
    // Of the id only the store's part is chance; fences rise with every start and with every engine.
    expected["hencefence"] = body["hencefence"].clone();
    assert!(body["hencefence"].as_str().unwrap().parse::<i64>().is_ok_and(|fence| fence > 0));
    let id = body["id"].as_str().unwrap();
    assert_eq!((id.len(), &id[..4], &id[12..]), ("hnc_k3v7q2ma_2".len(), "hnc_", "_2"));
    expected["id"] = body["id"].clone();
    assert_eq!(body, expected);
    drop(engine);
}

/// The trial with a mail, whose template is the one of the page about mails.
fn with_mail(template: &str) -> Folder {
    let folder = Folder::new();
    let step = "[step.tell]\nafter = \"expire:done\"\ndo = { email = \"trial_over\", to = \"{account.email}\" }\n";
    let fields = TRIAL.replace("email = \"string\"", "email = \"string\", name = \"string\"");
    folder.write("timelines/trial.toml", &format!("{fields}{step}"));
    folder.write(
        "hence.toml",
        "[mail]\nurl = \"smtp://127.0.0.1:9\"\nfrom = \"a@example.com\"\n[targets.app]\nurl = \"https://a.example\"\n",
    );
    folder.write("templates/trial_over.txt", template);
    folder.write("templates/footer.txt", "Bye\n");
    folder
}

#[test]
fn the_template_of_the_page_about_mails_is_usable() {
    let folder = with_mail(&example(include_str!("../../../../docs/reference/mail.md"), "text"));
    folder.done(&["check"]);
    folder.done(&["clock", "virtual", "2026-03-02T08:00Z"]);
    folder.done(&["doctor"]);
}

#[test]
fn a_name_that_no_mail_can_have_is_found_before_the_mail() {
    let folder = with_mail("Subject: Hi\n\nDear {{ account.nick }}\n");
    let problem = "mail template `trial_over.txt`: `account.nick` is not known here; known are: account, data, due_at, entity, facts, hence,";
    let checked = folder.run(&["check"]);
    assert_eq!(checked.exit, 3);
    assert!(checked.out.contains(&format!("step `tell` of `trial`: {problem}")), "{checked:?}");
    folder.done(&["clock", "virtual", "2026-03-02T08:00Z"]);
    let doctor = folder.run(&["doctor"]);
    assert_eq!(doctor.exit, 1);
    assert!(doctor.out.contains(problem), "{doctor:?}");
}
