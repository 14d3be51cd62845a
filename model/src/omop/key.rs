//! OMOP ids as hashes of where a row comes from: never row order, never the clock, never a business identifier.

use xxhash_rust::xxh3::Xxh3Default;

/// The positive 63-bit id of an OMOP row.
///
/// `resource` is `Type/id` as the source knows it, `table` the OMOP table, and `part` tells apart the rows that one
/// resource makes in one table: empty for the first, `component[1]`, `race[2]`, or `4167462` for a further
/// standard concept of a one-to-many map.
pub fn omop_key(source_id: &str, resource: &str, table: &str, part: &str) -> i64 {
    let mut hash = Xxh3Default::new();
    for field in [source_id, resource, table, part] {
        hash.update(field.as_bytes());
        hash.update(&[0]);
    }
    ((hash.digest() & (i64::MAX as u64)) as i64).max(1)
}

#[cfg(test)]
mod tests {
    use super::omop_key;

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
}
