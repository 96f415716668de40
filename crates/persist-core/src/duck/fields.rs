//! The special fields of a record's data, as columns take them.
//!
//! Data is checked before it is acknowledged, so a field that is not of its type can only be of another's making: it
//! becomes NULL rather than to keep a whole flush from succeeding.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    /// In microseconds since 1970 UTC.
    pub(super) timestamp: Option<i64>,
    pub(super) status: Option<Cow<'a, str>>,
    pub(super) status_int: Option<i32>,
    pub(super) username: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status_int: Option<&'a RawValue>,
    #[serde(borrow, default)]
    username: Option<&'a RawValue>,
}

impl<'a> Fields<'a> {
    /// The fields of an object in normalized JSON text.
    pub(super) fn of(data: &'a str) -> Self {
        let Ok(raw) = serde_json::from_str::<Raw<'a>>(data) else {
            return Self::default();
        };
        Self {
            timestamp: raw.timestamp.and_then(text).and_then(|text| micros(&text)),
            status: raw.status.and_then(text),
            status_int: raw.status_int.and_then(|raw| raw.get().parse().ok()),
            username: raw.username.and_then(text),
        }
    }
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let raw = raw.get();
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

fn micros(text: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000)).ok()
}
