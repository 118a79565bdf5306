//! What came of the play: checks against what really arrived, a summary, a chart, and where to look next.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Context;
use hence::core::history::RecordKind;
use hence::store::port::{Count, CountOf, CountSpan, CountsFilter, HistoryFilter, PageRequest, Totals};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::play::Ended;
use super::setting::Setting;
use crate::output::{self, Answer};
use crate::session::Session;
use crate::store::Place;

/// The widest bar of the chart.
const BAR_WIDTH: u64 = 48;

/// All that is told.
struct Report {
    counts: Vec<Count>,
    totals: Totals,
    arrived: Arrived,
}

/// What really arrived, by those who received it.
struct Arrived {
    mails: usize,
    /// `Message-ID`s that came more than once.
    mails_twice: Vec<String>,
    switch_offs: usize,
    /// Accounts that were switched off more than once.
    switched_off_twice: Vec<String>,
    /// Attempts that the receiver refused while it failed.
    refused: usize,
    /// Tasks whose attempt was cut short by a kill: what it sent may come twice, under the same id.
    taken_over: Vec<String>,
}

pub(super) async fn tell(session: &Session, setting: &Setting, ended: Ended) -> anyhow::Result<()> {
    let start = setting.actions.first().map_or(setting.ends_at, |action| action.at);
    let report = Report {
        counts: finished(setting, start).await?,
        totals: setting.client.store().totals().await?,
        arrived: arrived(setting).await?,
    };
    if session.give(|| Answer::one(document(setting, ended, &report), "store")) {
        return Ok(());
    }
    let mut text = String::new();
    if !ended.is_over {
        writeln!(text, "Stopped in the middle. The same command goes on where it stopped; nothing is lost.")?;
    } else {
        summary(&mut text, setting, ended, &report)?;
        chart(&mut text, start, &report.counts)?;
        checks(&mut text, &report.arrived)?;
        next(&mut text, setting)?;
    }
    output::line(text.trim_end());
    Ok(())
}

fn document(setting: &Setting, ended: Ended, report: &Report) -> Value {
    let mut by_step = serde_json::Map::new();
    for ((step, outcome), count) in by_step_and_outcome(&report.counts) {
        if let Value::Object(outcomes) = by_step.entry(step).or_insert_with(|| json!({})) {
            outcomes.insert(outcome, json!(count));
        }
    }
    let Arrived { mails, mails_twice, switch_offs, switched_off_twice, refused, taken_over } = &report.arrived;
    json!({
        "store": setting.place.to_string(),
        "is_over": ended.is_over,
        "accounts": setting.accounts,
        "seconds": ended.took.as_secs_f64(),
        "ended": by_step,
        "ahead": report.totals.live.values().sum::<u64>(),
        "inbox": report.totals.wishes,
        "mails": mails,
        "mails_twice": mails_twice,
        "switch_offs": switch_offs,
        "switched_off_twice": switched_off_twice,
        "refused": refused,
        "taken_over": taken_over,
    })
}

/// What ended in the play, by day, step and outcome.
async fn finished(setting: &Setting, start: Timestamp) -> anyhow::Result<Vec<Count>> {
    let filter = CountsFilter {
        of: CountOf::Finished,
        span: CountSpan::Day,
        from: start - SignedDuration::from_hours(24),
        until: setting.ends_at + SignedDuration::from_hours(24),
        timeline: None,
        step: None,
    };
    Ok(setting.client.store().counts(&filter).await?)
}

fn by_step_and_outcome(counts: &[Count]) -> BTreeMap<(String, String), u64> {
    let mut by_step: BTreeMap<(String, String), u64> = BTreeMap::new();
    for count in counts {
        let step = count.step.as_ref().map_or_else(String::new, ToString::to_string);
        *by_step.entry((step, count.outcome.clone().unwrap_or_default())).or_default() += count.count;
    }
    by_step
}

/// What arrived at the application and in the mail box.
async fn arrived(setting: &Setting) -> anyhow::Result<Arrived> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let (mut switch_offs, mut refused, mut after) = (Vec::new(), 0, 0);
    loop {
        let url = format!("{}/admin/log?after={after}", setting.app_url);
        let page: Value = serde_json::from_str(&http.get(url).send().await?.text().await?)?;
        let page = page.as_array().context("the application's log is no list")?;
        let Some(last) = page.last() else { break };
        after = last["number"].as_i64().context("a row of the application's log has no number")?;
        refused += page.iter().filter(|entry| entry["status"] == 503).count();
        let is_done = |entry: &&Value| entry["answered"]["outcome"] == "deactivated";
        // The same webhook again is answered as before and carried out once: it is no second switch-off.
        let word = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        switch_offs.extend(page.iter().filter(is_done).map(|entry| (word(entry, "id"), word(entry, "account"))));
    }
    let carried_out: BTreeSet<(String, String)> = switch_offs.into_iter().collect();
    let mails = setting.catcher.mails();
    Ok(Arrived {
        mails: mails.len(),
        mails_twice: twice(mails.into_iter().map(|mail| mail.message_id)),
        switch_offs: carried_out.len(),
        switched_off_twice: twice(carried_out.into_iter().map(|(_, account)| account)),
        refused,
        taken_over: taken_over(setting).await?,
    })
}

