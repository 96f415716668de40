//! The run: each date stored by one writer or by several, one of them after a crash, everything measured and checked.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use persist_dated::{DatedConfig, DatedStore, RecoveryReport};
use tempfile::TempDir;
use time::Date;

use crate::answer::{Answer, Checks, Files};
use crate::crash;
use crate::error::Error;
use crate::exported::Exported;
use crate::flights::{self, Flight};
use crate::report::{Crash, Outcome, Writes};

/// Some dates are stored by one writer and some by so many.
pub(crate) const MANY: usize = 8;

/// What the demo is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The departures, as CSV, gzipped or not
    #[arg(long, value_name = "FILE")]
    csv: PathBuf,
    /// Leave the stores in this folder, which must be new or empty
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print all figures as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Does all of it.
pub(crate) fn run(args: &Args) -> Result<Outcome, Error> {
    let start = Instant::now();
    let csv = crate::absolute(&args.csv)?;
    let by_date = flights::read(&csv)?;
    let stores = Stores::new(args.keep.as_deref())?;
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
        kept: args.keep.is_some().then(|| stores.path().to_owned()),
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
        let plan = crash::Plan { csv: self.csv, stores: self.stores, date, flights: flights.len() };
        let acknowledged = plan.run(|| self.bar.inc(1))?;

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
        let crash = crash_figures(date, acknowledged.len(), store.recovery(), opened);
        if store.recovery().watermark == 0 {
            self.checks.equal("records recovered", store.len() as u64, crash.recovered);
        }
        Ok((crash, store))
    }
}

fn crash_figures(date: Date, acknowledged: usize, report: &RecoveryReport, opened: Duration) -> Crash {
    let seconds = report.elapsed.as_secs_f64();
    Crash {
        date,
        acknowledged,
        recovered: report.records,
        log_bytes: report.bytes,
        left_out_bytes: report.bytes_left_out(),
        recovery_seconds: seconds,
        recovered_per_second: report.records as f64 / seconds,
        opened_in_seconds: opened.as_secs_f64(),
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
    let write = || {
        let mut took = Vec::with_capacity(flights.len() / writers + 1);
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(flight) = flights.get(n) else { return Ok(took) };
            let start = Instant::now();
            let stored = flight.store(store);
            took.push(start.elapsed());
            if let Err(error) = stored {
                // The others need not go on.
                next.store(flights.len(), Ordering::Relaxed);
                return Err(error);
            }
            acknowledged(n);
        }
    };
    let start = Instant::now();
    let mut took = Vec::with_capacity(flights.len());
    thread::scope(|scope| -> Result<(), Error> {
        let writers: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
        for writer in writers {
            took.extend(writer.join().map_err(|_| Error::Panicked)??);
        }
        Ok(())
    })?;
    Ok(Written { elapsed: start.elapsed(), took })
}

/// What one call of [`store_all`] took.
#[derive(Debug)]
pub(crate) struct Written {
    elapsed: Duration,
    took: Vec<Duration>,
}

/// All writes by a number of writers.
#[derive(Debug)]
struct Measured {
    writers: usize,
    elapsed: Duration,
    took: Vec<Duration>,
}

impl Measured {
    fn of(writers: usize) -> Self {
        Self { writers, elapsed: Duration::ZERO, took: Vec::new() }
    }

    fn add(&mut self, written: Written) {
        self.elapsed += written.elapsed;
        self.took.extend(written.took);
    }

    fn figures(mut self) -> Option<Writes> {
        self.took.sort_unstable();
        // Nearest rank: so many in a hundred writes took no longer.
        let percentile = |share: usize| self.took.get((self.took.len() * share).div_ceil(100).saturating_sub(1));
        Some(Writes {
            writers: self.writers,
            writes: self.took.len(),
            seconds: self.elapsed.as_secs_f64(),
            per_second: self.took.len() as f64 / self.elapsed.as_secs_f64(),
            p50_micros: micros(*percentile(50)?),
            p99_micros: micros(*percentile(99)?),
        })
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1000.0
}

/// Where the stores are: in a folder that is kept, or in one that goes with this value.
enum Stores {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Stores {
    fn new(keep: Option<&Path>) -> Result<Self, Error> {
        let Some(dir) = keep else { return Ok(Self::Temporary(temporary()?)) };
        let dir = crate::absolute(dir)?;
        let refuse = |why: String| Error::Keep { dir: dir.clone(), why };
        std::fs::create_dir_all(&dir).map_err(|error| refuse(format!("cannot create: {error}")))?;
        let mut entries = std::fs::read_dir(&dir).map_err(|error| refuse(format!("cannot read: {error}")))?;
        match entries.next() {
            None => Ok(Self::Kept(dir)),
            Some(_) => Err(refuse("is not empty".to_owned())),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(dir) => dir,
            Self::Temporary(dir) => dir.path(),
        }
    }
}

/// Beside the program if cargo built it, because the system's folder may be in memory, where nothing is ever synced.
fn temporary() -> Result<TempDir, Error> {
    let prefix = "persist-demo-";
    if let Ok(program) = std::env::current_exe()
        && let Some(folder) = program.parent().filter(|folder| folder.join("deps").is_dir())
        && let Ok(dir) = tempfile::Builder::new().prefix(prefix).tempdir_in(folder)
    {
        return Ok(dir);
    }
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir()
        .map_err(|error| Error::io("cannot create a folder in", &std::env::temp_dir(), error))
}

fn bar(flights: usize, is_hidden: bool) -> ProgressBar {
    if is_hidden {
        return ProgressBar::hidden();
    }
    // On standard error; indicatif hides it where that is no terminal.
    let bar = ProgressBar::new(flights as u64);
    match ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
