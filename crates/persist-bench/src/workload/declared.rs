//! Declared tables in files: inserts, reads, loading and saving, beside a table of SQLite with the same columns and index.

use std::collections::HashMap;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use parking_lot::Mutex;
use persist_table::{Config, Database, Durability, Rows, Table, Timestamp, col};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::bench::Bench;
use super::write::{GROUP_COMMIT, LAID_OUT, LAID_OUT_BYTES, WRITE, group_commit_of, lines};
use crate::Result;
use crate::drive::{Contender, Figures, drive, in_turns};
use crate::name::{Name, PERSIST};
use crate::peer::connect_to_sqlite;
use crate::report::Report;

const SQLITE: Name = Name::store("sqlite");
const MAP: Name = Name::floor("hash map");
const PARSE: Name = Name::floor("read and parse");
const FILE: Name = Name::floor("write and sync");
/// So many rows have the same value in the column with an index.
const ALIKE: u64 = 10;
/// So many reads are timed together.
const BATCH: u64 = 16;
/// More than SQLite's log holds before its content is put into the table, and it begins anew.
const EARLIER: u64 = 20_000;

/// A row: some 230 bytes of JSON.
#[derive(Debug, Clone, PartialEq, Table, Serialize, Deserialize)]
struct Leg {
    #[table(primary_key)]
    id: Option<i64>,
    #[table(index)]
    tailnum: String,
    carrier: String,
    flight: i64,
    origin: String,
    dest: String,
    scheduled: Timestamp,
    dep_delay: i64,
    arr_delay: i64,
    distance: i64,
    air_time: i64,
    status: String,
}

impl Leg {
    /// The same for the same number, but for its key.
    fn new(n: u64) -> Self {
        let mixed = mixed(n);
        let pick = |from: [&str; 4], shift: u32| {
            from.get(((mixed >> shift) & 3) as usize).copied().unwrap_or_default().to_owned()
        };
        let of = |from: i64, count: u64| from + (mixed % count) as i64;
        Self {
            id: None,
            tailnum: tailnum(n / ALIKE),
            carrier: pick(["UA", "B6", "EV", "DL"], 0),
            flight: of(1, 8500),
            origin: pick(["EWR", "LGA", "JFK", "BOS"], 4),
            dest: pick(["IAH", "MIA", "BQN", "ATL"], 6),
            scheduled: Timestamp::from_unix_micros(1_357_017_300_000_000 + (mixed % 31_536_000) as i64 * 1_000_000),
            dep_delay: of(-10, 90),
            arr_delay: of(-30, 120),
            distance: of(187, 4000),
            air_time: of(20, 600),
            status: pick(["landed", "boarding", "airborne", "delayed"], 10),
        }
    }
}

fn mixed(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33
}

fn tailnum(n: u64) -> String {
    format!("N{n:06}")
}

/// The line that the log has for a row.
fn line() -> Result<Vec<u8>> {
    let at = "2025-01-15T10:30:00.123456+00:00";
    let row = serde_json::to_string(&Leg { id: Some(1_000_000), ..Leg::new(1_000_000) })?;
    // persist has a space behind each comma and colon.
    let spaces = " ".repeat(row.matches([':', ',']).count());
    let line = format!(
        "{{\"timestamp\": \"{at}\", \"operation\": \"INSERT\", \"table\": \"leg\", \"record\": {row}{spaces}, \
         \"old_record\": null,\"at\":\"{at}\",\"seq\":1000000,\"crc\":\"1b2c3d4e\"}}\n"
    );
    Ok(line.into_bytes())
}

/// Inserts of one row each. The table gives out the keys.
pub(super) fn inserts(bench: &Bench, report: &mut Report) -> Result<()> {
    let line = line()?;
    let line = line.as_slice();
    for (name, threads, durability) in [
        ("table-insert-1-thread", 1, Durability::Sync),
        ("table-insert-8-threads", 8, Durability::Sync),
        ("table-insert-64-threads", 64, Durability::Sync),
        ("table-insert-os", 1, Durability::Os),
    ] {
        if !bench.wants(name) {
            continue;
        }
        let durable = durability == Durability::Sync;
        let floor: Contender<'_> = match (durable, threads) {
            (false, _) => (WRITE, Box::new(move || lines(bench, threads, line, 0, false))),
            (true, 1) => (LAID_OUT, Box::new(move || lines(bench, threads, line, LAID_OUT_BYTES, true))),
            (true, _) => (GROUP_COMMIT, Box::new(move || group_commit_of(bench, threads, line))),
        };
        let contenders: Vec<Contender<'_>> = vec![
            (PERSIST, Box::new(move || insert(bench, threads, durability))),
            floor,
            (SQLITE, Box::new(move || insert_into_sqlite(bench, threads, durable))),
        ];
        report.add(name, &in_turns(bench.scale.rounds, contenders)?);
    }
    Ok(())
}

