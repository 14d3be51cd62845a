//! The concept self-check: every concept that the project's own tables name, held against the vocabulary that is loaded,
//! before the first row is written. A difference is told, not fatal: a user's vocabulary may be smaller than our rules.
//!
//! What the vocabulary says of these concepts is kept beside its index, so that only the first run looks for it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use lake::{AsOf, Lake};
use model::quality::CONCEPT_CHECK;
use model::vocabulary::{rule_concepts, starter_concepts};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::stored::{for_each, state};
use super::{Vocabulary, cache};
use crate::Result;
use crate::view::column::constant;

/// Where a concept of the project is named that is no rule.
const STARTER: &str = "starter";

/// What the project expects of a concept.
#[derive(Clone, Copy, Debug)]
struct Expected {
    named_by: &'static str,
    concept_id: i32,
    name: &'static str,
    domain: &'static str,
    is_standard: bool,
}

/// What the loaded vocabulary says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Found {
    name: String,
    domain: String,
    is_standard: bool,
    is_valid: bool,
}

/// One concept of the project, expected and found.
#[derive(Clone, Debug)]
pub(crate) struct ConceptCheck {
    expected: Expected,
    found: Option<Found>,
}

impl ConceptCheck {
    /// A stable word: `passed`, `missing`, `retired`, `other_standard`, `other_domain`, `other_name`.
    pub fn status(&self) -> &'static str {
        let (expected, Some(found)) = (&self.expected, &self.found) else { return "missing" };
        // What is named as not standard may well be retired: it leads to what took its place.
        if expected.is_standard && !found.is_valid {
            "retired"
        } else if found.is_standard != expected.is_standard {
            "other_standard"
        } else if found.domain != expected.domain {
            "other_domain"
        } else if !found.name.eq_ignore_ascii_case(expected.name) {
            "other_name"
        } else {
            "passed"
        }
    }

    /// A line for people, when a mapping rule names a concept that is not what it should be.
    pub fn warning(&self) -> Option<String> {
        let Expected { named_by, concept_id, name, .. } = self.expected;
        let status = self.status();
        (named_by != STARTER && status != "passed").then(|| format!("{named_by} ({concept_id} {name}): {status}"))
    }
}

/// Holds the project's concepts against the vocabulary of the lake.
///
/// # Errors
/// The lake cannot be read.
pub(crate) async fn self_check(lake: &Lake, vocabulary: &Vocabulary) -> Result<Vec<ConceptCheck>> {
    let rules = rule_concepts().map(|rule| Expected {
        named_by: rule.rule,
        concept_id: rule.concept_id,
        name: rule.expected_name,
        domain: rule.expected_domain,
        is_standard: rule.standard_concept.is_some(),
    });
    let starter = starter_concepts().map(|concept| Expected {
        named_by: STARTER,
        concept_id: concept.concept_id,
        name: concept.concept_name,
        domain: concept.domain_id,
        is_standard: concept.is_standard(),
    });
    let expected: Vec<Expected> = rules.chain(starter).collect();
    let found = if vocabulary.is_in_lake() { known(lake, vocabulary, &expected).await? } else { in_starter() };
    // A concept may be named by a rule and by the starter: both get their answer.
    let answer = |expected: Expected| ConceptCheck { found: found.get(&expected.concept_id).cloned(), expected };
    Ok(expected.into_iter().map(answer).collect())
}

fn in_starter() -> HashMap<i32, Found> {
    let found = |concept: &model::vocabulary::Concept| Found {
        name: concept.concept_name.to_owned(),
        domain: concept.domain_id.to_owned(),
        is_standard: concept.is_standard(),
        is_valid: concept.invalid_reason.is_none(),
    };
    starter_concepts().map(|concept| (concept.concept_id, found(concept))).collect()
}

