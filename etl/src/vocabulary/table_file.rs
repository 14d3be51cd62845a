//! One text file of a vocabulary download, cut into blocks that several threads parse: tab-separated without quoting as
//! Athena writes it, with or without byte order mark and carriage returns, columns in any order. Files with commas or
//! quotes are read as well, on one thread.
//!
//! A line that is not what it should be is counted and remembered, and the others go on.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use model::omop::Table;

use super::bad_lines::{BadLine, BadLines};
use super::row::{Rows, Wrong};
use crate::{Error, Result};

const BLOCK_BYTES: usize = 4 << 20;
/// A longer line is no line: the file is something else.
const LINE_BYTES: usize = 16 << 20;
const HEADER_BYTES: u64 = 64 << 10;

/// A file whose header has been read.
pub struct TableFile {
    pub path: PathBuf,
    table: &'static Table,
    delimiter: u8,
    is_quoted: bool,
    /// The table's columns, each with its place in the file.
    places: Vec<Option<usize>>,
    width: usize,
    /// Where the header begins, behind a byte order mark.
    header: u64,
    /// Where the rows begin.
    body: u64,
}

struct Block {
    line: u64,
    bytes: Vec<u8>,
}

impl TableFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// The file cannot be read, or its header lacks a column.
    pub fn open(table: &'static Table, path: &Path) -> Result<TableFile> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let mut start = Vec::new();
        File::open(path).and_then(|file| file.take(HEADER_BYTES).read_to_end(&mut start)).map_err(failed)?;
        let wrong = |problem: String| Error::Vocabulary(format!("file `{}` {problem}", path.display()));
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return Err(wrong("is UTF-16, expected UTF-8".to_owned()));
        }
        let mark = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let end = memchr::memchr(b'\n', &start).unwrap_or(start.len());
        let line = start.get(mark..end).unwrap_or_default();
        let Ok(line) = std::str::from_utf8(line) else {
            return Err(wrong("is no text in UTF-8".to_owned()));
        };
        let delimiter = if line.contains('\t') { '\t' } else { ',' };
        let header: Vec<&str> = line.split(delimiter).map(|name| name.trim().trim_matches('"')).collect();
        let mut places = Vec::with_capacity(table.columns.len());
        for column in table.columns {
            let mut found = (0..header.len()).filter(|at| header[*at].eq_ignore_ascii_case(column.name));
            let place = found.next();
            if place.is_none() && column.required {
                return Err(wrong(format!("has no column `{}`", column.name)));
            }
            if found.next().is_some() {
                return Err(wrong(format!("has two columns `{}`", column.name)));
            }
            places.push(place);
        }
        Ok(TableFile {
            path: path.to_owned(),
            table,
            delimiter: delimiter as u8,
            is_quoted: delimiter == ',' || line.contains('"'),
            places,
            width: header.len(),
            header: mark as u64,
            body: (end + 1).min(start.len()) as u64,
        })
    }

    /// Parses all rows and hands them over in batches, each to the worker whose thread parsed it.
    ///
    /// # Errors
    /// The file cannot be read, there are more bad lines than allowed, or a worker refuses.
    pub fn read<W: Send>(
        &self,
        mut workers: Vec<W>,
        bad: &BadLines,
        each: impl Fn(&mut W, &RecordBatch) -> Result<()> + Sync,
    ) -> Result<Vec<W>> {
        if self.is_quoted {
            if let Some(worker) = workers.first_mut() {
                self.read_quoted(bad, |batch| each(worker, batch))?;
            }
            return Ok(workers);
        }
        let (sender, blocks) = crossbeam_channel::bounded::<Block>(workers.len());
        let (used, free) = crossbeam_channel::unbounded::<Vec<u8>>();
        let each = &each;
        std::thread::scope(|scope| {
            let threads: Vec<_> = workers
                .into_iter()
                .map(|mut worker| {
                    let (blocks, used) = (blocks.clone(), used.clone());
                    scope.spawn(move || {
                        let mut rows = Rows::new(self.table, &self.places, self.width);
                        for block in blocks {
                            self.parse(&block, &mut rows, bad, &mut |batch| each(&mut worker, batch))?;
                            // Nobody takes it back when the file is at its end.
                            _ = used.send(block.bytes);
                        }
                        rows.flush(|batch| each(&mut worker, batch))?;
                        Ok::<W, Error>(worker)
                    })
                })
                .collect();
            drop(blocks);
            let read = self.send_blocks(sender, &free);
            let workers: Vec<Result<W>> =
                threads.into_iter().map(|thread| thread.join().unwrap_or(Err(Error::Worker))).collect();
            // What stopped a worker is the cause, and what the reader says then its consequence.
            let workers = workers.into_iter().collect::<Result<Vec<W>>>()?;
            read.map(|()| workers)
        })
    }

    /// Cuts the file behind line ends and sends the pieces, until it ends or nobody listens any more.
    fn send_blocks(
        &self,
        sender: crossbeam_channel::Sender<Block>,
        free: &crossbeam_channel::Receiver<Vec<u8>>,
    ) -> Result<()> {
        let failed = |source| Error::Read { path: self.path.clone(), source };
        let mut file = File::open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(self.body)).map_err(failed)?;
        let mut line = 2;
        let mut rest: Vec<u8> = Vec::new();
        loop {
            let mut bytes = free.try_recv().unwrap_or_default();
            bytes.clear();
            bytes.append(&mut rest);
            let wanted = (BLOCK_BYTES - bytes.len().min(BLOCK_BYTES / 2)) as u64;
            let count = (&mut file).take(wanted).read_to_end(&mut bytes).map_err(failed)?;
            if count > 0 {
                match memchr::memrchr(b'\n', &bytes) {
                    Some(last) => {
                        rest.extend_from_slice(&bytes[last + 1..]);
                        bytes.truncate(last + 1);
                    }
                    None if bytes.len() > LINE_BYTES => {
                        let problem = format!(
                            "file `{}`, line {line}: longer than {} MiB, expected lines of text",
                            self.path.display(),
                            LINE_BYTES >> 20
                        );
                        return Err(Error::Vocabulary(problem));
                    }
                    None => {
                        rest = bytes;
                        continue;
                    }
                }
            }
            let lines = memchr::memchr_iter(b'\n', &bytes).count() as u64;
            let is_last = count == 0;
            if !bytes.is_empty() && sender.send(Block { line, bytes }).is_err() || is_last {
                return Ok(());
            }
            line += lines;
        }
    }

    fn parse(
        &self,
        block: &Block,
        rows: &mut Rows,
        bad: &BadLines,
        each: &mut impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let is_text = std::str::from_utf8(&block.bytes).is_ok();
        let mut fields: Vec<&[u8]> = Vec::with_capacity(self.width);
        let (mut line, mut start) = (block.line, 0);
        let ends = memchr::memchr2_iter(self.delimiter, b'\n', &block.bytes);
        for at in ends.chain(std::iter::once(block.bytes.len())) {
            let field = &block.bytes[start..at];
            start = at + 1;
            if block.bytes.get(at) == Some(&self.delimiter) {
                fields.push(field);
                continue;
            }
            fields.push(field.strip_suffix(b"\r").unwrap_or(field));
            let is_blank = matches!(fields.as_slice(), [field] if field.is_empty());
            if !is_blank && let Err(wrong) = rows.push(&fields, is_text) {
                bad.add(self.bad_line(line, wrong))?;
            }
            fields.clear();
            line += 1;
            if rows.is_full() {
                rows.flush(&mut *each)?;
            }
        }
        Ok(())
    }

    fn read_quoted(&self, bad: &BadLines, mut each: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        let failed = |source| Error::Read { path: self.path.clone(), source };
        let mut file = File::open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(self.header)).map_err(failed)?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .flexible(true)
            .from_reader(BufReader::with_capacity(1 << 20, file));
        let mut rows = Rows::new(self.table, &self.places, self.width);
        let mut record = csv::ByteRecord::new();
        let broken = |error: csv::Error| match error.into_kind() {
            csv::ErrorKind::Io(source) => failed(source),
            kind => Error::Vocabulary(format!("file `{}`: {kind:?}", self.path.display())),
        };
        while reader.read_byte_record(&mut record).map_err(broken)? {
            let fields: Vec<&[u8]> = record.iter().collect();
            if let Err(wrong) = rows.push(&fields, false) {
                let line = record.position().map_or(0, csv::Position::line);
                bad.add(self.bad_line(line, wrong))?;
            }
            if rows.is_full() {
                rows.flush(&mut each)?;
            }
        }
        rows.flush(each)
    }

    fn bad_line(&self, line: u64, wrong: Wrong) -> BadLine {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        BadLine { file, line, column: wrong.column.map(str::to_owned), expected: wrong.expected.into_owned() }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{Date32Type, Int32Type};

    use super::*;

    const HEADER: &str =
        "concept_id_1\tconcept_id_2\trelationship_id\tvalid_start_date\tvalid_end_date\tinvalid_reason\n";

    /// Ids, kinds and days of the rows, by the first id; and what was bad.
    fn read(content: &[u8], threads: usize) -> (Vec<(i32, String, i32)>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, content).unwrap();
        let bad = BadLines::new(1_000);
        let file = TableFile::open(model::omop::table("concept_relationship").unwrap(), &path).unwrap();
        let workers = file
            .read(vec![Vec::new(); threads], &bad, |rows: &mut Vec<(i32, String, i32)>, batch| {
                let ids = batch.column(0).as_primitive::<Int32Type>();
                let kinds = batch.column(2).as_string::<i32>();
                let days = batch.column(3).as_primitive::<Date32Type>();
                rows.extend(
                    (0..batch.num_rows()).map(|at| (ids.value(at), kinds.value(at).to_owned(), days.value(at))),
                );
                Ok(())
            })
            .unwrap();
        let mut rows: Vec<_> = workers.into_iter().flatten().collect();
        rows.sort();
        (rows, bad.finish().1.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_form_of_a_file_has_the_same_rows() {
        let plain = format!("{HEADER}1\t2\tMaps to\t19700102\t20991231\t\n2\t3\tIs a\t1970-01-03\t2099-12-31\tD\n");
        let expected = vec![(1, "Maps to".to_owned(), 1), (2, "Is a".to_owned(), 2)];
        let mixed = "invalid_reason\tVALID_END_DATE\tvalid_start_date\textra\trelationship_id\tconcept_id_2\tconcept_id_1\n\
                     \t20991231\t19700102\tx\tMaps to\t2\t1\nD\t20991231\t19700103\tx\tIs a\t3\t2\n";
        for form in [
            plain.clone(),
            plain.trim_end().to_owned(),
            format!("\u{feff}{}", plain.replace('\n', "\r\n")),
            plain.replace('\t', ","),
            plain.replace("Maps to", "\"Maps to\"").replace('\t', ",").replace("concept_id_1", "\"concept_id_1\""),
            plain.replace("concept_id_1", "\"concept_id_1\"").replace("Maps to", "\"Maps to\""),
            format!("{plain}\n\r\n"),
            mixed.to_owned(),
        ] {
            for threads in [1, 3] {
                assert_eq!(read(form.as_bytes(), threads), (expected.clone(), Vec::new()), "{form}");
            }
        }
    }

    #[test]
    fn a_file_of_many_blocks_loses_no_row_and_counts_its_lines() {
        let mut content = HEADER.to_owned();
        for id in 0..300_000 {
            content += &format!("{id}\t1\tMaps to \"x\"\t19700101\t20991231\t\n");
        }
        content += "x\t1\tIs a\t19700101\t20991231\t\n";
        assert!(content.len() > 2 * BLOCK_BYTES);
        let (rows, bad) = read(content.as_bytes(), 2);
        assert_eq!(rows.len(), 300_000);
        assert!(rows.iter().enumerate().all(|(at, row)| row.0 == at as i32 && row.1 == "Maps to \"x\""));
        assert_eq!(bad, ["file `x.csv`, line 300002, column `concept_id_1`: expected a whole number, found `x`"]);
    }

    #[test]
    fn bad_lines_are_named_and_the_others_go_on() {
        let mut content = HEADER.as_bytes().to_vec();
        for line in [
            &b"1\t2\tIs a\t19700101\t20991231\t\n"[..],
            b"2\t2\tIs a\t19700101\n",
            b"3\t2\tIs a\t19701301\t20991231\t\n",
            b"4\t\tIs a\t19700101\t20991231\t\n",
            b"5\t2\tIs \xff\t19700101\t20991231\t\n",
            b"99999999999\t2\tIs a\t19700101\t20991231\t\n",
            b"6\t2\tIs a\t1970-1-1\t20991231\t\n",
            b"7\t2\tIs a\t19700101\t20991231\t\t\n",
            b"8\t2\tIs \xc3\xa9\t19700101\t20991231\t\n",
        ] {
            content.extend_from_slice(line);
        }
        let (rows, bad) = read(&content, 2);
        assert_eq!(rows, [(1, "Is a".into(), 0), (8, "Is é".into(), 0)]);
        let date = "expected a date such as 19700101 or 1970-01-01";
        assert_eq!(
            bad,
            [
                "file `x.csv`, line 3: expected 6 columns, found 4".to_owned(),
                format!("file `x.csv`, line 4, column `valid_start_date`: {date}, found `19701301`"),
                "file `x.csv`, line 5, column `concept_id_2`: expected a value".to_owned(),
                "file `x.csv`, line 6, column `relationship_id`: expected valid UTF-8".to_owned(),
                "file `x.csv`, line 7, column `concept_id_1`: expected a whole number of 32 bits, found `99999999999`"
                    .to_owned(),
                format!("file `x.csv`, line 8, column `valid_start_date`: {date}, found `1970-1-1`"),
                "file `x.csv`, line 9: expected 6 columns, found 7".to_owned(),
            ]
        );
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        let open = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            let table = model::omop::table("concept_relationship").unwrap();
            TableFile::open(table, &path).map(|_| ()).unwrap_err().to_string().replace(&path.display().to_string(), "X")
        };
        assert_eq!(open(b""), "vocabulary: file `X` has no column `concept_id_1`");
        assert_eq!(open(b"\xff\xfec\0"), "vocabulary: file `X` is UTF-16, expected UTF-8");
        assert_eq!(open(b"PK\x03\x04\xff\xff\n"), "vocabulary: file `X` is no text in UTF-8");
        let twice = HEADER.replace("invalid_reason", "concept_id_1");
        assert_eq!(open(twice.as_bytes()), "vocabulary: file `X` has two columns `concept_id_1`");
    }

    #[test]
    fn a_file_without_line_ends_is_an_error_and_too_many_bad_lines_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        let table = model::omop::table("concept_relationship").unwrap();
        let failure = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            let file = TableFile::open(table, &path).unwrap();
            let read = file.read(vec![(); 2], &BadLines::new(2), |(), _| Ok(()));
            read.unwrap_err().to_string().replace(&path.display().to_string(), "X")
        };
        let endless = [HEADER.as_bytes(), &vec![b'x'; LINE_BYTES + (1 << 20)]].concat();
        assert_eq!(failure(&endless), "vocabulary: file `X`, line 2: longer than 16 MiB, expected lines of text");
        let message = failure(format!("{HEADER}a\nb\nc\n").as_bytes());
        assert_eq!(
            message,
            "vocabulary: file `x.csv`, line 2: expected 6 columns, found 1\nhint: 3 lines cannot be read, and 2 are \
             allowed; `--max-bad-lines` allows more"
        );
    }
}
