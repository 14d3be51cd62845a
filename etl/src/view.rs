//! Flat tables from ViewDefinitions (SQL on FHIR): compiled once, run over parsed records, columns in Arrow.
//!
//! A view has columns and at most one `forEach`; [`path`] says which part of FHIRPath its paths may use.

pub mod column;
pub mod path;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use include_dir::{Dir, include_dir};
use model::omop::ColumnType;
use serde::Deserialize;

use crate::document::Resource;
use crate::error::{Error, Result};
use column::{ColumnBuilder, ValueType, constant, timestamp};
use path::{Item, Path, Scope};

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/views");

#[derive(Deserialize)]
struct ViewDefinition {
    name: String,
    resource: String,
    select: Vec<Select>,
    #[serde(default, rename = "where")]
    criteria: Vec<Criterion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Select {
    #[serde(default)]
    column: Vec<ColumnDefinition>,
    for_each: Option<String>,
    for_each_or_null: Option<String>,
}

#[derive(Deserialize)]
struct ColumnDefinition {
    name: String,
    path: String,
    #[serde(rename = "type")]
    value_type: Option<String>,
}

#[derive(Deserialize)]
struct Criterion {
    path: String,
}

/// A compiled ViewDefinition.
#[derive(Debug)]
pub struct View {
    /// The name of the table.
    pub name: String,
    /// The resource type that the rows come from.
    pub resource_type: String,
    /// The columns of the table, those that say where a row comes from included.
    pub schema: SchemaRef,
    columns: Vec<Column>,
    repeat: Option<Repeat>,
    criteria: Vec<Path>,
}

#[derive(Debug)]
struct Column {
    path: Path,
    value_type: ValueType,
    repeated: bool,
}

#[derive(Debug)]
struct Repeat {
    path: Path,
    or_null: bool,
}

/// What is known of a resource beside its content.
pub struct Version<'v> {
    /// `omop_key` of the resource in `fhir`.
    pub resource_key: i64,
    /// `meta.versionId`
    pub version_id: Option<&'v str>,
    /// `meta.lastUpdated`, in microseconds.
    pub last_updated: Option<i64>,
    /// Hash of the content.
    pub content_hash: i64,
    /// Hash of the content and of all that decided its mapping.
    pub mapping_hash: i64,
}

/// What all rows of a run have in common.
pub struct Provenance<'p> {
    /// The source.
    pub source_id: &'p str,
    /// The run.
    pub run_id: &'p str,
    /// When the run started, in microseconds.
    pub persisted_at: i64,
}

/// The views that come with the program.
///
/// # Errors
/// A view does not compile.
pub fn built_in() -> Result<Vec<View>> {
    let mut files: Vec<_> = BUILT_IN.files().collect();
    files.sort_by_key(|file| file.path());
    files.into_iter().map(|file| View::compile(file.contents_utf8().unwrap_or_default())).collect()
}

