//! From what a path finds to a column of an Arrow type. What does not fit the type becomes null, and is told.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int32Builder, Int64Builder, ListArray,
    StringArray, StringBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use chrono::NaiveTime;
use model::document::Kind;
use model::fhir::DateTime;
use model::omop::ColumnType;

use super::data_type::{Class, DataType};
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

/// How values become columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rendering {
    /// As types that all engines know: days, moments in UTC, doubles.
    Typed,
    /// Dates, times and decimals as text, as they were written.
    AsWritten,
}

impl ValueType {
    /// The column type for a FHIR type.
    pub fn of(data_type: DataType, rendering: Rendering) -> ValueType {
        match (data_type.class(), rendering) {
            (Class::Boolean, _) => ValueType::Boolean,
            (Class::Integer, _) => ValueType::Integer,
            (Class::Integer64, _) => ValueType::Integer64,
            (Class::Decimal, Rendering::Typed) => ValueType::Decimal,
            (Class::Date, Rendering::Typed) => ValueType::Date,
            (Class::DateTime, Rendering::Typed) => ValueType::DateTime,
            _ => ValueType::Text,
        }
    }

    /// The Arrow type.
    pub fn arrow(self) -> ArrowType {
        match self {
            ValueType::Text => ArrowType::Utf8,
            ValueType::Boolean => ArrowType::Boolean,
            ValueType::Integer => ArrowType::Int32,
            ValueType::Integer64 => ArrowType::Int64,
            ValueType::Decimal => ArrowType::Float64,
            ValueType::Date => ArrowType::Date32,
            ValueType::DateTime => ColumnType::Datetime.arrow(),
        }
    }
}

/// A column of a view.
#[derive(Debug)]
pub struct Column {
    /// The name.
    pub name: String,
    /// What its values are.
    pub value_type: ValueType,
    /// Whether it holds a list.
    pub collection: bool,
    /// Whether the definition says its type.
    pub is_declared: bool,
}

impl Column {
    /// The Arrow type, a list for a collection.
    pub fn arrow(&self) -> ArrowType {
        match self.collection {
            true => ArrowType::List(list_item(self.value_type)),
            false => self.value_type.arrow(),
        }
    }
}

/// Iceberg calls what is in a list its element.
fn list_item(value_type: ValueType) -> FieldRef {
    Arc::new(Field::new("element", value_type.arrow(), true))
}

/// One column, as its rows come.
pub enum ColumnBuilder {
    /// A value, or none, in each row.
    Plain(ValueBuilder),
    /// A list in each row.
    List {
        /// The values of all lists.
        values: ValueBuilder,
        /// Where each list begins, and where the last ends.
        offsets: Vec<i32>,
        /// What the values are.
        value_type: ValueType,
    },
}

impl ColumnBuilder {
    /// An empty column.
    pub fn new(column: &Column) -> ColumnBuilder {
        let value_type = column.value_type;
        let values = ValueBuilder::new(value_type);
        match column.collection {
            true => ColumnBuilder::List { values, offsets: vec![0], value_type },
            false => ColumnBuilder::Plain(values),
        }
    }

    /// Takes the column and starts anew.
    pub fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Plain(values) => values.finish(),
            ColumnBuilder::List { values, offsets, value_type } => {
                let offsets = OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into());
                Arc::new(ListArray::new(list_item(*value_type), offsets, values.finish(), None))
            }
        }
    }
}

/// Values of one type, as they come.
pub enum ValueBuilder {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Integer(Int32Builder),
    Integer64(Int64Builder),
    Decimal(Float64Builder),
    Date(Date32Builder),
    DateTime(TimestampMicrosecondBuilder),
}

impl ValueBuilder {
    fn new(value_type: ValueType) -> ValueBuilder {
        match value_type {
            ValueType::Text => ValueBuilder::Text(StringBuilder::new()),
            ValueType::Boolean => ValueBuilder::Boolean(BooleanBuilder::new()),
            ValueType::Integer => ValueBuilder::Integer(Int32Builder::new()),
            ValueType::Integer64 => ValueBuilder::Integer64(Int64Builder::new()),
            ValueType::Decimal => ValueBuilder::Decimal(Float64Builder::new()),
            ValueType::Date => ValueBuilder::Date(Date32Builder::new()),
            ValueType::DateTime => ValueBuilder::DateTime(TimestampMicrosecondBuilder::new()),
        }
    }

