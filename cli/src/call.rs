//! One call of the program: the run that it belongs to, the lake that it opens, and how it ends.

use anyhow::{Context, Result, ensure};
use chrono::{NaiveDateTime, SubsecRound, Utc};
use lake::Lake;

use crate::config::Config;

/// The identity of a run: its id and the moment that its rows bear.
#[derive(Clone)]
pub struct Run {
    /// `PIPELINE_RUN_ID`, or a fresh UUIDv7.
    pub id: String,
    /// When the run started, in UTC.
    pub started_at: NaiveDateTime,
}

impl Run {
    /// Takes the id from the environment, so that an orchestrator can repeat a run, or makes one.
    pub fn from_environment() -> Result<Run> {
        let started_at = Utc::now().naive_utc().trunc_subsecs(6);
        let id = match std::env::var("PIPELINE_RUN_ID") {
            Ok(id) => id,
            Err(std::env::VarError::NotPresent) => uuid::Uuid::now_v7().to_string(),
            Err(error) => return Err(anyhow::Error::new(error).context("cannot read `PIPELINE_RUN_ID`")),
        };
        let sound = id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
        ensure!(
            !id.is_empty() && id.len() <= 128 && sound && !id.starts_with('.'),
            "`PIPELINE_RUN_ID` is `{id}`, expected 1 to 128 letters, digits, `-`, `_`, `.` or `:`"
        );
        Ok(Run { id, started_at })
    }
}

/// Opens the lake of the settings and makes it when there is none.
pub async fn open_lake(config: &Config) -> Result<Lake> {
    Lake::open(&config.lake()?).await.with_context(|| format!("cannot open the lake `{}`", config.lake.path.display()))
}

/// Opens the lake of the settings, which must be there.
pub async fn existing_lake(config: &Config) -> Result<Lake> {
    ensure!(
        config.lake_may_exist(),
        "there is no lake in `{}`\nhint: `healthlake run` makes one; `--lake DIR` names another folder",
        config.folder().display()
    );
    open_lake(config).await
}

/// How a subcommand ended, when it could be done.
pub enum Outcome {
    /// Nothing to report.
    Done,
    /// A required check failed, or more records were rejected than allowed.
    Findings,
}
