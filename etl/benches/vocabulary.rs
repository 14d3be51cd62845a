//! A made-up vocabulary in the form of an Athena download, of any size: how fast it is imported and opened, how much
//! memory that takes, and how fast codes are looked up. Prints one JSON object; `scripts/bench` lays it out.
//!
//! `cargo bench --workspace --bench vocabulary -- [ROWS] [FOLDER]`: rows of the three large tables together, in the proportion
//! of a full download (7 million concepts, 75 million relationships and ancestors), by default a hundredth of it. A
//! folder is kept, and used again when it is there.
#![allow(clippy::print_stdout, reason = "the figures are the result")]

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use etl::vocabulary::{CodeSystem, ImportOptions, Priority, Vocabulary, import};
use lake::{Config, Lake};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const DEFAULT_ROWS: u64 = 820_000;
/// Rows of a full download, in millions: concepts, relationships, ancestors.
const CONCEPTS: u64 = 7;
const RELATIONSHIPS: u64 = 30;
const ANCESTORS: u64 = 45;
const LOOKUPS: u64 = 4_000_000;
const ELEMENTS: u64 = 500_000;
/// The middle of so many measurements, each with other codes, is told.
const MEASUREMENTS: u64 = 3;

/// Vocabulary, its URI in FHIR, share of the concepts in percent, domain, and whether its concepts are standard.
const VOCABULARIES: [(&str, &str, u64, &str, bool); 8] = [
    ("SNOMED", "http://snomed.info/sct", 14, "Condition", true),
    ("RxNorm", "http://www.nlm.nih.gov/research/umls/rxnorm", 4, "Drug", true),
    ("RxNorm Extension", "", 30, "Drug", true),
    ("LOINC", "http://loinc.org", 4, "Measurement", true),
    ("NDC", "http://hl7.org/fhir/sid/ndc", 26, "Drug", false),
    ("ICD10CM", "http://hl7.org/fhir/sid/icd-10-cm", 4, "Condition", false),
    ("ICD9CM", "http://hl7.org/fhir/sid/icd-9-cm", 4, "Condition", false),
    ("dm+d", "", 14, "Drug", false),
];

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let rows = arguments.first().map_or(Ok(DEFAULT_ROWS), |text| text.parse())?;
    let concepts = (rows * CONCEPTS / (CONCEPTS + RELATIONSHIPS + ANCESTORS)).max(100);
    let temporary = tempfile::tempdir()?;
    let download = arguments.get(1).map_or_else(|| temporary.path().join("download"), PathBuf::from);
    if !download.join("DONE").exists() {
        std::fs::create_dir_all(&download)?;
        write(&download, concepts)?;
        File::create(download.join("DONE"))?;
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let lake = runtime.block_on(Lake::open(&Config::folder(&temporary.path().join("lake"))))?;
    let options = ImportOptions {
        folder: download.clone(),
        run_id: "bench".into(),
        local_maps: Vec::new(),
        code_systems: Vec::new(),
        max_bad_lines: 0,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let started = Instant::now();
    let outcome = runtime.block_on(import(&lake, &options))?;
    let import_seconds = started.elapsed().as_secs_f64();
    let peak_bytes = peak_memory_bytes();
    let started = Instant::now();
    let vocabulary = runtime.block_on(Vocabulary::load(&lake))?;
    let open_seconds = started.elapsed().as_secs_f64();
    let rows: u64 = outcome.rows.values().sum();
    let found = |mix: Mix| middle(|seed| lookups(&vocabulary, concepts, mix, seed));
    let resolved = |mix: Mix| middle(|seed| resolutions(&vocabulary, concepts, mix, seed));
    println!(
        "{{\"rows\": {rows}, \"concepts\": {concepts}, \"bytes\": {}, \"import_seconds\": {import_seconds:.2}, \
         \"import_rows_per_second\": {:.0}, \"peak_bytes\": {peak_bytes}, \"index_bytes\": {}, \
         \"open_seconds\": {open_seconds:.3}, \"lookups_per_second\": {:.0}, \"repeated_lookups_per_second\": {:.0}, \
         \"misses_per_second\": {:.0}, \"resolutions_per_second\": {:.0}, \"repeated_resolutions_per_second\": {:.0}}}",
        size(&download)?,
        rows as f64 / import_seconds,
        outcome.index_bytes,
        found(Mix::Even)?,
        found(Mix::Zipf)?,
        found(Mix::Unknown)?,
        resolved(Mix::Even)?,
        resolved(Mix::Zipf)?,
    );
    Ok(())
}

/// Which codes are asked for.
#[derive(Clone, Copy, PartialEq)]
enum Mix {
    /// Each as often as any other, in no order: what no cache helps with.
    Even,
    /// The n-th most frequent code an n-th as often as the first, as in real data.
    Zipf,
    /// Codes that do not exist.
    Unknown,
}

impl Mix {
    fn concept(self, concepts: u64, draw: u64) -> u64 {
        match self {
            Mix::Even | Mix::Unknown => random(draw) % concepts,
            Mix::Zipf => {
                let share = random(draw) as f64 / u64::MAX as f64;
                // The frequent ones are spread over the vocabularies and over memory.
                random((concepts as f64).powf(share) as u64) % concepts
            }
        }
    }
}

/// The middle of some measurements.
fn middle(measure: impl Fn(u64) -> Result<f64>) -> Result<f64> {
    let mut found = (0..MEASUREMENTS).map(measure).collect::<Result<Vec<f64>>>()?;
    found.sort_by(f64::total_cmp);
    Ok(found[found.len() / 2])
}

/// Looks up codes of all vocabularies, and takes what the mapping does: the concept, its domain, whether it is standard,
/// and what it maps to.
fn lookups(vocabulary: &Vocabulary, concepts: u64, mix: Mix, seed: u64) -> Result<f64> {
    let mut systems: Vec<(&str, CodeSystem)> = Vec::new();
    for (vocabulary_id, ..) in VOCABULARIES {
        systems.push((vocabulary_id, vocabulary.code_system_of(vocabulary_id).ok_or("a vocabulary is missing")?));
    }
    let mut codes = String::new();
    let mut asked = Vec::new();
    for number in 0..LOOKUPS {
        let concept = mix.concept(concepts, seed * LOOKUPS + number);
        let start = codes.len();
        codes += &code(if mix == Mix::Unknown { concept + concepts * 2 } else { concept });
        let system = systems.iter().find(|(vocabulary_id, _)| *vocabulary_id == kind(concept).0);
        asked.push((system.ok_or("a vocabulary is missing")?.1, start..codes.len()));
    }
    let started = Instant::now();
    let (mut found, mut sum) = (0, 0_i64);
    for (system, range) in asked {
        let Some(source) = vocabulary.find(system, &codes[range]) else { continue };
        let target = source.targets().next();
        sum += i64::from(source.concept_id()) + i64::from(source.is_standard()) + source.domain() as i64;
        sum += target.map_or(0, |target| i64::from(target.concept_id) + target.domain as i64);
        found += 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    black_box(sum);
    let expected = if mix == Mix::Unknown { 0 } else { LOOKUPS };
    if found != expected {
        return Err(format!("{found} of {LOOKUPS} codes were found, expected {expected}").into());
    }
    Ok(LOOKUPS as f64 / seconds)
}

/// Resolves elements with one coding each, as the mapping does.
fn resolutions(vocabulary: &Vocabulary, concepts: u64, mix: Mix, seed: u64) -> Result<f64> {
    let mut texts = Vec::new();
    let mut draw = seed * LOOKUPS;
    while texts.len() < ELEMENTS as usize {
        draw += 1;
        let concept = mix.concept(concepts, draw);
        let (_, system, ..) = kind(concept);
        if !system.is_empty() {
            texts.push(format!(r#"{{"coding":[{{"system":"{system}","code":"{}"}}]}}"#, code(concept)));
        }
    }
    let mut elements: Vec<model::fhir::CodeableConcept<'_>> = Vec::with_capacity(texts.len());
    for text in &texts {
        elements.push(model::fhir::parse("CodeableConcept", text.as_bytes()).map_err(|_| "an element is wrong")?);
    }
    let started = Instant::now();
    for element in &elements {
        black_box(vocabulary.resolve(element, Priority::Clinical));
    }
    Ok(elements.len() as f64 / started.elapsed().as_secs_f64())
}

/// Mixes a number: the same in every run.
fn random(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// The vocabulary of a concept.
fn kind(concept: u64) -> (&'static str, &'static str, u64, &'static str, bool) {
    let mut left = concept % 100;
    for kind in VOCABULARIES {
        match left.checked_sub(kind.2) {
            None => return kind,
            Some(rest) => left = rest,
        }
    }
    VOCABULARIES[0]
}

fn code(concept: u64) -> String {
    match kind(concept).0 {
        "NDC" => format!("{concept:011}"),
        "LOINC" => format!("{concept}-{}", concept % 10),
        "RxNorm Extension" => format!("OMOP{concept}"),
        "dm+d" => format!("{:018}", random(concept) >> 8 << 24 | concept),
        _ => concept.to_string(),
    }
}

/// Ids with gaps, as they are.
fn id(concept: u64) -> u64 {
    concept * 5 + 100
}

/// The nearest standard concept of the same kind of fact.
fn target(concept: u64) -> u64 {
    let base = concept - concept % 100;
    base + if kind(concept).3 == "Drug" { 14 + concept % 34 } else { concept % 14 }
}

fn write(folder: &Path, concepts: u64) -> Result<()> {
    let create =
        |name: &str| Ok::<_, Box<dyn Error>>(BufWriter::with_capacity(1 << 20, File::create(folder.join(name))?));
    let mut file = create("CONCEPT.csv")?;
    writeln!(
        file,
        "concept_id\tconcept_name\tdomain_id\tvocabulary_id\tconcept_class_id\tstandard_concept\tconcept_code\tvalid_start_date\tvalid_end_date\tinvalid_reason"
    )?;
    for concept in 0..concepts {
        let (vocabulary, _, _, domain, is_standard) = kind(concept);
        let class = if domain == "Drug" && concept.is_multiple_of(50) { "Ingredient" } else { "Class of concepts" };
        let standard = if is_standard { "S" } else { "" };
        let (id, code) = (id(concept), code(concept));
        writeln!(
            file,
            "{id}\tConcept {:x} with a name of the \"usual\" length, number {concept}\t{domain}\t{vocabulary}\t{class}\t{standard}\t{code}\t19700101\t20991231\t",
            random(concept)
        )?;
    }
    let mut file = create("CONCEPT_RELATIONSHIP.csv")?;
    writeln!(file, "concept_id_1\tconcept_id_2\trelationship_id\tvalid_start_date\tvalid_end_date\tinvalid_reason")?;
    for number in 0..concepts * RELATIONSHIPS / CONCEPTS {
        let concept = number * CONCEPTS / RELATIONSHIPS;
        let (is_standard, target) = (kind(concept).4, target(concept));
        let (kind, other) = match number % 4 {
            0 if is_standard => ("Maps to", concept),
            0 => ("Maps to", target),
            1 if is_standard => ("Is a", target.saturating_sub(100)),
            2 => ("Has dose form", random(number) % concepts),
            _ => ("Subsumes", random(number) % concepts),
        };
        writeln!(file, "{}\t{}\t{kind}\t19700101\t20991231\t", id(concept), id(other))?;
    }
    let mut file = create("CONCEPT_ANCESTOR.csv")?;
    writeln!(file, "ancestor_concept_id\tdescendant_concept_id\tmin_levels_of_separation\tmax_levels_of_separation")?;
    for number in 0..concepts * ANCESTORS / CONCEPTS {
        let (levels, concept) = (number % 12, target(number * CONCEPTS / ANCESTORS));
        let ancestor = concept.saturating_sub(levels * 100);
        writeln!(file, "{}\t{}\t{levels}\t{}", id(ancestor), id(concept), levels + 2)?;
    }
    let mut file = create("VOCABULARY.csv")?;
    writeln!(file, "vocabulary_id\tvocabulary_name\tvocabulary_reference\tvocabulary_version\tvocabulary_concept_id")?;
    writeln!(file, "None\tMade up for measurements\t\tv0.0 of {concepts} concepts\t0")?;
    Ok(())
}

fn size(folder: &Path) -> Result<u64> {
    let sizes = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len()));
    sizes.sum::<Result<u64>>()
}

/// The most memory that the process ever held, where the operating system says (Linux: `VmHWM`).
fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or_default() << 10
}
