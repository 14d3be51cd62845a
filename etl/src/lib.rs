//! etl

mod document;
mod map;
mod reference;
/// Concepts and their maps.
pub mod vocabulary;

pub use map::MedicationRequestPolicy;
