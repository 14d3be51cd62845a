//! The slow reference interpreter, for tests only: it walks the JSON of modules as it stands in the files, knows states,
//! attributes, codes and symptoms by their names, and asks every module in every week. The engine must give the same
//! records, bit for bit.
//!
//! What is no matter of the format is shared with the engine: people, random streams, the values of the host, domain
//! constraints and the types of the record. What only keeps hostile modules in bounds is left out.

mod attribute;
mod compare;
mod diagnosis;
mod draw;
mod encounter;
mod file;
mod json;
mod logic;
mod observation;
mod order;
mod random_condition;
mod random_module;
mod run;
mod state;
mod tests;
mod transition;

use std::collections::BTreeMap;

use chrono::{Datelike, Weekday};

use super::unanswered::Question;
use crate::facility::PRACTITIONERS_PER_TOWN;
use crate::host::{Circumstances, HostAttributes, Latent, Subject, covid_vaccination};
use crate::module::{ActiveKind, Code};
use crate::moment::{DAY, Moment, WEEK, age_exact, age_years, date, midnight};
use crate::population::Life;
use crate::random::Stream;
use crate::record::{ObservationValue, Patient, Record};
use crate::world::World;

use attribute::Attributes;
pub(super) use compare::assert_same;
pub(super) use file::Files;
use json::Json;

/// One life, and how far its modules have come in it.
struct Interpreter<'w> {
    world: &'w World,
    files: &'w Files,
    patient: Patient,
    life: Life,
    latent: Latent,
    circumstances: Circumstances,
    /// When the person is vaccinated against COVID-19, if ever.
    vaccinated: Option<Moment>,
    death: Option<Moment>,
    death_by_module: bool,
    death_cause: Option<Vec<Code>>,
    attributes: Attributes<'w>,
    /// Vital signs that modules have set.
    vital_signs: BTreeMap<String, f64>,
    modules: Vec<Running<'w>>,
    /// Draws by the name of their stream.
    streams: BTreeMap<String, Stream>,
    entries: Vec<Entry>,
    /// The entries that are active, in the order in which they became so.
    active: Vec<usize>,
    /// The latest entry of each state, by module and state.
    begun: BTreeMap<(String, String), usize>,
    undiagnosed: Vec<Undiagnosed<'w>>,
    /// The latest value of each observation, by the text of its first code.
    observed: BTreeMap<String, ObservationValue>,
    /// In the order of their first appearance.
    symptoms: Vec<Symptom>,
    next_wellness: Moment,
    /// The wellness encounter at which chronic medication was renewed last.
    renewed: Option<u32>,
    /// The total of symptoms that led to an encounter last.
    symptoms_seen: f64,
    open: Option<OpenEncounter>,
    /// When the encounter before ended.
    last_end: Moment,
    record: Record,
    /// How often each constraint was enforced.
    enforced: BTreeMap<String, u64>,
    /// How often a question had no answer, by module, state and question.
    unanswered: BTreeMap<(String, String, Question), u64>,
    /// The states in the order of their entry: module, state, moment.
    trace: Vec<(&'w str, &'w str, Moment)>,
}

/// A module that runs by itself.
struct Running<'w> {
    /// The module, and behind it the submodules that are being run in its service.
    calls: Vec<Call<'w>>,
    over: bool,
    /// The wellness encounter that it is using, and the one that it has used last.
    in_wellness: Option<u32>,
    used_wellness: Option<u32>,
    /// The Encounter state whose encounter it is in.
    encounter_state: Option<&'w str>,
}

/// A module or submodule that is being run.
struct Call<'w> {
    path: &'w str,
    state: &'w str,
    entered: Moment,
    /// When the state is over, where it takes time and that is known.
    expiry: Option<Moment>,
    history: Vec<Visited<'w>>,
}

/// A state that was entered, and left unless it is still going on.
struct Visited<'w> {
    state: &'w str,
    exited: Option<Moment>,
}

/// What an onset or order began, written or not.
struct Entry {
    kind: ActiveKind,
    codes: Vec<Code>,
    /// Its place among the entries of its kind in the record.
    written: Option<usize>,
    chronic: bool,
}

/// An onset that waits for an encounter of its module.
struct Undiagnosed<'w> {
    module: usize,
    /// The name of the Encounter state.
    target: &'w str,
    entry: usize,
    onset: Moment,
    /// The state that began it.
    state: &'w Json,
}

/// How strong a symptom is, 0 to 100, by its cause.
struct Symptom {
    symptom: String,
    cause: String,
    strength: f64,
    addressed: bool,
}

/// The one encounter that is open.
#[derive(Clone, Copy)]
struct OpenEncounter {
    /// Its place in the record.
    encounter: u32,
    /// The module that opened it; none for the host.
    owner: Option<usize>,
    /// What is added to a moment of the life to get the one that is written.
    shift: Moment,
}

