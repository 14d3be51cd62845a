//! Rows to the tables of the lake: what the tables look like, one sink per thread, and the commit's last words.

mod flat;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lake::{TableName, TableSpec, TableWriter, Transaction, WrittenFiles};
use model::document::Resource;
use model::omop::{self, Builders, ColumnType, Lineage, Row, Table};
use model::quality::{self, CROSSWALK, EXCLUSION, Exclusion, QualityTable, REJECTED, Reject};

use crate::account::Account;
use crate::error::Result;
use crate::view::path::Scope;
use crate::view::{Version, View};

pub use flat::FlatTables;

/// Rows that a table's builder collects before they go to its file: few enough for the caches of a core, and for the
/// allocator to have their memory at hand for the next ones.
pub const BATCH_ROWS: usize = 4 << 10;

/// Rows, of whatever table, after which all tables are looked at.
pub const LOOK_ROWS: usize = 256;

/// The tables of the CDM proper: they exist in every lake, with or without rows.
pub fn cdm_tables() -> impl Iterator<Item = &'static Table> {
    omop::tables().iter().filter(|table| table.schema == "cdm")
}

fn plain_spec(namespace: &str, name: &str, schema: SchemaRef, key: &[&str]) -> TableSpec {
    let key = key.iter().map(|column| (*column).to_owned()).collect();
    TableSpec { name: TableName::new(namespace, name), schema, key, sort: Vec::new(), partition: None }
}

/// The table of the CDM in the lake.
pub fn omop_spec(table: &Table) -> TableSpec {
    let key: Vec<_> = table.key().map(|column| column.name).into_iter().collect();
    plain_spec("omop", table.name, table.lake_schema(), &key)
}

/// The column by which rows of a CDM table are taken away.
pub fn key_column(table: &Table) -> &'static str {
    table.key().map_or("person_id", |column| column.name)
}

/// A table of `quality`.
pub fn quality_spec(table: &QualityTable) -> TableSpec {
    plain_spec("quality", table.name, table.schema(), &[])
}

/// `raw.resource_version`.
pub fn raw_spec() -> TableSpec {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let schema = Schema::new(vec![
        text("source_id", false),
        text("resource_type", false),
        text("resource_id", false),
        text("version_id", true),
        Field::new("last_updated", ColumnType::Datetime.arrow(), true),
        Field::new("content_hash", DataType::Int64, false),
        text("op", false),
        text("json", true),
        text("pipeline_run_id", false),
        Field::new("ingested_at", ColumnType::Datetime.arrow(), false),
        text("file", true),
        Field::new("line", DataType::Int64, true),
    ]);
    plain_spec("raw", "resource_version", Arc::new(schema), &[])
}

/// What all rows of a run say about their origin.
#[derive(Clone)]
pub struct Origin {
    /// Of OMOP rows.
    pub lineage: Lineage,
    /// When the run started, in microseconds.
    pub started_at: i64,
}

impl Origin {
    fn run_id(&self) -> &str {
        &self.lineage.pipeline_run_id
    }

    fn source_id(&self) -> &str {
        &self.lineage.source_id
    }
}

/// A version of a resource, as it came.
pub struct RawVersion<'r> {
    /// Where it stood in the input.
    pub origin: quality::Origin<'r>,
    /// `Patient`, …
    pub resource_type: &'r str,
    /// The logical id.
    pub resource_id: &'r str,
    /// `meta.versionId`
    pub version_id: Option<&'r str>,
    /// `meta.lastUpdated`, in microseconds.
    pub last_updated: Option<i64>,
    /// Hash of the content.
    pub content_hash: i64,
    /// `put` or `delete`.
    pub op: &'static str,
    /// The JSON; none for a deletion.
    pub json: Option<&'r str>,
}

/// One thread's way into the lake.
pub struct Sink {
    origin: Origin,
    builders: Builders,
    /// OMOP rows in the builders.
    omop_rows: usize,
    /// Rows added since the tables were looked at.
    appended: usize,
    omop: BTreeMap<&'static str, TableWriter>,
    flat: FlatTables,
    crosswalk: Plain,
    rejected: Plain,
    exclusion: Plain,
    raw: Option<Plain>,
}

