//! The example, as the documents tell to run it.

use persist_test_utils::example_program;
use serde_json::json;

use crate::files;

#[test]
fn basic_stores_dies_recovers_and_verifies_and_can_be_run_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "stays").unwrap();
    for _ in 0..2 {
        let output = example_program("kv-basic").arg(dir.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        for written in [50, 100, 150, 200, 250] {
            assert!(text.contains(&format!("\n{written} writes: ")) || text.starts_with("50 writes: "), "{text}");
        }
        assert!(text.contains("\nflushed: 0 not flushed\n") && text.contains(" not flushed; aborting\n"), "{text}");
        // What a checkpoint covered by then is not replayed.
        let (_, report) = text.split_once("restarted: ").expect(&text);
        let numbers = report.split([' ', ',']).filter_map(|word| word.parse().ok());
        let numbers: Vec<u64> = numbers.take(2).collect();
        assert_eq!(numbers[0] + numbers[1], 250, "{text}");

        let users = dir.path().join("users");
        assert_eq!(files(&users.join("storage")), [".lock", "status.json", "store.json"]);
        let config = persist_kv::KvConfig::new(users.join("storage"));
        let store = persist_kv::KvStore::open(users.join("data.duckdb"), config).unwrap();
        let written = store.query("SELECT sum(version)::BIGINT AS n FROM storage").unwrap();
        assert_eq!(written.get(0, "n"), Some(&json!(250)));
        assert!(text.ends_with(&format!("all {} records are there, in memory and in DuckDB\n", store.len())), "{text}");
    }
    assert!(dir.path().join("mine").is_file());
}
