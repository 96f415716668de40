//! The examples, as the documents tell to run them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use persist_dated::{DatedConfig, DatedStore};
use persist_test_utils::example_program;
use serde_json::{Value, json};

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn reopened(dir: &Path, date: &str) -> DatedStore {
    assert!(logs(&dir.join(date)).is_empty(), "it was not closed");
    DatedStore::open(date, DatedConfig::new(dir)).unwrap()
}

fn logs(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("wal_")).collect()
}

#[test]
fn basic_stores_reads_restarts_and_verifies_and_can_be_run_again() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let text = printed(&example_program("basic").arg(dir.path()).output().unwrap());
        assert!(text.contains("250 writes: "), "{text}");
        assert!(text.contains("flushed: 0 not flushed"), "{text}");
        assert!(text.contains("task_07 has "), "{text}");
        assert!(text.contains("worker2"), "{text}");
        assert!(dir.path().join("lake/process_name=worker2/date=2025-01-15/data.parquet").is_file());
        let store = reopened(dir.path(), "2025-01-15");
        assert!(text.ends_with(&format!("all {} records are there, in memory and in DuckDB\n", store.len())), "{text}");
        let versions = store.query("SELECT sum(version)::BIGINT AS n FROM storage").unwrap();
        assert_eq!(versions.get(0, "n"), Some(&json!(250)));
    }
}

#[test]
fn crash_aborts_with_its_log_and_recovers_nine_records() {
    let dir = tempfile::tempdir().unwrap();
    // A core dump would land in the working folder.
    let stage =
        |stage: &str| example_program("crash").arg(stage).arg(dir.path()).current_dir(dir.path()).output().unwrap();
    for _ in 0..2 {
        let crashed = stage("1");
        assert_eq!(crashed.status.code(), None, "ended by a signal: {crashed:?}");
        assert!(String::from_utf8_lossy(&crashed.stdout).contains("9 records are acknowledged"), "{crashed:?}");
        assert!(!logs(&dir.path().join("2025-01-15")).is_empty());

        let text = printed(&stage("2"));
        assert!(text.starts_with("9 records replayed after seq 0"), "{text}");
        assert!(text.ends_with("all nine records recovered and verified, closed, no log left\n"), "{text}");
        assert_eq!(reopened(dir.path(), "2025-01-15").len(), 9);
    }
    // Without the store of a crash there is nothing to verify.
    fs::remove_dir_all(dir.path().join("2025-01-15")).unwrap();
    assert_eq!(stage("2").status.code(), Some(1));
    assert_eq!(stage("3").status.code(), Some(1));
}

#[test]
fn dates_are_written_at_once_and_asked_together() {
    let dir = tempfile::tempdir().unwrap();
    let text = printed(&example_program("dates").arg(dir.path()).output().unwrap());
    for (date, celsius) in [("2025-01-13", "11.25"), ("2025-01-14", "11.75"), ("2025-01-15", "12.25")] {
        assert!(text.contains(&format!("has stored {date}\n")), "{text}");
        assert!(text.contains(&format!("{date}: 20 records, {celsius} degrees")), "{text}");
        assert_eq!(reopened(dir.path(), date).len(), 20);
    }
}

/// The running service: killed when a test fails.
struct Service {
    child: Child,
    address: String,
    dir: PathBuf,
}

impl Service {
    fn start(dir: &Path) -> Self {
        let mut child = example_program("service").arg("127.0.0.1:0").arg(dir).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let (address, dir) =
            line.trim_end().strip_prefix("listening on ").and_then(|line| line.split_once(", storing in ")).unwrap();
        Self { address: address.to_owned(), dir: dir.into(), child }
    }

    /// The status and the body that a request is answered with.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}")))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[test]
fn service_stores_answers_refuses_and_closes_the_store_when_asked_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::start(dir.path());
    let update = |process: Option<&str>, progress: Value| {
        json!({"name": "load", "progress": progress, "status": "running", "process_name": process}).to_string()
    };
    let put = |path: &str, body: &str| service.ask("PUT", path, body);
    let stored = |version: u32| (200, json!({"status": "stored", "task_id": "load", "version": version}));
    assert_eq!(put("/task/load", &update(Some("worker1"), json!(75))), stored(1));
    assert_eq!(put("/task/load", &update(Some("worker1"), json!(80))), stored(2));
    assert_eq!(put("/task/load", &update(None, json!(5))), stored(1));

    // What the service's type refuses, and what the store does: each names the field, and nothing is written.
    let late = update(None, json!(5)).replace("\"status\"", "\"timestamp\":\"yesterday\",\"status\"");
    let refused = [
        (update(None, json!("much")), "progress"),
        (update(None, json!(1)).replace("\"name\"", "\"title\""), "name"),
        (late, "timestamp"),
        ("{".to_owned(), "EOF"),
    ];
    for (body, field) in refused {
        let (status, answer) = put("/task/bad", &body);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(field), "{answer} does not name {field}");
    }
    assert_eq!(service.ask("GET", "/task/bad", "").0, 404);

    let (status, one) = service.ask("GET", "/task/load?process_name=worker1", "");
    assert_eq!((status, &one["progress"], &one["username"]), (200, &json!(80), &Value::Null));
    let (_, all) = service.ask("GET", "/task/load", "");
    assert_eq!(all.as_array().unwrap().iter().map(|task| &task["progress"]).collect::<Vec<_>>(), [5, 80]);

    let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", service.child.id())]).status().unwrap();
    assert!(asked.success());
    assert_eq!(service.child.wait().unwrap().code(), Some(0));
    let store = reopened(dir.path(), service.dir.file_name().unwrap().to_str().unwrap());
    assert_eq!(store.len(), 2);
    assert_eq!(store.get_key_process("load", Some("worker1")).unwrap().version(), 2);
}
