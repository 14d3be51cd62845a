//! OMOP ids as hashes of where a row comes from: never row order, never the clock, never a business identifier.

use chrono::NaiveDate;
use xxhash_rust::xxh3::xxh3_64;

/// The positive 63-bit id of an OMOP row.
///
/// `resource` is `Type/id` as the source knows it, `table` the OMOP table, and `part` tells apart the rows that one
/// resource makes in one table: empty for the first, `component[1]`, `race[2]`, or `4167462` for a further
/// standard concept of a one-to-many map.
pub fn omop_key(source_id: &str, resource: &str, table: &str, part: &str) -> i64 {
    let fields = [source_id, resource, table, part];
    let length = fields.iter().map(|field| field.len() + 1).sum();
    // In one place, so that they are hashed at once, which is several times as fast as one after the other.
    let (mut short, mut long) = ([0; 192], Vec::new());
    let text = match short.get_mut(..length) {
        Some(text) => text,
        None => {
            long.resize(length, 0);
            &mut long
        }
    };
    let mut at = 0;
    for field in fields {
        text[at..at + field.len()].copy_from_slice(field.as_bytes());
        at += field.len() + 1;
    }
    let hash = xxh3_64(text);
    ((hash & (i64::MAX as u64)) as i64).max(1)
}

/// The id of an era: a span of one person's records of one concept, told by the day it begins.
pub fn era_key(source_id: &str, person_id: i64, table: &str, concept_id: i32, start: NaiveDate) -> i64 {
    omop_key(source_id, &format!("person/{person_id}"), table, &format!("{concept_id}/{start}"))
}

#[cfg(test)]
mod tests {
    use super::{omop_key, xxh3_64};

    #[test]
    fn every_field_counts() {
        let base = omop_key("a", "Patient/1", "person", "");
        assert!(base > 0);
        assert_eq!(base, omop_key("a", "Patient/1", "person", ""));
        for other in [
            omop_key("b", "Patient/1", "person", ""),
            omop_key("a", "Patient/2", "person", ""),
            omop_key("a", "Patient/1", "death", ""),
            omop_key("a", "Patient/1", "person", "x"),
            omop_key("aP", "atient/1", "person", ""),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_id_is_the_hash_of_its_fields_each_ended_by_a_zero() {
        for length in [0, 1, 100, 180, 181, 182, 183, 500] {
            let resource = "x".repeat(length);
            let text = format!("s\0{resource}\0t\0p\0");
            assert_eq!(omop_key("s", &resource, "t", "p"), (xxh3_64(text.as_bytes()) & i64::MAX as u64) as i64);
        }
    }
}
