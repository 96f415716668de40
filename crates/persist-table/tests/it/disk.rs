//! A disk that fails: at each file operation of everything that writes files, without space, and where a file can't be
//! renamed.

use std::path::Path;
use std::sync::Arc;

use persist_core::clock::ManualClock;
use persist_table::{Column, Config, Database, Durability, ErrorKind, Result, Rows, Schema, Type, col};
use persist_test_utils::{Fault, Op, SimFs, What};
use serde_json::{Value, json};

use crate::{Student, student};

const EIO: What = What::Errno(5);
const ENOSPC: What = What::Errno(28);

/// The lock is a real file, in the folder of the same name.
fn base() -> tempfile::TempDir {
    let base = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(base.path().join("university")).unwrap();
    base
}

fn on(fs: &SimFs, base: &Path) -> Config {
    let config = Config::new().base_path(base).save_interval(None).save_log_bytes(None).max_log_bytes(4096);
    config.fs(Arc::new(fs.clone())).clock(Arc::new(ManualClock::new(1_769_114_000_000_000)))
}

fn course(with_room: bool) -> Schema {
    let schema = Schema::new("course").column(Column::new("id", Type::Int).primary_key());
    let schema = schema.column(Column::new("code", Type::Text).unique());
    if with_room { schema.column(Column::new("room", Type::Text).default_value("none")) } else { schema }
}

type Step = fn(&Database) -> Result<()>;

fn students(db: &Database) -> Result<Rows<Student>> {
    db.table()
}

/// Everything that writes files, in small steps, each of which is there as a whole or not at all.
const STEPS: [Step; 18] = [
    |db| students(db).map(drop),
    |db| db.create_table(course(false)).map(drop),
    |db| students(db)?.insert_many((0..3).map(|n| student(&format!("S{n}"), 2.0))).map(drop),
    |db| {
        db.transaction(|tx| {
            for n in 0..4 {
                tx.rows::<Value>("course")?.insert(&json!({"code": format!("C{n}")}))?;
                tx.rows::<Student>("student")?.insert(&student(&format!("T{n}"), f64::from(n)))?;
            }
            Ok(())
        })
    },
    Database::save,
    |db| students(db)?.insert(&student("Appended", 1.0)).map(drop),
    Database::save,
    |db| students(db)?.update(col("gpa").lt(2.0), &json!({"gpa": 3.3})).map(drop),
    |db| {
        db.transaction(|tx| {
            tx.rows::<Value>("course")?.delete(col("code").eq("C1"))?;
            tx.rows::<Student>("student")?.delete(col("name").starts_with("T"))?;
            tx.rows::<Value>("course")?.insert(&json!({"code": "C1"})).map(drop)
        })
    },
    Database::save,
    |db| db.migrate(course(true)),
    |db| db.checkpoint().map(drop),
    |db| students(db)?.insert_many((0..12).map(|n| student(&format!("U{n}"), 1.0))).map(drop),
    |db| students(db)?.insert_many((0..12).map(|n| student(&format!("V{n}"), 1.0))).map(drop),
    |db| db.drop_table("course"),
    Database::compact,
    |db| db.create_table(course(false))?.insert(&json!({"code": "Again"})).map(drop),
    |db| db.checkpoint().map(drop),
];

/// What there is: of each table its columns and rows.
fn held(db: &Database) -> Vec<(String, Vec<String>, Vec<Value>)> {
    let of = |table: String| {
        let columns = db.schema(&table).unwrap().columns().map(str::to_owned).collect();
        let rows = db.rows::<Value>(&table).unwrap().all().unwrap();
        (table, columns, rows)
    };
    db.tables().into_iter().map(of).collect()
}

/// Opens and takes all steps, up to one that fails; answers how many were taken.
fn take_steps(fs: &SimFs, base: &Path, mut after: impl FnMut(&Database)) -> (usize, bool) {
    let Ok(db) = Database::open("university", on(fs, base)) else { return (0, false) };
    let taken = STEPS.iter().take_while(|step| {
        let done = step(&db);
        if let Err(error) = &done {
            assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Poisoned), "{error}");
        } else {
            after(&db);
        }
        done.is_ok()
    });
    let taken = taken.count();
    (taken, db.close().is_ok())
}

