//! From the fields of a line to the columns of a batch. A line is taken as a whole or not at all.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Builder, Float64Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::SchemaRef;
use chrono::NaiveDate;
use model::omop::{Column, ColumnType, Table};

use crate::Result;

const BATCH_ROWS: usize = 32 << 10;
/// So much of a wrong value is shown.
const SHOWN: usize = 40;

/// Why a line could not be taken.
#[derive(Debug)]
pub struct Wrong {
    pub column: Option<&'static str>,
    pub expected: Cow<'static, str>,
}

/// Rows on their way to a batch.
pub struct Rows {
    schema: SchemaRef,
    columns: Vec<Cells>,
    width: usize,
    /// The values of the line at hand.
    line: Vec<Value>,
    count: usize,
}

struct Cells {
    column: &'static Column,
    place: Option<usize>,
    builder: Builder,
}

enum Builder {
    Integer(Int32Builder),
    Key(Int64Builder),
    Float(Float64Builder),
    Date(Date32Builder),
    Text(StringBuilder),
}

/// A value that fits its column; text stays where it is.
#[derive(Clone, Copy)]
enum Value {
    Null,
    Number(i64),
    Float(f64),
    Text,
}

impl Rows {
    /// No rows yet of a table whose columns have these places among the fields of a line.
    pub fn new(table: &'static Table, places: &[Option<usize>], width: usize) -> Rows {
        let cells = table.columns.iter().zip(places);
        let columns = cells
            .map(|(column, place)| Cells { column, place: *place, builder: Builder::new(column.data_type) })
            .collect();
        Rows { schema: table.schema(), columns, width, line: Vec::new(), count: 0 }
    }

    /// Adds a line. `is_text` says that all of it is known to be UTF-8.
    pub fn push(&mut self, fields: &[&[u8]], is_text: bool) -> std::result::Result<(), Wrong> {
        if fields.len() != self.width {
            let expected = format!("{} columns, found {}", self.width, fields.len()).into();
            return Err(Wrong { column: None, expected });
        }
        self.line.clear();
        for cells in &self.columns {
            let field = cells.field(fields);
            let value = value(cells.column, field, is_text);
            self.line.push(value.map_err(|expected| cells.wrong(field, expected))?);
        }
        for (cells, value) in self.columns.iter_mut().zip(&self.line) {
            let field = cells.place.and_then(|place| fields.get(place)).copied().unwrap_or_default();
            cells.builder.push(*value, field);
        }
        self.count += 1;
        Ok(())
    }

    /// True when it is time to flush.
    pub fn is_full(&self) -> bool {
        self.count >= BATCH_ROWS
    }

    /// Hands the rows over, if there are any.
    ///
    /// # Errors
    /// The receiver's.
    pub fn flush(&mut self, mut each: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        if std::mem::take(&mut self.count) == 0 {
            return Ok(());
        }
        let columns = self.columns.iter_mut().map(|cells| cells.builder.finish()).collect();
        each(&RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

impl Cells {
    fn field<'f>(&self, fields: &[&'f [u8]]) -> &'f [u8] {
        self.place.and_then(|place| fields.get(place)).copied().unwrap_or_default()
    }

    fn wrong(&self, field: &[u8], expected: &'static str) -> Wrong {
        let shown: String = String::from_utf8_lossy(field).chars().take(SHOWN).collect();
        let expected = match shown.trim() {
            "" => expected.into(),
            _ if expected == NOT_UTF8 => expected.into(),
            shown => format!("{expected}, found `{shown}`").into(),
        };
        Wrong { column: Some(self.column.name), expected }
    }
}

const NOT_UTF8: &str = "valid UTF-8";

