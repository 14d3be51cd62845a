//! Which columns of a flat table and of an OMOP table tell the same.

/// A resource type with flat table, and the expressions that its OMOP rows must repeat.
pub struct Source {
    pub resource_type: &'static str,
    pub flat: &'static str,
    /// In the order in which the mapping tries them.
    pub start: &'static [&'static str],
    pub end: &'static [&'static str],
    pub code: Option<&'static str>,
    /// The tables that rows of this type may land in.
    pub targets: &'static [&'static str],
}

const EVENTS: &[&str] =
    &["condition_occurrence", "procedure_occurrence", "drug_exposure", "device_exposure", "measurement", "observation"];

/// What a DiagnosticReport makes: its conclusion, in words and in codes.
const REPORTS: &[&str] = &[
    "note",
    "condition_occurrence",
    "procedure_occurrence",
    "drug_exposure",
    "device_exposure",
    "measurement",
    "observation",
];

/// The types whose rows are compared.
pub const SOURCES: &[Source] = &[
    Source {
        resource_type: "Patient",
        flat: "patient",
        start: &["deceased_datetime"],
        end: &[],
        code: None,
        targets: &["death"],
    },
    Source {
        resource_type: "Encounter",
        flat: "encounter",
        start: &["period_start"],
        end: &["period_end"],
        code: Some("class_code"),
        targets: &["visit_occurrence", "visit_detail"],
    },
    Source {
        resource_type: "Condition",
        flat: "condition",
        start: &["onset_datetime", "recorded_datetime"],
        end: &["abatement_datetime"],
        code: Some("code"),
        targets: EVENTS,
    },
    Source {
        resource_type: "Observation",
        flat: "observation",
        start: &["effective_datetime", "issued_datetime"],
        end: &[],
        code: Some("code"),
        targets: EVENTS,
    },
    Source {
        resource_type: "Procedure",
        flat: "procedure",
        start: &["performed_start"],
        end: &["performed_end"],
        code: Some("code"),
        targets: EVENTS,
    },
    Source {
        resource_type: "MedicationRequest",
        flat: "medication_request",
        start: &["authored_datetime"],
        end: &[],
        code: Some("code"),
        targets: EVENTS,
    },
    Source {
        resource_type: "Immunization",
        flat: "immunization",
        start: &["occurrence_datetime"],
        end: &[],
        code: Some("code"),
        targets: EVENTS,
    },
    Source {
        resource_type: "AllergyIntolerance",
        flat: "allergy_intolerance",
        start: &["recorded_datetime", "onset_datetime"],
        end: &[],
        code: None,
        targets: EVENTS,
    },
    Source {
        resource_type: "DiagnosticReport",
        flat: "diagnostic_report",
        start: &["effective_datetime", "issued_datetime"],
        end: &[],
        code: None,
        targets: REPORTS,
    },
    Source {
        resource_type: "MedicationStatement",
        flat: "medication_statement",
        start: &["effective_start", "asserted_datetime"],
        end: &[],
        code: Some("code"),
        targets: EVENTS,
    },
    Source {
        resource_type: "MedicationAdministration",
        flat: "medication_administration",
        start: &["effective_start"],
        end: &[],
        code: Some("code"),
        targets: EVENTS,
    },
    Source {
        resource_type: "MedicationDispense",
        flat: "medication_dispense",
        start: &["handed_over_datetime", "prepared_datetime"],
        end: &[],
        code: Some("code"),
        targets: EVENTS,
    },
    Source {
        resource_type: "Specimen",
        flat: "specimen",
        start: &["collected_datetime", "received_datetime"],
        end: &[],
        code: Some("type"),
        targets: &["specimen"],
    },
];

/// Where a target table keeps what is compared.
pub struct Target {
    pub key: &'static str,
    pub start_date: &'static str,
    pub start_datetime: &'static str,
    pub end_datetime: Option<&'static str>,
    pub source_value: Option<&'static str>,
}

/// The columns of an OMOP table; those of `observation` for one that is not known.
pub fn target(table: &str) -> Target {
    let (key, start_date, start_datetime, end_datetime, source_value) = match table {
        "death" => ("person_id", "death_date", "death_datetime", None, None),
        "visit_occurrence" => (
            "visit_occurrence_id",
            "visit_start_date",
            "visit_start_datetime",
            Some("visit_end_datetime"),
            Some("visit_source_value"),
        ),
        "visit_detail" => (
            "visit_detail_id",
            "visit_detail_start_date",
            "visit_detail_start_datetime",
            Some("visit_detail_end_datetime"),
            Some("visit_detail_source_value"),
        ),
        "condition_occurrence" => (
            "condition_occurrence_id",
            "condition_start_date",
            "condition_start_datetime",
            Some("condition_end_datetime"),
            Some("condition_source_value"),
        ),
        "procedure_occurrence" => (
            "procedure_occurrence_id",
            "procedure_date",
            "procedure_datetime",
            Some("procedure_end_datetime"),
            Some("procedure_source_value"),
        ),
        "drug_exposure" => (
            "drug_exposure_id",
            "drug_exposure_start_date",
            "drug_exposure_start_datetime",
            None,
            Some("drug_source_value"),
        ),
        "device_exposure" => (
            "device_exposure_id",
            "device_exposure_start_date",
            "device_exposure_start_datetime",
            None,
            Some("device_source_value"),
        ),
        "measurement" => {
            ("measurement_id", "measurement_date", "measurement_datetime", None, Some("measurement_source_value"))
        }
        "specimen" => ("specimen_id", "specimen_date", "specimen_datetime", None, Some("specimen_source_value")),
        "note" => ("note_id", "note_date", "note_datetime", None, None),
        _ => ("observation_id", "observation_date", "observation_datetime", None, Some("observation_source_value")),
    };
    Target { key, start_date, start_datetime, end_datetime, source_value }
}
