//! The flat tables of one thread: of each view its rows, and the file that they go to.

use std::ops::Range;
use std::sync::Arc;

use lake::{TableName, TableSpec, TableWriter, Transaction};
use model::document::Resource;

use super::{Files, Origin, plain_spec};
use crate::account::Account;
use crate::error::Result;
use crate::view::path::Scope;
use crate::view::{Provenance, Rows, Version, View};

/// The flat table of a view.
fn view_spec(view: &View) -> TableSpec {
    plain_spec("fhir", &view.name, Arc::clone(&view.schema), &["resource_key"])
}

/// One thread's way into the flat tables.
pub struct FlatTables {
    /// Those of one resource type beside each other.
    tables: Vec<(Rows, TableWriter)>,
}

impl FlatTables {
    /// Opens a table of each view.
    ///
    /// # Errors
    /// A table of the lake does not fit.
    pub async fn open(transaction: &mut Transaction, views: &[Arc<View>]) -> Result<FlatTables> {
        let mut tables = Vec::new();
        for view in views {
            tables.push((Rows::new(Arc::clone(view)), transaction.writer(&view_spec(view)).await?));
        }
        tables.sort_by(|(a, _), (b, _)| a.view().resource_type.cmp(&b.view().resource_type));
        Ok(FlatTables { tables })
    }

    /// True when a table is made of the resource type.
    pub fn has(&self, resource_type: &str) -> bool {
        !self.of(resource_type).is_empty()
    }

    /// Adds the rows of a resource to the tables of its type, and what does not fit them to the account; returns how
    /// many rows there are.
    pub fn append(
        &mut self,
        resource: &Resource<'_>,
        scope: Scope<'_>,
        version: &Version<'_>,
        account: &mut Account,
    ) -> usize {
        let theirs = self.of(resource.resource_type);
        let mut appended = 0;
        for (rows, _) in &mut self.tables[theirs] {
            let before = rows.len();
            rows.append(resource, scope, version);
            rows.take_faults(account);
            appended += rows.len() - before;
        }
        appended
    }

    /// Writes the tables that have at least so many rows.
    ///
    /// # Errors
    /// The lake refuses the rows.
    pub fn flush(&mut self, least: usize, origin: &Origin) -> Result<()> {
        let provenance =
            Provenance { source_id: origin.source_id(), run_id: origin.run_id(), persisted_at: origin.started_at };
        for (rows, writer) in &mut self.tables {
            if rows.len() >= least {
                writer.write(&rows.finish(&provenance)?)?;
            }
        }
        Ok(())
    }

    /// Closes the files.
    ///
    /// # Errors
    /// The lake refuses the rows.
    pub fn close(self, files: &mut Files) -> Result<()> {
        for (rows, writer) in self.tables {
            files.add(TableName::new("fhir", &rows.view().name), writer.close()?);
        }
        Ok(())
    }

    /// Where the tables of a resource type stand.
    fn of(&self, resource_type: &str) -> Range<usize> {
        let start = self.tables.partition_point(|(rows, _)| *rows.view().resource_type < *resource_type);
        let count = self.tables[start..].partition_point(|(rows, _)| rows.view().resource_type == resource_type);
        start..start + count
    }
}
