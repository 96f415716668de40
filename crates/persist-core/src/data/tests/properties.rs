//! Properties of whatever is thrown at the normalizer.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::data::{Given, Kind, Resolved, Special, members, quote, to_json, unescape};
use crate::timestamp::Timestamp;

pub(super) fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-e]{0,3}",
        1 => any::<String>(),
        1 => "[ -~\\x00-\\x1f\"\\\\é😀]{0,24}",
        1 => "20[0-9]{2}-0[1-9]-[0-2][0-9]([T ]1[0-9]:[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,7})?)?(Z|[+-]0[0-9]:?30)?)?",
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any_text(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

pub(super) fn any_object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(any_text(), any_value(), 0..20).prop_map(|map| map.into_iter().collect())
}

pub(super) fn any_policy() -> impl Strategy<Value = TimestampPolicy> {
    prop_oneof![
        Just(TimestampPolicy::All),
        Just(TimestampPolicy::Off),
        prop::collection::btree_set("[a-e]{0,2}", 0..4).prop_map(TimestampPolicy::Fields),
    ]
}

pub(super) fn any_number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?"
}

/// What the timestamps of a value become, said as simply as can be.
fn with_timestamps(value: &Value, named: bool, policy: &TimestampPolicy) -> Value {
    match value {
        Value::String(text) if named => {
            Timestamp::parse(text).map_or_else(|| value.clone(), |at| at.to_string().into())
        }
        Value::Array(items) => items.iter().map(|item| with_timestamps(item, named, policy)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(name, member)| {
                let named = match policy {
                    TimestampPolicy::All => true,
                    TimestampPolicy::Fields(names) => names.contains(name),
                    TimestampPolicy::Off => false,
                };
                (name.clone(), with_timestamps(member, named, policy))
            })
            .collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn an_object_comes_back_equal_but_for_its_timestamps(object in any_object(), policy in any_policy()) {
        let expected = with_timestamps(&object, false, &policy);
        for json in [to_json(&object).unwrap(), serde_json::to_string_pretty(&object).unwrap()] {
            let text = under(policy.clone(), &json);
            prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &expected);
            // serde_json writes no blank and one form of every escape: the texts must agree too.
            prop_assert_eq!(&text, &serde_json::to_string(&expected).unwrap());
        }
    }

    #[test]
    fn normalizing_again_changes_nothing(
        object in any_object(),
        policy in any_policy(),
        given in prop::collection::vec((0..3_u8, any_text(), any::<i32>(), any::<i64>()), 3),
    ) {
        let rules = Rules { timestamps: policy, ..Rules::default() };
        let specials: Vec<_> = given
            .iter()
            .zip([("a", Kind::Text), ("b", Kind::Int32), ("c", Kind::Timestamp)])
            .map(|((how, text, number, micros), (name, kind))| {
                let value = match kind {
                    Kind::Text => Resolved::Text(text.into()),
                    Kind::Int32 => Resolved::Int32(*number),
                    Kind::Timestamp => Resolved::Timestamp(Timestamp::from_unix_micros(*micros)),
                };
                let given = match how {
                    0 => Given::Data,
                    1 => Given::Default(value),
                    _ => Given::Argument(value),
                };
                Special { name, kind, given }
            })
            .collect();
        let json = object.to_string();
        let Ok(once) = normalize(&json, &specials, &rules) else { return Ok(()) };
        let from_data: Vec<_> = specials.into_iter().map(|special| Special { given: Given::Data, ..special }).collect();
        let again = normalize(&once.text, &from_data, &rules).unwrap();
        prop_assert_eq!(once, again);
    }

    #[test]
    fn numbers_keep_every_digit(numbers in prop::collection::vec(any_number(), 0..8)) {
        let given = format!("{{\"n\":[{}]}}", numbers.join(","));
        prop_assert_eq!(plain(&given).text, given);
    }

    #[test]
    fn any_text_is_taken_or_refused_as_json_says(text in prop_oneof![
        any::<String>(),
        "[{}\\[\\]\",:0-9a\\\\u.eE+ -]{0,40}",
        "\\{\"a\":[\\[{\"\\\\ud8c0-9,.eE+tfnrulas:}\\] -]{0,24}\\}",
    ]) {
        let accepted = normalize(&text, &[], &Rules::default());
        let oracle = serde_json::from_str::<&RawValue>(&text);
        match (accepted, oracle) {
            (Ok(done), Ok(_)) => prop_assert!(serde_json::from_str::<&RawValue>(&done.text).is_ok()),
            (Ok(_), Err(error)) => prop_assert!(false, "taken, but {error}"),
            (Err(error), Ok(raw)) => {
                let error = error.to_string();
                prop_assert!(
                    !raw.get().starts_with('{') || error.contains("twice") || error.contains("surrogate"), "{}", error
                );
            }
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn members_are_those_serde_json_finds(object in any_object()) {
        let text = under(TimestampPolicy::Off, &object.to_string());
        let found: Vec<(String, Value)> = members(&text)
            .map(|(name, value)| (unescape(&format!("\"{name}\"")).unwrap().into_owned(), serde_json::from_str(value).unwrap()))
            .collect();
        let expected: Vec<(String, Value)> = object.as_object().unwrap().clone().into_iter().collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn members_of_any_text_end(text in prop_oneof![any::<String>(), "\\{[{}\\[\\]\",:0-9a\\\\é]{0,40}"]) {
        prop_assert!(members(&text).count() <= text.len());
        let _ = unescape(&text);
    }

    #[test]
    fn unescape_undoes_quote(text in any_text()) {
        let mut quoted = String::new();
        quote(&text, &mut quoted);
        prop_assert_eq!(unescape(&quoted), Some(text.into()));
    }

    #[test]
    fn nothing_but_the_depth_decides_on_the_depth(depth in 2..140_usize, limit in 1..140_usize) {
        let rules = Rules { max_depth: limit, ..Rules::default() };
        prop_assert_eq!(normalize(&nested(depth), &[], &rules).is_ok(), depth <= limit);
    }
}

#[test]
fn fields_policy_of_no_names_is_off() {
    let json = r#"{"a":"2025-01-15"}"#;
    assert_eq!(under(TimestampPolicy::Fields(BTreeSet::new()), json), json);
}
