//! Can it be true? Dates in the order of a life, numbers within bounds.

use model::omop::{Column, ColumnType, Table};
use model::quality::{Category, Check};

use super::{Scope, clinical_tables, join};
use crate::question::{self, Question, row_check};
use crate::spec::plausible_values;

/// Plausibility checks of all clinical tables.
pub(super) fn questions(scope: &Scope<'_>) -> Vec<Question> {
    let mut all = Vec::new();
    for table in clinical_tables() {
        let name = format!("omop.{}", table.name);
        if !scope.contents.has(&name) {
            continue;
        }
        let dates: Vec<_> = table.columns.iter().filter(|column| is_date(column)).collect();
        for column in &dates {
            bounds(&mut all, scope, &name, column);
            life(&mut all, scope, table, &name, column);
            order(&mut all, table, &name, column);
            pair(&mut all, table, &name, column);
        }
        visit(&mut all, scope, table, &name);
        values(&mut all, table, &name);
    }
    all
}

fn is_date(column: &Column) -> bool {
    matches!(column.data_type, ColumnType::Date | ColumnType::Datetime)
}

/// Records of the electronic age, and not of the future. A birth may lie earlier.
fn bounds(all: &mut Vec<Question>, scope: &Scope<'_>, name: &str, column: &Column) {
    let value = format!("cast(t.{} as date)", column.name);
    let present = format!("t.{} is not null", column.name);
    let first = if name == "omop.person" { "1850-01-01" } else { "1950-01-01" };
    let last = scope.started_at.date().succ_opt().unwrap_or(scope.started_at.date());
    let low = check("plausibleValueLow", name, column.name, format!("`{}` is not before {first}.", column.name));
    all.push(row_check(low, Vec::new(), &present, &format!("{value} < date '{first}'")));
    let high = check("plausibleValueHigh", name, column.name, format!("`{}` is not in the future.", column.name));
    all.push(row_check(high, Vec::new(), &present, &format!("{value} > date '{last}'")));
}

/// After birth, and not later than 60 days after death. A moment in UTC may fall on the day before the local one.
fn life(all: &mut Vec<Question>, scope: &Scope<'_>, table: &Table, name: &str, column: &Column) {
    if table.name == "person" || table.column("person_id").is_none() || !scope.contents.has("omop.person") {
        return;
    }
    let value = format!("cast(t.{} as date)", column.name);
    let slack = if column.data_type == ColumnType::Datetime { " - interval '1 day'" } else { "" };
    let after = check("plausibleAfterBirth", name, column.name, format!("`{}` is not before birth.", column.name));
    all.push(row_check(
        after,
        vec![join::person()],
        &format!("t.{} is not null and person.birth_date is not null", column.name),
        &format!("{value} < person.birth_date{slack}"),
    ));
    if table.name == "death" || !scope.contents.has("omop.death") {
        return;
    }
    let sentence = format!("`{}` is at most 60 days after death.", column.name);
    all.push(row_check(
        check("plausibleDuringLife", name, column.name, sentence),
        vec![join::death()],
        &format!("t.{} is not null and death.death_date is not null", column.name),
        &format!("{value} > death.death_date + interval '60 days'"),
    ));
}

/// A start has an end that is not earlier; a verbatim end date neither.
fn order(all: &mut Vec<Question>, table: &Table, name: &str, column: &Column) {
    let end = match column.name {
        "procedure_date" => "procedure_end_date".to_owned(),
        "procedure_datetime" => "procedure_end_datetime".to_owned(),
        "source_release_date" => "cdm_release_date".to_owned(),
        other => other.replace("_start_", "_end_"),
    };
    if end != column.name && table.column(&end).is_some() {
        let sentence = format!("`{}` is not after `{end}`.", column.name);
        let check = check("plausibleStartBeforeEnd", name, column.name, sentence);
        let both = format!("t.{} is not null and t.{end} is not null", column.name);
        all.push(row_check(check, Vec::new(), &both, &format!("t.{} > t.{end}", column.name)));
    }
    if column.name == "verbatim_end_date" {
        let sentence = "`verbatim_end_date` is not before `drug_exposure_start_date`.".to_owned();
        let check = check("plausibleTemporalAfter", name, column.name, sentence);
        let violates = "t.verbatim_end_date < t.drug_exposure_start_date";
        all.push(row_check(check, Vec::new(), "t.verbatim_end_date is not null", violates));
    }
}

/// The date is the local day as written, the moment is in UTC: they differ by at most one day.
fn pair(all: &mut Vec<Question>, table: &Table, name: &str, column: &Column) {
    let Some(date) = column.name.strip_suffix("time").filter(|date| table.column(date).is_some()) else {
        return;
    };
    let sentence = format!("`{}` and `{date}` name the same day, as far as zones allow.", column.name);
    let value = format!("cast(t.{} as date)", column.name);
    all.push(row_check(
        check("plausibleDatePair", name, column.name, sentence),
        Vec::new(),
        &format!("t.{} is not null and t.{date} is not null", column.name),
        &format!("{value} > t.{date} + interval '1 day' or {value} < t.{date} - interval '1 day'"),
    ));
}

/// Within a week of the visit that the row belongs to.
fn visit(all: &mut Vec<Question>, scope: &Scope<'_>, table: &Table, name: &str) {
    let own = matches!(table.name, "visit_occurrence" | "cost");
    if own || table.column("visit_occurrence_id").is_none() || !scope.contents.has("omop.visit_occurrence") {
        return;
    }
    let dates = table.columns.iter().filter(|column| column.data_type == ColumnType::Date && column.required);
    for column in dates.filter(|column| table.name == "visit_detail" || !column.name.contains("_end_")) {
        let sentence = format!("`{}` is within a week of the visit.", column.name);
        let value = format!("t.{}", column.name);
        all.push(row_check(
            check("withinVisitDates", name, column.name, sentence),
            vec![join::visit()],
            &format!("{value} is not null and visit.visit_start_date is not null"),
            &format!(
                "{value} < visit.visit_start_date - interval '7 days' or {value} > visit.visit_end_date + interval '7 days'"
            ),
        ));
    }
}

fn values(all: &mut Vec<Question>, table: &Table, name: &str) {
    for bound in plausible_values().iter().filter(|bound| bound.table == table.name) {
        let present = format!("t.{} is not null", bound.column);
        if let Some(low) = bound.low {
            let check =
                check("plausibleValueLow", name, bound.column, format!("`{}` is at least {low}.", bound.column));
            all.push(row_check(check, Vec::new(), &present, &format!("t.{} < {low}", bound.column)));
        }
        if let Some(high) = bound.high {
            let check =
                check("plausibleValueHigh", name, bound.column, format!("`{}` is at most {high}.", bound.column));
            all.push(row_check(check, Vec::new(), &present, &format!("t.{} > {high}", bound.column)));
        }
    }
}

fn check(name: &str, table: &str, column: &str, description: String) -> Check {
    question::check(Category::Plausibility, name, table, Some(column), description)
}
