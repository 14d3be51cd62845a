//! What one resource says of another, kept by the first pass for the second: which drug a Medication is, which role a
//! Practitioner has, for what a Condition was a diagnosis.

use std::collections::HashMap;
use std::sync::Arc;

use model::vocabulary::value;

use super::Loser;
use crate::document::Element;
use crate::extract::record::Position;
use crate::reference::{References, name_key};

/// What a resource says of another, or of itself.
pub struct Definition {
    /// The key of the name of what it defines.
    of: u64,
    /// The key of its own name.
    by: u64,
    position: Position,
    text: Arc<str>,
}

impl Definition {
    /// The code of a Medication.
    pub fn medication(element: Element<'_>, own: u64, position: Position) -> Option<Definition> {
        let code = element.get("code")?;
        Some(Definition { of: own, by: own, position, text: code.text().into() })
    }

    /// What kind of Device it is, and which one.
    pub fn device(element: Element<'_>, own: u64, position: Position) -> Definition {
        let text = excerpt(element, &["type", "udiCarrier", "lotNumber", "serialNumber"]);
        Definition { of: own, by: own, position, text }
    }

    /// Specialty and place of a Practitioner, given as `Practitioner/id`.
    pub fn role(element: Element<'_>, practitioner: &str, own: u64, position: Position) -> Definition {
        let text = excerpt(element, &["specialty", "organization"]);
        Definition { of: name_key(practitioner), by: own, position, text }
    }

    /// For what the Conditions of an Encounter were diagnoses, where a rule asks for it.
    pub fn diagnoses(
        encounter: Element<'_>,
        references: &References<'_>,
        own: u64,
        position: Position,
        found: &mut Vec<Definition>,
    ) {
        for diagnosis in encounter.get("diagnosis").into_iter().flat_map(|diagnoses| diagnoses.items()) {
            let codings = diagnosis.get("use").and_then(|of| of.get("coding")).into_iter();
            let mut codes = codings.flat_map(|coding| coding.items()).filter_map(|coding| coding.get("code")?.as_str());
            let Some(code) = codes.find(|code| value("diagnosis_use", code).is_some()) else { continue };
            let condition = diagnosis.get("condition").and_then(|condition| condition.get("reference")?.as_str());
            if let Some(id) = condition.and_then(|condition| references.id(condition, Some("Condition"))) {
                let of = name_key(&format!("Condition/{id}"));
                found.push(Definition { of, by: own, position, text: code.into() });
            }
        }
    }
}

/// The definitions that count, by what they define. Of several the one by the resource with the smallest key counts,
/// whatever the order of the files; `winners` says which resources have rows.
pub fn settle(
    mut all: Vec<Definition>,
    losers: &HashMap<Position, Loser>,
    winners: &HashMap<u64, bool>,
) -> HashMap<u64, Arc<str>> {
    all.retain(|definition| {
        !losers.contains_key(&definition.position) && winners.get(&definition.by).is_none_or(|rows| *rows)
    });
    all.sort_unstable_by_key(|definition| (definition.of, definition.by));
    all.dedup_by_key(|definition| definition.of);
    all.into_iter().map(|definition| (definition.of, definition.text)).collect()
}

/// Some members of an object, as JSON.
fn excerpt(element: Element<'_>, names: &[&str]) -> Arc<str> {
    let members = names.iter().filter_map(|name| Some(format!("\"{name}\":{}", element.get(name)?.text())));
    format!("{{{}}}", members.collect::<Vec<_>>().join(",")).into()
}
