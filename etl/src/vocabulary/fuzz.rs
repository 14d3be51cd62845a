//! Doors for the programs in `fuzz/`: the reading of a download and of an index.

use std::collections::HashSet;

use super::bad_lines::BadLines;
use super::block::Block;
use super::build::IndexBuilder;
use super::download::TABLES;
use super::index::Index;
use super::local_map::{LocalMap, LocalMapFile};
use super::table_file::TableFile;
use super::watch::{Seen, Wanted};
use super::{Vocabulary, supplement};
use crate::fuzz::with_file;

/// Reads a file as the table of that number among those of a download, as an import does, and makes an index of it: how
/// many rows were read.
pub fn read_table(number: usize, bytes: &[u8]) -> u64 {
    let (name, _) = TABLES[number % TABLES.len()];
    let table = model::omop::table(name).expect("the vocabulary's tables are part of the CDM");
    let bad = BadLines::new(u64::MAX);
    let (mut seen, mut wanted, mut count) = (Seen::default(), Wanted::default(), 0);
    supplement::want(&mut wanted);
    with_file(bytes, |path| {
        let Ok(file) = TableFile::open(table, path) else { return };
        let workers = vec![(IndexBuilder::default(), Seen::default(), 0)];
        let read = file.read(workers, &bad, |(builder, seen, rows), batch| {
            builder.add_batch(name, batch);
            seen.look(name, batch, &wanted, &HashSet::from([1]));
            *rows += batch.num_rows() as u64;
            Ok(())
        });
        for (builder, share, rows) in read.into_iter().flatten() {
            if let Ok(index) = builder.finish() {
                ask(&Vocabulary::new(index));
            }
            seen.merge(share);
            count += rows;
        }
    });
    supplement::supplement(&seen, &[]);
    bad.finish();
    count
}

/// Reads a file as a map of local codes, of either form: how many rows it makes.
pub fn read_local_map(bytes: &[u8]) -> usize {
    let mut count = 0;
    with_file(bytes, |path| {
        let file = LocalMapFile { path: path.to_owned(), vocabulary_id: Some("LOCAL".to_owned()) };
        if let Ok(map) = LocalMap::read(&[file], &BadLines::new(u64::MAX)) {
            let mut wanted = Wanted::default();
            map.want(&mut wanted);
            count = map.rows(&Seen::default()).rows.len();
        }
    });
    count
}

/// Damages the starter's index, five bytes of `damage` for each place and what is put there, and asks it everything: false
/// when it is refused.
pub fn open_index(damage: &[u8]) -> bool {
    let sound = Vocabulary::starter().index;
    let Ok(mut bytes) = Block::with_room(sound.bytes().len()) else { return false };
    bytes.push(sound.bytes());
    for [place @ .., byte] in damage.as_chunks::<5>().0 {
        let place = u32::from_le_bytes(*place) as usize % bytes.len();
        bytes[place] = *byte;
    }
    let Ok(index) = Index::of_bytes(bytes) else { return false };
    ask(&Vocabulary::new(index));
    true
}

fn ask(vocabulary: &Vocabulary) {
    for concept_id in (-2..300).chain([i32::MIN, i32::MAX]) {
        let Some(concept) = vocabulary.concept(concept_id) else { continue };
        _ = vocabulary.concept_of_code(concept.vocabulary_id, concept.concept_code);
        _ = (vocabulary.maps_to(concept_id), vocabulary.maps_to_value(concept_id));
        _ = (vocabulary.is_descendant(concept_id, 1), vocabulary.ingredients(concept_id));
    }
    _ = vocabulary.unit(None, "mg");
    _ = vocabulary.concept_of_code("SNOMED", "1");
}
