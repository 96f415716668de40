//! That each workload runs and reports persist beside a floor. The figures of a dev build say nothing.

#![allow(clippy::unwrap_used)]

/// The figures of a run with these arguments.
fn report_of(args: &[&str]) -> Vec<serde_json::Value> {
    let dir = tempfile::Builder::new().prefix("bench-smoke-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let json = dir.path().join("report.json");
    let mut bench = std::process::Command::new(env!("CARGO_BIN_EXE_persist-bench"));
    let ran = bench.args(args).arg("--dir").arg(dir.path()).arg("--json").arg(&json).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap()
}

#[test]
fn every_workload_reports_persist_and_a_floor() {
    let report = report_of(&["--tiny", "3000"]);
    for workload in [
        "durable-1-thread",
        "durable-8-threads",
        "durable-64-threads",
        "os-1-thread",
        "os-8-threads",
        "batch-of-1",
        "batch-of-1000",
        "tickets-1",
        "tickets-1000",
        "compare-and-set-1-thread",
        "compare-and-set-8-threads",
        "get-1m-1-thread",
        "get-1m-2-threads-writer",
        "flush-1000-at-100k",
        "flush-1000-at-1m",
        "recovery-1m",
        "open-1m",
        "export-1m",
        "coll-durable-1-thread",
        "coll-durable-64-threads",
        "coll-flush-1000-at-1m",
        "lazy-load-1m",
        "refresh-1000-at-100k",
        "coll-recover-at-1m",
        "coll-backup-1m",
    ] {
        let rates: Vec<_> =
            report.iter().filter(|row| row["workload"] == workload && row["metric"] == "ops_per_s").collect();
        assert!(rates.iter().all(|row| row["value"].as_f64().unwrap() > 0.0), "{rates:?}");
        assert!(rates.iter().any(|row| row["store"] == "persist"), "{workload}: {rates:?}");
        assert!(rates.iter().any(|row| row["store"].as_str().unwrap().starts_with("floor")), "{workload}: {rates:?}");
    }
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
