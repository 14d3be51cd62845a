#![doc = include_str!("../README.md")]

mod check;
mod definition;
mod distributed;
#[cfg(test)]
mod end_to_end;
mod engine;
mod error;
mod file;
mod fingerprint;
mod graph;
mod incremental;
mod lineage;
mod materialize;
mod planner;
mod project;
mod row_lineage;
mod rule;
mod run;
mod seed;
mod selection;
mod show;
mod source;
mod statement;
#[cfg(test)]
mod testing;
mod unit_test;

pub use definition::{Column, DataType, Definition, Materialization, Row, Test, TestKind, UnitTest, Watermark};
pub use distributed::run_on;
pub use engine::{Answer, Athena, Engine, Trino};
pub use error::{Error, Problem, Result};
pub use lineage::{Input, Kind, Lineage};
pub use materialize::Options;
pub use project::{Model, Project};
pub use run::{ModelOutcome, ModelStatus, Outcome, run};
pub use selection::Selection;
pub use show::{Listed, Shown, ShownColumn};
pub use unit_test::UnitTestResult;
