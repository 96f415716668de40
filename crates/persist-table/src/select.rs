//! Asking for rows: which, in which order, how many.

use std::marker::PhantomData;
use std::sync::Arc;

use persist_core::Result;
use serde::de::DeserializeOwned;

use crate::filter::Filter;
use crate::row::{self, Row};
use crate::schema::Layout;
use crate::state::State;

/// Where rows are asked for.
pub(crate) trait Source: std::fmt::Debug {
    /// Calls `look` once with the declaration and the rows.
    fn look(&self, look: &mut dyn FnMut(&Arc<Layout>, &State) -> Result<()>) -> Result<()>;
}

/// What `look` makes of the declaration and the rows.
pub(crate) fn with<R>(source: &dyn Source, mut look: impl FnMut(&Arc<Layout>, &State) -> Result<R>) -> Result<R> {
    let mut answer = None;
    source.look(&mut |layout, state| {
        answer = Some(look(layout, state)?);
        Ok(())
    })?;
    answer.ok_or_else(|| persist_core::Error::input("the table has no rows to look at"))
}

/// A question that is being put together; [`Select::rows`] asks it.
#[derive(Debug)]
#[must_use = "nothing is asked before `rows`, `iter`, `first` or `count` is called"]
pub struct Select<'a, T> {
    source: &'a dyn Source,
    filter: Filter,
    order: Vec<(String, bool)>,
    limit: usize,
    offset: usize,
    kind: PhantomData<fn() -> T>,
}

impl<'a, T: DeserializeOwned> Select<'a, T> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        let (order, limit, offset) = (Vec::new(), usize::MAX, 0);
        Self { source, filter: Filter::all(), order, limit, offset, kind: PhantomData }
    }

    /// Only rows of which this is true, besides what was asked for before.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = self.filter.and(filter);
        self
    }

    /// In the order of a column, after the columns that were named before; null comes first. Without it, rows come in the
    /// order in which they were added.
    pub fn order_by(mut self, column: impl Into<String>) -> Self {
        self.order.push((column.into(), false));
        self
    }

    /// As [`Select::order_by`], the greatest first and null last.
    pub fn order_by_desc(mut self, column: impl Into<String>) -> Self {
        self.order.push((column.into(), true));
        self
    }

    /// At most so many rows.
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = rows;
        self
    }

    /// Without the first so many.
    pub fn offset(mut self, rows: usize) -> Self {
        self.offset = rows;
        self
    }

    /// The rows.
    ///
    /// # Errors
    /// [`Input`](persist_core::ErrorKind::Input) for a column that is not there, a value that is none of its type, and a row
    /// that is none of `T`.
    pub fn rows(self) -> Result<Vec<T>> {
        self.iter()?.collect()
    }

    /// The rows one after another, as they are at this moment; each is made when it is asked for.
    ///
    /// # Errors
    /// As [`Select::rows`].
    pub fn iter(self) -> Result<Found<T>> {
        let (layout, rows) = with(self.source, |layout, state| Ok((Arc::clone(layout), self.find(layout, state)?)))?;
        Ok(Found { layout, rows: rows.into_iter(), kind: PhantomData })
    }

    /// The first row.
    ///
    /// # Errors
    /// As [`Select::rows`].
    pub fn first(self) -> Result<Option<T>> {
        self.limit(1).iter()?.next().transpose()
    }

    /// How many rows.
    ///
    /// # Errors
    /// As [`Select::rows`].
    pub fn count(self) -> Result<usize> {
        with(self.source, |layout, state| Ok(self.find(layout, state)?.len()))
    }

    fn find(&self, layout: &Layout, state: &State) -> Result<Vec<Row>> {
        let test = self.filter.made_out(layout)?;
        let order = self.order.iter().map(|(name, desc)| Ok((layout.place(name)?, *desc)));
        let order = order.collect::<Result<Vec<_>>>()?;
        let mut found = test.find(layout, state);
        // Rows of equal columns stay in the order in which they were added.
        if !order.is_empty() {
            found.sort_by(|(_, one), (_, other)| {
                let each = order.iter().map(|(at, desc)| {
                    let compared = one.get(*at).cmp(&other.get(*at));
                    if *desc { compared.reverse() } else { compared }
                });
                each.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            });
        }
        Ok(found.into_iter().skip(self.offset).take(self.limit).map(|(_, row)| Arc::clone(row)).collect())
    }
}

/// Rows that were found.
#[derive(Debug)]
pub struct Found<T> {
    layout: Arc<Layout>,
    rows: std::vec::IntoIter<Row>,
    kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Iterator for Found<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        self.rows.next().map(|row| row::to(&self.layout, &row))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}
