//! Entries: how conditions and allergies begin, wait for their diagnosis and are written, what a reason refers to, and
//! how entries of every kind end.

use super::json::{Json, code, codes, filled, list, need, need_number, need_text, text};
use super::{Entry, Interpreter, Undiagnosed, attribute::Value};
use crate::module::{ActiveKind, Code};
use crate::moment::Moment;
use crate::record::{Allergy, Condition};

impl<'w> Interpreter<'w> {
    /// Begins a condition or an allergy, unless it is active. With a target it is written in the next encounter of that
    /// name, without one at once.
    pub fn begin_diagnosis(&mut self, module: usize, kind: ActiveKind, state: &'w Json, time: Moment) {
        let Some(entry) = self.begin(module, kind, codes(state, "codes"), state) else { return };
        match text(state, "target_encounter") {
            Some(target) if self.modules[module].encounter_state != Some(target) => {
                self.undiagnosed.push(Undiagnosed { module, target, entry, onset: time, state });
            }
            _ => self.write_diagnosis(&Undiagnosed { module, target: "", entry, onset: time, state }, time),
        }
    }

    /// Writes what a module and its submodules left for an Encounter state of this name.
    pub fn write_undiagnosed(&mut self, module: usize, name: &str, time: Moment) {
        let all = std::mem::take(&mut self.undiagnosed).into_iter();
        let (found, kept): (Vec<_>, Vec<_>) =
            all.partition(|waiting| (waiting.module, waiting.target) == (module, name));
        self.undiagnosed = kept;
        for diagnosis in found {
            self.write_diagnosis(&diagnosis, time);
        }
    }

    fn write_diagnosis(&mut self, diagnosis: &Undiagnosed<'w>, time: Moment) {
        let Undiagnosed { module, entry, state, .. } = *diagnosis;
        let own = self.entries[entry].codes.clone();
        if !self.is_allowed(&own, time) {
            return;
        }
        let codes = self.files.list_number(&own);
        let (encounter, recorded) = self.placed(module, time);
        // What begins in an encounter begins with it; what began before keeps its own moment.
        let onset = if diagnosis.onset == time { recorded } else { diagnosis.onset.min(recorded) };
        let (abatement, problem) = (None, encounter.is_none());
        let place = if self.entries[entry].kind == ActiveKind::Allergy {
            let intolerance = text(state, "allergy_type") == Some("intolerance");
            let category = need_text(state, "category").into();
            let reactions =
                list(state, "reactions").iter().filter_map(|reaction| self.draw_reaction(module, reaction)).collect();
            let allergies = &mut self.record.allergies;
            allergies.push(Allergy { codes, encounter, intolerance, category, reactions, onset, recorded, abatement });
            allergies.len() - 1
        } else {
            self.record.conditions.push(Condition { codes, encounter, onset, recorded, abatement, problem });
            self.record.conditions.len() - 1
        };
        self.activate(entry, place);
    }

    /// How severely somebody reacts, if at all: the code of the reaction in the record, and the level.
    fn draw_reaction(&mut self, module: usize, reaction: &Json) -> Option<(u32, String)> {
        let mut rest = self.encounter_stream(Some(module)).unit();
        for severity in list(reaction, "possible_severities") {
            let share = need_number(severity, "value");
            if rest < share {
                let level = need_text(severity, "level").to_lowercase();
                let code = code(need(reaction, "reaction"));
                return (level != "none").then(|| (self.files.list_number(&[code]), level));
            }
            rest -= share;
        }
        None
    }

    /// Begins an entry. Where one of its kind and code is active, that one is meant, and nothing begins.
    pub fn begin(&mut self, module: usize, kind: ActiveKind, codes: Vec<Code>, state: &'w Json) -> Option<usize> {
        let active = self.active_entry(kind, &codes[..1]);
        let entry = active.unwrap_or(self.entries.len());
        if active.is_none() {
            self.entries.push(Entry { kind, codes, written: None, chronic: false });
        }
        let call = self.call(module);
        self.begun.insert((call.path.into(), call.state.into()), entry);
        if let Some(attribute) = filled(state, "assign_to_attribute") {
            self.attributes.set(attribute, Some(Value::Entry(entry)));
        }
        active.is_none().then_some(entry)
    }

    /// An entry has been written in that place, and is active from now on.
    pub fn activate(&mut self, entry: usize, place: usize) {
        self.entries[entry].written = Some(place);
        self.active.push(entry);
    }

