//! Keys of rows, and which files may hold one of them.

use std::collections::HashSet;

use iceberg::spec::{DataFile, Datum, PrimitiveLiteral};

/// Keys of rows.
#[derive(Debug, Clone)]
pub enum KeySet {
    /// Keys of a bigint column.
    Int64(HashSet<i64>),
    /// Keys of a text column.
    Utf8(HashSet<String>),
}

impl KeySet {
    /// Says whether no row can be meant.
    pub fn is_empty(&self) -> bool {
        match self {
            KeySet::Int64(keys) => keys.is_empty(),
            KeySet::Utf8(keys) => keys.is_empty(),
        }
    }
}

/// The keys in order, to tell which files cannot hold one.
pub(crate) enum KeyRange {
    Int64(Vec<i64>),
    Utf8(Vec<String>),
}

impl KeyRange {
    pub fn of(keys: &KeySet) -> KeyRange {
        match keys {
            KeySet::Int64(keys) => {
                let mut sorted: Vec<i64> = keys.iter().copied().collect();
                sorted.sort_unstable();
                KeyRange::Int64(sorted)
            }
            KeySet::Utf8(keys) => {
                let mut sorted: Vec<String> = keys.iter().cloned().collect();
                sorted.sort_unstable();
                KeyRange::Utf8(sorted)
            }
        }
    }

    pub fn may_be_in(&self, file: &DataFile, key_id: i32) -> bool {
        let bounds = file
            .lower_bounds()
            .get(&key_id)
            .map(Datum::literal)
            .zip(file.upper_bounds().get(&key_id).map(Datum::literal));
        match (self, bounds) {
            (KeyRange::Int64(keys), Some((PrimitiveLiteral::Long(low), PrimitiveLiteral::Long(high)))) => {
                keys.get(keys.partition_point(|key| key < low)).is_some_and(|key| key <= high)
            }
            (KeyRange::Utf8(keys), Some((PrimitiveLiteral::String(low), PrimitiveLiteral::String(high)))) => {
                keys.get(keys.partition_point(|key| key < low)).is_some_and(|key| key <= high)
            }
            _ => true,
        }
    }
}
