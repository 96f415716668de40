//! Keeps a profile: items with values of several types, their changes, and what they were before.
//!
//! ```sh
//! cargo run -p persist-collection --example collection-profile
//! ```
//!
//! A folder may be named behind `--`; else it is `target/example-collection-profile`. The store of an earlier run is
//! removed.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;
use std::time::Duration;

use persist_collection::{CollectionConfig, CollectionStore, Scalar};
use persist_test_utils::example_folder;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = example_folder(std::env::args().nth(1), "collection-profile")?;
    let base = dir.join("my_storage");
    let _ = fs::remove_dir_all(&base);

    // All but the folder are the defaults.
    let config = CollectionConfig::new(&base)
        .max_wal_size_bytes(10 * 1024 * 1024)
        .batch_size(1000)
        .flush_interval(Duration::from_secs(30))
        .retain_days(5);
    let store = CollectionStore::open("2025-12-24", config)?;
    let put = |item| store.put("user_profile").collection("personal_info").item(item);
    let age = json!({"label": "Age", "status": "valid", "username": "john_doe", "timestamp": "2025-12-01T09:00:00"});
    put("age").value(32).data(&age)?;
    put("height").value(1.75).data(&json!({"label": "Height"}))?;
    put("city").value("Ulm").data(&json!({"label": "City"}))?;
    // A birthday.
    put("age").value(33).timestamp("2025-12-20T09:00:00").data(&json!({"label": "Age"}))?;

    for (name, item) in store.get_key_in("user_profile", "personal_info")? {
        println!("{name}: {:?}, version {}", item.typed_value(), item.version());
    }
    let age = store.get_item("user_profile", "personal_info", "age")?.ok_or("there is no age")?;
    if let Some(Scalar::Int(years)) = age.typed_value() {
        println!("{}: {years}", age.field::<String>("label")?.unwrap_or_default());
    }
    println!(
        "{}",
        store.query("SELECT item_name, value_int, value_float, value_string FROM storage_latest ORDER BY ALL")?
    );

    for change in store.history("user_profile", "personal_info", "age")? {
        let Some(record) = change.record() else { continue };
        println!("age, version {}: {:?}", record.version(), record.typed_value());
    }
    let then = store.as_of("2025-12-10")?;
    let age = then.iter().find(|record| record.part().item() == "age").ok_or("there was no age then")?;
    println!("on 2025-12-10: {:?}", age.typed_value());
    store.close()?;
    Ok(())
}
