//! SQL while part of the rows is not merged into the main table, beside the same when all are.

use std::time::Instant;

use persist_dated::DatedStore;

use super::bench::{Bench, unflushed};
use super::table::{self, put_batches};
use crate::Result;
use crate::drive::Figures;
use crate::name::{Name, PERSIST};
use crate::report::Report;

/// All of them but the last, one after another: that one takes ten times as long as these, whatever the delta.
const NAME: &str = "query";
const QUERIES: [(&str, &str); 4] = [
    ("query-count", "SELECT count(*) FROM storage"),
    ("query-filter", "SELECT count(*), avg(version) FROM storage WHERE status = 'delayed'"),
    ("query-group", "SELECT status, count(*), avg(version) FROM storage GROUP BY status"),
    ("query-json", "SELECT avg((data->>'air_time')::INTEGER) FROM storage WHERE username = 'tower'"),
];
const COMPACTED: Name = PERSIST.variant("compacted");
const SMALL: Name = PERSIST.variant("delta 20,000");
const LARGE: Name = PERSIST.variant("delta 750,000");
/// The first time after a flush, which takes out what the delta hides.
const SMALL_FIRST: Name = PERSIST.variant("delta 20,000, first");
const LARGE_FIRST: Name = PERSIST.variant("delta 750,000, first");

/// A table of three million rows, of which none, 20,000 and nearly a quarter, spread over all, have changed since the last
/// merge. (At a quarter they would be merged.)
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.wants(NAME) {
        return Ok(());
    }
    let rows = 3 * bench.scale.records;
    let dir = table::copy(bench, rows, NAME)?;
    let store = unflushed(&dir)?;
    let mut figures: Vec<(Name, Runs)> = Vec::new();
    // What DuckDB reads for the first time.
    timed(&store, 1)?;
    for (name, first, step) in [(COMPACTED, None, 0), (SMALL, Some(SMALL_FIRST), 150), (LARGE, Some(LARGE_FIRST), 4)] {
        if step > 0 {
            store.compact()?;
            let changed = (0..rows).step_by(step).skip(20);
            put_batches(&store, changed)?;
            store.flush()?;
        }
        let once = timed(&store, 1)?;
        figures.extend(first.map(|first| (first, once)));
        figures.push((name, timed(&store, bench.scale.rounds)?));
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
type Runs = Vec<Vec<Figures>>;

fn timed(store: &DatedStore, rounds: usize) -> Result<Runs> {
    let mut each = vec![Vec::new(); QUERIES.len() + 1];
    for _ in 0..rounds {
        let mut took = Vec::new();
        for (_, sql) in QUERIES {
            let start = Instant::now();
            store.query(sql)?;
            took.push(start.elapsed());
        }
        took.push(took.iter().take(QUERIES.len() - 1).sum());
        each.iter_mut().zip(took).for_each(|(times, took)| times.push(Figures::of_whole(took, 1)));
    }
    Ok(each)
}
