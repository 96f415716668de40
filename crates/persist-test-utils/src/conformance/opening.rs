//! Opening, after a crash and after a close; backups.

use persist_core::ErrorKind;

use super::{holds, open, perform, put, row};
use crate::copy_as_crash_leaves_it;
use crate::oracle::{Call, Id};
use crate::subject::{Row, Settings, Subject};

fn id<S: Subject>(n: u64) -> Id {
    S::id(&format!("k{n}"), n % S::PER_KEY)
}

/// Seven ids, written three times in turn: flushed, merged and neither; and one that was removed.
fn fill<S: Subject>(store: &S) -> Vec<Row> {
    for n in 0..21 {
        put(store, &id::<S>(n % 7), n);
        match n {
            5 => store.compact().unwrap(),
            12 => store.flush().unwrap(),
            _ => {}
        }
    }
    put(store, &id::<S>(7), 1);
    perform(store, &Call::Remove(id::<S>(7), None)).unwrap();
    (0..7).map(|n| row::<S>(&id::<S>(n), 3, 14 + n)).collect()
}

/// # Panics
/// Where the store breaks it.
pub fn what_a_crash_leaves_is_recovered_and_reported<S: Subject>() {
    let (live, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store: S = open(live.path());
    let rows = fill(&store);
    copy_as_crash_leaves_it(live.path(), &dead.path().join("copy"));
    let recovered: S = open(&dead.path().join("copy"));
    let report = recovered.recovery();
    assert!(report.records >= 10 && !report.is_damaged() && report.left_out.is_empty(), "{report}");
    holds(&recovered, &rows);
    // What was written after the crash survives the next.
    assert_eq!((put(&recovered, &id::<S>(7), 9), recovered.last_seq()), (3, 24));
    let again = dead.path().join("again");
    copy_as_crash_leaves_it(&dead.path().join("copy"), &again);
    let mut more = rows.clone();
    more.push(row::<S>(&id::<S>(7), 3, 9));
    holds(&open::<S>(&again), &more);
    assert_eq!(store.history().unwrap().is_some(), recovered.history().unwrap().is_some_and(|all| all.len() == 24));
}

/// # Panics
/// Where the store breaks it.
pub fn what_is_closed_goes_on_where_it_was<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    let rows = fill(&store);
    store.close().unwrap();
    // For another day, where there are such.
    let store = S::open(dir.path(), 2, &Settings::default()).unwrap();
    assert_eq!((store.recovery().records, store.last_seq()), (0, 23));
    holds(&store, &rows);
    assert_eq!((put(&store, &id::<S>(0), 9), put(&store, &id::<S>(7), 9)), (4, 3));
    store.roll_to(3).unwrap();
    assert_eq!((put(&store, &id::<S>(7), 9), store.last_seq()), (4, 26));
    store.close().unwrap();
}

/// # Panics
/// Where the store breaks it.
pub fn one_at_a_time_has_a_store<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    for day in 1..3 {
        let error = S::open(dir.path(), day, &Settings::default()).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        assert!(error.to_string().contains(&std::process::id().to_string()), "it names who has it: {error}");
    }
    put(&store, &id::<S>(1), 1);
    store.close().unwrap();
    holds(&open::<S>(dir.path()), &[row::<S>(&id::<S>(1), 1, 1)]);
}

/// # Panics
/// Where the store breaks it.
pub fn a_backup_becomes_a_store_elsewhere_and_its_versions_go_on<S: Subject>() {
    let (dir, settings) = (tempfile::tempdir().unwrap(), Settings::default());
    let [live, backup, place] = ["live", "backup", "place"].map(|name| dir.path().join(name));
    let store: S = open(&live);
    let rows = fill(&store);
    let history = store.history().unwrap();
    assert_eq!(store.backup(&backup).unwrap(), 23);
    put(&store, &id::<S>(0), 9);
    assert_eq!(store.backup(&backup).map(drop).unwrap_err().kind(), ErrorKind::Config, "another's folder");
    assert_eq!(S::verify_backup(&backup, &settings).unwrap(), 23);
    assert_eq!(S::restore(&backup, &live, 1, &settings).map(drop).unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(S::restore(&backup, &place, 1, &settings).unwrap(), 23);
    let restored: S = open(&place);
    holds(&restored, &rows);
    assert_eq!(restored.history().unwrap(), history);
    assert_eq!((put(&restored, &id::<S>(0), 9), put(&restored, &id::<S>(7), 9), restored.last_seq()), (4, 3, 25));
    restored.close().unwrap();
    assert_eq!(S::restore(&backup, &place, 1, &settings).map(drop).unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(store.last_seq(), 24, "the original goes its own way");
}
