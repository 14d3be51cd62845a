//! Rows that come from other rows: the observation period of each person, and the description of the source.

use std::collections::HashSet;

use chrono::NaiveDate;
use lake::{TableName, Transaction};
use model::omop::key::omop_key;
use model::omop::{CdmSource, ObservationPeriod, Row};
use model::vocabulary::rule;

use crate::by_hash::ByHash;
use crate::error::Result;
use crate::query::{days, numbers, sought, texts};
use crate::trace::crosswalk;

/// First and last day on which something was recorded, the day of death and the logical id, by person.
#[derive(Debug, Default, PartialEq)]
pub struct Spans {
    patients: ByHash<i64, Box<str>>,
    spans: ByHash<i64, (NaiveDate, NaiveDate)>,
    deaths: ByHash<i64, NaiveDate>,
}

/// The dates that count, by table: first and last column; must say the same as [`Spans::see`].
const EVENTS: [(&str, &str, &str); 8] = [
    ("visit_occurrence", "visit_start_date", "visit_end_date"),
    ("condition_occurrence", "condition_start_date", "condition_start_date"),
    ("drug_exposure", "drug_exposure_start_date", "drug_exposure_start_date"),
    ("procedure_occurrence", "procedure_date", "procedure_date"),
    ("device_exposure", "device_exposure_start_date", "device_exposure_start_date"),
    ("measurement", "measurement_date", "measurement_date"),
    ("observation", "observation_date", "observation_date"),
    ("specimen", "specimen_date", "specimen_date"),
];

impl Spans {
    /// Takes note of a row.
    pub fn see(&mut self, row: &Row<'_>) {
        let (person_id, first, last) = match row {
            Row::VisitOccurrence(row) => (row.person_id, row.visit_start_date, row.visit_end_date),
            Row::ConditionOccurrence(row) => (row.person_id, row.condition_start_date, row.condition_start_date),
            Row::DrugExposure(row) => (row.person_id, row.drug_exposure_start_date, row.drug_exposure_start_date),
            Row::ProcedureOccurrence(row) => (row.person_id, row.procedure_date, row.procedure_date),
            Row::DeviceExposure(row) => (row.person_id, row.device_exposure_start_date, row.device_exposure_start_date),
            Row::Measurement(row) => (row.person_id, row.measurement_date, row.measurement_date),
            Row::Observation(row) => (row.person_id, row.observation_date, row.observation_date),
            Row::Specimen(row) => (row.person_id, row.specimen_date, row.specimen_date),
            Row::Death(row) => {
                self.deaths.insert(row.person_id, row.death_date);
                return;
            }
            _ => return,
        };
        self.stretch(person_id, first, last);
    }

    /// Takes note of the Patient that a person is.
    pub fn name(&mut self, person_id: i64, patient_id: &str) {
        self.patients.insert(person_id, patient_id.into());
    }

    /// True when it is known which Patient a person is.
    pub fn is_named(&self, person_id: i64) -> bool {
        self.patients.contains_key(&person_id)
    }

    /// Takes over which Patients persons are.
    pub fn add_names(&mut self, other: Spans) {
        self.patients.extend(other.patients);
    }

    fn stretch(&mut self, person_id: i64, first: NaiveDate, last: NaiveDate) {
        let span = self.spans.entry(person_id).or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
    }

    /// Adds what another worker saw.
    pub fn merge(&mut self, other: Spans) {
        for (person_id, (first, last)) in other.spans {
            self.stretch(person_id, first, last);
        }
        self.deaths.extend(other.deaths);
        self.patients.extend(other.patients);
    }

