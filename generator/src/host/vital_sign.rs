//! Vital signs and laboratory values on demand: a value is a function of the person's latent vector, of age, of what
//! the person has and takes, and of the week. Nothing is drawn until something asks.
//!
//! A latent vector of correlated normal numbers says where a person stands among others; a second one, an
//! autoregressive process over weeks with the same correlations, says how the week deviates. Both become units through
//! the quartiles of the population.

use super::analyte::{self, Analyte, Effect};
use super::growth::GrowthChart;
use super::latent::Latent;
use crate::Error;
use crate::engine::Value;
use crate::module::{Id, Library};
use crate::moment::{Moment, WEEK, age_exact};
use crate::random::{bits_at, normal_at, normal_share, power, stream_key};
use crate::record::Patient;

/// The names that modules may use.
pub const VITAL_SIGNS: &[&str] = &[
    "Height",
    "Weight",
    "BMI",
    "Head Circumference",
    "Systolic Blood Pressure",
    "Diastolic Blood Pressure",
    "Heart Rate",
    "Respiration Rate",
    "Oxygen Saturation",
    "Body Temperature",
    "Pain Severity",
    "Glucose",
    "HbA1c",
    "Total Cholesterol",
    "Triglycerides",
    "LDL",
    "HDL",
    "Creatinine",
    "Urea Nitrogen",
    "eGFR",
    "Calcium",
    "Sodium",
    "Potassium",
    "Chloride",
    "Carbon Dioxide",
    "ALT",
    "AST",
    "Hemoglobin",
    "Hematocrit",
    "Leukocytes",
    "Platelets",
    "Microalbumin Creatinine Ratio",
    "FEV1/FVC",
    "EGFR",
    "Blood Glucose",
    "Left ventricular Ejection fraction",
    "Head Circumference Percentile",
];

/// Nobody stands further out than this.
const FURTHEST: f64 = 3.3;
/// How much higher than average people with diabetes stand before the disease counts.
const DIABETES_SELECTION: f64 = 0.8;

/// The tables behind the values.
#[derive(Debug)]
pub struct VitalSigns {
    /// Analytes with a place in the latent vector.
    analytes: Vec<Analyte>,
    /// For each vital sign its analyte.
    analyte_of: Vec<Option<usize>>,
    growth: GrowthChart,
    diabetes: Id,
}

impl VitalSigns {
    /// Reads the tables.
    ///
    /// # Errors
    /// When a table contradicts itself.
    pub fn new(library: &mut Library) -> Result<VitalSigns, Error> {
        let analytes = analyte::read(library)?;
        let analyte_of =
            VITAL_SIGNS.iter().map(|name| analytes.iter().position(|analyte| analyte.name == *name)).collect();
        let diabetes = library.attributes.intern("diabetes");
        Ok(VitalSigns { analytes, analyte_of, growth: GrowthChart::new()?, diabetes })
    }

    /// Place of an analyte in the latent vector.
    ///
    /// # Errors
    /// There is no such analyte.
    pub fn latent_index(&self, name: &str) -> Result<usize, Error> {
        analyte::index_of(&self.analytes, name)
    }

    /// Variance of a weighted sum of standings.
    pub fn variance(&self, weights: &[(usize, f64)]) -> f64 {
        let mut sums = vec![0.0; self.analytes.len()];
        for (analyte, weight) in weights {
            for (column, share) in &self.analytes[*analyte].mixture {
                sums[*column] += weight * share;
            }
        }
        sums.iter().map(|sum| sum * sum).sum()
    }

    /// The standing of one person.
    pub fn latent(&self, seed: u64, patient: u64) -> Latent {
        let key = stream_key(seed, patient, "latent");
        let independent: Vec<f64> = (0..self.analytes.len()).map(|index| normal_at(key, index as u64)).collect();
        let person = self
            .analytes
            .iter()
            .map(|analyte| analyte.mixture.iter().map(|(column, share)| independent[*column] * share).sum())
            .collect();
        let noise = stream_key(seed, patient, "noise");
        let noise = (0..self.analytes.len()).map(|index| bits_at(noise, index as u64));
        let ejection = normal_at(stream_key(seed, patient, "ejection fraction"), 0);
        Latent::new(person, noise, stream_key(seed, patient, "pain"), ejection)
    }

    /// The value of the vital sign of that name; nought when there is none.
    pub fn value_of(&self, name: &str, latent: &Latent, patient: &Patient, attributes: &[Value], time: Moment) -> f64 {
        let sign = VITAL_SIGNS.iter().position(|sign| *sign == name);
        sign.map_or(0.0, |sign| self.value(sign, latent, patient, attributes, time))
    }

