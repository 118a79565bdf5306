//! The attempts that this process has under way, and the signals by which they learn that they should end.
//!
//! A cancel that this process writes itself raises the signal at once; what others wrote is seen by a look at the store each second
//! (G13). The signal only asks: what a handler does with it, and what is sent already, is not ours.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hence_core::name::{Fence, TaskId};
use hence_core::task::{Task, TaskState};
use hence_core::timeline::ChangeSet;
use hence_dispatch::CancelSignal;

/// Signals by task.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<BTreeMap<TaskId, (Fence, CancelSignal)>>>);

/// One attempt under way; dropping it is its end.
pub(crate) struct Entered {
    all: UnderWay,
    id: TaskId,
    fence: Fence,
    signal: CancelSignal,
}

impl UnderWay {
    /// An attempt of this task begins.
    pub(crate) fn enter(&self, task: &Task) -> Entered {
        let signal = CancelSignal::default();
        self.signals().insert(task.id, (task.fence, signal.clone()));
        Entered { all: self.clone(), id: task.id, fence: task.fence, signal }
    }

    /// All attempts under way.
    pub(crate) fn attempts(&self) -> Vec<(TaskId, Fence)> {
        self.signals().iter().map(|(id, (fence, _))| (*id, *fence)).collect()
    }

    /// Asks the attempt of this task to end.
    pub(crate) fn stop(&self, id: TaskId) {
        if let Some((_, signal)) = self.signals().get(&id) {
            signal.raise();
        }
    }

    /// Asks those attempts to end whose tasks were cancelled by changes that this process has written.
    pub(crate) fn written(&self, changes: &ChangeSet) {
        Self::cancelled_by(changes).into_iter().for_each(|id| self.stop(id));
    }

    /// The tasks that changes ask to end while they are running.
    pub(crate) fn cancelled_by(changes: &ChangeSet) -> Vec<TaskId> {
        let cancelled = |task: &Task| task.state == TaskState::Running && task.cancel_asked;
        changes.transitions.iter().filter(|write| cancelled(&write.task)).map(|write| write.id).collect()
    }

    fn signals(&self) -> MutexGuard<'_, BTreeMap<TaskId, (Fence, CancelSignal)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entered {
    /// What the attempt is asked by.
    pub(crate) fn signal(&self) -> &CancelSignal {
        &self.signal
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut signals = self.all.signals();
        // A later attempt of the same task has an entry of its own.
        if signals.get(&self.id).is_some_and(|(fence, _)| *fence == self.fence) {
            signals.remove(&self.id);
        }
    }
}
