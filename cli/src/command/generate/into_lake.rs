//! `healthlake generate --into-lake`: the OMOP rows and the flat tables of a population, committed as they are made.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use etl::{MadeRows, RowWriter};
use generator::{Piece, Shard, Wanted};
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

pub async fn run(global: &Global, config: &Config, shard: Shard, wanted: Wanted) -> Result<Outcome> {
    let run = Run::from_environment()?;
    let lake = open_lake(config).await?;
    let options = super::options(config, shard, 0, Path::new(""))?;
    if options.dirt.is_some() && wanted == Wanted::All {
        bail!(
            "spoilt resources cannot become tables unread\nhint: `--no-fhir` leaves them out, and without `--into-lake` they are files for `healthlake etl`"
        );
    }
    let made = MadeRows {
        source_id: options.source_id.clone(),
        run_id: run.id.clone(),
        stage: format!("generate.{}-of-{}", shard.index, shard.count),
        fingerprint: format!("{wanted:?} {}", serde_json::to_string(&options)?),
        started_at: run.started_at,
        threads: options.threads,
    };
    let bar = progress::count("generate", options.patients / u64::from(shard.count));
    let told = |patients| bar.set_position(patients);
    let rows = etl::commit_rows(&lake, &made, |writers| make(&options, wanted, writers, &told)).await;
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
    wanted: Wanted,
    writers: Vec<RowWriter>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<RowWriter>> {
    let mut writers = writers;
    let takers = writers.iter_mut().map(|writer| {
        |piece: Piece<'_>| -> Result<()> {
            let written = match piece {
                Piece::Rows(table, columns) => writer.write(table, columns),
                Piece::Resource(resource_type, element) => writer.write_resource(resource_type, element),
            };
            Ok(written?)
        }
    });
    generator::hand_over(options, wanted, takers.collect(), progress)?;
    Ok(writers)
}
