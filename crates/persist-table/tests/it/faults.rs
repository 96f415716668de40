//! What fails, or dies, part way: the next call, or the next opening, makes up for it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use persist_core::clock::ManualClock;
use persist_table::{Column, Config, Database, ErrorKind, RecoveryPolicy, Rows, Schema, Type, col};
use persist_test_utils::{Fault, Op, SimFs, What};
use serde_json::{Value, json};

use crate::{Student, names, open, quiet, student, text};

const EIO: What = What::Errno(5);

/// The lock is a real file, in the folder of the same name.
fn base() -> tempfile::TempDir {
    let base = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(base.path().join("university")).unwrap();
    base
}

fn on(fs: &SimFs, base: &Path) -> Config {
    let config = Config::new().base_path(base).save_interval(None).save_log_bytes(None);
    config.fs(Arc::new(fs.clone())).clock(Arc::new(ManualClock::new(1_769_114_000_000_000)))
}

fn names_in(rows: &Rows<Student>) -> BTreeSet<String> {
    rows.all().unwrap().into_iter().map(|row| row.name).collect()
}

/// The disk that is left when the machine stops before `database.json` notes the save, with some lines of the log damaged.
fn damaged(fs: &SimFs, base: &Path, seqs: &[u64]) -> SimFs {
    let image = fs.kill();
    let (identity, log) = (base.join("university/database.json"), base.join("university/wal/transaction.log"));
    let mut identity_text: Value = serde_json::from_slice(&image.read_file(&identity).unwrap()).unwrap();
    identity_text["saved_seq"] = 0.into();
    image.write_file(&identity, identity_text.to_string());
    let mut log_text = String::from_utf8(image.read_file(&log).unwrap()).unwrap();
    for seq in seqs {
        let place = log_text.find(&format!("\"seq\":{seq},")).unwrap();
        log_text.replace_range(place..=place, "'");
    }
    image.write_file(&log, log_text);
    image
}

/// Dies at each operation of the opening that mends a damaged log, and opens and writes after that.
fn die_while_it_is_mended(image: &SimFs, base: &Path, policy: RecoveryPolicy, expected: &[&str]) {
    let config = |fs: &SimFs| on(fs, base).recovery(policy);
    for n in 1.. {
        let world = image.kill();
        world.fault(Fault::at(n, What::StopAfter));
        let is_done = Database::open("university", config(&world)).is_ok_and(|_| !world.has_stopped());
        let world = world.kill();
        let strict = Database::open("university", on(&world, base));
        let db = match strict {
            Err(error) if error.kind() == ErrorKind::Corrupt && error.to_string().contains("is damaged at") => {
                Database::open("university", config(&world))
            }
            strict => strict,
        };
        let db = db.unwrap_or_else(|error| panic!("died at {n}: {error}"));
        db.table::<Student>().unwrap().insert(&student("Zoe", 1.0)).unwrap();
        let world = world.kill();
        drop(db);
        let db = Database::open("university", on(&world, base)).unwrap();
        let found = names_in(&db.table().unwrap());
        let expected = expected.iter().chain(&["Zoe"]).map(|name| (*name).to_owned()).collect();
        assert_eq!(found, expected, "died at {n}");
        if is_done {
            assert!(n > 20, "{n}");
            return;
        }
    }
}

#[test]
fn no_write_gets_the_number_of_a_lost_one_that_a_file_has_whenever_the_mending_dies() {
    let (base, fs) = (base(), SimFs::new());
    let db = Database::open("university", on(&fs, base.path())).unwrap();
    let students = db.table::<Student>().unwrap();
    for name in ["Alice", "Bob", "Carol"] {
        students.insert(&student(name, 3.0)).unwrap();
    }
    db.save().unwrap();
    let image = damaged(&fs, base.path(), &[3]);
    drop(db);
    die_while_it_is_mended(&image, base.path(), RecoveryPolicy::TruncateTail, &["Alice", "Bob", "Carol"]);
}

#[test]
fn rows_whose_removal_was_lost_give_way_whenever_the_mending_dies_and_are_reported() {
    let (base, fs) = (base(), SimFs::new());
    let db = Database::open("university", on(&fs, base.path())).unwrap();
    let students = db.table::<Student>().unwrap();
    let with = |name: &str, email: &str| Student { email: email.to_owned(), ..student(name, 3.0) };
    for name in ["Alice", "Bob"] {
        students.insert(&student(name, 3.0)).unwrap();
    }
    students.update(col("name").eq("Bob"), &json!({"gpa": 4.0})).unwrap();
    students.delete(col("name").eq("Bob")).unwrap();
    students.insert(&with("Robert", "bob@university.edu")).unwrap();
    let image = damaged(&fs, base.path(), &[3, 5]);
    drop(db);
    die_while_it_is_mended(&image, base.path(), RecoveryPolicy::Salvage, &["Alice", "Robert"]);

    let db = Database::open("university", on(&image.kill(), base.path()).recovery(RecoveryPolicy::Salvage)).unwrap();
    let changed = &db.recovery().unwrap().changed;
    assert!(changed.len() == 1 && changed[0].contains("\"name\": \"Bob\""), "{changed:?}");
}

