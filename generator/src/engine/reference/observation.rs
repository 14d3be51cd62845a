//! Observations, panels and reports.

use super::Interpreter;
use super::attribute::{Value, literal};
use super::draw::{draw, width};
use super::json::{Json, codes, field, filled, list, text};
use crate::host::{HostCodes, VITAL_SIGNS, round};
use crate::module::{Code, Id};
use crate::moment::Moment;
use crate::record::{Observation, ObservationValue, Report};

impl<'w> Interpreter<'w> {
    /// Writes an observation, if there is a value and it is allowed, and returns its place in the record.
    pub fn observe(&mut self, module: usize, state: &'w Json, time: Moment) -> Option<u32> {
        let value = self.value(module, state, time)?;
        let own = codes(state, "codes");
        if !self.is_allowed(&own, time) {
            return None;
        }
        self.observed.insert(own[0].code.clone(), value.clone());
        let codes = self.files.list_number(&own);
        let category = text(state, "category").unwrap_or("exam");
        let range = match category {
            "laboratory" => self.world.reference_range(codes, self.patient.female),
            _ => None,
        };
        let (encounter, time) = self.placed(module, time);
        let (category, components) = (category.into(), Vec::new());
        let observations = &mut self.record.observations;
        observations.push(Observation { codes, category, encounter, time, value, components, range });
        Some(observations.len() as u32 - 1)
    }

    /// Writes a panel of what there is a value of.
    pub fn observe_panel(&mut self, module: usize, state: &'w Json, time: Moment) {
        let mut components = Vec::new();
        for component in list(state, "observations") {
            if let Some(value) = self.value(module, component, time) {
                let codes = codes(component, "codes");
                components.push((self.files.list_number(&codes), value.clone()));
                self.observed.insert(codes[0].code.clone(), value);
            }
        }
        let own = codes(state, "codes");
        if components.is_empty() || !self.is_allowed(&own, time) {
            return;
        }
        let (encounter, time) = self.placed(module, time);
        self.record.observations.push(Observation {
            codes: self.files.list_number(&own),
            category: text(state, "category").unwrap().into(),
            encounter,
            time,
            value: ObservationValue::None,
            components,
            range: None,
        });
    }

    /// Writes the observations of a report, and the report over those that were written.
    pub fn report(&mut self, module: usize, state: &'w Json, time: Moment) {
        let observations = list(state, "observations").iter();
        let results = observations.filter_map(|observation| self.observe(module, observation, time)).collect();
        let (encounter, time) = self.placed(module, time);
        let codes = self.files.list_number(&codes(state, "codes"));
        self.record.reports.push(Report { codes, encounter, time, results });
    }

    /// Writes the certificate of a death: a report over its cause.
    pub fn write_certificate(&mut self, codes: &HostCodes, encounter: Option<u32>, time: Moment, cause: Id) {
        self.record.reports.push(Report {
            codes: codes.death_certificate,
            encounter,
            time,
            results: vec![self.record.observations.len() as u32],
        });
        self.record.observations.push(Observation {
            codes: codes.cause_of_death,
            category: "exam".into(),
            encounter,
            time,
            value: ObservationValue::Code(cause),
            components: Vec::new(),
            range: None,
        });
    }

    /// The value of an observation; none when it takes an attribute that is not set, or what no record holds.
    fn value(&mut self, module: usize, state: &'w Json, time: Moment) -> Option<ObservationValue> {
        let coded = |interpreter: &Self, code: &Code| Some(ObservationValue::Code(interpreter.files.number(code)));
        let unit = filled(state, "unit");
        let list = self.files.list_number(&codes(state, "codes"));
        let range = self.world.constraints.range(list, unit);
        let number = if let Some(name) = text(state, "vital_sign") {
            let value = self.vital_sign(name, time);
            if VITAL_SIGNS.contains(&name) { value } else { round(value, 1) }
        } else if let Some(name) = text(state, "attribute") {
            match self.attributes.get(name)? {
                Value::Number(number) => round(*number, 2),
                Value::Bool(flag) => return Some(ObservationValue::Text(flag.to_string())),
                Value::Text(text) => return Some(ObservationValue::Text(text.clone())),
                Value::Code(code) => return coded(self, code),
                Value::Entry(entry) => return coded(self, &self.entries[*entry].codes[0]),
            }
        } else if let Some(text) = field(state, "exact").and_then(|exact| text(exact, "quantity")) {
            return Some(ObservationValue::Text(text.into()));
        } else if field(state, "sampled_data").or(field(state, "attachment")).is_some() {
            return None;
        } else if ["distribution", "exact", "range"].iter().any(|name| field(state, name).is_some()) {
            self.drawn_value(module, state, range)
        } else {
            return match literal(state) {
                Some(Value::Code(code)) => coded(self, &code),
                Some(Value::Text(text)) => Some(ObservationValue::Text(text)),
                _ => panic!("an observation without value: {state}"),
            };
        };
        let plausible = range.map_or(number, |(low, high)| number.clamp(low, high));
        if plausible != number {
            self.count_enforced("value clamped");
        }
        // A negative zero is written as 0 and would not be read back as itself.
        Some(ObservationValue::Quantity(plausible + 0.0, unit.map(str::to_owned)))
    }

    /// Draws a value as exactly as it is written, up to eight times more while it is implausible.
    fn drawn_value(&mut self, module: usize, state: &'w Json, range: Option<(f64, f64)>) -> f64 {
        let decimals = match width(state) {
            None => 4,
            Some(10.0..) => 1,
            Some(0.5..) => 2,
            Some(_) => 3,
        };
        let is_plausible = |value: f64| range.is_none_or(|(low, high)| (low..=high).contains(&value));
        let stream = self.own_stream(module);
        let first = round(draw(state, stream).unwrap(), decimals);
        if is_plausible(first) {
            return first;
        }
        let mut value = first;
        for _ in 0..8 {
            value = round(draw(state, stream).unwrap(), decimals);
            if is_plausible(value) {
                break;
            }
        }
        self.count_enforced("value redrawn");
        value
    }
}
