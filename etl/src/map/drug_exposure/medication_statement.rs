//! MedicationStatement to `drug_exposure`: what somebody says that a patient takes or took.

use model::fhir::MedicationStatement;
use model::vocabulary::rule;

use super::{medication, set_dosage, stop_reason};
use crate::map::Judgement;
use crate::map::draft::{Draft, names_type};
use crate::map::event::Event;
use crate::vocabulary::Domain;

const MEDICATION: &str = "MedicationStatement.medication[x]";
const EFFECTIVE: &str = "MedicationStatement.effective[x]";

/// Maps a MedicationStatement.
pub fn from_medication_statement(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let statement: MedicationStatement<'_> = draft.read()?;
    draft.gate_modifiers(&statement.modifier_extension, statement.implicit_rules.as_ref())?;
    draft.gate_status("MedicationStatement.status", statement.status.as_deref(), &["active", "completed"])?;
    let person_id = draft.person("MedicationStatement.subject", statement.subject.as_ref())?;
    let period = statement.effective_period.as_ref();
    let effective = statement.effective_date_time.or(period.and_then(|period| period.start));
    let Some(start) = effective.or(statement.date_asserted) else {
        return Err(Judgement::missing(EFFECTIVE, "expected a date, or the day on which it was said"));
    };
    draft.note_precision(EFFECTIVE, &start);
    if effective.is_none() {
        draft.lose(EFFECTIVE, "date_from_asserted");
    }
    let visit = draft.visit("MedicationStatement.context", statement.context.as_ref());
    let (code, reference) = (statement.medication_codeable_concept.as_ref(), statement.medication_reference.as_ref());
    let code = medication::resolve(draft, MEDICATION, code, reference)?;

    let source = statement.information_source.as_ref();
    let is_self_report = source.is_some_and(|source| names_type(source, &["Patient", "RelatedPerson"]))
        || statement.category.as_ref().is_some_and(|category| category.has_code("patientspecified"));
    let type_concept_id = if is_self_report { rule::TYPE_PATIENT_SELF_REPORT } else { rule::TYPE_EHR };
    let mut event = Event::new(Domain::Drug, person_id, start, type_concept_id, &code);
    event.visit = visit;
    event.provider_id = draft.provider("MedicationStatement.informationSource", source);
    event.set_end(draft, "MedicationStatement.effectivePeriod.end", period.and_then(|period| period.end));
    event.drug.verbatim_end_date = period.and_then(|period| period.end).map(|end| end.date);
    event.drug.stop_reason = stop_reason(draft, "MedicationStatement.statusReason", &statement.status_reason);
    let elements = ["MedicationStatement.dosage", "MedicationStatement.dosage.route"];
    set_dosage(draft, elements, &mut event.drug, &statement.dosage);
    draft.emit(MEDICATION, &event, &code);
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("domain_visit", MEDICATION)) }
}
