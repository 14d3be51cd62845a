//! The rules that a model must keep: what its YAML must say, what it may read, and that the query yields what the YAML
//! promises.

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use datafusion::logical_expr::LogicalPlan;

use crate::check;
use crate::definition::{DataType, Definition, LINEAGE_COLUMNS, Materialization, TestKind};
use crate::error::{Problem, message_of};
use crate::planner::Planner;
use crate::project::{Model, behind};
use crate::source::SourceTable;

pub(crate) fn check_definition(
    file: &str,
    definition: &Definition,
    materialization: Materialization,
    default: Materialization,
    problems: &mut Vec<Problem>,
) {
    let columns = definition.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>();
    let unknown = |what: &str, column: &str| {
        Problem::new(file, format!("{what} `{column}` is not among the columns"))
            .hint_nearest(column, columns.iter().copied())
    };
    if definition.grain.is_empty() {
        problems.push(Problem::new(file, "the grain is empty").hint("name the columns that tell one row from another"));
    }
    for column in definition.grain.iter().filter(|column| !columns.contains(&column.as_str())) {
        problems.push(unknown("grain column", column));
    }
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].contains(column) {
            problems.push(Problem::new(file, format!("column `{column}` is listed twice")));
        }
        if materialization != Materialization::View && LINEAGE_COLUMNS.contains(column) {
            let message = format!("column `{column}` is added by the runner");
            problems.push(Problem::new(file, message).hint("leave it out of the SQL and the YAML"));
        }
    }
    if (materialization == Materialization::Seed) != (default == Materialization::Seed) {
        problems.push(Problem::new(file, "only CSV files in the folder `seeds` are seeds"));
    }
    let incremental = materialization == Materialization::Incremental;
    match &definition.unique_key {
        None if incremental => {
            problems.push(
                Problem::new(file, "an incremental model needs a `unique_key`")
                    .hint("name the column by which old rows give way to new ones"),
            );
        }
        Some(key) if incremental => match definition.columns.iter().find(|column| column.name == *key) {
            None => problems.push(unknown("unique_key", key)),
            Some(column) if !matches!(column.data_type, DataType::Bigint | DataType::Varchar) => {
                let message = format!("unique_key `{key}` is {}; it must be bigint or varchar", column.data_type);
                problems.push(Problem::new(file, message));
            }
            Some(_) => {}
        },
        _ => {}
    }
    if incremental && definition.watermark.is_empty() {
        problems.push(
            Problem::new(file, "an incremental model needs a `watermark`")
                .hint("name a table that it reads and the column that grows: `watermark: [{table: .., column: ..}]`"),
        );
    }
    if !incremental && (definition.unique_key.is_some() || !definition.watermark.is_empty()) {
        problems.push(Problem::new(file, "`unique_key` and `watermark` belong to incremental models only"));
    }
}

pub(crate) fn check_header(file: &str, text: &str, definition: &Definition, problems: &mut Vec<Problem>) {
    let header = text.lines().next().unwrap_or_default().split(',').map(str::trim).collect::<Vec<_>>();
    let columns = definition.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>();
    if header != columns {
        let message = format!("the header is `{}`, the YAML says `{}`", header.join(","), columns.join(","));
        problems.push(Problem::new(file, message));
    }
}

/// The rule that a read breaks, if any.
pub(crate) fn forbidden(model: &Model, read: &str, is_source: bool) -> Option<&'static str> {
    let from = model.name.split('.').next().unwrap_or_default();
    let to = read.split('.').next().unwrap_or_default();
    match (from, to) {
        ("staging", _) if !is_source => Some("staging reads only the tables of sources.yml"),
        ("marts", _) if is_source => Some("marts read staging and marts, not the sources"),
        ("marts", "metrics") => Some("marts never read metrics"),
        ("metrics", _) if is_source => Some("metrics read marts only"),
        ("metrics", "staging") => Some("metrics never read staging"),
        _ => None,
    }
}

