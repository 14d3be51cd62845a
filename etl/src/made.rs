//! OMOP rows that were made elsewhere and need no mapping, such as those of the generator, and the resources that mean
//! the same, which become flat tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use chrono::NaiveDateTime;
use datafusion::prelude::SessionContext;
use lake::{Lake, Stamp, TableName, TableWriter, Transaction};
use model::document::{Element, Resource};
use model::omop::key::omop_key;
use model::omop::{Lineage, Table};
use model::quality::{ACCOUNTING, ANOMALY, CONCEPT_CHECK, LOSS, MAPPING_COVERAGE};

use crate::account::Account;
use crate::derive;
use crate::error::{Error, Result};
use crate::load::{BATCH_ROWS, Files, FlatTables, LOOK_ROWS, Origin, Sink, cdm_tables, omop_spec, quality_spec};
use crate::query::{for_each, numbers, quoted};
use crate::reference::{Directory, References};
use crate::view::path::Scope;
use crate::view::{self, Version, View};
use crate::vocabulary::{self, Vocabulary};

/// The snapshot property that holds how many rows each table got.
const ROWS: &str = "made-rows";

/// Where rows come from, and when.
#[derive(Clone, Debug)]
pub struct MadeRows {
    /// Name of the source, part of every key.
    pub source_id: String,
    /// The run.
    pub run_id: String,
    /// What of the run it is: the same stage of the same run is committed once.
    pub stage: String,
    /// A word for all that decides the rows.
    pub fingerprint: String,
    /// When the run started, in UTC.
    pub started_at: NaiveDateTime,
    /// Threads that make rows.
    pub threads: usize,
}

/// One thread's way of rows and resources into the lake.
pub struct RowWriter {
    origin: Origin,
    tables: BTreeMap<&'static str, TableWriter>,
    flat: FlatTables,
    /// Flat rows added since the tables were looked at.
    appended: usize,
    /// What does not fit the flat tables.
    account: Account,
    /// References are taken at their word.
    directory: Directory,
}

impl RowWriter {
    async fn open(transaction: &mut Transaction, views: &[Arc<View>], origin: &Origin) -> Result<RowWriter> {
        let mut tables = BTreeMap::new();
        for table in cdm_tables() {
            tables.insert(table.name, transaction.writer(&omop_spec(table)).await?);
        }
        let flat = FlatTables::open(transaction, views).await?;
        let (account, directory) = (Account::default(), Directory::default());
        Ok(RowWriter { origin: origin.clone(), tables, flat, appended: 0, account, directory })
    }

    /// Writes columns that a builder of the table finished.
    ///
    /// # Errors
    /// The table is not one of the CDM proper, or the lake refuses the rows.
    pub fn write(&mut self, table: &'static Table, columns: Vec<ArrayRef>) -> Result<()> {
        let writer = self.tables.get_mut(table.name);
        let writer = writer.ok_or_else(|| lake::Error::NoWriter(TableName::new("omop", table.name)))?;
        Ok(writer.write(&self.origin.lineage.batch(table, columns))?)
    }

    /// Writes the flat rows of a resource. It was not mapped: its mapping hash is that of its content.
    ///
    /// # Errors
    /// The resource has no id, or the lake refuses the rows.
    pub fn write_resource(&mut self, resource_type: &str, element: Element<'_>) -> Result<()> {
        if !self.flat.has(resource_type) {
            return Ok(());
        }
        let id = element.get("id").and_then(|id| id.as_str());
        let id = id.ok_or_else(|| Error::MadeWithoutId { resource_type: resource_type.to_owned() })?;
        let source_id = &self.origin.lineage.source_id;
        let key = omop_key(source_id, &[resource_type, "/", id].concat(), "fhir", "");
        let content_hash = element.content_hash() as i64;
        let version = Version { content_hash, mapping_hash: content_hash, ..Version::told(element, key) };
        let references = References::new(&self.directory, source_id, None, None);
        let resource = Resource { resource_type, id, element };
        let scope = Scope { id, references: &references };
        self.appended += self.flat.append(&resource, scope, &version, &mut self.account);
        if self.appended < LOOK_ROWS {
            return Ok(());
        }
        self.appended = 0;
        self.flat.flush(BATCH_ROWS, &self.origin)
    }

    fn close(mut self) -> Result<(Files, Account)> {
        let mut files = Files::default();
        for (table, writer) in self.tables {
            files.add(TableName::new("omop", table), writer.close()?);
        }
        self.flat.flush(1, &self.origin)?;
        self.flat.close(&mut files)?;
        Ok((files, self.account))
    }
}

