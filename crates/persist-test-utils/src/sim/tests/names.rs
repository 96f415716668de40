//! What a power cut and a sync do to names; what a call answers that meets the wrong ones.

use std::collections::BTreeSet;
use std::path::PathBuf;

use persist_core::fs::{Access, Fs};

use super::super::{SimFs, errno};
use super::{SEEDS, code, cuts, durable, name_sets, p};

#[test]
fn calls_that_make_no_sense_give_the_errors_of_linux() {
    let fs = SimFs::new();
    fs.write_file("/d/a", b"1");
    assert_eq!(code(fs.open(p("/d/a"), Access::CreateNew)), Some(errno::EEXIST));
    for access in [Access::Read, Access::Write] {
        assert_eq!(code(fs.open(p("/d/b"), access)), Some(errno::ENOENT));
    }
    assert_eq!(code(fs.open(p("/e/b"), Access::CreateNew)), Some(errno::ENOENT));
    assert_eq!(code(fs.open(p("/d"), Access::Read)), Some(errno::EISDIR));
    assert_eq!(code(fs.open(p("/d/a/b"), Access::Read)), Some(errno::ENOTDIR));
    let file = fs.open(p("/d/a"), Access::Read).unwrap();
    assert_eq!(code(file.write_at(0, b"x")), Some(errno::EBADF));
    assert_eq!(code(file.set_len(0)), Some(errno::EINVAL));
    assert_eq!(code(fs.rename(p("/d/b"), p("/d/c"))), Some(errno::ENOENT));
    assert_eq!(code(fs.rename(p("/d/a"), p("/d"))), Some(errno::EISDIR));
    assert_eq!(code(fs.remove_file(p("/d/b"))), Some(errno::ENOENT));
    assert_eq!(code(fs.create_dir_all(p("/d/a/b"))), Some(errno::ENOTDIR));
    assert_eq!(code(fs.sync_dir(p("/e"))), Some(errno::ENOENT));
    assert_eq!(code(fs.list(p("/e"))), Some(errno::ENOENT));
    assert_eq!(code(file.write_at(1 << 40, b"x")), Some(errno::EBADF));
    let file = fs.open(p("/d/a"), Access::Write).unwrap();
    assert_eq!(code(file.write_at(1 << 40, b"x")), Some(errno::EFBIG));
    assert_eq!(fs.read_file("/d/a").unwrap(), b"1");
}

#[test]
fn a_list_has_the_files_of_one_folder_sorted() {
    let fs = SimFs::new();
    fs.create_dir_all(p("/d/sub")).unwrap();
    fs.create_dir_all(p("/d/sub")).unwrap();
    for name in ["/d/b", "/d/a", "/d/sub/c", "/e"] {
        fs.write_file(name, b"");
    }
    assert_eq!(fs.list(p("/d")).unwrap(), ["a", "b"]);
    assert_eq!(fs.list(p("d/./sub/..")).unwrap(), ["a", "b"]);
    assert!(fs.exists(p("/d/a")).unwrap() && fs.exists(p("/d")).unwrap() && !fs.exists(p("/x/y")).unwrap());
    assert_eq!(fs.files(), ["/d/a", "/d/b", "/d/sub/c", "/e"].map(PathBuf::from));
}

#[test]
fn a_removed_file_stays_readable_through_its_handle() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", b"one");
    fs.remove_file(p("/a")).unwrap();
    fs.sync_dir(p("/")).unwrap();
    durable(&fs, "/a", b"two");
    let mut buf = [0; 3];
    assert_eq!(file.read_at(0, &mut buf).unwrap(), 3);
    assert_eq!((&buf, fs.read_file("/a").unwrap().as_slice()), (b"one", b"two".as_slice()));
    assert_eq!(fs.state_contents(), 2);
    drop(file);
    fs.sync_dir(p("/")).unwrap();
    assert_eq!(fs.state_contents(), 1);
}

#[test]
fn a_new_name_is_in_doubt_until_its_folder_is_synced() {
    let fs = SimFs::new();
    let file = fs.open(p("/a"), Access::CreateNew).unwrap();
    file.write_at(0, b"1").unwrap();
    file.sync_all().unwrap();
    assert_eq!(cuts(&fs, "/a"), [None, Some(b"1".to_vec())].into());
    assert!(fs.drop_caches().files().is_empty());
    fs.sync_dir(p(".")).unwrap();
    assert_eq!(cuts(&fs, "/a"), [Some(b"1".to_vec())].into());
}

