//! What maps of local codes add to a vocabulary: a concept per code that it does not know, the maps as relationships, and
//! the vocabularies that the codes belong to.

use std::collections::HashSet;

use model::omop::{self, NO_MATCHING_CONCEPT, Row};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::super::WHOLE;
use super::super::watch::{FIRST_CUSTOM, Seen};
use super::{ALWAYS, Line, LocalMap};
use crate::{Error, Result};

/// What the files add to the vocabulary.
#[derive(Default)]
pub struct LocalRows {
    pub rows: Vec<Row<'static>>,
    /// Concepts made for codes.
    pub concepts: u64,
    /// Codes whose target is not there or not standard, and codes that the vocabulary itself maps.
    pub unused: Vec<String>,
}

impl LocalMap {
    /// Makes the rows, now that the vocabulary is known.
    pub fn rows(&self, seen: &Seen) -> LocalRows {
        let mut made = LocalRows::default();
        let mut taken: HashSet<i32> = seen.custom_ids.clone();
        let mut own = HashSet::new();
        taken.extend(self.codes.values().flatten().map(|line| line.source_concept_id));
        for ((vocabulary, code), lines) in &self.codes {
            let known = seen.codes.get(&(vocabulary.clone(), code.clone()));
            let given = lines.iter().map(|line| line.source_concept_id).find(|id| *id >= FIRST_CUSTOM);
            let concept_id = match (known, given) {
                (Some(known), _) => *known,
                (None, Some(given)) if !seen.custom_ids.contains(&given) && own.insert(given) => given,
                (None, _) => free_id(vocabulary, code, &mut taken),
            };
            if let (None, Some(given)) = (known, given)
                && given != concept_id
            {
                made.unused.push(format!("{vocabulary} {code}: concept {given} is another code's, took {concept_id}"));
            }
            let mut domain_id = None;
            for line in lines {
                let target = seen.concepts.get(&line.target_concept_id);
                let target_vocabulary = target.map_or(WHOLE, |target| &target.vocabulary_id);
                made.rows.push(table_row((vocabulary, code), concept_id, target_vocabulary, line));
                if line.target_concept_id == NO_MATCHING_CONCEPT {
                    continue;
                }
                let Some(target) = target.filter(|target| target.is_standard && target.is_valid) else {
                    let what = if target.is_some() { "is not valid and standard" } else { "is not in the vocabulary" };
                    made.unused.push(format!("{vocabulary} {code}: concept {} {what}", line.target_concept_id));
                    continue;
                };
                if seen.mapped.contains(&concept_id) {
                    made.unused.push(format!("{vocabulary} {code}: the vocabulary itself maps it"));
                    continue;
                }
                domain_id = domain_id.or(line.is_fact.then_some(target.domain_id.as_str()));
                made.rows.extend(relationship_rows(concept_id, line));
            }
            if known.is_none() {
                made.concepts += 1;
                made.rows.push(concept_row(vocabulary, code, concept_id, domain_id.unwrap_or("Observation"), lines));
            }
        }
        made
    }

    /// Refuses a code system for a vocabulary that no code belongs to.
    ///
    /// # Errors
    /// There is one.
    pub fn check_code_systems(&self, code_systems: &[(String, String)]) -> Result<()> {
        let vocabularies = self.vocabularies();
        match code_systems.iter().find(|(vocabulary, _)| !vocabularies.contains(vocabulary.as_str())) {
            None => Ok(()),
            Some((vocabulary, _)) => Err(Error::Vocabulary(format!(
                "`--code-system` names vocabulary `{vocabulary}`, which no map of local codes has, expected {}",
                if vocabularies.is_empty() {
                    "`--source-to-concept-map`, too".to_owned()
                } else {
                    format!("one of {}", vocabularies.into_iter().collect::<Vec<_>>().join(", "))
                }
            ))),
        }
    }

