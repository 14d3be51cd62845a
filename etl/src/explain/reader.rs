//! Looks in the lake for what is told: crosswalk, rows, refusals, content and the names of concepts.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use datafusion::prelude::SessionContext;
use lake::{AsOf, Lake, TableName};
use model::omop::{self, Table};

use super::code::{CodeStory, Content};
use super::story::{Explanation, MadeRow, Refusal, Story, concept_id};
use crate::edge::edges;
use crate::error::{Error, Result};
use crate::load::key_column;
use crate::query::{for_each, quoted};

/// A lake that is asked.
pub struct Reader {
    session: SessionContext,
    tables: Vec<TableName>,
}

impl Reader {
    /// Opens the lake as it is now.
    pub async fn open(lake: &Lake) -> Result<Reader> {
        Ok(Reader { session: lake.session(&AsOf::Latest).await?, tables: lake.tables().await? })
    }

    fn has(&self, namespace: &str, name: &str) -> bool {
        self.tables.contains(&TableName::new(namespace, name))
    }

    /// The rows of a query, each as its cells that are not null, by column.
    async fn rows(&self, sql: &str) -> Result<Vec<Cells>> {
        let mut found = Vec::new();
        for_each(&self.session, sql, |batch| found.extend((0..batch.num_rows()).map(|row| cells(batch, row)))).await?;
        Ok(found)
    }

    /// The resource that made a row, by source, type and id.
    pub async fn resource_of(&self, table: &str, id: i64) -> Result<Vec<(String, String, String)>> {
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
    pub async fn sources_of(&self, resource_type: &str, id: &str) -> Result<Vec<(String, String, String)>> {
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

    /// What the crosswalk and the refusals tell; of the rows only the one that was asked for, if any.
    pub async fn story(
        &self,
        source_id: &str,
        resource_type: &str,
        id: &str,
        only: Option<(&str, i64)>,
    ) -> Result<Story> {
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
    pub async fn content(&self, story: &mut Story, resource_type: &str, id: &str) -> Result<Content> {
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
                    return Ok(Content::Json { resource_type, id, json: json.clone() });
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
                return Ok(Content::Flat { table: flat, columns: row });
            }
        }
        Ok(Content::None)
    }

    /// Puts names to all concepts that the explanation mentions.
    pub async fn name_concepts(&self, explanation: &mut Explanation) -> Result<()> {
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

/// One entry of the crosswalk.
#[derive(Clone, Debug)]
struct Trace {
    table: String,
    id: i64,
    part: String,
    run_id: String,
}

/// A cell as text; none when it is null.
type Cells = BTreeMap<String, String>;

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
    fn a_type_has_the_table_of_its_name() {
        assert_eq!(flat_table("MedicationRequest"), "medication_request");
        assert_eq!(flat_table("Patient"), "patient");
        assert_eq!(flat_table("x'; drop"), "xdrop");
    }
}
