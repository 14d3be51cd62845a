//! The concepts of a vocabulary, packed: sixteen bytes and its code per concept, a hash table over the codes, sorted
//! pairs for the relationships. A full download of seven million concepts takes about half a gigabyte.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::domain::Domain;

const EMPTY: u32 = u32::MAX;
const STANDARD: u8 = 1;
const INVALID: u8 = 2;

/// One concept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Concept<'v> {
    /// The id.
    pub concept_id: i32,
    /// Its domain.
    pub domain: Domain,
    /// Its domain, as the vocabulary calls it.
    pub domain_id: &'v str,
    /// The vocabulary that it comes from.
    pub vocabulary_id: &'v str,
    /// Its class.
    pub concept_class_id: &'v str,
    /// Its code.
    pub concept_code: &'v str,
    /// True when it may stand in a `*_concept_id` column.
    pub is_standard: bool,
    /// False when it was deleted or replaced.
    pub is_valid: bool,
}

/// One row of the `concept` table, as far as the index needs it; empty text for no value.
pub struct ConceptRow<'r> {
    pub concept_id: i32,
    pub domain_id: &'r str,
    pub vocabulary_id: &'r str,
    pub concept_class_id: &'r str,
    pub standard_concept: &'r str,
    pub concept_code: &'r str,
    pub invalid_reason: &'r str,
}

struct Entry {
    concept_id: i32,
    code_start: u32,
    code_length: u16,
    vocabulary: u16,
    class: u16,
    domain: u8,
    flags: u8,
}

/// Names by number.
#[derive(Default)]
struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u16>,
}

impl Names {
    fn number(&mut self, name: &str) -> u16 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u16;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

/// Collects concepts and relationships in any order.
#[derive(Default)]
pub struct IndexBuilder {
    index: Index,
}

/// The packed concepts.
#[derive(Default)]
pub struct Index {
    entries: Vec<Entry>,
    codes: String,
    domains: Names,
    vocabularies: Names,
    classes: Names,
    table: Vec<u32>,
    maps_to: Vec<(i32, i32)>,
    maps_to_value: Vec<(i32, i32)>,
    parents: Vec<(i32, i32)>,
}

impl IndexBuilder {
    /// Adds a concept.
    pub fn add_concept(&mut self, row: &ConceptRow<'_>) {
        let index = &mut self.index;
        let code_start = index.codes.len() as u32;
        index.codes.push_str(row.concept_code);
        let mut flags = 0;
        if row.standard_concept == "S" {
            flags |= STANDARD;
        }
        if !row.invalid_reason.is_empty() {
            flags |= INVALID;
        }
        index.entries.push(Entry {
            concept_id: row.concept_id,
            code_start,
            code_length: row.concept_code.len() as u16,
            vocabulary: index.vocabularies.number(row.vocabulary_id),
            class: index.classes.number(row.concept_class_id),
            domain: index.domains.number(row.domain_id) as u8,
            flags,
        });
    }

    /// Adds a valid relationship; kinds that no rule asks for are left out.
    pub fn add_relationship(&mut self, relationship_id: &str, from: i32, to: i32) {
        if from == to {
            return;
        }
        match relationship_id {
            "Maps to" => self.index.maps_to.push((from, to)),
            "Maps to value" => self.index.maps_to_value.push((from, to)),
            "Is a" | "RxNorm has ing" | "RxNorm is a" | "Consists of" | "Tradename of" => {
                self.index.parents.push((from, to));
            }
            _ => {}
        }
    }

    /// Sorts and links.
    pub fn finish(self) -> Index {
        let mut index = self.index;
        index.entries.sort_by_key(|entry| entry.concept_id);
        for pairs in [&mut index.maps_to, &mut index.maps_to_value, &mut index.parents] {
            pairs.sort_unstable();
            pairs.dedup();
            pairs.shrink_to_fit();
        }
        index.codes.shrink_to_fit();
        let slots = (index.entries.len() * 3 / 2 + 1).next_power_of_two();
        index.table = vec![EMPTY; slots];
        for at in 0..index.entries.len() {
            index.link(at as u32);
        }
        index
    }
}

impl Index {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn vocabulary_number(&self, vocabulary_id: &str) -> Option<u16> {
        self.vocabularies.numbers.get(vocabulary_id).copied()
    }

    pub fn vocabulary_name(&self, number: u16) -> &str {
        &self.vocabularies.names[usize::from(number)]
    }

    pub fn concept(&self, concept_id: i32) -> Option<Concept<'_>> {
        let at = self.entries.binary_search_by_key(&concept_id, |entry| entry.concept_id).ok()?;
        Some(self.view(&self.entries[at]))
    }

    pub fn domain(&self, concept_id: i32) -> Option<Domain> {
        self.concept(concept_id).map(|concept| concept.domain)
    }

