//! What the peers are made to do, as persist is in the same workloads.

use std::path::PathBuf;

use parking_lot::Mutex;
use serde::Serialize;

use super::bench::Bench;
use super::verbs::each;
use crate::Result;
use crate::drive::{Contender, Figures, drive};
use crate::flight::{self, Flight};
use crate::peer::{self, Kind, Peer, Session};

/// All peers, each made to do the same.
pub(super) fn contenders<'a>(
    run: impl Fn(&'static Kind) -> Result<Figures> + Copy + 'a,
) -> impl Iterator<Item = Contender<'a>> {
    peer::ALL.iter().map(move |kind| -> Contender<'a> { (kind.name, Box::new(move || run(kind))) })
}

/// A thread that writes: its session, its key, its text.
type Writer<'a> = Mutex<(Box<dyn Session + 'a>, String, Vec<u8>)>;

/// Writes one record after another on each thread.
pub(super) fn writes<V: Serialize>(
    bench: &Bench,
    kind: &Kind,
    threads: usize,
    durable: bool,
    value: impl Fn(u64) -> V + Sync,
) -> Result<Figures> {
    let dir = bench.folder("peer")?;
    let peer = (kind.open)(&dir, durable)?;
    peer.warm_up()?;
    let writer = || -> Result<Writer<'_>> { Ok(Mutex::new((peer.session()?, String::new(), Vec::new()))) };
    let writers = (0..threads).map(|_| writer()).collect::<Result<Vec<_>>>()?;
    let figures = drive(threads, bench.scale.run, 1, |thread, n| {
        let Some(mut writer) = writers.get(thread).and_then(Mutex::try_lock) else {
            return Err("two threads, one session".into());
        };
        let (session, key, text) = &mut *writer;
        let n = (thread as u64) << 24 | n;
        flight::key(n, key);
        text.clear();
        serde_json::to_writer(&mut *text, &value(n))?;
        session.put(key, text)
    })?;
    drop(writers);
    drop(peer);
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

/// Writes so many records in each transaction, durably.
pub(super) fn batches(bench: &Bench, kind: &Kind, size: u64) -> Result<Figures> {
    let dir = bench.folder("peer")?;
    let peer = (kind.open)(&dir, true)?;
    peer.warm_up()?;
    let mut session = peer.session()?;
    let mut records = Vec::new();
    let figures = each(bench.scale.run, size, |from| {
        flights(from..from + size, &mut records)?;
        session.put_all(&records)
    })?;
    drop(session);
    drop(peer);
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

/// A store of each kind with all records in it, and where it is.
pub(super) fn all_filled(bench: &Bench) -> Result<Vec<(PathBuf, Box<dyn Peer>)>> {
    std::thread::scope(|scope| {
        let filling: Vec<_> = peer::ALL.iter().map(|kind| scope.spawn(move || filled(bench, kind))).collect();
        filling.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect()
    })
}

fn filled(bench: &Bench, kind: &Kind) -> Result<(PathBuf, Box<dyn Peer>)> {
    let dir = bench.folder(kind.name.store)?;
    let peer = (kind.open)(&dir, true)?;
    let mut session = peer.session()?;
    let (mut records, mut from) = (Vec::new(), 0);
    while from < bench.scale.records {
        let to = (from + 10_000).min(bench.scale.records);
        flights(from..to, &mut records)?;
        session.put_all(&records)?;
        from = to;
    }
    drop(session);
    peer.settle()?;
    // All is read once, in order, so that its caches are as warm as those of a process that has served for a while.
    let (mut session, mut key) = (peer.session()?, String::new());
    for n in 0..bench.scale.records {
        flight::key(n, &mut key);
        session.get(&key)?.ok_or("a record is missing")?;
    }
    drop(session);
    Ok((dir, peer))
}

/// The keys and texts of some flights, put where others were.
fn flights(numbers: std::ops::Range<u64>, records: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    records.resize_with((numbers.end - numbers.start) as usize, Default::default);
    for (n, (key, text)) in numbers.zip(records) {
        flight::key(n, key);
        text.clear();
        serde_json::to_writer(text, &Flight::new(n))?;
    }
    Ok(())
}
