//! That each workload runs and reports persist beside what it is compared with. The figures of a dev build say nothing.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("bench-smoke-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Runs the program with these arguments, which leaves its report in this folder.
fn run(dir: &Path, args: &[&str]) -> Output {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_persist-bench"));
    bench.args(args).arg("--dir").arg(dir).arg("--out").arg(dir).output().unwrap()
}

/// The figures of a run with these arguments.
fn report_of(args: &[&str]) -> Vec<serde_json::Value> {
    let dir = folder();
    let ran = run(dir.path(), args);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&std::fs::read(dir.path().join("report.json")).unwrap()).unwrap()
}

/// The stores, and the metrics of each, that the report has for a workload.
fn stores_and_metrics<'a>(report: &'a [serde_json::Value], workload: &str) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in report.iter().filter(|row| row["workload"] == workload) {
        assert!(row.as_object().unwrap().len() == 4 && row["value"].as_f64().unwrap() > 0.0, "{row}");
        let is_new = found.entry(row["store"].as_str().unwrap()).or_default().insert(row["metric"].as_str().unwrap());
        assert!(is_new, "twice: {row}");
    }
    found
}

const PEERS: [&str; 4] = ["sqlite", "redb", "fjall", "lmdb"];
const TIMED: [&str; 4] = ["ops_per_s", "p50_us", "p99_us", "p999_us"];

/// Each workload of the report, the peers that have it too, and its metrics.
const WORKLOADS: [(&str, &[&str], &[&str]); 23] = [
    ("durable-1-thread", &PEERS, &TIMED),
    ("durable-8-threads", &PEERS, &TIMED),
    ("durable-64-threads", &PEERS, &TIMED),
    ("durable-256-threads", &PEERS, &TIMED),
    ("os-1-thread", &PEERS, &TIMED),
    ("os-8-threads", &PEERS, &TIMED),
    ("tickets-1000", &PEERS, &TIMED),
    ("batch-100", &PEERS, &TIMED),
    ("get-1m-1-thread", &PEERS, &TIMED),
    ("get-1m-2-threads-writer", &PEERS, &TIMED),
    ("flush-1000-at-100k", &[], &TIMED),
    ("flush-1000-at-1m", &[], &TIMED),
    ("flush-1000-at-5m", &[], &TIMED),
    ("compaction", &[], &["ops_per_s", "seconds"]),
    ("recovery-1m", &[], &["ops_per_s", "seconds"]),
    ("open-1m", &[], &["ops_per_s", "seconds"]),
    ("memory-1m", &[], &["bytes_per_record"]),
    ("export-1m", &[], &["ops_per_s", "seconds"]),
    ("lazy-load-5m", &[], &TIMED),
    ("record-100b", &PEERS, &TIMED),
    ("record-1k", &PEERS, &TIMED),
    ("record-10k", &PEERS, &TIMED),
    ("record-100k", &PEERS, &TIMED),
];

#[test]
fn the_report_has_each_workload_of_each_store_and_nothing_else() {
    let report = report_of(&["--tiny", "3000"]);
    for (workload, peers, metrics) in WORKLOADS {
        let found = stores_and_metrics(&report, workload);
        let mut stores: BTreeSet<&str> = ["persist", "floor"].iter().chain(peers).copied().collect();
        if workload == "compaction" {
            // Nothing bare does as much.
            stores.remove("floor");
        }
        assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), stores, "{workload}");
        for (store, found) in found {
            assert_eq!(found, metrics.iter().copied().collect(), "{workload} of {store}");
        }
    }
    let known: BTreeSet<&str> = WORKLOADS.iter().map(|(workload, ..)| *workload).collect();
    let reported: BTreeSet<&str> = report.iter().map(|row| row["workload"].as_str().unwrap()).collect();
    assert_eq!(reported, known);
}

