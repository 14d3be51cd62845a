//! Decides conditions.

use chrono::{Datelike, NaiveDate};

use super::Interpreter;
use super::attribute::{Value, literal};
use super::draw::fractional;
use super::json::{Json, code, codes, field, list, need, need_number, need_text, number, text};
use crate::engine::unanswered::Question;
use crate::host::socioeconomic_category;
use crate::module::ActiveKind;
use crate::moment::{Moment, age_months, age_years, date};
use crate::record::ObservationValue;

impl<'w> Interpreter<'w> {
    /// True when a condition holds for a module at a moment.
    pub fn holds(&mut self, module: usize, condition: &Json, time: Moment) -> bool {
        let is = |number: f64, field: &str| {
            compares(need_text(condition, "operator"), &number, &need_number(condition, field))
        };
        match need_text(condition, "condition_type") {
            "True" => true,
            "False" => false,
            "Gender" => need_text(condition, "gender") == if self.patient.female { "F" } else { "M" },
            "Age" => {
                let age = match need_text(condition, "unit") {
                    "months" => age_months(self.patient.birth, time),
                    _ => age_years(self.patient.birth, time),
                };
                is(f64::from(age), "quantity")
            }
            "Date" => {
                if field(condition, "year").is_some() {
                    return is(f64::from(date(time).year()), "year");
                }
                if field(condition, "month").is_some() {
                    return is(f64::from(date(time).month()), "month");
                }
                compares(need_text(condition, "operator"), &time, &moment_of(need(condition, "date")))
            }
            "Socioeconomic Status" => {
                socioeconomic_category(self.life.income) == need_text(condition, "category").to_lowercase()
            }
            "Race" => self.is_of_race(&need_text(condition, "race").to_lowercase()),
            "Symptom" => is(self.strength(need_text(condition, "symptom")), "value"),
            "Vital Sign" => is(self.vital_sign(need_text(condition, "vital_sign"), time), "value"),
            "Observation" => self.observation_holds(module, condition),
            "Active Condition" => self.is_active(ActiveKind::Condition, condition),
            "Active Allergy" => self.is_active(ActiveKind::Allergy, condition),
            "Active Medication" => self.is_active(ActiveKind::Medication, condition),
            "Active CarePlan" => self.is_active(ActiveKind::CarePlan, condition),
            "PriorState" => self.has_visited(module, condition, time),
            "Attribute" => {
                let value = self.attributes.get(need_text(condition, "attribute")).cloned();
                self.compare(module, value, condition)
            }
            "And" => list(condition, "conditions").iter().all(|one| self.holds(module, one, time)),
            "Or" => list(condition, "conditions").iter().any(|one| self.holds(module, one, time)),
            "Not" => !self.holds(module, need(condition, "condition"), time),
            "At Least" => self.count(module, condition, time) >= need_number(condition, "minimum") as usize,
            "At Most" => self.count(module, condition, time) <= need_number(condition, "maximum") as usize,
            other => panic!("`{other}` is no condition"),
        }
    }

    fn count(&mut self, module: usize, condition: &Json, time: Moment) -> usize {
        list(condition, "conditions").iter().filter(|one| self.holds(module, one, time)).count()
    }

    /// True for a race of the patient, in lower case; `hispanic` counts as one.
    fn is_of_race(&self, race: &str) -> bool {
        match race {
            "hispanic" => self.patient.hispanic,
            _ => self.patient.races.iter().any(|row| self.world.population.races[*row].word == race),
        }
    }

    /// The strength of a symptom is that of its strongest cause, those left aside for which somebody has been seen.
    pub fn strength(&self, symptom: &str) -> f64 {
        let causes = self.symptoms.iter().filter(|known| known.symptom == symptom && !known.addressed);
        causes.map(|known| known.strength).fold(0.0, f64::max)
    }

    /// The value that a module has set, or that of the host.
    pub fn vital_sign(&self, name: &str, time: Moment) -> f64 {
        match self.vital_signs.get(name) {
            Some(value) => *value,
            None => {
                let attributes = self.attributes.for_host();
                self.world.vital_signs.value_of(name, &self.latent, &self.patient, attributes, time)
            }
        }
    }

