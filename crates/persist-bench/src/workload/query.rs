//! SQL while part of the rows is not merged into the main table, beside the same when all are.

use std::time::Instant;

use persist_dated::{DatedStore, Durability};

use super::bench::{Bench, DATE, never_flushed};
use super::table::put_batches;
use crate::Result;
use crate::drive::Figures;
use crate::name::{Name, PERSIST};
use crate::report::Report;

/// All of them, one after another.
const NAME: &str = "query";
const QUERIES: [(&str, &str); 4] = [
    ("query-count", "SELECT count(*) FROM storage"),
    ("query-filter", "SELECT count(*), avg(version) FROM storage WHERE distance BETWEEN 1000 AND 1100"),
    ("query-group", "SELECT status, count(*), avg(distance) FROM storage GROUP BY status"),
    ("query-json", "SELECT avg((data->>'air_time')::INTEGER) FROM storage WHERE username = 'tower'"),
];
const COMPACTED: Name = PERSIST.variant("compacted");
const SMALL: Name = PERSIST.variant("delta 20,000");
const LARGE: Name = PERSIST.variant("delta 750,000");

/// A table of three million rows, of which none, 20,000 and nearly a quarter, spread over all, have changed since the last
/// merge. (At a quarter they would be merged.)
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.wants(NAME) {
        return Ok(());
    }
    let rows = 3 * bench.scale.records;
    let dir = bench.folder(NAME)?;
    let config = never_flushed(&dir).durability(Durability::Os).extra_schema([("distance", "int64")]);
    let store = DatedStore::open(DATE, config)?;
    let mut figures: Vec<(Name, Vec<Vec<Figures>>)> = Vec::new();
    for from in (0..rows).step_by(500_000) {
        put_batches(&store, from..(from + 500_000).min(rows))?;
        store.flush()?;
    }
    store.compact()?;
    for (name, step) in [(COMPACTED, 0), (SMALL, 150), (LARGE, 4)] {
        if step > 0 {
            store.compact()?;
            let changed = (0..rows).step_by(step).skip(20);
            put_batches(&store, changed)?;
            store.flush()?;
        }
        figures.push((name, timed(bench, &store)?));
    }
    for (n, (query, _)) in QUERIES.iter().enumerate() {
        let of: Vec<_> = figures.iter().filter_map(|(name, runs)| Some((*name, runs.get(n)?.clone()))).collect();
        report.add(query, &of);
    }
    let all = figures.iter().filter_map(|(name, runs)| Some((*name, runs.last()?.clone())));
    report.add(NAME, &all.collect::<Vec<_>>());
    store.close()?;
    Ok(std::fs::remove_dir_all(&dir)?)
}

/// The times of each query, and of all together.
fn timed(bench: &Bench, store: &DatedStore) -> Result<Vec<Vec<Figures>>> {
    let mut each = vec![Vec::new(); QUERIES.len() + 1];
    // The first of each finds nothing cached and is left out.
    for round in 0..=2 * bench.scale.rounds {
        let start = Instant::now();
        let mut took = Vec::new();
        for (_, sql) in QUERIES {
            let start = Instant::now();
            store.query(sql)?;
            took.push(start.elapsed());
        }
        took.push(start.elapsed());
        if round > 0 {
            each.iter_mut().zip(took).for_each(|(times, took)| times.push(took));
        }
    }
    Ok(each.iter().map(|times| times.iter().map(|took| Figures::of_whole(*took, 1)).collect()).collect())
}
