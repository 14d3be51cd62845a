//! Analytes: vital signs and laboratory values with a place in the latent vector. Their quartiles, slopes and effects
//! come from the tables in `generator/data`.

use serde::Deserialize;

use super::latent::cholesky;
use crate::Error;
use crate::data_table::data_table;
use crate::module::{Id, Library};
use crate::random::{exp, ln};

/// Upper quartile of the standard normal distribution.
const QUARTILE: f64 = 0.674_489_750_196_081_7;
/// The ages of a child's values.
const CHILD_AGES: [f64; 7] = [0.0, 1.0, 3.0, 6.0, 10.0, 14.0, 18.0];

/// What has a place in the latent vector.
#[derive(Debug)]
pub struct Analyte {
    pub name: String,
    /// By sex, without and with diabetes.
    pub spread: [[Option<Spread>; 2]; 2],
    pub slope_young: [f64; 2],
    pub slope_old: [f64; 2],
    pub spread_young: [f64; 2],
    pub spread_old: [f64; 2],
    pub between: f64,
    pub decimals: u32,
    pub bounds: (f64, f64),
    pub child: Option<[f64; 7]>,
    pub effects: Vec<(Id, Effect)>,
    /// Non-zero entries of its row of the Cholesky factor.
    pub mixture: Vec<(usize, f64)>,
}

/// The quartiles of a population.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub median: f64,
    /// From the median to the first and to the third quartile, on the scale.
    sides: [f64; 2],
    /// The logarithm of the median, where the scale is logarithmic.
    log_median: Option<f64>,
}

/// What disease or treatment does to a value.
#[derive(Debug, Clone, Copy)]
pub enum Effect {
    Add(f64),
    Multiply(f64),
}

#[derive(Debug, Deserialize)]
struct AnalyteRow {
    analyte: String,
    sex: String,
    group: String,
    q1: f64,
    median: f64,
    q3: f64,
    scale: String,
    slope_young: f64,
    slope_old: f64,
    spread_young: f64,
    spread_old: f64,
    between: f64,
    decimals: u32,
    lowest: f64,
    highest: f64,
}

#[derive(Debug, Deserialize)]
struct CorrelationRow {
    first: String,
    second: String,
    r: f64,
}

#[derive(Debug, Deserialize)]
struct ChildRow {
    analyte: String,
    at_0: f64,
    at_1: f64,
    at_3: f64,
    at_6: f64,
    at_10: f64,
    at_14: f64,
    at_18: f64,
}

#[derive(Debug, Deserialize)]
struct EffectRow {
    analyte: String,
    attribute: String,
    operation: String,
    amount: f64,
}

/// Reads the tables.
///
/// # Errors
/// When a table contradicts itself.
pub fn read(library: &mut Library) -> Result<Vec<Analyte>, Error> {
    let rows: Vec<AnalyteRow> = data_table!("analyte")?;
    let mut analytes: Vec<Analyte> = Vec::new();
    for row in &rows {
        let sex = usize::from(row.sex == "F");
        if analytes.last().is_none_or(|analyte| analyte.name != row.analyte) {
            analytes.push(Analyte::new(row));
        }
        if let Some(analyte) = analytes.last_mut() {
            let spread = Spread::new([row.q1, row.median, row.q3], row.scale == "log");
            analyte.spread[sex][usize::from(row.group == "diabetes")] = Some(spread);
            if row.group == "all" {
                analyte.slope_young[sex] = row.slope_young;
                analyte.slope_old[sex] = row.slope_old;
                analyte.spread_young[sex] = row.spread_young;
                analyte.spread_old[sex] = row.spread_old;
            }
        }
    }
    read_children(&mut analytes)?;
    read_effects(&mut analytes, library)?;
    read_correlations(&mut analytes)?;
    Ok(analytes)
}

