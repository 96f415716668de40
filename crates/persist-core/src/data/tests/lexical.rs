//! What strings, numbers and names come out as.

use std::collections::BTreeSet;

use super::*;
use crate::data::{quote, unescape};

#[test]
fn blanks_go_and_everything_else_stays() {
    let given =
        " {\n\t\"a b\" : [ 1 , { } , [ ] ,\r\n\" x \" ] ,\"c\":{ \"d\" : null , \"e\" :true,\"f\": false } } \n";
    assert_eq!(plain(given).text, r#"{"a b":[1,{},[]," x "],"c":{"d":null,"e":true,"f":false}}"#);
    assert_eq!(plain("{ }").text, "{}");
}

#[test]
fn numbers_and_escapes_come_back_as_written() {
    let given = concat!(
        r#"{"n":[123456789012345678901234567890,-0,-0.0,1e400,1E+2,0.10,0.1234567890123456789012345678901234567890],"#,
        r#""s":"\u00e9\/\"\\\b\f\n\r\t\u0000\ud83d\ude00é😀"}"#
    );
    assert_eq!(plain(given).text, given);
}

#[test]
fn timestamps_are_normalized_at_any_depth() {
    assert_eq!(
        plain(r#"{"a":"2025-01-15","b":[{"c":"2025-01-15 10:30+01"},["2025-01-15T10:30Z"]],"d":"20250115","2025-01-15":1}"#)
            .text,
        concat!(
            r#"{"a":"2025-01-15T00:00:00+00:00","b":[{"c":"2025-01-15T10:30:00+01:00"},["2025-01-15T10:30:00+00:00"]],"#,
            r#""d":"20250115","2025-01-15":1}"#
        )
    );
}

#[test]
fn a_timestamp_written_with_escapes_is_one() {
    assert_eq!(plain(r#"{"a":"2025-01-15T10\u003a30"}"#).text, r#"{"a":"2025-01-15T10:30:00+00:00"}"#);
    assert_eq!(plain(r#"{"a":"\u0032025-01-15"}"#).text, r#"{"a":"2025-01-15T00:00:00+00:00"}"#);
    assert_eq!(plain(r#"{"a":"2025-01-15\n"}"#).text, r#"{"a":"2025-01-15\n"}"#);
}

#[test]
fn a_policy_can_name_the_fields_or_none() {
    let given = r#"{"due":"2025-01-15","note":"2025-01-15","legs":[{"due":["2025-01-15",{"x":"2025-01-15"}]}]}"#;
    assert_eq!(under(TimestampPolicy::Off, given), given);
    assert_eq!(
        under(TimestampPolicy::Fields(BTreeSet::from(["due".into()])), given),
        concat!(
            r#"{"due":"2025-01-15T00:00:00+00:00","note":"2025-01-15","#,
            r#""legs":[{"due":["2025-01-15T00:00:00+00:00",{"x":"2025-01-15"}]}]}"#
        )
    );
}

#[test]
fn unescape_reads_every_escape() {
    assert_eq!(unescape(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00x""#).as_deref(), Some("\"\\/\u{8}\u{c}\n\r\té😀x"));
    assert_eq!(unescape(r#""""#).as_deref(), Some(""));
    for wrong in ["", "\"", "a", "\"a", "a\"", "\"a\"b", r#""\x""#, r#""\u12""#, r#""\ud800""#, "\"\n\"", r#""\"#] {
        assert_eq!(unescape(wrong), None, "{wrong}");
    }
}

#[test]
fn quote_escapes_as_serde_json_does() {
    let all: String = (0..0x250).filter_map(char::from_u32).chain("😀\u{2028}".chars()).collect();
    let mut quoted = String::new();
    quote(&all, &mut quoted);
    assert_eq!(quoted, serde_json::to_string(&all).unwrap());
}
