//! The records: about 200 bytes of JSON, like a row of the flights of the sample data.

use std::fmt::Write as _;

use serde::Serialize;

/// A flight; the same for the same number.
#[derive(Debug, Serialize)]
pub(crate) struct Flight {
    carrier: &'static str,
    flight: u32,
    tailnum: &'static str,
    origin: &'static str,
    dest: &'static str,
    scheduled: &'static str,
    dep_delay: i32,
    arr_delay: i32,
    distance: u32,
    air_time: u32,
    timestamp: &'static str,
    status: &'static str,
    username: &'static str,
}

impl Flight {
    pub(crate) fn new(n: u64) -> Self {
        let mixed = (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as u32;
        let pick = |from: &[&'static str; 4], shift: u32| {
            from.get(((mixed >> shift) & 3) as usize).copied().unwrap_or_default()
        };
        Self {
            carrier: pick(&["UA", "B6", "EV", "DL"], 0),
            flight: 1 + mixed % 8500,
            tailnum: pick(&["N14228", "N24211", "N619AA", "N804JB"], 2),
            origin: pick(&["EWR", "LGA", "JFK", "BOS"], 4),
            dest: pick(&["IAH", "MIA", "BQN", "ATL"], 6),
            scheduled: pick(
                &["2013-01-01T05:15:00Z", "2013-01-01T05:29:00Z", "2013-01-01T05:40:00Z", "2013-01-01T06:00:00Z"],
                8,
            ),
            dep_delay: (mixed % 90) as i32 - 10,
            arr_delay: (mixed % 120) as i32 - 30,
            distance: 187 + mixed % 4000,
            air_time: 20 + mixed % 600,
            timestamp: "2013-01-01T10:00:00Z",
            status: pick(&["landed", "boarding", "airborne", "delayed"], 10),
            username: pick(&["tower", "ramp", "ops", "gate"], 12),
        }
    }
}

/// The key of a flight, put into `key`.
pub(crate) fn key(n: u64, key: &mut String) {
    key.clear();
    // Writing to a String can't fail.
    let _ = write!(key, "2013-01-01/{n:010}");
}

/// A line of the length that persist's log has for such a record, its newline included.
pub(crate) fn line(n: u64) -> Vec<u8> {
    let mut key_text = String::new();
    key(n, &mut key_text);
    let data = serde_json::to_string(&Flight::new(n)).unwrap_or_default();
    format!(
        "{{\"key\":\"{key_text}\",\"process_name\":null,\"data\":{data},\"username\":\"tower\",\
         \"timestamp\":\"2013-01-01T10:00:00+00:00\",\"at\":\"2025-01-15T10:30:00.123456+00:00\",\"version\":1,\
         \"seq\":{n},\"crc\":\"1b2c3d4e\"}}\n"
    )
    .into_bytes()
}
