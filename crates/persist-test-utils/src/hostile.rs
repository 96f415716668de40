//! Texts that no one would choose as a name, but whoever can.

use std::collections::BTreeSet;

use crate::Rng;

/// `count` different texts of pieces that mean something to SQL, to a path, to a reader or to a terminal.
pub fn hostile_texts(seed: u64, count: usize) -> Vec<String> {
    let pieces = [
        "'",
        "\"",
        ";",
        "--",
        "/*",
        "../",
        "..",
        "/",
        "\\",
        "=",
        "%",
        "%2F",
        "%00",
        " ",
        "\t",
        "\n",
        "\r\n",
        "\0",
        "*",
        "?",
        "[",
        "]",
        "{",
        "}",
        "$1",
        ":x",
        "a",
        "A",
        "é",
        "e\u{301}",
        "\u{feff}",
        "\u{2028}",
        "\u{202e}",
        "🎂",
        "NULL",
        "data.parquet",
        "__HIVE_DEFAULT_PARTITION__",
        "process_name=",
        "date=2025-01-15",
        "DROP TABLE storage",
    ];
    let mut rng = Rng::new(seed);
    let mut names = BTreeSet::new();
    while names.len() < count {
        names.insert((0..rng.range(1..5)).map(|_| *rng.pick(&pieces)).collect());
    }
    names.into_iter().collect()
}
