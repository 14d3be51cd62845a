//! What the YAML beside a model says: description, grain, columns, tests and unit tests.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType as ArrowType, TimeUnit};
use model::quality::Severity;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Columns that the runner adds to every stored row.
pub(crate) const LINEAGE_COLUMNS: [&str; 4] =
    ["pipeline_run_id", "lineage_model", "lineage_first_seen_ts", "lineage_last_updated_ts"];

/// How a model stands in the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Materialization {
    /// The query itself, stored under a name.
    View,
    /// All rows, computed anew and replaced in one commit.
    Table,
    /// The rows of the keys that changed, computed anew and put in the place of the old ones.
    Incremental,
    /// The rows of a CSV file.
    Seed,
}

/// The YAML beside a model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The file's name without its ending, which is the table's name.
    pub name: String,
    /// What a row means and what the model leaves out.
    pub description: String,
    /// The columns that tell one row from another.
    pub grain: Vec<String>,
    /// Overrides what the folder says; only `incremental` is of use.
    pub materialization: Option<Materialization>,
    /// Of an incremental model: the column by which old rows give way to new ones.
    pub unique_key: Option<String>,
    /// Of an incremental model: where changes of the input show.
    #[serde(default)]
    pub watermark: Vec<Watermark>,
    /// Words for selectors.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The output columns, in order.
    pub columns: Vec<Column>,
    /// Tests about the table as a whole.
    #[serde(default)]
    pub tests: Vec<Test>,
    /// Given rows and the rows expected of them.
    #[serde(default)]
    pub unit_tests: Vec<UnitTest>,
}

/// One output column.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub description: String,
    /// Its type.
    pub data_type: DataType,
    /// What must hold of its values.
    #[serde(default)]
    pub tests: Vec<Test>,
}

/// A table whose new rows say which keys of an incremental model changed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watermark {
    /// The table, as `namespace.table`; the model reads it, perhaps through views.
    pub table: String,
    /// Its column that grows with every change.
    pub column: String,
    /// Days before the high-water mark that are read again, for rows that come late.
    #[serde(default)]
    pub lookback_days: u32,
}

/// The column types of models: those that DataFusion, Trino and Athena have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// True or false.
    Boolean,
    /// 32 bits, signed.
    Integer,
    /// 64 bits, signed.
    Bigint,
    /// 64 bits, floating.
    Double,
    /// Text.
    Varchar,
    /// A day.
    Date,
    /// A moment in UTC, in microseconds.
    Timestamp,
}

impl DataType {
    /// The Arrow type that the lake stores.
    pub fn arrow(self) -> ArrowType {
        match self {
            DataType::Boolean => ArrowType::Boolean,
            DataType::Integer => ArrowType::Int32,
            DataType::Bigint => ArrowType::Int64,
            DataType::Double => ArrowType::Float64,
            DataType::Varchar => ArrowType::Utf8,
            DataType::Date => ArrowType::Date32,
            DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        }
    }

    /// The type of a column that a query yields, where the lake has one for it without loss of meaning.
    pub fn of(arrow: &ArrowType) -> Option<DataType> {
        match arrow {
            ArrowType::Boolean => Some(DataType::Boolean),
            ArrowType::Int32 => Some(DataType::Integer),
            ArrowType::Int64 => Some(DataType::Bigint),
            ArrowType::Float64 => Some(DataType::Double),
            ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => Some(DataType::Varchar),
            ArrowType::Date32 => Some(DataType::Date),
            ArrowType::Timestamp(_, None) => Some(DataType::Timestamp),
            _ => None,
        }
    }
}

impl std::fmt::Display for DataType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DataType::Boolean => "boolean",
            DataType::Integer => "integer",
            DataType::Bigint => "bigint",
            DataType::Double => "double",
            DataType::Varchar => "varchar",
            DataType::Date => "date",
            DataType::Timestamp => "timestamp",
        })
    }
}

/// Something that must hold of the data, written as `not_null` or `accepted_range: {min: 0}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What must hold.
    pub kind: TestKind,
    /// What a failure means for the run.
    pub severity: Severity,
    /// The share of violating rows, in percent, above which the test fails.
    pub threshold_percent: f64,
    /// Looks only at the rows for which this is true.
    pub condition: Option<String>,
}

/// What a [`Test`] asks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TestKind {
    /// The column has a value.
    NotNull {},
    /// No value occurs twice.
    Unique {},
    /// Each value occurs in a column of another table.
    Relationships {
        /// The other table, as `namespace.table`.
        to: String,
        /// The other table's column.
        field: String,
    },
    /// Each value is one of these.
    AcceptedValues {
        /// The values.
        values: Vec<Value>,
    },
    /// Each value is within these bounds, which are included.
    AcceptedRange {
        /// The least value.
        min: Option<Value>,
        /// The greatest value.
        max: Option<Value>,
    },
    /// A boolean expression over one row; null passes.
    Expression {
        /// The expression.
        sql: String,
    },
    /// No combination of values occurs twice.
    UniqueCombination {
        /// The columns.
        columns: Vec<String>,
    },
    /// The number of rows.
    RowCount {
        /// At least so many.
        min: Option<u64>,
        /// At most so many.
        max: Option<u64>,
        /// As many as this table, `namespace.table`, has.
        same_as: Option<String>,
    },
}

