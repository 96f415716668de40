//! The special fields that models with such fields share, from what a call and the data say of them to what they are.

use std::borrow::Cow;

use serde::Serialize;

use super::{Given, Kind, Resolved, Rules, Special, normalize_value};
use crate::error::{Error, Result};
use crate::keys;
use crate::timestamp::Timestamp;

/// What a call says of the special fields beside the data.
#[derive(Debug, Default)]
pub struct Specials<'a> {
    /// Who writes; `None`: what the data says.
    pub username: Option<&'a str>,
    /// Likewise.
    pub status: Option<&'a str>,
    /// Likewise.
    pub status_int: Option<i32>,
    /// Likewise, else now.
    pub timestamp: Option<Result<Timestamp>>,
}

/// Data in its normalized form, and what its special fields are.
#[derive(Debug)]
pub struct Settled<'a> {
    /// The normalized data.
    pub data: String,
    /// The timestamp.
    pub timestamp: Timestamp,
    /// The user name, if there is one.
    pub username: Option<Cow<'a, str>>,
    /// What the model's own special fields are, in their order.
    pub own: Vec<Resolved<'a>>,
}

impl<'a> Specials<'a> {
    /// Normalizes data with these fields and `own` ones, which come first; what the call says beats the data. A record
    /// without a timestamp gets that of `now`.
    ///
    /// # Errors
    /// [`Input`](crate::ErrorKind::Input), naming the field.
    pub fn settle<D: Serialize + ?Sized>(
        &mut self,
        data: &D,
        own: impl IntoIterator<Item = Special<'a>>,
        now: Timestamp,
        rules: &Rules,
    ) -> Result<Settled<'a>> {
        let text = |given: Option<&'a str>| given.map_or(Given::Data, |text| argument(Resolved::Text(text.into())));
        let timestamp = match self.timestamp.take().transpose()? {
            Some(timestamp) => argument(Resolved::Timestamp(timestamp)),
            None => Given::Default(Resolved::Timestamp(now)),
        };
        let status_int = self.status_int.map_or(Given::Data, |status| argument(Resolved::Int32(status)));
        let shared = [
            Special { name: keys::TIMESTAMP, kind: Kind::Timestamp, given: timestamp },
            Special { name: keys::STATUS, kind: Kind::Text, given: text(self.status) },
            Special { name: keys::STATUS_INT, kind: Kind::Int32, given: status_int },
            Special { name: keys::USERNAME, kind: Kind::Text, given: text(self.username) },
        ];
        let specials: Vec<Special<'a>> = own.into_iter().chain(shared).collect();
        let normalized = normalize_value(data, &specials, rules)?;
        let mut own = normalized.fields;
        let (username, _, _) = (own.pop(), own.pop(), own.pop());
        let Some(Resolved::Timestamp(timestamp)) = own.pop() else {
            return Err(Error::input("timestamp: a record has one"));
        };
        let username = if let Some(Resolved::Text(name)) = username { Some(name) } else { None };
        Ok(Settled { data: normalized.text, timestamp, username, own })
    }
}

fn argument(value: Resolved<'_>) -> Given<'_> {
    Given::Argument(value)
}