    /// The rows of local vocabularies; the address of the code system stands where OMOP has it, in `vocabulary_reference`.
    pub fn vocabulary_rows(
        &self,
        seen: &Seen,
        code_systems: &[(String, String)],
        without_code_system: &mut Vec<String>,
    ) -> Vec<Row<'static>> {
        let is_known = |vocabulary: &str| model::vocabulary::vocabularies().any(|row| row.vocabulary_id == vocabulary);
        let mut rows = Vec::new();
        for vocabulary in self.vocabularies() {
            if seen.has_name("vocabulary", vocabulary) || is_known(vocabulary) {
                continue;
            }
            let given = code_systems.iter().find(|(name, _)| name == vocabulary).map(|(_, system)| system.as_str());
            let reference = given.or(vocabulary.contains(':').then_some(vocabulary));
            if reference.is_none() {
                without_code_system.push(vocabulary.to_owned());
            }
            let row = omop::Vocabulary {
                vocabulary_id: vocabulary.to_owned().into(),
                vocabulary_name: vocabulary.to_owned().into(),
                vocabulary_reference: reference.map(|reference| reference.to_owned().into()),
                vocabulary_version: None,
                vocabulary_concept_id: NO_MATCHING_CONCEPT,
            };
            rows.push(row.into());
        }
        rows
    }
}

/// An id for a code: the same in every import, unless another code has it already.
fn free_id(vocabulary: &str, code: &str, taken: &mut HashSet<i32>) -> i32 {
    let count = u64::from(i32::MAX.abs_diff(FIRST_CUSTOM)) + 1;
    let hash = xxh3_64_with_seed(code.as_bytes(), xxh3_64_with_seed(vocabulary.as_bytes(), 0));
    let mut offset = hash % count;
    loop {
        let id = FIRST_CUSTOM.wrapping_add_unsigned(offset as u32);
        if taken.insert(id) {
            return id;
        }
        offset = (offset + 1) % count;
    }
}

fn table_row((vocabulary, code): (&str, &str), concept_id: i32, target_vocabulary: &str, line: &Line) -> Row<'static> {
    let description = (!line.description.is_empty()).then(|| line.description.clone().into());
    omop::SourceToConceptMap {
        source_code: code.to_owned().into(),
        source_concept_id: concept_id,
        source_vocabulary_id: vocabulary.to_owned().into(),
        source_code_description: description,
        target_concept_id: line.target_concept_id,
        target_vocabulary_id: target_vocabulary.to_owned().into(),
        valid_start_date: line.valid.0,
        valid_end_date: line.valid.1,
        invalid_reason: None,
    }
    .into()
}

fn relationship_rows(concept_id: i32, line: &Line) -> [Row<'static>; 2] {
    let (forth, back) = if line.is_fact { ("Maps to", "Mapped from") } else { ("Maps to value", "Value mapped from") };
    [(concept_id, line.target_concept_id, forth), (line.target_concept_id, concept_id, back)].map(|(from, to, kind)| {
        omop::ConceptRelationship {
            concept_id_1: from,
            concept_id_2: to,
            relationship_id: kind.into(),
            valid_start_date: line.valid.0,
            valid_end_date: line.valid.1,
            invalid_reason: None,
        }
        .into()
    })
}

fn concept_row(vocabulary: &str, code: &str, concept_id: i32, domain_id: &str, lines: &[Line]) -> Row<'static> {
    let description = lines.iter().map(|line| line.description.as_str()).find(|text| !text.is_empty());
    let first = lines.iter().map(|line| line.valid.0).min();
    let last = lines.iter().map(|line| line.valid.1).max();
    omop::Concept {
        concept_id,
        concept_name: description.unwrap_or(code).to_owned().into(),
        domain_id: domain_id.to_owned().into(),
        vocabulary_id: vocabulary.to_owned().into(),
        concept_class_id: "Undefined".into(),
        standard_concept: None,
        concept_code: code.to_owned().into(),
        valid_start_date: first.unwrap_or(ALWAYS.0),
        valid_end_date: last.unwrap_or(ALWAYS.1),
        invalid_reason: None,
    }
    .into()
}
