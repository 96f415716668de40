//! Serializing: NaN and infinities are refused, all else is as serde_json has it; and one pass makes what two do.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use serde_json::json;
use serde_json::value::RawValue;

use super::properties::{any_number, any_object, any_policy, any_text};
use super::*;
use crate::data::{Given, Kind, Resolved, Special, normalize_value, to_json};
use crate::timestamp::Timestamp;

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

/// A value of any shape that the data model of serde has, serialized as it is written here.
#[derive(Debug, Clone)]
enum Any {
    Null,
    Bool(bool),
    Int(i64),
    Huge(i128),
    Small(f32),
    Float(f64),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    Some(Box<Any>),
    Newtype(Box<Any>),
    Seq(Vec<Any>),
    Tuple(Vec<Any>),
    /// Names may stand twice.
    Struct(Vec<(&'static str, Any)>),
    Map(Vec<(String, Any)>),
    Numbered(Vec<(i8, Any)>),
    UnitVariant(&'static str),
    NewtypeVariant(&'static str, Box<Any>),
    TupleVariant(&'static str, Vec<Any>),
    StructVariant(&'static str, Vec<(&'static str, Any)>),
    Raw(Box<RawValue>),
}

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleVariant};
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Huge(value) => serializer.serialize_i128(*value),
            Self::Small(value) => serializer.serialize_f32(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Char(value) => serializer.serialize_char(*value),
            Self::Text(value) => serializer.collect_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::Some(value) => serializer.serialize_some(value),
            Self::Newtype(value) => serializer.serialize_newtype_struct("N", value),
            Self::Seq(values) => serializer.collect_seq(values),
            Self::Tuple(values) => {
                let mut tuple = serializer.serialize_tuple(values.len())?;
                values.iter().try_for_each(|value| tuple.serialize_element(value))?;
                tuple.end()
            }
            Self::Struct(fields) => {
                let mut of = serializer.serialize_struct("S", fields.len())?;
                fields.iter().try_for_each(|(name, value)| of.serialize_field(name, value))?;
                of.end()
            }
            Self::Map(members) => serializer.collect_map(members.iter().map(|(name, value)| (name, value))),
            Self::Numbered(members) => {
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in members {
                    map.serialize_key(key)?;
                    map.serialize_value(value)?;
                }
                map.end()
            }
            Self::UnitVariant(name) => serializer.serialize_unit_variant("E", 0, name),
            Self::NewtypeVariant(name, value) => serializer.serialize_newtype_variant("E", 0, name, value),
            Self::TupleVariant(name, values) => {
                let mut tuple = serializer.serialize_tuple_variant("E", 0, name, values.len())?;
                values.iter().try_for_each(|value| tuple.serialize_field(value))?;
                tuple.end()
            }
            Self::StructVariant(name, fields) => {
                let mut of = serializer.serialize_struct_variant("E", 0, name, fields.len())?;
                fields.iter().try_for_each(|(name, value)| of.serialize_field(name, value))?;
                of.end()
            }
            Self::Raw(raw) => raw.serialize(serializer),
        }
    }
}

/// Names of special fields among them, and such as are written with escapes.
fn any_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["a", "b", "c", "d", "e", "a \"b\"", "", "2025-01-15", "\n", "é"][..])
}

/// JSON text with blanks, escapes that need not be, and half surrogate pairs.
fn any_raw() -> impl Strategy<Value = Box<RawValue>> {
    let text = prop_oneof![
        any_object().prop_map(|object| serde_json::to_string_pretty(&object).unwrap()),
        any_number(),
        "\"(\\\\u00[36][0-9]|\\\\ud8[0-9]{2}|\\\\ude00|[a-c]){0,3}\"",
        "\"2025-01-1[0-9]( 10:30)?\"",
        "\\[ (\"2025-01-15\", )?\\{ \"a\" : [12]( , \"[ab]\":\\{ \\})? \\} \\]",
        "null|true|false",
    ];
    text.prop_map(|text| RawValue::from_string(text).unwrap())
}

