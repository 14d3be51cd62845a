//! The state of one life, and its weekly steps.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::unanswered::Unanswered;
use crate::Error;
use crate::host::{Circumstances, HostAttributes, Latent, Subject, VITAL_SIGNS, covid_vaccination};
use crate::module::{ActiveKind, Allergy, Id, Library, Module};
use crate::moment::{DAY, Moment, WEEK, age_exact, age_years, birthday_months, midnight};
use crate::population::Life;
use crate::random::Stream;
use crate::record::{Patient, Record};
use crate::world::World;

/// The wake of a module that waits for a visit of the host: no time comes to it.
pub(super) const WITH_VISIT: Moment = Moment::MAX - 1;

/// The value of an attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Not set.
    #[default]
    Nil,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(Arc<str>),
    /// A code.
    Code(Id),
    /// Something that began: a condition, a medication, …
    Entry(Entry),
}

/// Something that began, by its number in the life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry(pub(super) u32);

/// One life, written down.
#[derive(Debug)]
pub struct Simulated {
    /// What happened.
    pub record: Record,
    /// States that its modules went through.
    pub transitions: u64,
    /// How often each constraint had to be enforced.
    pub enforced: BTreeMap<String, u64>,
    /// How often a state of a module asked for what cannot be answered.
    pub unanswered: BTreeMap<Unanswered, u64>,
}

/// Something that began.
#[derive(Debug)]
pub(super) struct Slot {
    pub kind: ActiveKind,
    pub codes: Id,
    /// Its place in the record, once it is written.
    pub record: Option<u32>,
    pub chronic: bool,
}

/// Something that is not diagnosed yet.
#[derive(Debug)]
pub(super) struct Pending<'w> {
    pub cursor: usize,
    pub target: Id,
    pub slot: u32,
    pub onset: Moment,
    pub allergy: Option<&'w Allergy>,
}

/// Where a module stands.
#[derive(Debug)]
pub(super) struct Cursor {
    pub frames: Vec<Frame>,
    pub done: bool,
    /// Counts the states entered.
    pub sequence: u64,
    /// The wellness visit that the module is using.
    pub in_wellness: Option<u32>,
    /// The last one that it has used.
    pub used_wellness: Option<u32>,
    /// The name of the Encounter state of the visit that it is in, where something is diagnosed at states of that name.
    pub encounter_state: Option<Id>,
    /// States run in the whole life.
    pub states_run: u64,
    /// Draws of the module, and of each submodule in its service.
    pub streams: Vec<(usize, Stream)>,
    /// Draws about its visits: times of day, lots, severities.
    pub visit_stream: Option<Stream>,
}

/// A module or submodule that is being run.
#[derive(Debug)]
pub(super) struct Frame {
    pub module: usize,
    pub state: usize,
    pub entered: Moment,
    pub expiry: Option<Moment>,
    pub visits: Vec<Visit>,
}

/// The latest visit to a state that some condition asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub name: Id,
    pub sequence: u64,
    pub exited: Option<Moment>,
}

/// A visit that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub encounter: u32,
    /// The cursor that opened it; `None` for the host.
    pub owner: Option<usize>,
    /// What is added to a moment of the life to get the one that is written.
    pub shift: Moment,
}

/// How strong a symptom is, by cause.
#[derive(Debug)]
pub(super) struct Symptom {
    pub symptom: Id,
    pub cause: Id,
    pub strength: f64,
    pub addressed: bool,
}

/// The host's plan of visits.
#[derive(Debug)]
pub(super) struct Scheduler {
    pub next_wellness: Moment,
    /// The wellness visit at which long-term medication was renewed last.
    pub renewed: Option<u32>,
    pub symptoms_seen: f64,
}

