//! Visits: the one open encounter with its lock, the host's wellness schedule and visits because of symptoms, and the
//! times of day that visits are written with.

use super::person::{Open, Person};
use crate::host::wellness_interval;
use crate::module::{Code, Encounter, EncounterClass, Id};
use crate::moment::{DAY, HOUR, MINUTE, Moment, SECOND};
use crate::record;

/// Sums of symptoms above which a person sees somebody.
const OUTPATIENT: f64 = 300.0;
const URGENT_CARE: f64 = 350.0;
const EMERGENCY: f64 = 500.0;

impl Person<'_> {
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
        let library = &self.world.library;
        let name = library.encounter_states.get(&library.modules[state.0].states[state.1].name);
        self.cursors[cursor].encounter_state = name;
        if let Some(name) = name {
            self.diagnose(cursor, name, now);
        }
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

    /// Opens the visit that is due, if nobody else has one open.
    pub(super) fn open_due_visit(&mut self, time: Moment) {
        if self.open.is_some() {
            return;
        }
        let codes = &self.world.host_codes;
        if time >= self.scheduler.next_wellness {
            let visit = if self.age(time) < 18 { codes.child_wellness } else { codes.adult_wellness };
            self.open_encounter(None, EncounterClass::Wellness, visit, None, time);
            return;
        }
        if self.symptoms.is_empty() {
            return;
        }
        let total = self.symptom_total();
        if total == self.scheduler.symptoms_seen {
            return;
        }
        let (class, visit) = match total {
            total if total > EMERGENCY => (EncounterClass::Emergency, codes.emergency),
            total if total > URGENT_CARE => (EncounterClass::UrgentCare, codes.symptom),
            total if total > OUTPATIENT => (EncounterClass::Outpatient, codes.symptom),
            _ => return,
        };
        self.scheduler.symptoms_seen = total;
        self.open_encounter(None, class, visit, None, time);
        self.address_largest_cause();
    }

    /// Closes the visit that the host opened in this step.
    pub(super) fn close_host_visit(&mut self, time: Moment) {
        let Some(Open { owner: None, encounter, .. }) = self.open else { return };
        if self.record.encounters[encounter as usize].class == EncounterClass::Wellness {
            let chronic = self.active.iter().any(|slot| self.slots[*slot as usize].chronic);
            self.scheduler.next_wellness = time + wellness_interval(self.patient.birth, time, chronic);
        }
        self.close_encounter(time, None);
        for cursor in self.cursors.iter_mut().filter(|cursor| cursor.in_wellness.is_some()) {
            cursor.in_wellness = None;
            cursor.encounter_state = None;
        }
    }

    /// Opens a visit and chooses its time of day.
    pub(super) fn open_encounter(
        &mut self,
        owner: Option<usize>,
        class: EncounterClass,
        codes: Id,
        reason: Option<Id>,
        time: Moment,
    ) -> u32 {
        let start = self.time_of_day(owner, class, time);
        let town = self.patient.town;
        let hospital = matches!(
            class,
            EncounterClass::Emergency
                | EncounterClass::Inpatient
                | EncounterClass::Outpatient
                | EncounterClass::Hospice
                | EncounterClass::SkilledNursing
        );
        let first = town * crate::facility::PRACTITIONERS_PER_TOWN;
        let practitioner = match class {
            EncounterClass::Emergency => first + 2,
            _ if hospital => first + 3,
            _ => self.patient.practitioner,
        };
        let encounter = self.record.encounters.len() as u32;
        self.record.encounters.push(record::Encounter {
            class,
            codes,
            reason,
            start,
            end: start,
            practitioner,
            organization: town * 2 + usize::from(hospital),
            discharge: None,
        });
        self.open = Some(Open { encounter, owner, shift: start - time });
        encounter
    }

    /// Closes the open visit; it lasts at least as long as visits of its class do.
    pub(super) fn close_encounter(&mut self, time: Moment, discharge: Option<Id>) {
        let Some(open) = self.open.take() else { return };
        let class = self.record.encounters[open.encounter as usize].class;
        let (shortest, longest): (u64, u64) = match class {
            EncounterClass::Wellness => (30, 60),
            EncounterClass::Virtual => (15, 30),
            EncounterClass::UrgentCare => (30, 90),
            EncounterClass::Home => (45, 75),
            EncounterClass::Emergency => (90, 360),
            EncounterClass::Inpatient | EncounterClass::Hospice | EncounterClass::SkilledNursing => (1_200, 4_200),
            EncounterClass::Ambulatory | EncounterClass::Outpatient => (15, 45),
        };
        let minutes = (shortest + self.visit_stream(open.owner).below(longest - shortest + 1)) as Moment;
        let latest = self.latest_written();
        let encounter = &mut self.record.encounters[open.encounter as usize];
        let end = (encounter.start + minutes * MINUTE).max(time + open.shift);
        encounter.end = end.min(latest).max(encounter.start);
        encounter.discharge = discharge;
        self.last_end = encounter.end;
    }

    /// The visit that a module's events belong to, and the moment with which they are written.
    pub(super) fn placed(&self, cursor: usize, time: Moment) -> (Option<u32>, Moment) {
        match self.open {
            Some(open) if open.owner == Some(cursor) || self.cursors[cursor].in_wellness == Some(open.encounter) => {
                (Some(open.encounter), (time + open.shift).min(self.latest_written()))
            }
            _ => (None, time),
        }
    }

    /// Nothing is written later than this.
    fn latest_written(&self) -> Moment {
        match self.death {
            // The moment of a death that a module causes is settled at the end.
            Some(death) if !self.death_by_module => death.min(self.end - SECOND),
            _ => self.end - SECOND,
        }
    }

    /// Office hours for appointments; any hour for the rest. Never before the moment itself, and never during the
    /// visit before.
    fn time_of_day(&mut self, owner: Option<usize>, class: EncounterClass, time: Moment) -> Moment {
        let day = time - time.rem_euclid(DAY);
        let quarter = self.visit_stream(owner).below(96) as Moment;
        let appointment = !matches!(
            class,
            EncounterClass::Emergency
                | EncounterClass::Inpatient
                | EncounterClass::Hospice
                | EncounterClass::SkilledNursing
        );
        let slot = day + if appointment { 8 * HOUR + quarter * 3 / 8 * 15 * MINUTE } else { quarter * 15 * MINUTE };
        let start = slot.max(time);
        let start = if start < self.last_end && self.last_end - start < 4 * DAY { self.last_end } else { start };
        // Whole seconds, so that shifted moments stay in order.
        let start = start - start.rem_euclid(SECOND) + time.rem_euclid(SECOND);
        if start >= self.latest_written() { time } else { start }
    }

    fn symptom_total(&self) -> f64 {
        let mut kinds: Vec<Id> = self.symptoms.iter().map(|symptom| symptom.symptom).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.into_iter().map(|symptom| self.symptom_strength(symptom)).sum()
    }

    fn address_largest_cause(&mut self) {
        let mut largest: Option<(Id, f64)> = None;
        for symptom in &self.symptoms {
            let total: f64 = self
                .symptoms
                .iter()
                .filter(|other| other.cause == symptom.cause && !other.addressed)
                .map(|other| other.strength)
                .sum();
            if largest.is_none_or(|(_, most)| total > most) {
                largest = Some((symptom.cause, total));
            }
        }
        if let Some((cause, _)) = largest {
            for symptom in self.symptoms.iter_mut().filter(|symptom| symptom.cause == cause) {
                symptom.addressed = true;
            }
        }
    }

    /// The code with which a class of stay ends when nothing else is said.
    pub(super) fn default_discharge(&self, class: EncounterClass) -> Option<Id> {
        match class {
            EncounterClass::Inpatient | EncounterClass::Emergency => Some(self.world.discharge_home),
            _ => None,
        }
    }
}

/// The codes of `discharge-disposition` that the host uses.
pub(crate) fn discharge_code(code: &str, display: &str) -> Code {
    Code {
        system: "http://terminology.hl7.org/CodeSystem/discharge-disposition".into(),
        code: code.into(),
        display: display.into(),
    }
}