impl View {
    /// Compiles a ViewDefinition.
    ///
    /// # Errors
    /// The definition is not understood.
    pub fn compile(json: &str) -> Result<View> {
        let failed = |view: &str, column: &str, problem: String| Error::View {
            view: view.to_owned(),
            column: column.to_owned(),
            problem,
        };
        let definition: ViewDefinition =
            serde_json::from_str(json).map_err(|error| failed("?", "", error.to_string()))?;
        let name = definition.name;
        let compile = |column: &str, path: &str| Path::compile(path).map_err(|problem| failed(&name, column, problem));
        let (mut columns, mut repeat) = (Vec::new(), None);
        let mut fields = vec![Field::new("resource_key", DataType::Int64, false)];
        for select in definition.select {
            let for_each = select.for_each.or(select.for_each_or_null.clone());
            let repeated = for_each.is_some();
            if let Some(path) = for_each {
                if repeat.is_some() {
                    return Err(failed(&name, "", "has more than one `forEach`".into()));
                }
                repeat = Some(Repeat { path: compile("", &path)?, or_null: select.for_each_or_null.is_some() });
            }
            for column in select.column {
                let value_type = ValueType::of(column.value_type.as_deref().unwrap_or("string"));
                if fields.iter().any(|field| *field.name() == column.name) {
                    return Err(failed(&name, &column.name, "is named twice".into()));
                }
                let path = compile(&column.name, &column.path)?;
                fields.push(Field::new(&column.name, value_type.arrow(), true));
                columns.push(Column { path, value_type, repeated });
            }
        }
        let criteria = definition.criteria.iter().map(|criterion| compile("", &criterion.path));
        let criteria = criteria.collect::<Result<_>>()?;
        fields.extend([
            Field::new("source_id", DataType::Utf8, false),
            Field::new("version_id", DataType::Utf8, true),
            Field::new("last_updated", ColumnType::Datetime.arrow(), true),
            Field::new("content_hash", DataType::Int64, false),
            Field::new("mapping_hash", DataType::Int64, false),
            Field::new("pipeline_run_id", DataType::Utf8, false),
            Field::new("persisted_at", ColumnType::Datetime.arrow(), false),
        ]);
        let schema = Arc::new(Schema::new(fields));
        Ok(View { name, resource_type: definition.resource, schema, columns, repeat, criteria })
    }
}

/// Rows of one view, as they come.
pub struct Rows {
    view: Arc<View>,
    columns: Vec<ColumnBuilder>,
    versions: Versions,
    count: usize,
}

#[derive(Default)]
struct Versions {
    resource_key: Vec<i64>,
    version_id: Vec<Option<Box<str>>>,
    last_updated: Vec<Option<i64>>,
    content_hash: Vec<i64>,
    mapping_hash: Vec<i64>,
}

