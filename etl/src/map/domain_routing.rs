//! A coded fact on its way to the table of its concept's domain: which targets count, which table each goes to, and
//! what of the fact goes with it.

use std::borrow::Cow;

use model::omop::{NO_MATCHING_CONCEPT, Row};

use super::draft::Draft;
use super::event::{Event, EventValue};
use super::{
    condition_occurrence, device_exposure, drug_exposure, measurement, observation, procedure_occurrence, specimen,
};
use crate::vocabulary::{Domain, Resolution};

impl<'d> Draft<'d, '_> {
    /// Writes the rows of an event; returns the table and key of the first.
    pub fn emit(&mut self, element: &'static str, event: &Event<'d>, code: &Resolution<'d>) -> Option<(Domain, i64)> {
        let forced = self.context.table_choice.of(self.resource.resource_type);
        // A fact that is denied must not become one.
        let forced = forced.filter(|domain| !event.value.is_denial || *domain == Domain::Observation);
        let forced = forced.map(|default| Event { default, is_fixed: true, ..event.clone() });
        let event = forced.as_ref().unwrap_or(event);
        let targets = self.targets(element, event, code);
        let mut first = None;
        for (index, (domain, concept_id)) in targets.into_iter().enumerate() {
            // A value belongs to one row: a number is never told twice.
            let has_value = index == 0 && event.value.is_some();
            let row_event = if index == 0 { Cow::Borrowed(event) } else { Cow::Owned(without_value(event)) };
            let key = self.write(domain, concept_id, &row_event);
            first = first.or(Some((domain, key)));
            if has_value && !matches!(domain, Domain::Measurement | Domain::Observation) {
                self.lose(element, "residual");
                self.write(Domain::Observation, concept_id, event);
            }
            if event.end.is_some() && matches!(domain, Domain::Measurement | Domain::Observation | Domain::Specimen) {
                self.lose(element, "end_without_column");
            }
        }
        first
    }

    /// The tables and concepts of the event's rows.
    fn targets(&mut self, element: &'static str, event: &Event<'d>, code: &Resolution<'d>) -> Vec<(Domain, i32)> {
        let mut rows: Vec<(Domain, i32)> = Vec::new();
        let mut has_visit = false;
        for target in &code.targets {
            let domain = match target.domain {
                _ if event.is_fixed => event.default,
                Domain::Visit => {
                    has_visit = true;
                    continue;
                }
                domain if !domain.is_event() => {
                    self.lose(element, "domain_not_event");
                    continue;
                }
                _ if event.value.is_denial => Domain::Observation,
                domain => domain,
            };
            if !rows.contains(&(domain, target.concept_id)) {
                rows.push((domain, target.concept_id));
            }
        }
        if rows.is_empty() {
            if has_visit {
                self.lose(element, "domain_visit");
                return rows;
            }
            return vec![(event.default, NO_MATCHING_CONCEPT)];
        }
        // Nearly all codes: nothing to choose, and no hierarchy to climb.
        if rows.len() == 1 {
            return rows;
        }
        // The row that carries the value comes first: one of the default table where there is one.
        if event.value.is_some()
            && let Some(index) = rows.iter().position(|(domain, _)| *domain == event.default)
        {
            let row = rows.remove(index);
            rows.insert(0, row);
        }
        let vocabulary = self.context.vocabulary;
        // What was given says more than what is in it.
        rows.sort_by_key(|(domain, concept_id)| *domain == Domain::Drug && vocabulary.is_ingredient(*concept_id));
        let mut has_measurement = false;
        let mut ingredients: Vec<i32> = Vec::new();
        let mut has_drug = false;
        let before = rows.len();
        rows.retain(|(domain, concept_id)| match domain {
            Domain::Measurement => !std::mem::replace(&mut has_measurement, true),
            Domain::Drug => {
                let of = vocabulary.ingredients(*concept_id);
                let is_new = of.iter().any(|id| !ingredients.contains(id));
                ingredients.extend(of);
                !std::mem::replace(&mut has_drug, true) || is_new
            }
            _ => true,
        });
        if rows.len() < before {
            self.lose(element, "first_of_many");
        }
        rows
    }

    fn write(&mut self, domain: Domain, concept_id: i32, event: &Event<'d>) -> i64 {
        let table = domain.table();
        let part = self.part(table, &event.part, concept_id);
        let key = self.key(table, &part);
        let row: Row<'d> = match domain {
            Domain::Condition => condition_occurrence::row(key, concept_id, event).into(),
            Domain::Measurement => measurement::row(key, concept_id, event).into(),
            Domain::Procedure => procedure_occurrence::row(key, concept_id, event).into(),
            Domain::Drug => drug_exposure::row(key, concept_id, event).into(),
            Domain::Device => device_exposure::row(key, concept_id, event).into(),
            Domain::Specimen => specimen::row(key, concept_id, event).into(),
            _ => observation::row(key, concept_id, event).into(),
        };
        self.push(row, part);
        key
    }
}

fn without_value<'d>(event: &Event<'d>) -> Event<'d> {
    Event { value: EventValue::default(), ..event.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Setting, rows_with};
    use crate::table_choice::TableChoice;

    fn count(json: &str, choice: &str, table: &str) -> usize {
        let setting = Setting { table_choice: TableChoice::parse(&[choice]).unwrap(), ..Setting::default() };
        rows_with(json, table, &setting).len()
    }

    #[test]
    fn a_run_may_force_the_table() {
        let known = r#"{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"onsetDateTime":"2020-01-01",
            "code":{"coding":[{"system":"http://snomed.info/sct","code":"44054006"}]}}"#;
        let unknown = known.replace("44054006", "1");
        for json in [known, &unknown] {
            assert_eq!(count(json, "Condition=measurement", "measurement"), 1);
            assert_eq!(count(json, "Condition=measurement", "condition_occurrence"), 0);
            assert_eq!(count(json, "Observation=measurement", "condition_occurrence"), 1);
        }
    }

    #[test]
    fn what_is_denied_is_not_forced_to_be() {
        let json = r#"{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/p"},
            "effectiveDateTime":"2020-01-01","valueBoolean":false,
            "code":{"coding":[{"system":"http://snomed.info/sct","code":"44054006"}]}}"#;
        assert_eq!(count(json, "Observation=condition_occurrence", "condition_occurrence"), 0);
        assert_eq!(count(json, "Observation=condition_occurrence", "observation"), 1);
        let affirmed = json.replace("false", "true");
        assert_eq!(count(&affirmed, "Observation=condition_occurrence", "condition_occurrence"), 1);
    }
}
