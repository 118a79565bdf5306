//! The pages of the error codes, as they stand in `docs/errors/`.

/// Every page by its code, in the order of the codes.
const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The page of a code, however it is written: `HNC-0301`, `hnc-301`, `301`.
pub(crate) fn page(code: &str) -> Option<&'static str> {
    let wanted = normal(code)?;
    PAGES.iter().find(|(code, _)| *code == wanted).map(|(_, page)| *page)
}

/// All codes with the head of their page.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGES.iter().map(|(code, page)| {
        let head = page.lines().next().unwrap_or_default();
        (*code, head.trim_start_matches("# ").trim_start_matches(*code).trim_start_matches(": "))
    })
}

fn normal(code: &str) -> Option<String> {
    let upper = code.trim().to_ascii_uppercase();
    let digits = upper.strip_prefix("HNC-").unwrap_or(&upper);
    let number: u16 = digits.parse().ok()?;
    Some(format!("HNC-{number:04}"))
}