impl TestKind {
    /// The test's name as the YAML writes it.
    pub fn name(&self) -> &'static str {
        match self {
            TestKind::NotNull {} => "not_null",
            TestKind::Unique {} => "unique",
            TestKind::Relationships { .. } => "relationships",
            TestKind::AcceptedValues { .. } => "accepted_values",
            TestKind::AcceptedRange { .. } => "accepted_range",
            TestKind::Expression { .. } => "expression",
            TestKind::UniqueCombination { .. } => "unique_combination",
            TestKind::RowCount { .. } => "row_count",
        }
    }

    /// True for the tests that stand under a column.
    pub fn is_about_a_column(&self) -> bool {
        !matches!(self, TestKind::Expression { .. } | TestKind::UniqueCombination { .. } | TestKind::RowCount { .. })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
struct Judgement {
    severity: Option<Severity>,
    threshold_percent: Option<f64>,
    #[serde(rename = "where")]
    condition: Option<String>,
}

impl<'de> Deserialize<'de> for Test {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Test, D::Error> {
        use serde::de::Error;
        let (name, mut arguments) = match Value::deserialize(deserializer)? {
            Value::String(name) => (name, Map::new()),
            Value::Object(map) if map.len() == 1 => match map.into_iter().next() {
                Some((name, Value::Object(arguments))) => (name, arguments),
                Some((name, Value::String(sql))) if name == "expression" => {
                    (name, Map::from_iter([("sql".to_owned(), Value::String(sql))]))
                }
                _ => return Err(D::Error::custom("a test's arguments are a map, such as `accepted_range: {min: 0}`")),
            },
            _ => return Err(D::Error::custom("a test is a name or a map with one name, such as `not_null`")),
        };
        let judgement: Judgement =
            serde_json::from_value(Value::Object(arguments.clone())).map_err(D::Error::custom)?;
        for key in ["severity", "threshold_percent", "where"] {
            arguments.remove(key);
        }
        let kind = Value::Object(Map::from_iter([(name, Value::Object(arguments))]));
        Ok(Test {
            kind: serde_json::from_value(kind).map_err(D::Error::custom)?,
            severity: judgement.severity.unwrap_or(Severity::Required),
            threshold_percent: judgement.threshold_percent.unwrap_or(0.0),
            condition: judgement.condition,
        })
    }
}

/// One row of a unit test: column to value.
pub type Row = Map<String, Value>;

/// Rows in, rows out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitTest {
    /// What it shows, in words.
    pub name: String,
    /// Rows of the tables that the model reads; a table left out is empty, a column left out is null.
    pub given: BTreeMap<String, Vec<Row>>,
    /// The rows that the model yields, in any order; columns left out are not compared.
    pub expect: Vec<Row>,
}

/// A table of the lake that staging may read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `namespace.table`.
    pub name: String,
    /// What it holds.
    #[serde(default)]
    pub description: String,
    /// The columns that models may read; tables of the CDM and of `quality` need none, their schema is known.
    #[serde(default)]
    pub columns: BTreeMap<String, DataType>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(yaml: &str) -> Result<Test, serde_yaml_ng::Error> {
        serde_yaml_ng::from_str(yaml)
    }

    #[test]
    fn a_test_is_a_word_or_a_map() {
        let plain = test("not_null").unwrap();
        assert_eq!(
            (plain.kind, plain.severity, plain.threshold_percent),
            (TestKind::NotNull {}, Severity::Required, 0.0)
        );
        let range =
            test("accepted_range: {min: 0, severity: advisory, threshold_percent: 2.5, where: 'a > 1'}").unwrap();
        assert_eq!(range.kind, TestKind::AcceptedRange { min: Some(0.into()), max: None });
        assert_eq!(range.severity, Severity::Advisory);
        assert_eq!(range.threshold_percent, 2.5);
        assert_eq!(range.condition.as_deref(), Some("a > 1"));
        assert_eq!(test("expression: a < b").unwrap().kind, TestKind::Expression { sql: "a < b".into() });
    }

    #[test]
    fn a_misspelt_test_or_argument_is_refused() {
        for (yaml, part) in [
            ("not_nul", "unknown variant `not_nul`"),
            ("accepted_range: {minimum: 1}", "unknown field `minimum`"),
            ("relationships: {to: omop.person}", "missing field `field`"),
            ("[not_null]", "a test is a name"),
        ] {
            let message = test(yaml).unwrap_err().to_string();
            assert!(message.contains(part), "{yaml}: {message}");
        }
    }
}
