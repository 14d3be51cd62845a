//! OMOP CDM 5.4 as data: its tables and columns, one row struct per table, and Arrow builders.
//!
//! The specification is `model/omop/*.csv`; the structs ([`Person`], [`VisitOccurrence`], …) and builders are
//! written from it at build time. Surrogate keys are 64-bit: they are hashes, see [`key`].

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanArray, Date32Builder, Float64Builder, Int32Builder, Int64Builder, RecordBatch,
    StringArray, StringBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{NaiveDate, NaiveDateTime};

pub mod key;

/// `concept_id` of "No matching concept": a code without a map.
pub const NO_MATCHING_CONCEPT: i32 = 0;

/// The version of the Common Data Model that [`tables`] describes.
pub const CDM_VERSION: &str = "5.4";

/// One table of the specification.
#[derive(Debug, PartialEq)]
pub struct Table {
    /// Name in lower case, as in the specification.
    pub name: &'static str,
    /// `cdm`, `vocab` or `results`.
    pub schema: &'static str,
    /// Columns in the order of the specification.
    pub columns: &'static [Column],
}

/// One column of a [`Table`].
#[derive(Debug, PartialEq)]
pub struct Column {
    /// Name in lower case.
    pub name: &'static str,
    /// What the column holds.
    pub data_type: ColumnType,
    /// `NOT NULL` in the specification.
    pub required: bool,
    /// Part of the primary key.
    pub primary_key: bool,
    /// The table that a foreign key points to.
    pub references: Option<&'static str>,
    /// The domain that a referenced concept must have; alternatives are separated by `|`.
    pub domain: Option<&'static str>,
}

/// The data types of the specification.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColumnType {
    /// A small whole number or a concept id: 32 bits.
    Integer,
    /// A surrogate key or a reference to one: 64 bits here, `integer` in the specification.
    Key,
    /// A decimal number.
    Float,
    /// A calendar day.
    Date,
    /// A moment in UTC, without zone.
    Datetime,
    /// Text of at most so many characters.
    Varchar(u16),
    /// Text without a limit.
    Text,
}

impl ColumnType {
    /// The Arrow type of the column.
    pub fn arrow(self) -> DataType {
        match self {
            ColumnType::Integer => DataType::Int32,
            ColumnType::Key => DataType::Int64,
            ColumnType::Float => DataType::Float64,
            ColumnType::Date => DataType::Date32,
            ColumnType::Datetime => DataType::Timestamp(TimeUnit::Microsecond, None),
            ColumnType::Varchar(_) | ColumnType::Text => DataType::Utf8,
        }
    }
}

/// Every table of CDM 5.4, in the order of the specification.
pub fn tables() -> &'static [Table] {
    &TABLES
}

/// The table of that name, in lower case.
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

impl Table {
    /// The Arrow schema: exactly the columns of the specification.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.fields()))
    }

    /// The Arrow schema in the lake: the specification's columns, then the lineage columns.
    pub fn lake_schema(&self) -> SchemaRef {
        let mut fields = self.fields();
        fields.extend(Lineage::fields());
        Arc::new(Schema::new(fields))
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The surrogate key: the single 64-bit primary key column, where the table has one.
    pub fn key(&self) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.primary_key && column.data_type == ColumnType::Key)
    }

    fn fields(&self) -> Vec<Field> {
        self.columns.iter().map(|column| Field::new(column.name, column.data_type.arrow(), !column.required)).collect()
    }
}

/// What every `omop` row in the lake says about its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Lineage {
    /// The run that wrote the row.
    pub pipeline_run_id: String,
    /// When that run started, in UTC.
    pub persisted_at: NaiveDateTime,
    /// The source that the record came from.
    pub source_id: String,
    /// True when the row was mapped from a FHIR resource, false when it was derived or imported.
    pub synced_from_fhir: bool,
}