/// One life.
pub(super) struct Person<'w> {
    pub world: &'w World,
    pub patient: Patient,
    pub life: Life,
    pub latent: Latent,
    pub circumstances: Circumstances,
    pub covid_vaccination: Option<Moment>,
    pub end: Moment,
    pub death: Option<Moment>,
    pub death_by_module: bool,
    /// What is written as the cause of death.
    pub death_cause: Option<Id>,
    pub attributes: Vec<Value>,
    pub vital_signs: Vec<Option<f64>>,
    pub cursors: Vec<Cursor>,
    /// When each cursor wants to be asked again: side by side, since every step goes through all of them.
    pub wakes: Vec<Moment>,
    /// Draws of the host: times of day.
    pub host_stream: Stream,
    pub slots: Vec<Slot>,
    pub active: Vec<u32>,
    pub begun: HashMap<(usize, usize), u32>,
    pub pending: Vec<Pending<'w>>,
    /// The latest value of each observation, by the number of its code's text.
    pub latest: Vec<Option<crate::record::ObservationValue>>,
    pub symptoms: Vec<Symptom>,
    pub scheduler: Scheduler,
    pub open: Option<Open>,
    /// End of the last visit that was written.
    pub last_end: Moment,
    pub record: Record,
    pub enforced: BTreeMap<String, u64>,
    /// Conditions are decided without changing anything else.
    pub unanswered: RefCell<BTreeMap<Unanswered, u64>>,
    /// States in the order of their entry, with the moment.
    #[cfg(test)]
    pub trace: Vec<(String, Moment)>,
}

/// Runs the life of one person of the population.
///
/// # Errors
/// When a module runs in circles.
pub fn simulate(world: &World, index: u64) -> Result<Simulated, Error> {
    let (patient, life) = world.population.person(&world.options, index);
    let mut person = Person::new(world, patient, life);
    person.live()?;
    Ok(Simulated {
        record: person.finish(),
        transitions: person.cursors.iter().map(|cursor| cursor.sequence).sum(),
        enforced: person.enforced,
        unanswered: person.unanswered.into_inner(),
    })
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Number(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.into())
    }
}

impl From<Option<f64>> for Value {
    fn from(value: Option<f64>) -> Value {
        value.map_or(Value::Nil, Value::Number)
    }
}

