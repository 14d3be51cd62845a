//! Specimen to `specimen`, and any event whose concept is a specimen.

use model::fhir;
use model::omop::Specimen;
use model::vocabulary::rule;

use super::Judgement;
use super::draft::Draft;
use super::event::Event;
use crate::vocabulary::{Domain, Priority};

const COLLECTED: &str = "Specimen.collection.collected[x]";

/// Maps a Specimen.
pub fn from_specimen(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let specimen: fhir::Specimen<'_> = draft.read()?;
    draft.gate_modifiers(&specimen.modifier_extension, specimen.implicit_rules.as_ref())?;
    if let Some(status) = specimen.status.as_deref() {
        draft.gate_status("Specimen.status", Some(status), &["available", "unavailable", "unsatisfactory"])?;
    }
    let person_id = draft.person("Specimen.subject", specimen.subject.as_ref())?;
    let collection = specimen.collection.as_ref();
    let collected = collection.and_then(|collection| {
        collection.collected_date_time.or(collection.collected_period.as_ref().and_then(|period| period.start))
    });
    let Some(start) = collected.or(specimen.received_time) else {
        return Err(Judgement::missing(COLLECTED, "expected when it was taken or received"));
    };
    draft.note_precision(COLLECTED, &start);
    if collected.is_none() {
        draft.lose(COLLECTED, "date_from_received");
    }
    let code = draft.resolve("Specimen.type", &specimen.specimen_type, Priority::Clinical);
    let mut event = Event::new(Domain::Specimen, person_id, start, rule::TYPE_EHR, &code);
    if let Some(quantity) = collection.and_then(|collection| collection.quantity.as_ref()) {
        event.specimen.quantity = quantity.value.as_ref().map(|value| value.number());
        if let Some((concept_id, source_value)) = draft.unit(quantity) {
            event.specimen.unit_concept_id = Some(concept_id);
            event.specimen.unit_source_value = source_value;
        }
    }
    if let Some(site) = collection.and_then(|collection| collection.body_site.as_ref()).filter(|site| !site.is_empty())
    {
        let resolved = draft.resolve("Specimen.collection.bodySite", site, Priority::Clinical);
        event.specimen.anatomic_site_concept_id = Some(resolved.concept_id());
        event.specimen.anatomic_site_source_value = resolved.source_value;
    }
    draft.emit("Specimen.type", &event, &code);
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("domain_visit", "Specimen.type")) }
}

/// The row of an event. The specimen's own number is a business identifier and stays out.
pub fn row<'d>(key: i64, concept_id: i32, event: &Event<'d>) -> Specimen<'d> {
    Specimen {
        specimen_id: key,
        person_id: event.person_id,
        specimen_concept_id: concept_id,
        specimen_type_concept_id: event.type_concept_id,
        specimen_date: event.start.date,
        specimen_datetime: event.start.utc(),
        quantity: event.specimen.quantity,
        unit_concept_id: event.specimen.unit_concept_id,
        anatomic_site_concept_id: event.specimen.anatomic_site_concept_id,
        specimen_source_value: event.source_value.clone(),
        unit_source_value: event.specimen.unit_source_value.clone(),
        anatomic_site_source_value: event.specimen.anatomic_site_source_value.clone(),
        ..Specimen::default()
    }
}
