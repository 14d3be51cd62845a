//! Rows of a comma-separated file as records: each row is converted to resources on the way.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::Arc;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, StringRecord, Terminator};

use super::{BLOCK_BYTES, Block, Content, MAX_RECORD_BYTES, Row, Unreadable, unreadable};
use crate::conversion::{Conversion, Fault};

const ROWS_PER_BLOCK: usize = 4096;

/// A reader that refuses to go on when one row does not end.
struct Guard<R> {
    input: R,
    since_last_row: Rc<Cell<usize>>,
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let sum = self.since_last_row.get();
        if sum > MAX_RECORD_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a row does not end"));
        }
        let length = self.input.read(buffer)?;
        self.since_last_row.set(sum + length);
        Ok(length)
    }
}

/// A line feed ends a row and nothing else does: then the line numbers are right; what is left of a carriage return is
/// trimmed with the cell.
fn open<R: Read>(input: R, delimiter: u8) -> (Reader<Guard<R>>, Rc<Cell<usize>>) {
    let since_last_row = Rc::new(Cell::new(0));
    let guard = Guard { input, since_last_row: Rc::clone(&since_last_row) };
    let mut builder = ReaderBuilder::new();
    builder.delimiter(delimiter).flexible(true).has_headers(true).terminator(Terminator::Any(b'\n'));
    (builder.from_reader(guard), since_last_row)
}

/// Reads the names of the columns.
pub fn header(input: impl Read, delimiter: u8) -> io::Result<StringRecord> {
    let (mut reader, _) = open(input, delimiter);
    Ok(reader.headers().map_err(io::Error::other)?.clone())
}

/// Reads a file to its end, see [`super::read`].
pub fn read_rows(
    input: impl Read,
    file: u32,
    delimiter: u8,
    conversion: &Conversion,
    send: &mut dyn FnMut(Block) -> bool,
) -> io::Result<()> {
    let (mut reader, since_last_row) = open(input, delimiter);
    let mut rows = Rows::default();
    let mut record = ByteRecord::new();
    loop {
        since_last_row.set(0);
        let more = match reader.read_byte_record(&mut record) {
            Ok(more) => more,
            Err(error) => {
                let line = reader.position().line();
                rows.send(file, send);
                return end(error, file, line, conversion, send);
            }
        };
        if !more {
            rows.send(file, send);
            return Ok(());
        }
        // A line of nothing but space is none.
        if record.len() == 1 && record[0].trim_ascii().is_empty() {
            continue;
        }
        let line = line_of(&record, reader.position().line());
        rows.take(&record, line, conversion);
        if (rows.bytes.len() >= BLOCK_BYTES || rows.rows.len() >= ROWS_PER_BLOCK) && !rows.send(file, send) {
            return Ok(());
        }
    }
}

/// The line on which a row starts. The reader counts empty lines in front of a row as part of it.
fn line_of(record: &ByteRecord, next_line: u64) -> u64 {
    let inside = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
    let start = record.position().map_or(1, csv::Position::line);
    start.max(next_line.saturating_sub(inside + 1))
}

fn end(
    error: csv::Error,
    file: u32,
    line: u64,
    conversion: &Conversion,
    send: &mut dyn FnMut(Block) -> bool,
) -> io::Result<()> {
    let ErrorKind::Io(error) = error.into_kind() else {
        return Err(io::Error::other("the rows cannot be read"));
    };
    match error.kind() {
        io::ErrorKind::FileTooLarge => {
            let detail = format!(
                "expected a row of at most {} MiB: is a quote left open? what follows is lost",
                MAX_RECORD_BYTES >> 20
            );
            let resource_type = conversion.resource_type().to_owned();
            let what = Unreadable { line, resource_type, field: None, reason: "record_too_large", detail };
            send(Block { file, bytes: Arc::default(), content: Content::Unreadable(what) });
        }
        io::ErrorKind::InvalidData => {
            send(unreadable(file, line, "damaged_gzip", super::DAMAGED.into()));
        }
        _ => return Err(error),
    }
    Ok(())
}

