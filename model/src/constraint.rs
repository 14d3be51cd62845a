//! What is known of a code whatever module or source it comes from: plausible values, ages, sexes, what needs what, and
//! the order of dates. The tables are `model/constraint/*.csv`; the generator keeps to them, the validator checks them.

use std::slice::Iter;

use crate::vocabulary;

/// The values that an observation can have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueRange {
    /// The vocabulary of the code.
    pub vocabulary_id: &'static str,
    /// The code of the observation.
    pub code: &'static str,
    /// The unit that the limits are in, as FHIR writes it.
    pub unit: &'static str,
    /// The smallest plausible value.
    pub low: f64,
    /// The largest plausible value.
    pub high: f64,
    /// Where the limits come from.
    pub note: &'static str,
}

/// The ages at which something can begin or be done, in completed years, limits included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgeRange {
    /// The vocabulary of the code.
    pub vocabulary_id: &'static str,
    /// The code.
    pub code: &'static str,
    /// The youngest age.
    pub youngest: Option<i32>,
    /// The oldest age.
    pub oldest: Option<i32>,
    /// Why.
    pub note: &'static str,
}

/// The only sex that can have something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sex {
    /// The vocabulary of the code.
    pub vocabulary_id: &'static str,
    /// The code.
    pub code: &'static str,
    /// `F` or `M`.
    pub gender: &'static str,
    /// Why.
    pub note: &'static str,
}

/// Something that does not happen without a condition recorded at the same time or before. The rows of one rule and
/// code are alternatives: one of the required codes is enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Requirement {
    /// The name of the rule.
    pub rule: &'static str,
    /// The vocabulary of the code.
    pub vocabulary_id: &'static str,
    /// The code: a drug, a condition.
    pub code: &'static str,
    /// The vocabulary of the required code.
    pub required_vocabulary_id: &'static str,
    /// The condition that must be there.
    pub required_code: &'static str,
    /// Why.
    pub note: &'static str,
}

/// A condition that does not begin once another one is recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exclusion {
    /// The name of the rule.
    pub rule: &'static str,
    /// The vocabulary of the code.
    pub vocabulary_id: &'static str,
    /// The code.
    pub code: &'static str,
    /// The vocabulary of the excluded code.
    pub excluded_vocabulary_id: &'static str,
    /// The condition that must not be there.
    pub excluded_code: &'static str,
    /// Why.
    pub note: &'static str,
}

/// Two dates of an OMOP row, or of the row and its person, visit or death, that come in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DateOrder {
    /// The table of the row.
    pub table_name: &'static str,
    /// A column of the table, or `person.birth_datetime`, `visit_occurrence.visit_start_date`, …
    pub earlier: &'static str,
    /// A column of the table, or `death.death_date`, `visit_occurrence.visit_end_date`, …
    pub later: &'static str,
    /// By how many days the order may be broken.
    pub tolerance_days: i32,
    /// Why.
    pub note: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/constraint.rs"));

/// Plausible values by code and unit.
pub fn value_ranges() -> Iter<'static, ValueRange> {
    VALUE_RANGES.iter()
}

/// Ages by code.
pub fn age_ranges() -> Iter<'static, AgeRange> {
    AGE_RANGES.iter()
}

/// Codes of one sex only.
pub fn sexes() -> Iter<'static, Sex> {
    SEXES.iter()
}

/// What needs a condition, in the order of the rules; rows of one rule and code stand together.
pub fn requirements() -> Iter<'static, Requirement> {
    REQUIREMENTS.iter()
}

/// What is excluded by a condition.
pub fn exclusions() -> Iter<'static, Exclusion> {
    EXCLUSIONS.iter()
}

/// The order of dates.
pub fn date_orders() -> Iter<'static, DateOrder> {
    DATE_ORDERS.iter()
}

/// The standard concepts that a constrained code stands for: what a row of the OMOP tables holds. Empty when the
/// starter vocabulary does not know the code.
pub fn concept_ids(vocabulary_id: &str, code: &str) -> Vec<i32> {
    match vocabulary::concept_of_code(vocabulary_id, code) {
        Some(concept) => vocabulary::maps_to(concept.concept_id).collect(),
        None => Vec::new(),
    }
}

