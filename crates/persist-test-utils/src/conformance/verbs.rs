//! Removal, conditions, batches, tickets, looking around and following.

use persist_core::{Durability, ErrorKind};

use super::{data, everywhere, holds, open, perform, put, putting, row, versions};
use crate::oracle::{Call, Changed, Conflict, Expect, Id};
use crate::subject::{Row, Subject};

/// # Panics
/// Where the store breaks it.
pub fn a_removed_record_is_gone_and_its_versions_go_on<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    let (id, other) = (S::id("k", S::PER_KEY - 1), S::id("other", 0));
    for n in 1..=2 {
        put(&store, &id, n);
        put(&store, &other, n);
    }
    store.flush().unwrap();
    assert_eq!(perform(&store, &Call::Remove(id.clone(), None)), Ok(vec![Changed::Removed(id.clone(), 3)]));
    everywhere(store, dir.path(), |store| {
        assert_eq!(store.get(&id).unwrap(), None);
        for gone in [&id, &S::id("never", 0)] {
            assert_eq!(perform(store, &Call::Remove(gone.clone(), None)), Ok(vec![]), "there is nothing to remove");
        }
        holds(store, &[row::<S>(&other, 2, 2)]);
        assert!(versions(store, &id).is_none_or(|versions| versions == [1, 2, 3]));
    });
    let store: S = open(dir.path());
    assert_eq!(put(&store, &id, 9), 4);
}

/// # Panics
/// Where the store breaks it.
pub fn all_records_of_a_key_are_removed_as_one_step<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    let ids = |key: &str| (0..S::PER_KEY).map(|n| S::id(key, n)).collect::<Vec<Id>>();
    ids("k").iter().chain(&ids("kk")).for_each(|id| assert_eq!(put(&store, id, 1), 1));
    store.flush().unwrap();
    let removed: Vec<Changed> = ids("k").into_iter().map(|id| Changed::Removed(id, 2)).collect();
    let call = Call::RemoveKey("k".to_owned());
    assert_eq!(perform(&store, &call), Ok(removed));
    assert_eq!(perform(&store, &call), Ok(vec![]));
    let rows: Vec<Row> = ids("kk").iter().map(|id| row::<S>(id, 1, 1)).collect();
    everywhere(store, dir.path(), |store| holds(store, &rows));
}

/// # Panics
/// Where the store breaks it.
pub fn a_condition_that_is_not_met_writes_nothing_and_names_the_version_there<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    let seat = S::id("room", 0);
    let put = |n, expect| putting::<S>(&seat, n, Some(expect));
    assert_eq!(perform(&store, &put(1, Expect::Absent)), Ok(vec![Changed::Put(seat.clone(), 1)]));
    let conflicting = [
        put(2, Expect::Absent),
        put(2, Expect::Version(2)),
        Call::Remove(seat.clone(), Some(Expect::Version(2))),
        Call::Batch(vec![putting::<S>(&S::id("other", 0), 2, None), put(2, Expect::Absent)]),
    ];
    for call in conflicting {
        assert_eq!(perform(&store, &call), Err(Conflict(Some(1))), "{call:?}");
        assert_eq!(store.submit(&call, Durability::Sync).unwrap()().unwrap(), Err(Conflict(Some(1))), "{call:?}");
    }
    let free = putting::<S>(&S::id("free", 0), 2, Some(Expect::Version(1)));
    assert_eq!(perform(&store, &free), Err(Conflict(None)));
    assert_eq!(store.last_seq(), 1);
    holds(&store, &[row::<S>(&seat, 1, 1)]);

    let removal = Call::Remove(seat.clone(), Some(Expect::Version(2)));
    assert_eq!(perform(&store, &put(3, Expect::Version(1))).unwrap()[0].version(), 2);
    assert_eq!(perform(&store, &removal), Ok(vec![Changed::Removed(seat.clone(), 3)]));
    assert_eq!(perform(&store, &removal), Err(Conflict(None)));
    assert_eq!(perform(&store, &put(4, Expect::Absent)).unwrap()[0].version(), 4);
}

