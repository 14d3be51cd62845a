//! Eras: spans over which a person is recorded with one condition, or exposed to one ingredient, joined across short gaps.
//! They are made from the staged tables of events, so that they hold what earlier runs wrote, too. Records without a
//! standard concept make none: what they have in common is only that nobody knows them.
//!
//! There are no dose eras: they need the strength of each drug and the amount that was taken of it each day, and an
//! order tells the latter in words.

use std::collections::{HashMap, HashSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use chrono::{Days, NaiveDate};
use lake::{TableName, Transaction};
use model::omop::key::era_key;
use model::omop::{ConditionEra, DrugEra, NO_MATCHING_CONCEPT};

use crate::error::Result;
use crate::query::{days, for_each, numbers, sought};
use crate::vocabulary::Vocabulary;

/// The tables of eras; the key of each is named after it.
pub const TABLES: [&str; 2] = ["condition_era", "drug_era"];

/// Records of one concept that lie at most so many days apart belong to one era, as OHDSI defines it.
const PERSISTENCE: Days = Days::new(30);

/// One record of a person: of what, from when to when.
type Span = (i32, NaiveDate, NaiveDate);

/// Records of one concept, joined.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Era {
    concept_id: i32,
    start: NaiveDate,
    end: NaiveDate,
    /// How many records.
    count: i32,
    /// Days of the gaps between them.
    gap_days: i32,
}

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
    let columns = ["person_id", "condition_concept_id", "condition_start_date", "condition_end_date"];
    for_each_person(transaction, "condition_occurrence", columns, persons, |person_id, mut spans| {
        spans.retain(|(concept_id, _, _)| *concept_id != NO_MATCHING_CONCEPT);
        join(spans, |era| {
            take(ConditionEra {
                condition_era_id: era_key(source_id, person_id, "condition_era", era.concept_id, era.start),
                person_id,
                condition_concept_id: era.concept_id,
                condition_era_start_date: era.start,
                condition_era_end_date: era.end,
                condition_occurrence_count: Some(era.count),
            });
        });
    })
    .await
}

/// Hands over the drug eras of some persons, or of all, in the order of persons, ingredients and days. Returns how many
/// exposures belong to none, since the vocabulary does not say what the drug is made of.
///
/// # Errors
/// The tables cannot be read.
pub async fn drug_eras(
    transaction: &Transaction,
    persons: Option<&HashSet<i64>>,
    vocabulary: &Vocabulary,
    source_id: &str,
    mut take: impl FnMut(DrugEra),
) -> Result<u64> {
    let columns = ["person_id", "drug_concept_id", "drug_exposure_start_date", "drug_exposure_end_date"];
    let mut known: HashMap<i32, Vec<i32>> = HashMap::new();
    let mut without = 0;
    for_each_person(transaction, "drug_exposure", columns, persons, |person_id, spans| {
        let mut exposed = Vec::with_capacity(spans.len());
        for (drug, start, end) in spans {
            let ingredients = known.entry(drug).or_insert_with(|| vocabulary.ingredients(drug));
            without += u64::from(ingredients.is_empty());
            exposed.extend(ingredients.iter().map(|ingredient| (*ingredient, start, end)));
        }
        join(exposed, |era| {
            take(DrugEra {
                drug_era_id: era_key(source_id, person_id, "drug_era", era.concept_id, era.start),
                person_id,
                drug_concept_id: era.concept_id,
                drug_era_start_date: era.start,
                drug_era_end_date: era.end,
                drug_exposure_count: Some(era.count),
                gap_days: Some(era.gap_days),
            });
        });
    })
    .await?;
    Ok(without)
}