fn insert(bench: &Bench, threads: usize, durability: Durability) -> Result<Figures> {
    let dir = bench.folder("declared")?;
    let db = Database::open("bench", Config::new().base_path(&dir).durability(durability))?;
    let legs = db.table::<Leg>()?;
    let figures = drive(threads, bench.scale.run, 1, |thread, n| {
        legs.insert(&Leg::new((thread as u64) << 24 | n))?;
        Ok(())
    })?;
    db.close()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

fn insert_into_sqlite(bench: &Bench, threads: usize, durable: bool) -> Result<Figures> {
    let dir = bench.folder("declared-sqlite")?;
    let connection = Mutex::new(sqlite(&dir, durable, EARLIER)?);
    let figures =
        drive(threads, bench.scale.run, 1, |thread, n| put(&connection.lock(), &Leg::new((thread as u64) << 24 | n)))?;
    drop(connection);
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

/// The table in SQLite, with so many rows.
fn sqlite(dir: &Path, durable: bool, rows: u64) -> Result<Connection> {
    let mut connection = connect_to_sqlite(&dir.join("legs.sqlite"), if durable { "FULL" } else { "OFF" })?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE leg (id INTEGER PRIMARY KEY, tailnum TEXT NOT NULL, carrier TEXT NOT NULL,
             flight INTEGER NOT NULL, origin TEXT NOT NULL, dest TEXT NOT NULL, scheduled TEXT NOT NULL,
             dep_delay INTEGER NOT NULL, arr_delay INTEGER NOT NULL, distance INTEGER NOT NULL,
             air_time INTEGER NOT NULL, status TEXT NOT NULL);
         CREATE INDEX by_tailnum ON leg (tailnum);",
    )?;
    let all = connection.transaction()?;
    for n in 0..rows {
        put(&all, &Leg::new(n))?;
    }
    all.commit()?;
    Ok(connection)
}

fn put(connection: &Connection, leg: &Leg) -> Result<()> {
    const PUT: &str = "INSERT INTO leg VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    connection.prepare_cached(PUT)?.execute(params![
        leg.id,
        leg.tailnum,
        leg.carrier,
        leg.flight,
        leg.origin,
        leg.dest,
        leg.scheduled.to_string(),
        leg.dep_delay,
        leg.arr_delay,
        leg.distance,
        leg.air_time,
        leg.status,
    ])?;
    Ok(())
}

fn leg(row: &Row<'_>) -> Result<Leg> {
    let scheduled = Timestamp::parse(row.get_ref(6)?.as_str()?).ok_or("a row has no timestamp")?;
    Ok(Leg {
        id: row.get(0)?,
        tailnum: row.get(1)?,
        carrier: row.get(2)?,
        flight: row.get(3)?,
        origin: row.get(4)?,
        dest: row.get(5)?,
        scheduled,
        dep_delay: row.get(7)?,
        arr_delay: row.get(8)?,
        distance: row.get(9)?,
        air_time: row.get(10)?,
        status: row.get(11)?,
    })
}

