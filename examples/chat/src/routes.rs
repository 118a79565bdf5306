//! The HTTP interface: which address does what, for programs (JSON) and for the page's forms alike.
//!
//! Owns reading requests and writing answers. A form is answered by the page again, all else by JSON. A change is made
//! first and told to Hence then; when Hence does not take it, the answer is 502, the change stays and is told later.

use std::net::SocketAddr;

use axum::extract::rejection::{FormRejection, JsonRejection};
use axum::extract::{ConnectInfo, Form, FromRequest, FromRequestParts, Json, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, http::Method};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::accounts::{self, Change};
use crate::app::App;
use crate::database::Failure;
use crate::hence_calls::AccountId;
use crate::{outbox, page, webhook};

/// Accounts on one page.
const PAGE: u32 = 200;
/// Accounts in one JSON list.
const LIST_MAX: u32 = 10_000;

/// All addresses of the back end.
pub(crate) fn routes(app: App) -> Router {
    let admin = Router::new()
        .route("/admin/fail", post(fail))
        .route("/admin/resend", post(resend))
        .route("/admin/log", get(webhook::log))
        .layer(middleware::from_fn(loopback_only));
    Router::new()
        .route("/", get(front))
        .route("/signup", post(sign_up))
        .route("/accounts", get(list))
        .route("/accounts/{id}", get(account))
        .route("/accounts/{id}/pay", post(pay))
        .route("/accounts/{id}/close", post(close))
        .route("/accounts/{id}/extend", post(extend))
        .route("/accounts/{id}/timezone", post(timezone))
        .route("/accounts/{id}/usage", post(usage))
        .route("/widget-usage/{id}", get(widget_usage))
        .route("/hence/deactivate", post(webhook::deactivate))
        .merge(admin)
        .layer(middleware::from_fn(same_site_only))
        .with_state(app)
}

/// Whether the answer is for a form or for a program.
#[derive(Clone, Copy, PartialEq)]
enum Asker {
    Form,
    Program,
}

impl Asker {
    fn of(headers: &HeaderMap) -> Asker {
        let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if kind.starts_with(b"application/x-www-form-urlencoded") { Asker::Form } else { Asker::Program }
    }

