//! Observation and its components to `measurement`, `observation` or wherever the domain says.

use model::fhir::{CodeableConcept, DateTime, Observation, Reference, ReferenceRange, Value};
use model::omop::Measurement;
use model::vocabulary::{rule, value};

use super::Judgement;
use super::draft::{Draft, Visit, literal, names_type};
use super::event::Event;
use super::value::{Found, event_value};
use crate::vocabulary::{Domain, Priority};

/// Maps an Observation.
pub fn from_observation(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let observation: Observation<'_> = draft.read()?;
    draft.gate_modifiers(&observation.modifier_extension, observation.implicit_rules.as_ref())?;
    for (index, component) in observation.component.iter().enumerate() {
        draft.gate_extensions(&format!("component[{index}]"), &component.modifier_extension)?;
    }
    draft.gate_status("Observation.status", observation.status.as_deref(), &["final", "amended", "corrected"])?;
    let has_components = observation.component.iter().any(|component| component.data_absent_reason.is_none());
    if let Some(reason) = observation.data_absent_reason.as_ref().filter(|_| !has_components) {
        return Err(Judgement::excluded("data_absent", reason.first_code().unwrap_or_default()));
    }
    let person_id = draft.person("Observation.subject", observation.subject.as_ref())?;
    let start = start(draft, &observation)?;
    let setting = Setting {
        person_id,
        start,
        default: default_domain(&observation),
        type_concept_id: type_concept_id(&observation, start),
        visit: draft.visit("Observation.encounter", observation.encounter.as_ref()),
        provider_id: draft.provider("Observation.performer", &observation.performer),
    };
    let mut about = None;
    let own = Reading {
        element: "Observation.code",
        code: &observation.code,
        value: observation.value(),
        interpretation: &observation.interpretation,
        reference_range: &observation.reference_range,
    };
    if observation.data_absent_reason.is_none() && (own.value.is_some() || observation.component.is_empty()) {
        about = own.emit(draft, &setting, String::new(), None);
    }
    for (index, component) in observation.component.iter().enumerate() {
        if component.data_absent_reason.is_some() {
            draft.lose("Observation.component", "data_absent");
            continue;
        }
        let reading = Reading {
            element: "Observation.component.code",
            code: &component.code,
            value: component.value(),
            interpretation: &component.interpretation,
            reference_range: &component.reference_range,
        };
        reading.emit(draft, &setting, format!("component[{index}]"), about);
    }
    if draft.has_rows() {
        // Which rows other Observations make is known when all are written; of the rest nothing is an event.
        for (references, element) in
            [(&observation.has_member, "Observation.hasMember"), (&observation.derived_from, "Observation.derivedFrom")]
        {
            for _ in references.iter().filter(|reference| !may_be_observation(reference)) {
                draft.lose(element, "no_target");
            }
        }
        return Ok(());
    }
    let is_absent = !observation.component.is_empty() && !has_components;
    Err(Judgement::excluded(if is_absent { "data_absent" } else { "domain_visit" }, "Observation.code"))
}

/// The row of an event.
pub fn row<'d>(key: i64, concept_id: i32, event: &Event<'d>) -> Measurement<'d> {
    Measurement {
        measurement_id: key,
        person_id: event.person_id,
        measurement_concept_id: concept_id,
        measurement_date: event.start.date,
        measurement_datetime: event.start.utc(),
        measurement_type_concept_id: event.type_concept_id,
        operator_concept_id: event.value.operator_concept_id,
        value_as_number: event.value.number,
        value_as_concept_id: event.value.concept_id.or(event.qualifier_concept_id.filter(|_| !event.value.is_some())),
        unit_concept_id: event.value.unit_concept_id,
        range_low: event.value.range_low,
        range_high: event.value.range_high,
        provider_id: event.provider_id,
        visit_occurrence_id: event.visit.visit_occurrence_id,
        visit_detail_id: event.visit.visit_detail_id,
        measurement_source_value: event.source_value.clone(),
        measurement_source_concept_id: event.source_concept_id,
        unit_source_value: event.value.unit_source_value.clone(),
        value_source_value: event
            .value
            .source_value
            .clone()
            .or_else(|| event.qualifier_source_value.clone().filter(|_| !event.value.is_some())),
        measurement_event_id: event.about.map(|(key, _)| key),
        meas_event_field_concept_id: event.about.map(|(_, field)| field),
        ..Measurement::default()
    }
}

/// What an Observation's results share.
struct Setting {
    person_id: i64,
    start: DateTime,
    default: Domain,
    type_concept_id: i32,
    visit: Visit,
    provider_id: Option<i64>,
}

