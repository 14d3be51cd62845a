//! Patient.deceased[x] to `death`.

use model::fhir::Patient;
use model::omop::Death;
use model::vocabulary::rule;

use super::draft::Draft;

/// A row when the day of death is known. `true` without a day makes none, since the CDM asks for one and any other day
/// would be made up; it is counted.
pub fn from_patient(draft: &mut Draft<'_, '_>, patient: &Patient<'_>, person_id: i64) {
    let Some(deceased) = &patient.deceased_date_time else {
        if patient.deceased_boolean == Some(true) {
            draft.lose("Patient.deceasedBoolean", "no_date");
        }
        return;
    };
    draft.note_precision("Patient.deceasedDateTime", deceased);
    let row = Death {
        person_id,
        death_date: deceased.date,
        death_datetime: deceased.utc(),
        death_type_concept_id: Some(rule::TYPE_EHR),
        ..Death::default()
    };
    draft.push(row, "".into());
}

#[cfg(test)]
mod tests {
    use crate::map::sample::{losses, rows};

    #[test]
    fn a_day_of_death_is_a_row_and_a_mere_yes_is_counted() {
        let json =
            r#"{"resourceType":"Patient","id":"p","birthDate":"1950","deceasedDateTime":"2020-03-04T23:30:00-05:00"}"#;
        let rows = rows(json, "death");
        assert_eq!(rows.len(), 1);
        assert!(rows[0].contains("death_date: 2020-03-04, death_datetime: Some(2020-03-05T04:30:00)"), "{}", rows[0]);
        assert!(rows[0].contains("death_type_concept_id: Some(32817)"), "{}", rows[0]);
        let json = r#"{"resourceType":"Patient","id":"p","birthDate":"1950","deceasedBoolean":true}"#;
        assert!(super::super::sample::rows(json, "death").is_empty());
        assert_eq!(losses(json), ["Patient.deceasedBoolean no_date"]);
    }
}
