//! The tables in a database file: their columns, how one is created, and whether an existing one fits.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use duckdb::{AccessMode, Connection, params};

use super::aside;
use super::database::{self, own_logs};
use super::failure::failed;
use crate::error::{Error, ErrorKind, Result};
use crate::extra::ExtraSchema;
use crate::fs::{Fs, is_there};
use crate::model::{Column, History, Model, Source};

/// Says which store a file belongs to and how far it has been flushed.
pub(super) const META: &str = "persist_meta";
/// The ids that were removed, with the version that each has by now.
pub(super) const REMOVED: &str = "persist_removed";
/// When an id was removed.
pub(super) const REMOVED_AT: &str = "removed_at";
/// The delta's column of the record's place in the log.
pub(super) const SEQ: &str = "persist_seq";
/// The delta's column of what happened to the id: [`PUT`] or [`REMOVE`].
pub(super) const OP: &str = "persist_op";
/// The row is the id's newest state.
pub(super) const PUT: u8 = 0;
/// The id was removed.
pub(super) const REMOVE: u8 = 1;

/// In a base beside a history: how often the id has been written.
const COUNT: &str = "persist_version";
/// In a base beside a history: what it is ordered by.
pub(super) const HASH: &str = "persist_hash";

/// A table's name and its columns with their types.
type Definition<'a> = (String, Vec<(&'a str, &'a str)>);

const META_COLUMNS: [(&str, &str); 3] = [("store", "VARCHAR"), ("watermark", "UBIGINT"), ("at", "TIMESTAMP")];

/// A model's main table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    /// The columns after those.
    pub(super) extra: ExtraSchema,
    /// How many fields a part has; not each need have a column.
    pub(super) parts: usize,
    pub(super) history: Option<History>,
}

impl Table {
    /// The table of a model with these extra columns.
    pub(crate) fn of<M: Model>(extra: ExtraSchema) -> Self {
        Self { name: M::TABLE, columns: M::COLUMNS, extra, parts: M::PART_FIELDS.len(), history: M::HISTORY }
    }

    /// The columns after the model's.
    pub(crate) fn extra(&self) -> &ExtraSchema {
        &self.extra
    }

    /// The name of the delta; where all writes are kept, of the table of these.
    pub(super) fn delta_name(&self) -> String {
        self.history.map_or_else(|| format!("{}_delta", self.name), |history| history.table.to_owned())
    }

    /// The files of a database whose main file this is: that one, and the one of the newest records, if it has its own. It
    /// is called as the model says, with whatever the main file's name has after `.duckdb`.
    pub(crate) fn files(&self, main: &Path) -> Vec<PathBuf> {
        let name = main.file_name().unwrap_or_default().to_string_lossy();
        let suffix = name.split_once(".duckdb").map_or("", |(_, suffix)| suffix);
        let latest = self.history.map(|history| main.with_file_name(format!("{}{suffix}", history.latest_file)));
        std::iter::once(main.to_owned()).chain(latest).collect()
    }

    /// The main file of a backup in a folder.
    pub(crate) fn backup_in(&self, dir: &Path) -> PathBuf {
        let name = self.history.map(|history| format!("{}.duckdb.backup", history.table));
        dir.join(name.unwrap_or_else(|| "data.duckdb".to_owned()))
    }

    /// The table's columns, quoted, with commas.
    pub(super) fn column_list(&self) -> String {
        self.definitions().iter().map(|(name, _)| quote(name)).collect::<Vec<_>>().join(", ")
    }

    /// The table's columns as rows of the delta fill them: the newest of all that are kept is called version 1.
    fn shown_list(&self) -> String {
        let is_version = |name: &str| self.columns.iter().any(|c| c.name == name && c.source == Source::Version);
        let shown = |name: &str| match self.history {
            Some(_) if is_version(name) => format!("1::INTEGER AS {}", quote(name)),
            _ => quote(name),
        };
        self.definitions().iter().map(|(name, _)| shown(name)).collect::<Vec<_>>().join(", ")
    }

