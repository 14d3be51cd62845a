//! The table that a run forces the events of a resource type into, whatever the domain of their concepts.

use crate::edge::edges;
use crate::error::{Error, Result};
use crate::vocabulary::Domain;

/// Tables forced by resource type; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableChoice {
    by_type: Vec<(String, Domain)>,
}

impl TableChoice {
    /// Reads choices such as `Observation=observation`.
    ///
    /// # Errors
    /// A choice is none, or names a type that makes no events or a table that takes none.
    pub fn parse(choices: &[impl AsRef<str>]) -> Result<TableChoice> {
        let mut by_type: Vec<(String, Domain)> = Vec::new();
        for choice in choices.iter().map(AsRef::as_ref) {
            let wrong = |problem: String| Error::TableChoice { choice: choice.to_owned(), problem };
            let (resource_type, table) = choice.split_once('=').ok_or_else(|| wrong("has no `=`".into()))?;
            let (resource_type, table) = (resource_type.trim(), table.trim());
            let mut types: Vec<&str> =
                edges().iter().filter(|edge| edge.by_domain).map(|edge| edge.resource_type.as_str()).collect();
            types.dedup();
            if !types.contains(&resource_type) {
                let problem = format!("names `{resource_type}`, expected one of {}", types.join(", "));
                return Err(wrong(problem));
            }
            let domain = Domain::EVENTS.into_iter().find(|domain| domain.table() == table).ok_or_else(|| {
                let tables: Vec<_> = Domain::EVENTS.iter().map(|domain| domain.table()).collect();
                wrong(format!("names `{table}`, expected one of {}", tables.join(", ")))
            })?;
            if by_type.iter().any(|(known, other)| known == resource_type && *other != domain) {
                return Err(wrong(format!("is the second table for `{resource_type}`")));
            }
            by_type.push((resource_type.to_owned(), domain));
        }
        Ok(TableChoice { by_type })
    }

    /// The table forced for a resource type.
    pub fn of(&self, resource_type: &str) -> Option<Domain> {
        self.by_type.iter().find(|(of, _)| of == resource_type).map(|(_, domain)| *domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_names_a_type_of_event_and_a_table_of_events() {
        let choice = TableChoice::parse(&["Observation=observation", "Condition = measurement"]).unwrap();
        assert_eq!(choice.of("Observation"), Some(Domain::Observation));
        assert_eq!(choice.of("Condition"), Some(Domain::Measurement));
        assert_eq!(choice.of("Procedure"), None);
        for (choices, expected) in [
            (vec!["Observation"], "`Observation` has no `=`"),
            (vec!["Patient=observation"], "names `Patient`, expected one of"),
            (vec!["Observation=person"], "names `person`, expected one of condition_occurrence,"),
            (vec!["Observation=observation", "Observation=measurement"], "is the second table for `Observation`"),
        ] {
            let message = TableChoice::parse(&choices).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
