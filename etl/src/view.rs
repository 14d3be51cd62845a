//! Flat tables from ViewDefinitions (SQL on FHIR): compiled once, run over parsed records, columns in Arrow.
//!
//! [`plan`] says which columns there are and what repeats them, [`path`] finds the values, [`rows`] writes them.

pub mod column;
mod data_type;
mod decimal;
mod definition;
mod folder;
mod moment;
pub mod path;
mod plan;
mod rows;
pub mod suite;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use include_dir::{Dir, include_dir};
use model::document::{Element, Resource, Tape, mix};
use model::omop::ColumnType;
use xxhash_rust::xxh3::xxh3_64;

use crate::account::Account;
use crate::error::{Error, Result};
use crate::reference::{Directory, References};
use column::{Rendering, constant, timestamp};
use folder::json_files;
use path::Scope;
use plan::Plan;
use rows::Flat;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/views");

/// Columns of conditional references: other parts of the program read them.
const IDENTIFIER_COLUMNS: [&str; 2] = ["system", "value"];

/// Columns of links between Observations, likewise.
const RELATION_COLUMNS: [&str; 3] = ["observation_id", "related_observation_id", "relation"];

/// A compiled ViewDefinition that is a table of the lake.
#[derive(Debug)]
pub struct View {
    /// The name of the table.
    pub name: String,
    /// The resource type that the rows come from.
    pub resource_type: String,
    /// The columns of the table, those that say where a row comes from included.
    pub schema: SchemaRef,
    /// A hash of the definition; 0 for the views that come with the program.
    pub definition_hash: u64,
    plan: Arc<Plan>,
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

impl<'v> Version<'v> {
    /// What a resource says of its version; the hashes are still to be set.
    pub fn told(element: Element<'v>, resource_key: i64) -> Version<'v> {
        let meta = element.get("meta");
        let told = |name: &str| meta.and_then(|meta| meta.get(name)?.as_str());
        let last_updated = column::micros_of(told("lastUpdated"));
        Version { resource_key, version_id: told("versionId"), last_updated, content_hash: 0, mapping_hash: 0 }
    }
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

/// The views that come with the program, and those of a folder: one of the same name takes the place of ours.
///
/// # Errors
/// The folder cannot be read, or a view does not compile.
pub fn load(folder: Option<&Path>) -> Result<Vec<Arc<View>>> {
    let mut files: Vec<_> = BUILT_IN.files().collect();
    files.sort_by_key(|file| file.path());
    let mut views = Vec::new();
    for file in files {
        views.push(
            View::compile(file.contents_utf8().unwrap_or_default())
                .map_err(|problem| Error::View { file: file.path().into(), problem })?,
        );
    }
    let ours = views.len();
    for path in folder.map(definitions).transpose()?.unwrap_or_default() {
        let told = |problem| Error::View { file: path.clone(), problem };
        let json = std::fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let mut view = View::compile(&json).map_err(told)?;
        view.definition_hash = xxh3_64(json.as_bytes());
        match views.iter().position(|other| other.name == view.name) {
            Some(place) if views[place].definition_hash == 0 => {
                view.check_replacement().map_err(told)?;
                views[place] = view;
            }
            Some(_) => return Err(told(format!("view `{}` is defined twice in this folder", view.name))),
            None => views.push(view),
        }
    }
    views[ours..].sort_by(|a, b| a.name.cmp(&b.name));
    Ok(views.into_iter().map(Arc::new).collect())
}

/// Runs a built-in view over records, each a resource in JSON: how many rows it makes, and how long that takes beside
/// parsing. For measurements.
///
/// # Errors
/// There is no such view, or a record is not JSON.
pub fn time_view(name: &str, records: &[&str]) -> Result<(usize, Duration)> {
    let told = |problem| Error::View { file: name.into(), problem };
    let view = load(None)?.into_iter().find(|view| view.name == name);
    let mut rows = Rows::new(view.ok_or_else(|| told("there is no built-in view of that name".into()))?);
    let (mut tape, directory, mut spent) = (Tape::default(), Directory::default(), Duration::ZERO);
    let version = Version { resource_key: 0, version_id: None, last_updated: None, content_hash: 0, mapping_hash: 0 };
    let mut count = 0;
    for records in records.chunks(1 << 14) {
        for record in records {
            let element = tape.parse(record).map_err(|fault| told(fault.to_string()))?;
            let started = Instant::now();
            let references = References::new(&directory, "", None, None);
            let id = element.get("id").and_then(|id| id.as_str()).unwrap_or_default();
            let resource = Resource { resource_type: "", id, element };
            rows.append(&resource, Scope { id, references: &references }, &version);
            spent += started.elapsed();
        }
        let started = Instant::now();
        count += rows.finish(&Provenance { source_id: "", run_id: "", persisted_at: 0 })?.num_rows();
        spent += started.elapsed();
    }
    Ok((count, spent))
}

/// A hash of the definitions that users brought; none when they brought none.
pub fn definitions_hash(views: &[Arc<View>]) -> Option<u64> {
    let hashes = views.iter().map(|view| view.definition_hash).filter(|hash| *hash != 0);
    hashes.reduce(mix)
}

/// The files of a folder that hold definitions.
fn definitions(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = json_files(folder)?;
    if files.is_empty() {
        return Err(Error::View { file: folder.to_owned(), problem: "holds no ViewDefinition (.json)".into() });
    }
    Ok(files)
}

impl View {
    /// Compiles a ViewDefinition.
    ///
    /// # Errors
    /// What is wrong with the definition.
    pub fn compile(json: &str) -> std::result::Result<View, String> {
        let mut tape = Tape::default();
        let definition = tape.parse(json).map_err(|fault| fault.to_string())?;
        let name = definition.get("name").and_then(|name| name.as_str()).map(str::to_owned);
        let Some(name) = name else {
            return Err("expected a `name`, the name of the table".into());
        };
        View::of(Plan::compile(definition, Rendering::Typed), name.clone())
            .map_err(|problem| format!("view `{name}`: {problem}"))
    }

    fn of(plan: std::result::Result<Plan, String>, name: String) -> std::result::Result<View, String> {
        let plan = plan?;
        let mut fields = vec![Field::new("resource_key", DataType::Int64, false)];
        fields.extend(plan.columns.iter().map(|column| Field::new(&column.name, column.arrow(), true)));
        let columns = fields.len();
        fields.extend([
            Field::new("source_id", DataType::Utf8, false),
            Field::new("version_id", DataType::Utf8, true),
            Field::new("last_updated", ColumnType::Datetime.arrow(), true),
            Field::new("content_hash", DataType::Int64, false),
            Field::new("mapping_hash", DataType::Int64, false),
            Field::new("pipeline_run_id", DataType::Utf8, false),
            Field::new("persisted_at", ColumnType::Datetime.arrow(), false),
        ]);
        for (index, field) in fields.iter().enumerate() {
            let same = |other: &Field| other.name().eq_ignore_ascii_case(field.name());
            if let Some(before) = fields[..index].iter().position(same) {
                let name = field.name();
                return Err(match before == 0 || index >= columns {
                    true => format!("column `{name}` has the name of one that every table has"),
                    false => format!("column `{name}` is named twice but for its case"),
                });
            }
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(View { name, resource_type: plan.resource_type.clone(), schema, definition_hash: 0, plan: Arc::new(plan) })
    }

    /// Other parts of the program read the tables of some names.
    fn check_replacement(&self) -> std::result::Result<(), String> {
        let key;
        let (columns, purpose): (Vec<&str>, _) = match self.name.strip_suffix("_identifier") {
            Some(subject) => {
                key = format!("{subject}_id");
                ([&IDENTIFIER_COLUMNS[..], &[key.as_str()]].concat(), "conditional references need it")
            }
            None if self.name == "observation_relation" => {
                (RELATION_COLUMNS.to_vec(), "`omop.fact_relationship` is made of it")
            }
            None => return Ok(()),
        };
        for column in columns {
            if !self.schema.field_with_name(column).is_ok_and(|field| *field.data_type() == DataType::Utf8) {
                let name = &self.name;
                return Err(format!("view `{name}`: expected a column `{column}` of text, {purpose}"));
            }
        }
        Ok(())
    }
}

/// Rows of one view, as they come.
pub struct Rows {
    view: Arc<View>,
    flat: Flat,
    versions: Versions,
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
        let flat = Flat::new(Arc::clone(&view.plan));
        Rows { view, flat, versions: Versions::default() }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.versions.resource_key.len()
    }

    /// The view that the rows belong to.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Adds the rows that the view makes of a resource.
    pub fn append(&mut self, resource: &Resource<'_>, scope: Scope<'_>, version: &Version<'_>) {
        for _ in 0..self.flat.append(resource.element, scope) {
            self.versions.resource_key.push(version.resource_key);
            self.versions.version_id.push(version.version_id.map(Into::into));
            self.versions.last_updated.push(version.last_updated);
            self.versions.content_hash.push(version.content_hash);
            self.versions.mapping_hash.push(version.mapping_hash);
        }
    }

    /// Counts the values that were not as the view has it since the last call.
    pub fn take_faults(&mut self, account: &mut Account) {
        let Rows { view, flat, .. } = self;
        flat.take_faults(|column, fault| account.lose_in_view(&view.name, column, fault.reason()));
    }

    /// Takes the rows and starts anew.
    ///
    /// # Errors
    /// Never, unless the columns and the schema of a view differ.
    pub fn finish(&mut self, provenance: &Provenance<'_>) -> Result<RecordBatch> {
        let count = self.len();
        let versions = std::mem::take(&mut self.versions);
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(versions.resource_key))];
        arrays.extend(self.flat.finish());
        arrays.push(constant(provenance.source_id, count));
        arrays.push(Arc::new(StringArray::from_iter(versions.version_id.iter().map(Option::as_deref))));
        arrays.push(timestamp(versions.last_updated));
        arrays.push(Arc::new(Int64Array::from(versions.content_hash)));
        arrays.push(Arc::new(Int64Array::from(versions.mapping_hash)));
        arrays.push(constant(provenance.run_id, count));
        arrays.push(timestamp(vec![Some(provenance.persisted_at); count]));
        Ok(RecordBatch::try_new(Arc::clone(&self.view.schema), arrays)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pretty(view: &str, json: &str) -> String {
        let view = load(None).unwrap().into_iter().find(|found| found.name == view).unwrap();
        let mut rows = Rows::new(view);
        let mut tape = Tape::default();
        let element = tape.parse(json).unwrap();
        let directory = Directory::default();
        let references = References::new(&directory, "s", None, None);
        let resource = Resource { resource_type: "", id: "7", element };
        let version =
            Version { resource_key: 1, version_id: Some("2"), last_updated: None, content_hash: 3, mapping_hash: 4 };
        rows.append(&resource, Scope { id: "7", references: &references }, &version);
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
        for view in load(None).unwrap() {
            let row = pretty(&view.name, "{}");
            assert!(row.lines().count() <= 1);
            // What is not there is null, never an empty text.
            assert!(!row.contains("given") && !row.contains("address_line"), "{row}");
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

    #[test]
    fn a_view_that_others_read_keeps_its_columns() {
        let folder = tempfile::tempdir().unwrap();
        let replaced = |name: &str, columns: &str| {
            let json = format!(
                r#"{{"resourceType":"ViewDefinition","name":"{name}","status":"active","resource":"Observation","select":[{{"column":[{columns}]}}]}}"#
            );
            std::fs::write(folder.path().join("view.json"), json).unwrap();
            load(Some(folder.path())).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let column = |name: &str| format!(r#"{{"name":"{name}","path":"status"}}"#);
        assert_eq!(replaced("observation", &column("id")), "");
        assert_eq!(replaced("observation_relation", &RELATION_COLUMNS.map(column).join(",")), "");
        let message = replaced("observation_relation", &column("relation"));
        assert!(message.contains("expected a column `observation_id` of text"), "{message}");
        let message = replaced("patient_identifier", &column("system"));
        assert!(message.contains("expected a column `value` of text"), "{message}");
    }
}
