//! Maps of codes that are the user's own: files in the form of OMOP's `source_to_concept_map`, or as Usagi saves them.
//! Each code becomes a concept in the range that OMOP leaves to its users, unless the vocabulary has the code already.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Int32Type};
use chrono::NaiveDate;
use model::omop::{self, NO_MATCHING_CONCEPT};

use super::bad_lines::{BadLine, BadLines};
use super::table_file::TableFile;
use super::watch::Wanted;
use crate::{Error, Result};

/// A file with maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMapFile {
    /// The file.
    pub path: PathBuf,
    /// The vocabulary that its codes belong to, which a Usagi file does not say.
    pub vocabulary_id: Option<String>,
}

/// One code and where it goes.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    description: String,
    /// The id that the file gives the code, if any.
    source_concept_id: i32,
    target_concept_id: i32,
    /// False for the value that the code says beside its fact.
    is_fact: bool,
    valid: (NaiveDate, NaiveDate),
}

/// The codes of all files, by vocabulary and code.
#[derive(Default)]
pub struct LocalMap {
    codes: BTreeMap<(String, String), Vec<Line>>,
}

impl LocalMap {
    /// Reads files.
    ///
    /// # Errors
    /// A file cannot be read or lacks a column.
    pub fn read(files: &[LocalMapFile], bad: &BadLines) -> Result<LocalMap> {
        let mut map = LocalMap::default();
        for file in files {
            if is_usagi(&file.path)? {
                map.read_usagi(file, bad)?;
            } else {
                map.read_table(file, bad)?;
            }
        }
        Ok(map)
    }

    /// What must be known of the vocabulary before the rows can be made.
    pub fn want(&self, wanted: &mut Wanted) {
        for ((vocabulary, code), lines) in &self.codes {
            wanted.codes.entry(vocabulary.clone()).or_default().insert(code.clone());
            wanted.concepts.extend(lines.iter().map(|line| line.target_concept_id));
        }
    }

    /// The vocabularies that the codes belong to.
    pub fn vocabularies(&self) -> BTreeSet<&str> {
        self.codes.keys().map(|(vocabulary, _)| vocabulary.as_str()).collect()
    }

    fn read_table(&mut self, file: &LocalMapFile, bad: &BadLines) -> Result<()> {
        let table = omop::table("source_to_concept_map").expect("the vocabulary's tables are part of the CDM");
        TableFile::open(table, &file.path)?.read(vec![self], bad, |map, batch| {
            map.add_batch(batch, file);
            Ok(())
        })?;
        Ok(())
    }

    fn add_batch(&mut self, batch: &RecordBatch, file: &LocalMapFile) {
        let column = |name: &str| batch.column_by_name(name).expect("batches have the columns of their table");
        let text = |name: &str, row: usize| {
            let column = column(name).as_string::<i32>();
            if column.is_null(row) { "" } else { column.value(row) }
        };
        let number = |name: &str, row: usize| column(name).as_primitive::<Int32Type>().value(row);
        let day = |name: &str, row: usize| {
            let days = column(name).as_primitive::<Date32Type>().value(row);
            NaiveDate::from_epoch_days(days).unwrap_or_default()
        };
        for row in (0..batch.num_rows()).filter(|row| text("invalid_reason", *row).is_empty()) {
            let line = Line {
                description: text("source_code_description", row).to_owned(),
                source_concept_id: number("source_concept_id", row),
                target_concept_id: number("target_concept_id", row),
                is_fact: true,
                valid: (day("valid_start_date", row), day("valid_end_date", row)),
            };
            let vocabulary = file.vocabulary_id.as_deref().unwrap_or(text("source_vocabulary_id", row));
            self.add(vocabulary, text("source_code", row), line);
        }
    }

