//! Encounters: the one that is open with its lock, those of the host, and the times of day that they are written with.

use super::json::{Json, code, codes, field, flag, need_text, text};
use super::{Interpreter, OpenEncounter};
use crate::facility::PRACTITIONERS_PER_TOWN;
use crate::host::wellness_interval;
use crate::module::{Code, EncounterClass, Id};
use crate::moment::{DAY, HOUR, MINUTE, Moment, SECOND, age_years};
use crate::record::Encounter;

impl<'w> Interpreter<'w> {
    /// Joins the host's encounter or opens one of the module's own; false while that is not possible.
    pub fn enter_encounter(&mut self, module: usize, state: &'w Json, time: Moment) -> bool {
        let class = class_of(state);
        if flag(state, "wellness") || class == EncounterClass::Wellness {
            let Some(OpenEncounter { encounter, owner: None, .. }) = self.open else { return false };
            let running = &mut self.modules[module];
            if running.used_wellness == Some(encounter) {
                return false;
            }
            running.in_wellness = Some(encounter);
            running.used_wellness = Some(encounter);
            self.renew_chronic_medication(module, encounter, time);
        } else {
            match self.open {
                None => {}
                Some(open) if open.owner == Some(module) => self.close_encounter(time, None),
                Some(_) => return false,
            }
            let reason = self.reason_codes(module, state).map(|codes| self.files.list_number(&codes));
            let codes = self.files.list_number(&codes(state, "codes"));
            self.open_encounter(Some(module), class, codes, reason, time);
        }
        let name = self.call(module).state;
        self.modules[module].encounter_state = Some(name);
        self.write_undiagnosed(module, name, time);
        true
    }

    /// Ends the module's encounter, or its use of the host's; false under the lock of another module.
    pub fn end_encounter(&mut self, module: usize, state: &'w Json, time: Moment) -> bool {
        if self.modules[module].in_wellness.take().is_none()
            && let Some(OpenEncounter { encounter, owner: Some(owner), .. }) = self.open
        {
            if owner != module {
                return false;
            }
            let discharge = match field(state, "discharge_disposition") {
                Some(discharge) => Some(self.files.number(&code(discharge))),
                None => match self.record.encounters[encounter as usize].class {
                    EncounterClass::Inpatient | EncounterClass::Emergency => Some(self.world.discharge_home),
                    _ => None,
                },
            };
            self.close_encounter(time, discharge);
        }
        self.modules[module].encounter_state = None;
        true
    }

