//! Goal: a receiver that does not answer delays no other. Method: many tasks whose handler waits until the test ends, and one that is due
//! behind all of them; the test awaits that one.

use std::sync::Arc;
use std::time::Duration;

use hence::dispatch::{Dispatchers, HandlerReply, Handlers};
use hence::store::memory::MemoryStore;
use hence::{Client, Engine, EngineOptions, Enrolment, FactReaders, Telling};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

const TWO: [&str; 2] = ["hangs", "answers"];

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_delays_no_other() {
    let client = Client::open(Arc::new(MemoryStore::new()), FactReaders::default(), "test").await.unwrap();
    let start: jiff::Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
    client.clock().make_virtual(start).await.unwrap();
    for name in TWO {
        let head = format!("[timeline]\nname = \"{name}\"\nentity = \"account\"\nanchor = \"start\"\n");
        let step = format!("[step.one]\ndo = {{ handler = \"{name}\", timeout = \"1 minute\" }}\n");
        client.put_definition(&format!("{head}{step}")).await.unwrap();
    }
    // The one that answers comes last: its number is the highest.
    for (number, name) in [TWO[0]; 12].into_iter().chain([TWO[1]]).enumerate() {
        let enrolment = Enrolment::new(name.parse().unwrap(), format!("account/{number}").parse().unwrap());
        client.tell(Telling::enrol(enrolment.given("start".parse().unwrap(), start))).await.unwrap();
    }
    let (over, answered) = (CancellationToken::new(), CancellationToken::new());
    let (is_over, has_answered) = (over.clone(), answered.clone());
    let handlers = Handlers::new()
        .on("hangs", move |_, _: Value| {
            let is_over = is_over.clone();
            async move {
                is_over.cancelled().await;
                Ok(HandlerReply::done())
            }
        })
        .on("answers", move |_, _: Value| {
            has_answered.cancel();
            async { Ok(HandlerReply::done()) }
        });
    let mut options = EngineOptions::default();
    (options.attempts_max, options.slow_attempts_max) = (4, Some(1));
    let stop = CancellationToken::new();
    let engine = Engine::new(client.clone(), Dispatchers::new().with(Arc::new(handlers)), options);
    let running = tokio::spawn(engine.run(stop.clone()));
    // It hangs for a minute; a second is needed to see that, the rest is for a slow machine.
    tokio::time::timeout(Duration::from_secs(30), answered.cancelled()).await.expect("the one that answers is not delayed");
    over.cancel();
    stop.cancel();
    running.await.unwrap().unwrap();
}
