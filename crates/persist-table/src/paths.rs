//! The files of a database: nobody else builds or takes apart their names.

use std::path::{Path, PathBuf};

use persist_core::wal::SegmentNames;

const SCHEMA: &str = ".schema.json";
const RECORDS: &str = ".records";
const META: &str = ".meta.json";
const COMPRESSED: &str = ".gz";

/// The log: `wal/transaction.log`, and those before it by their numbers.
pub(crate) const LOG: &str = "transaction.log";
pub(crate) const LOG_NAMES: SegmentNames = SegmentNames::numbered("transaction.", ".log").newest(LOG);

/// Where the files of a database are.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) dir: PathBuf,
    pub(crate) schema: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) wal: PathBuf,
}

impl Paths {
    pub(crate) fn new(base: &Path, name: &str) -> Self {
        let dir = base.join(name);
        Self { schema: dir.join("schema"), data: dir.join("data"), wal: dir.join("wal"), dir }
    }

    pub(crate) fn identity(&self) -> PathBuf {
        self.dir.join("database.json")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join(".lock")
    }

    pub(crate) fn schema_of(&self, table: &str) -> PathBuf {
        self.schema.join(format!("{table}{SCHEMA}"))
    }

    pub(crate) fn meta_of(&self, table: &str) -> PathBuf {
        self.data.join(format!("{table}{META}"))
    }

    /// The path of a file of records, by its name.
    pub(crate) fn records(&self, file: &str) -> PathBuf {
        self.data.join(file)
    }
}

/// The table of a schema file's name.
pub(crate) fn table_of(file: &str) -> Option<&str> {
    file.strip_suffix(SCHEMA)
}

/// The name of a table's file of records.
pub(crate) fn records_of(table: &str, compressed: bool) -> String {
    format!("{table}{RECORDS}{}", if compressed { COMPRESSED } else { "" })
}

/// The name of a copy of a file of records, as it was before the log of another program with this name changed rows of it.
pub(crate) fn records_before(file: &str, log: &str) -> String {
    format!("{file}.before-{log}")
}

/// Whether a file of records is compressed.
pub(crate) fn is_compressed(file: &str) -> bool {
    file.ends_with(COMPRESSED)
}

/// The name of an archived log: of the moment of its archiving, in UTC, and of a number where there is one of that moment.
pub(crate) fn archive(moment: &str, number: usize, compressed: bool) -> String {
    // 2026-01-22T20:31:17… becomes 20260122_203117.
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (date, time) = moment.split_once('T').unwrap_or((moment, ""));
    let time = time.get(..8).unwrap_or(time);
    let number = if number < 2 { String::new() } else { format!("_{number}") };
    let end = if compressed { COMPRESSED } else { "" };
    format!("transaction.{}_{}{number}.log{end}", digits(date), digits(time))
}

/// Of an archived log's name, what orders it among others: its moment, and its number among those of that moment.
pub(crate) fn archive_order(file: &str) -> Option<(&str, usize)> {
    let name = file.strip_suffix(COMPRESSED).unwrap_or(file);
    let of_log = name.strip_prefix("transaction.")?.strip_suffix(".log")?;
    let is_moment = |moment: &str| {
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        moment.split_once('_').is_some_and(|(date, time)| date.len() == 8 && is_digits(date) && is_digits(time))
    };
    let (moment, rest) = of_log.split_at_checked("20260122_203117".len())?;
    let number = if rest.is_empty() { 1 } else { rest.strip_prefix('_')?.parse().ok()? };
    is_moment(moment).then_some((moment, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_named_as_in_the_specification_and_known_by_its_name() {
        let moment = "2026-01-22T20:31:17.592172+00:00";
        assert_eq!(archive(moment, 1, false), "transaction.20260122_203117.log");
        assert_eq!(archive(moment, 2, true), "transaction.20260122_203117_2.log.gz");
        assert_eq!(archive_order(&archive(moment, 1, false)), Some(("20260122_203117", 1)));
        assert_eq!(archive_order(&archive(moment, 12, true)), Some(("20260122_203117", 12)));
        assert!(
            ["transaction.log", "transaction.000001.log", "transaction.000001.log.torn"]
                .iter()
                .all(|n| archive_order(n).is_none())
        );
    }
}