fn any_shape() -> impl Strategy<Value = Any> {
    let leaf = prop_oneof![
        Just(Any::Null),
        any::<bool>().prop_map(Any::Bool),
        any::<i64>().prop_map(Any::Int),
        (-9..9_i64).prop_map(Any::Int),
        any::<i128>().prop_map(Any::Huge),
        any::<f32>().prop_map(Any::Small),
        any::<f64>().prop_map(Any::Float),
        Just(Any::Float(f64::NAN)),
        any::<char>().prop_map(Any::Char),
        any_text().prop_map(Any::Text),
        any_text().prop_map(Any::Text),
        prop::collection::vec(any::<u8>(), 0..3).prop_map(Any::Bytes),
        any_name().prop_map(Any::UnitVariant),
        any_raw().prop_map(Any::Raw),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let values = || prop::collection::vec(inner.clone(), 0..4);
        let fields = || prop::collection::vec((any_name(), inner.clone()), 0..5);
        prop_oneof![
            inner.clone().prop_map(|value| Any::Some(Box::new(value))),
            inner.clone().prop_map(|value| Any::Newtype(Box::new(value))),
            values().prop_map(Any::Seq),
            values().prop_map(Any::Tuple),
            fields().prop_map(Any::Struct),
            prop::collection::vec((any_text(), inner.clone()), 0..4).prop_map(Any::Map),
            prop::collection::vec((any::<i8>(), inner.clone()), 0..3).prop_map(Any::Numbered),
            (any_name(), inner.clone()).prop_map(|(name, value)| Any::NewtypeVariant(name, Box::new(value))),
            (any_name(), values()).prop_map(|(name, values)| Any::TupleVariant(name, values)),
            (any_name(), fields()).prop_map(|(name, fields)| Any::StructVariant(name, fields)),
        ]
    })
}

/// Mostly what may be data: an object.
fn any_data() -> impl Strategy<Value = Any> {
    prop_oneof![
        4 => prop::collection::vec((any_name(), any_shape()), 0..6).prop_map(Any::Struct),
        2 => prop::collection::vec((any_text(), any_shape()), 0..8).prop_map(Any::Map),
        1 => any_shape(),
    ]
}

fn any_specials() -> impl Strategy<Value = Vec<Special<'static>>> {
    let kinds = [("a", Kind::Text), ("b", Kind::Int32), ("c", Kind::Timestamp), ("a \"b\"", Kind::Text)];
    prop::collection::vec((0..3_u8, any::<bool>()), kinds.len()).prop_map(move |given| {
        let special = |((name, kind), (how, is_null)): ((&'static str, Kind), (u8, bool))| {
            let value = match kind {
                _ if is_null => Resolved::Null,
                Kind::Text => Resolved::Text("x \"y\"".into()),
                Kind::Int32 => Resolved::Int32(-7),
                Kind::Timestamp => Resolved::Timestamp(Timestamp::from_unix_micros(1)),
            };
            let given = match how {
                0 => Given::Data,
                1 => Given::Default(value),
                _ => Given::Argument(value),
            };
            Special { name, kind, given }
        };
        kinds.into_iter().zip(given).map(special).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]
    #[test]
    fn one_pass_makes_what_two_make(
        data in any_data(),
        specials in any_specials(),
        timestamps in any_policy(),
        max_depth in prop_oneof![4 => Just(128_usize), 1 => 1..5_usize],
        max_bytes in prop_oneof![4 => Just(1_usize << 20), 1 => 1..60_usize],
    ) {
        let rules = Rules { max_bytes, max_depth, timestamps };
        let twice = to_json(&data).and_then(|text| normalize(&text, &specials, &rules));
        match (normalize_value(&data, &specials, &rules), twice) {
            (Ok(once), Ok(twice)) => prop_assert_eq!(once, twice),
            // Of several things that are wrong each way may name another.
            (Err(once), Err(_)) => prop_assert_eq!(once.kind(), ErrorKind::Input),
            (once, twice) => prop_assert!(false, "{once:?} is not {twice:?}"),
        }
    }

    #[test]
    fn the_text_is_that_of_serde_json(data in any_data()) {
        if let Ok(text) = to_json(&data) {
            prop_assert_eq!(text, serde_json::to_string(&data).unwrap());
        }
    }
}

/// Goes on where a part of it is refused, and leaves out what has to be there.
struct Careless(u8);

impl Serialize for Careless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 0 {
            let mut list = serializer.serialize_seq(None)?;
            let _ = list.serialize_element(&BTreeMap::from([(0, f64::NAN)]));
            return list.end();
        }
        if self.0 == 1 {
            let mut list = serializer.serialize_seq(None)?;
            list.serialize_element(&1)?;
            let _ = catch_unwind(AssertUnwindSafe(|| list.serialize_element(&Panics)));
            list.serialize_element(&2)?;
            return list.end();
        }
        if self.0 < 5 {
            let mut json = serializer.serialize_struct("$serde_json::private::RawValue", 1)?;
            match self.0 {
                2 => {}
                3 => {
                    json.serialize_field("$serde_json::private::RawValue", "1")?;
                    json.serialize_field("$serde_json::private::RawValue", "2")?;
                }
                _ => json.serialize_field("tag", "1")?,
            }
            return json.end();
        }
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            5 => drop(map.serialize_entry("x", &f64::NAN)),
            6 => map.serialize_key("x")?,
            7 => map.serialize_value("x")?,
            8 => {
                let _ = map.serialize_key(&());
                map.serialize_value("x")?;
            }
            9 => {
                map.serialize_key("x")?;
                map.serialize_key("y")?;
            }
            _ => {
                map.serialize_entry("x", "y")?;
                drop(map.serialize_entry("x", "y"));
            }
        }
        map.end()
    }
}

