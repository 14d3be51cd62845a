#![doc = include_str!("../README.md")]

mod answer;
mod chart;
mod check;
mod contents;
mod draw;
mod error;
mod folder;
mod oracle;
mod page;
mod privacy;
mod question;
mod record;
mod report;
mod row;
mod scorecard;
mod spec;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use chrono::NaiveDateTime;
use datafusion::prelude::SessionContext;
use lake::{AsOf, Lake, TableName};
use model::quality::{Check, CheckResult};

pub use chart::{AgeBand, Charts, ConceptCount, Coverage, EventSeries};
pub use error::{Error, Result};
pub use oracle::{Difference, OracleOutcome, OracleTable};
pub use page::Written;
pub use report::{Reason, Report};
pub use scorecard::{
    Departure, Governance, Scorecard, Standing, Statement, Tally, Verdict, departures, scorecard, statements,
};

use check::Scope;
use contents::Contents;

/// What to validate, and against what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The run that the results belong to.
    pub run_id: String,
    /// When the run started, in UTC; nothing in the data may be later.
    pub started_at: NaiveDateTime,
    /// The source whose rows are compared with the expected ones.
    pub source_id: String,
    /// What the mapping of this run was told to do, as it is recorded.
    pub policy: String,
    /// Folder of the expected OMOP rows, where the input was generated.
    pub oracle: Option<PathBuf>,
    /// Folder of the manifests that tell what must become of the resources of the run, where the input was generated.
    pub manifests: Option<PathBuf>,
    /// The tests of the SQL models.
    pub model_checks: Vec<Check>,
    /// Queries answered at the same time.
    pub threads: usize,
}

