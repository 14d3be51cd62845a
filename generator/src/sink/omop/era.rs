//! condition_era and drug_era: what is recorded again within 30 days of its end goes on.

use chrono::NaiveDate;
use model::omop::key::era_key;
use model::omop::{ConditionEra, DrugEra};
use model::vocabulary;

use super::{Observed, OmopSink};
use crate::record::Record;

/// A condition or an ingredient, and the first and last day of one record of it.
pub(super) type Recorded = (i32, NaiveDate, NaiveDate);

/// Records that go on.
#[derive(Debug, PartialEq)]
struct Era {
    concept: i32,
    first: NaiveDate,
    last: NaiveDate,
    records: i32,
    idle_days: i32,
}

impl OmopSink<'_> {
    pub(super) fn eras(&mut self, record: &Record, observed: Observed) {
        let person_id = self.person_id(record);
        let source_id = &self.world.options.source_id;
        let key = |table, era: &Era| era_key(source_id, person_id, table, era.concept, era.first);
        let conditions = merge(observed.conditions).into_iter().map(|era| ConditionEra {
            condition_era_id: key("condition_era", &era),
            person_id,
            condition_concept_id: era.concept,
            condition_era_start_date: era.first,
            condition_era_end_date: era.last,
            condition_occurrence_count: Some(era.records),
        });
        conditions.for_each(|row| self.builders.append(&row.into()));
        let drugs = merge(observed.ingredients).into_iter().map(|era| DrugEra {
            drug_era_id: key("drug_era", &era),
            person_id,
            drug_concept_id: era.concept,
            drug_era_start_date: era.first,
            drug_era_end_date: era.last,
            drug_exposure_count: Some(era.records),
            gap_days: Some(era.idle_days),
        });
        drugs.for_each(|row| self.builders.append(&row.into()));
    }
}

/// What a drug of the starter is made of: itself, where it is an ingredient; nothing, for a vaccine.
pub(super) fn ingredients(concept: i32) -> Vec<i32> {
    let is_ingredient = |id: &i32| vocabulary::concept(*id).is_some_and(|row| row.concept_class_id == "Ingredient");
    std::iter::once(concept).chain(vocabulary::ancestors_of(concept)).filter(is_ingredient).collect()
}

fn merge(mut records: Vec<Recorded>) -> Vec<Era> {
    records.sort_unstable();
    let mut eras: Vec<Era> = Vec::new();
    for (concept, first, last) in records {
        let idle = |era: &Era| (first - era.last).num_days() as i32;
        match eras.last_mut().filter(|era| era.concept == concept && idle(era) <= 30) {
            Some(era) => {
                era.idle_days += idle(era).max(0);
                era.last = era.last.max(last);
                era.records += 1;
            }
            None => eras.push(Era { concept, first, last, records: 1, idle_days: 0 }),
        }
    }
    eras
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_go_on_within_thirty_days() {
        let day = |day| NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + chrono::Days::new(day);
        let eras = merge(vec![(7, day(41), day(50)), (7, day(0), day(10)), (7, day(5), day(8)), (7, day(40), day(60))]);
        let era = |first, last, records, idle_days| Era {
            concept: 7,
            first: day(first),
            last: day(last),
            records,
            idle_days,
        };
        assert_eq!(eras, [era(0, 60, 4, 30)]);
        assert_eq!(merge(vec![(7, day(0), day(10)), (7, day(41), day(41))]), [era(0, 10, 1, 0), era(41, 41, 1, 0)]);
    }

    #[test]
    fn drugs_are_made_of_ingredients_and_vaccines_of_nothing_known() {
        assert_eq!(ingredients(1713671), [1713332, 1759842]);
        assert_eq!(ingredients(1112807), [1112807]);
        assert!(ingredients(40213154).is_empty());
    }
}
