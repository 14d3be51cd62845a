//! Writes what states do into the record, after the domain constraints have been asked. What a constraint forbids is
//! not written, or drawn anew, and counted.

use super::person::{Entry, Pending, Person, Slot, Value};
use crate::host::{VITAL_SIGNS, round};
use crate::module::{
    ActiveKind, Allergy, DistributionKind, Encounter, EncounterClass, Id, Kind, MedicationOrder, Observation,
    ObservationValue as Source, Onset, Reason,
};
use crate::moment::{DAY, Moment, SECOND};
use crate::record::{self, ObservationValue, Record};

/// Draws before a value outside its plausible range is clamped.
const REDRAWS: usize = 8;
/// A condition that lasts longer is a problem and not only the diagnosis of a visit.
const PROBLEM_AFTER: Moment = 90 * DAY;

impl<'w> Person<'w> {
    /// Opens an encounter or joins the wellness visit; false while that is not possible.
    pub(super) fn enter_encounter(
        &mut self,
        cursor: usize,
        state: (usize, usize),
        encounter: &Encounter,
        now: Moment,
    ) -> bool {
        if encounter.wellness {
            let Some(open) = self.open.filter(|open| open.owner.is_none()) else { return false };
            if self.cursors[cursor].used_wellness == Some(open.encounter) {
                return false;
            }
            self.cursors[cursor].in_wellness = Some(open.encounter);
            self.cursors[cursor].used_wellness = Some(open.encounter);
            self.renew_chronic_medication(cursor, open.encounter, now);
        } else {
            match self.open {
                Some(open) if open.owner == Some(cursor) => self.close_encounter(now, None),
                Some(_) => return false,
                None => {}
            }
            let Some(codes) = encounter.codes else { return true };
            let reason = encounter.reason.as_ref().and_then(|reason| self.reason_codes(state.0, reason));
            self.open_encounter(Some(cursor), encounter.class, codes, reason, now);
        }
        self.cursors[cursor].encounter_state = Some(state);
        self.diagnose(cursor, state, now);
        true
    }

    /// Ends the module's encounter; false under the lock of another one.
    pub(super) fn end_encounter(&mut self, cursor: usize, discharge: Option<Id>, now: Moment) -> bool {
        if self.cursors[cursor].in_wellness.take().is_some() {
            self.cursors[cursor].encounter_state = None;
            return true;
        }
        if let Some(open) = self.open {
            if open.owner.is_some_and(|owner| owner != cursor) {
                return false;
            }
            if open.owner == Some(cursor) {
                let class = self.record.encounters[open.encounter as usize].class;
                self.close_encounter(now, discharge.or(self.default_discharge(class)));
            }
        }
        self.cursors[cursor].encounter_state = None;
        true
    }

    /// Writes what waited for a visit of this Encounter state.
    fn diagnose(&mut self, cursor: usize, state: (usize, usize), now: Moment) {
        let mut kept = Vec::with_capacity(self.pending.len());
        for pending in std::mem::take(&mut self.pending) {
            if (pending.module, pending.target) != state {
                kept.push(pending);
            } else if let Some(allergy) = pending.allergy {
                self.write_allergy(cursor, pending.slot, allergy, pending.onset, now);
            } else {
                self.write_condition(cursor, pending.slot, pending.onset, now);
            }
        }
        kept.append(&mut self.pending);
        self.pending = kept;
    }

    fn renew_chronic_medication(&mut self, cursor: usize, encounter: u32, now: Moment) {
        if self.scheduler.renewed == Some(encounter) {
            return;
        }
        self.scheduler.renewed = Some(encounter);
        let chronic: Vec<u32> = self.active.iter().copied().filter(|slot| self.slots[*slot as usize].chronic).collect();
        let (encounter, written) = self.placed(cursor, now);
        for slot in chronic {
            let Some(before) = self.slots[slot as usize].record else { continue };
            let medication = &mut self.record.medications[before as usize];
            medication.end = Some(written.max(medication.start));
            let renewed = record::Medication { encounter, start: written, end: None, ..medication.clone() };
            self.slots[slot as usize].record = Some(self.record.medications.len() as u32);
            self.record.medications.push(renewed);
        }
    }

