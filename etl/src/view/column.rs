//! From what a path finds to a column of an Arrow type. What does not fit the type becomes null: the mapping is the
//! one to judge a record.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int32Builder, Int64Builder, StringArray, StringBuilder,
    TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::datatypes::DataType;
use chrono::NaiveTime;
use model::fhir::DateTime;
use model::omop::ColumnType;

use super::path::Item;

/// The types of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// Any kind of text.
    Text,
    /// True or false.
    Boolean,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Integer64,
    /// A double.
    Decimal,
    /// A calendar day.
    Date,
    /// A moment in UTC.
    DateTime,
}

impl ValueType {
    /// The column type for a FHIR type.
    pub fn of(fhir_type: &str) -> ValueType {
        match fhir_type {
            "boolean" => ValueType::Boolean,
            "integer" | "positiveInt" | "unsignedInt" => ValueType::Integer,
            "integer64" => ValueType::Integer64,
            "decimal" => ValueType::Decimal,
            "date" => ValueType::Date,
            "dateTime" | "instant" => ValueType::DateTime,
            _ => ValueType::Text,
        }
    }

    /// The Arrow type.
    pub fn arrow(self) -> DataType {
        match self {
            ValueType::Text => DataType::Utf8,
            ValueType::Boolean => DataType::Boolean,
            ValueType::Integer => DataType::Int32,
            ValueType::Integer64 => DataType::Int64,
            ValueType::Decimal => DataType::Float64,
            ValueType::Date => DataType::Date32,
            ValueType::DateTime => ColumnType::Datetime.arrow(),
        }
    }
}

/// One column, as its rows come.
pub enum ColumnBuilder {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Integer(Int32Builder),
    Integer64(Int64Builder),
    Decimal(Float64Builder),
    Date(Date32Builder),
    DateTime(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    /// An empty column.
    pub fn new(value_type: ValueType) -> ColumnBuilder {
        match value_type {
            ValueType::Text => ColumnBuilder::Text(StringBuilder::new()),
            ValueType::Boolean => ColumnBuilder::Boolean(BooleanBuilder::new()),
            ValueType::Integer => ColumnBuilder::Integer(Int32Builder::new()),
            ValueType::Integer64 => ColumnBuilder::Integer64(Int64Builder::new()),
            ValueType::Decimal => ColumnBuilder::Decimal(Float64Builder::new()),
            ValueType::Date => ColumnBuilder::Date(Date32Builder::new()),
            ValueType::DateTime => ColumnBuilder::DateTime(TimestampMicrosecondBuilder::new()),
        }
    }

    /// Adds one row.
    pub fn append(&mut self, item: Option<Item<'_>>) {
        match self {
            ColumnBuilder::Text(builder) => append_text(builder, item),
            ColumnBuilder::Boolean(builder) => builder.append_option(match item {
                Some(Item::Boolean(truth)) => Some(truth),
                Some(Item::Element(element)) => element.as_bool(),
                _ => None,
            }),
            ColumnBuilder::Integer(builder) => {
                builder.append_option(integer(item).and_then(|number| number.try_into().ok()));
            }
            ColumnBuilder::Integer64(builder) => builder.append_option(integer(item)),
            ColumnBuilder::Decimal(builder) => builder.append_option(match item {
                Some(Item::Integer(number)) => Some(number as f64),
                Some(Item::Element(element)) => element.as_number().and_then(|text| text.parse().ok()),
                _ => None,
            }),
            ColumnBuilder::Date(builder) => {
                builder.append_option(moment(item).map(|moment| moment.date.to_epoch_days()));
            }
            ColumnBuilder::DateTime(builder) => builder.append_option(moment(item).map(micros)),
        }
    }

    /// Takes the column and starts anew.
    pub fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Text(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Boolean(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Integer(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Integer64(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Decimal(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Date(builder) => Arc::new(builder.finish()),
            ColumnBuilder::DateTime(builder) => Arc::new(builder.finish()),
        }
    }
}

fn append_text(builder: &mut StringBuilder, item: Option<Item<'_>>) {
    match item {
        Some(Item::Text(text)) => builder.append_value(text),
        Some(Item::Integer(number)) => builder.append_value(number.to_string()),
        Some(Item::Boolean(truth)) => builder.append_value(truth.to_string()),
        Some(Item::Element(element)) => builder.append_option(element.as_str().or_else(|| element.as_number())),
        None => builder.append_null(),
    }
}

fn integer(item: Option<Item<'_>>) -> Option<i64> {
    match item? {
        Item::Integer(number) => Some(number),
        Item::Element(element) => element.as_number()?.parse().ok(),
        _ => None,
    }
}

fn moment(item: Option<Item<'_>>) -> Option<DateTime> {
    match item? {
        Item::Element(element) => DateTime::parse(element.as_str()?).ok(),
        _ => None,
    }
}

/// The moment in UTC; a day without a time, or a time without a zone, counts from midnight.
pub fn micros(moment: DateTime) -> i64 {
    moment.utc().unwrap_or_else(|| moment.date.and_time(NaiveTime::MIN)).and_utc().timestamp_micros()
}

/// The same text in every row.
pub fn constant(text: &str, count: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, count)))
}

/// A column of moments.
pub fn timestamp(micros: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros))
}
