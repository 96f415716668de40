//! The checks see what they are there to see.

use persist_dated::DatedConfig;

use super::*;
use crate::flights::flight;

fn answer(airports: &[(&str, i64)]) -> Answer {
    let figures = |flights| Airport { flights, on_time: flights, ..Airport::default() };
    Answer(airports.iter().map(|(code, flights)| ((*code).to_owned(), figures(*flights))).collect())
}

fn disagreements(check: impl FnOnce(&mut Checks)) -> Vec<String> {
    let mut checks = Checks::default();
    check(&mut checks);
    checks.disagreements
}

#[test]
fn equal_figures_are_counted_and_agree() {
    let mut checks = Checks::default();
    checks.equal("rows", 7, 7);
    checks.same_answer("in DuckDB", &answer(&[("EWR", 3), ("JFK", 4)]), &answer(&[("JFK", 4), ("EWR", 3)]));
    assert_eq!((checks.made, checks.disagreements), (3, Vec::new()));
}

#[test]
fn a_figure_that_differs_is_named_with_both_values() {
    assert_eq!(disagreements(|checks| checks.equal("rows of 2013-01-04", 7, 6)), ["rows of 2013-01-04: 6 and not 7"]);
}

#[test]
fn an_airport_that_differs_is_missing_or_is_too_many_disagrees() {
    let expected = answer(&[("EWR", 3), ("JFK", 4)]);
    for (found, code) in [
        (answer(&[("EWR", 3), ("JFK", 5)]), "JFK"),
        (answer(&[("JFK", 4)]), "EWR"),
        (answer(&[("EWR", 3), ("JFK", 4), ("LGA", 1)]), "LGA"),
    ] {
        let found = disagreements(|checks| checks.same_answer("in DuckDB", &expected, &found));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found.iter().all(|line| line.starts_with(&format!("flights from {code} in DuckDB: "))), "{found:?}");
    }
}

#[test]
fn a_file_with_a_lost_row_a_doubled_row_or_a_second_version_disagrees() {
    let date = time::macros::date!(2013 - 01 - 04);
    let whole = FileRows { date, rows: 7, ids: 7, highest_version: Some(1) };
    assert_eq!(disagreements(|checks| checks.file(7, &whole)), Vec::<String>::new());
    for (found, expected) in [
        (FileRows { rows: 6, ..whole }, "rows in DuckDB of 2013-01-04: 6 and not 7"),
        (FileRows { ids: 6, ..whole }, "ids in DuckDB of 2013-01-04: 6 and not 7"),
        (FileRows { highest_version: Some(2), ..whole }, "highest version of 2013-01-04: Some(2) and not Some(1)"),
    ] {
        assert_eq!(disagreements(|checks| checks.file(7, &found)), [expected]);
    }
}

#[test]
fn a_store_that_lacks_a_flight_has_another_or_wrote_one_twice_disagrees() -> Result<(), Error> {
    let dir = tempfile::tempdir().map_err(|error| Error::Io(error.to_string()))?;
    let flights = flight::tests::some(4);
    let [first, second, third, _] = flights.as_slice() else { return Err(Error::Panicked) };
    let store = DatedStore::open(first.date, DatedConfig::new(dir.path()))?;
    first.store(&store)?;
    second.store(&store)?;
    second.store(&store)?;
    store.put(&third.key).process(&third.origin).data(&serde_json::json!({"status": "late"}))?;
    let mut checks = Checks::default();
    checks.store(&store, &flights)?;
    assert_eq!(
        checks.disagreements,
        [
            "records of 2013-01-01: 3 and not 4",
            "records of 2013-01-01 read back as stored: 1 and not 4",
            "rows of 2013-01-01 while open: 3 and not 4",
        ]
    );
    store.close()?;
    Ok(())
}

#[test]
fn the_csv_the_store_and_its_file_give_one_answer() -> Result<(), Error> {
    let dir = tempfile::tempdir().map_err(|error| Error::Io(error.to_string()))?;
    let flights = flight::tests::some(3);
    let Some(first) = flights.first() else { return Err(Error::Panicked) };
    let store = DatedStore::open(first.date, DatedConfig::new(dir.path()))?;
    for flight in &flights {
        flight.store(&store)?;
    }
    let expected = Answer::of_flights(&flights);
    assert_eq!(Answer::of_store(&store)?, expected);
    let file = store.dir().join("data.duckdb");
    store.close()?;
    let files = Files::open(&[(first.date, file)])?;
    assert_eq!(files.answer()?, expected);
    assert_eq!(files.rows()?, [FileRows { date: first.date, rows: 3, ids: 3, highest_version: Some(1) }]);
    Ok(())
}
