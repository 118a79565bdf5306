//! `hence explain`: the page of an error code, or the list of all codes.

use serde_json::json;

use crate::output::{self, Answer};
use crate::pages;
use crate::problem::{Exit, Problem};
use crate::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Such as HNC-0104; all codes are listed when it is left out
    code: Option<String>,
}

pub(crate) fn run(session: &Session, args: &Args) -> Result<Exit, Problem> {
    let Some(code) = &args.code else {
        let codes: Vec<_> = pages::all().map(|(code, head)| json!({ "code": code, "title": head })).collect();
        if !session.give(|| Answer::list(json!({ "codes": codes }), "codes", "code")) {
            let mut table = output::table(&["code", "what"]);
            for (code, head) in pages::all() {
                table.add_row([code, head]);
            }
            output::show(&table);
        }
        return Ok(Exit::Done);
    };
    let page = pages::page(code).ok_or_else(|| {
        Problem::not_found(format!("there is no error code `{code}`")).help("list all codes with `hence explain`")
    })?;
    if !session.give(|| Answer::one(json!({ "code": code, "page": page }), "code")) {
        output::line(page.trim_end());
    }
    Ok(Exit::Done)
}
