//! `healthlake conformance sql-on-fhir`: suites of cases, and their report.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use crate::call::Outcome;
use crate::global::{Format, Global};
use crate::output;

#[derive(Args)]
pub struct Arguments {
    /// A folder of suites, or one suite: .json files with `resources` and `tests`
    #[arg(value_name = "DIR")]
    suites: PathBuf,
    /// Write a report in the format of SQL on FHIR
    #[arg(long, value_name = "FILE", default_value = "sql-on-fhir-report.json")]
    report: PathBuf,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Outcome> {
    let report = etl::run_suites(&arguments.suites).context("cannot run the suites")?;
    write_json(&arguments.report, &report)?;
    let (passed, failed) = (report.passed(), report.failed());
    if global.format == Format::Json {
        output::print_json(&report)?;
    } else {
        let mut text = String::new();
        for (file, case, reason) in report.failures() {
            text += &format!("failed: {file}: {case}\n  {reason}\n");
        }
        text += &format!("report: {}\n{passed} passed, {failed} failed\n", arguments.report.display());
        output::print(&text)?;
    }
    Ok(if failed > 0 { Outcome::Findings } else { Outcome::Done })
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_string_pretty(value).context("the report is not JSON")? + "\n";
    std::fs::write(path, json).with_context(|| format!("cannot write `{}`", path.display()))
}
