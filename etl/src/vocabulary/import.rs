//! Import of an OHDSI Athena download, one file per table. Rows are streamed through all threads; all tables change
//! together or not at all, and then the index of the new state is made.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use lake::{Lake, Stamp, TableName, TableWriter, Transaction, WrittenFiles};
use model::omop::{Builders, Row};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::Vocabulary;
use super::bad_lines::{BadLine, BadLines};
use super::download::{TABLES, find_files, spec, table};
use super::local_map::{LocalMap, LocalMapFile};
use super::self_check::self_check;
use super::supplement::{self, RuleConcept};
use super::table_file::TableFile;
use super::watch::{Seen, Wanted};
use crate::{Error, Result};

const OUTCOME: &str = "vocabulary-outcome";

/// What an import is asked to do.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The unpacked download.
    pub folder: PathBuf,
    /// The run.
    pub run_id: String,
    /// Maps of local codes.
    pub local_maps: Vec<LocalMapFile>,
    /// The code system, as FHIR names it, of local vocabularies.
    pub code_systems: Vec<(String, String)>,
    /// More lines that cannot be read stop the import.
    pub max_bad_lines: u64,
    /// Threads that parse and write.
    pub threads: usize,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOutcome {
    /// The release.
    pub version: String,
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Lines that could not be read.
    pub bad_lines: u64,
    /// The first of them.
    pub first_bad_lines: Vec<BadLine>,
    /// Concepts that the mapping rules name and the download lacks; they were added from the starter.
    pub lacking: Vec<RuleConcept>,
    /// Concepts that the mapping rules name and that are not what the rules expect.
    pub differing: Vec<RuleConcept>,
    /// Concepts made for local codes.
    pub local_concepts: u64,
    /// Maps of local codes that are not used, with the reason.
    pub unused_maps: Vec<String>,
    /// Local vocabularies that no code system of FHIR leads to.
    pub without_code_system: Vec<String>,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// True when this very import had been made before: nothing changed.
    pub already_committed: bool,
}

/// Imports the files of a folder and replaces whatever vocabulary the lake holds.
///
/// # Errors
/// A file is missing or is no table of a vocabulary, or more lines than allowed hold what they should not: the message
/// names file, line and column, and the lake is as before.
pub async fn import(lake: &Lake, options: &ImportOptions) -> Result<ImportOutcome> {
    let mut files = find_files(&options.folder)?;
    let mut maps = options.local_maps.clone();
    maps.extend(files.remove("source_to_concept_map").map(|path| LocalMapFile { path, vocabulary_id: None }));
    let stamp = Stamp {
        run_id: options.run_id.clone(),
        stage: "vocabulary".to_owned(),
        fingerprint: fingerprint(&files, &maps, options)?,
    };
    let mut transaction = lake.begin(stamp).await?;
    if let Some(properties) = transaction.already_committed() {
        let outcome = properties.get(OUTCOME).and_then(|text| serde_json::from_str(text).ok());
        return opened(lake, ImportOutcome { already_committed: true, ..outcome.unwrap_or_default() }).await;
    }
    let bad = BadLines::new(options.max_bad_lines);
    let local = LocalMap::read(&maps, &bad)?;
    local.check_code_systems(&options.code_systems)?;
    let mut import =
        Import { transaction: &mut transaction, bad: &bad, wanted: Wanted::default(), seen: Seen::default() };
    supplement::want(&mut import.wanted);
    local.want(&mut import.wanted);
    let mut written = BTreeMap::new();
    for (table, _) in TABLES {
        written.insert(table, import.table(table, files.get(table).map(PathBuf::as_path), options.threads).await?);
    }
    let seen = import.seen;
    let mut outcome = ImportOutcome::default();
    let made = local.rows(&seen);
    let supplement = supplement::supplement(&seen, if made.rows.is_empty() { &[] } else { &["Undefined"] });
    let mut rows = supplement.rows;
    rows.extend(made.rows);
    rows.extend(local.vocabulary_rows(&seen, &options.code_systems, &mut outcome.without_code_system));
    for (table, files) in write_rows(&mut transaction, &rows).await? {
        written.entry(table).or_default().extend(files);
    }
    for (table, files) in written {
        outcome.rows.insert(table.to_owned(), files.row_count());
        transaction.replace(&TableName::new("vocabulary", table), files);
    }
    (outcome.lacking, outcome.differing) = (supplement.lacking, supplement.differing);
    (outcome.local_concepts, outcome.unused_maps) = (made.concepts, made.unused);
    (outcome.bad_lines, outcome.first_bad_lines) = bad.finish();
    transaction.set_property(OUTCOME, serde_json::to_string(&outcome).unwrap_or_default());
    transaction.commit().await?;
    opened(lake, outcome).await
}