impl Lineage {
    /// The lineage columns, in the order in which they follow the specification's.
    pub fn fields() -> Vec<Field> {
        vec![
            Field::new("pipeline_run_id", DataType::Utf8, false),
            Field::new("persisted_at", ColumnType::Datetime.arrow(), false),
            Field::new("source_id", DataType::Utf8, false),
            Field::new("synced_from_fhir", DataType::Boolean, false),
        ]
    }

    /// Puts the lineage behind the columns that a builder of `table` finished.
    pub fn batch(&self, table: &Table, mut columns: Vec<ArrayRef>) -> RecordBatch {
        let rows = columns.first().map_or(0, |column| column.len());
        columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&self.pipeline_run_id, rows))));
        columns.push(Arc::new(TimestampMicrosecondArray::from_value(micros(self.persisted_at), rows)));
        columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&self.source_id, rows))));
        columns.push(Arc::new(BooleanArray::from(vec![self.synced_from_fhir; rows])));
        RecordBatch::try_new(table.lake_schema(), columns).expect("builders and schema come from one specification")
    }
}

fn days(date: NaiveDate) -> i32 {
    date.to_epoch_days()
}

fn micros(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp_micros()
}

include!(concat!(env!("OUT_DIR"), "/cdm.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_a_batch_with_lineage() {
        let mut builders = Builders::default();
        builders.append(&Row::from(Person {
            person_id: key::omop_key("test", "Patient/1", "person", ""),
            year_of_birth: 1980,
            person_source_value: Some("1".into()),
            ..Person::default()
        }));
        let lineage = Lineage {
            pipeline_run_id: "run".into(),
            persisted_at: NaiveDateTime::default(),
            source_id: "test".into(),
            synced_from_fhir: true,
        };
        let (person, columns) = builders.finish().remove(0);
        let batch = lineage.batch(person, columns);
        assert_eq!(person.name, "person");
        assert_eq!(batch.num_rows(), 1);
        assert_eq!(batch.num_columns(), 18 + 4);
        assert!(builders.finish().is_empty());
    }

    /// The specification itself, where it is at hand.
    #[test]
    fn tables_equal_the_specification() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/omop/spec/OMOP_CDMv5.4_Field_Level.csv");
        let Ok(mut reader) = csv::Reader::from_path(path) else {
            eprintln!("SKIPPED tables_equal_the_specification: {path} is missing");
            return;
        };
        let mut seen = 0;
        for record in reader.records() {
            let record = record.expect("the specification is valid CSV");
            if record[0].is_empty() {
                continue;
            }
            let table = table(&record[0].to_lowercase()).unwrap_or_else(|| panic!("no table {}", &record[0]));
            let name = record[1].to_lowercase().trim_matches('"').to_owned();
            let column = table.column(&name).unwrap_or_else(|| panic!("no column {}.{name}", table.name));
            let place = format!("{}.{name}", table.name);
            let data_type = match column.data_type {
                ColumnType::Integer | ColumnType::Key => "integer".into(),
                ColumnType::Float => "float".into(),
                ColumnType::Date => "date".into(),
                ColumnType::Datetime => "datetime".into(),
                ColumnType::Varchar(length) => format!("varchar({length})"),
                ColumnType::Text => "varchar(max)".into(),
            };
            let cell = |index: usize| Some(&record[index]).filter(|cell| !cell.is_empty() && *cell != "NA");
            assert_eq!(record[3].to_lowercase(), data_type, "{place}");
            assert_eq!(&record[2] == "Yes", column.required, "{place}");
            assert_eq!(&record[6] == "Yes", column.primary_key, "{place}");
            assert_eq!(&record[7] == "Yes", column.references.is_some(), "{place}");
            assert_eq!(cell(8).map(str::to_lowercase).as_deref(), column.references, "{place}");
            assert_eq!(cell(10).map(|domain| domain.replace(", ", "|")).as_deref(), column.domain, "{place}");
            seen += 1;
        }
        assert_eq!(seen, tables().iter().map(|table| table.columns.len()).sum::<usize>());
    }
}
