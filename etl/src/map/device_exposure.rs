//! `device_exposure`: events whose concept is a device.

use model::omop::DeviceExposure;

use super::event::Event;

/// The row of an event.
pub fn row<'d>(key: i64, concept_id: i32, event: &Event<'d>) -> DeviceExposure<'d> {
    DeviceExposure {
        device_exposure_id: key,
        person_id: event.person_id,
        device_concept_id: concept_id,
        device_exposure_start_date: event.start.date,
        device_exposure_start_datetime: event.start.utc(),
        device_exposure_end_date: event.end.map(|end| end.date),
        device_exposure_end_datetime: event.end.and_then(|end| end.utc()),
        device_type_concept_id: event.type_concept_id,
        provider_id: event.provider_id,
        visit_occurrence_id: event.visit.visit_occurrence_id,
        visit_detail_id: event.visit.visit_detail_id,
        device_source_value: event.source_value.clone(),
        device_source_concept_id: event.source_concept_id,
        ..DeviceExposure::default()
    }
}
