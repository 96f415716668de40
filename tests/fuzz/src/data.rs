//! JSON of callers and of other programs: values, records' data, extra columns.

use persist_core::Value;
use persist_core::data::{MAX_DEPTH, Rules, is_name, members, normalize, unescape};
use persist_core::extra::{ExtraSchema, ExtraValue};
use serde_json::value::RawValue;

use crate::memory::{bounded, bounded_by};

/// A tree in memory takes more than its text: 32 bytes for the `1,` of a list, which may have grown to twice what it holds, the
/// smaller half beside it while it is copied, and for each number an allocation of its own.
const TREE: u64 = 64;

/// serde_json says what is JSON, and what it says.
pub(crate) fn value(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let judge = serde_json::from_str::<&RawValue>(text);
    let parsed = bounded_by(TREE, input.len(), || text.parse::<Value>());
    let value = match (parsed, &judge) {
        (Ok(value), Ok(_)) => value,
        (Ok(_), Err(error)) => panic!("taken, but {error}"),
        (Err(error), Ok(_)) => return assert!(is_too_deep(text) || has_half_a_pair(text), "{error}"),
        (Err(_), Err(_)) => return,
    };
    let written = value.to_string();
    let again: Value = written.parse().expect("what was written is read");
    assert_eq!(again, value);
    assert_eq!(again.to_string(), written);
    if let (Ok(one), Ok(other)) = (read(text), read(&written)) {
        assert_eq!(one, other);
    }
    if let Some(number) = value.as_number() {
        assert_eq!(number.as_str(), text.trim_matches(['\n', ' ', '\t', '\r']), "a digit was lost");
    }
}

fn read(text: &str) -> serde_json::Result<serde_json::Value> {
    serde_json::from_str(text)
}

fn is_too_deep(text: &str) -> bool {
    text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > MAX_DEPTH
}

/// Whether some string has an escape of half a surrogate pair: JSON has those, text has not.
fn has_half_a_pair(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower
        .match_indices("\\ud")
        .any(|(at, _)| lower.as_bytes().get(at + 3).is_some_and(|byte| matches!(byte, b'8' | b'9' | b'a'..=b'f')))
}

/// What is normalized stays as it is, and serde_json agrees.
pub(crate) fn normalized(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let rules = Rules::default();
    let done = bounded(input.len(), || normalize(text, &[], &rules));
    match (done, serde_json::from_str::<&RawValue>(text)) {
        (Ok(done), Ok(_)) => {
            assert!(serde_json::from_str::<&RawValue>(&done.text).is_ok());
            assert_eq!(normalize(&done.text, &[], &rules).unwrap().text, done.text);
            let parts: Vec<String> = bounded(input.len() * 8, || {
                members(&done.text).map(|(name, value)| format!("\"{name}\":{value}")).collect()
            });
            assert_eq!(format!("{{{}}}", parts.join(",")), done.text);
            assert!(done.text.parse::<Value>().is_ok(), "stored, and not to be read");
        }
        (Ok(_), Err(error)) => panic!("taken, but {error}"),
        (Err(error), Ok(raw)) => {
            let error = error.to_string();
            let refusals = ["twice", "surrogate", "deep", "nested"];
            assert!(!raw.get().starts_with('{') || refusals.iter().any(|why| error.contains(why)), "{error}");
        }
        (Err(_), Err(_)) => {}
    }
    // On any text: it ends, and panics nowhere.
    assert!(members(text).count() <= text.len());
    let _ = unescape(text);
}

/// Lines of `name:type`, an empty line, and data that the columns are to take.
pub(crate) fn schema(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (columns, data) = text.split_once("\n\n").unwrap_or((text, "{}"));
    // A lookup of each name among all: as many as a table may have, no more.
    let columns: Vec<(&str, &str)> =
        columns.lines().take(200).map(|line| line.rsplit_once(':').unwrap_or((line, "int64"))).collect();
    // A column is a name of its own and its type: 40 bytes, in a list that may have grown to twice that.
    let schema = bounded_by(128, input.len(), || ExtraSchema::new(columns.iter().copied(), &["key", "data"]));
    let Ok(schema) = schema else { return };
    assert_eq!(schema.columns().len(), columns.len());
    let again: Vec<(&str, &str)> =
        schema.columns().iter().map(|column| (column.name.as_str(), column.kind.name())).collect();
    assert_eq!(ExtraSchema::new(again, &["key", "data"]).unwrap(), schema);
    let Ok(data) = normalize(data, &[], &Rules::default()) else { return };
    let checked = bounded(input.len(), || schema.check(&data.text));
    let mut all_fit = true;
    for (name, value) in members(&data.text) {
        let Some(column) = schema.columns().iter().find(|column| is_name(name, &column.name)) else { continue };
        match bounded(input.len(), || column.kind.convert(value)) {
            Err(why) => {
                assert!(why.len() < 1024, "the error repeats all of the value");
                all_fit = false;
            }
            Ok(converted) => agrees(converted, value),
        }
    }
    assert_eq!(checked.is_ok(), all_fit, "what is acknowledged can be flushed, and the other way round");
}

/// A column's value is what serde_json says that the JSON is.
fn agrees(converted: Option<ExtraValue<'_>>, value: &str) {
    let judged = read(value).unwrap();
    match converted {
        None => assert!(judged.is_null()),
        Some(ExtraValue::Text(text)) => assert_eq!(judged.as_str(), Some(text.as_ref())),
        Some(ExtraValue::Bool(value)) => assert_eq!(judged.as_bool(), Some(value)),
        Some(ExtraValue::Integer(integer)) => match (judged.as_i64(), judged.as_u64()) {
            (Some(judged), _) => assert_eq!(integer, i128::from(judged)),
            (None, Some(judged)) => assert_eq!(integer, i128::from(judged)),
            (None, None) => assert_eq!(integer as f64, judged.as_f64().unwrap()),
        },
        Some(ExtraValue::Float(float)) => {
            let judged = judged.as_f64().unwrap();
            assert!(float == judged || float == f64::from(judged as f32), "{value} became {float}");
        }
        Some(_) => assert!(judged.is_string()),
    }
}