/// What an earlier run found in the same state of the vocabulary for the same concepts, or else what the lake says now.
async fn known(lake: &Lake, vocabulary: &Vocabulary, expected: &[Expected]) -> Result<HashMap<i32, Found>> {
    let Some(held) = vocabulary.state else { return in_lake(lake, expected).await };
    let path = cache::self_check(lake, held, xxh3_64(format!("{expected:?}").as_bytes()));
    if let Some(found) = cache::read(&path)?.and_then(|json| serde_json::from_slice(&json).ok()) {
        return Ok(found);
    }
    let found = in_lake(lake, expected).await?;
    // Somebody may have imported another vocabulary meanwhile: then this is of neither.
    if state(lake).await? == held {
        cache::write(&path, &serde_json::to_vec(&found).unwrap_or_default())?;
    }
    Ok(found)
}

async fn in_lake(lake: &Lake, expected: &[Expected]) -> Result<HashMap<i32, Found>> {
    let mut ids: Vec<String> = expected.iter().map(|expected| expected.concept_id.to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    let sql = format!(
        "select concept_id, concept_name, domain_id, coalesce(standard_concept, ''), coalesce(invalid_reason, '') \
         from vocabulary.concept where concept_id in ({})",
        ids.join(", ")
    );
    let mut found = HashMap::new();
    for_each(&lake.session(&AsOf::Latest).await?, &sql, |columns, rows| {
        let ids = columns.column(0).as_primitive::<Int32Type>();
        let text: Vec<_> = (1..5).map(|column| columns.column(column).as_string::<i32>()).collect();
        for row in 0..rows {
            let concept = Found {
                name: text[0].value(row).to_owned(),
                domain: text[1].value(row).to_owned(),
                is_standard: text[2].value(row) == "S",
                is_valid: text[3].value(row).is_empty(),
            };
            found.insert(ids.value(row), concept);
        }
    })
    .await?;
    Ok(found)
}

/// The rows of `quality.concept_check`.
///
/// # Errors
/// Never, unless the columns and the schema differ.
pub(crate) fn check_rows(checks: &[ConceptCheck], run_id: &str, version: &str) -> Result<RecordBatch> {
    let word = |of: fn(&Expected) -> &'static str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(checks.iter().map(|check| of(&check.expected))))
    };
    let text = |of: fn(&Found) -> &str| -> ArrayRef {
        Arc::new(checks.iter().map(|check| check.found.as_ref().map(of)).collect::<StringArray>())
    };
    let found_standard = checks.iter().map(|check| check.found.as_ref().map(|found| found.is_standard));
    let columns: Vec<ArrayRef> = vec![
        constant(run_id, checks.len()),
        constant(version, checks.len()),
        word(|expected| expected.named_by),
        Arc::new(Int32Array::from_iter_values(checks.iter().map(|check| check.expected.concept_id))),
        word(|expected| expected.name),
        text(|found| &found.name),
        word(|expected| expected.domain),
        text(|found| &found.domain),
        Arc::new(checks.iter().map(|check| Some(check.expected.is_standard)).collect::<BooleanArray>()),
        Arc::new(found_standard.collect::<BooleanArray>()),
        Arc::new(StringArray::from_iter_values(checks.iter().map(ConceptCheck::status))),
    ];
    Ok(RecordBatch::try_new(CONCEPT_CHECK.schema(), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Found)) -> ConceptCheck {
        let expected =
            Expected { named_by: "gender.male", concept_id: 8507, name: "MALE", domain: "Gender", is_standard: true };
        let mut found = Found { name: "Male".into(), domain: "Gender".into(), is_standard: true, is_valid: true };
        change(&mut found);
        ConceptCheck { expected, found: Some(found) }
    }

    #[test]
    fn every_difference_has_its_word() {
        assert_eq!(check(|_| ()).status(), "passed");
        assert_eq!(check(|found| found.name = "FEMALE".into()).status(), "other_name");
        assert_eq!(check(|found| found.domain = "Race".into()).status(), "other_domain");
        assert_eq!(check(|found| found.is_standard = false).status(), "other_standard");
        assert_eq!(check(|found| found.is_valid = false).status(), "retired");
        let missing = ConceptCheck { found: None, ..check(|_| ()) };
        assert_eq!(missing.warning().as_deref(), Some("gender.male (8507 MALE): missing"));
    }

    #[tokio::test]
    async fn the_starter_is_what_the_rules_expect() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(&lake::Config::folder(folder.path())).await.unwrap();
        let checks = self_check(&lake, &Vocabulary::starter()).await.unwrap();
        let wrong: Vec<_> = checks.iter().filter(|check| check.status() != "passed").collect();
        assert!(checks.len() > 200 && wrong.is_empty(), "{wrong:#?}");
        assert_eq!(check_rows(&checks, "r", "v").unwrap().num_rows(), checks.len());
    }

    fn expected(concept_id: i32) -> Expected {
        Expected { named_by: "x", concept_id, name: "Male", domain: "Gender", is_standard: true }
    }

    /// A lake whose vocabulary is one concept of that name.
    async fn import(lake: &Lake, folder: &std::path::Path, name: &str) {
        let header = "concept_id,concept_name,domain_id,vocabulary_id,concept_class_id,standard_concept,concept_code,\
                      valid_start_date,valid_end_date,invalid_reason";
        let concept = format!("{header}\n1,{name},Gender,Gender,Gender,S,M,1970-01-01,2099-12-31,\n");
        let relationship = "concept_id_1,concept_id_2,relationship_id,valid_start_date,valid_end_date,invalid_reason\n";
        std::fs::write(folder.join("CONCEPT.csv"), concept).unwrap();
        std::fs::write(folder.join("CONCEPT_RELATIONSHIP.csv"), relationship).unwrap();
        let options = super::super::ImportOptions {
            folder: folder.to_owned(),
            run_id: name.to_owned(),
            local_maps: Vec::new(),
            code_systems: Vec::new(),
            max_bad_lines: 0,
            threads: 1,
        };
        super::super::import(lake, &options).await.unwrap();
    }

    #[tokio::test]
    async fn the_vocabulary_is_asked_once_and_a_changed_one_or_another_question_anew() {
        let folder = tempfile::tempdir().unwrap();
        let download = tempfile::tempdir().unwrap();
        let lake = Lake::open(&lake::Config::folder(folder.path())).await.unwrap();
        import(&lake, download.path(), "Male").await;
        let first = Vocabulary::load(&lake).await.unwrap();
        let names = |found: HashMap<i32, Found>| found.into_values().map(|found| found.name).collect::<Vec<_>>();
        assert_eq!(names(known(&lake, &first, &[expected(1)]).await.unwrap()), ["Male"]);
        // What is kept is believed: it is not looked for again.
        let kept = || {
            let entries = std::fs::read_dir(lake.cache_folder()).unwrap().map(|entry| entry.unwrap().path());
            entries.filter(|path| path.extension().is_some_and(|kind| kind == "check")).collect::<Vec<_>>()
        };
        let [path] = kept().try_into().unwrap();
        let json = String::from_utf8(cache::read(&path).unwrap().unwrap().to_vec()).unwrap();
        cache::write(&path, json.replace("Male", "Kept").as_bytes()).unwrap();
        assert_eq!(names(known(&lake, &first, &[expected(1)]).await.unwrap()), ["Kept"]);
        // Other data of ours, a damaged file, and another vocabulary are.
        assert_eq!(names(known(&lake, &first, &[expected(1), expected(i32::MAX)]).await.unwrap()), ["Male"]);
        let [path] = kept().try_into().unwrap();
        std::fs::write(&path, "nonsense").unwrap();
        assert_eq!(names(known(&lake, &first, &[expected(1), expected(i32::MAX)]).await.unwrap()), ["Male"]);
        import(&lake, download.path(), "MALE").await;
        let second = Vocabulary::load(&lake).await.unwrap();
        assert_eq!(names(known(&lake, &second, &[expected(1), expected(i32::MAX)]).await.unwrap()), ["MALE"]);
        // What is of a state that is gone is not kept for the state that came.
        assert_eq!(names(known(&lake, &first, &[expected(1)]).await.unwrap()), ["MALE"]);
        let gone = format!("{:016x}", first.state.unwrap());
        assert!(kept().iter().all(|path| !path.to_string_lossy().contains(&gone)));
    }
}
