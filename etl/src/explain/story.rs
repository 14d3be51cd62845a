//! What is told of a resource: where it came from, the rows that it made, where it was refused.

use std::collections::{BTreeMap, BTreeSet};

use model::omop;
use serde::Serialize;

use super::code::CodeStory;

/// The answer: one story per resource; several sources may have a resource of that name.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Explanation {
    /// The resources.
    pub resources: Vec<Story>,
    /// The release of the vocabulary that the concept paths were looked up in.
    pub vocabulary_version: String,
}

/// What became of one resource.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Story {
    /// `Condition/123`
    pub resource: String,
    /// The source that it came from.
    pub source_id: String,
    /// `meta.versionId`
    pub version_id: Option<String>,
    /// The file that it stood in, where the lake keeps that.
    pub file: Option<String>,
    /// The line of the file, or the entry of the Bundle.
    pub line: Option<i64>,
    /// Where its content was found: `raw.resource_version`, the flat table, or nowhere.
    pub content_from: Option<String>,
    /// Its codes and where they lead.
    pub codes: Vec<CodeStory>,
    /// The rows that it made.
    pub rows: Vec<MadeRow>,
    /// Where it was rejected or excluded.
    pub refusals: Vec<Refusal>,
}

/// A row that a resource made.
#[derive(Clone, Debug, Serialize)]
pub struct MadeRow {
    /// The table.
    pub table: String,
    /// Its key.
    pub id: i64,
    /// Which of the resource's rows in that table it is.
    pub part: String,
    /// The run that wrote it.
    pub pipeline_run_id: String,
    /// The function that makes such rows.
    pub rule: Option<String>,
    /// True when it stands in another table than those of its type, by the domain of its concept.
    pub by_domain: bool,
    /// What stands in it, without empty columns.
    pub columns: BTreeMap<String, String>,
    /// The names of the concepts in it, by column.
    pub concepts: BTreeMap<String, String>,
}

/// Where a resource was rejected or excluded.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    /// True for bad data, false for sound data that makes no row.
    pub rejected: bool,
    /// The run.
    pub pipeline_run_id: String,
    /// The file.
    pub file: String,
    /// The line or entry.
    pub line: String,
    /// The element at fault.
    pub field: Option<String>,
    /// A stable word.
    pub reason: String,
    /// What was found and expected, or what decided.
    pub detail: String,
}

impl Story {
    /// Leaves only the codes that the rows are about; all of them where no row tells.
    pub fn keep_codes_of_rows(&mut self) {
        let mentioned: BTreeSet<i32> = self
            .rows
            .iter()
            .flat_map(|row| row.columns.iter().filter_map(|(name, value)| concept_id(name, value)))
            .filter(|id| *id != omop::NO_MATCHING_CONCEPT)
            .collect();
        let values: BTreeSet<&String> = self
            .rows
            .iter()
            .flat_map(|row| row.columns.iter())
            .filter(|(name, _)| name.ends_with("_source_value"))
            .map(|(_, value)| value)
            .collect();
        let is_about = |code: &CodeStory| {
            code.codings.iter().any(|coding| {
                coding.is_chosen
                    && (coding.targets.iter().any(|target| mentioned.contains(&target.concept_id))
                        || coding.code.as_ref().is_some_and(|code| values.contains(code)))
            })
        };
        if self.codes.iter().any(is_about) {
            let keep: Vec<bool> = self.codes.iter().map(is_about).collect();
            let mut keep = keep.into_iter();
            self.codes.retain(|_| keep.next().unwrap_or(true));
        }
    }
}

/// The concept in a column, where it is one of concepts.
pub fn concept_id(name: &str, value: &str) -> Option<i32> {
    if name.ends_with("_concept_id") { value.parse().ok() } else { None }
}