/// The output columns are those of the YAML, in its order.
pub(crate) fn check_columns(model: &Model, plan: &LogicalPlan, problems: &mut Vec<Problem>) {
    let declared = &model.definition.columns;
    let yields = plan.schema().fields();
    let names = |column: &str| declared.iter().any(|declared| declared.name == column);
    let before = problems.len();
    for column in declared {
        let Some(field) = yields.iter().find(|field| *field.name() == column.name) else {
            let problem =
                Problem::new(&model.file, format!("the query lacks the column `{}` of the YAML", column.name));
            let surplus = yields.iter().map(|field| field.name().as_str()).filter(|name| !names(name));
            problems.push(problem.hint_nearest(&column.name, surplus));
            continue;
        };
        if DataType::of(field.data_type()) != Some(column.data_type) {
            let found =
                DataType::of(field.data_type()).map_or(field.data_type().to_string(), |found| found.to_string());
            let message = format!("column `{}` is {found}, the YAML says {}", column.name, column.data_type);
            let hint = format!("write `cast(.. as {})` or change the YAML", column.data_type);
            problems.push(Problem::new(&model.file, message).hint(hint));
        }
    }
    for field in yields.iter().filter(|field| !names(field.name())) {
        problems.push(Problem::new(&model.file, format!("the YAML lacks the column `{}` of the query", field.name())));
    }
    if problems.len() == before
        && !yields.iter().map(|field| field.name()).eq(declared.iter().map(|column| &column.name))
    {
        let message = "the columns of the query and of the YAML are in different orders";
        problems.push(Problem::new(&model.file, message));
    }
}

pub(crate) fn check_watermarks(
    model: &Model,
    models: &BTreeMap<String, Model>,
    sources: &BTreeMap<String, SourceTable>,
    problems: &mut Vec<Problem>,
) {
    let behind = behind(models, model);
    for mark in &model.definition.watermark {
        let file = model.yaml_file();
        if !behind.contains(mark.table.as_str()) {
            let problem = Problem::new(file, format!("watermark table `{}` is not read by the model", mark.table));
            problems.push(problem.hint_nearest(&mark.table, behind.iter().copied()));
            continue;
        }
        let columns = match (sources.get(&mark.table), models.get(&mark.table)) {
            (_, Some(view)) if view.materialization == Materialization::View => {
                let message = format!("watermark table `{}` is a view; name the table behind it", mark.table);
                problems.push(Problem::new(file, message));
                continue;
            }
            (Some(source), _) => names(&source.schema, &[]),
            (_, Some(model)) => names(&model.schema(), &LINEAGE_COLUMNS),
            _ => Vec::new(),
        };
        if !columns.contains(&mark.column) {
            let problem = Problem::new(file, format!("watermark column `{}` is not in `{}`", mark.column, mark.table));
            problems.push(problem.hint_nearest(&mark.column, columns.iter().map(String::as_str)));
        }
    }
}

fn names(schema: &Schema, more: &[&str]) -> Vec<String> {
    let names = schema.fields().iter().map(|field| field.name().clone());
    names.chain(more.iter().map(|name| name.to_string())).collect()
}

/// Tests that name other tables or hold SQL are planned too.
pub(crate) fn check_tests(planner: &Planner, model: &Model, problems: &mut Vec<Problem>) {
    let of_columns = model.definition.columns.iter().flat_map(|column| &column.tests).map(|test| (test, true));
    for (test, under_column) in of_columns.chain(model.definition.tests.iter().map(|test| (test, false))) {
        if test.kind.is_about_a_column() != under_column {
            let place = if under_column { "under `tests` of the model" } else { "under a column" };
            problems.push(Problem::new(model.yaml_file(), format!("test `{}` stands {place}", test.kind.name())));
        }
    }
    for (test, check) in check::tests_and_checks(model) {
        let free = matches!(
            test.kind,
            TestKind::Relationships { .. } | TestKind::Expression { .. } | TestKind::RowCount { same_as: Some(_), .. }
        ) || matches!(test.kind, TestKind::UniqueCombination { .. })
            || test.condition.is_some();
        if !free {
            continue;
        }
        let planned = planner.parse(&check.sql).and_then(|query| planner.plan_now(&query));
        if let Err(error) = planned {
            let (message, hint) = message_of(&error);
            let mut problem = Problem::new(model.yaml_file(), format!("test `{}`: {message}", check.id));
            problem.hint = hint;
            problems.push(problem);
        }
    }
}
