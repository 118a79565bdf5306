//! Goal: a user's own table tells Hence what happens in it, and what is told is seen in the views and by roles as it is documented.
//! Method: an attached table in a schema of its own, owned and written by roles with no other right; inserts, updates, deletes and COPY by
//! psql, tokio-postgres, psycopg and SQLAlchemy; the inbox as lines.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use hence_core::history::RecordKind;
use hence_core::name::DefinitionHash;
use hence_core::timeline::ChangeSet;
use hence_servers::postgres::Server;
use hence_store::Store;
use hence_store::conformance::fixture::{Bench, at, entity, name, note, record};
use hence_store::port::StoredDefinition;

use crate::sites::InPostgres;

/// A table of accounts, attached by its owner.
const SHOP: &str = r#"
    create table account (id text primary key, email text, paid_at timestamptz, status text not null default 'trial',
      created_at timestamptz not null default '2026-03-02T09:00:00Z');
    select hence.attach_v1('account', 'trial', given => '{"created_at": "created_at"}', facts => '{"account": ["email", "paid_at"]}',
      enrol_when => $$status = 'trial'$$, events => '{"account.paid": "paid_at is not null"}', on_delete => 'erase')"#;

/// A store that knows the definition `trial`, whose database has the attached table.
async fn shop() -> InPostgres {
    let site = InPostgres::new(8);
    let definition = StoredDefinition {
        hash: DefinitionHash("ab".repeat(32)),
        name: name("trial"),
        source: String::new(),
        created_at: at(0),
        is_current: true,
    };
    site.store().put_definition(definition).await.unwrap();
    site.sql(SHOP);
    site
}

