//! Runs the program, and makes the stores that it is run on.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use persist_collection::{CollectionConfig, CollectionStore};
use persist_dated::{DatedConfig, DatedStore};
use persist_kv::{KvConfig, KvStore};
use serde_json::{Value, json};

use crate::schema::check_run;

pub(crate) const DATE: &str = "2025-01-15";

/// What the program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Its output, which is JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the program.
pub(crate) fn persist<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    persist_with(args, "")
}

/// Runs the program with something on its standard input. JSON that it prints is held against the schema.
pub(crate) fn persist_with<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, input: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_persist"));
    let args: Vec<String> = args.into_iter().map(|arg| arg.as_ref().to_str().unwrap().to_owned()).collect();
    command.args(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ran = Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
    check_run(&args, &ran);
    ran
}

/// A dated store that is open, with three records of two keys.
pub(crate) fn dated(base: &Path) -> DatedStore {
    let store = DatedStore::open(DATE, DatedConfig::new(base)).unwrap();
    for (key, process, progress) in [("load", "worker1", 10), ("load", "worker2", 20), ("save", "worker1", 30)] {
        store.put(key).process(process).data(&json!({"progress": progress})).unwrap();
    }
    store
}

/// A collection store that is open, with two writes of one item and one of another.
pub(crate) fn collection(base: &Path) -> CollectionStore {
    let store = CollectionStore::open("2025-12-24", CollectionConfig::new(base)).unwrap();
    for (item, value, day) in [("age", 32, "2025-12-01"), ("age", 33, "2025-12-15"), ("size", 4, "2025-12-02")] {
        store.put("ada").collection("info").item(item).value(value).timestamp(day).data(&json!({})).unwrap();
    }
    store
}

/// A key-value store that is open, with two records.
pub(crate) fn kv(dir: &Path) -> KvStore {
    let store = KvStore::open(dir.join("data.duckdb"), KvConfig::new(dir)).unwrap();
    store.store("user_1", &json!({"name": "Alice"})).unwrap();
    store.store("user_2", &json!({"name": "Bob", "id": 12_345_678_901_234_567_890_u64})).unwrap();
    store
}

/// A folder for a test, and what is in it.
#[derive(Debug)]
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    /// The same as an argument.
    pub(crate) fn arg(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    pub(crate) fn join(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_owned()
    }
}

/// All files below a folder with their contents.
pub(crate) fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// The files below the folder of a store in use, when its threads have done what they had to do.
pub(crate) fn at_rest(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut before = contents(dir);
    for _ in 0..100 {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let now = contents(dir);
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("{} never came to rest", dir.display());
}

/// A dated store below `to` as a crash leaves it, with three records in the log.
pub(crate) fn crashed(to: &Path) -> PathBuf {
    let live = Scratch::new();
    let store = dated(&live.path());
    persist_test_utils::copy_as_crash_leaves_it(&live.path(), to);
    drop(store);
    to.join(DATE)
}

/// The one segment of a store's folder.
pub(crate) fn segment(dir: &Path) -> PathBuf {
    let lines = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().any(|line| !line.is_empty());
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "jsonl");
    let found: Vec<PathBuf> = files.filter(|path| is_segment(path) && lines(path)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

/// Flips a bit in the middle of a file.
pub(crate) fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// Presses Ctrl-C.
pub(crate) fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// Waits for the end of a program, and answers its exit code and what it said on its standard error.
pub(crate) fn ends(child: &mut Child) -> (i32, String) {
    for _ in 0..3000 {
        if let Some(status) = child.try_wait().unwrap() {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            return (status.code().unwrap_or(-1), said);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    panic!("it does not end");
}