    fn begin(&mut self, kind: ActiveKind, codes: Id, state: (usize, usize), assign: Option<Id>) -> u32 {
        let slot = self.slots.len() as u32;
        self.slots.push(Slot { kind, codes, record: None, chronic: false });
        self.remember(slot, state, assign);
        slot
    }

    fn remember(&mut self, slot: u32, state: (usize, usize), assign: Option<Id>) {
        self.begun.insert(state, slot);
        if let Some(attribute) = assign {
            self.attributes[attribute as usize] = Value::Entry(Entry(slot));
        }
    }

    /// True when the onset is to be written at once: it has no target, or the module is in the target visit.
    fn at_target(&self, cursor: usize, module: usize, onset: &Onset) -> bool {
        onset.target.is_none_or(|target| self.cursors[cursor].encounter_state == Some((module, target)))
    }

    pub(super) fn begin_condition(&mut self, cursor: usize, state: (usize, usize), onset: &Onset, now: Moment) {
        if let Some(active) = self.active_slot(ActiveKind::Condition, &[onset.codes]) {
            self.remember(active, state, onset.assign);
            return;
        }
        let slot = self.begin(ActiveKind::Condition, onset.codes, state, onset.assign);
        if self.at_target(cursor, state.0, onset) {
            self.write_condition(cursor, slot, now, now);
        } else if let Some(target) = onset.target {
            self.pending.push(Pending { module: state.0, target, slot, onset: now, allergy: None });
        }
    }

    fn write_condition(&mut self, cursor: usize, slot: u32, onset: Moment, now: Moment) {
        let codes = self.slots[slot as usize].codes;
        if !self.allowed(codes, now) {
            return;
        }
        let (encounter, recorded) = self.placed(cursor, now);
        // What begins in a visit begins with it; what began before keeps its own moment.
        let onset = if onset == now { recorded } else { onset.min(recorded) };
        self.slots[slot as usize].record = Some(self.record.conditions.len() as u32);
        self.active.push(slot);
        self.record.conditions.push(record::Condition {
            codes,
            encounter,
            onset,
            recorded,
            abatement: None,
            problem: encounter.is_none(),
        });
    }

    pub(super) fn begin_allergy(
        &mut self,
        cursor: usize,
        state: (usize, usize),
        onset: &Onset,
        allergy: &'w Allergy,
        now: Moment,
    ) {
        if let Some(active) = self.active_slot(ActiveKind::Allergy, &[onset.codes]) {
            self.remember(active, state, onset.assign);
            return;
        }
        let slot = self.begin(ActiveKind::Allergy, onset.codes, state, onset.assign);
        if self.at_target(cursor, state.0, onset) {
            self.write_allergy(cursor, slot, allergy, now, now);
        } else if let Some(target) = onset.target {
            self.pending.push(Pending { module: state.0, target, slot, onset: now, allergy: Some(allergy) });
        }
    }

    fn write_allergy(&mut self, cursor: usize, slot: u32, allergy: &Allergy, onset: Moment, now: Moment) {
        let codes = self.slots[slot as usize].codes;
        if !self.allowed(codes, now) {
            return;
        }
        let (encounter, recorded) = self.placed(cursor, now);
        let onset = if onset == now { recorded } else { onset.min(recorded) };
        let mut reactions = Vec::new();
        for (code, severities) in &allergy.reactions {
            let mut rest = self.host_stream.unit();
            for (severity, share) in severities {
                if rest < *share {
                    if severity != "none" {
                        reactions.push((*code, severity.clone()));
                    }
                    break;
                }
                rest -= share;
            }
        }
        self.slots[slot as usize].record = Some(self.record.allergies.len() as u32);
        self.active.push(slot);
        self.record.allergies.push(record::Allergy {
            codes,
            encounter,
            intolerance: allergy.intolerance,
            category: allergy.category.clone(),
            reactions,
            onset,
            recorded,
            abatement: None,
        });
    }

