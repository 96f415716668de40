//! The verbs that wait without blocking a thread.

use persist_kv::ErrorKind;
use serde_json::json;

use crate::open;

#[test]
fn writes_can_be_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let record = store.put("k").if_absent().data_async(&json!({"n": 1})).await.unwrap();
        assert_eq!((record.version(), store.stats().durable_seq), (1, 1));
        let conflict = store.put("k").if_absent().data_async(&json!({"n": 2})).await.unwrap_err();
        assert_eq!(conflict.kind(), ErrorKind::Conflict);
        let mut batch = store.batch();
        batch.put("l").data(&json!({})).unwrap();
        batch.remove("k");
        assert_eq!(batch.commit_async().await.unwrap().len(), 2);
        assert_eq!(store.put("m").submit(&json!({})).unwrap().await.unwrap().key(), "m");
        store.sync_async().await.unwrap();
        assert_eq!(store.stats().durable_seq, 4);
    });
    assert!(!store.contains("k") && store.contains("l"));
}
