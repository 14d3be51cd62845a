//! What a person wants to see of models: a list, or all about one.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::definition::{DataType, Materialization};
use crate::error::Result;
use crate::lineage::Input;
use crate::project::{Model, Project};
use crate::selection::Selection;

/// One line of the list.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// `namespace.table`.
    pub name: String,
    /// How it stands in the lake.
    pub materialization: Materialization,
    /// The first sentence of its description.
    pub summary: String,
    /// The columns that tell one row from another.
    pub grain: Vec<String>,
    /// Words for selectors.
    pub tags: Vec<String>,
    /// The tables that it reads.
    pub reads: BTreeSet<String>,
    /// Number of columns.
    pub column_count: usize,
    /// Number of checks that its YAML makes.
    pub check_count: usize,
    /// Number of unit tests.
    pub unit_test_count: usize,
}

/// All about one model.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// `namespace.table`.
    pub name: String,
    /// The file, from the project's folder on.
    pub file: String,
    /// How it stands in the lake.
    pub materialization: Materialization,
    /// What a row means and what the model leaves out.
    pub description: String,
    /// The columns that tell one row from another.
    pub grain: Vec<String>,
    /// Words for selectors.
    pub tags: Vec<String>,
    /// The tables that it reads.
    pub reads: BTreeSet<String>,
    /// The models that read it.
    pub read_by: BTreeSet<String>,
    /// The columns, in order.
    pub columns: Vec<ShownColumn>,
    /// What decides which rows there are.
    pub rows: BTreeSet<Input>,
    /// Why the column lineage is not known.
    pub lineage_note: Option<String>,
    /// The ids of its checks.
    pub checks: Vec<String>,
    /// The SQL, or the CSV of a seed.
    pub text: String,
}

/// One column with where it comes from.
#[derive(Clone, Debug, Serialize)]
pub struct ShownColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// What it holds.
    pub description: String,
    /// The columns it is made of, as the model sees them.
    pub inputs: BTreeSet<Input>,
    /// The columns of the lake's own tables at the end of the chain, `namespace.table.column`.
    pub origins: BTreeSet<String>,
}

impl Project {
    /// The models that are meant, one line each.
    pub fn list(&self, selection: &Selection) -> Result<Vec<Listed>> {
        Ok(self.select(selection)?.into_iter().map(|name| listed(&self.models[name])).collect())
    }

    /// All about a model; the name may lack the namespace.
    pub fn show(&self, name: &str) -> Result<Shown> {
        let model = self.model(name)?;
        let read_by = self.models().filter(|other| other.reads.contains(&model.name)).map(|other| other.name.clone());
        let columns = model.definition.columns.iter().map(|column| ShownColumn {
            name: column.name.clone(),
            data_type: column.data_type,
            description: one_line(&column.description),
            inputs: model.lineage.columns.get(&column.name).cloned().unwrap_or_default(),
            origins: self.origins(&model.name, &column.name),
        });
        Ok(Shown {
            name: model.name.clone(),
            file: model.file.clone(),
            materialization: model.materialization,
            description: one_line(&model.definition.description),
            grain: model.definition.grain.clone(),
            tags: model.definition.tags.clone(),
            reads: model.reads.clone(),
            read_by: read_by.collect(),
            columns: columns.collect(),
            rows: model.lineage.rows.clone(),
            lineage_note: model.lineage.note.clone(),
            checks: crate::check::checks(model).into_iter().map(|check| check.id).collect(),
            text: model.text.clone(),
        })
    }

    /// Follows the values of a column through models down to tables that no model makes, and to seeds.
    pub fn origins(&self, table: &str, column: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![(table.to_owned(), column.to_owned())];
        while let Some((table, column)) = open.pop() {
            if !seen.insert((table.clone(), column.clone())) {
                continue;
            }
            match self.models.get(&table).filter(|model| model.materialization != Materialization::Seed) {
                Some(model) => {
                    let inputs = model.lineage.columns.get(&column).into_iter().flatten();
                    let direct = inputs.filter(|input| input.kind.is_direct());
                    open.extend(direct.map(|input| (input.table.clone(), input.column.clone())));
                }
                None => {
                    found.insert(format!("{table}.{column}"));
                }
            }
        }
        found
    }

    /// The tables of the lake that models may read, with what they hold.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources.iter().map(|(name, source)| (name.as_str(), source.description.as_str()))
    }
}

fn listed(model: &Model) -> Listed {
    let description = one_line(&model.definition.description);
    let summary = description.split_once(". ").map_or(description.as_str(), |(first, _)| first);
    Listed {
        name: model.name.clone(),
        materialization: model.materialization,
        summary: summary.trim_end_matches('.').to_owned(),
        grain: model.definition.grain.clone(),
        tags: model.definition.tags.clone(),
        reads: model.reads.clone(),
        column_count: model.definition.columns.len(),
        check_count: crate::check::checks(model).len(),
        unit_test_count: model.definition.unit_tests.len(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
