//! Runs one life: the engine for modules in the Generic Module Framework format.
//!
//! Time goes in steps of seven days from birth. In each step the host opens a visit if one is due, then every module
//! runs in the byte order of the paths until it blocks, then the host closes its visit. A state that ended between two
//! steps lets the ones behind it run at that earlier moment. A blocked module says when it wants to be asked again.

mod care;
mod encounter;
mod logic;
mod observation;
mod person;
mod run;
mod unanswered;
mod write;

#[cfg(test)]
mod other_modules;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub(crate) use encounter::discharge_code;
pub use person::{Value, simulate};
pub use unanswered::Unanswered;
