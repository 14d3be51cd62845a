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
struct OfGroup {
    risk: String,
    group: String,
    factor: f64,
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
    /// What the hazard of a group is multiplied by, where it differs.
    of_group: Vec<OfGroup>,
}

impl Risks {
    /// Reads the tables.
    ///
    /// # Errors
    /// When a table names an analyte that does not exist.
    pub fn new(library: &mut Library, vital_signs: &VitalSigns) -> Result<Risks, Error> {
        let levels: Vec<Level> = data_table!("risk")?;
        let factors: Vec<Factor> = data_table!("risk_factor")?;
        let mut groups: Vec<OfGroup> = data_table!("risk_group")?;
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
                let of_group = groups.extract_if(.., |group| group.risk == level.risk).collect();
                risks.push(Risk { attribute, levels: Vec::new(), weights, variance, of_group });
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

    /// Sets the probabilities for the coming year; `group` is `hispanic`, or the word of the first race.
    pub fn set(&self, latent: &Latent, age: f64, female: bool, group: &str, attributes: &mut [Value]) {
        for risk in &self.risks {
            let above = risk.levels.partition_point(|level| level.age_from <= age);
            let level = &risk.levels[above.max(1) - 1];
            let score: f64 = risk.weights.iter().map(|(analyte, weight)| latent.person(*analyte) * weight).sum();
            let of_group = risk.of_group.iter().find(|of| of.group == group).map_or(1.0, |of| of.factor);
            let hazard = if female { level.female } else { level.male } * of_group * exp(score - risk.variance / 2.0);
            attributes[risk.attribute as usize] = Value::Number(1.0 - exp(-hazard));
        }
    }
}
