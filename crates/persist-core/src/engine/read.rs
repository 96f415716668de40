//! Reads: from memory by id and key, from DuckDB by SQL, and what is known of the store.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use super::Stats;
use super::shared::{Engine, Shared};
use crate::duck::{Database, DatabaseFile, Leaf, Rows};
use crate::error::{ErrorKind, Result};
use crate::model::Model;
use crate::record::Record;
use crate::wal::{Ancestor, RecoveryReport};

/// What [`Engine::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Verification {
    /// Records in memory that were compared.
    pub records: u64,
    /// Rows in DuckDB, of both tables, newest of each id.
    pub rows: u64,
    /// Ids that the main table holds more than once.
    pub duplicates: u64,
    /// Keys of records that DuckDB lacks, at most 100.
    pub missing: Vec<String>,
    /// Keys of records that differ between memory and DuckDB, or that only DuckDB has, at most 100.
    pub differing: Vec<String>,
}

impl Verification {
    /// Whether memory and DuckDB agree, with one row for each id.
    pub fn is_ok(&self) -> bool {
        self.duplicates == 0 && self.missing.is_empty() && self.differing.is_empty()
    }
}

impl<M: Model> Engine<M> {
    /// The record of this key and these fields of its part; from memory.
    pub fn get(&self, key: &str, fields: &[Option<&str>]) -> Option<Arc<Record<M>>> {
        self.shared.cache.get(key, fields)
    }

    /// All records of a key, in no particular order; from memory.
    pub fn get_key(&self, key: &str) -> Vec<Arc<Record<M>>> {
        self.shared.cache.get_key(key, |_| true)
    }

    /// The records of a key whose part `is_wanted`, in no particular order; from memory. All of the key that are in memory
    /// are looked at; `is_wanted` is called under a lock, and asks nothing of the store.
    pub fn get_key_where(&self, key: &str, is_wanted: impl Fn(&M::Part) -> bool) -> Vec<Arc<Record<M>>> {
        self.shared.cache.get_key(key, is_wanted)
    }

    /// Whether there is a record of this key and these fields of its part; from memory.
    pub fn contains(&self, key: &str, fields: &[Option<&str>]) -> bool {
        self.get(key, fields).is_some()
    }

    /// The records whose key begins with `prefix`, all for an empty one, in no particular order; from memory.
    ///
    /// Every record is looked at, whatever the prefix: about a second for ten million. No lock is held while the caller
    /// has a record. One that is there throughout is given once; one that is written or removed meanwhile, in its old
    /// form, its new form, or not at all. So of a batch that is written meanwhile some may be given.
    pub fn records(&self, prefix: &str) -> impl Iterator<Item = Arc<Record<M>>> {
        self.shared.cache.records(prefix)
    }

    /// The keys that begin with `prefix`, all for an empty one, each once, in no particular order; from memory. As
    /// [`Engine::records`].
    pub fn keys(&self, prefix: &str) -> impl Iterator<Item = String> {
        self.shared.cache.keys(prefix)
    }

    /// Flushes what was written before this call, then runs one SELECT over the model's table.
    ///
    /// After a failed write or sync it shows everything but the records in doubt.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input) for anything but one SELECT; [`Database`](crate::ErrorKind::Database).
    pub fn query(&self, sql: &str) -> Result<Rows> {
        self.on_database(|database| database.query(sql))
    }

