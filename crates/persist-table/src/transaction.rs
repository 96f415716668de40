//! Several calls on several tables as one step.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use persist_core::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::declare::Table;
use crate::filter::Filter;
use crate::row;
use crate::schema::Layout;
use crate::select::{Select, Source, with};
use crate::state::State;
use crate::work::Work;

/// A step that is being put together by [`Database::transaction`](crate::Database::transaction).
///
/// It holds each table from its first use on: others read and write it when the step is made or given up. So a transaction
/// uses its tables through itself alone; through a handle of its own it would wait for itself. What makes, changes, drops or
/// saves tables, and another transaction, is refused inside it with [`Input`](persist_core::ErrorKind::Input).
pub struct Transaction<'a> {
    work: RefCell<Work<'a>>,
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(work: Work<'a>) -> Self {
        Self { work: RefCell::new(work) }
    }

    fn work_mut(&self) -> Result<RefMut<'_, Work<'a>>> {
        self.work.try_borrow_mut().map_err(|_| under_way())
    }

    pub(crate) fn into_work(self) -> Work<'a> {
        self.work.into_inner()
    }

    /// The rows of a declared table.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) where it was not made yet.
    pub fn table<T: Table>(&self) -> Result<RowsOf<'_, 'a, T>> {
        self.rows(T::NAME)
    }

    /// The rows of a table by its name.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) where there is none.
    pub fn rows<T>(&self, table: &str) -> Result<RowsOf<'_, 'a, T>> {
        let mut work = self.work_mut()?;
        let table = work.shared().table(table)?;
        let at = work.hold(&table)?;
        Ok(RowsOf { transaction: self, at, kind: PhantomData })
    }
}

#[cold]
fn under_way() -> Error {
    Error::input(
        "the transaction was used by a function that one of its own calls runs: it can be used before or after that call",
    )
}

/// The rows of a table within a [`Transaction`]. Their methods are those of [`Rows`](crate::Rows); what they change is
/// seen by this transaction, and by others when it is made.
pub struct RowsOf<'t, 'a, T = Value> {
    transaction: &'t Transaction<'a>,
    at: usize,
    kind: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for RowsOf<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowsOf").finish_non_exhaustive()
    }
}

impl<'a, T> RowsOf<'_, 'a, T> {
    fn work<R>(&self, make: impl FnOnce(&mut Work<'a>) -> Result<R>) -> Result<R> {
        self.transaction.work_mut()?.part(make)
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// None that is usual.
    pub fn count(&self) -> Result<usize> {
        with(self, |_, state| Ok(state.rows.len()))
    }

    /// As [`Rows::update`](crate::Rows::update).
    ///
    /// # Errors
    /// As there; what was changed before in this transaction stays, for who goes on after the error.
    pub fn update(&self, filter: Filter, change: &(impl Serialize + ?Sized)) -> Result<usize> {
        self.work(|work| work.update(self.at, &filter, change))
    }

    /// As [`Rows::delete`](crate::Rows::delete).
    ///
    /// # Errors
    /// As there.
    pub fn delete(&self, filter: Filter) -> Result<usize> {
        self.work(|work| work.delete(self.at, &filter))
    }
}

impl<T: DeserializeOwned> RowsOf<'_, '_, T> {
    /// As [`Rows::insert`](crate::Rows::insert).
    ///
    /// # Errors
    /// As there.
    pub fn insert(&self, record: &(impl Serialize + ?Sized)) -> Result<T> {
        self.work(|work| work.insert_value(self.at, record))
    }

    /// As [`Rows::upsert`](crate::Rows::upsert).
    ///
    /// # Errors
    /// As there.
    pub fn upsert(&self, record: &(impl Serialize + ?Sized)) -> Result<T> {
        self.work(|work| work.upsert_value(self.at, record))
    }

    /// As [`Rows::get`](crate::Rows::get).
    ///
    /// # Errors
    /// As there.
    pub fn get(&self, key: impl Serialize) -> Result<Option<T>> {
        with(self, |layout, state| {
            let key = layout.cell(layout.primary, &key)?;
            state.find(&key).map(|(_, row)| row::to(layout, row)).transpose()
        })
    }

    /// As [`Rows::select`](crate::Rows::select).
    pub fn select(&self) -> Select<'_, T> {
        Select::new(self)
    }
}

impl<T: Serialize + DeserializeOwned> RowsOf<'_, '_, T> {
    /// As [`Rows::update_with`](crate::Rows::update_with).
    ///
    /// # Errors
    /// As there.
    pub fn update_with(&self, filter: Filter, change: impl FnMut(&mut T)) -> Result<usize> {
        self.work(|work| work.update_with(self.at, &filter, change))
    }
}

impl<T> Source for RowsOf<'_, '_, T> {
    fn look(&self, look: &mut dyn FnMut(&Arc<Layout>, &State) -> Result<()>) -> Result<()> {
        let work = self.transaction.work.try_borrow().map_err(|_| under_way())?;
        let (layout, state) = work.table(self.at)?;
        look(layout, state)
    }
}
