//! A damaged file is an error, never an abort and never a wrong answer.

use std::fs;
use std::path::Path;

use super::*;
use crate::error::{Error, ErrorKind};
use crate::extra::ExtraSchema;

fn filled() -> (TempDir, PathBuf, BTreeMap<Id, (String, u32)>) {
    let (dir, path) = new_file();
    let database = reopen(&path);
    let mut appender = database.appender().unwrap();
    let rows = |from: u64, to: u64| (from..to).map(|n| numbered(n, n + 1)).collect::<Vec<_>>();
    appender.append(&rows(0, 10_000), 10_000, AT).unwrap();
    database.merge().unwrap();
    appender.append(&rows(10_000, 11_000), 11_000, AT).unwrap();
    let expected = loaded(&database);
    drop(appender);
    database.close(&Disk).unwrap();
    (dir, path, expected)
}

/// Opens, reads all, merges and checkpoints.
fn use_all(path: &Path) -> Result<BTreeMap<Id, (String, u32)>, Error> {
    let database = Database::open(&Disk, path, &Table::of::<Dated>(ExtraSchema::default()))?;
    let mut found = BTreeMap::new();
    database.load(&mut |row| {
        found.insert((row.key.to_owned(), row.part[0].map(str::to_owned)), (row.data.to_owned(), row.version));
        Ok(())
    })?;
    database.query("SELECT count(DISTINCT data) FROM storage")?;
    database.merge()?;
    assert_eq!(database.state()?.watermark, 11_000);
    database.close(&Disk)?;
    Ok(found)
}

#[test]
fn a_flipped_bit_is_an_error_or_harmless() {
    let (_dir, path, expected) = filled();
    let whole = fs::read(&path).unwrap();
    let (mut state, mut errors) = (0x9E37_79B9_7F4A_7C15_u64, 0);
    for sample in 0..40 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The first ones into the three headers, which are 4 KiB each.
        let end = if sample < 10 { 3 * 4096 } else { whole.len() };
        let bit = (state >> 11) as usize % (end * 8);
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        match use_all(&path) {
            Ok(found) => assert!(found == expected, "bit {bit} changed an answer"),
            Err(error) => {
                errors += 1;
                assert!(
                    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Database),
                    "bit {bit}: {:?} {error}",
                    error.kind()
                );
                assert!(error.to_string().contains("data.duckdb"), "bit {bit}: {error}");
                assert!(error.to_string().len() < 1_000, "bit {bit}: {error}");
            }
        }
    }
    eprintln!("{errors} of 40 flipped bits were errors");
    assert!(errors > 20, "{errors}");
}

#[test]
fn a_file_cut_short_is_an_error() {
    let (_dir, path, _) = filled();
    let whole = fs::read(&path).unwrap();
    for sample in 0..20 {
        let len = [1, 7, 8, 100, 4_095, 4_096, 4_100, 8_192, 12_287, 12_288].get(sample).copied();
        let len = len.unwrap_or(whole.len() / 20 * sample);
        fs::write(&path, &whole[..len]).unwrap();
        let error = use_all(&path).expect_err(&format!("cut to {len} of {} bytes", whole.len()));
        assert_eq!(error.kind(), ErrorKind::Corrupt, "cut to {len}: {error}");
        assert!(error.to_string().contains("data.duckdb"), "{error}");
        for log in super::super::own_logs(&path) {
            let _ = fs::remove_file(log);
        }
    }
}

#[test]
fn a_file_that_is_no_database_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data.duckdb");
    // DuckDB hands a SQLite file to its extension, where it is installed.
    let sqlite = "SQLite format 3\0".repeat(1_000);
    for content in ["{\"key\": 1}\n".repeat(2_000), "x".to_owned(), sqlite] {
        fs::write(&path, &content).unwrap();
        let error = use_all(&path).unwrap_err();
        let other = content.starts_with("SQLite") && error.kind() == ErrorKind::Database;
        assert!(other || error.kind() == ErrorKind::Corrupt, "{error}");
        assert_eq!(fs::read(&path).unwrap(), content.as_bytes());
    }
}
