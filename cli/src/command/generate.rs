//! `healthlake generate`: synthetic patients as files, without a lake; what a folder of modules needs; and how real a
//! population looks.

mod into_lake;
mod lint;
mod score;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::NaiveDate;
use clap::{Args, Subcommand};
use generator::{Manifest, Rates, Shard, Wanted};

use crate::call::Outcome;
use crate::config::Config;
use crate::global::{Format, Global};
use crate::{output, progress};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pub population: Population,
    /// Generate only shard k of n; the shards together are the whole, byte for byte
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Write so many follow-up days besides, each with its changes and the rows expected after it: updates/day-1/, ...
    #[arg(long, value_name = "N", default_value_t = 0)]
    updates: u32,
    /// Folder for fhir/*.ndjson, omop/*.parquet and manifest.json [default: <lake>/synthetic]
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Write a note of each visit too; `etl --notes` takes its text
    #[arg(long)]
    notes: bool,
    /// Commit the tables omop.* and fhir.* to the lake at once and write no files, for very large populations
    #[arg(long, conflicts_with_all = ["output", "updates"])]
    into_lake: bool,
    /// With --into-lake, leave out fhir.*: less than half the work
    #[arg(long, requires = "into_lake")]
    no_fhir: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Tell what each module of a folder needs, who supplies it, and what is wrong with it
    Lint {
        /// Folder with Generic Module Framework modules
        folder: PathBuf,
    },
    /// Score how close a population comes to published figures, and draw it
    Score {
        /// Folder with FHIR NDJSON files named by resource type [default: <lake>/synthetic/fhir]
        folder: Option<PathBuf>,
        /// Folder for index.html and score.json [default: <lake>/synthetic/score]
        #[arg(long, short, value_name = "DIR")]
        output: Option<PathBuf>,
    },
}

/// What describes a population; the same values give the same bytes.
#[derive(Args)]
pub struct Population {
    /// Synthetic patients to generate [default: 1000]
    #[arg(long, value_name = "N")]
    pub patients: Option<u64>,
    /// Seed of all randomness [default: 42]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Day on which the histories end, never "now" [default: 2026-01-01]
    #[arg(long, value_name = "DATE")]
    pub end_date: Option<NaiveDate>,
    /// Two-letter code of the state that patients live in [default: the whole country]
    #[arg(long, value_name = "CODE")]
    pub state: Option<String>,
    /// Years before the end date from which events are written, 0 for the whole life [default: 10]
    #[arg(long, value_name = "N")]
    pub years_of_history: Option<u32>,
    /// Folder with Generic Module Framework modules that add to or replace ours
    #[arg(long, value_name = "DIR")]
    pub modules: Option<PathBuf>,
    /// File of lines `file.json::JSONPath=number` that replace numbers of modules
    #[arg(long, value_name = "FILE")]
    pub module_overrides: Option<PathBuf>,
    /// Write insurance too, and what is asked and paid for each visit
    #[arg(long)]
    pub claims: bool,
    /// Spoil what is written: clean, light, heavy, or a TOML file with a rate for each kind of dirt [default: clean]
    #[arg(long, value_name = "FILE|PRESET")]
    pub dirt: Option<String>,
}

impl Population {
    /// True when any value was given.
    pub fn is_given(&self) -> bool {
        self.patients.is_some()
            || self.seed.is_some()
            || self.end_date.is_some()
            || self.state.is_some()
            || self.years_of_history.is_some()
            || self.modules.is_some()
            || self.module_overrides.is_some()
            || self.claims
            || self.dirt.is_some()
    }

    /// Lets the given values take precedence over the settings.
    pub fn apply(self, config: &mut Config) {
        let settings = &mut config.generate;
        settings.patients = self.patients.unwrap_or(settings.patients);
        settings.seed = self.seed.unwrap_or(settings.seed);
        settings.end_date = self.end_date.unwrap_or(settings.end_date);
        settings.claims |= self.claims;
        settings.years_of_history = self.years_of_history.unwrap_or(settings.years_of_history);
        if let Some(state) = self.state {
            settings.state = state;
        }
        if let Some(modules) = self.modules {
            settings.modules = modules;
        }
        if let Some(overrides) = self.module_overrides {
            settings.module_overrides = overrides;
        }
        if let Some(dirt) = self.dirt {
            settings.dirt = dirt;
        }
    }
}

pub async fn run(global: &Global, mut config: Config, arguments: Arguments) -> Result<Outcome> {
    match arguments.command {
        Some(Command::Lint { folder }) => return lint::run(global, &folder),
        Some(Command::Score { folder, output }) => {
            let synthetic = config.folder().join("synthetic");
            let folder = folder.unwrap_or_else(|| synthetic.join("fhir"));
            return score::run(global, &folder, output.unwrap_or_else(|| synthetic.join("score")));
        }
        None => {}
    }
    arguments.population.apply(&mut config);
    config.etl.notes |= arguments.notes;
    let output_folder = arguments.output.unwrap_or_else(|| config.folder().join("synthetic"));
    let shard = arguments.shard.unwrap_or(Shard { index: 1, count: 1 });
    if arguments.into_lake {
        let wanted = if arguments.no_fhir { Wanted::Rows } else { Wanted::All };
        return into_lake::run(global, &config, shard, wanted).await;
    }
    let manifest = generate(&config, shard, arguments.updates, &output_folder)?;
    if global.format == Format::Json {
        output::print_json(&manifest)?;
    } else {
        let rows: Vec<_> =
            manifest.resources.iter().map(|(kind, count)| vec![kind.clone(), output::number(*count)]).collect();
        output::print(&format!(
            "{} patients in {}\n{}",
            output::number(manifest.patients),
            output_folder.display(),
            output::columns(&["resource", "count"], &rows)
        ))?;
    }
    Ok(Outcome::Done)
}

/// Generates the population of the settings into a folder.
pub fn generate(config: &Config, shard: Shard, updates: u32, output_folder: &Path) -> Result<Manifest> {
    let options = options(config, shard, updates, output_folder)?;
    let bar = progress::count("generate", config.generate.patients / u64::from(shard.count));
    let manifest = generator::generate(&options, &|patients| bar.set_position(patients));
    bar.finish_and_clear();
    manifest.with_context(|| format!("cannot generate patients into `{}`", output_folder.display()))
}

fn options(config: &Config, shard: Shard, updates: u32, output_folder: &Path) -> Result<generator::Options> {
    let settings = &config.generate;
    Ok(generator::Options {
        patients: settings.patients,
        seed: settings.seed,
        shard,
        end_date: settings.end_date,
        state: Some(settings.state.clone()).filter(|state| !state.is_empty()),
        years_of_history: settings.years_of_history,
        claims: settings.claims,
        notes: config.etl.notes,
        source_id: super::etl::source_id(config, super::etl::SYNTHETIC),
        modules: given(&settings.modules),
        module_overrides: given(&settings.module_overrides),
        dirt: Some(settings.dirt.as_str()).filter(|name| !name.is_empty()).map(Rates::open).transpose()?,
        updates,
        output: output_folder.to_owned(),
        threads: config.threads(),
    })
}

/// A path of the settings, where an empty one is none.
fn given(path: &Path) -> Option<PathBuf> {
    Some(path.to_owned()).filter(|path| !path.as_os_str().is_empty())
}
