//! A seeded workload over a log, and the books of what it was promised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use persist_core::clock::ManualClock;
use persist_core::error::{Error, ErrorKind, Result};
use persist_core::fs::Fs;
use persist_core::wal::{
    Ancestor, BatchPlace, Body, Log, LogOptions, LogStart, Marks, Reach, Recovered, Recovery, RecoveryReport, SegmentId,
};
use persist_test_utils::{Rng, SimFs};

use super::check;

pub(crate) const DIR: &str = "/store";
pub(crate) const STORE: &str = "00ff";
/// The folders of a log that lies in several. Only the first is there from the beginning.
const FOLDERS: &[&str] = &[DIR, "/store/one", "/store/two"];

/// A line as it was handed to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) body: String,
    pub(crate) marks: Marks,
    pub(crate) at: i64,
}

/// What the log was given and what it promised.
#[derive(Debug, Clone, Default)]
pub(crate) struct Oracle {
    /// Every line that was taken, by `seq`; after a recovery, every line that it gave back.
    pub(crate) lines: BTreeMap<u64, Known>,
    /// The highest `seq` that was acknowledged as durable, or given back by a recovery.
    pub(crate) durable: u64,
    /// The highest `seq` that was acknowledged as written and has seen no power cut since.
    pub(crate) written: u64,
    /// Everything up to it is in a checkpoint.
    pub(crate) watermark: u64,
}

/// How a generation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    Kill,
    Cut(u64),
    DropCaches,
}

impl Crash {
    pub(crate) fn of(self, fs: &SimFs) -> SimFs {
        match self {
            Self::Kill => fs.kill(),
            Self::Cut(seed) => fs.power_cut(seed),
            Self::DropCaches => fs.drop_caches(),
        }
    }
}

/// The sizes of records a workload draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// From one byte to three sectors, some beyond 8 KiB.
    Mixed,
    /// Around 60 KiB: the segment has to be laid out further.
    Large,
}

pub(crate) struct Driver {
    pub(crate) fs: SimFs,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) rng: Rng,
    pub(crate) options: LogOptions,
    pub(crate) sizes: Sizes,
    pub(crate) oracle: Oracle,
    pub(crate) log: Log,
    /// Where its segments may be.
    folders: &'static [&'static str],
    /// Where new ones go.
    dir: &'static str,
    names: u64,
    /// The log has asked for work ahead.
    wants_work: bool,
}

impl Driver {
    pub(crate) fn with(seed: u64, options: LogOptions, sizes: Sizes) -> Self {
        let fs = SimFs::new();
        fs.make_dir(DIR);
        let clock = Arc::new(ManualClock::new(1_736_937_000_000_000));
        let log = open(&fs, &clock, options, LogStart::default());
        let (oracle, folders) = (Oracle::default(), &FOLDERS[..1]);
        let (rng, dir, names, wants_work) = (Rng::new(seed), DIR, 0, false);
        Self { fs, clock, rng, options, sizes, oracle, log, folders, dir, names, wants_work }
    }

    /// The same, but the log moves to another folder now and then, and each recovery finds itself in any of them.
    pub(crate) fn in_folders(seed: u64, options: LogOptions, sizes: Sizes) -> Self {
        Self { folders: FOLDERS, ..Self::with(seed, options, sizes) }
    }

    /// The same books, and dice of their own, over another image.
    pub(crate) fn branch(&self, crash: Crash, seed: u64) -> Self {
        let fs = crash.of(&self.fs);
        let mut oracle = self.oracle.clone();
        if crash != Crash::Kill {
            oracle.written = oracle.durable;
        }
        let (clock, options) = (Arc::clone(&self.clock), self.options);
        let log = open(&fs, &clock, options, LogStart::default());
        // A log without lines touches nothing; recovery puts another in its place.
        let (rng, names) = (Rng::new(seed), self.names + 1_000_000);
        let (sizes, folders, dir, wants_work) = (self.sizes, self.folders, self.dir, false);
        Self { fs, clock, rng, options, sizes, oracle, log, folders, dir, names, wants_work }
    }

    pub(crate) fn crash(&mut self, crash: Crash) {
        self.fs = crash.of(&self.fs);
        if crash != Crash::Kill {
            self.oracle.written = self.oracle.durable;
        }
    }

