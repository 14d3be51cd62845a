//! What a population has where a target is published.

use super::people::{PRESSURE, People, Person};
use super::target::{Band, Measure, Target};

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    /// The figure; nothing when it is about nobody.
    pub value: Option<f64>,
    /// Its sampling error.
    pub error: Option<f64>,
    /// People that it rests on.
    pub people: usize,
}

/// Measures a target.
pub fn measure(people: &People, target: &Target) -> Found {
    let share = |test: &dyn Fn(&Person) -> Option<bool>| {
        share(people.of(target).filter_map(|person| Some((person.age, test(person)?))), &target.bands)
    };
    match target.measure {
        Measure::Condition | Measure::Drug => share(&|person| Some(person.has(target.codes()))),
        Measure::ValueShare => share(&|person| {
            let value = person.value_of(target.codes())?;
            Some(target.low.is_none_or(|low| value >= low) && target.high.is_none_or(|high| value < high))
        }),
        Measure::Coded => share(&|person| {
            let (_, answer) = person.answers.get(target.codes().next()?)?;
            Some(target.others().any(|code| code == answer))
        }),
        Measure::Hypertension => share(&|person| hypertensive(person, target)),
        Measure::HypertensionTreated => {
            share(&|person| hypertensive(person, target)?.then(|| person.has(target.others())))
        }
        Measure::HypertensionControlled => {
            share(&|person| Some(!high(person, target)?).filter(|_| hypertensive(person, target) == Some(true)))
        }
        Measure::PressureBelow => share(&|person| Some(!high(person, target)?).filter(|_| person.has(target.codes()))),
        Measure::Diabetes => share(&|person| {
            let measured: Vec<Option<bool>> = target
                .others()
                .zip([target.low, target.high])
                .map(|(code, limit)| Some(person.value(code)? >= limit?))
                .collect();
            let known = measured.iter().flatten().copied().reduce(|one, other| one || other);
            if person.has(target.codes()) { Some(true) } else { known }
        }),
        Measure::ValueMean => {
            let values = values(people, target);
            let mean = super::mean(&values);
            Found {
                value: mean,
                error: mean.map(|mean| deviation(&values, mean) / root(values.len())),
                people: values.len(),
            }
        }
        Measure::ValueMedian => {
            let values = values(people, target);
            let mean = super::mean(&values);
            // The error of a median is about a quarter larger than that of a mean.
            let error = mean.map(|mean| 1.253 * deviation(&values, mean) / root(values.len()));
            Found { value: quantile(&values, 0.5), error, people: values.len() }
        }
        Measure::Correlation => Found::default(),
    }
}

/// The latest values of the target's observation, in order.
pub fn values(people: &People, target: &Target) -> Vec<f64> {
    let of = |person: &Person| person.value_of(target.codes());
    let mut values: Vec<f64> = people.of(target).filter_map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The latest values of two observations of those who have both.
pub fn pairs(people: &People, target: &Target) -> Vec<(f64, f64)> {
    let both = |person: &Person| Some((person.value_of(target.codes())?, person.value_of(target.others())?));
    people.of(target).filter_map(both).collect()
}

/// A pressure from either limit on.
fn high(person: &Person, target: &Target) -> Option<bool> {
    let [systolic, diastolic] = PRESSURE.map(|code| person.value(code));
    Some(systolic? >= target.low? || diastolic? >= target.high?)
}

/// A high pressure, or a drug against it.
fn hypertensive(person: &Person, target: &Target) -> Option<bool> {
    Some(high(person, target)? || (person.has(target.codes()) && person.has(target.others())))
}

/// A share in percent of those who answered, by age: each band counts for what it is in the standard population. A band
/// in which nobody did takes no part.
fn share(answers: impl Iterator<Item = (i32, bool)>, bands: &[Band]) -> Found {
    let mut counts = vec![(0, 0); bands.len()];
    for (age, answer) in answers {
        let Some(band) = bands.iter().rposition(|band| band.from <= age) else { continue };
        counts[band].0 += usize::from(answer);
        counts[band].1 += 1;
    }
    let asked = || bands.iter().zip(&counts).filter(|(_, (_, people))| *people > 0);
    let people = counts.iter().map(|(_, people)| people).sum();
    let total: f64 = asked().map(|(band, _)| band.weight).sum();
    if people == 0 {
        return Found::default();
    }
    let (mut value, mut variance) = (0.0, 0.0);
    for (band, (yes, people)) in asked() {
        let (weight, share) = (band.weight / total, 100.0 * *yes as f64 / *people as f64);
        value += weight * share;
        variance += weight * weight * share * (100.0 - share) / *people as f64;
    }
    Found { value: Some(value), error: Some(variance.sqrt()), people }
}

fn root(count: usize) -> f64 {
    (count as f64).sqrt()
}

fn deviation(values: &[f64], mean: f64) -> f64 {
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / values.len() as f64).sqrt()
}

/// The value below which that share of ordered values lies, between two values where need be.
pub fn quantile(ordered: &[f64], share: f64) -> Option<f64> {
    let place = share * ordered.len().checked_sub(1)? as f64;
    let (below, above) = (ordered[place.floor() as usize], ordered[place.ceil() as usize]);
    Some(below + (above - below) * place.fract())
}

/// Pearson's correlation; nothing for fewer than three pairs, or where nothing varies.
pub fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let count = pairs.len() as f64;
    let sum = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
    let (x, y) = (sum(&|pair| pair.0) / count, sum(&|pair| pair.1) / count);
    let xx = sum(&|pair| (pair.0 - x).powi(2));
    let yy = sum(&|pair| (pair.1 - y).powi(2));
    let xy = sum(&|pair| (pair.0 - x) * (pair.1 - y));
    (pairs.len() >= 3 && xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}
