//! Parts of the way from seed to files, each made alone and thrown away: how much of the time is whose.

use serde::Serialize;

use super::CHUNK;
use super::chunk::history_start;
use crate::engine::simulate;
use crate::sink::fhir::FhirSink;
use crate::sink::omop::{Concepts, OmopSink};
use crate::world::World;
use crate::{Error, Options};

/// A part of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Lives, in the form that the sinks see.
    Events,
    /// Lives, and the OMOP rows expected of them as Arrow arrays.
    Rows,
    /// Lives, and their resources as lines of NDJSON.
    Resources,
}

/// What a part of the way came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Patients, those who died included.
    pub patients: u64,
    /// States that modules went through.
    pub transitions: u64,
    /// Resources, or nothing where none are made.
    pub resources: u64,
    /// Rows, or nothing where none are made.
    pub rows: u64,
    /// Bytes of the lines, or of the arrays.
    pub bytes: u64,
}

/// Makes the patients of a shard on this thread and in memory, without dirt, and keeps nothing of them.
///
/// # Errors
/// When an option or a module is wrong.
pub fn make(options: &Options, part: Part) -> Result<Made, Error> {
    options.check()?;
    let world = World::new(options, &super::source(options)?)?;
    let concepts = Concepts::new(&world.library.codes);
    let from = history_start(options);
    let mut made = Made::default();
    let patients = options.shard.range(options.patients);
    for start in patients.clone().step_by(CHUNK as usize) {
        let mut fhir = FhirSink::new(&world);
        let mut omop = OmopSink::new(&world, &concepts);
        for index in start..(start + CHUNK).min(patients.end) {
            let life = simulate(&world, index)?;
            made.patients += 1;
            made.transitions += life.transitions;
            match part {
                Part::Events => {}
                Part::Rows => omop.write(&life.record, &life.record.select(from, options.notes)),
                Part::Resources => fhir.write(&life.record, &life.record.select(from, options.notes)),
            }
        }
        made.resources += fhir.lines.counts.iter().sum::<u64>();
        made.bytes += fhir.lines.bytes.iter().map(|lines| lines.len() as u64).sum::<u64>();
        for (_, columns) in omop.builders.finish() {
            made.rows += columns.first().map_or(0, |column| column.len() as u64);
            made.bytes += columns.iter().map(|column| column.get_buffer_memory_size() as u64).sum::<u64>();
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_makes_its_own_of_the_same_lives() {
        let options = Options { patients: 40, seed: 4, ..Options::default() };
        let [events, rows, resources] =
            [Part::Events, Part::Rows, Part::Resources].map(|part| make(&options, part).unwrap());
        assert_eq!((events.patients, events.resources, events.rows, events.bytes), (40, 0, 0, 0));
        assert!(events.transitions > 40 * 1000, "{events:?}");
        assert_eq!([rows.transitions, resources.transitions], [events.transitions; 2]);
        assert!(rows.rows > 1000 && rows.resources == 0 && rows.bytes > 0, "{rows:?}");
        let folder = tempfile::tempdir().unwrap();
        let manifest = crate::generate(&Options { output: folder.path().into(), ..options }, &|_| ()).unwrap();
        let of_patients = |name: &&String| !["Practitioner", "Organization", "Location"].contains(&name.as_str());
        let written =
            manifest.resources.iter().filter(|(name, _)| of_patients(name)).map(|(_, count)| count).sum::<u64>();
        assert_eq!((resources.resources, resources.rows), (written, 0));
    }
}