/// Makes the index and checks the project's concepts, so that the first run need not, and says what it is.
async fn opened(lake: &Lake, outcome: ImportOutcome) -> Result<ImportOutcome> {
    let vocabulary = Vocabulary::load(lake).await?;
    self_check(lake, &vocabulary).await?;
    let (version, index_bytes) = (vocabulary.version().to_owned(), vocabulary.size_bytes() as u64);
    Ok(ImportOutcome { version, index_bytes, ..outcome })
}

struct Import<'i> {
    transaction: &'i mut Transaction,
    bad: &'i BadLines,
    wanted: Wanted,
    seen: Seen,
}

/// One thread's share of a table.
struct Share {
    writer: TableWriter,
    seen: Seen,
}

impl Import<'_> {
    /// Reads a file into its table.
    async fn table(&mut self, name: &'static str, path: Option<&Path>, threads: usize) -> Result<WrittenFiles> {
        let mut shares = Vec::new();
        for _ in 0..threads.max(1) {
            shares.push(Share { writer: self.transaction.writer(&spec(name)).await?, seen: Seen::default() });
        }
        if let Some(path) = path {
            let sources: HashSet<i32> = self.seen.codes.values().copied().collect();
            // This blocks the task on purpose: the import has nothing else to do meanwhile.
            shares = TableFile::open(table(name), path)?.read(shares, self.bad, |share: &mut Share, batch| {
                share.seen.look(name, batch, &self.wanted, &sources);
                Ok(share.writer.write(batch)?)
            })?;
        }
        let mut written = WrittenFiles::default();
        for share in shares {
            self.seen.merge(share.seen);
            written.extend(share.writer.close()?);
        }
        Ok(written)
    }
}

/// Names, sizes and times of the files, and what else decides rows.
fn fingerprint(
    files: &BTreeMap<&'static str, PathBuf>,
    maps: &[LocalMapFile],
    options: &ImportOptions,
) -> Result<String> {
    let mut text = format!("{:?}\n", options.code_systems);
    let maps = maps.iter().map(|map| (map.vocabulary_id.as_deref().unwrap_or_default(), &map.path));
    for (name, path) in files.iter().map(|(name, path)| (*name, path)).chain(maps) {
        let read_error = |source| Error::Read { path: path.clone(), source };
        let metadata = std::fs::metadata(path).map_err(read_error)?;
        let modified = metadata.modified().map_err(read_error)?;
        text.push_str(&format!("{name} {} {modified:?}\n", metadata.len()));
    }
    Ok(format!("{:016x}", xxh3_64(text.as_bytes())))
}

