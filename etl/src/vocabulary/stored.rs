//! The vocabulary in the lake: reading it into memory, writing the starter where there is none, and telling what it is.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use lake::{AsOf, Lake, TableName, Transaction};
use model::omop::{self, Builders};
use serde::{Deserialize, Serialize};

use super::Vocabulary;
use super::import::{TABLES, spec};
use super::index::{ConceptRow, IndexBuilder};
use crate::Result;

const STARTER: &str = "starter ";
/// The row of the `vocabulary` table that tells the release of the whole.
const WHOLE: &str = "None";

/// What vocabulary the lake holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The release.
    pub version: String,
    /// True when it is the built-in starter.
    pub is_starter: bool,
    /// All concepts.
    pub concepts: u64,
    /// Concepts that may stand in a `*_concept_id` column.
    pub standard_concepts: u64,
    /// Concepts by vocabulary.
    pub by_vocabulary: BTreeMap<String, u64>,
}

impl Vocabulary {
    /// The vocabulary of the lake; the starter when the lake has none, or an older starter.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub async fn load(lake: &Lake) -> Result<Vocabulary> {
        if !lake.tables().await?.contains(&TableName::new("vocabulary", "concept")) {
            return Ok(Vocabulary::starter());
        }
        let session = lake.session(&AsOf::Latest).await?;
        let version = version(&session).await?;
        let starter = Vocabulary::starter();
        if version.starts_with(STARTER) {
            let is_in_lake = version == starter.version;
            return Ok(Vocabulary { is_in_lake, ..starter });
        }
        let mut index = IndexBuilder::default();
        let sql = "select concept_id, domain_id, vocabulary_id, concept_class_id, standard_concept, concept_code, \
                   invalid_reason from vocabulary.concept";
        for_each(&session, sql, |columns, rows| {
            let ids = columns.column(0).as_primitive::<Int32Type>();
            let text: Vec<_> = (1..7).map(|column| columns.column(column).as_string::<i32>()).collect();
            for row in 0..rows {
                let cell = |column: usize| if text[column].is_null(row) { "" } else { text[column].value(row) };
                index.add_concept(&ConceptRow {
                    concept_id: ids.value(row),
                    domain_id: cell(0),
                    vocabulary_id: cell(1),
                    concept_class_id: cell(2),
                    standard_concept: cell(3),
                    concept_code: cell(4),
                    invalid_reason: cell(5),
                });
            }
        })
        .await?;
        let sql = "select concept_id_1, concept_id_2, relationship_id from vocabulary.concept_relationship \
                   where coalesce(invalid_reason, '') = '' and relationship_id in ('Maps to', 'Maps to value', 'Is a', \
                   'RxNorm has ing', 'RxNorm is a', 'Consists of', 'Tradename of')";
        for_each(&session, sql, |columns, rows| {
            let from = columns.column(0).as_primitive::<Int32Type>();
            let to = columns.column(1).as_primitive::<Int32Type>();
            let kind = columns.column(2).as_string::<i32>();
            for row in 0..rows {
                index.add_relationship(kind.value(row), from.value(row), to.value(row));
            }
        })
        .await?;
        let mut loaded = Vocabulary::new(index, version);
        loaded.is_in_lake = true;
        Ok(loaded)
    }
}

/// Writes the starter as part of a transaction, in place of whatever vocabulary the lake holds.
///
/// # Errors
/// The lake refuses.
pub async fn write_starter(transaction: &mut Transaction) -> Result<()> {
    let mut builders = Builders::default();
    fill(&mut builders, Vocabulary::starter().version());
    let mut held: BTreeMap<&str, RecordBatch> = BTreeMap::new();
    for (table, columns) in builders.finish() {
        held.insert(table.name, RecordBatch::try_new(table.schema(), columns)?);
    }
    for (name, _) in TABLES {
        let mut writer = transaction.writer(&spec(name)).await?;
        if let Some(batch) = held.get(name) {
            writer.write(batch)?;
        }
        transaction.replace(&TableName::new("vocabulary", name), writer.close()?);
    }
    Ok(())
}

/// Tells what vocabulary the lake holds; the starter when there is none yet.
///
/// # Errors
/// The lake cannot be read.
pub async fn info(lake: &Lake) -> Result<Info> {
    if !lake.tables().await?.contains(&TableName::new("vocabulary", "concept")) {
        let mut info = Info { version: Vocabulary::starter().version, is_starter: true, ..Info::default() };
        for concept in model::vocabulary::starter_concepts() {
            info.add(concept.vocabulary_id, 1, u64::from(concept.is_standard()));
        }
        return Ok(info);
    }
    let session = lake.session(&AsOf::Latest).await?;
    let version = version(&session).await?;
    let mut info = Info { is_starter: version.starts_with(STARTER), version, ..Info::default() };
    let sql = "select cast(count(*) as bigint), cast(sum(case when standard_concept = 'S' then 1 else 0 end) as bigint), \
               vocabulary_id from vocabulary.concept group by vocabulary_id";
    for_each(&session, sql, |columns, rows| {
        let all = columns.column(0).as_primitive::<Int64Type>();
        let standard = columns.column(1).as_primitive::<Int64Type>();
        let name = columns.column(2).as_string::<i32>();
        for row in 0..rows {
            info.add(name.value(row), all.value(row).unsigned_abs(), standard.value(row).unsigned_abs());
        }
    })
    .await?;
    Ok(info)
}

impl Info {
    fn add(&mut self, vocabulary_id: &str, concepts: u64, standard_concepts: u64) {
        self.concepts += concepts;
        self.standard_concepts += standard_concepts;
        *self.by_vocabulary.entry(vocabulary_id.to_owned()).or_default() += concepts;
    }
}

