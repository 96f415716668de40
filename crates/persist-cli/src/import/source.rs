//! The rows of a CSV or JSON Lines file, read in chunks: a file may be larger than the memory.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use persist_core::fs::{Access, Disk, Fs, read_range};
use persist_core::{Number, Value};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

/// No row is longer. A quotation mark that nobody closes would make one row of the rest of the file.
const ROW_BYTES: u64 = 64 * 1024 * 1024;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Fields between commas, the first line names the columns.
    Csv,
    /// The same with tabs.
    Tsv,
    /// A JSON object on each line.
    Jsonl,
}

/// Where a row begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Its offset in the file.
    pub(crate) byte: u64,
    /// Its line, from 1.
    pub(crate) line: u64,
}

/// A row: its columns, or why it has none.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) start: Place,
    /// The offset after it.
    pub(crate) end: u64,
    pub(crate) columns: Result<Vec<(String, Value)>, String>,
}

/// A file of rows.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    format: Format,
    bytes: u64,
    /// What a row may still read.
    left: Rc<Cell<u64>>,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Csv { reader: csv::Reader<Bounded>, columns: Vec<String>, is_text: bool },
    Jsonl { reader: BufReader<Bounded>, place: Place },
}

/// A file of which each row may only read so much.
#[derive(Debug)]
struct Bounded {
    file: File,
    left: Rc<Cell<u64>>,
}

