//! Yearly risks of disease from age, sex and the latent vector: the same person who tends to a high blood pressure
//! tends to hypertension.

use serde::Deserialize;

use super::latent::Latent;
use super::vital_sign::VitalSigns;
use crate::Error;
use crate::data_table::data_table;
use crate::engine::Value;
use crate::module::{Id, Library};
use crate::random::exp;

#[derive(Debug, Deserialize)]
struct Level {
    risk: String,
    age_from: f64,
    male: f64,
    female: f64,
}

#[derive(Debug, Deserialize)]
struct Factor {
    risk: String,
    analyte: String,
    weight: f64,
}

/// The risks that the core sets as attributes.
#[derive(Debug)]
pub struct Risks {
    risks: Vec<Risk>,
}

#[derive(Debug)]
struct Risk {
    attribute: Id,
    levels: Vec<Level>,
    weights: Vec<(usize, f64)>,
    variance: f64,
}

impl Risks {
    /// Reads the tables.
    ///
    /// # Errors
    /// When a table names an analyte that does not exist.
    pub fn new(library: &mut Library, vital_signs: &VitalSigns) -> Result<Risks, Error> {
        let levels: Vec<Level> = data_table!("risk")?;
        let factors: Vec<Factor> = data_table!("risk_factor")?;
        let mut risks: Vec<Risk> = Vec::new();
        for level in levels {
            let attribute = library.attributes.intern(&level.risk);
            if risks.last().is_none_or(|risk| risk.attribute != attribute) {
                let weights = factors
                    .iter()
                    .filter(|factor| factor.risk == level.risk)
                    .map(|factor| Ok((vital_signs.latent_index(&factor.analyte)?, factor.weight)))
                    .collect::<Result<Vec<_>, Error>>()?;
                let variance = vital_signs.variance(&weights);
                risks.push(Risk { attribute, levels: Vec::new(), weights, variance });
            }
            if let Some(risk) = risks.last_mut() {
                risk.levels.push(level);
            }
        }
        Ok(Risks { risks })
    }

    /// The attributes that hold the risks.
    pub fn attributes(&self) -> impl Iterator<Item = Id> {
        self.risks.iter().map(|risk| risk.attribute)
    }

    /// Sets the probabilities for the coming year.
    pub fn set(&self, latent: &Latent, age: f64, female: bool, attributes: &mut [Value]) {
        for risk in &self.risks {
            let above = risk.levels.partition_point(|level| level.age_from <= age);
            let level = &risk.levels[above.max(1) - 1];
            let score: f64 = risk.weights.iter().map(|(analyte, weight)| latent.person(*analyte) * weight).sum();
            let hazard = if female { level.female } else { level.male } * exp(score - risk.variance / 2.0);
            attributes[risk.attribute as usize] = Value::Number(1.0 - exp(-hazard));
        }
    }
}
