//! Import of an OHDSI Athena download: tab-separated text without quoting, one file per table. Comma-separated files with
//! quoting are read as well. Rows are streamed; all tables change together or not at all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Builder, Float64Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder};
use chrono::NaiveDate;
use csv::ByteRecord;
use lake::{Lake, Stamp, TableName, TableSpec, TableWriter, WrittenFiles};
use model::omop::{Column, ColumnType, Table};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Error, Result};

/// The tables of a vocabulary, each with the columns by which it is clustered.
pub const TABLES: [(&str, &[&str]); 10] = [
    ("concept", &["concept_id"]),
    ("concept_relationship", &["concept_id_1", "relationship_id"]),
    ("concept_ancestor", &["descendant_concept_id"]),
    ("concept_synonym", &["concept_id"]),
    ("vocabulary", &["vocabulary_id"]),
    ("domain", &["domain_id"]),
    ("concept_class", &["concept_class_id"]),
    ("relationship", &["relationship_id"]),
    ("drug_strength", &["drug_concept_id"]),
    ("source_to_concept_map", &["source_vocabulary_id", "source_code"]),
];

const BATCH_ROWS: usize = 32 << 10;

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOutcome {
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// True when this very import had been made before: nothing changed.
    pub already_committed: bool,
}

/// Imports the files of a folder and replaces whatever vocabulary the lake holds.
///
/// # Errors
/// A file is missing or holds what it should not: the message names file, line and column, and the lake is as before.
pub async fn import(lake: &Lake, dir: &Path, run_id: &str) -> Result<ImportOutcome> {
    let files = find_files(dir)?;
    let stamp = Stamp { run_id: run_id.to_owned(), stage: "vocabulary".to_owned(), fingerprint: fingerprint(&files)? };
    let mut transaction = lake.begin(stamp).await?;
    if let Some(properties) = transaction.already_committed() {
        let rows = properties.get("vocabulary-rows").and_then(|text| serde_json::from_str(text).ok());
        return Ok(ImportOutcome { rows: rows.unwrap_or_default(), already_committed: true });
    }
    let mut readers = Vec::new();
    for (name, _) in TABLES {
        let writer = transaction.writer(&spec(name)).await?;
        let path = files.get(name).cloned();
        readers.push((name, tokio::task::spawn_blocking(move || read(name, path.as_deref(), writer))));
    }
    let mut rows = BTreeMap::new();
    for (name, reader) in readers {
        let written =
            reader.await.map_err(|_| Error::Vocabulary(format!("the reader of `{name}` stopped unexpectedly")))??;
        rows.insert(name.to_owned(), written.row_count());
        transaction.replace(&TableName::new("vocabulary", name), written);
    }
    transaction.set_property("vocabulary-rows", serde_json::to_string(&rows).unwrap_or_default());
    transaction.commit().await?;
    Ok(ImportOutcome { rows, already_committed: false })
}

/// How the lake keeps a table of the vocabulary.
pub fn spec(name: &str) -> TableSpec {
    let sort = TABLES.iter().find(|(table, _)| *table == name).map_or(&[] as &[&str], |(_, sort)| sort);
    let table = model::omop::table(name).expect("the vocabulary's tables are part of the CDM");
    TableSpec {
        name: TableName::new("vocabulary", name),
        schema: table.schema(),
        key: Vec::new(),
        sort: sort.iter().map(|column| (*column).to_owned()).collect(),
        partition: None,
    }
}

/// The file of each table, whatever the case of its name.
fn find_files(dir: &Path) -> Result<BTreeMap<&'static str, PathBuf>> {
    if !dir.is_dir() {
        return Err(Error::NoSuchSource { name: dir.display().to_string() });
    }
    let entries = std::fs::read_dir(dir).map_err(|source| Error::Read { path: dir.to_owned(), source })?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|source| Error::Read { path: dir.to_owned(), source })?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_lowercase();
        let table = TABLES.iter().find(|(table, _)| name.strip_suffix(".csv") == Some(table));
        if let Some((table, _)) = table
            && let Some(other) = files.insert(*table, path.clone())
        {
            let problem = format!("both `{}` and `{}` are table `{table}`", other.display(), path.display());
            return Err(Error::Vocabulary(problem));
        }
    }
    for table in ["concept", "concept_relationship"] {
        if !files.contains_key(table) {
            let problem = format!(
                "no file `{}.csv` in `{}`\nhint: unpack the zip file of the Athena download there",
                table.to_uppercase(),
                dir.display()
            );
            return Err(Error::Vocabulary(problem));
        }
    }
    Ok(files)
}

