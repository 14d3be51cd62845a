//! `healthlake explain`: which resource, rule and concept path made a row, and what became of a resource.

use anyhow::Result;
use clap::Args;
use etl::{CodeStory, ConceptTarget, Explanation, MadeRow, Question, Refusal, Story, TriedCoding};

use crate::call::{Outcome, existing_lake};
use crate::config::Config;
use crate::global::{Format, Global};
use crate::output;

#[derive(Args)]
pub struct Arguments {
    /// A resource such as Condition/123, or an OMOP table
    #[arg(value_name = "RESOURCE|TABLE")]
    what: String,
    /// The key of the row, when the first is a table
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    id: Option<String>,
}

pub async fn run(global: &Global, config: Config, arguments: Arguments) -> Result<Outcome> {
    let question = Question::parse(&arguments.what, arguments.id.as_deref())?;
    let lake = existing_lake(&config).await?;
    let explanation = etl::explain(&lake, &question, config.etl.medication_request_policy).await?;
    if global.format == Format::Json {
        output::print_json(&explanation)?;
    } else {
        output::print(&text(&explanation))?;
    }
    Ok(Outcome::Done)
}

fn text(explanation: &Explanation) -> String {
    let stories: Vec<String> = explanation.resources.iter().map(story).collect();
    format!("{}\nvocabulary {}\n", stories.join("\n"), explanation.vocabulary_version)
}

fn story(story: &Story) -> String {
    let mut text = format!("{} of source {}", story.resource, story.source_id);
    if let Some(version) = &story.version_id {
        text += &format!(", version {version}");
    }
    text += "\n";
    if let Some(file) = &story.file {
        let line = story.line.map(|line| format!(", line {line}")).unwrap_or_default();
        text += &format!("  from     {file}{line}\n");
    }
    match &story.content_from {
        Some(place) => text += &format!("  content  {place}\n"),
        None => text += "  content  not in the lake (etl --keep-raw keeps it)\n",
    }
    for code in &story.codes {
        text += &code_text(code);
    }
    for row in &story.rows {
        text += &row_text(row);
    }
    for refusal in &story.refusals {
        text += &refusal_text(refusal);
    }
    if story.rows.is_empty() && story.refusals.is_empty() {
        text += "\n  it made no OMOP row, and no run has given a reason\n";
    }
    text
}

fn code_text(code: &CodeStory) -> String {
    let mut text = format!("\n  {}\n", code.element);
    for coding in &code.codings {
        text += &coding_text(coding);
    }
    text + &format!("    = {}\n", concept(code.concept_id, code.concept_name.as_deref()))
}

fn coding_text(coding: &TriedCoding) -> String {
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let mark = if coding.is_chosen { "*" } else { " " };
    let vocabulary = match (&coding.vocabulary_id, coding.found) {
        (None, _) => "no vocabulary here".to_owned(),
        (Some(vocabulary), "not found") => format!("{vocabulary} has no such code"),
        (Some(vocabulary), "normalised") => format!("{vocabulary}, in another spelling"),
        (Some(vocabulary), _) => vocabulary.clone(),
    };
    let display = coding.display.as_ref().map(|display| format!(" \"{display}\"")).unwrap_or_default();
    let mut text = format!("  {mark} {}|{}{display}: {vocabulary}\n", word(&coding.system), word(&coding.code));
    let Some(source) = coding.source_concept_id else { return text };
    text += &format!("      {}\n", concept(source, coding.source_concept_name.as_deref()));
    for target in coding.targets.iter().filter(|target| target.concept_id != source) {
        text += &format!("      Maps to {}\n", target_text(target));
    }
    if let Some(target) = coding.targets.iter().find(|target| target.concept_id == source) {
        text += &format!("      standard: {}\n", place(target));
    }
    if coding.targets.is_empty() {
        text += "      not standard, and maps to nothing\n";
    }
    if let Some(value) = &coding.value {
        text += &format!("      Maps to value {}\n", target_text(value));
    }
    text
}

fn target_text(target: &ConceptTarget) -> String {
    let note = if target.is_valid_standard { "" } else { " (retired or not standard: does not count)" };
    format!("{}: {}{note}", concept(target.concept_id, target.concept_name.as_deref()), place(target))
}

fn place(target: &ConceptTarget) -> String {
    match target.omop_table {
        Some(table) => format!("domain {}, table {table}", target.domain_id),
        None => format!("domain {}, no event", target.domain_id),
    }
}

fn row_text(row: &MadeRow) -> String {
    let part = if row.part.is_empty() { String::new() } else { format!(" ({})", row.part) };
    let mut text = format!("\n  omop.{} {}{part}\n", row.table, row.id);
    if let Some(rule) = &row.rule {
        let by_domain = if row.by_domain { ", by the domain of its concept" } else { "" };
        text += &format!("    rule {rule}{by_domain}\n");
    }
    text += &format!("    run  {}\n", row.pipeline_run_id);
    for (name, value) in &row.columns {
        let concept = row.concepts.get(name).map(|concept| format!("  {concept}")).unwrap_or_default();
        text += &format!("    {name:<32} {value}{concept}\n");
    }
    text
}

fn refusal_text(refusal: &Refusal) -> String {
    let Refusal { rejected, pipeline_run_id, file, line, field, reason, detail } = refusal;
    let word = if *rejected { "rejected" } else { "excluded" };
    let field = field.as_ref().map(|field| format!(" at {field}")).unwrap_or_default();
    format!("\n  {word} by run {pipeline_run_id}: {reason}{field}\n    {file}, line {line}: {detail}\n")
}

fn concept(id: i32, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{id} {name}"),
        None => id.to_string(),
    }
}
