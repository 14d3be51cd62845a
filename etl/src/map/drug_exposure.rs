//! Events to `drug_exposure`; one file for each resource type that tells of drugs.

mod immunization;
mod medication;
mod medication_administration;
mod medication_dispense;
mod medication_request;
mod medication_statement;

use std::borrow::Cow;

use model::fhir::{CodeableConcept, Dosage, Quantity};
use model::omop::{DrugExposure, NO_MATCHING_CONCEPT};
use model::vocabulary::value;

use super::draft::Draft;
use super::event::{DrugPart, Event};
use crate::vocabulary::{Domain, Priority};

pub use immunization::from_immunization;
pub use medication_administration::from_medication_administration;
pub use medication_dispense::from_medication_dispense;
pub use medication_request::from_medication_request;
pub use medication_statement::from_medication_statement;

/// The length of `stop_reason`.
const STOP_REASON: usize = 20;

/// The row of an event. Without an end the exposure ends when it starts.
pub fn row<'d>(key: i64, concept_id: i32, event: &Event<'d>) -> DrugExposure<'d> {
    let end = event.end.unwrap_or(event.start);
    DrugExposure {
        drug_exposure_id: key,
        person_id: event.person_id,
        drug_concept_id: concept_id,
        drug_exposure_start_date: event.start.date,
        drug_exposure_start_datetime: event.start.utc(),
        drug_exposure_end_date: end.date,
        drug_exposure_end_datetime: end.utc(),
        verbatim_end_date: event.drug.verbatim_end_date,
        drug_type_concept_id: event.type_concept_id,
        stop_reason: event.drug.stop_reason.clone(),
        refills: event.drug.refills,
        quantity: event.drug.quantity,
        days_supply: event.drug.days_supply,
        sig: event.drug.sig.clone(),
        route_concept_id: event.drug.route_concept_id,
        lot_number: event.drug.lot_number.clone(),
        provider_id: event.provider_id,
        visit_occurrence_id: event.visit.visit_occurrence_id,
        visit_detail_id: event.visit.visit_detail_id,
        drug_source_value: event.source_value.clone(),
        drug_source_concept_id: event.source_concept_id,
        route_source_value: event.drug.route_source_value.clone(),
        dose_unit_source_value: event.drug.dose_unit_source_value.clone(),
    }
}

/// The reason for which it stopped or never began: the first code.
fn stop_reason<'d, 'k>(
    draft: &mut Draft<'d, '_>,
    element: &'static str,
    reasons: impl IntoIterator<Item = &'k CodeableConcept<'d>>,
) -> Option<Cow<'d, str>>
where
    'd: 'k,
{
    let mut codes = reasons.into_iter().flat_map(|reason| &reason.coding).filter_map(|coding| coding.code.as_ref());
    codes.next().map(|code| draft.cut(element, code.to_cow(), STOP_REASON))
}

/// Takes over how the drug is taken, from the first instruction; `elements` are those of the instructions and their
/// route.
fn set_dosage<'d>(
    draft: &mut Draft<'d, '_>,
    elements: [&'static str; 2],
    drug: &mut DrugPart<'d>,
    dosages: &[Dosage<'d>],
) {
    let Some(dosage) = dosages.first() else {
        return;
    };
    drug.sig = dosage.text.as_ref().map(|text| text.to_cow());
    if let Some(route) = &dosage.route {
        set_route(draft, elements[1], drug, route);
    }
    let dose = dosage.dose_and_rate.iter().find_map(|dose| dose.dose_quantity.as_ref());
    drug.dose_unit_source_value = dose.and_then(|dose| unit_text(draft, dose));
    if dosages.len() > 1 {
        draft.lose(elements[0], "first_of_many");
    }
}

fn set_route<'d>(
    draft: &mut Draft<'d, '_>,
    element: &'static str,
    drug: &mut DrugPart<'d>,
    route: &CodeableConcept<'d>,
) {
    if route.coding.is_empty() {
        return;
    }
    let known = route
        .coding
        .iter()
        .filter_map(|coding| coding.code.as_ref())
        .find_map(|code| value("route", code).map(|concept_id| (concept_id, code)));
    if let Some((concept_id, code)) = known {
        drug.route_concept_id = Some(concept_id);
        drug.route_source_value = draft.source_value(element, Some(code));
        return;
    }
    let resolved = draft.resolve(element, route, Priority::Clinical);
    let target = resolved.targets.iter().find(|target| target.domain == Domain::Route);
    drug.route_concept_id = Some(target.map_or(NO_MATCHING_CONCEPT, |target| target.concept_id));
    drug.route_source_value = resolved.source_value;
}

fn unit_text<'d>(draft: &mut Draft<'d, '_>, quantity: &Quantity<'d>) -> Option<Cow<'d, str>> {
    draft.source_value("Quantity.code", quantity.code.as_ref().or(quantity.unit.as_ref()))
}

/// A duration in whole days, at least one.
fn days(draft: &mut Draft<'_, '_>, element: &'static str, duration: &Quantity<'_>) -> Option<i32> {
    let number = duration.value.as_ref()?.number();
    let unit = duration.code.as_deref().or(duration.unit.as_deref()).unwrap_or("d");
    let factor = match unit {
        "min" => 1.0 / 1440.0,
        "h" | "hour" | "hours" => 1.0 / 24.0,
        "d" | "day" | "days" => 1.0,
        "wk" | "week" | "weeks" => 7.0,
        "mo" | "month" | "months" => 30.0,
        "a" | "year" | "years" => 365.0,
        _ => {
            draft.lose(element, "unknown_unit");
            return None;
        }
    };
    let days = (number * factor).ceil();
    if (0.0..=36_500.0).contains(&days) {
        return Some(days as i32);
    }
    draft.lose(element, "out_of_range");
    None
}
