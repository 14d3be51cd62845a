//! Runs the states of one module until it blocks.

use super::person::{Frame, Person, Value, Visit, WITH_VISIT};
use crate::Error;
use crate::module::{
    ActiveKind, By, CALL_DEPTH, ConstantValue, Kind, STATES_PER_LIFE, STATES_PER_STEP, Share, Transition, ValueSource,
};
use crate::moment::Moment;
use crate::random::Stream;

/// What became of a state.
enum Outcome {
    /// It is over, at that moment.
    Exit(Moment),
    /// It waits; asking before that moment is useless, or before the host has a visit.
    Blocked(Moment),
    /// Another module runs first.
    Call(usize),
    /// The module has come to its end.
    Finished,
}

impl<'w> Person<'w> {
    /// Runs a module at a moment of the grid. Where a state ended earlier, what follows runs at that earlier moment
    /// until it blocks, and is then asked once more at the moment it was called for.
    pub(super) fn run(&mut self, cursor: usize, time: Moment) -> Result<(), Error> {
        let mut now = time;
        let mut later = Vec::new();
        for _ in 0..STATES_PER_STEP {
            if !self.alive(now) {
                self.wakes[cursor] = Moment::MAX;
                return Ok(());
            }
            self.cursors[cursor].states_run += 1;
            if self.cursors[cursor].states_run > STATES_PER_LIFE {
                return Err(self.endless(cursor, format!("has run {STATES_PER_LIFE} states in one life")));
            }
            match self.run_state(cursor, now) {
                Outcome::Exit(exited) => {
                    self.leave(cursor, exited);
                    if exited < now {
                        later.push(now);
                        now = exited;
                    }
                }
                Outcome::Blocked(wake) => match later.pop() {
                    Some(moment) => now = moment,
                    None => {
                        self.wakes[cursor] = wake;
                        return Ok(());
                    }
                },
                Outcome::Call(module) => {
                    if self.cursors[cursor].frames.len() == CALL_DEPTH {
                        return Err(self.endless(cursor, format!("calls submodules more than {CALL_DEPTH} deep")));
                    }
                    let initial = self.world.library.modules[module].initial;
                    self.cursors[cursor].frames.push(Frame::new(module, initial, now));
                    self.note_visit(cursor);
                }
                Outcome::Finished => {
                    if self.cursors[cursor].frames.len() == 1 {
                        self.finish_module(cursor, now);
                        return Ok(());
                    }
                    self.return_to_caller(cursor, now);
                }
            }
        }
        Err(self.endless(cursor, format!("has run {STATES_PER_STEP} states in one step")))
    }

    fn endless(&self, cursor: usize, message: String) -> Error {
        let frame = self.cursors[cursor].frames.last();
        let (module, state) = frame.map_or(("", ""), |frame| {
            let module = &self.world.library.modules[frame.module];
            (module.path.as_str(), module.states[frame.state].name.as_str())
        });
        let hint = "a loop of states needs a Delay, a Guard or an Encounter, and a chain of submodules an end";
        Error::Endless { module: module.into(), state: state.into(), patient: self.patient.index, message, hint }
    }

    fn finish_module(&mut self, cursor: usize, now: Moment) {
        if self.open.is_some_and(|open| open.owner == Some(cursor)) {
            self.close_encounter(now, None);
        }
        self.wakes[cursor] = Moment::MAX;
        self.cursors[cursor].done = true;
        self.cursors[cursor].in_wellness = None;
    }

    /// The submodule's visits become the caller's; its Terminal lets the call exit.
    fn return_to_caller(&mut self, cursor: usize, now: Moment) {
        let Some(frame) = self.cursors[cursor].frames.pop() else { return };
        if let Some(caller) = self.cursors[cursor].frames.last_mut() {
            for mut visit in frame.visits {
                visit.exited.get_or_insert(now);
                match caller.visits.iter_mut().find(|known| known.name == visit.name) {
                    Some(known) => *known = visit,
                    None => caller.visits.push(visit),
                }
            }
        }
        self.leave(cursor, now);
    }