impl Rows {
    /// No rows yet.
    pub fn new(view: Arc<View>) -> Rows {
        let columns = view.columns.iter().map(|column| ColumnBuilder::new(column.value_type)).collect();
        Rows { view, columns, versions: Versions::default(), count: 0 }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The view that the rows belong to.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Adds the rows that the view makes of a resource.
    pub fn append(&mut self, resource: &Resource<'_>, scope: Scope<'_>, version: &Version<'_>) {
        let view = Arc::clone(&self.view);
        if !view.criteria.iter().all(|criterion| criterion.holds(resource.element, scope)) {
            return;
        }
        let Some(repeat) = &view.repeat else {
            return self.append_row(&view, resource, None, scope, version);
        };
        let items = repeat.path.all(resource.element, scope);
        if items.is_empty() && repeat.or_null {
            self.append_row(&view, resource, None, scope, version);
        }
        for (index, item) in items.iter().enumerate() {
            self.append_row(&view, resource, Some(item), Scope { row_index: index as i64, ..scope }, version);
        }
    }

    fn append_row(
        &mut self,
        view: &View,
        resource: &Resource<'_>,
        item: Option<&Item<'_>>,
        scope: Scope<'_>,
        version: &Version<'_>,
    ) {
        for (column, builder) in view.columns.iter().zip(&mut self.columns) {
            let root = match (column.repeated, item) {
                (true, Some(Item::Element(element))) => Some(*element),
                (true, _) => None,
                (false, _) => Some(resource.element),
            };
            let scope = if column.repeated { scope } else { Scope { row_index: 0, ..scope } };
            builder.append(root.and_then(|root| column.path.first(root, scope)));
        }
        self.versions.resource_key.push(version.resource_key);
        self.versions.version_id.push(version.version_id.map(Into::into));
        self.versions.last_updated.push(version.last_updated);
        self.versions.content_hash.push(version.content_hash);
        self.versions.mapping_hash.push(version.mapping_hash);
        self.count += 1;
    }

    /// Takes the rows and starts anew.
    ///
    /// # Errors
    /// Never, unless the columns and the schema of a view differ.
    pub fn finish(&mut self, provenance: &Provenance<'_>) -> Result<RecordBatch> {
        let count = std::mem::take(&mut self.count);
        let versions = std::mem::take(&mut self.versions);
        let mut arrays: Vec<arrow::array::ArrayRef> =
            vec![Arc::new(arrow::array::Int64Array::from(versions.resource_key))];
        arrays.extend(self.columns.iter_mut().map(ColumnBuilder::finish));
        arrays.push(constant(provenance.source_id, count));
        arrays.push(Arc::new(arrow::array::StringArray::from(
            versions.version_id.iter().map(Option::as_deref).collect::<Vec<_>>(),
        )));
        arrays.push(timestamp(versions.last_updated));
        arrays.push(Arc::new(arrow::array::Int64Array::from(versions.content_hash)));
        arrays.push(Arc::new(arrow::array::Int64Array::from(versions.mapping_hash)));
        arrays.push(constant(provenance.run_id, count));
        arrays.push(timestamp(vec![Some(provenance.persisted_at); count]));
        Ok(RecordBatch::try_new(Arc::clone(&self.view.schema), arrays)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Tape;
    use crate::reference::{Directory, References};

    fn pretty(view: &str, json: &str) -> String {
        let view = built_in().unwrap().into_iter().find(|found| found.name == view).unwrap();
        let mut rows = Rows::new(Arc::new(view));
        let mut tape = Tape::default();
        let element = tape.parse(json).unwrap();
        let directory = Directory::default();
        let references = References::new(&directory, "s", None, None);
        let resource = Resource { resource_type: "", id: "7", element };
        let version =
            Version { resource_key: 1, version_id: Some("2"), last_updated: None, content_hash: 3, mapping_hash: 4 };
        rows.append(&resource, Scope { id: "7", references: &references, row_index: 0 }, &version);
        let batch = rows.finish(&Provenance { source_id: "s", run_id: "r", persisted_at: 0 }).unwrap();
        let mut told = Vec::new();
        for row in 0..batch.num_rows() {
            let columns = batch.schema();
            let cells = columns.fields().iter().zip(batch.columns()).filter(|(_, column)| column.is_valid(row));
            let cells = cells.map(|(field, column)| {
                format!("{}={}", field.name(), arrow::util::display::array_value_to_string(column, row).unwrap())
            });
            told.push(cells.collect::<Vec<_>>().join(" "));
        }
        told.join("\n")
    }

    #[test]
    fn every_built_in_view_compiles_and_takes_an_empty_resource() {
        for view in built_in().unwrap() {
            assert!(pretty(&view.name, "{}").lines().count() <= 1);
        }
    }

    #[test]
    fn a_patient_is_one_row() {
        let json = r#"{"birthDate":"1980-02","gender":"female","deceasedDateTime":"2020-01-02T03:04:05+02:00","active":true,
            "name":[{"family":"F","given":["A","B"]}],"telecom":[{"system":"email","value":"e"},{"system":"phone","value":"p"}]}"#;
        assert_eq!(
            pretty("patient", json),
            "resource_key=1 id=7 active=true birth_date=1980-02-01 gender=female deceased_datetime=2020-01-02T01:04:05 \
             family=F given=A B phone=p email=e source_id=s version_id=2 content_hash=3 mapping_hash=4 \
             pipeline_run_id=r persisted_at=1970-01-01T00:00:00"
        );
    }

    #[test]
    fn components_are_rows_of_their_own() {
        let json = r#"{"subject":{"reference":"Patient/p"},"component":[
            {"code":{"coding":[{"code":"a"}]},"valueQuantity":{"value":120}},{"code":{"text":"b"},"valueBoolean":false}]}"#;
        let told = pretty("observation_component", json);
        let lines: Vec<_> = told.lines().map(|line| line.split(" source_id").next().unwrap()).collect();
        assert_eq!(
            lines,
            [
                "resource_key=1 observation_id=7 patient_id=p component_index=0 code=a value_quantity=120.0",
                "resource_key=1 observation_id=7 patient_id=p component_index=1 code_text=b value_boolean=false"
            ]
        );
    }
}