    fn answer(self, result: Result<(StatusCode, Value), Failure>) -> Response {
        match (self, result) {
            (Asker::Form, Ok(_)) => Redirect::to("/").into_response(),
            (Asker::Program, Ok((status, body))) => (status, Json(body)).into_response(),
            (Asker::Form, Err(failure)) => {
                let (status, message) = failure.shown();
                (status, page::headers(), Html(page::problem(&message))).into_response()
            }
            (Asker::Program, Err(failure)) => failure.into_response(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Asker, Self::Rejection> {
        Ok(Asker::of(&parts.headers))
    }
}

impl Failure {
    /// What the one who asked is told; what is broken inside is written to the log only.
    fn shown(self) -> (StatusCode, String) {
        match self {
            Failure::Refused(status, message) => (status, message),
            Failure::Broken(error) => {
                tracing::error!(error = format!("{error:#}"), "a request failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "something is broken here; the log says what".to_owned())
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, message) = self.shown();
        (status, Json(json!({ "error": message }))).into_response()
    }
}

/// The fields of a request, from a form or from JSON.
struct Fields<T>(Result<T, Failure>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Fields<T> {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let fields = match Asker::of(request.headers()) {
            Asker::Form => Form::from_request(request, state)
                .await
                .map(|Form(fields)| fields)
                .map_err(|rejection| Failure::from_form(&rejection)),
            Asker::Program => Json::from_request(request, state)
                .await
                .map(|Json(fields)| fields)
                .map_err(|rejection| Failure::from_json(&rejection)),
        };
        Ok(Fields(fields))
    }
}

impl Failure {
    fn from_form(rejection: &FormRejection) -> Failure {
        Failure::refused(rejection.status(), rejection.body_text())
    }

    fn from_json(rejection: &JsonRejection) -> Failure {
        Failure::refused(rejection.status(), rejection.body_text())
    }
}

/// A page of another site must not press buttons here.
async fn same_site_only(request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_ours = matches!(site, None | Some(b"same-origin" | b"none"));
    if is_ours || request.method() == Method::GET {
        return next.run(request).await;
    }
    Failure::refused(StatusCode::FORBIDDEN, "this comes from the page of another site").into_response()
}

async fn loopback_only(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    if peer.ip().to_canonical().is_loopback() {
        return next.run(request).await;
    }
    Failure::refused(StatusCode::FORBIDDEN, "only this machine may do that").into_response()
}

#[derive(Deserialize)]
struct ListQuery {
    before: Option<i64>,
}

impl ListQuery {
    fn before(&self) -> AccountId {
        AccountId(self.before.unwrap_or(i64::MAX))
    }
}

async fn front(State(app): State<App>, Query(query): Query<ListQuery>) -> Response {
    let shown = app
        .database
        .call(move |connection| Ok((accounts::list(connection, query.before(), PAGE)?, outbox::waiting(connection)?)));
    match shown.await {
        Ok((accounts, waiting)) => {
            let is_full = accounts.len() as u64 == u64::from(PAGE);
            let older = accounts.last().filter(|_| is_full).map(|account| account.id);
            (page::headers(), Html(page::front(&accounts, &waiting, older))).into_response()
        }
        Err(failure) => Asker::Form.answer(Err(failure)),
    }
}

async fn list(State(app): State<App>, Query(query): Query<ListQuery>) -> Result<Json<Value>, Failure> {
    let accounts = app.database.call(move |connection| accounts::list(connection, query.before(), LIST_MAX)).await?;
    let rows = accounts.iter().map(|account| {
        json!({
            "id": account.id.0,
            "email": account.email,
            "timezone": account.timezone,
            "created_at": account.created_at.to_string(),
            "trial_days": account.trial_days,
            "paid_at": account.paid_at.map(|at| at.to_string()),
            "status": account.status,
        })
    });
    Ok(Json(rows.collect()))
}

async fn account(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<Value>, Failure> {
    let account = app.database.call(move |connection| accounts::find(connection, AccountId(id))).await?;
    Ok(Json(account.facts()))
}

async fn widget_usage(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<Value>, Failure> {
    let now = app.now();
    let hits = app.database.call(move |connection| accounts::hits_last_2_days(connection, AccountId(id), now)).await?;
    Ok(Json(json!({ "hits_last_2_days": hits })))
}

#[derive(Deserialize)]
struct SignUp {
    email: String,
    timezone: String,
}

async fn sign_up(State(app): State<App>, asker: Asker, fields: Fields<SignUp>) -> Response {
    let signed_up = async {
        let SignUp { email, timezone } = fields.0?;
        let now = app.now();
        let id = app.database.call(move |connection| accounts::sign_up(connection, &email, &timezone, now)).await?;
        tell(&app, id).await?;
        Ok((StatusCode::CREATED, json!({ "id": id.0 })))
    };
    asker.answer(signed_up.await)
}

async fn pay(State(app): State<App>, Path(id): Path<i64>, asker: Asker) -> Response {
    asker.answer(change(&app, id, Ok(Change::Pay)).await)
}

async fn close(State(app): State<App>, Path(id): Path<i64>, asker: Asker) -> Response {
    asker.answer(change(&app, id, Ok(Change::Close)).await)
}

#[derive(Deserialize)]
struct Extension {
    days: u32,
}

async fn extend(State(app): State<App>, Path(id): Path<i64>, asker: Asker, fields: Fields<Extension>) -> Response {
    asker.answer(change(&app, id, fields.0.map(|fields| Change::Extend { days: fields.days })).await)
}

#[derive(Deserialize)]
struct Zone {
    timezone: String,
}

async fn timezone(State(app): State<App>, Path(id): Path<i64>, asker: Asker, fields: Fields<Zone>) -> Response {
    asker.answer(change(&app, id, fields.0.map(|fields| Change::Move { timezone: fields.timezone })).await)
}

async fn change(app: &App, id: i64, change: Result<Change, Failure>) -> Result<(StatusCode, Value), Failure> {
    let (id, change, now) = (AccountId(id), change?, app.now());
    let account = app.database.call(move |connection| accounts::change(connection, id, &change, now)).await?;
    tell(app, id).await?;
    Ok((StatusCode::OK, account.facts()))
}

/// Tells Hence what waits for this account.
async fn tell(app: &App, id: AccountId) -> Result<(), Failure> {
    let told = outbox::tell(&app.teller, Some(id)).await?;
    match told.problem {
        None => Ok(()),
        Some(problem) => Err(Failure::refused(
            StatusCode::BAD_GATEWAY,
            format!(
                "account {id} was changed, but Hence could not be told ({problem}); it is kept and sent by POST /admin/resend"
            ),
        )),
    }
}

#[derive(Deserialize)]
struct Usage {
    hits: u32,
}

async fn usage(State(app): State<App>, Path(id): Path<i64>, asker: Asker, fields: Fields<Usage>) -> Response {
    let reported = async {
        let Usage { hits } = fields.0?;
        let (id, now) = (AccountId(id), app.now());
        app.database.call(move |connection| accounts::report_usage(connection, id, hits, now)).await?;
        Ok((StatusCode::OK, json!({ "hits": hits })))
    };
    asker.answer(reported.await)
}

#[derive(Deserialize)]
struct FailUntil {
    until: Option<Timestamp>,
}

/// Until then webhooks are answered 503; `null` ends it.
async fn fail(State(app): State<App>, asker: Asker, fields: Fields<FailUntil>) -> Response {
    asker.answer(fields.0.map(|fields| {
        app.fail_until(fields.until);
        (StatusCode::OK, json!({ "until": fields.until.map(|until| until.to_string()) }))
    }))
}

async fn resend(State(app): State<App>, asker: Asker) -> Response {
    let resent = async {
        let told = outbox::tell(&app.teller, None).await?;
        let (waiting, _) = app.database.call(|connection| outbox::waiting(connection)).await?;
        if let Some(problem) = told.problem {
            let message = format!("{} told, {waiting} still wait: {problem}", told.sent);
            return Err(Failure::refused(StatusCode::BAD_GATEWAY, message));
        }
        Ok((StatusCode::OK, json!({ "sent": told.sent, "waiting": waiting })))
    };
    asker.answer(resent.await)
}
