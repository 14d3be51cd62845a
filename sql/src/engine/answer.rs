//! Rows as engines send them, text by text, made into those of the embedded engine.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::error::{Error, Result};

/// What a statement yields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The engine's name of the query.
    pub query_id: String,
    /// Names and types of the columns, as the engine writes them.
    pub columns: Vec<(String, String)>,
    /// Values as text; nothing is null.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Answer {
    /// The rows as one batch. Columns of types that Arrow reads from text get these, others stay text.
    ///
    /// # Errors
    /// A value that is not of its column's type.
    pub fn batch(&self) -> Result<RecordBatch> {
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (index, (name, kind)) in self.columns.iter().enumerate() {
            let texts = self.rows.iter().map(|row| row.get(index).and_then(Option::as_deref));
            let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
            let wanted = arrow_type(kind);
            let options = CastOptions { safe: false, ..CastOptions::default() };
            let array = cast_with_options(&texts, &wanted, &options)
                .map_err(|error| Error::Query(format!("column `{name}` is not {kind} throughout: {error}")))?;
            fields.push(Field::new(name, wanted, true));
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
    }

    /// The first value of the first row.
    pub(crate) fn value(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }
}

fn arrow_type(kind: &str) -> DataType {
    let (name, arguments) = kind.split_once('(').unwrap_or((kind, ""));
    let mut numbers = arguments.trim_end_matches(')').split(',').map(|number| number.trim().parse::<u8>().ok());
    match (name, numbers.next().flatten(), numbers.next().flatten()) {
        ("boolean", ..) => DataType::Boolean,
        ("tinyint", ..) => DataType::Int8,
        ("smallint", ..) => DataType::Int16,
        ("integer" | "int", ..) => DataType::Int32,
        ("bigint", ..) => DataType::Int64,
        ("real" | "float", ..) => DataType::Float32,
        ("double", ..) => DataType::Float64,
        ("date", ..) => DataType::Date32,
        // Of nanoseconds and below there are none in the lake.
        ("timestamp", precision, _) if precision.is_none_or(|digits| digits <= 6) && !kind.contains("zone") => {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        }
        ("decimal", Some(precision), scale) => DataType::Decimal128(precision, scale.unwrap_or(0) as i8),
        _ => DataType::Utf8,
    }
}

#[cfg(test)]
mod tests {
    use arrow::util::pretty::pretty_format_batches;

    use super::*;

    fn answer(column: &str, values: &[Option<&str>]) -> Answer {
        let rows = values.iter().map(|value| vec![value.map(str::to_owned)]).collect();
        Answer { query_id: "q".into(), columns: vec![("c".into(), column.into())], rows }
    }

    #[test]
    fn text_becomes_what_the_column_says() {
        for (column, text, shown) in [
            ("boolean", "true", "true"),
            ("bigint", "-9223372036854775808", "-9223372036854775808"),
            ("double", "1.0E10", "10000000000.0"),
            ("double", "NaN", "NaN"),
            ("double", "-Infinity", "-inf"),
            ("date", "2024-02-29", "2024-02-29"),
            ("timestamp(3)", "2024-02-29 12:00:00.125", "2024-02-29T12:00:00.125"),
            ("timestamp", "2024-02-29 12:00:00.125", "2024-02-29T12:00:00.125"),
            ("timestamp(3) with time zone", "2024-02-29 12:00:00.125 UTC", "2024-02-29 12:00:00.125 UTC"),
            ("decimal(5,2)", "123.45", "123.45"),
            ("varchar(3)", "abc", "abc"),
            ("array(bigint)", "[1,2]", "[1,2]"),
        ] {
            let batch = answer(column, &[Some(text), None]).batch().unwrap();
            assert_eq!(batch.column(0).null_count(), 1, "{column}");
            let table = pretty_format_batches(&[batch]).unwrap().to_string();
            assert!(table.lines().nth(3).unwrap().contains(&format!("| {shown} ")), "{column}: {table}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_named() {
        let error = answer("bigint", &[Some("1"), Some("one")]).batch().unwrap_err().to_string();
        assert!(error.starts_with("column `c` is not bigint throughout: "), "{error}");
    }

    #[test]
    fn no_rows_have_columns_still() {
        let batch = answer("bigint", &[]).batch().unwrap();
        assert_eq!((batch.num_rows(), batch.num_columns()), (0, 1));
    }
}