impl<'w> Interpreter<'w> {
    fn new(world: &'w World, files: &'w Files, mut patient: Patient, life: Life) -> Interpreter<'w> {
        let birth = midnight(patient.birth);
        let mut host = Stream::new(patient.seed, patient.index, "host");
        patient.practitioner = patient.town * PRACTITIONERS_PER_TOWN + host.below(2) as usize;
        let paths = world.library.top_level.iter().map(|module| world.library.modules[*module].path.as_str());
        let mut interpreter = Interpreter {
            world,
            files,
            latent: world.vital_signs.latent(patient.seed, patient.index),
            circumstances: Circumstances::new(&patient, &life, world.population.first_race(&patient)),
            vaccinated: covid_vaccination(&patient),
            death: life.death,
            death_by_module: false,
            death_cause: None,
            attributes: Attributes::new(world),
            vital_signs: BTreeMap::new(),
            modules: paths.map(|path| Running::new(path, birth)).collect(),
            streams: BTreeMap::from([("host".into(), host)]),
            entries: Vec::new(),
            active: Vec::new(),
            begun: BTreeMap::new(),
            undiagnosed: Vec::new(),
            observed: BTreeMap::new(),
            symptoms: Vec::new(),
            next_wellness: birth,
            renewed: None,
            symptoms_seen: 0.0,
            open: None,
            last_end: birth,
            record: Record { patient: patient.clone(), ..Record::default() },
            enforced: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            trace: Vec::new(),
            patient,
            life,
        };
        interpreter.tell_host(|host, subject, attributes| host.set_at_birth(subject, attributes));
        interpreter
    }

    /// Lives week by week, from birth to death or to the end of the simulation.
    fn live(&mut self) {
        let mut time = midnight(self.patient.birth);
        // Offices are closed on weekends: the weeks begin on the first weekday.
        while matches!(date(time).weekday(), Weekday::Sat | Weekday::Sun) {
            time += DAY;
        }
        let mut age = None;
        while time < self.end() && self.is_alive(time) {
            let years = age_years(self.patient.birth, time);
            if age.replace(years) != Some(years) {
                self.have_birthday(time);
            }
            self.step(time);
            time += WEEK;
        }
    }

    fn step(&mut self, time: Moment) {
        let (host, death, vaccinated) = (&self.world.host_attributes, self.death, self.vaccinated);
        self.attributes.let_host_write(|attributes| host.set_at_step(death, vaccinated, time, attributes));
        self.open_due_encounter(time);
        for module in 0..self.modules.len() {
            self.run(module, time);
        }
        self.close_host_encounter(time);
    }

    fn have_birthday(&mut self, time: Moment) {
        self.tell_host(|host, subject, attributes| host.set_at_birthday(subject, time, attributes));
        let Interpreter { world, patient, latent, attributes, .. } = self;
        let age = age_exact(patient.birth, time);
        let group = world.population.group(patient);
        attributes.let_host_write(|attributes| world.risks.set(latent, age, patient.female, group, attributes));
    }

    fn tell_host(&mut self, set: impl FnOnce(&HostAttributes, Subject<'_>, &mut [super::Value])) {
        let subject = Subject {
            population: &self.world.population,
            vital_signs: &self.world.vital_signs,
            patient: &self.patient,
            life: &self.life,
            latent: &self.latent,
            circumstances: &self.circumstances,
        };
        self.attributes.let_host_write(|attributes| set(&self.world.host_attributes, subject, attributes));
    }

    fn end(&self) -> Moment {
        midnight(self.world.options.end_date)
    }

    fn is_alive(&self, time: Moment) -> bool {
        self.death.is_none_or(|death| time < death)
    }

    fn stream(&mut self, name: String) -> &mut Stream {
        let (seed, patient) = (self.patient.seed, self.patient.index);
        self.streams.entry(name).or_insert_with_key(|name| Stream::new(seed, patient, name))
    }

    /// The draws of the module or submodule that is being run: those of a submodule are apart for each caller.
    fn own_stream(&mut self, module: usize) -> &mut Stream {
        let (top, path) = (self.modules[module].path(), self.call(module).path);
        self.stream(if top == path { format!("module/{path}") } else { format!("module/{top} calls {path}") })
    }

    /// The draws about encounters: those of the module that opened it, or of the host.
    fn encounter_stream(&mut self, owner: Option<usize>) -> &mut Stream {
        self.stream(owner.map_or("host".into(), |owner| format!("visit/{}", self.modules[owner].path())))
    }

    /// The module or submodule that is being run.
    fn call(&self, module: usize) -> &Call<'w> {
        &self.modules[module].calls[self.modules[module].calls.len() - 1]
    }

    fn call_mut(&mut self, module: usize) -> &mut Call<'w> {
        let last = self.modules[module].calls.len() - 1;
        &mut self.modules[module].calls[last]
    }

    /// Counts a question that has no answer and is taken as false.
    fn leave_unanswered(&mut self, module: usize, question: Question) {
        let Call { path, state, .. } = self.call(module);
        *self.unanswered.entry(((*path).into(), (*state).into(), question)).or_default() += 1;
    }

    fn count_enforced(&mut self, constraint: &str) {
        *self.enforced.entry(constraint.into()).or_default() += 1;
    }
}

impl<'w> Running<'w> {
    fn new(path: &'w str, birth: Moment) -> Running<'w> {
        Running {
            calls: vec![Call::new(path, birth)],
            over: false,
            in_wellness: None,
            used_wellness: None,
            encounter_state: None,
        }
    }

    /// The module that runs by itself.
    fn path(&self) -> &'w str {
        self.calls[0].path
    }
}

impl<'w> Call<'w> {
    fn new(path: &'w str, entered: Moment) -> Call<'w> {
        let history = vec![Visited { state: "Initial", exited: None }];
        Call { path, state: "Initial", entered, expiry: None, history }
    }
}
