//! Do records respect what is known of their concept? Sex, age, ranges, units, and what needs or excludes what, from
//! `model::constraint`. The order of dates is asked of every table in `plausibility.rs`.

use std::collections::{BTreeMap, BTreeSet};

use model::constraint::{self, concept_ids};
use model::omop::NO_MATCHING_CONCEPT;
use model::quality::{Category, Check};
use model::vocabulary::{self, value};

use super::join;
use crate::contents::Contents;
use crate::question::{self, Question, query_check, row_check};

/// The table of a concept's domain.
struct Place {
    table: &'static str,
    key: &'static str,
    concept: &'static str,
    date: &'static str,
}

const fn place(table: &'static str, key: &'static str, concept: &'static str, date: &'static str) -> Place {
    Place { table, key, concept, date }
}

const CONDITION: Place =
    place("omop.condition_occurrence", "condition_occurrence_id", "condition_concept_id", "condition_start_date");
const DRUG: Place = place("omop.drug_exposure", "drug_exposure_id", "drug_concept_id", "drug_exposure_start_date");
const PROCEDURE: Place =
    place("omop.procedure_occurrence", "procedure_occurrence_id", "procedure_concept_id", "procedure_date");
const MEASUREMENT: Place = place("omop.measurement", "measurement_id", "measurement_concept_id", "measurement_date");
const OBSERVATION: Place = place("omop.observation", "observation_id", "observation_concept_id", "observation_date");

/// The standard concepts of a code with their tables.
fn standard(contents: &Contents, vocabulary_id: &str, code: &str) -> Vec<(i32, &'static Place)> {
    let found = concept_ids(vocabulary_id, code).into_iter().filter_map(|concept_id| {
        let place = match vocabulary::concept(concept_id)?.domain_id {
            "Condition" => &CONDITION,
            "Drug" => &DRUG,
            "Procedure" => &PROCEDURE,
            "Measurement" => &MEASUREMENT,
            "Observation" => &OBSERVATION,
            _ => return None,
        };
        Some((concept_id, place))
    });
    found.filter(|(_, place)| contents.has(place.table)).collect()
}

fn name(concept_id: i32) -> &'static str {
    vocabulary::concept(concept_id).map_or("", |concept| concept.concept_name)
}

/// Constraint checks of the tables that they speak of.
pub(super) fn questions(contents: &Contents) -> Vec<Question> {
    let mut all = Vec::new();
    if contents.has("omop.person") {
        sexes(&mut all, contents);
        ages(&mut all, contents);
    }
    values(&mut all, contents);
    if contents.has(CONDITION.table) {
        needs(&mut all, contents);
        excludes(&mut all, contents);
    }
    // Several codes may stand for one concept.
    let mut seen = BTreeSet::new();
    all.retain(|question| seen.insert(question.check().id.clone()));
    all
}

fn sexes(all: &mut Vec<Question>, contents: &Contents) {
    let (Some(female), Some(male)) = (value("gender", "female"), value("gender", "male")) else { return };
    for sex in constraint::sexes() {
        let (only, other, word) = if sex.gender == "F" { (female, male, "women") } else { (male, female, "men") };
        for (concept_id, place) in standard(contents, sex.vocabulary_id, sex.code) {
            let sentence = format!("Only {word} have `{}`.", name(concept_id));
            let check = check("plausibleGender", place.table, place.concept, &concept_id.to_string(), sentence);
            all.push(row_check(
                check,
                vec![join::person()],
                &format!("t.{} = {concept_id} and person.gender_concept_id in ({only}, {other})", place.concept),
                &format!("person.gender_concept_id = {other}"),
            ));
        }
    }
}

fn ages(all: &mut Vec<Question>, contents: &Contents) {
    for age in constraint::age_ranges() {
        let mut wrong = Vec::new();
        let mut words = Vec::new();
        for (concept_id, place) in standard(contents, age.vocabulary_id, age.code) {
            wrong.clear();
            words.clear();
            if let Some(youngest) = age.youngest {
                wrong.push(format!("t.{} < person.birth_date + interval '{youngest} years'", place.date));
                words.push(format!("from {youngest}"));
            }
            if let Some(oldest) = age.oldest {
                wrong.push(format!("t.{} >= person.birth_date + interval '{} years'", place.date, oldest + 1));
                words.push(format!("to {oldest}"));
            }
            let sentence = format!("People have `{}` at ages {}.", name(concept_id), words.join(" "));
            let check = check("plausibleAge", place.table, place.concept, &concept_id.to_string(), sentence);
            let applies = format!("t.{} = {concept_id} and person.birth_date is not null", place.concept);
            all.push(row_check(check, vec![join::person()], &applies, &wrong.join(" or ")));
        }
    }
}

