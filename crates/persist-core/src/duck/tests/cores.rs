//! How many threads DuckDB has for what.

use super::*;

/// What the instance has now, asked past everything that changes it.
fn threads(database: &Database) -> u64 {
    let connection = database.connect().unwrap();
    connection.query_row("SELECT current_setting('threads')::UBIGINT", [], |row| row.get(0)).unwrap()
}

fn threads_of_a_query(database: &Database) -> u64 {
    database
        .query("SELECT current_setting('threads')::UBIGINT AS threads")
        .unwrap()
        .get(0, "threads")
        .unwrap()
        .as_u64()
        .unwrap()
}

#[test]
fn a_query_has_all_cores_and_what_goes_on_beside_writers_has_one() {
    let (_dir, database, mut appender) = new_database();
    let all = threads(&database);
    assert_eq!(all, std::thread::available_parallelism().unwrap().get() as u64);
    appender.append(&[numbered(1, 1)], 1, AT).unwrap();
    assert_eq!(threads(&database), 1);
    assert_eq!(threads_of_a_query(&database), all);
    database.merge().unwrap();
    assert_eq!(threads(&database), 1);
    assert_eq!(loaded(&database).len(), 1);
    assert_eq!(threads(&database), all);
    assert!(database.checkpoint(&Disk).unwrap());
    assert_eq!(threads(&database), 1);
}

#[test]
fn no_flush_takes_cores_from_a_query() {
    let (_dir, database, mut appender) = new_database();
    let all = threads(&database);
    let query = database.cores.all();
    appender.append(&[numbered(1, 1)], 1, AT).unwrap();
    assert_eq!(threads(&database), all);
    drop(query);
    appender.append(&[numbered(2, 2)], 2, AT).unwrap();
    assert_eq!(threads(&database), 1);
    let merge = database.cores.one();
    assert_eq!(threads_of_a_query(&database), all);
    drop(merge);
}
