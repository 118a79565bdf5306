//! Tasks without a definition: what was asked for last under a key is there once its wish is carried out (G14).

use std::collections::BTreeMap;

use hence_core::definition::AdHoc;
use hence_core::name::{Name, WishId};
use hence_core::task::TaskState;
use hence_core::timeline::ChangeSet;
use hence_core::wish::Wish;
use jiff::Timestamp;
use serde_json::Value;

use super::Ledger;

/// One wish for such a task.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    key: Name,
    due_at: Timestamp,
    action: Value,
}

impl Ledger {
    /// A wish was accepted, which may be one for such a task.
    pub(super) fn asked_for(&mut self, id: WishId, wish: &Wish) {
        let Wish::Schedule { key, due_at, action, .. } = wish else { return };
        self.asked.insert(id, Asked { key: key.clone(), due_at: *due_at, action: action.clone() });
    }

    /// After a write: of each key the newest wish that it carried out waits as it was told, and no older attempt is repeated.
    pub(super) fn what_was_asked_is_there(&mut self, set: &ChangeSet) {
        let changed = set.created.iter().chain(set.transitions.iter().map(|write| &write.task));
        for task in changed.filter(|task| task.timeline.is_none()) {
            let action = task.action.as_ref().and_then(|action| AdHoc::read(&task.step, action).ok());
            self.actions.extend(action.map(|action| (task.id, action.step)));
        }
        let carried_out = set.carried_out.iter().filter_map(|id| self.asked.get(id));
        let newest: BTreeMap<Name, Asked> = carried_out.map(|asked| (asked.key.clone(), asked.clone())).collect();
        for asked in newest.into_values() {
            let of_key = self.tasks.values().filter(|known| {
                let task = &known.task;
                known.end.is_none() && task.entity == set.entity && task.timeline.is_none() && task.step == asked.key
            });
            let (running, waiting): (Vec<_>, Vec<_>) = of_key.partition(|known| known.task.state == TaskState::Running);
            let is_as_told =
                |known: &&super::Known| known.task.due_at == asked.due_at && known.task.action.as_ref() == Some(&asked.action);
            let is_there = waiting.iter().copied().any(|known| is_as_told(&known));
            let is_alone = running.iter().all(|known| known.task.cancel_asked);
            self.demand(is_there, "G14", || format!("{} of {} is not as told: {asked:?}", asked.key, set.entity));
            self.demand(is_alone, "G14", || format!("an older {} of {} goes on", asked.key, set.entity));
        }
    }
}