/// Rows on their way into a block.
#[derive(Default)]
struct Rows {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

impl Rows {
    fn take(&mut self, record: &ByteRecord, line: u64, conversion: &Conversion) {
        let Ok(record) = StringRecord::from_byte_record(record.clone()) else {
            let resource_type = conversion.resource_type().to_owned();
            let detail = "expected valid UTF-8".to_owned();
            let what = Unreadable { line, resource_type, field: None, reason: "invalid_utf8", detail };
            self.rows.push(Row { line, entry: 0, content: Err(Box::new(what)) });
            return;
        };
        let mut entry = 0;
        let rows = &mut self.rows;
        conversion.convert(&record, &mut self.bytes, |made| {
            let content = made.map_err(|fault| {
                let Fault { resource_type, column, reason, detail } = fault;
                Box::new(Unreadable { line, resource_type, field: column, reason, detail })
            });
            rows.push(Row { line, entry, content });
            entry += 1;
        });
    }

    fn send(&mut self, file: u32, send: &mut dyn FnMut(Block) -> bool) -> bool {
        if self.rows.is_empty() {
            return true;
        }
        let (bytes, rows) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.rows));
        send(Block { file, bytes: Arc::new(bytes), content: Content::Rows(rows) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Item, for_each};
    use super::*;
    use crate::conversion::Mapping;

    const MAPPING: &str = r#"
        [[resource]]
        file = "a.csv"
        type = "Patient"
        id = "{Id}"
        [resource.element]
        "birthDate" = { column = "Birth", as = "date" }
    "#;

    fn told(text: &[u8]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.toml");
        std::fs::write(&path, MAPPING).unwrap();
        let mapping = Mapping::open(path.to_str().unwrap()).unwrap();
        let conversion = mapping.fit("a.csv", &header(text, b',').unwrap()).unwrap();
        let mut told = Vec::new();
        read_rows(text, 0, b',', &conversion, &mut |block| {
            for_each(&block, &mut |item| {
                told.push(match item {
                    Item::Record(record) => format!("{} {}", record.line, record.head().id.unwrap_or_default()),
                    Item::Unreadable(what) => format!("{} {} {:?}", what.line, what.reason, what.field),
                    Item::Bundle { .. } => "Bundle".to_owned(),
                });
            });
            true
        })
        .unwrap();
        told
    }

    #[test]
    fn rows_know_their_lines_whatever_ends_them() {
        let expected = ["2 a", "3 b", "6 c", "7 invalid_date Some(\"Birth\")", "8 wrong_column_count None"];
        let text = "Id,Birth\na,2000-01-01\nb,2000-01-01\n\n\nc,2000-01-01\nd,soon\ne\n";
        assert_eq!(told(text.as_bytes()), expected);
        assert_eq!(told(text.replace('\n', "\r\n").as_bytes()), expected);
        assert_eq!(told(format!("\u{feff}{}", text.trim_end()).as_bytes()), expected);
    }

    #[test]
    fn a_quoted_line_end_does_not_move_the_others() {
        let text = "Id,Birth,Note\na,2000-01-01,\"two\nlines\"\nc,2000-01-01,\n";
        assert_eq!(told(text.as_bytes()), ["2 a", "4 c"]);
    }

    #[test]
    fn what_is_not_text_is_one_bad_row() {
        assert_eq!(told(b"Id,Birth\n\xff,2000-01-01\nb,2000-01-01"), ["2 invalid_utf8 None", "3 b"]);
    }

    #[test]
    fn an_open_quote_ends_the_file_and_not_the_memory() {
        let mut text = b"Id,Birth\na,2000-01-01\n\"".to_vec();
        text.resize(text.len() + MAX_RECORD_BYTES + (1 << 20), b'x');
        assert_eq!(told(&text), ["2 a", "3 record_too_large None"]);
    }
}