    /// The value of a vital sign.
    pub fn value(&self, sign: usize, latent: &Latent, patient: &Patient, attributes: &[Value], time: Moment) -> f64 {
        let of = |name: &str| self.value_of(name, latent, patient, attributes, time);
        let age = age_exact(patient.birth, time).max(0.0);
        match VITAL_SIGNS[sign] {
            "Height" => round(self.height(latent, patient, age), 1),
            "Weight" => round(self.weight(latent, patient, attributes, age, time), 1),
            "BMI" => {
                let height = of("Height") / 100.0;
                round(of("Weight") / (height * height), 1)
            }
            "Head Circumference" => {
                let median = self.growth.at(age, |row| if patient.female { row.head_female } else { row.head_male });
                round(median * (1.0 + 0.022 * self.standing_of("Head Circumference", latent)), 1)
            }
            "Pain Severity" => {
                let pain = normal_at(latent.pain, time.div_euclid(WEEK) as u64);
                (2.2 * pain).round().clamp(0.0, 10.0)
            }
            // The pulse keeps a pressure of its own.
            "Diastolic Blood Pressure" => {
                let systolic = of("Systolic Blood Pressure");
                let own = self.analyte_of[sign]
                    .map_or(0.0, |index| self.analyte_value(index, latent, patient, attributes, age, time));
                own.min(systolic - 15.0)
            }
            "Total Cholesterol" => (of("LDL") + of("HDL") + of("Triglycerides") / 5.0).round(),
            // Names that modules of others use. What they call blood glucose is HbA1c, in per cent.
            "EGFR" => of("eGFR"),
            "Blood Glucose" => of("HbA1c"),
            // Lang et al., J Am Soc Echocardiogr 2015; 28: 1: 62 and 64 %, standard deviation 5.
            "Left ventricular Ejection fraction" => {
                let mean = if patient.female { 64.0 } else { 62.0 };
                round(mean + 5.0 * latent.ejection.clamp(-FURTHEST, FURTHEST), 0)
            }
            "Head Circumference Percentile" => {
                round(100.0 * normal_share(self.standing_of("Head Circumference", latent)), 1)
            }
            "eGFR" => round(glomerular_filtration(of("Creatinine"), age, of("Height"), patient.female), 0),
            _ => match self.analyte_of[sign] {
                Some(analyte) => self.analyte_value(analyte, latent, patient, attributes, age, time),
                None => 0.0,
            },
        }
    }

    /// Where a child's weight stands, in per cent of children: by length below two years, by age and sex from then to
    /// twenty. The latter by the LMS method of the CDC growth charts (2000), with their medians and rounded parameters.
    pub fn weight_percentile(
        &self,
        latent: &Latent,
        patient: &Patient,
        attributes: &[Value],
        time: Moment,
    ) -> Option<f64> {
        /// Skewness of body mass index among children.
        const L: f64 = -2.2;
        let age = age_exact(patient.birth, time);
        let standing = match age {
            age if age < 2.0 => self.standing_of("BMI", latent),
            age if age < 20.0 => {
                let height = self.height(latent, patient, age) / 100.0;
                let bmi = self.weight(latent, patient, attributes, age, time) / (height * height);
                let median = self.growth.at(age, |row| {
                    let bmi = if patient.female { row.bmi_female } else { row.bmi_male };
                    bmi.unwrap_or(16.5)
                });
                let spread = 0.08 + 0.05 * ((age - 2.0) / 8.0).clamp(0.0, 1.0);
                (power(bmi / median, L) - 1.0) / (L * spread)
            }
            _ => return None,
        };
        Some(round(100.0 * normal_share(standing.clamp(-FURTHEST, FURTHEST)), 1))
    }

    fn standing_of(&self, name: &str, latent: &Latent) -> f64 {
        self.latent_index(name).map_or(0.0, |index| latent.person[index].clamp(-FURTHEST, FURTHEST))
    }

    fn analyte_value(
        &self,
        index: usize,
        latent: &Latent,
        patient: &Patient,
        attributes: &[Value],
        age: f64,
        time: Moment,
    ) -> f64 {
        let analyte = &self.analytes[index];
        let value = self.untreated(analyte, index, latent, patient, attributes, age, time);
        let value = analyte.effects.iter().fold(value, |value, (attribute, effect)| {
            match (&attributes[*attribute as usize], effect) {
                (Value::Bool(true), Effect::Add(amount)) => value + amount,
                (Value::Bool(true), Effect::Multiply(amount)) => value * amount,
                _ => value,
            }
        });
        round(value.clamp(analyte.bounds.0, analyte.bounds.1), analyte.decimals)
    }

