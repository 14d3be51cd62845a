//! The concepts of a vocabulary as one block of bytes, in memory as in its file: little-endian records of fixed width
//! behind a head that says where they are. Nothing is decoded when it is opened.
//!
//! | section | what |
//! |---|---|
//! | entries | 32 bytes per concept, by hash of (vocabulary, code): id, links, vocabulary, class, domain, flags, code; a long code stands in the heap |
//! | buckets | for every few hashes the first entry: the entries themselves are the hash table, and a look-up goes to memory once |
//! | links | per entry that has several: counts, then the entries that it maps to, its values, its parents |
//! | directory, ids | ids in order, each with its entry, and for every 256 ids the first of them |
//! | heap, names | long codes; release, domains, vocabularies and classes by number, as JSON |
//!
//! Only what resolution asks for is here: no names of concepts, no invalid or non-standard targets.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::block::Block;
use super::domain::Domain;
use super::layout::{
    Counts, DIRECTORY_SHIFT, ENTRY, ID, INVALID, Key, LOST_TARGET, ONE_TARGET, STANDARD, bucket, class_of, code_of,
    domain_of, flags_of, hash, id, link_counts, target_domain_of, vocabulary_of, word,
};
use crate::{Error, Result};

/// So many entries are compared at once, before the end of their bucket is looked for.
const NEAR: usize = 4;

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

/// What the numbers in the entries stand for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Names {
    /// The release.
    pub version: String,
    pub domains: Vec<String>,
    pub vocabularies: Vec<String>,
    pub classes: Vec<String>,
    /// `vocabulary_reference` by vocabulary, where it is the address of a code system.
    pub references: Vec<(String, String)>,
}

/// A concept's place in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u32);

/// A standard concept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The concept.
    pub concept_id: i32,
    /// What kind of fact it is.
    pub domain: Domain,
}

/// The standard concepts that a concept maps to.
#[derive(Clone, Copy)]
pub struct Targets<'i> {
    index: &'i Index,
    one: Option<Target>,
    list: &'i [[u8; 4]],
}

impl Targets<'_> {
    /// True when there is none left.
    pub fn is_empty(&self) -> bool {
        self.one.is_none() && self.list.is_empty()
    }
}

impl Iterator for Targets<'_> {
    type Item = Target;

    fn next(&mut self) -> Option<Target> {
        if let Some(one) = self.one.take() {
            return Some(one);
        }
        let (first, rest) = self.list.split_first()?;
        self.list = rest;
        let place = Place(u32::from_le_bytes(*first));
        Some(Target { concept_id: self.index.concept_id(place), domain: self.index.domain(place) })
    }
}

/// The packed concepts.
pub struct Index {
    bytes: Block,
    offsets: [usize; 8],
    names: Names,
    domains: Vec<Domain>,
    vocabulary_numbers: HashMap<String, u16>,
}

impl Index {
    /// Takes the bytes that a builder made.
    ///
    /// # Errors
    /// The bytes are none of ours. What is inside is not judged: every number is looked up within bounds.
    pub fn of_bytes(bytes: Block) -> Result<Index> {
        let broken = || Error::Vocabulary("the index is damaged".to_owned());
        let counts = Counts::of_head(&bytes).ok_or_else(broken)?;
        let offsets = counts.offsets();
        if offsets[7] != bytes.len() {
            return Err(broken());
        }
        let names: Names = serde_json::from_slice(&bytes[offsets[6]..]).map_err(|_| broken())?;
        let domains = names.domains.iter().map(|name| Domain::of(name)).collect();
        let numbered = names.vocabularies.iter().enumerate();
        let vocabulary_numbers = numbered.map(|(number, name)| (name.clone(), number as u16)).collect();
        Ok(Index { bytes, offsets, names, domains, vocabulary_numbers })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn names(&self) -> &Names {
        &self.names
    }

    pub fn len(&self) -> usize {
        self.entries().len()
    }

    pub fn vocabulary_number(&self, vocabulary_id: &str) -> Option<u16> {
        self.vocabulary_numbers.get(vocabulary_id).copied()
    }

    pub fn vocabulary_name(&self, number: u16) -> &str {
        name(&self.names.vocabularies, number)
    }

    pub fn concept(&self, concept_id: i32) -> Option<Concept<'_>> {
        self.view(self.place(concept_id)?)
    }

