//! Logs that are made of nothing but what takes the most memory and time for each byte.

use std::path::Path;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use persist_core::clock::ManualClock;
use persist_core::fs::Disk;
use persist_core::wal::{Ancestor, Recovery, RecoveryPolicy};
use persist_fuzz::memory;

fn line(seq: u64, is_good: bool) -> Vec<u8> {
    let header = if seq == 1 { r#","store":"00ff","segment":1"# } else { "" };
    let line = format!(r#"{{"k":1,"at":"2025-01-15T10:30:00+00:00"{header},"seq":{seq}"#);
    let crc = crc32fast::hash(line.as_bytes()) ^ u32::from(!is_good);
    format!("{line},\"crc\":\"{crc:08x}\"}}\n").into_bytes()
}

/// So many bytes of lines of which some are broken.
fn lines(bytes: usize, is_good: impl Fn(u64) -> bool) -> Vec<u8> {
    let mut log = Vec::new();
    for seq in (1..).take_while(|seq| *seq as usize * 70 < bytes) {
        log.extend_from_slice(&line(seq, is_good(seq)));
    }
    log
}

/// What recovery takes for each byte of a log, in memory and, for all of it, in time.
fn takes(log: &[u8], policy: RecoveryPolicy) -> (f64, Duration) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("wal_000001.jsonl"), log).unwrap();
    let (clock, lineage) = (ManualClock::new(0), [Ancestor::present("00ff")]);
    let start = Instant::now();
    let recover = || Recovery::new(&Disk, &clock, Path::new(dir.path()), &lineage).policy(policy).run();
    let memory = measure(|| drop(std::hint::black_box(recover()))).bytes_max;
    (memory as f64 / log.len() as f64, start.elapsed())
}

#[test]
fn recovery_takes_memory_in_proportion_to_the_log_whatever_it_holds() {
    const BYTES: usize = 60 * 1024; // As long as it is read on one thread, where it is counted.
    for policy in [RecoveryPolicy::Strict, RecoveryPolicy::Salvage, RecoveryPolicy::TruncateTail] {
        for (name, log) in [
            ("lines", lines(BYTES, |_| true)),
            ("every second broken", lines(BYTES, |seq| seq % 2 == 1)),
            ("pairs broken", lines(BYTES, |seq| seq % 4 < 2)),
            ("bytes", b"a\0".repeat(BYTES / 2)),
        ] {
            let (factor, _) = takes(&log, policy);
            // A note in the log and a line of the report for each second of the shortest lines are the one thing beyond it.
            let most = if policy == RecoveryPolicy::Salvage && name.starts_with("every") {
                5.5
            } else {
                memory::FACTOR as f64
            };
            assert!(factor <= most, "{policy:?}, {name}: {factor} bytes for each byte of the log");
        }
    }
}

#[test]
fn recovery_of_a_log_with_many_gaps_does_not_take_for_ever() {
    let log = lines(10 << 20, |seq| seq % 2 == 1);
    let (_, took) = takes(&log, RecoveryPolicy::Salvage);
    assert!(took < Duration::from_secs(20), "{took:?}");
}
