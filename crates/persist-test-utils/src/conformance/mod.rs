//! What every store promises, as tests that a store runs with [`conformance!`](macro@crate::conformance): what is asked of it here
//! is the same for all, whatever an id is.

mod opening;
mod storing;
mod verbs;

pub use opening::*;
pub use storing::*;
pub use verbs::*;

use std::path::Path;

use persist_core::Durability;
use serde_json::{Map, Value, json};

use crate::copy_as_crash_leaves_it;
use crate::oracle::{Call, Changed, Conflict, Expect, Id};
use crate::subject::{Row, Settings, Subject};

/// Makes a test of each promise, for a [`Subject`](crate::Subject).
#[macro_export]
macro_rules! conformance {
    ($subject:ty) => {
        $crate::conformance!($subject:
            what_is_stored_is_read_back_everywhere,
            fields_that_a_store_knows_are_checked_and_text_becomes_a_timestamp_where_it_has_them,
            what_cannot_be_kept_is_refused_and_nothing_is_written,
            a_write_is_durable_when_it_returns_unless_it_says_otherwise,
            a_batch_is_flushed_without_being_asked_for,
            threads_share_a_store_and_read_their_own_writes,
            a_removed_record_is_gone_and_its_versions_go_on,
            all_records_of_a_key_are_removed_as_one_step,
            a_condition_that_is_not_met_writes_nothing_and_names_the_version_there,
            of_many_who_want_a_place_one_gets_it,
            a_batch_is_there_as_a_whole_or_not_at_all,
            what_there_is_can_be_looked_through,
            each_change_is_told_to_a_subscriber_once,
            what_a_crash_leaves_is_recovered_and_reported,
            what_is_closed_goes_on_where_it_was,
            one_at_a_time_has_a_store,
            a_backup_becomes_a_store_elsewhere_and_its_versions_go_on,
        );
    };
    ($subject:ty: $($promise:ident,)*) => {
        $(#[test]
        fn $promise() {
            $crate::conformance::$promise::<$subject>();
        })*
    };
}

fn open<S: Subject>(dir: &Path) -> S {
    S::open(dir, 1, &Settings::default()).unwrap()
}

/// The same on the store, on what a crash would leave of it, and on it after a close.
fn everywhere<S: Subject>(store: S, dir: &Path, check: impl Fn(&S)) {
    check(&store);
    let crashed = tempfile::tempdir().unwrap();
    copy_as_crash_leaves_it(dir, &crashed.path().join("copy"));
    check(&open(&crashed.path().join("copy")));
    store.close().unwrap();
    check(&open(dir));
}

/// The data that tells a record apart.
fn data<S: Subject>(id: &Id, n: u64) -> Value {
    S::data(id, Map::from_iter([("n".to_owned(), json!(n))]))
}

fn putting<S: Subject>(id: &Id, n: u64, expect: Option<Expect>) -> Call {
    Call::Put(id.clone(), data::<S>(id, n), expect)
}

fn perform<S: Subject>(store: &S, call: &Call) -> Result<Vec<Changed>, Conflict> {
    store.perform(call, Durability::Sync).unwrap()
}

/// Puts it; answers its version.
fn put<S: Subject>(store: &S, id: &Id, n: u64) -> u32 {
    perform(store, &putting::<S>(id, n, None)).unwrap()[0].version()
}

fn row<S: Subject>(id: &Id, version: u32, n: u64) -> Row {
    (id.clone(), version, data::<S>(id, n))
}

/// Memory and SQL have just these, and nothing is wrong.
fn holds<S: Subject>(store: &S, rows: &[Row]) {
    let mut rows = rows.to_vec();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    for (id, version, data) in &rows {
        assert_eq!(store.get(id).unwrap(), Some((*version, data.clone())), "{id:?}");
    }
    assert_eq!(store.rows("").unwrap(), rows);
    assert_eq!(store.table().unwrap(), rows);
    assert_eq!(store.problems().unwrap(), Vec::<String>::new());
}

/// The versions that the history has of an id; none where no history is kept.
fn versions<S: Subject>(store: &S, id: &Id) -> Option<Vec<u32>> {
    let history = store.history_of(id).unwrap()?;
    Some(history.iter().map(|told| told.changed.version()).collect())
}