/// Loading, reading and saving a table of so many rows.
pub(super) fn whole(bench: &Bench, report: &mut Report, size: &str, rows: u64) -> Result<()> {
    let name = |what: &str| format!("table-{what}-{size}");
    let wanted = ["load", "get", "find", "save-inserted", "save-updated"].map(name);
    if !wanted.iter().any(|name| bench.wants(name)) {
        return Ok(());
    }
    let [load, get, find, inserted, updated] = &wanted;
    let dir = bench.folder("declared")?;
    build(&dir, rows)?;
    let sql = bench.folder("declared-sqlite")?;
    let connection = &sqlite(&sql, true, rows)?;
    if bench.wants(load) {
        let contenders: Vec<Contender<'_>> = vec![
            (PERSIST, Box::new(|| load_rows(&dir, rows))),
            (PARSE, Box::new(|| timed(rows, || Ok(parse_all(&file(&dir))?.len() as u64)))),
            (SQLITE, Box::new(|| timed(rows, || Ok(read_all(connection)?.len() as u64)))),
        ];
        report.add(load, &in_turns(bench.scale.rounds, contenders)?);
    }
    let db = open(&dir)?;
    let legs = &db.table::<Leg>()?;
    legs.count()?;
    if bench.wants(get) || bench.wants(find) {
        let map = &parse_all(&file(&dir))?;
        reads(
            bench,
            report,
            get,
            [&|n| by_key(legs, n), &|n| Ok(of_map(map, n)), &|n| from_sqlite(connection, n)],
            rows,
        )?;
        let mut alike: HashMap<&str, Vec<&Leg>> = HashMap::new();
        for leg in map.values() {
            alike.entry(&leg.tailnum).or_default().push(leg);
        }
        let alike = &alike;
        let bare = |n: u64| Ok(alike.get(tailnum(n / ALIKE).as_str()).map_or(0, |legs| clones(legs)));
        reads(bench, report, find, [&|n| by_index(legs, n), &bare, &|n| all_from_sqlite(connection, n)], rows)?;
    }
    if bench.wants(inserted) {
        let (mut end, few) = (rows, (rows / 100).max(1));
        let ours = || {
            legs.insert_many((end..end + few).map(Leg::new))?;
            end += few;
            timed(few, || Ok(db.save().map(|()| few)?))
        };
        let text = text_of(&file(&dir), few)?;
        let path = bench.dir.join("appended");
        let bare = || timed(few, || append(&path, &text).map(|()| few));
        let contenders: Vec<Contender<'_>> = vec![(PERSIST, Box::new(ours)), (FILE, Box::new(bare))];
        report.add(inserted, &in_turns(bench.scale.rounds, contenders)?);
    }
    if bench.wants(updated) {
        let mut round = 0;
        let ours = || {
            round += 1;
            update_each_hundredth(&db, rows, round)?;
            timed(rows, || Ok(db.save().map(|()| rows)?))
        };
        let text = text_of(&file(&dir), u64::MAX)?;
        let path = bench.dir.join("replaced");
        let bare = || timed(rows, || replace(&path, &text).map(|()| rows));
        let contenders: Vec<Contender<'_>> = vec![(PERSIST, Box::new(ours)), (FILE, Box::new(bare))];
        report.add(updated, &in_turns(bench.scale.rounds, contenders)?);
    }
    db.close()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(std::fs::remove_dir_all(&sql)?)
}

/// Saves when it is told to.
fn open(dir: &Path) -> Result<Database> {
    let config = Config::new().base_path(dir).durability(Durability::Os).archives(Some(0));
    Ok(Database::open("bench", config.save_interval(None).save_log_bytes(None))?)
}

/// A closed database with so many rows, all in the table's file and none in the log.
fn build(dir: &Path, rows: u64) -> Result<()> {
    let db = open(dir)?;
    let legs = db.table::<Leg>()?;
    for from in (0..rows).step_by(10_000) {
        legs.insert_many((from..rows.min(from + 10_000)).map(Leg::new))?;
    }
    db.checkpoint()?;
    Ok(db.close()?)
}

fn file(dir: &Path) -> PathBuf {
    dir.join("bench/data/leg.records")
}

fn timed(rows: u64, work: impl FnOnce() -> Result<u64>) -> Result<Figures> {
    let start = Instant::now();
    let found = work()?;
    let took = start.elapsed();
    if found != rows {
        return Err(format!("{found} rows in place of {rows}").into());
    }
    Ok(Figures::of_whole(took, rows))
}

fn load_rows(dir: &Path, rows: u64) -> Result<Figures> {
    let mut opened = None;
    let figures = timed(rows, || {
        let db = opened.insert(open(dir)?);
        Ok(db.table::<Leg>()?.count()? as u64)
    });
    opened.map_or(Ok(()), Database::close)?;
    figures
}

/// What a program would do that has no store.
fn parse_all(path: &Path) -> Result<HashMap<i64, Leg>> {
    let mut legs = HashMap::new();
    for line in BufReader::with_capacity(256 << 10, File::open(path)?).lines() {
        let leg: Leg = serde_json::from_str(&line?)?;
        legs.insert(leg.id.ok_or("a row has no key")?, leg);
    }
    Ok(legs)
}

