//! The facts of one entity: groups of named values.
//!
//! A group that is absent was not read; a field that is absent from a present group was not given, which means null
//! where its type allows that. Whoever pushes facts gives a group, even an empty one, for the group to count as read.

use std::collections::BTreeMap;

use super::{FieldType, Value, ValueError};

/// The declared types of all facts: group, field, type.
pub type FactTypes = BTreeMap<String, BTreeMap<String, FieldType>>;

/// What is known of an entity: group, field, value.
///
/// ```
/// use hence_core::value::{Facts, Value};
/// let mut facts = Facts::default();
/// facts.insert("account", "status", Value::String("trial".into()));
/// assert_eq!(facts.get("account.status"), Some(&Value::String("trial".into())));
/// assert_eq!(facts.get("account.email"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts(BTreeMap<String, BTreeMap<String, Value>>);

/// A fact that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: {problem}")]
pub struct FactError {
    /// `group` or `group.field`; empty when the facts as a whole are wrong.
    pub path: String,
    /// What is wrong with it.
    pub problem: FactProblem,
}

/// Why a fact was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactProblem {
    /// The group or field is not declared.
    #[error("not declared; known are {known}")]
    Undeclared {
        /// What is declared in its place, for people.
        known: String,
    },
    /// A group, or the facts as a whole, is not a map.
    #[error("expected a map")]
    NotAMap,
    /// The value is not of its declared type.
    #[error(transparent)]
    Value(#[from] ValueError),
}

impl Facts {
    /// Reads `{"account": {"email": "…"}}` against the declared types; fields that are not given stay absent.
    ///
    /// # Errors
    /// Every problem at once: undeclared groups and fields, values of another type.
    pub fn from_json(json: &serde_json::Value, types: &FactTypes) -> Result<Facts, Vec<FactError>> {
        let Some(groups) = json.as_object() else {
            return Err(vec![FactError { path: String::new(), problem: FactProblem::NotAMap }]);
        };
        let mut facts = Facts::default();
        let mut errors = Vec::new();
        for (group, fields) in groups {
            match types.get(group) {
                Some(declared) => facts.read_group(group, (fields, declared), &mut errors),
                None => errors.push(undeclared(group.clone(), types.keys())),
            }
        }
        if errors.is_empty() { Ok(facts) } else { Err(errors) }
    }

    /// The JSON form, which [`Facts::from_json`] reads back.
    pub fn to_json(&self) -> serde_json::Value {
        let fields_json = |fields: &BTreeMap<String, Value>| {
            serde_json::Value::Object(fields.iter().map(|(field, value)| (field.clone(), value.to_json())).collect())
        };
        serde_json::Value::Object(self.0.iter().map(|(group, fields)| (group.clone(), fields_json(fields))).collect())
    }

    /// The value at `group.field`; `None` when it was not read or not given.
    pub fn get(&self, path: &str) -> Option<&Value> {
        let (group, field) = path.split_once('.')?;
        self.0.get(group)?.get(field)
    }

    /// The fields of a group; `None` when the group was not read.
    pub fn group(&self, group: &str) -> Option<&BTreeMap<String, Value>> {
        self.0.get(group)
    }

    /// Sets one field and returns what it was.
    pub fn insert(&mut self, group: &str, field: &str, value: Value) -> Option<Value> {
        self.0.entry(group.to_owned()).or_default().insert(field.to_owned(), value)
    }

    /// Marks a group as read, although nothing of it may have been given.
    pub fn insert_group(&mut self, group: &str) {
        self.0.entry(group.to_owned()).or_default();
    }

    /// Takes over every field of `other`; fields it does not have stay as they are.
    pub fn merge(&mut self, other: Facts) {
        for (group, fields) in other.0 {
            self.0.entry(group).or_default().extend(fields);
        }
    }

    /// Groups with their fields, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, Value>)> {
        self.0.iter().map(|(group, fields)| (group.as_str(), fields))
    }

    /// Whether no group was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn read_group(
        &mut self,
        group: &str,
        (json, declared): (&serde_json::Value, &BTreeMap<String, FieldType>),
        errors: &mut Vec<FactError>,
    ) {
        let Some(fields) = json.as_object() else {
            errors.push(FactError { path: group.to_owned(), problem: FactProblem::NotAMap });
            return;
        };
        let values = self.0.entry(group.to_owned()).or_default();
        for (field, json) in fields {
            let path = format!("{group}.{field}");
            match declared.get(field).map(|field_type| field_type.accept(json)) {
                Some(Ok(value)) => {
                    values.insert(field.clone(), value);
                }
                Some(Err(error)) => errors.push(FactError { path, problem: error.into() }),
                None => errors.push(undeclared(path, declared.keys())),
            }
        }
    }
}

fn undeclared<'a>(path: String, known: impl Iterator<Item = &'a String>) -> FactError {
    let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    FactError { path, problem: FactProblem::Undeclared { known } }
}
