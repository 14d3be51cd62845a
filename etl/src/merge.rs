//! Patients whose record was merged into another: what the lake has of them goes over to who took their place, since
//! nobody may tell it again.

use std::collections::HashMap;

use datafusion::prelude::SessionContext;
use lake::Transaction;
use model::omop::Lineage;
use model::omop::key::omop_key;

use crate::era;
use crate::error::Result;
use crate::load::cdm_tables;
use crate::query::{for_each, numbers, quoted, texts};
use crate::rewrite::reassign;

/// Rows that are made of others, or of the Patient itself: they are made anew.
const MADE_ANEW: [&str; 2] = ["person", "observation_period"];

/// Reads whose record was merged into whose, of a source: resource key of the Patient, person and heir.
///
/// # Errors
/// The lake cannot be read.
pub async fn known(session: &SessionContext, source_id: &str) -> Result<Vec<(i64, i64, i64)>> {
    let patients = session.table("fhir.patient").await?;
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
    let heirs: HashMap<i64, Option<i64>> = heirs.iter().map(|(person_id, heir)| (*person_id, Some(*heir))).collect();
    let mut counts = Vec::new();
    for table in cdm_tables().filter(|table| table.column("person_id").is_some() && !is_made_anew(table.name)) {
        let count = reassign(transaction, table, "person_id", &heirs, lineage).await?;
        counts.push((format!("omop.{}", table.name), count));
    }
    Ok(counts)
}

fn is_made_anew(table: &str) -> bool {
    MADE_ANEW.contains(&table) || era::TABLES.contains(&table)
}
