//! Goal: nothing a value holds can change who gets a mail or add to its headers. Method: hostile recipients, subjects
//! and bodies; the bytes are looked at as a mail server would.

use super::*;
use crate::conformance_attempt::sample;

fn composed(subject: &str, text: &str) -> Composed {
    let from = one_mailbox("Example <hello@example.com>").unwrap();
    let bodies = Bodies { text: Some(text.into()), html: Some(format!("<p>{text}</p>")) };
    compose(&sample(), &from, &recipients("a@example.com").unwrap(), subject, bodies).unwrap()
}

/// Names of the headers before the first empty line.
fn header_names(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let head = text.split_once("\r\n\r\n").unwrap().0;
    head.split("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split(':').next().unwrap().to_owned())
        .collect()
}

#[test]
fn recipients_are_addresses_and_nothing_else() {
    for (to, count) in [
        ("a@example.com", 1),
        ("Ann <a@example.com>", 1),
        ("\"Ann, B.\" <a@example.com>, b@example.org", 2),
        ("a+b=c%0a@example.com", 1),
    ] {
        assert_eq!(recipients(to).unwrap().len(), count, "{to}");
    }
    for to in [
        "",
        " ",
        ",",
        "a",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "a@example.com\r\nBcc: x@example.org",
        "a@example.com\nx",
        "a@example.com\rx",
        "a@example.com\0",
        "a@example.com, ",
        "a@example.com b@example.com",
        "a@example.com; b@example.com",
        "<a@example.com",
        "a@example.com>",
        "=?utf-8?q?Ann?= <a@example.com>",
        "a@bücher.example",
        "ü@example.com",
        "a b@example.com",
        "a@exa mple.com",
        "a@example.com\u{2028}",
        "\u{1b}a@example.com",
        "a@[127.0.0.1]\r\n",
        "a@example.com\t\n.\nMAIL FROM:<x>",
    ] {
        assert!(recipients(to).is_err(), "{to:?}");
    }
    let many = |count: usize| vec!["a@example.com"; count].join(",");
    assert!(recipients(&many(50)).is_ok());
    assert!(recipients(&many(51)).is_err());
    assert!(recipients(&format!("{}@example.com", "a".repeat(400))).is_err());
    assert!(one_mailbox("a@example.com, b@example.com").is_err());
}

#[test]
fn subjects_fit_one_field() {
    for subject in ["Your trial ends", "Ümläut 🙂", "50% off = a deal?", "a: b"] {
        let names = header_names(&composed(&checked_subject(subject).unwrap(), "x").bytes);
        assert_eq!(names, header_names(&composed("plain", "x").bytes), "{subject}");
    }
    for subject in
        ["", "  ", "a\r\nBcc: x", "a\nb", "a\rb", "a\0b", "a\u{85}b", "=?utf-8?q?x?=", "a =?x?b?Zg==?= b", &"a".repeat(999)]
    {
        assert!(checked_subject(subject).is_err(), "{subject:?}");
    }
}

#[test]
fn bodies_cannot_end_the_mail() {
    for text in [
        "a\n.\nMAIL FROM:<x@example.org>\n",
        "a\r\n.\r\nQUIT\r\n",
        "a\r.\rQUIT\r",
        "\0",
        ".",
        "..",
        ".\n.",
        "a\r\n\r\n--boundary--\r\n",
        "\u{85}.\u{85}",
        "ü\n",
        &"long ".repeat(5000),
        &"x".repeat(100_000),
    ] {
        let composed = composed("s", text);
        assert_eq!(header_names(&composed.bytes), header_names(&self::composed("s", "plain").bytes), "{text:?}");
        assert!(check_bytes(&composed.bytes).is_ok());
    }
}

#[test]
fn unclean_bytes_do_not_leave() {
    for bytes in ["a\nb\r\n", "a\rb\r\n", "a\r", "a\0\r\n", "ü\r\n", &format!("{}\r\n", "a".repeat(999))] {
        assert!(check_bytes(bytes.as_bytes()).is_err(), "{bytes:?}");
    }
    assert!(check_bytes(format!("{}\r\n\r\n.\r\n", "a".repeat(998)).as_bytes()).is_ok());
}

#[test]
fn message_id_is_made_of_the_task() {
    assert_eq!(composed("s", "x").message_id, "<task_01jq7m3c5vf8e9k2@example.com>");
    assert_eq!(message_id("a>\r\nBcc: x", "example.com"), "<a=3e=0d=0aBcc=3a=20x@example.com>");
}

#[test]
fn same_task_gives_the_same_headers() {
    let head = |composed: Composed| {
        let text = String::from_utf8(composed.bytes).unwrap();
        let lines: Vec<String> = text.split("\r\n").take_while(|line| !line.is_empty()).map(str::to_owned).collect();
        lines.into_iter().filter(|line| !line.contains("boundary")).collect::<Vec<_>>()
    };
    let first = head(composed("Bye", "x"));
    assert_eq!(first, head(composed("Bye", "x")));
    assert!(first.contains(&"Date: Wed, 01 Apr 2026 08:00:02 +0000".to_owned()), "{first:?}");
    assert!(first.contains(&"Auto-Submitted: auto-generated".to_owned()));
}
