//! Writes what states do into the record, after the domain constraints have been asked. What a constraint forbids is
//! not written, and counted.

use super::person::{Entry, Pending, Person, Slot, Value};
use crate::host::coverages;
use crate::module::{ActiveKind, Allergy, Cause, EncounterClass, Id, Kind, MedicationOrder, Onset, Reason};
use crate::moment::{DAY, Moment, SECOND, date};
use crate::record::{self, Record};

/// A condition that lasts longer is a problem and not only the diagnosis of a visit.
const PROBLEM_AFTER: Moment = 90 * DAY;

impl<'w> Person<'w> {
    /// Writes what a module and its submodules left for a visit of an Encounter state of this name.
    pub(super) fn diagnose(&mut self, cursor: usize, name: Id, now: Moment) {
        let mut kept = Vec::with_capacity(self.pending.len());
        for pending in std::mem::take(&mut self.pending) {
            if (pending.cursor, pending.target) != (cursor, name) {
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

    pub(super) fn renew_chronic_medication(&mut self, cursor: usize, encounter: u32, now: Moment) {
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

    pub(super) fn begin(&mut self, kind: ActiveKind, codes: Id, state: (usize, usize), assign: Option<Id>) -> u32 {
        let slot = self.slots.len() as u32;
        self.slots.push(Slot { kind, codes, record: None, chronic: false });
        self.remember(slot, state, assign);
        slot
    }

    pub(super) fn remember(&mut self, slot: u32, state: (usize, usize), assign: Option<Id>) {
        self.begun.insert(state, slot);
        if let Some(attribute) = assign {
            self.attributes[attribute as usize] = Value::Entry(Entry(slot));
        }
    }

    /// True when the onset is to be written at once: it has no target, or the module is in the target visit.
    fn at_target(&self, cursor: usize, onset: &Onset) -> bool {
        onset.target.is_none_or(|target| self.cursors[cursor].encounter_state == Some(target))
    }

    pub(super) fn begin_condition(&mut self, cursor: usize, state: (usize, usize), onset: &Onset, now: Moment) {
        if let Some(active) = self.active_slot(ActiveKind::Condition, &[onset.codes]) {
            self.remember(active, state, onset.assign);
            return;
        }
        let slot = self.begin(ActiveKind::Condition, onset.codes, state, onset.assign);
        if self.at_target(cursor, onset) {
            self.write_condition(cursor, slot, now, now);
        } else if let Some(target) = onset.target {
            self.pending.push(Pending { cursor, target, slot, onset: now, allergy: None });
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
        if self.at_target(cursor, onset) {
            self.write_allergy(cursor, slot, allergy, now, now);
        } else if let Some(target) = onset.target {
            self.pending.push(Pending { cursor, target, slot, onset: now, allergy: Some(allergy) });
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
            let mut rest = self.visit_stream(Some(cursor)).unit();
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
        let reason = order.reason.as_ref().and_then(|reason| self.reason_written(state.0, reason));
        if order.administration {
            self.record.administrations.push(record::Administration {
                codes: order.codes,
                encounter,
                reason,
                time: start,
                dose: order.prescription.dose,
            });
            if !order.chronic {
                return;
            }
        }
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
            ActiveKind::Device => {
                let device = &mut self.record.devices[index];
                close(device.start, &mut device.end);
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
        let reason = reason.and_then(|reason| self.reason_codes(module, reason));
        self.write_procedure(cursor, codes, reason, now, span);
    }

    /// Writes a procedure and returns its place in the record.
    pub(super) fn write_procedure(
        &mut self,
        cursor: usize,
        codes: Id,
        reason: Option<Id>,
        now: Moment,
        span: Moment,
    ) -> Option<u32> {
        if !self.allowed(codes, now) {
            return None;
        }
        let (encounter, start) = self.placed(cursor, now);
        let end = (span > 0).then_some(start + span);
        self.record.procedures.push(record::Procedure { codes, encounter, reason, start, end });
        Some(self.record.procedures.len() as u32 - 1)
    }

    pub(super) fn vaccinate(&mut self, cursor: usize, codes: Id, now: Moment) {
        if !self.allowed(codes, now) {
            return;
        }
        let (encounter, time) = self.placed(cursor, now);
        let stream = self.visit_stream(Some(cursor));
        let letters = stream.below(26 * 26);
        let letter = |n: u64| char::from(b'A' + (n % 26) as u8);
        let lot = format!("{}{}{:04}", letter(letters), letter(letters / 26), stream.below(10_000));
        self.record.immunizations.push(record::Immunization { codes, encounter, time, lot });
    }

    pub(super) fn have_symptom(&mut self, cause: Id, symptom: Id, strength: f64) {
        let known = self.symptoms.iter_mut().find(|known| known.symptom == symptom && known.cause == cause);
        match known {
            Some(known) => {
                known.strength = strength;
                known.addressed = false;
            }
            None => self.symptoms.push(super::person::Symptom { symptom, cause, strength, addressed: false }),
        }
    }

    /// Sets the moment of death; the earliest one counts, and with it its cause.
    pub(super) fn die(&mut self, time: Moment, cause: Option<Id>) {
        if self.death.is_none_or(|death| time < death) {
            self.death = Some(time);
            self.death_by_module = true;
            self.death_cause = cause;
        }
    }

    /// The codes of a cause of death, if it has any by now.
    pub(super) fn cause_of_death(&self, module: usize, cause: &Cause) -> Option<Id> {
        match cause {
            Cause::Codes(codes) => Some(*codes),
            Cause::Attribute(attribute) => match self.attributes[*attribute as usize] {
                Value::Entry(entry) => Some(self.slots[entry.0 as usize].codes),
                _ => None,
            },
            Cause::State(state) => match &self.world.library.modules[module].states[*state].kind {
                Kind::ConditionOnset(onset) => Some(onset.codes),
                _ => None,
            },
        }
    }

    /// Asks the constraints on age, sex and co-occurrence; counts a refusal.
    pub(super) fn allowed(&mut self, codes: Id, now: Moment) -> bool {
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

    pub(super) fn enforced(&mut self, name: &str) {
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
            _ => match (reason.state, &reason.elsewhere) {
                (Some(state), _) => self.begun.get(&(module, state)).copied(),
                (None, Some(name)) => self.begun_elsewhere(name),
                (None, None) => None,
            },
        };
        slot.filter(|slot| self.slots[*slot as usize].kind == ActiveKind::Condition)
    }

    /// The condition that is a reason, if it is in the record by now.
    pub(super) fn reason_written(&self, module: usize, reason: &Reason) -> Option<u32> {
        self.reason_slot(module, reason).and_then(|slot| self.slots[slot as usize].record)
    }

    pub(super) fn reason_codes(&self, module: usize, reason: &Reason) -> Option<Id> {
        if let Some(slot) = self.reason_slot(module, reason) {
            return Some(self.slots[slot as usize].codes);
        }
        let state = &self.world.library.modules[module].states[reason.state?];
        match &state.kind {
            Kind::ConditionOnset(onset) => Some(onset.codes),
            _ => None,
        }
    }

    /// Writes the certificate of a death whose cause is known: a visit at that moment, the cause, a report.
    fn certify(&self, record: &mut Record, death: Moment, cause: Id) {
        let codes = &self.world.host_codes;
        let first = self.patient.town * crate::facility::PRACTITIONERS_PER_TOWN;
        let encounter = Some(record.encounters.len() as u32);
        record.encounters.push(record::Encounter {
            class: EncounterClass::Ambulatory,
            codes: codes.death_certification,
            reason: None,
            start: death,
            end: death,
            practitioner: first + 3,
            organization: self.patient.town * 2 + 1,
            discharge: None,
        });
        record.observations.push(record::Observation {
            codes: codes.cause_of_death,
            category: "exam".into(),
            encounter,
            time: death,
            value: record::ObservationValue::Code(self.world.library.codes.lists()[cause as usize][0]),
            components: Vec::new(),
            range: None,
        });
        let results = vec![record.observations.len() as u32 - 1];
        record.reports.push(record::Report { codes: codes.death_certificate, encounter, time: death, results });
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
        if let (Some(death), Some(cause)) = (record.patient.death, self.death_cause) {
            record.patient.death_cause = Some(cause);
            self.certify(&mut record, death, cause);
        }
        record.put_in_order(record.patient.death.unwrap_or(last));
        for condition in &mut record.conditions {
            condition.problem |= condition.abatement.is_none_or(|end| end - condition.onset > PROBLEM_AFTER);
        }
        if self.world.options.claims {
            let last = date(record.patient.death.unwrap_or(last));
            record.coverages = coverages(&self.circumstances, record.patient.birth, last);
        }
        record
    }
}