    /// The place of an id.
    pub fn place(&self, concept_id: i32) -> Option<Place> {
        let (ids, _) = self.section(4).as_chunks::<ID>();
        let (directory, _) = self.section(3).as_chunks::<4>();
        let start_of = |at: usize| directory.get(at).map(|start| u32::from_le_bytes(*start) as usize);
        let last = start_of(directory.len().wrapping_sub(1)).unwrap_or(0);
        let range = match usize::try_from(concept_id >> DIRECTORY_SHIFT) {
            Err(_) => 0..start_of(0).unwrap_or(ids.len()),
            Ok(at) => match (start_of(at), start_of(at + 1)) {
                (Some(start), Some(end)) => start..end,
                _ => last..ids.len(),
            },
        };
        let near = ids.get(range)?;
        let at =
            near.binary_search_by_key(&concept_id, |[a, b, c, d, ..]| i32::from_le_bytes([*a, *b, *c, *d])).ok()?;
        let [.., a, b, c, d] = near[at];
        Some(Place(u32::from_le_bytes([a, b, c, d])))
    }

    /// The place of a code; the standard concept where a vocabulary gives the code twice.
    pub fn place_of_code(&self, vocabulary: u16, code: &str) -> Option<Place> {
        let code = code.as_bytes();
        let (buckets, _) = self.section(1).as_chunks::<4>();
        let at = bucket(hash(vocabulary, code), buckets.len().checked_sub(1)?);
        let [start, end] = buckets.get(at..)?.first_chunk()?;
        let (start, end) = (u32::from_le_bytes(*start), u32::from_le_bytes(*end));
        let key = Key::new(vocabulary, code);
        let from_start = self.entries().get(start as usize..)?;
        // Which of the next ones it is nobody can foretell: a branch for each would wait for memory, and the look-ups
        // that follow with it.
        if !key.is_long()
            && let Some(near) = from_start.first_chunk::<NEAR>()
        {
            let hits = near.iter().zip(0..).fold(0_u32, |hits, (entry, at)| hits | u32::from(key.is_like(entry)) << at);
            if hits != 0 {
                return Some(Place(start + hits.trailing_zeros()));
            }
        }
        let own = from_start.get(..end.checked_sub(start)? as usize)?;
        let found = own.iter().position(|entry| key.is_like(entry) && code_of(entry, self.heap()) == code)?;
        Some(Place(start + found as u32))
    }

    pub fn concept_id(&self, place: Place) -> i32 {
        self.entries().get(place.0 as usize).map_or(model::omop::NO_MATCHING_CONCEPT, id)
    }

    pub fn domain(&self, place: Place) -> Domain {
        self.entries().get(place.0 as usize).map_or(Domain::Other, |entry| self.domain_numbered(domain_of(entry)))
    }

    fn domain_numbered(&self, number: u8) -> Domain {
        self.domains.get(usize::from(number)).copied().unwrap_or(Domain::Other)
    }

