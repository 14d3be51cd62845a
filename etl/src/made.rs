//! OMOP rows that were made elsewhere and need no mapping, such as those of the generator.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use chrono::NaiveDateTime;
use lake::{Lake, Stamp, TableName, TableWriter, Transaction};
use model::omop::{Lineage, Table};
use model::quality::{ACCOUNTING, ANOMALY, CONCEPT_CHECK, LOSS, MAPPING_COVERAGE};

use crate::derive;
use crate::error::{Error, Result};
use crate::load::{Origin, Sink, cdm_tables, omop_spec, quality_spec};
use crate::query::{for_each, numbers, quoted};
use crate::view;
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

/// One thread's way of rows into the lake.
pub struct RowWriter {
    lineage: Lineage,
    tables: BTreeMap<&'static str, TableWriter>,
}

impl RowWriter {
    async fn open(transaction: &mut Transaction, lineage: &Lineage) -> Result<RowWriter> {
        let mut tables = BTreeMap::new();
        for table in cdm_tables() {
            tables.insert(table.name, transaction.writer(&omop_spec(table)).await?);
        }
        Ok(RowWriter { lineage: lineage.clone(), tables })
    }

    /// Writes columns that a builder of the table finished.
    ///
    /// # Errors
    /// The table is not one of the CDM proper, or the lake refuses the rows.
    pub fn write(&mut self, table: &'static Table, columns: Vec<ArrayRef>) -> Result<()> {
        let writer = self.tables.get_mut(table.name);
        let writer = writer.ok_or_else(|| lake::Error::NoWriter(TableName::new("omop", table.name)))?;
        Ok(writer.write(&self.lineage.batch(table, columns))?)
    }
}

/// Commits what `make` writes, in one commit with all other tables of the lake, which it leaves as they are or makes
/// without rows. Returns the rows by `omop.table`; what the same stage of the same run has committed, if it has.
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
    let lineage = Lineage {
        pipeline_run_id: made.run_id.clone(),
        persisted_at: made.started_at,
        source_id: made.source_id.clone(),
        synced_from_fhir: false,
    };
    let writers = prepare(lake, &mut transaction, made, &lineage).await?;
    // It blocks this task on purpose: there is nothing else to do meanwhile.
    let writers = make(writers)?;
    Ok(commit(transaction, writers).await?)
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
    let session = transaction.session().await?;
    let sql = format!(
        "select count(*) from omop.person where source_id = '{}' and pipeline_run_id <> '{}'",
        quoted(&made.source_id),
        quoted(&made.run_id)
    );
    let mut count = 0;
    for_each(&session, &sql, |batch| count += numbers(batch, 0).iter().sum::<i64>()).await?;
    if count == 0 { Ok(()) } else { Err(Error::SourceIsThere { source_id: made.source_id.clone(), count }) }
}

/// Makes all tables of a lake, with the vocabulary and what describes the source, and opens writers.
async fn prepare(
    lake: &Lake,
    transaction: &mut Transaction,
    made: &MadeRows,
    lineage: &Lineage,
) -> Result<Vec<RowWriter>> {
    let vocabulary = Vocabulary::load(lake).await?;
    if !vocabulary.is_in_lake() {
        vocabulary::write_starter(transaction).await?;
    }
    let origin = Origin { lineage: lineage.clone(), started_at: made.started_at.and_utc().timestamp_micros() };
    let mut sink = Sink::open(transaction, &view::load(None)?, &origin, false).await?;
    sink.omop_row(&derive::cdm_source(&made.source_id, made.started_at.date(), vocabulary.version()).into());
    for (table, files) in sink.close()?.by_table {
        if table.name == "cdm_source" {
            transaction.replace(&table, files);
        }
    }
    for table in [&ACCOUNTING, &MAPPING_COVERAGE, &LOSS, &ANOMALY, &CONCEPT_CHECK] {
        transaction.writer(&quality_spec(table)).await?.close()?;
    }
    let mut writers = Vec::new();
    for _ in 0..made.threads.max(1) {
        writers.push(RowWriter::open(transaction, lineage).await?);
    }
    Ok(writers)
}

async fn commit(mut transaction: Transaction, writers: Vec<RowWriter>) -> Result<BTreeMap<String, u64>> {
    let mut rows = BTreeMap::new();
    for (table, writer) in writers.into_iter().flat_map(|writer| writer.tables) {
        let files = writer.close()?;
        if files.row_count() > 0 {
            *rows.entry(format!("omop.{table}")).or_default() += files.row_count();
            transaction.append(&TableName::new("omop", table), files);
        }
    }
    transaction.set_property(ROWS, serde_json::to_string(&rows).unwrap_or_default());
    transaction.commit().await?;
    Ok(rows)
}
