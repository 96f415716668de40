//! Moments and dates.

use persist_core::Timestamp;
use persist_core::timestamp::{IntoDate, IntoTimestamp, date_text};

use crate::memory::bounded;

/// What is read as a moment is written so that it is read again, whichever way it is read.
pub(crate) fn timestamp(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    bounded(input.len(), || {
        let parsed = Timestamp::parse(text);
        let deserialized: Result<Timestamp, _> = serde_json::from_value(text.into());
        assert_eq!(parsed, deserialized.ok());
        assert_eq!(parsed, text.into_timestamp().ok());
        let from_str: persist_core::Result<Timestamp> = text.parse();
        let Some(at) = parsed else {
            assert!(from_str.unwrap_err().to_string().len() < 1024, "the error repeats all of the text");
            return;
        };
        let written = at.to_string();
        let again = Timestamp::parse(&written).expect("what was written is read");
        assert_eq!((again.unix_micros(), again.offset_seconds()), (at.unix_micros(), at.offset_seconds()));
        assert_eq!(again.to_string(), written);
        let judge = at.to_offset_date_time();
        assert_eq!(judge.unix_timestamp_nanos(), i128::from(at.unix_micros()) * 1_000);
        let judged = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}",
            judge.year(),
            u8::from(judge.month()),
            judge.day(),
            judge.hour(),
            judge.minute()
        );
        assert!(written.starts_with(&judged), "{written} is not {judged}");
        assert_eq!(Timestamp::from(judge), at);
    });
}

/// A date is what it is named by.
pub(crate) fn date(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    bounded(input.len(), || {
        let Ok(date) = text.into_date() else { return };
        let named = date_text(date);
        assert!(named.len() == 10 && text.starts_with(&named), "{text:?} became {named}");
        assert_eq!(named.as_str().into_date().unwrap(), date);
    });
}