    /// Opens the wellness encounter that is due, or else one because of symptoms.
    pub fn open_due_encounter(&mut self, time: Moment) {
        if self.open.is_some() {
            return;
        }
        let codes = &self.world.host_codes;
        if time >= self.next_wellness {
            let child = age_years(self.patient.birth, time) < 18;
            let codes = if child { codes.child_wellness } else { codes.adult_wellness };
            return self.open_encounter(None, EncounterClass::Wellness, codes, None, time);
        }
        let mut names: Vec<&str> = self.symptoms.iter().map(|known| known.symptom.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let total = names.into_iter().map(|symptom| self.strength(symptom)).sum();
        if total <= 300.0 || total == self.symptoms_seen {
            return;
        }
        self.symptoms_seen = total;
        let (class, codes) = match total {
            total if total > 500.0 => (EncounterClass::Emergency, codes.emergency),
            total if total > 350.0 => (EncounterClass::UrgentCare, codes.symptom),
            _ => (EncounterClass::Outpatient, codes.symptom),
        };
        self.open_encounter(None, class, codes, None, time);
        self.address_largest_cause();
    }

    /// Closes the encounter that the host has open; wellness encounters are planned from here on.
    pub fn close_host_encounter(&mut self, time: Moment) {
        let Some(OpenEncounter { owner: None, encounter, .. }) = self.open else { return };
        if self.record.encounters[encounter as usize].class == EncounterClass::Wellness {
            let chronic = self.active.iter().any(|entry| self.entries[*entry].chronic);
            self.next_wellness = time + wellness_interval(self.patient.birth, time, chronic);
        }
        self.close_encounter(time, None);
        for running in &mut self.modules {
            if running.in_wellness.take().is_some() {
                running.encounter_state = None;
            }
        }
    }

    /// The cause of most strength, the first of them if there are several, is taken care of.
    fn address_largest_cause(&mut self) {
        let strength = |cause: &str| -> f64 {
            let own = self.symptoms.iter().filter(|known| known.cause == cause && !known.addressed);
            own.map(|known| known.strength).sum()
        };
        let causes = self.symptoms.iter().map(|known| known.cause.as_str());
        let largest = causes.reduce(|largest, other| if strength(other) > strength(largest) { other } else { largest });
        let Some(largest) = largest.map(str::to_owned) else { return };
        for known in self.symptoms.iter_mut().filter(|known| known.cause == largest) {
            known.addressed = true;
        }
    }

    /// Opens an encounter: in the clinic of the town with the patient's own doctor, or in its hospital.
    fn open_encounter(
        &mut self,
        owner: Option<usize>,
        class: EncounterClass,
        codes: Id,
        reason: Option<Id>,
        time: Moment,
    ) {
        let start = self.time_of_day(owner, class, time);
        let hospital = is_stay(class) || matches!(class, EncounterClass::Emergency | EncounterClass::Outpatient);
        let first = self.patient.town * PRACTITIONERS_PER_TOWN;
        let practitioner = match class {
            EncounterClass::Emergency => first + 2,
            _ if hospital => first + 3,
            _ => self.patient.practitioner,
        };
        let organization = self.patient.town * 2 + usize::from(hospital);
        self.open = Some(OpenEncounter { encounter: self.record.encounters.len() as u32, owner, shift: start - time });
        self.record.encounters.push(Encounter {
            class,
            codes,
            reason,
            start,
            end: start,
            practitioner,
            organization,
            discharge: None,
        });
    }

    /// Closes the encounter that is open; it lasts as long as those of its class do.
    pub fn close_encounter(&mut self, time: Moment, discharge: Option<Id>) {
        let Some(open) = self.open.take() else { return };
        let place = open.encounter as usize;
        let (shortest, longest): (u64, u64) = match self.record.encounters[place].class {
            EncounterClass::Wellness => (30, 60),
            EncounterClass::Virtual => (15, 30),
            EncounterClass::UrgentCare => (30, 90),
            EncounterClass::Home => (45, 75),
            EncounterClass::Emergency => (90, 360),
            EncounterClass::Ambulatory | EncounterClass::Outpatient => (15, 45),
            EncounterClass::Inpatient | EncounterClass::Hospice | EncounterClass::SkilledNursing => (1_200, 4_200),
        };
        let minutes = shortest + self.encounter_stream(open.owner).below(longest - shortest + 1);
        let last = self.last_written();
        let encounter = &mut self.record.encounters[place];
        let end = (encounter.start + minutes as Moment * MINUTE).max(time + open.shift);
        encounter.end = end.min(last).max(encounter.start);
        encounter.discharge = discharge;
        self.last_end = encounter.end;
    }

    /// The encounter that belongs to what a module does, and the moment that is written for it.
    pub fn placed(&self, module: usize, time: Moment) -> (Option<u32>, Moment) {
        match self.open {
            Some(open) if open.owner == Some(module) || self.modules[module].in_wellness == Some(open.encounter) => {
                (Some(open.encounter), (time + open.shift).min(self.last_written()))
            }
            _ => (None, time),
        }
    }

    /// Nothing is written later; the moment of a death that a module causes is settled at the end.
    fn last_written(&self) -> Moment {
        let last = self.end() - SECOND;
        self.death.filter(|_| !self.death_by_module).map_or(last, |death| death.min(last))
    }

    /// A quarter of an hour between 8 and 17 o'clock for appointments, any of the day for the rest; not before the moment
    /// itself nor during the encounter before, and with the seconds of the moment.
    fn time_of_day(&mut self, owner: Option<usize>, class: EncounterClass, time: Moment) -> Moment {
        let midnight = time.div_euclid(DAY) * DAY;
        let quarter = self.encounter_stream(owner).below(96) as Moment;
        let unplanned = is_stay(class) || class == EncounterClass::Emergency;
        let start = midnight + if unplanned { quarter * 15 * MINUTE } else { 8 * HOUR + quarter * 3 / 8 * 15 * MINUTE };
        let mut start = start.max(time);
        if start < self.last_end && self.last_end - start < 4 * DAY {
            start = self.last_end;
        }
        start = start.div_euclid(SECOND) * SECOND + time.rem_euclid(SECOND);
        if start < self.last_written() { start } else { time }
    }

    /// Settles what is still open, the death, and the order of moments.
    pub fn finish(&mut self) {
        if let Some(OpenEncounter { encounter, .. }) = self.open {
            let died = self.death.is_some_and(|death| death < self.end());
            let discharge = match self.record.encounters[encounter as usize].class {
                EncounterClass::Inpatient | EncounterClass::Emergency if died => Some(self.world.discharge_expired),
                _ => None,
            };
            self.close_encounter(self.death.unwrap_or(self.end()).min(self.end()), discharge);
        }
        let last = self.end() - SECOND;
        let death = self.death.filter(|death| *death < self.end());
        let death = death.map(|death| {
            let after = if self.death_by_module { self.record.last_moment() } else { death };
            death.max(after).min(last)
        });
        self.record.patient.death = death;
        if let (Some(death), Some(cause)) = (death, self.death_cause.take()) {
            self.certify(death, &cause);
        }
        self.settle(death.unwrap_or(last));
    }

    /// Writes the certificate of a death whose cause is known, in an encounter of its own.
    fn certify(&mut self, death: Moment, cause: &[Code]) {
        let codes = &self.world.host_codes;
        let (cause_codes, cause_code) = (self.files.list_number(cause), self.files.number(&cause[0]));
        self.record.patient.death_cause = Some(cause_codes);
        let encounter = Some(self.record.encounters.len() as u32);
        self.record.encounters.push(Encounter {
            class: EncounterClass::Ambulatory,
            codes: codes.death_certification,
            reason: None,
            start: death,
            end: death,
            practitioner: self.patient.town * PRACTITIONERS_PER_TOWN + 3,
            organization: self.patient.town * 2 + 1,
            discharge: None,
        });
        self.write_certificate(codes, encounter, death, cause_code);
    }
}

/// The class of an Encounter state.
fn class_of(state: &Json) -> EncounterClass {
    if text(state, "telemedicine_possibility") == Some("always") {
        return EncounterClass::Virtual;
    }
    match text(state, "encounter_class").map(str::to_lowercase).as_deref() {
        None | Some("ambulatory") => EncounterClass::Ambulatory,
        Some("wellness") => EncounterClass::Wellness,
        Some("outpatient") => EncounterClass::Outpatient,
        Some("urgentcare") => EncounterClass::UrgentCare,
        Some("emergency") => EncounterClass::Emergency,
        Some("inpatient") => EncounterClass::Inpatient,
        Some("virtual") => EncounterClass::Virtual,
        Some("home") => EncounterClass::Home,
        Some("hospice") => EncounterClass::Hospice,
        Some("snf") => EncounterClass::SkilledNursing,
        Some(_) => panic!("`{}` is no class", need_text(state, "encounter_class")),
    }
}

/// A stay that lasts for days.
fn is_stay(class: EncounterClass) -> bool {
    matches!(class, EncounterClass::Inpatient | EncounterClass::Hospice | EncounterClass::SkilledNursing)
}