    /// Reads the spans of some persons from the staged tables.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub async fn read(transaction: &Transaction, persons: &HashSet<i64>) -> Result<Spans> {
        let mut spans = Spans::default();
        let theirs = sought(persons.iter().copied());
        for (table, first, last) in EVENTS {
            let columns = ["person_id", first, last];
            for batch in transaction.find(&TableName::new("omop", table), "person_id", &theirs, &columns).await? {
                let days = days(&batch, 1).into_iter().zip(days(&batch, 2));
                for (person_id, (first, last)) in numbers(&batch, 0).into_iter().zip(days) {
                    let Some(first) = first else { continue };
                    spans.stretch(person_id, first, last.unwrap_or(first));
                }
            }
        }
        let columns = ["person_id", "death_date"];
        for batch in transaction.find(&TableName::new("omop", "death"), "person_id", &theirs, &columns).await? {
            let deaths = numbers(&batch, 0).into_iter().zip(days(&batch, 1));
            spans.deaths.extend(deaths.filter_map(|(person_id, day)| Some((person_id, day?))));
        }
        let columns = ["omop_table", "omop_id", "resource_id"];
        for batch in transaction.find(&crosswalk(), "omop_id", &theirs, &columns).await? {
            let (tables, patients) = (texts(&batch, 0), texts(&batch, 2));
            for (row, person_id) in numbers(&batch, 1).into_iter().enumerate() {
                if tables[row] == "person" {
                    spans.name(person_id, &patients[row]);
                }
            }
        }
        Ok(spans)
    }

    /// The keys of the observation periods that all known persons have or had.
    pub fn keys(&self, source_id: &str) -> impl Iterator<Item = i64> {
        self.patients.values().map(move |patient| period_key(source_id, patient))
    }

    /// The observation periods, one per person, until death at the latest; each with the logical id of its Patient.
    pub fn rows(mut self, source_id: &str) -> Vec<(Box<str>, ObservationPeriod)> {
        let mut spans: Vec<_> = self.spans.into_iter().collect();
        spans.sort_unstable();
        let mut rows = Vec::with_capacity(spans.len());
        for (person_id, (first, last)) in spans {
            let Some(patient) = self.patients.remove(&person_id) else { continue };
            let last = self.deaths.get(&person_id).map_or(last, |death| last.min(*death)).max(first);
            let period = ObservationPeriod {
                observation_period_id: period_key(source_id, &patient),
                person_id,
                observation_period_start_date: first,
                observation_period_end_date: last,
                period_type_concept_id: rule::TYPE_EHR_ENCOUNTER_RECORD,
            };
            rows.push((patient, period));
        }
        rows
    }
}

fn period_key(source_id: &str, patient_id: &str) -> i64 {
    omop_key(source_id, &format!("Patient/{patient_id}"), "observation_period", "")
}

/// The description of the source: one row.
pub fn cdm_source(source_id: &str, started_at: NaiveDate, vocabulary_version: &str) -> CdmSource<'static> {
    CdmSource {
        cdm_source_name: source_id.to_owned().into(),
        cdm_source_abbreviation: source_id.chars().take(25).collect::<String>().into(),
        cdm_holder: "synthetic-healthlake".into(),
        source_description: Some("FHIR R4 resources, mapped to the OMOP CDM".into()),
        source_documentation_reference: Some("https://hl7.org/fhir/R4/".into()),
        cdm_etl_reference: Some(concat!("healthlake ", env!("CARGO_PKG_VERSION")).into()),
        source_release_date: started_at,
        cdm_release_date: started_at,
        cdm_version: Some(model::omop::CDM_VERSION.into()),
        cdm_version_concept_id: rule::CDM_VERSION,
        vocabulary_version: vocabulary_version.chars().take(20).collect::<String>().into(),
    }
}

#[cfg(test)]
mod tests {
    use model::omop::{ConditionOccurrence, Death, VisitOccurrence};

    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2024, 1, day).unwrap()
    }

    fn period(rows: &[Row<'_>]) -> Option<(NaiveDate, NaiveDate)> {
        let mut spans = Spans::default();
        spans.name(1, "a");
        rows.iter().for_each(|row| spans.see(row));
        let period = spans.rows("s").pop()?.1;
        Some((period.observation_period_start_date, period.observation_period_end_date))
    }

    #[test]
    fn a_period_spans_the_events_until_death() {
        let visit = |first, last| -> Row<'_> {
            let (visit_start_date, visit_end_date) = (day(first), day(last));
            VisitOccurrence { person_id: 1, visit_start_date, visit_end_date, ..VisitOccurrence::default() }.into()
        };
        let condition = |first| -> Row<'_> {
            ConditionOccurrence { person_id: 1, condition_start_date: day(first), ..ConditionOccurrence::default() }
                .into()
        };
        let death = |on| -> Row<'_> { Death { person_id: 1, death_date: day(on), ..Death::default() }.into() };
        assert_eq!(period(&[visit(5, 9), condition(3)]), Some((day(3), day(9))));
        assert_eq!(period(&[visit(5, 9), death(7)]), Some((day(5), day(7))));
        assert_eq!(period(&[visit(5, 9), death(2)]), Some((day(5), day(5))));
        assert_eq!(period(&[death(2)]), None);
    }
}
