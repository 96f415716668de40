//! Many threads, and a process that is killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use persist_table::{Column, Config, Database, Durability, Rows, Schema, Type, col};
use persist_test_utils::{Rng, copy_as_crash_leaves_it};
use serde_json::{Value, json};

use crate::quiet;

fn account(name: &str) -> Schema {
    Schema::new(name)
        .column(Column::new("id", Type::Int).primary_key())
        .column(Column::new("owner", Type::Text).index())
        .column(Column::new("amount", Type::Int))
}

#[test]
fn threads_share_syncs_and_each_table_is_locked_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open("university", quiet(dir.path())).unwrap();
    let (one, two) = (db.create_table(account("one")).unwrap(), db.create_table(account("two")).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (one, two) = (one.clone(), two.clone());
            scope.spawn(move || {
                let rows = if thread % 2 == 0 { one } else { two };
                for n in 0..50 {
                    rows.insert(&json!({"owner": format!("t{thread}"), "amount": n})).unwrap();
                }
            });
        }
    });
    assert_eq!((one.count().unwrap(), two.count().unwrap()), (200, 200));
    // A transaction that holds one table keeps nobody from the other.
    let is_held = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            db.transaction(|tx| {
                tx.rows::<Value>("one")?.insert(&json!({"owner": "tx", "amount": 1}))?;
                is_held.store(true, Ordering::Release);
                while is_held.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
                Ok(())
            })
            .unwrap();
        });
        while !is_held.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        two.insert(&json!({"owner": "alone", "amount": 1})).unwrap();
        is_held.store(false, Ordering::Release);
    });
    assert_eq!(one.select().filter(col("owner").eq("tx")).count().unwrap(), 1);
}

/// Money moves between two tables; whoever looks within a transaction finds all of it, while it is saved and archived.
#[test]
fn nobody_sees_half_a_transaction_and_savers_hold_nobody_up_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::new()
        .base_path(dir.path())
        .save_interval(Some(Duration::from_millis(5)))
        .save_log_bytes(Some(20_000))
        .max_log_bytes(16_384)
        .durability(Durability::Interval(Duration::from_millis(2)));
    let db = Database::open("bank", config.clone()).unwrap();
    let names = ["one", "two"];
    for name in names {
        let rows = db.create_table(account(name)).unwrap();
        rows.insert_many((0..4).map(|_| json!({"owner": "x", "amount": 100}))).unwrap();
    }
    let moved = AtomicU64::new(0);
    let total = |db: &Database| {
        db.transaction(|tx| {
            let mut total = 0;
            for name in names {
                total += tx
                    .rows::<Value>(name)?
                    .select()
                    .rows()?
                    .iter()
                    .map(|row| row["amount"].as_i64().unwrap())
                    .sum::<i64>();
            }
            Ok(total)
        })
        .unwrap()
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (db, moved) = (&db, &moved);
            scope.spawn(move || {
                let mut rng = Rng::new(thread);
                while moved.fetch_add(1, Ordering::Relaxed) < 400 {
                    let order = if rng.chance(1, 2) { [0, 1] } else { [1, 0] };
                    let id = 1 + rng.below(4);
                    db.transaction(|tx| {
                        for (place, by) in order.iter().zip([-1, 1]) {
                            let rows = tx.rows::<Value>(names[*place])?;
                            let amount = rows.get(id)?.unwrap()["amount"].as_i64().unwrap();
                            rows.update(col("id").eq(id), &json!({"amount": amount + by}))?;
                        }
                        Ok(())
                    })
                    .unwrap();
                }
            });
        }
        while moved.load(Ordering::Relaxed) < 400 {
            assert_eq!(total(&db), 800);
            let operations = db.inspect_wal().unwrap();
            assert!(operations.windows(2).all(|two| two[0].seq < two[1].seq));
        }
    });
    assert_eq!(total(&db), 800);
    db.close().unwrap();
    let db = Database::open("bank", config).unwrap();
    assert_eq!(total(&db), 800);
}

const CHILD: &str = "PERSIST_TABLE_CHILD";
const KILLS: usize = 60;

/// What the child does until it is killed: it says on its pipe what was acknowledged.
fn write_until_killed(base: &std::path::Path) {
    let config = Config::new().base_path(base).save_interval(Some(Duration::from_millis(3))).max_log_bytes(32_768);
    let db = Database::open("university", config.save_log_bytes(Some(30_000))).unwrap();
    let rows: Vec<Rows> = ["one", "two"].iter().map(|name| db.create_table(account(name)).unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let (db, rows) = (&db, &rows);
            scope.spawn(move || {
                let owner = format!("t{thread}");
                let done = rows[0].select().filter(col("owner").eq(&owner)).rows().unwrap();
                for n in done.iter().map(|row| row["amount"].as_i64().unwrap()).max().unwrap_or(0) + 1.. {
                    db.transaction(|tx| {
                        tx.rows::<Value>("one")?.insert(&json!({"owner": owner, "amount": n}))?;
                        let two = tx.rows::<Value>("two")?;
                        if two.update(col("owner").eq(&owner), &json!({"amount": n}))? == 0 {
                            two.insert(&json!({"owner": owner, "amount": n}))?;
                        }
                        // The last twenty stay.
                        tx.rows::<Value>("one")?.delete(col("owner").eq(&owner).and(col("amount").le(n - 20)))?;
                        Ok(())
                    })
                    .unwrap();
                    let line = format!("{thread} {n}\n");
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    });
}

#[test]
fn a_process_killed_at_any_moment_has_lost_nothing_that_it_acknowledged() {
    if let Some(base) = std::env::var_os(CHILD) {
        return write_until_killed(base.as_ref());
    }
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(20_260_122);
    let mut acknowledged: BTreeMap<String, i64> = BTreeMap::new();
    for _ in 0..KILLS {
        let name = "threads::a_process_killed_at_any_moment_has_lost_nothing_that_it_acknowledged";
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", name, "--nocapture"]).env(CHILD, dir.path());
        let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = 5 + rng.below(120);
        let mut take = |line: String| {
            if let Some((owner, n)) = line.split_once(' ')
                && let (Ok(_), Ok(n)) = (owner.parse::<u64>(), n.parse::<i64>())
            {
                acknowledged.insert(format!("t{owner}"), n);
                return true;
            }
            false
        };
        while left > 0 {
            let line = lines.next().expect("the child ended by itself").unwrap();
            left -= u64::from(take(line));
        }
        std::thread::sleep(Duration::from_micros(rng.below(20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        lines.map_while(Result::ok).for_each(|line| {
            take(line);
        });

        let copy = tempfile::tempdir().unwrap();
        copy_as_crash_leaves_it(&dir.path().join("university"), &copy.path().join("university"));
        let db = Database::open("university", quiet(copy.path())).unwrap();
        let (one, two): (Rows, Rows) = (db.rows("one").unwrap(), db.rows("two").unwrap());
        for (owner, n) in &acknowledged {
            let of = two.select().filter(col("owner").eq(owner)).rows().unwrap();
            let last = of[0]["amount"].as_i64().unwrap();
            assert!(of.len() == 1 && last >= *n, "{owner}: {n} was acknowledged, {of:?}");
            let amounts = one.select().filter(col("owner").eq(owner)).rows().unwrap();
            let amounts: Vec<i64> = amounts.iter().map(|row| row["amount"].as_i64().unwrap()).collect();
            let expected: Vec<i64> = (1.max(last - 19)..=last).collect();
            assert_eq!(amounts, expected, "whole steps, once each");
        }
    }
}