/// One result: the Observation's own or a component's.
struct Reading<'k, 'd> {
    element: &'static str,
    code: &'k CodeableConcept<'d>,
    value: Option<Value<'k, 'd>>,
    interpretation: &'k [CodeableConcept<'d>],
    reference_range: &'k [ReferenceRange<'d>],
}

impl<'d> Reading<'_, 'd> {
    /// Writes the rows; returns the key and the field concept of the first, for what is about it.
    fn emit(
        &self,
        draft: &mut Draft<'d, '_>,
        setting: &Setting,
        part: String,
        about: Option<(i64, i32)>,
    ) -> Option<(i64, i32)> {
        let code = draft.resolve(self.element, self.code, Priority::Observation);
        let mut event = Event::new(setting.default, setting.person_id, setting.start, setting.type_concept_id, &code);
        event.part = part;
        event.visit = setting.visit;
        event.provider_id = setting.provider_id;
        event.about = about;
        let found = Found { element: "Observation.value[x]", value: self.value, reference_range: self.reference_range };
        event.value = event_value(draft, &found);
        if event.value.concept_id.is_none() {
            event.value.concept_id = code.value_concept_id;
        }
        if let Some(interpretation) = self.interpretation.iter().find(|concept| !concept.coding.is_empty()) {
            let known = interpretation.coding.iter().find_map(|coding| {
                let code = coding.code.as_ref()?;
                Some((value("interpretation", code)?, code))
            });
            event.qualifier_concept_id = known.map(|(concept_id, _)| concept_id);
            event.qualifier_source_value = match known {
                Some((_, code)) => draft.source_value("Observation.interpretation", Some(code)),
                None => draft.first_code("Observation.interpretation", interpretation),
            };
        }
        if self.interpretation.len() > 1 {
            draft.lose("Observation.interpretation", "first_of_many");
        }
        let (domain, key) = draft.emit(self.element, &event, &code)?;
        if domain == Domain::Measurement && event.value.is_some() && !self.interpretation.is_empty() {
            draft.lose("Observation.interpretation", "no_target");
        }
        match domain {
            Domain::Measurement => Some((key, rule::FIELD_MEASUREMENT_ID)),
            Domain::Observation => Some((key, rule::FIELD_OBSERVATION_ID)),
            _ => None,
        }
    }
}

fn start(draft: &mut Draft<'_, '_>, observation: &Observation<'_>) -> Result<DateTime, Judgement> {
    let effective = observation
        .effective_date_time
        .or(observation.effective_period.as_ref().and_then(|period| period.start))
        .or(observation.effective_instant)
        .or(observation.effective_timing.as_ref().and_then(|timing| timing.event.first().copied()));
    if let Some(effective) = effective {
        draft.note_precision("Observation.effective[x]", &effective);
        return Ok(effective);
    }
    let Some(issued) = observation.issued else {
        return Err(Judgement::missing("Observation.effective[x]", "expected a date, or the moment of issue"));
    };
    draft.lose("Observation.effective[x]", "date_from_issued");
    Ok(issued)
}

fn may_be_observation(reference: &Reference<'_>) -> bool {
    names_type(reference, &["Observation"]) || literal(reference).is_some_and(|target| target.starts_with("urn:"))
}

fn has_category(observation: &Observation<'_>, code: &str) -> bool {
    observation.category.iter().any(|category| category.has_code(code))
}

fn default_domain(observation: &Observation<'_>) -> Domain {
    if has_category(observation, "laboratory") || has_category(observation, "vital-signs") {
        Domain::Measurement
    } else {
        Domain::Observation
    }
}

/// Who says so decides first, then what kind of observation it is.
fn type_concept_id(observation: &Observation<'_>, start: DateTime) -> i32 {
    let is_patient = observation.performer.iter().any(|performer| names_type(performer, &["Patient"]));
    if is_patient {
        return rule::TYPE_PATIENT_SELF_REPORT;
    }
    if start.is_partial() {
        return rule::TYPE_EHR;
    }
    let codes = observation.category.iter().flat_map(|category| &category.coding);
    let known = codes.filter_map(|coding| value("observation_category", coding.code.as_deref()?)).next();
    known.unwrap_or(rule::TYPE_EHR)
}

#[cfg(test)]
mod tests {
    use model::omop::key::omop_key;

    use super::super::sample::{assert_says, judgement, losses, rows};

    fn observation(code: &str, rest: &str) -> String {
        format!(
            r#"{{"resourceType":"Observation","id":"o","status":"final","subject":{{"reference":"Patient/p"}},"effectiveDateTime":"2024-01-02T10:00:00Z","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}}{rest}}}"#
        )
    }

