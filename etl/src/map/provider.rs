//! Practitioner and PractitionerRole to `provider`. Names, NPI and DEA numbers stay out: they name a person.
//!
//! A role adds specialty and place to its practitioner's row; where there is no such practitioner it is a row itself.

use std::borrow::Cow;

use model::document::Tape;
use model::fhir::{CodeableConcept, Practitioner, PractitionerRole};
use model::omop::{NO_MATCHING_CONCEPT, Provider};
use model::vocabulary::value;

use super::Judgement;
use super::draft::{Draft, SOURCE_VALUE, literal};
use crate::vocabulary::{Priority, Resolution};

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
        set_specialty(&mut row, resolved);
    }
    if let Some(json) = draft.context.references.definition(draft.name(), "Practitioner") {
        let mut tape = Tape::default();
        // A role that cannot be read is rejected where it stands.
        if let Ok(role) = tape.parse(json)
            && let Ok(role) = role.read::<PractitionerRole<'_>>()
        {
            if let Some(specialty) = role.specialty.iter().find(|code| !code.coding.is_empty()) {
                let resolved = draft.context.vocabulary.resolve(specialty, Priority::Clinical).into_owned();
                let resolved = draft.cover("PractitionerRole.specialty", resolved);
                set_specialty(&mut row, resolved);
            }
            let place = role.organization.as_ref().and_then(literal);
            row.care_site_id = place.and_then(|place| draft.context.references.care_site(&place));
        }
    }
    draft.push(row, "".into());
    Ok(())
}

/// Maps a PractitionerRole.
pub fn from_practitioner_role(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let role: PractitionerRole<'_> = draft.read()?;
    draft.gate_modifiers(&role.modifier_extension, role.implicit_rules.as_ref())?;
    if role.active == Some(false) {
        return Err(Judgement::excluded("status_inactive", "inactive"));
    }
    let practitioner = role.practitioner.as_ref().and_then(literal);
    if practitioner.is_some_and(|practitioner| draft.context.references.provider(&practitioner).is_some()) {
        return Err(Judgement::excluded("merged_into_provider", "specialty and place go to the Practitioner's row"));
    }
    let mut row = Provider {
        provider_id: draft.key("provider", ""),
        care_site_id: draft.care_site("PractitionerRole.organization", &role.organization),
        provider_source_value: Some(draft.cut("PractitionerRole.id", Cow::Borrowed(draft.id()), SOURCE_VALUE)),
        ..Provider::default()
    };
    if let Some(specialty) = role.specialty.iter().find(|code| !code.coding.is_empty()) {
        let resolved = draft.resolve("PractitionerRole.specialty", specialty, Priority::Clinical);
        set_specialty(&mut row, resolved);
    }
    draft.push(row, "".into());
    Ok(())
}

fn set_specialty<'d>(row: &mut Provider<'d>, specialty: Resolution<'d>) {
    row.specialty_concept_id = Some(specialty.concept_id());
    row.specialty_source_concept_id = specialty.source_concept_id;
    row.specialty_source_value = specialty.source_value;
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