    pub fn concept_of_code(&self, vocabulary: u16, code: &str) -> Option<Concept<'_>> {
        let slot = self.slot(vocabulary, code)?;
        match self.table[slot] {
            EMPTY => None,
            at => Some(self.view(&self.entries[at as usize])),
        }
    }

    pub fn maps_to(&self, concept_id: i32) -> impl Iterator<Item = i32> {
        targets(&self.maps_to, concept_id)
    }

    pub fn maps_to_value(&self, concept_id: i32) -> impl Iterator<Item = i32> {
        targets(&self.maps_to_value, concept_id)
    }

    /// Everything above a concept.
    pub fn ancestors(&self, concept_id: i32) -> HashSet<i32> {
        let mut seen = HashSet::new();
        let mut open = vec![concept_id];
        while let Some(child) = open.pop() {
            open.extend(targets(&self.parents, child).filter(|parent| seen.insert(*parent)));
        }
        seen
    }

    fn view(&self, entry: &Entry) -> Concept<'_> {
        let domain_id = self.domains.names[usize::from(entry.domain)].as_str();
        Concept {
            concept_id: entry.concept_id,
            domain: Domain::of(domain_id),
            domain_id,
            vocabulary_id: &self.vocabularies.names[usize::from(entry.vocabulary)],
            concept_class_id: &self.classes.names[usize::from(entry.class)],
            concept_code: self.code(entry),
            is_standard: entry.flags & STANDARD != 0,
            is_valid: entry.flags & INVALID == 0,
        }
    }

    fn code(&self, entry: &Entry) -> &str {
        &self.codes[entry.code_start as usize..entry.code_start as usize + usize::from(entry.code_length)]
    }

    /// The slot of the code, or the empty one where it would stand.
    fn slot(&self, vocabulary: u16, code: &str) -> Option<usize> {
        let mask = self.table.len().checked_sub(1)?;
        let mut slot = xxh3_64_with_seed(code.as_bytes(), u64::from(vocabulary)) as usize & mask;
        loop {
            let at = self.table[slot];
            if at == EMPTY {
                return Some(slot);
            }
            let entry = &self.entries[at as usize];
            if entry.vocabulary == vocabulary && self.code(entry) == code {
                return Some(slot);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Puts a concept into the table. Of two with one code the standard one stays, then the valid one, then the first.
    fn link(&mut self, at: u32) {
        let entry = &self.entries[at as usize];
        let Some(slot) = self.slot(entry.vocabulary, self.code(entry)) else {
            return;
        };
        let worth = |entry: &Entry| (entry.flags & STANDARD != 0, entry.flags & INVALID == 0);
        let held = self.table[slot];
        if held == EMPTY || worth(entry) > worth(&self.entries[held as usize]) {
            self.table[slot] = at;
        }
    }
}

fn targets(pairs: &[(i32, i32)], from: i32) -> impl Iterator<Item = i32> {
    let start = pairs.partition_point(|pair| pair.0 < from);
    pairs[start..].iter().take_while(move |pair| pair.0 == from).map(|pair| pair.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'r>(concept_id: i32, code: &'r str, standard: &'r str, invalid: &'r str) -> ConceptRow<'r> {
        ConceptRow {
            concept_id,
            domain_id: "Condition",
            vocabulary_id: "SNOMED",
            concept_class_id: "Disorder",
            standard_concept: standard,
            concept_code: code,
            invalid_reason: invalid,
        }
    }

    #[test]
    fn of_two_concepts_with_one_code_the_standard_one_is_found() {
        let mut builder = IndexBuilder::default();
        builder.add_concept(&row(9, "A", "", "D"));
        builder.add_concept(&row(3, "A", "S", ""));
        builder.add_concept(&row(5, "A", "", ""));
        builder.add_concept(&row(7, "B", "", "U"));
        builder.add_relationship("Maps to", 7, 3);
        builder.add_relationship("Is a", 7, 5);
        builder.add_relationship("Is a", 5, 3);
        builder.add_relationship("Is a", 3, 5);
        let index = builder.finish();
        let snomed = index.vocabulary_number("SNOMED").unwrap();
        assert_eq!(index.concept_of_code(snomed, "A").unwrap().concept_id, 3);
        assert!(!index.concept_of_code(snomed, "B").unwrap().is_valid);
        assert!(index.concept_of_code(snomed, "a").is_none());
        assert_eq!(index.maps_to(7).collect::<Vec<_>>(), [3]);
        assert_eq!(index.ancestors(7), [3, 5].into());
    }

    #[test]
    fn an_empty_index_finds_nothing() {
        let index = IndexBuilder::default().finish();
        assert!(index.concept_of_code(0, "A").is_none());
        assert!(index.concept(1).is_none());
    }
}
