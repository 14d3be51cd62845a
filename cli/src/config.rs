//! Settings: defaults < `--config` file < environment < flags. The only place that reads configuration files and
//! `HEALTHLAKE_*` variables; each crate gets a plain options struct.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use chrono::NaiveDate;
use serde::Deserialize;
use toml::{Table, Value};

use crate::global::Global;

const DEFAULTS: &str = include_str!("../default.toml");
const ENVIRONMENT_PREFIX: &str = "HEALTHLAKE_";

/// All settings, each with a value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub lake: Lake,
    pub pipeline: Pipeline,
    pub generate: Generate,
    pub etl: Etl,
    pub sql: Sql,
    pub governance: validator::Governance,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lake {
    pub path: PathBuf,
    pub catalog: CatalogKind,
    pub memory_limit_mib: usize,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogKind {
    Sqlite,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    threads: usize,
    pub max_rejects: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    pub patients: u64,
    pub seed: u64,
    pub end_date: NaiveDate,
    pub state: String,
    pub years_of_history: u32,
    pub modules: PathBuf,
    pub module_overrides: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Etl {
    pub source_id: String,
    pub keep_raw: bool,
    pub medication_request_policy: etl::MedicationRequestPolicy,
    pub keep_address: bool,
    pub notes: bool,
    pub omop_table: String,
    pub no_omop: bool,
    pub complete: bool,
    pub views: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sql {
    pub project: PathBuf,
}

impl Config {
    /// Loads the settings that hold for this call.
    ///
    /// # Errors
    /// An unreadable file, an unknown key or section, or a value of the wrong type, each named.
    pub fn load(global: &Global) -> Result<Config> {
        let mut settings: Table = DEFAULTS.parse().context("the built-in defaults are not valid TOML")?;
        if let Some(path) = &global.config {
            merge_file(&mut settings, path)?;
        }
        merge_environment(&mut settings, std::env::vars())?;
        let mut config: Config =
            settings.try_into().map_err(|error: toml::de::Error| anyhow!("{}", error.message()))?;
        if let Some(lake) = &global.lake {
            config.lake.path.clone_from(lake);
        }
        Ok(config)
    }

    /// Worker threads: the setting, or one per core.
    pub fn threads(&self) -> usize {
        match self.pipeline.threads {
            0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            threads => threads,
        }
    }

    /// The lake's own configuration.
    pub fn lake(&self) -> lake::Config {
        match self.lake.catalog {
            CatalogKind::Sqlite => {
                let mut config = lake::Config::folder(&self.lake.path);
                config.memory_limit_bytes = Some(self.lake.memory_limit_mib << 20);
                config
            }
        }
    }

    /// The project of SQL models.
    pub fn project(&self) -> Result<sql::Project> {
        let folder = &self.sql.project;
        Ok(if folder.as_os_str().is_empty() { sql::Project::embedded()? } else { sql::Project::open(folder)? })
    }
}

fn merge_file(settings: &mut Table, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let file: Table = text.parse().map_err(|error| anyhow!("`{}` is not valid TOML: {error}", path.display()))?;
    for (section, keys) in file {
        let Value::Table(keys) = keys else {
            bail!("`{}`: `{section}` stands outside a section such as [lake]", path.display());
        };
        for (key, value) in keys {
            *slot(settings, &section, &key).with_context(|| format!("in `{}`", path.display()))? = value;
        }
    }
    Ok(())
}

fn merge_environment(settings: &mut Table, variables: impl Iterator<Item = (String, String)>) -> Result<()> {
    for (name, text) in variables {
        let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
        // Names that tests and scripts use for themselves are not settings.
        if rest.starts_with("REQUIRE_") || rest.starts_with("TEST_") || rest == "BIN" {
            continue;
        }
        let lower = rest.to_lowercase();
        let (section, key) = lower.split_once('_').with_context(|| format!("`{name}` names no section and key"))?;
        let slot = slot(settings, section, key).with_context(|| format!("in the environment variable `{name}`"))?;
        *slot = match slot {
            Value::Integer(_) => {
                Value::Integer(text.parse().with_context(|| format!("`{name}` is not a whole number"))?)
            }
            Value::Boolean(_) => {
                Value::Boolean(text.parse().with_context(|| format!("`{name}` is not true or false"))?)
            }
            _ => Value::String(text),
        };
    }
    Ok(())
}

fn slot<'a>(settings: &'a mut Table, section: &str, key: &str) -> Result<&'a mut Value> {
    let sections = settings.keys().cloned().collect::<Vec<_>>().join(", ");
    let keys = settings
        .get_mut(section)
        .and_then(Value::as_table_mut)
        .with_context(|| format!("there is no section `{section}`, expected one of {sections}"))?;
    let known = keys.keys().cloned().collect::<Vec<_>>().join(", ");
    keys.get_mut(key).with_context(|| format!("section `{section}` has no key `{key}`, expected one of {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Table {
        DEFAULTS.parse().unwrap()
    }

    #[test]
    fn the_defaults_name_every_setting() {
        let config: Config = defaults().try_into().unwrap();
        assert_eq!(config.generate.patients, 1000);
        assert!(config.threads() > 0);
    }

    #[test]
    fn the_environment_takes_precedence_and_keeps_types() {
        let mut settings = defaults();
        let variable = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into_iter();
        merge_environment(&mut settings, variable("HEALTHLAKE_GENERATE_PATIENTS", "7")).unwrap();
        merge_environment(&mut settings, variable("HEALTHLAKE_ETL_KEEP_RAW", "true")).unwrap();
        merge_environment(&mut settings, variable("HEALTHLAKE_BIN", "healthlake")).unwrap();
        let config: Config = settings.clone().try_into().unwrap();
        assert_eq!((config.generate.patients, config.etl.keep_raw), (7, true));

        let error = merge_environment(&mut settings, variable("HEALTHLAKE_LAKE_PAHT", "x")).unwrap_err();
        assert!(format!("{error:#}").contains("section `lake` has no key `paht`, expected one of"), "{error:#}");
        let error = merge_environment(&mut settings, variable("HEALTHLAKE_GENERATE_SEED", "x")).unwrap_err();
        assert!(format!("{error:#}").contains("`HEALTHLAKE_GENERATE_SEED` is not a whole number"), "{error:#}");
    }
}
