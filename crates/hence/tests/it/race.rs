//! Goal: once a transaction that records a paying event has committed, no attempt of a task that it cancels starts (G13). Method: eight
//! programs tell by SQL, in transactions of their own, about accounts whose tasks an engine starts at that very moment; a fourth of them
//! roll back; a third cancel the task itself. What each saw within its transaction, once it had told, is held against the history and
//! against what reached the handler. `HENCE_RACE_ACCOUNTS=20000` makes it as large as is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use hence::dispatch::{Dispatchers, HandlerReply, Handlers};
use hence::store::OpenMode;
use hence::store::postgres::{PostgresOptions, PostgresStore};
use hence::{Client, Engine, EngineOptions, FactReaders};
use hence_servers::postgres::Server;
use serde_json::Value;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;

const CLIENTS: usize = 8;
/// Between two accounts' instants.
const GAP_MS: usize = 3;

const TRIAL: &str = r#"
    [timeline]
    name = "trial"
    entity = "account"
    anchor = "ends_at"
    [step.expire]
    do = { handler = "expire" }
    [on."account.paid"]
    cancel = "*"
"#;

/// What a program did about an account, and what it saw after it had told and before it ended its transaction.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    is_committed: bool,
    answer: String,
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// One program: tells about every eighth account, each close to its instant.
async fn tell(url: String, number: usize, accounts: usize) -> BTreeMap<usize, Seen> {
    let mut client = connect(&url).await;
    let mut seen = BTreeMap::new();
    for account in (number..accounts).step_by(CLIENTS) {
        let entity = format!("account/{account}");
        let near = "select pg_sleep(greatest(0, extract(epoch from due - hence.now_v1()) + (random() - 0.5) * 0.04)) from due where account = $1";
        client.query(near, &[&entity]).await.unwrap();
        // Some accounts are told of by nobody.
        if account % 11 == 0 {
            continue;
        }
        let transaction = client.transaction().await.unwrap();
        let answer: String = if account % 3 == 0 {
            let call = "select answer from hence.cancel_v1($1, 'expire', 'trial')";
            transaction.query_one(call, &[&entity]).await.unwrap().get(0)
        } else {
            transaction.query("select hence.event_v1($1, 'account.paid')", &[&entity]).await.unwrap();
            // What a cancel would answer, in its words.
            let state = "select coalesce((select case state when 'running' then 'running' else 'cancelled' end from hence.upcoming where entity = $1),
                case when exists (select from hence.history where entity = $1 and step = 'expire') then 'ended' else 'accepted' end)";
            transaction.query_one(state, &[&entity]).await.unwrap().get(0)
        };
        let is_committed = account % 4 != 0;
        if is_committed {
            transaction.commit().await.unwrap()
        } else {
            transaction.rollback().await.unwrap()
        }
        seen.insert(account, Seen { is_committed, answer });
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_attempt_starts_after_the_transaction_that_prevents_it_has_committed() {
    let accounts: usize = std::env::var("HENCE_RACE_ACCOUNTS").map_or(800, |text| text.parse().unwrap());
    let database = Server::shared().unwrap().new_database().unwrap();
    let url = database.url.clone();
    let store = PostgresStore::open(&url, PostgresOptions::new(OpenMode::Create)).await.unwrap();
    let client = Client::open(Arc::new(store), FactReaders::default(), "engine").await.unwrap();
    client.put_definition(TRIAL).await.unwrap();
    let asking = connect(&url).await;
    asking
        .batch_execute(&format!(
            "create table due as select 'account/' || n as account, hence.now_v1() + interval '2 seconds' + n * interval '{GAP_MS} ms' as due
               from generate_series(0, {accounts} - 1) as n;
             create index on due (account);
             select hence.tell_v1(array_agg(jsonb_build_object('wish', 'enrol', 'timeline', 'trial', 'entity', account, 'given',
               jsonb_build_object('ends_at', due)))) from (select account, due, row_number() over () / 5000 as part from due) as d group by part"
        ))
        .await
        .unwrap();
    let reached: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let noted = Arc::clone(&reached);
    let handlers = Handlers::new().on("expire", move |context, _: Value| {
        assert!(noted.lock().unwrap().insert(format!("account/{}", context.attempt.entity_id)), "one attempt each");
        async { Ok(HandlerReply::done()) }
    });
    let stop = CancellationToken::new();
    let engine = Engine::new(client.clone(), Dispatchers::new().with(Arc::new(handlers)), EngineOptions::default());
    let running = tokio::spawn(engine.run(stop.clone()));
    let telling = (0..CLIENTS).map(|number| tokio::spawn(tell(url.clone(), number, accounts)));
    let mut seen = BTreeMap::new();
    for told in futures::future::join_all(telling).await {
        seen.extend(told.unwrap());
    }
    let left = "select (select count(*) from hence.upcoming) + (select count(*) from hence.wish), pg_sleep(0.02)";
    while asking.query_one(left, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(!running.is_finished(), "the engine goes on");
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    let rows = asking.query("select entity, kind, attempt from hence.history where step = 'expire' and kind in ('done', 'cancelled', 'skipped', 'failed', 'unknown')", &[]);
    let ends: BTreeMap<String, (String, i64)> =
        rows.await.unwrap().iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    check(accounts, &seen, &ends, &reached.lock().unwrap());
}

/// Holds what each program saw against what became of its account.
#[expect(clippy::print_stdout, reason = "a run with many accounts is made for its figures")]
fn check(accounts: usize, seen: &BTreeMap<usize, Seen>, ends: &BTreeMap<String, (String, i64)>, reached: &BTreeSet<String>) {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for account in 0..accounts {
        let entity = format!("account/{account}");
        let (end, attempt) = &ends[&entity];
        let has_run = reached.contains(&entity);
        let context = format!("{entity}: {:?}, then {end} after {attempt} attempts, reached: {has_run}", seen.get(&account));
        assert_eq!(has_run, end == "done", "{context}");
        assert_eq!(has_run, *attempt == 1, "{context}");
        match seen.get(&account) {
            Some(Seen { is_committed: true, answer }) => {
                *counted.entry(answer.clone()).or_default() += 1;
                match answer.as_str() {
                    // Nothing had started when the program looked, so nothing ever does.
                    "cancelled" | "accepted" => assert!(!has_run, "{context}"),
                    "running" => assert!(has_run, "{context}"),
                    "ended" => assert!(has_run, "{context}"),
                    _ => panic!("{context}"),
                }
            }
            // Nobody told of it, as far as anybody knows.
            Some(Seen { is_committed: false, .. }) | None => assert!(has_run, "{context}"),
        }
    }
    println!("of {accounts} accounts: {counted:?}");
    assert!(counted.get("cancelled").is_some_and(|count| *count > 0), "some came before the start: {counted:?}");
    assert!(counted.get("ended").or(counted.get("running")).is_some(), "some came after it: {counted:?}");
}
