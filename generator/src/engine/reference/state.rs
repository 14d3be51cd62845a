//! What each type of state does.

use super::attribute::{Value, literal};
use super::draw::{draw, draw_delay, draw_duration, draw_span};
use super::json::{Json, codes, filled, need, need_text, number, text};
use super::run::Outcome;
use super::{Interpreter, Symptom};
use crate::module::{ActiveKind, Code};
use crate::moment::Moment;

impl<'w> Interpreter<'w> {
    /// Runs one state that neither ends a module nor calls another.
    pub fn run_state(&mut self, module: usize, state: &'w Json, time: Moment) -> Outcome {
        match need_text(state, "type") {
            "Initial" | "Simple" | "Physiology" => {}
            "Delay" => return self.delay(module, state, time),
            "Procedure" => return self.take_procedure(module, state, time),
            "Guard" => {
                if !self.holds(module, need(state, "allow"), time) {
                    return Outcome::Waits;
                }
            }
            "Encounter" => {
                if !self.enter_encounter(module, state, time) {
                    return Outcome::Waits;
                }
            }
            "EncounterEnd" => {
                if !self.end_encounter(module, state, time) {
                    return Outcome::Waits;
                }
            }
            "SetAttribute" => self.set_attribute(module, state),
            "Counter" => self.count_up(state),
            "Symptom" => self.have_symptom(module, state),
            "VitalSign" => {
                let value = draw(state, self.own_stream(module)).unwrap();
                self.vital_signs.insert(need_text(state, "vital_sign").into(), value);
            }
            "ConditionOnset" => self.begin_diagnosis(module, ActiveKind::Condition, state, time),
            "ConditionEnd" => self.end_entry(module, ActiveKind::Condition, "condition_onset", state, time),
            "AllergyOnset" => self.begin_diagnosis(module, ActiveKind::Allergy, state, time),
            "AllergyEnd" => self.end_entry(module, ActiveKind::Allergy, "allergy_onset", state, time),
            "MedicationOrder" => self.order_medication(module, state, time),
            "MedicationEnd" => self.end_entry(module, ActiveKind::Medication, "medication_order", state, time),
            "CarePlanStart" => self.begin_care_plan(module, state, time),
            "CarePlanEnd" => self.end_entry(module, ActiveKind::CarePlan, "careplan", state, time),
            "Device" => self.begin_device(module, state, time),
            "DeviceEnd" => self.end_entry(module, ActiveKind::Device, "device", state, time),
            "SupplyList" => self.hand_out(module, state, time),
            "ImagingStudy" => self.take_pictures(module, state, time),
            "Vaccine" => self.vaccinate(module, state, time),
            "Observation" => {
                self.observe(module, state, time);
            }
            "MultiObservation" => self.observe_panel(module, state, time),
            "DiagnosticReport" => self.report(module, state, time),
            "Death" => self.die(module, state, time),
            other => panic!("`{other}` is no state"),
        }
        Outcome::Exited(time)
    }

    fn delay(&mut self, module: usize, state: &'w Json, time: Moment) -> Outcome {
        let call = self.call(module);
        let (entered, known) = (call.entered, call.expiry);
        let expiry = known.unwrap_or_else(|| entered.saturating_add(draw_delay(state, self.own_stream(module))));
        self.wait_until(module, expiry, time)
    }

    fn take_procedure(&mut self, module: usize, state: &'w Json, time: Moment) -> Outcome {
        if let Some(expiry) = self.call(module).expiry {
            return self.wait_until(module, expiry, time);
        }
        let span = draw_duration(state, self.own_stream(module)).unwrap_or(0);
        let codes = codes(state, "codes");
        if let Some(attribute) = filled(state, "assign_to_attribute") {
            self.attributes.set(attribute, Some(Value::Code(codes[0].clone())));
        }
        let reason = self.reason_codes(module, state);
        self.write_procedure(module, &codes, reason.as_deref(), time, span);
        self.wait_until(module, time + span, time)
    }

    /// A draw goes before a literal, and that before another attribute; without any of them the attribute is cleared.
    fn set_attribute(&mut self, module: usize, state: &'w Json) {
        let drawn = draw(state, self.own_stream(module)).map(Value::Number);
        let value = drawn
            .or_else(|| literal(state))
            .or_else(|| text(state, "value_attribute").and_then(|other| self.attributes.get(other).cloned()));
        self.attributes.set(need_text(state, "attribute"), value);
    }

    fn count_up(&mut self, state: &'w Json) {
        let attribute = need_text(state, "attribute");
        let before = match self.attributes.get(attribute) {
            Some(Value::Number(number)) => *number,
            _ => 0.0,
        };
        let amount = number(state, "amount").unwrap_or(1.0);
        let after = if need_text(state, "action") == "decrement" { before - amount } else { before + amount };
        self.attributes.set(attribute, Some(Value::Number(after)));
    }

    /// A symptom that appears has a whole strength from 0 to 100, and is one for which nobody has been seen yet.
    fn have_symptom(&mut self, module: usize, state: &'w Json) {
        let probability = number(state, "probability").unwrap_or(1.0);
        let stream = self.own_stream(module);
        if !stream.chance(probability) {
            return;
        }
        let strength = draw(state, stream).unwrap().trunc().clamp(0.0, 100.0);
        let symptom = need_text(state, "symptom").to_owned();
        let cause = filled(state, "cause").unwrap_or_else(|| self.files.name(self.modules[module].path())).to_owned();
        match self.symptoms.iter_mut().find(|known| known.symptom == symptom && known.cause == cause) {
            Some(known) => (known.strength, known.addressed) = (strength, false),
            None => self.symptoms.push(Symptom { symptom, cause, strength, addressed: false }),
        }
    }

    /// Sets the moment of death; the earliest one counts, and its cause.
    fn die(&mut self, module: usize, state: &'w Json, time: Moment) {
        let death = time + draw_span(state, self.own_stream(module)).unwrap_or(0);
        let cause = self.cause_of_death(module, state);
        if self.death.is_none_or(|known| death < known) {
            self.death = Some(death);
            self.death_by_module = true;
            self.death_cause = cause;
        }
    }

    /// Codes go before the state that began the condition, and that before the attribute that holds it.
    fn cause_of_death(&self, module: usize, state: &'w Json) -> Option<Vec<Code>> {
        let codes = codes(state, "codes");
        if !codes.is_empty() {
            return Some(codes);
        }
        if let Some(onset) = text(state, "condition_onset") {
            return self.onset_codes(self.call(module).path, onset);
        }
        let held = self.held_entry(text(state, "referenced_by_attribute")?)?;
        Some(self.entries[held].codes.clone())
    }

    /// The codes of a ConditionOnset state of a module.
    pub fn onset_codes(&self, path: &str, state: &str) -> Option<Vec<Code>> {
        let onset = self.files.state(path, state);
        (need_text(onset, "type") == "ConditionOnset").then(|| codes(onset, "codes"))
    }
}
