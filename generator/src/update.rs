//! What the days after the first load bring: visits that are new, in error or deleted, with all that belongs to them;
//! resources of which more is known; patients who turn out to be one. The last day ends where the history does.

use std::collections::HashMap;

use crate::dirt::{Blemish, DayRate, Kind, Rates};
use crate::random::{stream_key, unit_at};
use crate::record::{Record, Selection};

/// What happens to a visit, and to all that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It comes.
    New,
    /// It was an error.
    EnteredInError,
    /// The source deletes it.
    Deleted,
    /// It was filed under another record of the patient, which this one replaces.
    Merged,
}

/// What happens to one patient on the days that follow, which are counted from 1.
#[derive(Debug, Default)]
pub struct Updates {
    visits: HashMap<u32, (u32, Event)>,
    changed: HashMap<(&'static str, u32), u32>,
    late: HashMap<(&'static str, u32), u32>,
    /// The day on which another record of the patient is replaced.
    pub merged: Option<u32>,
}

/// What one day brings of a patient.
pub struct Delta {
    /// What is written: new, or in a new version.
    pub written: Selection,
    /// What comes once more, in an older version.
    pub late: Selection,
    /// What of it was an error.
    pub in_error: Vec<(&'static str, u32)>,
    /// What is deleted.
    pub deleted: Vec<(&'static str, u32)>,
}

impl Updates {
    /// Draws what happens on so many days.
    pub fn draw(rates: &Rates, days: u32, record: &Record, selection: &Selection) -> Updates {
        let patient = &record.patient;
        let key = |name: &str| stream_key(patient.seed, patient.index, &format!("update/{name}"));
        let day = |draw: f64, rate: DayRate| -> Result<u32, f64> {
            let share = rates.of_day(rate);
            let rest = draw - share * f64::from(days);
            if rest < 0.0 { Ok(((draw / share) as u32).min(days - 1) + 1) } else { Err(rest) }
        };
        let mut updates = Updates::default();
        if days == 0 {
            return updates;
        }
        let visit = key("visit");
        for index in &selection.encounters {
            let mut draw = unit_at(visit, u64::from(*index));
            for (rate, event) in [
                (DayRate::NewVisit, Event::New),
                (DayRate::EnteredInError, Event::EnteredInError),
                (DayRate::Deleted, Event::Deleted),
            ] {
                match day(draw, rate) {
                    Ok(day) => {
                        updates.visits.insert(*index, (day, event));
                        break;
                    }
                    Err(rest) => draw = rest,
                }
            }
        }
        let is_twice = record.blemishes.of("Patient", 0) == Blemish::MergedPatient;
        let merge = key("merge");
        if let Ok(day) = day(unit_at(merge, 0), DayRate::MergedPatient)
            && !is_twice
        {
            let quiet: Vec<u32> =
                selection.encounters.iter().copied().filter(|visit| !updates.visits.contains_key(visit)).collect();
            if let Some(visit) = quiet.get((unit_at(merge, 1) * quiet.len() as f64) as usize) {
                updates.visits.insert(*visit, (day, Event::Merged));
                updates.merged = Some(day);
            }
        }
        for (resource_type, indexes) in selection.by_type() {
            if !Kind::LateUpdate.befalls(resource_type) {
                continue;
            }
            let key = key(resource_type);
            for index in indexes {
                let is_quiet = updates.of(record, resource_type, *index).is_none()
                    && record.blemishes.of(resource_type, *index) == Blemish::None;
                if !is_quiet {
                    continue;
                }
                match day(unit_at(key, u64::from(*index)), DayRate::Changed) {
                    Ok(day) => {
                        updates.changed.insert((resource_type, *index), day);
                    }
                    Err(rest) => {
                        if let Ok(day) = day(rest, DayRate::LateVersion) {
                            updates.late.insert((resource_type, *index), day);
                        }
                    }
                }
            }
        }
        updates
    }

    /// What happens to the visit that a resource belongs to.
    fn of(&self, record: &Record, resource_type: &str, index: u32) -> Option<(u32, Event)> {
        let visit = record.visit_of(resource_type, index)?;
        self.visits.get(&visit).copied()
    }

    /// Of what changes later less is known at the end of a day; what comes in an older version tells which one it is.
    pub fn stain(&self, record: &mut Record, day: u32) {
        for ((resource_type, index), changes) in &self.changed {
            let blemish = if day < *changes { Blemish::Early } else { Blemish::None };
            record.blemishes.put(resource_type, *index, blemish);
        }
        self.late.keys().for_each(|(resource_type, index)| record.blemishes.put(resource_type, *index, Blemish::Dated));
    }

    /// What is there at the end of a day, by the number of the patient's record.
    pub fn state(&self, record: &Record, selection: &Selection, day: u32) -> Vec<(u64, Selection)> {
        let is_there = |resource_type, index| match self.of(record, resource_type, index) {
            Some((comes, Event::New)) => day >= comes,
            Some((goes, Event::EnteredInError | Event::Deleted)) => day < goes,
            Some((_, Event::Merged)) | None => true,
        };
        let is_elsewhere = |resource_type, index| {
            let event = self.of(record, resource_type, index);
            event.is_some_and(|(merged, event)| event == Event::Merged && day < merged)
        };
        let mut states = vec![(0, selection.only(|kind, index| is_there(kind, index) && !is_elsewhere(kind, index)))];
        if self.merged.is_some_and(|merged| day < merged) {
            states.push((1, selection.only(|kind, index| kind == "Patient" || is_elsewhere(kind, index))));
        }
        states
    }

    /// What a day brings. The patient comes along with each visit; what is not taken is not taken back either.
    pub fn delta(&self, record: &Record, selection: &Selection, day: u32) -> Delta {
        let today = |kind: &'static str, index| self.of(record, kind, index).filter(|(of, _)| *of == day);
        let counts = |kind: &'static str, index| record.blemishes.of(kind, index).makes_rows();
        let late = selection.only(|kind, index| self.late.get(&(kind, index)) == Some(&day));
        let mut delta = Delta { written: Selection::default(), late, in_error: Vec::new(), deleted: Vec::new() };
        for (kind, indexes) in selection.by_type() {
            for index in indexes.iter().copied().filter(|index| counts(kind, *index)) {
                match today(kind, index) {
                    // Of the others nothing is taken anyway.
                    Some((_, Event::EnteredInError)) if Kind::EnteredInError.befalls(kind) => {
                        delta.in_error.push((kind, index));
                    }
                    Some((_, Event::Deleted)) => delta.deleted.push((kind, index)),
                    _ => {}
                }
            }
        }
        let visits = self.visits.values().any(|(of, _)| *of == day);
        delta.written = selection.only(|kind, index| match today(kind, index) {
            _ if kind == "Patient" => visits,
            Some((_, Event::New | Event::Merged)) => true,
            Some((_, Event::EnteredInError)) => {
                !Kind::EnteredInError.befalls(kind) || delta.in_error.contains(&(kind, index))
            }
            Some((_, Event::Deleted)) => false,
            None => self.changed.get(&(kind, index)) == Some(&day),
        });
        delta
    }
}
