//! The definitions that are loaded: each version by its hash, and the current version of each name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::definition::Definition;
use crate::name::{DefinitionHash, Name};

/// Loaded definitions. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Library {
    versions: BTreeMap<DefinitionHash, Arc<Definition>>,
    current: BTreeMap<Name, DefinitionHash>,
}

impl Library {
    /// Adds a version and makes it the current one of its name.
    pub fn add(&mut self, definition: Arc<Definition>) {
        self.current.insert(definition.name.clone(), definition.hash.clone());
        self.versions.insert(definition.hash.clone(), definition);
    }

    /// Adds an older version, which timelines that began with it still follow.
    pub fn add_older(&mut self, definition: Arc<Definition>) {
        self.versions.insert(definition.hash.clone(), definition);
    }

    /// The version that new enrolments follow.
    pub fn current(&self, name: &Name) -> Option<&Arc<Definition>> {
        self.versions.get(self.current.get(name)?)
    }

    /// One version.
    pub fn version(&self, hash: &DefinitionHash) -> Option<&Arc<Definition>> {
        self.versions.get(hash)
    }

    /// Every version of every name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.versions.values()
    }

    /// The current version of every name, by name.
    pub fn all_current(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.current.values().filter_map(|hash| self.versions.get(hash))
    }
}