    /// Some crash or other; power cuts more often than not.
    pub(crate) fn any_crash(&mut self) -> Crash {
        match self.rng.below(8) {
            0 | 1 => Crash::Kill,
            2 => Crash::DropCaches,
            _ => Crash::Cut(self.rng.next_u64()),
        }
    }

    /// Makes steps until they are done, the world stops or the log is poisoned.
    pub(crate) fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            let done = self.step();
            // What subscribers may have been given by now.
            self.settle_durable(self.log.durable_seq());
            if self.fs.has_stopped() {
                return;
            }
            match done.map_err(|error| error.kind()) {
                // Nothing was taken, and the log goes on.
                Ok(()) | Err(ErrorKind::Io) => {}
                Err(ErrorKind::Poisoned) => return self.expect_poison(),
                Err(kind) => panic!("{kind:?} in a workload"),
            }
        }
    }

    pub(crate) fn step(&mut self) -> Result<()> {
        match self.rng.below(20) {
            0 => {
                if self.folders.len() > 1 && self.rng.chance(2, 3) {
                    let others: Vec<_> = self.folders.iter().filter(|dir| **dir != self.dir).collect();
                    let dir = *self.rng.pick(&others);
                    self.log.move_to(Path::new(dir))?;
                    self.dir = dir;
                } else {
                    self.log.rotate()?;
                }
                self.settle_durable(self.oracle_last());
                Ok(())
            }
            1 => self.sync(),
            2 => self.checkpoint(),
            3 => {
                match self.rng.below(3) {
                    0 => self.clock.set(1_736_937_000_000_000 + self.rng.below(1_000_000_000) as i64),
                    _ => self.clock.advance(Duration::from_micros(self.rng.below(5_000_000))),
                }
                Ok(())
            }
            4..=7 => {
                let lines = 2 + self.rng.below(8);
                let bodies: Vec<String> = (0..lines).map(|_| self.body()).collect();
                self.push(bodies)?;
                self.wait()
            }
            _ => {
                let body = self.body();
                self.push(vec![body])?;
                self.wait()
            }
        }
    }

    fn oracle_last(&self) -> u64 {
        self.oracle
            .lines
            .last_key_value()
            .map_or(0, |(seq, _)| *seq)
            .max(self.oracle.watermark)
            .max(self.oracle.durable)
    }

    fn settle_durable(&mut self, seq: u64) {
        self.oracle.durable = self.oracle.durable.max(seq);
        self.oracle.written = self.oracle.written.max(self.oracle.durable);
    }

    pub(crate) fn sync(&mut self) -> Result<()> {
        self.log.sync()?;
        self.settle_durable(self.oracle_last());
        Ok(())
    }

    /// Waits for the newest line as durable, as written, or not at all.
    fn wait(&mut self) -> Result<()> {
        let last = self.oracle_last();
        match self.rng.below(10) {
            0..=3 => {
                self.log.wait(last, Reach::Durable)?;
                self.settle_durable(last);
            }
            4..=6 => {
                self.log.wait(last, Reach::Written)?;
                self.oracle.written = self.oracle.written.max(last);
            }
            _ => {}
        }
        Ok(())
    }

    /// What a flush and a checkpoint do: the log is synced, a watermark is durable elsewhere, segments go.
    pub(crate) fn checkpoint(&mut self) -> Result<()> {
        self.sync()?;
        let (from, to) = (self.oracle.watermark, self.oracle.durable);
        self.oracle.watermark = self.rng.range(from..to + 1);
        self.log.remove_up_to(self.oracle.watermark)?;
        for segment in self.log.closed_segments() {
            assert!(segment.last_seq > self.oracle.watermark, "{segment:?} stays below {}", self.oracle.watermark);
        }
        Ok(())
    }

    /// Takes the lines together; more than one are a batch or not.
    pub(crate) fn push(&mut self, texts: Vec<String>) -> Result<()> {
        let is_batch = self.rng.coin();
        self.take(texts, is_batch)
    }

    /// Takes the lines together, each a write of its own.
    pub(crate) fn push_each(&mut self, texts: Vec<String>) -> Result<()> {
        self.take(texts, false)
    }

    /// Takes the lines as one batch.
    pub(crate) fn push_batch(&mut self, texts: Vec<String>) -> Result<()> {
        self.take(texts, true)
    }

    fn take(&mut self, texts: Vec<String>, is_batch: bool) -> Result<()> {
        let of = texts.len();
        let bodies: Vec<Body> = texts.iter().map(|text| Body::new(text.clone().into_bytes())).collect();
        let mut append = self.log.begin(bodies.iter().map(Body::line_bytes_at_most).sum())?;
        for (number, (body, text)) in (1..).zip(bodies.into_iter().zip(texts)) {
            let marks = marks(&mut self.rng).batch(is_batch.then_some(BatchPlace { number, of: of as u32 }));
            let stamp = append.push(body, marks);
            let last = self.oracle.lines.last_key_value().map_or(0, |(seq, _)| *seq);
            assert_eq!(stamp.seq, last.max(self.oracle.watermark).max(self.oracle.durable) + 1, "a seq was skipped");
            self.oracle.lines.insert(stamp.seq, Known { body: text, marks, at: stamp.at });
        }
        self.wants_work |= append.wants_work_ahead();
        drop(append);
        // A thread of its own does it, sooner or later.
        if self.wants_work && self.rng.coin() {
            self.wants_work = false;
            self.log.work_ahead();
        }
        Ok(())
    }

    pub(crate) fn body(&mut self) -> String {
        self.names += 1;
        let bytes = match (self.sizes, self.rng.below(24)) {
            (Sizes::Large, _) => 50_000 + self.rng.index(20_000),
            (_, 0) => 8_200 + self.rng.index(4_000),
            (_, 1..=8) => 1 + self.rng.index(40),
            _ => self.rng.index(3 * 512),
        };
        body(self.names, bytes, &mut self.rng)
    }

    /// After the first error each further call gets it too.
    fn expect_poison(&mut self) {
        let operations = self.fs.operations();
        assert_eq!(self.log.begin(10).unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(self.log.rotate().unwrap_err().kind(), ErrorKind::Poisoned);
        if self.log.last_seq() > self.log.stats().durable_seq {
            assert_eq!(self.log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
        }
        assert_eq!(self.fs.operations(), operations, "a poisoned log touched a file");
    }

    /// Recovers the log, to go on in any of its folders.
    pub(crate) fn try_recover(&mut self) -> Result<Recovered> {
        self.dir = if self.folders.len() > 1 { *self.rng.pick(self.folders) } else { DIR };
        recover_in(self.dir, &self.fs, &self.clock, self.oracle.watermark)
    }

    /// Recovers, holds the outcome against the books and opens the log again. `false` where the world stopped.
    pub(crate) fn recover(&mut self) -> bool {
        let before = segments(&self.fs);
        let recovered = match self.try_recover() {
            Ok(recovered) => recovered,
            Err(_) if self.fs.has_stopped() => return false,
            Err(error) => panic!("a legal state was refused: {error}\n{}", check::show(&before)),
        };
        check::against(&self.oracle, &recovered, &before);
        check::is_tidy(&self.fs, &recovered);
        check::is_durable(self, &recovered);
        let last = recovered.start().next_seq - 1;
        self.oracle.lines.split_off(&(last + 1));
        self.oracle.durable = last;
        self.oracle.written = last;
        self.log = open_in(self.dir, &self.fs, &self.clock, self.options, recovered.start());
        self.wants_work = false;
        true
    }
}

/// With a version or without one, now and then a removal.
pub(crate) fn marks(rng: &mut Rng) -> Marks {
    let marks = if rng.coin() { Marks::version(rng.next_u64() as u32) } else { Marks::default() };
    marks.removal(rng.chance(1, 5))
}

pub(crate) fn small_segments() -> LogOptions {
    segments_of(8 * 1024)
}

pub(crate) fn segments_of(bytes: u64) -> LogOptions {
    let mut options = LogOptions::default();
    options.max_segment_bytes = bytes;
    options
}

pub(crate) fn open(fs: &SimFs, clock: &Arc<ManualClock>, options: LogOptions, start: LogStart) -> Log {
    open_in(DIR, fs, clock, options, start)
}

fn open_in(dir: &str, fs: &SimFs, clock: &Arc<ManualClock>, options: LogOptions, start: LogStart) -> Log {
    let fs: Arc<dyn Fs> = Arc::new(fs.clone());
    let clock = Arc::clone(clock);
    Log::new(fs, clock, Path::new(dir), STORE, options, start)
}

pub(crate) fn lineage() -> Vec<Ancestor> {
    vec![Ancestor::present(STORE)]
}

pub(crate) fn recover(fs: &SimFs, clock: &ManualClock, watermark: u64) -> Result<Recovered> {
    recover_in(DIR, fs, clock, watermark)
}

/// Recovers the log from [`DIR`] and all folders in it, to go on in `dir`.
pub(crate) fn recover_in(dir: &str, fs: &SimFs, clock: &ManualClock, watermark: u64) -> Result<Recovered> {
    recovering(dir, fs, clock, watermark, |recovery| recovery.run())
}

/// What that would find, by a look that changes nothing.
pub(crate) fn look(fs: &SimFs, clock: &ManualClock, watermark: u64) -> Result<RecoveryReport> {
    recovering(DIR, fs, clock, watermark, |recovery| recovery.look())
}

fn recovering<T>(
    dir: &str,
    fs: &SimFs,
    clock: &ManualClock,
    watermark: u64,
    run: impl FnOnce(Recovery<'_>) -> Result<T>,
) -> Result<T> {
    let unlisted = |error| Error::io("cannot list", Path::new(DIR), error);
    let inner = fs.list_folders(Path::new(DIR)).map_err(unlisted)?;
    let folders: Vec<PathBuf> =
        std::iter::once(DIR.into()).chain(inner.iter().map(|name| Path::new(DIR).join(name))).collect();
    run(Recovery::new(fs, clock, Path::new(dir), &lineage()).also_in(&folders).watermark(watermark))
}

/// The segments there are, with what readers see of them.
pub(crate) fn segments(fs: &SimFs) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs.files().into_iter().filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        SegmentId::parse(name).is_some()
    });
    paths.map(|path| (path.clone(), fs.read_file(&path).unwrap())).collect()
}

