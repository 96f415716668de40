//! What each figure may be at most: what it was when the bound was last set.
//!
//! A change that makes a figure worse fails, and says which. One that makes a figure better lowers its bound here.

/// A figure and the most that it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    name: &'static str,
    most: f64,
}

const fn at_most(most: f64, name: &'static str) -> Bound {
    Bound { name, most }
}

impl Bound {
    /// Holds a figure against the bound.
    #[track_caller]
    pub(crate) fn holds(self, figure: f64) {
        let Self { name, most } = self;
        println!("{figure:>10.3} of {most:>10.3}  {name}");
        assert!(figure <= most, "{name}: {figure}, and at most {most} is allowed");
    }
}

// ALLOCATIONS of the thread that writes, each reallocation counted as one. Two are what stays: the record in its `Arc`, and
// its data. A queue that grows is left out of these by taking the median; a table grows by a quarter, so often that a fresh id
// may pay for it there too.
pub(crate) const DATED_FRESH: Bound = at_most(10.0, "allocations per write, dated, fresh id");
pub(crate) const DATED_AGAIN: Bound = at_most(8.0, "allocations per write, dated, id written before");
pub(crate) const DATED_SYNC: Bound = at_most(9.0, "allocations per write, dated, durable");
// The name of the process.
pub(crate) const DATED_PROCESS: Bound = at_most(10.0, "allocations per write, dated, of a process");
pub(crate) const KV_FRESH: Bound = at_most(5.0, "allocations per write, kv, fresh id");
pub(crate) const KV_AGAIN: Bound = at_most(4.0, "allocations per write, kv, id written before");
// The names of collection and item.
pub(crate) const COLLECTION_FRESH: Bound = at_most(11.0, "allocations per write, collection, fresh item");
pub(crate) const COLLECTION_AGAIN: Bound = at_most(10.0, "allocations per write, collection, item written before");
// Here what grows is counted too: it is the same every time, but for a shard of memory that happens to grow.
pub(crate) const BATCH_FRESH: Bound = at_most(9.3, "allocations per record of a batch of 100, fresh ids");
pub(crate) const BATCH_AGAIN: Bound = at_most(8.25, "allocations per record of a batch of 100, ids written before");
// A thousand while a group is written: the memory of groups is kept.
pub(crate) const TICKET: Bound = at_most(8.02, "allocations per ticket, 1,000 under way");
pub(crate) const WRITE_BYTES: Bound = at_most(1_880.0, "bytes allocated per write, dated");
pub(crate) const KEPT_BYTES: Bound =
    at_most(408.0, "bytes that a record keeps, in memory and queue, its key and data of 294 among them");

// A read hands out what memory has.
pub(crate) const GET: Bound = at_most(0.0, "allocations per get by id, dated, kv");
pub(crate) const GET_ITEM: Bound = at_most(0.0, "allocations per get of an item, collection");
// Of one record: the list of what was found, and the map that is handed out, twice.
pub(crate) const GET_KEY: Bound = at_most(3.0, "allocations per get by key, dated");

// GROUP COMMIT. While one sync or write runs, all others come, and the next serves them together: 2 for n.
pub(crate) const SYNCS_64: Bound = at_most(2.0 / 64.0, "syncs per durable write, 64 threads at once");
pub(crate) const WRITES_64: Bound = at_most(2.0 / 64.0, "write(2) per durable write, 64 threads at once");
pub(crate) const OS_WRITES_8: Bound = at_most(2.0 / 8.0, "write(2) per `Os` write, 8 threads at once");
// Threads that come as they like, on a disk whose sync takes 5 ms. It depends on how the system schedules them; without
// group commit it is 1.
pub(crate) const SYNCS_64_FREE: Bound = at_most(0.1, "syncs per durable write, 64 threads as they come");
pub(crate) const OS_WRITES_1: Bound = at_most(1.0, "write(2) per `Os` write, 1 thread, but for laying out");
pub(crate) const DURABLE_WRITES_1: Bound = at_most(1.0, "write(2) per durable write, 1 thread, but for laying out");
pub(crate) const SYNCS_1: Bound = at_most(1.0, "syncs per durable write, 1 thread, but for laying out");
// The syncer gathers them; it may begin before the last has come.
pub(crate) const SYNCS_TICKETS: Bound = at_most(0.003, "syncs per ticket, 1,000 under way");

