//! The readable face of the report: one HTML page, `templates/report.html`, that needs nothing else.

mod result;

use std::path::{Path, PathBuf};

use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use model::quality::{Severity, Status};
use serde::Serialize;

use crate::draw::{self, number, percent};
use crate::error::Result;
use crate::folder;
use crate::report::Report;
use result::{Finding, Matrix, groups, is_finding};

/// Findings shown in full; the rest is in the JSON file and in `quality.check_result`.
const SHOWN_FINDINGS: usize = 60;

/// Where a report was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The page for people.
    pub html: PathBuf,
    /// The same for programs.
    pub json: PathBuf,
}

impl Report {
    /// Writes `report.json` and `index.html` into a folder, which is created.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, dir: &Path) -> Result<Written> {
        let (json, html) = folder::write(dir, ("report.json", self), ("index.html", &render(self)?))?;
        Ok(Written { html, json })
    }
}

/// Renders the page.
pub(crate) fn render(report: &Report) -> Result<String> {
    let mut environment = Environment::new();
    environment.add_filter("number", number);
    environment.add_filter("prose", |text: &str| Value::from_safe_string(draw::prose(text)));
    environment.add_template("style.css", include_str!("../templates/style.css"))?;
    environment.add_template("report.html", include_str!("../templates/report.html"))?;
    Ok(environment.get_template("report.html")?.render(view(report))?)
}

fn view(report: &Report) -> Value {
    let total = report.accounting.total();
    let omop: Vec<(String, u64)> = tables(report, "omop.");
    let people = report.tables.get("omop.person").copied().unwrap_or(0);
    let findings = report.results.iter().filter(|result| is_finding(result)).map(Finding::of);
    let (findings, advisory): (Vec<Finding>, Vec<Finding>) = findings.partition(|finding| finding.class == "bad");
    let safe = |svg: String| Value::from_safe_string(svg);
    context! {
        report => serde(Head::of(report)),
        passed => report.passed() as u64,
        failed => report.failed() as u64,
        warned => report.warned() as u64,
        not_applicable => report.not_applicable() as u64,
        required_passed => report.results.iter()
            .filter(|result| result.check.severity == Severity::Required && result.status == Status::Passed).count() as u64,
        people,
        omop_rows => omop.iter().map(|(_, rows)| rows).sum::<u64>(),
        omop_tables => omop.iter().filter(|(_, rows)| *rows > 0).count(),
        total => context! {
            read => total.read, mapped => total.mapped, excluded => total.excluded, rejected => total.rejected,
            mapped_share => percent(total.mapped, total.read), balances => report.accounting.balances(),
        },
        types => serde(types(report)),
        reasons => serde(reasons(report)),
        oracle => serde(oracle(report)),
        findings => serde(&findings[..findings.len().min(SHOWN_FINDINGS)]),
        advisory => serde(&advisory[..advisory.len().min(SHOWN_FINDINGS)]),
        hidden_findings => (findings.len().saturating_sub(SHOWN_FINDINGS) + advisory.len().saturating_sub(SHOWN_FINDINGS)) as u64,
        matrix => serde(Matrix::of(&report.results)),
        groups => serde(groups(&report.results)),
        reference_date => report.charts.reference_date.map(|date| date.format("%-d %B %Y").to_string()),
        pyramid => (!report.charts.population.is_empty()).then(|| safe(draw::pyramid(&report.charts.population))),
        population => serde(&report.charts.population),
        conditions => (!report.charts.conditions.is_empty())
            .then(|| safe(draw::concepts("conditions", "Conditions that most people have", &report.charts.conditions, "a"))),
        drugs => (!report.charts.drugs.is_empty())
            .then(|| safe(draw::concepts("drugs", "Drugs that most people have had", &report.charts.drugs, "b"))),
        events => report.charts.events.iter().map(|series| context! {
            table => series.table.clone(),
            count => series.points.iter().map(|(_, count)| count).sum::<u64>(),
            chart => safe(draw::events(series)),
        }).collect::<Vec<_>>(),
        coverage => (!report.charts.coverage.is_empty()).then(|| safe(draw::coverage(&report.charts.coverage))),
        omop_chart => safe(draw::rows("omop-rows", "Rows of the OMOP tables", &filled(&omop), "a")),
        other_tables => serde(other_tables(report)),
    }
}

fn serde<T: Serialize>(value: T) -> Value {
    Value::from(Serde(value))
}

