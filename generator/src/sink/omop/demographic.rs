//! person, death, location, provider, care_site, observation_period.

use std::collections::HashSet;

use chrono::Datelike;
use model::fhir::Precision;
use model::omop::key::omop_key;
use model::omop::{CareSite, Death, Location, NO_MATCHING_CONCEPT, Observation, ObservationPeriod, Person, Provider};
use model::vocabulary::{rule, value};

use super::{Observed, OmopSink};
use crate::dirt::Blemish;
use crate::record::Record;

impl OmopSink<'_> {
    pub(super) fn person(&mut self, record: &Record, observed: &mut Observed) {
        self.takes(record, "Patient", 0);
        self.account.map("Patient");
        let known = match std::mem::take(&mut self.blemish) {
            Blemish::PartialDate(precision) => precision,
            _ => Precision::Day,
        };
        let patient = &record.patient;
        let world = self.world;
        let id = patient.own_id();
        let person_id = self.person_id(record);
        let race = |row: usize| world.population.races[row].code.as_str();
        let races: Vec<&str> = patient.races.iter().map(|row| race(*row)).collect();
        let race_concept_id = match races.as_slice() {
            [one] => value("race", one).unwrap_or(NO_MATCHING_CONCEPT),
            _ => rule::RACE_MORE_THAN_ONE,
        };
        let ethnicity = if patient.hispanic { "2135-2" } else { "2186-5" };
        let gender = if patient.female { "female" } else { "male" };
        let location_id = self.location_id(patient.town);
        self.add(Person {
            person_id,
            gender_concept_id: value("gender", gender).unwrap_or(NO_MATCHING_CONCEPT),
            year_of_birth: patient.birth.year(),
            month_of_birth: (known >= Precision::Month).then(|| patient.birth.month() as i32),
            day_of_birth: (known >= Precision::Day).then(|| patient.birth.day() as i32),
            race_concept_id,
            ethnicity_concept_id: value("ethnicity", ethnicity).unwrap_or(NO_MATCHING_CONCEPT),
            location_id: Some(location_id),
            provider_id: Some(self.practitioner_key(patient.practitioner)),
            care_site_id: Some(self.organization_key(patient.town * 2)),
            person_source_value: Some(id.to_string().into()),
            gender_source_value: Some(gender.into()),
            gender_source_concept_id: Some(NO_MATCHING_CONCEPT),
            race_source_value: Some(races.join("|").into()),
            race_source_concept_id: Some(NO_MATCHING_CONCEPT),
            ethnicity_source_value: Some(ethnicity.into()),
            ethnicity_source_concept_id: Some(NO_MATCHING_CONCEPT),
            ..Person::default()
        });
        self.death(record);
        if races.len() > 1 {
            self.races(record, &races, observed);
        }
        self.observation_period(record, observed);
    }

    /// One observation per race of several, dated with the most recent visit.
    fn races(&mut self, record: &Record, races: &[&str], observed: &mut Observed) {
        let Some(last) = observed.last_visit else { return };
        observed.see(last);
        for (index, race) in races.iter().enumerate() {
            let id = record.patient.own_id();
            self.add(Observation {
                observation_id: self.key("Patient", id, "observation", &format!("race[{index}]")),
                person_id: self.person_id(record),
                observation_concept_id: rule::RACE_OBSERVATION,
                observation_date: last,
                observation_type_concept_id: rule::TYPE_EHR,
                value_as_concept_id: value("race", race),
                observation_source_value: Some((*race).into()),
                ..Observation::default()
            });
        }
    }

    fn death(&mut self, record: &Record) {
        let Some(death) = record.patient.death else { return };
        let when = self.when(record, death);
        self.add(Death {
            person_id: self.person_id(record),
            death_date: when.date,
            death_datetime: when.datetime,
            death_type_concept_id: Some(rule::TYPE_EHR),
            ..Death::default()
        });
    }

    fn observation_period(&mut self, record: &Record, observed: &Observed) {
        let Some((first, last)) = observed.span else { return };
        let today = self.world.options.end_date;
        let death = record.patient.death.map(crate::moment::date);
        let last = last.min(death.unwrap_or(today)).min(today).max(first);
        let id = record.patient.own_id();
        self.add(ObservationPeriod {
            observation_period_id: self.key("Patient", id, "observation_period", ""),
            person_id: self.person_id(record),
            observation_period_start_date: first,
            observation_period_end_date: last,
            period_type_concept_id: rule::TYPE_EHR_ENCOUNTER_RECORD,
        });
    }

    /// What is kept of a town's address, so that no row points at a house.
    fn coarse(&self, town: usize) -> String {
        let town = &self.world.population.towns[town];
        format!("{}|{}|{}|US", town.state, &town.zip[..3], town.county)
    }

    fn location_id(&self, town: usize) -> i64 {
        omop_key(&self.world.options.source_id, &self.coarse(town), "location", "")
    }

    /// Everybody lives in a town that has a clinic: the facilities' locations are all there are.
    fn locations(&mut self) {
        let world = self.world;
        let mut known = HashSet::new();
        for (index, town) in world.population.towns.iter().enumerate() {
            let location_id = self.location_id(index);
            if known.insert(location_id) {
                let coarse = self.coarse(index);
                self.add(Location {
                    location_id,
                    state: Some(town.state.as_str().into()),
                    zip: Some(town.zip[..3].into()),
                    county: Some(town.county.chars().take(20).collect::<String>().into()),
                    location_source_value: Some(coarse.chars().take(50).collect::<String>().into()),
                    country_source_value: Some("US".into()),
                    ..Location::default()
                });
            }
        }
    }

    /// Collects the rows of clinics, hospitals and doctors.
    pub fn write_facilities(&mut self) {
        let world = self.world;
        self.locations();
        for (index, practitioner) in world.facilities.practitioners.iter().enumerate() {
            self.account.map("Practitioner");
            let gender = if practitioner.female { "female" } else { "male" };
            self.add(Provider {
                provider_id: self.practitioner_key(index),
                gender_concept_id: value("gender", gender),
                provider_source_value: Some(world.facilities.id("Practitioner", index).to_string().into()),
                gender_source_value: Some(gender.into()),
                ..Provider::default()
            });
        }
        for (index, organization) in world.facilities.organizations.iter().enumerate() {
            let location_id = self.location_id(organization.town);
            let sites = ["Organization", "Location"].map(|kind| (kind, world.facilities.id(kind, index)));
            for (kind, id) in sites {
                self.account.map(kind);
                // The type of an organization is no place of service: its source value stands alone.
                let has_type = kind == "Organization";
                self.add(CareSite {
                    care_site_id: self.key(kind, id, "care_site", ""),
                    care_site_name: Some(organization.name.as_str().into()),
                    location_id: Some(location_id),
                    care_site_source_value: Some(id.to_string().into()),
                    place_of_service_concept_id: has_type.then_some(NO_MATCHING_CONCEPT),
                    place_of_service_source_value: has_type.then_some("prov".into()),
                });
            }
        }
        if world.options.claims {
            self.payers();
        }
    }
}
