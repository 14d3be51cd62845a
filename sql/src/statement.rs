//! Models as statements for Athena and Trino: the query as it is written, in the shape that the YAML promises, under the
//! statement that creates, renews or changes its table in one commit.
//!
//! Views are written into the query that reads them: not every catalog keeps views, and the tables come out the same.

use std::collections::BTreeMap;

use arrow::util::display::array_value_to_string;
use chrono::NaiveDateTime;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::definition::{Column, DataType, LINEAGE_COLUMNS, Materialization, TestKind};
use crate::error::{Error, Result};
use crate::project::{Model, Project, behind};
use crate::row_lineage::Writing;
use crate::seed;

/// Athena takes no longer statement; Trino takes four times as much.
const MOST_BYTES: usize = 262_144;

/// The name of a model's table.
pub(crate) fn quoted(model: &Model) -> String {
    let (namespace, table) = model.name.split_once('.').unwrap_or(("public", &model.name));
    format!("{}.{}", name(namespace), name(table))
}

/// A view for people who query there.
pub(crate) fn view(model: &Model) -> String {
    format!("create or replace view {} as\n{}", quoted(model), query(model))
}

/// Creates the table of a model; `properties` is what the engine has to be told, such as `with (...)`.
pub(crate) fn create(project: &Project, model: &Model, writing: &Writing<'_>, properties: &str) -> Result<String> {
    let mut columns: Vec<_> = declared(model).map(|column| name(&column.name)).collect();
    let now = timestamp(writing.started_at);
    for (column, value) in LINEAGE_COLUMNS.iter().zip([run(writing), made_by(model), now.clone(), now]) {
        columns.push(format!("{value} as {column}"));
    }
    let head = format!("create table {} {properties}\nas\n", quoted(model));
    let columns = columns.join(",\n    ");
    short(model, format!("{head}select\n    {columns}\nfrom {} as fresh", rows(project, model)?))
}

/// Puts the rows that the model yields now in the place of those that stand, each with the lineage of the one of its
/// grain; a row that stands and is yielded no more is taken away. With `only_changes`, rows that are as they were are left
/// alone, with the run that they bear.
pub(crate) fn merge(project: &Project, model: &Model, writing: &Writing<'_>, only_changes: bool) -> Result<String> {
    let table = quoted(model);
    let now = timestamp(writing.started_at);
    let grain: Vec<_> = model.definition.grain.iter().collect();
    let of = |side: &str, column: &str| format!("{side}.{}", name(column));
    let same: Vec<_> = declared(model)
        .map(|column| format!("({} is not distinct from {})", of("fresh", &column.name), of("old", &column.name)))
        .collect();
    let [_, _, first_seen, last_updated] = LINEAGE_COLUMNS;
    let same = format!("(old.{first_seen} is not null and {})", same.join(" and "));

    let mut change = vec!["fresh.is_fresh".to_owned(), format!("{same} as is_same")];
    for column in &grain {
        change.push(format!("coalesce({}, {}) as {}", of("fresh", column), of("old", column), key(column)));
    }
    change.extend(declared(model).map(|column| of("fresh", &column.name)));
    change.push(format!("coalesce(old.{first_seen}, {now}) as {first_seen}"));
    change.push(format!("case when {same} then old.{last_updated} else {now} end as {last_updated}"));
    let met = |left: &str, right: &str, named: &dyn Fn(&str) -> String| {
        let met = grain.iter().map(|column| {
            let (one, other) = (of(left, column), format!("{right}.{}", named(column)));
            equal(model, column, &one, &other)
        });
        met.collect::<Vec<_>>().join(" and ")
    };

    let mut values: Vec<_> = declared(model).map(|column| (name(&column.name), of("change", &column.name))).collect();
    let lineage = [run(writing), made_by(model), of("change", first_seen), of("change", last_updated)];
    values.extend(LINEAGE_COLUMNS.iter().map(|column| column.to_string()).zip(lineage));
    let set = values.iter().map(|(column, value)| format!("{column} = {value}")).collect::<Vec<_>>().join(",\n    ");
    let (columns, values): (Vec<_>, Vec<_>) = values.into_iter().unzip();
    let unless_same = if only_changes { " and not change.is_same" } else { "" };
    let text = format!(
        "merge into {table} as standing\nusing (\n  select\n    {change}\n  from (select true as is_fresh, made.* from {rows} as \
         made) as fresh\n  full join {table} as old on {old}\n) as change\non {standing}\n\
         when matched and change.is_fresh is null then delete\n\
         when matched{unless_same} then update set\n    {set}\n\
         when not matched then insert ({columns})\n  values ({values})",
        change = change.join(",\n    "),
        rows = rows(project, model)?,
        old = met("fresh", "old", &|column| name(column)),
        standing = met("standing", "change", &|column| key(column)),
        columns = columns.join(", "),
        values = values.join(", "),
    );
    short(model, text)
}