/// Commits what `make` writes, in one commit with all other tables of the lake, which it leaves as they are or makes
/// without rows. Returns the rows by `namespace.table`; what the same stage of the same run has committed, if it has.
///
/// # Errors
/// The lake has rows of the source that another run committed, or refuses; or `make` fails. Nothing is visible then.
pub async fn commit_rows<E: From<Error>>(
    lake: &Lake,
    made: &MadeRows,
    make: impl FnOnce(Vec<RowWriter>) -> std::result::Result<Vec<RowWriter>, E>,
) -> std::result::Result<BTreeMap<String, u64>, E> {
    let mut transaction = begin(lake, made).await?;
    if let Some(rows) = transaction.already_committed().and_then(|properties| properties.get(ROWS)) {
        return Ok(serde_json::from_str(rows).unwrap_or_default());
    }
    refuse_others(lake, &transaction, made).await?;
    let writers = prepare(lake, &mut transaction, made).await?;
    // It blocks this task on purpose: there is nothing else to do meanwhile.
    let writers = make(writers)?;
    Ok(commit(transaction, made, writers).await?)
}

async fn begin(lake: &Lake, made: &MadeRows) -> Result<Transaction> {
    let MadeRows { run_id, stage, fingerprint, .. } = made.clone();
    Ok(lake.begin(Stamp { run_id, stage, fingerprint }).await?)
}

/// Rows are added and none taken away: those of an earlier run would stand beside them under the same keys.
async fn refuse_others(lake: &Lake, transaction: &Transaction, made: &MadeRows) -> Result<()> {
    if lake.row_count(&TableName::new("omop", "person")).await?.is_none() {
        return Ok(());
    }
    let by_others = format!("pipeline_run_id <> '{}'", quoted(&made.run_id));
    let count = count_persons(&transaction.session().await?, &made.source_id, &by_others).await?;
    if count == 0 { Ok(()) } else { Err(Error::SourceIsThere { source_id: made.source_id.clone(), count }) }
}

/// How many persons of a source were made, not read.
///
/// # Errors
/// The lake cannot be read.
pub async fn count_made(session: &SessionContext, source_id: &str) -> Result<i64> {
    count_persons(session, source_id, "not synced_from_fhir").await
}

async fn count_persons(session: &SessionContext, source_id: &str, condition: &str) -> Result<i64> {
    let sql = format!("select count(*) from omop.person where source_id = '{}' and {condition}", quoted(source_id));
    let mut count = 0;
    for_each(session, &sql, |batch| count += numbers(batch, 0).iter().sum::<i64>()).await?;
    Ok(count)
}

/// Makes all tables of a lake, with the vocabulary and what describes the source, and opens writers.
async fn prepare(lake: &Lake, transaction: &mut Transaction, made: &MadeRows) -> Result<Vec<RowWriter>> {
    let vocabulary = Vocabulary::load(lake).await?;
    if !vocabulary.is_in_lake() {
        vocabulary::write_starter(transaction).await?;
    }
    let lineage = Lineage {
        pipeline_run_id: made.run_id.clone(),
        persisted_at: made.started_at,
        source_id: made.source_id.clone(),
        synced_from_fhir: false,
    };
    let origin = Origin { lineage, started_at: made.started_at.and_utc().timestamp_micros() };
    let views = view::load(None)?;
    let mut sink = Sink::open(transaction, &views, &origin, false).await?;
    sink.omop_row(&derive::cdm_source(&made.source_id, made.started_at.date(), vocabulary.version()).into());
    for (table, files) in sink.close()?.by_table {
        if table.name == "cdm_source" {
            transaction.replace(&table, files);
        }
    }
    for table in [&ACCOUNTING, &MAPPING_COVERAGE, &ANOMALY, &CONCEPT_CHECK] {
        transaction.writer(&quality_spec(table)).await?.close()?;
    }
    let mut writers = Vec::new();
    for _ in 0..made.threads.max(1) {
        writers.push(RowWriter::open(transaction, &views, &origin).await?);
    }
    Ok(writers)
}

async fn commit(
    mut transaction: Transaction,
    made: &MadeRows,
    writers: Vec<RowWriter>,
) -> Result<BTreeMap<String, u64>> {
    let (mut files, mut account) = (Files::default(), Account::default());
    for writer in writers {
        let (theirs, lost) = writer.close()?;
        files.merge(theirs);
        account.merge(lost);
    }
    let mut losses = transaction.writer(&quality_spec(&LOSS)).await?;
    losses.write(&account.loss_rows(&made.run_id, &made.source_id)?)?;
    files.add(TableName::new("quality", LOSS.name), losses.close()?);
    let mut rows = BTreeMap::new();
    for (table, files) in files.by_table.into_iter().filter(|(_, files)| files.row_count() > 0) {
        rows.insert(table.to_string(), files.row_count());
        transaction.append(&table, files);
    }
    transaction.set_property(ROWS, serde_json::to_string(&rows).unwrap_or_default());
    transaction.commit().await?;
    Ok(rows)
}
