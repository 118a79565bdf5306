//! Goal: no address inside the house is reached by accident, however it is written. Method: a table of more than a
//! hundred addresses as people and attackers write them, each with the answer of the guard; a resolver that lies.

use super::*;

const PUBLIC: Policy = Policy { reach: Reach::Public, allow_http: true };
const PRIVATE: Policy = Policy { reach: Reach::Private, allow_http: true };

/// The table is the documentation: `ok`, `private` (only when opened) or `never`.
const TABLE: &str = "
ok https://example.com
ok https://example.com/
ok https://example.com:443/hook
ok https://example.com:8443/hook?a=1
ok http://example.com/
ok http://example.com:8080/
ok https://example.com./
ok https://bücher.example/
ok https://xn--bcher-kva.example/
ok https://8.8.8.8/
ok https://1.1.1.1/
ok https://[2606:4700:4700::1111]/
ok https://[::ffff:8.8.8.8]/
ok https://[64:ff9b::808:808]/
ok https://172.15.255.255/
ok https://172.32.0.1/
ok https://100.63.255.255/
ok https://100.128.0.1/
ok https://11.0.0.1/
ok https://192.167.1.1/
ok https://223.255.255.255/
private http://localhost/
private http://localhost./
private http://LOCALHOST/
private http://app.localhost/
private http://ｌocalhost/
private http://localhost:4000/
private http://127.0.0.1/
private http://127.0.0.1:4000/
private http://127.1/
private http://127.0.1/
private http://0x7f.1/
private http://0x7f000001/
private http://0x7F.0x0.0x0.0x1/
private http://2130706433/
private http://017700000001/
private http://0177.0.0.1/
private http://127.0.0.1./
private http://１２７.０.０.１/
private http://127。0。0。1/
private http://①②⑦.⓪.⓪.①/
private http://%31%32%37.0.0.1/
private http://127.255.255.254/
private http://10.0.0.1/
private http://10.255.255.255/
private http://012.0.0.1/
private http://167772161/
private http://100.64.0.1/
private http://100.127.255.255/
private http://172.16.0.1/
private http://172.31.255.255/
private http://192.168.0.1/
private http://192.168.255.255/
private http://0xc0a80001/
private http://[::1]/
private http://[0:0:0:0:0:0:0:1]/
private http://[::ffff:127.0.0.1]/
private http://[::ffff:7f00:1]/
private http://[::ffff:0:7f00:1]/
private http://[::127.0.0.1]/
private http://[::7f00:1]/
private http://[::ffff:10.0.0.1]/
private http://[::ffff:c0a8:1]/
private http://[64:ff9b::7f00:1]/
private http://[64:ff9b::10.0.0.1]/
private http://[fc00::1]/
private http://[fd12:3456:789a::1]/
private http://[fdff:ffff::]/
private http://[2606:4700::5efe:10.0.0.1]/
private http://[fd00::5efe:8.8.8.8]/
private http://[2606:4700::200:5efe:7f00:1]/
private https://example.com:22/
private https://example.com:25/
private https://example.com:6379/
private https://example.com:80/
private http://example.com:443/
never http://169.254.169.254/
never http://169.254.169.254/latest/meta-data/
never http://0xa9fea9fe/
never http://2852039166/
never http://0251.0376.0251.0376/
never http://169.254.43518/
never http://[::ffff:a9fe:a9fe]/
never http://[::ffff:169.254.169.254]/
never http://[::a9fe:a9fe]/
never http://[64:ff9b::a9fe:a9fe]/
never http://[fe80::5efe:a9fe:a9fe]/
never http://[fe80::5efe:8.8.8.8]/
never http://[fd00:ec2::254]/
never http://100.100.100.200/
never http://168.63.129.16/
never http://192.0.0.192/
never http://metadata/
never http://metadata.google.internal/
never http://METADATA.google.internal./
never http://metadata.goog/
never http://instance-data/
never http://169.254.0.1/
never http://0.0.0.0/
never http://0/
never http://0.1.2.3/
never http://[::]/
never http://[::ffff:0.0.0.0]/
never http://192.0.0.1/
never http://192.0.2.1/
never http://192.88.99.1/
never http://198.18.0.1/
never http://198.19.255.255/
never http://198.51.100.7/
never http://203.0.113.7/
never http://224.0.0.1/
never http://239.255.255.255/
never http://240.0.0.1/
never http://255.255.255.255/
never http://[ff02::1]/
never http://[fe80::1]/
never http://[febf::1]/
never http://[fec0::1]/
never http://[2002:7f00:1::]/
never http://[2002:808:808::]/
never http://[2001::1]/
never http://[2001:0:808:808:0:0:80ff:fffe]/
never http://[2001:db8::1]/
never http://[3fff::1]/
never http://[64:ff9b:1::7f00:1]/
never http://[100::1]/
never http://[5f00::1]/
never http://[4000::1]/
never http://a@127.0.0.1/
never https://user:word@example.com/
never https://user@example.com/
never https://:word@example.com/
never https://1.1.1.1#@127.0.0.1/
never https://1.1.1.1/#x
never https://example.com\\@127.0.0.1/
never https://example.com/\\..
never ftp://example.com/
never file:///etc/passwd
never gopher://127.0.0.1:6379/_x
never data:text/plain,x
never javascript:alert(1)
never unix:/run/docker.sock
never //example.com/
never example.com
never https://
never https:///
never https://example.com:0/
never https://example.com:99999/
never https://exa mple.com/
never https://a..example.com/
never https://256.256.256.256/
never https://1.2.3.4.5/
never https://0x7f.1.example.0x1/
never https://[::1/
never https://[fe80::1%25eth0]/
never https://exa%00mple.com/
never https://exa%0d%0ample.com/
never https://*.example.com/
never https://.../
";

