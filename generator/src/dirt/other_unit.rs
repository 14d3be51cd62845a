//! Units that stand where others should.

use serde::Deserialize;

use crate::Error;
use crate::data_table::data_table;

/// What is written in the place of a unit.
#[derive(Debug)]
pub struct OtherUnits {
    rows: Vec<OtherUnit>,
}

#[derive(Debug, Deserialize)]
struct OtherUnit {
    /// The right unit; `*` is any.
    unit: String,
    written: String,
}

impl OtherUnits {
    /// Reads the table.
    pub fn new() -> Result<OtherUnits, Error> {
        Ok(OtherUnits { rows: data_table!("other_unit")? })
    }

    /// The number of something that may be written instead of a unit, chosen by a draw.
    pub fn choose(&self, unit: &str, draw: u64) -> Option<usize> {
        let fits = |of: &str| of == "*" || of == unit;
        let rows: Vec<usize> = (0..self.rows.len()).filter(|row| fits(&self.rows[*row].unit)).collect();
        rows.get((draw % rows.len().max(1) as u64) as usize).copied()
    }

    /// What is written.
    pub fn written(&self, row: usize) -> &str {
        &self.rows[row].written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_can_be_mistaken() {
        let units = OtherUnits::new().unwrap();
        let written = |unit, draw| units.written(units.choose(unit, draw).unwrap());
        assert_eq!([0, 1, 2, 3].map(|draw| written("mg/dL", draw)), ["mmol/L", "mg/100mL", "arb. units", "mmol/L"]);
        assert_eq!(written("{score}", 7), "arb. units");
        assert!(units.rows.iter().all(|row| row.unit != row.written));
    }
}