/// The rows of a model in the order and the types of its YAML, as a table expression.
pub(crate) fn rows(project: &Project, model: &Model) -> Result<String> {
    let columns: Vec<_> = declared(model)
        .map(|column| {
            let name = name(&column.name);
            format!("cast(yielded.{name} as {}) as {name}", type_name(column.data_type))
        })
        .collect();
    let yielded =
        if model.materialization == Materialization::Seed { values(model)? } else { inlined(project, model)? };
    Ok(format!("(\nselect {}\nfrom {yielded})", columns.join(", ")))
}

/// The model's query behind the views that it reads, as a table expression.
fn inlined(project: &Project, model: &Model) -> Result<String> {
    let views: BTreeMap<&str, &Model> = behind(&project.models, model)
        .into_iter()
        .filter_map(|read| project.models.get(read))
        .filter(|read| read.materialization == Materialization::View)
        .map(|view| (view.name.as_str(), view))
        .collect();
    let within = |model: &Model| without_namespace(query(model), &views);
    let mut text = String::from("(\n");
    let in_order = project.order.iter().filter_map(|name| views.get(name.as_str()));
    let parts: Vec<_> =
        in_order.map(|view| Ok(format!("{} as (\n{}\n)", name(view.table()), within(view)?))).collect::<Result<_>>()?;
    if !parts.is_empty() {
        text += &format!("with {}\nselect * from (\n", parts.join(",\n"));
    }
    text += &within(model)?;
    text += if parts.is_empty() { "\n) as yielded" } else { "\n) as model_rows) as yielded" };
    Ok(text)
}

/// The query with the views' names as those of common table expressions.
fn without_namespace(sql: &str, views: &BTreeMap<&str, &Model>) -> Result<String> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).with_unescape(false).tokenize();
    let tokens = tokens.map_err(|error| Error::Query(error.to_string()))?;
    let mut text = String::with_capacity(sql.len());
    let mut rest = tokens.as_slice();
    while let Some((token, after)) = rest.split_first() {
        if let ([Token::Word(namespace), Token::Period, Token::Word(table), ..], true) = (rest, !text.ends_with('.'))
            && views.contains_key(format!("{}.{}", namespace.value, table.value).as_str())
        {
            text += &name(&table.value);
            rest = &rest[3..];
            continue;
        }
        text += &token.to_string();
        rest = after;
    }
    Ok(text)
}

/// The rows of a seed, as a table expression.
fn values(model: &Model) -> Result<String> {
    let mut rows = Vec::new();
    for batch in seed::read(model)? {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().zip(declared(model)).map(|(values, column)| {
                if values.is_null(row) {
                    return Ok(format!("cast(null as {})", type_name(column.data_type)));
                }
                Ok(literal(column.data_type, &array_value_to_string(values, row)?))
            });
            rows.push(format!("({})", cells.collect::<Result<Vec<_>>>()?.join(", ")));
        }
    }
    let columns = declared(model).map(|column| name(&column.name)).collect::<Vec<_>>().join(", ");
    if rows.is_empty() {
        let nulls = declared(model).map(|column| format!("cast(null as {})", type_name(column.data_type)));
        let nulls = nulls.collect::<Vec<_>>().join(", ");
        return Ok(format!("(select * from (values ({nulls})) as row_of_none ({columns}) where false) as yielded"));
    }
    Ok(format!("(values\n{}\n) as yielded ({columns})", rows.join(",\n")))
}

