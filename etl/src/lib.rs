#![doc = include_str!("../README.md")]

mod account;
mod derive;
mod document;
#[cfg(test)]
mod end_to_end;
mod era;
mod error;
mod existing;
mod extract;
mod id_set;
mod load;
mod map;
mod pass;
mod policy;
mod preceding;
mod reference;
mod run;
mod skim;
mod spill;
mod survey;
mod transform;
mod view;
pub mod vocabulary;

pub use error::{Error, Result};
pub use map::MedicationRequestPolicy;
pub use pass::Progress;
pub use run::{Options, Outcome, run};
pub use view::suite::{SuiteReport, run_suites};
pub use view::time_view;