impl ValueRange {
    /// The concept of the unit.
    pub fn unit_concept_id(&self) -> i32 {
        vocabulary::value("unit", self.unit).unwrap_or(crate::omop::NO_MATCHING_CONCEPT)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Codes of the bundled modules that the starter leaves without a concept, so that this path is always walked.
    const WITHOUT_CONCEPT: &[(&str, &str)] = &[
        ("CVX", "165"),
        ("CVX", "187"),
        ("SNOMED", "266919005"),
        ("SNOMED", "428191000124101"),
        ("SNOMED", "8517006"),
    ];

    #[test]
    fn every_constrained_code_is_known() {
        let codes = value_ranges()
            .map(|row| (row.vocabulary_id, row.code))
            .chain(age_ranges().map(|row| (row.vocabulary_id, row.code)))
            .chain(sexes().map(|row| (row.vocabulary_id, row.code)))
            .chain(requirements().map(|row| (row.vocabulary_id, row.code)))
            .chain(requirements().map(|row| (row.required_vocabulary_id, row.required_code)))
            .chain(exclusions().map(|row| (row.vocabulary_id, row.code)))
            .chain(exclusions().map(|row| (row.excluded_vocabulary_id, row.excluded_code)));
        for (vocabulary_id, code) in codes {
            let known = vocabulary::concept_of_code(vocabulary_id, code).is_some();
            assert!(known || WITHOUT_CONCEPT.contains(&(vocabulary_id, code)), "{vocabulary_id} {code}");
        }
    }

    #[test]
    fn limits_are_limits() {
        for row in value_ranges() {
            assert!(row.low < row.high, "{row:?}");
            assert!(vocabulary::value("unit", row.unit).is_some(), "{row:?}");
        }
        for row in age_ranges() {
            assert!(row.youngest.is_some() || row.oldest.is_some(), "{row:?}");
            assert!(row.youngest.unwrap_or(0) <= row.oldest.unwrap_or(200), "{row:?}");
        }
        assert!(sexes().all(|row| ["F", "M"].contains(&row.gender)));
        let ranges: HashSet<_> = value_ranges().map(|row| (row.code, row.unit)).collect();
        assert_eq!(ranges.len(), value_ranges().len());
    }

    #[test]
    fn rows_of_a_requirement_stand_together() {
        let mut seen = HashSet::new();
        let rows = REQUIREMENTS.chunk_by(|a, b| (a.rule, a.code) == (b.rule, b.code));
        for rows in rows {
            assert!(seen.insert((rows[0].rule, rows[0].code)), "{:?}", rows[0]);
        }
    }

    #[test]
    fn date_columns_exist() {
        let exists =
            |table: &str, column: &str| crate::omop::table(table).is_some_and(|table| table.column(column).is_some());
        for row in date_orders() {
            for end in [row.earlier, row.later] {
                let (table, column) = end.split_once('.').unwrap_or((row.table_name, end));
                assert!(exists(table, column), "{row:?}");
            }
        }
    }

    #[test]
    fn a_non_standard_code_is_checked_by_its_standard_concept() {
        assert_eq!(concept_ids("SNOMED", "44054006"), [201826]);
        assert_eq!(concept_ids("SNOMED", "15777000"), concept_ids("SNOMED", "9414007"));
    }

    /// What the bundled modules emit has a concept, or is on the list above. Plans, supplies and pictures make no row.
    #[test]
    fn every_code_of_the_modules_has_a_concept() {
        let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/../generator/modules");
        let mut without = HashSet::new();
        let mut paths = vec![std::path::PathBuf::from(modules)];
        while let Some(path) = paths.pop() {
            if path.is_dir() {
                let entries = std::fs::read_dir(&path).expect("the modules are part of the repository");
                paths.extend(entries.map(|entry| entry.expect("the folder is readable").path()));
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("modules are text");
            let module: serde_json::Value = serde_json::from_str(&text).expect("modules are JSON");
            let mut codes = Vec::new();
            collect_codes(&module, &mut codes);
            assert!(!codes.is_empty(), "{path:?}");
            for (system, code) in codes {
                let vocabulary_id = match system.as_str() {
                    "SNOMED-CT" => "SNOMED",
                    "LOINC" | "RxNorm" | "CVX" => system.as_str(),
                    "http://terminology.hl7.org/CodeSystem/discharge-disposition" => {
                        assert!(vocabulary::value("discharge_disposition", &code).is_some(), "{path:?}: {code}");
                        continue;
                    }
                    other => panic!("{path:?} uses the unknown system {other}"),
                };
                if vocabulary::concept_of_code(vocabulary_id, &code).is_none() {
                    without.insert((vocabulary_id.to_owned(), code));
                }
            }
        }
        let mut without: Vec<_> = without.iter().map(|(system, code)| (system.as_str(), code.as_str())).collect();
        without.sort_unstable();
        assert_eq!(without, WITHOUT_CONCEPT);
    }

    fn collect_codes(value: &serde_json::Value, codes: &mut Vec<(String, String)>) {
        match value {
            serde_json::Value::Object(fields) => {
                let kind = fields.get("type").and_then(serde_json::Value::as_str);
                if kind.is_some_and(|kind| ["CarePlanStart", "SupplyList"].contains(&kind)) {
                    return;
                }
                if let (Some(system), Some(code)) = (fields.get("system"), fields.get("code")) {
                    codes.push((system.as_str().unwrap_or("?").into(), code.as_str().unwrap_or("?").into()));
                }
                fields.iter().filter(|(name, _)| *name != "series").for_each(|(_, field)| collect_codes(field, codes));
            }
            serde_json::Value::Array(values) => values.iter().for_each(|value| collect_codes(value, codes)),
            _ => {}
        }
    }
}
