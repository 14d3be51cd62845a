//! The living of a population, read from FHIR: of each only what the targets ask for.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::target::Target;
use crate::Error;
use crate::moment::{age_years, midnight};

/// The systolic and the diastolic pressure.
pub const PRESSURE: [&str; 2] = ["8480-6", "8462-4"];

/// People alive on a day.
#[derive(Debug)]
pub struct People {
    /// The last day on which anything was observed.
    pub reference_date: NaiveDate,
    /// They.
    pub living: Vec<Person>,
}

/// One person.
#[derive(Debug, Default)]
pub struct Person {
    /// Completed years.
    pub age: i32,
    /// `F`, `M` or something else.
    pub sex: String,
    /// `white`, `black`, `asian`, `hispanic`; empty for others.
    pub group: &'static str,
    /// Codes of active conditions and ordered drugs.
    pub active: HashSet<String>,
    /// Latest number by code.
    pub values: HashMap<String, (String, f64)>,
    /// Latest answer by code.
    pub answers: HashMap<String, (String, String)>,
}

#[derive(Deserialize)]
struct Patient {
    id: String,
    gender: Option<String>,
    #[serde(rename = "birthDate")]
    birth_date: Option<NaiveDate>,
    #[serde(rename = "deceasedDateTime")]
    deceased: Option<String>,
    #[serde(default)]
    extension: Vec<Extension>,
}

#[derive(Deserialize)]
struct Extension {
    url: String,
    #[serde(default)]
    extension: Vec<Extension>,
    #[serde(rename = "valueCoding")]
    coding: Option<Coding>,
}

#[derive(Default, Deserialize)]
struct Concept {
    #[serde(default)]
    coding: Vec<Coding>,
}

#[derive(Deserialize)]
struct Coding {
    code: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    reference: Option<String>,
}

#[derive(Deserialize)]
struct Quantity {
    value: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    subject: Reference,
    #[serde(default)]
    code: Concept,
    #[serde(default)]
    clinical_status: Concept,
    abatement_date_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MedicationRequest {
    subject: Reference,
    status: Option<String>,
    #[serde(default)]
    medication_codeable_concept: Concept,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Observation {
    subject: Option<Reference>,
    effective_date_time: Option<String>,
    #[serde(default)]
    code: Concept,
    value_quantity: Option<Quantity>,
    value_codeable_concept: Option<Concept>,
    #[serde(default)]
    component: Vec<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(default)]
    code: Concept,
    value_quantity: Option<Quantity>,
    value_codeable_concept: Option<Concept>,
}

impl People {
    /// Reads the files of a folder that are named by one of the types that targets ask for.
    pub fn read(folder: &Path, targets: &[Target]) -> Result<People, Error> {
        let files = files(folder)?;
        let mut wanted: HashSet<&str> =
            targets.iter().flat_map(|target| target.codes().chain(target.others())).collect();
        wanted.extend(PRESSURE);
        let mut births: HashMap<String, NaiveDate> = HashMap::new();
        let mut people: HashMap<String, Person> = HashMap::new();
        each(&files, "Patient", |patient: Patient| {
            if let (Some(birth), None) = (patient.birth_date, &patient.deceased) {
                births.insert(patient.id.clone(), birth);
                people.insert(patient.id.clone(), person(patient));
            }
        })?;
        let mut last = String::new();
        each(&files, "Observation", |mut observation: Observation| {
            let Some(date) = observation.effective_date_time.take() else { return };
            if date > last {
                last.clone_from(&date);
            }
            let Some(person) = observation.subject.as_ref().and_then(|subject| of(&mut people, subject)) else {
                return;
            };
            let Observation { code, value_quantity, value_codeable_concept, .. } = observation;
            person.observe(Component { code, value_quantity, value_codeable_concept }, &date, &wanted);
            observation.component.into_iter().for_each(|component| person.observe(component, &date, &wanted));
        })?;
        each(&files, "Condition", |condition: Condition| {
            let status = condition.clinical_status.coding.first().and_then(|coding| coding.code.as_deref());
            if condition.abatement_date_time.is_none()
                && matches!(status, None | Some("active" | "recurrence" | "relapse"))
            {
                note(&mut people, &condition.subject, condition.code, &wanted);
            }
        })?;
        each(&files, "MedicationRequest", |order: MedicationRequest| {
            if order.status.as_deref() == Some("active") {
                note(&mut people, &order.subject, order.medication_codeable_concept, &wanted);
            }
        })?;
        let reference_date = last.get(..10).and_then(|day| day.parse().ok()).ok_or_else(|| Error::Folder {
            path: folder.into(),
            message: "holds no dated observation, expected NDJSON files named by resource type".into(),
        })?;
        for (id, person) in &mut people {
            person.age = age_years(births[id], midnight(reference_date));
        }
        Ok(People { reference_date, living: people.into_values().collect() })
    }

