//! Seats thirty students, each seat once, moves one of them, and counts by SQL.
//!
//! ```sh
//! cargo run -p persist-collection --example collection-seating
//! ```
//!
//! A folder may be named behind `--`; else it is `target/example-collection-seating`. The store of an earlier run is
//! removed.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;

use persist_collection::{CollectionConfig, CollectionStore, ErrorKind};
use persist_test_utils::example_folder;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = example_folder(std::env::args().nth(1), "collection-seating")?;
    let base = dir.join("seating");
    let _ = fs::remove_dir_all(&base);

    let store = CollectionStore::open("2025-12-24", CollectionConfig::new(&base))?;
    let student = |number: u32| json!({"student_id": format!("STU{}", 1000 + number), "assigned_by": "teacher_smith"});
    // All writes under way at once.
    let seats: Vec<_> = (1..=30)
        .map(|number| {
            let seat = format!("seat_{number}");
            let put = store.put("classroom_seating").collection("room_a").item(&seat);
            put.if_absent().value(number).submit(&student(number))
        })
        .collect::<Result<_, _>>()?;
    for seat in seats {
        seat.wait()?;
    }
    println!("{} seats taken", store.get_key_in("classroom_seating", "room_a")?.len());

    let late = store.put("classroom_seating").collection("room_a").item("seat_12").if_absent();
    match late.value(12).data(&student(99)) {
        Err(error) if error.kind() == ErrorKind::Conflict => println!("seat_12 is taken"),
        other => return Err(format!("a conflict was expected: {other:?}").into()),
    }

    // A student moves: out of the one seat and into the other, or neither.
    let mut move_over = store.batch();
    move_over.remove_item_if_version("classroom_seating", "room_a", "seat_12", 1);
    move_over.put("classroom_seating").collection("room_b").item("seat_1").if_absent().value(1).data(&student(12))?;
    move_over.commit()?;
    let rooms = "SELECT collection_name AS room, count(*) AS seats FROM storage_latest GROUP BY ALL ORDER BY ALL";
    println!("{}", store.query(rooms)?);
    println!("seat_12 was written {} times", store.history("classroom_seating", "room_a", "seat_12")?.len());
    store.close()?;
    Ok(())
}