impl<'w> Person<'w> {
    pub(super) fn new(world: &'w World, mut patient: Patient, life: Life) -> Person<'w> {
        let race = world.population.first_race(&patient);
        let circumstances = Circumstances::new(&patient, &life, race);
        let latent = world.vital_signs.latent(patient.seed, patient.index);
        let birth = midnight(patient.birth);
        let mut host_stream = Stream::new(patient.seed, patient.index, "host");
        let of_town = patient.town * crate::facility::PRACTITIONERS_PER_TOWN;
        patient.practitioner = of_town + host_stream.below(2) as usize;
        let cursors: Vec<_> = world
            .library
            .top_level
            .iter()
            .map(|module| Cursor {
                frames: vec![Frame::first(&world.library, *module, birth)],
                done: false,
                sequence: 0,
                in_wellness: None,
                used_wellness: None,
                encounter_state: None,
                states_run: 0,
                streams: Vec::new(),
                visit_stream: None,
            })
            .collect();
        let mut person = Person {
            latent,
            circumstances,
            covid_vaccination: covid_vaccination(&patient),
            end: midnight(world.options.end_date),
            death: life.death,
            death_by_module: false,
            death_cause: None,
            attributes: vec![Value::Nil; world.library.attributes.len()],
            vital_signs: vec![None; world.library.vital_signs.len()],
            wakes: vec![birth; cursors.len()],
            cursors,
            host_stream,
            slots: Vec::new(),
            active: Vec::new(),
            begun: HashMap::new(),
            pending: Vec::new(),
            latest: vec![None; world.library.codes.texts()],
            symptoms: Vec::new(),
            scheduler: Scheduler::new(birth),
            open: None,
            last_end: birth,
            record: Record { patient: patient.clone(), ..Record::default() },
            enforced: BTreeMap::new(),
            unanswered: RefCell::default(),
            #[cfg(test)]
            trace: Vec::new(),
            world,
            patient,
            life,
        };
        person.tell_host(|host, subject, attributes| host.set_at_birth(subject, attributes));
        person
    }

    /// Lives from birth to death or to the end of the simulation.
    pub(super) fn live(&mut self) -> Result<(), Error> {
        let birth = midnight(self.patient.birth);
        // Offices are closed on weekends: the grid begins on the first weekday.
        let first = match (birth.div_euclid(DAY) + 3).rem_euclid(7) {
            5 => birth + 2 * DAY,
            6 => birth + DAY,
            _ => birth,
        };
        let mut birthday = birth;
        let mut time = first;
        while time < self.end && self.alive(time) {
            if time >= birthday {
                let age = age_years(self.patient.birth, time);
                self.have_birthday(time);
                birthday = birthday_months(self.patient.birth, (age + 1) * 12);
            }
            self.step(time)?;
            time += WEEK;
        }
        Ok(())
    }

    pub(super) fn step(&mut self, time: Moment) -> Result<(), Error> {
        self.world.host_attributes.set_at_step(self.death, self.covid_vaccination, time, &mut self.attributes);
        self.open_due_visit(time);
        let has_visit = self.open.is_some_and(|open| open.owner.is_none());
        for cursor in 0..self.cursors.len() {
            let wake = self.wakes[cursor];
            if wake <= time || has_visit && wake == WITH_VISIT {
                self.run(cursor, time)?;
            }
        }
        self.close_host_visit(time);
        Ok(())
    }

    fn have_birthday(&mut self, time: Moment) {
        let age = age_exact(self.patient.birth, time);
        self.tell_host(|host, subject, attributes| host.set_at_birthday(subject, time, attributes));
        let group = self.world.population.group(&self.patient);
        self.world.risks.set(&self.latent, age, self.patient.female, group, &mut self.attributes);
    }

    fn tell_host(&mut self, set: impl FnOnce(&HostAttributes, Subject<'_>, &mut [Value])) {
        let subject = Subject {
            population: &self.world.population,
            vital_signs: &self.world.vital_signs,
            patient: &self.patient,
            life: &self.life,
            latent: &self.latent,
            circumstances: &self.circumstances,
        };
        set(&self.world.host_attributes, subject, &mut self.attributes);
    }

    pub(super) fn alive(&self, time: Moment) -> bool {
        self.death.is_none_or(|death| time < death)
    }

    /// The draws of a module in the service of a cursor. A submodule draws apart for each module that calls it, so that
    /// no other caller changes what it does here.
    pub(super) fn stream(&mut self, cursor: usize, module: usize) -> &mut Stream {
        let world = self.world;
        let Cursor { streams, frames, .. } = &mut self.cursors[cursor];
        let known = streams.iter().position(|(known, _)| *known == module);
        let place = known.unwrap_or_else(|| {
            let path = |module: usize| &world.library.modules[module].path;
            let own = frames.first().map_or(module, |frame| frame.module);
            let name = if own == module {
                format!("module/{}", path(module))
            } else {
                format!("module/{} calls {}", path(own), path(module))
            };
            streams.push((module, Stream::new(world.options.seed, self.patient.index, &name)));
            streams.len() - 1
        });
        &mut streams[place].1
    }

    /// Draws about a visit: those of the module that opened it, or of the host.
    pub(super) fn visit_stream(&mut self, owner: Option<usize>) -> &mut Stream {
        let Some(owner) = owner else { return &mut self.host_stream };
        let world = self.world;
        let Cursor { visit_stream, frames, .. } = &mut self.cursors[owner];
        visit_stream.get_or_insert_with(|| {
            let path = frames.first().map_or("", |frame| &world.library.modules[frame.module].path);
            Stream::new(world.options.seed, self.patient.index, &format!("visit/{path}"))
        })
    }

    pub(super) fn age(&self, time: Moment) -> i32 {
        age_years(self.patient.birth, time)
    }

    pub(super) fn vital_sign(&self, sign: Id, time: Moment) -> f64 {
        let sign = sign as usize;
        match self.vital_signs[sign] {
            Some(value) => value,
            // A sign that only a module sets is nought before it does.
            None if sign >= VITAL_SIGNS.len() => 0.0,
            None => self.world.vital_signs.value(sign, &self.latent, &self.patient, &self.attributes, time),
        }
    }
}

impl Scheduler {
    fn new(birth: Moment) -> Scheduler {
        Scheduler { next_wellness: birth, renewed: None, symptoms_seen: 0.0 }
    }
}

impl Frame {
    /// The frame of a module that runs by itself: it has come to its entry at birth.
    fn first(library: &Library, module: usize, birth: Moment) -> Frame {
        let Module { states, initial, .. } = &library.modules[module];
        let visit = states[*initial].tracked.map(|name| Visit { name, sequence: 0, exited: None });
        Frame { visits: visit.into_iter().collect(), ..Frame::new(module, *initial, birth) }
    }

    pub(super) fn new(module: usize, state: usize, entered: Moment) -> Frame {
        Frame { module, state, entered, expiry: None, visits: Vec::new() }
    }
}