/// # Panics
/// Where the store breaks it.
pub fn of_many_who_want_a_place_one_gets_it<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    let place = S::id("room", 0);
    let got: Vec<bool> = std::thread::scope(|scope| {
        let want = |n| {
            let (store, place) = (&store, &place);
            scope.spawn(move || perform(store, &putting::<S>(place, n, Some(Expect::Absent))).is_ok())
        };
        let all: Vec<_> = (0..6).map(want).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(got.iter().filter(|got| **got).count(), 1);
    let who = got.iter().position(|got| *got).unwrap();
    holds(&store, &[row::<S>(&place, 1, who as u64)]);
}

/// # Panics
/// Where the store breaks it.
pub fn a_batch_is_there_as_a_whole_or_not_at_all<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    let [to, from, gone, never] = ["to", "from", "gone", "never"].map(|key| S::id(key, S::PER_KEY - 1));
    put(&store, &from, 1);
    put(&store, &gone, 1);
    let moving = |version| {
        Call::Batch(vec![
            putting::<S>(&to, 1, Some(Expect::Absent)),
            putting::<S>(&to, 2, None),
            Call::Remove(from.clone(), Some(Expect::Version(version))),
            Call::RemoveKey("gone".to_owned()),
            Call::Remove(never.clone(), None),
        ])
    };
    assert_eq!(perform(&store, &moving(2)), Err(Conflict(Some(1))));
    holds(&store, &[row::<S>(&from, 1, 1), row::<S>(&gone, 1, 1)]);
    assert_eq!(store.last_seq(), 2);

    let mut made = vec![
        Changed::Put(to.clone(), 1),
        Changed::Put(to.clone(), 2),
        Changed::Removed(from.clone(), 2),
        Changed::Removed(gone.clone(), 2),
    ];
    made.sort();
    assert_eq!(perform(&store, &moving(1)), Ok(made));
    assert_eq!(perform(&store, &Call::Batch(Vec::new())), Ok(vec![]));
    everywhere(store, dir.path(), |store| {
        holds(store, &[row::<S>(&to, 2, 2)]);
        assert!(versions(store, &to).is_none_or(|versions| versions == [1, 2]), "each write of the batch is kept");
    });
}

/// One thread has many writes under way; then there is a way to each of them.
///
/// # Panics
/// Where the store breaks it.
pub fn what_there_is_can_be_looked_through<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    let id = |n: u64| S::id(&format!("{}/{n:03}", if n < 100 { "hall" } else { "room" }), n % S::PER_KEY);
    let tickets: Vec<_> =
        (0..300).map(|n| store.submit(&putting::<S>(&id(n), n, None), Durability::Sync).unwrap()).collect();
    for (n, ticket) in (0..).zip(tickets) {
        assert_eq!(ticket().unwrap(), Ok(vec![Changed::Put(id(n), 1)]));
    }
    assert_eq!(store.durable_seq(), 300);
    perform(&store, &Call::Remove(id(0), None)).unwrap();
    let rows: Vec<Row> = (1..300).map(|n| row::<S>(&id(n), 1, n)).collect();
    everywhere(store, dir.path(), |store| {
        assert_eq!(store.rows("").unwrap(), rows);
        assert_eq!(store.rows("hall/").unwrap(), rows[..99]);
        assert_eq!(store.rows("room/2").unwrap(), rows[199..]);
        let keys: Vec<&str> = rows.iter().map(|row| &*row.0.0).collect();
        assert_eq!(store.keys("").unwrap(), keys);
        assert_eq!(store.keys("hall/").unwrap(), keys[..99]);
        assert!(store.keys("nowhere").unwrap().is_empty() && store.rows("Room").unwrap().is_empty());
    });
}

/// # Panics
/// Where the store breaks it.
pub fn each_change_is_told_to_a_subscriber_once<S: Subject>() {
    let dir = tempfile::tempdir().unwrap();
    let store: S = open(dir.path());
    let (a, b) = (S::id("a", 0), S::id("b", S::PER_KEY - 1));
    put(&store, &a, 1);
    let from_now = store.follow(None).unwrap();
    let from_first = store.follow(Some(0)).unwrap();
    put(&store, &b, 2);
    perform(&store, &Call::Remove(a.clone(), None)).unwrap();
    assert_eq!(store.follow(Some(9)).map(drop).unwrap_err().kind(), ErrorKind::Input, "nobody was given that yet");
    let wanted = [
        (1, Changed::Put(a.clone(), 1), Some(data::<S>(&a, 1))),
        (2, Changed::Put(b.clone(), 1), Some(data::<S>(&b, 2))),
        (3, Changed::Removed(a, 2), None),
    ];
    let told = |told: persist_core::Result<_>| {
        let told: crate::subject::Told = told.unwrap();
        (told.seq, told.changed, told.data)
    };
    assert_eq!(from_first.take(3).map(told).collect::<Vec<_>>(), wanted);
    store.close().unwrap();
    assert_eq!(from_now.map(told).collect::<Vec<_>>(), wanted[1..], "it ends with the store");
}
