//! An axum application whose accounts and tasks live in one SQLite file and are committed together.
//! Run it with `cargo run -p embedding --bin web`; `PORT` and `DATABASE` say where, `app.db` and a free port by default.
//!
//! `POST /accounts {"email": …}` signs up, `POST /accounts/1/paid` pays, `GET /accounts/1` says what is ahead and why.
#![allow(clippy::print_stdout)] // what it prints is what it shows

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use hence::dispatch::{HandlerContext, HandlerError, HandlerReply};
use hence::serde_json::{Value, json};
use hence::{Client, Enrolment, Hence, Statement, Telling};
use rusqlite::Connection;

const TRIAL: &str = r#"
    [timeline]
    name   = "trial"
    entity = "account"
    anchor = "created_at"
    [facts.account]
    fields = { email = "string" }
    [step.welcome]
    when = "account.email != ''"
    do   = { handler = "mail" }
    [step.remind]
    due  = "25 days"
    when = "account.email != ''"
    do   = { handler = "mail" }
    [step.expire]
    due = "30 days"
    do  = { handler = "switch_off" }
    [on."account.paid"]
    cancel = "*"
    reason = "paid"
"#;

#[derive(Clone)]
struct App {
    database: Arc<Mutex<Connection>>,
    hence: Client,
}

#[derive(serde::Deserialize)]
struct SignUp {
    email: String,
}

/// Any error of ours is a 500 with its text; what the caller did wrong is answered where it is seen.
struct Failed(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed(error.into())
    }
}

impl axum::response::IntoResponse for Failed {
    fn into_response(self) -> axum::response::Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let path = std::env::var("DATABASE").unwrap_or_else(|_| "app.db".to_owned());
    let database = Connection::open(&path)?;
    database
        .execute_batch("create table if not exists account (id integer primary key, email text not null unique, is_on int)")?;
    let database = Arc::new(Mutex::new(database));
    let of_handler = Arc::clone(&database);
    let mut hence = Hence::builder()
        .sqlite(&path)
        .definition(TRIAL)
        .handler("mail", mail)
        .handler("switch_off", move |context: HandlerContext, _: Value| {
            let database = Arc::clone(&of_handler);
            async move { switch_off(&database, &context.attempt.entity_id) }
        })
        .start()
        .await?;
    let app = App { database, hence: hence.client().clone() };
    let router = Router::new()
        .route("/accounts", post(sign_up))
        .route("/accounts/{id}/paid", post(paid))
        .route("/accounts/{id}", get(account))
        .with_state(app);
    let port = std::env::var("PORT").unwrap_or_default().parse().unwrap_or(0);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        ended = hence.ended() => { ended.context("the engine ended")?; }
        _ = tokio::signal::ctrl_c() => {}
    }
    // What is under way ends and is written down.
    hence.stop().await?;
    Ok(())
}

async fn sign_up(State(app): State<App>, Json(form): Json<SignUp>) -> Result<(StatusCode, Json<Value>), Failed> {
    // The id decides the entity's name, so it is taken before the statement is made.
    let id: i64 = app.locked().query_row("select coalesce(max(id), 0) + 1 from account", [], |row| row.get(0))?;
    let entity = format!("account/{id}").parse()?;
    let enrolment = Enrolment::new("trial".parse()?, entity).facts(json!({ "account": { "email": form.email } }));
    let statement = app.hence.statement(Telling::enrol(enrolment)).await?;
    if let Err(error) = insert(&mut app.locked(), (id, &form.email), &statement) {
        // Neither the account nor its tasks are there.
        return Ok((StatusCode::CONFLICT, Json(json!({ "problem": error.to_string() }))));
    }
    app.hence.wake();
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

/// The account and what will happen to it, or neither.
fn insert(database: &mut Connection, (id, email): (i64, &str), statement: &Statement) -> rusqlite::Result<()> {
    let transaction = database.transaction()?;
    transaction.execute(statement.sql, [&statement.value])?;
    transaction.execute("insert into account (id, email, is_on) values (?1, ?2, 1)", (id, email))?;
    transaction.commit()
}

async fn paid(State(app): State<App>, Path(id): Path<i64>) -> Result<StatusCode, Failed> {
    app.hence.event(format!("account/{id}"), "account.paid", Value::Null).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn account(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<Value>, Failed> {
    let entity = format!("account/{id}");
    let ahead = app.hence.upcoming(entity.as_str()).await?;
    let ahead: Vec<Value> =
        ahead.iter().map(|task| json!({ "step": task.step.as_str(), "due_at": task.due_at.to_string() })).collect();
    let why = app.hence.why(entity.as_str()).await?;
    let why: Vec<&str> = why.iter().map(|because| because.headline.as_str()).collect();
    Ok(Json(json!({ "ahead": ahead, "why": why })))
}

#[derive(serde::Deserialize)]
struct Input {
    facts: Facts,
}

#[derive(serde::Deserialize)]
struct Facts {
    account: SignUp,
}

async fn mail(context: HandlerContext, input: Input) -> Result<HandlerReply, HandlerError> {
    println!("mail `{}` to {}", context.attempt.step, input.facts.account.email);
    Ok(HandlerReply::done())
}

fn switch_off(database: &Mutex<Connection>, id: &str) -> Result<HandlerReply, HandlerError> {
    let database = database.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    database.execute("update account set is_on = 0 where id = ?1", [id]).map_err(HandlerError::again)?;
    Ok(HandlerReply::done())
}

impl App {
    fn locked(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
