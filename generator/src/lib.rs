#![doc = include_str!("../README.md")]

mod account;
mod constraint;
mod data_table;
mod dirt;
mod engine;
mod error;
mod facility;
mod generate;
mod host;
mod lint;
mod manifest;
mod module;
mod moment;
mod options;
mod output;
mod population;
mod random;
#[cfg(test)]
mod realism;
mod record;
mod score;
mod sink;
mod update;
mod world;

pub use account::Account;
pub use dirt::Rates;
pub use error::Error;
pub use generate::{Made, Part, Piece, Wanted, generate, hand_over, make};
pub use lint::{LintReport, LintedModule, Need, Supplier, lint};
pub use manifest::{File, Manifest};
pub use options::{DEFAULT_END_DATE, Options, Shard};
pub use score::{Correlation, GOAL, Goal, Kind, Metric, Quartiles, Score, Summary, WrittenScore, score};