impl Sink {
    /// Opens the tables.
    ///
    /// # Errors
    /// A table of the lake does not fit.
    pub async fn open(
        transaction: &mut Transaction,
        views: &[Arc<View>],
        origin: &Origin,
        keep_raw: bool,
    ) -> Result<Sink> {
        let mut omop = BTreeMap::new();
        for table in cdm_tables() {
            omop.insert(table.name, transaction.writer(&omop_spec(table)).await?);
        }
        Ok(Sink {
            origin: origin.clone(),
            builders: Builders::default(),
            omop_rows: 0,
            appended: 0,
            omop,
            flat: FlatTables::open(transaction, views).await?,
            crosswalk: Plain::open(transaction, quality_spec(&CROSSWALK)).await?,
            rejected: Plain::open(transaction, quality_spec(&REJECTED)).await?,
            exclusion: Plain::open(transaction, quality_spec(&EXCLUSION)).await?,
            raw: if keep_raw { Some(Plain::open(transaction, raw_spec()).await?) } else { None },
        })
    }

    /// Adds an OMOP row.
    pub fn omop_row(&mut self, row: &Row<'_>) {
        self.builders.append(row);
        self.omop_rows += 1;
        self.appended += 1;
    }

    /// Adds the trace of an OMOP row to its resource.
    pub fn trace(
        &mut self,
        table: &str,
        id: i64,
        resource_key: i64,
        name: (&str, &str),
        version_id: Option<&str>,
        part: &str,
    ) {
        self.appended += 1;
        let columns = &mut self.crosswalk;
        columns.text(0, Some(table));
        columns.number(1, id);
        columns.text(2, Some(self.origin.source_id()));
        columns.text(3, Some(name.0));
        columns.text(4, Some(name.1));
        columns.text(5, version_id);
        columns.text(6, Some(part));
        columns.text(7, Some(self.origin.run_id()));
        columns.number(8, resource_key);
    }

    /// True when a flat table is made of the resource type.
    pub fn has_view(&self, resource_type: &str) -> bool {
        self.flat.has(resource_type)
    }

    /// Adds the rows of a resource to the flat tables of its type.
    pub fn flat_rows(
        &mut self,
        resource: &Resource<'_>,
        scope: Scope<'_>,
        version: &Version<'_>,
        account: &mut Account,
    ) {
        self.appended += self.flat.append(resource, scope, version, account);
    }

    /// Adds a rejected record.
    pub fn reject(&mut self, reject: &Reject<'_>) {
        self.appended += 1;
        let columns = &mut self.rejected;
        columns.text(0, Some(self.origin.run_id()));
        columns.text(1, Some(self.origin.source_id()));
        columns.text(2, Some(reject.origin.file));
        columns.number(3, reject.origin.line as i64);
        columns.text(4, Some(reject.resource_type));
        columns.text(5, reject.resource_id);
        columns.text(6, reject.field);
        columns.text(7, Some(reject.reason));
        columns.text(8, Some(reject.detail));
    }

    /// Adds an excluded resource.
    pub fn exclude(&mut self, exclusion: &Exclusion<'_>) {
        self.appended += 1;
        let columns = &mut self.exclusion;
        columns.text(0, Some(self.origin.run_id()));
        columns.text(1, Some(self.origin.source_id()));
        columns.text(2, Some(exclusion.origin.file));
        columns.number(3, exclusion.origin.line as i64);
        columns.text(4, Some(exclusion.resource_type));
        columns.text(5, exclusion.resource_id);
        columns.text(6, Some(exclusion.reason));
        columns.text(7, Some(exclusion.detail));
    }

    /// True when versions of resources are kept as they came.
    pub fn keeps_raw(&self) -> bool {
        self.raw.is_some()
    }

    /// Adds a version of a resource as it came.
    pub fn raw(&mut self, version: &RawVersion<'_>) {
        let Some(columns) = &mut self.raw else { return };
        self.appended += 1;
        columns.text(0, Some(self.origin.source_id()));
        columns.text(1, Some(version.resource_type));
        columns.text(2, Some(version.resource_id));
        columns.text(3, version.version_id);
        columns.moment(4, version.last_updated);
        columns.number(5, version.content_hash);
        columns.text(6, Some(version.op));
        columns.text(7, version.json);
        columns.text(8, Some(self.origin.run_id()));
        columns.moment(9, Some(self.origin.started_at));
        columns.text(10, Some(version.origin.file));
        columns.number(11, version.origin.line as i64);
    }

