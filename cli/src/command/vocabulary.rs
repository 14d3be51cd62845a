//! `healthlake vocabulary`: the user's OHDSI Athena download, or what the lake has.

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
    let lake = super::open_lake(&config).await?;
    let outcome = match arguments.command {
        Command::Import { folder } => {
            let run = Run::from_environment()?;
            etl::vocabulary::import(&lake, &folder, &run.id)
                .await
                .with_context(|| format!("cannot import the vocabulary in `{}`", folder.display()))?
        }
        Command::Info => etl::vocabulary::info(&lake).await?,
    };
    if global.format == Format::Json {
        output::print_json(&outcome)?;
    } else {
        let rows: Vec<_> =
            outcome.rows.iter().map(|(table, count)| vec![table.clone(), output::number(*count)]).collect();
        output::print(&format!("vocabulary {}\n{}", outcome.version, output::columns(&["table", "rows"], &rows)))?;
    }
    Ok(Outcome::Done)
}
