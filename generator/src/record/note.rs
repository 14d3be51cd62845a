//! The note of a visit, by a template: what the record says of the visit, in words. It names nobody.

use std::fmt::Write;

use super::{ObservationValue, Record};
use crate::module::{Code, Codes, EncounterClass};
use crate::moment::{age_years, date};

/// The kind of note that belongs to a class of visit: a LOINC code.
pub fn kind(class: EncounterClass) -> Code {
    let (code, display) = match class {
        EncounterClass::Emergency => ("34111-5", "Emergency department Note"),
        EncounterClass::Inpatient | EncounterClass::Hospice | EncounterClass::SkilledNursing => {
            ("18842-5", "Discharge summary")
        }
        _ => ("11506-3", "Progress note"),
    };
    Code { system: "http://loinc.org".into(), code: code.into(), display: display.into() }
}

/// The text of the note about a visit: one line per kind of fact, in the order of the record.
pub fn text(record: &Record, codes: &Codes, index: u32) -> String {
    let encounter = &record.encounters[index as usize];
    let here = |of: Option<u32>| of == Some(index);
    let name = |list: u32| codes.first(list).display.as_str();
    let mut text = kind(encounter.class).display + "\n";
    let age = age_years(record.patient.birth, encounter.start);
    let who = match (age, record.patient.female) {
        (18.., true) => "woman",
        (18.., false) => "man",
        (_, true) => "girl",
        (_, false) => "boy",
    };
    let _ = writeln!(text, "{age}-year-old {who}, seen on {}.", date(encounter.start));
    if let Some(reason) = encounter.reason {
        let _ = writeln!(text, "Reason: {}.", name(reason));
    }
    let mut line = |title: &str, facts: Vec<String>| {
        if !facts.is_empty() {
            let _ = writeln!(text, "{title}: {}.", facts.join("; "));
        }
    };
    let known = record.conditions.iter().filter(|condition| {
        let open = condition.abatement.is_none_or(|end| end > encounter.end);
        condition.problem && open && condition.recorded < encounter.start
    });
    line("Known", known.map(|condition| name(condition.codes).to_owned()).collect());
    let mut findings = Vec::new();
    for observation in record.observations.iter().filter(|observation| here(observation.encounter)) {
        let own = std::iter::once((&observation.codes, &observation.value));
        for (list, value) in own.chain(observation.components.iter().map(|(list, value)| (list, value))) {
            match value {
                ObservationValue::Quantity(number, unit) => {
                    let unit = unit.as_deref().unwrap_or_default();
                    findings.push(format!("{} {number} {unit}", name(*list)).trim_end().to_owned());
                }
                ObservationValue::Code(code) => {
                    findings.push(format!("{}: {}", name(*list), codes.code(*code).display))
                }
                ObservationValue::Text(words) => findings.push(format!("{}: {words}", name(*list))),
                ObservationValue::None => {}
            }
        }
    }
    line("Findings", findings);
    let names = |lists: &mut dyn Iterator<Item = (Option<u32>, u32)>| -> Vec<String> {
        lists.filter(|(of, _)| here(*of)).map(|(_, list)| name(list).to_owned()).collect()
    };
    line("Diagnoses", names(&mut record.conditions.iter().map(|it| (it.encounter, it.codes))));
    line("Allergies", names(&mut record.allergies.iter().map(|it| (it.encounter, it.codes))));
    line("Procedures", names(&mut record.procedures.iter().map(|it| (it.encounter, it.codes))));
    line("Given", names(&mut record.administrations.iter().map(|it| (it.encounter, it.codes))));
    line("Vaccines", names(&mut record.immunizations.iter().map(|it| (it.encounter, it.codes))));
    line("Devices", names(&mut record.devices.iter().map(|it| (it.encounter, it.codes))));
    line("Prescribed", names(&mut record.medications.iter().map(|it| (it.encounter, it.codes))));
    line("Plan", names(&mut record.care_plans.iter().map(|it| (it.encounter, it.codes))));
    text
}
