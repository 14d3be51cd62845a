//! From one FHIR resource to its OMOP rows: pure functions, no storage, no clock.
//!
//! What the mapping may know beside the resource is in [`Context`]; what it says about the resource is in [`Mapped`].
//! One file per OMOP table; `draft` holds what they share about a resource, `event` the way from a coded fact to the
//! table of its domain.

mod care_site;
mod condition_occurrence;
mod death;
mod device_exposure;
mod draft;
mod drug_exposure;
mod event;
mod location;
mod measurement;
mod observation;
mod person;
mod procedure_occurrence;
mod provider;
mod specimen;
mod value;
mod visit_detail;
mod visit_occurrence;

#[cfg(test)]
mod sample;

use std::borrow::Cow;

use chrono::NaiveDate;
use model::omop::Row;
use serde::{Deserialize, Serialize};

use crate::document::Resource;
use crate::reference::References;
use crate::vocabulary::Vocabulary;

use draft::Draft;

/// Which MedicationRequests count as exposures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MedicationRequestPolicy {
    /// Any order that is active or completed.
    #[default]
    OrdersAsExposure,
    /// Only instance orders, as the HL7 guide says.
    IgStrict,
}

/// What the mapping may know beside the resource.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// The source that the resource comes from, part of every key.
    pub source_id: &'c str,
    /// Concepts and their maps.
    pub vocabulary: &'c Vocabulary,
    /// Which MedicationRequests count.
    pub medication_request_policy: MedicationRequestPolicy,
    /// Keeps street and city in `location`; without it only state, zip3, county and country.
    pub keep_address: bool,
    /// The day up to which the source is known: the end of a stay that has none.
    pub extraction_date: NaiveDate,
    /// Answers which OMOP row a reference of this resource leads to.
    pub references: &'c References<'c>,
}

/// One OMOP row and which of the resource's rows in that table it is.
#[derive(Clone, Debug, PartialEq)]
pub struct MappedRow<'d> {
    /// The row, its keys filled.
    pub row: Row<'d>,
    /// The part of [`model::omop::key::omop_key`]: empty for the first.
    pub part: Cow<'static, str>,
}

/// How the mapping judged the resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Judgement {
    /// There are rows.
    #[default]
    Mapped,
    /// Sound, but no row by rule; `rows` is empty.
    Excluded {
        /// A stable word: `no_omop_target`, `status_entered_in_error`, …
        reason: &'static str,
        /// The value that decided.
        detail: String,
    },
    /// Bad data; `rows` is empty.
    Rejected {
        /// The element at fault, as a FHIR path.
        field: Option<String>,
        /// A stable word: `missing_element`, `unresolved_reference`, `wrong_type`, …
        reason: &'static str,
        /// What was found and what was expected, without the record's content.
        detail: String,
    },
}

/// A code that was looked up: what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coverage<'d> {
    /// The element that held it: `Condition.code`.
    pub element: &'static str,
    /// The code system's URI.
    pub system: Option<Cow<'d, str>>,
    /// The code.
    pub code: Option<Cow<'d, str>>,
    /// Its display in the source.
    pub display: Option<Cow<'d, str>>,
    /// The standard concept, or [`model::omop::NO_MATCHING_CONCEPT`].
    pub concept_id: i32,
}

/// Something of the source that no column could take: counted, never silent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loss {
    /// The element: `Observation.performer`.
    pub element: &'static str,
    /// A stable word: `unresolved_reference`, `truncated`, `first_of_many`, `precision`, `no_target`.
    pub reason: &'static str,
}

/// What the mapping says about one resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapped<'d> {
    /// Its rows, in all tables.
    pub rows: Vec<MappedRow<'d>>,
    /// Mapped, excluded or rejected.
    pub judgement: Judgement,
    /// The codes looked up.
    pub coverage: Vec<Coverage<'d>>,
    /// What was lost.
    pub losses: Vec<Loss>,
}

/// True for types that can make an OMOP row; all others are excluded as `no_omop_target`.
pub fn has_target(resource_type: &str) -> bool {
    matches!(
        resource_type,
        "Patient"
            | "Practitioner"
            | "Organization"
            | "Location"
            | "Encounter"
            | "Condition"
            | "Observation"
            | "Procedure"
            | "MedicationRequest"
            | "Immunization"
            | "AllergyIntolerance"
    )
}

/// Maps one resource. The same resource and context give the same answer.
pub fn map<'d>(resource: &Resource<'d>, context: &Context<'_>) -> Mapped<'d> {
    let mut draft = Draft::new(*resource, *context);
    let outcome = match resource.resource_type {
        "Patient" => person::from_patient(&mut draft),
        "Practitioner" => provider::from_practitioner(&mut draft),
        "Organization" => care_site::from_organization(&mut draft),
        "Location" => care_site::from_location(&mut draft),
        "Encounter" => visit_occurrence::from_encounter(&mut draft),
        "Condition" => condition_occurrence::from_condition(&mut draft),
        "Observation" => measurement::from_observation(&mut draft),
        "Procedure" => procedure_occurrence::from_procedure(&mut draft),
        "MedicationRequest" => drug_exposure::from_medication_request(&mut draft),
        "Immunization" => drug_exposure::from_immunization(&mut draft),
        "AllergyIntolerance" => observation::from_allergy_intolerance(&mut draft),
        other => Err(Judgement::excluded("no_omop_target", other)),
    };
    draft.finish(outcome)
}

impl Judgement {
    fn excluded(reason: &'static str, detail: impl Into<String>) -> Judgement {
        Judgement::Excluded { reason, detail: detail.into() }
    }

    fn rejected(field: impl Into<String>, reason: &'static str, detail: impl Into<String>) -> Judgement {
        Judgement::Rejected { field: Some(field.into()), reason, detail: detail.into() }
    }

    fn missing(field: impl Into<String>, expected: &str) -> Judgement {
        Judgement::rejected(field, "missing_element", expected)
    }
}
