//! How the bytes of an index are laid out: the head, the record of a concept, and the hash of a code. What the parts mean
//! together stands in [`super::index`].

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Changes with the layout; files with another one are built anew.
pub const MAGIC: [u8; 8] = *b"hlvocab1";
/// Bytes of the head: magic, six counts, and room.
pub const HEAD: usize = 64;
pub const ENTRY: usize = 32;
pub const SLOT: usize = 8;
/// A code of so many bytes stands in its entry.
pub const INLINE_CODE: usize = 16;
pub const IN_HEAP: u8 = u8::MAX;
pub const EMPTY: u32 = u32::MAX;
pub const STANDARD: u8 = 1;
pub const INVALID: u8 = 2;
/// `C`: not standard, but part of the hierarchy.
pub const CLASSIFICATION: u8 = 4;
/// It maps to something that is unknown, invalid or not standard.
pub const LOST_TARGET: u8 = 8;
/// The directory ends here; higher ids, which are few, are searched for.
pub const DIRECTORY_IDS: i32 = 1 << 27;
pub const DIRECTORY_SHIFT: u32 = 8;

/// How many of each there are, in the order of the sections.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub entries: usize,
    pub slots: usize,
    pub links: usize,
    pub directory: usize,
    pub heap: usize,
    pub names: usize,
}

impl Counts {
    pub fn to_head(self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..MAGIC.len()].copy_from_slice(&MAGIC);
        let counts = [self.entries, self.slots, self.links, self.directory, self.heap, self.names];
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
            slots: count(1)?,
            links: count(2)?,
            directory: count(3)?,
            heap: count(4)?,
            names: count(5)?,
        })
    }

    /// Where each section starts, and where the last one ends.
    pub fn offsets(self) -> [usize; 7] {
        let sizes =
            [self.entries * ENTRY, self.slots * SLOT, self.links * 4, self.directory * 4, self.heap, self.names];
        let mut offsets = [HEAD; 7];
        for (at, size) in sizes.into_iter().enumerate() {
            offsets[at + 1] = offsets[at] + size;
        }
        offsets
    }

    pub fn size_bytes(self) -> usize {
        self.offsets()[6]
    }
}

/// How many links of each kind follow.
pub fn link_counts(counts: u32) -> [usize; 3] {
    [counts & 0xff, counts >> 8 & 0xff, counts >> 16].map(|count| count as usize)
}

pub fn hash(vocabulary: u16, code: &[u8]) -> u64 {
    xxh3_64_with_seed(code, u64::from(vocabulary))
}

/// Where the search for a hash begins: its upper bits, spread over all slots.
pub fn first_slot(hash: u64, slots: usize) -> usize {
    ((u128::from(hash) * slots as u128) >> 64) as usize
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

pub fn domain_of(entry: &[u8; ENTRY]) -> u16 {
    half(entry, 12)
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
