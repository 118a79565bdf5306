//! Goal: a task without a timeline is carried out, and a receiver that answers later is heard. Method: an engine on a virtual clock, and a
//! receiver that says 202.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::runner::{Engine, Folder};

const DEFINITION: &str = "\
[timeline]
name = 'slow'
entity = 'account'
anchor = 'created_at'

[step.call]
do = { webhook = 'app', path = '/call' }
says = ['reached', 'missed']

[step.thank]
after = 'call:reached'
do = { log = 'thank you' }
";

/// Takes one request and says that the answer comes later; the fence that it carried.
fn accept_for_later(receiver: &TcpListener) -> String {
    let (mut stream, _) = receiver.accept().unwrap();
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    let body = loop {
        let count = stream.read(&mut piece).unwrap();
        request.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
        if let Ok(body) = serde_json::from_str::<serde_json::Value>(body) {
            break body;
        }
    };
    stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    body["hencefence"].as_str().unwrap().to_owned()
}

#[test]
fn receivers_answer_later_under_their_fence() {
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::new();
    folder.write("timelines/slow.toml", DEFINITION);
    let address = receiver.local_addr().unwrap();
    folder.write("hence.toml", &format!("[targets.app]\nurl = 'http://{address}'\nallow_private = true\n"));
    folder.done(&["clock", "virtual", "2026-03-02T10:00Z"]);
    let _engine = Engine::begin(&folder, &["serve"]);
    folder.done(&["enrol", "slow", "account/1"]);
    let fence = accept_for_later(&receiver);
    // The engine writes that the answer is awaited; time goes on behind that write.
    folder.done(&["clock", "advance", "1 minute", "--wait"]);
    let task = folder.done(&["upcoming", "-o", "name"]);
    let task = task.trim();
    assert_eq!(folder.json(&["task", "show", task])["task"]["fence"], fence);
    folder.refused(&["task", "complete", task, "reached", "--fence", "999"], 6, "error[HNC-");
    folder.refused(&["task", "complete", "task_999", "--fence", "1"], 5, "task_999 is not known");
    let said = folder.done(&["task", "complete", task, "reached", "--fence", &fence, "--result", r#"{"by": "phone"}"#]);
    assert_eq!(said, format!("{task} ended reached\n"));
    folder.done(&["clock", "advance", "1 minute", "--wait"]);
    let ended = folder.json(&["history", "--kind", "done", "--oldest-first"]);
    let outcomes: Vec<&str> = ended["items"].as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["reached", "done"]);
    assert!(folder.done(&["why", task]).contains("answered {\"by\":\"phone\"}"));
}

#[test]
fn one_task_is_scheduled_moved_and_cancelled_without_a_timeline() {
    let folder = Folder::trial();
    let schedule =
        |at: &str| folder.json(&["task", "schedule", "account/42", "call", "--at", at, "--do", r#"{"log": "call them"}"#]);
    let first = schedule("2026-03-10T09:00Z");
    assert_eq!((&first["due_at"], &first["told"]), (&"2026-03-10T09:00:00Z".into(), &"carried_out".into()));
    let moved = schedule("2026-03-11T09:00Z");
    assert_eq!(moved["id"], first["id"], "the same name while it waits is the same task");
    let upcoming = folder.json(&["upcoming", "account/42"]);
    assert_eq!(upcoming["items"].as_array().unwrap().len(), 1);
    assert_eq!(upcoming["items"][0]["due_at"], "2026-03-11T09:00:00Z");
    let id = first["id"].as_str().unwrap();
    assert!(folder.done(&["why", id]).contains("scheduled by cli:anna"));
    assert!(folder.done(&["task", "cancel", id]).contains("no attempt ever starts"));
    folder.refused(&["task", "schedule", "account/42", "call", "--at", "soon", "--do", "{}"], 2, "`soon` is not an instant");
    folder.refused(&["task", "schedule", "account/42", "call", "--at", "1 day", "--do", "call"], 2, "error[HNC-0333]");
}