/// Hands over the records of a table, person by person. The columns are person, concept, first and last day.
async fn for_each_person(
    transaction: &Transaction,
    table: &str,
    columns: [&str; 4],
    persons: Option<&HashSet<i64>>,
    mut take: impl FnMut(i64, Vec<Span>),
) -> Result<()> {
    match persons {
        Some(persons) if persons.is_empty() => Ok(()),
        // Some persons' records fit into memory; those of all are the engine's to sort.
        Some(persons) => {
            let mut theirs: HashMap<i64, Vec<Span>> = HashMap::new();
            let wanted = sought(persons.iter().copied());
            let found = transaction.find(&TableName::new("omop", table), "person_id", &wanted, &columns).await?;
            for (person, span) in found.iter().flat_map(spans_of) {
                theirs.entry(person).or_default().push(span);
            }
            let mut theirs: Vec<_> = theirs.into_iter().collect();
            theirs.sort_unstable_by_key(|(person, _)| *person);
            theirs.into_iter().for_each(|(person, spans)| take(person, spans));
            Ok(())
        }
        None => {
            let (mut at, mut spans) = (0, Vec::new());
            let sql = format!("select {} from omop.{table} order by person_id", columns.join(", "));
            for_each(&transaction.session().await?, &sql, |batch| {
                for (person, span) in spans_of(batch) {
                    if person != at {
                        take(at, std::mem::take(&mut spans));
                        at = person;
                    }
                    spans.push(span);
                }
            })
            .await?;
            take(at, spans);
            Ok(())
        }
    }
}

/// Joins the records of one person, given in any order.
fn join(mut spans: Vec<Span>, mut take: impl FnMut(Era)) {
    spans.sort_unstable();
    let mut open: Option<Era> = None;
    for (concept_id, start, end) in spans {
        let end = end.max(start);
        if let Some(era) = &mut open
            && era.concept_id == concept_id
            && start <= era.end.checked_add_days(PERSISTENCE).unwrap_or(NaiveDate::MAX)
        {
            era.gap_days += (start - era.end).num_days().max(0) as i32;
            era.end = era.end.max(end);
            era.count += 1;
            continue;
        }
        open.replace(Era { concept_id, start, end, count: 1, gap_days: 0 }).into_iter().for_each(&mut take);
    }
    open.into_iter().for_each(take);
}

/// The records of a batch; one without an end ends when it starts.
fn spans_of(batch: &RecordBatch) -> Vec<(i64, Span)> {
    let Some(concepts) = batch.column(1).as_primitive_opt::<Int32Type>() else { return Vec::new() };
    let days = days(batch, 2).into_iter().zip(days(batch, 3));
    let rows = numbers(batch, 0).into_iter().zip(concepts.values()).zip(days);
    rows.filter_map(|((person, concept), (start, end))| Some((person, (*concept, start?, end.or(start)?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + Days::new(day)
    }

    /// Concept, first and last day, records, days of gaps.
    fn eras(spans: &[(i32, u64, u64)]) -> Vec<(i32, u64, u64, i32, i32)> {
        let days = |date: NaiveDate| (date - day(0)).num_days() as u64;
        let mut all = Vec::new();
        let spans = spans.iter().map(|(concept, start, end)| (*concept, day(*start), day(*end)));
        join(spans.collect(), |era| {
            all.push((era.concept_id, days(era.start), days(era.end), era.count, era.gap_days));
        });
        all
    }

    #[test]
    fn a_gap_of_thirty_days_joins_and_a_longer_one_parts() {
        assert_eq!(eras(&[(7, 0, 5), (7, 35, 36)]), [(7, 0, 36, 2, 30)]);
        assert_eq!(eras(&[(7, 0, 5), (7, 36, 40)]), [(7, 0, 5, 1, 0), (7, 36, 40, 1, 0)]);
    }

    #[test]
    fn an_era_lasts_as_long_as_its_longest_record_and_counts_what_lies_between() {
        assert_eq!(eras(&[(7, 0, 90), (7, 10, 12), (7, 119, 119)]), [(7, 0, 119, 3, 29)]);
        assert_eq!(eras(&[(7, 0, 10), (7, 20, 30), (7, 5, 12), (7, 40, 41)]), [(7, 0, 41, 4, 18)]);
        // An end before the start is no end.
        assert_eq!(eras(&[(7, 10, 3)]), [(7, 10, 10, 1, 0)]);
    }

    #[test]
    fn each_concept_keeps_its_own_in_any_order() {
        assert_eq!(eras(&[(8, 1, 1), (7, 40, 40), (7, 20, 20)]), [(7, 20, 40, 2, 20), (8, 1, 1, 1, 0)]);
        assert_eq!(eras(&[]), []);
    }
}
