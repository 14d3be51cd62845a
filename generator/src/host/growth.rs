//! Growth charts: medians of children by age.

use serde::Deserialize;

use crate::Error;
use crate::data_table::data_table;

/// One age of the charts.
#[derive(Debug, Deserialize)]
pub struct Growth {
    pub age: f64,
    pub height_male: f64,
    pub height_female: f64,
    pub weight_male: f64,
    pub weight_female: f64,
    pub bmi_male: Option<f64>,
    pub bmi_female: Option<f64>,
    pub head_male: f64,
    pub head_female: f64,
}

/// The charts.
#[derive(Debug)]
pub struct GrowthChart {
    rows: Vec<Growth>,
}

impl GrowthChart {
    /// Reads the table.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new() -> Result<GrowthChart, Error> {
        Ok(GrowthChart { rows: data_table!("growth")? })
    }

    /// A column at an age in years, between the ages of the table.
    pub fn at(&self, age: f64, value: impl Fn(&Growth) -> f64) -> f64 {
        let above = self.rows.partition_point(|row| row.age <= age);
        if above == 0 || above == self.rows.len() {
            return self.rows.get(above.saturating_sub(1)).map_or(0.0, value);
        }
        let (low, high) = (&self.rows[above - 1], &self.rows[above]);
        value(low) + (value(high) - value(low)) * (age - low.age) / (high.age - low.age)
    }
}
