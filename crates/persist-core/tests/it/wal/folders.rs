//! A log in several folders: recovery from all of them, and going on in another.

use std::path::{Path, PathBuf};

use persist_core::error::{ErrorKind, Result};
use persist_core::fs::Fs;
use persist_core::wal::{Cause, Recovered, Recovery, RecoveryPolicy};
use persist_test_utils::SimFs;

use super::check;
use super::driver::{
    DIR, Driver, Sizes, clock, files, lineage, recover, recover_in, segment, segments, small_segments,
};

const ONE: &str = "/store/one";
const TWO: &str = "/store/two";
const THREE: &str = "/store/three";

/// Lines 1 to 8 in one folder and 9 to 12 in another, where the last segment has a torn tail. The third is not there.
fn torn() -> SimFs {
    let fs = SimFs::new();
    fs.write_file(format!("{ONE}/wal_000001.jsonl"), segment(1, &[&[1, 2], &[3, 4]]));
    fs.write_file(format!("{TWO}/wal_000002.jsonl"), segment(2, &[&[5, 6], &[7, 8]]));
    let tail = [segment(3, &[&[9, 10], &[11, 12]]), b"{\"key\":\"torn".to_vec(), vec![b'\n'; 4096]].concat();
    fs.write_file(format!("{ONE}/wal_000003.jsonl"), tail);
    fs
}

fn recover_all(fs: &SimFs, policy: RecoveryPolicy) -> Result<Recovered> {
    let folders = [ONE, TWO].map(PathBuf::from);
    Recovery::new(fs, &*clock(), Path::new(THREE), &lineage()).also_in(&folders).policy(policy).run()
}

fn names(fs: &SimFs) -> Vec<String> {
    fs.files().into_iter().map(|path| path.to_str().unwrap().to_owned()).collect()
}

#[test]
fn what_was_torn_stays_beside_its_segment_and_the_fresh_one_goes_to_the_present_folder() {
    let fs = torn();
    for path in ["one/wal_000007.jsonl.tmp", "two/wal_000004.jsonl.tmp", "two/wal_000002.jsonl.torn.tmp"] {
        fs.write_file(format!("{DIR}/{path}"), b"{\"half\":");
    }
    fs.write_file(format!("{TWO}/wal_000040.jsonl.gz"), b"kept by another hand");
    let recovered = recover_all(&fs, RecoveryPolicy::Strict).unwrap();
    assert_eq!(
        check::lines(&recovered).into_iter().map(|(seq, _)| seq).collect::<Vec<_>>(),
        (1..=12).collect::<Vec<_>>()
    );
    let [stretch] = recovered.report().left_out.as_slice() else { panic!("{}", recovered.report()) };
    assert_eq!((stretch.cause, stretch.file.as_path()), (Cause::Torn, Path::new("/store/one/wal_000003.jsonl")));
    assert_eq!(stretch.kept_as.as_deref(), Some(Path::new("/store/one/wal_000003.jsonl.torn")));
    assert_eq!(fs.read_file("/store/one/wal_000003.jsonl.torn").unwrap(), b"{\"key\":\"torn\n");
    assert_eq!(recovered.start().next_segment.0, 42, "numbers go on past any in any folder");
    let expected = [
        "/store/one/wal_000001.jsonl",
        "/store/one/wal_000003.jsonl",
        "/store/one/wal_000003.jsonl.torn",
        "/store/three/wal_000041.jsonl",
        "/store/two/wal_000002.jsonl",
        "/store/two/wal_000040.jsonl.gz",
    ];
    assert_eq!(names(&fs), expected);
    let disk = fs.drop_caches();
    assert_eq!(files(&disk), files(&fs), "some name or cut was not made durable");
    assert_eq!(recover(&disk, &clock(), 0).unwrap().len(), 12);
}

