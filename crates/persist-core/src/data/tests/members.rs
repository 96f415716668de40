//! Taking normalized text apart again.

use super::*;
use crate::data::{is_name, members};

#[test]
fn members_are_the_parts_of_the_object() {
    let json = r#"{"a":1,"b\"":"x\"},{","c":{"d":[1,{"e":"]"}]},"f":[],"":null,"g":-1.5e3}"#;
    assert_eq!(plain(json).text, json);
    let found: Vec<_> = members(json).collect();
    assert_eq!(
        found,
        [
            ("a", "1"),
            (r#"b\""#, r#""x\"},{""#),
            ("c", r#"{"d":[1,{"e":"]"}]}"#),
            ("f", "[]"),
            ("", "null"),
            ("g", "-1.5e3")
        ]
    );
    assert_eq!(members("{}").next(), None);
}

#[test]
fn members_of_garbage_end_early() {
    for (json, count) in [
        ("", 0),
        ("[]", 0),
        ("{", 0),
        ("{\"", 0),
        ("{\"a\"", 0),
        ("{\"a\":", 0),
        ("{\"a\":}", 0),
        ("{\"a\":1", 0),
        ("{\"a\":1}x", 0),
        ("{\"a\":1,", 1),
        ("{\"a\":1,}", 1),
        ("{\"a\":1,\"b\":[", 1),
        ("{\"a\":1,\"b\":\"\\", 1),
        ("{\"a\":[1]],\"b\":1}", 0),
    ] {
        assert_eq!(members(json).count(), count, "{json}");
    }
}

#[test]
fn a_name_is_the_same_with_and_without_escapes() {
    assert!(is_name("status", "status"));
    assert!(is_name(r"\u0073tatus", "status"));
    assert!(is_name(r#"a\"b"#, "a\"b"));
    assert!(!is_name("status_int", "status"));
    assert!(!is_name(r"\u0074tatus", "status"));
    assert!(!is_name(r"\x", ""));
}
