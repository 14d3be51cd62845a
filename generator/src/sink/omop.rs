//! The OMOP rows that a record means, written independently of the FHIR that says the same: the oracle that the mapping
//! is judged by. Concepts come from the starter vocabulary by the codes of the record.

mod clinical;
mod concept;
mod demographic;
mod document;
mod era;
mod event;

use chrono::NaiveDate;
use model::omop::key::omop_key;
use model::omop::{Builders, Row};
use uuid::Uuid;

pub use concept::Concepts;

use crate::moment::Moment;
use crate::record::{Record, Selection};
use crate::world::World;

/// Collects expected rows.
#[derive(Debug)]
pub struct OmopSink<'w> {
    world: &'w World,
    concepts: &'w Concepts,
    /// What is collected so far.
    pub builders: Builders,
}

/// The span of one person's event dates, the conditions recorded, and what the person was exposed to.
#[derive(Clone, Debug, Default)]
struct Observed {
    span: Option<(NaiveDate, NaiveDate)>,
    conditions: Vec<era::Recorded>,
    ingredients: Vec<era::Recorded>,
}

/// A moment as the CDM wants it: the day as written, the time in UTC.
#[derive(Clone, Copy)]
struct When {
    date: NaiveDate,
    datetime: chrono::NaiveDateTime,
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
        OmopSink { world, concepts, builders: Builders::default() }
    }

    /// Collects the rows of the selected part of a record.
    pub fn write(&mut self, record: &Record, selection: &Selection) {
        let mut observed = Observed::default();
        self.visits(record, selection, &mut observed);
        selection.conditions.iter().for_each(|index| self.condition(record, *index, &mut observed));
        selection.observations.iter().for_each(|index| self.observation(record, *index, &mut observed));
        selection.procedures.iter().for_each(|index| self.procedure(record, *index, &mut observed));
        selection.medications.iter().for_each(|index| self.medication(record, *index, &mut observed));
        selection.immunizations.iter().for_each(|index| self.immunization(record, *index, &mut observed));
        selection.allergies.iter().for_each(|index| self.allergy(record, *index, &mut observed));
        selection.administrations.iter().for_each(|index| self.administration(record, *index, &mut observed));
        selection.devices.iter().for_each(|index| self.device(record, *index, &mut observed));
        selection.coverages.iter().for_each(|index| self.coverage(record, *index));
        selection.claims.iter().for_each(|(encounter, coverage)| self.claim(record, *encounter, *coverage));
        if self.world.options.notes {
            selection.encounters.iter().for_each(|index| self.note(record, *index));
        }
        self.person(record, selection, &mut observed);
        self.eras(record, observed);
    }

    fn add<'a>(&mut self, row: impl Into<Row<'a>>) {
        self.builders.append(&row.into());
    }

    fn key(&self, resource_type: &str, id: Uuid, table: &str, part: &str) -> i64 {
        omop_key(&self.world.options.source_id, &format!("{resource_type}/{id}"), table, part)
    }

    fn person_id(&self, record: &Record) -> i64 {
        self.key("Patient", record.patient.id("Patient", 0), "person", "")
    }

    fn visit_id(&self, record: &Record, encounter: Option<u32>) -> Option<i64> {
        let id = record.patient.id("Encounter", u64::from(encounter?));
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
        When { date: crate::moment::date(moment), datetime: record.patient.zone.utc(moment) }
    }
}