    fn read_usagi(&mut self, file: &LocalMapFile, bad: &BadLines) -> Result<()> {
        let Some(vocabulary) = &file.vocabulary_id else {
            return Err(Error::Vocabulary(format!(
                "file `{path}` is an export of Usagi, which does not name the vocabulary of its codes\n\
                 hint: --source-to-concept-map LOCAL={path}",
                path = file.path.display()
            )));
        };
        let broken = |error: csv::Error| Error::Vocabulary(format!("file `{}`: {error}", file.path.display()));
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(&file.path).map_err(broken)?;
        let header = reader.headers().map_err(broken)?.clone();
        let place = |name: &str| {
            let plain = |cell: &str| cell.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(name);
            header.iter().position(plain)
        };
        let required = |name: &str| {
            place(name)
                .ok_or_else(|| Error::Vocabulary(format!("file `{}` has no column `{name}`", file.path.display())))
        };
        let (code, status, target) = (required("sourceCode")?, required("mappingStatus")?, required("conceptId")?);
        let (name, kind) = (place("sourceName"), place("mappingType"));
        let file_name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let mut record = csv::ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(broken)? {
            let cell = |at: Option<usize>| {
                let bytes = at.and_then(|at| record.get(at)).unwrap_or_default();
                String::from_utf8_lossy(bytes).trim().to_owned()
            };
            let target_id = cell(Some(target));
            let Ok(target_concept_id) = (if target_id.is_empty() { Ok(0) } else { target_id.parse::<i32>() }) else {
                let line = record.position().map_or(0, csv::Position::line);
                let expected = format!("a whole number, found `{target_id}`");
                bad.add(BadLine { file: file_name.to_string(), line, column: Some("conceptId".into()), expected })?;
                continue;
            };
            // What nobody has approved names its code, and maps it to nothing.
            let is_approved = cell(Some(status)).eq_ignore_ascii_case("APPROVED");
            let line = Line {
                description: cell(name),
                source_concept_id: NO_MATCHING_CONCEPT,
                target_concept_id: if is_approved { target_concept_id } else { NO_MATCHING_CONCEPT },
                is_fact: !cell(kind).eq_ignore_ascii_case("MAPS_TO_VALUE"),
                valid: ALWAYS,
            };
            self.add(vocabulary, &cell(Some(code)), line);
        }
        Ok(())
    }

    fn add(&mut self, vocabulary: &str, code: &str, line: Line) {
        let lines = self.codes.entry((vocabulary.to_owned(), code.to_owned())).or_default();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
}

const ALWAYS: (NaiveDate, NaiveDate) =
    match (NaiveDate::from_ymd_opt(1970, 1, 1), NaiveDate::from_ymd_opt(2099, 12, 31)) {
        (Some(first), Some(last)) => (first, last),
        _ => panic!("both days exist"),
    };

/// Usagi's columns are not those of the CDM.
fn is_usagi(path: &Path) -> Result<bool> {
    use std::io::{BufRead, BufReader, Read};
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut line = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    BufReader::new(file.take(64 << 10)).read_until(b'\n', &mut line).map_err(failed)?;
    Ok(memchr::memmem::find(&line, b"mappingStatus").is_some())
}

#[cfg(test)]
mod tests {
    use model::omop::Row;

    use super::super::watch::{FIRST_CUSTOM, Known, Seen};
    use super::*;

    fn seen() -> Seen {
        let known = |is_standard| Known {
            name: "n".into(),
            domain_id: "Measurement".into(),
            vocabulary_id: "LOINC".into(),
            is_standard,
            is_valid: true,
        };
        let mut seen = Seen::default();
        seen.concepts.extend([(10, known(true)), (11, known(true)), (12, known(false))]);
        seen.codes.extend([(("ICD10CM".into(), "E11".into()), 50), (("ICD10CM".into(), "E12".into()), 51)]);
        seen.mapped.insert(51);
        seen.custom_ids.insert(FIRST_CUSTOM + 1);
        seen
    }

    fn map(content: &str, vocabulary_id: Option<&str>) -> Result<LocalMap> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.csv");
        std::fs::write(&path, content).unwrap();
        LocalMap::read(&[LocalMapFile { path, vocabulary_id: vocabulary_id.map(str::to_owned) }], &BadLines::new(0))
    }

