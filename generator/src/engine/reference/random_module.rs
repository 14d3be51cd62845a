//! Random modules: every state type, transition and condition of the format in mixtures that nobody writes. Modules share
//! attributes, codes, symptoms and names of states, call submodules, and take the one encounter away from each other.

use serde_json::{Map, json};

use super::json::Json;
use crate::module::Source;
use crate::random::Stream;

/// State types; those that make states meet each other stand here more than once.
const STATE_TYPES: [&str; 32] = [
    "AllergyEnd",
    "AllergyOnset",
    "CallSubmodule",
    "CallSubmodule",
    "CarePlanEnd",
    "CarePlanStart",
    "ConditionEnd",
    "ConditionOnset",
    "Counter",
    "Death",
    "Delay",
    "Delay",
    "Device",
    "DeviceEnd",
    "DiagnosticReport",
    "Encounter",
    "EncounterEnd",
    "EncounterEnd",
    "Guard",
    "ImagingStudy",
    "MedicationEnd",
    "MedicationOrder",
    "MultiObservation",
    "Observation",
    "Physiology",
    "Procedure",
    "SetAttribute",
    "SupplyList",
    "Symptom",
    "Symptom",
    "Symptom",
    "Vaccine",
];
/// States that stand in every module, in another order in each.
pub const STATES: [&str; 12] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L"];
pub const ENCOUNTERS: [&str; 2] = ["Visit", "Stay"];
/// Onsets: one of the submodules, one of the others.
const ONSETS: [&str; 2] = ["Inner", "Outer"];
/// Attributes that hold values, and those that hold entries.
pub const VALUES: [&str; 4] = ["x", "y", "diabetes", "hypertension_treated"];
pub const HELD: [&str; 2] = ["this", "that"];
pub const UNITS: [&str; 7] = ["days", "days", "weeks", "hours", "minutes", "seconds", "months"];
/// Symptoms, of which one is the most frequent.
pub const SYMPTOMS: [&str; 8] = ["pain", "pain", "pain", "fever", "cough", "rash", "nausea", "fatigue"];
pub const OPERATORS: [&str; 8] = ["==", "!=", "<", "<=", ">", ">=", "is nil", "is not nil"];

/// Three modules that run by themselves and two that they call, drawn by a number.
pub fn random_modules(number: u64) -> Source {
    let mut random = Random { stream: Stream::new(number, 0, "random modules"), source: Source::default() };
    for path in ["a", "b", "c", "sub/d", "sub/e"] {
        let module = json!({"name": path, "states": random.states(path)});
        random.source.modules.insert(path.into(), serde_json::to_vec(&module).unwrap());
    }
    random.source
}

/// Draws modules.
pub struct Random {
    pub stream: Stream,
    pub source: Source,
}

