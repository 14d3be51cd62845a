//! `healthlake vocabulary`: the user's OHDSI Athena download, what the lake has, and what another release would change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use etl::vocabulary::{self, ChangeKind, ImportOptions, ImportOutcome, Info, LocalMapFile, Meaning, Remap, Side};

use crate::call::{Outcome, Run, existing_lake, open_lake};
use crate::config::Config;
use crate::global::{Format, Global};
use crate::output;

/// So many concepts or codes are named; `--format json` has all of them.
const NAMED: usize = 5;
const LISTED: usize = 20;

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replace the vocabulary of the lake by an OHDSI Athena download (a folder with CONCEPT.csv and others)
    #[command(after_help = LOCAL_MAPS)]
    Import {
        /// The unpacked download
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Maps of local codes: a file in the form of source_to_concept_map, or as Usagi saves it; may be repeated
        #[arg(long = "source-to-concept-map", value_name = "[VOCABULARY=]FILE")]
        local_maps: Vec<PathBuf>,
        /// The `system` that FHIR has for the codes of a local vocabulary; may be repeated
        #[arg(long = "code-system", value_name = "VOCABULARY=URI")]
        code_systems: Vec<String>,
        /// Lines that cannot be read and are left out; more stop the import
        #[arg(long, value_name = "N", default_value_t = 100)]
        max_bad_lines: u64,
    },
    /// Show release, tables and rows of the vocabulary in the lake
    Info,
    /// Show which rows of this lake another release would change: standard concept, domain, table, mapped or not
    #[command(after_help = DIFF)]
    Diff {
        /// Unpacked downloads; with one folder, the vocabulary that is loaded is the old one
        #[arg(value_names = ["OLD", "NEW"], num_args = 1..=2, required = true)]
        folders: Vec<PathBuf>,
        /// Lines that cannot be read and are left out; more stop the comparison
        #[arg(long, value_name = "N", default_value_t = 100)]
        max_bad_lines: u64,
    },
}

const LOCAL_MAPS: &str = "\
Local codes. Each code becomes a non-standard concept with an id of 2,000,000,000 or more, the same
in every import, unless the download has it; a map of the download itself is not replaced. Two forms
are read, with commas or tabs:
  source_to_concept_map   source_code, source_concept_id (0, or an id of yours),
                          source_vocabulary_id, source_code_description, target_concept_id,
                          target_vocabulary_id, valid_start_date, valid_end_date, invalid_reason;
                          a file of that name in DIR is read without being named
  Usagi's saved review    sourceCode, sourceName, mappingStatus, conceptId, mappingType and others;
                          rows that are not APPROVED name their code and map it to nothing; the file
                          does not say the vocabulary: --source-to-concept-map LAB=usagi.csv
                          --code-system LAB=http://hospital.example/lab
An import replaces everything, local codes too: name their files each time.";

const DIFF: &str = "\
Nothing is written. Codes of this lake's omop rows are looked up in both vocabularies; codes without
a concept are found by the system that quality.mapping_coverage has for them. Local codes are not
compared.";

pub async fn run(global: &Global, config: Config, arguments: Arguments) -> Result<Outcome> {
    match arguments.command {
        Command::Import { folder, local_maps, code_systems, max_bad_lines } => {
            let options = ImportOptions {
                folder,
                run_id: Run::from_environment()?.id,
                local_maps: local_maps.into_iter().map(local_map).collect(),
                code_systems: code_systems.iter().map(|text| code_system(text)).collect::<Result<_>>()?,
                max_bad_lines,
                threads: config.threads(),
            };
            let lake = open_lake(&config).await?;
            let outcome = vocabulary::import(&lake, &options)
                .await
                .with_context(|| format!("cannot import the vocabulary in `{}`", options.folder.display()))?;
            show(global, &outcome, imported)?;
            Ok(if outcome.bad_lines > 0 { Outcome::Findings } else { Outcome::Done })
        }
        Command::Info => {
            show(global, &vocabulary::info(&existing_lake(&config).await?).await?, described)?;
            Ok(Outcome::Done)
        }
        Command::Diff { folders, max_bad_lines } => {
            let mut sides: Vec<Side> = folders.into_iter().map(Side::Folder).collect();
            if sides.len() == 1 {
                sides.insert(0, Side::Loaded);
            }
            let lake = existing_lake(&config).await?;
            show(global, &vocabulary::diff(&lake, &sides[0], &sides[1], max_bad_lines).await?, compared)?;
            Ok(Outcome::Done)
        }
    }
}

fn show<T: serde::Serialize>(global: &Global, result: &T, text: fn(&T) -> String) -> Result<()> {
    if global.format == Format::Json { output::print_json(result) } else { output::print(&text(result)) }
}

/// `VOCABULARY=FILE`, unless there is a file of just that name.
fn local_map(argument: PathBuf) -> LocalMapFile {
    let parts = argument.to_str().and_then(|text| text.split_once('='));
    match parts {
        Some((vocabulary, path)) if !argument.exists() => {
            LocalMapFile { path: Path::new(path).to_owned(), vocabulary_id: Some(vocabulary.to_owned()) }
        }
        _ => LocalMapFile { path: argument, vocabulary_id: None },
    }
}