    const VITAL: &str = r#","category":[{"coding":[{"code":"vital-signs"}]}]"#;
    const LAB: &str = r#","category":[{"coding":[{"code":"laboratory"}]}]"#;

    #[test]
    fn a_number_with_its_unit_is_a_measurement() {
        let json = observation(
            "8302-2",
            &format!(
                r#"{VITAL},"encounter":{{"reference":"Encounter/e"}},"performer":[{{"reference":"Practitioner/d"}}],"valueQuantity":{{"value":170.50,"unit":"centimeters","system":"http://unitsofmeasure.org","code":"cm"}}"#
            ),
        );
        assert_says(
            &rows(&json, "measurement")[0],
            &[
                &format!("measurement_id: {}", omop_key("test", "Observation/o", "measurement", "")),
                "measurement_concept_id: 3036277, measurement_date: 2024-01-02, measurement_datetime: Some(2024-01-02T10:00:00), measurement_time: None, measurement_type_concept_id: 32817, operator_concept_id: None, value_as_number: Some(170.5), value_as_concept_id: None, unit_concept_id: Some(8582)",
                &format!("provider_id: Some({})", omop_key("test", "Practitioner/d", "provider", "")),
                r#"measurement_source_value: Some("8302-2"), measurement_source_concept_id: Some(3036277), unit_source_value: Some("cm"), unit_source_concept_id: None, value_source_value: Some("170.50")"#,
            ],
        );
    }

