//! DocumentReference.

use super::FhirSink;
use crate::record::{Record, note};

impl FhirSink<'_> {
    /// The note of a visit, as text.
    pub(super) fn document_reference(&mut self, record: &Record, index: u32) {
        let encounter = &record.encounters[index as usize];
        let id = record.patient.id("DocumentReference", u64::from(index));
        self.begin("DocumentReference", id, "us-core-documentreference");
        self.status("current");
        let kind = note::kind(encounter.class);
        self.fixed("type", &kind.system, &kind.code, &kind.display);
        self.json.array("category");
        let categories = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category";
        self.fixed_item(categories, "clinical-note", "Clinical Note");
        self.json.end_array();
        self.subject("subject", record);
        self.moment("date", record, encounter.end);
        self.json.array("author");
        let author = self.world.facilities.id("Practitioner", encounter.practitioner);
        self.json.reference_item("Practitioner", author);
        self.json.end_array();
        let custodian = self.world.facilities.id("Organization", encounter.organization);
        self.json.reference("custodian", "Organization", custodian);
        self.json.array("content");
        self.json.item();
        self.json.object("attachment");
        self.json.text("contentType", "text/plain; charset=utf-8");
        let text = note::text(record, &self.world.library.codes, index);
        self.json.plain("data", |out| base64(text.as_bytes(), out));
        self.json.end();
        self.json.object("format");
        self.json.text("system", "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode");
        self.json.text("code", "urn:ihe:iti:xds:2017:mimeTypeSufficient");
        self.json.end();
        self.json.end();
        self.json.end_array();
        self.json.object("context");
        self.json.array("encounter");
        self.json.reference_item("Encounter", record.patient.id("Encounter", u64::from(index)));
        self.json.end_array();
        self.json.object("period");
        self.moment("start", record, encounter.start);
        self.moment("end", record, encounter.end);
        self.json.end();
        self.json.end();
        self.finish("DocumentReference");
    }
}

/// Appends bytes in base64, padded (RFC 4648).
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let held = three.iter().fold(0u32, |held, byte| (held << 8) | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(held >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= three.len() { letter } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("fooba", "Zm9vYmE="), ("ÿ~", "w79+")]
        {
            let mut out = Vec::new();
            base64(bytes.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
