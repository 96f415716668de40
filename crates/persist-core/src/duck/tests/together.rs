//! Flushes, merges, checkpoints, queries and loads at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

/// Lets the others end too when one ends, be it by a failed assertion.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn nothing_is_lost_or_doubled_while_all_go_on_at_once() {
    const BATCHES: u64 = 100;
    const ROWS: u64 = 200;
    const IDS: u64 = 5_000;
    let (dir, database, mut appender) = new_database();
    let done = AtomicBool::new(false);
    // Batch b writes the ids b*ROWS .. (b+1)*ROWS, modulo IDS: every id four times.
    let (merges, refused) = thread::scope(|scope| {
        scope.spawn(|| {
            let _ends = Ends(&done);
            for batch in 0..BATCHES {
                let first = batch * ROWS;
                let records: Vec<_> = (first..first + ROWS).map(|n| numbered(n % IDS, n + 1)).collect();
                appender.append(&records, first + ROWS, AT).unwrap();
            }
        });
        let merging = scope.spawn(|| {
            let _ends = Ends(&done);
            let mut merges = 0;
            while !done.load(Ordering::SeqCst) {
                database.merge().unwrap();
                merges += 1;
            }
            merges
        });
        let checkpointing = scope.spawn(|| {
            let _ends = Ends(&done);
            let mut refused = 0;
            while !done.load(Ordering::SeqCst) {
                refused += u64::from(!database.checkpoint(&Disk).unwrap());
            }
            refused
        });
        scope.spawn(|| {
            let _ends = Ends(&done);
            while !done.load(Ordering::SeqCst) {
                // One moment's state: whole batches, the newest row of every id.
                let sql = "SELECT count(*) AS n, count(DISTINCT key) AS ids, coalesce(max(version), 0) AS top, \
                           (SELECT max(watermark) FROM persist_meta) AS mark FROM storage";
                let rows = database.query(sql).unwrap();
                let get = |name| rows.get(0, name).unwrap().as_u64().unwrap();
                let mark = get("mark");
                assert_eq!((get("n"), get("ids"), get("top")), (mark.min(IDS), mark.min(IDS), mark), "{rows}");
            }
        });
        scope.spawn(|| {
            let _ends = Ends(&done);
            while !done.load(Ordering::SeqCst) {
                let found = loaded(&database);
                let top = found.values().map(|(_, version)| u64::from(*version)).max().unwrap_or(0);
                assert_eq!(found.len() as u64, top.min(IDS));
            }
        });
        (merging.join().unwrap(), checkpointing.join().unwrap())
    });
    eprintln!("{merges} merges; {refused} checkpoints refused");
    assert!(merges > 3);
    let expected: BTreeMap<Id, (String, u32)> = (BATCHES * ROWS - IDS..BATCHES * ROWS)
        .map(|n| numbered(n % IDS, n + 1))
        .map(|record| ((record.key().to_owned(), None), (record.json().to_owned(), record.version())))
        .collect();
    assert_eq!(queried(&database), expected);
    let merged = database.merge().unwrap();
    assert_eq!(merged.base_rows, IDS);
    assert_eq!(queried(&database), expected);
    assert_eq!(database.count_duplicates().unwrap(), 0);
    drop(appender);
    let path = dir.path().join("data.duckdb");
    database.close(&Disk).unwrap();
    let database = reopen(&path);
    assert_eq!(loaded(&database), expected);
    assert_eq!(database.state().unwrap().watermark, BATCHES * ROWS);
}

#[test]
fn a_load_in_flight_keeps_its_state_and_stops_nobody() {
    let (_dir, database, mut appender) = new_database();
    let records = |ids: std::ops::Range<u64>| ids.map(|n| numbered(n, n + 1)).collect::<Vec<_>>();
    appender.append(&records(0..3_000), 3_000, AT).unwrap();
    database.merge().unwrap();
    appender.append(&records(3_000..4_000), 4_000, AT).unwrap();
    let mut rows = 0;
    let mut each = |_: super::super::Loaded<'_>| {
        if rows == 0 {
            // Between the rows of the base and those of the delta, the delta moves into the base.
            database.merge().unwrap();
            appender.append(&[numbered(9_999, 4_001)], 4_001, AT).unwrap();
            assert!(database.checkpoint(&Disk).unwrap());
            assert_eq!(queried(&database).len(), 4_001);
        }
        rows += 1;
        Ok(())
    };
    database.load(&mut each).unwrap();
    assert_eq!(rows, 4_000);
}