    pub(super) fn begin_care_plan(&mut self, state: (usize, usize), onset: &Onset, now: Moment) {
        let slot = self.begin(ActiveKind::CarePlan, onset.codes, state, onset.assign);
        self.slots[slot as usize].record = Some(self.record.care_plans.len() as u32);
        self.active.push(slot);
        self.record.care_plans.push(record::CarePlan { start: now, end: None });
    }

    pub(super) fn order_medication(
        &mut self,
        cursor: usize,
        state: (usize, usize),
        order: &MedicationOrder,
        now: Moment,
    ) {
        if let Some(active) = self.active_slot(ActiveKind::Medication, &[order.codes]) {
            self.remember(active, state, order.assign);
            return;
        }
        let slot = self.begin(ActiveKind::Medication, order.codes, state, order.assign);
        if !self.allowed(order.codes, now) {
            return;
        }
        let (encounter, start) = self.placed(cursor, now);
        let reason = order.reason.as_ref().and_then(|reason| self.reason_slot(state.0, reason));
        let reason = reason.and_then(|slot| self.slots[slot as usize].record);
        self.slots[slot as usize].record = Some(self.record.medications.len() as u32);
        self.slots[slot as usize].chronic = order.chronic;
        self.active.push(slot);
        self.record.medications.push(record::Medication {
            codes: order.codes,
            encounter,
            reason,
            start,
            end: None,
            prescription: order.prescription.clone(),
        });
    }

