//! Faults, failed syncs, full and read-only disks.

use std::io;
use std::path::PathBuf;

use persist_core::fs::{self, Access, Fs};

use super::super::{Fault, Op, SimFs, What, When, errno, is_stopped};
use super::{code, create, cuts, durable, name_sets, p};

#[test]
fn a_failed_sync_loses_the_writes_and_the_next_one_lies() {
    for op in [Op::SyncData, Op::SyncAll] {
        let fs = SimFs::new();
        let file = durable(&fs, "/a", b"old-----");
        let sync = || if op == Op::SyncData { file.sync_data() } else { file.sync_all() };
        file.write_at(0, b"lost").unwrap();
        fs.fault(Fault { when: When::At(fs.operations() + 1), what: What::Errno(errno::EIO) });
        assert_eq!(code(sync()), Some(errno::EIO));
        assert_eq!(fs.read_file("/a").unwrap(), b"lost----", "still readable");
        assert_eq!(cuts(&fs, "/a"), [Some(b"old-----".to_vec())].into(), "no longer pending");
        sync().unwrap();
        assert_eq!(cuts(&fs, "/a"), [Some(b"old-----".to_vec())].into(), "the retry wrote nothing");
        let next = fs.kill();
        assert_eq!(next.read_file("/a").unwrap(), b"lost----", "another process reads it too");
        next.open(p("/a"), Access::Write).unwrap().sync_all().unwrap();
        assert_eq!(next.drop_caches().read_file("/a").unwrap(), b"old-----");
        // Bytes written anew are durable as ever.
        file.write_at(4, b"new!").unwrap();
        sync().unwrap();
        assert_eq!(fs.read_file("/a").unwrap(), b"lostnew!");
        assert_eq!(cuts(&fs, "/a"), [Some(b"old-new!".to_vec())].into());
    }
}

#[test]
fn a_failed_sync_of_one_file_leaves_the_others_pending() {
    let fs = SimFs::new();
    let (a, b) = (create(&fs, "/a", b"1"), create(&fs, "/b", b"1"));
    fs.fault(Fault::nth(Op::SyncData, 1, What::Errno(errno::EIO)));
    a.sync_data().unwrap_err();
    b.sync_data().unwrap();
    let next = fs.drop_caches();
    assert_eq!((next.read_file("/a").unwrap(), next.read_file("/b").unwrap()), (vec![], b"1".to_vec()));
}

#[test]
fn a_length_and_a_name_outlive_a_failed_sync() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", &[7; 100]);
    file.write_at(0, b"x").unwrap();
    file.set_len(10).unwrap();
    fs.open(p("/b"), Access::CreateNew).unwrap();
    fs.fault(Fault::nth(Op::SyncAll, 2, What::Errno(errno::EIO)));
    fs.fault(Fault::nth(Op::SyncDir, 2, What::Errno(errno::EIO)));
    file.sync_all().unwrap_err();
    fs.sync_dir(p("/")).unwrap_err();
    assert_eq!(cuts(&fs, "/a"), [Some(vec![7; 10]), Some(vec![7; 100])].into());
    assert_eq!(name_sets(&fs), ["/a", "/a /b"]);
    file.sync_all().unwrap();
    fs.sync_dir(p("/")).unwrap();
    assert_eq!(cuts(&fs, "/a"), [Some(vec![7; 10])].into());
    assert_eq!(name_sets(&fs), ["/a /b"]);
}

#[test]
fn every_call_is_numbered_and_traced() {
    let fs = SimFs::new();
    fs.create_dir_all(p("/d")).unwrap();
    let file = fs.open(p("/d/a"), Access::CreateNew).unwrap();
    file.write_at(0, b"1").unwrap();
    file.sync_data().unwrap();
    file.sync_all().unwrap();
    file.set_len(0).unwrap();
    assert!(file.is_empty().unwrap());
    file.read_at(0, &mut [0]).unwrap();
    fs.rename(p("/d/a"), p("/d/b")).unwrap();
    fs.open(p("/d/a"), Access::Read).unwrap_err();
    fs.exists(p("/d/a")).unwrap();
    fs.list(p("/d")).unwrap();
    fs.remove_file(p("/d/b")).unwrap();
    fs.sync_dir(p("/d")).unwrap();
    fs.read_file("/d/b");
    fs.files();
    let ops = [
        (Op::CreateDir, "/d"),
        (Op::Create, "/d/a"),
        (Op::Write, "/d/a"),
        (Op::SyncData, "/d/a"),
        (Op::SyncAll, "/d/a"),
        (Op::SetLen, "/d/a"),
        (Op::Len, "/d/a"),
        (Op::Read, "/d/a"),
        (Op::Rename, "/d/b"),
        (Op::Open, "/d/a"),
        (Op::Exists, "/d/a"),
        (Op::List, "/d"),
        (Op::Remove, "/d/b"),
        (Op::SyncDir, "/d"),
    ];
    let expected: Vec<_> = (1..).zip(ops).map(|(n, (op, path))| (n, op, PathBuf::from(path))).collect();
    assert_eq!(fs.trace(), expected);
    assert_eq!(fs.operations(), 14);
    assert_eq!(fs.kill().operations(), 0);
    assert_eq!(fs.kill().trace(), []);
}

