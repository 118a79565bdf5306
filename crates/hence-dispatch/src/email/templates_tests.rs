//! Goal: templates are checked when they are loaded, and stay within limits when they are rendered. Method: folders of
//! real files, hostile ones among them, and hostile values.

use super::*;
use crate::conformance_attempt::sample;

fn load(files: &[(&str, &str)]) -> Result<Templates, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    Templates::load(folder.path()).map_err(|problems| problems.iter().map(|p| p.message().to_owned()).collect())
}

fn render(files: &[(&str, &str)], payload: serde_json::Value) -> Result<Rendered, String> {
    let mut attempt = sample();
    attempt.payload = payload;
    load(files).unwrap().render("m", &attempt).map_err(|problem| problem.message().to_owned())
}

#[test]
fn subject_is_the_first_line_of_the_first_file() {
    let rendered = render(
        &[("m.txt", "Subject: Hi {{ name }}\n\nDear {{ name }},\n  bye {{ hence.entity_id }}"), ("m.html", "<b>{{ name }}</b>")],
        json!({"name": "A & <B>"}),
    )
    .unwrap();
    assert_eq!(rendered.subject.unwrap(), "Hi A & <B>");
    assert_eq!(rendered.bodies.text.unwrap(), "Dear A & <B>,\n  bye 42");
    assert_eq!(rendered.bodies.html.unwrap(), "<b>A &amp; &lt;B&gt;</b>");
    let rendered = render(&[("m.html", "Subject: x\r\n\r\n<p>\n")], json!({})).unwrap();
    assert_eq!((rendered.subject.as_deref(), rendered.bodies.html.as_deref()), (Some("x"), Some("<p>")));
    assert!(!load(&[("m.txt", "no subject")]).unwrap().has_subject("m").unwrap());
}

#[test]
fn values_are_never_templates() {
    let evil = "{{ 7 * 7 }}{% include \"m.txt\" %}{# x #}";
    let rendered = render(&[("m.txt", "Subject: {{ v }}\n{{ v }}")], json!({ "v": evil })).unwrap();
    assert_eq!(rendered.bodies.text.as_deref(), Some(evil));
    assert_eq!(rendered.subject.as_deref(), Some(evil));
}

#[test]
fn all_broken_files_are_told_with_their_lines() {
    let problems = load(&[
        ("a.txt", "Subject: {{\n\nok"),
        ("b.txt", "Subject: x\n\n\nline four {% if %}"),
        ("c.html", "ok\n{{ nofilter | }}"),
        ("fine.txt", "ok"),
    ])
    .err()
    .unwrap();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("mail template `a.txt`, line 1: syntax error"), "{problems:?}");
    assert!(problems[1].starts_with("mail template `b.txt`, line 4: syntax error"), "{problems:?}");
    assert!(problems[2].starts_with("mail template `c.html`, line 2: syntax error"), "{problems:?}");
    let missing = Templates::load(Path::new("/nonexistent/folder")).err().unwrap();
    assert_eq!(missing[0].code(), "no-templates");
}

#[test]
fn links_out_of_the_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("m.txt")).unwrap();
    assert!(Templates::load(folder.path()).is_err());
}

#[test]
fn includes_stay_in_the_folder() {
    let rendered = render(&[("m.txt", "{% include 'foot.txt' %}"), ("foot.txt", "bye {{ n }}")], json!({"n": 1})).unwrap();
    assert_eq!(rendered.bodies.text.as_deref(), Some("bye 1"));
    for path in ["/etc/hostname", "../x.txt", "none.txt"] {
        let problem = render(&[("m.txt", &format!("\n{{% include '{path}' %}}"))], json!({})).unwrap_err();
        assert!(problem.contains("does not exist in its folder"), "{problem}");
    }
}

#[test]
fn hostile_templates_end_early() {
    for text in [
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{{ range(10**9) }}",
        "{{ 'x' * 2000000 }}",
        "{{ 'x' * 10**12 }}",
        "{% include 'm.txt' %}",
        "{% block a %}{{ self.a() }}{% endblock %}",
        "{% set x = 'y' * 1000000 %}{{ x }}{{ x }}",
    ] {
        let problem = render(&[("m.txt", text)], json!({})).expect_err(text);
        assert!(problem.len() < 200, "{problem}");
    }
}

#[test]
fn failures_name_the_place_and_no_value() {
    let problem =
        render(&[("m.txt", "Subject: x\n\n{{ account.emial }}")], json!({"account": {"email": "a@example.com"}})).unwrap_err();
    assert_eq!(problem, "mail template `m.txt`, line 3: `account.emial` is not known here; known are: account, hence");
    let problem = render(&[("m.txt", "{{ secret + 1 }}")], json!({"secret": "hunter2"})).unwrap_err();
    assert!(!problem.contains("hunter2"), "{problem}");
    let problem = render(&[("m.txt", "{{ secret | int }}")], json!({"secret": "hunter2"})).unwrap_err();
    assert!(!problem.contains("hunter2"), "{problem}");
}

/// The payload as the engine makes it.
fn payload() -> serde_json::Value {
    json!({
        "entity": { "type": "account", "id": "42" },
        "facts": { "account": { "name": "Ann", "tags": { "x": 1 } }, "step": { "x": 2 } },
        "data": { "code": 7 },
        "step": "tell",
    })
}

#[test]
fn facts_are_named_by_their_group_alone_or_below_facts() {
    let text = "{{ account.name }} {{ facts.account.name }} {{ account.tags.x }} {{ data.code }} {{ entity.id }} {{ step }} {{ facts.step.x }}";
    let rendered = render(&[("m.txt", text)], payload()).unwrap();
    assert_eq!(rendered.bodies.text.as_deref(), Some("Ann Ann 1 7 42 tell 2"));
}

#[test]
fn a_name_that_is_not_known_is_said() {
    let problem = render(&[("m.txt", "Subject: Hi\n\n{{ account.nick }}{{ data.code }}")], payload()).unwrap_err();
    let known = "known are: account, data, entity, facts, hence, step";
    assert_eq!(problem, format!("mail template `m.txt`, line 3: `account.nick` is not known here; {known}"));
    let templates = load(&[
        (
            "m.txt",
            "Subject: {{ acount.name }}\n{% for i in range(3) %}{{ loop.index }}{{ hence.due }}{% endfor %}{{ account.name.x }}",
        ),
        ("m.html", "{{ account.nick }} {{ other }} {% set mine = 1 %}{{ mine }}"),
    ])
    .unwrap();
    let unknown: Vec<String> = templates.unknown_names("m", &payload()).iter().map(|p| p.message().to_owned()).collect();
    assert_eq!(
        unknown,
        [
            format!("mail template `m.txt`: `acount.name` is not known here; {known}"),
            format!("mail template `m.html`: `account.nick`, `other` is not known here; {known}"),
        ]
    );
}