#[test]
fn the_other_workloads_run_where_their_names_begin_so() {
    let others = [
        "batch-of-1",
        "batch-of-1000",
        "tickets-1",
        "tickets-100",
        "compare-and-set-1-thread",
        "compare-and-set-8-threads",
        "coll-durable-1-thread",
        "coll-durable-64-threads",
        "coll-flush-1000-at-1m",
        "lazy-load-1m",
        "refresh-1000-at-100k",
        "coll-recover-at-1m",
        "coll-backup-1m",
        "table-insert-1-thread",
        "table-insert-os",
        "table-insert-64-threads",
        "table-load-100k",
        "table-load-1m",
        "table-get-100k",
        "table-get-1m",
        "table-find-100k",
        "table-find-1m",
        "table-save-inserted-100k",
        "table-save-inserted-1m",
        "table-save-updated-100k",
        "table-save-updated-1m",
    ];
    let wanted = "batch-of,tickets,compare,coll,lazy-load-1m,refresh-1000-at-1,table-";
    let report = report_of(&["--tiny", "3000", "--only", wanted]);
    for workload in others {
        let found = stores_and_metrics(&report, workload);
        assert!(found.contains_key("persist") && found.contains_key("floor"), "{workload}: {found:?}");
    }
    assert!(!report.iter().any(|row| row["workload"] == "durable-1-thread"), "{report:?}");
}

#[test]
fn the_memory_of_a_record_is_reported_beside_its_text() {
    let report = report_of(&["--tiny", "20000", "--only", "memory"]);
    let bytes: Vec<f64> = report.iter().map(|row| row["value"].as_f64().unwrap()).collect();
    assert!(bytes.len() == 2 && bytes[0] > bytes[1] && bytes[1] > 200.0, "{report:?}");
}

#[test]
fn only_the_workloads_that_are_named_run() {
    let report = report_of(&["--tiny", "300", "--only", "os-"]);
    assert!(!report.is_empty() && report.iter().all(|row| row["workload"].as_str().unwrap().starts_with("os-")));
}

#[test]
fn what_was_measured_is_drawn_and_tabulated() {
    let dir = folder();
    assert!(run(dir.path(), &["--tiny", "300", "--only", "durable-,os-1-thread"]).status.success());
    for (plot, labels) in [
        ("durable-by-threads.svg", &["persist", "floor", "threads", "64"][..]),
        ("latency.svg", &["persist", "floor", "64 threads"]),
        ("os.svg", &["persist", "floor", "1 thread"]),
    ] {
        let text = std::fs::read_to_string(dir.path().join(plot)).unwrap();
        let drawn = roxmltree::Document::parse(&text).unwrap();
        let texts: Vec<&str> = drawn.descendants().filter_map(|node| Some(node.text()?.trim())).collect();
        assert!(labels.iter().all(|label| texts.contains(label)), "{plot}: {texts:?}");
    }
    assert!(!dir.path().join("reads.svg").exists(), "a plot of nothing");
    let tables = std::fs::read_to_string(dir.path().join("report.md")).unwrap();
    let row = tables.lines().find(|line| line.starts_with("| `durable-64-threads` |")).unwrap();
    let head = tables.lines().find(|line| line.starts_with("| operations per second |")).unwrap();
    assert_eq!(row.split('|').count(), head.split('|').count());
}

#[test]
fn the_check_names_each_target_and_fails_where_one_is_missed() {
    let ran = run(folder().path(), &["--tiny", "300", "--only", "tickets-1000", "--check"]);
    let printed = String::from_utf8_lossy(&ran.stdout);
    let verdict =
        |about: &str| printed.lines().find(|line| line.starts_with(about)).unwrap().rsplit("  ").next().unwrap();
    assert_eq!(verdict("random get, 1 thread / LMDB"), "not measured");
    // How fast this machine is does not matter here, but what is printed and what is answered are to agree.
    match verdict("1,000 tickets in flight") {
        "met" => assert!(ran.status.success()),
        "MISSED" => assert!(!ran.status.success()),
        other => panic!("{other}"),
    }
}