    /// The active entry whose first code is one of these, whatever their system. Conditions and allergies share a table.
    pub fn active_entry(&self, kind: ActiveKind, codes: &[Code]) -> Option<usize> {
        let is_diagnosis = |kind| matches!(kind, ActiveKind::Condition | ActiveKind::Allergy);
        self.active.iter().copied().find(|entry| {
            let entry = &self.entries[*entry];
            (entry.kind == kind || (is_diagnosis(entry.kind) && is_diagnosis(kind)))
                && codes.iter().any(|code| code.code == entry.codes[0].code)
        })
    }

    /// The entry that an attribute holds.
    pub fn held_entry(&self, attribute: &str) -> Option<usize> {
        match self.attributes.get(attribute) {
            Some(Value::Entry(entry)) => Some(*entry),
            _ => None,
        }
    }

    /// The entry that a state of this module began, or else the latest one that a state of that name began elsewhere.
    fn entry_of_state(&self, module: usize, name: &str) -> Option<usize> {
        let path = self.call(module).path;
        if self.files.has_state(path, name) {
            return self.begun.get(&(path.into(), name.into())).copied();
        }
        self.begun.iter().filter(|((_, state), _)| state == name).map(|(_, entry)| *entry).max()
    }

    /// Ends the entry that a state names by the state that began it, by the attribute that holds it, or by its code.
    pub fn end_entry(&mut self, module: usize, kind: ActiveKind, state_field: &str, state: &'w Json, time: Moment) {
        let entry = if let Some(name) = text(state, state_field) {
            self.entry_of_state(module, name)
        } else if let Some(attribute) = text(state, "referenced_by_attribute") {
            self.held_entry(attribute)
        } else {
            self.active_entry(kind, &codes(state, "codes"))
        };
        let Some(entry) = entry else { return };
        self.active.retain(|active| *active != entry);
        self.undiagnosed.retain(|waiting| waiting.entry != entry);
        let Some(place) = self.entries[entry].written else { return };
        let (_, written) = self.placed(module, time);
        let record = &mut self.record;
        let (start, end) = match self.entries[entry].kind {
            ActiveKind::Condition => {
                let condition = &mut record.conditions[place];
                (condition.recorded, &mut condition.abatement)
            }
            ActiveKind::Allergy => {
                let allergy = &mut record.allergies[place];
                (allergy.recorded, &mut allergy.abatement)
            }
            ActiveKind::Medication => (record.medications[place].start, &mut record.medications[place].end),
            ActiveKind::CarePlan => (record.care_plans[place].start, &mut record.care_plans[place].end),
            ActiveKind::Device => (record.devices[place].start, &mut record.devices[place].end),
        };
        if end.is_none() {
            *end = Some(written.max(start));
        }
    }

    /// The condition that the `reason` of a state means: the one that an attribute of that name holds, or that a state of
    /// that name began.
    fn reason(&self, module: usize, state: &'w Json) -> Option<usize> {
        let name = filled(state, "reason")?;
        let entry = self.held_entry(name).or_else(|| self.entry_of_state(module, name))?;
        (self.entries[entry].kind == ActiveKind::Condition).then_some(entry)
    }

    /// The place of the reason in the record, if it is written by now.
    pub fn reason_written(&self, module: usize, state: &'w Json) -> Option<u32> {
        let entry = self.reason(module, state)?;
        self.entries[entry].written.map(|place| place as u32)
    }

    /// The codes of the reason; a ConditionOnset state of this module is one even before it has been entered.
    pub fn reason_codes(&self, module: usize, state: &'w Json) -> Option<Vec<Code>> {
        if let Some(entry) = self.reason(module, state) {
            return Some(self.entries[entry].codes.clone());
        }
        let (path, name) = (self.call(module).path, filled(state, "reason")?);
        if self.files.has_state(path, name) { self.onset_codes(path, name) } else { None }
    }

    /// Asks the domain constraints on age, sex and co-occurrence, and counts a refusal.
    pub fn is_allowed(&mut self, codes: &[Code], time: Moment) -> bool {
        let age = crate::moment::age_years(self.patient.birth, time);
        let known = &self.world.library.codes;
        let on_record = |numbers: &[u32]| {
            self.entries.iter().any(|entry| {
                entry.kind == ActiveKind::Condition
                    && entry.written.is_some()
                    && known.text_number(&entry.codes[0].code).is_some_and(|number| numbers.contains(&number))
            })
        };
        let list = self.files.list_number(codes);
        let violated = self.world.constraints.violated(list, self.patient.female, age, on_record);
        if let Some(constraint) = violated {
            self.count_enforced(constraint);
        }
        violated.is_none()
    }
}
