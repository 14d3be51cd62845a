//! Which resource, which rule and which concept path made an OMOP row; and the other way, what became of a resource.
//!
//! Nothing is stored for it: the crosswalk leads to the resource, `raw` or the flat table has its content, and its codes
//! go once more through the vocabulary and the rules of today.

mod code;

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use datafusion::prelude::SessionContext;
use lake::{AsOf, Lake, TableName};
use model::omop::{self, Table};
use serde::Serialize;

pub use code::{CodeStory, Target, TriedCoding};

use crate::edge::edges;
use crate::error::{Error, Result};
use crate::load::key_column;
use crate::map::MedicationRequestPolicy;
use crate::query::{for_each, quoted};
use crate::vocabulary::Vocabulary;

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A row of an OMOP table, by its key.
    Row {
        /// The table, without namespace.
        table: String,
        /// The key.
        id: i64,
    },
    /// A resource.
    Resource {
        /// `Condition`
        resource_type: String,
        /// Its logical id.
        id: String,
    },
}

impl Question {
    /// Reads `Condition/123`, or a table and a key.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(what: &str, id: Option<&str>) -> Result<Question> {
        let wrong = |problem: String| Error::Question { problem };
        let Some(id) = id else {
            return match what.split_once('/') {
                Some((resource_type, id)) if !resource_type.is_empty() && !id.is_empty() => {
                    Ok(Question::Resource { resource_type: resource_type.to_owned(), id: id.to_owned() })
                }
                _ => Err(wrong(format!("`{what}` is neither a resource nor a table with an id"))),
            };
        };
        let name = what.strip_prefix("omop.").unwrap_or(what);
        let known: Vec<_> = crate::load::cdm_tables().map(|table| table.name).collect();
        if !known.contains(&name) {
            return Err(wrong(format!("there is no OMOP table `{name}`, expected one of {}", known.join(", "))));
        }
        let id = id.parse().map_err(|_| wrong(format!("`{id}` is not the key of a row, expected a whole number")))?;
        Ok(Question::Row { table: name.to_owned(), id })
    }
}

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

/// One entry of the crosswalk.
#[derive(Clone, Debug)]
struct Trace {
    table: String,
    id: i64,
    part: String,
    run_id: String,
}

/// Explains a row or a resource.
///
/// # Errors
/// The lake cannot be read, or knows nothing of what is asked.
pub async fn explain(lake: &Lake, question: &Question, policy: MedicationRequestPolicy) -> Result<Explanation> {
    let reader = Reader { session: lake.session(&AsOf::Latest).await?, tables: lake.tables().await? };
    let vocabulary = Vocabulary::load(lake).await?;
    let (names, only) = match question {
        Question::Row { table, id } => (reader.resource_of(table, *id).await?, Some((table.as_str(), *id))),
        Question::Resource { resource_type, id } => (reader.sources_of(resource_type, id).await?, None),
    };
    let mut explanation = Explanation { vocabulary_version: vocabulary.version().to_owned(), ..Explanation::default() };
    for (source_id, resource_type, id) in names {
        let mut story = reader.story(&source_id, &resource_type, &id, only).await?;
        let content = reader.content(&mut story, &resource_type, &id).await?;
        story.codes = code::stories(&vocabulary, &source_id, &content, policy);
        if only.is_some() {
            story.keep_codes_of_rows();
        }
        explanation.resources.push(story);
    }
    reader.name_concepts(&mut explanation).await?;
    Ok(explanation)
}

/// A cell as text; none when it is null.
type Cells = BTreeMap<String, String>;

struct Reader {
    session: SessionContext,
    tables: Vec<TableName>,
}

impl Reader {
    fn has(&self, namespace: &str, name: &str) -> bool {
        self.tables.contains(&TableName::new(namespace, name))
    }

    /// The rows of a query, each as its cells that are not null, by column.
    async fn rows(&self, sql: &str) -> Result<Vec<Cells>> {
        let mut found = Vec::new();
        for_each(&self.session, sql, |batch| found.extend((0..batch.num_rows()).map(|row| cells(batch, row)))).await?;
        Ok(found)
    }

    async fn resource_of(&self, table: &str, id: i64) -> Result<Vec<(String, String, String)>> {
        let mut found = Vec::new();
        if self.has("quality", "crosswalk") {
            let sql = format!(
                "select distinct source_id, resource_type, resource_id from quality.crosswalk \
                 where omop_table = '{table}' and omop_id = {id}"
            );
            found = self.rows(&sql).await?;
        }
        if found.is_empty() {
            let problem = match self.row(table, id).await? {
                Some(_) => format!("row {id} of `omop.{table}` is made of many resources, or of none"),
                None => format!("`omop.{table}` has no row {id}"),
            };
            return Err(Error::Question { problem });
        }
        Ok(found
            .iter()
            .map(|row| (cell(row, "source_id"), cell(row, "resource_type"), cell(row, "resource_id")))
            .collect())
    }

