//! Goal: what programs tell by SQL is what `accept` takes, is part of their own transaction, and prevents starts from its commit on.
//! Method: the functions called by psql and by a session that stays open; what the inbox holds afterwards, what a start gives, what errors
//! say. The start that a commit overtakes is made so by holding the row that the start looks at last before it begins.

use std::sync::Arc;

use hence_core::name::{DefinitionHash, WishId};
use hence_core::wish::Wish;
use hence_servers::postgres::Server;
use hence_store::Store;
use hence_store::conformance::fixture::{Bench, at, done, end, entity, name};
use hence_store::port::{InboxEntry, Lease, NewWish, StoredDefinition};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::sites::InPostgres;

/// A store that knows the definition `trial`.
async fn site() -> (InPostgres, Arc<dyn Store>) {
    let site = InPostgres::new(8);
    let store: Arc<dyn Store> = Arc::new(site.store());
    let definition = StoredDefinition {
        hash: DefinitionHash("ab".repeat(32)),
        name: name("trial"),
        source: String::new(),
        created_at: at(0),
        is_current: true,
    };
    store.put_definition(definition).await.unwrap();
    (site, store)
}

/// A session of a program that stays open.
async fn session(site: &InPostgres) -> Client {
    let (client, connection) = tokio_postgres::connect(&site.database.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// What the inbox holds, oldest first.
async fn inbox(store: &Arc<dyn Store>) -> Vec<Wish> {
    let entries = store.wishes(None, at(0), 1000).await.unwrap();
    let wishes = entries.into_iter().map(|entry| match entry {
        InboxEntry::Wish(stored) => {
            assert!(stored.actor.starts_with("sql:"), "{}", stored.actor);
            stored.wish
        }
        unreadable => panic!("{unreadable:?}"),
    });
    wishes.collect()
}

#[tokio::test]
async fn what_sql_tells_is_what_the_inbox_takes() {
    let (site, store) = site().await;
    site.sql(
        r#"set timezone = 'Asia/Tokyo'; set datestyle = 'SQL, DMY';
        select hence.enrol_v1('trial', 'account/42', '{"created_at": "2026-03-02T09:00:00.5+01:00"}', '{"account": {"email": "a@example.com"}}');
        select hence.event_v1('account/42', 'account.paid', '{"amount": 7.5, "text": "a\u0001b"}', facts => '{"account": {"paid_at": null}}');
        select hence.put_facts_v1(entity => 'account/ü 🙂', facts => '{}');
        select hence.schedule_v1('account/42', 'call', '2026-03-02T09:00:00Z', '{"log": "x"}');
        select hence.cancel_v1('account/42', 'remind', 'trial', 'a reason');
        select hence.reschedule_v1('account/42', 'call', '9999-01-01T00:00:00.000001Z');
        select hence.erase_v1('account/42');
        select hence.tell_v1(array['{"wish": "event", "entity": "account/42", "name": "x"}', '{"wish": "erase", "entity": "account/7"}']::jsonb[])"#,
    );
    let of = entity("account/42");
    let event =
        |name: &str, data: Value, facts: Value| Wish::Event { entity: of.clone(), name: name.parse().unwrap(), data, facts };
    let instant = |text: &str| text.parse().unwrap();
    assert_eq!(
        inbox(&store).await,
        [
            Wish::Enrol {
                timeline: name("trial"),
                entity: of.clone(),
                given: [(name("created_at"), instant("2026-03-02T08:00:00.5Z"))].into(),
                facts: json!({ "account": { "email": "a@example.com" } }),
            },
            event("account.paid", json!({ "amount": 7.5, "text": "a\u{1}b" }), json!({ "account": { "paid_at": null } })),
            Wish::PutFacts { entity: entity("account/ü 🙂"), facts: json!({}) },
            Wish::Schedule {
                entity: of.clone(),
                key: name("call"),
                due_at: instant("2026-03-02T09:00:00Z"),
                action: json!({ "log": "x" }),
            },
            Wish::Cancel { entity: of.clone(), timeline: Some(name("trial")), step: name("remind"), text: "a reason".to_owned() },
            Wish::Reschedule {
                entity: of.clone(),
                timeline: None,
                step: name("call"),
                due_at: instant("9999-01-01T00:00:00.000001Z"),
                text: String::new(),
            },
            Wish::Erase { entity: of.clone() },
            event("x", Value::Null, Value::Null),
            Wish::Erase { entity: entity("account/7") },
        ]
    );
    // Each entity falls into the shard that the engine looks for it in.
    let more = (0..50).map(|number| NewWish {
        wish: Wish::Erase { entity: entity(&format!("b/{number}")) },
        at: at(0),
        actor: "x".to_owned(),
        key: None,
    });
    store.accept(more.collect(), at(0)).await.unwrap();
    site.sql("select hence.erase_v1('a/' || n) from generate_series(0, 49) as n");
    let wrong = "select count(*) from hence.entity where shard <> ('x' || left(encode(sha256(convert_to(key, 'UTF8')), 'hex'), 8))::bit(32)::bigint % 8";
    assert_eq!(site.sql(wrong), "0");
    let totals = store.totals().await.unwrap();
    assert_eq!((totals.entities, totals.wishes), (103, 109), "counted as everything else");
}

#[tokio::test]
async fn what_is_told_goes_with_the_transaction_and_its_savepoints() {
    let (site, store) = site().await;
    site.sql(
        "begin; select hence.event_v1('account/1', 'rolled.back'); rollback;
        begin; select hence.event_v1('account/2', 'kept'); savepoint a; select hence.event_v1('account/3', 'taken.back');
        rollback to a; select hence.event_v1('account/2', 'kept.too'); commit",
    );
    let names: Vec<String> = inbox(&store)
        .await
        .into_iter()
        .map(|wish| match wish {
            Wish::Event { name, .. } => name.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, ["kept", "kept.too"]);
    assert_eq!(site.sql("select string_agg(key, ',') from hence.entity"), "account/2", "not even a row is left");
}

#[tokio::test]
async fn what_is_told_under_a_key_twice_counts_once() {
    let (site, store) = site().await;
    let tell =
        |name: &str, key: &str| site.sql(&format!("select hence.event_v1('account/1', '{name}', idempotency_key => '{key}')"));
    let first = tell("paid", "k1");
    assert_eq!(tell("paid", "k1"), first);
    assert_ne!(tell("paid", "k2"), first);
    let refused = session(&site).await.query("select hence.event_v1('account/1', 'closed', idempotency_key => 'k1')", &[]).await;
    assert_eq!(refused.unwrap_err().as_db_error().unwrap().code().code(), "N0307");
    assert_eq!(inbox(&store).await.len(), 2);
    // Two transactions at once: the second waits for the first, and is answered by what became of it.
    let (mut one, other) = (session(&site).await, session(&site).await);
    let transaction = one.transaction().await.unwrap();
    let call = "select hence.event_v1('account/1', 'paid', idempotency_key => 'k3')";
    transaction.query(call, &[]).await.unwrap();
    let waiting = tokio::spawn(async move { other.query(call, &[]).await.unwrap()[0].get::<_, i64>(0) });
    transaction.rollback().await.unwrap();
    let id = waiting.await.unwrap();
    assert_eq!(inbox(&store).await.len(), 3);
    assert_eq!(store.wishes(None, at(0), 10).await.unwrap().last().unwrap().id(), WishId(id));
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_a_code_and_what_to_do() {
    let (site, store) = site().await;
    let program = session(&site).await;
    let mut said = String::new();
    for call in [
        "enrol_v1('gone', 'account/1')",
        "enrol_v1('Trial', 'account/1')",
        "enrol_v1('trial', null)",
        "enrol_v1('trial', '42')",
        "enrol_v1('trial', 'Account/42')",
        "enrol_v1('trial', 'account/')",
        "enrol_v1('trial', E'account/a\\nb')",
        "enrol_v1('trial', E'account/a\\u0085b')",
        "enrol_v1('trial', 'account/' || repeat('é', 128))",
        "enrol_v1('trial', 'account/1', '{\"created_at\": \"yesterday or so\"}')",
        "enrol_v1('trial', 'account/1', '{\"created_at\": \"infinity\"}')",
        "enrol_v1('trial', 'account/1', '{\"created_at\": \"20000-01-01\"}')",
        "enrol_v1('trial', 'account/1', '[]')",
        "enrol_v1('trial', 'account/1', facts => '{\"account\": []}')",
        "enrol_v1('trial', 'account/1', at => '20000-01-01')",
        "event_v1('account/1', 'Paid')",
        "event_v1('account/1', 'a..b')",
        "event_v1('account/1', 'paid', '7')",
        "event_v1('account/1', 'paid', idempotency_key => '')",
        "event_v1('account/1', 'paid', jsonb_build_object('a', repeat('x', 300000)))",
        "event_v1('account/1', 'paid', ('{\"a\": ' || repeat('[', 70) || repeat(']', 70) || '}')::jsonb)",
        "event_v1('account/1', 'paid', '{\"a\": 1e400}')",
        "put_facts_v1('account/1', null)",
        "put_facts_v1('account/1', '{\"account\": 7}')",
        "schedule_v1('account/1', 'call', null, '{}')",
        "schedule_v1('account/1', 'call', 'infinity', '{}')",
        "schedule_v1('account/1', 'call', '2026-03-02', '\"log\"')",
        "cancel_v1('account/1', 'a step')",
        "tell_v1(array['{\"wish\": \"pay\", \"entity\": \"account/1\"}']::jsonb[])",
        "tell_v1(array['{\"wish\": \"erase\", \"entity\": \"account/1\", \"now\": true}']::jsonb[])",
        "tell_v1(array_fill('{}'::jsonb, array[10001]))",
    ] {
        let error = program.query(&format!("select hence.{call}"), &[]).await.unwrap_err();
        let error = error.as_db_error().unwrap_or_else(|| panic!("{call}: {error}")).clone();
        let (code, detail) = (error.code().code(), error.detail().unwrap_or_default());
        assert_eq!((code.get(1..), code.get(..1)), (detail.strip_prefix("HNC-"), Some("N")), "{call}: {error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains(&format!("hence explain {detail}"))), "{call}: {error:?}");
        said.push_str(&format!("{detail} {}\n", error.message()));
    }
    insta::assert_snapshot!(said);
    assert_eq!(inbox(&store).await, []);
    assert_eq!(site.sql("select count(*) from hence.entity"), "0");
}

/// A bench with one due task of account/1, and the lease of all shards.
async fn due(store: &Arc<dyn Store>) -> (Bench, Lease) {
    let bench = Bench { store: Arc::clone(store) };
    bench.enrol("account/1", &[("remind", 100)]).await;
    bench.enrol("account/2", &[("remind", 200)]).await;
    let lease = bench.lease().await;
    (bench, lease)
}

async fn started(bench: &Bench, lease: &Lease) -> Vec<String> {
    bench.start(lease, 1000, 10).await.iter().map(|task| task.entity.to_string()).collect()
}

#[tokio::test]
async fn a_task_does_not_start_while_a_transaction_tells_of_its_entity() {
    for ends in ["rollback", "commit"] {
        let (site, store) = site().await;
        let (bench, lease) = due(&store).await;
        let program = session(&site).await;
        program.batch_execute("begin; select hence.event_v1('account/1', 'account.paid')").await.unwrap();
        assert_eq!(started(&bench, &lease).await, ["account/2"], "others are not held up");
        program.batch_execute(ends).await.unwrap();
        let expected: &[&str] = if ends == "commit" { &[] } else { &["account/1"] };
        assert_eq!(started(&bench, &lease).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_a_commit_overtakes_starts_nothing_of_that_entity() {
    let (site, store) = site().await;
    let (bench, lease) = due(&store).await;
    let (holder, program) = (session(&site).await, session(&site).await);
    // The start has its snapshot, and waits for the rows of the shards.
    holder.batch_execute("begin; select from hence.shard for update").await.unwrap();
    let starting = tokio::spawn(async move { started(&bench, &lease).await });
    let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'hence'";
    while program.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::task::yield_now().await;
    }
    program.batch_execute("begin; select hence.event_v1('account/1', 'account.paid'); commit").await.unwrap();
    holder.batch_execute("commit").await.unwrap();
    assert_eq!(starting.await.unwrap(), ["account/2"]);
    assert_eq!(site.sql("select count(*) from hence.live where state = 1"), "1");
}

#[tokio::test]
async fn a_cancel_answers_at_once() {
    let (site, store) = site().await;
    let (bench, lease) = due(&store).await;
    let ask = |call: &str| site.sql(&format!("begin; select * from hence.{call}; rollback"));
    assert_eq!(ask("cancel_v1('account/1', 'remind', 'trial')"), "cancelled|");
    assert_eq!(ask("reschedule_v1('account/1', 'remind', '2027-01-01', 'trial')"), "moved|");
    assert_eq!(ask("cancel_v1('account/1', 'remind')"), "nothing|", "that is no ad-hoc task");
    assert_eq!(ask("cancel_v1('account/9', 'remind', 'trial')"), "nothing|");
    let serializable = "begin isolation level repeatable read; select 1; select * from hence.cancel_v1('account/1', 'remind', 'trial'); rollback";
    assert_eq!(site.sql(serializable), "1\naccepted|", "what is seen there may be over already");
    let pending = "begin; select hence.schedule_v1('account/1', 'call', '2027-01-01', '{\"log\": \"x\"}') > 0; select * from hence.cancel_v1('account/1', 'call'); rollback";
    assert_eq!(site.sql(pending), "t\naccepted|");
    let tasks = bench.start(&lease, 1000, 10).await;
    assert_eq!(ask("cancel_v1('account/1', 'remind', 'trial')"), "running|1");
    let task = tasks.iter().find(|task| task.entity == entity("account/1")).unwrap();
    bench.write(hence_store::conformance::fixture::change(task, end(task, done()), at(1000)), at(1000)).await;
    assert_eq!(ask("cancel_v1('account/1', 'remind', 'trial')"), "ended|");
    assert_eq!(site.sql("select count(*) from hence.wish"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_transactions_tell_of_new_entities_in_any_order_within_a_call() {
    let (site, store) = site().await;
    let url = site.database.url.clone();
    let tell = |number: i64| {
        let url = url.clone();
        tokio::task::spawn_blocking(move || {
            let order = if number % 2 == 0 { "asc" } else { "desc" };
            let sql = format!(
                "select hence.tell_v1(array(select jsonb_build_object('wish', 'event', 'entity', 'account/' || n, 'name', 'x') from generate_series(1, 300) as n order by n {order}))"
            );
            Server::shared().unwrap().psql(&url, &sql).unwrap()
        })
    };
    for told in futures::future::join_all((0..8).map(tell)).await {
        assert_eq!(told.unwrap().trim(), "300");
    }
    let totals = store.totals().await.unwrap();
    assert_eq!((totals.entities, totals.wishes), (300, 2400));
}
