//! `healthlake pipeline estimate`: what a run of so many patients would use and cost, from what runs on one machine used
//! (`figure.csv`, written by scripts/measure-per-patient), the sizes of the tasks in infra/ (`size.csv`), and prices as
//! they were at a date (`price.csv`).
//!
//! Work is taken to grow with the patients. Two numbers are assumed: how much of its cores a task keeps busy while it waits
//! for S3 and Glue, and how long its image takes. Logs, alarms and queries of people are left out.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::call::Outcome;
use crate::global::{Format, Global};
use crate::output;

const FIGURES: &str = include_str!("figure.csv");
const SIZES: &str = include_str!("size.csv");
const PRICES: &str = include_str!("price.csv");

const GIB: f64 = (1u64 << 30) as f64;
/// Share of a task's cores that work, assumed; the rest waits.
const BUSY: f64 = 0.5;
/// From the request for a task to its first instruction, mostly for the image, assumed, in hours.
const STARTUP_HOURS: f64 = 45.0 / 3600.0;
const HOURS_PER_MONTH: f64 = 730.0;
/// Interface endpoints of the network stack, in each of two zones.
const ENDPOINTS: f64 = 10.0;
/// State transitions of a run beside those of the shards, and of one shard.
const RUN_TRANSITIONS: u64 = 12;
const SHARD_TRANSITIONS: u64 = 2;
/// Disk of a task that is not paid for, in GiB.
const FREE_DISK_GIB: f64 = 20.0;
const STAGES: [&str; 4] = ["generate", "etl", "sql", "validate"];

#[derive(Args)]
pub struct Arguments {
    /// Synthetic patients
    #[arg(long)]
    patients: u64,
    /// Tasks that generate them
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    shards: u64,
    /// Whose sizes of tasks, as in infra/bin/infra.ts
    #[arg(long, value_enum, default_value_t = Environment::Development)]
    environment: Environment,
}

/// An environment of infra/.
#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Environment {
    Development,
    Production,
}

/// What a run would use and cost.
#[derive(Debug, Serialize)]
struct Estimate {
    patients: u64,
    shards: u64,
    environment: Environment,
    stages: Vec<Stage>,
    tasks: u64,
    vcpu_hours: f64,
    put_requests: u64,
    get_requests: u64,
    /// Tables in S3, in bytes.
    lake_bytes: u64,
    /// Generated files in the work area, in bytes.
    work_bytes: u64,
    /// What one run costs, in USD, by what is paid for.
    run_usd: BTreeMap<&'static str, f64>,
    /// What the lake costs in a month in which nothing runs, in USD.
    month_usd: BTreeMap<&'static str, f64>,
    prices_as_of: String,
}

/// The tasks of one stage.
#[derive(Debug, Serialize)]
struct Stage {
    stage: &'static str,
    tasks: u64,
    /// How long each of them runs.
    hours: f64,
    vcpu_hours: f64,
    memory_gib_hours: f64,
}

pub fn run(global: &Global, arguments: Arguments) -> Result<Outcome> {
    let estimate = estimate(&arguments)?;
    if global.format == Format::Json {
        output::print_json(&estimate)?;
    } else {
        output::print(&text(&estimate))?;
    }
    Ok(Outcome::Done)
}

