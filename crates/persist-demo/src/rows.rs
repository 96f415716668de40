//! A CSV file of known columns, gzipped or not, row by row.
//!
//! A file of another form is refused with its line and field: nothing is guessed. `NA` means that a value is missing.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::str::FromStr;

use csv::StringRecord;
use flate2::bufread::MultiGzDecoder;
use persist_collection::Timestamp;
use time::{Date, Month};

use crate::error::Error;

/// Reads a file of these columns, calling `each` for every row.
pub(crate) fn read(
    file: &Path,
    columns: &'static [&'static str],
    each: impl FnMut(&Row) -> Result<(), Error>,
) -> Result<(), Error> {
    let bad = |why: String| refusal(file, why);
    let mut bytes = File::open(file).map(BufReader::new).map_err(|error| bad(format!("cannot open: {error}")))?;
    let start = bytes.fill_buf().map_err(|error| bad(format!("cannot read: {error}")))?;
    if start.starts_with(&[0x1f, 0x8b]) {
        parse(file, MultiGzDecoder::new(bytes), columns, each)
    } else {
        parse(file, bytes, columns, each)
    }
}

/// As [`read`], of text that was read of the file.
pub(crate) fn parse(
    file: &Path,
    text: impl Read,
    columns: &'static [&'static str],
    mut each: impl FnMut(&Row) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let header = reader.headers().map_err(|error| refused(file, 1, None, unreadable(error)))?;
    Row { file, line: 1, columns, record: header }.is_header()?;

    let mut record = StringRecord::new();
    loop {
        let more = reader.read_record(&mut record);
        let line = record.position().map_or_else(|| reader.position().line(), csv::Position::line);
        if !more.map_err(|error| refused(file, line, None, unreadable(error)))? {
            return Ok(());
        }
        let row = Row { file, line, columns, record: &record };
        row.has_no_more()?;
        each(&row)?;
    }
}

/// Why a file as a whole is of no use.
pub(crate) fn refusal(file: &Path, why: impl Into<String>) -> Error {
    Error::Csv { file: file.to_owned(), line: None, field: None, why: why.into() }
}

fn refused(file: &Path, line: u64, field: Option<&'static str>, why: String) -> Error {
    Error::Csv { file: file.to_owned(), line: Some(line), field, why }
}

fn unreadable(error: csv::Error) -> String {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => format!("cannot read: {error}"),
        csv::ErrorKind::Utf8 { err, .. } => format!("is no UTF-8: {err}"),
        other => format!("is no CSV: {other:?}"),
    }
}

/// One line of the file.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    file: &'a Path,
    /// Its number; the header has 1.
    pub(crate) line: u64,
    columns: &'static [&'static str],
    record: &'a StringRecord,
}

impl Row<'_> {
    fn is_header(&self) -> Result<(), Error> {
        for (n, column) in self.columns.iter().copied().enumerate() {
            match self.record.get(n) {
                Some(found) if found == column => {}
                Some(found) => return Err(self.bad(column, format!("the header has {found:?} in its place"))),
                None => return Err(self.bad(column, "the header lacks it")),
            }
        }
        self.has_no_more()
    }

    fn has_no_more(&self) -> Result<(), Error> {
        match (self.record.len(), self.columns.len()) {
            (found, known) if found > known => {
                Err(refused(self.file, self.line, None, format!("{found} fields in place of {known}")))
            }
            _ => Ok(()),
        }
    }

    /// The date in the columns `year`, `month` and `day`.
    pub(crate) fn date(&self) -> Result<Date, Error> {
        let month: u8 = self.number("month")?;
        let month = Month::try_from(month).map_err(|_| self.bad("month", format!("{month} is no month")))?;
        let (year, day) = (self.number("year")?, self.number("day")?);
        if !(1..=9999).contains(&year) {
            return Err(self.bad("year", format!("{year} has not four digits")));
        }
        Date::from_calendar_date(year, month, day)
            .map_err(|_| self.bad("day", format!("{month} {year} has no day {day}")))
    }

    pub(crate) fn moment(&self, column: &'static str) -> Result<Timestamp, Error> {
        let text = self.text(column)?;
        Timestamp::parse(text).ok_or_else(|| self.bad(column, format!("{text:?} is no ISO 8601 time")))
    }

    /// The text of a field that may be missing.
    pub(crate) fn known(&self, column: &'static str) -> Result<Option<&str>, Error> {
        let field = self.columns.iter().position(|name| *name == column).and_then(|n| self.record.get(n));
        match field {
            None => Err(self.bad(column, format!("is not there: the line has {} fields", self.record.len()))),
            Some("") => Err(self.bad(column, "is empty")),
            Some("NA") => Ok(None),
            Some(text) => Ok(Some(text)),
        }
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<&str, Error> {
        self.known(column)?.ok_or_else(|| self.bad(column, "must not be missing (NA)"))
    }

    pub(crate) fn optional<T: FromStr>(&self, column: &'static str) -> Result<Option<T>, Error>
    where
        T::Err: fmt::Display,
    {
        let parse = |text: &str| text.parse().map_err(|error| self.bad(column, format!("{text:?}: {error}")));
        self.known(column)?.map(parse).transpose()
    }

    pub(crate) fn number<T: FromStr>(&self, column: &'static str) -> Result<T, Error>
    where
        T::Err: fmt::Display,
    {
        self.optional(column)?.ok_or_else(|| self.bad(column, "must not be missing (NA)"))
    }

    pub(crate) fn bad(&self, field: &'static str, why: impl Into<String>) -> Error {
        refused(self.file, self.line, Some(field), why.into())
    }
}