#[test]
fn a_table_made_again_by_a_line_that_was_lost_keeps_its_files() {
    let (base, fs) = (base(), SimFs::new());
    let db = Database::open("university", on(&fs, base.path())).unwrap();
    db.table::<Student>().unwrap().insert(&student("Old", 3.0)).unwrap();
    db.drop_table("student").unwrap();
    db.table::<Student>().unwrap().insert(&student("Alice", 3.0)).unwrap();
    db.save().unwrap();
    let image = damaged(&fs, base.path(), &[4]);
    drop(db);
    let db = Database::open("university", on(&image, base.path()).recovery(RecoveryPolicy::Salvage)).unwrap();
    assert_eq!(names_in(&db.table().unwrap()), BTreeSet::from(["Alice".to_owned()]));
}

#[test]
fn a_drop_that_fails_part_way_is_finished_before_the_log_forgets_it() {
    for is_for_good in [false, true] {
        let (base, fs) = (base(), SimFs::new());
        let config = |fs: &SimFs| on(fs, base.path()).archives(Some(0));
        let db = Database::open("university", config(&fs)).unwrap();
        db.table::<Student>().unwrap().insert(&student("Alice", 3.0)).unwrap();
        db.create_table(crate::model::schema("other")).unwrap();
        db.save().unwrap();
        fs.fault(Fault::nth_on(Op::Remove, 1, EIO));
        assert_eq!(db.drop_table("student").unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(db.tables(), ["other"]);
        assert_eq!(db.checkpoint().unwrap_err().kind(), ErrorKind::Io);
        if !is_for_good {
            fs.clear_faults();
            db.checkpoint().unwrap();
        }
        let world = fs.kill();
        drop(db);
        let db = Database::open("university", config(&world)).unwrap();
        assert_eq!(db.tables(), ["other"], "{is_for_good}");
        assert_eq!(db.table::<Student>().unwrap().count().unwrap(), 0);
    }
    // One of the same name begins anew.
    let (base, fs) = (base(), SimFs::new());
    let db = Database::open("university", on(&fs, base.path())).unwrap();
    db.table::<Student>().unwrap().insert(&student("Alice", 3.0)).unwrap();
    db.save().unwrap();
    fs.fault(Fault::nth_on(Op::Remove, 1, EIO));
    db.drop_table("student").unwrap_err();
    assert_eq!(db.table::<Student>().unwrap_err().kind(), ErrorKind::Io);
    fs.clear_faults();
    db.table::<Student>().unwrap().insert(&student("Bob", 3.0)).unwrap();
    db.close().unwrap();
    let db = Database::open("university", on(&fs, base.path())).unwrap();
    assert_eq!(names_in(&db.table().unwrap()), BTreeSet::from(["Bob".to_owned()]));
}

#[test]
fn nothing_is_loaded_after_a_close_whose_log_was_poisoned() {
    let (base, fs) = (base(), SimFs::new());
    let db = Database::open("university", on(&fs, base.path())).unwrap();
    db.table::<Student>().unwrap().insert(&student("Alice", 3.0)).unwrap();
    db.create_table(crate::model::schema("other")).unwrap();
    db.close().unwrap();
    let db = Database::open("university", on(&fs, base.path())).unwrap();
    let (students, others): (Rows<Student>, Rows) = (db.rows("student").unwrap(), db.rows("other").unwrap());
    others.count().unwrap();
    fs.fault(Fault::nth_on(Op::SyncData, 1, EIO));
    others.insert(&json!({"team": 1})).unwrap_err();
    fs.clear_faults();
    assert_eq!(db.close().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(students.count().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_checkpoint_that_fails_at_any_operation_is_made_up_for_by_the_next_and_no_line_is_lost() {
    let mut after_a_rename = 0;
    for n in 1.. {
        let (base, fs) = (base(), SimFs::new());
        let db = Database::open("university", on(&fs, base.path()).max_log_bytes(4096)).unwrap();
        let students = db.table::<Student>().unwrap();
        let wal = base.path().join("university/wal");
        for row in 0..60 {
            students.insert(&student(&format!("s{row}"), 3.0)).unwrap();
        }
        fs.fault(Fault::at(fs.operations() + n, EIO));
        let before = fs.operations();
        let first = db.checkpoint();
        let renamed = fs.trace().into_iter().skip_while(|(at, ..)| *at <= before);
        let archived = renamed.filter(|(_, op, path)| *op == Op::Rename && path.starts_with(&wal)).count();
        fs.clear_faults();
        if first.is_err() {
            match db.checkpoint() {
                // Which of the files is in place is unknown, or what of the log is on the disk: it has to be opened again.
                Err(error) if error.kind() == ErrorKind::Poisoned => {}
                second => {
                    second.unwrap_or_else(|error| panic!("after operation {n} failed: {error}"));
                    after_a_rename += usize::from(archived > 1);
                }
            }
        }
        let logs = fs.files().into_iter().filter(|path| path.starts_with(&wal));
        let logs = logs.map(|path| String::from_utf8(fs.read_file(path).unwrap()).unwrap()).collect::<String>();
        for seq in 1..=61 {
            assert_eq!(logs.matches(&format!("\"seq\":{seq},")).count(), 1, "operation {n} failed, seq {seq}");
        }
        if first.is_ok() && fs.operations() < before + n {
            break;
        }
    }
    assert!(after_a_rename > 1, "{after_a_rename}");
}

#[test]
fn what_is_set_aside_of_the_newest_segment_is_kept_when_it_happens_again() {
    let dir = tempfile::tempdir().unwrap();
    for (name, torn) in [("Alice", "{\"one"), ("Bob", "{\"two")] {
        let (db, students) = open(dir.path());
        students.insert(&student(name, 3.0)).unwrap();
        db.close().unwrap();
        let log = text(dir.path(), "wal/transaction.log");
        std::fs::write(dir.path().join("university/wal/transaction.log"), log + torn).unwrap();
    }
    let (db, students) = open(dir.path());
    assert_eq!(students.count().unwrap(), 2);
    let kept: Vec<String> = names(dir.path(), "wal").into_iter().filter(|name| name.ends_with(".torn")).collect();
    let texts: Vec<String> = kept.iter().map(|name| text(dir.path(), &format!("wal/{name}"))).collect();
    assert_eq!(texts, ["{\"one", "{\"two"], "{kept:?}");
    drop(db);
}

#[test]
fn a_transaction_that_would_wait_for_itself_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open("university", quiet(dir.path())).unwrap();
    db.table::<Student>().unwrap();
    db.create_table(crate::model::schema("other")).unwrap();
    let schema = || {
        Schema::new("student")
            .column(Column::new("id", Type::Int).primary_key())
            .column(Column::new("more", Type::Int).nullable())
    };
    db.transaction(|tx| {
        tx.rows::<Student>("student")?.insert(&student("Alice", 3.0))?;
        let refused = [
            db.save(),
            db.compact(),
            db.load(),
            db.checkpoint().map(drop),
            db.drop_table("student"),
            db.migrate(schema()),
            db.create_table(schema()).map(drop),
            db.table::<Student>().map(drop),
            db.transaction(|_| Ok(())),
            db.stats().map(drop),
        ];
        for call in refused {
            let error = call.unwrap_err();
            assert!(error.kind() == ErrorKind::Input && error.to_string().contains("inside a transaction"), "{error}");
            assert!(error.to_string().contains("its own `table` and `rows`"), "{error}");
        }
        // By a handle of its own it can use what it does not hold.
        let (held, other): (Rows, Rows) = (db.rows("student")?, db.rows("other")?);
        for used in [held.count().map(drop), held.insert(&json!({})).map(drop), held.select().rows().map(drop)] {
            let error = used.unwrap_err();
            assert!(error.kind() == ErrorKind::Input && error.to_string().contains("table student is held"), "{error}");
        }
        assert!(db.schema("student").unwrap_err().to_string().contains("table student is held"));
        assert_eq!((held.name().as_str(), db.schema("other")?.table()), ("student", "other"));
        assert!(format!("{held:?}").contains("student"));
        // Nor by a function that one of its own calls runs.
        let own = tx.table::<Student>()?;
        let mut refusals = Vec::new();
        own.update_with(col("id").ge(1), |_: &mut Student| {
            refusals.extend([own.count().unwrap_err(), own.delete(col("id").ge(1)).unwrap_err()]);
            refusals.push(tx.rows::<Value>("other").unwrap_err());
        })?;
        assert!(refusals.len() == 3 && refusals.iter().all(|error| error.kind() == ErrorKind::Input), "{refusals:?}");
        other.insert(&json!({"team": 1}))?;
        let names: Vec<String> = tx.table::<Student>()?.select().rows()?.into_iter().map(|row| row.name).collect();
        assert_eq!((names, tx.rows::<Value>("other")?.count()?), (vec!["Alice".to_owned()], 1));
        assert!(other.count().is_err(), "held by now");
        Ok(())
    })
    .unwrap();
    // As does a function that changes rows, and an iterator of rows to add.
    let students = db.table::<Student>().unwrap();
    let other: Rows = db.rows("other").unwrap();
    let mut told = 0;
    let mut ask = || {
        // Another table too: who held that one could be asking for this one.
        told += usize::from(students.count().is_err()) + usize::from(db.save().is_err());
        told += usize::from(other.count().is_err()) + usize::from(other.insert(&json!({"team": 2})).is_err());
        student("Bob", 1.0)
    };
    students.update_with(col("id").ge(1), |_: &mut Student| drop(ask())).unwrap();
    students.insert_many(std::iter::once_with(&mut ask)).unwrap();
    assert_eq!((told, other.count().unwrap()), (8, 1));
    db.save().unwrap();
    db.transaction(|_| Ok(())).unwrap();
    assert_eq!(students.count().unwrap(), 2);
}

#[test]
fn a_table_that_cannot_be_saved_keeps_no_other_from_being_saved() {
    let (base, fs) = (base(), SimFs::new());
    let db = Database::open("university", on(&fs, base.path())).unwrap();
    for name in ["one", "two", "three"] {
        db.create_table(crate::model::schema(name)).unwrap().insert(&json!({"team": 1})).unwrap();
    }
    // The first file of records that is made; tables are saved by their names.
    let opened = fs.trace().iter().filter(|(_, op, _)| *op == Op::Create).count() as u64;
    fs.fault(Fault::nth(Op::Create, opened + 1, EIO));
    let error = db.save().unwrap_err();
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("one.records"), "{error}");
    let records = |name: &str| db.stats().unwrap().disk.unwrap().tables[name].records;
    assert_eq!(["one", "two", "three"].map(records), [0, 1, 1]);
    assert_eq!(db.stats().unwrap().disk.unwrap().saved_seq, 0, "not all is saved");
    db.save().unwrap();
    assert_eq!(["one", "two", "three"].map(records), [1, 1, 1]);
}

#[test]
fn the_logs_of_many_short_runs_are_archived_by_size_as_that_of_a_long_one() {
    let dir = tempfile::tempdir().unwrap();
    let archived = || names(dir.path(), "wal").into_iter().filter(|name| name.starts_with("transaction.20")).count();
    for run in 0..40 {
        let db = Database::open("university", quiet(dir.path()).save_log_bytes(Some(4_000))).unwrap();
        db.table::<Student>().unwrap().insert(&student(&format!("S{run}"), 1.0)).unwrap();
        // None of them writes so much by itself, and each gives the thread the time that it needs.
        let start = std::time::Instant::now();
        while archived() == 0 && run >= 20 && start.elapsed() < std::time::Duration::from_millis(500) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        db.close().unwrap();
        if archived() > 0 {
            assert!(run > 8, "{run}");
            return;
        }
    }
    panic!("{:?}", names(dir.path(), "wal"));
}

#[test]
fn a_moment_written_otherwise_is_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let schema = Schema::new("visit").column(Column::new("id", Type::Int).primary_key());
    let db = Database::open("university", quiet(dir.path())).unwrap();
    let rows: Rows = db.create_table(schema.column(Column::new("at", Type::Timestamp))).unwrap();
    rows.insert(&json!({"at": "2026-01-22T10:30:00Z"})).unwrap();
    for (at, seq) in [("2026-01-22T10:30:00Z", 2), ("2026-01-22T11:30:00+01:00", 3)] {
        rows.update(col("id").eq(1), &json!({ "at": at })).unwrap();
        assert_eq!(db.inspect_wal().unwrap().last().unwrap().seq, seq, "{at}");
    }
    assert_eq!(rows.get(1).unwrap().unwrap()["at"], "2026-01-22T11:30:00+01:00");
}

#[test]
fn a_unique_column_whose_default_all_rows_would_have_is_not_added() {
    let base = || Schema::new("card").column(Column::new("id", Type::Int).primary_key());
    let db = Database::in_memory("cards").unwrap();
    let rows: Rows = db.create_table(base()).unwrap();
    rows.insert(&json!({})).unwrap();
    let with_default = base().column(Column::new("code", Type::Text).unique().default_value("none"));
    let error = db.migrate(with_default).unwrap_err();
    assert!(error.kind() == ErrorKind::Schema && error.to_string().contains("code"), "{error}");
    db.migrate(base().column(Column::new("code", Type::Text).unique().nullable())).unwrap();
}
