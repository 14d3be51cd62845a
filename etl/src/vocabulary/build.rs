//! Packs concepts and relationships, given in any order, into an [`Index`].

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;

use super::block::Block;
use super::index::{Index, Names};
use super::layout::{
    CLASSIFICATION, Counts, DIRECTORY_IDS, DIRECTORY_SHIFT, ENTRIES_PER_BUCKET, ENTRY, INVALID, Key, LOST_TARGET,
    ONE_TARGET, STANDARD, bucket, code_of, domain_of, flags_of, hash, id, vocabulary_of,
};
use crate::{Error, Result};

/// The relationships that resolution asks for.
pub const RELATIONSHIPS: [&str; 7] =
    ["Maps to", "Maps to value", "Is a", "RxNorm has ing", "RxNorm is a", "Consists of", "Tradename of"];

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

/// Names, and their numbers in order of appearance.
#[derive(Default)]
struct Numbers {
    names: Vec<String>,
    numbers: HashMap<String, u16>,
    /// The last one asked for: rows of a file come in runs.
    last: u16,
}

impl Numbers {
    fn number(&mut self, name: &str) -> u16 {
        if self.names.get(usize::from(self.last)).is_some_and(|last| last == name) {
            return self.last;
        }
        self.last = match self.numbers.get(name) {
            Some(number) => *number,
            None => {
                let number = self.names.len().min(usize::from(u16::MAX)) as u16;
                self.names.push(name.to_owned());
                self.numbers.insert(name.to_owned(), number);
                number
            }
        };
        self.last
    }
}

/// Collects what goes into an index.
#[derive(Default)]
pub struct IndexBuilder {
    entries: Vec<[u8; ENTRY]>,
    heap: Vec<u8>,
    domains: Numbers,
    vocabularies: Numbers,
    classes: Numbers,
    version: String,
    references: Vec<(String, String)>,
    /// From and to, as one number that sorts.
    maps_to: Vec<u64>,
    maps_to_value: Vec<u64>,
    parents: Vec<u64>,
}

impl IndexBuilder {
    /// Adds a concept; of several with one id the first counts.
    pub fn add_concept(&mut self, row: &ConceptRow<'_>) {
        let mut entry = [0; ENTRY];
        let standard = match row.standard_concept {
            "S" => STANDARD,
            "C" => CLASSIFICATION,
            _ => 0,
        };
        entry[..4].copy_from_slice(&row.concept_id.to_le_bytes());
        entry[10..12].copy_from_slice(&self.classes.number(row.concept_class_id).to_le_bytes());
        entry[12] = self.domains.number(row.domain_id) as u8;
        entry[14] = standard | if row.invalid_reason.is_empty() { 0 } else { INVALID };
        let code = row.concept_code.as_bytes();
        Key::new(self.vocabularies.number(row.vocabulary_id), code).write(code, &mut entry, &mut self.heap);
        self.entries.push(entry);
    }

    /// Adds a valid relationship; kinds that no rule asks for are left out.
    pub fn add_relationship(&mut self, relationship_id: &str, from: i32, to: i32) {
        match relationship_id {
            _ if from == to => {}
            "Maps to" => self.maps_to.push(pair(from, to)),
            "Maps to value" => self.maps_to_value.push(pair(from, to)),
            "Is a" | "RxNorm has ing" | "RxNorm is a" | "Consists of" | "Tradename of" => self.add_parent(from, to),
            _ => {}
        }
    }

    /// Adds a step of the hierarchy.
    pub fn add_parent(&mut self, child: i32, parent: i32) {
        if child != parent {
            self.parents.push(pair(child, parent));
        }
    }

    /// Adds what the `vocabulary` table says of a vocabulary; `None` is the release of the whole.
    pub fn add_vocabulary(&mut self, vocabulary_id: &str, reference: &str, version: &str) {
        if vocabulary_id == super::WHOLE {
            if !version.is_empty() {
                version.clone_into(&mut self.version);
            }
        } else if ["http:", "https:", "urn:"].iter().any(|scheme| reference.starts_with(scheme)) {
            self.references.push((vocabulary_id.to_owned(), reference.to_owned()));
        }
    }

