//! Distributed engines of SQL that read and write the lake's tables by its catalog: Athena, and any Trino.

mod answer;
mod athena;
mod interruption;
mod trino;

pub use answer::Answer;
pub use athena::Athena;
pub use trino::Trino;

use crate::error::{Error, Result};

/// An engine beside the embedded one.
#[derive(Debug)]
pub enum Engine {
    /// Athena, of an account of AWS.
    Athena(Athena),
    /// A server that speaks Trino's protocol of clients.
    Trino(Trino),
}

impl Engine {
    /// Runs one statement and waits for all of its rows. When the process is told to end meanwhile, so is the statement.
    ///
    /// # Errors
    /// [`crate::Error::Engine`], with the query's id and the engine's own words, when the statement failed or could not be
    /// handed over.
    pub async fn run(&self, sql: &str) -> Result<Answer> {
        match self {
            _ if interruption::has_come() => Err(self.failed("", "it is not started: this program was told to end")),
            Engine::Athena(athena) => athena.run(sql).await,
            Engine::Trino(trino) => trino.run(sql).await,
        }
    }

    fn failed(&self, id: &str, reason: &str) -> Error {
        match self {
            Engine::Athena(_) => athena::failed(id, reason),
            Engine::Trino(_) => trino::failed(id, reason),
        }
    }
}

/// What a statement failed of that was under way when the process was told to end.
const STOPPED: &str = "it was stopped: this program was told to end";
