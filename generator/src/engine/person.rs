//! The state of one life, and its weekly steps.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::Error;
use crate::host::Latent;
use crate::module::{ActiveKind, Allergy, Id};
use crate::moment::{DAY, Moment, WEEK, age_exact, age_years, birthday_months, midnight};
use crate::population::Life;
use crate::random::Stream;
use crate::record::{Patient, Record};
use crate::world::World;

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
    /// How often each constraint had to be enforced.
    pub enforced: BTreeMap<String, u64>,
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
    pub module: usize,
    pub target: usize,
    pub slot: u32,
    pub onset: Moment,
    pub allergy: Option<&'w Allergy>,
}

/// Where a module stands.
#[derive(Debug)]
pub(super) struct Cursor {
    pub frames: Vec<Frame>,
    pub wake: Moment,
    pub done: bool,
    /// Counts the states entered.
    pub sequence: u64,
    /// The wellness visit that the module is using.
    pub in_wellness: Option<u32>,
    /// The last one that it has used.
    pub used_wellness: Option<u32>,
    /// The Encounter state (module, state) of the visit that it is in.
    pub encounter_state: Option<(usize, usize)>,
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
    pub cause: usize,
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
    pub end: Moment,
    pub death: Option<Moment>,
    pub death_by_module: bool,
    pub attributes: Vec<Value>,
    pub vital_signs: Vec<Option<f64>>,
    pub cursors: Vec<Cursor>,
    pub streams: Vec<Option<Stream>>,
    /// Draws of the host: times of day, lots, severities.
    pub host_stream: Stream,
    pub slots: Vec<Slot>,
    pub active: Vec<u32>,
    pub begun: HashMap<(usize, usize), u32>,
    pub pending: Vec<Pending<'w>>,
    pub latest: HashMap<Id, crate::record::ObservationValue>,
    pub symptoms: Vec<Symptom>,
    pub scheduler: Scheduler,
    pub open: Option<Open>,
    /// End of the last visit that was written.
    pub last_end: Moment,
    pub record: Record,
    pub enforced: BTreeMap<String, u64>,
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
    Ok(Simulated { record: person.finish(), enforced: person.enforced })
}

impl<'w> Person<'w> {
    pub(super) fn new(world: &'w World, mut patient: Patient, life: Life) -> Person<'w> {
        let mut attributes = vec![Value::Nil; world.library.attributes.len()];
        world.host_attributes.set_at_birth(&world.population, &patient, &life, &mut attributes);
        let birth = midnight(patient.birth);
        let mut host_stream = Stream::new(patient.seed, patient.index, "host");
        let of_town = patient.town * crate::facility::PRACTITIONERS_PER_TOWN;
        patient.practitioner = of_town + host_stream.below(2) as usize;
        let cursors = world
            .library
            .top_level
            .iter()
            .map(|module| Cursor {
                frames: vec![Frame::new(*module, world.library.modules[*module].initial, birth)],
                wake: birth,
                done: false,
                sequence: 0,
                in_wellness: None,
                used_wellness: None,
                encounter_state: None,
            })
            .collect();
        Person {
            latent: world.vital_signs.latent(patient.seed, patient.index),
            end: midnight(world.options.end_date),
            death: life.death,
            death_by_module: false,
            attributes,
            vital_signs: vec![None; world.library.vital_signs.len()],
            cursors,
            streams: vec![None; world.library.modules.len()],
            host_stream,
            slots: Vec::new(),
            active: Vec::new(),
            begun: HashMap::new(),
            pending: Vec::new(),
            latest: HashMap::new(),
            symptoms: Vec::new(),
            scheduler: Scheduler::new(birth),
            open: None,
            last_end: birth,
            record: Record { patient: patient.clone(), ..Record::default() },
            enforced: BTreeMap::new(),
            #[cfg(test)]
            trace: Vec::new(),
            world,
            patient,
            life,
        }
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
        self.open_due_visit(time);
        for cursor in 0..self.cursors.len() {
            if self.cursors[cursor].wake <= time {
                self.run(cursor, time)?;
            }
        }
        self.close_host_visit(time);
        Ok(())
    }

    fn have_birthday(&mut self, time: Moment) {
        let age = age_exact(self.patient.birth, time);
        self.world.host_attributes.set_at_birthday(&self.world.population, &self.life, age, &mut self.attributes);
        self.world.risks.set(&self.latent, age, self.patient.female, &mut self.attributes);
    }

    pub(super) fn alive(&self, time: Moment) -> bool {
        self.death.is_none_or(|death| time < death)
    }

    pub(super) fn stream(&mut self, module: usize) -> &mut Stream {
        let world = self.world;
        self.streams[module].get_or_insert_with(|| {
            let name = format!("module/{}", world.library.modules[module].path);
            Stream::new(world.options.seed, self.patient.index, &name)
        })
    }

    pub(super) fn age(&self, time: Moment) -> i32 {
        age_years(self.patient.birth, time)
    }

    pub(super) fn vital_sign(&self, sign: Id, time: Moment) -> f64 {
        match self.vital_signs[sign as usize] {
            Some(value) => value,
            None => self.world.vital_signs.value(sign as usize, &self.latent, &self.patient, &self.attributes, time),
        }
    }
}

impl Scheduler {
    fn new(birth: Moment) -> Scheduler {
        Scheduler { next_wellness: birth, renewed: None, symptoms_seen: 0.0 }
    }
}

impl Frame {
    pub(super) fn new(module: usize, state: usize, entered: Moment) -> Frame {
        Frame { module, state, entered, expiry: None, visits: Vec::new() }
    }
}
