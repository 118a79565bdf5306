//! `hence status`: how much there is, and whether it moves.

use serde_json::json;

use crate::output;
use crate::problem::{Exit, Problem};
use crate::session::Session;
use crate::wire;

pub(crate) async fn run(session: &Session) -> Result<Exit, Problem> {
    let client = session.client().await?;
    let reading = client.clock().read().await?;
    let totals = client.store().totals().await?;
    let identity = client.store().identity().await?;
    let kind = if reading.target.is_some() { "virtual" } else { "system" };
    let store = session.config()?.store.display().to_string();
    let library = client.library();
    if session.is_json() {
        let definitions: Vec<_> = library
            .all_current()
            .map(|definition| json!({ "timeline": definition.name.to_string(), "hash": definition.hash.to_string() }))
            .collect();
        output::json(&json!({
            "store": store,
            "store_id": identity.store_id,
            "schema_version": identity.schema_version,
            "clock": { "kind": kind, "now": reading.now.to_string() },
            "timelines": definitions,
            "totals": wire::totals(&totals),
        }));
        return Ok(Exit::Done);
    }
    let times = session.times(reading.now)?;
    let mut table = output::table(&["what", "value"]);
    let timelines: Vec<String> =
        library.all_current().map(|definition| format!("{} ({})", definition.name, definition.hash.short())).collect();
    let counts = |pairs: Vec<String>| if pairs.is_empty() { "none".to_owned() } else { pairs.join(", ") };
    let rows = [
        ("store", format!("{store} ({}, schema {})", identity.store_id, identity.schema_version)),
        ("clock", format!("{} ({kind})", times.local(reading.now))),
        ("timelines", counts(timelines)),
        ("entities", totals.entities.to_string()),
        ("ahead", counts(totals.live.iter().map(|(state, count)| format!("{count} {state}")).collect())),
        ("ended", counts(totals.finished.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect())),
        ("next start", times.cell_or_dash(totals.next_wake_at)),
        ("inbox", totals.wishes.to_string()),
    ];
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    output::show(&table);
    Ok(Exit::Done)
}
