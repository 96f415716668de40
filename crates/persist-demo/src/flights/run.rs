//! The run: each date stored by one writer or by several, one of them after a crash, everything measured and checked.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use indicatif::ProgressBar;
use persist_dated::{DatedConfig, DatedStore};
use time::Date;

use crate::Args;
use crate::checks::Checks;
use crate::child::{Crash, Plan};
use crate::error::Error;
use crate::flights::answer::{Answer, Files};
use crate::flights::exported::Exported;
use crate::flights::flight::{self, Flight};
use crate::flights::report::Outcome;
use crate::folder::{Folder, absolute};
use crate::progress::bar;
use crate::writers::{Measured, Written, write_all};

/// Some dates are stored by one writer and some by so many.
pub(crate) const MANY: usize = 8;

/// Does all of it.
pub(crate) fn run(args: &Args) -> Result<Outcome, Error> {
    let start = Instant::now();
    let csv = absolute(&args.csv)?;
    let by_date = flight::read(&csv)?;
    let stores = Folder::new(args.keep.as_deref())?;
    let mut job = Job {
        csv: &csv,
        stores: stores.path(),
        bar: bar(by_date.values().map(Vec::len).sum(), args.json),
        one: Measured::of(1),
        many: Measured::of(MANY),
        checks: Checks::default(),
    };

    let (mut crash, mut records_stored, mut files) = (None, 0, Vec::new());
    let (mut expected, mut asked) = (Answer::default(), Answer::default());
    for (n, (date, flights)) in by_date.iter().enumerate() {
        let store = if n == by_date.len() / 2 {
            let (figures, store) = job.crash(*date, flights)?;
            crash = Some(figures);
            store
        } else {
            job.open(*date)?
        };
        job.store(&store, flights, n % 2 == 1, by_date.len() == 1)?;
        job.checks.store(&store, flights)?;
        records_stored += store.len();
        expected.add(&Answer::of_flights(flights));
        asked.add(&Answer::of_store(&store)?);
        files.push((*date, store.dir().join("data.duckdb")));
        store.close()?;
    }
    job.checks.same_answer("of the open stores", &expected, &asked);

    let closed = Files::open(&files)?;
    let rows = closed.rows()?;
    for (found, flights) in rows.iter().zip(by_date.values()) {
        job.checks.file(flights.len(), found);
    }
    let answer = closed.answer()?;
    job.checks.same_answer("in the closed files", &expected, &answer);
    let rows_in_duckdb = rows.iter().map(|file| file.rows).sum();
    let flights = by_date.values().map(Vec::len).sum();
    job.checks.equal("records stored", flights, records_stored);
    job.checks.equal("rows in DuckDB", flights, rows_in_duckdb);
    let (expected, lake) = (Exported::expected(by_date.values()), lake(stores.path()));
    let exported = Exported::by_parquet_crate(&lake)?;
    job.checks.equal("the export as the parquet crate reads it", &expected, &exported);
    job.checks.equal("the export as DuckDB reads it", &expected, &Exported::by_duckdb(&lake)?);
    job.bar.finish_and_clear();

    Ok(Outcome {
        csv: csv.clone(),
        dates: by_date.len(),
        flights,
        records_stored,
        one_writer: job.one.figures(),
        many_writers: job.many.figures(),
        crash,
        rows_in_duckdb,
        exported,
        airports: answer,
        checks: job.checks,
        kept: stores.kept(),
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// How each store is opened: typed columns for what is asked often, and an export at `close`.
pub(crate) fn config(stores: &Path) -> DatedConfig {
    let columns = [("distance", "int32"), ("air_time", "int32"), ("tailnum", "string"), ("dest", "string")];
    DatedConfig::new(stores).extra_schema(columns).parquet(lake(stores))
}

/// The root of the export.
fn lake(stores: &Path) -> PathBuf {
    stores.join("parquet")
}

/// What the dates share.
struct Job<'a> {
    csv: &'a Path,
    stores: &'a Path,
    bar: ProgressBar,
    one: Measured,
    many: Measured,
    checks: Checks,
}

impl Job<'_> {
    fn open(&self, date: Date) -> Result<DatedStore, Error> {
        Ok(DatedStore::open(date, config(self.stores))?)
    }

    /// Stores what the store lacks, and measures it. A lone date has to do for both measurements.
    fn store(&mut self, store: &DatedStore, flights: &[Flight], many: bool, is_lone: bool) -> Result<(), Error> {
        let lacks = |flight: &&Flight| store.get_key_process(&flight.key, Some(&flight.origin)).is_none();
        let lacking: Vec<&Flight> = flights.iter().filter(lacks).collect();
        let for_one = match (is_lone, many) {
            (true, _) => lacking.len() / 2,
            (false, true) => 0,
            (false, false) => lacking.len(),
        };
        let (for_one, for_many) = lacking.split_at_checked(for_one).unwrap_or_default();
        let parts = [(&mut self.one, for_one), (&mut self.many, for_many)];
        for (measured, part) in parts.into_iter().filter(|(_, part)| !part.is_empty()) {
            let writers = measured.writers;
            self.bar.set_message(format!("{}, {writers} writer{}", store.date(), if writers == 1 { "" } else { "s" }));
            measured.add(store_all(store, part, writers, |_| self.bar.inc(1))?);
        }
        Ok(())
    }

    /// Has a child store the first part of a date and abort; opens what it left, and sees that every flight that was
    /// acknowledged is there, exactly.
    fn crash(&mut self, date: Date, flights: &[Flight]) -> Result<(Crash, DatedStore), Error> {
        self.bar.set_message(format!("{date}, a child that crashes"));
        // It is given two thirds of them and aborts when half were acknowledged: it never gets to the end by itself, and
        // much of the date is left.
        let (job, abort_after) = ("crash", flights.len().div_ceil(2));
        let plan = Plan { job, csv: self.csv, stores: self.stores, date, abort_after };
        let given = (flights.len() * 2).div_ceil(3).to_string();
        let acknowledged = plan.run(["--flights", &given], || self.bar.inc(1))?;

        let start = Instant::now();
        let store = self.open(date)?;
        let opened = start.elapsed();
        let mut lost = Vec::new();
        for n in &acknowledged {
            let Some(flight) = flights.get(*n) else { return Err(Error::Child(format!("stored a flight {n}"))) };
            let record = store.get_key_process(&flight.key, Some(&flight.origin));
            if !record.map_or(Ok(false), |record| flight.is(&record))? {
                lost.push(format!("{} from {}", flight.key, flight.origin));
            }
        }
        self.checks.equal("acknowledged by the child and lost", Vec::new(), lost);
        // What was under way when it aborted may be there too, without having been acknowledged.
        self.bar.inc(store.len().saturating_sub(acknowledged.len()) as u64);
        let crash = Crash::new(date, acknowledged.len(), store.recovery(), opened);
        if store.recovery().watermark == 0 {
            self.checks.equal("records recovered", store.len() as u64, crash.recovered);
        }
        Ok((crash, store))
    }
}

/// Stores flights from several threads at once, each taking the next one that nobody has. `acknowledged` is called with
/// a flight's number after it is durable.
pub(crate) fn store_all(
    store: &DatedStore,
    flights: &[&Flight],
    writers: usize,
    acknowledged: impl Fn(usize) + Sync,
) -> Result<Written, Error> {
    let next = AtomicUsize::new(0);
    let next = |_| {
        let n = next.fetch_add(1, Ordering::Relaxed);
        Some((n, *flights.get(n)?))
    };
    let write = |(_, flight): &(usize, &Flight)| {
        flight.store(store)?;
        Ok(())
    };
    write_all(writers, next, write, |(n, _)| acknowledged(*n))
}