    /// Those whom a target is about.
    pub fn of<'p>(&'p self, target: &'p Target) -> impl Iterator<Item = &'p Person> {
        self.living.iter().filter(move |person| {
            target.age_low.is_none_or(|age| person.age >= age)
                && target.age_high.is_none_or(|age| person.age <= age)
                && target.sex.as_deref().is_none_or(|sex| person.sex == sex)
                && target.group.as_deref().is_none_or(|group| person.group == group)
        })
    }
}

impl Person {
    /// The latest number of an observation.
    pub fn value(&self, code: &str) -> Option<f64> {
        self.values.get(code).map(|(_, value)| *value)
    }

    /// The latest number of any of several observations: a value has a code per way of measuring it.
    pub fn value_of<'c>(&self, codes: impl Iterator<Item = &'c str>) -> Option<f64> {
        let known = codes.filter_map(|code| self.values.get(code));
        known.max_by(|one, other| one.0.cmp(&other.0)).map(|(_, value)| *value)
    }

    /// True when one of the conditions or drugs is active.
    pub fn has<'c>(&self, mut codes: impl Iterator<Item = &'c str>) -> bool {
        codes.any(|code| self.active.contains(code))
    }

    fn observe(&mut self, component: Component, date: &str, wanted: &HashSet<&str>) {
        let codes = component.code.coding.into_iter().filter_map(|coding| coding.code);
        for code in codes.filter(|code| wanted.contains(code.as_str())) {
            if let Some(value) = component.value_quantity.as_ref().and_then(|quantity| quantity.value) {
                let known = self.values.entry(code).or_default();
                if date >= known.0.as_str() {
                    *known = (date.into(), value);
                }
            } else if let Some(answer) = component.value_codeable_concept.as_ref().and_then(|it| it.coding.first()) {
                let known = self.answers.entry(code).or_default();
                if date >= known.0.as_str() {
                    *known = (date.into(), answer.code.clone().unwrap_or_default());
                }
            }
        }
    }
}

fn of<'p>(people: &'p mut HashMap<String, Person>, subject: &Reference) -> Option<&'p mut Person> {
    let reference = subject.reference.as_deref()?;
    people.get_mut(reference.strip_prefix("Patient/").or(reference.strip_prefix("urn:uuid:"))?)
}

fn note(people: &mut HashMap<String, Person>, subject: &Reference, code: Concept, wanted: &HashSet<&str>) {
    if let Some(person) = of(people, subject) {
        let codes = code.coding.into_iter().filter_map(|coding| coding.code);
        person.active.extend(codes.filter(|code| wanted.contains(code.as_str())));
    }
}

fn person(patient: Patient) -> Person {
    let codes = |url: &str| -> Vec<&str> {
        let of = patient.extension.iter().filter(|extension| extension.url.ends_with(url));
        of.flat_map(|extension| &extension.extension)
            .filter(|extension| extension.url == "ombCategory")
            .filter_map(|extension| extension.coding.as_ref()?.code.as_deref())
            .collect()
    };
    let group = match codes("us-core-race").as_slice() {
        _ if codes("us-core-ethnicity").contains(&"2135-2") => "hispanic",
        ["2106-3"] => "white",
        ["2054-5"] => "black",
        ["2028-9"] => "asian",
        _ => "",
    };
    let sex = match patient.gender.as_deref() {
        Some("female") => "F",
        Some("male") => "M",
        _ => "",
    };
    Person { sex: sex.into(), group, ..Person::default() }
}

/// The NDJSON files of a folder in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "ndjson") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads every line of the files of a type.
fn each<T: DeserializeOwned>(files: &[PathBuf], resource_type: &str, mut take: impl FnMut(T)) -> Result<(), Error> {
    let is_of_type = |path: &&PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.split('.').next() == Some(resource_type)
    };
    for path in files.iter().filter(is_of_type) {
        let file = fs::File::open(path).map_err(Error::io(path))?;
        for (number, line) in BufReader::with_capacity(1 << 18, file).lines().enumerate() {
            let line = line.map_err(Error::io(path))?;
            let resource = serde_json::from_str(&line).map_err(|error| Error::Folder {
                path: path.clone(),
                message: format!("line {} is no {resource_type}: {error}", number + 1),
            })?;
            take(resource);
        }
    }
    Ok(())
}