/// A body of about so many bytes of data. It is full of places that look like the end of a line, for writes to break
/// off there.
pub(crate) fn body(name: u64, bytes: usize, rng: &mut Rng) -> String {
    let mut text = format!(r#"{{"key":"k{name}","data":{{"#);
    let start = text.len();
    let mut field = 0;
    while text.len() < start + bytes {
        let comma = if text.ends_with('{') { "" } else { "," };
        text.push_str(&match rng.below(4) {
            0 => format!(r#"{comma}"f{field}":{{"crc":"{:08x}"}}"#, rng.next_u64() as u32),
            1 => format!(r#"{comma}"f{field}":{{"at":"x","seq":{}}}"#, rng.below(1000)),
            2 => format!(r#"{comma}"f{field}":"{}""#, "abcdefghijklmnop".repeat(rng.index(6))),
            _ => format!(r#"{comma}"f{field}":{}"#, rng.next_u64()),
        });
        field += 1;
    }
    text.push('}');
    text
}

/// The text of a line, without its newline, made by a hand of its own: what the format says, not what the code does.
pub(crate) fn line(seq: u64, synced: Option<u64>, header: Option<(&str, u64)>, key: &str) -> String {
    let mut line = format!(r#"{{"key":"{key}","at":"2025-01-15T10:30:00+00:00","version":1"#);
    if let Some(synced) = synced {
        line.push_str(&format!(r#","synced":{synced}"#));
    }
    if let Some((store, segment)) = header {
        line.push_str(&format!(r#","store":"{store}","segment":{segment}"#));
    }
    line.push_str(&format!(r#","seq":{seq}"#));
    format!("{line},\"crc\":\"{:08x}\"}}", crc32fast::hash(line.as_bytes()))
}

/// A segment of these lines, in groups; each group says that all before it is durable.
pub(crate) fn segment(number: u64, groups: &[&[u64]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, seqs) in groups.iter().enumerate() {
        for (place, seq) in seqs.iter().enumerate() {
            let synced = (place == 0).then(|| seq - 1);
            let header = (at == 0 && place == 0).then_some((STORE, number));
            bytes.extend_from_slice(line(*seq, synced, header, &format!("key{seq}")).as_bytes());
            bytes.push(b'\n');
        }
    }
    bytes
}

pub(crate) fn path(number: u64) -> PathBuf {
    Path::new(DIR).join(SegmentId(number).to_string())
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(1_736_937_000_000_000))
}

/// All files, to see that nothing changed.
pub(crate) fn files(fs: &SimFs) -> Vec<(PathBuf, Vec<u8>)> {
    fs.files().into_iter().map(|path| (path.clone(), fs.read_file(path).unwrap())).collect()
}