/// Writes rows into files of their tables.
pub async fn write_rows(transaction: &mut Transaction, rows: &[Row<'_>]) -> Result<Vec<(&'static str, WrittenFiles)>> {
    let mut builders = Builders::default();
    rows.iter().for_each(|row| builders.append(row));
    let mut written = Vec::new();
    for (table, columns) in builders.finish() {
        let mut writer = transaction.writer(&spec(table.name)).await?;
        writer.write(&RecordBatch::try_new(table.schema(), columns)?)?;
        written.push((table.name, writer.close()?));
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use lake::AsOf;

    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    fn options(folder: &Path) -> ImportOptions {
        ImportOptions {
            folder: folder.to_owned(),
            run_id: "run".into(),
            local_maps: Vec::new(),
            code_systems: Vec::new(),
            max_bad_lines: 10,
            threads: 2,
        }
    }

    const CONCEPT: &str = "concept_id\tconcept_name\tdomain_id\tvocabulary_id\tconcept_class_id\tstandard_concept\tconcept_code\tvalid_start_date\tvalid_end_date\tinvalid_reason\n";
    const RELATIONSHIP: &[u8] =
        b"concept_id_1\tconcept_id_2\trelationship_id\tvalid_start_date\tvalid_end_date\tinvalid_reason\r
4167462\t439224\tMaps to\t19700101\t20991231\t\r\n";

    async fn lake() -> (tempfile::TempDir, Lake) {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(&lake::Config::folder(folder.path())).await.unwrap();
        (folder, lake)
    }

    async fn count(lake: &Lake, sql: &str) -> usize {
        let session = lake.session(&AsOf::Latest).await.unwrap();
        let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
        batches.iter().map(RecordBatch::num_rows).sum()
    }

    #[tokio::test]
    async fn a_download_becomes_tables_and_an_index() {
        let concept = format!(
            "\u{feff}{}4167462\tSays \"yes, and\" more\tObservation\tSNOMED\tDisorder\t\t294499007\t20020131\t2099-12-31\t\r\n\
             439224\tAllergy to drug\tObservation\tSNOMED\tDisorder\tS\tx\t20020131\t20991231\t\r\nbad\r\n",
            CONCEPT.replace('\n', "\r\n")
        );
        let vocabulary = b"vocabulary_id,vocabulary_name,vocabulary_reference,vocabulary_version,vocabulary_concept_id
None,\"OMOP, standardized\",ref,v5.0 29-FEB-24,44819096\n";
        let folder = folder(&[
            ("CONCEPT.csv", concept.as_bytes()),
            ("concept_relationship.CSV", RELATIONSHIP),
            ("VOCABULARY.csv", vocabulary),
            ("notes.txt", b"x"),
        ]);
        let (place, lake) = lake().await;
        let outcome = import(&lake, &options(folder.path())).await.unwrap();
        assert_eq!((outcome.version.as_str(), outcome.rows["concept_ancestor"]), ("v5.0 29-FEB-24", 0));
        assert_eq!(outcome.bad_lines, 1);
        assert_eq!(outcome.first_bad_lines[0].to_string(), "file `CONCEPT.csv`, line 4: expected 10 columns, found 1");
        let cache = std::fs::read_dir(place.path().join("cache")).unwrap().map(|entry| entry.unwrap().path());
        let kinds: std::collections::BTreeSet<_> = cache.map(|path| path.extension().unwrap().to_owned()).collect();
        assert_eq!(kinds, ["check".into(), "index".into()].into());
        let again = import(&lake, &options(folder.path())).await.unwrap();
        assert!(again.already_committed);
        assert_eq!(again, ImportOutcome { already_committed: true, ..outcome.clone() });
        let loaded = Vocabulary::load(&lake).await.unwrap();
        assert!(loaded.is_in_lake());
        assert_eq!(loaded.len() as u64, outcome.rows["concept"]);
        assert_eq!(loaded.maps_to(4167462), [439224]);
        assert!(!loaded.concept_of_code("SNOMED", "294499007").unwrap().is_standard);
        // The rules' concepts are there, the one that differs is as the download has it.
        assert!(outcome.lacking.iter().any(|concept| concept.concept_id == model::vocabulary::rule::TYPE_EHR));
        assert!(loaded.concept(model::vocabulary::rule::TYPE_EHR).unwrap().is_standard);
        let orphans = "select 1 from vocabulary.concept_relationship r left join vocabulary.concept c \
                       on c.concept_id = r.concept_id_2 where c.concept_id is null";
        assert_eq!(count(&lake, orphans).await, 0);
        for (column, table) in [("domain_id", "domain"), ("vocabulary_id", "vocabulary")] {
            let lacking = format!(
                "select 1 from vocabulary.{table} t left join vocabulary.concept c on c.concept_id = t.{table}_concept_id \
                 where c.concept_id is null and t.{column} <> 'None'"
            );
            assert_eq!(count(&lake, &lacking).await, 0, "{table}");
        }
    }

    #[tokio::test]
    async fn local_codes_resolve_through_their_map() {
        let concept =
            format!("{CONCEPT}439224\tAllergy to drug\tObservation\tSNOMED\tDisorder\tS\tx\t20020131\t20991231\t\n");
        let map = b"source_code,source_concept_id,source_vocabulary_id,source_code_description,target_concept_id,target_vocabulary_id,valid_start_date,valid_end_date,invalid_reason\nA1,0,LAB,\"Alpha, one\",439224,SNOMED,1970-01-01,2099-12-31,\n";
        let folder = folder(&[
            ("CONCEPT.csv", concept.as_bytes()),
            ("CONCEPT_RELATIONSHIP.csv", RELATIONSHIP),
            ("map.txt", map),
        ]);
        let (_place, lake) = lake().await;
        let mut options = options(folder.path());
        options.local_maps = vec![LocalMapFile { path: folder.path().join("map.txt"), vocabulary_id: None }];
        let without = import(&lake, &options).await.unwrap();
        assert_eq!((without.local_concepts, without.without_code_system), (1, vec!["LAB".to_owned()]));
        let before = Vocabulary::load(&lake).await.unwrap().identity();
        options.code_systems = vec![("LAB".into(), "http://hospital.example/lab".into())];
        import(&lake, &options).await.unwrap();
        let loaded = Vocabulary::load(&lake).await.unwrap();
        let json = br#"{"coding":[{"system":"http://hospital.example/lab","code":"A1"}]}"#;
        let coded = model::fhir::parse("CodeableConcept", json).unwrap();
        let found = loaded.resolve(&coded, super::super::Priority::Clinical);
        assert_eq!(found.concept_id(), 439224);
        assert!(found.source_concept_id.is_some_and(|id| id >= super::super::watch::FIRST_CUSTOM));
        // Other local codes of the same release make resources be mapped anew.
        assert_ne!(loaded.identity(), before);
        assert_eq!(count(&lake, "select 1 from vocabulary.source_to_concept_map where source_concept_id > 0").await, 1);
        options.code_systems = vec![("LIB".into(), "http://hospital.example/lab".into())];
        let message = import(&lake, &options).await.unwrap_err().to_string();
        assert!(message.contains("`LIB`, which no map of local codes has, expected one of LAB"), "{message}");
    }

    #[tokio::test]
    async fn what_is_no_vocabulary_leaves_the_lake_as_it_was() {
        let (_place, lake) = lake().await;
        let failure = async |files: &[(&str, &[u8])]| {
            let folder = folder(files);
            let options = ImportOptions { max_bad_lines: 0, ..options(folder.path()) };
            let message = import(&lake, &options).await.unwrap_err().to_string();
            assert!(lake.tables().await.unwrap().is_empty());
            message.replace(&folder.path().display().to_string(), "DIR")
        };
        let message = failure(&[("concept.csv", b"concept_id\n1\n"), ("concept_relationship.csv", RELATIONSHIP)]).await;
        assert_eq!(message, "vocabulary: file `DIR/concept.csv` has no column `concept_name`");
        let message = failure(&[("concept.csv", CONCEPT.as_bytes())]).await;
        assert!(message.starts_with("vocabulary: no file `CONCEPT_RELATIONSHIP.csv` in `DIR`\nhint: "), "{message}");
        let bad = format!("{CONCEPT}x\ta\tDrug\tRxNorm\tx\tS\t1\t19700101\t20991231\t\n");
        let message = failure(&[("concept.csv", bad.as_bytes()), ("concept_relationship.csv", RELATIONSHIP)]).await;
        assert!(
            message.starts_with("vocabulary: file `concept.csv`, line 2, column `concept_id`: expected a whole number"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn the_reference_vocabulary_imports() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/omop/vocabulary");
        if !Path::new(path).is_dir() {
            assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "{path} is missing");
            eprintln!("SKIPPED the_reference_vocabulary_imports: {path} is missing");
            return;
        }
        let (_place, lake) = lake().await;
        let outcome = import(&lake, &options(Path::new(path))).await.unwrap();
        assert_eq!((outcome.bad_lines, outcome.differing.len()), (0, 0));
        let added = outcome.rows["concept"] - 2_871;
        assert!(added as usize >= outcome.lacking.len() && !outcome.lacking.is_empty(), "{added}");
        let loaded = Vocabulary::load(&lake).await.unwrap();
        assert_eq!(loaded.len() as u64, 2_871 + added);
        let info = super::super::info(&lake).await.unwrap();
        assert_eq!((info.concepts, info.by_vocabulary["UCUM"]), (2_871 + added, 1_042));
    }

    #[tokio::test]
    async fn the_vocabulary_of_a_published_sample_imports() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/omop/samples/synthea27nj-omop54/Synthea27Nj_5.4.zip");
        let folder = tempfile::tempdir().unwrap();
        let unpacked = std::process::Command::new("unzip").args(["-q", path, "-d"]).arg(folder.path()).status();
        if !unpacked.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "{path} or unzip is missing");
            eprintln!("SKIPPED the_vocabulary_of_a_published_sample_imports: {path} or unzip is missing");
            return;
        }
        let (_place, lake) = lake().await;
        let outcome = import(&lake, &options(folder.path())).await.unwrap();
        assert_eq!(outcome.bad_lines, 0);
        assert!(outcome.rows["concept"] >= 2_294 && outcome.rows["concept_relationship"] >= 266_588);
        let loaded = Vocabulary::load(&lake).await.unwrap();
        assert_eq!(loaded.version(), "v5.0 09-APR-22*");
    }
}
