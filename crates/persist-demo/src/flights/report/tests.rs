//! The table as it is printed.

use std::process::ExitCode;

use super::*;
use crate::flights::answer::Airport;

fn outcome(disagreements: &[&str]) -> Outcome {
    let figures = Airport {
        flights: 1200,
        on_time: 890,
        late: 300,
        cancelled: 10,
        arrived: 1100,
        delay_minutes: -550,
        seconds: 0,
    };
    Outcome {
        csv: "flights.csv".into(),
        dates: 7,
        flights: 1234,
        records_stored: 1234,
        one_writer: Some(Writes {
            writers: 1,
            writes: 1000,
            seconds: 0.1,
            per_second: 10_000.4,
            p50_micros: 99.5,
            p99_micros: 1234.5,
        }),
        many_writers: None,
        crash: None,
        rows_in_duckdb: 1234,
        exported: crate::flights::exported::Exported { files: 21, rows: 1234, ..Default::default() },
        airports: Answer([("EWR".to_owned(), figures)].into()),
        checks: Checks { made: 73, disagreements: disagreements.iter().map(|line| (*line).to_owned()).collect() },
        kept: None,
        seconds: 1.25,
    }
}

#[test]
fn the_table_is_aligned_and_ends_with_the_verdict() {
    let expected = "\
records stored                1,234  of 1,234 flights, on 7 dates, in 1.2 s
durable writes/s, 1 writer   10,000  p50 100 µs, p99 1,234 µs, of 1,000 writes
durable writes/s, 8 writers       -  too few flights
rows in DuckDB                1,234  in 7 closed files
rows exported                 1,234  in 21 Parquet files

late flights by airport
airport  flights  late          cancelled  mean delay
EWR        1,200   300  25.0 %         10    -0.5 min

all counts agree";
    assert_eq!(table(&outcome(&[])), expected);
    assert_eq!(outcome(&[]).checks.exit_code(), ExitCode::SUCCESS);
}

#[test]
fn a_disagreement_is_said_and_fails_the_run() {
    let outcome = outcome(&["rows in DuckDB: 6 and not 7"]);
    let text = table(&outcome);
    assert!(text.ends_with("\n\ndisagreement: rows in DuckDB: 6 and not 7\n1 of 73 counts disagree"), "{text}");
    assert_eq!(outcome.checks.exit_code(), ExitCode::FAILURE);
}