fn read_children(analytes: &mut [Analyte]) -> Result<(), Error> {
    let rows: Vec<ChildRow> = data_table!("child")?;
    for row in rows {
        let index = index_of(analytes, &row.analyte)?;
        analytes[index].child = Some([row.at_0, row.at_1, row.at_3, row.at_6, row.at_10, row.at_14, row.at_18]);
    }
    Ok(())
}

fn read_effects(analytes: &mut [Analyte], library: &mut Library) -> Result<(), Error> {
    let rows: Vec<EffectRow> = data_table!("effect")?;
    for row in rows {
        let effect = match row.operation.as_str() {
            "add" => Effect::Add(row.amount),
            "multiply" => Effect::Multiply(row.amount),
            other => {
                return Err(Error::Data { table: "effect", message: format!("`{other}` is no operation") });
            }
        };
        let index = index_of(analytes, &row.analyte)?;
        analytes[index].effects.push((library.attributes.intern(&row.attribute), effect));
    }
    Ok(())
}

fn read_correlations(analytes: &mut [Analyte]) -> Result<(), Error> {
    let rows: Vec<CorrelationRow> = data_table!("correlation")?;
    let count = analytes.len();
    let mut matrix = vec![vec![0.0; count]; count];
    for (index, row) in matrix.iter_mut().enumerate() {
        row[index] = 1.0;
    }
    for row in rows {
        let (first, second) = (index_of(analytes, &row.first)?, index_of(analytes, &row.second)?);
        matrix[first][second] = row.r;
        matrix[second][first] = row.r;
    }
    for (index, row) in cholesky(&matrix)?.into_iter().enumerate() {
        analytes[index].mixture = row.into_iter().enumerate().filter(|(_, weight)| weight.abs() > 1e-12).collect();
    }
    Ok(())
}

/// Place of an analyte in the latent vector.
///
/// # Errors
/// There is no such analyte.
pub fn index_of(analytes: &[Analyte], name: &str) -> Result<usize, Error> {
    analytes
        .iter()
        .position(|analyte| analyte.name == name)
        .ok_or_else(|| Error::Data { table: "analyte", message: format!("there is no analyte `{name}`") })
}

impl Analyte {
    fn new(row: &AnalyteRow) -> Analyte {
        Analyte {
            name: row.analyte.clone(),
            spread: [[None; 2]; 2],
            slope_young: [0.0; 2],
            slope_old: [0.0; 2],
            spread_young: [0.0; 2],
            spread_old: [0.0; 2],
            between: row.between,
            decimals: row.decimals,
            bounds: (row.lowest, row.highest),
            child: None,
            effects: Vec::new(),
            mixture: Vec::new(),
        }
    }

    /// A child's median at an age, where the analyte has some of its own.
    pub fn of_child(&self, age: f64) -> Option<f64> {
        self.child.as_ref().map(|values| interpolate(&CHILD_AGES, values, age))
    }
}

impl Spread {
    fn new([q1, median, q3]: [f64; 3], is_logarithmic: bool) -> Spread {
        let side = |quartile: f64| if is_logarithmic { ln(quartile / median) } else { quartile - median };
        Spread { median, sides: [side(q1), side(q3)], log_median: is_logarithmic.then(|| ln(median)) }
    }

    /// The value of one who stands so many standard deviations from the median.
    pub fn value(self, standing: f64) -> f64 {
        let side = self.sides[usize::from(standing >= 0.0)];
        let share = standing.abs() / QUARTILE;
        match self.log_median {
            Some(median) => exp(median + side * share),
            None => self.median + side * share,
        }
    }
}

fn interpolate(ages: &[f64; 7], values: &[f64; 7], age: f64) -> f64 {
    let above = ages.partition_point(|known| *known <= age);
    if above == 0 || above == ages.len() {
        return values[above.saturating_sub(1).min(6)];
    }
    let share = (age - ages[above - 1]) / (ages[above] - ages[above - 1]);
    values[above - 1] + (values[above] - values[above - 1]) * share
}
