//! Special fields: arguments, fields, defaults.

use super::*;
use crate::data::{Given, Kind, Resolved, Special};
use crate::timestamp::Timestamp;

fn text(value: &'static str) -> Resolved<'static> {
    Resolved::Text(value.into())
}

fn at(value: &str) -> Resolved<'static> {
    Resolved::Timestamp(Timestamp::parse(value).unwrap())
}

fn resolve(json: &str, specials: &[Special<'static>]) -> Result<(String, Vec<Resolved<'static>>), String> {
    match normalize(json, specials, &Rules::default()) {
        Ok(done) => Ok((done.text, done.fields)),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Input);
            Err(error.to_string())
        }
    }
}

/// The specials of the dated store, each with this given.
fn all(given: [Given<'static>; 4]) -> Vec<Special<'static>> {
    let kinds = [
        ("process_name", Kind::Text),
        ("timestamp", Kind::Timestamp),
        ("status", Kind::Text),
        ("status_int", Kind::Int32),
    ];
    kinds.into_iter().zip(given).map(|((name, kind), given)| Special { name, kind, given }).collect()
}

fn data() -> [Given<'static>; 4] {
    [Given::Data, Given::Data, Given::Data, Given::Data]
}

fn defaults() -> [Resolved<'static>; 4] {
    [text("worker"), at("2025-01-15"), text("a \"b\""), Resolved::Int32(-7)]
}

#[test]
fn what_the_data_says_is_found() {
    let (json, fields) = resolve(
        r#"{"x":{"status":5},"status_int":3.0,"timestamp":"2025-01-15T10:30","st\u0061tus":"\u0061b","process_name":null}"#,
        &all(data()),
    )
    .unwrap();
    assert_eq!(fields, [Resolved::Null, at("2025-01-15T10:30Z"), text("ab"), Resolved::Int32(3)]);
    assert_eq!(
        json,
        r#"{"x":{"status":5},"status_int":3.0,"timestamp":"2025-01-15T10:30:00+00:00","st\u0061tus":"\u0061b","process_name":null}"#
    );
    assert_eq!(resolve("{}", &all(data())).unwrap(), ("{}".into(), vec![Resolved::Null; 4]));
}

#[test]
fn a_default_fills_what_is_missing_or_null_and_nothing_else() {
    let given = || all(defaults().map(Given::Default));
    let written = concat!(
        r#""process_name":"worker","timestamp":"2025-01-15T00:00:00+00:00","#,
        r#""status":"a \"b\"","status_int":-7}"#
    );
    assert_eq!(resolve("{}", &given()).unwrap(), (format!("{{{written}"), defaults().into()));
    assert_eq!(resolve(" { } ", &given()).unwrap().0, format!("{{{written}"));
    assert_eq!(resolve("{\"a\":1 }", &given()).unwrap().0, format!("{{\"a\":1,{written}"));

    let (json, fields) =
        resolve(r#"{"status_int": null, "status":"x","process_name" :null ,"a":1}"#, &given()).unwrap();
    assert_eq!(
        json,
        r#"{"status_int":-7,"status":"x","process_name":"worker","a":1,"timestamp":"2025-01-15T00:00:00+00:00"}"#
    );
    assert_eq!(fields, [text("worker"), at("2025-01-15"), text("x"), Resolved::Int32(-7)]);
}

#[test]
fn an_argument_replaces_whatever_stands_there() {
    let given = all(defaults().map(Given::Argument));
    for old in
        ["null", "17", "\"x\"", "true", "\"2025-02-02\"", "[ 1, {\"status\": \"2025-02-02\"} ]", "{ }", "{\"a\" : [ ]}"]
    {
        let json = format!("{{\"a\":1, \"status\" : {old} , \"timestamp\":{old},\"b\":\"2025-02-02\" }}");
        let (json, fields) = resolve(&json, &given).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"a":1,"status":"a \"b\"","timestamp":"2025-01-15T00:00:00+00:00","b":"2025-02-02T00:00:00+00:00","#,
                r#""process_name":"worker","status_int":-7}"#
            ),
            "{old}"
        );
        assert_eq!(fields, defaults());
    }
    assert!(resolve(r#"{"status":[1,]}"#, &given).unwrap_err().contains("byte 13"));
    assert_eq!(resolve(r#"{"status":{"a":1,"a":1}}"#, &given).unwrap_err(), "data.status.a stands there twice");
}

#[test]
fn null_may_be_given() {
    let nulls = || [Resolved::Null, Resolved::Null, Resolved::Null, Resolved::Null];
    let (json, fields) = resolve(r#"{"status":"x"}"#, &all(nulls().map(Given::Argument))).unwrap();
    assert_eq!(json, r#"{"status":null,"process_name":null,"timestamp":null,"status_int":null}"#);
    assert_eq!(fields, nulls());
    let (json, _) = resolve(r#"{"status":"x"}"#, &all(nulls().map(Given::Default))).unwrap();
    assert_eq!(json, r#"{"status":"x","process_name":null,"timestamp":null,"status_int":null}"#);
}

#[test]
fn a_special_field_is_special_only_at_the_top_and_only_once() {
    let (json, fields) =
        resolve(r#"{"a":{"status":1,"timestamp":"x"},"b":[{"status_int":"y"}]}"#, &all(data())).unwrap();
    assert_eq!(json, r#"{"a":{"status":1,"timestamp":"x"},"b":[{"status_int":"y"}]}"#);
    assert_eq!(fields, vec![Resolved::Null; 4]);
    assert_eq!(resolve(r#"{"status":"a","status":"b"}"#, &all(data())).unwrap_err(), "data.status stands there twice");
    let given = all(defaults().map(Given::Argument));
    assert_eq!(resolve(r#"{"status":"a","status":"b"}"#, &given).unwrap_err(), "data.status stands there twice");
}

#[test]
fn a_special_field_of_the_wrong_type_is_refused_by_name() {
    for given in [data(), defaults().map(Given::Default)] {
        let given = all(given);
        for (field, why) in [
            ("\"status\":5", "data.status: a number stands where a string or null is wanted"),
            ("\"status\":true", "data.status: a boolean stands where a string or null is wanted"),
            ("\"status\":{}", "data.status: an object stands where a string or null is wanted"),
            ("\"process_name\":[]", "data.process_name: an array stands where a string or null is wanted"),
            ("\"status_int\":\"5\"", "data.status_int: a string stands where an integer of 32 bits or null is wanted"),
            ("\"status_int\":3.5", "data.status_int: 3.5 is no integer of 32 bits"),
            ("\"status_int\":3e0", "data.status_int: 3e0 is no integer of 32 bits"),
            ("\"status_int\":3.0e1", "data.status_int: 3.0e1 is no integer of 32 bits"),
            ("\"status_int\":2147483648", "data.status_int: 2147483648 is no integer of 32 bits"),
            ("\"status_int\":-2147483649.0", "data.status_int: -2147483649.0 is no integer of 32 bits"),
            ("\"timestamp\":5", "data.timestamp: a number stands where a timestamp string or null is wanted"),
            (
                "\"timestamp\":\"20250115\"",
                "data.timestamp: \"20250115\" is no ISO 8601 date or datetime such as 2025-01-15T10:30:00+00:00",
            ),
        ] {
            assert_eq!(resolve(&format!("{{{field}}}"), &given).unwrap_err(), why);
        }
    }
}

#[test]
fn integers_of_32_bits_are_taken_whole() {
    for (number, value) in [("2147483647", i32::MAX), ("-2147483648.00", i32::MIN), ("-0", 0), ("-0.0", 0)] {
        let (json, fields) = resolve(&format!("{{\"status_int\":{number}}}"), &all(data())).unwrap();
        assert_eq!((json, &fields[3]), (format!("{{\"status_int\":{number}}}"), &Resolved::Int32(value)));
    }
}

#[test]
fn the_timestamp_is_normalized_under_every_policy_and_a_text_under_none() {
    let given = r#"{"timestamp":"2025-01-15","status":"2025-01-15","note":"2025-01-15"}"#;
    let rules = Rules { timestamps: TimestampPolicy::Off, ..Rules::default() };
    let off = normalize(given, &all(data()), &rules).unwrap();
    assert_eq!(off.text, r#"{"timestamp":"2025-01-15T00:00:00+00:00","status":"2025-01-15","note":"2025-01-15"}"#);
    let (json, fields) = resolve(given, &all(data())).unwrap();
    assert_eq!(
        json,
        r#"{"timestamp":"2025-01-15T00:00:00+00:00","status":"2025-01-15","note":"2025-01-15T00:00:00+00:00"}"#
    );
    assert_eq!(fields[2], text("2025-01-15"));
}
