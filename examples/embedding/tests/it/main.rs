//! Goal: the example programs do what they say. Method: each is run as a process and what it writes is compared; the web application is
//! asked over HTTP, on a port that the system chose.
#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

fn run(program: &str) -> String {
    let ran = Command::new(program).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn the_small_program_mails_and_says_what_is_ahead() {
    insta::assert_snapshot!(run(env!("CARGO_BIN_EXE_small")), @"
    mail `greet` to Ann
    ahead: ask in 3 days
    ");
}

#[test]
fn tasks_without_a_definition_are_moved_cancelled_tried_again_and_explained() {
    // Retries are scattered: when the second one comes is not the same twice.
    insta::with_settings!({ filters => [(r"15:\d\d:\d\d\.\d+Z", "[soon]"), (r"15:\d\d:\d\d \(UTC\)", "[soon]")] }, {
        insta::assert_snapshot!(run(env!("CARGO_BIN_EXE_adhoc")), @"
        2026-03-04T15:00:00Z 555-0107: busy
        2026-03-04T[soon] 555-0107: reached
        call_back of order/7 ended reached at 2026-03-04T[soon]
          - planned 2026-03-02T09:00:00Z: scheduled by app
          - moved 2026-03-02T09:00:00Z: scheduled by app
          - retried 2026-03-04T15:00:00Z: the line is busy (handler-failed); next attempt Wed 2026-03-04 [soon]
          - reached 2026-03-04T[soon]: delivered as handler call
        call_back of order/8 ended cancelled at 2026-03-02T09:00:00Z
          - planned 2026-03-02T09:00:00Z: scheduled by app
          - cancelled 2026-03-02T09:00:00Z: asked for by app: the customer called us
        ");
    });
}

/// The web application; ends with the test.
struct Web(Child);

impl Drop for Web {
    fn drop(&mut self) {
        // It may have ended by itself, which the test sees by its answers.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn rows_and_tasks_of_the_web_application_come_and_fail_together() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("app.db");
    let mut command = Command::new(env!("CARGO_BIN_EXE_web"));
    let web = command.env("DATABASE", &database).env("PORT", "0").stdout(Stdio::piped()).spawn().unwrap();
    let mut web = Web(web);
    let mut lines = BufReader::new(web.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.next().unwrap();
    let address = address.strip_prefix("listening on ").unwrap().to_owned();
    let http = reqwest::Client::new();
    let sign_up = |email: &str| http.post(format!("{address}/accounts")).json(&json!({ "email": email })).send();

    assert_eq!(sign_up("ann@example.com").await.unwrap().status(), 201);
    // An engine of the same process looks at once: this line comes from its handler.
    assert_eq!(lines.next().unwrap(), "mail `welcome` to ann@example.com");
    // The row is refused after the task was told: both are taken back.
    let again = sign_up("ann@example.com").await.unwrap();
    assert_eq!(again.status(), 409);
    let account: Value = http.get(format!("{address}/accounts/2")).send().await.unwrap().json().await.unwrap();
    assert_eq!(account, json!({ "ahead": [], "why": [] }));

    let ahead = |account: &Value| -> Vec<String> {
        let tasks = account["ahead"].as_array().unwrap().iter();
        tasks.map(|task| task["step"].as_str().unwrap().to_owned()).filter(|step| step != "welcome").collect()
    };
    let account: Value = http.get(format!("{address}/accounts/1")).send().await.unwrap().json().await.unwrap();
    assert_eq!(ahead(&account), ["remind", "expire"]);
    assert_eq!(http.post(format!("{address}/accounts/1/paid")).send().await.unwrap().status(), 204);
    let account: Value = http.get(format!("{address}/accounts/1")).send().await.unwrap().json().await.unwrap();
    assert_eq!(ahead(&account), [""; 0]);
    assert_eq!(account["why"].as_array().unwrap().len(), 3);
}