fn read_all(connection: &Connection) -> Result<HashMap<i64, Leg>> {
    let mut statement = connection.prepare_cached("SELECT * FROM leg")?;
    let (mut rows, mut legs) = (statement.query([])?, HashMap::new());
    while let Some(row) = rows.next()? {
        let leg = leg(row)?;
        legs.insert(leg.id.ok_or("a row has no key")?, leg);
    }
    Ok(legs)
}

/// A read of the row with this number, or of all that are alike to it; answers how many were found.
type Read<'a> = &'a dyn Fn(u64) -> Result<u64>;

/// Random reads of one thread: by persist, the floor, and SQLite.
fn reads(bench: &Bench, report: &mut Report, name: &str, [ours, bare, sqlite]: [Read<'_>; 3], rows: u64) -> Result<()> {
    if !bench.wants(name) {
        return Ok(());
    }
    let of = |read: Read<'_>| {
        // A connection of SQLite is used by one thread at a time.
        let (start, mut nanos, mut n) = (Instant::now(), Vec::new(), 0);
        while start.elapsed() < bench.scale.run {
            let before = Instant::now();
            for _ in 0..BATCH {
                if read(mixed(n) % rows)? == 0 {
                    return Err("a row is missing".into());
                }
                n += 1;
            }
            nanos.push(before.elapsed().as_nanos() as u64 / BATCH);
        }
        Ok(Figures::of(nanos, n, start.elapsed()))
    };
    let contenders: Vec<Contender<'_>> =
        vec![(PERSIST, Box::new(|| of(ours))), (MAP, Box::new(|| of(bare))), (SQLITE, Box::new(|| of(sqlite)))];
    report.add(name, &in_turns(bench.scale.rounds, contenders)?);
    Ok(())
}

fn by_key(legs: &Rows<Leg>, n: u64) -> Result<u64> {
    Ok(black_box(legs.get(n + 1)?).map_or(0, |_| 1))
}

fn by_index(legs: &Rows<Leg>, n: u64) -> Result<u64> {
    Ok(black_box(legs.select().filter(col("tailnum").eq(tailnum(n / ALIKE))).rows()?).len() as u64)
}

fn of_map(map: &HashMap<i64, Leg>, n: u64) -> u64 {
    black_box(map.get(&(n as i64 + 1)).cloned()).map_or(0, |_| 1)
}

fn clones(legs: &[&Leg]) -> u64 {
    black_box(legs.iter().map(|leg| (*leg).clone()).collect::<Vec<Leg>>()).len() as u64
}

fn from_sqlite(connection: &Connection, n: u64) -> Result<u64> {
    let mut statement = connection.prepare_cached("SELECT * FROM leg WHERE id = ?1")?;
    let mut rows = statement.query([n as i64 + 1])?;
    rows.next()?.map_or(Ok(0), |row| leg(row).map(black_box).map(|_| 1))
}

fn all_from_sqlite(connection: &Connection, n: u64) -> Result<u64> {
    let mut statement = connection.prepare_cached("SELECT * FROM leg WHERE tailnum = ?1")?;
    let (mut rows, mut legs) = (statement.query([tailnum(n / ALIKE)])?, Vec::new());
    while let Some(row) = rows.next()? {
        legs.push(leg(row)?);
    }
    Ok(black_box(legs).len() as u64)
}

/// Changes a column in one row of a hundred, all over the table.
fn update_each_hundredth(db: &Database, rows: u64, round: i64) -> Result<()> {
    db.transaction(|tx| {
        let legs = tx.table::<Leg>()?;
        for key in (1..=rows).step_by(100) {
            legs.update(col("id").eq(key), &serde_json::json!({"air_time": round}))?;
        }
        Ok(())
    })?;
    Ok(db.sync()?)
}

/// The first lines of a file.
fn text_of(path: &Path, lines: u64) -> Result<Vec<u8>> {
    let text = std::fs::read(path)?;
    let end = memchr::memchr_iter(b'\n', &text).nth((lines - 1) as usize).map_or(text.len(), |end| end + 1);
    Ok(text.get(..end).unwrap_or_default().to_vec())
}

fn append(path: &Path, text: &[u8]) -> Result<()> {
    let mut file = File::options().append(true).create(true).open(path)?;
    file.write_all(text)?;
    Ok(file.sync_data()?)
}

fn replace(path: &Path, text: &[u8]) -> Result<()> {
    let aside = path.with_extension("new");
    let mut file = File::create(&aside)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&aside, path)?;
    Ok(File::open(path.parent().ok_or("a file without a folder")?)?.sync_all()?)
}