#[test]
fn a_removal_is_in_doubt_until_its_folder_is_synced() {
    let fs = SimFs::new();
    fs.write_file("/d/a", b"1");
    fs.remove_file(p("/d/a")).unwrap();
    assert!(!fs.exists(p("/d/a")).unwrap());
    assert_eq!(cuts(&fs, "/d/a"), [None, Some(b"1".to_vec())].into());
    fs.sync_dir(p("/")).unwrap();
    assert_eq!(cuts(&fs, "/d/a").len(), 2, "another folder's sync does nothing for it");
    fs.sync_dir(p("/d")).unwrap();
    assert_eq!(cuts(&fs, "/d/a"), [None].into());
}

#[test]
fn a_rename_is_done_or_not_but_never_half() {
    let fs = SimFs::new();
    fs.write_file("/new", b"new");
    fs.write_file("/old", b"old");
    fs.rename(p("/new"), p("/old")).unwrap();
    let both = |fs: SimFs| (fs.read_file("/new"), fs.read_file("/old"));
    let seen: BTreeSet<_> = (0..SEEDS).map(|seed| both(fs.power_cut(seed))).collect();
    let (old, new) = (Some(b"old".to_vec()), Some(b"new".to_vec()));
    assert_eq!(seen, [(new.clone(), old), (None, new.clone())].into());
    fs.sync_dir(p("/")).unwrap();
    assert_eq!(cuts(&fs, "/old"), [new].into());
}

#[test]
fn a_rename_between_folders_is_one_step_that_either_sync_makes_durable() {
    for synced in ["/d", "/e"] {
        let fs = SimFs::new();
        fs.write_file("/d/a", b"1");
        fs.make_dir("/e");
        fs.rename(p("/d/a"), p("/e/b")).unwrap();
        assert_eq!(name_sets(&fs), ["/d/a", "/e/b"]);
        fs.sync_dir(p(synced)).unwrap();
        assert_eq!(name_sets(&fs), ["/e/b"]);
    }
}

#[test]
fn names_of_one_folder_are_undone_independently() {
    let fs = SimFs::new();
    ["/a", "/b"].iter().for_each(|name| fs.write_file(name, b""));
    fs.rename(p("/a"), p("/x")).unwrap();
    fs.rename(p("/b"), p("/y")).unwrap();
    assert_eq!(name_sets(&fs), ["/a /b", "/a /y", "/b /x", "/x /y"]);
}

#[test]
fn changes_of_one_name_keep_their_order() {
    let fs = SimFs::new();
    fs.write_file("/a", b"1");
    fs.rename(p("/a"), p("/b")).unwrap();
    fs.rename(p("/b"), p("/c")).unwrap();
    fs.remove_file(p("/c")).unwrap();
    assert_eq!(name_sets(&fs), ["", "/a", "/b", "/c"]);

    // Removing the new file can't outlive the rename that put it there: the old one would be gone as well.
    let fs = SimFs::new();
    fs.write_file("/a", b"old");
    fs.write_file("/a.tmp", b"new");
    fs.rename(p("/a.tmp"), p("/a")).unwrap();
    fs.remove_file(p("/a")).unwrap();
    assert_eq!(name_sets(&fs), ["", "/a", "/a /a.tmp"]);
}

#[test]
fn a_folder_is_a_name_in_the_folder_above() {
    let fs = SimFs::new();
    fs.create_dir_all(p("/d/e")).unwrap();
    durable(&fs, "/d/e/a", b"1");
    assert_eq!(name_sets(&fs), ["", "/d/e/a"]);
    fs.sync_dir(p("/d")).unwrap();
    assert_eq!(name_sets(&fs), ["", "/d/e/a"]);
    fs.sync_dir(p("/")).unwrap();
    assert_eq!(name_sets(&fs), ["/d/e/a"]);
}

#[test]
fn a_durable_rename_between_folders_makes_durable_what_it_builds_on() {
    let fs = SimFs::new();
    ["/d", "/e"].iter().for_each(|dir| fs.make_dir(dir));
    fs.open(p("/d/a"), Access::CreateNew).unwrap();
    fs.rename(p("/d/a"), p("/e/b")).unwrap();
    fs.sync_dir(p("/e")).unwrap();
    assert_eq!(name_sets(&fs), ["/e/b"], "not in both folders");
}

#[test]
fn a_file_made_and_removed_may_come_back() {
    let fs = SimFs::new();
    fs.make_dir("/d");
    drop(fs.open(p("/a"), Access::CreateNew).unwrap());
    fs.remove_file(p("/a")).unwrap();
    fs.sync_dir(p("/d")).unwrap();
    assert_eq!(name_sets(&fs), ["", "/a"]);
}
