//! From one FHIR resource to its OMOP rows: pure functions, no storage, no clock.
//!
//! What the mapping may know beside the resource is in [`Context`]; what it says about the resource is in [`Mapped`].
//! One file per OMOP table; `draft` holds what they share about a resource, `event` a coded fact, and `domain_routing`
//! leads that to the table of its domain.

mod care_site;
mod condition_occurrence;
mod cost;
mod death;
mod device_exposure;
mod domain_routing;
mod draft;
mod drug_exposure;
mod event;
mod location;
mod measurement;
mod note;
mod observation;
mod payer_plan_period;
mod person;
mod procedure_occurrence;
mod provider;
mod specimen;
mod value;
mod visit_detail;
mod visit_occurrence;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod sample;

use std::borrow::Cow;

use chrono::NaiveDate;
use model::omop::Row;
use serde::{Deserialize, Serialize};

use model::document::Resource;

use crate::reference::References;
use crate::table_choice::TableChoice;
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
    /// Takes the text of whole documents into `note`; without it only the conclusions of reports.
    pub notes: bool,
    /// Tables that the run forces.
    pub table_choice: &'c TableChoice,
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

/// Why a Patient makes no person: another record took its place.
pub const REPLACED: &str = "replaced_record";

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

/// Types that make OMOP rows, or that tell of what other types' rows are about.
const TARGETED: &[&str] = &[
    "AllergyIntolerance",
    "Claim",
    "Composition",
    "Condition",
    "Coverage",
    "Device",
    "DeviceUseStatement",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "ExplanationOfBenefit",
    "FamilyMemberHistory",
    "Immunization",
    "Location",
    "Medication",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "QuestionnaireResponse",
    "Specimen",
];

/// True for types that the mapping reads; all others are excluded as `no_omop_target`.
pub fn has_target(resource_type: &str) -> bool {
    TARGETED.binary_search(&resource_type).is_ok()
}

