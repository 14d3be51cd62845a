//! The report: every result, the accounting, the oracle and the figures, as one value that can be written.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use datafusion::prelude::SessionContext;
use model::quality::{Accounting, CheckResult, Counts, Severity, Status};
use serde::Serialize;

use crate::Options;
use crate::chart::{Charts, charts};
use crate::check::quoted;
use crate::contents::Contents;
use crate::error::Result;
use crate::oracle::OracleOutcome;
use crate::row::rows;

/// What the validation of a lake found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The run that validated.
    pub run_id: String,
    /// When it started, in UTC.
    pub started_at: NaiveDateTime,
    /// The source that was compared with the oracle.
    pub source_id: String,
    /// What the mapping was told to do.
    pub policy: String,
    /// Version of this program.
    pub software_version: String,
    /// Version of the Common Data Model.
    pub cdm_version: String,
    /// Release of the vocabulary, where the lake knows it.
    pub vocabulary_version: Option<String>,
    /// The run whose accounting is shown: this one, or the latest that read input.
    pub accounting_run: Option<String>,
    /// Resources by type.
    pub accounting: Accounting,
    /// Why resources were excluded or rejected, most frequent first.
    pub reasons: Vec<Reason>,
    /// Agreement with the generator's expectation; `None` for real input.
    pub oracle: Option<OracleOutcome>,
    /// Every check; failed ones first.
    pub results: Vec<CheckResult>,
    /// Rows by `namespace.table`.
    pub tables: BTreeMap<String, u64>,
    /// Figures.
    pub charts: Charts,
}

/// Why resources of one type made no row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// True for bad records, false for sound ones excluded by rule.
    pub rejected: bool,
    /// The resource type; empty when it could not be read.
    pub resource_type: String,
    /// The stable word.
    pub reason: String,
    /// Resources.
    pub records: u64,
}

impl Report {
    /// Checks that passed.
    pub fn passed(&self) -> usize {
        self.results.iter().filter(|result| result.status == Status::Passed).count()
    }

    /// Required checks that failed or could not be answered.
    pub fn failed(&self) -> usize {
        self.results.iter().filter(|result| result.fails_run()).count()
    }

    /// Advisory checks that failed or could not be answered.
    pub fn warned(&self) -> usize {
        let warns = |result: &&CheckResult| {
            result.check.severity == Severity::Advisory && matches!(result.status, Status::Failed | Status::Errored)
        };
        self.results.iter().filter(warns).count()
    }

    /// Checks with nothing to look at.
    pub fn not_applicable(&self) -> usize {
        self.results.iter().filter(|result| result.status == Status::NotApplicable).count()
    }

    /// Ids of the required checks that failed or could not be answered.
    pub fn failed_names(&self) -> Vec<String> {
        self.results.iter().filter(|result| result.fails_run()).map(|result| result.check.id.clone()).collect()
    }
}

/// What has become of the resources of a run.
pub(crate) struct Outcome {
    pub accounting: Accounting,
    pub reasons: Vec<Reason>,
}

impl Outcome {
    /// Reads it from the tables of quality.
    pub async fn of(session: &SessionContext, contents: &Contents, run_id: Option<&str>) -> Result<Outcome> {
        let accounting = accounting(session, run_id).await?;
        Ok(Outcome { accounting, reasons: reasons(session, contents, run_id).await? })
    }
}

/// Gathers what the report shows besides the results.
pub(crate) async fn report(
    session: &SessionContext,
    contents: &Contents,
    options: &Options,
    accounting_run: Option<String>,
    outcome: Outcome,
    mut results: Vec<CheckResult>,
    oracle: Option<OracleOutcome>,
) -> Result<Report> {
    results.sort_by_key(rank);
    Ok(Report {
        run_id: options.run_id.clone(),
        started_at: options.started_at,
        source_id: options.source_id.clone(),
        policy: options.policy.clone(),
        software_version: env!("CARGO_PKG_VERSION").into(),
        cdm_version: model::omop::CDM_VERSION.into(),
        vocabulary_version: vocabulary_version(session, contents).await?,
        accounting: outcome.accounting,
        reasons: outcome.reasons,
        oracle,
        results,
        tables: contents.row_counts(),
        charts: charts(session, contents, accounting_run.as_deref()).await?,
        accounting_run,
    })
}

/// Failed required checks, then other findings, then what passed, then what did not apply; each in its given order.
fn rank(result: &CheckResult) -> u8 {
    match result.status {
        _ if result.fails_run() => 0,
        Status::Failed | Status::Errored => 1,
        Status::Passed => 2,
        Status::NotApplicable => 3,
    }
}

async fn vocabulary_version(session: &SessionContext, contents: &Contents) -> Result<Option<String>> {
    if contents.rows("omop.cdm_source") == 0 {
        return Ok(None);
    }
    let sql = "select max(vocabulary_version) from omop.cdm_source";
    Ok(rows(session, "the vocabulary's release", sql).await?.first().and_then(|row| row.text(0)))
}

async fn accounting(session: &SessionContext, run_id: Option<&str>) -> Result<Accounting> {
    let mut accounting = Accounting::default();
    let Some(run_id) = run_id else { return Ok(accounting) };
    let sql = format!(
        "select resource_type, sum(read_count), sum(mapped_count), sum(excluded_count), sum(rejected_count) \
         from quality.accounting where pipeline_run_id = {} group by resource_type",
        quoted(run_id)
    );
    for row in rows(session, "the accounting", &sql).await? {
        let count = |column| u64::try_from(row.int(column)).unwrap_or(0);
        *accounting.of(&row.text(0).unwrap_or_default()) =
            Counts { read: count(1), mapped: count(2), excluded: count(3), rejected: count(4) };
    }
    Ok(accounting)
}

async fn reasons(session: &SessionContext, contents: &Contents, run_id: Option<&str>) -> Result<Vec<Reason>> {
    let mut reasons = Vec::new();
    let Some(run_id) = run_id else { return Ok(reasons) };
    for (table, rejected) in [("quality.rejected", true), ("quality.exclusion", false)] {
        if contents.rows(table) == 0 {
            continue;
        }
        let sql = format!(
            "select resource_type, reason, count(*) as records from {table} where pipeline_run_id = {} \
             group by resource_type, reason order by records desc, resource_type, reason",
            quoted(run_id)
        );
        for row in rows(session, "the reasons", &sql).await? {
            reasons.push(Reason {
                rejected,
                resource_type: row.text(0).unwrap_or_default(),
                reason: row.text(1).unwrap_or_default(),
                records: u64::try_from(row.int(2)).unwrap_or(0),
            });
        }
    }
    Ok(reasons)
}
