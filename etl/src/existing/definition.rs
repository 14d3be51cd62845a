//! What the lake tells of resources that references of the input name and that the input lacks: which drug a Medication is,
//! which device a Device is, whose role a PractitionerRole is.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lake::{Lake, TableName};
use model::omop::key::omop_key;

use super::Existing;
use crate::error::Result;
use crate::id_set::IdSet;
use crate::query::{numbers, sought, texts};
use crate::reference::name_key;
use crate::survey::Survey;
use crate::survey::definition::{Told, concept, device};

/// Codings by their place, and what the resource says besides.
#[derive(Default)]
struct Described {
    codings: BTreeMap<i64, [String; 4]>,
    rest: [String; 4],
}

impl Existing {
    /// Adds what Medications and Devices are.
    pub(super) async fn definitions(&self, lake: &Lake, survey: &mut Survey) -> Result<()> {
        for (resource_type, name, columns) in [
            ("Medication", "medication_code", &["medication_id", "code_text"][..]),
            ("Device", "device_type", &["device_id", "type_text", "device_identifier", "lot_number", "serial_number"]),
        ] {
            let columns = [&["coding_index", "system", "code", "display", "user_selected"], columns].concat();
            let mut found: BTreeMap<String, Described> = BTreeMap::new();
            for batch in self.wanted(lake, survey, name, &columns).await? {
                let places = numbers(&batch, 0);
                let mut cells: Vec<_> = (1..columns.len()).map(|column| texts(&batch, column).into_iter()).collect();
                let mut next = |column: usize| cells.get_mut(column).and_then(Iterator::next).unwrap_or_default();
                for place in places {
                    let coding = [0, 1, 2, 3].map(&mut next);
                    let described = found.entry(next(4)).or_default();
                    described.codings.insert(place, coding);
                    described.rest = [5, 6, 7, 8].map(&mut next);
                }
            }
            for (id, described) in found {
                if let Some(text) = described.text(resource_type) {
                    survey.directory.definitions.insert(name_key(&format!("{resource_type}/{id}")), text.into());
                }
            }
        }
        Ok(())
    }

    /// Adds whose roles PractitionerRoles are; the Practitioners' rows are wanted then.
    pub(super) async fn roles(&self, lake: &Lake, survey: &mut Survey, source_id: &str) -> Result<()> {
        let mut wanted: Vec<i64> = survey.wanted.iter().collect();
        for batch in self.wanted(lake, survey, "practitioner_role", &["id", "practitioner_id"]).await? {
            for (role, practitioner) in texts(&batch, 0).into_iter().zip(texts(&batch, 1)) {
                if practitioner.is_empty() {
                    continue;
                }
                let practitioner = format!("Practitioner/{practitioner}");
                wanted.push(omop_key(source_id, &practitioner, "provider", ""));
                let role = name_key(&format!("PractitionerRole/{role}"));
                survey.directory.practitioner_of_role.insert(role, practitioner.into());
            }
        }
        survey.wanted = IdSet::new(wanted);
        Ok(())
    }

    /// The flat rows of resources that references name and that the input neither brings nor takes away.
    async fn wanted(&self, lake: &Lake, survey: &Survey, name: &str, columns: &[&str]) -> Result<Vec<RecordBatch>> {
        let table = TableName::new("fhir", name);
        if !self.tables.contains(&table) {
            return Ok(Vec::new());
        }
        let lacking = |key: &i64| !survey.keys.contains(*key) && !self.absent.contains(key);
        let keys = sought(survey.wanted_definitions.iter().copied().filter(lacking));
        Ok(lake.find(&table, "resource_key", &keys, columns).await?)
    }
}

impl Described {
    /// The JSON that the resource itself would have given; none where it says nothing.
    fn text(&self, resource_type: &str) -> Option<String> {
        fn some(text: &str) -> Option<&str> {
            Some(text).filter(|text| !text.is_empty())
        }
        let codings = self.codings.values().filter(|coding| coding.iter().any(|part| !part.is_empty()));
        let told = codings.map(|[system, code, display, user_selected]| -> Told<'_> {
            (some(system), some(code), some(display), some(user_selected).map(|chosen| chosen == "true"))
        });
        let told: Vec<_> = told.collect();
        let [text, device_identifier, lot_number, serial_number] = self.rest.each_ref().map(|part| some(part));
        let is_empty = told.is_empty() && text.is_none();
        let concept = concept(told.into_iter(), text);
        match resource_type {
            "Medication" if is_empty => None,
            "Medication" => Some(concept.to_string()),
            _ => Some(device(concept, device_identifier, lot_number, serial_number).to_string()),
        }
    }
}
