//! Reads files into blocks of whole records: bounded memory, whatever the size of a file. The only place of this crate
//! that reads input; what a block holds is told by [`record`]. Rows of comma-separated files become resources here.

pub mod bundle;
mod csv;
pub mod record;
pub mod source;
mod spare;

use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};
use bundle::Bundle;
use source::{InputFile, Layout};
pub use spare::Spare;

/// The largest record that is taken; a larger one is rejected without being held in memory.
pub const MAX_RECORD_BYTES: usize = 64 << 20;

const BLOCK_BYTES: usize = 1 << 20;
const ENTRIES_PER_BLOCK: usize = 512;
const DAMAGED: &str = "the packed file is cut off or damaged here; what follows is lost";

/// Some records of one file.
pub struct Block {
    /// Index of the file.
    pub file: u32,
    /// The bytes that the content stands in.
    pub bytes: Arc<Vec<u8>>,
    /// What stands in them.
    pub content: Content,
}

/// What stands in a block.
pub enum Content {
    /// Lines, each a record.
    Lines {
        /// The number of the first, from 1.
        first: u64,
    },
    /// One resource.
    Resource,
    /// Some entries of a Bundle.
    Entries {
        /// The Bundle.
        bundle: Arc<Bundle>,
        /// Which entries.
        range: Range<usize>,
    },
    /// Resources that were made of rows.
    Rows(Vec<Row>),
    /// A record that cannot be read.
    Unreadable(Unreadable),
}

/// What was made of a row.
pub struct Row {
    /// Its line.
    pub line: u64,
    /// Which of its resources.
    pub entry: u32,
    /// Where the resource stands in the block, or why there is none.
    pub content: std::result::Result<Range<usize>, Box<Unreadable>>,
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// The line or entry that the user is told.
    pub line: u64,
    /// What it would have become; empty when nobody can tell.
    pub resource_type: String,
    /// The element or column at fault.
    pub field: Option<String>,
    /// A stable word.
    pub reason: &'static str,
    /// What was found and what was expected.
    pub detail: String,
}

/// Reads a file to its end; `send` answers false when nobody listens any more.
///
/// # Errors
/// The file cannot be read. Damaged content is no error: it becomes an unreadable record.
pub fn read(
    file: &InputFile,
    index: u32,
    bytes_done: &AtomicU64,
    spare: &Spare,
    send: &mut dyn FnMut(Block) -> bool,
) -> Result<()> {
    let failed = |source| Error::Read { path: file.path.clone(), source };
    let input = open(&file.path, Some(bytes_done)).map_err(failed)?;
    let ended = match file.layout {
        Layout::Ndjson => read_lines(input, index, spare, send),
        Layout::Json => read_document(input, index, send),
        Layout::Csv => match &file.conversion {
            Some((delimiter, conversion)) => csv::read_rows(input, index, *delimiter, conversion, send),
            None => Ok(()),
        },
    };
    ended.map_err(failed)
}

/// Opens a file, unpacking it when its first bytes say that it is packed.
fn open<'c>(path: &Path, bytes_done: Option<&'c AtomicU64>) -> io::Result<Input<'c>> {
    let mut file = Counted { file: File::open(path)?, bytes_done };
    let mut magic = [0; 2];
    let (length, _) = fill(&mut file, &mut magic)?;
    let packed = magic[..length] == [0x1f, 0x8b];
    let whole = Cursor::new(magic[..length].to_vec()).chain(file);
    Ok(if packed {
        Input::Packed(Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, whole))))
    } else {
        Input::Plain(whole)
    })
}

enum Input<'c> {
    Plain(Whole<'c>),
    Packed(Box<MultiGzDecoder<BufReader<Whole<'c>>>>),
}

type Whole<'c> = Chain<Cursor<Vec<u8>>, Counted<'c>>;

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::Plain(input) => input.read(buffer),
            Input::Packed(input) => input.read(buffer).map_err(|error| {
                let damage = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput);
                if damage { io::Error::new(io::ErrorKind::InvalidData, error) } else { error }
            }),
        }
    }
}

struct Counted<'c> {
    file: File,
    bytes_done: Option<&'c AtomicU64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        if let Some(counter) = self.bytes_done {
            counter.fetch_add(length as u64, Ordering::Relaxed);
        }
        Ok(length)
    }
}

