//! What one resource says of another, kept by the first pass for the second: which drug a Medication is, which role a
//! Practitioner has, for what a Condition was a diagnosis.

use std::collections::HashMap;
use std::sync::Arc;

use model::document::Element;
use model::fhir::{CodeableConcept, Device};
use model::vocabulary::value;
use serde_json::{Map, Value};

use super::Loser;
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
    /// The code of a Medication. One that is not sound is kept as it is, so that it is rejected where it is used.
    pub fn medication(element: Element<'_>, own: u64, position: Position) -> Option<Definition> {
        let code = element.get("code")?;
        let text = match code.read::<CodeableConcept<'_>>() {
            Ok(code) => of_concept(&code).to_string().into(),
            Err(_) => code.text().into(),
        };
        Some(Definition { of: own, by: own, position, text })
    }

    /// What kind of Device it is, and which one.
    pub fn device(element: Element<'_>, own: u64, position: Position) -> Definition {
        let text = match element.read::<Device<'_>>() {
            Ok(found) => {
                let identifier = found.udi_carrier.iter().find_map(|carrier| carrier.device_identifier.as_deref());
                let (lot_number, serial_number) = (found.lot_number.as_deref(), found.serial_number.as_deref());
                device(of_concept(&found.device_type), identifier, lot_number, serial_number).to_string().into()
            }
            Err(_) => excerpt(element, &["type", "udiCarrier", "lotNumber", "serialNumber"]),
        };
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

/// What a coding says: system, code, display, and whether a user chose it.
pub type Told<'t> = (Option<&'t str>, Option<&'t str>, Option<&'t str>, Option<bool>);

/// A CodeableConcept as JSON, the same whether a resource tells it or the lake.
pub fn concept<'t>(codings: impl Iterator<Item = Told<'t>>, text: Option<&str>) -> Value {
    let codings = codings.map(|(system, code, display, user_selected)| {
        let chosen = user_selected.map(Value::from);
        object([
            ("system", system.map(Value::from)),
            ("code", code.map(Value::from)),
            ("display", display.map(Value::from)),
            ("userSelected", chosen),
        ])
    });
    object([("coding", Some(codings.collect())), ("text", text.map(Value::from))])
}

/// What is read of a Device, as JSON.
pub fn device(
    device_type: Value,
    identifier: Option<&str>,
    lot_number: Option<&str>,
    serial_number: Option<&str>,
) -> Value {
    let carrier =
        identifier.map(|identifier| Value::from(vec![object([("deviceIdentifier", Some(identifier.into()))])]));
    object([
        ("type", Some(device_type)),
        ("udiCarrier", carrier),
        ("lotNumber", lot_number.map(Value::from)),
        ("serialNumber", serial_number.map(Value::from)),
    ])
}

fn of_concept(found: &CodeableConcept<'_>) -> Value {
    let codings = found.coding.iter().map(|coding| {
        (coding.system.as_deref(), coding.code.as_deref(), coding.display.as_deref(), coding.user_selected)
    });
    concept(codings, found.text.as_deref())
}

fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(members.collect::<Map<_, _>>())
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