fn tables(report: &Report, namespace: &str) -> Vec<(String, u64)> {
    let own = report.tables.iter().filter_map(|(name, rows)| Some((name.strip_prefix(namespace)?.to_owned(), *rows)));
    let mut tables: Vec<(String, u64)> = own.collect();
    tables.sort_by(|first, second| second.1.cmp(&first.1).then_with(|| first.0.cmp(&second.0)));
    tables
}

fn filled(tables: &[(String, u64)]) -> Vec<(String, u64)> {
    tables.iter().filter(|(_, rows)| *rows > 0).cloned().collect()
}

#[derive(Serialize)]
struct Head {
    run_id: String,
    started_at: String,
    source_id: String,
    software_version: String,
    cdm_version: String,
    vocabulary_version: Option<String>,
    accounting_run: Option<String>,
}

impl Head {
    fn of(report: &Report) -> Head {
        Head {
            run_id: report.run_id.clone(),
            started_at: report.started_at.format("%-d %B %Y, %H:%M UTC").to_string(),
            source_id: report.source_id.clone(),
            software_version: report.software_version.clone(),
            cdm_version: report.cdm_version.clone(),
            vocabulary_version: report.vocabulary_version.clone(),
            accounting_run: report.accounting_run.clone().filter(|run| *run != report.run_id),
        }
    }
}

/// Accounting of one type, with the widths of its bar in percent.
#[derive(Serialize)]
struct TypeLine {
    name: String,
    read: u64,
    mapped: u64,
    excluded: u64,
    rejected: u64,
    balances: bool,
    mapped_width: String,
    excluded_width: String,
    rejected_width: String,
}

fn types(report: &Report) -> Vec<TypeLine> {
    let mut lines: Vec<TypeLine> = report
        .accounting
        .by_type
        .iter()
        .map(|(name, counts)| {
            let width = |part: u64| format!("{:.3}", part as f64 * 100.0 / counts.read.max(1) as f64);
            TypeLine {
                name: name.clone(),
                read: counts.read,
                mapped: counts.mapped,
                excluded: counts.excluded,
                rejected: counts.rejected,
                balances: counts.balances(),
                mapped_width: width(counts.mapped),
                excluded_width: width(counts.excluded),
                rejected_width: width(counts.rejected),
            }
        })
        .collect();
    lines.sort_by(|first, second| second.read.cmp(&first.read).then_with(|| first.name.cmp(&second.name)));
    lines
}

#[derive(Serialize)]
struct ReasonLine {
    kind: &'static str,
    resource_type: String,
    reason: String,
    records: u64,
}

fn reasons(report: &Report) -> Vec<ReasonLine> {
    let line = |reason: &crate::report::Reason| ReasonLine {
        kind: if reason.rejected { "rejected" } else { "excluded" },
        resource_type: if reason.resource_type.is_empty() {
            "(unreadable)".into()
        } else {
            reason.resource_type.clone()
        },
        reason: reason.reason.replace('_', " "),
        records: reason.records,
    };
    report.reasons.iter().map(line).collect()
}

#[derive(Serialize)]
struct OracleView {
    rows: u64,
    cells: u64,
    mismatches: u64,
    share: String,
    tables: Vec<crate::oracle::OracleTable>,
    agreeing_tables: usize,
}

fn oracle(report: &Report) -> Option<OracleView> {
    let oracle = report.oracle.as_ref()?;
    let differing: u64 = oracle.tables.iter().map(|table| table.changed + table.missing).sum();
    Some(OracleView {
        rows: oracle.rows,
        cells: oracle.cells,
        mismatches: oracle.mismatches,
        share: percent(oracle.rows.saturating_sub(differing), oracle.rows),
        agreeing_tables: oracle
            .tables
            .iter()
            .filter(|table| table.mismatches() == 0 && table.message.is_none())
            .count(),
        tables: oracle.tables.clone(),
    })
}

#[derive(Serialize)]
struct Namespace {
    name: String,
    tables: Vec<(String, u64)>,
    rows: u64,
}

fn other_tables(report: &Report) -> Vec<Namespace> {
    ["fhir", "vocabulary", "staging", "marts", "metrics", "quality", "raw"]
        .into_iter()
        .filter_map(|name| {
            let tables = tables(report, &format!("{name}."));
            let rows = tables.iter().map(|(_, rows)| rows).sum();
            (!tables.is_empty()).then(|| Namespace { name: name.to_owned(), tables, rows })
        })
        .collect()
}
