//! Goal: the mail catcher keeps what it is sent, whole, from several clients, within limits. Method: raw conversations.

use std::net::SocketAddr;

use hence_dispatch::MailCatcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Says all at once and reads the answers until the server closes.
async fn talk(catcher: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(catcher).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    answers.lines().map(|line| &line[..3]).collect::<Vec<_>>().join(" ")
}

fn mail(subject: &str, body: &str) -> String {
    format!("MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nSubject: {subject}\r\n\r\n{body}\r\n.\r\n")
}

#[tokio::test]
async fn conversations_are_answered_and_mails_kept() {
    let catcher = MailCatcher::start(None).await.unwrap();
    let text = format!("HELO x\r\n{}NOOP\r\n{}QUIT\r\n", mail("one", "..\r\n...dots"), mail("two", "b"));
    assert_eq!(talk(catcher.address(), &text).await, "220 250 250 250 354 250 250 250 250 354 250 221");
    let mails = catcher.mails();
    assert_eq!(mails.iter().map(|mail| (mail.number, mail.subject.as_str())).collect::<Vec<_>>(), [(1, "one"), (2, "two")]);
    assert_eq!(mails[0].text.trim_end(), ".\n..dots");
    assert_eq!((mails[0].from.as_str(), mails[0].to.as_slice()), ("a@x", ["b@x".to_owned()].as_slice()));
}

#[tokio::test]
async fn numbers_go_on_behind_what_the_folder_has() {
    let folder = tempfile::tempdir().unwrap();
    let first = MailCatcher::start(Some(folder.path().to_owned())).await.unwrap();
    talk(first.address(), &format!("HELO x\r\n{}QUIT\r\n", mail("one", "a"))).await;
    assert_eq!(first.stop().await.len(), 1);
    let second = MailCatcher::start(Some(folder.path().to_owned())).await.unwrap();
    assert_eq!(second.count(), 1);
    talk(second.address(), &format!("HELO x\r\n{}QUIT\r\n", mail("two", "To: no head\n"))).await;
    let mails = second.stop().await;
    assert_eq!(mails.iter().map(|mail| (mail.number, mail.subject.as_str())).collect::<Vec<_>>(), [(1, "one"), (2, "two")]);
    let mut files: Vec<String> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    assert_eq!(files, ["000001.eml", "000002.eml"]);
}

#[tokio::test]
async fn wrong_order_and_nonsense_are_refused() {
    let catcher = MailCatcher::start(None).await.unwrap();
    let text = "DATA\r\nRCPT TO:<b@x>\r\nMAIL TO:<x>\r\nMAIL FROM:<>\r\nMAIL FROM:<a@x>\r\nRCPT TO:<>\r\nRSET\r\nDATA\r\nBREW\r\n\r\nQUIT\r\n";
    assert_eq!(talk(catcher.address(), text).await, "220 503 503 501 250 503 501 250 503 502 502 221");
    let long = format!("{}\r\nQUIT\r\n", "x".repeat(50_000));
    assert_eq!(talk(catcher.address(), &long).await, "220 500 221");
    assert!(catcher.mails().is_empty());
}

#[tokio::test]
async fn bare_line_feeds_do_not_end_a_mail() {
    let catcher = MailCatcher::start(None).await.unwrap();
    let text = format!("{}QUIT\r\n", mail("s", "a\n.\nMAIL FROM:<evil@x>\n"));
    assert_eq!(talk(catcher.address(), &text).await, "220 250 250 354 250 221");
    assert_eq!(catcher.mails().len(), 1);
}

#[tokio::test]
async fn too_much_is_refused_and_the_conversation_goes_on() {
    let catcher = MailCatcher::start(None).await.unwrap();
    let big = "x".repeat(900).to_string() + "\r\n";
    let text = format!("{}{}QUIT\r\n", mail("big", &big.repeat(3000)), mail("small", "b"));
    assert_eq!(talk(catcher.address(), &text).await, "220 250 250 354 552 250 250 354 250 221");
    let many = "RCPT TO:<b@x>\r\n".repeat(101);
    assert!(talk(catcher.address(), &format!("MAIL FROM:<a@x>\r\n{many}QUIT\r\n")).await.ends_with("250 452 221"));
    assert_eq!(catcher.mails().len(), 1);
}

#[tokio::test]
async fn several_clients_at_once_lose_nothing() {
    let catcher = MailCatcher::start(None).await.unwrap();
    let address = catcher.address();
    let mut talks = tokio::task::JoinSet::new();
    for n in 0..20 {
        talks.spawn(async move { talk(address, &format!("{}QUIT\r\n", mail(&format!("mail {n}"), "b"))).await });
    }
    catcher.caught(20).await;
    talks.join_all().await;
    assert_eq!(catcher.count(), 20);
    // A client that never ends its conversation does not hold the stop up.
    let _open = TcpStream::connect(catcher.address()).await.unwrap();
    assert_eq!(catcher.stop().await.len(), 20);
}
