//! Is everything there? People without records, codes without a standard concept.

use model::omop::{ColumnType, Table};
use model::quality::{Category, Check};

use super::{clinical_tables, join};
use crate::contents::Contents;
use crate::question::{self, Known, Question, people_check, query_check, row_check};

/// Completeness checks of all clinical tables.
pub(super) fn questions(contents: &Contents) -> Vec<Question> {
    let mut all = Vec::new();
    for table in clinical_tables() {
        let name = format!("omop.{}", table.name);
        if !contents.has(&name) {
            continue;
        }
        if table.name != "person" && table.column("person_id").is_some() && contents.has("omop.person") {
            all.push(person(contents, &name));
        }
        concepts(&mut all, table, &name);
    }
    if contents.has("omop.observation_period") {
        all.push(period_overlap());
    }
    all
}

fn person(contents: &Contents, name: &str) -> Question {
    let mut check =
        check("measurePersonCompleteness", name, None, format!("People have at least one row in `{name}`."));
    let sql = format!(
        "select count(*) as row_count, count(*) filter (where t.person_id is null) as violation_count\n\
         from omop.person as p left join (select distinct person_id from {name}) as t on t.person_id = p.person_id"
    );
    let people = contents.rows("omop.person");
    if contents.rows(name) == 0 {
        check.sql = sql;
        return Question::Known(check, Known { row_count: people, violation_count: people, message: None });
    }
    people_check(check, join::person(), people, sql)
}

/// Codes that came with a value but found no concept.
fn concepts(all: &mut Vec<Question>, table: &Table, name: &str) {
    for column in table.columns {
        let Some(stem) = column.name.strip_suffix("_source_concept_id").or(column.name.strip_suffix("_concept_id"))
        else {
            continue;
        };
        if column.data_type != ColumnType::Integer || column.references != Some("concept") || stem.ends_with("_type") {
            continue;
        }
        let source_value = format!("{stem}_source_value");
        let has_source_value = table.column(&source_value).is_some();
        let applies = if has_source_value { format!("t.{source_value} is not null") } else { "true".into() };
        let is_source = column.name.ends_with("_source_concept_id");
        let (check_name, sentence) = if is_source {
            ("sourceConceptRecordCompleteness", format!("Source values have a source concept in `{}`.", column.name))
        } else if has_source_value || column.required {
            ("standardConceptRecordCompleteness", format!("Records have a standard concept in `{}`.", column.name))
        } else {
            continue;
        };
        let check = check(check_name, name, Some(column.name), sentence);
        all.push(row_check(check, Vec::new(), &applies, &format!("coalesce(t.{}, 0) = 0", column.name)));
    }
}

fn period_overlap() -> Question {
    let sentence = "A person's observation periods neither overlap nor touch.";
    let check = check("measureObservationPeriodOverlap", "omop.observation_period", None, sentence.into());
    query_check(
        check,
        "select count(*) as row_count, count(*) filter (where previous_end >= observation_period_start_date - interval '1 day') \
         as violation_count\n\
         from (select observation_period_start_date, lag(observation_period_end_date) over (partition by person_id \
         order by observation_period_start_date, observation_period_end_date) as previous_end \
         from omop.observation_period) as p",
    )
}

fn check(name: &str, table: &str, column: Option<&str>, description: String) -> Check {
    question::check(Category::Completeness, name, table, column, description)
}
