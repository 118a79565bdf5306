//! The one webhook Hence sends: the trial is over, switch the account off.
//!
//! Owns checking the signature, recognising a repeat, the answer, the log of what came, and the tables `webhook_answer`
//! and `webhook_log`. Leaves to others: what switching off means (`accounts`).
//!
//! Invariants: nothing is looked at before its signature was checked; the same `webhook-id` is carried out once and
//! answered the same for ever; a refusal for the time being (503) is no answer and is not kept as one.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::accounts;
use crate::app::App;
use crate::database::{Failure, text_of};
use crate::hence_calls::AccountId;

/// Rows of the log in one answer.
const LOG_PAGE: u32 = 10_000;

/// What of a CloudEvent is needed.
#[derive(Deserialize)]
struct CloudEvent {
    id: String,
    subject: Option<String>,
    data: Option<Value>,
}

impl CloudEvent {
    /// The account it is about: `subject` is `account/ID`, or else the payload names the entity.
    fn account(&self) -> Option<String> {
        if let Some(subject) = &self.subject {
            return subject.strip_prefix("account/").map(str::to_owned);
        }
        let entity = self.data.as_ref()?.get("entity")?;
        let is_account = entity.get("type")?.as_str()? == "account";
        is_account.then(|| entity.get("id")?.as_str().map(str::to_owned))?
    }
}

/// One webhook as it came in.
struct Received {
    id: String,
    account: String,
    attempt: Option<u32>,
}

/// What is answered to it.
struct Answer {
    status: StatusCode,
    body: String,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

/// `POST /hence/deactivate`.
pub(crate) async fn deactivate(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    if let Some(verifier) = &app.verifier
        && let Err(error) = verifier.verify(&body, &headers)
    {
        tracing::warn!(%error, "a webhook with a bad signature was refused");
        return Err(Failure::refused(StatusCode::UNAUTHORIZED, "the signature is not good"));
    }
    let event: CloudEvent = serde_json::from_slice(&body)
        .map_err(|error| Failure::refused(StatusCode::BAD_REQUEST, format!("this is no CloudEvent: {error}")))?;
    let Some(account) = event.account() else {
        return Err(Failure::refused(StatusCode::BAD_REQUEST, "this is about no account"));
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let received = Received {
        id: header("webhook-id").unwrap_or(&event.id).to_owned(),
        account,
        attempt: header("hence-attempt").and_then(|attempt| attempt.parse().ok()),
    };
    let now = app.now();
    let is_failing = app.is_failing(now);
    let answer = app
        .database
        .call(move |connection| {
            let transaction = connection.transaction()?;
            let answer = if is_failing { not_now() } else { answer(&transaction, &received)? };
            transaction.execute(
                "insert into webhook_log (id, account, attempt, at, status, answered) values (?1, ?2, ?3, ?4, ?5, ?6)",
                params![received.id, received.account, received.attempt, text_of(now), answer.status.as_u16(), answer.body],
            )?;
            transaction.commit()?;
            Ok(answer)
        })
        .await?;
    Ok(answer.into_response())
}

fn not_now() -> Answer {
    Answer { status: StatusCode::SERVICE_UNAVAILABLE, body: json!({ "error": "out of order for a while" }).to_string() }
}

/// The answer given before to the same webhook, or else carries it out.
fn answer(connection: &Connection, received: &Received) -> Result<Answer, Failure> {
    let before: Option<(u16, String)> = connection
        .query_row("select status, body from webhook_answer where id = ?1", [&received.id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((status, body)) = before {
        return Ok(Answer { status: StatusCode::from_u16(status)?, body });
    }
    let outcome = match received.account.parse() {
        Ok(id) => accounts::deactivate(connection, AccountId(id))?,
        Err(_) => None,
    };
    let answer = match outcome {
        Some(outcome) => Answer { status: StatusCode::OK, body: json!({ "outcome": outcome }).to_string() },
        None => {
            let body = json!({ "error": format!("there is no account {}", received.account) }).to_string();
            Answer { status: StatusCode::GONE, body }
        }
    };
    connection.execute(
        "insert into webhook_answer (id, status, body) values (?1, ?2, ?3)",
        params![received.id, answer.status.as_u16(), answer.body],
    )?;
    Ok(answer)
}

/// From where the log is read on.
#[derive(Deserialize)]
pub(crate) struct LogQuery {
    #[serde(default)]
    after: i64,
}

/// One row of the log.
#[derive(Serialize)]
pub(crate) struct LogRow {
    number: i64,
    id: String,
    account: String,
    attempt: Option<u32>,
    at: String,
    status: u16,
    answered: Value,
}

/// `GET /admin/log`: every webhook that came with a good signature, the oldest first, behind number `after`.
pub(crate) async fn log(State(app): State<App>, Query(query): Query<LogQuery>) -> Result<Json<Vec<LogRow>>, Failure> {
    let rows = app.database.call(move |connection| {
        let mut statement = connection.prepare(
            "select number, id, account, attempt, at, status, answered from webhook_log where number > ?1 order by number limit ?2",
        )?;
        let mut rows = statement.query(params![query.after, LOG_PAGE])?;
        let mut log = Vec::new();
        while let Some(row) = rows.next()? {
            log.push(LogRow {
                number: row.get(0)?,
                id: row.get(1)?,
                account: row.get(2)?,
                attempt: row.get(3)?,
                at: row.get(4)?,
                status: row.get(5)?,
                answered: serde_json::from_str(&row.get::<_, String>(6)?)?,
            });
        }
        Ok(log)
    });
    Ok(Json(rows.await?))
}