async fn version(session: &SessionContext) -> Result<String> {
    let mut version = None;
    let sql = format!("select vocabulary_version from vocabulary.vocabulary where vocabulary_id = '{WHOLE}'");
    for_each(session, &sql, |columns, rows| {
        let text = columns.column(0).as_string::<i32>();
        version = (0..rows).find(|row| !text.is_null(*row)).map(|row| text.value(row).to_owned()).or(version.take());
    })
    .await?;
    Ok(version.unwrap_or_else(|| "unknown release".to_owned()))
}

/// Runs a query and shows its rows batch by batch, every text as plain UTF-8.
pub(super) async fn for_each(
    session: &SessionContext,
    sql: &str,
    mut each: impl FnMut(&RecordBatch, usize),
) -> Result<()> {
    let mut stream = session.sql(sql).await?.execute_stream().await?;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let mut columns = Vec::with_capacity(batch.num_columns());
        for column in batch.columns() {
            columns.push(match column.data_type() {
                DataType::Utf8View | DataType::LargeUtf8 | DataType::Dictionary(_, _) => cast(column, &DataType::Utf8)?,
                _ => column.clone(),
            });
        }
        let plain =
            RecordBatch::try_from_iter(columns.into_iter().enumerate().map(|(at, column)| (at.to_string(), column)))?;
        each(&plain, plain.num_rows());
    }
    Ok(())
}

fn fill(builders: &mut Builders, version: &str) {
    use model::vocabulary as starter;
    let text = |text: &'static str| std::borrow::Cow::Borrowed(text);
    for row in starter::starter_concepts() {
        builders.append(
            &omop::Concept {
                concept_id: row.concept_id,
                concept_name: text(row.concept_name),
                domain_id: text(row.domain_id),
                vocabulary_id: text(row.vocabulary_id),
                concept_class_id: text(row.concept_class_id),
                standard_concept: row.standard_concept.map(text),
                concept_code: text(row.concept_code),
                valid_start_date: row.valid_start_date,
                valid_end_date: row.valid_end_date,
                invalid_reason: row.invalid_reason.map(text),
            }
            .into(),
        );
    }
    for row in starter::starter_relationships() {
        let first = starter::concept(row.concept_id_1).expect("both ends of a relationship are in the starter");
        builders.append(
            &omop::ConceptRelationship {
                concept_id_1: row.concept_id_1,
                concept_id_2: row.concept_id_2,
                relationship_id: text(row.relationship_id),
                valid_start_date: first.valid_start_date,
                valid_end_date: first.valid_end_date,
                invalid_reason: None,
            }
            .into(),
        );
    }
    let mut has_whole = false;
    for row in starter::vocabularies() {
        let is_whole = row.vocabulary_id == WHOLE;
        has_whole |= is_whole;
        let release = if is_whole { Some(version.to_owned().into()) } else { row.vocabulary_version.map(text) };
        builders.append(
            &omop::Vocabulary {
                vocabulary_id: text(row.vocabulary_id),
                vocabulary_name: text(row.vocabulary_name),
                vocabulary_reference: row.vocabulary_reference.map(text),
                vocabulary_version: release,
                vocabulary_concept_id: row.vocabulary_concept_id,
            }
            .into(),
        );
    }
    if !has_whole {
        builders.append(
            &omop::Vocabulary {
                vocabulary_id: text(WHOLE),
                vocabulary_name: text("Starter of synthetic-healthlake"),
                vocabulary_reference: None,
                vocabulary_version: Some(version.to_owned().into()),
                vocabulary_concept_id: omop::NO_MATCHING_CONCEPT,
            }
            .into(),
        );
    }
    for row in starter::domains() {
        builders.append(
            &omop::Domain {
                domain_id: text(row.domain_id),
                domain_name: text(row.domain_name),
                domain_concept_id: row.domain_concept_id,
            }
            .into(),
        );
    }
    for row in starter::concept_classes() {
        builders.append(
            &omop::ConceptClass {
                concept_class_id: text(row.concept_class_id),
                concept_class_name: text(row.concept_class_name),
                concept_class_concept_id: row.concept_class_concept_id,
            }
            .into(),
        );
    }
    for row in starter::relationship_kinds() {
        let digit = |yes: bool| text(if yes { "1" } else { "0" });
        builders.append(
            &omop::Relationship {
                relationship_id: text(row.relationship_id),
                relationship_name: text(row.relationship_name),
                is_hierarchical: digit(row.is_hierarchical),
                defines_ancestry: digit(row.defines_ancestry),
                reverse_relationship_id: text(row.reverse_relationship_id),
                relationship_concept_id: row.relationship_concept_id,
            }
            .into(),
        );
    }
}

#[cfg(test)]
mod tests {
    use lake::{Config, Stamp};

    use super::*;

    #[tokio::test]
    async fn the_starter_is_written_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(&Config::folder(folder.path())).await.unwrap();
        assert!(!Vocabulary::load(&lake).await.unwrap().is_in_lake());
        let before = info(&lake).await.unwrap();
        let stamp = Stamp { run_id: "run".into(), stage: "etl".into(), fingerprint: "f".into() };
        let mut transaction = lake.begin(stamp).await.unwrap();
        write_starter(&mut transaction).await.unwrap();
        transaction.commit().await.unwrap();
        let loaded = Vocabulary::load(&lake).await.unwrap();
        assert!(loaded.is_in_lake());
        assert_eq!(loaded.version(), Vocabulary::starter().version());
        let after = info(&lake).await.unwrap();
        assert!(after.is_starter);
        assert_eq!(after, before);
        assert_eq!(after.concepts as usize, loaded.len());
    }
}