fn estimate(arguments: &Arguments) -> Result<Estimate> {
    let (figures, prices) = (rows(FIGURES), rows(PRICES));
    let patients = arguments.patients as f64;
    let figure = |part: &str, quantity: &str| -> Result<f64> {
        let row = figures.iter().find(|row| row[0] == part && row[1] == quantity);
        let row = row.with_context(|| format!("no figure tells `{quantity}` of `{part}`"))?;
        Ok(number(row[2])? + patients * number(row[3])?)
    };
    let price = |item: &str| -> Result<f64> {
        let row = prices.iter().find(|row| row[0] == item).with_context(|| format!("no price of `{item}`"))?;
        number(row[2])
    };
    let mut stages = Vec::new();
    let (mut disk_gib_hours, mut puts, mut gets) = (0.0, 0.0, 0.0);
    for stage in STAGES {
        let size = size(arguments.environment, stage)?;
        let tasks = if stage == "generate" { arguments.shards } else { 1 };
        let hours = figure(stage, "cpu_seconds")? / tasks as f64 / (size.vcpu * BUSY) / 3600.0 + STARTUP_HOURS;
        let paid = hours * tasks as f64;
        stages.push(Stage {
            stage,
            tasks,
            hours,
            vcpu_hours: paid * size.vcpu,
            memory_gib_hours: paid * size.memory_gib,
        });
        disk_gib_hours += paid * (size.disk_gib - FREE_DISK_GIB);
        puts += figure(stage, "put_requests")?;
        gets += figure(stage, "get_requests")?;
    }
    let sum = |of: fn(&Stage) -> f64| stages.iter().map(of).sum::<f64>();
    let (vcpu_hours, memory_gib_hours) = (sum(|stage| stage.vcpu_hours), sum(|stage| stage.memory_gib_hours));
    let (lake_bytes, work_bytes) = (figure("lake", "bytes")?, figure("files", "bytes")?);
    let transitions = (RUN_TRANSITIONS + SHARD_TRANSITIONS * arguments.shards) as f64;
    let run_usd = BTreeMap::from([
        (
            "fargate",
            vcpu_hours * price("fargate_vcpu")?
                + memory_gib_hours * price("fargate_memory")?
                + disk_gib_hours * price("fargate_disk")?,
        ),
        ("s3_requests", puts * price("s3_put")? + gets * price("s3_get")?),
        // Files are written once, and read by the mapping and, of the rows that are meant, by the validation.
        ("work_area", work_bytes / GIB * (price("efs_write")? + price("efs_read")?)),
        ("step_functions", transitions * price("state_transition")?),
    ]);
    let month_usd = BTreeMap::from([
        ("s3_storage", lake_bytes / GIB * price("s3_storage")?),
        ("work_area", work_bytes / GIB * price("efs_storage")?),
        ("endpoints", ENDPOINTS * HOURS_PER_MONTH * price("endpoint")?),
    ]);
    Ok(Estimate {
        patients: arguments.patients,
        shards: arguments.shards,
        environment: arguments.environment,
        tasks: stages.iter().map(|stage| stage.tasks).sum(),
        stages,
        vcpu_hours,
        put_requests: puts.ceil() as u64,
        get_requests: gets.ceil() as u64,
        lake_bytes: lake_bytes as u64,
        work_bytes: work_bytes as u64,
        run_usd,
        month_usd,
        prices_as_of: prices.iter().map(|row| row[3]).min().unwrap_or_default().to_owned(),
    })
}

struct Size {
    vcpu: f64,
    memory_gib: f64,
    disk_gib: f64,
}

fn size(environment: Environment, stage: &str) -> Result<Size> {
    let environment = format!("{environment:?}").to_lowercase();
    let rows = rows(SIZES);
    let row = rows.iter().find(|row| row[0] == environment && row[1] == stage);
    let row = row.with_context(|| format!("`{environment}` has no size of `{stage}`"))?;
    Ok(Size { vcpu: number(row[2])?, memory_gib: number(row[3])?, disk_gib: number(row[4])? })
}

/// The rows of a file of ours, in which no value has a comma.
fn rows(csv: &str) -> Vec<Vec<&str>> {
    csv.lines().skip(1).map(|line| line.split(',').collect()).collect()
}

fn number(text: &str) -> Result<f64> {
    text.parse().with_context(|| format!("`{text}` is not a number"))
}

