//! What is refused, and with which words.

use super::*;

#[test]
fn what_is_no_object() {
    for json in ["", " ", "[]", "1", "\"a\"", "null", "\u{feff}{}"] {
        assert_eq!(refusal(json), "data is not a JSON object", "{json}");
    }
}

#[test]
fn malformed_json_at_its_byte() {
    for (json, byte) in [
        ("{", 1),
        ("{}x", 2),
        ("{}{}", 2),
        ("{,}", 1),
        ("{a:1}", 1),
        ("{\"a\"}", 4),
        ("{\"a\":}", 5),
        ("{\"a\":1", 6),
        ("{\"a\":1,}", 7),
        ("{\"a\":1]", 6),
        ("{\"a\":[1,]}", 8),
        ("{\"a\":[1}", 7),
        ("{\"a\":[1 2]}", 8),
        ("{\"a\" 1}", 5),
        ("{\"a\":01}", 5),
        ("{\"a\":-}", 6),
        ("{\"a\":-01}", 6),
        ("{\"a\":+1}", 5),
        ("{\"a\":.5}", 5),
        ("{\"a\":1.}", 7),
        ("{\"a\":1.e3}", 7),
        ("{\"a\":1e}", 7),
        ("{\"a\":1e+}", 8),
        ("{\"a\":1x}", 6),
        ("{\"a\":0x10}", 6),
        ("{\"a\":NaN}", 5),
        ("{\"a\":-Infinity}", 6),
        ("{\"a\":nul}", 5),
        ("{\"a\":nulls}", 9),
        ("{\"a\":True}", 5),
        ("{\"a\":'b'}", 5),
        ("{\"a\":\"b}", 8),
        ("{\"a\":\"\n\"}", 6),
        ("{\"a\":\"123456789\u{1f}\"}", 15),
        ("{\"a\":\"\\x\"}", 7),
        ("{\"a\":\"\\u12g4\"}", 8),
        ("{\"a\":\"\\", 7),
        ("{\"a\":1/**/}", 6),
        ("{\u{a0}}", 1),
        ("{\u{c}}", 1),
    ] {
        let message = refusal(json);
        assert!(message.starts_with(&format!("data is malformed JSON at byte {byte}: ")), "{json}: {message}");
        assert!(serde_json::from_str::<serde_json::Value>(json).is_err(), "{json}");
    }
}

#[test]
fn data_that_is_too_large_once_normalized() {
    let rules = Rules { max_bytes: 10, ..Rules::default() };
    assert_eq!(normalize(" { \"a\" : 1234 } ", &[], &rules).unwrap().text, "{\"a\":1234}");
    let error = normalize("{\"a\":12345}", &[], &rules).unwrap_err();
    assert_eq!(error.to_string(), "data takes 11 bytes of JSON text, more than the 10 allowed");
}

#[test]
fn data_that_is_too_deep() {
    assert_eq!(plain(&nested(128)).text, nested(128));
    let message = refusal(&nested(129));
    assert!(message.ends_with("[0][0] is nested deeper than the 128 levels allowed"), "{message}");
    assert!(refusal(&"{\"a\":".repeat(1_000_000)).contains("128"));
    let deep = Rules { max_depth: usize::MAX, ..Rules::default() };
    assert_eq!(normalize(&nested(200_000), &[], &deep).unwrap().text, nested(200_000));
}

#[test]
fn a_name_that_stands_twice_by_its_path() {
    assert_eq!(refusal(r#"{"a":1,"b":2,"a":3}"#), "data.a stands there twice");
    assert_eq!(refusal(r#"{"legs":[{},{"x":{}},{"time":1,"t\u0069me":2}]}"#), "data.legs[2].time stands there twice");
    assert_eq!(refusal(r#"{"a.b":{"":1,"":2}}"#), r#"data["a.b"][""] stands there twice"#);
    assert_eq!(refusal(r#"{"Long Name":1,"Long Name":2}"#), r#"data["Long Name"] stands there twice"#);
    // Not twice: in different objects, and differing only by case.
    plain(r#"{"a":{"a":{"b":1}},"A":1,"b":[{"a":1},{"a":1}]}"#);
}

#[test]
fn a_name_that_stands_twice_among_many() {
    for count in [2, 16, 63, 64, 65, 66, 100] {
        for twin in [0, count / 2, count - 1] {
            let members: Vec<_> = (0..count).map(|i| format!("\"k{i}\":{{\"k{twin}\":0}}")).collect();
            let object = format!("{{{},\"later\":1", members.join(","));
            plain(&format!("{object}}}"));
            let message = refusal(&format!(
                "{object},\"k\\u{:04x}{twin_rest}\":1}}",
                u32::from(digit(twin)),
                twin_rest = &twin.to_string()[1..]
            ));
            assert_eq!(message, format!("data.k{twin} stands there twice"));
        }
    }
}

fn digit(number: usize) -> char {
    number.to_string().chars().next().unwrap()
}

#[test]
fn half_a_surrogate_pair() {
    for half in [r"\ud800", r"\udbff", r"\udc00", r"\udfff", r"\ud800\ud800", r"\ud800x", r"\ud83d\n", r"\ude00\ud83d"]
    {
        assert_eq!(
            refusal(&format!("{{\"a\":[\"ok\",\"x{half}\"]}}")),
            r"data.a[1] has half a surrogate pair (such as \ud800 alone)"
        );
        assert_eq!(
            refusal(&format!("{{\"a\":{{\"b\":1,\"{half}\":1}}}}")),
            r"data.a has half a surrogate pair (such as \ud800 alone) in a name"
        );
    }
}

#[test]
fn a_path_names_long_names_shortly() {
    let name = "n".repeat(1000);
    let message = refusal(&format!("{{\"{name}\":1,\"{name}\":1}}"));
    assert_eq!(message, format!("data.{}… stands there twice", "n".repeat(64)));
}
