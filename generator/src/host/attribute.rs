//! The attributes that modules read and none of them writes: set at birth, refreshed each birthday, a few of them in
//! each step.

use std::collections::BTreeMap;

use super::cardiovascular::RiskFactors;
use super::latent::Latent;
use super::social::{self, Circumstances};
use super::vital_sign::VitalSigns;
use crate::engine::Value;
use crate::module::{Id, Library};
use crate::moment::{DAY, Moment, age_exact, age_years, midnight};
use crate::population::{Life, Population};
use crate::random::{bits_at, stream_key, unit_at};
use crate::record::Patient;

/// The attributes that the core sets: what modules read and none of them writes.
pub const HOST_ATTRIBUTES: [&str; 27] = [
    "C19_FULLY_VACCINATED",
    "RH_NEG",
    "atrial_fibrillation_risk",
    "birth_country",
    "bmi_percentile",
    "current_weight_length_percentile",
    "days_until_death",
    "education",
    "first_language",
    "food_insecurity",
    "ihd_risk",
    "income",
    "insurance_status",
    "marital_status",
    "mi_risk",
    "no_vehicle_access",
    "poverty_ratio",
    "probability_of_fall_injury",
    "quit smoking age",
    "severe_housing_cost_burden",
    "sexual_orientation",
    "smoker",
    "smoking_status",
    "state",
    "stroke_risk",
    "unemployed",
    "weight_loss_adherence",
];

/// The risks that are worth computing only when a module reads one of them.
const CARDIOVASCULAR: [&str; 4] = ["atrial_fibrillation_risk", "ihd_risk", "mi_risk", "stroke_risk"];

/// Numbers of the attributes that the core sets.
#[derive(Debug)]
pub struct HostAttributes {
    ids: BTreeMap<&'static str, Id>,
    /// Some module reads a cardiovascular risk.
    cardiovascular: bool,
    /// What would change from step to step, where some module reads it.
    days_until_death: Option<Id>,
    covid_vaccinated: Option<Id>,
    diabetes: Id,
    blood_pressure_treated: Id,
}

/// What the core knows of a person when it sets attributes.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Tables of people and places.
    pub population: &'a Population,
    /// Tables of vital signs.
    pub vital_signs: &'a VitalSigns,
    /// Demographics.
    pub patient: &'a Patient,
    /// Course of life.
    pub life: &'a Life,
    /// Standing among others.
    pub latent: &'a Latent,
    /// Circumstances.
    pub circumstances: &'a Circumstances,
}

impl HostAttributes {
    /// Interns the names.
    pub fn new(library: &mut Library) -> HostAttributes {
        let ids: BTreeMap<&'static str, Id> =
            HOST_ATTRIBUTES.into_iter().map(|name| (name, library.attributes.intern(name))).collect();
        let diabetes = library.attributes.intern("diabetes");
        let blood_pressure_treated = library.attributes.intern("hypertension_treated");
        let is_read = |name: &str| library.needs.iter().any(|needs| needs.read.contains(&ids[name]));
        let where_read = |name: &str| Some(ids[name]).filter(|_| is_read(name));
        HostAttributes {
            cardiovascular: CARDIOVASCULAR.into_iter().any(is_read),
            days_until_death: where_read("days_until_death"),
            covid_vaccinated: where_read("C19_FULLY_VACCINATED"),
            diabetes,
            blood_pressure_treated,
            ids,
        }
    }

    fn set(&self, attributes: &mut [Value], name: &str, value: impl Into<Value>) {
        if let Some(id) = self.ids.get(name) {
            attributes[*id as usize] = value.into();
        }
    }

    /// Sets what does not change.
    pub fn set_at_birth(&self, subject: Subject<'_>, attributes: &mut [Value]) {
        let Subject { population, patient, life, circumstances, .. } = subject;
        let language = population.languages[patient.language].display.to_lowercase();
        let mut set = |name: &str, value: Value| self.set(attributes, name, value);
        set("state", population.state_name(patient.town).into());
        set("first_language", language.split(" (").next().unwrap_or(&language).into());
        set("education", life.education.into());
        set("income", life.income.into());
        set("poverty_ratio", circumstances.poverty_ratio.into());
        set("RH_NEG", circumstances.rhesus_negative.into());
        set("sexual_orientation", circumstances.sexual_orientation.into());
        set("birth_country", circumstances.birth_country.into());
        set("food_insecurity", circumstances.food_insecurity.into());
        set("no_vehicle_access", circumstances.no_vehicle_access.into());
        set("severe_housing_cost_burden", circumstances.severe_housing_cost_burden.into());
        set("weight_loss_adherence", circumstances.weight_loss_adherence.into());
    }