    /// The concepts as `code id name domain`, and the links as `from kind to`.
    fn shown(rows: &[Row<'_>]) -> (Vec<String>, Vec<String>) {
        let (mut concepts, mut links) = (Vec::new(), Vec::new());
        for row in rows {
            match row {
                Row::Concept(row) => concepts
                    .push(format!("{} {} {} {}", row.concept_code, row.concept_id, row.concept_name, row.domain_id)),
                Row::ConceptRelationship(row) => {
                    links.push(format!("{} {} {}", row.concept_id_1, row.relationship_id, row.concept_id_2));
                }
                _ => {}
            }
        }
        (concepts, links)
    }

    const HEADER: &str = "source_code,source_concept_id,source_vocabulary_id,source_code_description,target_concept_id,target_vocabulary_id,valid_start_date,valid_end_date,invalid_reason\n";

    #[test]
    fn local_codes_become_concepts_and_known_ones_keep_theirs() {
        let map = map(
            &format!(
                "{HEADER}GLU,2000000005,LAB,\"Glucose, fasting\",10,LOINC,2020-01-01,2099-12-31,\n\
                 GLU,2000000005,LAB,\"Glucose, fasting\",11,LOINC,2020-01-01,2099-12-31,\n\
                 OLD,0,LAB,Old,10,LOINC,2020-01-01,2099-12-31,D\n\
                 TAKEN,2000000001,LAB,,12,LOINC,2020-01-01,2099-12-31,\n\
                 E11,0,ICD10CM,,10,LOINC,2020-01-01,2099-12-31,\nE12,0,ICD10CM,,10,LOINC,2020-01-01,2099-12-31,\n"
            ),
            None,
        )
        .unwrap();
        let mut wanted = Wanted::default();
        map.want(&mut wanted);
        assert_eq!(wanted.concepts, [10, 11, 12].into());
        let made = map.rows(&seen());
        let (concepts, links) = shown(&made.rows);
        let taken = concepts[1].split(' ').nth(1).unwrap().parse::<i32>().unwrap();
        assert!(taken >= FIRST_CUSTOM && taken != FIRST_CUSTOM + 1);
        assert_eq!(
            concepts,
            ["GLU 2000000005 Glucose, fasting Measurement".to_owned(), format!("TAKEN {taken} TAKEN Observation")]
        );
        assert_eq!(
            links,
            [
                "50 Maps to 10",
                "10 Mapped from 50",
                "2000000005 Maps to 10",
                "10 Mapped from 2000000005",
                "2000000005 Maps to 11",
                "11 Mapped from 2000000005"
            ]
        );
        assert_eq!(made.concepts, 2);
        assert_eq!(
            made.unused,
            [
                "ICD10CM E12: the vocabulary itself maps it".to_owned(),
                format!("LAB TAKEN: concept 2000000001 is another code's, took {taken}"),
                "LAB TAKEN: concept 12 is not valid and standard".to_owned()
            ]
        );
        assert_eq!(shown(&map.rows(&seen()).rows).0, concepts, "ids do not change from import to import");
    }

    #[test]
    fn of_usagi_only_what_was_approved_counts() {
        let content = "sourceCode,sourceName,sourceFrequency,matchScore,mappingStatus,equivalence,conceptId,conceptName,domainId,mappingType\n\
                       A,\"Alpha, one\",3,0.9,APPROVED,EQUAL,10,x,Measurement,MAPS_TO\n\
                       A,\"Alpha, one\",3,0.9,APPROVED,EQUAL,11,x,Measurement,MAPS_TO_VALUE\n\
                       B,Beta,1,0.2,UNCHECKED,UNREVIEWED,11,x,Measurement,MAPS_TO\n";
        let made = map(content, Some("LAB")).unwrap().rows(&seen());
        let (concepts, links) = shown(&made.rows);
        assert_eq!((concepts.len(), made.unused.len()), (2, 0));
        assert!(concepts[0].starts_with("A 2") && concepts[0].ends_with(" Alpha, one Measurement"), "{concepts:?}");
        assert!(links[0].ends_with(" Maps to 10") && links[2].ends_with(" Maps to value 11"), "{links:?}");
        assert_eq!(links.len(), 4);
        let message = map(content, None).err().unwrap().to_string();
        assert!(message.contains("\nhint: --source-to-concept-map LOCAL="), "{message}");
        let message = map(&content.replace(",11,", ",eleven,"), Some("LAB")).err().unwrap().to_string();
        assert!(message.contains("line 3, column `conceptId`: expected a whole number, found `eleven`"), "{message}");
    }
}