    /// The sources that sent a resource of that name.
    async fn sources_of(&self, resource_type: &str, id: &str) -> Result<Vec<(String, String, String)>> {
        let mut sources = BTreeSet::new();
        let by_name = format!("where resource_type = '{}' and resource_id = '{}'", quoted(resource_type), quoted(id));
        let mut places = vec![];
        for (namespace, table) in
            [("quality", "crosswalk"), ("quality", "exclusion"), ("quality", "rejected"), ("raw", "resource_version")]
        {
            if self.has(namespace, table) {
                places.push(format!("select distinct source_id from {namespace}.{table} {by_name}"));
            }
        }
        let flat = flat_table(resource_type);
        if self.has("fhir", &flat) {
            places.push(format!("select distinct source_id from fhir.{flat} where id = '{}'", quoted(id)));
        }
        for sql in places {
            sources.extend(self.rows(&sql).await?.iter().map(|row| cell(row, "source_id")));
        }
        if sources.is_empty() {
            return Err(Error::Question { problem: format!("the lake knows no `{resource_type}/{id}`") });
        }
        Ok(sources.into_iter().map(|source| (source, resource_type.to_owned(), id.to_owned())).collect())
    }

    async fn story(&self, source_id: &str, resource_type: &str, id: &str, only: Option<(&str, i64)>) -> Result<Story> {
        let by_name = format!(
            "where source_id = '{}' and resource_type = '{}' and resource_id = '{}'",
            quoted(source_id),
            quoted(resource_type),
            quoted(id)
        );
        let mut story =
            Story { resource: format!("{resource_type}/{id}"), source_id: source_id.to_owned(), ..Story::default() };
        if self.has("quality", "crosswalk") {
            let sql = format!("select * from quality.crosswalk {by_name} order by omop_table, part, omop_id");
            for row in self.rows(&sql).await? {
                story.version_id = row.get("version_id").cloned();
                let trace = Trace {
                    table: cell(&row, "omop_table"),
                    id: cell(&row, "omop_id").parse().unwrap_or_default(),
                    part: cell(&row, "part"),
                    run_id: cell(&row, "pipeline_run_id"),
                };
                if only.is_none_or(|only| only == (trace.table.as_str(), trace.id)) {
                    story.rows.push(self.made(resource_type, trace).await?);
                }
            }
        }
        for (table, rejected) in [("rejected", true), ("exclusion", false)] {
            if !self.has("quality", table) {
                continue;
            }
            for row in self.rows(&format!("select * from quality.{table} {by_name} order by pipeline_run_id")).await? {
                story.refusals.push(Refusal {
                    rejected,
                    pipeline_run_id: cell(&row, "pipeline_run_id"),
                    file: cell(&row, "file"),
                    line: cell(&row, "line"),
                    field: row.get("field").cloned(),
                    reason: cell(&row, "reason"),
                    detail: cell(&row, "detail"),
                });
            }
        }
        Ok(story)
    }

    async fn made(&self, resource_type: &str, trace: Trace) -> Result<MadeRow> {
        let Trace { table, id, part, run_id } = trace;
        let mut columns = self.row(&table, id).await?.unwrap_or_default();
        columns.retain(|name, _| omop::table(&table).is_some_and(|table| table.column(name).is_some()));
        let own = edges().iter().find(|edge| edge.resource_type == resource_type && edge.omop_table == table);
        let by_domain = own.is_none();
        let edge = own.or_else(|| edges().iter().find(|edge| edge.resource_type == resource_type && edge.by_domain));
        let rule = edge.map(|edge| edge.rule.clone());
        Ok(MadeRow { table, id, part, pipeline_run_id: run_id, rule, by_domain, columns, concepts: BTreeMap::new() })
    }

    async fn row(&self, table: &str, id: i64) -> Result<Option<Cells>> {
        let Some(table) = omop::table(table).filter(|table: &&Table| self.has("omop", table.name)) else {
            return Ok(None);
        };
        let sql = format!("select * from omop.{} where {} = {id}", table.name, key_column(table));
        Ok(self.rows(&sql).await?.pop())
    }