fn code_system(text: &str) -> Result<(String, String)> {
    let parts = text.split_once('=').filter(|(vocabulary, uri)| !vocabulary.is_empty() && !uri.is_empty());
    ensure!(
        parts.is_some(),
        "`--code-system {text}` is not understood, expected VOCABULARY=URI\nhint: --code-system LAB=http://hospital.example/lab"
    );
    Ok(parts.map(|(vocabulary, uri)| (vocabulary.to_owned(), uri.to_owned())).unwrap_or_default())
}

fn imported(outcome: &ImportOutcome) -> String {
    let mut text =
        format!("vocabulary {}\n\n{}", outcome.version, output::columns(&["table", "rows"], &counts(&outcome.rows)));
    if outcome.already_committed {
        return text + "\nthis run imported the same files before: nothing was written\n";
    }
    text += &format!("\nindex: {} MiB\n", output::number(outcome.index_bytes.div_ceil(1 << 20)));
    if outcome.local_concepts > 0 {
        text += &format!("local codes: {} new concepts\n", output::number(outcome.local_concepts));
    }
    let rules = |concepts: &[vocabulary::RuleConcept], with_problem: bool| {
        let one = |concept: &vocabulary::RuleConcept| {
            let problem = if with_problem { format!(" {}", concept.problem) } else { String::new() };
            format!("{} {}{problem}", concept.concept_id, concept.concept_name)
        };
        concepts.iter().map(one).collect::<Vec<_>>()
    };
    let lacking = "concepts that the mapping rules name are not in the download; they were added from the starter";
    text += &named(outcome.lacking.len(), lacking, &rules(&outcome.lacking, false));
    let differing = "concepts that the mapping rules name are not what the rules expect";
    text += &named(outcome.differing.len(), differing, &rules(&outcome.differing, true));
    text += &named(outcome.unused_maps.len(), "maps of local codes are not used", &outcome.unused_maps);
    let without = "local vocabularies have no code system; `--code-system VOCABULARY=URI` gives them one";
    text += &named(outcome.without_code_system.len(), without, &outcome.without_code_system);
    let bad: Vec<_> = outcome.first_bad_lines.iter().map(ToString::to_string).collect();
    let count = usize::try_from(outcome.bad_lines).unwrap_or(usize::MAX);
    text + &named(count, "lines cannot be read and were left out", &bad)
}

/// A count with the first of what was counted; nothing for none.
fn named(count: usize, what: &str, all: &[String]) -> String {
    if count == 0 {
        return String::new();
    }
    let mut text = format!("\n{} {what}:\n", output::number(count as u64));
    for one in all.iter().take(NAMED) {
        text += &format!("  {one}\n");
    }
    if count > NAMED {
        text += "  …\n";
    }
    text
}

fn described(info: &Info) -> String {
    let index = match info.index_bytes {
        Some(bytes) => format!("index: {} MiB\n", output::number(bytes.div_ceil(1 << 20))),
        None if info.is_starter => String::new(),
        None => "index: made by the next run that maps\n".to_owned(),
    };
    let mut text = format!(
        "{}: {} concepts, {} of them standard\n{index}\n{}",
        info.version,
        output::number(info.concepts),
        output::number(info.standard_concepts),
        output::columns(&["vocabulary", "concepts"], &counts(&info.by_vocabulary))
    );
    if !info.tables.is_empty() {
        text += &format!("\n{}", output::columns(&["table", "rows"], &counts(&info.tables)));
    }
    text
}

fn compared(remap: &Remap) -> String {
    let mut text = format!("from {} to {}\n\n", remap.old_version, remap.new_version);
    let kinds = [
        ChangeKind::BecomesUnmapped,
        ChangeKind::NewlyMapped,
        ChangeKind::Table,
        ChangeKind::Concept,
        ChangeKind::Domain,
    ];
    let rows: Vec<Vec<String>> = remap
        .tables
        .iter()
        .map(|(table, changes)| {
            let count = |kind| output::number(changes.changed.get(kind).copied().unwrap_or_default());
            let cells = [table.clone(), output::number(changes.rows)].into_iter();
            cells.chain(kinds.iter().map(count)).collect()
        })
        .collect();
    let header =
        ["table", "rows", "becomes unmapped", "newly mapped", "another table", "another concept", "another domain"];
    text += &output::columns(&header, &rows);
    if remap.changes.is_empty() {
        return text + "\nno row would change\n";
    }
    let rows: Vec<Vec<String>> = remap.changes.iter().take(LISTED).map(change).collect();
    text += &format!("\n{} codes change:\n", output::number(remap.changes.len() as u64));
    text += &output::listing(&["rows", "column", "vocabulary", "code", "old", "new"], &rows);
    if remap.changes.len() > LISTED {
        text += "  … `--format json` lists all\n";
    }
    text
}

fn change(change: &vocabulary::Change) -> Vec<String> {
    let side = |meanings: &[Meaning]| {
        let one = |meaning: &Meaning| format!("{} {}", meaning.concept_id, meaning.domain_id);
        if meanings.is_empty() {
            "unmapped".to_owned()
        } else {
            meanings.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    };
    vec![
        output::number(change.rows),
        format!("{}.{}", change.table, change.column),
        change.vocabulary.clone(),
        change.code.clone(),
        side(&change.old),
        side(&change.new),
    ]
}

fn counts(counts: &BTreeMap<String, u64>) -> Vec<Vec<String>> {
    counts.iter().map(|(name, count)| vec![name.clone(), output::number(*count)]).collect()
}
