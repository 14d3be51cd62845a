//! Writes a run's results into the lake: `quality.check_result`, and its line of `quality.run`.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::Utc;
use lake::{KeySet, Lake, Stamp, TableName, TableSpec};
use model::quality::{CHECK_RESULT, CheckResult, QualityTable, RUN};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Result;
use crate::report::Report;

/// Replaces what is known of the run; the same results are committed once.
pub(crate) async fn record(lake: &Lake, report: &Report) -> Result<()> {
    let fingerprint = format!("{:016x}", xxh3_64(&serde_json::to_vec(&report.results)?));
    let stamp = Stamp { run_id: report.run_id.clone(), stage: "validate".into(), fingerprint };
    let tables = [(&CHECK_RESULT, results(report)?), (&RUN, run(report)?)];
    let named = |table: &QualityTable| TableName::new("quality", table.name);
    let mut transaction = lake.begin_on(stamp, tables.iter().map(|(table, _)| named(table)).collect()).await?;
    if transaction.already_committed().is_some() {
        return Ok(());
    }
    for (table, batch) in tables {
        let name = named(table);
        let spec = TableSpec {
            name: name.clone(),
            schema: table.schema(),
            key: Vec::new(),
            sort: Vec::new(),
            partition: None,
        };
        let mut writer = transaction.writer(&spec).await?;
        writer.write(&batch)?;
        let files = writer.close()?;
        let removed = KeySet::Utf8(HashSet::from([report.run_id.clone()]));
        transaction.upsert(&name, "pipeline_run_id", removed, files).await?;
    }
    transaction.commit().await?;
    Ok(())
}

fn results(report: &Report) -> Result<RecordBatch> {
    let results = &report.results;
    let text = |value: fn(&CheckResult) -> Option<&str>| -> ArrayRef {
        Arc::new(StringArray::from_iter(results.iter().map(value)))
    };
    let word = |value: fn(&CheckResult) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(results.iter().map(value)))
    };
    let number = |value: fn(&CheckResult) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(results.iter().map(|result| signed(value(result)))))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&report.run_id, results.len()))),
        text(|result| Some(&result.check.id)),
        text(|result| Some(&result.check.name)),
        word(|result| name_of(&result.check.category)),
        word(|result| name_of(&result.check.severity)),
        text(|result| Some(&result.check.table)),
        text(|result| result.check.column.as_deref()),
        text(|result| Some(&result.check.description)),
        Arc::new(Float64Array::from_iter_values(results.iter().map(|result| result.check.threshold_percent))),
        number(|result| result.row_count),
        number(|result| result.violation_count),
        word(|result| name_of(&result.status)),
        text(|result| result.message.as_deref()),
    ];
    batch(&CHECK_RESULT, columns)
}

/// The end of a run is the one moment taken from the clock: it describes the run, not the data.
fn run(report: &Report) -> Result<RecordBatch> {
    let total = report.accounting.total();
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value.to_owned()])) };
    let number = |value: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![signed(value)])) };
    let time = |micros: i64| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![micros])) };
    let columns = vec![
        text(&report.run_id),
        time(report.started_at.and_utc().timestamp_micros()),
        time(Utc::now().timestamp_micros()),
        text(if report.failed() == 0 { "passed" } else { "failed" }),
        text(&report.software_version),
        text(&report.cdm_version),
        Arc::new(StringArray::from(vec![report.vocabulary_version.clone()])),
        Arc::new(StringArray::from(vec![Some(report.policy.as_str()).filter(|policy| !policy.is_empty())])),
        number(total.read),
        number(total.mapped),
        number(total.excluded),
        number(total.rejected),
        number(report.passed() as u64),
        number(report.failed() as u64),
        text(model::quality::GUIDE),
    ];
    batch(&RUN, columns)
}

fn batch(table: &QualityTable, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(table.schema(), columns)?)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The word that serde writes for an enum without fields.
pub(crate) fn name_of<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