    /// Adds a value, or none; false when there is one and it is not of the type.
    pub fn append(&mut self, item: Option<&Item<'_>>) -> bool {
        let Some(item) = item else {
            self.append_null();
            return true;
        };
        match self {
            ValueBuilder::Text(builder) => append_text(builder, item),
            ValueBuilder::Boolean(builder) => told(item.as_bool(), |value| builder.append_option(value)),
            ValueBuilder::Integer(builder) => {
                let number = whole(item).and_then(|number| number.try_into().ok());
                told(number, |value| builder.append_option(value))
            }
            ValueBuilder::Integer64(builder) => told(whole(item), |value| builder.append_option(value)),
            ValueBuilder::Decimal(builder) => told(double(item), |value| builder.append_option(value)),
            ValueBuilder::Date(builder) => {
                told(moment(item).map(|moment| moment.date.to_epoch_days()), |value| builder.append_option(value))
            }
            ValueBuilder::DateTime(builder) => told(moment(item).map(micros), |value| builder.append_option(value)),
        }
    }

    fn append_null(&mut self) {
        match self {
            ValueBuilder::Text(builder) => builder.append_null(),
            ValueBuilder::Boolean(builder) => builder.append_null(),
            ValueBuilder::Integer(builder) => builder.append_null(),
            ValueBuilder::Integer64(builder) => builder.append_null(),
            ValueBuilder::Decimal(builder) => builder.append_null(),
            ValueBuilder::Date(builder) => builder.append_null(),
            ValueBuilder::DateTime(builder) => builder.append_null(),
        }
    }

    /// Takes the values. The next ones will be about as many, and need no room that grows.
    fn finish(&mut self) -> ArrayRef {
        match self {
            ValueBuilder::Text(builder) => {
                let next = StringBuilder::with_capacity(builder.len(), builder.values_slice().len());
                Arc::new(std::mem::replace(builder, next).finish())
            }
            ValueBuilder::Boolean(builder) => Arc::new(builder.finish()),
            ValueBuilder::Integer(builder) => Arc::new(builder.finish()),
            ValueBuilder::Integer64(builder) => Arc::new(builder.finish()),
            ValueBuilder::Decimal(builder) => Arc::new(builder.finish()),
            ValueBuilder::Date(builder) => Arc::new(builder.finish()),
            ValueBuilder::DateTime(builder) => Arc::new(builder.finish()),
        }
    }
}

fn told<T>(value: Option<T>, append: impl FnOnce(Option<T>)) -> bool {
    let fits = value.is_some();
    append(value);
    fits
}

fn append_text(builder: &mut StringBuilder, item: &Item<'_>) -> bool {
    match item {
        Item::Text(text, _) => builder.append_value(text),
        Item::Element(element, _) => {
            let text = match element.kind() {
                Kind::True => Some("true"),
                Kind::False => Some("false"),
                _ => element.as_str().or_else(|| element.as_number()),
            };
            builder.append_option(text);
            return text.is_some();
        }
        Item::Integer(number) => builder.append_value(number.to_string()),
        Item::Decimal(number) => builder.append_value(number.to_string()),
        Item::Boolean(truth) => builder.append_value(if *truth { "true" } else { "false" }),
    }
    true
}

/// A whole number; FHIR writes those of 64 bits as text.
fn whole(item: &Item<'_>) -> Option<i64> {
    match item {
        Item::Decimal(number) => number.to_i64(),
        item => item.as_integer().or_else(|| item.as_text()?.parse().ok()),
    }
}

fn double(item: &Item<'_>) -> Option<f64> {
    match item {
        Item::Integer(number) => Some(*number as f64),
        Item::Decimal(number) => Some(number.to_f64()),
        Item::Element(element, _) => element.as_number().and_then(|text| text.parse().ok()),
        _ => None,
    }
}

fn moment(item: &Item<'_>) -> Option<DateTime> {
    DateTime::parse(item.as_text()?).ok()
}

/// The moment in UTC; a day without a time, or a time without a zone, counts from midnight.
pub fn micros(moment: DateTime) -> i64 {
    moment.utc().unwrap_or_else(|| moment.date.and_time(NaiveTime::MIN)).and_utc().timestamp_micros()
}

/// A moment that a record tells, in microseconds.
pub fn micros_of(text: Option<&str>) -> Option<i64> {
    text.and_then(|text| DateTime::parse(text).ok()).map(micros)
}

/// The same text in every row.
pub fn constant(text: &str, count: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, count)))
}

/// A column of moments.
pub fn timestamp(micros: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros))
}
