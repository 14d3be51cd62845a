//! Observations, panels and reports: where their values come from, and how they are kept in their plausible range.

use super::person::{Person, Value};
use crate::host::{VITAL_SIGNS, round};
use crate::module::{DistributionKind, Id, Observation, ObservationValue as Source};
use crate::moment::Moment;
use crate::random::Stream;
use crate::record::{self, ObservationValue};

/// Draws before a value outside its plausible range is clamped.
const REDRAWS: usize = 8;

impl Person<'_> {
    /// Writes one observation and returns its place in the record.
    pub(super) fn observe(
        &mut self,
        cursor: usize,
        module: usize,
        observation: &Observation,
        now: Moment,
    ) -> Option<u32> {
        let value = self.value(cursor, module, observation, now)?;
        if !self.allowed(observation.codes, now) {
            return None;
        }
        self.latest[self.world.library.codes.text_id(observation.codes) as usize] = Some(value.clone());
        let (encounter, time) = self.placed(cursor, now);
        let range = match observation.category.as_str() {
            "laboratory" => self.world.reference_range(observation.codes, self.patient.female),
            _ => None,
        };
        self.record.observations.push(record::Observation {
            codes: observation.codes,
            category: observation.category.clone(),
            encounter,
            time,
            value,
            components: Vec::new(),
            range,
        });
        Some(self.record.observations.len() as u32 - 1)
    }

    pub(super) fn observe_panel(
        &mut self,
        cursor: usize,
        module: usize,
        codes: Id,
        category: &str,
        components: &[Observation],
        now: Moment,
    ) {
        let mut values = Vec::with_capacity(components.len());
        for component in components {
            let Some(value) = self.value(cursor, module, component, now) else { continue };
            self.latest[self.world.library.codes.text_id(component.codes) as usize] = Some(value.clone());
            values.push((component.codes, value));
        }
        if values.is_empty() || !self.allowed(codes, now) {
            return;
        }
        let (encounter, time) = self.placed(cursor, now);
        self.record.observations.push(record::Observation {
            codes,
            category: category.into(),
            encounter,
            time,
            value: ObservationValue::None,
            components: values,
            range: None,
        });
    }

    pub(super) fn report(
        &mut self,
        cursor: usize,
        module: usize,
        codes: Id,
        observations: &[Observation],
        now: Moment,
    ) {
        let results: Vec<u32> =
            observations.iter().filter_map(|observation| self.observe(cursor, module, observation, now)).collect();
        let (encounter, time) = self.placed(cursor, now);
        self.record.reports.push(record::Report { codes, encounter, time, results });
    }

    /// The value of an observation; none when it takes an attribute that is not set.
    fn value(
        &mut self,
        cursor: usize,
        module: usize,
        observation: &Observation,
        now: Moment,
    ) -> Option<ObservationValue> {
        let number = match &observation.value {
            Source::Unsupported => return None,
            Source::Code(code) => return Some(ObservationValue::Code(*code)),
            Source::Text(text) => return Some(ObservationValue::Text(text.clone())),
            Source::Attribute(attribute) => match &self.attributes[*attribute as usize] {
                Value::Nil => return None,
                Value::Number(number) => round(*number, 2),
                Value::Bool(flag) => return Some(ObservationValue::Text(flag.to_string())),
                Value::Text(text) => return Some(ObservationValue::Text(text.to_string())),
                Value::Code(code) => return Some(ObservationValue::Code(*code)),
                Value::Entry(entry) => {
                    let list = self.slots[entry.0 as usize].codes;
                    return Some(ObservationValue::Code(self.world.library.codes.lists()[list as usize][0]));
                }
            },
            Source::VitalSign(sign) => {
                let value = self.vital_sign(*sign, now);
                if (*sign as usize) < VITAL_SIGNS.len() { value } else { round(value, 1) }
            }
            Source::Drawn(distribution) => {
                let decimals = decimals(&distribution.kind);
                let draw = |stream: &mut Stream| round(distribution.draw(stream), decimals);
                let mut value = draw(self.stream(cursor, module));
                if let Some((low, high)) = self.world.constraints.range(observation.codes, observation.unit.as_deref())
                {
                    let mut left = REDRAWS;
                    while !(low..=high).contains(&value) && left > 0 {
                        value = draw(self.stream(cursor, module));
                        left -= 1;
                    }
                    if left < REDRAWS {
                        self.enforced("value redrawn");
                    }
                }
                value
            }
        };
        let number = match self.world.constraints.range(observation.codes, observation.unit.as_deref()) {
            Some((low, high)) if !(low..=high).contains(&number) => {
                self.enforced("value clamped");
                number.clamp(low, high)
            }
            _ => number,
        };
        // A negative zero is written as 0 and would not be read back as itself.
        Some(ObservationValue::Quantity(number + 0.0, observation.unit.clone()))
    }
}

/// How exactly a drawn value is written.
fn decimals(kind: &DistributionKind) -> u32 {
    let width = match kind {
        DistributionKind::Exact(_) => return 4,
        DistributionKind::Uniform(low, high) => high - low,
        DistributionKind::Gaussian { deviation, .. } => deviation * 4.0,
        DistributionKind::Exponential(mean) => *mean,
        DistributionKind::Triangular { min, max, .. } => max - min,
    };
    match width {
        width if width >= 10.0 => 1,
        width if width >= 0.5 => 2,
        _ => 3,
    }
}
