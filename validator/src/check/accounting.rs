//! Was any record lost? The counts of the run balance, the tables of rejects and exclusions hold what they say, and
//! the crosswalk knows every OMOP row.

use datafusion::prelude::SessionContext;
use model::quality::{Category, Check, UNREADABLE};

use super::{Scope, clinical_tables};
use crate::answer::rows;
use crate::contents::Contents;
use crate::error::Result;
use crate::question::{self, Known, Question, query_check, within};

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
                crosswalk(&mut all, &name, table.name, key);
            }
        }
    }
    all
}

fn present(scope: &Scope<'_>) -> Question {
    let mut check = check("accountingPresent", "quality.accounting", "A run has accounted for what it read.");
    check.sql = "select 1 as row_count, case when count(*) = 0 then 1 else 0 end as violation_count \
                 from quality.accounting"
        .into();
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

/// Both directions between the rows of a table and the crosswalk.
fn crosswalk(all: &mut Vec<Question>, name: &str, table: &str, key: &str) {
    let known = format!(
        "(select distinct omop_id from quality.crosswalk where omop_table = '{table}' and {})",
        within("omop_id")
    );
    let complete =
        check("crosswalkComplete", name, format!("Every row of `{name}` made from FHIR names its resource."));
    all.push(query_check(
        complete,
        format!(
            "select count(*) as row_count, count(*) filter (where x.omop_id is null) as violation_count\n\
             from (select {key} as id from {name} where synced_from_fhir and {}) as t\n\
             left join {known} as x on x.omop_id = t.id",
            within(key)
        ),
    ));
    let target = check("crosswalkTarget", name, format!("Every crosswalk entry of `{name}` has its row."));
    all.push(query_check(
        target,
        format!(
            "select count(*) as row_count, count(*) filter (where t.id is null) as violation_count\n\
             from {known} as x left join (select distinct {key} as id from {name} where {}) as t on t.id = x.omop_id",
            within(key)
        ),
    ));
}

fn check(name: &str, table: &str, description: impl Into<String>) -> Check {
    question::check(Category::Completeness, name, table, None, description)
}

/// A text as an SQL literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
