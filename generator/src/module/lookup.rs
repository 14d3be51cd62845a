//! Lookup tables: the chances of a transition by age, time, sex and attributes, from comma-separated files.
//!
//! The last columns bear the names of the states that the transition leads to, the ones before are keys.

use super::Id;
use super::bind::Binder;
use super::field::Fields;
use crate::Error;
use crate::moment::{DAY, Moment, midnight};

/// A transition by a lookup table.
#[derive(Debug)]
pub struct Lookup {
    /// What the key columns ask for.
    pub keys: Vec<Key>,
    /// The rows of the file.
    pub rows: Vec<Row>,
    /// The states, in the order of the transition.
    pub targets: Vec<usize>,
    /// The chance of each where no row fits.
    pub defaults: Vec<f64>,
}

/// What a key column asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key {
    /// Completed years, a range.
    Age,
    /// The moment, a range.
    Time,
    /// `M` or `F`.
    Gender,
    /// The race's word.
    Race,
    /// `hispanic` or `nonhispanic`.
    Ethnicity,
    /// The name of the state lived in.
    State,
    /// Any other attribute.
    Attribute(Id),
}

/// One row.
#[derive(Debug)]
pub struct Row {
    /// One cell per key.
    pub cells: Vec<Cell>,
    /// The chance of each target.
    pub shares: Vec<f64>,
}

/// What a person must have for a row to fit.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Between these, limits included.
    Range(i64, i64),
    /// That text; a number or a boolean fits when it is written so.
    Text(Box<str>),
}

impl Cell {
    /// True when a number fits, however the file writes it.
    pub fn is_number(&self, number: f64) -> bool {
        matches!(self, Cell::Text(text) if text.parse::<f64>().is_ok_and(|cell| cell == number))
    }
}

impl Binder<'_> {
    /// Reads a `lookup_table_transition` and its table.
    pub(super) fn read_lookup(&mut self, fields: &Fields<'_>) -> Result<Lookup, Error> {
        let options = fields.objects("lookup_table_transition")?;
        let mut names = Vec::with_capacity(options.len());
        let (mut targets, mut defaults) = (Vec::new(), Vec::new());
        let mut table: Option<&str> = None;
        for option in &options {
            let name = option.need("transition", option.text("transition")?)?;
            targets.push(self.target(option, "transition", name)?);
            names.push(name);
            defaults.push(option.need("default_probability", option.probability("default_probability")?)?);
            let file = option.need("lookup_table_name", option.text("lookup_table_name")?)?;
            if table.is_some_and(|table| table != file) {
                let message = format!("`{file}` differs from the table of the first option, expected one table");
                return Err(option.error("lookup_table_name", message));
            }
            table = Some(file);
            option.finish()?;
        }
        let file = fields.need("lookup_table_transition", table)?;
        let place = |message: String| fields.error("lookup_table_transition[0].lookup_table_name", message);
        self.needs.lookup_tables.insert(file.into());
        let Some(bytes) = self.lookup_tables.get(file) else {
            return Err(place(format!("there is no file `{file}` in the folder lookup_tables")));
        };
        let table = Table { file, names: &names };
        let (keys, rows) = table.read(bytes, self).map_err(place)?;
        Ok(Lookup { keys, rows, targets, defaults })
    }
}

struct Table<'a> {
    file: &'a str,
    names: &'a [&'a str],
}

impl Table<'_> {
    fn read(&self, bytes: &[u8], binder: &mut Binder<'_>) -> Result<(Vec<Key>, Vec<Row>), String> {
        let file = self.file;
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        let header = reader.headers().map_err(|error| format!("`{file}` is no table: {error}"))?.clone();
        let count = header.len().checked_sub(self.names.len()).filter(|keys| *keys > 0);
        let Some(count) = count else {
            let message = format!(
                "`{file}` has {} columns, expected at least one key and {} states",
                header.len(),
                self.names.len()
            );
            return Err(message);
        };
        let keys: Vec<Key> = header.iter().take(count).map(|column| key(column, binder)).collect();
        let mut places = Vec::with_capacity(self.names.len());
        for name in self.names {
            match header.iter().skip(count).position(|column| column == *name) {
                Some(place) => places.push(count + place),
                None => {
                    let columns: Vec<&str> = header.iter().skip(count).collect();
                    return Err(format!("`{file}` has no column `{name}`, its last ones are {}", columns.join(", ")));
                }
            }
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| format!("`{file}` is no table: {error}"))?;
            let line = record.position().map_or(0, csv::Position::line);
            let wrong = |text: &str, expected: &str| format!("`{file}`, line {line}: `{text}` is no {expected}");
            let mut cells = Vec::with_capacity(count);
            for (key, text) in keys.iter().zip(record.iter()) {
                cells.push(match key {
                    Key::Age => age_range(text).ok_or_else(|| wrong(text, "range of ages, expected low-high"))?,
                    Key::Time => time_range(text).ok_or_else(|| {
                        wrong(text, "range of time, expected milliseconds-milliseconds or YYYY-MM-DD-YYYY-MM-DD")
                    })?,
                    _ => Cell::Text(text.into()),
                });
            }
            let share = |place: &usize| {
                let text = record.get(*place).unwrap_or("");
                let share = text.parse::<f64>().ok().filter(|share| (0.0..=1e6).contains(share));
                share.ok_or_else(|| wrong(text, "probability"))
            };
            rows.push(Row { cells, shares: places.iter().map(share).collect::<Result<_, _>>()? });
        }
        if rows.is_empty() { Err(format!("`{file}` has no rows")) } else { Ok((keys, rows)) }
    }
}

fn key(column: &str, binder: &mut Binder<'_>) -> Key {
    match column {
        "age" => Key::Age,
        "time" => Key::Time,
        "gender" => Key::Gender,
        "race" => Key::Race,
        "ethnicity" => Key::Ethnicity,
        "state" => Key::State,
        other => Key::Attribute(binder.read_attribute(other)),
    }
}

fn age_range(text: &str) -> Option<Cell> {
    let (low, high) = text.split_once('-')?;
    let (low, high) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    (low <= high).then_some(Cell::Range(low, high))
}

fn time_range(text: &str) -> Option<Cell> {
    // Two days of ten characters each, and a hyphen between them.
    let days = (text.len() == 21 && text.is_ascii() && text.as_bytes()[10] == b'-').then(|| (&text[..10], &text[11..]));
    let (low, high) = match days {
        Some((low, high)) => {
            let day = |text: &str| text.parse::<chrono::NaiveDate>().ok().map(midnight);
            (day(low)?, day(high)? + DAY - 1)
        }
        None => {
            let (low, high) = text.split_once('-')?;
            (low.trim().parse::<Moment>().ok()?, high.trim().parse::<Moment>().ok()?)
        }
    };
    (low <= high).then_some(Cell::Range(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_both_styles() {
        assert_eq!(age_range("18-25"), Some(Cell::Range(18, 25)));
        assert_eq!(age_range("25"), None);
        assert_eq!(age_range("30-20"), None);
        assert_eq!(time_range("0-536457600922"), Some(Cell::Range(0, 536_457_600_922)));
        assert_eq!(time_range("1970-01-02-1970-01-03"), Some(Cell::Range(DAY, 3 * DAY - 1)));
        assert_eq!(time_range("1970-13-02-1970-01-03"), None);
    }

    #[test]
    fn a_number_fits_however_it_is_written() {
        assert!(Cell::Text("1".into()).is_number(1.0) && Cell::Text("1.0".into()).is_number(1.0));
        assert!(!Cell::Text("one".into()).is_number(1.0) && !Cell::Range(1, 1).is_number(1.0));
    }
}
