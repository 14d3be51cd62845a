//! Distributed engines of SQL that read and write the lake's tables by its catalog: Athena, and any Trino.

mod answer;
mod athena;
mod trino;

pub use answer::Answer;
pub use athena::Athena;
pub use trino::Trino;

use crate::error::Result;

/// An engine beside the embedded one.
#[derive(Debug)]
pub enum Engine {
    /// Athena, of an account of AWS.
    Athena(Athena),
    /// A server that speaks Trino's protocol of clients.
    Trino(Trino),
}

impl Engine {
    /// Runs one statement and waits for all of its rows.
    ///
    /// # Errors
    /// [`crate::Error::Engine`], with the query's id and the engine's own words, when the statement failed or could not be
    /// handed over.
    pub async fn run(&self, sql: &str) -> Result<Answer> {
        match self {
            Engine::Athena(athena) => athena.run(sql).await,
            Engine::Trino(trino) => trino.run(sql).await,
        }
    }
}
