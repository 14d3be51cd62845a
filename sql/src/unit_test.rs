//! Unit tests of models: the given rows become tables in memory, the model runs on them, and its rows are compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use serde::Serialize;

use crate::definition::LINEAGE_COLUMNS;
use crate::definition::{Materialization, Row, UnitTest};
use crate::error::{Error, Result};
use crate::planner::Planner;
use crate::project::{Model, Project};
use crate::selection::Selection;

/// How a unit test ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitTestResult {
    /// The model, `namespace.table`.
    pub model: String,
    /// What the test shows.
    pub name: String,
    /// None when the rows were as expected; otherwise what differs.
    pub failure: Option<String>,
}

impl Project {
    /// Runs the unit tests of the models that are meant.
    pub async fn unit_tests(&self, selection: &Selection) -> Result<Vec<UnitTestResult>> {
        let mut results = Vec::new();
        for name in self.select(selection)? {
            let model = &self.models[name];
            for test in &model.definition.unit_tests {
                let failure = match self.run_unit_test(model, test).await {
                    Ok(difference) => difference,
                    Err(error) => Some(error.to_string()),
                };
                results.push(UnitTestResult { model: model.name.clone(), name: test.name.clone(), failure });
            }
        }
        Ok(results)
    }

    /// What differs, if anything.
    async fn run_unit_test(&self, model: &Model, test: &UnitTest) -> Result<Option<String>> {
        if let Some(stranger) = test.given.keys().find(|table| !model.reads.contains(*table)) {
            return Err(Error::Query(format!("the model does not read `{stranger}`, for which rows are given")));
        }
        let planner = Planner::new();
        for read in &model.reads {
            let schema = self.schema_of_table(read);
            let rows = test.given.get(read).map_or(&[][..], Vec::as_slice);
            let batch = batch(read, rows, schema)?;
            planner.register(read, Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))?;
        }
        let found = match model.materialization {
            Materialization::Seed => crate::seed::read(model)?,
            _ => {
                let plan = planner.plan(&planner.parse(&model.text)?).await?;
                planner.context().execute_logical_plan(plan).await?.collect().await?
            }
        };
        let columns = expected_columns(test, model);
        let expected = batch(&model.name, &test.expect, model.schema())?;
        let expected = count(&[expected], &columns)?;
        let found = count(&found, &columns)?;
        Ok(difference(&columns, &expected, &found))
    }

    /// The columns of a model or source, as models see them.
    pub(crate) fn schema_of_table(&self, name: &str) -> SchemaRef {
        match self.models.get(name) {
            Some(model) => model.schema(),
            None => self.sources[name].schema.clone(),
        }
    }
}

fn expected_columns(test: &UnitTest, model: &Model) -> Vec<String> {
    let columns = model.definition.columns.iter().map(|column| &column.name);
    let named = |column: &&String| test.expect.is_empty() || test.expect.iter().any(|row| row.contains_key(*column));
    columns.filter(named).filter(|column| !LINEAGE_COLUMNS.contains(&column.as_str())).cloned().collect()
}

/// Rows as a batch; what is not given is null, whatever the schema says.
fn batch(table: &str, rows: &[Row], schema: SchemaRef) -> Result<RecordBatch> {
    for row in rows {
        if let Some(stranger) = row.keys().find(|key| schema.field_with_name(key).is_err()) {
            return Err(Error::Query(format!("`{table}` has no column `{stranger}`")));
        }
    }
    let fields = schema.fields().iter().map(|field| Field::new(field.name(), field.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut decoder = ReaderBuilder::new(schema.clone()).with_batch_size(rows.len().max(1)).build_decoder()?;
    decoder.serialize(rows)?;
    Ok(decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(schema)))
}

/// Rows as text, and how often each occurs.
fn count(batches: &[RecordBatch], columns: &[String]) -> Result<BTreeMap<Vec<String>, usize>> {
    let mut rows = BTreeMap::new();
    for batch in batches {
        let arrays = columns.iter().map(|column| readable(batch.column_by_name(column))).collect::<Result<Vec<_>>>()?;
        let options = FormatOptions::new().with_null("null");
        let formats = arrays.iter().map(|array| ArrayFormatter::try_new(array.as_ref(), &options));
        let formats = formats.collect::<std::result::Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            *rows.entry(formats.iter().map(|format| format.value(row).to_string()).collect()).or_insert(0) += 1;
        }
    }
    Ok(rows)
}

