//! The population as a whole against public figures, with wide margins: a change that makes the people strange fails here,
//! fine tuning does not.

use std::collections::BTreeMap;

use crate::Options;
use crate::engine::simulate;
use crate::module::built_in;
use crate::moment::{DAY, age_years, midnight};
use crate::record::{ObservationValue, Record};
use crate::world::World;

const PEOPLE: u64 = 700;

struct Sample {
    world: World,
    living: Vec<Record>,
}

fn sample() -> Sample {
    let options = Options { patients: PEOPLE, seed: 3, ..Options::default() };
    let world = World::new(&options, &built_in()).unwrap();
    let all: Vec<Record> = (0..PEOPLE).map(|index| simulate(&world, index).unwrap().record).collect();
    Sample { world, living: all.into_iter().filter(|record| record.patient.death.is_none()).collect() }
}

impl Sample {
    fn adults(&self) -> impl Iterator<Item = &Record> {
        let end = midnight(self.world.options.end_date);
        self.living.iter().filter(move |record| age_years(record.patient.birth, end) >= 18)
    }

    /// Share of adults with an active condition of one of these codes.
    fn with_condition(&self, codes: &[&str]) -> f64 {
        let has = |record: &&Record| {
            record.conditions.iter().any(|condition| {
                condition.abatement.is_none()
                    && codes.contains(&self.world.library.codes.first(condition.codes).code.as_str())
            })
        };
        self.adults().filter(has).count() as f64 / self.adults().count() as f64
    }

    /// Latest value of an observation of each adult.
    fn latest(&self, code: &str) -> Vec<f64> {
        let of = |record: &Record| {
            record.observations.iter().rev().find_map(|observation| match &observation.value {
                ObservationValue::Quantity(value, _)
                    if self.world.library.codes.first(observation.codes).code == code =>
                {
                    Some(*value)
                }
                _ => None,
            })
        };
        self.adults().filter_map(of).collect()
    }
}

#[test]
fn adults_look_like_adults() {
    let sample = sample();
    let mut figures: BTreeMap<&str, (f64, f64, f64)> = BTreeMap::new();
    figures.insert("hypertension, recorded", (sample.with_condition(&["59621000", "38341003"]), 0.18, 0.42));
    figures.insert("diabetes, recorded", (sample.with_condition(&["44054006"]), 0.05, 0.17));
    let bmi = sample.latest("39156-5");
    let above = |limit: f64| bmi.iter().filter(|bmi| **bmi >= limit).count() as f64 / bmi.len() as f64;
    figures.insert("obesity, measured", (above(30.0), 0.33, 0.50));
    figures.insert("severe obesity, measured", (above(40.0), 0.04, 0.15));
    let end = midnight(sample.world.options.end_date);
    let year = end - 5 * 365 * DAY;
    let visits: usize = sample
        .adults()
        .map(|record| record.encounters.iter().filter(|encounter| encounter.start >= year).count())
        .sum();
    figures.insert("visits per adult and year", (visits as f64 / sample.adults().count() as f64 / 5.0, 1.0, 6.0));
    for (name, (found, low, high)) in &figures {
        println!("{name}: {found:.3}");
        assert!((low..=high).contains(&found), "{name}: {found}, expected {low} to {high}");
    }
}

#[test]
fn no_value_is_a_negative_zero() {
    let options = Options { patients: 60, seed: 5, ..Options::default() };
    let world = World::new(&options, &built_in()).unwrap();
    let mut zeros = 0;
    for index in 0..options.patients {
        for observation in simulate(&world, index).unwrap().record.observations {
            let own = std::iter::once(&observation.value);
            for value in own.chain(observation.components.iter().map(|(_, value)| value)) {
                if let ObservationValue::Quantity(number, _) = value
                    && *number == 0.0
                {
                    assert!(number.is_sign_positive(), "{:?}", world.library.codes.first(observation.codes));
                    zeros += 1;
                }
            }
        }
    }
    assert!(zeros > 10, "{zeros}");
}
