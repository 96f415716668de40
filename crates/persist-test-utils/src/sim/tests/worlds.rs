//! How one world becomes the next, and the same all together: a file replaced while the world ends.

use std::collections::BTreeSet;

use persist_core::fs::{self, Access, Fs};

use super::super::{Fault, SimFs, What};
use super::{SEEDS, cuts, durable, name_sets, p};

#[test]
fn the_files_of_one_power_cut_fare_differently() {
    let fs = SimFs::new();
    for name in ["/a", "/b"] {
        durable(&fs, name, b"0").write_at(0, b"1").unwrap();
    }
    let both = |seed| ["/a", "/b"].map(|name| fs.power_cut(seed).read_file(name).unwrap()[0] - b'0');
    let seen: BTreeSet<_> = (0..SEEDS).map(both).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [[0, 0], [0, 1], [1, 0], [1, 1]]);
}

#[test]
fn the_next_world_after_a_power_cut_is_all_durable() {
    let fs = SimFs::new();
    fs.open(p("/a"), Access::CreateNew).unwrap().write_at(0, &[1; 5_000]).unwrap();
    for seed in 0..50 {
        let next = fs.power_cut(seed);
        for again in 0..10 {
            assert_eq!(next.power_cut(again).read_file("/a"), next.read_file("/a"));
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_until_the_power_goes() {
    let fs = SimFs::new();
    durable(&fs, "/a", &[0; 10]).write_at(0, &[1; 10]).unwrap();
    fs.open(p("/b"), Access::CreateNew).unwrap();
    let next = fs.kill();
    assert_eq!(next.read_file("/a").unwrap(), [1; 10]);
    assert_eq!(next.files(), [p("/a"), p("/b")]);
    assert_eq!(cuts(&next, "/a").len(), 2);
    assert_eq!(name_sets(&next), ["/a", "/a /b"]);
    // The new process can make durable what the old one wrote.
    next.open(p("/a"), Access::Write).unwrap().sync_data().unwrap();
    next.sync_dir(p("/")).unwrap();
    assert_eq!(cuts(&next, "/a"), [Some(vec![1; 10])].into());
    assert_eq!(name_sets(&next), ["/a /b"]);
}

#[test]
fn the_old_world_goes_on_and_the_worlds_share_nothing() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", b"0");
    let (killed, cut) = (fs.kill(), fs.power_cut(1));
    file.write_at(0, b"1").unwrap();
    killed.open(p("/a"), Access::Write).unwrap().write_at(0, b"2").unwrap();
    cut.open(p("/a"), Access::Write).unwrap().write_at(0, b"3").unwrap();
    let all = [&fs, &killed, &cut].map(|fs| fs.read_file("/a").unwrap()[0]);
    assert_eq!(&all, b"123");
    assert!([&fs, &killed, &cut].iter().all(|fs| fs.drop_caches().read_file("/a").unwrap() == b"0"));
}

#[test]
fn one_seed_draws_one_disk() {
    let fs = SimFs::new();
    for name in ["/a", "/b", "/c"] {
        fs.open(p(name), Access::CreateNew).unwrap().write_at(0, &[1; 20_000]).unwrap();
    }
    let image = |seed| {
        let fs = fs.power_cut(seed);
        fs.files().into_iter().map(|path| (fs.read_file(&path), path)).collect::<Vec<_>>()
    };
    assert!((0..50).all(|seed| image(seed) == image(seed)));
    assert!((0..50).map(image).collect::<BTreeSet<_>>().len() > 20);
}

#[test]
fn helpers_change_what_is_cached_and_durable_alike() {
    let fs = SimFs::new();
    let file = fs.open(p("/a"), Access::CreateNew).unwrap();
    file.write_at(0, b"pending").unwrap();
    fs.write_file("/a", b"\0\0\0");
    fs.write_file("/deep/er/b", b"b");
    fs.make_dir("/x/y");
    assert_eq!(name_sets(&fs), ["/a /deep/er/b"]);
    assert!(fs.drop_caches().exists(p("/x/y")).unwrap());
    fs.flip_bit("/a", 17);
    assert_eq!(cuts(&fs, "/a"), [Some(b"\0\0\x02".to_vec())].into());
    file.write_at(0, b"1").unwrap();
    fs.flip_bit("/a", 0);
    assert_eq!(cuts(&fs, "/a"), [Some(b"0\0\x02".to_vec())].into());
    fs.truncate("/a", 1);
    assert_eq!(cuts(&fs, "/a"), [Some(b"0".to_vec())].into());
    fs.truncate("/a", 2);
    assert_eq!((cuts(&fs, "/a"), fs.read_file("/a").unwrap()), ([Some(b"0\0".to_vec())].into(), b"0\0".to_vec()));
    assert_eq!(fs.operations(), 3, "create, write, write");
    assert_eq!(fs.read_file("/none"), None);
    assert_eq!(fs.read_file("/deep"), None);
}

/// Runs `replace` in all worlds that stop at one of its operations, then cuts the power: what does the file hold?
fn replaced(replace: impl Fn(&SimFs)) -> BTreeSet<Vec<u8>> {
    let mut seen = BTreeSet::new();
    for stop in 1.. {
        let fs = SimFs::new();
        fs.write_file("/d/a", b"old");
        fs.fault(Fault::at(stop, What::Stop));
        replace(&fs);
        seen.extend((0..100).map(|seed| fs.power_cut(seed).read_file("/d/a").unwrap_or_default()));
        if !fs.has_stopped() {
            break;
        }
    }
    seen
}

#[test]
fn a_replaced_file_is_old_or_new_and_without_its_sync_neither() {
    let sound = replaced(|fs| drop(fs::replace(fs, p("/d/a"), b"new")));
    assert_eq!(sound, [b"old".to_vec(), b"new".to_vec()].into());
    let broken = replaced(|fs| {
        let unsynced = || {
            let file = fs.open(p("/d/a.tmp"), Access::CreateNew)?;
            file.write_at(0, b"new")?;
            fs.rename(p("/d/a.tmp"), p("/d/a"))?;
            fs.sync_dir(p("/d"))
        };
        drop(unsynced());
    });
    assert!(broken.contains(b"".as_slice()) && broken.contains(b"\0\0\0".as_slice()), "{broken:?}");
}

#[test]
fn five_thousand_power_cuts_of_three_large_files_take_seconds() {
    let fs = SimFs::new();
    for name in ["/a", "/b", "/c"] {
        let file = durable(&fs, name, &vec![b'\n'; 256 * 1024]);
        (0..20).for_each(|n| fs::write_all_at(file.as_ref(), n * 300, &[b'x'; 300]).unwrap());
    }
    let start = std::time::Instant::now();
    let images = 5_000;
    let whole = (0..images).filter(|&seed| fs.power_cut(seed).files().len() == 3).count() as u64;
    assert_eq!(whole, images);
    let each = start.elapsed() / images as u32;
    // 20 us here; the limit leaves room for a busy machine without optimization.
    assert!(each < std::time::Duration::from_millis(2), "{each:?} each");
}
