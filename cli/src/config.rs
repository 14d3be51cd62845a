//! Settings: defaults < `--config` file < environment < flags. The only place that reads configuration files and
//! `HEALTHLAKE_*` variables; each crate gets a plain options struct.

mod profile;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use chrono::NaiveDate;
use serde::Deserialize;
use toml::{Table, Value};

use crate::global::Global;

const DEFAULTS: &str = include_str!("../default.toml");
const ENVIRONMENT_PREFIX: &str = "HEALTHLAKE_";
/// Secrets come by environment only, so that no file has to be guarded.
const TOKEN: &str = "HEALTHLAKE_CATALOG_TOKEN";
const CREDENTIAL: &str = "HEALTHLAKE_CATALOG_CREDENTIAL";
const PASSWORD: &str = "HEALTHLAKE_TRINO_PASSWORD";

/// All settings, each with a value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub lake: Lake,
    s3: S3,
    catalog: Catalog,
    aws: Aws,
    athena: Athena,
    trino: Trino,
    pub pipeline: Pipeline,
    pub generate: Generate,
    pub etl: Etl,
    pub sql: Sql,
    pub governance: validator::Governance,
    #[serde(skip)]
    secrets: Secrets,
}

/// Variables of the environment that may be secret: they do not print.
#[derive(Clone, Default)]
struct Secrets(BTreeMap<String, String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lake {
    pub path: PathBuf,
    folder: PathBuf,
    pub catalog: CatalogKind,
    pub memory_limit_mib: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct S3 {
    endpoint: String,
    region: String,
    path_style: bool,
    kms_key: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalog {
    uri: String,
    warehouse: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Aws {
    endpoint: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Athena {
    workgroup: String,
    output: String,
    catalog: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trino {
    uri: String,
    catalog: String,
    user: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogKind {
    Sqlite,
    Rest,
    Glue,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    threads: usize,
    pub max_rejects: u64,
    pub state_machine: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    pub patients: u64,
    pub seed: u64,
    pub end_date: NaiveDate,
    pub state: String,
    pub years_of_history: u32,
    pub claims: bool,
    pub modules: PathBuf,
    pub module_overrides: PathBuf,
    pub dirt: String,
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
        let secret = |name: &str| name.starts_with("AWS_") || [TOKEN, CREDENTIAL, PASSWORD].contains(&name);
        config.secrets.0 = std::env::vars().filter(|(name, _)| secret(name)).collect();
        if config.bucket_url().is_some() {
            profile::add_credentials(&mut config.secrets.0)?;
        }
        Ok(config)
    }

    /// The local folder of the lake: the lake itself, or what one on S3 has beside its tables.
    pub fn folder(&self) -> &Path {
        if self.bucket_url().is_some() { &self.lake.folder } else { &self.lake.path }
    }

    /// Where the lake is, if not in a folder.
    fn bucket_url(&self) -> Option<&str> {
        self.lake.path.to_str().filter(|path| path.starts_with("s3://"))
    }

    /// Says whether there is a lake already, as far as that can be said without asking a server.
    pub fn lake_may_exist(&self) -> bool {
        self.lake.catalog != CatalogKind::Sqlite || self.folder().join("catalog.db").exists()
    }

    /// Worker threads: the setting, or one per core.
    pub fn threads(&self) -> usize {
        match self.pipeline.threads {
            0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            threads => threads,
        }
    }

    /// The lake's own configuration.
    ///
    /// # Errors
    /// A REST catalog without a server.
    pub fn lake(&self) -> Result<lake::Config> {
        let mut config = lake::Config::folder(self.folder());
        config.memory_limit_bytes = Some(self.lake.memory_limit_mib << 20);
        if let Some(url) = self.bucket_url() {
            url.clone_into(&mut config.warehouse);
        }
        config.s3 = self.s3();
        if self.lake.catalog == CatalogKind::Glue {
            config.catalog = lake::Catalog::Glue(lake::Glue { endpoint: given(&self.catalog.uri) });
        }
        if self.lake.catalog == CatalogKind::Rest {
            let hint = "`lake.catalog` is \"rest\", but `catalog.uri` names no server";
            config.catalog = lake::Catalog::Rest(lake::Rest {
                uri: given(&self.catalog.uri).context(hint)?,
                warehouse: given(&self.catalog.warehouse),
                token: self.catalog_token(),
                credential: self.secrets.0.get(CREDENTIAL).cloned(),
            });
        }
        Ok(config)
    }

    fn s3(&self) -> lake::S3 {
        lake::S3 {
            endpoint: given(&self.s3.endpoint),
            region: given(&self.s3.region),
            path_style: self.s3.path_style,
            kms_key: given(&self.s3.kms_key),
            environment: self.secrets.0.clone(),
        }
    }

    /// Requests to a service of AWS, in a region that is known or the one of the settings.
    ///
    /// # Errors
    /// A profile that is named and not there.
    pub fn aws(&self, service: lake::AwsService, region: Option<&str>) -> Result<lake::Aws> {
        let mut s3 = self.s3();
        profile::add_credentials(&mut s3.environment)?;
        Ok(lake::Aws::open(service, given(&self.aws.endpoint).as_deref(), region, &s3)?)
    }

    /// Athena, as the settings say.
    ///
    /// # Errors
    /// A profile that is named and not there.
    pub fn athena(&self) -> Result<sql::Athena> {
        Ok(sql::Athena {
            requests: self.aws(lake::AwsService::Athena, None)?,
            workgroup: self.athena.workgroup.clone(),
            output: given(&self.athena.output),
            catalog: self.athena.catalog.clone(),
            warehouse: self.bucket_url().unwrap_or_default().trim_end_matches('/').to_owned(),
        })
    }

    /// The Trino server of the settings.
    ///
    /// # Errors
    /// A password that would be sent without TLS.
    pub fn trino(&self) -> Result<sql::Trino> {
        let Trino { uri, catalog, user } = &self.trino;
        Ok(sql::Trino::new(uri, catalog, user, self.secrets.0.get(PASSWORD).cloned())?)
    }

    /// The token that clients of the catalog show.
    pub fn catalog_token(&self) -> Option<String> {
        self.secrets.0.get(TOKEN).cloned().filter(|token| !token.is_empty())
    }

    /// The project of SQL models.
    pub fn project(&self) -> Result<sql::Project> {
        let folder = &self.sql.project;
        Ok(if folder.as_os_str().is_empty() { sql::Project::embedded()? } else { sql::Project::open(folder)? })
    }
}

/// An empty text in the settings is no value.
fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
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
        if rest.starts_with("REQUIRE_")
            || rest.starts_with("TEST_")
            || rest == "BIN"
            || [TOKEN, CREDENTIAL, PASSWORD].contains(&&*name)
        {
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
