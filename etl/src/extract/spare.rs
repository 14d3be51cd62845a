//! Memory of blocks that are done, for the next ones: what is given back to the system must be cleared by it again.

use std::sync::{Arc, Mutex, PoisonError};

use super::{BLOCK_BYTES, Block};

/// So many blocks are kept at most: what only gives and never takes, such as the records of a Bundle, gathers no more.
const MOST: usize = 16;

/// Memory of blocks that are done.
#[derive(Default)]
pub struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    /// Memory that begins with a copy of `start`; what is behind it is of no meaning.
    pub(super) fn take(&self, start: &[u8]) -> Vec<u8> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        match bytes.get_mut(..start.len()) {
            Some(place) => place.copy_from_slice(start),
            None => start.clone_into(&mut bytes),
        }
        bytes
    }

    /// Keeps the memory of a block, unless somebody still reads it or it is larger than most.
    pub fn keep(&self, block: Block) {
        if let Ok(bytes) = Arc::try_unwrap(block.bytes)
            && (BLOCK_BYTES / 2..BLOCK_BYTES * 4).contains(&bytes.len())
        {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < MOST {
                kept.push(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Content;
    use super::*;

    #[test]
    fn what_only_gives_gathers_no_more_than_a_few() {
        let spare = Spare::default();
        for _ in 0..2 * MOST {
            spare.keep(Block { file: 0, bytes: Arc::new(vec![7; BLOCK_BYTES]), content: Content::Resource });
        }
        assert_eq!(spare.0.lock().unwrap().len(), MOST);
    }

    #[test]
    fn memory_that_is_free_is_taken_again() {
        let spare = Spare::default();
        let block = |length| Block { file: 0, bytes: Arc::new(vec![7; length]), content: Content::Resource };
        spare.keep(block(BLOCK_BYTES));
        spare.keep(block(BLOCK_BYTES * 4));
        let held = block(BLOCK_BYTES);
        let reader = Arc::clone(&held.bytes);
        spare.keep(held);
        let bytes = spare.take(b"start");
        assert_eq!((bytes.len(), &bytes[..6]), (BLOCK_BYTES, b"start\x07".as_slice()));
        assert_eq!((spare.take(b"start"), reader.len()), (b"start".to_vec(), BLOCK_BYTES));
    }
}
