//! Where attempts go, and which of these places keep their attempts waiting.
//!
//! A receiver that does not answer holds each attempt for as long as its timeout. So that it delays no other (G19), the attempts at a
//! place that is slow count as few: what it holds beyond its share is not counted among the attempts under way, and while it holds its
//! share no task of a step that goes there is started. A place that answers at once may have all attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hence_core::definition::Destination;
use hence_core::library::Library;
use hence_core::name::{Fence, Name};

/// An attempt that is under way for longer than this makes its place a slow one: half of the two seconds that others may be delayed.
const SLOW: Duration = Duration::from_secs(1);

/// The places of one engine.
pub(super) struct Places {
    /// The most attempts that a slow place may have.
    share: usize,
    under_way: BTreeMap<Fence, UnderWay>,
    slow: BTreeSet<String>,
}

/// An attempt, where it goes and since when.
struct UnderWay {
    place: String,
    began: Duration,
}

impl Places {
    pub(super) fn new(share: usize) -> Self {
        Self { share: share.max(1), under_way: BTreeMap::new(), slow: BTreeSet::new() }
    }

    /// An attempt goes to that destination; one that stays in this process is not looked at.
    pub(super) fn began(&mut self, fence: Fence, to: &Destination, elapsed: Duration) {
        if let Some(place) = place(to) {
            self.under_way.insert(fence, UnderWay { place, began: elapsed });
        }
    }

    /// It ended: in time, and its place is no longer a slow one, or not.
    pub(super) fn ended(&mut self, fence: Fence, elapsed: Duration) {
        let Some(UnderWay { place, began }) = self.under_way.remove(&fence) else { return };
        if elapsed.saturating_sub(began) <= SLOW {
            self.slow.remove(&place);
        } else {
            self.slow.insert(place);
        }
    }

    /// Forgets attempts that broke, and finds places that are slow by now.
    pub(super) fn look(&mut self, elapsed: Duration, is_under_way: impl Fn(Fence) -> bool) {
        self.under_way.retain(|fence, _| is_under_way(*fence));
        let late = self.under_way.values().filter(|attempt| elapsed.saturating_sub(attempt.began) > SLOW);
        self.slow.extend(late.map(|attempt| attempt.place.clone()));
    }

    /// How many attempts do not count, because their place has more than its share.
    pub(super) fn aside(&self) -> usize {
        self.slow.iter().map(|place| self.count(place).saturating_sub(self.share)).sum()
    }

    /// The steps that go where no further attempt should go now, by timeline and name.
    pub(super) fn full_steps(&self, library: &Library) -> Vec<(Name, Name)> {
        let full: BTreeSet<&String> = self.slow.iter().filter(|place| self.count(place) >= self.share).collect();
        if full.is_empty() {
            return Vec::new();
        }
        let mut steps = BTreeSet::new();
        for definition in library.all() {
            let to_full =
                definition.steps.iter().filter(|step| place(&step.action.to).is_some_and(|place| full.contains(&place)));
            steps.extend(to_full.map(|step| (definition.name.clone(), step.name.clone())));
        }
        steps.into_iter().collect()
    }

    fn count(&self, place: &str) -> usize {
        self.under_way.values().filter(|attempt| attempt.place == place).count()
    }
}

fn place(to: &Destination) -> Option<String> {
    match to {
        Destination::Webhook { target, .. } => Some(format!("webhook {target}")),
        Destination::Email { .. } => Some("mail".to_owned()),
        Destination::Handler { name } => Some(format!("handler {name}")),
        Destination::Broker { broker, target, .. } => Some(format!("{} {target}", broker.as_str())),
        Destination::Log { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a place that does not answer keeps no other waiting, and one that answers has all attempts. Method: attempts at two places.
    use std::sync::Arc;

    use hence_core::definition::Definition;

    use super::*;

    const TWO: &str = "[timeline]\nname = \"t\"\nentity = \"account\"\nanchor = \"start\"\n\
                       [step.hangs]\ndo = { webhook = \"a\", path = \"/\" }\n\
                       [step.answers]\ndo = { webhook = \"b\", path = \"/\" }\n";

    fn at(tenths: u64) -> Duration {
        Duration::from_millis(tenths * 100)
    }

    #[test]
    fn only_a_place_that_does_not_answer_is_held_to_its_share() {
        let definition = Definition::load(TWO).unwrap().definition;
        let (hangs, answers) = (definition.steps[0].action.to.clone(), definition.steps[1].action.to.clone());
        let mut library = Library::default();
        library.add(Arc::new(definition));
        let mut places = Places::new(2);
        (1..=5).for_each(|fence| places.began(Fence(fence), &hangs, at(0)));
        places.began(Fence(6), &answers, at(0));
        places.look(at(9), |_| true);
        assert_eq!((places.aside(), places.full_steps(&library).len()), (0, 0));
        places.ended(Fence(6), at(9));
        places.look(at(11), |_| true);
        assert_eq!(places.aside(), 3);
        let full: Vec<String> = places.full_steps(&library).iter().map(|(_, step)| step.to_string()).collect();
        assert_eq!(full, ["hangs"]);
        // Three end late and one breaks: there is room for one more try.
        (1..=3).for_each(|fence| places.ended(Fence(fence), at(200)));
        places.look(at(200), |fence| fence != Fence(4));
        assert_eq!((places.aside(), places.full_steps(&library).len()), (0, 0));
        places.began(Fence(7), &hangs, at(200));
        assert_eq!(places.full_steps(&library).len(), 1);
        // Once it answers in time it is as all others.
        places.ended(Fence(7), at(201));
        assert_eq!(places.full_steps(&library).len(), 0);
    }
}
