//! The fields of a record's data that have columns of their own, as these take them.
//!
//! Data is checked before it is acknowledged, so a field that is not of its type can only be of another's making: it
//! becomes NULL rather than to keep a whole flush from succeeding.

use std::borrow::Cow;

use crate::data::{is_name, members, unescape, whole};
use crate::extra::{ExtraSchema, ExtraValue};
use crate::keys;
use crate::timestamp::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    /// In microseconds since 1970 UTC.
    pub(super) timestamp: Option<i64>,
    pub(super) status: Option<Cow<'a, str>>,
    pub(super) status_int: Option<i32>,
    pub(super) username: Option<Cow<'a, str>>,
    /// Of the extra columns, in their order; empty where there are none.
    pub(super) extra: Vec<Option<ExtraValue<'a>>>,
}

impl<'a> Fields<'a> {
    /// The fields of an object in normalized JSON text.
    pub(super) fn of(data: &'a str, extra: &ExtraSchema) -> Self {
        let mut fields = Self { extra: vec![None; extra.columns().len()], ..Self::default() };
        for (name, value) in members(data) {
            if is_name(name, keys::TIMESTAMP) {
                let moment = unescape(value).and_then(|text| Timestamp::parse(&text));
                fields.timestamp = moment.map(|moment| moment.unix_micros());
            } else if is_name(name, keys::STATUS) {
                fields.status = unescape(value);
            } else if is_name(name, keys::STATUS_INT) {
                fields.status_int = whole(value);
            } else if is_name(name, keys::USERNAME) {
                fields.username = unescape(value);
            } else {
                let mut columns = extra.columns().iter().zip(&mut fields.extra);
                if let Some((column, field)) = columns.find(|(column, _)| is_name(name, &column.name)) {
                    *field = column.kind.convert(value).ok().flatten();
                }
            }
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_however_their_names_and_numbers_are_written() {
        let data =
            r#"{"a":{"status":"no"},"st\u0061tus":"yes","status_int":-3.00,"timestamp":"2025-01-15T00:00:01+01:00"}"#;
        let fields = Fields::of(data, &ExtraSchema::default());
        assert_eq!((fields.status.as_deref(), fields.status_int, fields.username), (Some("yes"), Some(-3), None));
        assert_eq!(fields.timestamp, Some(1_736_895_601_000_000));
        assert_eq!(Fields::of(r#"{"status_int":1.5,"status":null}"#, &ExtraSchema::default()).status_int, None);
    }
}