    /// Writes what has grown large enough, or everything.
    ///
    /// # Errors
    /// The lake refuses the rows.
    pub fn flush(&mut self, everything: bool) -> Result<()> {
        // There are many tables; most rows fill none of them.
        if !everything && self.appended < LOOK_ROWS {
            return Ok(());
        }
        self.appended = 0;
        let least = if everything { 1 } else { BATCH_ROWS };
        if self.omop_rows >= least {
            self.omop_rows = 0;
            for (table, columns) in self.builders.finish() {
                if let Some(writer) = self.omop.get_mut(table.name) {
                    writer.write(&self.origin.lineage.batch(table, columns))?;
                }
            }
        }
        self.flat.flush(least, &self.origin)?;
        for plain in [&mut self.crosswalk, &mut self.rejected, &mut self.exclusion].into_iter().chain(&mut self.raw) {
            if plain.len() >= least {
                plain.write()?;
            }
        }
        Ok(())
    }

    /// Writes what is left and closes the files.
    ///
    /// # Errors
    /// The lake refuses the rows.
    pub fn close(mut self) -> Result<Files> {
        self.flush(true)?;
        let mut files = Files::default();
        for (table, writer) in self.omop {
            files.add(TableName::new("omop", table), writer.close()?);
        }
        self.flat.close(&mut files)?;
        for plain in [Some(self.crosswalk), Some(self.rejected), Some(self.exclusion), self.raw].into_iter().flatten() {
            files.add(plain.table, plain.writer.close()?);
        }
        Ok(files)
    }
}

/// Files by table.
#[derive(Default)]
pub struct Files {
    /// The files.
    pub by_table: BTreeMap<TableName, WrittenFiles>,
}

impl Files {
    /// Adds the files of a table.
    pub fn add(&mut self, table: TableName, files: WrittenFiles) {
        self.by_table.entry(table).or_default().extend(files);
    }

    /// Adds the files of another thread.
    pub fn merge(&mut self, other: Files) {
        for (table, files) in other.by_table {
            self.add(table, files);
        }
    }
}

/// Columns of a table that has no builder of its own.
struct Plain {
    table: TableName,
    schema: SchemaRef,
    columns: Vec<PlainColumn>,
    writer: TableWriter,
}

enum PlainColumn {
    Text(StringBuilder),
    Number(Int64Builder),
    Moment(TimestampMicrosecondBuilder),
}

impl Plain {
    async fn open(transaction: &mut Transaction, spec: TableSpec) -> Result<Plain> {
        let writer = transaction.writer(&spec).await?;
        let columns = spec.schema.fields().iter().map(|field| match field.data_type() {
            DataType::Int64 => PlainColumn::Number(Int64Builder::new()),
            DataType::Timestamp(..) => PlainColumn::Moment(TimestampMicrosecondBuilder::new()),
            _ => PlainColumn::Text(StringBuilder::new()),
        });
        Ok(Plain { columns: columns.collect(), table: spec.name, schema: spec.schema, writer })
    }

    fn text(&mut self, index: usize, text: Option<&str>) {
        if let PlainColumn::Text(column) = &mut self.columns[index] {
            column.append_option(text);
        }
    }

    fn number(&mut self, index: usize, number: i64) {
        if let PlainColumn::Number(column) = &mut self.columns[index] {
            column.append_value(number);
        }
    }

    fn moment(&mut self, index: usize, micros: Option<i64>) {
        if let PlainColumn::Moment(column) = &mut self.columns[index] {
            column.append_option(micros);
        }
    }

    fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        match &self.columns[0] {
            PlainColumn::Text(column) => column.len(),
            PlainColumn::Number(column) => column.len(),
            PlainColumn::Moment(column) => column.len(),
        }
    }

    fn write(&mut self) -> Result<()> {
        let arrays = self.columns.iter_mut().map(|column| -> ArrayRef {
            match column {
                PlainColumn::Text(column) => Arc::new(column.finish()),
                PlainColumn::Number(column) => Arc::new(column.finish()),
                PlainColumn::Moment(column) => Arc::new(column.finish()),
            }
        });
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays.collect())?;
        Ok(self.writer.write(&batch)?)
    }
}