/// What the inbox holds, in short, by entity.
fn told(site: &InPostgres) -> Vec<String> {
    let sql = "select e.key || ' ' || (w.body::json ->> 'wish') || coalesce(' ' || (w.body::json ->> 'name'), '') || coalesce(' ' || (w.body::json ->> 'facts'), '') \
         from hence.wish w join hence.entity e on e.id = w.entity order by w.id";
    site.sql(sql).lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn rows_tell_what_happens_to_them() {
    let site = shop().await;
    site.sql("insert into account (id, email, status) values ('1', 'a', 'trial'), ('2', 'b%s', 'active')");
    assert_eq!(told(&site), [r#"account/1 enrol {"account": {"email": "a", "paid_at": null}}"#]);
    site.sql("delete from hence.wish; update account set email = 'z' where id = '1'");
    assert_eq!(told(&site), [r#"account/1 put_facts {"account": {"email": "z", "paid_at": null}}"#]);
    site.sql("delete from hence.wish; update account set paid_at = '2026-03-03Z', status = 'active'; update account set paid_at = '2026-03-04Z'");
    let facts = |at: &str| format!(r#"account/1 put_facts {{"account": {{"email": "z", "paid_at": "{at}T00:00:00+00:00"}}}}"#);
    assert_eq!(
        told(&site),
        [facts("2026-03-03"), "account/1 event account.paid".to_owned(), facts("2026-03-04")],
        "2 was never enrolled"
    );
    site.sql("delete from hence.wish; update account set status = 'active'");
    assert_eq!(told(&site), Vec::<String>::new(), "nothing that counts was changed");
    site.sql("update account set status = 'trial', paid_at = null where id = '2'");
    let of_two = r#"{"account": {"email": "b%s", "paid_at": null}}"#;
    assert_eq!(told(&site), [format!("account/2 enrol {of_two}"), format!("account/2 put_facts {of_two}")]);
    site.sql("delete from hence.wish; delete from account");
    assert_eq!(told(&site), ["account/1 erase", "account/2 erase"]);
    site.sql("delete from hence.wish; begin; insert into account (id) values ('3'); savepoint a; insert into account (id) values ('4'); rollback to a; commit; begin; insert into account (id) values ('5'); rollback");
    assert_eq!(told(&site), [r#"account/3 enrol {"account": {"email": null, "paid_at": null}}"#]);
    site.sql("insert into account (id) values ('3') on conflict (id) do update set paid_at = '2026-03-03Z'");
    assert_eq!(told(&site).last().unwrap(), "account/3 event account.paid");
    site.sql("delete from hence.wish; select hence.detach_v1('account', 'trial'); insert into account (id) values ('6')");
    assert_eq!(told(&site), Vec::<String>::new());
    assert_eq!(site.sql("select count(*) from pg_proc where proname like 'hence%'"), "0", "nothing is left of the triggers");
    let wrong = Server::shared()
        .unwrap()
        .psql(&site.database.url, r#"select hence.attach_v1('account', 'trial', facts => '{"account": ["mail"]}')"#);
    assert!(wrong.unwrap_err().to_string().contains("column r.mail does not exist"));
    let unknown = Server::shared().unwrap().psql(&site.database.url, "select hence.attach_v1('account', 'gone')");
    assert!(unknown.unwrap_err().to_string().contains("the timeline `gone` is not defined"));
}

#[tokio::test]
async fn copied_rows_are_enrolled() {
    let site = shop().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.tsv");
    std::fs::write(&file, (1..=2500).map(|number| format!("psql{number}\ta@example.com\n")).collect::<String>()).unwrap();
    site.sql(&format!("\\copy account (id, email) from '{}'", file.display()));
    let (mut client, connection) = tokio_postgres::connect(&site.database.url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for (prefix, is_kept) in [("rolled", false), ("tokio", true)] {
        let transaction = client.transaction().await.unwrap();
        let sink = transaction.copy_in("copy account (id, email) from stdin").await.unwrap();
        let rows: String = (1..=1001).map(|number| format!("{prefix}{number}\ta@example.com\n")).collect();
        let mut sink = std::pin::pin!(sink);
        futures::SinkExt::send(&mut sink, std::io::Cursor::new(rows)).await.unwrap();
        futures::SinkExt::close(&mut sink).await.unwrap();
        if is_kept { transaction.commit().await.unwrap() } else { transaction.rollback().await.unwrap() }
    }
    let counted = "select count(*), count(distinct w.entity), min(w.body::json ->> 'wish') from hence.wish w";
    assert_eq!(site.sql(counted), "3501|3501|enrol");
    assert_eq!(site.store().totals().await.unwrap().entities, 3501);
}

/// Runs a program that somebody else's client carries out, and gives what it printed.
fn run_client(program: &str, script: &str, url: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let ran = Command::new(program).arg(path).arg(url).output();
    let ran = ran.unwrap_or_else(|error| {
        panic!("{program} is needed (Debian: python3-psycopg, python3-psycopg2, python3-sqlalchemy): {error}")
    });
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{script}: {said} (Debian: python3-psycopg, python3-psycopg2, python3-sqlalchemy)");
    String::from_utf8_lossy(&ran.stdout).trim().to_owned()
}

#[tokio::test]
async fn clients_of_python_tell_in_their_own_transactions() {
    let site = shop().await;
    for (script, client) in [("with_psycopg.py", "psycopg"), ("with_sqlalchemy.py", "sqlalchemy")] {
        // Debian's Python, which has Debian's packages, whatever else is in the path.
        assert_eq!(run_client("/usr/bin/python3", script, &site.database.url), "N0330 HNC-0330");
        let events = format!(
            "select string_agg(w.body::json ->> 'name', ' ' order by w.id) from hence.wish w join hence.entity e on e.id = w.entity where e.key = 'account/{client}'"
        );
        assert_eq!(site.sql(&events), "committed kept");
        let rows = format!(
            "select count(*) from hence.wish w join hence.entity e on e.id = w.entity where e.key like 'account/{client}_%' and w.body::json ->> 'wish' = 'enrol'"
        );
        assert_eq!(site.sql(&rows), "2500");
    }
}

#[tokio::test]
async fn views_show_what_the_store_shows() {
    let site = InPostgres::new(8);
    let store: Arc<dyn Store> = Arc::new(site.store());
    let bench = Bench { store: Arc::clone(&store) };
    bench.enrol("account/a/b", &[("remind", 100)]).await;
    bench.enrol("account/2", &[("remind", 253_370_764_800 - 1_772_323_200)]).await;
    let lease = bench.lease().await;
    bench.start(&lease, 200, 10).await;
    let upcoming = "set timezone = 'UTC'; select entity, entity_type, entity_id, timeline, step, due_at, state, attempt, started_at, is_cancel_asked, created_at, reason ->> 'text' from hence.upcoming order by due_at";
    assert_eq!(
        site.sql(upcoming),
        "account/a/b|account|a/b|trial|remind|2026-03-01 00:01:40+00|running|1|2026-03-01 00:03:20+00|f|2026-03-01 00:00:00+00|planned\n\
         account/2|account|2|trial|remind|9999-01-01 00:00:00+00|scheduled|0||f|2026-03-01 00:00:00+00|planned"
    );
    let timeline = "select timeline, entity, run, status, given ->> 'created_at', facts -> 'account' ->> 'email' from hence.timeline where entity = 'account/2'";
    assert_eq!(site.sql(timeline), "trial|account/2|1|active|2026-02-28T23:59:00Z|a@example.com");
    let of = entity("account/3");
    let mut changes = ChangeSet::new(of.clone());
    changes.records.extend(RecordKind::ALL.map(|kind| record(&of, kind, at(5), note("a \u{0} b"))));
    bench.write(changes, at(0)).await;
    let words: Vec<&str> = RecordKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let kinds = "select string_agg(kind, ' ' order by seq) from hence.history where entity = 'account/3'";
    assert_eq!(site.sql(kinds), words.join(" "));
    assert_eq!(site.sql("select count(distinct reason ->> 'note') from hence.history where entity = 'account/2'"), "0");
    assert_eq!(
        site.sql("set timezone = 'UTC'; select distinct timeline, step, at from hence.history where entity = 'account/2'"),
        "trial||2026-03-01 00:00:00+00"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_can_do_its_own_and_nothing_else() {
    let site = shop().await;
    let database = site.sql("select current_database()");
    let role = |kind: &str| format!("{database}_{kind}");
    let owner = site.sql("select current_user");
    let as_admin = |sql: &str| {
        let server = Server::shared().unwrap();
        server.psql(&server.admin_url(&database), &sql.replace("current_role", &owner)).unwrap()
    };
    for kind in ["producer", "reader", "engine", "nobody"] {
        as_admin(&format!("create role {0} login password 'x'; grant {0} to current_role", role(kind)));
        if kind != "nobody" {
            site.sql(&format!("select hence.grant_v1('{}'::regrole, '{kind}')", role(kind)));
        }
    }
    let schema = site.sql("select relnamespace::regnamespace from pg_class where relname = 'account' and relkind = 'r'");
    site.sql(&format!("grant usage on schema {schema} to {0}; grant insert on account to {0}", role("nobody")));
    let attempt = |kind: &str, sql: &str| {
        let sql = format!("set role {}; {sql}", role(kind));
        Server::shared().unwrap().psql(&site.database.url, &sql).map_err(|error| error.to_string())
    };
    let can = |kind: &str, sql: &str| assert!(attempt(kind, sql).is_ok(), "{kind}: {sql}: {:?}", attempt(kind, sql));
    let cannot = |kind: &str, sql: &str| {
        let said = attempt(kind, sql).unwrap_err();
        assert!(said.contains("permission denied"), "{kind}: {sql}: {said}");
    };
    can("producer", "select hence.enrol_v1('trial', 'account/p'), hence.event_v1('account/p', 'x'), hence.now_v1()");
    can("producer", "select * from hence.cancel_v1('account/p', 'remind', 'trial')");
    can("reader", "select from hence.upcoming; select from hence.history; select from hence.timeline");
    // A row tells with the rights of the table's owner, whoever inserts it.
    can("nobody", &format!("insert into {schema}.account (id) values ('n')"));
    for (kind, sql) in [
        ("producer", "select from hence.upcoming"),
        ("producer", "select from hence.wish"),
        ("producer", "insert into hence.wish (entity, at, actor, body) values (1, 0, '', '')"),
        ("producer", "select hence.accept_one('{}', null, null)"),
        ("producer", "select hence.allow_fake_now_v1(true)"),
        ("producer", "select hence.grant_v1(current_role::regrole, 'engine')"),
        ("producer", "select hence.make_history(1)"),
        ("reader", "select hence.event_v1('account/p', 'x')"),
        ("reader", "select from hence.live"),
        ("engine", "update hence.allowed set is_fake_now = true"),
        ("engine", "insert into hence.migration (number, applied_at) values (99, 0)"),
        ("nobody", "select hence.event_v1('account/p', 'x')"),
    ] {
        cannot(kind, sql);
    }
    // Whatever is granted to nobody by name can be called by nobody.
    let open = "select count(*) from pg_proc p where p.pronamespace = 'hence'::regnamespace and has_function_privilege('public', p.oid, 'execute')";
    assert_eq!(site.sql(open), "0");
    let unsafe_ones = "select count(*) from pg_proc p where p.pronamespace = 'hence'::regnamespace and p.prosecdef and coalesce(array_to_string(p.proconfig, ','), '') not like '%search_path=pg_catalog, pg_temp%'";
    assert_eq!(site.sql(unsafe_ones), "0");
    // An engine's store works as that role, to the end of a task.
    let url = site.database.url.clone();
    let (_, host) = url.rsplit_once('@').unwrap();
    let as_engine = format!("postgres://{}:x@{host}", role("engine"));
    let options = hence_store::postgres::PostgresOptions::new(hence_store::OpenMode::Existing);
    let store: Arc<dyn Store> = Arc::new(hence_store::postgres::PostgresStore::open(&as_engine, options).await.unwrap());
    let bench = Bench { store };
    let tasks = bench.enrol("account/e", &[("remind", 100)]).await;
    let lease = bench.lease().await;
    assert_eq!(bench.start(&lease, 200, 10).await.len(), 1);
    assert!(bench.store.erase(&entity("account/e"), at(300)).await.unwrap());
    bench.store.prune(at(400_000_000), 10).await.unwrap();
    assert!(bench.live(tasks[0].id).await.is_none());
    drop(bench);
    let roles: Vec<String> = ["producer", "reader", "engine", "nobody"].map(role).into();
    as_admin(&format!("drop owned by {0}; drop role {0}", roles.join(", ")));
}

#[tokio::test]
async fn a_session_has_a_clock_of_its_own_only_where_the_owner_allows_it() {
    let site = shop().await;
    let tell = "set hence.fake_now = '2026-03-03T10:00:00Z'; select hence.event_v1('account/1', 'x')";
    let refused = Server::shared().unwrap().psql(&site.database.url, tell).unwrap_err().to_string();
    assert!(refused.contains("does not allow"), "{refused}");
    site.sql(&format!(
        "select hence.allow_fake_now_v1(true); {tell}; reset hence.fake_now; select hence.event_v1('account/1', 'x')"
    ));
    let at = "set timezone = 'UTC'; select string_agg(to_char(hence.instant(at), 'YYYY-MM-DD HH24:MI'), ' ' order by id) from hence.wish";
    assert_eq!(site.sql(at), "2026-03-03 10:00 2057-11-07 01:46", "the store's own clock is virtual and stands far ahead");
}