    /// The columns of the base, quoted, with commas.
    fn base_list(&self) -> String {
        self.base_definitions().iter().map(|(name, _)| quote(name)).collect::<Vec<_>>().join(", ")
    }

    /// By what the base is ordered where it is read by key: rows of one key then stand together, and keys that begin
    /// alike do not. (Of a text DuckDB keeps the first 8 bytes for each row group.)
    pub(super) fn hash(&self, key: &str) -> String {
        format!("md5_number_lower({key})")
    }

    /// The column of the base that counts the versions of its id.
    pub(super) fn count_column(&self) -> String {
        self.history.map_or_else(|| self.column(Source::Version), |_| quote(COUNT))
    }

    /// The column filled from `source`, quoted; NULL where the model has none.
    pub(super) fn column(&self, source: Source) -> String {
        self.columns
            .iter()
            .find(|column| column.source == source)
            .map_or("NULL".to_owned(), |column| quote(column.name))
    }

    pub(super) fn id_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| matches!(column.source, Source::Key | Source::Part(_)))
    }

    /// The columns of the id, quoted, with commas.
    pub(super) fn id_list(&self) -> String {
        self.id_columns().map(|column| quote(column.name)).collect::<Vec<_>>().join(", ")
    }

    /// The condition that rows `b` and `d` have one id. A part may be NULL; a key never is, and equality lets DuckDB
    /// skip row groups of the base by the delta's lowest and highest key.
    fn same_id(&self) -> String {
        let equals = |column: &Column| {
            let equals = if column.source == Source::Key { "=" } else { "IS NOT DISTINCT FROM" };
            format!("b.{name} {equals} d.{name}", name = quote(column.name))
        };
        self.id_columns().map(equals).collect::<Vec<_>>().join(" AND ")
    }

    /// A query for the `rowid` of each row of the base, or of [`REMOVED`], whose id is in the delta.
    pub(super) fn superseded(&self, base: &str, delta: &str) -> String {
        format!("SELECT b.rowid FROM {base} b SEMI JOIN {delta} d ON {}", self.same_id())
    }

    /// A query for base and delta as one table: the newest row of each id that is there, in the table's columns.
    ///
    /// The anti-join hashes the delta and passes conditions on to both sides. With a delta of 20,000 spread over 3 M
    /// rows a count took 248 ms and the rows of one key 38 ms, against 504 and 291 with `rowid NOT IN (semi-join)`;
    /// equality of keys halves the former (all on a busy machine).
    pub(super) fn current(&self, base: &str, delta: &str) -> String {
        let (columns, newest) = (self.column_list(), self.newest(delta));
        format!("SELECT {columns} FROM {base} b ANTI JOIN {delta} d ON {} UNION ALL {newest}", self.same_id())
    }

    /// The same where [no row is hidden](super::settle) by another.
    pub(super) fn settled(&self, base: &str, delta: &str) -> String {
        let (columns, shown, op) = (self.column_list(), self.shown_list(), quote(OP));
        format!("SELECT {columns} FROM {base} UNION ALL SELECT {shown} FROM {delta} WHERE {op} = {PUT}")
    }

    /// A query for the `rowid` of each row of the delta that has a lower `seq` than its id has in `newest`.
    pub(super) fn outdone(&self, delta: &str, newest: &str) -> String {
        let (same_id, seq) = (self.same_id(), quote(SEQ));
        format!("SELECT b.rowid FROM {delta} b JOIN {newest} d ON {same_id} AND b.{seq} < d.{seq}")
    }

    /// A query for the newest row of each id in the delta that is there, in the table's columns.
    ///
    /// A `persist_seq` stands for one row, so that the aggregate carries no data along, as a window function would.
    pub(super) fn newest(&self, delta: &str) -> String {
        format!("SELECT {} FROM {delta} {}", self.shown_list(), self.where_newest(delta),)
    }

    /// Inserts into a base beside a history, in the order of the hash, all rows whose hash is from `low` to `high`: the
    /// delta's newest, and those of the base that `moved` says so of.
    pub(super) fn insert_sorted(&self, base: &str, moved: &str, delta: &str, low: u64, high: u64) -> String {
        let hash = self.hash(&self.column(Source::Key));
        let within = |hash: &str| format!("{hash} BETWEEN {low}::UBIGINT AND {high}::UBIGINT");
        let delta = format!("(FROM {delta} WHERE {})", within(&hash));
        let (shown, newest, columns) = (self.shown_list(), self.where_newest(&delta), self.base_list());
        let loaded_by = self.history.map_or(0, |history| history.loaded_by);
        let order: String = (0..loaded_by).map(|n| format!(", {}", self.column(Source::Part(n)))).collect();
        format!(
            "INSERT INTO {base} SELECT {columns} FROM (\
             SELECT {shown}, {} AS {}, {hash} AS {own_hash} FROM {delta} {newest} \
             UNION ALL SELECT {columns} FROM {base} WHERE {moved} AND {}) ORDER BY {own_hash}{order}",
            self.column(Source::Version),
            quote(COUNT),
            within(&quote(HASH)),
            own_hash = quote(HASH),
        )
    }

    /// The condition on rows of the delta that they are the newest of their ids, and there.
    pub(super) fn where_newest(&self, delta: &str) -> String {
        format!(
            "WHERE {op} = {PUT} AND {seq} IN (SELECT max({seq}) FROM {delta} GROUP BY {})",
            self.id_list(),
            op = quote(OP),
            seq = quote(SEQ),
        )
    }

    /// A query for the ids that the delta removes, in the columns of [`REMOVED`].
    pub(super) fn removed(&self, delta: &str) -> String {
        format!(
            "SELECT {ids}, {}, {seq}, {} FROM {delta} \
             WHERE {op} = {REMOVE} AND {seq} IN (SELECT max({seq}) FROM {delta} GROUP BY {ids})",
            self.column(Source::Version),
            self.column(Source::UpdatedAt),
            ids = self.id_list(),
            op = quote(OP),
            seq = quote(SEQ),
        )
    }

    fn removed_definitions(&self) -> Vec<(&str, &str)> {
        let ids = self.id_columns().map(|column| (column.name, sql_type(column.source)));
        ids.chain([("version", "INTEGER"), (SEQ, "UBIGINT"), (REMOVED_AT, "TIMESTAMP")]).collect()
    }

    fn definitions(&self) -> Vec<(&str, &str)> {
        let own = self.columns.iter().map(|column| (column.name, sql_type(column.source)));
        own.chain(self.extra.columns().iter().map(|column| (column.name.as_str(), column.kind.sql()))).collect()
    }

    fn base_definitions(&self) -> Vec<(&str, &str)> {
        let mut definitions = self.definitions();
        if self.history.is_some() {
            definitions.extend([(COUNT, "INTEGER"), (HASH, "UBIGINT")]);
        }
        definitions
    }

    /// The tables of the base, which are in a file of their own where all writes are kept, and those beside the delta.
    fn tables(&self) -> (Vec<Definition<'_>>, Vec<Definition<'_>>) {
        let meta = || (META.to_owned(), META_COLUMNS.to_vec());
        let base =
            vec![(self.name.to_owned(), self.base_definitions()), (REMOVED.to_owned(), self.removed_definitions())];
        let delta = vec![(self.delta_name(), self.delta_definitions()), meta()];
        if self.history.is_some() { (base.into_iter().chain([meta()]).collect(), delta) } else { (base, delta) }
    }

    fn delta_definitions(&self) -> Vec<(&str, &str)> {
        let mut definitions = self.definitions();
        definitions.extend([(SEQ, "UBIGINT"), (OP, "UTINYINT")]);
        definitions
    }
}