fn text(estimate: &Estimate) -> String {
    let Estimate { patients, shards, environment, .. } = estimate;
    let mut text = format!(
        "{} patients in {shards} shards, with the tasks of {}\n\n",
        output::number(*patients),
        format!("{environment:?}").to_lowercase()
    );
    let row = |stage: &Stage| {
        let hours = [stage.hours * 60.0, stage.vcpu_hours, stage.memory_gib_hours].map(|hours| format!("{hours:.2}"));
        [stage.stage.to_owned(), output::number(stage.tasks)].into_iter().chain(hours).collect()
    };
    let rows: Vec<_> = estimate.stages.iter().map(row).collect();
    text += &output::columns(&["stage", "tasks", "minutes each", "vCPU-hours", "GiB-hours"], &rows);
    text += &format!(
        "\n  {} tasks, {:.2} vCPU-hours\n  {} requests to S3 that write, {} that read\n  {:.2} GiB of tables, {:.2} GiB of \
         generated files\n\n",
        output::number(estimate.tasks),
        estimate.vcpu_hours,
        output::number(estimate.put_requests),
        output::number(estimate.get_requests),
        estimate.lake_bytes as f64 / GIB,
        estimate.work_bytes as f64 / GIB
    );
    for (what, usd) in [("one run", &estimate.run_usd), ("a month at rest", &estimate.month_usd)] {
        let parts = usd.iter().map(|(item, usd)| format!("{} {usd:.2}", item.replace('_', " ")));
        let parts = parts.collect::<Vec<_>>().join(", ");
        text += &format!("  {what}: {:.2} USD ({parts})\n", usd.values().sum::<f64>());
    }
    text + &format!("  prices of us-east-1, the oldest as of {}\n", estimate.prices_as_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(patients: u64, shards: u64, environment: Environment) -> Estimate {
        estimate(&Arguments { patients, shards, environment }).unwrap()
    }

    #[test]
    fn more_patients_cost_more_and_the_network_costs_the_same() {
        let few = of(1_000, 4, Environment::Development);
        let many = of(1_000_000, 4, Environment::Development);
        assert_eq!((few.tasks, many.tasks), (7, 7));
        assert!(many.vcpu_hours > few.vcpu_hours * 10.0 && many.lake_bytes > few.lake_bytes * 100, "{few:?} {many:?}");
        assert!(many.run_usd.iter().all(|(item, usd)| usd >= &few.run_usd[item]), "{few:?} {many:?}");
        assert_eq!(few.month_usd["endpoints"], many.month_usd["endpoints"]);
        assert!((few.month_usd["endpoints"] - 73.0).abs() < 0.01);
    }

    #[test]
    fn shards_share_the_work_and_each_has_to_start() {
        let (one, ten) = (of(100_000, 1, Environment::Production), of(100_000, 10, Environment::Production));
        assert!(ten.stages[0].hours < one.stages[0].hours / 5.0);
        let started = 9.0 * STARTUP_HOURS * 2.0;
        assert!((ten.stages[0].vcpu_hours - one.stages[0].vcpu_hours - started).abs() < 1e-9);
        assert_eq!(one.stages[1].vcpu_hours, ten.stages[1].vcpu_hours);
    }

    #[test]
    fn every_price_has_a_date_and_a_source() {
        for row in rows(PRICES) {
            assert_eq!(row.len(), 5, "{row:?}");
            assert!(number(row[2]).unwrap() > 0.0 && row[4].starts_with("https://aws.amazon.com/"), "{row:?}");
            assert!(row[3].len() == 7 && row[3].starts_with("20"), "{row:?}");
        }
    }

    #[test]
    fn the_sizes_are_those_of_infra() {
        let infra = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/bin/infra.ts");
        let infra = std::fs::read_to_string(infra).unwrap();
        for row in rows(SIZES) {
            let (vcpu, memory) = (number(row[2]).unwrap() * 1024.0, number(row[3]).unwrap() * 1024.0);
            let expected = format!("{}: {{ cpu: {vcpu}, memoryMiB: {memory}, diskGiB: {} }},", row[1], row[4]);
            let of_environment = infra.split(&format!("  {}: {{", row[0])).nth(1).unwrap();
            let of_environment = of_environment.split("\n  },").next().unwrap();
            assert!(of_environment.contains(&expected), "{expected} is not in {of_environment}");
        }
    }
}
