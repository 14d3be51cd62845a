//! The joins that checks over the rows `t` of one table may need; equal text is joined once.

/// `person.birth_date`: the day of birth, or the first day that the known parts allow; `person.gender_concept_id`.
pub fn person() -> String {
    "left join (select person_id, min(coalesce(try_cast(concat(lpad(cast(year_of_birth as varchar), 4, '0'), '-', \
     lpad(cast(coalesce(month_of_birth, 1) as varchar), 2, '0'), '-', \
     lpad(cast(coalesce(day_of_birth, 1) as varchar), 2, '0')) as date), cast(birth_datetime as date))) as birth_date, \
     min(gender_concept_id) as gender_concept_id from omop.person group by person_id) as person on person.person_id = t.person_id"
        .into()
}

/// `death.death_date`.
pub fn death() -> String {
    "left join (select person_id, min(death_date) as death_date from omop.death group by person_id) as death \
     on death.person_id = t.person_id"
        .into()
}

/// `visit.visit_start_date` and `visit.visit_end_date`.
pub fn visit() -> String {
    "left join (select visit_occurrence_id, min(visit_start_date) as visit_start_date, \
     max(visit_end_date) as visit_end_date from omop.visit_occurrence group by visit_occurrence_id) as visit \
     on visit.visit_occurrence_id = t.visit_occurrence_id"
        .into()
}

/// `<column>_target.id`: null where the column points nowhere.
pub fn target(column: &str, table: &str, key: &str) -> String {
    format!(
        "left join (select distinct {key} as id from {table}) as {column}_target on {column}_target.id = t.{column}"
    )
}
