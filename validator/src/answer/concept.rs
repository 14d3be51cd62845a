//! Checks of concepts: each distinct concept of a table is looked up once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::JoinType;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use model::quality::CheckResult;

use super::asker::{Asker, errored, sums};
use crate::question::{ConceptCheck, both};

/// Concept checks of all tables: each distinct combination of concepts is read once, each concept looked up once.
pub async fn answer_concepts(
    session: &Asker,
    tables: BTreeMap<String, Vec<(usize, ConceptCheck)>>,
) -> Vec<(usize, CheckResult)> {
    let failed = |checks: Vec<(usize, ConceptCheck)>, reason: String| -> Vec<(usize, CheckResult)> {
        checks.into_iter().map(|(index, concept)| (index, errored(concept.check, reason.clone()))).collect()
    };
    let mut results = Vec::new();
    let mut used = Vec::new();
    for (table, checks) in tables {
        match concept_use(session, &table, &checks).await {
            Ok(counts) => used.push((table, checks, counts)),
            Err(error) => results.extend(failed(checks, error.to_string())),
        }
    }
    let ids: BTreeSet<i32> = used.iter().flat_map(|(_, _, counts)| counts.keys().map(|(_, id)| *id)).collect();
    let known = vocabulary_of(session, ids).await;
    for (table, checks, counts) in used {
        let judged = match &known {
            Ok(known) => judge_concepts(known, &table, &checks, &counts).await,
            Err(error) => Err(DataFusionError::External(error.to_string().into())),
        };
        match judged {
            Ok(counts) => {
                results.extend(checks.into_iter().zip(counts).map(|((index, concept), (rows, violations))| {
                    (index, CheckResult::judged(concept.check, rows, violations))
                }))
            }
            Err(error) => results.extend(failed(checks, error.to_string())),
        }
    }
    results
}

type ConceptUse = BTreeMap<(String, i32), i64>;

/// Rows by column and concept.
async fn concept_use(
    session: &Asker,
    table: &str,
    checks: &[(usize, ConceptCheck)],
) -> Result<ConceptUse, DataFusionError> {
    let columns: Vec<&str> =
        checks.iter().map(|(_, concept)| concept.column.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    let list = columns.join(", ");
    let mut counts = ConceptUse::new();
    for row in session.ask(&format!("select {list}, count(*) as n from {table} group by {list}")).await? {
        for (index, column) in columns.iter().enumerate() {
            if !row.is_null(index) {
                let concept_id = i32::try_from(row.int(index)).unwrap_or(i32::MAX);
                *counts.entry(((*column).to_owned(), concept_id)).or_default() += row.int(columns.len());
            }
        }
    }
    Ok(counts)
}

/// What the vocabulary says about some concepts.
async fn vocabulary_of(session: &Asker, ids: BTreeSet<i32>) -> Result<Vec<RecordBatch>, DataFusionError> {
    let schema = Arc::new(Schema::new(vec![Field::new("used_id", DataType::Int32, false)]));
    let ids = RecordBatch::try_new(schema, vec![Arc::new(Int32Array::from_iter_values(ids))])?;
    session
        .session
        .sql("select concept_id, domain_id, concept_class_id, standard_concept, invalid_reason from vocabulary.concept")
        .await?
        .join(session.session.read_batch(ids)?, JoinType::LeftSemi, &["concept_id"], &["used_id"], None)?
        .collect()
        .await
}

async fn judge_concepts(
    known: &[RecordBatch],
    table: &str,
    checks: &[(usize, ConceptCheck)],
    counts: &ConceptUse,
) -> Result<Vec<(u64, u64)>, DataFusionError> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("column_name", DataType::Utf8, false),
        Field::new("concept_id", DataType::Int32, false),
        Field::new("n", DataType::Int64, false),
    ]));
    let uses = RecordBatch::try_new(
        schema,
        vec![
            Arc::new(StringArray::from_iter_values(counts.keys().map(|(column, _)| column))),
            Arc::new(Int32Array::from_iter_values(counts.keys().map(|(_, id)| *id))),
            Arc::new(Int64Array::from_iter_values(counts.values().copied())),
        ],
    )?;
    let aside = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    aside.register_batch("concept_use", uses)?;
    let columns = [
        ("concept_id", DataType::Int32),
        ("domain_id", DataType::Utf8),
        ("concept_class_id", DataType::Utf8),
        ("standard_concept", DataType::Utf8),
        ("invalid_reason", DataType::Utf8),
    ];
    let empty = Schema::new(columns.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec());
    let known = match known.first() {
        Some(first) => arrow::compute::concat_batches(&first.schema(), known)?,
        None => RecordBatch::new_empty(Arc::new(empty)),
    };
    aside.register_batch("concept", known)?;
    let sum = |condition: String| format!("coalesce(sum(u.n) filter (where {condition}), 0)");
    let selected: Vec<_> = checks
        .iter()
        .enumerate()
        .map(|(index, (_, concept))| {
            let own = format!("u.column_name = '{}'", concept.column);
            let violating = sum(both(&own, &concept.violates));
            format!("{} as r{index}, {violating} as v{index}", sum(own))
        })
        .collect();
    let sql = format!(
        "select {} from concept_use as u left join concept as c on c.concept_id = u.concept_id",
        selected.join(",\n")
    );
    tracing::debug!(table.name = table, check.count = checks.len(), "concepts judged");
    let aside = Asker { session: aside, crosswalk: None };
    let counts = sums(&aside, &sql).await?;
    Ok(counts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}