    fn leave(&mut self, cursor: usize, exited: Moment) {
        let world = self.world;
        let Some((module, state)) = self.cursors[cursor].frames.last().map(|frame| (frame.module, frame.state)) else {
            return;
        };
        let next = self.follow(cursor, module, &world.library.modules[module].states[state].transition, exited);
        let tracked = world.library.modules[module].states[state].tracked;
        let Some(frame) = self.cursors[cursor].frames.last_mut() else { return };
        if let Some(name) = tracked
            && let Some(visit) = frame.visits.iter_mut().find(|visit| visit.name == name)
        {
            visit.exited = Some(exited);
        }
        frame.state = next;
        frame.entered = exited;
        frame.expiry = None;
        self.note_visit(cursor);
    }

    fn note_visit(&mut self, cursor: usize) {
        let cursor = &mut self.cursors[cursor];
        #[cfg(test)]
        if let Some(frame) = cursor.frames.last() {
            let state = &self.world.library.modules[frame.module].states[frame.state];
            self.trace.push((state.name.clone(), frame.entered));
        }
        cursor.sequence += 1;
        let Some(frame) = cursor.frames.last_mut() else { return };
        let Some(name) = self.world.library.modules[frame.module].states[frame.state].tracked else { return };
        let visit = Visit { name, sequence: cursor.sequence, exited: None };
        match frame.visits.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = visit,
            None => frame.visits.push(visit),
        }
    }

    /// Chooses the next state. What falls through goes to the last option.
    fn follow(&mut self, cursor: usize, module: usize, transition: &'w Transition, time: Moment) -> usize {
        match transition {
            Transition::None => self.cursors[cursor].frames.last().map_or(0, |frame| frame.state),
            Transition::Direct(next) => *next,
            Transition::Distributed(shares) => self.choose(cursor, module, shares),
            Transition::Lookup(lookup) => {
                let shares = self.shares_of(cursor, lookup, time);
                self.choose_by(cursor, module, lookup.targets.iter().copied().zip(shares.iter().copied()))
            }
            Transition::TypeOfCare { ambulatory, emergency, telemedicine } => {
                let shares = type_of_care(time);
                self.choose_by(cursor, module, [*ambulatory, *emergency, *telemedicine].into_iter().zip(shares))
            }
            Transition::Conditional(branches) => {
                let matching = branches.iter().find(|(condition, _)| {
                    condition.as_ref().is_none_or(|condition| self.holds(cursor, condition, time))
                });
                matching.unwrap_or(&branches[branches.len() - 1]).1
            }
            Transition::Complex(branches) => {
                let matching = branches.iter().find(|(condition, _)| {
                    condition.as_ref().is_none_or(|condition| self.holds(cursor, condition, time))
                });
                let (_, shares) = matching.unwrap_or(&branches[branches.len() - 1]);
                self.choose(cursor, module, shares)
            }
        }
    }

    fn choose(&mut self, cursor: usize, module: usize, shares: &[(Share, usize)]) -> usize {
        if let [(_, only)] = shares {
            return *only;
        }
        let mut rest = self.stream(cursor, module).unit();
        for (share, next) in shares {
            let probability = match share {
                Share::Fixed(probability) => *probability,
                Share::Named(attribute, default) => match self.attributes[*attribute as usize] {
                    Value::Number(probability) => probability,
                    _ => *default,
                },
            };
            if rest < probability {
                return *next;
            }
            rest -= probability;
        }
        shares[shares.len() - 1].1
    }

    fn choose_by(&mut self, cursor: usize, module: usize, shares: impl Iterator<Item = (usize, f64)>) -> usize {
        let mut rest = self.stream(cursor, module).unit();
        let mut last = 0;
        for (next, probability) in shares {
            if rest < probability {
                return next;
            }
            rest -= probability;
            last = next;
        }
        last
    }

    fn run_state(&mut self, cursor: usize, now: Moment) -> Outcome {
        let world = self.world;
        let Some(frame) = self.cursors[cursor].frames.last() else { return Outcome::Finished };
        let (module, index) = (frame.module, frame.state);
        match &world.library.modules[module].states[index].kind {
            Kind::Initial | Kind::Simple => {}
            Kind::Terminal => return Outcome::Finished,
            Kind::Delay(duration) => return self.wait(cursor, now, |stream| duration.draw_delay(stream)),
            Kind::Guard(condition) => {
                if !self.holds(cursor, condition, now) {
                    return Outcome::Blocked(self.next_chance(condition));
                }
            }
            Kind::SetAttribute(attribute, source) => {
                let value = match source {
                    None => Value::Nil,
                    Some(ValueSource::Constant(value)) => literal(value),
                    Some(ValueSource::Drawn(distribution)) => {
                        Value::Number(distribution.draw(self.stream(cursor, module)))
                    }
                    Some(ValueSource::Attribute(other)) => self.attributes[*other as usize].clone(),
                };
                self.attributes[*attribute as usize] = value;
            }
            Kind::Counter(attribute, amount) => {
                let before = match self.attributes[*attribute as usize] {
                    Value::Number(number) => number,
                    _ => 0.0,
                };
                self.attributes[*attribute as usize] = Value::Number(before + amount);
            }
            Kind::CallSubmodule(submodule) => return Outcome::Call(*submodule),
            Kind::Encounter(encounter) => {
                if !self.enter_encounter(cursor, (module, index), encounter, now) {
                    return Outcome::Blocked(if encounter.wellness { WITH_VISIT } else { Moment::MIN });
                }
            }
            Kind::EncounterEnd(discharge) => {
                if !self.end_encounter(cursor, *discharge, now) {
                    return Outcome::Blocked(Moment::MIN);
                }
            }
            Kind::ConditionOnset(onset) => self.begin_condition(cursor, (module, index), onset, now),
            Kind::AllergyOnset(onset, allergy) => self.begin_allergy(cursor, (module, index), onset, allergy, now),
            Kind::CarePlanStart(plan) => self.begin_care_plan(cursor, (module, index), plan, now),
            Kind::ConditionEnd(by) => self.end_entry(cursor, module, ActiveKind::Condition, by, now),
            Kind::AllergyEnd(by) => self.end_entry(cursor, module, ActiveKind::Allergy, by, now),
            Kind::MedicationEnd(by) => self.end_entry(cursor, module, ActiveKind::Medication, by, now),
            Kind::CarePlanEnd(by) => self.end_entry(cursor, module, ActiveKind::CarePlan, by, now),
            Kind::DeviceEnd(by) => self.end_entry(cursor, module, ActiveKind::Device, by, now),
            Kind::Device { codes, assign } => self.begin_device(cursor, (module, index), *codes, *assign, now),
            Kind::SupplyList(supplies) => self.supply(cursor, supplies, now),
            Kind::ImagingStudy(study) => self.take_pictures(cursor, module, study, now),
            Kind::MedicationOrder(order) => self.order_medication(cursor, (module, index), order, now),
            Kind::Procedure { codes, duration, reason, assign } => {
                let begun = self.cursors[cursor].frames.last().is_some_and(|frame| frame.expiry.is_some());
                if !begun {
                    let span = duration.as_ref().map_or(0, |duration| duration.draw_span(self.stream(cursor, module)));
                    self.do_procedure(cursor, module, *codes, reason.as_ref(), *assign, now, span);
                    if let Some(frame) = self.cursors[cursor].frames.last_mut() {
                        frame.expiry = Some(now + span);
                    }
                }
                return self.wait(cursor, now, |_| 0);
            }
            Kind::Observation(observation) => {
                self.observe(cursor, module, observation, now);
            }
            Kind::MultiObservation { codes, category, components } => {
                self.observe_panel(cursor, module, *codes, category, components, now);
            }
            Kind::DiagnosticReport { codes, observations } => {
                self.report(cursor, module, *codes, observations, now);
            }
            Kind::Vaccine(codes) => self.vaccinate(cursor, *codes, now),
            Kind::Symptom { symptom, cause, probability, strength } => {
                let stream = self.stream(cursor, module);
                if stream.chance(*probability) {
                    let strength = strength.draw(stream).trunc().clamp(0.0, 100.0);
                    let cause = cause.unwrap_or_else(|| self.own_cause(cursor));
                    self.have_symptom(cause, *symptom, strength);
                }
            }
            Kind::VitalSign(sign, distribution) => {
                let value = distribution.draw(self.stream(cursor, module));
                self.vital_signs[*sign as usize] = Some(value);
            }
            Kind::Death(after, cause) => {
                let span = after.as_ref().map_or(0, |after| after.draw_span(self.stream(cursor, module)));
                let cause = cause.as_ref().and_then(|cause| self.cause_of_death(module, cause));
                self.die(now + span, cause);
            }
        }
        Outcome::Exit(now)
    }

    /// Waits until the state's expiry, drawn when it is asked first. The dead wait for ever.
    fn wait(&mut self, cursor: usize, now: Moment, draw: impl FnOnce(&mut Stream) -> Moment) -> Outcome {
        let Some(frame) = self.cursors[cursor].frames.last() else { return Outcome::Finished };
        let (module, entered) = (frame.module, frame.entered);
        let expiry = match frame.expiry {
            Some(expiry) => expiry,
            None => {
                let expiry = entered.saturating_add(draw(self.stream(cursor, module)));
                if let Some(frame) = self.cursors[cursor].frames.last_mut() {
                    frame.expiry = Some(expiry);
                }
                expiry
            }
        };
        match expiry {
            expiry if expiry > now => Outcome::Blocked(expiry),
            expiry if !self.alive(expiry) => Outcome::Blocked(Moment::MAX),
            expiry => Outcome::Exit(expiry),
        }
    }

    /// The name of the module that a cursor runs, as a cause of symptoms.
    fn own_cause(&self, cursor: usize) -> u32 {
        self.cursors[cursor].frames.first().map_or(0, |frame| self.world.library.modules[frame.module].cause)
    }

    /// The latest entry that a state of that name began, in whatever module.
    pub(super) fn begun_elsewhere(&self, name: &str) -> Option<u32> {
        let modules = &self.world.library.modules;
        let of_name = self.begun.iter().filter(|((module, state), _)| modules[*module].states[*state].name == name);
        of_name.map(|(_, slot)| *slot).max()
    }

    fn end_entry(&mut self, cursor: usize, module: usize, kind: ActiveKind, by: &By, now: Moment) {
        let slot = match by {
            By::State(state) => self.begun.get(&(module, *state)).copied(),
            By::StateElsewhere(name) => self.begun_elsewhere(name),
            By::Attribute(attribute) => match self.attributes[*attribute as usize] {
                Value::Entry(entry) => Some(entry.0),
                _ => None,
            },
            By::Codes(lists) => self.active_slot(kind, lists),
        };
        if let Some(slot) = slot {
            let (_, written) = self.placed(cursor, now);
            self.end_slot(slot, written);
        }
    }
}

/// Where an acute illness is taken to: an office, the emergency department, or the telephone. Of the visits to offices
/// and emergency departments of the United States in 2019, 13 % were to the latter (NAMCS and NHAMCS 2019); about one
/// visit in twenty has been at a distance since spring 2020, and next to none before (FAIR Health, 2020 to 2023).
pub(super) fn type_of_care(time: Moment) -> [f64; 3] {
    /// 1 April 2020.
    const AT_A_DISTANCE: Moment = 18_353 * crate::moment::DAY;
    let telemedicine = if time < AT_A_DISTANCE { 0.002 } else { 0.05 };
    [0.87 * (1.0 - telemedicine), 0.13 * (1.0 - telemedicine), telemedicine]
}

fn literal(value: &ConstantValue) -> Value {
    match value {
        ConstantValue::Bool(value) => Value::Bool(*value),
        ConstantValue::Number(value) => Value::Number(*value),
        ConstantValue::Text(value) => Value::Text(value.clone()),
        ConstantValue::Code(value) => Value::Code(*value),
    }
}
