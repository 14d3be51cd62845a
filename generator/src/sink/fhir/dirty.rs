//! What is wrong with a resource, as FHIR shows it.

use model::fhir::Precision;

use super::FhirSink;
use crate::dirt::{Blemish, Fault, NameForm};
use crate::module::Id;
use crate::moment::{Moment, Zone, date, write_date};
use crate::record::Record;

/// The system of codes that only one hospital knows.
pub const LOCAL_CODES: &str = "urn:synthetic-healthlake:local-code";
/// The number of a patient whom nobody knows.
pub const NOBODY: u64 = 2;
/// The number of a patient's record that another one replaced.
pub const REPLACED: u64 = 1;

impl FhirSink<'_> {
    /// Writes one resource, in as many versions and as often as it is there.
    pub(super) fn versions(
        &mut self,
        record: &Record,
        resource_type: &'static str,
        index: u32,
        write: &dyn Fn(&mut Self),
    ) {
        self.blemish = record.blemishes.of(resource_type, index);
        match self.blemish {
            Blemish::Duplicate => {
                write(self);
                write(self);
            }
            Blemish::LateUpdate => {
                let usual = self.version;
                self.version = Some(usual.unwrap_or(2));
                write(self);
                self.blemish = Blemish::Early;
                self.version = Some(1);
                write(self);
                self.version = usual;
            }
            Blemish::Dated => {
                let usual = self.version;
                self.version = Some(usual.unwrap_or(2));
                write(self);
                self.version = usual;
            }
            Blemish::Deleted => {
                write(self);
                self.deletions.push((resource_type, record.patient.id(resource_type, u64::from(index))));
            }
            _ => write(self),
        }
        self.blemish = Blemish::None;
    }

    /// A Bundle of what of a patient is deleted.
    pub(super) fn delete(&mut self, record: &Record) {
        if self.deletions.is_empty() {
            return;
        }
        let number = u64::from(self.version.unwrap_or(0));
        self.json.resource("Bundle", Some(record.patient.id("Bundle", number)));
        self.json.text("type", "transaction");
        self.json.array("entry");
        for (resource_type, id) in std::mem::take(&mut self.deletions) {
            self.json.item();
            self.json.object("request");
            self.json.text("method", "DELETE");
            self.json.text("url", &format!("{resource_type}/{id}"));
            self.json.end();
            self.json.end();
        }
        self.json.end_array();
        self.json.finish(false, &mut self.lines.deleted);
        self.lines.deleted_count += 1;
    }

    /// Number and day of the version.
    pub(super) fn tell_version(&mut self) {
        let Some(version) = self.version else { return };
        let end = self.world.options.end_date;
        self.json.text("versionId", &version.to_string());
        self.json.plain("lastUpdated", |out| {
            write_date(end + chrono::Days::new(version.into()), out);
            out.extend_from_slice(b"T00:00:00Z");
        });
    }

    /// An extension that may turn everything around.
    pub(super) fn modifier_extension(&mut self) {
        if self.blemish == Blemish::Invalid(Fault::UnknownModifier) {
            self.json.array("modifierExtension");
            self.json.item();
            self.json.text("url", "urn:synthetic-healthlake:unknown-modifier");
            self.json.flag("valueBoolean", true);
            self.json.end();
            self.json.end_array();
        }
    }

    /// The status of a resource whose usual one is that.
    pub(super) fn status(&mut self, usual: &str) {
        match self.blemish {
            Blemish::Invalid(Fault::NoStatus) => {}
            Blemish::Invalid(Fault::UnknownStatus) => self.json.text("status", "perhaps"),
            Blemish::EnteredInError => self.json.text("status", "entered-in-error"),
            _ => self.json.text("status", usual),
        }
    }

    /// How sure a condition or an allergy is.
    pub(super) fn verification_status(&mut self, system: &str) {
        let code = match self.blemish {
            Blemish::Invalid(Fault::UnknownStatus) => "perhaps",
            Blemish::EnteredInError => "entered-in-error",
            Blemish::Refuted => "refuted",
            _ => "confirmed",
        };
        self.fixed("verificationStatus", system, code, "");
    }

    /// The code that says what a resource is about.
    pub(super) fn code(&mut self, key: &str, list: Id) {
        let codes = &self.world.library.codes;
        let first = codes.first(list);
        match self.blemish {
            Blemish::MissingCode => {
                self.json.object(key);
                self.json.text("text", &first.display);
                self.json.end();
            }
            Blemish::LocalCode => self.fixed(key, LOCAL_CODES, &local_code(&first.code), &first.display),
            _ => self.concept(key, list),
        }
    }

    /// The names of a patient.
    pub(super) fn names(&mut self, record: &Record) {
        let patient = &record.patient;
        let [first, second] = &patient.given;
        let Blemish::NameVariant(form) = self.blemish else {
            return self.name(&patient.family, &[first, second]);
        };
        match form {
            NameForm::Capitals => {
                self.name(&patient.family.to_uppercase(), &[&first.to_uppercase(), &second.to_uppercase()]);
            }
            NameForm::TurnedAround => self.name(first, &[&patient.family]),
            NameForm::Maiden => {
                self.json.array("name");
                self.name_item("official", &patient.family, &[first, second]);
                self.name_item("maiden", second, &[first]);
                self.json.end_array();
            }
            NameForm::Missing => {}
        }
    }

    /// What ties two records of one patient together: this one is replaced by, or replaces, the other.
    pub(super) fn link(&mut self, record: &Record, is_replaced: bool) {
        let (kind, other) = if is_replaced { ("replaced-by", 0) } else { ("replaces", REPLACED) };
        self.json.flag("active", !is_replaced);
        self.json.array("link");
        self.json.item();
        self.json.reference("other", "Patient", record.patient.id("Patient", other));
        self.json.text("type", kind);
        self.json.end();
        self.json.end_array();
    }
}

/// A code that no vocabulary has.
pub fn local_code(code: &str) -> String {
    format!("L-{code}")
}

/// Writes a moment as a blemished resource tells it.
pub(super) fn write_moment(zone: Zone, moment: Moment, blemish: Blemish, out: &mut Vec<u8>) {
    match blemish {
        Blemish::Early => write_part(date(moment), Precision::Day, out),
        Blemish::PartialDate(precision) => write_part(date(moment), precision, out),
        Blemish::OtherZone(minutes) => zone.write_elsewhere(moment, minutes, out),
        Blemish::NoZone => zone.write_without_zone(moment, out),
        Blemish::Invalid(Fault::NoSuchDay) => {
            write_part(date(moment), Precision::Year, out);
            out.extend_from_slice(b"-02-30");
        }
        _ => zone.write(moment, out),
    }
}

/// Appends a day, or only its month or year.
pub(super) fn write_part(day: chrono::NaiveDate, precision: Precision, out: &mut Vec<u8>) {
    let start = out.len();
    write_date(day, out);
    let length = match precision {
        Precision::Year => 4,
        Precision::Month => 7,
        _ => 10,
    };
    out.truncate(start + length);
}
