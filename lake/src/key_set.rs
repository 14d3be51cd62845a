//! Keys of rows, and the search for them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use iceberg::spec::{DataFile, Datum, PrimitiveLiteral};
use parquet::file::statistics::Statistics;

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

/// Keys made ready for a search through many rows of which few are sought. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Sought {
    keys: Arc<KeySet>,
    /// The keys in ascending order, to tell which files and row groups cannot hold one.
    numbers: Arc<[i64]>,
    texts: Arc<[String]>,
    /// One bit per slot that some key hashes to: most rows need no look at the keys themselves.
    slots: Arc<[u64]>,
    shift: u32,
}

/// So many slots per key leave one row of sixteen to look up.
const SLOTS_PER_KEY: usize = 16;

impl From<KeySet> for Sought {
    fn from(keys: KeySet) -> Sought {
        Sought::new(keys)
    }
}

impl Sought {
    /// Makes keys ready.
    pub fn new(keys: KeySet) -> Sought {
        let (mut numbers, mut texts) = (Vec::new(), Vec::new());
        match &keys {
            KeySet::Int64(keys) => numbers.extend(keys.iter().copied()),
            KeySet::Utf8(keys) => texts.extend(keys.iter().cloned()),
        }
        numbers.sort_unstable();
        texts.sort_unstable();
        let bits = (numbers.len() * SLOTS_PER_KEY).next_power_of_two().max(64).ilog2();
        let shift = 64 - bits;
        let mut slots = vec![0; 1 << (bits - 6)];
        for key in &numbers {
            let (word, bit) = slot(*key, shift);
            slots[word] |= bit;
        }
        Sought { keys: Arc::new(keys), numbers: numbers.into(), texts: texts.into(), slots: slots.into(), shift }
    }

    pub(crate) fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Says whether no row can be meant.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Says whether a file may hold one of the keys, by its bounds.
    pub(crate) fn may_be_in(&self, file: &DataFile, key_id: i32) -> bool {
        let bound = |bounds: &HashMap<i32, Datum>| bounds.get(&key_id).map(|datum| datum.literal().clone());
        match (bound(file.lower_bounds()), bound(file.upper_bounds())) {
            (Some(PrimitiveLiteral::Long(low)), Some(PrimitiveLiteral::Long(high))) => self.any_number(low, high),
            (Some(PrimitiveLiteral::Int(low)), Some(PrimitiveLiteral::Int(high))) => {
                self.any_number(low.into(), high.into())
            }
            (Some(PrimitiveLiteral::String(low)), Some(PrimitiveLiteral::String(high))) => self.any_text(&low, &high),
            _ => true,
        }
    }

    /// Says whether a row group may hold one of the keys, by the statistics of its key column.
    pub(crate) fn may_be_among(&self, statistics: Option<&Statistics>) -> bool {
        match statistics {
            Some(Statistics::Int64(statistics)) => {
                let bounds = statistics.min_opt().zip(statistics.max_opt());
                bounds.is_none_or(|(low, high)| self.any_number(*low, *high))
            }
            _ => true,
        }
    }

    fn any_number(&self, low: i64, high: i64) -> bool {
        let first = self.numbers.get(self.numbers.partition_point(|key| *key < low));
        first.is_some_and(|key| *key <= high)
    }

    fn any_text(&self, low: &str, high: &str) -> bool {
        let first = self.texts.get(self.texts.partition_point(|key| key.as_str() < low));
        first.is_some_and(|key| key.as_str() <= high)
    }

    /// Hands over the rows of a column that bear one of the keys.
    pub(crate) fn find(&self, column: &ArrayRef, mut take: impl FnMut(usize)) -> Result<(), ArrowError> {
        match self.keys.as_ref() {
            KeySet::Int64(keys) => {
                let column = cast(column, &DataType::Int64)?;
                let column = column.as_primitive::<Int64Type>();
                for (row, key) in column.values().iter().enumerate() {
                    let (word, bit) = slot(*key, self.shift);
                    if self.slots[word] & bit != 0 && keys.contains(key) && column.is_valid(row) {
                        take(row);
                    }
                }
            }
            KeySet::Utf8(keys) => {
                let column = cast(column, &DataType::Utf8)?;
                let column = column.as_string::<i32>();
                let texts = column.iter().enumerate();
                texts.filter(|(_, key)| key.is_some_and(|key| keys.contains(key))).for_each(|(row, _)| take(row));
            }
        }
        Ok(())
    }
}

/// The word and the bit that stand for a key.
fn slot(key: i64, shift: u32) -> (usize, u64) {
    let slot = key.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> shift;
    ((slot >> 6) as usize, 1 << (slot & 63))
}
