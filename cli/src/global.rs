//! The options of every subcommand.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options of every subcommand.
#[derive(Args)]
pub struct Global {
    /// Folder of the lake, or s3://bucket/prefix [default: lake]
    #[arg(long, global = true, value_name = "DIR")]
    pub lake: Option<PathBuf>,
    /// File with settings, as in cli/default.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// More log lines on stderr: -v info, -vv debug
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How results are printed on stdout.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// Comma-separated values with a header (query only)
    Csv,
}
