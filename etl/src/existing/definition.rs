//! What the lake tells of resources that references of the input name and that the input lacks: which drug a Medication is,
//! which device a Device is, whose role a PractitionerRole is.

use std::collections::BTreeMap;

use datafusion::prelude::SessionContext;
use lake::TableName;
use model::omop::key::omop_key;

use super::Existing;
use crate::error::Result;
use crate::id_set::IdSet;
use crate::query::{for_each, numbers, quoted, texts};
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
    pub(super) async fn definitions(
        &self,
        session: &SessionContext,
        survey: &mut Survey,
        source_id: &str,
    ) -> Result<()> {
        for (resource_type, table, columns) in [
            ("Medication", "medication_code", "medication_id, code_text, '' as identifier, '' as lot, '' as serial"),
            ("Device", "device_type", "device_id, type_text, device_identifier, lot_number, serial_number"),
        ] {
            if survey.wanted_definitions.is_empty() || !self.tables.contains(&TableName::new("fhir", table)) {
                continue;
            }
            let sql = format!(
                "select {columns}, system, code, display, user_selected, cast(coding_index as bigint) \
                 from fhir.{table} where source_id = '{}'",
                quoted(source_id)
            );
            let mut found: BTreeMap<String, Described> = BTreeMap::new();
            for_each(session, &sql, |batch| {
                let (ids, places) = (texts(batch, 0), numbers(batch, 9));
                let columns = [1, 2, 3, 4, 5, 6, 7, 8].map(|column| texts(batch, column));
                for (row, id) in
                    ids.into_iter().enumerate().filter(|(_, id)| survey.lacks(source_id, resource_type, id))
                {
                    let cells = columns.each_ref().map(|column| column[row].clone());
                    let [text, identifier, lot, serial, coding @ ..] = cells;
                    let described = found.entry(id).or_default();
                    described.codings.insert(places[row], coding);
                    described.rest = [text, identifier, lot, serial];
                }
            })
            .await?;
            for (id, described) in found {
                if let Some(text) = described.text(resource_type) {
                    survey.directory.definitions.insert(name_key(&format!("{resource_type}/{id}")), text.into());
                }
            }
        }
        Ok(())
    }

    /// Adds whose roles PractitionerRoles are; the Practitioners' rows are wanted then.
    pub(super) async fn roles(&self, session: &SessionContext, survey: &mut Survey, source_id: &str) -> Result<()> {
        if survey.wanted_definitions.is_empty() || !self.tables.contains(&TableName::new("fhir", "practitioner_role")) {
            return Ok(());
        }
        let sql = format!(
            "select id, practitioner_id from fhir.practitioner_role \
             where source_id = '{}' and practitioner_id is not null",
            quoted(source_id)
        );
        let mut found = Vec::new();
        for_each(session, &sql, |batch| {
            let pairs = texts(batch, 0).into_iter().zip(texts(batch, 1));
            found.extend(pairs.filter(|(role, _)| survey.lacks(source_id, "PractitionerRole", role)));
        })
        .await?;
        let mut wanted: Vec<i64> = survey.wanted.iter().collect();
        for (role, practitioner) in found {
            let practitioner = format!("Practitioner/{practitioner}");
            wanted.push(omop_key(source_id, &practitioner, "provider", ""));
            let role = name_key(&format!("PractitionerRole/{role}"));
            survey.directory.practitioner_of_role.insert(role, practitioner.into());
        }
        survey.wanted = IdSet::new(wanted);
        Ok(())
    }
}

impl Survey {
    /// True for a resource that references name and the input neither brings nor takes away.
    fn lacks(&self, source_id: &str, resource_type: &str, id: &str) -> bool {
        let name = format!("{resource_type}/{id}");
        self.wanted_definitions.contains(&name_key(&name))
            && !self.keys.contains(omop_key(source_id, &name, "fhir", ""))
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
