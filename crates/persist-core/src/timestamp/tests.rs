//! Which texts are timestamps, and how they are written.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use proptest::prelude::*;
use time::macros::{date, datetime};

use super::*;
use crate::error::ErrorKind;

fn normalized(text: &str) -> Option<String> {
    Timestamp::parse(text).map(|at| at.to_string())
}

#[test]
fn accepts_the_extended_form_in_all_its_shapes() {
    for (text, expected) in [
        ("2025-01-15", "2025-01-15T00:00:00+00:00"),
        ("2025-01-15T10:30", "2025-01-15T10:30:00+00:00"),
        ("2025-01-15t10:30", "2025-01-15T10:30:00+00:00"),
        ("2025-01-15 10:30", "2025-01-15T10:30:00+00:00"),
        ("2025-01-15T10:30Z", "2025-01-15T10:30:00+00:00"),
        ("2025-01-15T10:30:59z", "2025-01-15T10:30:59+00:00"),
        ("2025-01-15T10:30:00.5", "2025-01-15T10:30:00.500000+00:00"),
        ("2025-01-15T10:30:00,5", "2025-01-15T10:30:00.500000+00:00"),
        ("2025-01-15T10:30:00.000001Z", "2025-01-15T10:30:00.000001+00:00"),
        ("2025-01-15T10:30:00.1234569Z", "2025-01-15T10:30:00.123456+00:00"),
        ("2025-01-15T10:30:00.0000009Z", "2025-01-15T10:30:00+00:00"),
        ("2025-01-15T10:30:00+05:30", "2025-01-15T10:30:00+05:30"),
        ("2025-01-15T10:30-0530", "2025-01-15T10:30:00-05:30"),
        ("2025-01-15T10:30+05", "2025-01-15T10:30:00+05:00"),
        ("2025-01-15T10:30-00:00", "2025-01-15T10:30:00+00:00"),
        ("2025-01-15T10:30:00.25+23:59", "2025-01-15T10:30:00.250000+23:59"),
        ("2025-01-15T10:30:00-00:19:32", "2025-01-15T10:30:00-00:19:32"),
        ("2024-02-29", "2024-02-29T00:00:00+00:00"),
        ("2000-02-29", "2000-02-29T00:00:00+00:00"),
        ("0001-01-01", "0001-01-01T00:00:00+00:00"),
        ("0001-01-01T05:00+05:00", "0001-01-01T05:00:00+05:00"),
        ("9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999+00:00"),
    ] {
        assert_eq!(normalized(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn leaves_everything_else_a_string() {
    for text in [
        "",
        "2025",
        "2025-01",
        "20250115",
        "20250115T103000Z",
        "2025-W03-3",
        "2025-015",
        "+2025-01-15",
        " 2025-01-15",
        "2025-01-15 ",
        "2025-01-15T",
        "2025-01-15Z",
        "2025-01-15+00:00",
        "2025-01-15T10",
        "2025-01-15T1030",
        "2025-01-15T10:3",
        "2025-01-15  10:30",
        "2025-01-15X10:30",
        "2025-01-15T10:30:",
        "2025-01-15T10:30.5",
        "2025-01-15T10:30:00.",
        "2025-01-15T10:30:00.Z",
        "2025-01-15T10:30:00.5x",
        "2025-01-15T10:30 Z",
        "2025-01-15T10:30ZZ",
        "2025-01-15T10:30+5",
        "2025-01-15T10:30+05:3",
        "2025-01-15T10:30+05:",
        "2025-01-15T10:30+0530:15",
        "2025-01-15T10:30*05:30",
        "2025-01-15T10:30+24:00",
        "2025-01-15T10:30+05:60",
        "2025-01-15T10:30+05:30:60",
        "2025-01-15T24:00",
        "2025-01-15T10:60",
        "2025-01-15T10:30:60",
        "0000-01-01",
        "0000-12-31T23:30-01:00",
        "2025-00-15",
        "2025-13-15",
        "2025-01-00",
        "2025-01-32",
        "2025-04-31",
        "2025-02-29",
        "1900-02-29",
        "2025-1-15",
        "202a-01-15",
        "2025-01-1\u{661}",
        "２０２５-01-15",
        "0001-01-01T04:59+05:00",
        "9999-12-31T23:59-00:01",
    ] {
        assert_eq!(normalized(text), None, "{text}");
    }
}

#[test]
fn compares_by_moment() {
    let utc = Timestamp::parse("2025-01-15T10:30Z").unwrap();
    let there = Timestamp::parse("2025-01-15T11:30+01:00").unwrap();
    let later = Timestamp::parse("2025-01-15T10:31+05:00").unwrap();
    assert_eq!(utc, there);
    assert_eq!(HashSet::from([utc, there]).len(), 1);
    assert!(later < utc);
    assert_eq!((there.unix_micros(), there.offset_seconds()), (1_736_937_000_000_000, 3_600));
}

#[test]
fn keeps_to_the_years_that_have_a_text() {
    assert_eq!(Timestamp::from_unix_micros(i64::MIN).to_string(), "0001-01-01T00:00:00+00:00");
    assert_eq!(Timestamp::from_unix_micros(i64::MAX).to_string(), "9999-12-31T23:59:59.999999+00:00");
    assert_eq!(Timestamp::from_unix_micros(-1).to_string(), "1969-12-31T23:59:59.999999+00:00");
    assert_eq!(Timestamp::from(date!(-5 - 01 - 01)).to_string(), "0001-01-01T00:00:00+00:00");
    // In year 1 by UTC, in year 0 by its own clock.
    assert_eq!(Timestamp::from(datetime!(0000-12-31 23:30 -01:00)).to_string(), "0001-01-01T00:30:00+00:00");
    assert_eq!(Timestamp::from(datetime!(2025-01-02 00:00 +24:30)).to_string(), "2024-12-31T23:30:00+00:00");
}

#[test]
fn converts_from_the_time_crate() {
    assert_eq!(Timestamp::from(date!(2025 - 01 - 15)).to_string(), "2025-01-15T00:00:00+00:00");
    assert_eq!(Timestamp::from(datetime!(2025-01-15 10:30)).to_string(), "2025-01-15T10:30:00+00:00");
    let before_1970 = datetime!(1960-01-15 10:30:00.123456789 -05:30);
    assert_eq!(Timestamp::from(before_1970).to_string(), "1960-01-15T10:30:00.123456-05:30");
}

#[test]
fn names_the_text_it_refuses() {
    let error = "tomorrow".parse::<Timestamp>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("\"tomorrow\""), "{error}");
    let error = serde_json::from_str::<Timestamp>("\"tomorrow\"").unwrap_err();
    assert!(error.to_string().contains("\"tomorrow\""), "{error}");
}

#[test]
fn is_its_text_in_serde() {
    let at: Timestamp = serde_json::from_str("\"2025-01-15 10:30+01\"").unwrap();
    assert_eq!(serde_json::to_string(&at).unwrap(), "\"2025-01-15T10:30:00+01:00\"");
}

#[test]
fn every_day_of_the_calendar_has_its_own_date() {
    let day = MICROS_PER_SECOND * SECONDS_PER_DAY;
    for days in MIN_MICROS / day..=MAX_MICROS / day {
        let (year, month, day) = civil_from_days(days);
        assert!((1..=i64::from(days_in_month(year, i32::try_from(month).unwrap()))).contains(&day), "{days}");
        assert_eq!(days_from_civil(year, month, day), days);
    }
}

fn any_moment() -> impl Strategy<Value = OffsetDateTime> {
    (MIN_MICROS..=MAX_MICROS, -86_399..=86_399_i32, any::<bool>()).prop_map(|(micros, offset, whole)| {
        let micros = if whole { micros - micros.rem_euclid(MICROS_PER_SECOND) } else { micros };
        let utc = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap();
        utc.checked_to_offset(UtcOffset::from_whole_seconds(offset).unwrap()).unwrap_or(utc)
    })
}

proptest! {
    #[test]
    fn parse_undoes_display(moment in any_moment()) {
        let at = Timestamp::from(moment);
        let mut text = Vec::new();
        at.write(&mut text);
        let text = String::from_utf8(text).unwrap();
        prop_assert_eq!(&text, &at.to_string());
        let back = Timestamp::parse(&text).unwrap();
        prop_assert_eq!((back.unix_micros, back.offset_seconds), (at.unix_micros, at.offset_seconds));
    }

    /// The `time` crate is the oracle for the calendar.
    #[test]
    fn shows_the_date_the_calendar_has(moment in any_moment()) {
        let at = Timestamp::from(moment);
        let shown = at.to_offset_date_time();
        prop_assert_eq!(shown, moment);
        let (date, clock) = (shown.date(), shown.time());
        let expected = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(), u8::from(date.month()), date.day(), clock.hour(), clock.minute(), clock.second(),
        );
        prop_assert!(at.to_string().starts_with(&expected), "{at} {expected}");
    }

    #[test]
    fn accepts_only_what_it_can_write_back(text in "[0-9]{4}-[01][0-9]-[0-3][0-9]([Tt ][0-2][0-9]:[0-6][0-9](:[0-6][0-9]([.,][0-9]{1,8})?)?([Zz]|[+-][0-2][0-9](:?[0-6][0-9])?)?)?") {
        if let Some(at) = Timestamp::parse(&text) {
            let back = Timestamp::parse(&at.to_string()).unwrap();
            prop_assert_eq!((back.unix_micros, back.offset_seconds), (at.unix_micros, at.offset_seconds));
        }
    }

    #[test]
    fn any_text_is_taken_or_left(text in any::<String>()) {
        let _ = Timestamp::parse(&text);
    }
}
