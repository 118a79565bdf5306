//! The play itself: the clock goes from one action to the next, and each is done over the application's HTTP interface.
//!
//! How far the play has come is written down after each action, so that it can be stopped at any time and go on.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chat::{Action, What};
use hence::{Engine, EngineOptions};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::setting::Setting;
use crate::output;

/// The receiver fails for this long, beginning on this day: every switch-off within it is tried again.
const OUTAGE: (i64, i64) = (24 * 32 + 6, 4);
/// Without a terminal, a line is written each time that so many days have passed.
const DAYS_TOLD: i64 = 4;

/// How the play ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) is_over: bool,
    pub(super) took: Duration,
}

/// How far the play has come.
struct Progress {
    done: usize,
    /// The application's number of each account.
    numbers: BTreeMap<usize, i64>,
}

pub(super) async fn play(setting: &Setting, stop: &CancellationToken) -> anyhow::Result<Ended> {
    let began = Instant::now();
    let engine_stop = CancellationToken::new();
    let engine = Engine::new(setting.client.clone(), setting.dispatchers.clone(), EngineOptions::default());
    let mut engine = tokio::spawn(engine.run(engine_stop.clone()));
    let acted = tokio::select! {
        acted = act(setting, stop) => acted,
        ended = &mut engine => bail!("the engine stopped by itself: {:?}", ended?),
    };
    engine_stop.cancel();
    engine.await??;
    let is_over = acted?;
    if is_over {
        std::fs::write(setting.dir.join("over"), "")?;
    }
    Ok(Ended { is_over, took: began.elapsed() })
}

/// Does every action; whether the end was reached.
async fn act(setting: &Setting, stop: &CancellationToken) -> anyhow::Result<bool> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?;
    let mut progress = Progress::read(setting)?;
    let bar = Shown::new(setting);
    let resumed_at = (progress.done > 0).then_some(progress.done);
    let start = setting.actions.first().map_or(setting.ends_at, |action| action.at);
    let fails_from = start + SignedDuration::from_hours(OUTAGE.0);
    let fails_until = fails_from + SignedDuration::from_hours(OUTAGE.1);
    let fail = json!({ "until": fails_until.to_string() });
    // The application forgets that it fails when it is started again.
    if (fails_from..fails_until).contains(&setting.client.now().await?) {
        post(&http, &format!("{}/admin/fail", setting.app_url), &fail).await?;
    }
    for (index, action) in setting.actions.iter().enumerate().skip(progress.done) {
        if action.at > setting.ends_at {
            break;
        }
        let is_outage = index > 0 && setting.actions[index - 1].at < fails_from && action.at >= fails_from;
        if is_outage {
            arrive(setting, fails_from, &bar, stop).await?;
            post(&http, &format!("{}/admin/fail", setting.app_url), &fail).await?;
        }
        if !arrive(setting, action.at, &bar, stop).await? {
            return Ok(false);
        }
        // Who was killed may have done the last action and not have written it down.
        if resumed_at != Some(index) || !was_done(setting, &http, index, &mut progress).await? {
            one(setting, &http, action, &mut progress).await?;
        }
        progress.done = index + 1;
        progress.write(setting)?;
    }
    let is_over = arrive(setting, setting.ends_at, &bar, stop).await?;
    bar.finish();
    Ok(is_over)
}