fn unreadable(file: u32, line: u64, reason: &'static str, detail: String) -> Block {
    let what = Unreadable { line, resource_type: String::new(), field: None, reason, detail };
    Block { file, bytes: Arc::default(), content: Content::Unreadable(what) }
}

fn damaged(file: u32, line: u64) -> Block {
    unreadable(file, line, "damaged_gzip", DAMAGED.into())
}

fn too_large(file: u32, line: u64) -> Block {
    let limit = MAX_RECORD_BYTES >> 20;
    unreadable(file, line, "record_too_large", format!("expected a record of at most {limit} MiB"))
}

fn read_lines(mut input: Input<'_>, file: u32, spare: &Spare, send: &mut dyn FnMut(Block) -> bool) -> io::Result<()> {
    let mut line = 1;
    let mut rest: Vec<u8> = Vec::new();
    let mut start_of_file = true;
    let mut skipping = false;
    loop {
        let held = rest.len();
        // What is longer than a block grows where it is.
        let mut bytes = if held < BLOCK_BYTES { spare.take(&rest) } else { std::mem::take(&mut rest) };
        bytes.resize(held + BLOCK_BYTES, 0);
        let (length, damage) = fill(&mut input, &mut bytes[held..])?;
        let ended = damage || length < BLOCK_BYTES;
        bytes.truncate(held + length);
        if std::mem::take(&mut start_of_file) && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        if skipping {
            let Some(end) = memchr::memchr(b'\n', &bytes) else {
                if ended {
                    break;
                }
                continue;
            };
            bytes.drain(..=end);
            line += 1;
            skipping = false;
        }
        let whole =
            if ended && !damage { bytes.len() } else { memchr::memrchr(b'\n', &bytes).map_or(0, |end| end + 1) };
        if whole == 0 {
            rest = bytes;
        } else {
            rest.clear();
            rest.extend_from_slice(&bytes[whole..]);
            bytes.truncate(whole);
            let lines = memchr::memchr_iter(b'\n', &bytes).count() as u64;
            let block = Block { file, bytes: Arc::new(bytes), content: Content::Lines { first: line } };
            if !send(block) {
                return Ok(());
            }
            line += lines;
        }
        if damage {
            send(damaged(file, line));
        }
        if ended {
            break;
        }
        if rest.len() > MAX_RECORD_BYTES {
            rest = Vec::new();
            skipping = true;
            if !send(too_large(file, line)) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Reads as much as fits; damage in a packed file ends it.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
    let mut length = 0;
    while length < buffer.len() {
        match input.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok((length, true)),
            Err(error) => return Err(error),
        }
    }
    Ok((length, false))
}

fn read_document(mut input: Input<'_>, file: u32, send: &mut dyn FnMut(Block) -> bool) -> io::Result<()> {
    let mut bytes = Vec::new();
    let damage = match input.read_to_end(&mut bytes) {
        Ok(_) => false,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => true,
        Err(error) => return Err(error),
    };
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    if damage && !Bundle::is(&bytes) {
        send(damaged(file, 1));
        return Ok(());
    }
    let bytes = Arc::new(bytes);
    if !Bundle::is(&bytes) {
        let more = source::is_lines(&bytes) && memchr::memchr_iter(b'\n', bytes.trim_ascii()).next().is_some();
        let content = if more { Content::Lines { first: 1 } } else { Content::Resource };
        send(Block { file, bytes, content });
        return Ok(());
    }
    let (bundle, whole) = Bundle::open(&bytes, 0..bytes.len());
    let bundle = Arc::new(bundle);
    let count = bundle.entries.len();
    let mut start = 0;
    loop {
        let end = count.min(start + ENTRIES_PER_BLOCK);
        let content = Content::Entries { bundle: Arc::clone(&bundle), range: start..end };
        if !send(Block { file, bytes: Arc::clone(&bytes), content }) {
            return Ok(());
        }
        start = end;
        if start == count {
            break;
        }
    }
    if damage {
        send(damaged(file, count as u64 + 1));
    } else if !whole {
        let detail = "expected an entry or the end of the Bundle, found neither";
        send(unreadable(file, count as u64 + 1, "invalid_json", detail.into()));
    }
    Ok(())
}
