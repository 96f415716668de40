//! Values at the edges, by the ten thousand: each is refused before it is acknowledged, or is there byte by byte in
//! memory, in DuckDB and after reopening.

use persist_dated::{DatedStore, Durability, ErrorKind};
use persist_test_utils::Rng;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::quiet;

const DATE: &str = "2025-01-15";
const RECORDS: usize = 50_000;
const MAX_BYTES: usize = 2000;
const MAX_DEPTH: usize = 16;

/// What has to become of a value.
enum Fate {
    /// It is kept, and stands in the data as this text.
    Exact(String),
    /// It is kept, and is this string when it is read.
    Text(String),
    Refused,
    /// At the limit of size: the fields that are added decide.
    Either,
}

fn value(rng: &mut Rng) -> (String, Fate) {
    match rng.below(6) {
        0 => number(rng),
        1 => text(rng),
        2 => {
            let depth = rng.range(1..2 * MAX_DEPTH as u64) as usize;
            let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            // The record itself is a level.
            let fate = if depth < MAX_DEPTH { Fate::Exact(nested.clone()) } else { Fate::Refused };
            (nested, fate)
        }
        3 => {
            let length = rng.range(MAX_BYTES as u64 - 300..MAX_BYTES as u64 + 100) as usize;
            let long = format!("\"{}\"", "x".repeat(length));
            let fate = match length {
                0..=1800 => Fate::Exact(long.clone()),
                1801..2000 => Fate::Either,
                _ => Fate::Refused,
            };
            (long, fate)
        }
        4 => {
            let half = *rng.pick(&["\\ud800", "\\udfff", "\\udc00\\ud800", "\\ud83d\\u0041", "\\ud83d"]);
            (format!("\"a{half}\""), Fate::Refused)
        }
        _ => {
            let refused =
                ["NaN", "Infinity", "01", "+1", ".5", "1.", "1e", "--1", "'a'", "\"\t\"", "[1,]", "{\"a\":1,\"a\":2}"];
            ((*rng.pick(&refused)).to_owned(), Fate::Refused)
        }
    }
}

fn number(rng: &mut Rng) -> (String, Fate) {
    let known = [
        "0",
        "-0",
        "-0.0",
        "1e400",
        "-1E-400",
        "18446744073709551616",
        "-9223372036854775809",
        "9007199254740993",
        "0.1000000000000000055511151231257827",
        "1e5",
        "1.0",
        "3.14159265358979323846264338327950288",
        "5e-324",
    ];
    let number = if rng.coin() {
        (*rng.pick(&known)).to_owned()
    } else {
        let digits: String = (0..rng.range(1..60)).map(|_| char::from(b'1' + rng.below(9) as u8)).collect();
        format!("{}{digits}.{}", if rng.coin() { "-" } else { "" }, rng.below(1 << 40))
    };
    (number.clone(), Fate::Exact(number))
}

fn text(rng: &mut Rng) -> (String, Fate) {
    let pieces = [
        ("\\u0000", "\0"),
        ("\\r\\n", "\r\n"),
        ("\u{2028}", "\u{2028}"),
        ("\\u2029", "\u{2029}"),
        ("\u{feff}", "\u{feff}"),
        ("\\ud83d\\ude00", "😀"),
        ("\\\"", "\""),
        ("\\\\", "\\"),
        ("\\/", "/"),
        ("\u{7f}", "\u{7f}"),
        ("e\u{301}", "e\u{301}"),
        ("\u{10ffff}", "\u{10ffff}"),
        ("'", "'"),
        ("\\b\\f\\t", "\u{8}\u{c}\t"),
        ("\u{fffe}", "\u{fffe}"),
        ("a", "a"),
    ];
    let (mut written, mut meant) = (String::new(), String::new());
    for _ in 0..rng.below(12) {
        let (escaped, plain) = *rng.pick(&pieces);
        written += escaped;
        meant += plain;
    }
    (format!("\"{written}\""), Fate::Text(meant))
}

#[test]
fn fifty_thousand_values_at_the_edges_are_kept_exactly_or_refused_before_they_are_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let config = || quiet(dir.path()).max_record_bytes(MAX_BYTES).max_depth(MAX_DEPTH);
    let store = DatedStore::open(DATE, config()).unwrap();
    let mut rng = Rng::new(20);
    let mut kept = Vec::new();
    for n in 0..RECORDS {
        let (text, fate) = value(&mut rng);
        let key = format!("k{n:05}");
        // What is no JSON at all can't even be given; it counts as refused.
        let Ok(data) = RawValue::from_string(format!("{{\"v\":{text}}}")) else {
            assert!(matches!(fate, Fate::Refused), "{text}");
            continue;
        };
        match (store.put(&key).durability(Durability::Os).data(&data), fate) {
            (Ok(record), Fate::Exact(expected)) => {
                assert!(record.json().starts_with(&format!("{{\"v\":{expected},")), "{text}: {}", record.json());
                kept.push((key, record.json().to_owned()));
            }
            (Ok(record), Fate::Text(expected)) => {
                assert_eq!(record.to::<Value>().unwrap()["v"], Value::from(expected), "{text}");
                kept.push((key, record.json().to_owned()));
            }
            (Ok(record), Fate::Either) => kept.push((key, record.json().to_owned())),
            (Err(error), Fate::Refused | Fate::Either) => {
                assert_eq!(error.kind(), ErrorKind::Input, "{text}: {error}");
                assert!(store.get_key(&key).is_empty());
            }
            (Ok(record), Fate::Refused) => panic!("{text} was taken: {}", record.json()),
            (Err(error), _) => panic!("{text} was refused: {error}"),
        }
    }
    assert!(kept.len() > RECORDS / 3 && kept.len() < RECORDS, "{}", kept.len());
    let rows = store.query("SELECT key, data FROM storage ORDER BY key").unwrap();
    let found = rows.iter().map(|row| (row[0].as_str().unwrap(), row[1].as_str().unwrap()));
    assert!(found.eq(kept.iter().map(|(key, json)| (key.as_str(), json.as_str()))));
    store.close().unwrap();

    let store = DatedStore::open(DATE, config()).unwrap();
    assert_eq!(store.len(), kept.len());
    for (key, json) in &kept {
        assert_eq!(store.get_key_process(key, None).unwrap().json(), json);
    }
}
