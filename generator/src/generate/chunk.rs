//! A piece of the population: some patients, made and turned into bytes and rows.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use model::omop::Table;

use super::add;
use crate::account::Account;
use crate::dirt::stain;
use crate::engine::{Unanswered, simulate};
use crate::moment::{Moment, birthday_months, midnight};
use crate::sink::fhir::{FhirSink, Lines};
use crate::sink::omop::{Concepts, OmopSink};
use crate::world::World;
use crate::{Error, Options};

/// What a piece of the population comes to.
pub struct Chunk {
    /// Resources.
    pub lines: Lines,
    /// Expected rows.
    pub tables: Vec<(&'static Table, Vec<ArrayRef>)>,
    /// How often each domain constraint was enforced.
    pub enforced: BTreeMap<String, u64>,
    /// What modules asked in vain.
    pub unanswered: BTreeMap<Unanswered, u64>,
    /// Patients dead at the end date.
    pub deceased: u64,
    /// What the mapping must do.
    pub account: Account,
}

impl Chunk {
    /// Makes some patients.
    pub fn make(world: &World, concepts: &Concepts, patients: std::ops::Range<u64>) -> Result<Chunk, Error> {
        let mut fhir = FhirSink::new(world);
        let mut omop = OmopSink::new(world, concepts);
        let mut enforced = BTreeMap::new();
        let mut unanswered = BTreeMap::new();
        let mut deceased = 0;
        let from = history_start(&world.options);
        for index in patients {
            let mut life = simulate(world, index)?;
            let selection = life.record.select(from, world.options.notes);
            if let Some(rates) = &world.options.dirt {
                stain(world, rates, &mut life.record, &selection);
            }
            fhir.write(&life.record, &selection);
            omop.write(&life.record, &selection);
            deceased += u64::from(life.record.patient.death.is_some());
            add(&mut enforced, life.enforced);
            add(&mut unanswered, life.unanswered);
        }
        let (lines, tables, mut account) = (fhir.lines, omop.builders.finish(), omop.account);
        (0..lines.deleted_count).for_each(|_| account.exclude("Bundle", "bundle_opened"));
        Ok(Chunk { lines, tables, enforced, unanswered, deceased, account })
    }

    /// Makes clinics, hospitals and doctors, which all patients share.
    pub fn facilities(world: &World, concepts: &Concepts) -> Chunk {
        let mut fhir = FhirSink::new(world);
        let mut omop = OmopSink::new(world, concepts);
        fhir.write_facilities();
        omop.write_facilities();
        let (lines, tables, account) = (fhir.lines, omop.builders.finish(), omop.account);
        Chunk { lines, tables, enforced: BTreeMap::new(), unanswered: BTreeMap::new(), deceased: 0, account }
    }
}

/// The first moment that is written.
fn history_start(options: &Options) -> Moment {
    match options.years_of_history {
        0 => Moment::MIN,
        years => {
            birthday_months(options.end_date, -12 * (years.min(1000) as i32)).max(midnight(chrono::NaiveDate::MIN))
        }
    }
}