    /// The valid standard concepts that a concept maps to; itself when it is standard.
    pub fn targets(&self, place: Place) -> Targets<'_> {
        let mut targets = Targets { index: self, one: None, list: &[] };
        let Some(entry) = self.entries().get(place.0 as usize) else {
            return targets;
        };
        let flags = flags_of(entry);
        if flags & STANDARD != 0 {
            targets.one = Some(Target { concept_id: id(entry), domain: self.domain_numbered(domain_of(entry)) });
        } else if flags & ONE_TARGET != 0 {
            let concept_id = word(entry, 4).unwrap_or(0).cast_signed();
            targets.one = Some(Target { concept_id, domain: self.domain_numbered(target_domain_of(entry)) });
        } else {
            targets.list = self.linked(entry, 0);
        }
        targets
    }

    /// True when a concept may stand in a row.
    pub fn is_standard(&self, place: Place) -> bool {
        self.entries().get(place.0 as usize).is_some_and(|entry| flags_of(entry) & STANDARD != 0)
    }

    /// True when a concept maps to something that cannot stand in a row.
    pub fn has_lost_target(&self, place: Place) -> bool {
        self.entries().get(place.0 as usize).is_some_and(|entry| flags_of(entry) & LOST_TARGET != 0)
    }

    /// The values that a concept says together with its fact.
    pub fn maps_to_value(&self, place: Place) -> impl Iterator<Item = Place> + use<'_> {
        self.places(place, 1)
    }

    /// What is right above a concept in the hierarchy.
    pub fn parents(&self, place: Place) -> impl Iterator<Item = Place> + use<'_> {
        self.places(place, 2)
    }

    /// Walks upwards from a concept, not beyond the ancestors for which `stops` is true, until it has seen all.
    pub fn climb(&self, from: Place, mut stops: impl FnMut(Place) -> bool) {
        let mut seen = HashSet::new();
        let mut open = vec![from];
        while let Some(child) = open.pop() {
            for parent in self.parents(child) {
                if seen.insert(parent) && !stops(parent) {
                    open.push(parent);
                }
            }
        }
    }

    /// The concept at a place.
    pub fn view(&self, place: Place) -> Option<Concept<'_>> {
        let entry = self.entries().get(place.0 as usize)?;
        let flags = flags_of(entry);
        Some(Concept {
            concept_id: id(entry),
            domain: self.domain(place),
            domain_id: name(&self.names.domains, u16::from(domain_of(entry))),
            vocabulary_id: self.vocabulary_name(vocabulary_of(entry)),
            concept_class_id: name(&self.names.classes, class_of(entry)),
            concept_code: std::str::from_utf8(code_of(entry, self.heap())).unwrap_or_default(),
            is_standard: flags & STANDARD != 0,
            is_valid: flags & INVALID == 0,
        })
    }

    /// The number of the class of that name.
    pub fn class_number(&self, concept_class_id: &str) -> Option<u16> {
        self.names.classes.iter().position(|class| class == concept_class_id).map(|number| number as u16)
    }

    /// True when the concept is of the class.
    pub fn has_class(&self, place: Place, class: u16) -> bool {
        self.entries().get(place.0 as usize).is_some_and(|entry| class_of(entry) == class)
    }

    fn section(&self, at: usize) -> &[u8] {
        &self.bytes[self.offsets[at]..self.offsets[at + 1]]
    }

    fn entries(&self) -> &[[u8; ENTRY]] {
        self.section(0).as_chunks::<ENTRY>().0
    }

    fn heap(&self) -> &[u8] {
        self.section(5)
    }

    fn places(&self, place: Place, kind: usize) -> impl Iterator<Item = Place> + use<'_> {
        let list = self.entries().get(place.0 as usize).map_or(&[] as &[[u8; 4]], |entry| self.linked(entry, kind));
        list.iter().map(|place| Place(u32::from_le_bytes(*place)))
    }

    /// The links of a kind: 0 to standard concepts, 1 to values, 2 to parents.
    fn linked(&self, entry: &[u8; ENTRY], kind: usize) -> &[[u8; 4]] {
        if flags_of(entry) & ONE_TARGET != 0 {
            return &[];
        }
        let (links, _) = self.section(2).as_chunks::<4>();
        let at = word(entry, 4).unwrap_or(0) as usize;
        let counts = links.get(at).map_or(0, |counts| u32::from_le_bytes(*counts));
        let counts = link_counts(counts);
        let start = at + 1 + counts[..kind].iter().sum::<usize>();
        links.get(start..start + counts[kind]).unwrap_or_default()
    }
}

