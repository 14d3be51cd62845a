//! The tests of the YAML as checks for validator: each one a query that yields `row_count` and `violation_count`.

use model::quality::{Category, Check};
use serde_json::Value;

use crate::definition::{Test, TestKind};
use crate::project::{Model, Project};

impl Project {
    /// The YAML tests of all models as checks, for validator to run.
    pub fn checks(&self) -> Vec<Check> {
        self.models().flat_map(checks).collect()
    }
}

/// All checks of a model; the uniqueness of its grain is one of them, whether written or not.
pub(crate) fn checks(model: &Model) -> Vec<Check> {
    let mut checks = Vec::new();
    let grain = &model.definition.grain;
    let is_tested = |test: &Test, column: Option<&str>| match &test.kind {
        TestKind::Unique {} => grain.len() == 1 && column == Some(grain[0].as_str()),
        TestKind::UniqueCombination { columns } => columns == grain,
        _ => false,
    };
    let tested = model
        .definition
        .columns
        .iter()
        .any(|column| column.tests.iter().any(|test| is_tested(test, Some(&column.name))))
        || model.definition.tests.iter().any(|test| is_tested(test, None));
    if !tested {
        let kind = match grain.as_slice() {
            [_] => TestKind::Unique {},
            _ => TestKind::UniqueCombination { columns: grain.clone() },
        };
        let test = Test { kind, severity: model::quality::Severity::Required, threshold_percent: 0.0, condition: None };
        let column = if grain.len() == 1 { Some(grain[0].as_str()) } else { None };
        checks.push(check(model, column, &test, 0));
    }
    checks.extend(tests_and_checks(model).into_iter().map(|(_, check)| check));
    checks
}

/// The written tests with their checks.
pub(crate) fn tests_and_checks(model: &Model) -> Vec<(&Test, Check)> {
    let mut found: Vec<(&Test, Check)> = Vec::new();
    let of_columns = model
        .definition
        .columns
        .iter()
        .flat_map(|column| column.tests.iter().map(|test| (Some(column.name.as_str()), test)));
    let of_model = model.definition.tests.iter().map(|test| (None, test));
    for (column, test) in of_columns.chain(of_model) {
        let ordinal = |made: &Check| found.iter().filter(|(_, other)| base(&other.id) == base(&made.id)).count();
        let mut made = check(model, column, test, 0);
        let before = ordinal(&made);
        if before > 0 {
            made = check(model, column, test, before + 1);
        }
        found.push((test, made));
    }
    found
}

fn base(id: &str) -> &str {
    id.split_once('#').map_or(id, |(base, _)| base)
}

fn check(model: &Model, column: Option<&str>, test: &Test, ordinal: usize) -> Check {
    let table = model.name.as_str();
    let name = test.kind.name();
    let place = match (&test.kind, column) {
        (TestKind::UniqueCombination { columns }, _) => format!("{table}({})", columns.join(", ")),
        (_, Some(column)) => format!("{table}.{column}"),
        (_, None) => table.to_owned(),
    };
    let number = if ordinal > 0 { format!("#{ordinal}") } else { String::new() };
    let (category, description) = describe(&test.kind, table, column);
    Check {
        id: format!("{name}/{place}{number}"),
        name: name.to_owned(),
        category,
        severity: test.severity,
        table: table.to_owned(),
        column: column.map(str::to_owned),
        description,
        threshold_percent: test.threshold_percent,
        sql: sql(&test.kind, table, column.unwrap_or_default(), test.condition.as_deref()),
    }
}

fn describe(kind: &TestKind, table: &str, column: Option<&str>) -> (Category, String) {
    let column = column.unwrap_or_default();
    match kind {
        TestKind::NotNull {} => (Category::Completeness, format!("`{column}` of `{table}` has a value in every row")),
        TestKind::Unique {} => (Category::Conformance, format!("no value of `{column}` occurs twice in `{table}`")),
        TestKind::Relationships { to, field } => {
            (Category::Conformance, format!("each `{column}` of `{table}` is a `{field}` of `{to}`"))
        }
        TestKind::AcceptedValues { values } => {
            let values = values.iter().map(literal).collect::<Vec<_>>().join(", ");
            (Category::Conformance, format!("each `{column}` of `{table}` is one of {values}"))
        }
        TestKind::AcceptedRange { min, max } => {
            let bound =
                |word: &str, value: &Option<Value>| value.as_ref().map(|value| format!("{word} {}", literal(value)));
            let bounds = [bound("at least", min), bound("at most", max)].into_iter().flatten().collect::<Vec<_>>();
            (Category::Plausibility, format!("each `{column}` of `{table}` is {}", bounds.join(" and ")))
        }
        TestKind::Expression { sql } => (Category::Plausibility, format!("`{sql}` holds in every row of `{table}`")),
        TestKind::UniqueCombination { columns } => {
            (Category::Conformance, format!("no combination of ({}) occurs twice in `{table}`", columns.join(", ")))
        }
        TestKind::RowCount { min, max, same_as } => {
            let bounds = [
                min.map(|min| format!("at least {min}")),
                max.map(|max| format!("at most {max}")),
                same_as.as_ref().map(|other| format!("as many as `{other}`")),
            ];
            let bounds = bounds.into_iter().flatten().collect::<Vec<_>>().join(", ");
            (Category::Completeness, format!("rows in `{table}`: {bounds}"))
        }
    }
}

