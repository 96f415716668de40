//! What a query takes out of the tables ahead of a merge.

use super::*;

/// How many rows base and delta really have.
fn stored(database: &Database) -> (u64, u64) {
    let count = |table: String| {
        let sql = format!("SELECT count(*) FROM {table}");
        database.connect().unwrap().query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    (count(database.base()), count(database.appended()))
}

/// A base of 100 ids, of which 50 were written again, 10 of these twice.
fn with_hidden_rows() -> (TempDir, Database, Appender) {
    let (dir, database, mut appender) = new_database();
    appender.append(&(1..=100).map(|n| numbered(n, n)).collect::<Vec<_>>(), 100, AT).unwrap();
    database.merge().unwrap();
    appender.append(&(1..=50).map(|n| numbered(n, 100 + n)).collect::<Vec<_>>(), 150, AT).unwrap();
    appender.append(&(1..=10).map(|n| numbered(n, 150 + n)).collect::<Vec<_>>(), 160, AT).unwrap();
    (dir, database, appender)
}

#[test]
fn a_query_takes_out_what_is_hidden_and_shows_what_a_load_does() {
    let (_dir, database, mut appender) = with_hidden_rows();
    let expected = loaded(&database);
    assert_eq!((expected.len(), stored(&database)), (100, (100, 60)));
    assert_eq!(queried(&database), expected);
    assert_eq!(stored(&database), (100, 60), "beside somebody who writes it would never pay");
    assert_eq!(queried(&database), expected);
    assert_eq!(stored(&database), (50, 50));
    assert_eq!((loaded(&database), queried(&database)), (expected.clone(), expected));

    // Another of the base, one of the delta, one that is new, and a removal of each.
    appender.append(&[numbered(60, 161), numbered(1, 162), numbered(101, 163)], 163, AT).unwrap();
    meddle(
        &database,
        "INSERT INTO storage_delta (key, persist_seq, persist_op) VALUES ('k61', 164, 1), ('k2', 165, 1)",
    );
    let expected = loaded(&database);
    assert_eq!(expected.len(), 99);
    assert_eq!((queried(&database), queried(&database)), (expected.clone(), expected.clone()));
    assert_eq!(stored(&database), (48, 53));

    database.merge().unwrap();
    assert_eq!(stored(&database), (99, 0));
    assert_eq!((loaded(&database), queried(&database)), (expected.clone(), expected));
}

#[test]
fn what_can_not_be_taken_out_is_hidden_all_the_same() {
    let (_dir, database, mut appender) = with_hidden_rows();
    let expected = loaded(&database);
    let merging = database.upkeep.lock();
    assert_eq!(queried(&database), expected);
    assert_eq!(stored(&database), (100, 60));
    drop(merging);
    assert_eq!(queried(&database), expected);

    appender.append(&[numbered(1, 161), numbered(60, 162)], 162, AT).unwrap();
    let expected = loaded(&database);
    let _merging = database.upkeep.lock();
    assert_eq!(queried(&database), expected);
    assert_eq!(stored(&database), (50, 52));
}
