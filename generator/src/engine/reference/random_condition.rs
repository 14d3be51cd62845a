//! Random transitions and conditions.

use serde_json::json;

use super::json::Json;
use super::random_module::{ENCOUNTERS, HELD, OPERATORS, Random, STATES, SYMPTOMS, UNITS, VALUES, joined};

impl Random {
    /// A transition to some of the states ahead.
    pub fn transition(&mut self, path: &str, state: &str, ahead: &[&str]) -> Json {
        let [one, two] = [0; 2].map(|_| self.pick(ahead));
        let shares = json!([{"distribution": {"attribute": self.pick(&VALUES), "default": 0.4}, "transition": one},
            {"distribution": 0.3, "transition": two}, {"distribution": 0.2, "transition": self.pick(ahead)}]);
        match self.below(9) {
            0..=2 => json!({"direct_transition": one}),
            3 => json!({"distributed_transition": shares}),
            4 => json!({"distributed_transition": [{"distribution": 0.5, "transition": one}]}),
            5 => json!({"conditional_transition": [{"condition": self.condition(2), "transition": one},
                {"condition": self.condition(2), "transition": two}]}),
            6 => json!({"complex_transition": [{"condition": self.condition(2), "distributions": shares},
                {"condition": self.condition(1), "transition": one}, {"transition": two}]}),
            7 => json!({"type_of_care_transition": {"ambulatory": one, "emergency": two, "telemedicine": one}}),
            _ => self.lookup(&format!("{path} {state}.csv"), ahead),
        }
    }

    fn lookup(&mut self, table: &str, ahead: &[&str]) -> Json {
        let [first, .., last] = ahead else { return json!({"direct_transition": ahead[0]}) };
        let (key, cells) = match self.below(4) {
            0 => ("x", ["0", "1.0", "yes"]),
            1 => ("this", ["1", "2", "72892002"]),
            2 => ("diabetes", ["true", "FALSE", "1"]),
            _ => ("gender", ["F", "M", "F"]),
        };
        let mut rows = format!("age,{key},{last},{first}\n");
        for _ in 0..8 {
            let (low, cell, share) = (self.below(6), self.pick(&cells), self.pick(&["0", "0.5", "1"]));
            rows += &format!("{low}-{}, {cell}, 0.5, {share}\n", low + 6);
        }
        self.source.lookup_tables.insert(table.into(), rows.into_bytes());
        let option =
            |to: &str, share: f64| json!({"transition": to, "default_probability": share, "lookup_table_name": table});
        json!({"lookup_table_transition": [option(first, 0.5), option(last, 0.4)]})
    }

    /// A condition with at most so many levels of others inside.
    pub fn condition(&mut self, depth: usize) -> Json {
        let operator = self.pick(&OPERATORS);
        let compared = operator.ends_with("nil");
        let ordered = if compared { "<" } else { operator };
        let active = match self.below(3) {
            0 => json!({"referenced_by_attribute": self.pick(&HELD)}),
            _ => json!({"codes": [self.code()]}),
        };
        let value = match self.below(4) {
            0 => json!({"value_code": self.code()}),
            1 => json!({"value": self.one_in(2)}),
            2 => json!({"value": self.pick(&["1", "yes"])}),
            _ => json!({"value": self.below(3)}),
        };
        let kinds = if depth == 0 { 16 } else { 21 };
        match self.below(kinds) {
            0 => json!({"condition_type": self.pick(&["True", "False"])}),
            1 => json!({"condition_type": "Gender", "gender": self.pick(&["F", "M"])}),
            2 => json!({"condition_type": "Age", "operator": ordered, "quantity": self.below(10),
                "unit": self.pick(&["years", "months"])}),
            3 => json!({"condition_type": "Date", "operator": ordered, "year": 2000 + self.below(10)}),
            4 => json!({"condition_type": "Date", "operator": ordered, "month": 1 + self.below(12)}),
            5 => json!({"condition_type": "Date", "operator": ordered, "date": {"year": 2004, "month": 2, "day": 29}}),
            6 => json!({"condition_type": "Socioeconomic Status", "category": self.pick(&["Low", "Middle", "High"])}),
            7 => json!({"condition_type": "Race", "race": self.pick(&["White", "black", "Hispanic"])}),
            8 => json!({"condition_type": "Symptom", "symptom": self.pick(&SYMPTOMS), "operator": ordered,
                "value": self.below(100)}),
            9 => json!({"condition_type": "Vital Sign", "vital_sign": self.pick(&["Mood", "HbA1c"]),
                "operator": ordered, "value": 5}),
            10 => joined([
                json!({"condition_type": "Observation", "operator": operator,
                    "codes": [{"system": "LOINC", "code": self.pick(&["4548-4", "1"]), "display": "x"}]}),
                value,
            ]),
            11 => {
                let kinds = ["Active Condition", "Active Allergy", "Active CarePlan", "Active Medication"];
                joined([json!({"condition_type": self.pick(&kinds)}), active])
            }
            12 | 13 => {
                let names: Vec<&str> = STATES.into_iter().chain(ENCOUNTERS).chain(["Initial"]).collect();
                let mut prior = json!({"condition_type": "PriorState", "name": self.pick(&names)});
                if self.one_in(2) {
                    prior["since"] = json!(self.pick(&names));
                }
                if self.one_in(2) {
                    prior["within"] = json!({"quantity": self.below(60), "unit": self.pick(&UNITS)});
                }
                prior
            }
            14 | 15 => {
                let attribute = self.pick(&["x", "y", "this", "that", "diabetes", "income"]);
                joined([json!({"condition_type": "Attribute", "attribute": attribute, "operator": operator}), value])
            }
            16 => json!({"condition_type": "Not", "condition": self.condition(depth - 1)}),
            17 => json!({"condition_type": "And", "conditions": self.conditions(depth)}),
            18 => json!({"condition_type": "Or", "conditions": self.conditions(depth)}),
            19 => json!({"condition_type": "At Least", "minimum": 1, "conditions": self.conditions(depth)}),
            _ => json!({"condition_type": "At Most", "maximum": 1, "conditions": self.conditions(depth)}),
        }
    }

    fn conditions(&mut self, depth: usize) -> [Json; 2] {
        [0; 2].map(|_| self.condition(depth - 1))
    }
}
