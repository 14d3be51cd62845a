//! One large block of bytes that is read here and there. On pages of 4 KiB every such read waits for the address tables
//! besides the byte itself; so the block lies on pages of 2 MiB, where the operating system has them to give.

use std::io;
use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// A block of bytes. It is memory of this process alone: no file stands behind it.
pub struct Block {
    map: MmapMut,
    length: usize,
}

impl Block {
    /// An empty block with room for so many bytes, and no more.
    ///
    /// # Errors
    /// There is not so much memory.
    pub fn with_room(bytes: usize) -> io::Result<Block> {
        let map = MmapMut::map_anon(bytes.max(1))?;
        // A wish: where pages cannot be larger, they are of the usual size.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Block { map, length: 0 })
    }

    /// A block of zeros.
    ///
    /// # Errors
    /// There is not so much memory.
    pub fn zeroed(length: usize) -> io::Result<Block> {
        Ok(Block { length, ..Block::with_room(length)? })
    }

    /// Adds bytes; there must be room for them.
    pub fn push(&mut self, bytes: &[u8]) {
        let start = self.length;
        self.length += bytes.len();
        self.map[start..self.length].copy_from_slice(bytes);
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map[..self.length]
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.map[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_length_and_holds_what_is_put_in() {
        for length in [0, 1, 4096, 5_000_000] {
            let mut block = Block::zeroed(length).unwrap();
            assert!(block.len() == length && block.iter().all(|byte| *byte == 0));
            block.fill(7);
            assert!(block.iter().all(|byte| *byte == 7));
        }
        let mut block = Block::with_room(3).unwrap();
        block.push(b"a");
        block.push(b"bc");
        assert_eq!(&*block, b"abc");
    }
}