    #[test]
    fn units_are_told_by_code_and_operators_by_comparator() {
        let lab = |quantity: &str| {
            rows(&observation("2160-0", &format!(r#"{LAB},"valueQuantity":{{{quantity}}}"#)), "measurement").remove(0)
        };
        for (unit, concept) in [("mg/dL", 8840), ("U/L", 8645), ("kU/L", 8810), ("{score}", 0)] {
            let row =
                lab(&format!(r#""value":1,"unit":"whatever","system":"http://unitsofmeasure.org","code":"{unit}""#));
            assert_says(
                &row,
                &[&format!("unit_concept_id: Some({concept})"), &format!(r#"unit_source_value: Some("{unit}")"#)],
            );
        }
        assert_says(&lab(r#""value":1"#), &["unit_concept_id: None", "unit_source_value: None"]);
        assert_says(
            &lab(r#""value":1,"unit":"mg/dL""#),
            &["unit_concept_id: Some(8840)", r#"unit_source_value: Some("mg/dL")"#],
        );
        for (comparator, concept) in [("<", 4171756), ("<=", 4171754), (">=", 4171755), (">", 4172704)] {
            let row = lab(&format!(r#""value":5,"comparator":"{comparator}""#));
            assert_says(&row, &[&format!("operator_concept_id: Some({concept})"), r#"value_source_value: Some("5")"#]);
        }
        assert_says(&lab(r#""value":5"#), &["operator_concept_id: None"]);
    }

    #[test]
    fn the_components_of_a_panel_are_rows_and_the_panel_is_none() {
        let component = |code: &str, value: &str| {
            format!(r#"{{"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}},{value}}}"#)
        };
        let quantity = |value: i32| {
            format!(r#""valueQuantity":{{"value":{value},"code":"mm[Hg]","system":"http://unitsofmeasure.org"}}"#)
        };
        let json = observation(
            "85354-9",
            &format!(
                r#"{VITAL},"component":[{},{},{}]"#,
                component("8462-4", &quantity(80)),
                component("8480-6", &quantity(120)),
                component("8478-0", r#""dataAbsentReason":{"coding":[{"code":"unknown"}]}"#)
            ),
        );
        let rows = rows(&json, "measurement");
        assert_eq!(rows.len(), 2);
        let key = omop_key("test", "Observation/o", "measurement", "component[1]");
        assert_says(
            &rows[0],
            &[
                "[component[0]]",
                "measurement_concept_id: 3012888",
                "value_as_number: Some(80.0)",
                "unit_concept_id: Some(8876)",
            ],
        );
        assert_says(
            &rows[1],
            &[&format!("measurement_id: {key}"), "measurement_concept_id: 3004249", "measurement_event_id: None"],
        );
        assert_eq!(losses(&json), ["Observation.component data_absent"]);
        let absent = observation(
            "85354-9",
            &format!(r#","component":[{}]"#, component("8480-6", r#""dataAbsentReason":{"text":"x"}"#)),
        );
        assert!(judgement(&absent).starts_with("excluded: data_absent"));
    }

    #[test]
    fn a_component_is_linked_to_a_panel_with_a_value_of_its_own() {
        let json = observation(
            "2160-0",
            &format!(
                r#"{LAB},"valueQuantity":{{"value":1}},"component":[{{"code":{{"coding":[{{"system":"http://loinc.org","code":"4548-4"}}]}},"valueInteger":6}}]"#
            ),
        );
        let parent = omop_key("test", "Observation/o", "measurement", "");
        assert_says(
            &rows(&json, "measurement")[1],
            &[
                "value_as_number: Some(6.0)",
                &format!("measurement_event_id: Some({parent}), meas_event_field_concept_id: Some(1147138)"),
            ],
        );
    }

    #[test]
    fn what_was_not_measured_is_no_row() {
        let json = observation("2160-0", r#","dataAbsentReason":{"coding":[{"code":"not-performed"}]}"#);
        assert_eq!(judgement(&json), "excluded: data_absent (not-performed)");
        for status in ["registered", "preliminary", "cancelled", "entered-in-error", "unknown"] {
            let json = observation("2160-0", "").replace("final", status);
            assert_eq!(judgement(&json), format!("excluded: status_{} ({status})", status.replace('-', "_")));
        }
        for status in ["amended", "corrected"] {
            assert_eq!(judgement(&observation("2160-0", "").replace("final", status)), "mapped");
        }
        let modified = observation("2160-0", r#","component":[{"modifierExtension":[{"url":"u"}],"code":{}}]"#);
        assert_eq!(
            judgement(&modified),
            "rejected: unknown_modifier_extension (Observation.component[0].modifierExtension)"
        );
    }

    #[test]
    fn the_domain_decides_and_the_category_only_for_unknown_codes() {
        let json = observation("72166-2", &format!(r#"{LAB},"valueString":"never""#));
        assert_says(
            &rows(&json, "observation")[0],
            &[
                "observation_concept_id: 43054909",
                r#"value_as_string: Some("never")"#,
                r#"value_source_value: Some("never")"#,
            ],
        );
        let unknown = observation("x-1", &format!(r#"{LAB},"valueString":"{}""#, "long ".repeat(20)));
        let row = &rows(&unknown, "measurement")[0];
        assert_says(
            row,
            &[
                "measurement_concept_id: 0,",
                "measurement_type_concept_id: 32856",
                r#"measurement_source_value: Some("x-1")"#,
            ],
        );
        assert!(losses(&unknown).contains(&"Observation.value[x] truncated".to_owned()));
        assert_eq!(rows(&observation("x-1", ""), "observation").len(), 1);
    }

    #[test]
    fn a_number_that_lands_among_conditions_is_kept_as_a_residual_observation() {
        let json = observation("8302-2", r#","valueQuantity":{"value":3}"#)
            .replace("http://loinc.org", "http://snomed.info/sct")
            .replace("8302-2", "44054006");
        assert_says(&rows(&json, "condition_occurrence")[0], &["condition_concept_id: 201826"]);
        assert_says(&rows(&json, "observation")[0], &["observation_concept_id: 201826", "value_as_number: Some(3.0)"]);
        assert!(losses(&json).contains(&"Observation.code residual".to_owned()));
        let denied = json.replace(r#""valueQuantity":{"value":3}"#, r#""valueBoolean":false"#);
        assert!(rows(&denied, "condition_occurrence").is_empty());
        assert_says(&rows(&denied, "observation")[0], &["value_as_concept_id: Some(4188540)"]);
    }

    #[test]
    fn every_type_of_value_has_its_columns() {
        for (value, expected) in [
            (r#""valueBoolean":true"#, r#"value_as_number: None, value_as_concept_id: Some(4188539)"#),
            (r#""valueInteger":7"#, "value_as_number: Some(7.0)"),
            (r#""valueRatio":{"numerator":{"value":1},"denominator":{"value":32}}"#, "value_as_number: Some(32.0)"),
            (
                r#""valueRatio":{"numerator":{"value":1},"denominator":{"value":32}}"#,
                r#"value_source_value: Some("1:32")"#,
            ),
            (
                r#""valueRatio":{"numerator":{"value":6,"code":"mg"},"denominator":{"value":2,"code":"dL"}}"#,
                r#"value_as_number: Some(3.0), value_as_concept_id: None, unit_concept_id: Some(8840)"#,
            ),
            (r#""valueRange":{"low":{"value":2},"high":{"value":4}}"#, "value_as_number: Some(3.0)"),
            (r#""valueRange":{"high":{"value":4}}"#, "operator_concept_id: Some(4171754), value_as_number: Some(4.0)"),
            (r#""valueTime":"08:30:00""#, r#"value_source_value: Some("08:30:00")"#),
            (r#""valueDateTime":"2024-01-02""#, r#"value_source_value: Some("2024-01-02")"#),
            (r#""valuePeriod":{"start":"2024-01-02"}"#, r#"value_source_value: Some("2024-01-02/")"#),
            (r#""valueSampledData":{"period":1}"#, "value_as_number: None"),
            (
                r#""valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"271807003"}]}"#,
                r#"value_as_concept_id: Some(140214)"#,
            ),
            (
                r#""valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"9"}]}"#,
                "value_as_concept_id: Some(0)",
            ),
            (
                r#""valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"9"}]}"#,
                r#"value_source_value: Some("9")"#,
            ),
            (r#""valueCodeableConcept":{"text":"brownish"}"#, r#"value_source_value: Some("brownish")"#),
            (r#""valueString":"x""#, r#"value_source_value: Some("x")"#),
        ] {
            let row = &rows(&observation("2160-0", &format!("{LAB},{value}")), "measurement")[0];
            assert_says(row, &[expected]);
        }
        assert_eq!(losses(&observation("2160-0", r#","valueSampledData":{}"#)), ["Observation.value[x] no_target"]);
    }

    #[test]
    fn the_normal_range_counts_where_it_has_the_unit() {
        let ranges = |value: &str| {
            format!(
                r#"{LAB},"valueQuantity":{{"value":5,"code":"mg/dL"}},"referenceRange":[{{"type":{{"coding":[{{"code":"treatment"}}]}},"low":{{"value":9}}}},{{"type":{{"coding":[{{"code":"normal"}}]}},"low":{{"value":1,{value}}},"high":{{"value":2.5,"code":"mg/dL"}}}}]"#
            )
        };
        let row = &rows(&observation("2160-0", &ranges(r#""code":"mg/dL""#)), "measurement")[0];
        assert_says(row, &["range_low: Some(1.0), range_high: Some(2.5)"]);
        let row = &rows(&observation("2160-0", &ranges(r#""code":"mmol/L""#)), "measurement")[0];
        assert_says(row, &["range_low: None, range_high: Some(2.5)"]);
    }

    #[test]
    fn an_interpretation_is_a_qualifier_or_the_only_value() {
        let high = r#","interpretation":[{"coding":[{"code":"H"}]}]"#;
        let row = &rows(&observation("72166-2", &format!(r#"{high},"valueInteger":1"#)), "observation")[0];
        assert_says(row, &["qualifier_concept_id: Some(4328749)", r#"qualifier_source_value: Some("H")"#]);
        let row = &rows(&observation("2160-0", &format!(r#"{LAB}{high},"valueInteger":1"#)), "measurement")[0];
        assert_says(row, &["value_as_concept_id: None", r#"value_source_value: Some("1")"#]);
        let row = &rows(&observation("2160-0", &format!("{LAB}{high}")), "measurement")[0];
        assert_says(row, &["value_as_concept_id: Some(4328749)", r#"value_source_value: Some("H")"#]);
    }

    #[test]
    fn who_says_so_is_in_the_type() {
        for (rest, concept) in [
            (LAB.to_owned(), 32856),
            (r#","category":[{"coding":[{"code":"survey"}]}]"#.to_owned(), 32865),
            (format!(r#"{LAB},"performer":[{{"reference":"Patient/p"}}]"#), 32865),
            (VITAL.to_owned(), 32817),
        ] {
            let row = &rows(&observation("2160-0", &rest), "measurement")[0];
            assert_says(row, &[&format!("measurement_type_concept_id: {concept},")]);
        }
    }

    #[test]
    fn the_day_is_the_effective_one_or_the_day_of_issue() {
        let at = |effective: &str| {
            observation("2160-0", "").replace(r#""effectiveDateTime":"2024-01-02T10:00:00Z""#, effective)
        };
        for (effective, date) in [
            (r#""effectivePeriod":{"start":"2024-02-03"}"#, "2024-02-03"),
            (r#""effectiveInstant":"2024-02-03T23:59:59.999-05:00""#, "2024-02-03"),
            (r#""effectiveTiming":{"event":["2024-02-03","2024-02-04"]}"#, "2024-02-03"),
            (r#""issued":"2024-02-03T10:00:00Z""#, "2024-02-03"),
        ] {
            assert_says(&rows(&at(effective), "measurement")[0], &[&format!("measurement_date: {date}")]);
        }
        assert_eq!(judgement(&at(r#""method":{}"#)), "rejected: missing_element (Observation.effective[x])");
        assert_eq!(
            judgement(&at(r#""effectiveDateTime":"yesterday""#)),
            "rejected: wrong_type (Observation.effectiveDateTime)"
        );
    }
}
