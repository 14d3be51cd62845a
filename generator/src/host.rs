//! The native core that modules lean on: what a Generic Module Framework engine must provide besides running states.
//!
//! Contract: the vital signs of [`VITAL_SIGNS`]; the attributes of [`HostAttributes`], set at birth and refreshed each
//! birthday; the wellness schedule. The core reads boolean attributes that modules set: `diabetes`, `prediabetes`,
//! `hypertension`, `hyperlipidemia`, `asthma` and the `_treated` ones (see `data/effect.csv`).

mod analyte;
mod growth;
mod latent;
mod risk;
mod vital_sign;
mod wellness;

pub use latent::Latent;
pub use risk::Risks;
pub(crate) use vital_sign::round;
pub use vital_sign::{VITAL_SIGNS, VitalSigns};
pub use wellness::wellness_interval;

use crate::engine::Value;
use crate::module::{Code, Id, Library};
use crate::population::{Life, Population};
use crate::record::Patient;

/// Numbers of the attributes that the core sets.
#[derive(Debug)]
pub struct HostAttributes {
    smoker: Id,
    smoking_status: Id,
    state: Id,
    marital_status: Id,
    first_language: Id,
    education: Id,
    income: Id,
}

impl HostAttributes {
    /// Interns the names.
    pub fn new(library: &mut Library) -> HostAttributes {
        let mut of = |name| library.attributes.intern(name);
        HostAttributes {
            smoker: of("smoker"),
            smoking_status: of("smoking_status"),
            state: of("state"),
            marital_status: of("marital_status"),
            first_language: of("first_language"),
            education: of("education"),
            income: of("income"),
        }
    }

    /// Sets what does not change.
    pub fn set_at_birth(&self, population: &Population, patient: &Patient, life: &Life, attributes: &mut [Value]) {
        let text = |text: &str| Value::Text(text.into());
        attributes[self.state as usize] = text(&population.towns[patient.town].state);
        attributes[self.first_language as usize] = text(&population.languages[patient.language].display.to_lowercase());
        attributes[self.education as usize] = text(life.education);
        attributes[self.income as usize] = Value::Number(life.income);
    }

    /// Sets what changes with age.
    pub fn set_at_birthday(&self, population: &Population, life: &Life, age: f64, attributes: &mut [Value]) {
        let status = match life.smoking {
            Some((from, to)) if age >= from => {
                if age < to {
                    "current"
                } else {
                    "former"
                }
            }
            _ => "never",
        };
        attributes[self.smoker as usize] = Value::Bool(status == "current");
        attributes[self.smoking_status as usize] = Value::Text(status.into());
        let married = population.marital_status(age as i32, life.marital_rank);
        attributes[self.marital_status as usize] = Value::Text(married.into());
    }
}

/// Socioeconomic category of an income, as modules name it.
pub fn socioeconomic_category(income: f64) -> &'static str {
    match income {
        income if income < 45_000.0 => "low",
        income if income < 120_000.0 => "middle",
        _ => "high",
    }
}

/// Codes of the encounters that the core opens by itself.
#[derive(Debug)]
pub struct HostCodes {
    /// Wellness visit of an adult.
    pub adult_wellness: Id,
    /// Wellness visit of a child.
    pub child_wellness: Id,
    /// Visit because of symptoms.
    pub symptom: Id,
    /// Visit to the emergency room because of symptoms.
    pub emergency: Id,
}

impl HostCodes {
    /// Interns the codes.
    pub fn new(library: &mut Library) -> HostCodes {
        let mut of = |code: &str, display: &str| {
            let system = "http://snomed.info/sct".into();
            let code = library.codes.intern(Code { system, code: code.into(), display: display.into() });
            library.codes.intern_list(vec![code])
        };
        HostCodes {
            adult_wellness: of("162673000", "General examination of patient (procedure)"),
            child_wellness: of("410620009", "Well child visit (procedure)"),
            symptom: of("185345009", "Encounter for symptom (procedure)"),
            emergency: of("50849002", "Emergency room admission (procedure)"),
        }
    }
}
