//! The order of each person's visits: which visit came before which. Visits that start together are ordered by id, so
//! that every run gives the same order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use lake::{KeySet, TableName, Transaction};
use model::omop::{self, Lineage};

use crate::error::Result;
use crate::load::omop_spec;
use crate::query::{micros, numbers, sought};
use crate::rewrite::rewritten;

/// The visit before each visit, where there is one.
#[derive(Default)]
pub struct Preceding(Vec<(i64, i64)>);

impl Preceding {
    /// Takes the visits of one person: start in microseconds and id.
    pub fn add_person(&mut self, mut visits: Vec<(i64, i64)>) {
        visits.sort_unstable();
        visits.dedup();
        self.0.extend(visits.windows(2).map(|pair| (pair[1].1, pair[0].1)));
    }

    /// To be called once, when all persons are there.
    pub fn finish(&mut self) {
        self.0.sort_unstable();
        self.0.shrink_to_fit();
    }

    /// The visit before this one.
    pub fn of(&self, visit: i64) -> Option<i64> {
        self.0.binary_search_by_key(&visit, |(visit, _)| *visit).ok().map(|at| self.0[at].1)
    }
}

/// Puts the visits of some persons in order, in the staged tables: also visits that this run did not touch may have
/// another visit in front of them now. Returns how many rows were written anew.
///
/// # Errors
/// The lake refuses.
pub async fn reorder(transaction: &mut Transaction, persons: &HashSet<i64>, lineage: &Lineage) -> Result<u64> {
    let name = TableName::new("omop", "visit_occurrence");
    let mut visits: HashMap<i64, Vec<(i64, i64)>> = HashMap::new();
    let mut written: HashMap<i64, i64> = HashMap::new();
    let columns = [
        "person_id",
        "visit_occurrence_id",
        "preceding_visit_occurrence_id",
        "visit_start_datetime",
        "visit_start_date",
    ];
    for batch in transaction.find(&name, "person_id", &sought(persons.iter().copied()), &columns).await? {
        let (people, ids, preceding) = (numbers(&batch, 0), numbers(&batch, 1), numbers(&batch, 2));
        let (moments, days) = (micros(&batch, 3), micros(&batch, 4));
        for row in 0..batch.num_rows() {
            let start = moments[row].or(days[row]).unwrap_or_default();
            visits.entry(people[row]).or_default().push((start, ids[row]));
            written.insert(ids[row], preceding[row]);
        }
    }
    let mut order = Preceding::default();
    visits.into_values().for_each(|visits| order.add_person(visits));
    order.finish();
    written.retain(|visit, preceding| order.of(*visit).unwrap_or_default() != *preceding);
    if written.is_empty() {
        return Ok(0);
    }
    let Some(table) = omop::table("visit_occurrence") else { return Ok(0) };
    let mut writer = transaction.writer(&omop_spec(table)).await?;
    let stale = written.keys().copied();
    let schema = table.lake_schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    for batch in transaction.find(&name, "visit_occurrence_id", &sought(stale), &columns).await? {
        writer.write(&renew(&batch, &order, lineage)?)?;
    }
    let count = written.len() as u64;
    let gone = KeySet::Int64(written.into_keys().collect());
    transaction.upsert(&name, "visit_occurrence_id", gone, writer.close()?).await?;
    Ok(count)
}

/// The visits of the batch, put in order.
fn renew(batch: &RecordBatch, order: &Preceding, lineage: &Lineage) -> Result<RecordBatch> {
    let Some((at, _)) = batch.schema().column_with_name("visit_occurrence_id") else {
        return Ok(RecordBatch::new_empty(batch.schema()));
    };
    let preceding: Int64Array = numbers(batch, at).iter().map(|visit| order.of(*visit)).collect();
    rewritten(batch, "preceding_visit_occurrence_id", Arc::new(preceding), lineage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_follow_each_other_by_start_then_id() {
        let mut order = Preceding::default();
        order.add_person(vec![(30, 1), (10, 5), (10, 4), (20, 9)]);
        order.add_person(vec![(5, 2)]);
        order.finish();
        let told: Vec<_> = [4, 5, 9, 1, 2].iter().map(|visit| order.of(*visit)).collect();
        assert_eq!(told, [None, Some(4), Some(5), Some(9), None]);
    }
}
