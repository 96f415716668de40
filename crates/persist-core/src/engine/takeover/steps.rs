//! The takeover step by step, and how one that was interrupted starts over.
//!
//! 1. The original's database is opened with its own log, its rows are read, then the lines of its segments. Whatever
//!    is wrong is an error here, and nothing has been changed.
//! 2. `store.json` is prepared, and says that this is a takeover.
//! 3. Our database is built aside, checkpointed and synced.
//! 4. A checkpoint of the original's database brings its own log into its one file. That is renamed
//!    (`….taken-over`), ours takes its name, and the segments are renamed likewise.
//! 5. `store.json` is put in place, by the caller.
//!
//! Until then nothing is served, and the next opening renames everything back and starts over: [`start_over`]. Nothing
//! of the original is removed, ever.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;

use super::lines;
use super::mend::{Changes, rebuilt, strict};
use crate::config::Options;
use crate::data::{Given, Kind, Resolved, Rules, Special, normalize};
use crate::duck::{Database, Loaded, Table, own_logs};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::{Access, Fs, is_there, remove_if_there, suffixed, sync_dir_of, write_all_at};
use crate::identity::Identity;
use crate::key::Key;
use crate::keys;
use crate::model::Model;
use crate::record::Record;
use crate::timestamp::Timestamp;
use crate::wal::{RecoveryReport, SegmentId, new_store_id};

const KEPT: &str = ".taken-over";
/// What is beside the original's database while DuckDB reads its log: a byte for each time.
const BEGUN: &str = ".opening";
/// So often does an opening try whether it survives that: a crash may have another reason.
const MOST_TRIES: u64 = 3;
/// Records go into our database by so many at a time.
const BATCH: usize = 20_000;

/// Under which name a file of the original is kept.
pub(super) fn kept(path: &Path) -> PathBuf {
    suffixed(path, KEPT)
}

/// Where the original's folder and database are.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Places<'a> {
    pub(in crate::engine) dir: &'a Path,
    pub(in crate::engine) database: &'a Path,
}

/// Renames back what an interrupted takeover had renamed. Our database goes for that: it has served nothing yet.
///
/// # Errors
/// [`Config`](ErrorKind::Config) where another hand has put a file under a name that the original's is to have back.
pub(in crate::engine) fn start_over(fs: &dyn Fs, places: Places<'_>, table: &Table) -> Result<()> {
    let Some(identity) = Identity::load_prepared(fs, places.dir)? else { return Ok(()) };
    let Some(last) = identity.taken_over else { return Ok(()) };
    let names = fs.list(places.dir).map_err(|error| Error::io("cannot list", places.dir, error))?;
    let originals = names.iter().filter_map(|name| name.strip_suffix(KEPT).and_then(SegmentId::parse));
    let mut back: Vec<_> = originals.filter(|segment| segment.0 <= last).collect();
    back.sort_unstable();
    let mut back: Vec<_> = back.iter().map(|segment| places.dir.join(segment.to_string())).collect();
    let in_the_way = |path: &Path| {
        Err(Error::config(format!("a takeover was interrupted, and {} is not of it; move it away", path.display())))
    };
    for path in &back {
        if is_there(fs, path)? {
            return in_the_way(path);
        }
    }
    if is_there(fs, &kept(places.database))? {
        if is_there(fs, places.database)? {
            let found = Database::open(fs, places.database, table).and_then(|database| database.state());
            if !found.is_ok_and(|state| state.store_id == identity.id) {
                return in_the_way(places.database);
            }
        }
        back.insert(0, places.database.to_owned());
    }
    for path in back {
        rename(fs, &kept(&path), &path)?;
    }
    Ok(())
}

fn rename(fs: &dyn Fs, from: &Path, to: &Path) -> Result<()> {
    fs.rename(from, to).map_err(|error| Error::io("cannot rename", from, error))?;
    sync_dir_of(fs, to)
}

