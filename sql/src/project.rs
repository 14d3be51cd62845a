//! A project: the files of a folder, read and checked as a whole. Nothing here touches a lake.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use arrow::datatypes::{Field, Schema, SchemaRef};
use include_dir::{Dir, include_dir};
use model::quality::Check;

use crate::definition::{Definition, Materialization, Source};
use crate::error::{Error, Problem, Result, nearest};
use crate::graph;
use crate::lineage::Lineage;

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/models");

/// File that lists the tables of the lake that staging may read.
pub(crate) const SOURCES: &str = "sources.yml";

/// Text files by their path from the project's folder on.
pub(crate) type Files = BTreeMap<String, String>;

/// One model that passed every rule.
#[derive(Clone, Debug)]
pub struct Model {
    /// `namespace.table`.
    pub name: String,
    /// The SQL or CSV file, from the project's folder on.
    pub file: String,
    /// The SQL, or the CSV of a seed.
    pub text: String,
    /// The YAML as it was written.
    pub yaml: String,
    /// The YAML as it was understood.
    pub definition: Definition,
    /// How the model stands in the lake.
    pub materialization: Materialization,
    /// The tables that it reads, `namespace.table`.
    pub reads: BTreeSet<String>,
    /// Where its columns come from.
    pub lineage: Lineage,
}

/// Models whose files, rules and types were checked.
#[derive(Clone, Debug)]
pub struct Project {
    pub(crate) models: BTreeMap<String, Model>,
    /// Names of all models, each after the ones it reads.
    pub(crate) order: Vec<String>,
    pub(crate) sources: BTreeMap<String, SourceTable>,
}

/// A source with its schema.
#[derive(Clone, Debug)]
pub(crate) struct SourceTable {
    pub(crate) description: String,
    pub(crate) schema: SchemaRef,
}

impl Project {
    /// The models that come with the program.
    pub fn embedded() -> Result<Project> {
        let mut files = Files::new();
        collect_embedded(&EMBEDDED, &mut files);
        Project::from_files(files)
    }

    /// The models of a folder.
    pub fn open(dir: &Path) -> Result<Project> {
        let mut files = Files::new();
        collect_folder(dir, dir, &mut files)?;
        Project::from_files(files)
    }

    pub(crate) fn from_files(files: Files) -> Result<Project> {
        graph::compile(files).map_err(Error::Invalid)
    }

    /// All models, each after the ones it reads.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.order.iter().map(|name| &self.models[name])
    }

    /// The model of that name, with or without its namespace.
    pub fn model(&self, name: &str) -> Result<&Model> {
        let found = self.models.get(name).or_else(|| self.models.values().find(|model| model.table() == name));
        found.ok_or_else(|| {
            let names = self.models.values().flat_map(|model| [model.name.as_str(), model.table()]);
            Error::NoSuchModel { name: name.to_owned(), nearest: nearest(name, names).map(str::to_owned) }
        })
    }

    /// The YAML tests of all models as checks, for validator to run.
    pub fn checks(&self) -> Vec<Check> {
        self.models().flat_map(crate::check::checks).collect()
    }
}

impl Model {
    /// The name in its namespace.
    pub fn table(&self) -> &str {
        self.name.split_once('.').map_or(self.name.as_str(), |(_, table)| table)
    }

    /// The columns that the YAML declares, without those that the runner adds.
    pub fn schema(&self) -> SchemaRef {
        schema_of(&self.definition)
    }

    /// The YAML file, from the project's folder on.
    pub fn yaml_file(&self) -> String {
        yaml_file(&self.file)
    }
}

pub(crate) fn schema_of(definition: &Definition) -> SchemaRef {
    let fields = definition.columns.iter().map(|column| Field::new(&column.name, column.data_type.arrow(), true));
    std::sync::Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

pub(crate) fn yaml_file(file: &str) -> String {
    format!("{}.yml", file.rsplit_once('.').map_or(file, |(stem, _)| stem))
}

/// Every table that a model reads, with those behind the views that it reads.
pub(crate) fn behind<'a>(models: &'a BTreeMap<String, Model>, model: &'a Model) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![model];
    while let Some(model) = open.pop() {
        for read in &model.reads {
            if found.insert(read.as_str())
                && let Some(view) = models.get(read)
                && view.materialization == Materialization::View
            {
                open.push(view);
            }
        }
    }
    found
}

/// Reads `sources.yml`; a table of the CDM or of `quality` brings its own schema.
pub(crate) fn read_sources(text: &str) -> Result<BTreeMap<String, SourceTable>, Vec<Problem>> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sources {
        sources: Vec<Source>,
    }
    let read =
        serde_yaml_ng::from_str::<Sources>(text).map_err(|error| vec![Problem::new(SOURCES, error.to_string())])?;
    let mut tables = BTreeMap::new();
    let mut problems = Vec::new();
    for source in read.sources {
        let schema = if source.columns.is_empty() {
            known_schema(&source.name)
        } else {
            let fields = source.columns.iter().map(|(name, kind)| Field::new(name, kind.arrow(), true));
            Some(SchemaRef::new(Schema::new(fields.collect::<Vec<_>>())))
        };
        match schema {
            Some(schema) => {
                tables.insert(source.name, SourceTable { description: source.description, schema });
            }
            None => problems.push(
                Problem::new(SOURCES, format!("source `{}` has no columns", source.name))
                    .hint("list the columns that models read, such as `columns: {id: varchar}`"),
            ),
        }
    }
    if problems.is_empty() { Ok(tables) } else { Err(problems) }
}

fn known_schema(name: &str) -> Option<SchemaRef> {
    use model::quality;
    let (namespace, table) = name.split_once('.')?;
    match namespace {
        "omop" => Some(model::omop::table(table)?.lake_schema()),
        "vocabulary" => Some(model::omop::table(table)?.schema()),
        "quality" => [
            quality::RUN,
            quality::CHECK_RESULT,
            quality::REJECTED,
            quality::EXCLUSION,
            quality::MAPPING_COVERAGE,
            quality::ACCOUNTING,
            quality::CROSSWALK,
        ]
        .iter()
        .find(|known| known.name == table)
        .map(quality::QualityTable::schema),
        _ => None,
    }
}

fn collect_embedded(dir: &Dir<'_>, files: &mut Files) {
    for file in dir.files() {
        let text = file.contents_utf8().expect("the project's own models are UTF-8");
        files.insert(file.path().to_string_lossy().replace('\\', "/"), text.to_owned());
    }
    for inner in dir.dirs() {
        collect_embedded(inner, files);
    }
}

fn collect_folder(root: &Path, dir: &Path, files: &mut Files) -> Result<()> {
    let read_error = |path: &Path| {
        let path = path.display().to_string();
        move |source| Error::Read { path, source }
    };
    for entry in fs::read_dir(dir).map_err(read_error(dir))? {
        let path = entry.map_err(read_error(dir))?.path();
        if path.is_dir() {
            collect_folder(root, &path, files)?;
        } else if path.extension().is_some_and(|ending| ["sql", "yml", "csv"].iter().any(|known| ending == *known)) {
            let text = fs::read_to_string(&path).map_err(read_error(&path))?;
            let name = path.strip_prefix(root).expect("found below the root").to_string_lossy().replace('\\', "/");
            files.insert(name, text);
        }
    }
    Ok(())
}
