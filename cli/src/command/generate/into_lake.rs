//! `healthlake generate --into-lake`: the OMOP rows of a population, committed as they are made.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use arrow::array::ArrayRef;
use etl::{MadeRows, RowWriter};
use generator::Shard;
use model::omop::Table;
use serde::Serialize;

use crate::call::{Outcome, Run, open_lake};
use crate::config::Config;
use crate::global::{Format, Global};
use crate::{output, progress};

/// What `--format json` prints.
#[derive(Serialize)]
struct Summary<'s> {
    pipeline_run_id: &'s str,
    rows: &'s BTreeMap<String, u64>,
}

pub async fn run(global: &Global, config: &Config, shard: Shard) -> Result<Outcome> {
    let run = Run::from_environment()?;
    let lake = open_lake(config).await?;
    let options = super::options(config, shard, 0, Path::new(""))?;
    let made = MadeRows {
        source_id: options.source_id.clone(),
        run_id: run.id.clone(),
        stage: format!("generate.{}-of-{}", shard.index, shard.count),
        fingerprint: serde_json::to_string(&options)?,
        started_at: run.started_at,
        threads: options.threads,
    };
    let bar = progress::count("generate", options.patients / u64::from(shard.count));
    let rows =
        etl::commit_rows(&lake, &made, |writers| make(&options, writers, &|patients| bar.set_position(patients)));
    let rows = rows.await;
    bar.finish_and_clear();
    let rows = rows.context("cannot generate patients into the lake")?;
    if global.format == Format::Json {
        output::print_json(&Summary { pipeline_run_id: &run.id, rows: &rows })?;
    } else {
        let lines: Vec<_> = rows.iter().map(|(table, rows)| vec![table.clone(), output::number(*rows)]).collect();
        output::print(&format!("run {}\n\n{}", run.id, output::columns(&["table", "rows written"], &lines)))?;
    }
    Ok(Outcome::Done)
}

/// Lets each thread write by a writer of its own.
fn make(
    options: &generator::Options,
    writers: Vec<RowWriter>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<RowWriter>> {
    let mut writers = writers;
    let takers = writers.iter_mut().map(|writer| {
        |table: &'static Table, columns: Vec<ArrayRef>| writer.write(table, columns).map_err(anyhow::Error::from)
    });
    generator::rows(options, takers.collect(), progress)?;
    Ok(writers)
}
