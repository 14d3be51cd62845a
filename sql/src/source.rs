//! The tables of the lake that staging may read: `sources.yml`.

use std::collections::BTreeMap;

use arrow::datatypes::{Field, Schema, SchemaRef};

use crate::definition::Source;
use crate::error::Problem;

/// File that lists the tables of the lake that staging may read.
pub(crate) const SOURCES: &str = "sources.yml";

/// A source with its schema.
#[derive(Clone, Debug)]
pub(crate) struct SourceTable {
    pub(crate) description: String,
    pub(crate) schema: SchemaRef,
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