/// Names, sizes and times of the files.
fn fingerprint(files: &BTreeMap<&'static str, PathBuf>) -> Result<String> {
    let mut text = String::new();
    for (name, path) in files {
        let read_error = |source| Error::Read { path: path.clone(), source };
        let metadata = std::fs::metadata(path).map_err(read_error)?;
        let modified = metadata.modified().map_err(read_error)?;
        text.push_str(&format!("{name} {} {modified:?}\n", metadata.len()));
    }
    Ok(format!("{:016x}", xxh3_64(text.as_bytes())))
}

fn read(name: &str, path: Option<&Path>, mut writer: TableWriter) -> Result<WrittenFiles> {
    if let Some(path) = path {
        let table = model::omop::table(name).expect("the vocabulary's tables are part of the CDM");
        read_file(table, path, |batch| Ok(writer.write(batch)?))?;
    }
    Ok(writer.close()?)
}

/// Reads a file in batches.
fn read_file(table: &'static Table, path: &Path, mut each: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
    let mut reader = open(path)?;
    let header = reader.byte_headers().map_err(|error| broken(path, &error))?.clone();
    let mut columns = Vec::new();
    for column in table.columns {
        let matches = |cell: &[u8]| String::from_utf8_lossy(cell).trim().eq_ignore_ascii_case(column.name);
        let index = header.iter().position(matches);
        if index.is_none() && column.required {
            let problem = format!("file `{}` has no column `{}`", path.display(), column.name);
            return Err(Error::Vocabulary(problem));
        }
        columns.push(Cells { column, index, builder: Builder::new(column.data_type) });
    }
    let mut record = ByteRecord::new();
    let mut rows = 0;
    while reader.read_byte_record(&mut record).map_err(|error| broken(path, &error))? {
        for cells in &mut columns {
            let cell = cells.index.and_then(|index| record.get(index));
            if let Err(expected) = cells.push(cell) {
                return Err(Error::Vocabulary(format!(
                    "file `{}`, line {}, column `{}`: expected {expected}",
                    path.display(),
                    record.position().map_or(0, |position| position.line()),
                    cells.column.name
                )));
            }
        }
        rows += 1;
        if rows == BATCH_ROWS {
            each(&batch(table, &mut columns)?)?;
            rows = 0;
        }
    }
    if rows > 0 {
        each(&batch(table, &mut columns)?)?;
    }
    Ok(())
}

/// A tab in the first line makes a file tab-separated, and then quotes are text.
fn open(path: &Path) -> Result<csv::Reader<BufReader<File>>> {
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(read_error)?;
    let mut start = [0; 4096];
    let mut length = 0;
    while length < start.len() {
        match file.read(&mut start[length..]).map_err(read_error)? {
            0 => break,
            count => length += count,
        }
    }
    let start = &start[..length];
    let mark = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let first_line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_tabbed = first_line.contains(&b'\t');
    file.seek(SeekFrom::Start(mark)).map_err(read_error)?;
    let mut builder = csv::ReaderBuilder::new();
    builder.delimiter(if is_tabbed { b'\t' } else { b',' }).quoting(!is_tabbed);
    Ok(builder.from_reader(BufReader::with_capacity(1 << 20, file)))
}

fn broken(path: &Path, error: &csv::Error) -> Error {
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => format!(
            "file `{}`, line {}: expected {expected_len} columns, found {len}",
            path.display(),
            pos.as_ref().map_or(0, |position| position.line())
        ),
        _ => format!("file `{}`: {error}", path.display()),
    };
    Error::Vocabulary(problem)
}

