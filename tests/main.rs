//! The tests of the whole product, in one binary.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on has failed, and says so")]

/// Services of AWS, played by a server of the test.
mod aws;
/// Messages, help and exit codes.
mod cli;
/// The scorecard, the manifest, and what each run records of itself.
mod conformance;
/// Killed runs, and two writers at once.
mod crash;
/// Comma-separated files by a mapping.
mod csv_input;
/// Bad records and bad files: one clear message each, the rest goes on.
mod dirty_input;
/// Patients who are spoiled on purpose, and what the days after the first load bring.
mod dirty_population;
/// Athena and Trino, played by a server of the test.
mod engine;
/// From a row to its resource, and from a resource to its rows.
mod explain;
/// The built program in a folder of its own.
mod healthlake;
/// What the repository promises about its own structure.
mod house;
/// Synthetic patients who never were files.
mod into_lake;
/// From seed to report.
mod pipeline;
/// Other people's tools read the tables.
mod reader;
/// Real FHIR from the reference data.
mod real_input;
/// What plays a service on this machine.
mod server;
/// ViewDefinitions of users, and the suite of SQL on FHIR.
mod view;
/// The user's vocabulary: imported, used, described, compared.
mod vocabulary;
