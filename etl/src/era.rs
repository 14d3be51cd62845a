//! Condition eras: spans over which a person is recorded with one condition, joined across short gaps. They are made from
//! the staged `condition_occurrence`, so that they hold what earlier runs wrote, too. Records without a standard concept
//! make none: what they have in common is only that nobody knows them.

use std::collections::HashSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use chrono::{Days, NaiveDate};
use lake::{TableName, Transaction};
use model::omop::key::era_key;
use model::omop::{ConditionEra, NO_MATCHING_CONCEPT};

use crate::error::Result;
use crate::query::{days, for_each, numbers, sought};

/// Records of one condition that lie at most so many days apart belong to one era, as OHDSI defines it.
const PERSISTENCE: Days = Days::new(30);

/// One record: whose, of what, from when to when.
type Span = (i64, i32, NaiveDate, NaiveDate);

/// Hands over the condition eras of some persons, or of all, in the order of persons, concepts and days.
///
/// # Errors
/// The tables cannot be read.
pub async fn condition_eras(
    transaction: &Transaction,
    persons: Option<&HashSet<i64>>,
    source_id: &str,
    mut take: impl FnMut(ConditionEra),
) -> Result<()> {
    let mut eras = Eras { source_id, open: None };
    match persons {
        Some(persons) if persons.is_empty() => return Ok(()),
        // Some persons' records fit into memory; those of all are the engine's to sort.
        Some(persons) => {
            let table = TableName::new("omop", "condition_occurrence");
            let columns = ["person_id", "condition_concept_id", "condition_start_date", "condition_end_date"];
            let found = transaction.find(&table, "person_id", &sought(persons.iter().copied()), &columns).await?;
            let mut spans: Vec<Span> = found.iter().flat_map(spans_of).collect();
            spans.sort_unstable();
            spans.into_iter().for_each(|span| eras.see(span).into_iter().for_each(&mut take));
        }
        None => {
            let sql = "select person_id, condition_concept_id, condition_start_date, condition_end_date \
                       from omop.condition_occurrence where condition_concept_id <> 0 \
                       order by person_id, condition_concept_id, condition_start_date";
            for_each(&transaction.session().await?, sql, |batch| {
                spans_of(batch).into_iter().for_each(|span| eras.see(span).into_iter().for_each(&mut take));
            })
            .await?;
        }
    }
    eras.open.take().into_iter().for_each(take);
    Ok(())
}

/// The keys of the eras that some persons had.
///
/// # Errors
/// The tables cannot be read.
pub async fn condition_era_keys(transaction: &Transaction, persons: &HashSet<i64>) -> Result<HashSet<i64>> {
    let theirs = sought(persons.iter().copied());
    let table = TableName::new("omop", "condition_era");
    let found = transaction.find(&table, "person_id", &theirs, &["condition_era_id"]).await?;
    Ok(found.iter().flat_map(|batch| numbers(batch, 0)).collect())
}

/// Joins records that come in the order of persons, concepts and days.
struct Eras<'s> {
    source_id: &'s str,
    open: Option<ConditionEra>,
}

impl Eras<'_> {
    /// Takes a record; returns the era that it does not belong to any more.
    fn see(&mut self, (person_id, concept_id, start, end): Span) -> Option<ConditionEra> {
        let end = end.max(start);
        if let Some(era) = &mut self.open
            && era.person_id == person_id
            && era.condition_concept_id == concept_id
            && start <= era.condition_era_end_date.checked_add_days(PERSISTENCE).unwrap_or(NaiveDate::MAX)
        {
            era.condition_era_end_date = era.condition_era_end_date.max(end);
            era.condition_occurrence_count = era.condition_occurrence_count.map(|count| count + 1);
            return None;
        }
        self.open.replace(ConditionEra {
            condition_era_id: era_key(self.source_id, person_id, "condition_era", concept_id, start),
            person_id,
            condition_concept_id: concept_id,
            condition_era_start_date: start,
            condition_era_end_date: end,
            condition_occurrence_count: Some(1),
        })
    }
}

/// The records of a batch that have a standard concept; one without an end ends when it starts.
fn spans_of(batch: &RecordBatch) -> Vec<Span> {
    let Some(concepts) = batch.column(1).as_primitive_opt::<Int32Type>() else { return Vec::new() };
    let days = days(batch, 2).into_iter().zip(days(batch, 3));
    let rows = numbers(batch, 0).into_iter().zip(concepts.values()).zip(days);
    let known = rows.filter(|((_, concept), _)| **concept != NO_MATCHING_CONCEPT);
    known.filter_map(|((person, concept), (start, end))| Some((person, *concept, start?, end.or(start)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + Days::new(day)
    }

    fn eras(spans: &[(i64, i32, u64, u64)]) -> Vec<(i64, i32, u64, u64, i32)> {
        let mut eras = Eras { source_id: "s", open: None };
        let mut all = Vec::new();
        for (person, concept, start, end) in spans {
            all.extend(eras.see((*person, *concept, day(*start), day(*end))));
        }
        all.extend(eras.open);
        let days = |date: NaiveDate| (date - day(0)).num_days() as u64;
        all.iter()
            .map(|era| {
                let count = era.condition_occurrence_count.unwrap();
                let (start, end) = (days(era.condition_era_start_date), days(era.condition_era_end_date));
                (era.person_id, era.condition_concept_id, start, end, count)
            })
            .collect()
    }

    #[test]
    fn a_gap_of_thirty_days_joins_and_a_longer_one_parts() {
        assert_eq!(eras(&[(1, 7, 0, 5), (1, 7, 35, 36)]), [(1, 7, 0, 36, 2)]);
        assert_eq!(eras(&[(1, 7, 0, 5), (1, 7, 36, 40)]), [(1, 7, 0, 5, 1), (1, 7, 36, 40, 1)]);
    }

    #[test]
    fn an_era_lasts_as_long_as_its_longest_record() {
        assert_eq!(eras(&[(1, 7, 0, 90), (1, 7, 10, 12), (1, 7, 119, 119)]), [(1, 7, 0, 119, 3)]);
        // An end before the start is no end.
        assert_eq!(eras(&[(1, 7, 10, 3)]), [(1, 7, 10, 10, 1)]);
    }

    #[test]
    fn persons_and_conditions_keep_their_own() {
        let all = eras(&[(1, 7, 0, 0), (1, 8, 1, 1), (2, 8, 1, 1)]);
        assert_eq!(all, [(1, 7, 0, 0, 1), (1, 8, 1, 1, 1), (2, 8, 1, 1, 1)]);
    }
}