    #[allow(clippy::too_many_arguments, reason = "one formula, split off to be read alone")]
    fn untreated(
        &self,
        analyte: &Analyte,
        index: usize,
        latent: &Latent,
        patient: &Patient,
        attributes: &[Value],
        age: f64,
        time: Moment,
    ) -> f64 {
        let sex = usize::from(patient.female);
        let mut standing = analyte.between.sqrt() * latent.person[index];
        if analyte.between < 1.0 {
            standing += (1.0 - analyte.between).sqrt() * latent.deviation(&analyte.mixture, time.div_euclid(WEEK));
        }
        let [all, with_diabetes] = analyte.spread[sex];
        let Some(all) = all else { return 0.0 };
        let diabetic = matches!(attributes[self.diabetes as usize], Value::Bool(true));
        let spread = match with_diabetes {
            Some(spread) if diabetic => {
                standing -= DIABETES_SELECTION;
                spread
            }
            _ => all,
        };
        let (before_50, after_60) = (age.clamp(18.0, 50.0) - 50.0, age.clamp(60.0, 95.0) - 60.0);
        let slope = analyte.slope_young[sex] * before_50 + analyte.slope_old[sex] * after_60;
        let spread_by_age = 1.0 + analyte.spread_young[sex] * before_50 + analyte.spread_old[sex] * after_60;
        let standing = standing.clamp(-FURTHEST, FURTHEST) * spread_by_age;
        match analyte.of_child(age) {
            Some(child) if age < 18.0 => {
                let adult = spread.value(standing) / spread.median;
                child * (1.0 + 0.7 * (adult - 1.0))
            }
            _ => spread.value(standing) + slope,
        }
    }

    fn height(&self, latent: &Latent, patient: &Patient, age: f64) -> f64 {
        let sex = usize::from(patient.female);
        let Some((index, spread)) = self
            .latent_index("Height")
            .ok()
            .and_then(|index| self.analytes[index].spread[sex][0].map(|spread| (index, spread)))
        else {
            return 0.0;
        };
        let adult = spread.value(latent.person[index].clamp(-FURTHEST, FURTHEST));
        let shrinking = self.analytes[index].slope_old[sex] * (age.clamp(60.0, 95.0) - 60.0);
        if age >= 20.0 {
            return adult + shrinking;
        }
        let median = self.growth.at(age, |row| if patient.female { row.height_female } else { row.height_male });
        let grown = self.growth.at(20.0, |row| if patient.female { row.height_female } else { row.height_male });
        // At twenty the curve meets the adult height.
        let meets = 1.0 + (spread.median / grown - 1.0) * age / 20.0;
        median * meets * (1.0 + 0.9 * (adult / spread.median - 1.0) + 0.1 * (adult / spread.median - 1.0) * age / 20.0)
    }

    fn weight(&self, latent: &Latent, patient: &Patient, attributes: &[Value], age: f64, time: Moment) -> f64 {
        let height = self.height(latent, patient, age) / 100.0;
        let Ok(index) = self.latent_index("BMI") else { return 0.0 };
        if age >= 20.0 {
            return self.analyte_value(index, latent, patient, attributes, age, time) * height * height;
        }
        let standing = latent.person[index].clamp(-FURTHEST, FURTHEST);
        if age < 2.0 {
            let median = self.growth.at(age, |row| if patient.female { row.weight_female } else { row.weight_male });
            return median * (1.0 + 0.08 * standing + 0.05 * self.standing_of("Height", latent)).max(0.6);
        }
        let median = self.growth.at(age, |row| {
            let bmi = if patient.female { row.bmi_female } else { row.bmi_male };
            bmi.unwrap_or(16.5)
        });
        let grown = if patient.female { 21.8 } else { 23.0 };
        let adult = self.analyte_value(index, latent, patient, attributes, 20.0, time);
        // The charts are from leaner years and know less spread: the adult value comes in gradually.
        let share = ((age - 2.0) / 18.0).clamp(0.0, 1.0);
        median * power(adult / grown, 0.15 + 0.85 * share) * height * height
    }
}

/// CKD-EPI 2021 for adults, the bedside Schwartz formula for children.
fn glomerular_filtration(creatinine: f64, age: f64, height: f64, female: bool) -> f64 {
    if age < 18.0 {
        return (0.413 * height / creatinine).min(160.0);
    }
    let (kappa, alpha, factor) = if female { (0.7, -0.241, 1.012) } else { (0.9, -0.302, 1.0) };
    let ratio: f64 = creatinine / kappa;
    142.0 * power(ratio.min(1.0), alpha) * power(ratio.max(1.0), -1.2) * power(0.9938, age) * factor
}

