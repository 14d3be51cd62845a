//! What the guide states, in our words, and where our mapping departs from the guide's own maps: both are data.

use serde::{Deserialize, Serialize};

const STATEMENTS: &str = include_str!("../../conformance/statement.csv");
const DEPARTURES: &str = include_str!("../../conformance/departure.csv");

/// How a statement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Tests and checks show it.
    Pass,
    /// It does not hold, or one of its checks failed.
    Fail,
    /// It asks for a document or a declaration, which is there.
    Declared,
    /// It is about something that is not here.
    NotApplicable,
}

/// One statement of the guide, in our words, with what shows it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Statement {
    /// `f2o-030`
    pub id: String,
    /// `SHALL`, `SHOULD` or `MAY`.
    pub level: String,
    /// Whom it binds.
    pub actor: String,
    /// What it asks for.
    pub requirement: String,
    /// How it stands as far as tests tell.
    pub status: Standing,
    /// `test:<file>::<name>`, `check:<name>[/<part of the id>]`, `manifest:<key>` and `setting:<key>`, with spaces between.
    pub evidence: String,
    /// What a reader should know.
    pub note: String,
}

/// Where our mapping departs from the guide's own maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Departure {
    /// The resource or element.
    pub element: String,
    /// What is done here.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Every statement, in the guide's order.
///
/// # Panics
/// Never: the table is compiled in, and a test reads it.
pub fn statements() -> Vec<Statement> {
    let mut reader = csv::Reader::from_reader(STATEMENTS.as_bytes());
    reader.deserialize().map(|row| row.expect("statement.csv is sound")).collect()
}

/// Every departure from the guide's own maps, with its reason.
///
/// # Panics
/// Never: the table is compiled in, and a test reads it.
pub fn departures() -> Vec<Departure> {
    let mut reader = csv::Reader::from_reader(DEPARTURES.as_bytes());
    reader.deserialize().map(|row| row.expect("departure.csv is sound")).collect()
}