/// Lets the virtual clock arrive; false when the play is to stop.
async fn arrive(setting: &Setting, at: Timestamp, bar: &Shown, stop: &CancellationToken) -> anyhow::Result<bool> {
    let mut now = setting.client.now().await?;
    if now < at {
        setting.client.advance(at).await?;
    }
    while now < at {
        if stop.is_cancelled() {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        now = setting.client.now().await?;
        bar.show(setting, now);
    }
    Ok(!stop.is_cancelled())
}

async fn one(setting: &Setting, http: &reqwest::Client, action: &Action, progress: &mut Progress) -> anyhow::Result<()> {
    if let What::Signup { email, timezone } = &action.what {
        let body = json!({ "email": email, "timezone": timezone });
        let answer = post(http, &format!("{}/signup", setting.app_url), &body).await?;
        let number = answer.get("id").and_then(Value::as_i64).context("the application gave no id")?;
        progress.numbers.insert(action.account, number);
        return Ok(());
    }
    let Some(number) = progress.numbers.get(&action.account) else { bail!("account {} has not signed up", action.account) };
    let (verb, body) = match &action.what {
        What::Pay => ("pay", json!({})),
        What::Close => ("close", json!({})),
        What::Extend { days } => ("extend", json!({ "days": days })),
        What::Timezone { timezone } => ("timezone", json!({ "timezone": timezone })),
        What::Usage { hits } => ("usage", json!({ "hits": hits })),
        What::Signup { .. } => return Ok(()),
    };
    post(http, &format!("{}/accounts/{number}/{verb}", setting.app_url), &body).await?;
    Ok(())
}

/// Whether the application has done that action already, by what it says of the account.
async fn was_done(setting: &Setting, http: &reqwest::Client, index: usize, progress: &mut Progress) -> anyhow::Result<bool> {
    let action = &setting.actions[index];
    let accounts: Value = serde_json::from_str(&http.get(format!("{}/accounts", setting.app_url)).send().await?.text().await?)?;
    let find = |is: &dyn Fn(&Value) -> bool| accounts.as_array().into_iter().flatten().find(|account| is(account));
    if let What::Signup { email, .. } = &action.what {
        let known = find(&|account| account["email"] == email.as_str()).and_then(|account| account["id"].as_i64());
        progress.numbers.extend(known.map(|number| (action.account, number)));
        return Ok(known.is_some());
    }
    let number = progress.numbers.get(&action.account);
    let Some(account) = find(&|account| account["id"].as_i64().as_ref() == number) else { return Ok(false) };
    Ok(match &action.what {
        What::Pay => !account["paid_at"].is_null(),
        What::Close => account["status"] == "closed",
        What::Timezone { timezone } => account["timezone"] == timezone.as_str(),
        What::Extend { .. } => {
            let extended = setting.actions[..=index].iter().filter(|other| other.account == action.account);
            let days = extended.map(|other| if let What::Extend { days } = other.what { days } else { 0 }).sum::<u32>();
            account["trial_days"] == chat::TRIAL_DAYS + days
        }
        // Seen twice is as good as seen once.
        What::Usage { .. } | What::Signup { .. } => false,
    })
}

async fn post(http: &reqwest::Client, url: &str, body: &Value) -> anyhow::Result<Value> {
    let answer = http.post(url).json(body).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    if !status.is_success() {
        bail!("the application answered {status}: {text}");
    }
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// How far it is: a bar for a person at a terminal, else a line every few days of the play.
struct Shown {
    bar: ProgressBar,
    start: Timestamp,
    /// The last day that a line was written for; none where a bar is drawn.
    told: Option<AtomicI64>,
}

impl Shown {
    fn new(setting: &Setting) -> Self {
        let start = setting.actions.first().map_or(setting.ends_at, |action| action.at);
        let hours = u64::try_from(setting.ends_at.duration_since(start).as_hours()).unwrap_or(0);
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(hours), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent:>3}%  {msg}") {
            bar.set_style(style);
        }
        Self { bar, start, told: (!is_terminal).then(AtomicI64::default) }
    }

    fn show(&self, setting: &Setting, now: Timestamp) {
        let hours = setting.ends_at.duration_since(now).as_hours();
        self.bar.set_position(self.bar.length().unwrap_or(0).saturating_sub(u64::try_from(hours).unwrap_or(0)));
        let (local, mails) = (now.strftime("%a %d %b %H:%M"), setting.catcher.count());
        self.bar.set_message(format!("{local} · {mails} mails"));
        // Whole groups of days, so that the same days are told however often the play was stopped.
        let day = now.duration_since(self.start).as_hours() / 24 / DAYS_TOLD * DAYS_TOLD;
        if let Some(told) = &self.told
            && day > told.load(Ordering::Relaxed)
        {
            told.store(day, Ordering::Relaxed);
            output::note(&format!("day {day}: {local} UTC, {mails} mails"));
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress {
    fn read(setting: &Setting) -> anyhow::Result<Self> {
        let path = setting.dir.join("progress.json");
        if !path.exists() {
            return Ok(Self { done: 0, numbers: BTreeMap::new() });
        }
        let json: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let done = usize::try_from(json["done"].as_u64().unwrap_or(0))?;
        let numbers = json["numbers"].as_object().into_iter().flatten();
        let numbers = numbers.filter_map(|(account, number)| Some((account.parse().ok()?, number.as_i64()?))).collect();
        Ok(Self { done, numbers })
    }

    fn write(&self, setting: &Setting) -> anyhow::Result<()> {
        let numbers: serde_json::Map<String, Value> =
            self.numbers.iter().map(|(account, number)| (account.to_string(), json!(number))).collect();
        let text = json!({ "done": self.done, "numbers": numbers }).to_string();
        // Written beside and moved into place, so that a crash leaves the old or the new one.
        let beside = setting.dir.join("progress.new");
        std::fs::write(&beside, text)?;
        std::fs::rename(beside, setting.dir.join("progress.json"))?;
        Ok(())
    }
}
