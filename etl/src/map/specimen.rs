//! `specimen`: events whose concept is a specimen.

use model::omop::Specimen;

use super::event::Event;

/// The row of an event. The specimen's own number is a business identifier and stays out.
pub fn row<'d>(key: i64, concept_id: i32, event: &Event<'d>) -> Specimen<'d> {
    Specimen {
        specimen_id: key,
        person_id: event.person_id,
        specimen_concept_id: concept_id,
        specimen_type_concept_id: event.type_concept_id,
        specimen_date: event.start.date,
        specimen_datetime: event.start.utc(),
        specimen_source_value: event.source_value.clone(),
        ..Specimen::default()
    }
}
