//! Patient to `person`, with its `location`, its `death` and, where there are several, its races as observations.

use std::borrow::Cow;

use model::fhir::{Extension, Patient};
use model::omop::{NO_MATCHING_CONCEPT, Observation, Person};
use model::vocabulary::{rule, value};

use super::draft::{Draft, SOURCE_VALUE};
use super::{Judgement, REPLACED, death, location};

const RACE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";
const ETHNICITY: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity";
const BIRTH_SEX: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex";
const BIRTH_TIME: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthTime";

/// Maps a Patient.
pub fn from_patient(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let patient: Patient<'_> = draft.read()?;
    draft.gate_modifiers(&patient.modifier_extension, patient.implicit_rules.as_ref())?;
    if patient.active == Some(false) && patient.link.iter().any(|link| link.link_type.as_deref() == Some("replaced-by"))
    {
        return Err(Judgement::excluded(REPLACED, "replaced-by"));
    }
    let Some(birth) = patient.birth_date else {
        return Err(Judgement::missing("Patient.birthDate", "expected at least the year of birth"));
    };
    let person_id = draft.key("person", "");
    let (gender_concept_id, gender_source_value) = gender(draft, &patient);
    let race = Heritage::read(draft, "Patient.extension(us-core-race)", &patient.extension, RACE, "race");
    let ethnicity =
        Heritage::read(draft, "Patient.extension(us-core-ethnicity)", &patient.extension, ETHNICITY, "ethnicity");
    let birth_time = patient.birth_date_element.as_ref().and_then(|element| find(&element.extension, BIRTH_TIME));
    let address = location::home(&patient.address);
    let mut person = Person {
        person_id,
        gender_concept_id,
        year_of_birth: birth.year(),
        month_of_birth: birth.month().map(|month| month as i32),
        day_of_birth: birth.day().map(|day| day as i32),
        birth_datetime: birth_time.and_then(|time| time.value_date_time).and_then(|time| time.utc()),
        race_concept_id: race.concept_id(rule::RACE_MORE_THAN_ONE),
        ethnicity_concept_id: ethnicity.concept_id(NO_MATCHING_CONCEPT),
        person_source_value: Some(draft.cut("Patient.id", Cow::Borrowed(draft.id()), SOURCE_VALUE)),
        gender_source_value,
        gender_source_concept_id: Some(NO_MATCHING_CONCEPT),
        race_source_value: race.source_value.clone(),
        race_source_concept_id: Some(NO_MATCHING_CONCEPT),
        ethnicity_source_value: ethnicity.source_value.clone(),
        ethnicity_source_concept_id: Some(NO_MATCHING_CONCEPT),
        ..Person::default()
    };
    person.provider_id = draft.provider("Patient.generalPractitioner", &patient.general_practitioner);
    person.care_site_id = draft.care_site("Patient.managingOrganization", &patient.managing_organization);
    person.location_id = address.and_then(|address| location::from_address(draft, address));
    draft.push(person, "".into());
    death::from_patient(draft, &patient, person_id);
    race.push_each(draft, "Patient.extension(us-core-race)", "race", person_id);
    ethnicity.push_each(draft, "Patient.extension(us-core-ethnicity)", "ethnicity", person_id);
    Ok(())
}

/// The sex at birth decides where it is told; the source value is the code that says the same.
fn gender<'d>(draft: &mut Draft<'d, '_>, patient: &Patient<'d>) -> (i32, Option<Cow<'d, str>>) {
    let stated = patient.gender.as_deref().and_then(|code| value("gender", code)).unwrap_or(NO_MATCHING_CONCEPT);
    let birth_sex = find(&patient.extension, BIRTH_SEX).and_then(|extension| extension.value_code.as_ref());
    let at_birth = match birth_sex.map(|code| &**code) {
        Some("M") => Some(rule::GENDER_MALE),
        Some("F") => Some(rule::GENDER_FEMALE),
        _ => None,
    };
    match at_birth {
        Some(concept_id) if concept_id != stated => {
            (concept_id, draft.source_value("Patient.extension(us-core-birthsex)", birth_sex))
        }
        _ => (stated, draft.source_value("Patient.gender", patient.gender.as_ref())),
    }
}

