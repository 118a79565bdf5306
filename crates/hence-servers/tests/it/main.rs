//! Goal: private servers come up, are shared, and leave nothing behind. Method: real PostgreSQL servers, looked at by `psql` and by their
//! processes.
#![allow(clippy::unwrap_used)]

use hence_servers::postgres::{Options, Server, Stop};

#[test]
fn a_server_of_ones_own_keeps_its_data_over_a_crash_and_goes_when_dropped() {
    let server = Server::start(&Options::default()).unwrap();
    let database = server.new_database().unwrap();
    server.psql(&database.url, "create table t (id bigint); insert into t values (7)").unwrap();
    server.halt(Stop::Immediate).unwrap();
    assert!(server.psql(&database.url, "select id from t").is_err());
    server.start_again().unwrap();
    assert_eq!(server.psql(&database.url, "select id from t").unwrap().trim(), "7");
    assert_eq!(server.psql(&database.url, "show fsync").unwrap().trim(), "on");
    let data = server.data();
    drop(server);
    assert!(!data.exists());
}

#[test]
fn the_shared_server_gives_each_caller_a_database_of_its_own() {
    let server = Server::shared().unwrap();
    let one = server.new_database_like("servers_test", |database| {
        server.psql(&database.url, "create table t (id bigint)").map(|_| ()).map_err(|error| error.to_string())
    });
    let one = one.unwrap();
    let two = server.new_database_like("servers_test", |_| Err("made twice".to_owned())).unwrap();
    server.psql(&one.url, "insert into t values (1)").unwrap();
    assert_eq!(server.psql(&two.url, "select count(*) from t").unwrap().trim(), "0");
    let is_super = server.psql(&one.url, "select rolsuper from pg_roles where rolname = current_user").unwrap();
    assert_eq!(is_super.trim(), "f", "tests are no superusers");
    // Words in the order of a language, not of bytes.
    assert_eq!(server.psql(&one.url, "select 'a' < 'B'").unwrap().trim(), "t");
}

#[test]
fn settings_of_ones_own_win() {
    let mut options = Options::default();
    options.settings.push("max_connections=17".to_owned());
    let server = Server::start(&options).unwrap();
    assert_eq!(server.psql(&server.admin_url("postgres"), "show max_connections").unwrap().trim(), "17");
}
