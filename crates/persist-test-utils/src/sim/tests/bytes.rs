//! What a power cut and a sync do to the bytes and the length of a file.

use std::collections::BTreeSet;

use persist_core::fs::{self, Access, Fs};

use super::super::SimFs;
use super::{SEEDS, create, cuts, durable, p};

#[test]
fn reads_see_writes_at_once_and_holes_as_zeros() {
    let fs = SimFs::new();
    let file = fs.open(p("/a"), Access::CreateNew).unwrap();
    assert_eq!(file.write_at(4, b"data").unwrap(), 4);
    assert_eq!(fs::read(&fs, p("a")).unwrap(), b"\0\0\0\0data");
    let mut buf = [1; 8];
    assert_eq!(file.read_at(6, &mut buf).unwrap(), 2);
    assert_eq!(&buf[..3], b"ta\x01");
    assert_eq!(file.read_at(8, &mut buf).unwrap(), 0);
    assert_eq!(file.read_at(1 << 40, &mut buf).unwrap(), 0);
    file.set_len(6).unwrap();
    file.set_len(8).unwrap();
    assert_eq!(fs.read_file("/a").unwrap(), b"\0\0\0\0da\0\0");
    assert_eq!(file.len().unwrap(), 8);
    assert!(!file.is_empty().unwrap());
}

#[test]
fn synced_bytes_survive_every_power_cut() {
    for all in [false, true] {
        let fs = SimFs::new();
        let file = create(&fs, "/a", &[7; 10_000]);
        if all {
            file.sync_all().unwrap()
        } else {
            file.sync_data().unwrap()
        }
        // What comes after it, beside it and over it must not harm it.
        file.write_at(10_000, &[8; 5_000]).unwrap();
        file.write_at(3_000, &[9; 100]).unwrap();
        for cut in cuts(&fs, "/a") {
            let cut = cut.unwrap();
            assert!(cut.len() >= 10_000);
            let overwritten = &cut[3_000..3_100];
            assert!(overwritten.iter().all(|&b| b == 7 || b == 9));
            assert!(cut[..3_000].iter().chain(&cut[3_100..10_000]).all(|&b| b == 7));
        }
    }
}

#[test]
fn unsynced_bytes_are_kept_by_some_power_cuts_and_lost_by_others() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", &[0; 512]);
    file.write_at(0, &[1; 512]).unwrap();
    drop(file);
    let seen: Vec<_> = cuts(&fs, "/a").into_iter().map(Option::unwrap).collect();
    assert_eq!(seen, [vec![0; 512], vec![1; 512]]);
    let kept = (0..SEEDS).filter(|&seed| fs.power_cut(seed).read_file("/a").unwrap()[0] == 1).count() as u64;
    assert!((SEEDS / 5..SEEDS * 4 / 5).contains(&kept), "{kept}");
}

#[test]
fn both_extremes_of_a_large_write_are_common() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", &[0; 65_536]);
    file.write_at(0, &[1; 65_536]).unwrap();
    for extreme in [0, 1] {
        let all = |seed: &u64| fs.power_cut(*seed).read_file("/a").unwrap().iter().all(|&b| b == extreme);
        assert!((0..SEEDS).filter(all).count() as u64 > SEEDS * 3 / 20);
    }
}

#[test]
fn a_torn_write_mixes_whole_sectors_of_512_or_4096_bytes() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", &[0; 40_000]);
    file.write_at(100, &[1; 35_000]).unwrap();
    let (mut coarse, mut fine, mut holes, mut tails) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let cut = fs.power_cut(seed).read_file("/a").unwrap();
        assert_eq!(cut.len(), 40_000);
        let borders: Vec<usize> = (101..35_100).filter(|&at| cut[at] != cut[at - 1]).collect();
        assert!(borders.iter().all(|at| at % 512 == 0), "seed {seed}: {borders:?}");
        match borders.as_slice() {
            [] => {}
            [_] if cut[100] == 1 => tails += 1,
            _ => holes += 1,
        }
        if !borders.is_empty() {
            *if borders.iter().all(|at| at % 4096 == 0) { &mut coarse } else { &mut fine } += 1;
        }
    }
    assert!(coarse > 40 && fine > 40 && holes > 40 && tails > 20, "{coarse} {fine} {holes} {tails}");
}

#[test]
fn of_two_writes_to_one_sector_the_later_is_never_kept_alone() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", &[0; 30]);
    file.write_at(0, &[1; 20]).unwrap();
    file.write_at(10, &[2; 20]).unwrap();
    let seen: Vec<_> = cuts(&fs, "/a").into_iter().map(Option::unwrap).collect();
    let pattern = |a: u8, b: u8, c: u8| [vec![a; 10], vec![b; 10], vec![c; 10]].concat();
    assert_eq!(seen, [pattern(0, 0, 0), pattern(1, 1, 0), pattern(1, 2, 2)]);
}