/// Opens the original's database, whose own log DuckDB reads then. Over a damaged one it has been seen to abort the process:
/// that is not to happen at each start for ever.
fn open_original(fs: &dyn Fs, database: &Path, table: &Table) -> Result<Option<Database>> {
    if !own_logs(database).iter().try_fold(false, |any, log| Ok(any | is_there(fs, log)?))? {
        return Database::open_original(fs, database, table);
    }
    let begun = suffixed(database, BEGUN);
    let unwritten = |error| Error::io("cannot write", &begun, error);
    let access = if is_there(fs, &begun)? { Access::Write } else { Access::CreateNew };
    let file = fs.open(&begun, access).map_err(unwritten)?;
    let tries = file.len().map_err(unwritten)?;
    if tries >= MOST_TRIES {
        let message = format!(
            "{} has a log of DuckDB's over which the process has died {tries} times. To try once more, remove {}; to go on \
             without what only that log has, move it away",
            database.display(),
            begun.display()
        );
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    write_all_at(file.as_ref(), tries, b".").map_err(unwritten)?;
    drop(file);
    let opened = Database::open_original(fs, database, table);
    remove_if_there(fs, &begun)?;
    opened
}

/// A takeover under way: everything the original's folder holds, read and settled.
#[derive(Debug)]
pub(in crate::engine) struct Takeover<M: Model> {
    original: Database,
    records: Records<M>,
    segments: Vec<SegmentId>,
    rules: Rules,
    at: i64,
    report: RecoveryReport,
}

impl<M: Model> Takeover<M> {
    /// Reads the original's database and segments; `None` where the database is one of persist. Nothing is changed.
    ///
    /// # Errors
    /// [`Schema`](ErrorKind::Schema) where the table's columns differ, [`Config`](ErrorKind::Config) for a record larger
    /// or deeper than the rules allow; as [`lines::read`] and [`Database::open`].
    pub(in crate::engine) fn read(places: Places<'_>, table: &Table, options: &Options) -> Result<Option<Self>> {
        let fs = options.fs.as_ref();
        let Some(original) = open_original(fs, places.database, table)? else { return Ok(None) };
        let names = fs.list(places.dir).map_err(|error| Error::io("cannot list", places.dir, error))?;
        let mut segments: Vec<_> = names.iter().filter_map(|name| SegmentId::parse(name)).collect();
        segments.sort_unstable();
        let paths = segments.iter().map(|segment| places.dir.join(segment.to_string()));
        for path in paths.chain([places.database.to_owned()]) {
            if is_there(fs, &kept(&path))? {
                let message = format!("{} can't be taken over: there is {}", path.display(), kept(&path).display());
                return Err(Error::config(message));
            }
        }
        let mut takeover = Self {
            original,
            records: Records::default(),
            segments,
            rules: options.rules.clone(),
            at: options.clock.unix_micros(),
            report: RecoveryReport::default(),
        };
        takeover.rows(places.database)?;
        takeover.lines(places.dir, options)?;
        Ok(Some(takeover))
    }

    /// Does it, but for putting `store.json` in place. Answers the store's identity, and what was left out and changed.
    pub(in crate::engine) fn run(
        self,
        places: Places<'_>,
        table: &Table,
        fs: &dyn Fs,
    ) -> Result<(Identity, RecoveryReport)> {
        let identity = Identity::of_takeover(new_store_id(), self.segments.last().map_or(0, |segment| segment.0));
        identity.prepare(fs, places.dir)?;
        let ours = Database::create_aside(fs, places.database, table, &identity.id)?;
        let records: Vec<_> = self.records.all.into_iter().enumerate().map(numbered).collect();
        fill(fs, &ours, table, &records, self.at)?;

        self.original.close(fs)?;
        for log in own_logs(places.database) {
            if is_there(fs, &log)? {
                let message = format!("{} is still there after a checkpoint", log.display());
                return Err(Error::new(ErrorKind::Database, message));
            }
        }
        rename(fs, places.database, &kept(places.database))?;
        rename(fs, &ours, places.database)?;
        for segment in &self.segments {
            let path = places.dir.join(segment.to_string());
            rename(fs, &path, &kept(&path))?;
        }
        Ok((identity, self.report))
    }

    fn rows(&mut self, database: &Path) -> Result<()> {
        let Self { original, records, rules, report, .. } = self;
        original.load_base(&mut |row: Loaded<'_>| {
            let part = M::part_from(row.part);
            let held = records.get(row.key, &part);
            if let Some(held) = held {
                report.doubled += 1;
                // A flush of the original gives a row the next version; the clock of `updated_at` may have gone back.
                if (held.version, held.at) > (row.version, row.at) {
                    return Ok(());
                }
            }
            let mut changes = Changes::default();
            let place = format!("{}, key {:?}", database.display(), row.key);
            let data = settled::<M>(row.data, row.part, None, None, rules, &mut changes)
                .map_err(|error| refused(&place, &error))?;
            changes.report(&place, report);
            let (key, version) = (Key::from(row.key), row.version);
            records.put(Record {
                key,
                part,
                data: data.into(),
                value: M::Value::default(),
                seq: 0,
                at: row.at,
                version,
            });
            Ok(())
        })
    }

    fn lines(&mut self, dir: &Path, options: &Options) -> Result<()> {
        let (fs, policy) = (options.fs.as_ref(), options.recovery);
        let Self { records, rules, at, segments, report, .. } = self;
        lines::read(fs, dir, segments, M::PART_FIELDS, policy, report, &mut |written, place, changes| {
            let part: Vec<_> = written.part.iter().map(Option::as_deref).collect();
            let (timestamp, username) = (written.timestamp, written.username.as_deref());
            let data = settled::<M>(&written.data, &part, timestamp, username, rules, changes)
                .map_err(|error| refused(place, &error))?;
            let (key, part) = (Key::from(written.key.as_str()), M::part_from(&part));
            let version = records.get(&written.key, &part).map_or(0, |held| held.version).saturating_add(1);
            records.put(Record { key, part, data: data.into(), value: M::Value::default(), seq: 0, at: *at, version });
            Ok(())
        })
    }
}