    /// Finds the content, and notes in the story where.
    async fn content(&self, story: &mut Story, resource_type: &str, id: &str) -> Result<code::Content> {
        if self.has("raw", "resource_version") {
            let sql = format!(
                "select * from raw.resource_version where source_id = '{}' and resource_type = '{}' \
                 and resource_id = '{}' order by ingested_at desc limit 1",
                quoted(&story.source_id),
                quoted(resource_type),
                quoted(id)
            );
            if let Some(row) = self.rows(&sql).await?.pop() {
                story.file = row.get("file").cloned();
                story.line = row.get("line").and_then(|line| line.parse().ok()).filter(|line| *line > 0);
                if let Some(json) = row.get("json") {
                    story.content_from = Some("raw.resource_version".into());
                    let (resource_type, id) = (resource_type.to_owned(), id.to_owned());
                    return Ok(code::Content::Json { resource_type, id, json: json.clone() });
                }
            }
        }
        let flat = flat_table(resource_type);
        if self.has("fhir", &flat) {
            let sql = format!(
                "select * from fhir.{flat} where source_id = '{}' and id = '{}'",
                quoted(&story.source_id),
                quoted(id)
            );
            if let Some(row) = self.rows(&sql).await?.pop() {
                story.content_from = Some(format!("fhir.{flat}"));
                return Ok(code::Content::Flat { table: flat, columns: row });
            }
        }
        Ok(code::Content::None)
    }

    /// Puts names to all concepts that the explanation mentions.
    async fn name_concepts(&self, explanation: &mut Explanation) -> Result<()> {
        let mut ids = BTreeSet::new();
        for story in &explanation.resources {
            ids.extend(story.codes.iter().flat_map(CodeStory::concept_ids));
            for row in &story.rows {
                ids.extend(row.columns.iter().filter_map(|(name, value)| concept_id(name, value)));
            }
        }
        if ids.is_empty() || !self.has("vocabulary", "concept") {
            return Ok(());
        }
        let list: Vec<_> = ids.iter().map(i32::to_string).collect();
        let sql = format!(
            "select concept_id, concept_name, domain_id, vocabulary_id from vocabulary.concept where concept_id in ({})",
            list.join(", ")
        );
        let mut names: BTreeMap<i32, String> = BTreeMap::new();
        for row in self.rows(&sql).await? {
            names.insert(cell(&row, "concept_id").parse().unwrap_or_default(), cell(&row, "concept_name"));
        }
        for story in &mut explanation.resources {
            story.codes.iter_mut().for_each(|code| code.name(&names));
            for row in &mut story.rows {
                let found = row
                    .columns
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), names.get(&concept_id(name, value)?)?.clone())));
                row.concepts = found.collect();
            }
        }
        Ok(())
    }
}

impl Story {
    /// Leaves only the codes that the rows are about; all of them where no row tells.
    fn keep_codes_of_rows(&mut self) {
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
fn concept_id(name: &str, value: &str) -> Option<i32> {
    if name.ends_with("_concept_id") { value.parse().ok() } else { None }
}

fn cell(row: &Cells, name: &str) -> String {
    row.get(name).cloned().unwrap_or_default()
}

fn cells(batch: &RecordBatch, row: usize) -> Cells {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let there = columns.filter(|(_, column)| column.is_valid(row));
    there
        .map(|(field, column)| (field.name().clone(), array_value_to_string(column, row).unwrap_or_default()))
        .collect()
}

/// The flat table of a resource type: `MedicationRequest` stands in `medication_request`.
fn flat_table(resource_type: &str) -> String {
    let mut name = String::new();
    for letter in resource_type.chars().filter(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_row_or_a_resource() {
        let row = Question::Row { table: "measurement".into(), id: 5 };
        assert_eq!(Question::parse("omop.measurement", Some("5")).unwrap(), row);
        let resource = Question::Resource { resource_type: "Condition".into(), id: "a-1".into() };
        assert_eq!(Question::parse("Condition/a-1", None).unwrap(), resource);
        for (what, id, expected) in [
            ("measurement", None, "neither a resource nor a table"),
            ("Condition/", None, "neither a resource nor a table"),
            ("measurements", Some("1"), "there is no OMOP table `measurements`"),
            ("concept", Some("1"), "there is no OMOP table `concept`"),
            ("measurement", Some("x"), "`x` is not the key of a row"),
        ] {
            let message = Question::parse(what, id).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_type_has_the_table_of_its_name() {
        assert_eq!(flat_table("MedicationRequest"), "medication_request");
        assert_eq!(flat_table("Patient"), "patient");
        assert_eq!(flat_table("x'; drop"), "xdrop");
    }
}
