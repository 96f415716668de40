//! What may be done with a store, and how often.

use persist_core::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::oracle::{Call, Expect, Id};
use crate::subject::{Settings, Subject};

/// Something that is done with a store. Days are those of a month, for stores that have dates.
#[derive(Debug, Clone)]
pub enum Step {
    /// One of the verbs, and how it is acknowledged.
    Write(Call, How),
    /// Waits for all that is under way.
    Wait,
    /// Reads an id, and the records of its key.
    Read(Id),
    /// Makes all durable.
    Sync,
    /// Flushes.
    Flush,
    /// Merges, refreshes the newest records.
    Compact,
    /// Compares what SQL says.
    Query,
    /// Forgets what was removed, where that can be.
    Forget,
    /// Makes the newest records anew of all writes, where these are kept.
    Rebuild,
    /// Asks for the past of an id and for two moments of all, where writes are kept: of which write, of how many parts in 100.
    Past(u8),
    /// Goes on in the log of another day.
    Roll(u8),
    /// Makes a backup.
    Backup,
    /// Makes a store of the last backup and compares it, and goes on there or not.
    Restore(u8, bool),
    /// Makes a store of this one as it stood at a moment, of so many parts in 100 of all writes, and compares it.
    RestoreTo(u8, u8),
    /// Loses the history in a crash, and goes on with it rebuilt, by the steps of the error or by a repair.
    LoseHistory(u8, bool),
    /// Goes on with what a crash leaves.
    Crash(u8),
    /// Closes and opens.
    Reopen(u8),
}

/// How a write is acknowledged.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum How {
    Sync,
    Os,
    Interval,
    /// With a ticket, which is waited for some time later or not at all.
    Ticket,
}

fn some_key() -> impl Strategy<Value = String> {
    (0..4_u8).prop_map(|key| format!("k{key}"))
}

fn some_id<S: Subject>() -> impl Strategy<Value = Id> {
    (some_key(), 0..S::PER_KEY).prop_map(|(key, n)| S::id(&key, n))
}

/// A call, its data still to be told apart from that of others.
fn call<S: Subject>() -> impl Strategy<Value = Call> {
    let version = || (1..5_u32).prop_map(|version| Some(Expect::Version(version)));
    let one = move || {
        let expect = prop_oneof![5 => Just(None), 1 => Just(Some(Expect::Absent)), 3 => version()];
        let removal = prop_oneof![3 => Just(None), 1 => version()];
        let collection = some_id::<S>().prop_map(|(key, fields)| match fields.into_iter().next() {
            Some(field) if S::HAS_COLLECTIONS => Call::RemoveWithin(key, field),
            _ => Call::RemoveKey(key),
        });
        prop_oneof![
            20 => (some_id::<S>(), expect).prop_map(|(id, expect)| Call::Put(id, Value::Null, expect)),
            6 => (some_id::<S>(), removal).prop_map(|(id, expect)| Call::Remove(id, expect)),
            1 => collection,
            1 => some_key().prop_map(Call::RemoveKey),
        ]
    };
    prop_oneof![4 => one(), 1 => vec(one(), 0..9).prop_map(Call::Batch)]
}

fn step<S: Subject>() -> impl Strategy<Value = Step> {
    let how = prop_oneof![2 => Just(How::Sync), 2 => Just(How::Os), 1 => Just(How::Interval), 2 => Just(How::Ticket)];
    let day = || 1..29_u8;
    prop_oneof![
        24 => (call::<S>(), how).prop_map(|(call, how)| Step::Write(call, how)),
        3 => some_id::<S>().prop_map(Step::Read),
        2 => Just(Step::Wait),
        1 => Just(Step::Sync),
        3 => Just(Step::Flush),
        2 => Just(Step::Compact),
        1 => Just(Step::Query),
        1 => Just(Step::Forget),
        1 => Just(Step::Rebuild),
        1 => (0..100_u8).prop_map(Step::Past),
        1 => day().prop_map(Step::Roll),
        1 => Just(Step::Backup),
        1 => (day(), any::<bool>()).prop_map(|(day, stays)| Step::Restore(day, stays)),
        1 => (day(), 0..100_u8).prop_map(|(day, percent)| Step::RestoreTo(day, percent)),
        1 => (day(), any::<bool>()).prop_map(|(day, by_hand)| Step::LoseHistory(day, by_hand)),
        2 => day().prop_map(Step::Crash),
        1 => day().prop_map(Step::Reopen),
    ]
}

/// What to do, and the settings to do it with.
pub fn steps<S: Subject>() -> impl Strategy<Value = (Vec<Step>, Settings)> {
    let batch_size = prop_oneof![Just(3_usize), Just(1_000_000)];
    let settings = (1..12_u64, batch_size, any::<bool>()).prop_map(|(max_wal_records, batch_size, backups)| Settings {
        max_wal_records,
        batch_size,
        backups,
        ..Settings::default()
    });
    (vec(step::<S>(), 1..60), settings)
}

/// Gives each put data that says which it is, with a timestamp that is not in the order of the writes.
pub(super) fn tell_apart<S: Subject>(call: &Call, last: &mut u64) -> Call {
    match call {
        Call::Put(id, _, expect) => {
            *last += 1;
            let moment = Timestamp::from_unix_micros(1_600_000_000_000_000 + (*last as i64 * 7 % 10) * 86_400_000_000);
            let fields = [("n", json!(last)), ("timestamp", json!(moment.to_string()))];
            let fields: Map<String, Value> = fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
            Call::Put(id.clone(), S::data(id, fields), *expect)
        }
        Call::Batch(calls) => Call::Batch(calls.iter().map(|call| tell_apart::<S>(call, last)).collect()),
        other => other.clone(),
    }
}

/// The data of the puts, in order.
pub(super) fn puts(call: &Call) -> Vec<Value> {
    match call {
        Call::Put(_, data, _) => vec![data.clone()],
        Call::Batch(calls) => calls.iter().flat_map(puts).collect(),
        _ => Vec::new(),
    }
}