/// Numbers rounded to nine significant digits, so that the last bit of a sum does not matter.
fn readable(array: Option<&ArrayRef>) -> Result<ArrayRef> {
    let array = array.ok_or_else(|| Error::Query("an expected column is missing".to_owned()))?;
    let target = crate::definition::DataType::of(array.data_type()).map_or(ArrowType::Utf8, |kind| kind.arrow());
    let array = arrow::compute::cast(array, &target)?;
    Ok(match array.as_any().downcast_ref::<Float64Array>() {
        Some(numbers) => {
            let rounded =
                numbers.iter().map(|number| number.map(|number| format!("{number:.8e}").parse().unwrap_or(number)));
            Arc::new(rounded.collect::<Float64Array>())
        }
        None => array,
    })
}

fn difference(
    columns: &[String],
    expected: &BTreeMap<Vec<String>, usize>,
    found: &BTreeMap<Vec<String>, usize>,
) -> Option<String> {
    let less = |a: &BTreeMap<Vec<String>, usize>, b: &BTreeMap<Vec<String>, usize>, sign: &str| {
        let missing = a.iter().flat_map(|(row, times)| {
            std::iter::repeat_n(row, times.saturating_sub(b.get(row).copied().unwrap_or_default()))
        });
        missing.map(|row| format!("{sign} {}", row.join(" | "))).collect::<Vec<_>>()
    };
    let missing = less(expected, found, "-");
    let surplus = less(found, expected, "+");
    if missing.is_empty() && surplus.is_empty() {
        return None;
    }
    let head = format!("  {}", columns.join(" | "));
    Some([vec!["rows missing (-) and not expected (+):".to_owned(), head], missing, surplus].concat().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embedded, project_with};

    async fn failure(yaml: &str) -> Option<String> {
        let yaml = format!("columns: [{{name: id, description: d, data_type: bigint}}]\nunit_tests: [{yaml}]");
        let project = project_with("staging/s", "select id from omop.t where id > 1", &yaml).unwrap();
        project.unit_tests(&Selection::default()).await.unwrap().remove(0).failure
    }

    #[tokio::test]
    async fn differences_are_told() {
        let given = "given: {omop.t: [{id: 1}, {id: 2}, {id: 3}]}";
        assert_eq!(failure(&format!("{{name: n, {given}, expect: [{{id: 3}}, {{id: 2}}]}}")).await, None);
        assert_eq!(
            failure(&format!("{{name: n, {given}, expect: [{{id: 2}}, {{id: 4}}]}}")).await.unwrap(),
            "rows missing (-) and not expected (+):\n  id\n- 4\n+ 3"
        );
        assert!(failure(&format!("{{name: n, {given}, expect: []}}")).await.is_some());
        assert!(failure("{name: n, given: {omop.x: []}, expect: []}").await.unwrap().contains("`omop.x`"));
        assert!(failure("{name: n, given: {omop.t: [{idd: 1}]}, expect: []}").await.unwrap().contains("`idd`"));
    }

    #[tokio::test]
    async fn the_embedded_models_pass_their_unit_tests() {
        let project = embedded();
        let results = project.unit_tests(&Selection::default()).await.unwrap();
        let failed = results.iter().filter_map(|result| {
            result.failure.as_ref().map(|failure| format!("{}: {}\n{failure}", result.model, result.name))
        });
        let failed = failed.collect::<Vec<_>>();
        assert!(failed.is_empty(), "{}", failed.join("\n\n"));
        for model in project.models().filter(|model| !model.name.starts_with("staging.")) {
            assert!(!model.definition.unit_tests.is_empty(), "{} has no unit test", model.name);
        }
    }
}
