//! A piece of the population: some patients, made and turned into bytes and rows.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::ArrayRef;
use model::omop::Table;

use super::add;
use crate::account::Account;
use crate::dirt::{Blemish, stain};
use crate::engine::{Unanswered, simulate};
use crate::moment::{Moment, birthday_months, midnight};
use crate::record::{Record, Selection};
use crate::sink::fhir::{FhirSink, Lines, Taker};
use crate::sink::omop::{Concepts, OmopSink};
use crate::update::{Delta, Updates};
use crate::world::World;
use crate::{Error, Options};

/// What a piece of the population comes to.
pub struct Chunk {
    /// The first load, and each day after it.
    pub loads: Vec<Load>,
    /// How often each domain constraint was enforced.
    pub enforced: BTreeMap<String, u64>,
    /// What modules asked in vain.
    pub unanswered: BTreeMap<Unanswered, u64>,
    /// Patients dead at the end date.
    pub deceased: u64,
}

/// What is loaded at one time.
pub struct Load {
    /// Resources.
    pub lines: Lines,
    /// Rows that are expected when it is loaded.
    pub tables: Vec<(&'static Table, Vec<ArrayRef>)>,
    /// What the mapping must do with the resources.
    pub account: Account,
}

/// What becomes of the resources of people.
pub enum Resources<'t> {
    /// They are lines of the load.
    Lines,
    /// They are taken one by one; the load has none.
    Taken(Taker<'t>),
    /// None are made.
    None,
}

/// A load in the making.
struct Making<'w> {
    has_resources: bool,
    fhir: FhirSink<'w>,
    omop: OmopSink<'w>,
    /// What a day brings, for the account alone.
    delta: OmopSink<'w>,
}

impl Chunk {
    /// Makes some patients.
    pub fn make<'m>(
        world: &'m World,
        concepts: &'m Concepts,
        patients: Range<u64>,
        resources: Resources<'m>,
    ) -> Result<Chunk, Error> {
        let mut loads = vec![Making::new(world, concepts, resources)];
        loads.extend((0..world.options.updates).map(|_| Making::new(world, concepts, Resources::Lines)));
        let mut enforced = BTreeMap::new();
        let mut unanswered = BTreeMap::new();
        let mut deceased = 0;
        let from = history_start(&world.options);
        for index in patients {
            let mut life = simulate(world, index)?;
            let selection = life.record.select(from, world.options.notes);
            stain(world, &mut life.record, &selection);
            let updates = Updates::draw(&world.rates, world.options.updates, &life.record, &selection);
            for (day, load) in loads.iter_mut().enumerate() {
                load.take(&updates, &mut life.record, &selection, day as u32);
            }
            deceased += u64::from(life.record.patient.death.is_some());
            add(&mut enforced, life.enforced);
            add(&mut unanswered, life.unanswered);
        }
        let loads = loads.into_iter().enumerate().map(|(day, load)| load.finish(day > 0)).collect();
        Ok(Chunk { loads, enforced, unanswered, deceased })
    }

    /// Makes clinics, hospitals and doctors, which all patients share.
    pub fn facilities<'m>(world: &'m World, concepts: &'m Concepts, resources: Resources<'m>) -> Chunk {
        let mut resources = Some(resources);
        let loads = (0..=world.options.updates).map(|day| {
            let mut load = Making::new(world, concepts, resources.take().unwrap_or(Resources::None));
            if load.has_resources {
                load.fhir.write_facilities();
            }
            load.omop.write_facilities();
            load.finish(day > 0)
        });
        let (enforced, unanswered) = (BTreeMap::new(), BTreeMap::new());
        Chunk { loads: loads.collect(), enforced, unanswered, deceased: 0 }
    }
}

impl<'w> Making<'w> {
    fn new(world: &'w World, concepts: &'w Concepts, resources: Resources<'w>) -> Making<'w> {
        let omop = || OmopSink::new(world, concepts);
        let (has_resources, fhir) = match resources {
            Resources::Lines => (true, FhirSink::new(world)),
            Resources::Taken(taker) => (true, FhirSink::with_taker(world, taker)),
            Resources::None => (false, FhirSink::new(world)),
        };
        Making { has_resources, fhir, omop: omop(), delta: omop() }
    }

    /// Takes a patient as he is at the end of a day: all of him on the first, later what that day brings.
    fn take(&mut self, updates: &Updates, record: &mut Record, selection: &Selection, day: u32) {
        updates.stain(record, day);
        for (number, there) in updates.state(record, selection, day) {
            record.patient.number = number;
            self.omop.write(record, &there);
            if day == 0 && self.has_resources {
                self.fhir.write(record, &there);
            }
        }
        record.patient.number = 0;
        if day > 0 {
            self.bring(&updates.delta(record, selection, day), record, day + 2);
            if updates.merged == Some(day) {
                self.fhir.write_replaced(record, day + 2);
                self.delta.account.exclude("Patient", "replaced_record");
            }
        }
    }

    /// Writes what a day brings, in versions of that number.
    fn bring(&mut self, delta: &Delta, record: &mut Record, version: u32) {
        let sound: Vec<_> = delta.in_error.iter().map(|(kind, index)| record.blemishes.of(kind, *index)).collect();
        delta.in_error.iter().for_each(|(kind, index)| record.blemishes.put(kind, *index, Blemish::EnteredInError));
        self.fhir.write_update(record, &delta.written, &delta.deleted, version);
        self.delta.write(record, &delta.written);
        for ((kind, index), blemish) in delta.in_error.iter().zip(sound) {
            record.blemishes.put(kind, *index, blemish);
        }
        delta.deleted.iter().for_each(|(kind, _)| self.delta.account.exclude(kind, "deleted"));
        record.blemishes.put_all(&delta.late, Blemish::Early);
        self.fhir.write_update(record, &delta.late, &[], 1);
        record.blemishes.put_all(&delta.late, Blemish::Dated);
        for (kind, indexes) in delta.late.by_type() {
            indexes.iter().for_each(|_| self.delta.account.exclude(kind, "superseded_version"));
        }
    }

    fn finish(self, is_update: bool) -> Load {
        let Making { fhir, mut omop, delta, .. } = self;
        let mut account = if is_update { delta.account } else { omop.account };
        (0..fhir.lines.deleted_count).for_each(|_| account.exclude("Bundle", "bundle_opened"));
        Load { lines: fhir.lines, tables: omop.builders.finish(), account }
    }
}

/// The first moment that is written.
pub fn history_start(options: &Options) -> Moment {
    match options.years_of_history {
        0 => Moment::MIN,
        years => {
            birthday_months(options.end_date, -12 * (years.min(1000) as i32)).max(midnight(chrono::NaiveDate::MIN))
        }
    }
}
