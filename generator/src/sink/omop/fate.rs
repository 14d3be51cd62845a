//! What becomes of a resource with a blemish: whether the mapping takes it, and the word for why not.

use super::{Observed, OmopSink};
use crate::dirt::{Blemish, Fault};
use crate::record::Record;

/// What becomes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It makes rows.
    Mapped,
    /// It is sound, and makes none.
    Excluded(&'static str),
    /// It cannot be taken.
    Rejected(&'static str),
}

/// What becomes of a resource with that blemish.
pub fn of(blemish: Blemish) -> Fate {
    match blemish {
        Blemish::Invalid(fault) => Fate::Rejected(match fault {
            Fault::Truncated => "invalid_json",
            Fault::NoId | Fault::NoStatus | Fault::NoDate | Fault::NoPatient => "missing_element",
            Fault::UnknownStatus => "unknown_code",
            Fault::NoSuchDay | Fault::TextForPatient => "wrong_type",
            Fault::UnknownPatient => "unresolved_reference",
            Fault::UnknownModifier => "unknown_modifier_extension",
            Fault::EndBeforeStart => "end_before_start",
        }),
        Blemish::EnteredInError => Fate::Excluded("status_entered_in_error"),
        // The deletion is newer.
        Blemish::Deleted => Fate::Excluded("superseded_version"),
        _ => Fate::Mapped,
    }
}

/// Why a resource of a type makes no row of its own.
pub fn reason_alone(resource_type: &str) -> &'static str {
    match resource_type {
        // Its results are observations of their own.
        "DiagnosticReport" => "no_conclusion",
        // The statement of its use tells since when.
        "Device" => "no_day_of_use",
        _ => "no_omop_target",
    }
}

/// Why there is no row of a resource of a type that makes some.
fn reason_without_rows(resource_type: &str) -> &'static str {
    match resource_type {
        "Claim" | "ExplanationOfBenefit" => "no_visit",
        _ => "domain_visit",
    }
}

impl OmopSink<'_> {
    /// Collects the rows of a resource that makes some, and counts what becomes of it.
    pub(super) fn judge(
        &mut self,
        record: &Record,
        resource_type: &'static str,
        index: u32,
        observed: &mut Observed,
        rows: fn(&mut Self, &Record, u32, &mut Observed),
    ) {
        if !self.takes(record, resource_type, index) {
            return;
        }
        let before = self.row_count;
        rows(self, record, index, observed);
        match self.row_count == before {
            true => self.account.exclude(resource_type, reason_without_rows(resource_type)),
            false => self.account.map(resource_type),
        }
    }

    /// True when the mapping takes the resource; what it does not take is counted, and what comes with it.
    pub(super) fn takes(&mut self, record: &Record, resource_type: &'static str, index: u32) -> bool {
        self.blemish = record.blemishes.of(resource_type, index);
        if let Some(kind) = self.blemish.kind() {
            self.account.spoil(kind, resource_type);
        }
        match self.blemish {
            Blemish::Duplicate => self.account.exclude(resource_type, "duplicate"),
            Blemish::LateUpdate => self.account.exclude(resource_type, "superseded_version"),
            Blemish::MergedPatient => self.account.exclude(resource_type, "replaced_record"),
            Blemish::Deleted => self.account.exclude(resource_type, "deleted"),
            _ => {}
        }
        match of(self.blemish) {
            Fate::Mapped => return true,
            Fate::Excluded(reason) => self.account.exclude(resource_type, reason),
            Fate::Rejected(reason) => self.account.reject(resource_type, reason),
        }
        false
    }
}
