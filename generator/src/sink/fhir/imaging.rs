//! ImagingStudy.

use super::FhirSink;
use crate::module::Id;
use crate::record::{ImagingStudy, Record, Series};

impl FhirSink<'_> {
    pub(super) fn imaging_study(&mut self, record: &Record, index: u32) {
        let study = &record.imaging_studies[index as usize];
        let id = record.patient.id("ImagingStudy", u64::from(index));
        self.begin_plain("ImagingStudy", id);
        self.json.array("identifier");
        self.json.item();
        self.json.text("use", "official");
        self.json.text("system", "urn:dicom:uid");
        self.json.text("value", &format!("urn:oid:{}", uid(id)));
        self.json.end();
        self.json.end_array();
        self.json.text("status", "available");
        self.json.array("modality");
        for modality in modalities(study) {
            self.coding(self.world.library.codes.first(modality));
        }
        self.json.end_array();
        self.subject("subject", record);
        self.in_encounter(record, study.encounter);
        self.moment("started", record, study.time);
        self.json.integer("numberOfSeries", study.series.len() as i64);
        let instances: usize = study.series.iter().map(|series| series.instances.len()).sum();
        self.json.integer("numberOfInstances", instances as i64);
        if let Some(procedure) = study.procedure {
            let procedure = record.patient.id("Procedure", u64::from(procedure));
            self.json.reference("procedureReference", "Procedure", procedure);
        }
        self.json.array("procedureCode");
        self.concept_item(study.codes);
        self.json.end_array();
        if let Some(encounter) = study.encounter {
            let organization = record.encounters[encounter as usize].organization;
            self.json.reference("location", "Location", self.world.facilities.id("Location", organization));
        }
        self.reason_code(study.reason);
        self.json.array("series");
        for (number, series) in study.series.iter().enumerate() {
            self.series(record, (u64::from(index) << 16) + number as u64, number, series);
        }
        self.json.end_array();
        self.finish("ImagingStudy");
    }

    /// One series; `place` is its number among all of the patient.
    fn series(&mut self, record: &Record, place: u64, number: usize, series: &Series) {
        self.json.item();
        self.json.text("uid", &uid(record.patient.id("ImagingStudy.series", place)));
        self.json.integer("number", number as i64 + 1);
        self.coding_field("modality", series.modality);
        self.json.integer("numberOfInstances", series.instances.len() as i64);
        self.coding_field("bodySite", series.body_site);
        self.json.array("instance");
        for (number, class) in series.instances.iter().enumerate() {
            self.json.item();
            let instance = record.patient.id("ImagingStudy.instance", (place << 16) + number as u64);
            self.json.text("uid", &uid(instance));
            let code = &self.world.library.codes.first(*class).code;
            self.json.object("sopClass");
            self.json.text("system", "urn:ietf:rfc:3986");
            let oid = code.strip_prefix("urn:oid:").unwrap_or(code);
            self.json.text("code", &format!("urn:oid:{oid}"));
            self.json.end();
            self.json.integer("number", number as i64 + 1);
            self.json.end();
        }
        self.json.end_array();
        self.json.end();
    }

    /// A Coding with the first code of a list.
    fn coding_field(&mut self, key: &str, list: Id) {
        let code = self.world.library.codes.first(list);
        self.json.object(key);
        self.coding_fields(code);
        self.json.end();
    }
}

/// The modalities of a study, each once.
fn modalities(study: &ImagingStudy) -> Vec<Id> {
    let mut modalities: Vec<Id> = study.series.iter().map(|series| series.modality).collect();
    modalities.sort_unstable();
    modalities.dedup();
    modalities
}

/// The DICOM UID that is made of a UUID.
fn uid(id: uuid::Uuid) -> String {
    format!("2.25.{}", id.as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_the_number_of_a_uuid() {
        let id = uuid::Uuid::parse_str("f81d4fae-7dec-11d0-a765-00a0c91e6bf6").unwrap();
        assert_eq!(uid(id), "2.25.329800735698586629295641978511506172918");
    }
}
