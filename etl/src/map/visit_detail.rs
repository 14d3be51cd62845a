//! Encounter.partOf to `visit_detail`.

use std::borrow::Cow;

use model::fhir::DateTime;
use model::omop::{NO_MATCHING_CONCEPT, VisitDetail};

use super::draft::Draft;

/// What both tables say of an Encounter.
#[derive(Default)]
pub struct Stay<'d> {
    pub person_id: i64,
    pub concept_id: i32,
    pub source_value: Option<Cow<'d, str>>,
    pub type_concept_id: i32,
    pub provider_id: Option<i64>,
    pub care_site_id: Option<i64>,
    pub admitted_from_concept_id: Option<i32>,
    pub admitted_from_source_value: Option<Cow<'d, str>>,
    pub discharged_to_concept_id: Option<i32>,
    pub discharged_to_source_value: Option<Cow<'d, str>>,
}

/// Writes the row of an Encounter within a visit.
pub fn push<'d>(
    draft: &mut Draft<'d, '_>,
    stay: Stay<'d>,
    start: DateTime,
    end: DateTime,
    visit_occurrence_id: i64,
    parent_visit_detail_id: Option<i64>,
) {
    let row = VisitDetail {
        visit_detail_id: draft.key("visit_detail", ""),
        person_id: stay.person_id,
        visit_detail_concept_id: stay.concept_id,
        visit_detail_start_date: start.date,
        visit_detail_start_datetime: start.utc(),
        visit_detail_end_date: end.date,
        visit_detail_end_datetime: end.utc(),
        visit_detail_type_concept_id: stay.type_concept_id,
        provider_id: stay.provider_id,
        care_site_id: stay.care_site_id,
        visit_detail_source_value: stay.source_value,
        visit_detail_source_concept_id: Some(NO_MATCHING_CONCEPT),
        admitted_from_concept_id: stay.admitted_from_concept_id,
        admitted_from_source_value: stay.admitted_from_source_value,
        discharged_to_concept_id: stay.discharged_to_concept_id,
        discharged_to_source_value: stay.discharged_to_source_value,
        parent_visit_detail_id,
        visit_occurrence_id,
        ..VisitDetail::default()
    };
    draft.push(row, "".into());
}
