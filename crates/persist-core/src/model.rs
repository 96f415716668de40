//! What a store crate says of its records: how they are told apart, and which columns they fill.
//!
//! Everything else (the log, the cache, the flushes, recovery) is the engine's and the same for every model.

use std::fmt::Debug;
use std::hash::Hash;

/// A kind of store.
///
/// A record's id is its `key` and its *part*: what tells apart the records of one key. The dated store's part is the
/// process name; a model whose key is the whole id uses `()`.
pub trait Model: Debug + Send + Sync + 'static {
    /// What tells apart the records of one key.
    type Part: Clone + Debug + Eq + Hash + Send + Sync + 'static;

    /// What a record has besides its data, with columns of its own: [`Option<Scalar>`](Scalar), or `()` for nothing.
    type Value: RecordValue;

    /// The names under which a part stands in a line of the log and in the columns of the table, in order; at most four.
    const PART_FIELDS: &'static [&'static str];

    /// The main table in DuckDB.
    const TABLE: &'static str;

    /// The columns of the main table, in order.
    const COLUMNS: &'static [Column];

    /// Where every write is kept; `None`: only the newest of each id is. Then [`Model::TABLE`], which has the newest, is in
    /// a file of its own, and records are read into memory as they are asked for.
    const HISTORY: Option<History> = None;

    /// The folders that the log may lie in; `None`: it lies in the store's folder.
    const LOG_FOLDERS: Option<LogFolders> = None;

    /// Further names that no extra column may have; those of [`Model::COLUMNS`] are taken anyhow.
    const RESERVED: &'static [&'static str] = &[];

    /// Whether a folder of the Python original is taken over: its table is [`Model::TABLE`], and the fields of a part
    /// stand in the data as well. Default: its files are another's.
    const TAKES_OVER: bool = false;

    /// One field of a part, by its place in [`Model::PART_FIELDS`]; `None` is NULL.
    fn part_text(part: &Self::Part, field: usize) -> Option<&str>;

    /// Makes a part of its fields, as many and in the order of [`Model::PART_FIELDS`].
    fn part_from(fields: &[Option<&str>]) -> Self::Part;
}

/// What a model that keeps every write says of that.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// The table of all writes, which is in the store's database. It has [`Model::COLUMNS`], and one row for each write.
    pub table: &'static str,
    /// The name of the file of the newest records, beside the store's database.
    pub latest_file: &'static str,
    /// Records are read into memory together that agree in the key and so many first fields of the part.
    pub loaded_by: usize,
    /// What to do where a file is damaged or missing, for the error. It is given the names of the log's folders.
    pub cure: fn(&[String]) -> String,
}

/// What a model says whose log goes on in another folder now and then: in one of those within the store's folder that
/// have such a name. The log of all of them is recovered, whichever the store is opened for.
#[derive(Debug, Clone, Copy)]
pub struct LogFolders {
    /// What their names say, for the error another opener gets: "date".
    pub named_by: &'static str,
    /// Whether a folder of this name is one of them. All others are left alone.
    pub is_name: fn(&str) -> bool,
    /// The day that a folder of this name is for, counted from any fixed one: folders get old by it.
    pub day_of: fn(&str) -> Option<i64>,
    /// The name of the folder for a moment, in microseconds since 1970-01-01 UTC.
    pub name_at: fn(i64) -> String,
    /// The first moment after it for which that is another one.
    pub ends_at: fn(i64) -> i64,
}

/// A column of a model's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The column's name.
    pub name: &'static str,
    /// What fills it; this also says its SQL type.
    pub source: Source,
}

/// What fills a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The record's key, VARCHAR.
    Key,
    /// A field of the record's part, by its place in [`Model::PART_FIELDS`], VARCHAR.
    Part(usize),
    /// The record's data, JSON.
    Data,
    /// The field `timestamp` of the data, TIMESTAMP in UTC.
    Timestamp,
    /// The field `status` of the data, VARCHAR.
    Status,
    /// The field `status_int` of the data, INTEGER.
    StatusInt,
    /// The field `username` of the data, VARCHAR.
    Username,
    /// When the record was written, TIMESTAMP in UTC.
    UpdatedAt,
    /// How often the record's id has been written, INTEGER.
    Version,
    /// The record's value where it is an integer, BIGINT.
    ValueInt,
    /// The record's value where it is a fraction, DOUBLE.
    ValueFloat,
    /// The record's value where it is text, VARCHAR.
    ValueText,
}

/// What a record has besides its data.
pub trait RecordValue: Clone + Debug + Default + PartialEq + Send + Sync + 'static {
    /// The name under which it stands in a line of the log; `None` where there is nothing.
    const FIELD: Option<&'static str>;

    /// The scalar that it is.
    fn scalar(&self) -> Option<&Scalar>;

    /// What holds this scalar.
    fn of(scalar: Option<Scalar>) -> Self;
}

/// Nothing.
impl RecordValue for () {
    const FIELD: Option<&'static str> = None;

    fn scalar(&self) -> Option<&Scalar> {
        None
    }

    fn of(_: Option<Scalar>) {}
}

/// A value of one of three types, or none.
impl RecordValue for Option<Scalar> {
    const FIELD: Option<&'static str> = Some("value");

    fn scalar(&self) -> Option<&Scalar> {
        self.as_ref()
    }

    fn of(scalar: Option<Scalar>) -> Self {
        scalar
    }
}

/// A typed value.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// An integer.
    Int(i64),
    /// A fraction; never infinite, never NaN.
    Float(f64),
    /// Text.
    Text(Box<str>),
}