/// Rounds to decimals, so that the number prints short; adding zero turns a negative zero into zero.
pub(crate) fn round(value: f64, decimals: u32) -> f64 {
    let scale = [1.0, 10.0, 100.0, 1000.0, 10000.0][decimals.min(4) as usize];
    (value * scale).round() / scale + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;

    struct Sample {
        signs: VitalSigns,
        attributes: Vec<Value>,
        time: Moment,
    }

    fn sample() -> Sample {
        let mut library = Library::default();
        let signs = VitalSigns::new(&mut library).unwrap();
        let attributes = vec![Value::Nil; library.attributes.len()];
        Sample { signs, attributes, time: crate::moment::midnight(NaiveDate::from_ymd_opt(2025, 6, 1).unwrap()) }
    }

    fn born(years: i32, female: bool) -> Patient {
        let birth = NaiveDate::from_ymd_opt(2025 - years, 6, 1).unwrap();
        Patient { birth, female, ..Patient::default() }
    }

    fn draws(sample: &Sample, name: &str, patient: &Patient, count: u64) -> Vec<f64> {
        let sign = VITAL_SIGNS.iter().position(|sign| *sign == name).unwrap();
        (0..count)
            .map(|index| {
                let latent = sample.signs.latent(3, index);
                sample.signs.value(sign, &latent, patient, &sample.attributes, sample.time)
            })
            .collect()
    }

    fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
        values.sort_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
    }

    fn correlation(first: &[f64], second: &[f64]) -> f64 {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (a, b) = (mean(first), mean(second));
        let product: f64 = first.iter().zip(second).map(|(x, y)| (x - a) * (y - b)).sum();
        let spread = |values: &[f64], mean: f64| values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>().sqrt();
        product / spread(first, a) / spread(second, b)
    }

    #[test]
    fn quartiles_are_the_published_ones() {
        let sample = sample();
        for (name, female, published) in [
            ("Systolic Blood Pressure", false, [117.0, 127.0, 140.0]),
            ("Systolic Blood Pressure", true, [112.0, 123.0, 137.0]),
            ("BMI", true, [25.6, 29.8, 35.6]),
            ("Creatinine", false, [0.84, 0.96, 1.10]),
            ("Diastolic Blood Pressure", false, [71.0, 78.0, 86.0]),
            ("Hemoglobin", false, [14.1, 14.9, 15.7]),
        ] {
            let found = quartiles(draws(&sample, name, &born(55, female), 4000));
            for (found, published) in found.into_iter().zip(published) {
                assert!((found / published - 1.0).abs() < 0.05, "{name}: {found} instead of {published}");
            }
        }
    }

    #[test]
    fn correlations_are_the_published_ones() {
        let sample = sample();
        let man = born(55, false);
        for (first, second, published) in [
            ("HbA1c", "Glucose", 0.82),
            ("Systolic Blood Pressure", "Diastolic Blood Pressure", 0.71),
            ("Urea Nitrogen", "Creatinine", 0.53),
            ("Triglycerides", "HDL", -0.37),
            ("ALT", "AST", 0.85),
            ("Hemoglobin", "Hematocrit", 0.96),
            ("Sodium", "Chloride", 0.68),
            ("Height", "Weight", 0.42),
        ] {
            let found = correlation(&draws(&sample, first, &man, 4000), &draws(&sample, second, &man, 4000));
            assert!((found - published).abs() < 0.10, "{first} ~ {second}: {found} instead of {published}");
        }
    }

    #[test]
    fn children_grow_and_meet_the_adult() {
        let sample = sample();
        let median = |name, years| quartiles(draws(&sample, name, &born(years, true), 1500))[1];
        assert!((median("Height", 5) - 107.9).abs() < 2.5, "{}", median("Height", 5));
        assert!((median("Height", 19) - median("Height", 21)).abs() < 1.5);
        assert!((median("Weight", 1) - 9.5).abs() < 0.6);
        assert!((median("Weight", 19) / median("Weight", 20) - 1.0).abs() < 0.08);
        assert!(median("Systolic Blood Pressure", 6) < 105.0);
    }

    #[test]
    fn treatment_and_disease_move_values() {
        let mut library = Library::default();
        let signs = VitalSigns::new(&mut library).unwrap();
        let sign = VITAL_SIGNS.iter().position(|sign| *sign == "LDL").unwrap();
        let mut attributes = vec![Value::Nil; library.attributes.len()];
        let (patient, latent) = (born(60, true), signs.latent(1, 1));
        let time = crate::moment::midnight(NaiveDate::from_ymd_opt(2025, 6, 1).unwrap());
        let before = signs.value(sign, &latent, &patient, &attributes, time);
        attributes[library.attributes.get("hyperlipidemia_treated").unwrap() as usize] = Value::Bool(true);
        let after = signs.value(sign, &latent, &patient, &attributes, time);
        assert!((after / before - 0.66).abs() < 0.02);
    }
}