#[test]
fn bytes_never_synced_come_back_missing_short_zeroed_or_as_ones() {
    let fs = SimFs::new();
    create(&fs, "/a", &[7; 20_000]);
    let seen: Vec<_> = cuts(&fs, "/a").into_iter().map(|cut| cut.expect("the name is durable")).collect();
    assert!(seen.iter().flatten().all(|b| [0, 7, 0xff].contains(b)));
    let some = |holds: &dyn Fn(&[u8]) -> bool| assert!(seen.iter().any(|cut| holds(cut)));
    some(&|cut| cut.is_empty());
    some(&|cut| cut == [7; 20_000]);
    some(&|cut| cut == [0; 20_000]);
    some(&|cut| cut == [0xff; 20_000]);
    some(&|cut| cut.len() < 20_000 && !cut.is_empty() && cut.iter().all(|&b| b == 7));
    some(&|cut| [0, 7, 0xff].iter().all(|b| cut.contains(b)));
    // A hole before kept bytes, and kept bytes before a hole.
    some(&|cut| cut.first() != Some(&7) && cut.last() == Some(&7));
    some(&|cut| cut.first() == Some(&7) && cut.len() == 20_000 && cut.last() != Some(&7));
}

#[test]
fn what_no_write_touched_reads_as_zeros() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", &[7; 10]);
    file.set_len(5_000).unwrap();
    file.write_at(9_000, &[8; 10]).unwrap();
    let seen = cuts(&fs, "/a");
    assert!(seen.iter().flatten().any(|cut| cut.len() == 5_000));
    for cut in seen.into_iter().flatten() {
        assert!(cut.len() >= 10 && cut[10..cut.len().min(9_000)].iter().all(|&b| b == 0));
    }
}

#[test]
fn a_cut_file_may_show_its_old_bytes_again_where_new_ones_are_missing() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", &[7; 4_096]);
    file.set_len(0).unwrap();
    file.write_at(0, &[8; 2_048]).unwrap();
    let seen: Vec<_> = cuts(&fs, "/a").into_iter().map(Option::unwrap).collect();
    assert!(seen.contains(&vec![7; 4_096]), "nothing kept");
    assert!(seen.contains(&vec![8; 2_048]), "all kept");
    assert!(seen.contains(&vec![7; 2_048]), "new length, old bytes");
    assert!(seen.contains(&vec![0; 2_048]), "new length, zeros");
    assert!(seen.contains(&vec![]), "cut, and nothing written");
    file.sync_all().unwrap();
    assert_eq!(cuts(&fs, "/a"), [Some(vec![8; 2_048])].into());
}

#[test]
fn a_grown_length_is_durable_after_sync_data() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", &[7; 10]);
    file.set_len(100).unwrap();
    assert!(cuts(&fs, "/a").iter().any(|cut| cut.as_ref().unwrap().len() == 10));
    file.sync_data().unwrap();
    assert_eq!(cuts(&fs, "/a"), [fs.read_file("/a")].into());
    assert_eq!(fs.read_file("/a").unwrap().len(), 100);
}

#[test]
fn a_shortened_length_is_in_doubt_until_sync_all() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", &[7; 1_000]);
    let lens = || cuts(&fs, "/a").into_iter().map(|cut| cut.unwrap().len()).collect::<Vec<_>>();
    file.set_len(100).unwrap();
    assert_eq!(lens(), [100, 1_000]);
    // Bytes written after the cut are durable, the cut is not.
    file.write_at(100, &[8; 50]).unwrap();
    file.sync_data().unwrap();
    assert_eq!(lens(), [150, 1_000]);
    let whole = [vec![7; 100], vec![8; 50], vec![7; 850]].concat();
    assert_eq!(cuts(&fs, "/a"), [Some(whole[..150].to_vec()), Some(whole.clone())].into());
    file.sync_data().unwrap();
    assert_eq!(lens(), [150, 1_000]);
    file.sync_all().unwrap();
    assert_eq!(cuts(&fs, "/a"), [Some(whole[..150].to_vec())].into());
    // Cut and grown again: nothing of the old bytes is left after a sync of the data.
    file.set_len(10).unwrap();
    file.set_len(200).unwrap();
    file.sync_data().unwrap();
    assert_eq!(cuts(&fs, "/a"), [Some([vec![7; 10], vec![0; 190]].concat())].into());
}

#[test]
fn a_close_is_no_sync() {
    let fs = SimFs::new();
    drop(create(&fs, "/a", &[1; 10]));
    assert!(cuts(&fs, "/a").contains(&Some(vec![])));
    assert_eq!(fs.drop_caches().read_file("/a"), Some(vec![]));
}

#[test]
fn each_sector_keeps_its_own_number_of_writes() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", &[0; 8_192]);
    for round in [1, 2] {
        file.write_at(0, &[round]).unwrap();
        file.write_at(4_096, &[round]).unwrap();
    }
    let seen: BTreeSet<_> = cuts(&fs, "/a").into_iter().flatten().map(|cut| (cut[0], cut[4_096])).collect();
    // All nine: in the order of the writes alone, the second sector could not be ahead of the first.
    assert_eq!(seen.len(), 9, "{seen:?}");
}

#[test]
fn a_cut_that_was_kept_leaves_nothing_of_what_it_cut_off() {
    let fs = SimFs::new();
    let file = durable(&fs, "/a", &[7; 50]);
    file.write_at(0, &[8; 100]).unwrap();
    file.set_len(10).unwrap();
    file.set_len(200).unwrap();
    let grown: Vec<_> = cuts(&fs, "/a").into_iter().flatten().filter(|cut| cut.len() == 200).collect();
    assert!(!grown.is_empty());
    assert!(grown.iter().all(|cut| cut[10..].iter().all(|&b| b == 0)), "{grown:?}");
}
