//! MedicationDispense to `drug_exposure`: a drug that was handed out. It lasts until the last day of its supply.

use model::fhir::MedicationDispense;
use model::vocabulary::rule;

use super::{days, medication, set_dosage};
use crate::map::Judgement;
use crate::map::draft::Draft;
use crate::map::event::Event;
use crate::vocabulary::Domain;

const MEDICATION: &str = "MedicationDispense.medication[x]";
const HANDED_OVER: &str = "MedicationDispense.whenHandedOver";

/// Maps a MedicationDispense.
pub fn from_medication_dispense(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let dispense: MedicationDispense<'_> = draft.read()?;
    draft.gate_modifiers(&dispense.modifier_extension, dispense.implicit_rules.as_ref())?;
    let admitted = ["preparation", "in-progress", "on-hold", "completed", "unknown"];
    draft.gate_status("MedicationDispense.status", dispense.status.as_deref(), &admitted)?;
    let person_id = draft.person("MedicationDispense.subject", dispense.subject.as_ref())?;
    let Some(start) = dispense.when_handed_over.or(dispense.when_prepared) else {
        return Err(Judgement::missing(HANDED_OVER, "expected when it was handed over or packed"));
    };
    draft.note_precision(HANDED_OVER, &start);
    if dispense.when_handed_over.is_none() {
        draft.lose(HANDED_OVER, "date_from_prepared");
    }
    let visit = draft.visit("MedicationDispense.context", dispense.context.as_ref());
    let (code, reference) = (dispense.medication_codeable_concept.as_ref(), dispense.medication_reference.as_ref());
    let code = medication::resolve(draft, MEDICATION, code, reference)?;
    let type_concept_id = if start.is_partial() { rule::TYPE_EHR } else { rule::TYPE_EHR_DISPENSING_RECORD };

    let mut event = Event::new(Domain::Drug, person_id, start, type_concept_id, &code);
    event.visit = visit;
    let actors = dispense.performer.iter().filter_map(|performer| performer.actor.as_ref());
    event.provider_id = draft.provider("MedicationDispense.performer.actor", actors);
    event.drug.quantity =
        dispense.quantity.as_ref().and_then(|quantity| quantity.value.as_ref()).map(|value| value.number());
    let supply = dispense.days_supply.as_ref();
    event.drug.days_supply = supply.and_then(|supply| days(draft, "MedicationDispense.daysSupply", supply));
    if let Some(days) = event.drug.days_supply {
        event.end = start.plus_days(days.unsigned_abs().saturating_sub(1));
    }
    let elements = ["MedicationDispense.dosageInstruction", "MedicationDispense.dosageInstruction.route"];
    set_dosage(draft, elements, &mut event.drug, &dispense.dosage_instruction);
    draft.emit(MEDICATION, &event, &code);
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("domain_visit", MEDICATION)) }
}
