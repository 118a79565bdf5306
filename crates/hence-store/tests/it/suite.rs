//! Goal: every store does what the port says. Method: the conformance suite, each check on a new store of each kind.

use std::sync::Arc;

use hence_store::conformance::{Site, checks};

use crate::sites::{InFile, InMemory, InPostgres};

async fn run_all(new_site: impl Fn() -> Arc<dyn Site>) {
    let mut failed = Vec::new();
    for check in checks() {
        let site = new_site();
        // In a task of its own, so that one failed check does not hide the others.
        if tokio::spawn(async move { check.run(site).await }).await.is_err() {
            failed.push(check.name);
        }
    }
    assert_eq!(failed, Vec::<&str>::new(), "these checks failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_store_conforms() {
    for shards in [1, 8] {
        run_all(|| Arc::new(InMemory::new(shards))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_store_conforms() {
    run_all(|| Arc::new(InFile::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_store_conforms() {
    run_all(|| Arc::new(InPostgres::new(8))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_store_conforms_without_named_statements() {
    run_all(|| Arc::new(InPostgres::pooled(1))).await;
}
