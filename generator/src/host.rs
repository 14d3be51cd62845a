//! The native core that modules lean on: what a Generic Module Framework engine must provide besides running states.
//!
//! Contract: the vital signs of [`VITAL_SIGNS`]; the attributes of [`HOST_ATTRIBUTES`], set at birth and refreshed each
//! birthday, and those of [`Risks`]; the wellness schedule. The core reads boolean attributes that modules set:
//! `diabetes`, `prediabetes`, `hypertension`, `hyperlipidemia`, `asthma` and the `_treated` ones (see
//! `data/effect.csv`).

mod analyte;
mod attribute;
mod cardiovascular;
mod growth;
mod insurance;
mod latent;
mod risk;
mod social;
mod vital_sign;
mod wellness;

pub use attribute::{HOST_ATTRIBUTES, HostAttributes, Subject, covid_vaccination};
pub use insurance::coverages;
pub use latent::Latent;
pub use risk::Risks;
pub use social::Circumstances;
pub(crate) use vital_sign::round;
pub use vital_sign::{VITAL_SIGNS, VitalSigns};
pub use wellness::wellness_interval;

use crate::module::{Code, Id, Library};

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
    /// Certification of a death.
    pub death_certification: Id,
    /// Cause of death, on the certificate.
    pub cause_of_death: Id,
    /// The certificate.
    pub death_certificate: Id,
}

impl HostCodes {
    /// Interns the codes.
    pub fn new(library: &mut Library) -> HostCodes {
        let mut list = |system: &str, code: &str, display: &str| {
            let code = Code { system: system.into(), code: code.into(), display: display.into() };
            let code = library.codes.intern(code);
            library.codes.intern_list(vec![code])
        };
        let mut loinc = |code: &str, display: &str| list("http://loinc.org", code, display);
        let cause_of_death = loinc("69453-9", "Cause of death [US Standard Certificate of Death]");
        let death_certificate = loinc("69409-1", "US standard certificate of death - 2003 revision");
        let mut of = |code: &str, display: &str| list("http://snomed.info/sct", code, display);
        HostCodes {
            adult_wellness: of("162673000", "General examination of patient (procedure)"),
            child_wellness: of("410620009", "Well child visit (procedure)"),
            symptom: of("185345009", "Encounter for symptom (procedure)"),
            emergency: of("50849002", "Emergency room admission (procedure)"),
            death_certification: of("308646001", "Death certification (procedure)"),
            cause_of_death,
            death_certificate,
        }
    }
}
