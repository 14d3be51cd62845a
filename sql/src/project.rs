//! A project: models that were read and checked as a whole. Nothing here touches a lake.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::definition::{Definition, Materialization};
use crate::error::{Error, Result, nearest};
use crate::file::yaml_file;
use crate::lineage::Lineage;
use crate::source::SourceTable;

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

impl Project {
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
