//! Serializing: NaN and infinities are refused, all else is as serde_json has it.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::data::to_json;

#[derive(Serialize)]
enum Shape {
    Unit,
    Newtype(f64),
    Tuple(f64, f64),
    Struct { side: f64 },
}

#[derive(Serialize)]
struct Wrapped(Option<f32>);

#[derive(Serialize)]
struct Everything<'a> {
    text: &'a str,
    small: f32,
    large: f64,
    huge: u128,
    list: Vec<Option<f64>>,
    pair: (i8, char),
    map: BTreeMap<i32, bool>,
    shapes: Vec<Shape>,
    wrapped: Wrapped,
    unit: (),
    raw: &'a RawValue,
    value: serde_json::Value,
    bytes: &'a [u8],
    #[serde(flatten)]
    rest: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<i32>,
    address: std::net::Ipv4Addr,
}

/// Hands over its keys and values apart, as few do.
struct Apart(f64);

impl Serialize for Apart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_key(&7)?;
        map.serialize_value(&self.0)?;
        map.end()
    }
}

#[test]
fn what_is_finite_is_written_as_serde_json_writes_it() {
    let raw = RawValue::from_string(" [1.50, 1e400,  \"\\u0041\"] ".into()).unwrap();
    let data = Everything {
        text: "a \"b\"",
        small: 0.1,
        large: -0.0,
        huge: u128::MAX,
        list: vec![Some(1.0), None],
        pair: (-1, 'x'),
        map: BTreeMap::from([(1, true)]),
        shapes: vec![Shape::Unit, Shape::Newtype(1.0), Shape::Tuple(1.0, 2.0), Shape::Struct { side: 3.0 }],
        wrapped: Wrapped(Some(f32::MAX)),
        unit: (),
        raw: &raw,
        value: json!({"a": [1, 2.5, null, {"b": "c"}]}),
        bytes: &[1, 2],
        rest: BTreeMap::from([("more".into(), f64::MIN_POSITIVE)]),
        absent: None,
        address: std::net::Ipv4Addr::LOCALHOST,
    };
    assert_eq!(to_json(&data).unwrap(), serde_json::to_string(&data).unwrap());
    assert_eq!(to_json(&*raw).unwrap(), raw.get());
    assert_eq!(to_json(&Apart(1.0)).unwrap(), r#"{"7":1.0}"#);
    assert_eq!(to_json("text").unwrap(), "\"text\"");
}

#[test]
fn a_float_that_is_not_finite_is_refused_by_its_path() {
    #[derive(Serialize)]
    struct Leg<T> {
        speed: T,
    }
    fn message(data: impl Serialize) -> String {
        let error = to_json(&data).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        error.to_string()
    }
    let nan = f64::NAN;
    assert_eq!(message(nan), "data: NaN is no number of JSON");
    assert_eq!(message(Leg { speed: f64::INFINITY }), "data.speed: inf is no number of JSON");
    assert_eq!(message(Leg { speed: Some(f32::NEG_INFINITY) }), "data.speed: -inf is no number of JSON");
    assert_eq!(message(Leg { speed: [[0.0, 1.0], [2.0, nan]] }), "data.speed[1][1]: NaN is no number of JSON");
    assert_eq!(message(Leg { speed: (1, "x", Wrapped(Some(f32::NAN))) }), "data.speed[2]: NaN is no number of JSON");
    assert_eq!(message(HashMap::from([("a b", Leg { speed: nan })])), "data[\"a b\"].speed: NaN is no number of JSON");
    assert_eq!(message(BTreeMap::from([(1, 1.0), (2, nan)])), "data.2: NaN is no number of JSON");
    assert_eq!(message(Apart(nan)), "data.7: NaN is no number of JSON");
    assert_eq!(message(Shape::Newtype(nan)), "data.Newtype: NaN is no number of JSON");
    assert_eq!(message([Shape::Tuple(0.0, nan)]), "data[0].Tuple[1]: NaN is no number of JSON");
    assert_eq!(message([Shape::Struct { side: nan }]), "data[0].Struct.side: NaN is no number of JSON");
}

#[test]
fn what_does_not_serialize_is_an_input_error() {
    let error = to_json(&BTreeMap::from([((1, 2), 3)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert_eq!(error.to_string(), "data does not serialize to JSON: key must be a string");
}