pub(crate) const BATCH_WRITES: Bound = at_most(1.0, "write(2) per batch of 100");

// THE LOG'S BYTES AND FILES. A line repeats user name and timestamp of the data, for who reads the log with other tools.
// How far the log is synced is in it too, in as many digits as it has.
pub(crate) const LINE_BYTES: Bound = at_most(192.0, "bytes of a line beside key and data, dated");
pub(crate) const BATCH_LINE_BYTES: Bound = at_most(193.0, "bytes of a line of a batch beside key and data, dated");
// What will be needed next is laid out by then.
pub(crate) const DISK_BYTES: Bound = at_most(3.168, "bytes given to the file system per byte of line");
pub(crate) const LOG_FILES: Bound = at_most(1.0, "files of the log made per 10,000 writes");
// A mebibyte at a time, and every 2 MiB of lines, by a thread that no writer waits for.
pub(crate) const LOG_SYNCS: Bound = at_most(14.0, "syncs to lay out the log per 10,000 writes");
// The folder is synced for the name of the segment.
pub(crate) const OTHER_FILES: Bound = at_most(1.0, "operations on other files per 10,000 writes without a flush");
// `status.json`, what the checkpoint will write over, and `store.json`, which says before the segment goes how far the
// checkpoint went.
pub(crate) const FLUSH_OPENS: Bound = at_most(3.0, "files opened per flush and checkpoint");
// One of the log by the flush, and one to close the segment beside it; whichever comes first may serve both. Two of
// `store.json` and its folder.
pub(crate) const FLUSH_SYNCS: Bound = at_most(8.0, "syncs per flush and checkpoint, besides DuckDB's");
pub(crate) const FLUSH_WRITES: Bound = at_most(3.0, "write(2) per flush and checkpoint, besides DuckDB's");
// `status.json`, and what the checkpoint will write over, which is copied aside before: a block of DuckDB's has 256 KiB.
pub(crate) const FLUSH_BYTES: Bound = at_most(276_000.0, "bytes written per flush and checkpoint, besides DuckDB's");
pub(crate) const FLUSH_NAMES: Bound = at_most(4.0, "files renamed and removed per flush and checkpoint");

// ROWS. What was written to DuckDB for each row that was stored.
pub(crate) const DATED_APPENDED: Bound = at_most(1.0, "rows appended per write, dated");
pub(crate) const DATED_MERGED: Bound = at_most(1.0, "rows merged per write, dated");
pub(crate) const DATED_REWRITTEN: Bound = at_most(0.0, "rows rewritten per write, dated");
// Of an id that is written often within a flush only the newest is.
pub(crate) const AGAIN_APPENDED: Bound = at_most(0.01, "rows appended per write, dated, the same 10 ids");
pub(crate) const COLLECTION_APPENDED: Bound = at_most(1.0, "rows appended per write, collection");
pub(crate) const COLLECTION_MERGED: Bound = at_most(1.0, "rows merged per write, collection");
pub(crate) const COLLECTION_REWRITTEN: Bound = at_most(0.5, "rows rewritten per write, collection, two merges");

// AN IDLE STORE.
pub(crate) const IDLE_FILES: Bound = at_most(0.0, "operations on files of an idle store in 2 s");
pub(crate) const IDLE_WAKES: Bound = at_most(0.0, "times that a thread of an idle store woke up in 2 s");
pub(crate) const INTERVAL_SYNCS: Bound = at_most(1.0, "syncs after a write of `Interval` durability, in 2 s");
