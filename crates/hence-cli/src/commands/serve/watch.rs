//! Taking changed definitions over while `hence dev` runs.
//!
//! Looks at the files twice a second; what cannot be used is drawn and changes nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hence::Client;
use tokio_util::sync::CancellationToken;

use crate::definitions;
use crate::diagnostics;
use crate::output;

/// How often files are looked at: quick enough for somebody who saves and looks up.
const LOOK: Duration = Duration::from_millis(500);

/// Looks until it is stopped.
pub(super) async fn run(client: Client, paths: Vec<PathBuf>, stop: CancellationToken) {
    let mut known = sources(&paths);
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
        let found = sources(&paths);
        if found != known {
            take(&client, &paths, &known).await;
            known = found;
        }
    }
}

/// The text of every file that can be read now.
fn sources(paths: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    let files = definitions::read(paths).unwrap_or_default();
    files.into_iter().map(|file| (file.path, file.source)).collect()
}

async fn take(client: &Client, paths: &[PathBuf], known: &BTreeMap<PathBuf, String>) {
    let Ok(files) = definitions::read(paths) else { return };
    for file in files.iter().filter(|file| known.get(&file.path) != Some(&file.source)) {
        diagnostics::note(&file.path, &file.source, file.diagnostics());
        if file.loaded.is_err() {
            continue;
        }
        match client.put_definition(&file.source).await {
            Ok(definition) => {
                let (name, version) = (&definition.name, definition.hash.short());
                output::note(&format!("timeline `{name}` ({version}) holds for those who are enrolled from now on"));
            }
            Err(error) => output::note(&format!("{} was not taken over: {error}", file.path.display())),
        }
    }
}
