//! The sinks: each turns the same record into its own form and knows nothing of the others.

pub mod fhir;
mod json;
pub mod omop;

pub use json::Json;
