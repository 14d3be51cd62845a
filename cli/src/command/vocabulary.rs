//! `healthlake vocabulary`: the user's OHDSI Athena download, or what the lake has.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use super::{Format, Global, Outcome, Run};
use crate::config::Config;
use crate::output;

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replace the vocabulary of the lake by an OHDSI Athena download (a folder with CONCEPT.csv and others)
    Import {
        /// The unpacked download
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Show version, tables and rows of the vocabulary in the lake
    Info,
}

pub async fn run(global: &Global, config: Config, arguments: Arguments) -> Result<Outcome> {
    match arguments.command {
        Command::Import { folder } => {
            let lake = super::open_lake(&config).await?;
            let run = Run::from_environment()?;
            let outcome = etl::vocabulary::import(&lake, &folder, &run.id)
                .await
                .with_context(|| format!("cannot import the vocabulary in `{}`", folder.display()))?;
            if global.format == Format::Json {
                output::print_json(&outcome)?;
            } else {
                output::print(&output::columns(&["table", "rows"], &counts(&outcome.rows)))?;
            }
        }
        Command::Info => {
            let info = etl::vocabulary::info(&super::existing_lake(&config).await?).await?;
            if global.format == Format::Json {
                output::print_json(&info)?;
            } else {
                output::print(&format!(
                    "{}: {} concepts, {} of them standard\n{}",
                    info.version,
                    output::number(info.concepts),
                    output::number(info.standard_concepts),
                    output::columns(&["vocabulary", "concepts"], &counts(&info.by_vocabulary))
                ))?;
            }
        }
    }
    Ok(Outcome::Done)
}

fn counts(counts: &BTreeMap<String, u64>) -> Vec<Vec<String>> {
    counts.iter().map(|(name, count)| vec![name.clone(), output::number(*count)]).collect()
}
