//! The names of members: found quickly, and none may stand twice in one object.

use std::collections::HashSet;
use std::ops::Deref;

use super::Tape;

/// Above so many members an object's names are checked with a set.
const FEW_MEMBERS: usize = 64;

/// The name of a member that is asked of many records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    text: Box<str>,
    fingerprint: u32,
}

impl Name {
    /// Its [`fingerprint`].
    #[inline]
    pub fn fingerprint(&self) -> u32 {
        self.fingerprint
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Name { text: text.into(), fingerprint: fingerprint(text.as_bytes()) }
    }
}

impl Deref for Name {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        &self.text
    }
}

/// The member names of one object: a 64-bit sieve first, an exact look only where the sieve hits.
#[derive(Default)]
pub struct Names {
    sieve: u64,
    count: usize,
    all: HashSet<String>,
}

impl Names {
    /// Adds the name at `key`; true when the object has it already.
    #[inline]
    pub fn repeat(&mut self, tape: &Tape, object: usize, key: usize) -> bool {
        let this = name(tape, key);
        let slot = tape.nodes[key].next.wrapping_mul(0x9e37_79b1) >> 26;
        let bit = 1_u64 << slot;
        let hit = self.sieve & bit != 0;
        self.sieve |= bit;
        self.count += 1;
        if self.count > FEW_MEMBERS {
            if self.all.is_empty() {
                self.all.extend(earlier(tape, object, key).map(|other| name(tape, other).to_owned()));
            }
            return !self.all.insert(this.to_owned());
        }
        hit && earlier(tape, object, key).any(|other| name(tape, other) == this)
    }
}

/// Length and three bytes of a member's name: names that differ in it need not be compared.
#[inline]
pub fn fingerprint(name: &[u8]) -> u32 {
    let byte = |at: usize| name.get(at).copied().unwrap_or_default();
    let last = name.len().saturating_sub(1);
    u32::from_le_bytes([name.len() as u8, byte(0), byte(name.len() / 2), byte(last)])
}

/// The name at `key`.
#[inline]
pub fn name(tape: &Tape, key: usize) -> &str {
    tape.text_of(tape.nodes[key])
}

/// The names before `key` in the object.
fn earlier(tape: &Tape, object: usize, key: usize) -> impl Iterator<Item = usize> {
    let mut at = object + 1;
    std::iter::from_fn(move || {
        let this = at;
        if this >= key {
            return None;
        }
        at = tape.nodes[this + 1].next as usize;
        Some(this)
    })
}