#[test]
fn a_fault_strikes_when_it_should_and_has_no_other_effect() {
    let results = |fault: Fault| {
        let fs = SimFs::new();
        let file = durable(&fs, "/a", b"");
        fs.fault(fault);
        let all = [
            code(file.write_at(0, b"1")), // operation 4
            code(file.len()),
            code(file.write_at(1, b"2")),
            code(file.write_at(2, b"3")),
            code(file.len()),
        ];
        (all.map(|code| code.is_some() as u8), fs.read_file("/a").unwrap())
    };
    let eio = What::Errno(errno::EIO);
    assert_eq!(results(Fault::at(6, eio)), ([0, 0, 1, 0, 0], b"1\x003".to_vec()));
    assert_eq!(results(Fault::at_on(6, eio)), ([0, 0, 1, 1, 1], b"1".to_vec()));
    assert_eq!(results(Fault::nth(Op::Write, 2, eio)), ([0, 0, 1, 0, 0], b"1\x003".to_vec()));
    assert_eq!(results(Fault::nth_on(Op::Write, 2, eio)), ([0, 0, 1, 1, 0], b"1".to_vec()));
    assert_eq!(results(Fault::nth(Op::Len, 2, eio)), ([0, 0, 0, 0, 1], b"123".to_vec()));
}

#[test]
fn each_kind_of_operation_can_fail_without_an_effect() {
    let fs = SimFs::new();
    let file = durable(&fs, "/d", b"data");
    fs.fault(Fault::at_on(fs.operations() + 1, What::Errno(errno::EACCES)));
    let codes = [
        code(fs.open(p("/d"), Access::Read)),
        code(fs.open(p("/e"), Access::CreateNew)),
        code(file.read_at(0, &mut [0])),
        code(file.write_at(0, b"x")),
        code(file.set_len(1)),
        code(file.len()),
        code(fs.rename(p("/d"), p("/f"))),
        code(fs.remove_file(p("/d"))),
        code(fs.create_dir_all(p("/g"))),
        code(fs.sync_dir(p("/"))),
        code(fs.list(p("/"))),
        code(fs.exists(p("/d"))),
    ];
    assert_eq!(codes, [Some(errno::EACCES); 12]);
    fs.clear_faults();
    assert_eq!((fs.files(), fs.read_file("/d").unwrap()), (vec![PathBuf::from("/d")], b"data".to_vec()));
    assert!(!fs.exists(p("/g")).unwrap());
}

#[test]
fn a_short_write_takes_a_part_and_a_whole_write_goes_on() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", b"");
    fs.fault(Fault::nth(Op::Write, 1, What::Short(3)));
    assert_eq!(file.write_at(0, b"abcdef").unwrap(), 3);
    assert_eq!(fs.read_file("/a").unwrap(), b"abc");
    fs.fault(Fault::nth(Op::Write, 2, What::Short(1)));
    fs.fault(Fault::nth(Op::Write, 3, What::Errno(errno::EINTR)));
    fs::write_all_at(file.as_ref(), 3, b"def").unwrap();
    assert_eq!(fs.read_file("/a").unwrap(), b"abcdef");
    fs.fault(Fault::nth(Op::Write, 5, What::Short(0)));
    assert_eq!(file.write_at(0, b"x").unwrap(), 0);
    fs.fault(Fault::nth(Op::Read, 1, What::Short(2)));
    assert_eq!(fs::read(&fs, p("/a")).unwrap(), b"abcdef");
    assert_eq!(fs.trace().iter().filter(|(_, op, _)| *op == Op::Read).count(), 2);
}