fn sql(kind: &TestKind, table: &str, column: &str, condition: Option<&str>) -> String {
    let rows = match condition {
        Some(condition) => format!("(select * from {table} where {condition})"),
        None => table.to_owned(),
    };
    let counted = |rows: &str, violation: &str, from: &str| {
        format!(
            "select count({rows}) as row_count, \
             coalesce(sum(case when {violation} then 1 else 0 end), 0) as violation_count from {from}"
        )
    };
    match kind {
        TestKind::NotNull {} => counted("*", &format!("t.{column} is null"), &format!("{rows} as t")),
        TestKind::Unique {} => unique(&rows, column, Some(column)),
        TestKind::UniqueCombination { columns } => unique(&rows, &columns.join(", "), None),
        TestKind::Relationships { to, field } => counted(
            "*",
            "r.found is null",
            &format!(
                "{rows} as t left join (select distinct {field} as found from {to}) as r on t.{column} = r.found \
                 where t.{column} is not null"
            ),
        ),
        TestKind::AcceptedValues { values } => {
            let values = values.iter().map(literal).collect::<Vec<_>>().join(", ");
            counted(&format!("t.{column}"), &format!("t.{column} not in ({values})"), &format!("{rows} as t"))
        }
        TestKind::AcceptedRange { min, max } => {
            let beyond = |sign: &str, bound: &Option<Value>| {
                bound.as_ref().map(|bound| format!("t.{column} {sign} {}", literal(bound)))
            };
            let beyond = [beyond("<", min), beyond(">", max)].into_iter().flatten().collect::<Vec<_>>().join(" or ");
            let beyond = if beyond.is_empty() { "false".to_owned() } else { beyond };
            counted(&format!("t.{column}"), &beyond, &format!("{rows} as t"))
        }
        TestKind::Expression { sql } => counted("*", &format!("not ({sql})"), &format!("{rows} as t")),
        TestKind::RowCount { min, max, same_as } => {
            let beyond = [
                min.map(|min| format!("case when n < {min} then {min} - n else 0 end")),
                max.map(|max| format!("case when n > {max} then n - {max} else 0 end")),
                same_as.as_ref().map(|other| format!("abs(n - (select count(*) from {other}))")),
            ];
            let beyond = beyond.into_iter().flatten().collect::<Vec<_>>().join(" + ");
            let beyond = if beyond.is_empty() { "0".to_owned() } else { beyond };
            format!(
                "select n as row_count, {beyond} as violation_count from (select count(*) as n from {rows} as t) as c"
            )
        }
    }
}

fn unique(rows: &str, columns: &str, not_null: Option<&str>) -> String {
    let only = not_null.map_or(String::new(), |column| format!(" where t.{column} is not null"));
    format!(
        "select coalesce(sum(n), 0) as row_count, coalesce(sum(n - 1), 0) as violation_count \
         from (select {columns}, count(*) as n from {rows} as t{only} group by {columns}) as g"
    )
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{project, project_with};

    #[test]
    fn the_grain_is_tested_once() {
        let implied =
            project(&[("marts/a", "select id from staging.s"), ("staging/s", "select id from omop.t")]).unwrap();
        let ids = implied.checks().into_iter().map(|check| check.id).collect::<Vec<_>>();
        assert_eq!(ids, ["unique/staging.s.id", "unique/marts.a.id"]);
        let written = "columns: [{name: id, description: d, data_type: bigint, tests: [unique, not_null]}]";
        let written = project_with("staging/s", "select id from omop.t", written).unwrap();
        let ids = written.checks().into_iter().map(|check| check.id).collect::<Vec<_>>();
        assert_eq!(ids, ["unique/staging.s.id", "not_null/staging.s.id"]);
    }

    /// Every kind of test on rows of which it must find the bad ones.
    #[tokio::test]
    async fn checks_count_rows_and_violations() {
        use crate::planner::Planner;
        let planner = Planner::new();
        let rows = "select * from (values (1, 'a', 1.0), (2, 'b', 5.0), (2, null, 9.0)) as v (id, word, x)";
        let view = planner.plan(&planner.parse(rows).unwrap()).await.unwrap();
        let view = std::sync::Arc::new(datafusion::catalog::view::ViewTable::new(view, None));
        planner.register("marts.a", view).unwrap();
        for (yaml, column, expected) in [
            ("not_null", "word", (3, 1)),
            ("unique", "id", (3, 1)),
            ("accepted_values: {values: [a]}", "word", (2, 1)),
            ("accepted_range: {min: 2, max: 8}", "x", (3, 2)),
            ("accepted_range: {min: 2, where: 'id = 2'}", "x", (2, 0)),
            ("relationships: {to: marts.a, field: x}", "id", (3, 2)),
            ("expression: x > id", "", (3, 1)),
            ("unique_combination: {columns: [id, word]}", "", (3, 0)),
            ("row_count: {min: 5}", "", (3, 2)),
            ("row_count: {same_as: marts.a}", "", (3, 0)),
        ] {
            let test: Test = serde_yaml_ng::from_str(yaml).unwrap();
            let sql = sql(&test.kind, "marts.a", column, test.condition.as_deref());
            let batches = planner.context().sql(&sql).await.unwrap().collect().await.unwrap();
            let number = |at: usize| {
                let column = batches[0].column(at);
                column.as_any().downcast_ref::<arrow::array::Int64Array>().unwrap_or_else(|| panic!("{yaml}")).value(0)
            };
            assert_eq!((number(0), number(1)), expected, "{yaml}");
        }
    }
}
