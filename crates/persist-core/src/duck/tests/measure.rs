//! Figures, not checks: `cargo test --release -p persist-core --lib duck::tests::measure -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use super::*;

/// About 200 bytes of JSON.
fn sample(id: u64, seq: u64) -> Arc<Record<Dated>> {
    let data = format!(
        r#"{{"name":"load customers","progress":{},"host":"worker-{}.example.org","rows":{seq},"note":"{:0>48}","timestamp":"2025-01-15T10:30:00+00:00","status":"running","status_int":1,"username":"bob"}}"#,
        id % 100,
        id % 17,
        id.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    );
    record(&format!("task_{id:09}"), (!id.is_multiple_of(4)).then_some("worker"), seq, &data)
}

fn times(n: u32, mut run: impl FnMut()) -> (Duration, Duration) {
    let mut all: Vec<Duration> = (0..n)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    all.sort_unstable();
    (all[all.len() / 2], all[all.len() - 1])
}

#[test]
#[ignore = "minutes, and only a release build says anything"]
fn figures() {
    let rows: u64 = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let (dir, database, mut appender) = new_database();
    let mut seq = 0;
    let mut batch = |ids: &mut dyn Iterator<Item = u64>| -> (Vec<_>, u64) {
        let records = ids.map(|id| {
            seq += 1;
            sample(id, seq)
        });
        (records.collect(), seq)
    };
    let (mut spent, start) = (Duration::ZERO, Instant::now());
    for first in (0..rows).step_by(20_000) {
        let (records, seq) = batch(&mut (first..(first + 20_000).min(rows)));
        let start = Instant::now();
        appender.append(&records, seq, AT).unwrap();
        spent += start.elapsed();
    }
    eprintln!("append {rows} rows in batches of 20,000: {spent:?} ({:?} with making them)", start.elapsed());
    let timed = |what: &str, run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        eprintln!("{what}: {:?}", start.elapsed());
    };
    let load = || {
        let mut found = 0_u64;
        database.load(&mut |row| {
            found += row.data.len() as u64;
            Ok(())
        })
    };
    timed("load, all in the delta", &mut || load().unwrap());
    timed("merge, all new", &mut || _ = database.merge().unwrap());
    timed("checkpoint", &mut || assert!(database.checkpoint().unwrap()));
    timed("load, all in the base, just checkpointed", &mut || load().unwrap());
    timed("load, all in the base", &mut || load().unwrap());
    timed("count_duplicates", &mut || _ = database.count_duplicates().unwrap());
    eprintln!("file: {} MB", std::fs::metadata(dir.path().join("data.duckdb")).unwrap().len() >> 20);
    for size in [1_000, 20_000] {
        let made: Vec<_> = (0..20).map(|at| batch(&mut (0..size).map(|n| (at * 13 + n * 7919) % rows))).collect();
        let mut made = made.into_iter();
        let timed = times(20, || {
            let (records, seq) = made.next().unwrap();
            appender.append(&records, seq, AT).unwrap();
        });
        eprintln!("append {size}: p50 {:?}, worst {:?}", timed.0, timed.1);
        let (records, seq) = batch(&mut (0..size));
        let start = Instant::now();
        super::super::append::measure_arrow(&records);
        eprintln!("  of which Arrow: {:?}", start.elapsed());
        drop((records, seq));
    }
    database.merge().unwrap();
    for delta in [0, 1_000, 20_000, 65_536, rows / 4] {
        let step = rows.checked_div(delta).unwrap_or(1);
        let (records, seq) = batch(&mut (0..delta).map(|n| n * step));
        for chunk in records.chunks(20_000) {
            appender.append(chunk, seq, AT).unwrap();
        }
        let query = |sql: &str| times(5, || drop(database.query(sql).unwrap())).0;
        eprintln!("delta {delta}:");
        eprintln!("  query, SELECT 1: {:?}", query("SELECT 1"));
        eprintln!("  query, count(*): {:?}", query("SELECT count(*) FROM storage"));
        eprintln!(
            "  query, group by: {:?}",
            query("SELECT username, sum(status_int), max(timestamp) FROM storage GROUP BY 1")
        );
        eprintln!("  query, one key: {:?}", query("SELECT * FROM storage WHERE key = 'task_000000077'"));
        timed("  load", &mut || load().unwrap());
        timed("  merge", &mut || _ = database.merge().unwrap());
        timed("  checkpoint", &mut || assert!(database.checkpoint().unwrap()));
    }
    let connect = times(100, || drop(database.connect().unwrap()));
    eprintln!("connect: {:?}, worst {:?}", connect.0, connect.1);
    eprintln!("state: {:?}", times(20, || drop(database.state().unwrap())).0);
    eprintln!("checkpoint with nothing to do: {:?}", times(20, || _ = database.checkpoint().unwrap()).0);
    eprintln!("file: {} MB", std::fs::metadata(dir.path().join("data.duckdb")).unwrap().len() >> 20);
    drop(appender);
    timed("close", &mut || {});
    database.close().unwrap();
    timed("open", &mut || drop(reopen(&dir.path().join("data.duckdb"))));
}