impl Random {
    pub fn below(&mut self, count: usize) -> usize {
        self.stream.below(count as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// States that lead forwards, but for a rest at the end from which a module begins again.
    fn states(&mut self, path: &str) -> Json {
        let own = own_onset(path);
        let mut names: Vec<&str> = STATES.into_iter().chain(ENCOUNTERS).chain([own]).collect();
        for place in (1..names.len()).rev() {
            names.swap(place, self.below(place + 1));
        }
        names.insert(0, "Mood");
        names.extend(["Leave", "Rest", "End"]);
        let mut states = Map::new();
        states.insert("Initial".into(), json!({"type": "Initial", "direct_transition": "Mood"}));
        for (place, name) in names.iter().enumerate() {
            let state = match *name {
                "End" => json!({"type": "Terminal"}),
                "Leave" => json!({"type": "EncounterEnd", "direct_transition": "Rest"}),
                "Rest" => {
                    let again = if path.contains('/') { "End" } else { "Mood" };
                    json!({"type": "Delay", "range": {"low": 1, "high": 90, "unit": "days"}, "distributed_transition": [
                        {"distribution": 0.95, "transition": again}, {"distribution": 0.05, "transition": "End"}]})
                }
                "Mood" => joined([
                    json!({"type": "VitalSign", "vital_sign": "Mood", "unit": "1", "direct_transition": names[1]}),
                    self.quantity(9.0),
                ]),
                name => {
                    let kind = match name {
                        name if name == own => "ConditionOnset",
                        name if ENCOUNTERS.contains(&name) => "Encounter",
                        _ => self.pick(&STATE_TYPES),
                    };
                    let ahead = &names[place + 1..(names.len() - 1).min(place + 5)];
                    let alternative = json!({"alt_direct_transition": ahead[0]});
                    let way = if kind == "Physiology" { alternative } else { self.transition(path, name, ahead) };
                    joined([self.state(path, kind), way])
                }
            };
            states.insert((*name).into(), state);
        }
        Json::Object(states)
    }

    fn state(&mut self, path: &str, kind: &str) -> Json {
        let codes = json!([self.code()]);
        let fields = match kind {
            "Delay" => self.span(),
            "Guard" => {
                let months = self.below(40);
                let age = json!({"condition_type": "Age", "operator": ">=", "quantity": months, "unit": "months"});
                let other = self.condition(1);
                let either = json!({"condition_type": "Or", "conditions": [other, age.clone()]});
                json!({"allow": if self.one_in(3) { age } else { either }})
            }
            "SetAttribute" => self.new_value(),
            "Counter" => json!({"attribute": self.pick(&VALUES), "action": self.pick(&["increment", "decrement"])}),
            "CallSubmodule" => match path {
                "sub/e" => return json!({"type": "Simple"}),
                "sub/d" => json!({"submodule": "sub/e"}),
                _ => json!({"submodule": self.pick(&["sub/d", "sub/e"])}),
            },
            "Encounter" => self.encounter(codes),
            "EncounterEnd" => match self.below(3) {
                0 => json!({"discharge_disposition": {"system": "NUBC", "code": "01", "display": "home"}}),
                _ => json!({}),
            },
            "ConditionOnset" => self.onset(codes),
            "AllergyOnset" => {
                let severities = json!([{"level": "mild", "value": 0.3}, {"level": "None", "value": 0.3},
                    {"level": "Severe", "value": 0.2}]);
                let reaction = json!({"reaction": self.code(), "possible_severities": severities});
                let more = json!({"allergy_type": self.pick(&["allergy", "intolerance"]), "category": "food",
                    "reactions": [reaction.clone(), reaction]});
                joined([self.onset(codes), more])
            }
            "MedicationOrder" => {
                let dosage = json!({"amount": 2, "frequency": 1, "period": 8, "unit": "hours"});
                let prescription =
                    json!({"dosage": dosage, "duration": {"quantity": 1.5, "unit": "months"}, "refills": 1});
                json!({"codes": self.drug(), "chronic": self.one_in(2), "administration": self.one_in(2),
                    "prescription": prescription, "reason": self.reason(), "assign_to_attribute": self.pick(&HELD)})
            }
            "CarePlanStart" => json!({"codes": codes, "activities": [self.code()], "reason": self.reason()}),
            "AllergyEnd" => self.end("allergy_onset", codes),
            "ConditionEnd" => self.end("condition_onset", codes),
            "MedicationEnd" => {
                let drug = self.drug();
                self.end("medication_order", drug)
            }
            "CarePlanEnd" => self.end("careplan", codes),
            "DeviceEnd" => self.end("device", codes),
            "Device" => json!({"code": self.code(), "assign_to_attribute": self.pick(&HELD)}),
            "Procedure" => {
                let duration = match self.below(3) {
                    0 => json!({}),
                    1 => json!({"duration": {"low": 5, "high": 90, "unit": self.pick(&UNITS)}}),
                    _ => self.span(),
                };
                joined([json!({"codes": codes, "reason": self.reason()}), duration])
            }
            "Observation" => self.observation(),
            "MultiObservation" => json!({"codes": codes, "category": "survey", "observations":
                [self.observation(), self.observation()]}),
            "DiagnosticReport" => json!({"codes": codes, "observations": [self.observation(), self.observation()]}),
            "SupplyList" => json!({"supplies": [{"quantity": 3, "code": self.code()}]}),
            "ImagingStudy" => {
                let series = json!({"body_site": self.code(), "modality": self.code(), "min_number_instances": 1,
                    "max_number_instances": 4, "instances": [{"title": "x", "sop_class": self.code()}]});
                let study = json!({"procedure_code": self.code(), "series": [series.clone(), series]});
                let counts = json!({"min_number_series": 1, "max_number_series": 3});
                if self.one_in(2) { study } else { joined([study, counts]) }
            }
            "Symptom" => {
                let symptom = json!({"symptom": self.pick(&SYMPTOMS),
                    "cause": self.pick(&["", "", "heat"]), "probability": 0.8});
                joined([symptom, self.quantity(150.0)])
            }
            "Death" if self.one_in(4) => {
                let cause = match self.below(4) {
                    0 => json!({"codes": codes}),
                    1 => json!({"condition_onset": own_onset(path)}),
                    2 => json!({"referenced_by_attribute": self.pick(&HELD)}),
                    _ => json!({}),
                };
                joined([cause, if self.one_in(2) { self.span() } else { json!({}) }])
            }
            "Death" => return json!({"type": "Simple"}),
            "Vaccine" => json!({"codes": codes, "series": 1}),
            "Physiology" => json!({"model": "x", "inputs": [], "outputs": []}),
            other => panic!("`{other}` is no state that is drawn"),
        };
        joined([json!({"type": kind}), fields])
    }

    /// Conditions of two codes and a pregnancy, which not everybody may have.
    pub fn code(&mut self) -> Json {
        json!({"system": "SNOMED-CT", "code": self.pick(&["1", "2", "3", "72892002"]), "display": "x"})
    }

    /// Insulin, which needs a diagnosis, or any drug.
    fn drug(&mut self) -> Json {
        json!([{"system": "RxNorm", "code": self.pick(&["1", "106892"]), "display": "x"}])
    }

    /// An attribute or a state, of this module or another one, that may hold a condition.
    fn reason(&mut self) -> &'static str {
        self.pick(&["this", "that", "A", "B", "Inner", "Outer", "nothing"])
    }

    fn onset(&mut self, codes: Json) -> Json {
        let onset = json!({"codes": codes, "assign_to_attribute": self.pick(&HELD)});
        let target = json!({"target_encounter": self.pick(&ENCOUNTERS)});
        if self.one_in(3) { onset } else { joined([onset, target]) }
    }

    fn end(&mut self, state_field: &str, codes: Json) -> Json {
        match self.below(4) {
            0 => json!({state_field: self.pick(&STATES)}),
            1 => json!({state_field: self.pick(&ONSETS)}),
            2 => json!({"referenced_by_attribute": self.pick(&HELD)}),
            _ => json!({"codes": codes}),
        }
    }

    fn encounter(&mut self, codes: Json) -> Json {
        let classes = ["ambulatory", "emergency", "inpatient", "outpatient", "urgentcare", "virtual", "home", "snf"];
        let own = json!({"encounter_class": self.pick(&classes), "codes": codes, "reason": self.reason(),
            "telemedicine_possibility": self.pick(&["none", "possible", "always"])});
        if self.one_in(8) { json!({"wellness": true}) } else { own }
    }

    fn new_value(&mut self) -> Json {
        let source = match self.below(6) {
            0 => json!({"value": self.one_in(2)}),
            1 => json!({"value": self.below(4)}),
            2 => json!({"value": self.pick(&["1", "yes"])}),
            3 => json!({"value_code": self.code()}),
            4 => json!({"value_attribute": self.pick(&["x", "this", "smoker", "income"])}),
            _ => self.quantity(3.0),
        };
        let attribute = json!({"attribute": self.pick(&VALUES)});
        if self.one_in(6) { attribute } else { joined([attribute, source]) }
    }

    fn observation(&mut self) -> Json {
        let observation = json!({"codes": [{"system": "LOINC", "code": self.pick(&["4548-4", "1"]), "display": "x"}],
            "category": self.pick(&["laboratory", "exam"]), "unit": self.pick(&["%", ""])});
        let value = match self.below(6) {
            0 => json!({"vital_sign": self.pick(&["Height", "HbA1c", "Mood"])}),
            1 => json!({"attribute": self.pick(&["x", "y", "this", "income"])}),
            2 => json!({"value_code": self.code()}),
            3 => json!({"exact": {"quantity": "yes"}}),
            4 => json!({"sampled_data": {}}),
            _ => self.quantity(30.0),
        };
        joined([observation, value])
    }

    /// A quantity in any style, mostly between nought and `most`.
    fn quantity(&mut self, most: f64) -> Json {
        let value = most * self.stream.unit();
        let parameters = match self.below(7) {
            0 => return json!({"exact": {"quantity": value}}),
            1 => return json!({"range": {"low": value / 2.0, "high": value}}),
            2 => ("EXACT", json!({"value": value})),
            3 => ("UNIFORM", json!({"low": value / 2.0, "high": value})),
            4 => ("GAUSSIAN", json!({"mean": value, "standardDeviation": value / 2.0, "min": 0})),
            5 => ("EXPONENTIAL", json!({"mean": value})),
            _ => ("TRIANGULAR", json!({"min": 0, "mode": value / 2.0, "max": value})),
        };
        json!({"distribution": {"kind": parameters.0, "parameters": parameters.1, "round": self.one_in(2)}})
    }

    /// A span of time: the unit beside the quantity, or inside of it.
    fn span(&mut self) -> Json {
        let mut span = self.quantity(20.0);
        let unit = self.pick(&UNITS);
        for style in ["exact", "range"] {
            if span.get(style).is_some() && self.one_in(2) {
                span[style]["unit"] = json!(unit);
            }
        }
        joined([json!({"unit": self.pick(&UNITS)}), span])
    }
}

/// The name of an onset that the modules of one kind have and the others have not.
fn own_onset(path: &str) -> &'static str {
    if path.contains('/') { ONSETS[0] } else { ONSETS[1] }
}

/// One object with the fields of all.
pub fn joined<const COUNT: usize>(objects: [Json; COUNT]) -> Json {
    objects.into_iter().flat_map(|object| object.as_object().cloned().unwrap_or_default()).collect()
}
