//! Reading a table's file of records, line by line.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use crc32fast::Hasher;
use flate2::bufread::MultiGzDecoder;
use parking_lot::Mutex;
use persist_core::fs::{Access, File, Fs, aside, is_there, put_in_place};
use persist_core::planted::planted;
use persist_core::{Error, ErrorKind, Result};

use crate::meta::{Content, Meta, Saved, crc_text};
use crate::paths::{is_compressed, records_of};
use crate::row;
use crate::schema::Layout;
use crate::shared::Storage;
use crate::state::State;

const PIECE_BYTES: usize = 256 * 1024;

/// Loads the rows of a table.
///
/// # Errors
/// `Corrupt`, naming file and line.
pub(crate) fn load(storage: &Storage, layout: &Layout) -> Result<(State, Saved)> {
    let fs = storage.fs.as_ref();
    let meta_path = storage.paths.meta_of(layout.table());
    let meta = settled(storage, &meta_path)?;
    let plain = records_of(layout.table(), false);
    let compressed = records_of(layout.table(), true);
    let file = match &meta {
        Some(meta) => meta.content.file.clone(),
        None if !is_there(fs, &storage.paths.records(&plain))?
            && is_there(fs, &storage.paths.records(&compressed))? =>
        {
            compressed
        }
        None => plain,
    };
    let path = storage.paths.records(&file);
    let expected = meta.map(|meta| meta.content);
    let length = cut(fs, &path, expected.as_ref())?;
    let mut state = State::new(layout);
    let crc = if length > 0 { read_rows(fs, &path, length, layout, &mut state)? } else { crc_text(0) };
    if expected.as_ref().is_some_and(|expected| expected.crc != crc) {
        let message = format!(
            "{}: its first {length} bytes are not those that were saved. If they were changed on purpose, remove {} \
             and open again",
            path.display(),
            meta_path.display()
        );
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    let records = state.rows.len() as u64;
    let content = match expected {
        Some(expected) if expected.records != records => {
            let message = format!("{} has {records} records, and {} were saved", path.display(), expected.records);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Some(expected) => {
            state.next_key = state.next_key.max(expected.next_key);
            Saved { content: expected, rewrite: false, broken: None }
        }
        None => {
            let content = Content { length, crc, records, ..Content::empty(file, 0) };
            Saved { content, rewrite: true, broken: None }
        }
    };
    state.last_seq = content.content.applied_seq;
    state.saved_rows = state.next_row();
    (state.rewrite, state.dirty) = (false, false);
    Ok((state, content))
}

/// What is said of a table's file, once a file that was about to take its place has done so.
fn settled(storage: &Storage, path: &Path) -> Result<Option<Meta>> {
    let fs = storage.fs.as_ref();
    let Some(mut meta) = Meta::read(fs, path)? else { return Ok(None) };
    if let Some(next) = meta.next.take() {
        let file = storage.paths.records(&next.file);
        // It was durable aside before it was announced: where it no longer stands aside, it has been renamed.
        if is_there(fs, &aside(&file))? && !planted("rewrite-unfinished") {
            put_in_place(fs, &file)?;
        }
        meta.content = next;
        // Before another is written aside.
        meta.write(fs, path)?;
    }
    Ok(Some(meta))
}

/// Cuts off what was never finished, and answers how many bytes there are to read.
fn cut(fs: &dyn Fs, path: &Path, expected: Option<&Content>) -> Result<u64> {
    let wanted = expected.map_or(0, |expected| expected.length);
    if !is_there(fs, path)? {
        if wanted == 0 {
            return Ok(0);
        }
        let message = format!("{} is missing: {wanted} bytes were saved in it", path.display());
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    let access = if expected.is_some() { Access::Write } else { Access::Read };
    let file = fs.open(path, access).map_err(|error| Error::io("cannot open", path, error))?;
    let length = file.len().map_err(|error| Error::io("cannot look at", path, error))?;
    let Some(expected) = expected else { return Ok(length) };
    if length < expected.length {
        let message = format!("{} has {length} bytes, and {} were saved in it", path.display(), expected.length);
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    if length > expected.length && !planted("tail-uncut") {
        tracing::warn!(?path, bytes = length - expected.length, "cutting off what was never finished");
        file.set_len(expected.length).map_err(|error| Error::io("cannot cut", path, error))?;
        file.sync_all().map_err(|error| Error::io("cannot sync", path, error))?;
    }
    Ok(expected.length)
}

/// Reads the rows and answers the checksum of the bytes.
fn read_rows(fs: &dyn Fs, path: &Path, length: u64, layout: &Layout, state: &mut State) -> Result<String> {
    let file = fs.open(path, Access::Read).map_err(|error| Error::io("cannot open", path, error))?;
    let checksum = Arc::new(Mutex::new(Hasher::new()));
    let bytes = Bytes { file, offset: 0, end: length, checksum: Arc::clone(&checksum) };
    let bytes = BufReader::with_capacity(PIECE_BYTES, bytes);
    let is_compressed = path.file_name().and_then(|name| name.to_str()).is_some_and(is_compressed);
    if is_compressed {
        read_lines(BufReader::with_capacity(PIECE_BYTES, MultiGzDecoder::new(bytes)), path, layout, state)?;
    } else {
        read_lines(bytes, path, layout, state)?;
    }
    let checksum = checksum.lock().clone().finalize();
    Ok(crc_text(checksum))
}

fn read_lines(mut lines: impl BufRead, path: &Path, layout: &Layout, state: &mut State) -> Result<()> {
    let mut line = Vec::new();
    let mut number = 0_u64;
    let at = |number: u64, error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Corrupt, format!("{}, line {number}: {error}", path.display()))
    };
    loop {
        line.clear();
        number += 1;
        let read = lines.read_until(b'\n', &mut line).map_err(|error| at(number, &error).with_source(error))?;
        if read == 0 {
            return Ok(());
        }
        let text = std::str::from_utf8(&line).map_err(|error| at(number, &error))?.trim();
        // A file written by hand may have them.
        if text.is_empty() {
            continue;
        }
        let row = row::parse_whole(layout, text).map_err(|error| at(number, &error))?;
        state.check(layout, None, &row).map_err(|error| at(number, &error))?;
        state.push(layout, row);
    }
}

/// The first bytes of a file, which are counted into a checksum as they are read.
struct Bytes {
    file: Box<dyn File>,
    offset: u64,
    end: u64,
    checksum: Arc<Mutex<Hasher>>,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..left).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let read = self.file.read_at(self.offset, buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += read as u64;
        self.checksum.lock().update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