/// Makes a database file with empty tables that belongs to the store `store_id`, at watermark 0.
///
/// It is written aside (`{path}.new`), checkpointed, synced, and renamed into place: a crash leaves no file or a whole
/// one. The caller holds the store's lock.
///
/// # Errors
/// [`Config`](ErrorKind::Config) where there is a file of that name, or where logs of a database that is gone stand
/// beside it.
pub(super) fn create(fs: &dyn Fs, path: &Path, table: &Table, store_id: &str) -> Result<()> {
    let path = &database::plain(path)?;
    for taken in std::iter::once(path).chain(&own_logs(path)) {
        if is_there(fs, taken)? {
            return Err(Error::config(format!("cannot create {}: there is {}", path.display(), taken.display())));
        }
    }
    // First: what a crash leaves of it is empty, and made again.
    create_base(fs, path, table, store_id)?;
    create_aside(fs, path, table, store_id)?;
    aside::put_in_place(fs, path)
}

/// Makes the file of the base anew, empty, where a model has one of its own.
pub(super) fn create_base(fs: &dyn Fs, path: &Path, table: &Table, store_id: &str) -> Result<()> {
    if let [_, latest] = table.files(path).as_slice() {
        let (base, _) = table.tables();
        create_file_aside(fs, latest, &base, store_id)?;
        aside::put_in_place(fs, latest)?;
    }
    Ok(())
}

