//! The resources that the lake kept as they came, mapped anew with the rules and the vocabulary of today: no file of the
//! source is needed. The newest version of each counts; a deletion stays one.

use std::io::{BufWriter, Write};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::DataType;
use chrono::{DateTime, NaiveDate};
use lake::{AsOf, Lake, TableName};
use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::extract::source::Sources;
use crate::pass::Progress;
use crate::query::{for_each, micros, numbers, quoted, texts};
use crate::run::{Again, Options, Outcome, load};
use crate::skim;

/// The name under which rejects of a backfill stand.
const RAW: &str = "raw.resource_version";

/// What a backfill did.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Backfill {
    /// What the run did.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Resources with OMOP rows that the lake did not keep as they came: their rows are as they were.
    pub not_kept: u64,
}

/// The sources that the lake keeps resources of, as they came.
///
/// # Errors
/// The lake cannot be read.
pub async fn kept_sources(lake: &Lake) -> Result<Vec<String>> {
    if !lake.tables().await?.contains(&TableName::new("raw", "resource_version")) {
        return Ok(Vec::new());
    }
    let session = lake.session(&AsOf::Latest).await?;
    let mut sources = Vec::new();
    let sql = format!("select distinct source_id from {RAW} order by source_id");
    for_each(&session, &sql, |batch| sources.extend(texts(batch, 0))).await?;
    Ok(sources)
}

/// Maps what the lake kept of a source anew, in one commit. `sources`, `rows` and `complete` of the options do not count.
///
/// # Errors
/// The lake kept nothing of the source, or as [`crate::run`].
pub async fn backfill(lake: &Lake, options: &Options, progress: &(dyn Fn(Progress) + Sync)) -> Result<Backfill> {
    let source_id = &options.source_id;
    if !kept_sources(lake).await?.contains(source_id) {
        return Err(Error::NothingKept { source_id: source_id.clone() });
    }
    let mut spool = Spool::new()?;
    let session = lake.session(&AsOf::Latest).await?;
    let sql = format!(
        "select resource_type, resource_id, json, ingested_at from {RAW} where source_id = '{}' \
         order by resource_type, resource_id, ingested_at",
        quoted(source_id)
    );
    let mut failure = None;
    for_each(&session, &sql, |batch| failure = failure.take().or(spool.take(batch).err())).await?;
    failure.map_or(Ok(()), Err)?;
    let (file, extraction_date) = spool.close()?;
    let options = Options { keep_raw: false, complete: false, rows: None, ..options.clone() };
    let again = Again { remap: true, extraction_date };
    let outcome = load(lake, &options, &Sources::spooled(RAW, file)?, again, progress).await?;
    Ok(Backfill { outcome, not_kept: not_kept(lake, source_id).await? })
}

/// Counts resources with rows that are not in `raw`.
async fn not_kept(lake: &Lake, source_id: &str) -> Result<u64> {
    if !lake.tables().await?.contains(&TableName::new("quality", "crosswalk")) {
        return Ok(0);
    }
    let source = quoted(source_id);
    let sql = format!(
        "select cast(count(*) as bigint) from (select distinct resource_type, resource_id from quality.crosswalk \
         where source_id = '{source}') as x \
         left join (select distinct resource_type, resource_id from {RAW} where source_id = '{source}') as r \
         on r.resource_type = x.resource_type and r.resource_id = x.resource_id where r.resource_id is null"
    );
    let mut count = 0;
    let session = lake.session(&AsOf::Latest).await?;
    for_each(&session, &sql, |batch| count += numbers(batch, 0).into_iter().sum::<i64>()).await?;
    Ok(count.unsigned_abs())
}

/// The newest versions on their way into a file of lines. Rows come sorted, so the last of a resource is the newest.
struct Spool {
    file: BufWriter<NamedTempFile>,
    held: Option<Held>,
    newest: i64,
}

struct Held {
    name: (String, String),
    /// None for a deletion.
    json: Option<String>,
}

impl Spool {
    fn new() -> Result<Spool> {
        let failed = |source| Error::Spill { folder: std::env::temp_dir(), source };
        Ok(Spool { file: BufWriter::new(NamedTempFile::new().map_err(failed)?), held: None, newest: i64::MIN })
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let documents = arrow::compute::cast(batch.column(2), &DataType::Utf8)?;
        let versions = documents.as_string::<i32>().iter().zip(micros(batch, 3));
        for (name, (json, moment)) in texts(batch, 0).into_iter().zip(texts(batch, 1)).zip(versions) {
            self.newest = self.newest.max(moment.unwrap_or(i64::MIN));
            let json = json.map(str::to_owned);
            if self.held.as_ref().is_some_and(|held| held.name != name) {
                self.write()?;
            }
            self.held = Some(Held { name, json });
        }
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let Some(Held { name: (_, id), json: Some(json) }) = self.held.take() else { return Ok(()) };
        let mut line = with_id(&json, &id);
        // A line end may stand between the members of a resource, and nowhere else.
        if line.contains(['\n', '\r']) {
            line = line.replace(['\n', '\r'], " ");
        }
        writeln!(self.file, "{line}").map_err(|source| Error::Spill { folder: std::env::temp_dir(), source })
    }

    fn close(mut self) -> Result<(NamedTempFile, Option<NaiveDate>)> {
        self.write()?;
        let file = self
            .file
            .into_inner()
            .map_err(|error| Error::Spill { folder: std::env::temp_dir(), source: error.into_error() })?;
        Ok((file, DateTime::from_timestamp_micros(self.newest).map(|moment| moment.date_naive())))
    }
}

/// The resource with its id, which only the Bundle around it may have told.
fn with_id(json: &str, id: &str) -> String {
    let text = json.trim();
    let mut has_id = false;
    skim::members(text.as_bytes(), 0, |name, at| {
        has_id |= name == b"id";
        skim::value(text.as_bytes(), at)
    });
    match text.strip_prefix('{') {
        Some(rest) if !has_id => format!("{{\"id\":{},{rest}", serde_json::Value::from(id)),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_without_an_id_gets_the_one_that_it_is_known_by() {
        assert_eq!(with_id(r#"{"resourceType":"Patient"}"#, "a"), r#"{"id":"a","resourceType":"Patient"}"#);
        let own = r#"{"resourceType":"Patient", "id" : "b"}"#;
        assert_eq!(with_id(own, "a"), own);
        let inner = r#"{"name":[{"id":"x"}]}"#;
        assert_eq!(with_id(inner, "a"), r#"{"id":"a","name":[{"id":"x"}]}"#);
    }
}
