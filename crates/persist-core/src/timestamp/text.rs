//! For `#[serde(with = "…::timestamp::text")]`: a text that stays a text, even one that reads like a date.
//!
//! Under the policy `All` a string `2025-01-15` comes back as `2025-01-15T00:00:00+00:00`. This puts an apostrophe
//! before such a text, as one does in a spreadsheet, and takes it away again. Kept true: what is written is never a
//! timestamp, and every text comes back, one with an apostrophe of its own too.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Timestamp;

const MARK: char = '\'';

/// A type that [`serialize`] and [`deserialize`] take: `String`, or an `Option` of it.
pub trait Text: Sized {
    /// The text to write; `None` for `null`.
    fn as_text(&self) -> Option<&str>;

    /// From the text that was read; `None` from `null`.
    ///
    /// # Errors
    /// Why it is no such value.
    fn from_text(text: Option<String>) -> Result<Self, &'static str>;
}

/// Writes a text; one that is a timestamp with an apostrophe before it.
///
/// ```
/// use persist_core::timestamp::text;
///
/// #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
/// struct Form {
///     #[serde(with = "text")]
///     typed_in: String,
/// }
///
/// let form = Form { typed_in: "2025-01-15".to_owned() };
/// let json = serde_json::to_string(&form)?;
/// assert_eq!(json, r#"{"typed_in":"'2025-01-15"}"#);
/// assert_eq!(serde_json::from_str::<Form>(&json)?, form);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
/// Those of the serializer.
pub fn serialize<T: Text, S: Serializer>(text: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let marked = text.as_text().map(|text| match is_marked(text) {
        true => Cow::Owned(format!("{MARK}{text}")),
        false => Cow::Borrowed(text),
    });
    marked.serialize(serializer)
}

/// Reads a text that [`serialize`] wrote.
///
/// # Errors
/// For what is no string, nor `null` where it is an `Option`.
pub fn deserialize<'de, T: Text, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let bare = text.map(|text| match text.strip_prefix(MARK) {
        Some(bare) if is_marked(bare) => bare.to_owned(),
        _ => text,
    });
    T::from_text(bare).map_err(serde::de::Error::custom)
}

/// Whether a text is written with a mark: a timestamp, marks before it or not.
fn is_marked(text: &str) -> bool {
    Timestamp::parse(text.trim_start_matches(MARK)).is_some()
}

impl Text for String {
    fn as_text(&self) -> Option<&str> {
        Some(self)
    }

    fn from_text(text: Option<String>) -> Result<Self, &'static str> {
        text.ok_or("null stands where a text is wanted")
    }
}

impl Text for Option<String> {
    fn as_text(&self) -> Option<&str> {
        self.as_deref()
    }

    fn from_text(text: Option<String>) -> Result<Self, &'static str> {
        Ok(text)
    }
}