    /// Ends an entry; one that was never written is forgotten.
    pub(super) fn end_slot(&mut self, slot: u32, written: Moment) {
        self.active.retain(|active| *active != slot);
        self.pending.retain(|pending| pending.slot != slot);
        let Slot { kind, record: Some(index), .. } = self.slots[slot as usize] else { return };
        let index = index as usize;
        let close = |start: Moment, end: &mut Option<Moment>| {
            end.get_or_insert(written.max(start));
        };
        match kind {
            ActiveKind::Condition => {
                let condition = &mut self.record.conditions[index];
                close(condition.recorded, &mut condition.abatement);
            }
            ActiveKind::Allergy => {
                let allergy = &mut self.record.allergies[index];
                close(allergy.recorded, &mut allergy.abatement);
            }
            ActiveKind::Medication => {
                let medication = &mut self.record.medications[index];
                close(medication.start, &mut medication.end);
            }
            ActiveKind::CarePlan => {
                let plan = &mut self.record.care_plans[index];
                close(plan.start, &mut plan.end);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one state")]
    pub(super) fn do_procedure(
        &mut self,
        cursor: usize,
        module: usize,
        codes: Id,
        reason: Option<&Reason>,
        assign: Option<Id>,
        now: Moment,
        span: Moment,
    ) {
        if let Some(attribute) = assign {
            let first = self.world.library.codes.lists()[codes as usize][0];
            self.attributes[attribute as usize] = Value::Code(first);
        }
        if !self.allowed(codes, now) {
            return;
        }
        let (encounter, start) = self.placed(cursor, now);
        let reason = reason.and_then(|reason| self.reason_codes(module, reason));
        let end = (span > 0).then_some(start + span);
        self.record.procedures.push(record::Procedure { codes, encounter, reason, start, end });
    }

    pub(super) fn vaccinate(&mut self, cursor: usize, codes: Id, now: Moment) {
        if !self.allowed(codes, now) {
            return;
        }
        let (encounter, time) = self.placed(cursor, now);
        let letters = self.host_stream.below(26 * 26);
        let letter = |n: u64| char::from(b'A' + (n % 26) as u8);
        let lot = format!("{}{}{:04}", letter(letters), letter(letters / 26), self.host_stream.below(10_000));
        self.record.immunizations.push(record::Immunization { codes, encounter, time, lot });
    }

    pub(super) fn have_symptom(&mut self, cursor: usize, symptom: Id, strength: f64) {
        let known = self.symptoms.iter_mut().find(|known| known.symptom == symptom && known.cause == cursor);
        match known {
            Some(known) => {
                known.strength = strength;
                known.addressed = false;
            }
            None => self.symptoms.push(super::person::Symptom { symptom, cause: cursor, strength, addressed: false }),
        }
    }

    /// Sets the moment of death; the earliest one counts.
    pub(super) fn die(&mut self, time: Moment) {
        if self.death.is_none_or(|death| time < death) {
            self.death = Some(time);
            self.death_by_module = true;
        }
    }

    /// Writes one observation and returns its place in the record.
    pub(super) fn observe(
        &mut self,
        cursor: usize,
        module: usize,
        observation: &Observation,
        now: Moment,
    ) -> Option<u32> {
        let value = self.value(module, observation, now)?;
        if !self.allowed(observation.codes, now) {
            return None;
        }
        self.latest.insert(self.world.library.codes.text_id(observation.codes), value.clone());
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
            let Some(value) = self.value(module, component, now) else { continue };
            self.latest.insert(self.world.library.codes.text_id(component.codes), value.clone());
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
    fn value(&mut self, module: usize, observation: &Observation, now: Moment) -> Option<ObservationValue> {
        let number = match &observation.value {
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
                let draw = |stream: &mut crate::random::Stream| round(distribution.draw(stream), decimals);
                let mut value = draw(self.stream(module));
                if let Some((low, high)) = self.world.constraints.range(observation.codes, observation.unit.as_deref())
                {
                    let mut left = REDRAWS;
                    while !(low..=high).contains(&value) && left > 0 {
                        value = draw(self.stream(module));
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

    /// Asks the constraints on age, sex and co-occurrence; counts a refusal.
    fn allowed(&mut self, codes: Id, now: Moment) -> bool {
        let world = self.world;
        let age = self.age(now);
        let has = |texts: &[Id]| {
            self.slots.iter().any(|slot| {
                slot.kind == ActiveKind::Condition
                    && slot.record.is_some()
                    && texts.contains(&world.library.codes.text_id(slot.codes))
            })
        };
        match world.constraints.violated(codes, self.patient.female, age, has) {
            Some(name) => {
                self.enforced(name);
                false
            }
            None => true,
        }
    }

    fn enforced(&mut self, name: &str) {
        match self.enforced.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                self.enforced.insert(name.into(), 1);
            }
        }
    }

    fn reason_slot(&self, module: usize, reason: &Reason) -> Option<u32> {
        let slot = match self.attributes[reason.attribute as usize] {
            Value::Entry(entry) => Some(entry.0),
            _ => reason.state.and_then(|state| self.begun.get(&(module, state)).copied()),
        };
        slot.filter(|slot| self.slots[*slot as usize].kind == ActiveKind::Condition)
    }

    fn reason_codes(&self, module: usize, reason: &Reason) -> Option<Id> {
        if let Some(slot) = self.reason_slot(module, reason) {
            return Some(self.slots[slot as usize].codes);
        }
        let state = &self.world.library.modules[module].states[reason.state?];
        match &state.kind {
            Kind::ConditionOnset(onset) => Some(onset.codes),
            _ => None,
        }
    }

    /// Settles death and the order of dates, and hands the record over.
    pub(super) fn finish(&mut self) -> Record {
        if let Some(open) = self.open {
            let time = self.death.unwrap_or(self.end).min(self.end);
            let class = self.record.encounters[open.encounter as usize].class;
            let died = self.death.is_some_and(|death| death < self.end);
            let discharge = match class {
                EncounterClass::Inpatient | EncounterClass::Emergency if died => Some(self.world.discharge_expired),
                _ => None,
            };
            self.close_encounter(time, discharge);
        }
        let mut record = std::mem::take(&mut self.record);
        let last = self.end - SECOND;
        record.patient.death = self.death.filter(|death| *death < self.end).map(|death| {
            let death = if self.death_by_module { death.max(record.last_moment()) } else { death };
            death.min(last)
        });
        record.put_in_order(record.patient.death.unwrap_or(last));
        for condition in &mut record.conditions {
            condition.problem |= condition.abatement.is_none_or(|end| end - condition.onset > PROBLEM_AFTER);
        }
        record
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
