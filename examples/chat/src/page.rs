//! The plain page: what a person at the chat company sees and can press. Works without JavaScript.
//!
//! Owns the HTML. Invariant: every text that came from outside passes [`escaped`].

use std::fmt::Write as _;

use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};

use crate::accounts::Account;
use crate::hence_calls::AccountId;

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #8886; padding: .4rem .6rem; text-align: left; vertical-align: top }
form { display: inline-flex; flex-wrap: wrap; gap: .3rem; margin: 0 .6rem .3rem 0 }
label { display: inline-flex; gap: .3rem; align-items: center }
input, button { font: inherit; padding: .15rem .5rem }
input[type=number] { width: 5rem }
.notice { border-left: .3rem solid #b45309; padding: .3rem .8rem }
";

/// Zones offered while typing; any IANA name may be typed.
const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Oslo",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Pacific/Auckland",
];

/// Headers of every page: nothing but this page's own style and forms, and never an old copy.
pub(crate) fn headers() -> [(HeaderName, &'static str); 2] {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    [(CONTENT_SECURITY_POLICY, policy), (CACHE_CONTROL, "no-store")]
}

/// The front page: accounts, the newest first, and how much Hence has still to be told.
pub(crate) fn front(accounts: &[Account], waiting: &(i64, Option<String>), older: Option<AccountId>) -> String {
    let mut body = String::from("<h1>Chat accounts</h1>");
    if waiting.0 > 0 {
        let problem = waiting.1.as_deref().map(|problem| format!(": {}", escaped(problem))).unwrap_or_default();
        let resend = form("/admin/resend", "", "Tell it now");
        push(&mut body, format_args!("<p class=notice>Hence has still to be told {} things{problem} {resend}</p>", waiting.0));
    }
    body.push_str("<h2>Sign up</h2>");
    body.push_str(&form(
        "/signup",
        "<label>Mail <input name=email type=email required maxlength=254></label>\
         <label>Time zone <input name=timezone list=zones required value=UTC></label>",
        "Sign up",
    ));
    body.push_str("<datalist id=zones>");
    for zone in ZONES {
        push(&mut body, format_args!("<option value=\"{zone}\">"));
    }
    body.push_str("</datalist><h2>Accounts</h2>");
    if accounts.is_empty() {
        body.push_str("<p>There are none yet. Sign the first one up above.</p>");
    } else {
        body.push_str(
            "<table><thead><tr><th scope=col>Account</th><th scope=col>Mail</th><th scope=col>Since</th>\
             <th scope=col>Status</th><th scope=col>What it may do</th></tr></thead><tbody>",
        );
        for account in accounts {
            push_row(&mut body, account);
        }
        body.push_str("</tbody></table>");
    }
    if let Some(older) = older {
        push(&mut body, format_args!("<p><a href=\"/?before={older}\">Older accounts</a></p>"));
    }
    document("Chat accounts", &body)
}

fn push_row(body: &mut String, account: &Account) {
    let Account { id, trial_days, .. } = account;
    let status = match (account.status.as_str(), account.paid_at) {
        ("trial", _) => format!("on trial, {trial_days} days"),
        ("paid", Some(at)) => format!("paid since {}", escaped(&at.to_string())),
        ("deactivated", _) => "switched off".to_owned(),
        (status, _) => escaped(status),
    };
    push(
        body,
        format_args!(
            "<tr><td>account/{id}</td><td>{}</td><td>{}<br>{}</td><td>{status}</td><td>",
            escaped(&account.email),
            escaped(&account.created_at.to_string()),
            escaped(&account.timezone),
        ),
    );
    if account.status != "closed" {
        if account.status != "paid" {
            body.push_str(&form(&format!("/accounts/{id}/pay"), "", "Pay"));
        }
        body.push_str(&form(&format!("/accounts/{id}/close"), "", "Close"));
        if account.status == "trial" {
            let days = "<label>Days <input name=days type=number min=1 max=365 value=14 required></label>";
            body.push_str(&form(&format!("/accounts/{id}/extend"), days, "Extend"));
        }
        let zone = format!(
            "<label>Time zone <input name=timezone list=zones required value=\"{}\"></label>",
            escaped(&account.timezone)
        );
        body.push_str(&form(&format!("/accounts/{id}/timezone"), &zone, "Move"));
    }
    let hits = "<label>Hits <input name=hits type=number min=0 value=10 required></label>";
    body.push_str(&form(&format!("/accounts/{id}/usage"), hits, "Report use"));
    body.push_str("</td></tr>");
}

/// A page that says what did not go well.
pub(crate) fn problem(message: &str) -> String {
    let body = format!(
        "<h1>That did not work</h1><p class=notice>{}</p><p><a href=\"/\">Back to the accounts</a></p>",
        escaped(message)
    );
    document("That did not work", &body)
}

fn form(action: &str, fields: &str, button: &str) -> String {
    format!("<form method=post action=\"{action}\">{fields}<button>{button}</button></form>")
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head><body>{body}</body></html>"
    )
}

fn push(body: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a `String` cannot fail.
    let _ = body.write_fmt(text);
}

/// The text with everything that HTML could take for its own made harmless, inside of elements and of quoted attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