    /// Adds rows of a table of the vocabulary, with columns of the lake's types; other tables say nothing.
    pub fn add_batch(&mut self, table: &str, batch: &RecordBatch) {
        let number = |name: &str| batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int32Type>());
        let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let numbers = |names: [&str; 2]| Some([number(names[0])?, number(names[1])?]);
        match table {
            "concept" => {
                let columns = [
                    "domain_id",
                    "vocabulary_id",
                    "concept_class_id",
                    "standard_concept",
                    "concept_code",
                    "invalid_reason",
                ];
                let columns = columns.map(text);
                let Some(ids) = number("concept_id") else { return };
                for row in 0..batch.num_rows() {
                    let cell = |column: usize| columns[column].map_or("", |column| cell(column, row));
                    self.add_concept(&ConceptRow {
                        concept_id: ids.value(row),
                        domain_id: cell(0),
                        vocabulary_id: cell(1),
                        concept_class_id: cell(2),
                        standard_concept: cell(3),
                        concept_code: cell(4),
                        invalid_reason: cell(5),
                    });
                }
            }
            "concept_relationship" => {
                let columns = numbers(["concept_id_1", "concept_id_2"]).zip(text("relationship_id"));
                let Some(([from, to], kind)) = columns else { return };
                let invalid = text("invalid_reason");
                for row in 0..batch.num_rows() {
                    if invalid.is_none_or(|reason| cell(reason, row).is_empty()) {
                        self.add_relationship(kind.value(row), from.value(row), to.value(row));
                    }
                }
            }
            "concept_ancestor" => {
                let columns = numbers(["descendant_concept_id", "ancestor_concept_id"]);
                let Some(([child, parent], levels)) = columns.zip(number("min_levels_of_separation")) else { return };
                for row in (0..batch.num_rows()).filter(|row| levels.value(*row) == 1) {
                    self.add_parent(child.value(row), parent.value(row));
                }
            }
            "vocabulary" => {
                let names = ["vocabulary_id", "vocabulary_reference", "vocabulary_version"].map(text);
                let [Some(id), Some(reference), Some(version)] = names else { return };
                for row in 0..batch.num_rows() {
                    self.add_vocabulary(cell(id, row), cell(reference, row), cell(version, row));
                }
            }
            _ => {}
        }
    }

    /// Names the release, where no row did.
    pub fn set_version(&mut self, version: &str) {
        version.clone_into(&mut self.version);
    }

    /// Sorts, links, and packs.
    ///
    /// # Errors
    /// There is more of something than the index can number.
    pub fn finish(mut self) -> Result<Index> {
        self.entries.sort_by_key(id);
        self.entries.dedup_by_key(|entry| id(entry));
        let order = self.order();
        let mut places = vec![0; order.len()];
        for (place, (_, number)) in order.iter().enumerate() {
            places[*number as usize] = place as u32;
        }
        let links = self.link(&places)?;
        let directory = self.directory();
        let names = Names {
            version: self.version,
            domains: self.domains.names,
            vocabularies: self.vocabularies.names,
            classes: self.classes.names,
            references: self.references,
        };
        for (what, names, limit) in [
            ("domains", &names.domains, usize::from(u8::MAX)),
            ("vocabularies", &names.vocabularies, usize::from(u16::MAX)),
            ("classes", &names.classes, usize::from(u16::MAX)),
        ] {
            if names.len() > limit {
                let problem = format!("{} {what}, expected at most {limit}: is a column misplaced?", names.len());
                return Err(Error::Vocabulary(problem));
            }
        }
        let names = serde_json::to_vec(&names).map_err(|error| Error::Vocabulary(error.to_string()))?;
        let buckets = self.entries.len() / ENTRIES_PER_BUCKET + 1;
        let counts = Counts {
            entries: self.entries.len(),
            buckets: buckets + 1,
            links: links.len(),
            directory: directory.len(),
            ids: self.entries.len(),
            heap: self.heap.len(),
            names: names.len(),
        };
        if [counts.entries, counts.links, counts.heap].iter().any(|count| *count >= u32::MAX as usize) {
            return Err(Error::Vocabulary("more than four billion bytes of codes or links".to_owned()));
        }
        let size = counts.size_bytes();
        let no_room = |error| Error::Vocabulary(format!("no memory for an index of {size} bytes: {error}"));
        let mut bytes = Block::with_room(size).map_err(no_room)?;
        bytes.push(&counts.to_head());
        order.iter().for_each(|(_, number)| bytes.push(&self.entries[*number as usize]));
        let mut start = 0;
        for number in 0..=buckets {
            start += order[start..].iter().take_while(|(hash, _)| bucket(*hash, buckets) < number).count();
            bytes.push(&(start as u32).to_le_bytes());
        }
        links.iter().chain(&directory).for_each(|number| bytes.push(&number.to_le_bytes()));
        for (entry, place) in self.entries.iter().zip(&places) {
            bytes.push(&id(entry).to_le_bytes());
            bytes.push(&place.to_le_bytes());
        }
        bytes.push(&self.heap);
        bytes.push(&names);
        Index::of_bytes(bytes)
    }

    /// The entries, still sorted by id, in the order of the hashes of their codes. Of two concepts with one code the
    /// standard one comes first, then the valid one, then the one with the lower id.
    fn order(&self) -> Vec<(u64, u32)> {
        let hash = |entry: &[u8; ENTRY]| hash(vocabulary_of(entry), code_of(entry, &self.heap));
        let numbered = self.entries.iter().zip(0..);
        let mut order: Vec<(u64, u32)> = numbered.map(|(entry, number)| (hash(entry), number)).collect();
        let worth = |number: u32| {
            let flags = flags_of(&self.entries[number as usize]);
            (flags & STANDARD == 0, flags & INVALID != 0, number)
        };
        order.sort_unstable_by(|(a, first), (b, second)| a.cmp(b).then_with(|| worth(*first).cmp(&worth(*second))));
        order
    }

    /// Makes the list of links, and tells each entry where its own begin. Targets that are unknown, invalid or not
    /// standard are left out, and so is every step of the hierarchy from or to a concept outside it.
    fn link(&mut self, places: &[u32]) -> Result<Vec<u32>> {
        for pairs in [&mut self.maps_to, &mut self.maps_to_value, &mut self.parents] {
            pairs.sort_unstable();
            pairs.dedup();
        }
        let ids: Vec<i32> = self.entries.iter().map(id).collect();
        let flags: Vec<u8> = self.entries.iter().map(flags_of).collect();
        let domains: Vec<u8> = self.entries.iter().map(domain_of).collect();
        let is_target = |flags: u8| flags & STANDARD != 0 && flags & INVALID == 0;
        let is_above = |flags: u8| flags & (STANDARD | CLASSIFICATION) != 0;
        let mut pairs = [self.maps_to.as_slice(), &self.maps_to_value, &self.parents];
        // The first word stands for "no links": a list of nothing.
        let mut links = vec![0];
        for (at, entry) in self.entries.iter_mut().enumerate() {
            let start = links.len();
            let (mut counts, mut last) = (0, 0);
            for (kind, limit, shift) in [(0, 0xff, 0), (1, 0xff, 8), (2, 0xffff, 16)] {
                let own = take(&mut pairs[kind], ids[at]);
                if own.is_empty() || kind == 2 && !is_above(flags[at]) {
                    continue;
                }
                if links.len() == start {
                    links.push(0);
                }
                let before = links.len();
                for pair in own {
                    let to = ids.binary_search(&target(*pair)).ok();
                    let counts = |to: &usize| if kind == 2 { is_above(flags[*to]) } else { is_target(flags[*to]) };
                    match to.filter(counts) {
                        Some(to) => {
                            links.push(places[to]);
                            last = to;
                        }
                        None if kind == 0 => entry[14] |= LOST_TARGET,
                        None => {}
                    }
                }
                let count = links.len() - before;
                if count > limit {
                    let problem = format!("concept {} maps to {count} concepts, expected at most {limit}", ids[at]);
                    return Err(Error::Vocabulary(problem));
                }
                counts |= (count as u32) << shift;
            }
            let word = match counts {
                0 => 0,
                1 => {
                    entry[13] = domains[last];
                    entry[14] |= ONE_TARGET;
                    ids[last].cast_unsigned()
                }
                _ => start as u32,
            };
            match counts {
                0 | 1 => links.truncate(start),
                _ => links[start] = counts,
            }
            entry[4..8].copy_from_slice(&word.to_le_bytes());
        }
        Ok(links)
    }

    /// The first id of every 256, as far as ids are dense.
    fn directory(&self) -> Vec<u32> {
        let dense = self.entries.partition_point(|entry| id(entry) < DIRECTORY_IDS);
        let Some(last) = dense.checked_sub(1).map(|at| id(&self.entries[at])) else {
            return Vec::new();
        };
        let mut directory = Vec::new();
        let mut at = self.entries.partition_point(|entry| id(entry) < 0);
        for bucket in 0..=(last >> DIRECTORY_SHIFT) + 1 {
            while at < dense && id(&self.entries[at]) >> DIRECTORY_SHIFT < bucket {
                at += 1;
            }
            directory.push(at as u32);
        }
        directory
    }
}

fn cell(column: &StringArray, row: usize) -> &str {
    if column.is_null(row) { "" } else { column.value(row) }
}

/// From and to, with the sign turned so that pairs sort as ids do.
fn pair(from: i32, to: i32) -> u64 {
    let sorted = |id: i32| u64::from(id.cast_unsigned() ^ 1 << 31);
    sorted(from) << 32 | sorted(to)
}

fn target(pair: u64) -> i32 {
    (pair as u32 ^ 1 << 31).cast_signed()
}

/// Cuts the pairs of an id off the front; pairs of lower ids are of no concept.
fn take<'p>(pairs: &mut &'p [u64], from: i32) -> &'p [u64] {
    let key = pair(from, i32::MIN) >> 32;
    let start = pairs.iter().take_while(|pair| **pair >> 32 < key).count();
    let length = pairs[start..].iter().take_while(|pair| **pair >> 32 == key).count();
    let own = &pairs[start..start + length];
    *pairs = &pairs[start + length..];
    own
}
