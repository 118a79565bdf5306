//! What came of the play: checks against what really arrived, a summary, a chart, and where to look next.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Context;
use hence::store::port::{Count, CountOf, CountSpan, CountsFilter};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::play::Ended;
use super::setting::Setting;

/// The widest bar of the chart.
const BAR_WIDTH: u64 = 48;

pub(super) async fn tell(setting: &Setting, ended: Ended) -> anyhow::Result<()> {
    let mut text = String::new();
    if !ended.is_over {
        writeln!(text, "Stopped in the middle. The same command goes on where it stopped; nothing is lost.")?;
    } else {
        let start = setting.actions.first().map_or(setting.ends_at, |action| action.at);
        let counts = finished(setting, start).await?;
        summary(&mut text, setting, ended, &counts).await?;
        chart(&mut text, start, &counts)?;
        checks(&mut text, setting).await?;
        next(&mut text, setting)?;
    }
    use std::io::Write as _;
    anstream::stdout().write_all(text.as_bytes())?;
    Ok(())
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

async fn summary(text: &mut String, setting: &Setting, ended: Ended, counts: &[Count]) -> anyhow::Result<()> {
    let (accounts, seconds) = (setting.accounts, ended.took.as_secs_f64());
    writeln!(text, "\n{accounts} accounts lived through their trial in {seconds:.1} s.\n")?;
    let mut by_step: BTreeMap<(String, String), u64> = BTreeMap::new();
    for count in counts {
        let step = count.step.as_ref().map_or_else(String::new, ToString::to_string);
        *by_step.entry((step, count.outcome.clone().unwrap_or_default())).or_default() += count.count;
    }
    for ((step, outcome), count) in by_step {
        writeln!(text, "  {step:<14} {outcome:<13} {count:>6}")?;
    }
    let totals = setting.client.store().totals().await?;
    let ahead: u64 = totals.live.values().sum();
    writeln!(text, "  {:<14} {:<13} {ahead:>6}", "", "still ahead")?;
    writeln!(text, "\n{} attempts were started, {} mails arrived.\n", ended.engine.started, setting.catcher.count())?;
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
        let bar = "█".repeat(usize::try_from((count * BAR_WIDTH).div_ceil(most))?);
        writeln!(text, "  {} {count:>5} {bar}", day.strftime("%a %d %b"))?;
    }
    Ok(())
}

/// What arrived at the application and in the mail box against what must hold.
async fn checks(text: &mut String, setting: &Setting) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let get = async |path: &str| -> anyhow::Result<Value> {
        let url = format!("{}{path}", setting.app_url);
        Ok(serde_json::from_str(&http.get(url).send().await?.text().await?)?)
    };
    let log = get("/admin/log").await?;
    let log = log.as_array().or_else(|| log["items"].as_array()).context("the application's log is no list")?;
    let word = |entry: &Value| entry["answered"].to_string();
    let done: Vec<&Value> = log.iter().filter(|entry| word(entry).contains("deactivated")).collect();
    let distinct: BTreeSet<String> = done.iter().map(|entry| entry["account"].to_string()).collect();
    let failed = log.iter().filter(|entry| entry["status"] == 503).count();
    let mails = setting.catcher.mails();
    let once: BTreeSet<&str> = mails.iter().map(|mail| mail.message_id.as_str()).collect();
    writeln!(text, "\nWhat really arrived:")?;
    writeln!(
        text,
        "  {} switch-offs for {} accounts, {failed} attempts refused while it failed for a while",
        done.len(),
        distinct.len()
    )?;
    writeln!(
        text,
        "  {} mails, {} different ones: {}",
        mails.len(),
        once.len(),
        verdict(mails.len() == once.len(), "none twice")
    )?;
    writeln!(text, "  switched off more than once: {}", verdict(done.len() == distinct.len(), "nobody"))?;
    Ok(())
}

fn verdict(holds: bool, good: &str) -> String {
    if holds { good.to_owned() } else { "NOT AS IT MUST BE".to_owned() }
}

fn next(text: &mut String, setting: &Setting) -> anyhow::Result<()> {
    let config = setting.dir.join("hence.toml");
    let config = config.display();
    writeln!(text, "\nLook deeper into the store it leaves behind:")?;
    writeln!(text, "  hence -c {config} upcoming                      what is still ahead")?;
    writeln!(text, "  hence -c {config} history account/1             what happened to one account")?;
    writeln!(text, "  hence -c {config} why account/2 remind          why it was or was not reminded")?;
    writeln!(text, "  hence -c {config} upcoming --count day          a chart of what is ahead")?;
    Ok(())
}
