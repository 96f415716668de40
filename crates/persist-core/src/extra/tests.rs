//! Names, types and conversions of extra columns.

use super::*;
use crate::error::ErrorKind;

#[test]
fn each_type_takes_what_it_has_without_loss_and_nothing_else() {
    use ExtraType::*;
    let integer = |n: i128| Some(ExtraValue::Integer(n));
    let float = |f: f64| Some(ExtraValue::Float(f));
    let taken: [(ExtraType, &str, Option<ExtraValue<'_>>); 24] = [
        (String, r#""a\n\"b\"""#, Some(ExtraValue::Text("a\n\"b\"".into()))),
        (String, "null", None),
        (Int8, "-128", integer(-128)),
        (Int16, "3.0", integer(3)),
        (Int16, "3e2", integer(300)),
        (Int16, "1.5e1", integer(15)),
        (Int16, "300E-2", integer(3)),
        (Int16, "-0.0", integer(0)),
        (Int32, "0e999999", integer(0)),
        (Int64, "-9223372036854775808", integer(i64::MIN.into())),
        (UInt64, "18446744073709551615", integer(u64::MAX.into())),
        (UInt8, "255", integer(255)),
        (Float64, "99.99", float(99.99)),
        (Float64, "9007199254740992", float(9_007_199_254_740_992.0)),
        (Float64, "9007199254740994", float(9_007_199_254_740_994.0)),
        (Float32, "16777216", float(16_777_216.0)),
        (Float32, "0.1", float(f64::from(0.1_f32))),
        (Float32, "-1e-3", float(f64::from(-0.001_f32))),
        (Bool, "true", Some(ExtraValue::Bool(true))),
        (Timestamp, r#""1970-01-01T01:00:00.000001+01:00""#, Some(ExtraValue::Micros(1))),
        (Timestamp, r#""1970-01-02""#, Some(ExtraValue::Micros(86_400_000_000))),
        (Date, r#""1970-01-02T00:00:00+00:00""#, Some(ExtraValue::Days(1))),
        (Date, r#""1969-12-31T19:00:00-05:00""#, Some(ExtraValue::Days(0))),
        (Date, r#""0001-01-01""#, Some(ExtraValue::Days(-719_162))),
    ];
    for (kind, value, expected) in taken {
        assert_eq!(kind.convert(value), Ok(expected), "{value} as {}", kind.name());
    }
    let refused = [
        (String, "1"),
        (String, "true"),
        (String, "{}"),
        (Int8, "128"),
        (Int8, "-129"),
        (Int16, "1.5"),
        (Int16, "15e-1"),
        (Int32, "2147483648"),
        (Int64, "9223372036854775808"),
        (Int64, "1e40"),
        (Int64, "1e999999999999"),
        (Int64, r#""7""#),
        (Int64, "true"),
        (UInt8, "-1"),
        (UInt64, "18446744073709551616"),
        (Float64, "9007199254740993"),
        (Float64, "1e400"),
        (Float64, r#""1.5""#),
        (Float64, "false"),
        (Float32, "16777217"),
        (Float32, "1e39"),
        (Bool, "1"),
        (Bool, r#""true""#),
        (Timestamp, "1736899200"),
        (Timestamp, r#""yesterday""#),
        (Date, r#""2025-01-15T00:00:01""#),
        (Date, r#""2025-01-15T00:00:00+01:00""#),
        (Date, "[]"),
    ];
    for (kind, value) in refused {
        let why = kind.convert(value).unwrap_err();
        assert!(why.contains(value) && why.contains(kind.name()), "{why}");
    }
}

#[test]
fn names_and_types_are_checked_and_the_column_is_named() {
    let reserved = ["key", "date"];
    let columns = [("price", "float64"), ("a \"b\"; --", "date64"), ("é", "timestamp[s]")];
    let schema = ExtraSchema::new(columns, &reserved).unwrap();
    let types: Vec<_> = schema.columns().iter().map(|column| column.kind).collect();
    assert_eq!(types, [ExtraType::Float64, ExtraType::Date, ExtraType::Timestamp]);
    for (columns, says) in [
        (vec![("price", "decimal")], "decimal"),
        (vec![("", "int64")], "empty"),
        (vec![("a\0", "int64")], "NUL"),
        (vec![("Key", "int64")], "\"Key\""),
        (vec![("date", "int64")], "reserved"),
        (vec![("Persist_seq", "int64")], "reserved"),
        (vec![("price", "int64"), ("Price", "int64")], "\"price\""),
    ] {
        let error = ExtraSchema::new(columns, &reserved).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Schema);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn data_is_checked_under_the_names_of_the_columns_however_they_are_written() {
    let schema = ExtraSchema::new([("price", "float64"), ("n", "int8")], &[]).unwrap();
    schema.check(r#"{"price":1.5,"other":"x"}"#).unwrap();
    schema.check(r#"{"price":null,"in":{"n":"not of the top level"}}"#).unwrap();
    let error = schema.check(r#"{"n":3,"pr\u0069ce":"cheap"}"#).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().starts_with("price: \"cheap\" is no float64"), "{error}");
}