fn batch(table: &Table, columns: &mut [Cells]) -> Result<RecordBatch> {
    Ok(RecordBatch::try_new(table.schema(), columns.iter_mut().map(|cells| cells.builder.finish()).collect())?)
}

struct Cells {
    column: &'static Column,
    index: Option<usize>,
    builder: Builder,
}

enum Builder {
    Integer(Int32Builder),
    Key(Int64Builder),
    Float(Float64Builder),
    Date(Date32Builder),
    Text(StringBuilder),
}

impl Cells {
    /// Adds a cell; the error says what was expected.
    fn push(&mut self, cell: Option<&[u8]>) -> std::result::Result<(), &'static str> {
        let text = std::str::from_utf8(cell.unwrap_or_default()).map_err(|_| "valid UTF-8")?;
        let is_text = matches!(self.builder, Builder::Text(_));
        if !is_text && text.trim().is_empty() && self.column.required {
            return Err("a value");
        }
        if text.is_empty() && !self.column.required {
            self.builder.push_null();
            return Ok(());
        }
        self.builder.push(text)
    }
}

impl Builder {
    fn new(data_type: ColumnType) -> Builder {
        match data_type {
            ColumnType::Integer => Builder::Integer(Int32Builder::new()),
            ColumnType::Key => Builder::Key(Int64Builder::new()),
            ColumnType::Float => Builder::Float(Float64Builder::new()),
            ColumnType::Date | ColumnType::Datetime => Builder::Date(Date32Builder::new()),
            ColumnType::Varchar(_) | ColumnType::Text => Builder::Text(StringBuilder::new()),
        }
    }

