//! The dynamic value: what is accepted reads back, in the same order and to the last digit.

use proptest::prelude::*;

use super::*;
use crate::data::tests::properties::{any_number, any_object, any_policy, any_text};
use crate::data::{MAX_DEPTH, Value, to_json};
use crate::error::ErrorKind;
use crate::timestamp::Timestamp;

fn read(json: &str) -> Value {
    json.parse().unwrap()
}

/// What serde_json says a text is, as a value.
fn expected(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => Value::Number(number.to_string().parse().unwrap()),
        serde_json::Value::String(text) => match Timestamp::parse(text) {
            Some(at) if at.to_string() == *text => Value::Timestamp(at),
            _ => Value::Text(text.clone()),
        },
        serde_json::Value::Array(values) => Value::List(values.iter().map(expected).collect()),
        serde_json::Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), expected(value))).collect())
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_stored_reads_back_and_serializes_to_the_same_text(object in any_object(), policy in any_policy()) {
        let text = under(policy, &to_json(&object).unwrap());
        let value = read(&text);
        prop_assert_eq!(&value, &expected(&serde_json::from_str(&text).unwrap()));
        prop_assert_eq!(&value.to_string(), &text);
        prop_assert_eq!(&to_json(&value).unwrap(), &text);
        // Blanks and another parser's own form make no difference.
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(&read(&pretty), &value);
        prop_assert_eq!(serde_json::from_value::<Value>(serde_json::from_str(&text).unwrap()).unwrap(), value);
    }

    #[test]
    fn numbers_are_exact(numbers in prop::collection::vec(any_number(), 0..8)) {
        let text = plain(&format!("{{\"n\":[{}]}}", numbers.join(","))).text;
        let value = read(&text);
        let found = value.get("n").unwrap().as_list().unwrap();
        let found: Vec<&str> = found.iter().map(|number| number.as_number().unwrap().as_str()).collect();
        prop_assert_eq!(found, numbers);
        prop_assert_eq!(to_json(&value).unwrap(), text);
    }

    #[test]
    fn any_text_is_a_value_or_refused_as_json_says(text in any_text()) {
        let oracle = serde_json::from_str::<serde_json::Value>(&text);
        prop_assert_eq!(text.parse::<Value>().is_ok(), oracle.is_ok());
    }
}

#[test]
fn order_is_kept_and_escapes_are_resolved() {
    let value = read(r#"{"z":1,"a":{"\u0061\n":"caf\u00e9 \ud83d\ude00"},"m":[true,false,null]}"#);
    let names: Vec<&str> = value.as_object().unwrap().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["z", "a", "m"]);
    assert_eq!(value.get("a").unwrap().get("a\n").unwrap().as_text(), Some("café 😀"));
    assert_eq!(value.get("m").unwrap().as_list().unwrap(), [Value::Bool(true), Value::Bool(false), Value::Null]);
}

#[test]
fn a_moment_is_told_by_the_form_that_normalization_gives_it() {
    let text = under(TimestampPolicy::All, r#"{"a":"2025-01-15 10:30+01:00","b":"20250115"}"#);
    let value = read(&text);
    let at = value.get("a").unwrap().as_timestamp().unwrap();
    assert_eq!(at.to_string(), "2025-01-15T10:30:00+01:00");
    assert_eq!(value.get("b").unwrap().as_text(), Some("20250115"));
    assert_eq!(read(r#""2025-01-15""#).as_text(), Some("2025-01-15"), "a form that only the policy Off leaves");
}

#[test]
fn numbers_answer_as_what_they_fit() {
    let number = |text: &str| read(text).as_number().unwrap().clone();
    assert_eq!((number("-7").as_i64(), number("-7").as_u64(), number("-7").as_f64()), (Some(-7), None, Some(-7.0)));
    assert_eq!(number("18446744073709551615").as_u64(), Some(u64::MAX));
    assert_eq!(number("18446744073709551616").as_u64(), None);
    assert_eq!((number("1.5").as_i64(), number("1e400").as_f64()), (None, None));
    for text in ["NaN", "+1", ".5", "1.", "01", "1 ", ""] {
        assert_eq!(text.parse::<crate::Number>().unwrap_err().kind(), ErrorKind::Input, "{text:?}");
    }
}

#[test]
fn the_deepest_value_is_read_and_dropped_and_a_deeper_one_refused() {
    let list = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(read(&list(MAX_DEPTH)).to_string(), list(MAX_DEPTH));
    for depth in [MAX_DEPTH + 1, 1_000_000] {
        assert_eq!(list(depth).parse::<Value>().unwrap_err().kind(), ErrorKind::Input);
    }
}
