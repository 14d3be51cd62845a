//! All checks of one run, gathered from the specification, the lake's contents and the constraints.

mod accounting;
mod completeness;
mod concept;
mod conformance;
mod constraint;
mod cross_model;
pub(crate) mod join;
mod plausibility;

use chrono::NaiveDateTime;
use model::omop::Table;

use crate::contents::Contents;
use crate::question::Question;

pub(crate) use accounting::{Trace, accounting_run, quoted, traces};

/// What the checks of a run depend on besides the lake.
pub(crate) struct Scope<'a> {
    pub contents: &'a Contents,
    pub accounting_run: Option<&'a str>,
    pub traces: &'a [Trace],
    pub started_at: NaiveDateTime,
}

/// The tables of the specification that hold people's data; vocabulary tables are judged when they are imported.
pub(crate) fn clinical_tables() -> impl Iterator<Item = &'static Table> {
    model::omop::tables().iter().filter(|table| table.schema == "cdm")
}

/// Every question of a run, in the order of the report.
pub(crate) fn questions(scope: &Scope<'_>) -> Vec<Question> {
    let mut all = accounting::questions(scope);
    all.extend(cross_model::questions(scope));
    all.extend(conformance::questions(scope.contents));
    all.extend(concept::questions(scope));
    all.extend(completeness::questions(scope.contents));
    all.extend(plausibility::questions(scope));
    all.extend(constraint::questions(scope.contents));
    all
}

#[cfg(test)]
mod tests;
