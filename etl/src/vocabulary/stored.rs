//! The vocabulary in the lake: reading it into memory, writing the starter where there is none, and telling what it is.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use lake::{AsOf, Lake, TableName, Transaction};
use model::omop::Builders;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::bad_lines::BadLines;
use super::build::IndexBuilder;
use super::cache;
use super::download::{TABLES, find_files, spec};
use super::index::Index;
use super::table_file::TableFile;
use super::{UNKNOWN_RELEASE, Vocabulary, WHOLE};
use crate::Result;

const STARTER: &str = "starter ";

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
    /// Rows by table.
    pub tables: BTreeMap<String, u64>,
    /// Bytes of the index; none when it has yet to be made.
    pub index_bytes: Option<u64>,
}

/// The tables that the index is made of, with what of them it needs.
const INDEXED: [(&str, &str); 4] = [
    ("vocabulary", "select vocabulary_id, vocabulary_reference, vocabulary_version from vocabulary.vocabulary"),
    (
        "concept",
        "select concept_id, domain_id, vocabulary_id, concept_class_id, standard_concept, concept_code, invalid_reason \
         from vocabulary.concept",
    ),
    (
        "concept_relationship",
        "select concept_id_1, concept_id_2, relationship_id, invalid_reason from vocabulary.concept_relationship",
    ),
    (
        "concept_ancestor",
        "select ancestor_concept_id, descendant_concept_id, min_levels_of_separation \
         from vocabulary.concept_ancestor where min_levels_of_separation = 1",
    ),
];

impl Vocabulary {
    /// The vocabulary of a download that has not been imported.
    ///
    /// # Errors
    /// A file is missing or cannot be read.
    pub fn of_folder(folder: &Path, bad: &BadLines) -> Result<Vocabulary> {
        let files = find_files(folder)?;
        let mut builder = IndexBuilder::default();
        builder.set_version(UNKNOWN_RELEASE);
        for (name, _) in INDEXED {
            let table = model::omop::table(name).expect("the vocabulary's tables are part of the CDM");
            if let Some(path) = files.get(name) {
                let read = TableFile::open(table, path)?.read(vec![builder], bad, |builder, batch| {
                    builder.add_batch(name, batch);
                    Ok(())
                })?;
                builder = read.into_iter().next().unwrap_or_default();
            }
        }
        Ok(Vocabulary::new(builder.finish()?))
    }

    /// The vocabulary of the lake; the starter when the lake has none, or an older starter.
    ///
    /// The first call after an import makes the index and keeps it beside the lake; later ones open it.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub async fn load(lake: &Lake) -> Result<Vocabulary> {
        if !lake.tables().await?.contains(&TableName::new("vocabulary", "concept")) {
            return Ok(Vocabulary::starter());
        }
        loop {
            let state = state(lake).await?;
            let path = cache::index(lake, state);
            // One of another version of the program is as none.
            if let Some(index) = cache::read(&path)?.and_then(|bytes| Index::of_bytes(bytes).ok()) {
                return Ok(Vocabulary::of_state(index, state));
            }
            let session = lake.session(&AsOf::Latest).await?;
            let version = version(&session).await?;
            if version.starts_with(STARTER) {
                let starter = Vocabulary::starter();
                return Ok(Vocabulary { is_in_lake: version == starter.version(), ..starter });
            }
            let index = build(&session, &version).await?;
            // Somebody may have imported another vocabulary meanwhile: then the index is of neither.
            if self::state(lake).await? == state {
                cache::write(&path, index.bytes())?;
                return Ok(Vocabulary::of_state(index, state));
            }
        }
    }

    fn of_state(index: Index, state: u64) -> Vocabulary {
        Vocabulary { is_in_lake: true, state: Some(state), ..Vocabulary::new(index) }
    }
}

/// A hash of the snapshots of the tables that the index is made of.
pub async fn state(lake: &Lake) -> Result<u64> {
    let mut text = String::new();
    for (table, _) in INDEXED {
        let snapshot = lake.history(&TableName::new("vocabulary", table)).await?.last().map(|snapshot| snapshot.id);
        text.push_str(&format!("{table} {snapshot:?}\n"));
    }
    Ok(xxh3_64(text.as_bytes()))
}

async fn build(session: &SessionContext, version: &str) -> Result<Index> {
    let mut builder = IndexBuilder::default();
    builder.set_version(version);
    for (table, sql) in INDEXED {
        let filter = match table {
            "concept_relationship" => {
                format!(" where relationship_id in ('{}')", super::build::RELATIONSHIPS.join("', '"))
            }
            _ => String::new(),
        };
        for_each(session, &format!("{sql}{filter}"), |batch, _| builder.add_batch(table, batch)).await?;
    }
    builder.finish()
}

/// Writes the starter as part of a transaction, in place of whatever vocabulary the lake holds.
///
/// # Errors
/// The lake refuses.
pub async fn write_starter(transaction: &mut Transaction) -> Result<()> {
    let mut builders = Builders::default();
    super::starter::rows(Vocabulary::starter().version()).iter().for_each(|row| builders.append(row));
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
        let mut info =
            Info { version: Vocabulary::starter().version().to_owned(), is_starter: true, ..Info::default() };
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
    let tables = lake.row_counts().await?;
    let own = tables.into_iter().filter(|(table, _)| table.namespace == "vocabulary");
    info.tables = own.map(|(table, rows)| (table.name, rows)).collect();
    let index = cache::index(lake, state(lake).await?);
    info.index_bytes = std::fs::metadata(index).ok().map(|file| file.len());
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
    Ok(version.unwrap_or_else(|| UNKNOWN_RELEASE.to_owned()))
}

/// Runs a query and shows its rows batch by batch, every text as plain UTF-8.
pub async fn for_each(session: &SessionContext, sql: &str, mut each: impl FnMut(&RecordBatch, usize)) -> Result<()> {
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
        let names = batch.schema_ref().fields().iter().map(|field| field.name());
        let plain = RecordBatch::try_from_iter(names.zip(columns))?;
        each(&plain, plain.num_rows());
    }
    Ok(())
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
        assert_eq!((&after.version, &after.by_vocabulary), (&before.version, &before.by_vocabulary));
        assert_eq!((after.concepts, after.tables["concept"]), (before.concepts, before.concepts));
        assert_eq!(after.concepts as usize, loaded.len());
        assert_eq!(after.index_bytes, None, "the starter needs no index");
    }
}