#[test]
fn a_stop_comes_before_the_operation_or_after_it_or_inside() {
    let after = |what| {
        let fs = SimFs::new();
        let file = durable(&fs, "/a", b"");
        fs.fault(Fault::nth(Op::Write, 1, what));
        let error = file.write_at(0, b"abc").unwrap_err();
        assert!(is_stopped(&error) && fs.has_stopped());
        let stopped_at = fs.operations();
        assert_eq!(stopped_at, 4);
        // Nothing works any more, and nothing of it counts.
        let errors = [
            file.sync_data().unwrap_err(),
            file.set_len(0).unwrap_err(),
            fs.open(p("/b"), Access::CreateNew).map(drop).unwrap_err(),
            fs.exists(p("/a")).map(drop).unwrap_err(),
        ];
        assert!(errors.iter().all(|error| is_stopped(error)));
        fs.clear_faults();
        assert!(is_stopped(&fs.remove_file(p("/a")).unwrap_err()));
        assert_eq!(fs.operations(), stopped_at);
        let next = fs.kill();
        assert!(!next.has_stopped());
        next.open(p("/a"), Access::Write).unwrap().sync_all().unwrap();
        assert!(!fs.power_cut(0).has_stopped() && !fs.drop_caches().has_stopped());
        next.read_file("/a").unwrap()
    };
    assert_eq!(after(What::Stop), b"");
    assert_eq!(after(What::StopAfter), b"abc");
    assert_eq!(after(What::ShortThenStop(2)), b"ab");
}

#[test]
fn a_sync_that_the_world_stops_before_leaves_its_bytes_in_doubt_and_after_it_durable() {
    for (what, outcomes) in [(What::Stop, 2), (What::StopAfter, 1)] {
        let fs = SimFs::new();
        let file = durable(&fs, "/a", b"0");
        file.write_at(0, b"1").unwrap();
        fs.fault(Fault::nth(Op::SyncData, 1, what));
        assert!(is_stopped(&file.sync_data().unwrap_err()));
        assert_eq!(cuts(&fs, "/a").len(), outcomes);
        assert!(cuts(&fs, "/a").contains(&Some(b"1".to_vec())));
    }
}

#[test]
fn a_stop_is_recognized_through_the_errors_around_it() {
    let fs = SimFs::new();
    fs.stop();
    let error = fs::replace(&fs, p("/a"), b"x").unwrap_err();
    assert!(is_stopped(&error));
    assert!(is_stopped(&io::Error::other(error)));
    assert!(!is_stopped(&io::Error::other("the simulated world has stopped")));
    assert!(!is_stopped(&io::Error::from_raw_os_error(errno::EIO)));
}

#[test]
fn a_full_disk_takes_what_fits_then_nothing_but_overwrites() {
    let fs = SimFs::new();
    fs.write_file("/other", [0; 40]);
    let file = durable(&fs, "/a", &[1; 20]);
    fs.set_capacity(Some(100));
    assert_eq!(file.write_at(20, &[2; 50]).unwrap(), 40);
    assert_eq!(code(file.write_at(60, &[2; 10])), Some(errno::ENOSPC));
    assert_eq!(code(file.write_at(70, b"x")), Some(errno::ENOSPC));
    assert_eq!(code(file.set_len(61)), Some(errno::ENOSPC));
    assert_eq!(file.write_at(0, &[3; 60]).unwrap(), 60);
    assert_eq!(file.write_at(50, &[4; 20]).unwrap(), 10, "what lies inside the file fits");
    file.sync_all().unwrap();
    assert_eq!(code(fs.kill().open(p("/a"), Access::Write).unwrap().write_at(60, b"x")), Some(errno::ENOSPC));
    assert_eq!(code(fs.power_cut(0).open(p("/a"), Access::Write).unwrap().write_at(60, b"x")), Some(errno::ENOSPC));
    // An open file keeps its space after its removal.
    let other = fs.open(p("/other"), Access::Read).unwrap();
    fs.remove_file(p("/other")).unwrap();
    assert_eq!(code(file.write_at(60, b"x")), Some(errno::ENOSPC));
    drop(other);
    assert_eq!(file.write_at(60, &[5; 40]).unwrap(), 40);
    assert_eq!(code(file.write_at(100, b"x")), Some(errno::ENOSPC));
    fs.set_capacity(None);
    assert_eq!(file.write_at(100, b"x").unwrap(), 1);
}

#[test]
fn a_read_only_disk_can_be_read() {
    let fs = SimFs::new();
    let file = durable(&fs, "/d", b"1");
    fs.set_read_only(true);
    let codes = [
        code(file.write_at(0, b"x")),
        code(file.set_len(0)),
        code(fs.open(p("/d"), Access::Write)),
        code(fs.open(p("/e"), Access::CreateNew)),
        code(fs.rename(p("/d"), p("/e"))),
        code(fs.remove_file(p("/d"))),
        code(fs.create_dir_all(p("/f"))),
    ];
    assert_eq!(codes, [Some(errno::EROFS); 7]);
    fs.create_dir_all(p("/")).unwrap();
    assert_eq!(fs::read(&fs, p("/d")).unwrap(), b"1");
    file.sync_all().unwrap();
    assert_eq!(code(fs.kill().remove_file(p("/d"))), Some(errno::EROFS));
    fs.set_read_only(false);
    file.write_at(0, b"2").unwrap();
    assert_eq!(fs.files(), [p("/d")]);
}
