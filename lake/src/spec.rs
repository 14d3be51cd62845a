//! What a table should look like.

use arrow::datatypes::SchemaRef;

use crate::TableName;

/// What a table should look like; it is created, or gets the columns that it lacks, with the first commit.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// The table.
    pub name: TableName,
    /// Its columns.
    pub schema: SchemaRef,
    /// Columns that tell one row from another; may be empty.
    pub key: Vec<String>,
    /// Columns by which rows are clustered; may be empty.
    pub sort: Vec<String>,
    /// How files are divided, for tables large enough to gain from it.
    pub partition: Option<Partition>,
}

/// How a table's files are divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The column.
    pub column: String,
    /// What is made of its value.
    pub transform: Transform,
}

/// What is made of a partition column's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// The value itself.
    Identity,
    /// The year of a date or timestamp.
    Year,
    /// The month of a date or timestamp.
    Month,
    /// The day of a date or timestamp.
    Day,
    /// A hash of the value, modulo a number.
    Bucket(u32),
}
