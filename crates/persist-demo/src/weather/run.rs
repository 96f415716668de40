//! The run: the first dates stored by a child that crashes, the others after the recovery; then everything is compared.

use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::ProgressBar;
use persist_collection::CollectionStore;
use time::{Date, OffsetDateTime};

use crate::Args;
use crate::child::{Crash, Plan};
use crate::error::Error;
use crate::folder::{Folder, absolute};
use crate::progress::bar;
use crate::weather::compare::Comparison;
use crate::weather::copies::{self, Copy};
use crate::weather::found::{Ask, Files};
use crate::weather::observation::{self, Observation};
use crate::weather::report::Outcome;
use crate::weather::{repair, writing};
use crate::writers::Measured;

/// Does all of it.
pub(crate) fn run(args: &Args) -> Result<Outcome, Error> {
    let start = Instant::now();
    let csv = absolute(&args.csv)?;
    let all = observation::read(&csv)?;
    let dates = observation::dates(&all);
    let folder = Folder::new(args.keep.as_deref())?;
    let airports = writing::airports(&all);
    let mut job = Job {
        csv: &csv,
        store: folder.path().join("store"),
        bar: bar(all.len(), args.json),
        one: Measured::of(1),
        many: Measured::of(airports),
        alter: args.alter,
        compared: Comparison::with(&all),
    };

    let (of_child, others) = dates.split_at(dates.len() / 2 + 1);
    let (crash, store) = job.crash(of_child)?;
    store.close()?;
    // That made a backup. What comes now is in the logs of several dates besides, and in a backup at the end.
    let (mut store, mut before_last) = (None, None);
    for (n, (date, observations)) in others.iter().enumerate() {
        let store = match &mut store {
            None => store.insert(job.open(*date)?),
            Some(store) => {
                before_last = Some((OffsetDateTime::now_utc(), all.len() - observations.len()));
                store.roll_to(*date)?;
                store
            }
        };
        job.write(store, observations, n.is_multiple_of(2))?;
    }
    let store = match store {
        Some(store) => store,
        // There is one date in all.
        None => job.open(crash.date)?,
    };
    job.compared.store(&store)?;
    copies::back_up_and_restore(&store, folder.path(), &mut job.compared)?;
    if let Some((moment, first)) = before_last {
        let first = all.get(..first).unwrap_or_default();
        copies::restore_to(&store, &job.store, moment, first, folder.path(), &mut job.compared)?;
    }
    copies::rebuild_latest(&store, &mut job.compared)?;
    let (last, whole) = (store.date(), Copy::of(&store)?);
    store.close()?;
    let files = Files::open(&job.store)?;
    job.compared.tables("in the closed files", &files)?;
    let measures = files.measures()?;
    drop(files);
    repair::damage_and_rebuild(&job.store, last, others, &whole, &mut job.compared)?;
    job.bar.finish_and_clear();
    Ok(Outcome {
        dates: dates.len(),
        writes: all.len(),
        airports,
        one_writer: job.one.figures(),
        many_writers: job.many.figures(),
        crash,
        measures,
        compared: job.compared.lines,
        checks: job.compared.checks,
        kept: folder.kept(),
        seconds: start.elapsed().as_secs_f64(),
        csv,
    })
}

/// What the dates share.
struct Job<'a> {
    csv: &'a Path,
    store: PathBuf,
    bar: ProgressBar,
    one: Measured,
    many: Measured,
    alter: Option<usize>,
    compared: Comparison<'a>,
}

impl Job<'_> {
    fn open(&self, date: Date) -> Result<CollectionStore, Error> {
        Ok(CollectionStore::open(date, writing::config(&self.store))?)
    }

    /// Stores what the store lacks, and measures it.
    fn write(&mut self, store: &CollectionStore, observations: &[Observation], many: bool) -> Result<(), Error> {
        let measured = if many { &mut self.many } else { &mut self.one };
        let writers = measured.writers;
        self.bar.set_message(format!("{}, {writers} writer{}", store.date(), if writers == 1 { "" } else { "s" }));
        let lacking = writing::lacking(store, observations)?;
        measured.add(writing::store_all(store, &lacking, writers, self.alter, |_| self.bar.inc(1))?);
        Ok(())
    }

    /// Has a child store these dates and abort in the middle of the last; opens what it left, sees that every write that
    /// was acknowledged is there, exactly, and none that was not made; and stores the rest of that date.
    fn crash(&mut self, dates: &[(Date, &[Observation])]) -> Result<(Crash, CollectionStore), Error> {
        let Some((date, observations)) = dates.last().copied() else {
            return Err(Error::Io("there is no date to store".to_owned()));
        };
        self.bar.set_message(format!("up to {date}, a child that crashes"));
        let given: usize = dates.iter().map(|(_, observations)| observations.len()).sum();
        let abort_after = given - observations.len() / 2;
        let alter = self.alter.map(|number| number.to_string());
        let plan = Plan { job: "crash-collection", csv: self.csv, stores: &self.store, date, abort_after };
        let acknowledged = plan.run(alter.iter().flat_map(|number| ["--alter", number]), || self.bar.inc(1))?;

        let start = Instant::now();
        let store = self.open(date)?;
        let opened = start.elapsed();
        let crash = Crash::new(date, acknowledged.len(), store.recovery(), opened);
        // What was under way when it aborted may be there too, without having been acknowledged.
        let found = store.history_rows()?;
        self.bar.inc(found.len().saturating_sub(acknowledged.len()) as u64);
        self.compared.after_the_crash(&acknowledged, &found);
        let held = usize::try_from(crash.flushed + crash.recovered).unwrap_or(usize::MAX);
        self.compared.counts("flushed before the crash or replayed after it", found.len(), held);
        self.write(&store, observations, true)?;
        Ok((crash, store))
    }
}