/// One record of each id, in the order in which the ids were met.
#[derive(Debug)]
struct Records<M: Model> {
    all: Vec<Record<M>>,
    places: HashMap<(Box<str>, M::Part), usize>,
}

impl<M: Model> Default for Records<M> {
    fn default() -> Self {
        Self { all: Vec::new(), places: HashMap::new() }
    }
}

impl<M: Model> Records<M> {
    fn get(&self, key: &str, part: &M::Part) -> Option<&Record<M>> {
        self.all.get(*self.places.get(&(Box::from(key), part.clone()))?)
    }

    /// Replaces the record of the same id.
    fn put(&mut self, record: Record<M>) {
        let place = *self.places.entry((Box::from(record.key()), record.part.clone())).or_insert(self.all.len());
        match self.all.get_mut(place) {
            Some(held) => *held = record,
            None => self.all.push(record),
        }
    }
}

fn refused(place: &str, error: &Error) -> Error {
    Error::config(format!("{place}: {error}; open with other limits"))
}

/// A `seq` for the merge alone, which wants each to stand for one row.
fn numbered<M: Model>((n, mut record): (usize, Record<M>)) -> Arc<Record<M>> {
    record.seq = n as u64 + 1;
    Arc::new(record)
}

fn fill<M: Model>(fs: &dyn Fs, path: &Path, table: &Table, records: &[Arc<Record<M>>], at: i64) -> Result<()> {
    let database = Database::open(fs, path, table)?;
    let mut appender = database.appender()?;
    for batch in records.chunks(BATCH) {
        appender.append(batch, 0, at)?;
    }
    drop(appender);
    database.merge()?;
    database.close_aside()?;
    let file = fs.open(path, Access::Write).map_err(|error| Error::io("cannot open", path, error))?;
    file.sync_all().map_err(|error| Error::io("cannot sync", path, error))
}

/// The data of the original in our normalized form. The part is put into it, and what else is given.
fn settled<M: Model>(
    data: &str,
    part: &[Option<&str>],
    timestamp: Option<Timestamp>,
    username: Option<&str>,
    rules: &Rules,
    changes: &mut Changes,
) -> Result<String> {
    let text = |text: &str| Resolved::Text(text.to_owned().into());
    let special = |name, kind, given| Special { name, kind, given };
    let timestamp = timestamp.map_or(Given::Default(Resolved::Null), |at| Given::Argument(Resolved::Timestamp(at)));
    let username = username.map_or(Given::Data, |name| Given::Argument(text(name)));
    let mut specials = vec![
        special(keys::TIMESTAMP, Kind::Timestamp, timestamp),
        special(keys::USERNAME, Kind::Text, username),
        special(keys::STATUS, Kind::Text, Given::Data),
        special(keys::STATUS_INT, Kind::Int32, Given::Data),
    ];
    for (name, value) in M::PART_FIELDS.iter().zip(part) {
        specials.push(special(name, Kind::Text, Given::Argument(value.map_or(Resolved::Null, text))));
    }
    let data = strict(data, changes);
    let error = match normalize(&data, &specials, rules) {
        Ok(normalized) => return Ok(normalized.text),
        Err(error) => error,
    };
    let kinds: Vec<_> = specials
        .iter()
        .filter(|special| !matches!(special.given, Given::Argument(_)))
        .map(|special| (special.name, special.kind))
        .collect();
    let mended = rebuilt(&data, &kinds, rules.max_depth, changes).ok_or(error)?;
    Ok(normalize(&mended, &specials, rules)?.text)
}
