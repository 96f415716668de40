//! Saves a form whole, corrects it, and refuses a correction that was made on an older state of it.
//!
//! ```sh
//! cargo run -p persist-collection --example collection-form
//! ```
//!
//! A folder may be named behind `--`; else it is `target/example-collection-form`. The store of an earlier run is removed.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;

use persist_collection::{CollectionConfig, CollectionStore, ErrorKind};
use persist_test_utils::example_folder;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = example_folder(std::env::args().nth(1), "collection-form")?;
    let base = dir.join("forms");
    let _ = fs::remove_dir_all(&base);

    let store = CollectionStore::open("2025-12-24", CollectionConfig::new(&base))?;
    let fields: [(&str, Value); 5] = [
        ("full_name", json!("John Doe")),
        ("email", json!("john@example.com")),
        ("phone", json!("555-1234")),
        ("age", json!(32)),
        ("subscribe", json!(true)),
    ];
    // All fields, or after a crash none.
    let mut form = store.batch();
    for (name, value) in &fields {
        let label = json!({"label": title(name)});
        form.put("registration_form").collection("user_input").item(name).value(value).data(&label)?;
    }
    println!("{} fields saved", form.commit()?.len());

    // Two people have read the form. The second correction rests on what is no longer there.
    let phone = |number| store.put("registration_form").collection("user_input").item("phone").value(number);
    phone("555-9999").if_version(1).data(&json!({"label": "Phone"}))?;
    match phone("555-0000").if_version(1).data(&json!({"label": "Phone"})) {
        Err(error) if error.kind() == ErrorKind::Conflict => println!("refused: {error}"),
        other => return Err(format!("a conflict was expected: {other:?}").into()),
    }

    for (name, field) in store.get_key_in("registration_form", "user_input")? {
        println!("{name}: {:?}", field.typed_value());
    }
    store.close()?;
    Ok(())
}

/// The label of a field: `full_name` is `Full Name`.
fn title(name: &str) -> String {
    let capital = |word: &str| word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect();
    name.split('_').map(capital).collect::<Vec<String>>().join(" ")
}
