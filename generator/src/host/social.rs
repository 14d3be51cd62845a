//! What modules ask about somebody's circumstances. Each answer is a function of (seed, patient) and of income,
//! schooling and age; shares are rounded from public statistics of the United States.

use crate::population::Life;
use crate::random::{stream_key, unit_at};
use crate::record::Patient;

/// Poverty line of a household of two and a half, in dollars (HHS poverty guidelines 2023).
const POVERTY_LINE: f64 = 22_290.0;

/// Circumstances of one person that do not change.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// Income by the poverty line.
    pub poverty_ratio: f64,
    /// Blood group without the Rhesus factor D.
    pub rhesus_negative: bool,
    /// As a survey names it.
    pub sexual_orientation: &'static str,
    /// `US`, or `other`.
    pub birth_country: &'static str,
    /// Food was short for want of money within the year.
    pub food_insecurity: bool,
    /// The household has no car.
    pub no_vehicle_access: bool,
    /// More than half of the income goes into housing.
    pub severe_housing_cost_burden: bool,
    /// Keeps to a programme for losing weight.
    pub weight_loss_adherence: bool,
    insurance_rank: f64,
    employment: u64,
}

/// A number in [0, 1) that belongs to a person and a question.
fn rank(patient: &Patient, question: &str) -> f64 {
    unit_at(stream_key(patient.seed, patient.index, question), 0)
}

impl Circumstances {
    /// The circumstances of a person; `race` is the word of the first race.
    pub fn new(patient: &Patient, life: &Life, race: &str) -> Circumstances {
        let poverty_ratio = life.income / POVERTY_LINE;
        let below = |question: &str, share: f64| rank(patient, question) < share;
        let poor = |below_line: f64, near_line: f64, above: f64| match poverty_ratio {
            ratio if ratio < 1.0 => below_line,
            ratio if ratio < 1.85 => near_line,
            _ => above,
        };
        // American Red Cross, blood types by group: Rhesus-negative 18, 7, 7 and 2 %.
        let rhesus = match race {
            _ if patient.hispanic => 0.07,
            "black" => 0.07,
            "asian" => 0.02,
            _ => 0.18,
        };
        // Gallup, 2022: 7.2 % of adults do not call themselves heterosexual, 58 % of them bisexual.
        let sexual_orientation = match rank(patient, "sexual orientation") {
            share if share < 0.928 => "heterosexual",
            share if share < 0.970 => "bisexual",
            _ => "homosexual",
        };
        // American Community Survey, 2022: 13.9 % were born abroad, about a third of the Hispanic and three fifths of
        // the Asian population.
        let abroad = match race {
            _ if patient.hispanic => 0.32,
            "asian" => 0.60,
            _ => 0.06,
        };
        Circumstances {
            poverty_ratio: (poverty_ratio * 100.0).round() / 100.0,
            rhesus_negative: below("rhesus", rhesus),
            sexual_orientation,
            birth_country: if below("birth country", abroad) { "other" } else { "US" },
            // USDA, Household Food Security 2022: 12.8 % of households, 37 % below the poverty line.
            food_insecurity: below("food", poor(0.37, 0.27, 0.065)),
            // American Community Survey, 2022: 8 % of households.
            no_vehicle_access: below("vehicle", poor(0.22, 0.12, 0.045)),
            // Joint Center for Housing Studies of Harvard University, 2024: 16 % of households, most of them poor.
            severe_housing_cost_burden: below("housing", poor(0.75, 0.45, 0.07)),
            // WHO, Adherence to long-term therapies, 2003: about a half.
            weight_loss_adherence: below("adherence", 0.5),
            insurance_rank: rank(patient, "insurance"),
            employment: stream_key(patient.seed, patient.index, "employment"),
        }
    }

    /// Who pays: `medicare`, `medicaid`, `private` or `none`. US Census Bureau, P60-281 (2022): 8 % of all have no
    /// insurance, 19 % Medicaid; from 65 on nearly all have Medicare.
    pub fn insurance_status(&self, age: i32) -> &'static str {
        let (medicaid, none) = match (age, self.poverty_ratio) {
            (65.., _) => return "medicare",
            (..19, ratio) if ratio < 2.5 => (0.70, 0.06),
            (..19, _) => (0.08, 0.04),
            (_, ratio) if ratio < 1.38 => (0.50, 0.20),
            (_, ratio) if ratio < 3.0 => (0.13, 0.16),
            _ => (0.03, 0.06),
        };
        match self.insurance_rank {
            rank if rank < medicaid => "medicaid",
            rank if rank < medicaid + none => "none",
            _ => "private",
        }
    }

    /// Looking for work in that year of life. Bureau of Labor Statistics, 2022, by schooling.
    pub fn unemployed(&self, age: i32, education: &str) -> bool {
        let share = match education {
            "less_than_hs" => 0.055,
            "hs_degree" => 0.040,
            "some_college" => 0.033,
            _ => 0.022,
        };
        (18..65).contains(&age) && unit_at(self.employment, age as u64) < share
    }
}

/// The yearly chance of an injury by a fall from 65 on: 10 % in all (MMWR 69(27), 2020), spread over the ages by us.
pub fn fall_injury(age: i32) -> Option<f64> {
    match age {
        ..65 => None,
        65..75 => Some(0.09),
        75..85 => Some(0.10),
        _ => Some(0.14),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::population::Population;

    #[test]
    fn shares_are_the_published_ones() {
        let options = Options::default();
        let population = Population::new(&options).unwrap();
        let people: Vec<Circumstances> = (0..8000)
            .map(|index| {
                let (patient, life) = population.person(&options, index);
                let race = patient.races.first().map_or("", |row| population.races[*row].word.as_str());
                Circumstances::new(&patient, &life, race)
            })
            .collect();
        let share = |has: &dyn Fn(&Circumstances) -> bool| {
            people.iter().filter(|person| has(person)).count() as f64 / people.len() as f64
        };
        for (found, published) in [
            (share(&|person| person.rhesus_negative), 0.15),
            (share(&|person| person.birth_country != "US"), 0.139),
            (share(&|person| person.food_insecurity), 0.128),
            (share(&|person| person.no_vehicle_access), 0.08),
            (share(&|person| person.severe_housing_cost_burden), 0.16),
            (share(&|person| person.insurance_status(40) == "none"), 0.10),
            (share(&|person| person.insurance_status(40) == "medicaid"), 0.14),
            (share(&|person| person.unemployed(40, "hs_degree")), 0.040),
        ] {
            assert!((found - published).abs() < 0.04, "{found} instead of {published}");
        }
    }
}
