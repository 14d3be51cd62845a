//! Golden cases: a FHIR resource in, every OMOP row out, in `etl/testdata/golden/*.yaml`; the README there explains the
//! format. `HEALTHLAKE_TEST_RENEW=1 cargo test -p etl golden` writes what the mapping does now into the files, for a
//! person to read as a diff.

mod answer;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use model::document::{Resource, Tape};
use serde::Deserialize;
use serde_json::{Map, Value};

use answer::{Words, answer, labels};

use super::{Context, MedicationRequestPolicy, map};
use crate::extract::source::Sources;
use crate::pass::Meter;
use crate::policy::Policy;
use crate::reference::{Directory, References};
use crate::survey::survey;
use crate::table_choice::TableChoice;

const SOURCE: &str = "test";

/// The cases of one file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chapter {
    /// What the file is about, for the reader.
    #[serde(rename = "about")]
    _about: String,
    /// Resources that cases start from.
    #[serde(default)]
    bases: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows.
    case: String,
    /// The statement (`f2o-037`) or the section of the field table (`6.4 valueBoolean`).
    rule: String,
    /// The base that it starts from.
    from: Option<String>,
    /// What differs, as a JSON merge patch.
    #[serde(default)]
    with: Value,
    /// The text of the resource, where the very text matters.
    json: Option<String>,
    /// The other resources of the input: names of bases, or resources. Without it all that is referred to exists.
    among: Option<Vec<Value>>,
    #[serde(default)]
    policy: MedicationRequestPolicy,
    #[serde(default)]
    keep_address: bool,
    #[serde(default)]
    notes: bool,
    /// Compared as text.
    #[serde(rename = "expect")]
    _expect: serde::de::IgnoredAny,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden")
}

fn chapters() -> Vec<(PathBuf, String)> {
    let mut files: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_case_gives_the_rows_it_says() {
    let words = Words::read(&folder());
    let renew = std::env::var_os("HEALTHLAKE_TEST_RENEW").is_some();
    let mut failures = String::new();
    for (path, text) in chapters() {
        let chapter: Chapter = serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let (mut renewed, blocks) = cut(&text);
        assert_eq!(blocks.len(), chapter.cases.len(), "{path:?}: a case begins with `- case:` at the start of a line");
        for (case, block) in chapter.cases.iter().zip(blocks) {
            let found = chapter.run(case, &words);
            if found != block.expect {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let _ = write!(failures, "\n{name}: {}\nexpected\n{}found\n{found}", case.case, block.expect);
            }
            renewed += block.input;
            renewed += &found;
            renewed += block.rest;
        }
        if renew {
            std::fs::write(path, renewed).unwrap();
        }
    }
    assert!(renew || failures.is_empty(), "{failures}\nhint: HEALTHLAKE_TEST_RENEW=1 writes what was found");
}

#[test]
fn there_are_cases_for_every_edge_and_each_names_its_rule() {
    let (mut cases, mut names) = (0, HashSet::new());
    let (mut with_rows, mut without) = (HashSet::new(), HashSet::new());
    for (path, text) in chapters() {
        let chapter: Chapter = serde_yaml_ng::from_str(&text).unwrap();
        for case in &chapter.cases {
            cases += 1;
            assert!(names.insert(case.case.clone()), "{path:?}: `{}` stands twice", case.case);
            let known = case.rule.split("; ").all(|rule| {
                let statement = rule.strip_prefix("f2o-").map(|number| number.len() == 3);
                statement.unwrap_or_else(|| rule.starts_with(|first: char| ('2'..='7').contains(&first)))
            });
            assert!(known, "{path:?}: `{}` names no statement and no section", case.case);
            let resource = chapter.resource(case);
            let resource_type = resource.split("resourceType\":\"").nth(1).and_then(|rest| rest.split('"').next());
            let resource_type = resource_type.unwrap_or_else(|| panic!("{path:?}: {}", case.case)).to_owned();
            let block = cut(&text).1.into_iter().nth(chapter.cases.iter().position(|of| of.case == case.case).unwrap());
            let is_empty = block.is_some_and(|block| block.expect.contains("expect: "));
            if is_empty { &mut without } else { &mut with_rows }.insert(resource_type);
        }
    }
    assert!(cases >= 300, "{cases} cases");
    let without_rows = ["Medication", "Device"];
    let never_empty = ["Practitioner", "Organization", "Location"];
    for resource_type in super::TARGETED {
        assert!(with_rows.contains(*resource_type) || without_rows.contains(resource_type), "{resource_type}: no rows");
        assert!(without.contains(*resource_type) || never_empty.contains(resource_type), "{resource_type}: only rows");
    }
}

/// One case in its file: what comes before its expectation, the expectation, and the blank lines and remarks behind it.
struct Block<'t> {
    input: &'t str,
    expect: &'t str,
    rest: &'t str,
}

