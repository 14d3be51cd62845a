//! `healthlake generate lint`: what the modules of a folder need, and who supplies it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use generator::{LintReport, LintedModule, Need, Supplier};

use crate::call::Outcome;
use crate::global::{Format, Global};
use crate::output;

pub fn run(global: &Global, folder: &Path) -> Result<Outcome> {
    let report =
        generator::lint(folder).with_context(|| format!("cannot read the modules of `{}`", folder.display()))?;
    if global.format == Format::Json {
        output::print_json(&report)?;
    } else {
        output::print(&text(&report))?;
    }
    Ok(if report.failures() > 0 { Outcome::Findings } else { Outcome::Done })
}

fn text(report: &LintReport) -> String {
    let rows: Vec<Vec<String>> = report.modules.iter().map(row).collect();
    let header = ["module", "states", "submodules", "tables", "vital signs", "attributes", "not supplied", "loads"];
    let mut text = output::columns(&header, &rows);
    text += &unsupplied(report);
    for module in &report.modules {
        for note in &module.notes {
            text += &format!("note: module `{}`: {note}\n", module.module);
        }
    }
    for error in report.modules.iter().filter_map(|module| module.error.as_ref()) {
        text += &format!("error: {error}\n");
    }
    let (all, failed) = (report.modules.len(), report.failures());
    text + &format!("{} of {} modules load\n", output::number((all - failed) as u64), output::number(all as u64))
}

fn row(module: &LintedModule) -> Vec<String> {
    let number = |count: usize| output::number(count as u64);
    let needs = || module.vital_signs.iter().chain(&module.attributes);
    vec![
        module.module.clone(),
        number(module.states),
        number(module.submodules.len()),
        number(module.lookup_tables.len()),
        number(module.vital_signs.len()),
        number(module.attributes.len()),
        number(needs().filter(|need| is_missing(need)).count()),
        if module.error.is_none() { "yes".into() } else { "no".into() },
    ]
}

/// What nobody supplies, and which modules ask for it: it stays absent, which is a value that modules can test.
fn unsupplied(report: &LintReport) -> String {
    let mut asked: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for module in &report.modules {
        for need in module.vital_signs.iter().chain(&module.attributes).filter(|need| is_missing(need)) {
            asked.entry(&need.name).or_default().push(&module.module);
        }
    }
    if asked.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> =
        asked.into_iter().map(|(name, modules)| vec![name.into(), modules.join(", ")]).collect();
    format!("\n{}\n", output::listing(&["nobody supplies", "read by"], &rows).trim_end())
}

fn is_missing(need: &Need) -> bool {
    need.supplier == Supplier::Nobody
}
