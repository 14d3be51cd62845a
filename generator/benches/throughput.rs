//! How fast people are made on one core: their lives alone, with the OMOP rows expected of them, with their resources, and
//! with all the files that `healthlake generate` writes by default. Beside each stand the resources and bytes of a patient.
//! Prints one JSON object; `scripts/bench` lays it out.
//!
//! `cargo bench -p cli -p generator --bench throughput -- [PATIENTS]`: 1,000 unless told.
#![allow(clippy::print_stdout, reason = "the figures are the result")]

use std::error::Error;
use std::fs;
use std::time::Instant;

use generator::{Made, Options, Part, generate, make};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const DEFAULT_PATIENTS: u64 = 1000;
/// Each part is measured so often, in turns, each time with other patients; the middle is told.
const TURNS: u64 = 3;

/// What is measured: a part of the way, or all of it.
const MEASURED: [(&str, Option<Part>); 4] =
    [("events", Some(Part::Events)), ("rows", Some(Part::Rows)), ("resources", Some(Part::Resources)), ("files", None)];

fn main() -> Result<()> {
    let argument = std::env::args().skip(1).find(|argument| argument != "--bench");
    let patients = argument.map_or(Ok(DEFAULT_PATIENTS), |text| text.parse())?;
    let mut turns = MEASURED.map(|_| Vec::new());
    for seed in 1..=TURNS {
        let options = Options { patients, seed, ..Options::default() };
        let mut transitions = 0;
        for (turns, (_, part)) in turns.iter_mut().zip(MEASURED) {
            let started = Clock::start()?;
            let mut made = part.map_or_else(|| files(&options), |part| Ok(make(&options, part)?))?;
            let seconds = started.cpu_seconds()?;
            // A manifest does not tell them; the lives are those of the parts before.
            transitions = made.transitions.max(transitions);
            made.transitions = transitions;
            turns.push((seconds, made));
        }
    }
    let lines = turns.iter_mut().zip(MEASURED).map(|(turns, (name, _))| {
        turns.sort_by(|one, other| one.0.total_cmp(&other.0));
        line(name, &turns[turns.len() / 2])
    });
    println!("[{}]", lines.collect::<Vec<_>>().join(", "));
    Ok(())
}

fn line(name: &str, (seconds, made): &(f64, Made)) -> String {
    let each = |count: u64| count as f64 / made.patients as f64;
    format!(
        "{{\"part\": \"{name}\", \"patients\": {}, \"cpu_seconds\": {seconds:.3}, \"patients_per_cpu_second\": {:.1}, \
         \"transitions_per_cpu_second\": {:.0}, \"transitions_per_patient\": {:.0}, \"resources_per_patient\": {:.1}, \
         \"rows_per_patient\": {:.1}, \"bytes_per_patient\": {:.0}}}",
        made.patients,
        made.patients as f64 / seconds,
        made.transitions as f64 / seconds,
        each(made.transitions),
        each(made.resources),
        each(made.rows),
        each(made.bytes),
    )
}

/// Everything that is written by default, in a folder that is thrown away.
fn files(options: &Options) -> Result<Made> {
    let folder = tempfile::tempdir()?;
    let manifest = generate(&Options { output: folder.path().into(), ..options.clone() }, &|_| ())?;
    Ok(Made {
        patients: manifest.patients,
        transitions: 0,
        resources: manifest.resources.values().sum(),
        rows: manifest.rows.values().sum(),
        bytes: manifest.files.values().map(|file| file.size_bytes).sum(),
    })
}

/// Processor time of this process where the system tells it, and time of day elsewhere.
struct Clock {
    started: Instant,
    spent: Option<f64>,
}

impl Clock {
    fn start() -> Result<Clock> {
        Ok(Clock { started: Instant::now(), spent: spent()? })
    }

    fn cpu_seconds(&self) -> Result<f64> {
        Ok(match (self.spent, spent()?) {
            (Some(before), Some(after)) => after - before,
            _ => self.started.elapsed().as_secs_f64(),
        })
    }
}

/// User and system seconds of all threads so far, on Linux.
fn spent() -> Result<Option<f64>> {
    /// What Linux counts in, whatever the processor.
    const TICKS_PER_SECOND: f64 = 100.0;
    let Ok(text) = fs::read_to_string("/proc/self/stat") else { return Ok(None) };
    // The name of the program stands in brackets, and may have spaces; user and system time are the 12th and 13th after it.
    let Some((_, fields)) = text.rsplit_once(')') else { return Ok(None) };
    let ticks =
        fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<std::result::Result<f64, _>>()?;
    Ok(Some(ticks / TICKS_PER_SECOND))
}