impl Read for Bounded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.left.get()).unwrap_or(usize::MAX).min(buf.len());
        if left == 0 && !buf.is_empty() {
            return Err(io::Error::other(format!("a row is longer than {ROW_BYTES} bytes")));
        }
        let read = self.file.read(buf.get_mut(..left).unwrap_or_default())?;
        self.left.set(self.left.get() - read as u64);
        Ok(read)
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Source {
    /// Opens a file.
    pub(crate) fn open(path: &Path, format: Option<Format>, is_text: bool) -> Result<Self> {
        let format = format.map_or_else(|| format_of(path), Ok)?;
        let unread = |error| Failure::reading(path, error);
        let mut file = File::open(path).map_err(unread)?;
        let bytes = file.metadata().map_err(unread)?.len();
        let mut first = Vec::new();
        (&file).take(3).read_to_end(&mut first).map_err(unread)?;
        if first.starts_with(&[0x1f, 0x8b]) {
            let message = format!("{} is compressed: unpack it first, with `gunzip -k`", path.display());
            return Err(Failure::Unfit(message));
        }
        // A mark of the byte order is no part of the first row.
        let start = if first == [0xef, 0xbb, 0xbf] { 3 } else { 0 };
        file.seek(SeekFrom::Start(0)).map_err(unread)?;
        let left = Rc::new(Cell::new(ROW_BYTES));
        let file = Bounded { file, left: Rc::clone(&left) };
        let reader = match format {
            Format::Jsonl => {
                let mut reader = BufReader::new(file);
                reader.seek(SeekFrom::Start(start)).map_err(unread)?;
                Reader::Jsonl { reader, place: Place { byte: start, line: 1 } }
            }
            Format::Csv | Format::Tsv => {
                let delimiter = if format == Format::Tsv { b'\t' } else { b',' };
                let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(file);
                let columns = reader.headers().map_err(|error| unreadable(path, &error))?;
                let columns = columns.iter().map(str::to_owned).collect();
                Reader::Csv { reader, columns, is_text }
            }
        };
        Ok(Self { path: path.to_owned(), format, bytes, left, reader })
    }

    /// How it is written.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// How long it is.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The columns that every row has; `None` where each row names its own.
    pub(crate) fn columns(&self) -> Option<&[String]> {
        match &self.reader {
            Reader::Csv { columns, .. } => Some(columns),
            Reader::Jsonl { .. } => None,
        }
    }

    /// Where the next row begins.
    pub(crate) fn place(&self) -> Place {
        match &self.reader {
            Reader::Csv { reader, .. } => {
                let position = reader.position();
                Place { byte: position.byte(), line: position.line() }
            }
            Reader::Jsonl { place, .. } => *place,
        }
    }

    /// Goes on at a place where a row begins; the first is 0.
    pub(crate) fn go_to(&mut self, to: Place) -> Result<()> {
        if to.byte == 0 {
            return Ok(());
        }
        self.left.set(ROW_BYTES);
        let sought = match &mut self.reader {
            Reader::Csv { reader, .. } => {
                let mut position = csv::Position::new();
                position.set_byte(to.byte).set_line(to.line);
                reader.seek(position).map_err(io::Error::other)
            }
            Reader::Jsonl { reader, place } => {
                *place = to;
                reader.seek(SeekFrom::Start(to.byte)).map(drop)
            }
        };
        sought.map_err(|error| Failure::reading(&self.path, error))
    }

    /// The next rows: so many, or up to a place.
    pub(crate) fn chunk(&mut self, rows: usize, bytes: u64, end: Option<u64>) -> Result<Vec<Row>> {
        let (mut chunk, start) = (Vec::new(), self.place().byte);
        loop {
            let here = self.place().byte;
            let is_whole = match end {
                Some(end) => here >= end,
                None => chunk.len() >= rows || here.saturating_sub(start) >= bytes,
            };
            if is_whole {
                return Ok(chunk);
            }
            match self.row()? {
                Some(row) => chunk.push(row),
                None => return Ok(chunk),
            }
        }
    }

    fn row(&mut self) -> Result<Option<Row>> {
        self.left.set(ROW_BYTES);
        match &mut self.reader {
            Reader::Csv { reader, columns, is_text } => {
                let mut record = csv::ByteRecord::new();
                if !reader.read_byte_record(&mut record).map_err(|error| unreadable(&self.path, &error))? {
                    return Ok(None);
                }
                let start = record.position().map_or(Place { byte: 0, line: 0 }, |position| Place {
                    byte: position.byte(),
                    line: position.line(),
                });
                let columns = fields(&record, columns, *is_text);
                Ok(Some(Row { start, end: reader.position().byte(), columns }))
            }
            Reader::Jsonl { reader, place } => loop {
                let mut line = Vec::new();
                let read = reader.read_until(b'\n', &mut line).map_err(|error| Failure::reading(&self.path, error))?;
                if read == 0 {
                    return Ok(None);
                }
                let start = *place;
                *place = Place { byte: start.byte + read as u64, line: start.line + 1 };
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(Row { start, end: place.byte, columns: members(&line) }));
                }
            },
        }
    }

    /// The text from one offset to another.
    pub(crate) fn text(&self, from: u64, to: u64) -> Result<String> {
        let read =
            Disk.open(&self.path, Access::Read).and_then(|file| read_range(&*file, from, to.saturating_sub(from)));
        let bytes = read.map_err(|error| Failure::reading(&self.path, error))?;
        Ok(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Goes on with the checksum of what stands before an offset, from another on.
    pub(crate) fn checksum(&self, crc: &mut crc32fast::Hasher, from: u64, to: u64) -> Result<()> {
        let mut summed = || -> io::Result<()> {
            let file = Disk.open(&self.path, Access::Read)?;
            let mut at = from;
            while at < to {
                let piece = read_range(&*file, at, (to - at).min(1024 * 1024))?;
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                crc.update(&piece);
                at += piece.len() as u64;
            }
            Ok(())
        };
        summed().map_err(|error| Failure::reading(&self.path, error))
    }
}

fn format_of(path: &Path) -> Result<Format> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(Format::Csv),
        Some("tsv") => Ok(Format::Tsv),
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        _ => {
            Err(Failure::Usage(format!("the name of {} does not say how it is written: use --format", path.display())))
        }
    }
}

fn unreadable(path: &Path, error: &csv::Error) -> Failure {
    let line = error.position().map(|position| format!(" at line {}", position.line())).unwrap_or_default();
    Failure::Unfit(format!("cannot read {}{line}: {error}", path.display()))
}

/// The fields of a CSV row by their columns.
fn fields(record: &csv::ByteRecord, columns: &[String], is_text: bool) -> Result<Vec<(String, Value)>, String> {
    if record.len() != columns.len() {
        return Err(format!("it has {} fields, and the first line names {}", record.len(), columns.len()));
    }
    let fields = record.iter().zip(columns).map(|(field, column)| {
        let field = std::str::from_utf8(field).map_err(|error| format!("{column} is no UTF-8: {error}"))?;
        Ok((column.clone(), value(field, is_text)))
    });
    fields.collect()
}

/// What a field of a CSV row is; nothing where it is empty.
fn value(field: &str, is_text: bool) -> Value {
    match field {
        "" => Value::Null,
        _ if is_text => Value::Text(field.to_owned()),
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => field.parse::<Number>().map_or_else(|_| Value::Text(field.to_owned()), Value::Number),
    }
}

/// The members of a line's JSON object.
fn members(line: &[u8]) -> Result<Vec<(String, Value)>, String> {
    match serde_json::from_slice(line) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("it is no JSON object".to_owned()),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}
