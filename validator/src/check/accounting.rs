//! Was any record lost? The counts of the run balance, the tables of rejects and exclusions hold what they say, and
//! the crosswalk knows every OMOP row.

use datafusion::prelude::SessionContext;
use model::quality::{Category, Check, UNREADABLE};

use super::{Scope, clinical_tables};
use crate::contents::Contents;
use crate::error::Result;
use crate::question::{self, DigestCheck, Known, Question, query_check};
use crate::row::{Row, rows};

/// The run whose accounting is judged: this one, or the latest that read input when this one only validates.
pub(crate) async fn accounting_run(
    session: &SessionContext,
    contents: &Contents,
    run_id: &str,
) -> Result<Option<String>> {
    if contents.rows("quality.accounting") == 0 {
        return Ok(None);
    }
    let sql = format!(
        "select pipeline_run_id from quality.accounting \
         order by pipeline_run_id = {} desc, pipeline_run_id desc limit 1",
        quoted(run_id)
    );
    let found = rows(session, "the accounting", &sql).await?;
    Ok(found.first().and_then(|row| row.text(0)))
}

/// Accounting and crosswalk checks.
pub(super) fn questions(scope: &Scope<'_>) -> Vec<Question> {
    let mut all = vec![present(scope)];
    if let Some(run_id) = scope.accounting_run {
        let run = quoted(run_id);
        let sentence = "For each resource type, read = mapped + excluded + rejected.";
        all.push(query_check(
            check("accountingBalances", "quality.accounting", sentence),
            format!(
                "select count(*) as row_count, count(*) filter (where read_count <> mapped_count + excluded_count + rejected_count) \
                 as violation_count\nfrom quality.accounting where pipeline_run_id = {run}"
            ),
        ));
        for (name, table, column) in [
            ("accountingRejected", "quality.rejected", "rejected_count"),
            ("accountingExcluded", "quality.exclusion", "excluded_count"),
        ] {
            if scope.contents.has(table) {
                all.push(listed(name, table, column, &run));
            }
        }
    }
    if scope.contents.has("quality.crosswalk") {
        // Locations are coarse and shared: they belong to no single resource.
        for table in clinical_tables().filter(|table| table.name != "location") {
            let name = format!("omop.{}", table.name);
            let key = if table.name == "death" { Some("person_id") } else { table.key().map(|key| key.name) };
            if let Some(key) = key.filter(|_| scope.contents.has(&name)) {
                crosswalk(&mut all, scope, &name, table.name, key);
            }
        }
    }
    all
}

fn present(scope: &Scope<'_>) -> Question {
    let mut check = check("accountingPresent", "quality.accounting", "A run has accounted for what it read.");
    // Persons who were never resources need no account.
    check.sql = "select 1 as row_count, case when a.n = 0 and p.is_read then 1 else 0 end as violation_count\n\
                 from (select count(*) as n from quality.accounting) as a\n\
                 cross join (select coalesce(bool_or(synced_from_fhir), true) as is_read from omop.person) as p"
        .into();
    if ["omop.person", "quality.accounting"].iter().all(|table| scope.contents.has(table)) {
        return Question::Query(check);
    }
    let missing = scope.accounting_run.is_none();
    let message = missing.then(|| "table `quality.accounting` has no rows: nothing was read into this lake".to_owned());
    Question::Known(check, Known { row_count: 1, violation_count: u64::from(missing), message })
}

/// The rows listed by type are as many as were counted.
fn listed(name: &str, table: &str, column: &str, run: &str) -> Question {
    let sentence = format!("`{table}` lists as many records of each type as were counted.");
    query_check(
        check(name, table, sentence),
        format!(
            "select count(*) as row_count, count(*) filter (where coalesce(a.n, 0) <> coalesce(l.n, 0)) as violation_count\n\
             from (select resource_type, sum({column}) as n from quality.accounting where pipeline_run_id = {run} \
             group by resource_type) as a\n\
             full join (select case when resource_type = '' then '{UNREADABLE}' else resource_type end as resource_type, \
             count(*) as n from {table} where pipeline_run_id = {run} group by 1) as l on l.resource_type = a.resource_type"
        ),
    )
}

/// Sums over the crosswalk entries of one OMOP table and resource type.
pub(crate) struct Trace {
    pub omop_table: String,
    pub resource_type: String,
    entries: u64,
    digest: [u64; 3],
}

/// Aggregates over ids that are equal when the ids are: ids are hashes, so chance does not make them so.
fn digest_of(key: &str) -> [String; 3] {
    [
        format!("coalesce(bit_xor({key}), 0)"),
        format!("coalesce(sum({key} % 2147483647), 0)"),
        format!("coalesce(sum({key} % 1000000007), 0)"),
    ]
}

/// Reads the crosswalk once: which types made rows in which tables.
pub(crate) async fn traces(session: &SessionContext, contents: &Contents) -> Result<Vec<Trace>> {
    if contents.rows("quality.crosswalk") == 0 {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select omop_table, resource_type, count(*), {} from quality.crosswalk group by omop_table, resource_type \
         order by omop_table, resource_type",
        digest_of("omop_id").join(", ")
    );
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    let trace = |row: &Row| Trace {
        omop_table: row.text(0).unwrap_or_default(),
        resource_type: row.text(1).unwrap_or_default(),
        entries: number(row.int(2)),
        digest: [3, 4, 5].map(|column| number(row.int(column))),
    };
    Ok(rows(session, "the crosswalk", &sql).await?.iter().map(trace).collect())
}

/// Both directions between the rows of a table and the crosswalk. Equal sums of ids answer both at once.
fn crosswalk(all: &mut Vec<Question>, scope: &Scope<'_>, name: &str, table: &str, key: &str) {
    let listed = format!("(select distinct omop_id from quality.crosswalk where omop_table = '{table}')");
    let mut complete =
        check("crosswalkComplete", name, format!("Every row of `{name}` made from FHIR names its resource."));
    complete.sql = format!(
        "select count(*) as row_count, count(*) filter (where x.omop_id is null) as violation_count\n\
         from (select {key} as id from {name} where synced_from_fhir) as t\n\
         left join {listed} as x on x.omop_id = t.id"
    );
    let mut target = check("crosswalkTarget", name, format!("Every crosswalk entry of `{name}` has its row."));
    target.sql = format!(
        "select count(*) as row_count, count(*) filter (where t.id is null) as violation_count\n\
         from {listed} as x left join (select distinct {key} as id from {name}) as t on t.id = x.omop_id"
    );
    let (mut entries, mut digest) = (0, [0, 0, 0]);
    for trace in scope.traces.iter().filter(|trace| trace.omop_table == table) {
        entries += trace.entries;
        digest = [digest[0] ^ trace.digest[0], digest[1] + trace.digest[1], digest[2] + trace.digest[2]];
    }
    if entries == 0 && scope.contents.rows(name) == 0 {
        for check in [complete, target] {
            all.push(Question::Known(check, Known { row_count: 0, violation_count: 0, message: None }));
        }
        return;
    }
    let key = format!("t.{key}");
    let count = format!("count({key})");
    let known: Vec<(String, u64)> =
        std::iter::once((count.clone(), entries)).chain(digest_of(&key).into_iter().zip(digest)).collect();
    for (check, rows) in [(complete, "count(*) filter (where t.synced_from_fhir)".to_owned()), (target, count)] {
        all.push(Question::Digest(DigestCheck { check, from: format!("{name} as t"), rows, known: known.clone() }));
    }
}

fn check(name: &str, table: &str, description: impl Into<String>) -> Check {
    question::check(Category::Completeness, name, table, None, description)
}

/// A text as an SQL literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
