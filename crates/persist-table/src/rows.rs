//! Working with the rows of a table, one step at a time.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use persist_core::{Durability, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::filter::Filter;
use crate::row;
use crate::schema::Layout;
use crate::select::{Select, Source, with};
use crate::shared::Shared;
use crate::slot::{Table, read};
use crate::state::State;
use crate::work::Work;

/// The rows of a table, as values of `T`: a struct that derives [`Table`](trait@crate::Table), or any other type that reads
/// what the columns have; by default JSON.
///
/// Each call is one step: on the disk when it returns, unless told otherwise, or nothing of it is there.
/// [`Database::transaction`](crate::Database::transaction) makes one step of several calls. It is cheap to clone.
pub struct Rows<T = Value> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) table: Table,
    name: Arc<str>,
    durability: Durability,
    kind: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("table", &self.name()).finish_non_exhaustive()
    }
}

impl<T> Clone for Rows<T> {
    fn clone(&self) -> Self {
        let Self { shared, table, name, durability, .. } = self;
        let (shared, table, name) = (Arc::clone(shared), Arc::clone(table), Arc::clone(name));
        Self { shared, table, name, durability: *durability, kind: PhantomData }
    }
}

impl<T> Rows<T> {
    pub(crate) fn new(shared: Arc<Shared>, table: Table, name: &str) -> Self {
        let durability = shared.config.durability;
        Self { shared, table, name: name.into(), durability, kind: PhantomData }
    }

    /// The same rows, with writes that are acknowledged otherwise than the database's are.
    #[must_use]
    pub fn durability(&self, durability: Durability) -> Self {
        Self { durability, ..self.clone() }
    }

    /// The table's name.
    pub fn name(&self) -> String {
        self.name.to_string()
    }

    fn work<R>(&self, make: impl FnOnce(&mut Work<'_>, usize) -> Result<R>) -> Result<R> {
        let mut work = Work::new(&self.shared, self.durability);
        let made = work.hold(&self.table).and_then(|at| make(&mut work, at));
        match made {
            Ok(answer) => work.commit().map(|()| answer),
            Err(error) => Err(work.refuse(error)),
        }
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// Where the rows have to be loaded first, what [`Database::load`](crate::Database::load) says.
    pub fn count(&self) -> Result<usize> {
        with(self, |_, state| Ok(state.rows.len()))
    }

    /// Changes columns of the rows of a filter: `change` is an object, or a struct, that names those and their new values.
    /// Answers how many rows it found.
    ///
    /// # Errors
    /// As [`Rows::insert`]; no row is changed then.
    pub fn update(&self, filter: Filter, change: &(impl Serialize + ?Sized)) -> Result<usize> {
        self.work(|work, at| work.update(at, &filter, change))
    }

    /// Removes the rows of a filter, and answers how many.
    ///
    /// # Errors
    /// As [`Rows::insert`]; no row is removed then.
    pub fn delete(&self, filter: Filter) -> Result<usize> {
        self.work(|work, at| work.delete(at, &filter))
    }
}

impl<T: DeserializeOwned> Rows<T> {
    /// Adds a row, and answers it as it is then: with the next number as its primary key, where that is a whole number and
    /// the row came without, and with the defaults of the columns that it did not name.
    ///
    /// ```
    /// # use persist_table::*;
    /// # let db = Database::in_memory("university")?;
    /// # db.create_table(Schema::new("student").column(Column::new("id", Type::Int).primary_key())
    /// #     .column(Column::new("email", Type::Text).unique()))?;
    /// let students: Rows = db.rows("student")?;
    /// let alice = students.insert(&serde_json::json!({"email": "alice@university.edu"}))?;
    /// assert_eq!(alice["id"], 1);
    /// let error = students.insert(&serde_json::json!({"email": "alice@university.edu"})).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Conflict);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) for what a column does not take,
    /// [`Conflict`](persist_core::ErrorKind::Conflict) for a value that another row has and that is the primary key or
    /// unique; both name table, column and value. [`Io`](persist_core::ErrorKind::Io) where the log has no space,
    /// [`Poisoned`](persist_core::ErrorKind::Poisoned) after a failed write or sync,
    /// [`Closed`](persist_core::ErrorKind::Closed).
    pub fn insert(&self, record: &(impl Serialize + ?Sized)) -> Result<T> {
        self.work(|work, at| work.insert_value(at, record))
    }

    /// Adds rows, all or none, with one sync. The iterator runs while the table is held: unless it does so within a
    /// transaction, it can't use a table of this database, and gets [`Input`](persist_core::ErrorKind::Input) for it.
    ///
    /// # Errors
    /// As [`Rows::insert`].
    pub fn insert_many<R: Serialize>(&self, records: impl IntoIterator<Item = R>) -> Result<Vec<T>> {
        self.work(|work, at| records.into_iter().map(|record| work.insert_value(at, &record)).collect())
    }

    /// Adds a row, or puts it in the place of the one that has its primary key.
    ///
    /// # Errors
    /// As [`Rows::insert`].
    pub fn upsert(&self, record: &(impl Serialize + ?Sized)) -> Result<T> {
        self.work(|work, at| work.upsert_value(at, record))
    }

    /// The row of a primary key.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) where the key is none of the column's type, or the row none of `T`.
    pub fn get(&self, key: impl Serialize) -> Result<Option<T>> {
        with(self, |layout, state| {
            let key = layout.cell(layout.primary, &key)?;
            state.find(&key).map(|(_, row)| row::to(layout, row)).transpose()
        })
    }

    /// All rows, in the order in which they were added.
    ///
    /// # Errors
    /// As [`Select::rows`].
    pub fn all(&self) -> Result<Vec<T>> {
        self.select().rows()
    }

    /// Begins a question: which rows, in which order, how many.
    ///
    /// ```
    /// # use persist_table::*;
    /// # let db = Database::in_memory("university")?;
    /// # db.create_table(Schema::new("student").column(Column::new("id", Type::Int).primary_key())
    /// #     .column(Column::new("gpa", Type::Float).default_value(&0.0)))?;
    /// # let students: Rows = db.rows("student")?;
    /// let best = students.select().filter(col("gpa").ge(3.6)).order_by_desc("gpa").limit(10).rows()?;
    /// # assert!(best.is_empty());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn select(&self) -> Select<'_, T> {
        Select::new(self)
    }
}

impl<T: Serialize + DeserializeOwned> Rows<T> {
    /// Changes the rows of a filter by a function, and answers how many rows it found.
    ///
    /// The function runs while the table is held: unless it does so within a transaction, it can't use a table of this
    /// database, and gets [`Input`](persist_core::ErrorKind::Input) for it.
    ///
    /// # Errors
    /// As [`Rows::update`].
    pub fn update_with(&self, filter: Filter, change: impl FnMut(&mut T)) -> Result<usize> {
        self.work(|work, at| work.update_with(at, &filter, change))
    }
}

impl<T> Source for Rows<T> {
    fn look(&self, look: &mut dyn FnMut(&Arc<Layout>, &State) -> Result<()>) -> Result<()> {
        let slot = read(&self.table, &self.shared)?;
        slot.state.as_ref().map_or(Ok(()), |state| look(&slot.layout, state))
    }
}
