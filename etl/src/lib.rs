#![doc = include_str!("../README.md")]

mod account;
mod backfill;
mod by_hash;
mod conversion;
mod derive;
mod edge;
#[cfg(test)]
mod end_to_end;
mod era;
mod error;
mod existing;
mod explain;
mod extract;
mod fact_relationship;
#[doc(hidden)]
pub mod fuzz;
mod id_set;
mod lap;
mod literal_reference;
mod load;
mod made;
mod map;
mod merge;
mod pass;
mod policy;
mod preceding;
mod query;
mod reference;
mod rewrite;
mod run;
mod skim;
mod spill;
mod survey;
mod table_choice;
#[cfg(test)]
mod testing;
mod trace;
mod transform;
mod view;
pub mod vocabulary;

pub use backfill::{Backfill, backfill, kept_sources};
pub use edge::{Completeness, Edge, edges};
pub use error::{Error, Result};
pub use explain::{
    CodeStory, Explanation, MadeRow, Question, Refusal, Story, Target as ConceptTarget, TriedCoding, explain,
};
pub use made::{MadeRows, RowWriter, commit_rows};
pub use map::MedicationRequestPolicy;
pub use pass::Progress;
pub use run::{Options, Outcome, run};
pub use table_choice::TableChoice;
pub use view::suite::{SuiteReport, run_suites};
pub use view::time_view;
