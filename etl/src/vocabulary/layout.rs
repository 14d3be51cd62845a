//! How the bytes of an index are laid out: the head, the record of a concept, and the hash of a code. What the parts mean
//! together stands in [`super::index`].

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Changes with the layout; files with another one are built anew.
pub const MAGIC: [u8; 8] = *b"hlvocab2";
/// Bytes of the head: magic, seven counts, and room.
pub const HEAD: usize = 64;
pub const ENTRY: usize = 32;
/// Bytes of an id with its place.
pub const ID: usize = 8;
/// So many entries share a bucket on average: a probe reads the bucket's start and then, as a rule, one line of entries.
pub const ENTRIES_PER_BUCKET: usize = 2;
/// A code of so many bytes stands in its entry; of a longer one its place in the heap, its length and its hash.
const INLINE_CODE: usize = 16;
const IN_HEAP: u8 = u8::MAX;
pub const STANDARD: u8 = 1;
pub const INVALID: u8 = 2;
/// `C`: not standard, but part of the hierarchy.
pub const CLASSIFICATION: u8 = 4;
/// It maps to something that is unknown, invalid or not standard.
pub const LOST_TARGET: u8 = 8;
/// Its one link stands in its entry: the id and the domain of the concept that it maps to.
pub const ONE_TARGET: u8 = 16;
/// The directory ends here; higher ids, which are few, are searched for.
pub const DIRECTORY_IDS: i32 = 1 << 27;
pub const DIRECTORY_SHIFT: u32 = 8;

/// How many of each there are, in the order of the sections.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub entries: usize,
    /// The starts of buckets, and where the last one ends.
    pub buckets: usize,
    pub links: usize,
    pub directory: usize,
    pub ids: usize,
    pub heap: usize,
    pub names: usize,
}

impl Counts {
    pub fn to_head(self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..MAGIC.len()].copy_from_slice(&MAGIC);
        let Counts { entries, buckets, links, directory, ids, heap, names } = self;
        let counts = [entries, buckets, links, directory, ids, heap, names];
        for (at, count) in counts.into_iter().enumerate() {
            head[8 + 4 * at..12 + 4 * at].copy_from_slice(&(count as u32).to_le_bytes());
        }
        head
    }

    pub fn of_head(bytes: &[u8]) -> Option<Counts> {
        let head = bytes.first_chunk::<HEAD>().filter(|head| head.starts_with(&MAGIC))?;
        let count = |at: usize| word(head, 8 + 4 * at).map(|count| count as usize);
        Some(Counts {
            entries: count(0)?,
            buckets: count(1)?,
            links: count(2)?,
            directory: count(3)?,
            ids: count(4)?,
            heap: count(5)?,
            names: count(6)?,
        })
    }

    /// Where each section starts, and where the last one ends.
    pub fn offsets(self) -> [usize; 8] {
        let Counts { entries, buckets, links, directory, ids, heap, names } = self;
        let sizes = [entries * ENTRY, buckets * 4, links * 4, directory * 4, ids * ID, heap, names];
        let mut offsets = [HEAD; 8];
        for (at, size) in sizes.into_iter().enumerate() {
            offsets[at + 1] = offsets[at] + size;
        }
        offsets
    }

    pub fn size_bytes(self) -> usize {
        self.offsets()[7]
    }
}

/// How many links of each kind follow.
pub fn link_counts(counts: u32) -> [usize; 3] {
    [counts & 0xff, counts >> 8 & 0xff, counts >> 16].map(|count| count as usize)
}

pub fn hash(vocabulary: u16, code: &[u8]) -> u64 {
    xxh3_64_with_seed(code, u64::from(vocabulary))
}

/// The bucket of a hash: its upper bits, spread over all buckets, so that buckets and hashes have one order.
pub fn bucket(hash: u64, buckets: usize) -> usize {
    ((u128::from(hash) * buckets as u128) >> 64) as usize
}

pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|word| u32::from_le_bytes(*word))
}

fn half(entry: &[u8; ENTRY], at: usize) -> u16 {
    u16::from_le_bytes([entry[at], entry[at + 1]])
}

pub fn id(entry: &[u8; ENTRY]) -> i32 {
    i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]])
}

pub fn vocabulary_of(entry: &[u8; ENTRY]) -> u16 {
    half(entry, 8)
}

pub fn class_of(entry: &[u8; ENTRY]) -> u16 {
    half(entry, 10)
}

pub fn domain_of(entry: &[u8; ENTRY]) -> u8 {
    entry[12]
}

pub fn target_domain_of(entry: &[u8; ENTRY]) -> u8 {
    entry[13]
}

pub fn flags_of(entry: &[u8; ENTRY]) -> u8 {
    entry[14]
}

pub fn code_of<'i>(entry: &'i [u8; ENTRY], heap: &'i [u8]) -> &'i [u8] {
    match entry[15] {
        IN_HEAP => {
            let (start, length) = (word(entry, 16).unwrap_or(0) as usize, word(entry, 20).unwrap_or(0) as usize);
            heap.get(start..start + length).unwrap_or_default()
        }
        length => entry.get(16..16 + usize::from(length)).unwrap_or_default(),
    }
}

/// A code in the form that entries have it in, so that comparing takes no branch.
pub struct Key {
    vocabulary: u16,
    length: u8,
    /// The code, or the length and the hash of a long one.
    code: u128,
    /// Blends out where in the heap a long code stands.
    mask: u128,
}

impl Key {
    pub fn new(vocabulary: u16, code: &[u8]) -> Key {
        if code.len() <= INLINE_CODE {
            return Key { vocabulary, length: code.len() as u8, code: padded(code), mask: u128::MAX };
        }
        let long = u128::from(xxh3_64(code)) << 64 | u128::from(code.len() as u32) << 32;
        Key { vocabulary, length: IN_HEAP, code: long, mask: !0xffff_ffff }
    }

    /// Puts the code into an entry, and a long one into the heap.
    pub fn write(&self, code: &[u8], entry: &mut [u8; ENTRY], heap: &mut Vec<u8>) {
        let mut word = self.code;
        if self.length == IN_HEAP {
            word |= u128::from(heap.len() as u32);
            heap.extend_from_slice(code);
        }
        entry[8..10].copy_from_slice(&self.vocabulary.to_le_bytes());
        entry[15] = self.length;
        entry[16..].copy_from_slice(&word.to_le_bytes());
    }

    /// True for the entry of the code; of long ones also for another with the same hash, see [`Key::is_long`].
    pub fn is_like(&self, entry: &[u8; ENTRY]) -> bool {
        let [.., a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *entry;
        let word = u128::from_le_bytes([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]);
        (word & self.mask == self.code) & (vocabulary_of(entry) == self.vocabulary) & (entry[15] == self.length)
    }

    /// True when the heap must be asked whether an entry is the one.
    pub fn is_long(&self) -> bool {
        self.length == IN_HEAP
    }
}

/// At most sixteen bytes as a number, the rest of it zero.
fn padded(code: &[u8]) -> u128 {
    if let (Some(first), Some(last)) = (code.first_chunk::<8>(), code.last_chunk::<8>()) {
        // Where both overlap they are the same.
        let last = u128::from(u64::from_le_bytes(*last)) << (8 * (code.len() - 8));
        return last | u128::from(u64::from_le_bytes(*first));
    }
    code.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte))
}
