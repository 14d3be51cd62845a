//! Practitioner to `provider`. Names, NPI and DEA numbers stay out: they name a person.

use std::borrow::Cow;

use model::fhir::{CodeableConcept, Practitioner};
use model::omop::{NO_MATCHING_CONCEPT, Provider};
use model::vocabulary::value;

use super::Judgement;
use super::draft::{Draft, SOURCE_VALUE};
use crate::vocabulary::Priority;

/// Maps a Practitioner.
pub fn from_practitioner(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let practitioner: Practitioner<'_> = draft.read()?;
    draft.gate_modifiers(&practitioner.modifier_extension, practitioner.implicit_rules.as_ref())?;
    let mut row = Provider {
        provider_id: draft.key("provider", ""),
        year_of_birth: practitioner.birth_date.map(|birth| birth.year()),
        provider_source_value: Some(draft.cut("Practitioner.id", Cow::Borrowed(draft.id()), SOURCE_VALUE)),
        ..Provider::default()
    };
    if let Some(gender) = &practitioner.gender {
        row.gender_concept_id = Some(value("gender", gender).unwrap_or(NO_MATCHING_CONCEPT));
        row.gender_source_value = draft.source_value("Practitioner.gender", Some(gender));
    }
    let is_specialty = |code: &&CodeableConcept<'_>| {
        code.coding.iter().any(|coding| {
            let vocabulary_id = coding.system.as_deref().and_then(model::vocabulary::vocabulary_of_system);
            matches!(vocabulary_id, Some("NUCC" | "SNOMED"))
        })
    };
    let specialty = practitioner.qualification.iter().map(|qualification| &qualification.code).find(is_specialty);
    if let Some(specialty) = specialty {
        let resolved = draft.resolve("Practitioner.qualification.code", specialty, Priority::Clinical);
        row.specialty_concept_id = Some(resolved.concept_id());
        row.specialty_source_concept_id = resolved.source_concept_id;
        row.specialty_source_value = resolved.source_value;
    }
    draft.push(row, "".into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::map::sample::rows;

    #[test]
    fn a_provider_has_no_name_and_no_number() {
        let json = r#"{"resourceType":"Practitioner","id":"d","gender":"female","birthDate":"1970-02",
            "identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1234567890"}],
            "name":[{"family":"Secret"}],"qualification":[{"code":{"text":"MD"}}]}"#;
        let rows = rows(json, "provider");
        assert_eq!(rows.len(), 1);
        for expected in
            ["gender_concept_id: Some(8532)", "year_of_birth: Some(1970)", r#"provider_source_value: Some("d")"#]
        {
            assert!(rows[0].contains(expected), "{expected} in {}", rows[0]);
        }
        for hidden in ["Secret", "1234567890", "MD"] {
            assert!(!rows[0].contains(hidden), "{hidden} in {}", rows[0]);
        }
    }
}