/// Panics within an object that it has begun.
struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("x", "y")?;
        panic!("planted: a value that does not come to its end")
    }
}

#[test]
fn what_a_careless_value_leaves_behind_is_refused() {
    for how in 0..=10 {
        let data = BTreeMap::from([("careless", Careless(how))]);
        let taken = normalize_value(&data, &[], &Rules::default());
        assert_eq!(taken.expect_err(&how.to_string()).kind(), ErrorKind::Input);
        // Nothing of it is left to the next record of this thread.
        let next = [Special { name: "n", kind: Kind::Int32, given: Given::Data }];
        let taken = normalize_value(&BTreeMap::from([("n", 7)]), &next, &Rules::default()).unwrap();
        assert_eq!(&*taken.text, r#"{"n":7}"#);
        assert_eq!(taken.fields.len(), 1);
    }
}

#[test]
fn a_tag_beside_text_that_is_json_already_is_refused() {
    #[derive(Serialize)]
    #[serde(tag = "v")]
    enum Tagged {
        #[serde(rename = "1")]
        One(Box<RawValue>),
    }
    let data = BTreeMap::from([("payload", Tagged::One(RawValue::from_string("{\"x\":1}".into()).unwrap()))]);
    assert_eq!(normalize_value(&data, &[], &Rules::default()).unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn a_record_may_be_made_while_a_thread_ends() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            normalize_value(&BTreeMap::from([("n", 7)]), &[], &Rules::default()).unwrap();
        }
    }
    thread_local! {
        static LAST: Last = const { Last };
    }
    let ended = std::thread::spawn(|| {
        // Made before, and so dropped after, what a first record leaves in the thread.
        LAST.with(|_| ());
        normalize_value(&BTreeMap::from([("n", 7)]), &[], &Rules::default()).unwrap();
    });
    ended.join().unwrap();
}

#[test]
fn what_is_refused_is_named_as_in_text() {
    #[derive(Serialize)]
    struct Leg<T> {
        to: T,
    }
    fn same(data: impl Serialize, specials: &[Special<'_>], message: &str) {
        let rules = Rules { max_depth: 3, max_bytes: 40, ..Rules::default() };
        let twice = normalize(&to_json(&data).unwrap(), specials, &rules).unwrap_err();
        let once = normalize_value(&data, specials, &rules).unwrap_err();
        assert_eq!((once.kind(), once.to_string()), (ErrorKind::Input, twice.to_string()));
        assert_eq!(once.to_string(), message);
    }
    let to = [Special { name: "to", kind: Kind::Int32, given: Given::Data }];
    let twice = Any::Struct(vec![("x", Any::Null), ("x", Any::Null)]);
    same(7, &[], "data is not a JSON object");
    same([Leg { to: 1 }], &[], "data is not a JSON object");
    same(Leg { to: [Leg { to: 1 }] }, &to, "data.to: an array stands where an integer of 32 bits or null is wanted");
    same(Leg { to: true }, &to, "data.to: a boolean stands where an integer of 32 bits or null is wanted");
    same(Leg { to: 0.5 }, &to, "data.to: 0.5 is no integer of 32 bits");
    same(Leg { to: [0, 1].map(|_| &twice) }, &[], "data.to[0].x stands there twice");
    same(Leg { to: [[[1]]] }, &[], "data.to[0][0] is nested deeper than the 3 levels allowed");
    same(Leg { to: "x".repeat(40) }, &[], "data takes 49 bytes of JSON text, more than the 40 allowed");
    let raw = RawValue::from_string("[{\"a\":\"\\ud800\"}]".into()).unwrap();
    same(Leg { to: raw }, &[], "data.to[0].a has half a surrogate pair (such as \\ud800 alone)");
}
