//! Procedure to `procedure_occurrence`.

use model::fhir::Procedure;
use model::omop::ProcedureOccurrence;
use model::vocabulary::rule;

use super::Judgement;
use super::draft::Draft;
use super::event::Event;
use crate::vocabulary::{Domain, Priority};

/// Maps a Procedure.
pub fn from_procedure(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let procedure: Procedure<'_> = draft.read()?;
    draft.gate_modifiers(&procedure.modifier_extension, procedure.implicit_rules.as_ref())?;
    draft.gate_status("Procedure.status", procedure.status.as_deref(), &["completed"])?;
    let person_id = draft.person("Procedure.subject", procedure.subject.as_ref())?;
    let period = procedure.performed_period.as_ref();
    let Some(start) = procedure.performed_date_time.or(period.and_then(|period| period.start)) else {
        return Err(Judgement::missing("Procedure.performed[x]", "expected a date or a period with a start"));
    };
    draft.note_precision("Procedure.performed[x]", &start);
    let visit = draft.visit("Procedure.encounter", procedure.encounter.as_ref());
    let code = draft.resolve("Procedure.code", &procedure.code, Priority::Clinical);
    let type_concept_id = if procedure.encounter.is_some() && !start.is_partial() {
        rule::TYPE_EHR_ENCOUNTER_RECORD
    } else {
        rule::TYPE_EHR
    };

    let mut event = Event::new(Domain::Procedure, person_id, start, type_concept_id, &code);
    event.visit = visit;
    event.set_end(draft, "Procedure.performedPeriod.end", period.and_then(|period| period.end));
    let actors = procedure.performer.iter().filter_map(|performer| performer.actor.as_ref());
    event.provider_id = draft.provider("Procedure.performer.actor", actors);
    let mut sites = procedure.body_site.iter().filter(|site| !site.coding.is_empty());
    if let Some(site) = sites.next() {
        let resolved = draft.resolve("Procedure.bodySite", site, Priority::Clinical);
        event.modifier_concept_id = Some(resolved.concept_id());
        event.modifier_source_value = resolved.source_value;
    }
    if sites.next().is_some() {
        draft.lose("Procedure.bodySite", "first_of_many");
    }
    draft.emit("Procedure.code", &event, &code);
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("domain_visit", "Procedure.code")) }
}

/// The row of an event.
pub fn row<'d>(key: i64, concept_id: i32, event: &Event<'d>) -> ProcedureOccurrence<'d> {
    ProcedureOccurrence {
        procedure_occurrence_id: key,
        person_id: event.person_id,
        procedure_concept_id: concept_id,
        procedure_date: event.start.date,
        procedure_datetime: event.start.utc(),
        procedure_end_date: event.end.map(|end| end.date),
        procedure_end_datetime: event.end.and_then(|end| end.utc()),
        procedure_type_concept_id: event.type_concept_id,
        modifier_concept_id: event.modifier_concept_id,
        provider_id: event.provider_id,
        visit_occurrence_id: event.visit.visit_occurrence_id,
        visit_detail_id: event.visit.visit_detail_id,
        procedure_source_value: event.source_value.clone(),
        procedure_source_concept_id: event.source_concept_id,
        modifier_source_value: event.modifier_source_value.clone(),
        ..ProcedureOccurrence::default()
    }
}