/// Reads a field; the error says what was expected.
fn value(column: &Column, field: &[u8], is_text: bool) -> std::result::Result<Value, &'static str> {
    if field.is_empty() && !column.required {
        return Ok(Value::Null);
    }
    if matches!(column.data_type, ColumnType::Varchar(_) | ColumnType::Text) {
        let is_text = is_text || std::str::from_utf8(field).is_ok();
        return if is_text { Ok(Value::Text) } else { Err(NOT_UTF8) };
    }
    let field = field.trim_ascii();
    if field.is_empty() {
        return if column.required { Err("a value") } else { Ok(Value::Null) };
    }
    match column.data_type {
        ColumnType::Integer => {
            let number = number(field).ok_or("a whole number")?;
            i32::try_from(number).map(|_| Value::Number(number)).map_err(|_| "a whole number of 32 bits")
        }
        ColumnType::Key => number(field).map(Value::Number).ok_or("a whole number"),
        ColumnType::Float => {
            let text = std::str::from_utf8(field).map_err(|_| NOT_UTF8)?;
            text.parse().map(Value::Float).map_err(|_| "a number")
        }
        _ => day(field).map(Value::Number).ok_or("a date such as 19700101 or 1970-01-01"),
    }
}

fn number(field: &[u8]) -> Option<i64> {
    let (negative, digits) = match field.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, field),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut number = 0;
    for digit in digits {
        number = number * 10 + i64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    Some(if negative { -number } else { number })
}

/// `19700101` as Athena writes it, or `1970-01-01`, in days since then.
fn day(field: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, m1, m2, d1, d2] = match *field {
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] => [y1, y2, y3, y4, m1, m2, d1, d2],
        [y1, y2, y3, y4, m1, m2, d1, d2] => [y1, y2, y3, y4, m1, m2, d1, d2],
        _ => return None,
    };
    let part = |digits: &[u8]| number(digits).and_then(|number| u32::try_from(number).ok());
    let year = i32::try_from(part(&[y1, y2, y3, y4])?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, part(&[m1, m2])?, part(&[d1, d2])?)?;
    Some(i64::from(date.to_epoch_days()))
}

impl Builder {
    fn new(data_type: ColumnType) -> Builder {
        match data_type {
            ColumnType::Integer => Builder::Integer(Int32Builder::new()),
            ColumnType::Key => Builder::Key(Int64Builder::new()),
            ColumnType::Float => Builder::Float(Float64Builder::new()),
            ColumnType::Date | ColumnType::Datetime => Builder::Date(Date32Builder::new()),
            ColumnType::Varchar(_) | ColumnType::Text => Builder::Text(StringBuilder::new()),
        }
    }

    fn push(&mut self, value: Value, field: &[u8]) {
        match (self, value) {
            (Builder::Integer(builder), Value::Number(number)) => builder.append_value(number as i32),
            (Builder::Integer(builder), _) => builder.append_null(),
            (Builder::Key(builder), Value::Number(number)) => builder.append_value(number),
            (Builder::Key(builder), _) => builder.append_null(),
            (Builder::Float(builder), Value::Float(number)) => builder.append_value(number),
            (Builder::Float(builder), _) => builder.append_null(),
            (Builder::Date(builder), Value::Number(day)) => builder.append_value(day as i32),
            (Builder::Date(builder), _) => builder.append_null(),
            (Builder::Text(builder), Value::Text) => builder.append_value(String::from_utf8_lossy(field)),
            (Builder::Text(builder), _) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Integer(builder) => Arc::new(builder.finish()),
            Builder::Key(builder) => Arc::new(builder.finish()),
            Builder::Float(builder) => Arc::new(builder.finish()),
            Builder::Date(builder) => Arc::new(builder.finish()),
            Builder::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_days_are_read_as_they_are_written() {
        assert_eq!(number(b"0044819096"), Some(44_819_096));
        assert_eq!(number(b"-5"), Some(-5));
        for wrong in ["", "-", "1.0", "+1", "1 2", "1234567890123456789", "\u{661}"] {
            assert_eq!(number(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!((day(b"19700101"), day(b"1970-01-02"), day(b"20991231")), (Some(0), Some(1), Some(47_481)));
        for wrong in ["1970", "19700132", "19700229", "1970/01/01", "70-01-01-01", "-9700101", "197001-01"] {
            assert_eq!(day(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