/// Cuts a file into its head and its cases.
fn cut(text: &str) -> (String, Vec<Block<'_>>) {
    let starts: Vec<usize> = lines(text).filter(|(_, line)| line.starts_with("- case:")).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let head = text[..starts.first().copied().unwrap_or(text.len())].to_owned();
    let blocks = starts.iter().zip(ends).map(|(start, end)| {
        let case = &text[*start..end];
        let expect = lines(case).find(|(_, line)| line.starts_with("  expect:")).map_or(case.len(), |(at, _)| at);
        let is_rest = |line: &str| line.trim().is_empty() || line.starts_with('#');
        let rest = lines(case).filter(|(at, line)| *at >= expect && !is_rest(line)).last();
        let rest = rest.map_or(case.len(), |(at, line)| at + line.len());
        Block { input: &case[..expect], expect: &case[expect..rest], rest: &case[rest..] }
    });
    (head, blocks.collect())
}

/// The lines of a text with their line breaks, and where each begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line))
    })
}

impl Chapter {
    /// The resource of a case as JSON text.
    fn resource(&self, case: &Case) -> String {
        if let Some(json) = &case.json {
            return json.clone();
        }
        let mut resource = case.from.as_ref().map_or(Value::Null, |name| self.base(name));
        merge(&mut resource, &case.with);
        resource.to_string()
    }

    fn base(&self, name: &str) -> Value {
        self.bases.get(name).unwrap_or_else(|| panic!("there is no base `{name}`")).clone()
    }

    /// Maps the resource of a case; the answer as it stands in the file.
    fn run(&self, case: &Case, words: &Words) -> String {
        let json = self.resource(case);
        let others = case.among.iter().flatten().map(|other| match other {
            Value::String(name) => self.base(name).to_string(),
            other => other.to_string(),
        });
        let others: Vec<String> = others.collect();
        let policy = Policy {
            source_id: SOURCE,
            vocabulary: &words.vocabulary,
            medication_request_policy: case.policy,
            keep_address: case.keep_address,
            notes: case.notes,
            table_choice: &TableChoice::default(),
            no_omop: false,
            extraction_date: NaiveDate::from_ymd_opt(2025, 1, 1).unwrap(),
        };
        let directory = case.among.is_some().then(|| directory(&others, &json, &policy));
        let references = match &directory {
            Some(directory) => References::new(directory, SOURCE, None, None),
            None => References::credulous(SOURCE, None, None),
        };
        let context: Context<'_> = policy.context(&references);
        let mut tape = Tape::default();
        let element = tape.parse(&json).unwrap_or_else(|fault| panic!("{}: {fault}", case.case));
        let text = |name: &str| element.get(name).and_then(|value| value.as_str()).unwrap_or("none");
        let resource = Resource { resource_type: text("resourceType"), id: text("id"), element };
        let mapped = map(&resource, &context);
        let labels = labels(&json, &others, &resource, &mapped);
        answer(&mapped, &labels, words, &case.case)
    }
}

/// A JSON merge patch (RFC 7396).
fn merge(to: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        if !patch.is_null() {
            *to = patch.clone();
        }
        return;
    };
    if !to.is_object() {
        *to = Value::Object(Map::new());
    }
    let Value::Object(to) = to else { return };
    for (name, value) in patch {
        if value.is_null() {
            to.remove(name);
        } else if value.is_object() {
            merge(to.entry(name.clone()).or_insert(Value::Null), value);
        } else {
            to.insert(name.clone(), value.clone());
        }
    }
}

/// What the first pass finds when the input is these resources.
fn directory(others: &[String], resource: &str, policy: &Policy<'_>) -> Directory {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input.ndjson");
    let all: Vec<String> = others.iter().cloned().chain([resource.replace('\n', " ")]).collect();
    std::fs::write(&path, all.join("\n")).unwrap();
    let sources = Sources::find(&[path.to_string_lossy().into_owned()]).unwrap();
    let tell = |_: crate::pass::Progress| {};
    let mut survey = survey(&sources, &Meter::new(0, &tell), policy, false, 1).unwrap();
    survey.place_parts();
    survey.directory
}
