//! `healthlake query`: SQL over every namespace, now or as of a snapshot or run.

use std::io::Read;

use anyhow::{Context, Result};
use arrow::csv::WriterBuilder;
use arrow::json::ArrayWriter;
use arrow::util::pretty::pretty_format_batches_with_schema;
use clap::Args;
use lake::AsOf;

use crate::call::{Outcome, existing_lake};
use crate::config::Config;
use crate::global::{Format, Global};
use crate::output;

#[derive(Args)]
pub struct Arguments {
    /// One SQL statement, or - to read it from stdin; tables are named namespace.table
    sql: String,
    /// Read the tables as they were: a snapshot id, or the id of a run
    #[arg(long, value_name = "SNAPSHOT|RUN")]
    as_of: Option<String>,
}

pub async fn run(global: &Global, config: Config, arguments: Arguments) -> Result<Outcome> {
    let lake = existing_lake(&config).await?;
    let as_of = arguments.as_of.map_or(AsOf::Latest, parse_as_of);
    let sql = if arguments.sql == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read SQL from stdin")?;
        text
    } else {
        arguments.sql
    };
    let session = lake.session(&as_of).await?;
    let rows = session.sql(&sql).await.context("cannot plan the query")?;
    let schema = std::sync::Arc::clone(rows.schema().inner());
    let batches = rows.collect().await.context("cannot run the query")?;
    let text = match global.format {
        Format::Table => {
            let count: usize = batches.iter().map(|batch| batch.num_rows()).sum();
            let noun = if count == 1 { "row" } else { "rows" };
            format!(
                "{}\n{} {noun}\n",
                pretty_format_batches_with_schema(schema, &batches)?,
                output::number(count as u64)
            )
        }
        Format::Json => {
            let mut writer = ArrayWriter::new(Vec::new());
            writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
            writer.finish()?;
            let text = String::from_utf8(writer.into_inner())?;
            if text.is_empty() { "[]\n".into() } else { text + "\n" }
        }
        Format::Csv => {
            let mut bytes = Vec::new();
            let mut writer = WriterBuilder::new().with_header(true).build(&mut bytes);
            if batches.is_empty() {
                writer.write(&arrow::array::RecordBatch::new_empty(schema))?;
            }
            for batch in &batches {
                writer.write(batch)?;
            }
            drop(writer);
            String::from_utf8(bytes)?
        }
    };
    output::print(&text)?;
    Ok(Outcome::Done)
}

fn parse_as_of(text: String) -> AsOf {
    text.parse().map_or(AsOf::Run(text), AsOf::Snapshot)
}
