//! RocksDB.

use std::path::Path;

use rocksdb::{BlockBasedOptions, Cache, DB, Options, WriteBatch, WriteOptions};

use super::{CACHE_BYTES, Kind, Peer, Session, earlier};
use crate::Result;
use crate::name::Name;

pub(super) const KIND: Kind = Kind {
    name: Name::store("rocksdb"),
    how: "WriteOptions.sync (without it for the writes that only the system has), recycle_log_file_num, 512 MiB of block \
          cache, bloom filters of 10 bits a key; read after a full compaction",
    open,
};

struct Rocksdb {
    database: DB,
    durable: bool,
}

fn open(dir: &Path, durable: bool) -> Result<Box<dyn Peer>> {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES as usize));
    table.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_recycle_log_file_num(4);
    options.set_block_based_table_factory(&table);
    Ok(Box::new(Rocksdb { database: DB::open(&options, dir)?, durable }))
}

impl Peer for Rocksdb {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        let mut options = WriteOptions::default();
        options.set_sync(self.durable);
        Ok(Box::new(Writer { database: &self.database, options }))
    }

    /// The second log is the file of the first once more.
    fn warm_up(&self) -> Result<()> {
        for _ in 0..2 {
            self.session()?.put_all(&earlier(40_000))?;
            self.database.flush()?;
        }
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        self.database.flush()?;
        self.database.compact_range(None::<&[u8]>, None::<&[u8]>);
        Ok(())
    }
}

struct Writer<'a> {
    database: &'a DB,
    options: WriteOptions,
}

impl Session for Writer<'_> {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<()> {
        Ok(self.database.put_opt(key, value, &self.options)?)
    }

    fn put_all(&mut self, records: &[(String, Vec<u8>)]) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (key, value) in records {
            batch.put(key, value);
        }
        Ok(self.database.write_opt(batch, &self.options)?)
    }

    fn get(&mut self, key: &str) -> Result<Option<usize>> {
        Ok(self.database.get_pinned(key)?.map(|value| value.len()))
    }
}
