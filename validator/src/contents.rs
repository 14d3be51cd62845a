//! What a lake holds, as far as the checks need to know it: tables, columns, row counts. No rows are read.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::prelude::SessionContext;

use crate::error::{Result, reading};

/// The tables of a lake with their columns and row counts, by `namespace.table`.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    tables: BTreeMap<String, TableContents>,
}

#[derive(Debug)]
struct TableContents {
    schema: SchemaRef,
    row_count: u64,
}

impl Contents {
    /// Looks every table up in the session; views count as tables of unknown size and are left out.
    pub async fn of(session: &SessionContext, row_counts: &BTreeMap<String, u64>) -> Result<Contents> {
        let mut tables = BTreeMap::new();
        for (name, row_count) in row_counts {
            let table = session.table(name.as_str()).await.map_err(reading(format!("table `{name}`")))?;
            let schema = table.schema().inner().clone();
            tables.insert(name.clone(), TableContents { schema, row_count: *row_count });
        }
        Ok(Contents { tables })
    }

    /// True when the table exists.
    pub fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// Rows of the table; 0 when it does not exist.
    pub fn rows(&self, table: &str) -> u64 {
        self.tables.get(table).map_or(0, |table| table.row_count)
    }

    /// True when the table exists and has no row. Views are never empty: nobody has counted them.
    pub fn is_empty(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|table| table.row_count == 0)
    }

    /// The type of a column, where table and column exist.
    pub fn column(&self, table: &str, column: &str) -> Option<&DataType> {
        let table = self.tables.get(table)?;
        table.schema.field_with_name(column).ok().map(|field| field.data_type())
    }

    /// True when the table has all the columns.
    pub fn has_columns(&self, table: &str, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.column(table, column).is_some())
    }

    /// All tables with their row counts.
    pub fn row_counts(&self) -> BTreeMap<String, u64> {
        self.tables.iter().map(|(name, table)| (name.clone(), table.row_count)).collect()
    }
}

/// True when both types hold the same values: string views count as strings.
pub(crate) fn same_type(found: &DataType, expected: &DataType) -> bool {
    let text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    found == expected || (text(found) && text(expected))
}
