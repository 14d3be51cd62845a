//! Patients whose record was merged into another: what the lake has of them goes over to who took their place, since
//! nobody may tell it again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::Int64Array;
use datafusion::prelude::SessionContext;
use lake::{KeySet, TableName, Transaction};
use model::omop::Lineage;
use model::omop::key::omop_key;

use crate::era;
use crate::error::Result;
use crate::load::{cdm_tables, omop_spec};
use crate::query::{for_each, numbers, quoted, sought, texts};
use crate::rewrite::rewritten;

/// Rows that are made of others, or of the Patient itself: they are made anew.
const MADE_ANEW: [&str; 2] = ["person", "observation_period"];

/// Reads whose record was merged into whose, of a source: resource key of the Patient, person and heir.
///
/// # Errors
/// The lake cannot be read.
pub async fn known(session: &SessionContext, source_id: &str) -> Result<Vec<(i64, i64, i64)>> {
    let Ok(patients) = session.table("fhir.patient").await else { return Ok(Vec::new()) };
    // A lake of an earlier version does not tell.
    if !patients.schema().has_column_with_unqualified_name("replaced_by_id") {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select resource_key, id, replaced_by_id from fhir.patient \
         where active = false and replaced_by_id is not null and source_id = '{}'",
        quoted(source_id)
    );
    let person = |id: &str| omop_key(source_id, &format!("Patient/{id}"), "person", "");
    let mut merges = Vec::new();
    for_each(session, &sql, |batch| {
        let ids = texts(batch, 1).into_iter().zip(texts(batch, 2));
        merges
            .extend(numbers(batch, 0).into_iter().zip(ids).map(|(key, (id, heir))| (key, person(&id), person(&heir))));
    })
    .await?;
    Ok(merges)
}

/// Gives the staged rows of some persons to their heirs. Returns how many rows that are, by `omop.table`.
///
/// # Errors
/// The lake refuses.
pub async fn hand_over(
    transaction: &mut Transaction,
    heirs: &HashMap<i64, i64>,
    lineage: &Lineage,
) -> Result<Vec<(String, u64)>> {
    let mut counts = Vec::new();
    let persons = sought(heirs.keys().copied());
    for table in cdm_tables().filter(|table| table.column("person_id").is_some() && !is_made_anew(table.name)) {
        let Some(key) = table.key() else { continue };
        let name = TableName::new("omop", table.name);
        let schema = table.lake_schema();
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let theirs = transaction.find(&name, "person_id", &persons, &columns).await?;
        if theirs.iter().all(|batch| batch.num_rows() == 0) {
            continue;
        }
        let mut writer = transaction.writer(&omop_spec(table)).await?;
        let mut ids = HashSet::new();
        for batch in &theirs {
            let place = |column: &str| batch.schema().index_of(column);
            let heir = |person_id: &i64| heirs.get(person_id).copied().unwrap_or(*person_id);
            let moved: Int64Array = numbers(batch, place("person_id")?).iter().map(heir).collect();
            writer.write(&rewritten(batch, "person_id", Arc::new(moved), lineage)?)?;
            ids.extend(numbers(batch, place(key.name)?));
        }
        counts.push((name.to_string(), ids.len() as u64));
        transaction.upsert(&name, key.name, KeySet::Int64(ids), writer.close()?).await?;
    }
    Ok(counts)
}

fn is_made_anew(table: &str) -> bool {
    MADE_ANEW.contains(&table) || era::TABLES.contains(&table)
}
