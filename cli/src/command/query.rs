//! `healthlake query`: SQL over every namespace, now or as of a snapshot or run, here or by a distributed engine.

use std::io::Read;

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use arrow::csv::WriterBuilder;
use arrow::datatypes::SchemaRef;
use arrow::json::ArrayWriter;
use arrow::util::pretty::pretty_format_batches_with_schema;
use clap::Args;
use lake::AsOf;

use crate::call::{Outcome, existing_lake};
use crate::config::Config;
use crate::engine::EngineName;
use crate::global::{Format, Global};
use crate::output;

#[derive(Args)]
pub struct Arguments {
    /// One SQL statement, or - to read it from stdin; tables are named namespace.table
    sql: String,
    /// Read the tables as they were: a snapshot id, or the id of a run
    #[arg(long, value_name = "SNAPSHOT|RUN")]
    as_of: Option<String>,
    /// Who answers, in its own dialect of SQL: the program itself, or what [athena] and [trino] of the settings say
    #[arg(long, value_enum, default_value_t = EngineName::Datafusion)]
    engine: EngineName,
}

pub async fn run(global: &Global, config: Config, arguments: Arguments) -> Result<Outcome> {
    let sql = if arguments.sql == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read SQL from stdin")?;
        text
    } else {
        arguments.sql
    };
    let (schema, batches) = match arguments.engine.open(&config)? {
        Some(engine) => {
            ensure!(
                arguments.as_of.is_none(),
                "`--as-of` is for the program's own engine\nhint: write `for version as of <snapshot id>` behind the table"
            );
            let rows = engine.run(sql.trim().trim_end_matches(';')).await.context("cannot run the query")?.batch()?;
            (rows.schema(), vec![rows])
        }
        None => {
            let lake = existing_lake(&config).await?;
            let session = lake.session(&arguments.as_of.map_or(AsOf::Latest, parse_as_of)).await?;
            let rows = session.sql(&sql).await.context("cannot plan the query")?;
            let schema = std::sync::Arc::clone(rows.schema().inner());
            (schema, rows.collect().await.context("cannot run the query")?)
        }
    };
    output::print(&text(global.format, schema, &batches)?)?;
    Ok(Outcome::Done)
}

fn text(format: Format, schema: SchemaRef, batches: &[RecordBatch]) -> Result<String> {
    Ok(match format {
        Format::Table => {
            let count: usize = batches.iter().map(|batch| batch.num_rows()).sum();
            let noun = if count == 1 { "row" } else { "rows" };
            format!(
                "{}\n{} {noun}\n",
                pretty_format_batches_with_schema(schema, batches)?,
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
                writer.write(&RecordBatch::new_empty(schema))?;
            }
            for batch in batches {
                writer.write(batch)?;
            }
            drop(writer);
            String::from_utf8(bytes)?
        }
    })
}

fn parse_as_of(text: String) -> AsOf {
    text.parse().map_or(AsOf::Run(text), AsOf::Snapshot)
}
