//! Are the concepts that the project's own tables name, in the loaded vocabulary, what they should be? The comparison is
//! made by etl before the first row; here it becomes a verdict. A smaller vocabulary is no defect: advisory. And what the
//! mapping had to leave out must be told with a count.

use model::quality::{Category, Check};

use super::{Scope, quoted};
use crate::question::{self, Question, query_check};

/// Each check with the states of `quality.concept_check` that violate it, and its sentence.
const CHECKS: [(&str, &str, &str); 4] = [
    ("ownConceptExists", "'missing'", "Every concept that our tables name is in the vocabulary."),
    (
        "ownConceptStandard",
        "'retired', 'other_standard'",
        "Every concept that our tables name is as standard as they say.",
    ),
    ("ownConceptDomain", "'other_domain'", "Every concept that our tables name has the domain that they say."),
    ("ownConceptName", "'other_name'", "Every concept that our tables name has the name that they say."),
];

/// The verdicts on the last self-check and on the table of losses.
pub(super) fn questions(scope: &Scope<'_>) -> Vec<Question> {
    let mut all = Vec::new();
    let Some(run) = scope.accounting_run.map(quoted) else { return all };
    if scope.contents.has("quality.concept_check") {
        for (name, states, sentence) in CHECKS {
            all.push(query_check(
                check(Category::Conformance, name, "quality.concept_check", sentence),
                format!(
                    "select count(*) as row_count, count(*) filter (where status in ({states})) as violation_count\n\
                     from quality.concept_check where pipeline_run_id = {run}"
                ),
            ));
        }
    }
    if scope.contents.has("quality.loss") {
        let sentence = "What no column could take is counted by element and reason.";
        all.push(query_check(
            check(Category::Completeness, "lossAccounted", "quality.loss", sentence),
            format!(
                "select count(*) as row_count, count(*) filter (where record_count < 1 or element = '' or reason = '') \
                 as violation_count\nfrom quality.loss where pipeline_run_id = {run}"
            ),
        ));
    }
    all
}

fn check(category: Category, name: &str, table: &str, sentence: &str) -> Check {
    question::check(category, name, table, None, sentence)
}
