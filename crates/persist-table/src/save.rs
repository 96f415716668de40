//! Writing what changed in a table into its file of records.
//!
//! Kept true: the file never has what the log does not have durably. Rows that were only added are appended, and count when
//! `{table}.meta.json` says how long the file is; before that a crash leaves a tail that loading cuts. Where rows in the
//! file were changed, all rows are written aside, durably; then `meta.json` announces the new file; then it takes the place
//! of the old one; then `meta.json` says that it has. A crash in between is finished by loading.

use std::io::{self, Write};
use std::path::Path;

use crc32fast::Hasher;
use flate2::Compression;
use flate2::write::GzEncoder;
use persist_core::fs::{Access, File, Fs, aside, is_there, put_in_place, remove_if_there, sync_dir_of, write_all_at};
use persist_core::planted::planted;
use persist_core::wal::Reach;
use persist_core::{Error, ErrorKind, Result};

use crate::meta::{Content, Meta, Saved, crc_text};
use crate::paths::{is_compressed, records_of};
use crate::row::{self, Row};
use crate::schema::Layout;
use crate::shared::{Shared, Storage};
use crate::slot::Table;

const BUFFER_BYTES: usize = 256 * 1024;

/// What of a table is to be saved, as it was at one moment.
struct Snapshot {
    layout: std::sync::Arc<Layout>,
    rows: Vec<Row>,
    /// Whether these are all rows, or those that the file lacks.
    is_all: bool,
    before: Content,
    applied_seq: u64,
    next_key: i64,
}

/// Saves a table, if it has changed, or in any case as one piece. The caller sees to it that nobody else does.
pub(crate) fn save(shared: &Shared, storage: &Storage, table: &Table, in_any_case: bool) -> Result<()> {
    let Some(snapshot) = snapshot(shared, table, in_any_case)? else { return Ok(()) };
    let saved_at = shared.now().to_string();
    let reach = if planted("save-before-log") { Reach::Written } else { Reach::Durable };
    let (done, is_settled) = match storage.log.wait(snapshot.applied_seq, reach) {
        Ok(()) if snapshot.is_all => rewrite(shared, storage, &snapshot, saved_at),
        Ok(()) => (append(storage, &snapshot, saved_at), true),
        Err(error) => (Err(error), true),
    };
    let mut slot = table.write();
    let Some(saved) = &mut slot.saved else { return done.map(drop) };
    match done {
        Ok(content) => {
            (saved.content, saved.rewrite) = (content, false);
            Ok(())
        }
        Err(error) => {
            saved.rewrite = true;
            if !is_settled {
                saved.broken = Some(error.to_string());
            }
            if let Some(state) = &mut slot.state {
                state.dirty = true;
            }
            Err(error)
        }
    }
}

/// Takes what is to be saved; from here on changes count for the next save.
fn snapshot(shared: &Shared, table: &Table, in_any_case: bool) -> Result<Option<Snapshot>> {
    let mut slot = table.write();
    if in_any_case {
        slot.load(shared)?;
    }
    let slot = &mut *slot;
    let (Some(state), Some(saved)) = (&mut slot.state, &slot.saved) else { return Ok(None) };
    if slot.is_dropped || !(state.dirty || in_any_case) {
        return Ok(None);
    }
    if let Some(broken) = &saved.broken {
        let message = format!("an earlier save of table {} failed ({broken}); open again", slot.layout.table());
        return Err(Error::new(ErrorKind::Poisoned, message));
    }
    let is_other_form = is_compressed(&saved.content.file) != shared.config.compress_data;
    let is_all = in_any_case || state.rewrite || saved.rewrite || is_other_form;
    let from = if is_all { 0 } else { state.saved_rows };
    let rows = state.rows.range(from..).map(|(_, row)| row.clone()).collect();
    state.saved_rows = state.next_row();
    (state.rewrite, state.dirty) = (false, false);
    Ok(Some(Snapshot {
        layout: slot.layout.clone(),
        rows,
        is_all,
        before: saved.content.clone(),
        applied_seq: state.last_seq,
        next_key: state.next_key,
    }))
}

/// Appends rows to the file, and says so.
fn append(storage: &Storage, snapshot: &Snapshot, saved_at: String) -> Result<Content> {
    let fs = storage.fs.as_ref();
    let Snapshot { before, layout, rows, applied_seq, next_key, .. } = snapshot;
    let mut content = Content { applied_seq: *applied_seq, next_key: *next_key, ..before.clone() };
    if !rows.is_empty() {
        let path = storage.paths.records(&before.file);
        let is_new = !is_there(fs, &path)?;
        let access = if is_new { Access::CreateNew } else { Access::Write };
        let file = fs.open(&path, access).map_err(|error| Error::io("cannot open", &path, error))?;
        let written = write_rows(file.as_ref(), before, layout, rows);
        let (length, crc) = written.map_err(|error| Error::io("cannot write", &path, error))?;
        if !planted("records-unsynced") {
            file.sync_data().map_err(|error| Error::io("cannot sync", &path, error))?;
        }
        if is_new {
            sync_dir_of(fs, &path)?;
        }
        (content.length, content.crc) = (length, crc);
        content.records += rows.len() as u64;
    }
    Meta::new(content.clone(), saved_at).write(fs, &storage.paths.meta_of(layout.table()))?;
    Ok(content)
}