#[test]
fn every_address_of_the_table_gets_its_answer() {
    let mut count = 0;
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        let (expected, text) = line.split_once(' ').unwrap();
        let public = checked_url(text, PUBLIC);
        let private = checked_url(text, PRIVATE);
        let got = match (&public, &private) {
            (Ok(_), Ok(_)) => "ok",
            (Err(_), Ok(_)) => "private",
            (Err(_), Err(_)) => "never",
            (Ok(_), Err(_)) => "private networks opened deny what is public",
        };
        assert_eq!(got, expected, "{text}: {public:?} {private:?}");
        count += 1;
    }
    assert!(count >= 100, "only {count} addresses");
}

#[test]
fn plain_http_has_to_be_allowed() {
    let strict = Policy { reach: Reach::Public, allow_http: false };
    assert!(checked_url("http://example.com", strict).is_err());
    assert!(checked_url("https://example.com", strict).is_ok());
}

#[test]
fn long_names_are_denied() {
    for name in [
        format!("https://{}.example/", "a".repeat(64)),
        format!("https://{}example/", "abcdefgh.".repeat(29)),
        format!("https://{}/", "a".repeat(255)),
    ] {
        assert!(checked_url(&name, PUBLIC).is_err(), "{name}");
    }
}

#[test]
fn joined_paths_stay_below_the_target() {
    let base = checked_url("https://example.com/api/", PUBLIC).unwrap();
    for (path, expected) in [
        ("/hook", "https://example.com/api/hook"),
        ("/a/b?c=d", "https://example.com/api/a/b?c=d"),
        ("/@127.0.0.1", "https://example.com/api/@127.0.0.1"),
        ("/:8080/x", "https://example.com/api/:8080/x"),
        ("/https://x.example", "https://example.com/api/https://x.example"),
        ("/a%2Fb", "https://example.com/api/a%2Fb"),
        ("/...", "https://example.com/api/..."),
        ("/?to=http://x", "https://example.com/api/?to=http://x"),
        ("/", "https://example.com/api/"),
    ] {
        assert_eq!(joined(&base, path).unwrap().as_str(), expected, "{path}");
    }
    for path in [
        "",
        "hook",
        "//x.example/",
        "///",
        "https://x.example",
        "/..",
        "/../x",
        "/a/../../x",
        "/a/..",
        "/./x",
        "/%2e%2e/x",
        "/%2E./x",
        "/.%2e",
        "/\\x.example",
        "\\\\x",
        "/a#b",
        "/a b",
        "/a\r\nHost: x",
        "/a\0",
        "/a\tb",
        "@x.example/",
        ":80/",
    ] {
        assert!(joined(&base, path).is_err(), "{path:?}");
    }
    assert!(joined(&base, &format!("/{}", "a".repeat(5000))).is_err());
}