    /// Sets what changes with age.
    pub fn set_at_birthday(&self, subject: Subject<'_>, time: Moment, attributes: &mut [Value]) {
        let Subject { population, vital_signs, patient, life, latent, circumstances } = subject;
        let (exact, age) = (age_exact(patient.birth, time), age_years(patient.birth, time));
        let (status, quit) = match life.smoking {
            Some((from, to)) if exact >= to => ("former", (to >= from).then_some(to.floor())),
            Some((from, _)) if exact >= from => ("current", None),
            _ => ("never", None),
        };
        let weight = vital_signs.weight_percentile(latent, patient, attributes, time);
        let (by_length, by_age) = if age < 2 { (weight, None) } else { (None, weight) };
        let mut set = |name: &str, value: Value| self.set(attributes, name, value);
        set("smoker", (status == "current").into());
        set("smoking_status", status.into());
        set("quit smoking age", quit.into());
        set("marital_status", population.marital_status(exact as i32, life.marital_rank).into());
        set("insurance_status", circumstances.insurance_status(age).into());
        set("unemployed", circumstances.unemployed(age, life.education).into());
        set("probability_of_fall_injury", social::fall_injury(age).into());
        set("current_weight_length_percentile", by_length.into());
        set("bmi_percentile", by_age.into());
        if self.cardiovascular {
            self.set_cardiovascular(subject, time, attributes);
        }
    }

    fn set_cardiovascular(&self, subject: Subject<'_>, time: Moment, attributes: &mut [Value]) {
        let Subject { population, vital_signs, patient, latent, .. } = subject;
        let is = |id: Id| matches!(attributes[id as usize], Value::Bool(true));
        let of = |name: &str| vital_signs.value_of(name, latent, patient, attributes, time);
        let race = |word: &str| patient.races.iter().any(|row| population.races[*row].word == word);
        let factors = RiskFactors {
            age: age_exact(patient.birth, time),
            female: patient.female,
            black: race("black"),
            white: race("white"),
            total_cholesterol: of("Total Cholesterol"),
            hdl: of("HDL"),
            systolic: of("Systolic Blood Pressure"),
            diastolic: of("Diastolic Blood Pressure"),
            treated: is(self.blood_pressure_treated),
            smoker: is(self.ids["smoker"]),
            diabetes: is(self.diabetes),
            height: of("Height"),
            weight: of("Weight"),
        };
        let risks = factors.monthly();
        self.set(attributes, "mi_risk", risks.myocardial_infarction);
        self.set(attributes, "ihd_risk", risks.ischemic_heart_disease);
        self.set(attributes, "stroke_risk", risks.stroke);
        self.set(attributes, "atrial_fibrillation_risk", risks.atrial_fibrillation);
    }

    /// Sets what changes from step to step: the days left when the end is known, and the vaccination against COVID-19.
    pub fn set_at_step(
        &self,
        death: Option<Moment>,
        vaccinated: Option<Moment>,
        time: Moment,
        attributes: &mut [Value],
    ) {
        if let (Some(id), Some(death)) = (self.days_until_death, death) {
            attributes[id as usize] = Value::Number(((death - time) / DAY) as f64);
        }
        if let Some(id) = self.covid_vaccinated.filter(|_| vaccinated.is_some_and(|from| time >= from)) {
            attributes[id as usize] = Value::Bool(true);
        }
    }
}

/// When somebody has had the first course of vaccines against COVID-19, if ever. Shares by age in May 2023, and the
/// order of the ages, by the CDC COVID Data Tracker.
pub fn covid_vaccination(patient: &Patient) -> Option<Moment> {
    /// 1 February 2021.
    const FIRST: Moment = 18_659 * DAY;
    let (share, from, to) = match age_years(patient.birth, FIRST) {
        65.. => (0.94, 0, 120),
        18.. => (0.77, 60, 300),
        12.. => (0.61, 120, 400),
        5.. => (0.33, 270, 500),
        _ => (0.06, 500, 700),
    };
    let key = stream_key(patient.seed, patient.index, "covid vaccination");
    let day = (from + bits_at(key, 1) % (to - from)) as Moment;
    let time = FIRST + day * DAY;
    (unit_at(key, 0) < share && midnight(patient.birth) < time).then_some(time)
}
