//! The tables of a vocabulary: where their files are in a download, and how the lake keeps them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lake::{TableName, TableSpec};
use model::omop;

use crate::{Error, Result};

/// The tables of a vocabulary, each with the columns by which it is clustered. The order is that of the import: what is
/// seen of concepts decides about later tables.
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

/// The file of each table, whatever the case of its name.
pub fn find_files(dir: &Path) -> Result<BTreeMap<&'static str, PathBuf>> {
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

/// How the lake keeps a table of the vocabulary.
pub fn spec(name: &str) -> TableSpec {
    let sort = TABLES.iter().find(|(table, _)| *table == name).map_or(&[] as &[&str], |(_, sort)| sort);
    TableSpec {
        name: TableName::new("vocabulary", name),
        schema: table(name).schema(),
        key: Vec::new(),
        sort: sort.iter().map(|column| (*column).to_owned()).collect(),
        partition: None,
    }
}

pub fn table(name: &str) -> &'static omop::Table {
    omop::table(name).expect("the vocabulary's tables are part of the CDM")
}
