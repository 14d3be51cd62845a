//! MedicationAdministration to `drug_exposure`: a drug that was given, to the end or in part.

use std::borrow::Cow;

use model::fhir::{AdministeredDosage, MedicationAdministration, Quantity};
use model::vocabulary::rule;

use super::{medication, set_route, stop_reason, unit_text};
use crate::map::Judgement;
use crate::map::draft::Draft;
use crate::map::event::Event;
use crate::vocabulary::Domain;

const MEDICATION: &str = "MedicationAdministration.medication[x]";
const EFFECTIVE: &str = "MedicationAdministration.effective[x]";

/// Maps a MedicationAdministration.
pub fn from_medication_administration(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let given: MedicationAdministration<'_> = draft.read()?;
    draft.gate_modifiers(&given.modifier_extension, given.implicit_rules.as_ref())?;
    let admitted = ["completed", "in-progress", "stopped"];
    draft.gate_status("MedicationAdministration.status", given.status.as_deref(), &admitted)?;
    let person_id = draft.person("MedicationAdministration.subject", given.subject.as_ref())?;
    let period = given.effective_period.as_ref();
    let Some(start) = given.effective_date_time.or(period.and_then(|period| period.start)) else {
        return Err(Judgement::missing(EFFECTIVE, "expected a date or a period with a start"));
    };
    draft.note_precision(EFFECTIVE, &start);
    let visit = draft.visit("MedicationAdministration.context", given.context.as_ref());
    let (code, reference) = (given.medication_codeable_concept.as_ref(), given.medication_reference.as_ref());
    let code = medication::resolve(draft, MEDICATION, code, reference)?;
    let type_concept_id = if start.is_partial() { rule::TYPE_EHR } else { rule::TYPE_EHR_ADMINISTRATION_RECORD };

    let mut event = Event::new(Domain::Drug, person_id, start, type_concept_id, &code);
    event.visit = visit;
    let actors = given.performer.iter().filter_map(|performer| performer.actor.as_ref());
    event.provider_id = draft.provider("MedicationAdministration.performer.actor", actors);
    event.set_end(draft, "MedicationAdministration.effectivePeriod.end", period.and_then(|period| period.end));
    event.drug.verbatim_end_date = period.and_then(|period| period.end).map(|end| end.date);
    event.drug.stop_reason = stop_reason(draft, "MedicationAdministration.statusReason", &given.status_reason);
    if let Some(dosage) = &given.dosage {
        event.drug.sig = sig(dosage);
        if let Some(route) = &dosage.route {
            set_route(draft, "MedicationAdministration.dosage.route", &mut event.drug, route);
        }
        if let Some(dose) = &dosage.dose {
            event.drug.quantity = dose.value.as_ref().map(|value| value.number());
            event.drug.dose_unit_source_value = unit_text(draft, dose);
        }
    }
    draft.emit(MEDICATION, &event, &code);
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("domain_visit", MEDICATION)) }
}

/// The instruction and, since no column has it, the rate.
fn sig<'d>(dosage: &AdministeredDosage<'d>) -> Option<Cow<'d, str>> {
    let text = dosage.text.as_ref().map(|text| text.to_cow());
    let rate = match (&dosage.rate_quantity, &dosage.rate_ratio) {
        (Some(rate), _) => amount(rate),
        (None, Some(ratio)) => match (&ratio.numerator, &ratio.denominator) {
            (Some(above), Some(below)) => {
                amount(above).zip(amount(below)).map(|(above, below)| format!("{above}/{below}"))
            }
            _ => None,
        },
        (None, None) => None,
    };
    match (text, rate) {
        (Some(text), Some(rate)) => Some(format!("{text}; rate {rate}").into()),
        (None, Some(rate)) => Some(format!("rate {rate}").into()),
        (text, None) => text,
    }
}

fn amount(quantity: &Quantity<'_>) -> Option<String> {
    let value = quantity.value.as_ref()?.literal();
    match quantity.code.as_deref().or(quantity.unit.as_deref()) {
        Some(unit) => Some(format!("{value} {unit}")),
        None => Some(value.to_owned()),
    }
}