    /// Compares with the literal of a condition. With what is absent every comparison is false; values of different kinds
    /// cannot be compared.
    fn compare(&mut self, module: usize, value: Option<Value>, condition: &Json) -> bool {
        let operator = need_text(condition, "operator");
        match operator {
            "is nil" => return value.is_none(),
            "is not nil" => return value.is_some(),
            _ => {}
        }
        let Some(value) = value else { return false };
        match (value, literal(condition)) {
            (Value::Number(left), Some(Value::Number(right))) => compares(operator, &left, &right),
            (Value::Text(left), Some(Value::Text(right))) => compares(operator, &left, &right),
            // Of booleans and codes, every operator but equality asks whether they differ.
            (Value::Bool(left), Some(Value::Bool(right))) => (operator == "==") == (left == right),
            (Value::Code(left), Some(Value::Code(right))) => (operator == "==") == (left.code == right.code),
            (Value::Entry(left), Some(Value::Code(right))) => {
                (operator == "==") == (self.entries[left].codes[0].code == right.code)
            }
            _ => {
                self.leave_unanswered(module, Question::Comparison);
                false
            }
        }
    }

    fn observation_holds(&mut self, module: usize, condition: &Json) -> bool {
        let latest = match text(condition, "referenced_by_attribute") {
            // An observation is not held by an attribute.
            Some(_) => None,
            None => list(condition, "codes").iter().find_map(|json| self.observed.get(&code(json).code)),
        };
        let value = match latest {
            None | Some(ObservationValue::None) => None,
            Some(ObservationValue::Quantity(number, _)) => Some(Value::Number(*number)),
            Some(ObservationValue::Code(code)) => Some(Value::Code(self.world.library.codes.code(*code).clone())),
            Some(ObservationValue::Text(text)) => Some(Value::Text(text.clone())),
        };
        if value.is_none() && !need_text(condition, "operator").ends_with("nil") {
            self.leave_unanswered(module, Question::Observation);
        }
        self.compare(module, value, condition)
    }

    fn is_active(&self, kind: ActiveKind, condition: &Json) -> bool {
        match text(condition, "referenced_by_attribute") {
            Some(attribute) => self.held_entry(attribute).is_some_and(|entry| self.active.contains(&entry)),
            None => self.active_entry(kind, &codes(condition, "codes")).is_some(),
        }
    }

    /// The latest visit to the state is more recent than the latest one to `since`, and was not over when the window began.
    /// A visit that is still going on counts.
    fn has_visited(&self, module: usize, condition: &Json, time: Moment) -> bool {
        let history = &self.call(module).history;
        let latest = |name: &str| history.iter().rposition(|visit| visit.state == name);
        let Some(visited) = latest(need_text(condition, "name")) else { return false };
        if text(condition, "since").and_then(latest).is_some_and(|since| since >= visited) {
            return false;
        }
        let Some(within) = field(condition, "within") else { return true };
        let window = time - fractional(need_number(within, "quantity"), need_text(within, "unit"));
        history[visited].exited.is_none_or(|exited| exited > window)
    }
}

/// Compares two numbers, moments or texts.
fn compares<T: PartialOrd + ?Sized>(operator: &str, left: &T, right: &T) -> bool {
    match operator {
        "==" => left == right,
        "!=" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        "is not nil" => true,
        _ => false,
    }
}

/// The moment that the `date` of a condition means.
fn moment_of(json: &Json) -> Moment {
    let part = |name: &str| number(json, name).unwrap_or(0.0) as u32;
    let day = NaiveDate::from_ymd_opt(need_number(json, "year") as i32, part("month").max(1), part("day").max(1));
    let time = day.and_then(|day| day.and_hms_opt(part("hour"), part("minute"), part("second")));
    time.map_or_else(|| panic!("{json} is no date"), |time| time.and_utc().timestamp_millis())
}
