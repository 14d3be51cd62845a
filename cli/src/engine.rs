//! `--engine`: who runs SQL.

use anyhow::Result;
use clap::ValueEnum;
use sql::Engine;

use crate::config::Config;

/// Who runs SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    /// The program itself
    Datafusion,
    /// Athena, on a lake in S3 and Glue
    Athena,
    /// A Trino server that has the lake's catalog
    Trino,
}

impl EngineName {
    /// Prepares the engine; none is the program itself.
    pub fn open(self, config: &Config) -> Result<Option<Engine>> {
        Ok(match self {
            EngineName::Datafusion => None,
            EngineName::Athena => Some(Engine::Athena(config.athena()?)),
            EngineName::Trino => Some(Engine::Trino(config.trino()?)),
        })
    }
}