    /// As [`Engine::query`], as Arrow record batches.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub fn query_arrow(&self, sql: &str) -> Result<Vec<arrow::array::RecordBatch>> {
        self.on_database(|database| database.query_arrow(sql))
    }

    /// Flushes what was written before this call, then writes the table as Parquet files below `dir`, one for each
    /// value of the column `by`, which the files leave out. `dir` is empty or not there. Nothing is synced.
    ///
    /// The files show one moment, whatever is written meanwhile. None is written for an empty table.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database): there may be files then, whole or not.
    pub fn export(&self, by: &str, dir: &std::path::Path) -> Result<Vec<Leaf>> {
        self.on_database(|database| database.export(by, dir))
    }

    pub(super) fn on_database<T>(&self, read: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        let last = self.shared.log.last_seq();
        let database = self.shared.protocol().flushed_into(|| match self.flush_to(last) {
            // Reads go on: what is in doubt is not in DuckDB, all else is.
            Err(error) if error.kind() == ErrorKind::Poisoned => Ok(()),
            flushed => flushed,
        })?;
        let done = read(&database);
        if let Err(error) = &done {
            self.shared.report_invalid(error);
        }
        done
    }

    /// Flushes, then compares memory with DuckDB, record by record. Records written meanwhile are left out.
    ///
    /// # Errors
    /// As [`Engine::flush`].
    pub fn verify(&self) -> Result<Verification> {
        let until = self.shared.log.last_seq();
        let database = self.shared.protocol().flushed_into(|| self.flush_to(until))?;
        let mut found = Verification { duplicates: database.count_duplicates()?, ..Verification::default() };
        let mut unseen = newest_rows(&database)?;
        found.rows = unseen.len() as u64;
        for record in self.shared.cache.records("") {
            let id = (record.key().into(), fields_of(&record));
            let row = unseen.remove(&id);
            if record.seq > until {
                continue;
            }
            found.records += 1;
            match row {
                None => note(&mut found.missing, record.key()),
                Some((version, data)) if version == record.version && *data == *record.data => {}
                Some(_) => note(&mut found.differing, record.key()),
            }
        }
        // What nobody has asked for yet is in DuckDB alone.
        if self.shared.in_memory.is_everything() {
            unseen.keys().for_each(|(key, _)| note(&mut found.differing, key));
        }
        Ok(found)
    }

    /// Reads one of the files of the database whole, and answers what is wrong with it; nothing, if it is sound.
    ///
    /// In a model that keeps all writes: in the history each write stands once, and the versions of an item count from 1
    /// without a gap; the newest records are those of the history.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database) where it can't be asked.
    pub fn check_health(&self, file: DatabaseFile) -> Result<Vec<String>> {
        self.shared.database.get()?.check_health(file)
    }

    /// The store's figures.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// What recovery found when the store was opened.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.report
    }

    /// The stores whose writes count as its own, itself last.
    pub fn lineage(&self) -> &[Ancestor] {
        &self.shared.identity.lineage
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.shared.cache.count().records
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<M: Model> Shared<M> {
    pub(super) fn stats(&self) -> Stats {
        let figures = self.figures.lock().clone();
        let waiting = self.pending.waiting();
        let count = self.cache.count();
        let log = self.log.stats();
        let age = waiting.oldest.map(|oldest| self.options.clock.unix_micros().saturating_sub(oldest));
        Stats {
            cache_size: count.records,
            removed_ids: count.removals,
            pending_writes: waiting.records,
            current_wal_size: log.segment_bytes,
            current_wal_count: log.segment_lines,
            wal_files_count: log.segments,
            wal_sequence: log.segment,
            modified_records: waiting.records as u64 + figures.delta_rows,
            unflushed_bytes: waiting.bytes,
            unflushed_age: age.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))),
            last_flush: figures.last_flush,
            last_flush_error: figures.last_flush_error,
            last_maintenance_error: figures.last_maintenance_error,
            last_seq: log.last_seq,
            durable_seq: log.durable_seq,
            watermark: figures.watermark,
            checkpointed_seq: figures.checkpointed,
            kept_segments: log.kept_segments,
            kept_bytes: log.kept_bytes,
            newest_backup_seq: figures.newest_backup,
            base_rows: figures.base_rows,
            delta_rows: figures.delta_rows,
            flushed_rows: figures.flushed_rows,
            merged_rows: figures.merged_rows,
            rewritten_rows: figures.rewritten_rows,
            writes: log.lines,
            syncs: log.syncs,
            refuses_writes: self.log.refusal().map(|error| error.to_string()),
        }
    }
}

type Id = (Box<str>, Vec<Option<String>>);

fn fields_of<M: Model>(record: &Record<M>) -> Vec<Option<String>> {
    (0..M::PART_FIELDS.len()).map(|at| M::part_text(&record.part, at).map(str::to_owned)).collect()
}

/// The version and data of each id, from both tables.
fn newest_rows(database: &Database) -> Result<HashMap<Id, (u32, Box<str>)>> {
    let mut rows = HashMap::new();
    database.load(&mut |row| {
        let fields = row.part.iter().map(|field| field.map(str::to_owned)).collect();
        let id = (row.key.into(), fields);
        if row.data.is_empty() {
            rows.remove(&id);
        } else {
            rows.insert(id, (row.version, row.data.into()));
        }
        Ok(())
    })?;
    Ok(rows)
}

fn note(keys: &mut Vec<String>, key: &str) {
    if keys.len() < 100 {
        keys.push(key.to_owned());
    }
}