#[test]
fn damage_in_any_folder_is_named_and_kept_there() {
    for (folder, number) in [(ONE, 1), (TWO, 2)] {
        let fs = torn();
        let path = format!("{folder}/wal_{number:06}.jsonl");
        fs.flip_bit(&path, 8 * 30);
        let before = files(&fs);
        let error = recover_all(&fs, RecoveryPolicy::Strict).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(&path), "{error}");
        assert_eq!(files(&fs), before, "the strict policy changes nothing");
        assert!(!fs.exists(Path::new(THREE)).unwrap());
        let recovered = recover_all(&fs, RecoveryPolicy::Salvage).unwrap();
        assert_eq!(check::lines(&recovered).len(), 11);
        assert!(recovered.report().is_damaged());
        assert!(fs.exists(Path::new(&format!("{path}.broken"))).unwrap(), "{:?}", names(&fs));
        assert_eq!(check::lines(&recover(&fs.drop_caches(), &clock(), 0).unwrap()).len(), 11);
    }
}

#[test]
fn of_a_segment_that_is_copied_into_another_folder_each_line_counts_once() {
    for name in ["wal_000001.jsonl", "wal_000003.jsonl", "wal_000009.jsonl"] {
        let fs = torn();
        let source = if name == "wal_000003.jsonl" { name } else { "wal_000001.jsonl" };
        fs.write_file(format!("{TWO}/{name}"), fs.read_file(format!("{ONE}/{source}")).unwrap());
        let recovered = recover_all(&fs, RecoveryPolicy::Strict).unwrap();
        assert_eq!(recovered.len(), 12, "{name}");
        assert_eq!(recover(&fs.drop_caches(), &clock(), 0).unwrap().len(), 12, "{name}");
    }
}

#[test]
fn a_log_that_moves_closes_its_segment_and_leaves_no_empty_one() {
    let mut driver = Driver::with(3, small_segments(), Sizes::Mixed);
    drop(driver.log.begin(100).unwrap());
    assert_eq!(segments(&driver.fs).len(), 1, "there was room to be made");
    driver.log.move_to(Path::new(ONE)).unwrap();
    assert_eq!(segments(&driver.fs), []);
    for (number, dir) in (2..).zip([DIR, DIR, TWO, ONE]) {
        let body = driver.body();
        driver.push(vec![body]).unwrap();
        driver.log.move_to(Path::new(dir)).unwrap();
        let last = driver.log.last_seq();
        assert_eq!(driver.log.is_durable(last), number != 3, "to where it is already there is nothing to do");
    }
    let body = driver.body();
    driver.push(vec![body]).unwrap();
    driver.log.close().unwrap();
    let closed: Vec<String> = driver.log.closed_segments().iter().map(|s| s.path.to_str().unwrap().into()).collect();
    assert_eq!(
        closed,
        [
            "/store/one/wal_000002.jsonl",
            "/store/wal_000003.jsonl",
            "/store/two/wal_000004.jsonl",
            "/store/one/wal_000005.jsonl"
        ]
    );
    assert_eq!(recover(&driver.fs.drop_caches(), &driver.clock, 0).unwrap().len(), 5);
    assert_eq!(driver.log.move_to(Path::new(TWO)).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn segments_of_several_folders_are_kept_and_removed_durably() {
    for keep in [true, false] {
        let mut driver = Driver::with(5, small_segments(), Sizes::Mixed);
        for dir in [ONE, TWO, DIR, ONE, TWO] {
            let body = driver.body();
            driver.push(vec![body]).unwrap();
            driver.log.move_to(Path::new(dir)).unwrap();
        }
        let covered = driver.log.durable_seq();
        if keep {
            driver.log.keep_up_to(covered).unwrap();
        } else {
            assert_eq!(driver.log.remove_up_to(covered).unwrap(), 5);
        }
        let disk = driver.fs.drop_caches();
        assert_eq!(segments(&disk), [], "a rename or removal was not made durable");
        let recovered = recover_in(THREE, &disk, &driver.clock, covered).unwrap();
        let kept = recovered.start().kept;
        assert_eq!(
            kept.iter().map(|s| s.first_seq).collect::<Vec<_>>(),
            if keep { vec![1, 2, 3, 4, 5] } else { vec![] }
        );
        driver.log.remove_kept(u64::MAX, i64::MAX).unwrap();
        assert_eq!(names(&driver.fs.drop_caches()), Vec::<String>::new());
    }
}