/// Writes all rows into a file that takes the place of the present one. Answers besides whether it is known, of an error,
/// which of the two is in place.
fn rewrite(shared: &Shared, storage: &Storage, snapshot: &Snapshot, saved_at: String) -> (Result<Content>, bool) {
    let fs = storage.fs.as_ref();
    let Snapshot { before, layout, rows, .. } = snapshot;
    let file = records_of(layout.table(), shared.config.compress_data);
    let path = storage.paths.records(&file);
    let content = match write_aside(fs, &path, file, snapshot) {
        Ok(content) => content,
        Err(error) => return (Err(error), true),
    };
    debug_assert_eq!(content.records, rows.len() as u64);
    let meta_path = storage.paths.meta_of(layout.table());
    let mut meta = Meta::new(before.clone(), saved_at);
    meta.next = Some(content.clone());
    let exchange = || {
        if !planted("rewrite-unannounced") {
            meta.write(fs, &meta_path)?;
        }
        put_in_place(fs, &path)?;
        (meta.content, meta.next) = (content.clone(), None);
        meta.write(fs, &meta_path)?;
        if before.file != content.file {
            remove_if_there(fs, &storage.paths.records(&before.file))?;
        }
        Ok(content)
    };
    let done = exchange();
    (done, false)
}

/// Writes all rows aside, durably with the name.
fn write_aside(fs: &dyn Fs, path: &Path, file: String, snapshot: &Snapshot) -> Result<Content> {
    let aside = aside(path);
    remove_if_there(fs, &aside)?;
    let mut content = Content { next_key: snapshot.next_key, ..Content::empty(file, snapshot.applied_seq) };
    let open = fs.open(&aside, Access::CreateNew);
    let output = open.map_err(|error| Error::io("cannot create", &aside, error))?;
    let write = || {
        let written = write_rows(output.as_ref(), &content, &snapshot.layout, &snapshot.rows);
        let (length, crc) = written.map_err(|error| Error::io("cannot write", &aside, error))?;
        output.sync_all().map_err(|error| Error::io("cannot sync", &aside, error))?;
        sync_dir_of(fs, &aside)?;
        Ok((length, crc))
    };
    // Half a file is of use to nobody, and others may need the space. If it stays, the next save removes it.
    (content.length, content.crc) = write().inspect_err(|_| drop(fs.remove_file(&aside)))?;
    content.records = snapshot.rows.len() as u64;
    Ok(content)
}

/// Writes rows behind what the file holds, and answers its length and checksum then.
fn write_rows(file: &dyn File, before: &Content, layout: &Layout, rows: &[Row]) -> io::Result<(u64, String)> {
    let crc = u32::from_str_radix(&before.crc, 16).map_err(io::Error::other)?;
    let checksum = Hasher::new_with_initial_len(crc, before.length);
    let output = Output { file, offset: before.length, checksum };
    if rows.is_empty() {
        return Ok(output.end());
    }
    if is_compressed(&before.file) {
        let mut encoder = GzEncoder::new(Buffered::new(output), Compression::fast());
        write_lines(&mut encoder, layout, rows)?;
        return Ok(encoder.finish()?.finish()?.end());
    }
    let mut output = Buffered::new(output);
    write_lines(&mut output, layout, rows)?;
    Ok(output.finish()?.end())
}

fn write_lines(output: &mut impl Write, layout: &Layout, rows: &[Row]) -> io::Result<()> {
    let mut line = String::new();
    for row in rows {
        line.clear();
        row::write(layout, row, &mut line);
        line.push('\n');
        output.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// A file that is written from some place on.
struct Output<'a> {
    file: &'a dyn File,
    offset: u64,
    checksum: Hasher,
}

impl Output<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_all_at(self.file, self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        self.checksum.update(bytes);
        Ok(())
    }

    fn end(self) -> (u64, String) {
        (self.offset, crc_text(self.checksum.finalize()))
    }
}

/// Gathers what is written into larger pieces.
struct Buffered<'a> {
    output: Output<'a>,
    bytes: Vec<u8>,
}

impl<'a> Buffered<'a> {
    fn new(output: Output<'a>) -> Self {
        Self { output, bytes: Vec::with_capacity(BUFFER_BYTES) }
    }

    fn finish(mut self) -> io::Result<Output<'a>> {
        self.flush()?;
        Ok(self.output)
    }
}

impl Write for Buffered<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.put(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}

/// What a table has whose file nobody has written yet.
pub(crate) fn new_table(storage: &Storage, table: &str, compressed: bool, at: String) -> Result<Saved> {
    let content = Content::empty(records_of(table, compressed), storage.log.last_seq());
    let path = storage.paths.meta_of(table);
    Meta::new(content.clone(), at).write(storage.fs.as_ref(), &path)?;
    Ok(Saved { content, rewrite: false, broken: None })
}
