//! Stores in an asynchronous runtime of a single thread: many writes wait at once, and the thread is never held up.

use std::sync::Arc;
use std::time::Duration;

use persist_dated::{DatedConfig, DatedStore, Durability, ErrorKind};
use persist_test_utils::copy_as_crash_leaves_it;
use serde_json::json;
use tokio::time::{Instant, interval};

fn open(dir: &std::path::Path) -> DatedStore {
    let config = DatedConfig::new(dir).batch_size(1_000_000).flush_interval(Duration::from_secs(3600));
    // Small segments, so that writes have to wait for space again and again.
    DatedStore::open("2025-01-15", config.max_wal_size_bytes(64 * 1024)).unwrap()
}

#[tokio::test]
async fn a_thousand_writes_wait_together_and_hold_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    let longest = tokio::spawn(async {
        let (mut beat, mut longest) = (interval(Duration::from_millis(1)), Duration::ZERO);
        for _ in 0..100 {
            let start = Instant::now();
            beat.tick().await;
            longest = longest.max(start.elapsed());
        }
        longest
    });
    let before = store.stats();
    let write = |n: u32| {
        let store = Arc::clone(&store);
        async move {
            let durability = if n.is_multiple_of(3) { Durability::Os } else { Durability::Sync };
            store.put(&format!("k{n}")).durability(durability).data_async(&json!({"n": n})).await.unwrap()
        }
    };
    let writes: Vec<_> = (0..1000).map(|n| tokio::spawn(write(n))).collect();
    for (n, write) in writes.into_iter().enumerate() {
        assert_eq!(write.await.unwrap().field::<usize>("n").unwrap(), Some(n));
    }
    store.sync_async().await.unwrap();
    let after = store.stats();
    assert_eq!((after.writes - before.writes, after.durable_seq), (1000, 1000));
    assert!(after.syncs - before.syncs < 500, "{} syncs for 1000 writes", after.syncs - before.syncs);
    let longest = longest.await.unwrap();
    assert!(longest < Duration::from_secs(5), "the runtime stood still for {longest:?}");
    let next = tempfile::tempdir().unwrap();
    copy_as_crash_leaves_it(dir.path(), next.path());
    assert_eq!(open(next.path()).len(), 1000);
}

#[tokio::test]
async fn batches_conflicts_and_tickets_are_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = store.batch();
    for n in 0..10 {
        batch.put(&format!("k{n}")).if_absent().data(&json!({"n": n})).unwrap();
    }
    assert_eq!(batch.commit_async().await.unwrap().len(), 10);
    let error = store.put("k1").if_absent().data_async(&json!({})).await.unwrap_err();
    assert_eq!((error.kind(), error.present_version()), (ErrorKind::Conflict, Some(1)));
    let record = store.put("k1").if_version(1).submit(&json!({"n": 2})).unwrap().await.unwrap();
    assert_eq!(record.version(), 2);
    // A batch that needs more space than there is waits for it on another thread.
    let mut batch = store.batch();
    let long = "x".repeat(100_000);
    (0..20).for_each(|n| batch.put(&format!("long{n}")).data(&json!({"text": long})).unwrap());
    assert_eq!(batch.commit_async().await.unwrap().len(), 20);
    // One that is given up is made or not, never half.
    let mut batch = store.batch();
    (0..20).for_each(|n| batch.put(&format!("given up{n}")).data(&json!({"text": long})).unwrap());
    drop(tokio::time::timeout(Duration::from_micros(1), batch.commit_async()).await);
    store.sync_async().await.unwrap();
    store.close().unwrap();
    let count = open(dir.path()).keys_with_prefix("given up").count();
    assert!(count == 0 || count == 20, "{count} of 20");
}