fn literal(data_type: DataType, value: &str) -> String {
    match data_type {
        DataType::Boolean | DataType::Integer | DataType::Bigint => value.to_owned(),
        DataType::Double => format!("double '{value}'"),
        DataType::Varchar => text(value),
        DataType::Date => format!("date '{value}'"),
        DataType::Timestamp => format!("timestamp '{}'", value.replace('T', " ")),
    }
}

/// Equal, or both null; as equalities of the one side's words with the other's, by which an engine can hash.
fn equal(model: &Model, column: &str, one: &str, other: &str) -> String {
    let declared = model.definition.columns.iter().find(|declared| declared.name == column);
    let Some(declared) = declared else { return format!("{one} = {other}") };
    let is_never_null = declared.tests.iter().any(|test| test.kind == TestKind::NotNull {} && test.condition.is_none());
    if is_never_null {
        return format!("{one} = {other}");
    }
    let none = match declared.data_type {
        DataType::Boolean => "false".to_owned(),
        DataType::Integer | DataType::Bigint => "0".to_owned(),
        DataType::Double => "double '0'".to_owned(),
        DataType::Varchar => "''".to_owned(),
        DataType::Date => "date '1970-01-01'".to_owned(),
        DataType::Timestamp => "timestamp '1970-01-01 00:00:00.000000'".to_owned(),
    };
    format!("coalesce({one}, {none}) = coalesce({other}, {none}) and ({one} is null) = ({other} is null)")
}

pub(crate) fn type_name(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "boolean",
        DataType::Integer => "integer",
        DataType::Bigint => "bigint",
        DataType::Double => "double",
        DataType::Varchar => "varchar",
        DataType::Date => "date",
        DataType::Timestamp => "timestamp(6)",
    }
}

fn declared(model: &Model) -> impl Iterator<Item = &Column> {
    model.definition.columns.iter()
}

fn query(model: &Model) -> &str {
    model.text.trim().trim_end_matches(';').trim_end()
}

/// A name that is never a word of the language.
fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column of the grain, whether the row is a new or an old one.
fn key(column: &str) -> String {
    name(&format!("key_{column}"))
}

pub(crate) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn run(writing: &Writing<'_>) -> String {
    format!("cast({} as varchar)", text(writing.run_id))
}

fn made_by(model: &Model) -> String {
    format!("cast({} as varchar)", text(&model.name))
}

fn timestamp(moment: NaiveDateTime) -> String {
    format!("timestamp '{}'", moment.format("%Y-%m-%d %H:%M:%S%.6f"))
}

