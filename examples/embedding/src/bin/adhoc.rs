//! Tasks without a definition: something is to happen to an entity at an instant, and may be moved or cancelled until then.
//! Run it with `cargo run -p embedding --bin adhoc`. The clock is a virtual one, so that days pass at once.
#![allow(clippy::print_stdout)] // what it prints is what it shows

use hence::dispatch::{HandlerContext, HandlerError, HandlerReply};
use hence::jiff::Timestamp;
use hence::serde_json::json;
use hence::{CancelAnswer, Hence};

#[derive(serde::Deserialize)]
struct Call {
    data: Data,
}

#[derive(serde::Deserialize)]
struct Data {
    phone: String,
}

async fn call(context: HandlerContext, call: Call) -> Result<HandlerReply, HandlerError> {
    if context.attempt.attempt == 1 {
        println!("{} {}: busy", context.attempt.started_at, call.data.phone);
        return Err(HandlerError::again("the line is busy"));
    }
    println!("{} {}: reached", context.attempt.started_at, call.data.phone);
    Ok(HandlerReply::outcome("reached"))
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("the instants of this program are written well")
}

#[tokio::main]
async fn main() -> Result<(), hence::Error> {
    let hence = Hence::builder().handler("call", call).virtual_clock(at("2026-03-02T09:00:00Z")).start().await?;
    let action = |phone: &str| json!({ "handler": "call", "data": { "phone": phone }, "says": ["reached"], "retry": { "tries": 3, "wait": "1h..1h" } });
    hence.schedule("order/7", "call_back", at("2026-03-03T09:00:00Z"), action("555-0107")).await?;
    hence.schedule("order/8", "call_back", at("2026-03-03T09:00:00Z"), action("555-0108")).await?;
    // The same key again moves it.
    hence.schedule("order/7", "call_back", at("2026-03-04T15:00:00Z"), action("555-0107")).await?;
    // And what is not wanted any more is cancelled.
    for task in hence.upcoming("order/8").await? {
        let answer = hence.cancel(task.id, "the customer called us").await?;
        assert_eq!(answer, CancelAnswer::Cancelled);
    }
    hence.advance(at("2026-03-05T09:00:00Z")).await?;
    hence.clock().arrived(at("2026-03-05T09:00:00Z")).await?;
    for order in ["order/7", "order/8"] {
        for because in hence.why(order).await? {
            println!("{because}");
        }
    }
    hence.stop().await?;
    Ok(())
}