fn name(names: &[String], number: u16) -> &str {
    names.get(usize::from(number)).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::super::build::{ConceptRow, IndexBuilder};
    use super::super::layout::DIRECTORY_IDS;
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

    fn index(rows: &[ConceptRow<'_>], relationships: &[(&str, i32, i32)]) -> Index {
        let mut builder = IndexBuilder::default();
        rows.iter().for_each(|row| builder.add_concept(row));
        relationships.iter().for_each(|(kind, from, to)| builder.add_relationship(kind, *from, *to));
        builder.finish().unwrap()
    }

    #[test]
    fn of_two_concepts_with_one_code_the_standard_one_is_found() {
        let rows = [row(9, "A", "", "D"), row(3, "A", "S", ""), row(5, "A", "", ""), row(7, "B", "", "U")];
        let index = index(&rows, &[("Maps to", 7, 3), ("Maps to", 7, 7), ("Maps to", 7, 5), ("Maps to", 7, 99)]);
        let snomed = index.vocabulary_number("SNOMED").unwrap();
        let found = |code| index.place_of_code(snomed, code).and_then(|place| index.view(place));
        assert_eq!(found("A").unwrap().concept_id, 3);
        assert!(!found("B").unwrap().is_valid);
        assert!(found("a").is_none());
        // Only what is standard and known counts.
        let place = index.place(7).unwrap();
        assert_eq!(index.targets(place).map(|target| target.concept_id).collect::<Vec<_>>(), [3]);
        assert_eq!(index.maps_to_value(place).count(), 0);
    }

    #[test]
    fn the_hierarchy_is_climbed_once_even_in_a_circle() {
        let rows = [row(1, "1", "S", ""), row(2, "2", "S", ""), row(3, "3", "C", ""), row(4, "4", "", "")];
        let index = index(&rows, &[("Is a", 1, 2), ("Is a", 2, 3), ("Is a", 3, 1), ("Is a", 1, 4), ("Is a", 1, 2)]);
        let mut seen = Vec::new();
        index.climb(index.place(1).unwrap(), |place| {
            seen.push(index.concept_id(place));
            false
        });
        assert_eq!(seen, [2, 3, 1], "a concept outside the hierarchy is no ancestor");
    }

    fn block(bytes: &[u8]) -> Block {
        let mut block = Block::with_room(bytes.len()).unwrap();
        block.push(bytes);
        block
    }

    #[test]
    fn every_concept_is_found_by_id_and_by_code_whatever_its_length() {
        let ids = [-5, 0, 1, 255, 256, 257, 70_000, 46_000_000, DIRECTORY_IDS, 2_000_000_000, i32::MAX];
        let codes: Vec<String> = (0..ids.len()).map(|at| "x".repeat(at * 30 + usize::from(at < 3)) + "é").collect();
        let rows: Vec<_> = ids.iter().zip(&codes).map(|(id, code)| row(*id, code, "S", "")).collect();
        let index = index(&rows, &[]);
        let again = Index::of_bytes(block(index.bytes())).unwrap();
        for (id, code) in ids.iter().zip(&codes) {
            for index in [&index, &again] {
                assert_eq!(index.concept(*id).unwrap().concept_code, code);
                let place = index.place_of_code(index.vocabulary_number("SNOMED").unwrap(), code).unwrap();
                assert_eq!(index.concept_id(place), *id);
            }
        }
        for id in [-6, -1, 2, 254, 258, 46_000_001, 1_999_999_999, i32::MIN] {
            assert_eq!(index.concept(id), None, "{id}");
        }
    }

    #[test]
    fn an_empty_index_finds_nothing() {
        let index = index(&[], &[]);
        assert!(index.place_of_code(0, "A").is_none());
        assert!(index.concept(1).is_none());
        assert_eq!(index.domain(Place(3)), Domain::Other);
    }

    #[test]
    fn damaged_bytes_never_panic() {
        let long = "2".repeat(40);
        let rows = [row(1, "1", "S", ""), row(2, &long, "", ""), row(2_000_000_001, "3", "", "")];
        let sound = index(&rows, &[("Maps to", 2, 1), ("Maps to value", 2, 1)]);
        for at in 0..sound.bytes().len() {
            assert!(Index::of_bytes(block(&sound.bytes()[..at])).is_err());
            for damage in [0, 0x7f, 0xff] {
                let mut bytes = block(sound.bytes());
                bytes[at] = damage;
                let Ok(index) = Index::of_bytes(bytes) else { continue };
                for id in [1, 2, 2_000_000_001] {
                    if let Some(place) = index.place(id) {
                        assert!(index.targets(place).count() < 1_000);
                        index.maps_to_value(place).for_each(|place| _ = index.view(place));
                    }
                }
                index.place_of_code(0, &long);
                index.place_of_code(0, "none");
            }
        }
    }
}