#[test]
fn any_value_becomes_one_segment() {
    let base = checked_url("https://example.com", PUBLIC).unwrap();
    for value in ["a/b", "a?b", "a#b", "ü", "a b", "\r\n", "//x", "%2e", "a\\b"] {
        let url = joined(&base, &format!("/x/{}/y", path_segment(value))).unwrap();
        assert_eq!(url.path_segments().unwrap().count(), 3, "{value}");
    }
    assert!(joined(&base, &format!("/x/{}/y", path_segment(".."))).is_err());
}

/// Gives one list of addresses after the other.
struct Lies(std::sync::Mutex<Vec<Vec<IpAddr>>>);

#[async_trait::async_trait]
impl Lookup for Lies {
    async fn addresses(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(self.0.lock().unwrap().remove(0))
    }
}

async fn resolved(reach: Reach, answers: &[&[&str]]) -> Vec<bool> {
    let parsed = answers.iter().map(|list| list.iter().map(|a| a.parse().unwrap()).collect()).collect();
    let resolver = GuardedResolver { reach, lookup: Arc::new(Lies(std::sync::Mutex::new(parsed))) };
    let mut allowed = Vec::new();
    for _ in answers {
        let name: Name = "hook.example.com".parse().unwrap();
        allowed.push(resolver.resolve(name).await.is_ok());
    }
    allowed
}

#[tokio::test]
async fn every_resolution_is_checked_again() {
    let rebinding: &[&[&str]] = &[&["8.8.8.8"], &["127.0.0.1"], &["8.8.8.8"]];
    assert_eq!(resolved(Reach::Public, rebinding).await, [true, false, true]);
}

#[tokio::test]
async fn one_denied_address_denies_the_name() {
    let mixed: &[&[&str]] =
        &[&["8.8.8.8", "::ffff:127.0.0.1"], &["2606:4700::1", "169.254.169.254"], &["2606:4700::1", "8.8.8.8"]];
    assert_eq!(resolved(Reach::Public, mixed).await, [false, false, true]);
    assert_eq!(resolved(Reach::Private, mixed).await, [true, false, true]);
}

#[path = "../../../fuzz/runner.rs"]
mod runner;

/// By `fuzz/runner.rs`: what is let through is where it says it is.
#[test]
fn any_address_is_denied_or_public_and_no_path_leaves_its_target() {
    let base = Url::parse("https://example.com/below").unwrap();
    let scratch = std::env::temp_dir();
    runner::hunt("url", scratch.to_str().unwrap(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(url) = checked_url(&text, PUBLIC) {
            let literal = match url.host() {
                Some(url::Host::Ipv4(address)) => Some(IpAddr::V4(address)),
                Some(url::Host::Ipv6(address)) => Some(IpAddr::V6(address)),
                _ => None,
            };
            assert!(literal.is_none_or(|address| check_address(address, Reach::Public).is_ok()), "{url}");
            assert!(url.username().is_empty() && url.password().is_none(), "{url}");
            assert_eq!(checked_url(url.as_str(), PUBLIC), Ok(url.clone()), "what is dialled would be let through again");
        }
        if let Ok(url) = joined(&base, &text) {
            assert!(url.as_str().starts_with("https://example.com/below/"), "{url}");
            assert_eq!(Url::parse(url.as_str()).unwrap(), url, "it is read as it was written");
        }
        let segment = path_segment(&text);
        assert!(segment.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'), "{segment}");
    });
}
