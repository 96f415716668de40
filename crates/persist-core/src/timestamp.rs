//! Timestamps.

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    unix_micros: i64,
    offset_seconds: i32,
}

impl Timestamp {
    /// A moment in UTC.
    pub fn from_unix_micros(unix_micros: i64) -> Self {
        Self { unix_micros, offset_seconds: 0 }
    }
}