#[test]
fn whatever_fails_or_dies_at_any_operation_each_step_is_there_as_a_whole_or_not_at_all() {
    let base = base();
    let (mut expected, fs) = (vec![Vec::new()], SimFs::new());
    assert_eq!(take_steps(&fs, base.path(), |db| expected.push(held(db))), (STEPS.len(), true));
    let operations = fs.operations();
    assert!(operations > 200, "{operations}");
    let mut in_steps = std::collections::BTreeSet::new();
    for n in 1..=operations {
        // Of several lines, the longer piece has the first as a whole.
        let torn = [7, 600].map(What::ShortThenStop);
        let all = [What::Stop, What::StopAfter, EIO, ENOSPC].into_iter().chain(torn);
        for (kind, what) in all.enumerate() {
            let fs = SimFs::new();
            fs.fault(Fault::at(n, what));
            let (taken, _) = take_steps(&fs, base.path(), |_| {});
            in_steps.insert(taken);
            for world in [fs.kill(), fs.power_cut(n + kind as u64)] {
                let db = Database::open("university", on(&world, base.path()));
                let db = db.unwrap_or_else(|error| panic!("{what:?} at {n}, in step {taken}: {error}"));
                let found = held(&db);
                // A step that makes a table and then adds to it is two.
                let between = taken == 16 && found.first().is_some_and(|(_, _, rows)| rows.is_empty());
                assert!(
                    between || expected[taken..].iter().take(2).any(|state| *state == found),
                    "{what:?} at {n}, in step {taken}: {found:#?}"
                );
                students(&db).unwrap().insert(&student("Zoe", 1.0)).unwrap();
                db.close().unwrap();
                let files = world.files().into_iter().filter(|path| path.extension().is_some_and(|end| end == "new"));
                assert_eq!(files.count(), 0, "{what:?} at {n}: a file that was written aside stays");
            }
        }
    }
    assert!((0..STEPS.len()).all(|step| in_steps.contains(&step)), "{in_steps:?}");
}

#[test]
fn a_full_disk_refuses_what_it_has_no_space_for_and_costs_nothing() {
    let (base, fs) = (base(), SimFs::new());
    let db = Database::open("university", on(&fs, base.path())).unwrap();
    let students = students(&db).unwrap();
    students.insert_many((0..200).map(|n| student(&format!("S{n}"), 2.0))).unwrap();
    db.save().unwrap();
    students.update(col("name").eq("S7"), &json!({"gpa": 4.0})).unwrap();
    let used: u64 = fs.files().iter().map(|path| fs.read_file(path).unwrap().len() as u64).sum();
    // Half a file of records still fits.
    fs.set_capacity(Some(used + 8192));
    let error = db.save().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    let aside: Vec<_> = fs.files().into_iter().filter(|path| path.to_string_lossy().contains(".records.")).collect();
    assert!(aside.is_empty(), "half a file stays: {aside:?}");
    let mut added = 0;
    let refused = loop {
        match students.insert(&student(&format!("More{added}"), 1.0)) {
            Ok(_) => added += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Io, "{refused}");
    assert_eq!(students.count().unwrap(), 200 + added);
    fs.set_capacity(None);
    students.insert(&student("Last", 1.0)).unwrap();
    db.save().unwrap();
    let worlds = [fs.kill(), fs.power_cut(1)];
    drop((db, students));
    for world in worlds {
        let db = Database::open("university", on(&world, base.path())).unwrap();
        assert_eq!(db.table::<Student>().unwrap().count().unwrap(), 201 + added);
    }
}

#[test]
fn a_log_file_that_cannot_be_renamed_refuses_writes_and_is_renamed_later() {
    let mut refused = 0;
    for durability in [Durability::Sync, Durability::Os] {
        for n in 1..=8 {
            let (base, fs) = (base(), SimFs::new());
            let config = || on(&fs, base.path()).durability(durability);
            let db = Database::open("university", config()).unwrap();
            let students = students(&db).unwrap();
            let before = fs.trace().iter().filter(|(_, op, _)| *op == Op::Rename).count() as u64;
            fs.fault(Fault::nth(Op::Rename, before + n, EIO));
            for row in 0..100 {
                let new = student(&format!("s{row}"), 3.0);
                if let Err(error) = students.insert(&new) {
                    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("rename"), "{error}");
                    refused += 1;
                    // What is there is durable, or can be made so.
                    db.sync().unwrap();
                    students.insert(&new).unwrap();
                }
            }
            let world = fs.kill();
            fs.clear_faults();
            db.close().unwrap();
            let wal = base.path().join("university/wal");
            let logs = fs.files().into_iter().filter(|path| path.starts_with(&wal));
            for path in logs {
                let text = String::from_utf8(fs.read_file(&path).unwrap()).unwrap();
                assert!(text.contains("\"seq\""), "{} was laid out and is left", path.display());
            }
            for fs in [world, fs.power_cut(n)] {
                let db = Database::open("university", on(&fs, base.path())).unwrap();
                assert_eq!(db.table::<Student>().unwrap().count().unwrap(), 100);
            }
        }
    }
    assert_eq!(refused, 16);
}