fn short(model: &Model, statement: String) -> Result<String> {
    if statement.len() <= MOST_BYTES {
        return Ok(statement);
    }
    let (file, length) = (&model.file, statement.len());
    Err(Error::Query(format!("{file} makes a statement of {length} bytes, and an engine takes {MOST_BYTES}")))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::testing::{embedded, files, project_with};

    const COLUMNS: &str = "columns: [{name: id, description: d, data_type: bigint, tests: [not_null]}, \
                           {name: word, description: d, data_type: varchar}]\ngrain: [id, word]";

    fn small() -> Project {
        Project::from_files(files(&[
            ("staging/s", "select id, word from omop.t -- not staging.s\n;", COLUMNS),
            (
                "marts/m",
                "with s as (select * from staging.s) select id, word from s where word <> 'staging.s'",
                COLUMNS,
            ),
        ]))
        .unwrap_or_else(|error| panic!("{error}"))
    }

    fn writing(run_id: &str) -> Writing<'_> {
        Writing { run_id, started_at: NaiveDateTime::default() }
    }

    #[test]
    fn views_are_written_into_the_query_that_reads_them() {
        let project = small();
        let text = rows(&project, project.model("marts.m").unwrap()).unwrap();
        assert_eq!(
            text,
            "(\nselect cast(yielded.\"id\" as bigint) as \"id\", cast(yielded.\"word\" as varchar) as \"word\"\nfrom (\n\
             with \"s\" as (\nselect id, word from omop.t -- not staging.s\n)\nselect * from (\n\
             with s as (select * from \"s\") select id, word from s where word <> 'staging.s'\n) as model_rows) as yielded)"
        );
    }

    #[test]
    fn a_table_is_created_with_its_lineage() {
        let project = small();
        let text = create(&project, project.model("marts.m").unwrap(), &writing("it's"), "with (x = 1)").unwrap();
        let head = "create table \"marts\".\"m\" with (x = 1)\nas\nselect\n    \"id\",\n    \"word\",\n    \
                    cast('it''s' as varchar) as pipeline_run_id,\n    cast('marts.m' as varchar) as lineage_model,\n    \
                    timestamp '1970-01-01 00:00:00.000000' as lineage_first_seen_ts,";
        assert!(text.starts_with(head), "{text}");
    }

    #[test]
    fn rows_meet_by_their_grain_whether_it_is_null_or_not() {
        let project = small();
        let model = project.model("marts.m").unwrap();
        let text = merge(&project, model, &writing("r"), false).unwrap();
        let met = "on standing.\"id\" = change.\"key_id\" and coalesce(standing.\"word\", '') = \
                   coalesce(change.\"key_word\", '') and (standing.\"word\" is null) = (change.\"key_word\" is null)\n";
        assert!(text.contains(met) && text.contains("\nwhen matched then update set\n"), "{text}");
        let text = merge(&project, model, &writing("r"), true).unwrap();
        assert!(text.contains("\nwhen matched and not change.is_same then update set\n"), "{text}");
    }

    #[test]
    fn a_seed_is_its_rows() {
        let project = embedded();
        let text = rows(&project, project.model("seed_age_band").unwrap()).unwrap();
        assert!(text.contains("from (values\n('00-17', 0, 17),\n"), "{text}");
    }

    #[test]
    fn a_statement_that_is_too_long_is_not_sent() {
        let sql = format!("select id from omop.t where word <> '{}'", "x".repeat(MOST_BYTES));
        let column = "columns: [{name: id, description: d, data_type: bigint}]";
        let project = project_with("staging/s", &sql, column).unwrap_or_else(|error| panic!("{error}"));
        let error = create(&project, project.model("s").unwrap(), &writing("r"), "").unwrap_err().to_string();
        assert!(error.starts_with("staging/s.sql makes a statement of 26"), "{error}");
    }

    /// Trino's grammar, functions and types, by a validator that is not ours; what it warns of is an error here.
    #[test]
    fn every_statement_is_one_of_trino() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/install-sql-validator");
        let installed = Command::new(script).env("HEALTHLAKE_INSTALL", "no").output().unwrap();
        if !installed.status.success() {
            let why = String::from_utf8_lossy(&installed.stderr);
            assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "{why}");
            eprintln!("SKIPPED every_statement_is_one_of_trino: {why}run scripts/install-sql-validator");
            return;
        }
        let project = embedded();
        let folder = tempfile::tempdir().unwrap();
        for model in project.models() {
            let statements = match model.materialization {
                Materialization::View => vec![view(model)],
                _ => vec![
                    create(&project, model, &writing("r"), "").unwrap(),
                    merge(&project, model, &writing("r"), true).unwrap(),
                ],
            };
            for (number, text) in statements.iter().enumerate() {
                std::fs::write(folder.path().join(format!("{}.{number}.sql", model.name)), text).unwrap();
            }
        }
        std::fs::write(folder.path().join("wrong.sql"), "select a::int from t group by all").unwrap();
        let python = String::from_utf8(installed.stdout).unwrap();
        let check = "import pathlib, sys, trino_sql_validator as v\n\
                     for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n\
                     \x20   r = v.validate(file.read_text())\n\
                     \x20   if not r.valid or r.warnings: print(file.name, r.error, *r.warnings)";
        let said = Command::new(python.trim()).args(["-c", check]).arg(folder.path()).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let said = String::from_utf8(said.stdout).unwrap();
        let lines: Vec<_> = said.lines().collect();
        assert!(lines.len() == 1 && lines[0].starts_with("wrong.sql "), "{said}");
    }
}