    fn push(&mut self, text: &str) -> std::result::Result<(), &'static str> {
        match self {
            Builder::Integer(builder) => builder.append_value(text.trim().parse().map_err(|_| "a whole number")?),
            Builder::Key(builder) => builder.append_value(text.trim().parse().map_err(|_| "a whole number")?),
            Builder::Float(builder) => builder.append_value(text.trim().parse().map_err(|_| "a number")?),
            Builder::Date(builder) => builder.append_value(day(text.trim())?.to_epoch_days()),
            Builder::Text(builder) => builder.append_value(text),
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Builder::Integer(builder) => builder.append_null(),
            Builder::Key(builder) => builder.append_null(),
            Builder::Float(builder) => builder.append_null(),
            Builder::Date(builder) => builder.append_null(),
            Builder::Text(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Integer(builder) => Arc::new(builder.finish()),
            Builder::Key(builder) => Arc::new(builder.finish()),
            Builder::Float(builder) => Arc::new(builder.finish()),
            Builder::Date(builder) => Arc::new(builder.finish()),
            Builder::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

/// `19700101` as Athena writes it, or `1970-01-01`.
fn day(text: &str) -> std::result::Result<NaiveDate, &'static str> {
    let form = if text.contains('-') { "%Y-%m-%d" } else { "%Y%m%d" };
    NaiveDate::parse_from_str(text, form).map_err(|_| "a date such as 19700101 or 1970-01-01")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    const RELATIONSHIP: &[u8] =
        b"concept_id_1\tconcept_id_2\trelationship_id\tvalid_start_date\tvalid_end_date\tinvalid_reason\r
4167462\t439224\tMaps to\t19700101\t20991231\t\r\n";

    async fn lake() -> (tempfile::TempDir, Lake) {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(&lake::Config::folder(folder.path())).await.unwrap();
        (folder, lake)
    }

    async fn failure(files: &[(&str, &[u8])]) -> String {
        let folder = folder(files);
        let (_place, lake) = lake().await;
        let message = import(&lake, folder.path(), "run").await.unwrap_err().to_string();
        assert!(lake.tables().await.unwrap().is_empty());
        message.replace(&folder.path().display().to_string(), "DIR")
    }

    #[tokio::test]
    async fn tabs_quotes_dates_and_column_order_are_as_athena_writes_them() {
        let concept = "\u{feff}concept_code\tconcept_id\tconcept_name\tdomain_id\tvocabulary_id\tconcept_class_id\tstandard_concept\tvalid_start_date\tvalid_end_date\tinvalid_reason\r
294499007\t4167462\tSays \"yes, and\" more\tObservation\tSNOMED\tDisorder\t\t20020131\t2099-12-31\t\r
x\t439224\tAllergy to drug\tObservation\tSNOMED\tDisorder\tS\t20020131\t20991231\t\r\n";
        let vocabulary =
            b"vocabulary_id,vocabulary_name,vocabulary_reference,vocabulary_version,vocabulary_concept_id,extra
None,\"OMOP, standardized\",ref,v5.0 29-FEB-24,44819096,1\n";
        let folder = folder(&[
            ("CONCEPT.csv", concept.as_bytes()),
            ("concept_relationship.CSV", RELATIONSHIP),
            ("VOCABULARY.csv", vocabulary),
            ("notes.txt", b"x"),
        ]);
        let (_place, lake) = lake().await;
        let outcome = import(&lake, folder.path(), "run").await.unwrap();
        assert_eq!((outcome.rows["concept"], outcome.rows["concept_relationship"]), (2, 1));
        assert_eq!(outcome.rows["concept_ancestor"], 0);
        assert!(import(&lake, folder.path(), "run").await.unwrap().already_committed);
        let loaded = super::super::Vocabulary::load(&lake).await.unwrap();
        assert_eq!(loaded.version(), "v5.0 29-FEB-24");
        assert!(loaded.is_in_lake());
        assert_eq!(loaded.maps_to(4167462), [439224]);
        assert!(!loaded.concept_of_code("SNOMED", "294499007").unwrap().is_standard);
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_by_file_line_and_column() {
        let head = "concept_id,concept_name,domain_id,vocabulary_id,concept_class_id,standard_concept,concept_code,valid_start_date,valid_end_date,invalid_reason\n";
        let with = |line: &str| format!("{head}1,a,Drug,RxNorm,x,S,1,19700101,20991231,\n{line}\n");
        for (concept, expected) in [
            (with("x,a,Drug,RxNorm,x,S,1,19700101,20991231,"), "line 3, column `concept_id`: expected a whole number"),
            (with(",a,Drug,RxNorm,x,S,1,19700101,20991231,"), "line 3, column `concept_id`: expected a value"),
            (
                with("2,a,Drug,RxNorm,x,S,1,1970/01/01,20991231,"),
                "line 3, column `valid_start_date`: expected a date such as 19700101 or 1970-01-01",
            ),
            (with("2,a,Drug"), "line 3: expected 10 columns, found 3"),
        ] {
            let message =
                failure(&[("concept.csv", concept.as_bytes()), ("concept_relationship.csv", RELATIONSHIP)]).await;
            assert_eq!(message, format!("vocabulary: file `DIR/concept.csv`, {expected}"));
        }
        let message = failure(&[("concept.csv", b"concept_id\n1\n"), ("concept_relationship.csv", RELATIONSHIP)]).await;
        assert_eq!(message, "vocabulary: file `DIR/concept.csv` has no column `concept_name`");
        let message = failure(&[("concept.csv", head.as_bytes())]).await;
        assert!(message.starts_with("vocabulary: no file `CONCEPT_RELATIONSHIP.csv` in `DIR`\nhint: "), "{message}");
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
        let outcome = import(&lake, Path::new(path), "run").await.unwrap();
        assert_eq!((outcome.rows["concept"], outcome.rows["concept_relationship"]), (2_871, 5_462));
        let loaded = super::super::Vocabulary::load(&lake).await.unwrap();
        assert_eq!(loaded.len(), 2_871);
        let info = super::super::info(&lake).await.unwrap();
        assert_eq!((info.concepts, info.standard_concepts, info.by_vocabulary["UCUM"]), (2_871, 2_714, 1_042));
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
        let outcome = import(&lake, folder.path(), "run").await.unwrap();
        assert_eq!((outcome.rows["concept"], outcome.rows["concept_relationship"]), (2_294, 266_588));
        let loaded = super::super::Vocabulary::load(&lake).await.unwrap();
        assert_eq!(loaded.version(), "v5.0 09-APR-22*");
    }
}
