//! `history`, `as-of`.

use serde_json::json;

use crate::command::{Scratch, collection, kv, persist};

#[test]
fn the_history_of_an_item_has_every_write_and_its_removal() {
    let scratch = Scratch::new();
    let store = collection(&scratch.path());
    store.remove_item("ada", "info", "age").unwrap();
    store.close().unwrap();
    let args = ["history", &scratch.arg(), "ada", "--collection", "info", "--item", "age"];
    let writes = persist(args.iter().copied().chain(["--json"])).json();
    let found: Vec<_> = writes["writes"].as_array().unwrap().iter().map(|write| &write["value"]).collect();
    assert_eq!(found, [&json!(32), &json!(33), &json!(null)]);
    assert_eq!(writes["writes"][2]["data"], json!(null));
    let text = persist(args);
    assert_eq!(text.out.lines().count(), 5, "{text:?}");
    assert!(text.out.contains("(removed)"), "{text:?}");
    let none = persist(["history", &scratch.arg(), "nobody"]);
    assert_eq!((none.code, none.out.as_str()), (1, ""), "{none:?}");
}

#[test]
fn as_of_a_moment_the_items_are_as_they_stood_then() {
    let scratch = Scratch::new();
    collection(&scratch.path()).close().unwrap();
    let path = scratch.arg();
    let values = |args: &[&str]| {
        let answer = persist([&["as-of", &path, "--json"], args].concat()).json();
        let records = answer["records"].as_array().unwrap().clone();
        records.into_iter().map(|record| record["value"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(values(&["2025-12-01T12:00:00"]), [32]);
    assert_eq!(values(&["2025-12-10"]), [32, 4]);
    assert_eq!(values(&["2025-12-20"]), [33, 4]);
    assert_eq!(values(&["2025-12-20", "--written"]), Vec::<i64>::new(), "nothing had been written by then");
    let wrong = persist(["as-of", &path, "yesterday"]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.err.contains("yesterday"), "{wrong:?}");
}

#[test]
fn another_store_has_no_past_and_says_so() {
    let scratch = Scratch::new();
    kv(&scratch.path()).close().unwrap();
    let ran = persist(["history", &scratch.arg(), "user_1"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("persist wal cat"), "{ran:?}");
}
