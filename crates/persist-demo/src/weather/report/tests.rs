//! The tables as they are printed.

use super::*;
use crate::weather::expected::Measure;

#[test]
fn the_tables_are_aligned_and_end_with_the_verdict() {
    let temp = Measure { hours: 1200, lowest: -3.5, highest: 39.02, hundredths: 120_000 };
    let compared = |what: &str, expected: &str, found: &str| Compared {
        what: what.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
    };
    let outcome = Outcome {
        csv: "weather.csv".into(),
        dates: 7,
        airports: 3,
        writes: 2971,
        one_writer: None,
        many_writers: Some(Writes {
            writers: 3,
            writes: 1000,
            seconds: 0.1,
            per_second: 10_000.4,
            p50_micros: 99.5,
            p99_micros: 1234.5,
        }),
        crash: Crash {
            date: time::macros::date!(2013 - 01 - 04),
            acknowledged: 1479,
            flushed: 1000,
            recovered: 481,
            log_bytes: 1,
            left_out_bytes: 0,
            recovery_seconds: 0.0015,
            recovered_per_second: 987_333.4,
            opened_in_seconds: 0.1,
        },
        measures: [("EWR".to_owned(), [("temp".to_owned(), temp)].into())].into(),
        compared: vec![compared("history rows", "2,971", "2,970"), compared("latest rows", "18", "18")],
        checks: Checks { made: 2, disagreements: vec!["history rows: 2,970 and not 2,971".to_owned()] },
        kept: Some("/stores".into()),
        seconds: 1.25,
    };
    let expected = "\
writes stored                 2,971  one for each measure and hour, on 7 dates, in 1.2 s
durable writes/s, 1 writer        -  too few dates
durable writes/s, 3 writers  10,000  p50 100 µs, p99 1,234 µs, of 1,000 writes
acknowledged by the child     1,479  when it aborted in the middle of 2013-01-04
recovered after it              481  in 1.5 ms: 987,333 records/s; 1,000 were in DuckDB

the weather by airport
airport  measure  hours  lowest  mean  highest
EWR      temp     1,200   -3.50  1.00    39.02

compared      expected  found
history rows     2,971  2,970
latest rows         18     18

the stores are in /stores
disagreement: history rows: 2,970 and not 2,971
1 of 2 counts disagree";
    assert_eq!(table(&outcome), expected);
}