/// Maps one resource. The same resource and context give the same answer.
pub fn map<'d>(resource: &Resource<'d>, context: &Context<'_>) -> Mapped<'d> {
    let mut draft = Draft::new(*resource, *context);
    let outcome = match resource.resource_type {
        "Patient" => person::from_patient(&mut draft),
        "Practitioner" => provider::from_practitioner(&mut draft),
        "PractitionerRole" => provider::from_practitioner_role(&mut draft),
        "Organization" => care_site::from_organization(&mut draft),
        "Location" => care_site::from_location(&mut draft),
        "Encounter" => visit_occurrence::from_encounter(&mut draft),
        "Condition" => condition_occurrence::from_condition(&mut draft),
        "Observation" => measurement::from_observation(&mut draft),
        "Procedure" => procedure_occurrence::from_procedure(&mut draft),
        "MedicationRequest" => drug_exposure::from_medication_request(&mut draft),
        "MedicationStatement" => drug_exposure::from_medication_statement(&mut draft),
        "MedicationAdministration" => drug_exposure::from_medication_administration(&mut draft),
        "MedicationDispense" => drug_exposure::from_medication_dispense(&mut draft),
        "Immunization" => drug_exposure::from_immunization(&mut draft),
        "AllergyIntolerance" => observation::from_allergy_intolerance(&mut draft),
        "FamilyMemberHistory" => observation::from_family_member_history(&mut draft),
        "QuestionnaireResponse" => observation::from_questionnaire_response(&mut draft),
        "DeviceUseStatement" => device_exposure::from_device_use_statement(&mut draft),
        "Specimen" => specimen::from_specimen(&mut draft),
        "DiagnosticReport" => note::from_diagnostic_report(&mut draft),
        "DocumentReference" => note::from_document_reference(&mut draft),
        "Composition" => note::from_composition(&mut draft),
        "Coverage" => payer_plan_period::from_coverage(&mut draft),
        "Claim" => cost::from_claim(&mut draft),
        "ExplanationOfBenefit" => cost::from_explanation_of_benefit(&mut draft),
        // Each is read where another resource refers to it; alone it is no event.
        "Medication" => Err(Judgement::excluded("told_by_others", resource.resource_type)),
        "Device" => Err(Judgement::excluded(device_exposure::reason_alone(resource), resource.resource_type)),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader};
    use std::path::Path;

    use chrono::NaiveDate;

    use super::*;
    use model::document::Tape;

    /// Maps every resource of the NDJSON files of a folder; `each` sees what came of it.
    fn map_folder(path: &str, vocabulary: &Vocabulary, mut each: impl FnMut(&str, &Mapped<'_>)) -> bool {
        if !Path::new(path).is_dir() {
            assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "{path} is missing");
            eprintln!("SKIPPED: {path} is missing");
            return false;
        }
        let references = References::credulous("test", None, None);
        let context = Context {
            source_id: "test",
            vocabulary,
            medication_request_policy: MedicationRequestPolicy::OrdersAsExposure,
            keep_address: false,
            notes: false,
            table_choice: &TableChoice::default(),
            extraction_date: NaiveDate::from_ymd_opt(2025, 1, 1).unwrap(),
            references: &references,
        };
        let mut files: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut tape = Tape::default();
        for file in files.iter().filter(|file| file.to_string_lossy().ends_with(".ndjson.gz")) {
            let reader = BufReader::new(flate2::read::MultiGzDecoder::new(std::fs::File::open(file).unwrap()));
            for line in reader.lines() {
                let line = line.unwrap();
                let Ok(element) = tape.parse(&line) else { continue };
                let text = |name: &str| element.get(name).and_then(|value| value.as_str());
                let Some(resource_type) = text("resourceType") else { continue };
                let resource = Resource { resource_type, id: text("id").unwrap_or("none"), element };
                each(resource_type, &map(&resource, &context));
            }
        }
        true
    }

    #[test]
    fn other_types_have_no_target() {
        let json = r#"{"resourceType":"CarePlan","id":"c"}"#;
        assert_eq!(sample::judgement(json), "excluded: no_omop_target (CarePlan)");
        assert!(!has_target("CarePlan") && has_target("Observation"));
        assert!(TARGETED.is_sorted());
    }

    #[test]
    fn a_wrong_type_is_rejected_with_its_place() {
        let json = r#"{"resourceType":"Observation","id":"o","valueQuantity":{"value":"12"}}"#;
        assert_eq!(sample::judgement(json), "rejected: wrong_type (Observation.valueQuantity.value)");
    }

    #[derive(Debug, Default)]
    struct Found {
        /// Codes that are concepts.
        known: u64,
        /// Codes with a standard concept.
        standard: u64,
        all: u64,
    }

    /// The codes of a public sample, against a public vocabulary.
    #[test]
    fn a_public_sample_is_covered() {
        let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
        let Some(vocabulary) = crate::vocabulary::reference(&format!("{shared}/omop/vocabulary")) else { return };
        let mut found: BTreeMap<&str, Found> = BTreeMap::new();
        let mut rows: BTreeMap<&str, u64> = BTreeMap::new();
        let mut judged: BTreeMap<String, u64> = BTreeMap::new();
        let mut losses: BTreeMap<String, u64> = BTreeMap::new();
        let is_read =
            map_folder(&format!("{shared}/fhir/synthea-smart-r4/ndjson"), &vocabulary, |resource_type, mapped| {
                for coverage in &mapped.coverage {
                    let vocabulary_id = coverage.system.as_deref().and_then(model::vocabulary::vocabulary_of_system);
                    let source = vocabulary_id.zip(coverage.code.as_deref());
                    let source =
                        source.and_then(|(vocabulary_id, code)| vocabulary.concept_of_code(vocabulary_id, code));
                    let found = found.entry(coverage.element).or_default();
                    found.known += u64::from(source.is_some() || coverage.concept_id != 0);
                    found.standard += u64::from(coverage.concept_id != 0);
                    found.all += 1;
                }
                for row in &mapped.rows {
                    *rows.entry(row.row.table().name).or_default() += 1;
                }
                for loss in &mapped.losses {
                    *losses.entry(format!("{} {}", loss.element, loss.reason)).or_default() += 1;
                }
                let judgement = match &mapped.judgement {
                    Judgement::Mapped => format!("{resource_type} mapped"),
                    Judgement::Excluded { reason, .. } => format!("{resource_type} excluded {reason}"),
                    Judgement::Rejected { reason, field, .. } => format!("{resource_type} rejected {reason} {field:?}"),
                };
                *judged.entry(judgement).or_default() += 1;
            });
        if !is_read {
            return;
        }
        eprintln!("coverage {found:#?}\nrows {rows:#?}\njudged {judged:#?}\nlosses {losses:#?}");
        for (element, known, standard, all) in [
            ("Condition.code", 1_049, 1_048, 1_049),
            ("Encounter.type", 4_293, 4_273, 4_293),
            ("Immunization.vaccineCode", 1_969, 1_969, 1_969),
            ("MedicationRequest.medication[x]", 324, 324, 324),
            ("Observation.code", 19_979, 19_483, 19_979),
            ("Observation.component.code", 3_032, 3_032, 3_032),
            ("Procedure.code", 2_187, 2_105, 2_845),
            ("Quantity.code", 15_868, 15_868, 18_437),
        ] {
            let found = &found[element];
            assert!(found.known >= known && found.standard >= standard && found.all >= all, "{element}: {found:?}");
        }
        assert!(judged.keys().all(|key| !key.contains("rejected")), "{judged:#?}");
        assert_eq!(judged["Patient mapped"], 150);
        assert_eq!(judged["Condition mapped"], 1_049);
        assert_eq!(judged["Immunization mapped"], 1_969);
        assert_eq!(judged["Encounter mapped"], 4_293);
    }

    /// Odd but legal records, and whatever else examples hold: each is judged, none stops the program.
    #[test]
    fn examples_of_every_type_are_judged() {
        let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/fhir");
        for (folder, at_least) in
            [("hl7-r4-examples/ndjson", 650), ("us-core-examples/ndjson", 200), ("smart-bulk-10-patients", 7_000)]
        {
            let mut count = 0;
            let mut judged: BTreeMap<String, u64> = BTreeMap::new();
            let is_read = map_folder(&format!("{shared}/{folder}"), &Vocabulary::starter(), |resource_type, mapped| {
                let judgement = match &mapped.judgement {
                    Judgement::Mapped => "mapped".to_owned(),
                    Judgement::Excluded { reason, .. } => format!("excluded {reason}"),
                    Judgement::Rejected { reason, field, detail } => format!("rejected {reason} {field:?} {detail}"),
                };
                count += 1;
                assert_eq!(mapped.rows.is_empty(), mapped.judgement != Judgement::Mapped);
                *judged.entry(format!("{resource_type} {judgement}")).or_default() += 1;
            });
            if is_read {
                judged.retain(|judgement, _| !judgement.ends_with("no_omop_target"));
                eprintln!("{folder} {judged:#?}");
                assert!(count >= at_least, "{folder}: {count}");
            }
        }
    }
}
