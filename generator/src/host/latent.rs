//! Where a person stands among others, and how a week deviates from that: correlated normal numbers, in standard
//! deviations.

use std::cell::Cell;

use crate::Error;
use crate::random::normal_at;

/// Correlation of a deviation with that of the week before, and how many weeks are remembered.
const WEEK_TO_WEEK: f64 = 0.6;
const WEEKS: i64 = 8;

/// Where one person stands.
#[derive(Clone, Debug)]
pub struct Latent {
    pub person: Vec<f64>,
    noise: Vec<Noise>,
    pub pain: u64,
    /// How strongly the heart ejects.
    pub ejection: f64,
}

/// Independent deviations of the weeks.
#[derive(Clone, Debug)]
struct Noise {
    key: u64,
    /// The latest week that was asked for, and its deviation: what is measured at a visit asks for the same again.
    latest: Cell<Option<(i64, f64)>>,
}

impl Latent {
    /// The standing of a person; `noise` has a key per analyte.
    pub fn new(person: Vec<f64>, noise: impl Iterator<Item = u64>, pain: u64, ejection: f64) -> Latent {
        let noise = noise.map(|key| Noise { key, latest: Cell::new(None) }).collect();
        Latent { person, noise, pain, ejection }
    }

    /// The person's standing in an analyte, in standard deviations.
    pub fn person(&self, analyte: usize) -> f64 {
        self.person[analyte]
    }

    /// How a week deviates from the person's usual value, for a mixture of independent numbers.
    pub fn deviation(&self, mixture: &[(usize, f64)], week: i64) -> f64 {
        mixture.iter().map(|(column, share)| share * self.noise[*column].of(week)).sum()
    }
}

impl Noise {
    fn of(&self, week: i64) -> f64 {
        match self.latest.get() {
            Some((known, deviation)) if known == week => deviation,
            _ => {
                let deviation = autoregressive(self.key, week);
                self.latest.set(Some((week, deviation)));
                deviation
            }
        }
    }
}

/// An autoregressive process of unit variance at a week, without having to run through the weeks before.
fn autoregressive(key: u64, week: i64) -> f64 {
    let (mut sum, mut squares, mut weight) = (0.0, 0.0, 1.0);
    for back in 0..WEEKS {
        sum += weight * normal_at(key, (week - back) as u64);
        squares += weight * weight;
        weight *= WEEK_TO_WEEK;
    }
    sum / squares.sqrt()
}

/// The factor by which independent numbers become ones with these correlations.
///
/// # Errors
/// The correlations contradict each other.
pub fn cholesky(matrix: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Error> {
    let count = matrix.len();
    let mut factor = vec![vec![0.0; count]; count];
    for row in 0..count {
        for column in 0..=row {
            let sum: f64 = (0..column).map(|inner| factor[row][inner] * factor[column][inner]).sum();
            if row == column {
                let rest = matrix[row][row] - sum;
                if rest <= 0.0 {
                    let message = "the correlations contradict each other".into();
                    return Err(Error::Data { table: "correlation", message });
                }
                factor[row][row] = rest.sqrt();
            } else {
                factor[row][column] = (matrix[row][column] - sum) / factor[column][column];
            }
        }
    }
    Ok(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::bits_at;

    #[test]
    fn weeks_resemble_each_other() {
        let pairs: Vec<(f64, f64)> = (0..20_000)
            .map(|key| (autoregressive(bits_at(key, 0), 100), autoregressive(bits_at(key, 0), 101)))
            .collect();
        let mean_product = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
        assert!((mean_product(|(first, second)| first * second) - WEEK_TO_WEEK).abs() < 0.03);
        assert!((mean_product(|(first, _)| first * first) - 1.0).abs() < 0.03);
    }
}
