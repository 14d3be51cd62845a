//! The OMOP rows that a record means, written independently of the FHIR that says the same: the oracle that the mapping
//! is judged by. Concepts come from the starter vocabulary by the codes of the record.

mod clinical;
mod concept;
mod demographic;
mod document;
mod era;
mod event;
mod fate;

use chrono::NaiveDate;
use model::fhir::Precision;
use model::omop::key::omop_key;
use model::omop::{Builders, Row};
use uuid::Uuid;

pub use concept::Concepts;

use crate::account::Account;
use crate::dirt::{Blemish, first_day};
use crate::moment::Moment;
use crate::record::{Record, Selection};
use crate::world::World;

/// Collects expected rows.
#[derive(Debug)]
pub struct OmopSink<'w> {
    world: &'w World,
    concepts: &'w Concepts,
    /// What is wrong with the resource at hand.
    blemish: Blemish,
    row_count: u64,
    /// What is collected so far.
    pub builders: Builders,
    /// What the mapping must do with the resources so far.
    pub account: Account,
}

/// The span of one person's event dates, the conditions recorded, and what the person was exposed to.
#[derive(Clone, Debug, Default)]
struct Observed {
    span: Option<(NaiveDate, NaiveDate)>,
    last_visit: Option<NaiveDate>,
    conditions: Vec<era::Recorded>,
    ingredients: Vec<era::Recorded>,
}

/// A moment as the CDM wants it: the day as written, the time in UTC where both are known.
#[derive(Clone, Copy)]
struct When {
    date: NaiveDate,
    datetime: Option<chrono::NaiveDateTime>,
    /// Only the year or the month is known.
    is_partial: bool,
}

impl Observed {
    fn see(&mut self, date: NaiveDate) {
        let (first, last) = self.span.unwrap_or((date, date));
        self.span = Some((first.min(date), last.max(date)));
    }
}

impl<'w> OmopSink<'w> {
    /// An empty sink.
    pub fn new(world: &'w World, concepts: &'w Concepts) -> OmopSink<'w> {
        OmopSink {
            world,
            concepts,
            blemish: Blemish::None,
            row_count: 0,
            builders: Builders::default(),
            account: Account::default(),
        }
    }

    /// Collects the rows of the selected part of a record.
    pub fn write(&mut self, record: &Record, selection: &Selection) {
        let mut observed = Observed::default();
        self.visits(record, selection, &mut observed);
        for (resource_type, indexes) in selection.by_type() {
            for index in indexes {
                let rows = match resource_type {
                    "Condition" => Self::condition,
                    "Observation" => Self::observation,
                    "Procedure" => Self::procedure,
                    "MedicationRequest" => Self::medication,
                    "Immunization" => Self::immunization,
                    "AllergyIntolerance" => Self::allergy,
                    "MedicationAdministration" => Self::administration,
                    "DeviceUseStatement" => Self::device,
                    "Coverage" => Self::coverage,
                    "Claim" => Self::claim,
                    "ExplanationOfBenefit" => Self::benefit,
                    "DocumentReference" => Self::note,
                    // Visits come before, and the person after what was observed.
                    "Encounter" | "Patient" => continue,
                    _ => {
                        if self.takes(record, resource_type, *index) {
                            self.account.exclude(resource_type, fate::reason_alone(resource_type));
                        }
                        continue;
                    }
                };
                self.judge(record, resource_type, *index, &mut observed, rows);
            }
        }
        if !selection.patients.is_empty() {
            self.person(record, &mut observed);
        }
        self.eras(record, observed);
    }

    fn add<'a>(&mut self, row: impl Into<Row<'a>>) {
        self.builders.append(&row.into());
        self.row_count += 1;
    }

    fn key(&self, resource_type: &str, id: Uuid, table: &str, part: &str) -> i64 {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let resource = [resource_type, "/", id.hyphenated().encode_lower(&mut text)].concat();
        omop_key(&self.world.options.source_id, &resource, table, part)
    }

    fn person_id(&self, record: &Record) -> i64 {
        self.key("Patient", record.patient.own_id(), "person", "")
    }

    fn visit_id(&self, record: &Record, encounter: Option<u32>) -> Option<i64> {
        let encounter = encounter?;
        if !record.blemishes.of("Encounter", encounter).makes_rows() {
            return None;
        }
        let id = record.patient.id("Encounter", u64::from(encounter));
        Some(self.key("Encounter", id, "visit_occurrence", ""))
    }

    /// The doctor of a visit: every clinical resource names that one.
    fn provider_id(&self, record: &Record, encounter: Option<u32>) -> Option<i64> {
        let practitioner = record.encounters[encounter? as usize].practitioner;
        Some(self.practitioner_key(practitioner))
    }

    fn practitioner_key(&self, practitioner: usize) -> i64 {
        self.key("Practitioner", self.world.facilities.id("Practitioner", practitioner), "provider", "")
    }

    fn organization_key(&self, organization: usize) -> i64 {
        self.key("Organization", self.world.facilities.id("Organization", organization), "care_site", "")
    }

    fn when(&self, record: &Record, moment: Moment) -> When {
        let zone = record.patient.zone;
        let (date, utc) = (crate::moment::date(moment), zone.utc(moment));
        match self.blemish {
            Blemish::PartialDate(precision) => {
                When { date: first_day(date, precision), datetime: None, is_partial: precision < Precision::Day }
            }
            Blemish::OtherZone(minutes) => {
                When { date: zone.elsewhere(moment, minutes).date(), datetime: Some(utc), is_partial: false }
            }
            Blemish::Early | Blemish::NoZone => When { date, datetime: None, is_partial: false },
            _ => When { date, datetime: Some(utc), is_partial: false },
        }
    }
}