/// The first half of [`create`]: answers the path of the file written aside, in place of what a crash left there.
pub(super) fn create_aside(fs: &dyn Fs, path: &Path, table: &Table, store_id: &str) -> Result<PathBuf> {
    let path = &database::plain(path)?;
    let (base, delta) = table.tables();
    let tables = if table.history.is_some() { delta } else { base.into_iter().chain(delta).collect() };
    create_file_aside(fs, path, &tables, store_id)
}

/// Makes all files of a database aside.
pub(super) fn create_files_aside(fs: &dyn Fs, path: &Path, table: &Table, store_id: &str) -> Result<()> {
    let path = &database::plain(path)?;
    if let [_, latest] = table.files(path).as_slice() {
        let (base, _) = table.tables();
        create_file_aside(fs, latest, &base, store_id)?;
    }
    create_aside(fs, path, table, store_id).map(drop)
}

fn create_file_aside(fs: &dyn Fs, path: &Path, tables: &[Definition<'_>], store_id: &str) -> Result<PathBuf> {
    aside::clear_aside(fs, path)?;
    let aside = aside::aside(path);
    fill(&aside, tables, store_id).map_err(|error| failed("cannot create", &aside, error))?;
    Ok(aside)
}

fn fill(path: &Path, tables: &[Definition<'_>], store_id: &str) -> duckdb::Result<()> {
    let connection = database::connect(path, AccessMode::ReadWrite)?;
    let sql: String = tables.iter().map(|(name, columns)| create_table(name, columns)).collect();
    connection.execute_batch(&sql)?;
    connection.execute(&format!("INSERT INTO {} VALUES (?, 0, NULL)", quote(META)), params![store_id])?;
    connection.execute_batch("CHECKPOINT")
}

fn create_table(name: &str, columns: &[(&str, &str)]) -> String {
    let mut sql = format!("CREATE TABLE {} (", quote(name));
    for (n, (column, kind)) in columns.iter().enumerate() {
        let comma = if n > 0 { ", " } else { "" };
        let own = if [SEQ, OP].contains(column) { " NOT NULL" } else { "" };
        // Writing to a String can't fail.
        let _ = write!(sql, "{comma}{} {kind}{own}", quote(column));
    }
    sql + ");\n"
}

/// Whether the tables of a file are those of `table`.
///
/// # Errors
/// [`Config`](ErrorKind::Config) for a database that persist did not make, [`Schema`](ErrorKind::Schema) with every
/// difference.
///
/// `catalog` is DuckDB's name of the file, and `is_base` says whether it is the one with the base where there are two.
pub(super) fn check(connection: &Connection, path: &Path, table: &Table, catalog: &str, is_base: bool) -> Result<()> {
    let found = columns(connection, catalog).map_err(|error| failed("cannot read the tables of", path, error))?;
    if !found.iter().any(|(name, ..)| name == META) {
        return Err(Error::config(format!(
            "{} is not a database of persist: it has no table {META}; name another file",
            path.display()
        )));
    }
    let (base, delta) = table.tables();
    let tables = match (table.history.is_some(), is_base) {
        (true, true) => base,
        (true, false) => delta,
        (false, _) => base.into_iter().chain(delta).collect(),
    };
    let mut differences = Vec::new();
    tables.iter().for_each(|(name, columns)| compare(name, columns, &found, &mut differences));
    refuse(path, &differences)
}

fn refuse(path: &Path, differences: &[String]) -> Result<()> {
    if differences.is_empty() {
        return Ok(());
    }
    let differences = differences.join("; ");
    Err(Error::new(ErrorKind::Schema, format!("the tables of {} are not as asked for: {differences}", path.display())))
}

/// Whether a file holds the table of the Python original, which is `table` alone; `false` for a database of persist.
/// An empty database gets the table, as it does from the original when that opens it.
///
/// # Errors
/// [`Schema`](ErrorKind::Schema) with every difference.
pub(super) fn check_original(connection: &Connection, path: &Path, table: &Table) -> Result<bool> {
    let unreadable = |error| failed("cannot read the tables of", path, error);
    let catalog: String =
        connection.query_row("SELECT current_database()", [], |row| row.get(0)).map_err(unreadable)?;
    let found = columns(connection, &catalog).map_err(unreadable)?;
    if found.is_empty() {
        let sql = create_table(table.name, &table.definitions());
        connection.execute_batch(&sql).map_err(unreadable)?;
        return Ok(true);
    }
    if found.iter().any(|(name, ..)| name == META) || !found.iter().any(|(name, ..)| name == table.name) {
        return Ok(false);
    }
    let mut differences = Vec::new();
    compare(table.name, &table.definitions(), &found, &mut differences);
    refuse(path, &differences).map(|()| true)
}

fn columns(connection: &Connection, catalog: &str) -> duckdb::Result<Vec<(String, String, String)>> {
    let mut statement = connection.prepare(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() \
         WHERE database_name = ? AND schema_name = 'main' ORDER BY table_oid, column_index",
    )?;
    let rows = statement.query_map([catalog], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

fn compare(table: &str, expected: &[(&str, &str)], all: &[(String, String, String)], differences: &mut Vec<String>) {
    let found: Vec<_> = all
        .iter()
        .filter(|(name, ..)| name == table)
        .map(|(_, column, kind)| (column.as_str(), kind.as_str()))
        .collect();
    if found == expected {
        return;
    }
    if found.is_empty() {
        differences.push(format!("table {table:?} is missing"));
        return;
    }
    let before = differences.len();
    for (column, kind) in expected {
        match found.iter().find(|(name, _)| name == column) {
            None => differences.push(format!("{table:?} lacks the column {column:?} {kind}")),
            Some((_, other)) if other != kind => {
                differences.push(format!("column {column:?} of {table:?} is {other} and should be {kind}"));
            }
            Some(_) => {}
        }
    }
    for (column, kind) in &found {
        if !expected.iter().any(|(name, _)| name == column) {
            differences.push(format!("{table:?} has the column {column:?} {kind} besides"));
        }
    }
    if differences.len() == before {
        differences.push(format!("the columns of {table:?} are in another order"));
    }
}

/// A name as SQL takes it, whatever is in it.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn sql_type(source: Source) -> &'static str {
    match source {
        Source::Key | Source::Part(_) | Source::Status | Source::Username | Source::ValueText => "VARCHAR",
        Source::Data => "JSON",
        Source::Timestamp | Source::UpdatedAt => "TIMESTAMP",
        Source::StatusInt | Source::Version => "INTEGER",
        Source::ValueInt => "BIGINT",
        Source::ValueFloat => "DOUBLE",
    }
}