fn values(all: &mut Vec<Question>, contents: &Contents) {
    let mut units: BTreeMap<(i32, &'static str), BTreeSet<i32>> = BTreeMap::new();
    for range in constraint::value_ranges() {
        let unit_concept_id = range.unit_concept_id();
        for (concept_id, place) in standard(contents, range.vocabulary_id, range.code) {
            if !contents.has_columns(place.table, &["value_as_number", "unit_concept_id"]) {
                continue;
            }
            units.entry((concept_id, place.table)).or_default().insert(unit_concept_id);
            let unit = if unit_concept_id == NO_MATCHING_CONCEPT {
                format!("t.unit_source_value = '{}'", range.unit)
            } else {
                format!("t.unit_concept_id = {unit_concept_id}")
            };
            let applies = format!("t.{} = {concept_id} and {unit} and t.value_as_number is not null", place.concept);
            let part = format!("{concept_id} {}", range.unit);
            for (check_name, word, sign, limit) in
                [("plausibleValueLow", "at least", "<", range.low), ("plausibleValueHigh", "at most", ">", range.high)]
            {
                let sentence = format!("`{}` is {word} {limit} {}.", name(concept_id), range.unit);
                let check = check(check_name, place.table, "value_as_number", &part, sentence);
                all.push(row_check(check, Vec::new(), &applies, &format!("t.value_as_number {sign} {limit:?}")));
            }
        }
    }
    for ((concept_id, table), units) in units {
        let place = if table == MEASUREMENT.table { &MEASUREMENT } else { &OBSERVATION };
        let units: Vec<String> =
            units.iter().filter(|unit| **unit != NO_MATCHING_CONCEPT).map(i32::to_string).collect();
        if place.table != table || units.is_empty() {
            continue;
        }
        let sentence = format!("Numbers of `{}` come in a unit that is known for it.", name(concept_id));
        let check = check("plausibleUnitConceptIds", table, "unit_concept_id", &concept_id.to_string(), sentence);
        let applies = format!("t.{} = {concept_id} and t.value_as_number is not null", place.concept);
        let violates = format!("coalesce(t.unit_concept_id, 0) not in ({})", units.join(", "));
        all.push(row_check(check, Vec::new(), &applies, &violates));
    }
}

/// Pairs of concepts of one rule, by the table of the first.
type Pairs = BTreeMap<&'static str, (Option<&'static Place>, BTreeSet<(i32, i32)>)>;

fn pair(
    pairs: &mut BTreeMap<&'static str, Pairs>,
    contents: &Contents,
    rule: &'static str,
    code: (&str, &str),
    other: (&str, &str),
) {
    for (concept_id, place) in standard(contents, code.0, code.1) {
        for (other_id, other_place) in standard(contents, other.0, other.1) {
            if other_place.table == CONDITION.table {
                let entry = pairs.entry(rule).or_default().entry(place.table).or_default();
                entry.0 = Some(place);
                entry.1.insert((concept_id, other_id));
            }
        }
    }
}

fn needs(all: &mut Vec<Question>, contents: &Contents) {
    let mut rules = BTreeMap::new();
    for need in constraint::requirements() {
        let code = (need.vocabulary_id, need.code);
        pair(&mut rules, contents, need.rule, code, (need.required_vocabulary_id, need.required_code));
    }
    ask_pairs(all, &rules, "is recorded before or on the same day", "coalesce(bool_or(f.day <= e.day), false) = false");
}

fn excludes(all: &mut Vec<Question>, contents: &Contents) {
    let mut rules = BTreeMap::new();
    for exclusion in constraint::exclusions() {
        let code = (exclusion.vocabulary_id, exclusion.code);
        pair(&mut rules, contents, exclusion.rule, code, (exclusion.excluded_vocabulary_id, exclusion.excluded_code));
    }
    ask_pairs(all, &rules, "excludes what begins later", "coalesce(bool_or(f.day < e.day), false)");
}

/// One check per rule and table: each row against the person's first record of the paired conditions.
fn ask_pairs(all: &mut Vec<Question>, rules: &BTreeMap<&'static str, Pairs>, words: &str, violates: &str) {
    for (rule, pairs) in rules {
        for (place, pairs) in pairs.values().filter_map(|(place, pairs)| Some(((*place)?, pairs))) {
            let list = |ids: BTreeSet<i32>| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
            let (firsts, others) = pairs.iter().copied().unzip::<i32, i32, BTreeSet<_>, BTreeSet<_>>();
            let values: Vec<String> = pairs.iter().map(|(first, other)| format!("({first}, {other})")).collect();
            let sentence = format!("Rule `{}`: its condition {words}.", rule.replace('_', " "));
            let check = check("plausibleCooccurrence", place.table, place.concept, rule, sentence);
            let Place { table, key, concept, date } = place;
            all.push(query_check(
                check,
                format!(
                    "select count(*) as row_count, count(*) filter (where violates) as violation_count from (\n\
                     select e.id, {violates} as violates\n\
                     from (select {key} as id, person_id, {concept} as concept_id, {date} as day from {table} where {concept} in ({})) as e\n\
                     join (values {}) as p (concept_id, other_id) on p.concept_id = e.concept_id\n\
                     left join (select person_id, condition_concept_id, min(condition_start_date) as day from omop.condition_occurrence \
                     where condition_concept_id in ({}) group by person_id, condition_concept_id) as f\n\
                     on f.person_id = e.person_id and f.condition_concept_id = p.other_id\ngroup by e.id) as r",
                    list(firsts),
                    values.join(", "),
                    list(others),
                ),
            ));
        }
    }
}

fn check(name: &str, table: &str, column: &str, part: &str, description: String) -> Check {
    let mut check = question::check(Category::Plausibility, name, table, Some(column), description);
    check.id = format!("{} {part}", check.id);
    check
}
