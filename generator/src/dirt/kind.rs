//! The kinds of dirt, and what each can happen to.

/// One kind of dirt. Where several would meet on one resource, the first of this list happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A resource that cannot be taken: broken JSON, a missing element, a patient whom nobody knows.
    Invalid,
    /// A resource that the source deletes again.
    Deleted,
    /// An older version that arrives after the newer one.
    LateUpdate,
    /// A resource that says of itself that it is an error.
    EnteredInError,
    /// A condition that was looked for and is not there.
    Refuted,
    /// Words instead of a code.
    MissingCode,
    /// A code that only the hospital knows.
    LocalCode,
    /// A value under a unit of another kind, or under one that nobody knows.
    WrongUnit,
    /// A year, a month or a day where a moment should stand.
    PartialDate,
    /// A moment told in a zone far away, or in none.
    TimeZone,
    /// The same line twice.
    Duplicate,
    /// A patient who was there twice, and of whose records one replaces the other.
    MergedPatient,
    /// A patient of one race more.
    MultiRace,
    /// A name that is written in another way, or not at all.
    NameVariant,
}

/// What is about a patient and makes rows by its own code.
const CLINICAL: [&str; 8] = [
    "Encounter",
    "Condition",
    "Observation",
    "Procedure",
    "MedicationRequest",
    "Immunization",
    "AllergyIntolerance",
    "MedicationAdministration",
];

/// What is about a patient and makes rows by what it refers to; codes of these stay as they are.
const REFERRING: [&str; 5] = ["DeviceUseStatement", "Coverage", "Claim", "ExplanationOfBenefit", "DocumentReference"];

impl Kind {
    /// Every kind, in the order in which they are tried.
    pub const ALL: [Kind; 14] = [
        Kind::Invalid,
        Kind::Deleted,
        Kind::LateUpdate,
        Kind::EnteredInError,
        Kind::Refuted,
        Kind::MissingCode,
        Kind::LocalCode,
        Kind::WrongUnit,
        Kind::PartialDate,
        Kind::TimeZone,
        Kind::Duplicate,
        Kind::MergedPatient,
        Kind::MultiRace,
        Kind::NameVariant,
    ];

    /// As files of rates and manifests name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::Deleted => "deleted",
            Kind::LateUpdate => "late_update",
            Kind::EnteredInError => "entered_in_error",
            Kind::Refuted => "refuted",
            Kind::MissingCode => "missing_code",
            Kind::LocalCode => "local_code",
            Kind::WrongUnit => "wrong_unit",
            Kind::PartialDate => "partial_date",
            Kind::TimeZone => "time_zone",
            Kind::Duplicate => "duplicate",
            Kind::MergedPatient => "merged_patient",
            Kind::MultiRace => "multi_race",
            Kind::NameVariant => "name_variant",
        }
    }

    /// True when it can happen to resources of that type.
    pub fn befalls(self, resource_type: &str) -> bool {
        let is_clinical = CLINICAL.contains(&resource_type);
        let makes_rows = is_clinical || REFERRING.contains(&resource_type);
        // A Coverage tells days and no moments.
        let has_moments = makes_rows && resource_type != "Coverage";
        match self {
            Kind::Invalid | Kind::Deleted | Kind::LateUpdate | Kind::EnteredInError => makes_rows,
            Kind::MissingCode | Kind::LocalCode => is_clinical && resource_type != "Encounter",
            Kind::PartialDate => has_moments || resource_type == "Patient",
            Kind::TimeZone => has_moments,
            Kind::Duplicate => true,
            Kind::Refuted => resource_type == "Condition",
            Kind::WrongUnit => resource_type == "Observation",
            Kind::MergedPatient | Kind::MultiRace | Kind::NameVariant => resource_type == "Patient",
        }
    }
}