async fn taken_over(setting: &Setting) -> anyhow::Result<Vec<String>> {
    let filter = HistoryFilter { kinds: vec![RecordKind::TakenOver], ..HistoryFilter::default() };
    let page = setting.client.store().history(&filter, PageRequest { limit: 1000, after: None }).await?;
    Ok(page.items.iter().filter_map(|row| row.record.task).map(|id| id.to_string()).collect())
}

/// What comes more than once.
fn twice(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(one, _)| one).collect()
}

fn summary(text: &mut String, setting: &Setting, ended: Ended, report: &Report) -> anyhow::Result<()> {
    let (accounts, seconds) = (setting.accounts, ended.took.as_secs_f64());
    writeln!(text, "\n{accounts} accounts lived through their trial in {seconds:.1} s.\n")?;
    for ((step, outcome), count) in by_step_and_outcome(&report.counts) {
        writeln!(text, "  {step:<14} {outcome:<13} {count:>6}")?;
    }
    let ahead: u64 = report.totals.live.values().sum();
    writeln!(text, "  {:<14} {:<13} {ahead:>6}\n", "", "still ahead")?;
    Ok(())
}

fn chart(text: &mut String, start: Timestamp, counts: &[Count]) -> anyhow::Result<()> {
    let mut by_day: BTreeMap<Timestamp, u64> = BTreeMap::new();
    for count in counts {
        *by_day.entry(count.begins_at).or_default() += count.count;
    }
    let most = by_day.values().copied().max().unwrap_or(1).max(1);
    writeln!(text, "Tasks that ended, by day (UTC):")?;
    for (day, count) in by_day {
        if day + SignedDuration::from_hours(24) < start {
            continue;
        }
        writeln!(text, "  {} {count:>5} {}", day.strftime("%a %d %b"), output::bar(count, most, BAR_WIDTH))?;
    }
    Ok(())
}

/// What arrived against what must hold.
fn checks(text: &mut String, arrived: &Arrived) -> anyhow::Result<()> {
    let Arrived { mails, switch_offs, refused, .. } = arrived;
    writeln!(text, "\nWhat really arrived:")?;
    writeln!(text, "  {switch_offs} switch-offs; {refused} attempts were refused while the receiver failed for some hours")?;
    writeln!(text, "  accounts switched off more than once: {}", verdict(&arrived.switched_off_twice, &[]))?;
    writeln!(text, "  {mails} mails")?;
    writeln!(text, "  mails that came more than once: {}", verdict(&arrived.mails_twice, &arrived.taken_over))?;
    Ok(())
}

/// None is as it must be; what a kill cut short may come again.
fn verdict(twice: &[String], cut_short: &[String]) -> String {
    // A mail is called by its store and the number of its task: `<hnc_bh6zxhbw_121@chat.example>`.
    let is_of = |id: &str, task: &str| id.contains(&format!("_{}@", task.trim_start_matches("task_")));
    let is_allowed = |id: &String| cut_short.iter().any(|task| is_of(id, task));
    match twice.len() {
        0 => "none".to_owned(),
        count if twice.iter().all(is_allowed) => {
            format!("{count}, as the play was killed while they were sent; each with the Message-ID of the first")
        }
        count => format!("{count}, NOT AS IT MUST BE"),
    }
}

fn next(text: &mut String, setting: &Setting) -> anyhow::Result<()> {
    // As it was called, so that the lines can be copied also where it is not on the path.
    let called = std::env::args().next().filter(|name| name.contains('/')).unwrap_or_else(|| "hence".to_owned());
    let config = setting.dir.join("hence.toml");
    let begin = match &setting.place {
        Place::File(_) => format!("{called} -c {}", config.display()),
        // As it was named, which is not known here with its password.
        Place::Database(_) if !setting.has_own_server() => format!("{called} -c {} --database …", config.display()),
        Place::Database(_) => return Ok(()),
    };
    writeln!(text, "\nLook deeper into the store it leaves behind:")?;
    for (command, what) in [
        ("upcoming", "what is still ahead"),
        ("history account/1", "what happened to one account"),
        ("why account/2 remind", "why it was, or was not, reminded"),
        ("upcoming --count day", "a chart of what is ahead"),
    ] {
        writeln!(text, "  # {what}\n  {begin} {command}")?;
    }
    Ok(())
}