/// Answers every check about the lake, writes the results to `quality.check_result` and `quality.run`, and returns
/// the report. `progress` is told how many checks are answered, of how many.
///
/// # Errors
/// When the lake cannot be read or written, or the folder of expected rows cannot be read. Failed checks are no error.
pub async fn validate(lake: &Lake, options: &Options, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<Report> {
    let session = lake.session(&AsOf::Latest).await?;
    let report = examine(&session, names(lake.row_counts().await?), options, progress).await?;
    record::record(lake, &report).await?;
    Ok(report)
}

/// Answers some checks about the lake and writes nothing: what `sql test` needs.
///
/// # Errors
/// When the lake cannot be read.
pub async fn answer(lake: &Lake, checks: Vec<Check>, threads: usize) -> Result<Vec<CheckResult>> {
    let session = lake.session(&AsOf::Latest).await?;
    let contents = Contents::of(&session, &names(lake.row_counts().await?)).await?;
    let questions = checks.into_iter().map(question::own_check).collect();
    answer::answer(&session, &contents, questions, threads, &|_| {}).await
}

fn names(row_counts: BTreeMap<TableName, u64>) -> BTreeMap<String, u64> {
    row_counts.into_iter().map(|(name, rows)| (name.to_string(), rows)).collect()
}

/// All of [`validate`] but reading the catalog and writing the results.
async fn examine(
    session: &SessionContext,
    row_counts: BTreeMap<String, u64>,
    options: &Options,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Report> {
    let clock = Instant::now();
    let told = |phase: &str| tracing::debug!(phase, elapsed_ms = clock.elapsed().as_millis() as u64, "validated");
    let contents = Contents::of(session, &row_counts).await?;
    let accounting_run = check::accounting_run(session, &contents, &options.run_id).await?;
    let traces = check::traces(session, &contents).await?;
    let scope = Scope {
        contents: &contents,
        accounting_run: accounting_run.as_deref(),
        traces: &traces,
        started_at: options.started_at,
    };
    let mut questions = check::questions(&scope);
    questions.extend(options.model_checks.iter().cloned().map(question::own_check));
    let total = questions.len() + 2;

    let mut results =
        answer::answer(session, &contents, questions, options.threads, &|answered| progress(answered, total)).await?;
    told("checks");
    results.extend(privacy::guard(session, &contents).await?);
    told("personal data");
    progress(total - 1, total);
    let oracle = match &options.oracle {
        Some(folder) => Some(oracle::compare(session, &contents, folder, &options.source_id, options.threads).await?),
        None => None,
    };
    results.extend(oracle.iter().flat_map(oracle::results));
    let outcome = report::Outcome::of(session, &contents, accounting_run.as_deref()).await?;
    if let Some(folder) = &options.manifests {
        let expected = oracle::account::expected(folder)?;
        results.extend(oracle::account::results(&expected, &outcome.accounting, &outcome.reasons));
    }
    told("oracle");
    progress(total, total);
    let report = report::report(session, &contents, options, accounting_run, outcome, results, oracle).await;
    told("figures");
    report
}

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests {
    use model::quality::Status;

    use super::*;
    use crate::testing::{RUN, find, moment, row_counts, sound_lake, sound_rows, spoil, write_expected};

    fn options(oracle: Option<PathBuf>) -> Options {
        Options {
            run_id: RUN.into(),
            started_at: moment("2026-01-02T09:30:00"),
            source_id: "test".into(),
            policy: String::new(),
            oracle,
            manifests: None,
            model_checks: Vec::new(),
            threads: 2,
        }
    }

    async fn examined(session: &SessionContext, options: &Options) -> Report {
        examine(session, row_counts(session).await, options, &|done, of| assert!(done <= of)).await.unwrap()
    }

    #[tokio::test]
    async fn a_sound_lake_gets_a_sound_report() {
        let folder = tempfile::tempdir().unwrap();
        write_expected(&sound_rows(), folder.path());
        let report = examined(&sound_lake().await, &options(Some(folder.path().into()))).await;
        assert_eq!(report.failed_names(), Vec::<String>::new());
        assert_eq!(report.oracle.as_ref().map(|oracle| (oracle.rows, oracle.mismatches)), Some((10, 0)));
        assert_eq!(report.accounting.total().read, 10);
        assert_eq!(report.charts.population.iter().map(|band| band.female + band.male).sum::<u64>(), 2);
        assert_eq!(report.reasons.len(), 2);

        let out = tempfile::tempdir().unwrap();
        let written = report.write(&out.path().join("report/run-1")).unwrap();
        let html = std::fs::read_to_string(&written.html).unwrap();
        for outside in ["http://", "https://", "<script", "src=", "@import", "url("] {
            let found =
                html.match_indices(outside).map(|(at, _)| &html[at.saturating_sub(40)..(at + 60).min(html.len())]);
            let found: Vec<_> = found.filter(|around| !around.contains("http://snomed.info")).collect();
            assert!(found.is_empty(), "{outside}: {found:?}");
        }
        for section in ["findings", "accounting", "oracle", "data", "checks", "query"] {
            assert!(html.contains(&format!("id=\"{section}\"")), "{section}");
        }
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&written.json).unwrap()).unwrap();
        assert_eq!(json["oracle"]["mismatches"], 0);
        assert_eq!(json["results"].as_array().unwrap().len(), report.results.len());
    }

    #[tokio::test]
    async fn failed_checks_come_first() {
        let session = sound_lake().await;
        let query = "select * replace (cast(99 as bigint) as person_id, '555-123-4567' as value_source_value) from omop.measurement";
        spoil(&session, "omop.measurement", query).await;
        let report = examined(&session, &options(None)).await;
        assert!(report.failed() >= 2);
        assert!(report.results[0].fails_run());
        let phone = find(&report.results, "noPersonalData/omop.measurement.value_source_value");
        assert_eq!(phone.status, Status::Failed);
        assert_eq!(phone.message.as_deref(), Some("a phone number in 2 rows, such as 51, 52"));
        let html = page::render(&report).unwrap();
        let body = &html[html.find("<body>").unwrap()..];
        assert!(!body.contains("555-123-4567"), "a finding does not repeat what it found");
        let text = body.replace(['\n', '\r'], " ");
        assert!(text.contains("required checks failed"), "the verdict says so");
        assert!(text.find("isForeignKey").unwrap() < text.find("id=\"accounting\"").unwrap());
    }

    /// Verdict and tiles as a reader meets them, without markup.
    #[tokio::test]
    async fn the_first_screen_says_what_matters() {
        let folder = tempfile::tempdir().unwrap();
        write_expected(&sound_rows(), folder.path());
        let report = examined(&sound_lake().await, &options(Some(folder.path().into()))).await;
        let html = page::render(&report).unwrap();
        let shown = &html[html.find("<h1>").unwrap()..html.find("</dl>").unwrap()];
        let mut text = String::new();
        for part in shown.split('<').filter_map(|part| part.split_once('>')) {
            if !part.1.trim().is_empty() {
                text.push_str(part.1.trim());
                text.push('\n');
            }
        }
        insta::with_settings!({ filters => vec![(r"\d[\d,]* (required checks|to look at|failed)", "[n] $1"), (r"Checks passed\n[\d,]+\n.*", "Checks passed\n[n]"), (r"Advisory findings\n\d+", "Advisory findings\n[n]"), (env!("CARGO_PKG_VERSION"), "[version]")] }, {
            insta::assert_snapshot!(text, @r"
            All [n] required checks passed
            passed
            [n] to look at
            run
            run-1
            started
            2 January 2026, 09:30 UTC
            source
            test
            OMOP CDM
            5.4
            healthlake
            [version]
            Findings
            Accounting
            Oracle
            Data
            Checks
            Query it
            Resources read
            10
            every one accounted for
            Mapped to OMOP
            80.0 %
            1 excluded, 1 rejected
            OMOP rows
            10
            2 people, 6 tables in use
            Oracle agreement
            100 %
            0 of 10 rows differ
            Checks passed
            [n]
            Advisory findings
            [n]
            worth a look, do not fail the run
            ");
        });
    }

    #[tokio::test]
    async fn the_models_own_tests_are_asked_too() {
        let mut check =
            question::check(model::quality::Category::Conformance, "not_null", "omop.person", None, "A test.");
        check.id = "not_null/marts.x".into();
        check.sql = "select 4 as row_count, 1 as violation_count".into();
        let mut broken = check.clone();
        broken.id = "not_null/marts.y".into();
        broken.sql = "select nonsense from nowhere".into();
        let options = Options { model_checks: vec![check, broken], ..options(None) };
        let report = examined(&sound_lake().await, &options).await;
        assert_eq!(find(&report.results, "not_null/marts.x").violation_count, 1);
        assert_eq!(find(&report.results, "not_null/marts.y").status, Status::Errored);
        assert_eq!(report.failed_names().len(), 2);
    }

    #[tokio::test]
    async fn an_empty_lake_is_not_passed_in_silence() {
        let session = sound_lake().await;
        let counts = BTreeMap::new();
        let report = examine(&session, counts, &options(None), &|_, _| {}).await.unwrap();
        assert!(report.failed_names().contains(&"accountingPresent/quality.accounting".to_owned()));
        assert!(report.failed_names().contains(&"cdmTable/omop.person".to_owned()));
        page::render(&report).unwrap();
    }
}
