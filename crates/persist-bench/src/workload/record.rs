//! Durable writes of one thread, by how long the record is.

use persist_dated::Durability;
use serde::Serialize;

use super::bench::Bench;
use super::peers;
use super::write::{LAID_OUT, lines, store_of};
use crate::Result;
use crate::drive::{Contender, in_turns};
use crate::name::PERSIST;
use crate::report::Report;

/// What is written to the file is gone through again, so it need not hold a whole run.
const LAID_OUT_BYTES: u64 = 32 << 20;

/// A record whose JSON has a length that one can choose.
#[derive(Debug, Serialize)]
struct Note<'a> {
    n: u64,
    text: &'a str,
}

/// Times are those of a write.
pub(super) fn sizes(bench: &Bench, report: &mut Report) -> Result<()> {
    for (name, bytes) in [("record-100b", 100), ("record-1k", 1_000), ("record-10k", 10_000), ("record-100k", 100_000)]
    {
        if !bench.wants(name) {
            continue;
        }
        let all = text(bytes);
        let envelope = serde_json::to_string(&Note { n: 10_000, text: "" })?.len();
        let text = all.get(envelope..).unwrap_or_default();
        let note = move |n| Note { n, text };
        // As long as the line that persist writes for it.
        let line = format!("{{\"key\":\"2013-01-01/0000000000\",{}{all}}}\n", " ".repeat(165)).into_bytes();
        let line = line.as_slice();
        let mut contenders: Vec<Contender<'_>> = vec![
            (PERSIST, Box::new(move || store_of(bench, 1, Durability::Sync, true, note))),
            (LAID_OUT, Box::new(move || lines(bench, 1, line, LAID_OUT_BYTES, true))),
        ];
        contenders.extend(peers::contenders(move |kind| peers::writes(bench, kind, 1, true, note)));
        report.add(name, &in_turns(bench.scale.rounds, contenders)?);
    }
    Ok(())
}

/// Letters in an order that does not compress well.
fn text(bytes: usize) -> String {
    let mut state = 0x853C_49E6_748F_EA9B_u64;
    let letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + ((state >> 33) % 26) as u8)
    };
    std::iter::repeat_with(letter).take(bytes).collect()
}
