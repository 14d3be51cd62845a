//! What decides rows beside the resources themselves, the same for the whole run.

use chrono::NaiveDate;

use crate::map::{Context, MedicationRequestPolicy};
use crate::reference::References;
use crate::table_choice::TableChoice;
use crate::vocabulary::Vocabulary;

/// What decides rows beside the resources themselves.
pub struct Policy<'p> {
    /// The source that is loaded.
    pub source_id: &'p str,
    /// The concepts.
    pub vocabulary: &'p Vocabulary,
    /// Which MedicationRequests count.
    pub medication_request_policy: MedicationRequestPolicy,
    /// Keeps street and city.
    pub keep_address: bool,
    /// Takes the text of whole documents.
    pub notes: bool,
    /// Tables that the run forces.
    pub table_choice: &'p TableChoice,
    /// Writes no OMOP rows.
    pub no_omop: bool,
    /// The day up to which the source is known.
    pub extraction_date: NaiveDate,
}

impl Policy<'_> {
    /// What the mapping of one resource may know.
    pub fn context<'c>(&'c self, references: &'c References<'c>) -> Context<'c> {
        Context {
            source_id: self.source_id,
            vocabulary: self.vocabulary,
            medication_request_policy: self.medication_request_policy,
            keep_address: self.keep_address,
            notes: self.notes,
            table_choice: self.table_choice,
            extraction_date: self.extraction_date,
            references,
        }
    }
}