/// Race or ethnicity: the concept and code of each category, and all codes as the source value.
struct Heritage<'d> {
    categories: Vec<(i32, Cow<'d, str>)>,
    source_value: Option<Cow<'d, str>>,
}

impl<'d> Heritage<'d> {
    fn read(
        draft: &mut Draft<'d, '_>,
        element: &'static str,
        extensions: &[Extension<'d>],
        url: &str,
        map: &str,
    ) -> Self {
        let inner = find(extensions, url).map_or(&[] as &[_], |extension| &extension.extension);
        let mut categories: Vec<(i32, Cow<'d, str>)> = Vec::new();
        let mut codes: Vec<Cow<'d, str>> = Vec::new();
        for part in ["ombCategory", "detailed"] {
            for coding in inner.iter().filter(|inner| inner.url.as_deref() == Some(part)) {
                let Some(code) = coding.value_coding.as_ref().and_then(|coding| coding.code.as_ref()) else {
                    continue;
                };
                codes.push(code.to_cow());
                let concept_id = value(map, code).unwrap_or(NO_MATCHING_CONCEPT);
                let is_new = categories.iter().all(|(held, _)| *held != concept_id);
                if part == "ombCategory" && concept_id != NO_MATCHING_CONCEPT && is_new {
                    categories.push((concept_id, code.to_cow()));
                }
            }
        }
        let text = match codes.len() {
            0 | 1 => codes.pop(),
            _ => Some(Cow::Owned(codes.join("|"))),
        };
        let source_value = text.map(|text| draft.cut(element, text, SOURCE_VALUE));
        Heritage { categories, source_value }
    }

    /// Where there are several, one observation each, dated with the last visit: a Patient says no day.
    fn push_each(self, draft: &mut Draft<'d, '_>, element: &'static str, part: &str, person_id: i64) {
        if self.categories.len() < 2 {
            return;
        }
        let Some(date) = draft.context.references.last_visit_date(person_id) else {
            draft.lose(element, "no_date");
            return;
        };
        for (index, (concept_id, code)) in self.categories.into_iter().enumerate() {
            let part = format!("{part}[{index}]");
            let row = Observation {
                observation_id: draft.key("observation", &part),
                person_id,
                observation_concept_id: rule::RACE_OBSERVATION,
                observation_date: date,
                observation_type_concept_id: rule::TYPE_EHR,
                value_as_concept_id: Some(concept_id),
                observation_source_value: Some(draft.cut(element, code, SOURCE_VALUE)),
                ..Observation::default()
            };
            draft.push(row, part.into());
        }
    }

    fn concept_id(&self, several: i32) -> i32 {
        match self.categories.as_slice() {
            [] => NO_MATCHING_CONCEPT,
            [(one, _)] => *one,
            _ => several,
        }
    }
}

fn find<'k, 'd>(extensions: &'k [Extension<'d>], url: &str) -> Option<&'k Extension<'d>> {
    extensions.iter().find(|extension| extension.url.as_deref() == Some(url))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use model::omop::key::omop_key;

    use super::super::sample::{Setting, assert_says, judgement, losses, only, rows, rows_with};

    fn patient(rest: &str) -> String {
        format!(r#"{{"resourceType":"Patient","id":"p1","birthDate":"1980-07-04"{rest}}}"#)
    }

    fn heritage(name: &str, codes: &[&str]) -> String {
        let codes: Vec<_> = codes
            .iter()
            .map(|code| format!(r#"{{"url":"ombCategory","valueCoding":{{"system":"urn:oid:2.16.840.1.113883.6.238","code":"{code}"}}}}"#))
            .collect();
        format!(
            r#","extension":[{{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-{name}","extension":[{}]}}]"#,
            codes.join(",")
        )
    }

    #[test]
    fn a_patient_is_a_person_keyed_by_its_logical_id() {
        let person = &rows(
            &patient(
                r#","gender":"female","name":[{"family":"Secret"}],"identifier":[{"value":"MRN-1"}],"generalPractitioner":[{"reference":"Practitioner/d"}],"managingOrganization":{"reference":"Organization/o"}"#,
            ),
            "person",
        )[0];
        assert_says(
            person,
            &[
                &format!("person_id: {}", omop_key("test", "Patient/p1", "person", "")),
                "gender_concept_id: 8532, year_of_birth: 1980, month_of_birth: Some(7), day_of_birth: Some(4)",
                "birth_datetime: None",
                "race_concept_id: 0, ethnicity_concept_id: 0",
                &format!("provider_id: Some({})", omop_key("test", "Practitioner/d", "provider", "")),
                &format!("care_site_id: Some({})", omop_key("test", "Organization/o", "care_site", "")),
                r#"person_source_value: Some("p1"), gender_source_value: Some("female")"#,
            ],
        );
        assert!(!person.contains("Secret") && !person.contains("MRN"), "{person}");
    }

    #[test]
    fn gender_without_a_standard_concept_is_zero_with_its_source_value() {
        for (code, concept) in [("male", 8507), ("other", 0), ("unknown", 0)] {
            let person = &rows(&patient(&format!(r#","gender":"{code}""#)), "person")[0];
            assert_says(
                person,
                &[&format!("gender_concept_id: {concept},"), &format!(r#"gender_source_value: Some("{code}")"#)],
            );
        }
        assert_says(&rows(&patient(""), "person")[0], &["gender_concept_id: 0,", "gender_source_value: None"]);
    }

    #[test]
    fn the_sex_at_birth_decides() {
        let birth_sex = |code: &str| {
            format!(
                r#","gender":"other","extension":[{{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"{code}"}}]"#
            )
        };
        assert_says(
            &rows(&patient(&birth_sex("F")), "person")[0],
            &["gender_concept_id: 8532,", r#"gender_source_value: Some("F")"#],
        );
        assert_says(
            &rows(&patient(&birth_sex("UNK")), "person")[0],
            &["gender_concept_id: 0,", r#"gender_source_value: Some("other")"#],
        );
    }

    #[test]
    fn an_unknown_month_or_day_of_birth_stays_unknown() {
        let json = r#"{"resourceType":"Patient","id":"p","birthDate":"1980"}"#;
        assert_says(&rows(json, "person")[0], &["year_of_birth: 1980, month_of_birth: None, day_of_birth: None"]);
        let json = r#"{"resourceType":"Patient","id":"p","birthDate":"1980-02","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1980-02-03T04:05:06+01:00"}]}}"#;
        assert_says(
            &rows(json, "person")[0],
            &["month_of_birth: Some(2), day_of_birth: None, birth_datetime: Some(1980-02-03T03:05:06)"],
        );
        assert_eq!(
            judgement(r#"{"resourceType":"Patient","id":"p"}"#),
            "rejected: missing_element (Patient.birthDate)"
        );
        assert_eq!(
            judgement(r#"{"resourceType":"Patient","id":"p","birthDate":"1980-13"}"#),
            "rejected: wrong_type (Patient.birthDate)"
        );
    }

    #[test]
    fn race_and_ethnicity_come_from_the_categories() {
        for (code, concept) in [
            ("2106-3", 8527),
            ("2054-5", 8516),
            ("2028-9", 8515),
            ("1002-5", 8657),
            ("2076-8", 8557),
            ("UNK", 0),
            ("2131-1", 0),
        ] {
            let person = &rows(&patient(&heritage("race", &[code])), "person")[0];
            assert_says(
                person,
                &[&format!("race_concept_id: {concept},"), &format!(r#"race_source_value: Some("{code}")"#)],
            );
        }
        for (code, concept) in [("2135-2", 38003563), ("2186-5", 38003564)] {
            let person = &rows(&patient(&heritage("ethnicity", &[code])), "person")[0];
            assert_says(person, &[&format!("ethnicity_concept_id: {concept},")]);
        }
        assert_says(&rows(&patient(&heritage("race", &["UNK", "2106-3"])), "person")[0], &["race_concept_id: 8527,"]);
    }

    #[test]
    fn several_races_are_observations_on_the_day_of_the_last_visit() {
        let json = patient(&heritage("race", &["2106-3", "2028-9"]));
        assert_says(
            &rows(&json, "person")[0],
            &["race_concept_id: 1546847,", r#"race_source_value: Some("2106-3|2028-9")"#],
        );
        assert_eq!(losses(&json), ["Patient.extension(us-core-race) no_date"]);
        let mut setting: Setting = only(&[]);
        let directory = setting.directory.as_mut().unwrap();
        let person_id = omop_key("test", "Patient/p1", "person", "");
        directory.last_visits.insert(person_id, NaiveDate::from_ymd_opt(2024, 2, 3).unwrap());
        let observations = rows_with(&json, "observation", &setting);
        assert_eq!(observations.len(), 2);
        assert_says(
            &observations[0],
            &[
                "[race[0]]",
                "observation_concept_id: 4013886, observation_date: 2024-02-03",
                "value_as_concept_id: Some(8527)",
            ],
        );
        assert_says(&observations[1], &["[race[1]]", "value_as_concept_id: Some(8515)"]);
        let both = patient(&heritage("ethnicity", &["2135-2", "2186-5"]));
        assert_says(&rows(&both, "person")[0], &["ethnicity_concept_id: 0,"]);
        assert_eq!(rows_with(&both, "observation", &setting).len(), 2);
    }

    #[test]
    fn a_location_is_coarse_unless_asked_for() {
        let json = patient(
            r#","address":[{"use":"old","state":"NY"},{"use":"home","line":["1 Main St"],"city":"Salem","district":"Essex","state":"Massachusetts","postalCode":"01970-1234","country":"US"}]"#,
        );
        let location = &rows(&json, "location")[0];
        assert_says(
            location,
            &[
                &format!("location_id: {}", omop_key("test", "MA|019|Essex|US", "location", "")),
                r#"address_1: None, address_2: None, city: None, state: Some("MA"), zip: Some("019"), county: Some("Essex")"#,
                r#"location_source_value: Some("MA|019|Essex|US")"#,
            ],
        );
        let kept = &rows_with(&json, "location", &Setting { keep_address: true, ..Setting::default() })[0];
        assert_says(kept, &[r#"address_1: Some("1 Main St")"#, r#"city: Some("Salem")"#, r#"zip: Some("01970-123")"#]);
        assert!(rows(&patient(""), "location").is_empty());
        let abroad = patient(r#","address":[{"state":"Bayern","country":"DE"}]"#);
        assert_says(&rows(&abroad, "location")[0], &["state: None", r#"country_source_value: Some("DE")"#]);
        assert_eq!(losses(&abroad), ["Address.state no_target"]);
    }

    #[test]
    fn records_that_mean_something_else_are_stopped() {
        let replaced = patient(r#","active":false,"link":[{"type":"replaced-by","other":{"reference":"Patient/p2"}}]"#);
        assert_eq!(judgement(&replaced), "excluded: replaced_record (replaced-by)");
        let modified = patient(r#","modifierExtension":[{"url":"http://example.org/not"}]"#);
        assert_eq!(judgement(&modified), "rejected: unknown_modifier_extension (Patient.modifierExtension)");
        let ruled = patient(r#","implicitRules":"http://example.org/rules""#);
        assert_eq!(judgement(&ruled), "rejected: unknown_implicit_rules (Patient.implicitRules)");
        assert_eq!(judgement(&patient(r#","active":false"#)), "mapped");
    }
}
