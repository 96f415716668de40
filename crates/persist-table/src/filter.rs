//! Which rows: conditions on columns, and how few rows have to be looked at for them.

use std::ops::Bound;

use persist_core::Result;
use persist_core::data::to_json;
use serde::Serialize;

use crate::cell::{Cell, Type};
use crate::row::Row;
use crate::schema::Layout;
use crate::state::{RowId, State};

/// A condition on the rows of a table. A comparison with null is true of no row; [`Col::is_null`] asks for it.
///
/// ```
/// use persist_table::col;
/// let good = col("gpa").ge(3.6).and(col("name").starts_with("A").or(col("email").is_null()));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Filter(Term);

#[derive(Debug, Clone)]
enum Term {
    Compare(String, Compare, Value),
    OneOf(String, Vec<Value>),
    IsNull(String),
    StartsWith(String, String),
    Contains(String, String),
    All(Vec<Term>),
    Any(Vec<Term>),
    Not(Box<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// JSON text, or why there is none.
type Value = std::result::Result<String, String>;

/// A column, to be compared.
#[derive(Debug, Clone)]
pub struct Col(String);

/// A column, by its name, for a [`Filter`].
pub fn col(name: impl Into<String>) -> Col {
    Col(name.into())
}

impl Col {
    fn compare(self, how: Compare, value: &impl Serialize) -> Filter {
        Filter(Term::Compare(self.0, how, text(value)))
    }

    /// Equal to a value.
    pub fn eq(self, value: impl Serialize) -> Filter {
        self.compare(Compare::Eq, &value)
    }

    /// Another value, and not null.
    pub fn ne(self, value: impl Serialize) -> Filter {
        self.compare(Compare::Ne, &value)
    }

    /// Less than a value.
    pub fn lt(self, value: impl Serialize) -> Filter {
        self.compare(Compare::Lt, &value)
    }

    /// At most a value.
    pub fn le(self, value: impl Serialize) -> Filter {
        self.compare(Compare::Le, &value)
    }

    /// More than a value.
    pub fn gt(self, value: impl Serialize) -> Filter {
        self.compare(Compare::Gt, &value)
    }

    /// At least a value.
    pub fn ge(self, value: impl Serialize) -> Filter {
        self.compare(Compare::Ge, &value)
    }

    /// One of these values.
    pub fn one_of<V: Serialize>(self, values: impl IntoIterator<Item = V>) -> Filter {
        Filter(Term::OneOf(self.0, values.into_iter().map(|value| text(&value)).collect()))
    }

    /// Null.
    pub fn is_null(self) -> Filter {
        Filter(Term::IsNull(self.0))
    }

    /// Text that begins so.
    pub fn starts_with(self, start: impl Into<String>) -> Filter {
        Filter(Term::StartsWith(self.0, start.into()))
    }

    /// Text that has this in it.
    pub fn contains(self, part: impl Into<String>) -> Filter {
        Filter(Term::Contains(self.0, part.into()))
    }
}

impl Filter {
    /// Every row.
    pub fn all() -> Self {
        Self(Term::All(Vec::new()))
    }

    /// Both.
    pub fn and(self, other: Self) -> Self {
        match self.0 {
            Term::All(mut terms) => {
                terms.push(other.0);
                Self(Term::All(terms))
            }
            term => Self(Term::All(vec![term, other.0])),
        }
    }

    /// One or both.
    pub fn or(self, other: Self) -> Self {
        Self(Term::Any(vec![self.0, other.0]))
    }

    /// The rows of which this is not true.
    #[allow(clippy::should_implement_trait)]
    pub fn not(self) -> Self {
        Self(Term::Not(Box::new(self.0)))
    }
}

fn text(value: &impl Serialize) -> Value {
    to_json(value).map_err(|error| error.to_string())
}

/// A filter made out for a table.
#[derive(Debug)]
pub(crate) enum Test {
    Range(usize, Bound<Cell>, Bound<Cell>),
    Differs(usize, Cell),
    OneOf(usize, Vec<Cell>),
    IsNull(usize),
    StartsWith(usize, String),
    Contains(usize, String),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
}

impl Filter {
    /// # Errors
    /// `Input` for a column that is not there and a value that is none of its type, naming table, column and value.
    pub(crate) fn made_out(&self, layout: &Layout) -> Result<Test> {
        self.0.made_out(layout)
    }
}

impl Term {
    fn made_out(&self, layout: &Layout) -> Result<Test> {
        let each = |terms: &[Self]| terms.iter().map(|term| term.made_out(layout)).collect::<Result<_>>();
        let value = |name: &str, value: &Value| {
            let at = layout.place(name)?;
            let text = value.as_ref().map_err(|error| layout.refusal(name, error))?;
            Ok::<_, persist_core::Error>((at, layout.cell_of(at, text)?))
        };
        let of_text = |name: &str| {
            let at = layout.place(name)?;
            match layout.column(at) {
                Some(column) if column.kind != Type::Text => {
                    Err(layout.refusal(name, &format!("it is a {}, and no text", column.kind)))
                }
                _ => Ok(at),
            }
        };
        Ok(match self {
            Self::Compare(name, how, operand) => {
                let (at, cell) = value(name, operand)?;
                // What compares to null is no row.
                if cell.is_null() {
                    return Ok(Test::OneOf(at, Vec::new()));
                }
                // Null is less than every value.
                let least = Bound::Excluded(Cell::Null);
                match how {
                    Compare::Eq => Test::Range(at, Bound::Included(cell.clone()), Bound::Included(cell)),
                    Compare::Ne => Test::Differs(at, cell),
                    Compare::Lt => Test::Range(at, least, Bound::Excluded(cell)),
                    Compare::Le => Test::Range(at, least, Bound::Included(cell)),
                    Compare::Gt => Test::Range(at, Bound::Excluded(cell), Bound::Unbounded),
                    Compare::Ge => Test::Range(at, Bound::Included(cell), Bound::Unbounded),
                }
            }
            Self::OneOf(name, values) => {
                let cells = values.iter().map(|operand| Ok(value(name, operand)?.1)).collect::<Result<Vec<_>>>()?;
                Test::OneOf(layout.place(name)?, cells.into_iter().filter(|cell| !cell.is_null()).collect())
            }
            Self::IsNull(name) => Test::IsNull(layout.place(name)?),
            Self::StartsWith(name, start) => Test::StartsWith(of_text(name)?, start.clone()),
            Self::Contains(name, part) => Test::Contains(of_text(name)?, part.clone()),
            Self::All(terms) => Test::All(each(terms)?),
            Self::Any(terms) => Test::Any(each(terms)?),
            Self::Not(term) => Test::Not(Box::new(term.made_out(layout)?)),
        })
    }
}

impl Test {
    /// Whether it is true of a row.
    pub(crate) fn holds(&self, row: &[Cell]) -> bool {
        let cell = |at: &usize| row.get(*at).unwrap_or(&Cell::Null);
        let text = |at: &usize| if let Cell::Text(text) = cell(at) { Some(text) } else { None };
        match self {
            Self::Range(at, from, to) => {
                let cell = cell(at);
                let above = match from {
                    Bound::Included(from) => cell >= from,
                    Bound::Excluded(from) => cell > from,
                    Bound::Unbounded => true,
                };
                above
                    && match to {
                        Bound::Included(to) => cell <= to,
                        Bound::Excluded(to) => cell < to,
                        Bound::Unbounded => true,
                    }
            }
            Self::Differs(at, other) => !cell(at).is_null() && cell(at) != other,
            Self::OneOf(at, cells) => cells.contains(cell(at)),
            Self::IsNull(at) => cell(at).is_null(),
            Self::StartsWith(at, start) => text(at).is_some_and(|text| text.starts_with(start.as_str())),
            Self::Contains(at, part) => text(at).is_some_and(|text| text.contains(part.as_str())),
            Self::All(tests) => tests.iter().all(|test| test.holds(row)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(row)),
            Self::Not(test) => !test.holds(row),
        }
    }

    /// The rows that it may be true of, in their order, if something knows them without looking at all: no other row is.
    pub(crate) fn candidates(&self, layout: &Layout, state: &State) -> Option<Vec<RowId>> {
        let mut found = match self {
            Self::Range(at, ..) => {
                let (from, to) = self.range(*at)?;
                state.lookup(layout, *at, &from, &to)?
            }
            Self::OneOf(at, cells) => {
                let each = cells.iter().map(|cell| state.lookup(layout, *at, cell, cell));
                each.collect::<Option<Vec<_>>>()?.concat()
            }
            Self::IsNull(at) => state.lookup(layout, *at, &Cell::Null, &Cell::Null)?,
            Self::All(tests) => {
                // What is asked of one column counts together: from here, up to there.
                let ranges = tests.iter().filter_map(|test| match test {
                    Self::Range(at, ..) => {
                        let of_column = tests.iter().filter_map(|test| test.range(*at));
                        let (from, to) = of_column.reduce(|one, other| (one.0.max(other.0), one.1.min(other.1)))?;
                        state.lookup(layout, *at, &from, &to)
                    }
                    test => test.candidates(layout, state),
                });
                ranges.min_by_key(Vec::len)?
            }
            Self::Any(tests) if !tests.is_empty() => {
                tests.iter().map(|test| test.candidates(layout, state)).collect::<Option<Vec<_>>>()?.concat()
            }
            _ => return None,
        };
        found.sort_unstable();
        found.dedup();
        Some(found)
    }

    /// Where this is a range of values of a column: the least and the greatest that it may have.
    fn range(&self, column: usize) -> Option<(Cell, Cell)> {
        let Self::Range(at, from, to) = self else { return None };
        let (Bound::Included(from) | Bound::Excluded(from)) = from else { return None };
        let to = match to {
            Bound::Included(to) | Bound::Excluded(to) => to.clone(),
            Bound::Unbounded => last_of(from)?,
        };
        // The least after null.
        let from = if from.is_null() { Cell::Bool(false) } else { from.clone() };
        (*at == column).then_some((from, to))
    }

    /// The rows that it is true of, in their order.
    pub(crate) fn find<'s>(&self, layout: &Layout, state: &'s State) -> Vec<(RowId, &'s Row)> {
        match self.candidates(layout, state) {
            Some(candidates) => {
                let rows = candidates.into_iter().filter_map(|id| Some((id, state.rows.get(&id)?)));
                rows.filter(|(_, row)| self.holds(row)).collect()
            }
            None => state.rows.iter().map(|(id, row)| (*id, row)).filter(|(_, row)| self.holds(row)).collect(),
        }
    }
}

/// A value that no value of the same type sorts after.
fn last_of(cell: &Cell) -> Option<Cell> {
    match cell {
        Cell::Bool(_) => Some(Cell::Bool(true)),
        Cell::Int(_) => Some(Cell::Int(i64::MAX)),
        Cell::Float(_) => Some(Cell::Float(f64::MAX)),
        // Of text there is none; JSON sorts after all else.
        Cell::Text(_) | Cell::Timestamp(_) => Some(Cell::Json("".into())),
        Cell::Null | Cell::Json(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Column, Schema};

    #[test]
    fn lookups_by_key_unique_value_and_index_do_not_look_at_all_rows() {
        let schema = Schema::new("t")
            .column(Column::new("id", Type::Int).primary_key())
            .column(Column::new("code", Type::Text).unique())
            .column(Column::new("team", Type::Int).index())
            .column(Column::new("plain", Type::Int));
        let layout = Layout::new(schema).unwrap();
        let mut state = State::new(&layout);
        for n in 0..1000 {
            let row = [Cell::Int(n), Cell::Text(format!("c{n}").into()), Cell::Int(n / 10), Cell::Int(n)];
            state.set(&layout, n as RowId, Some(row.into()));
        }
        // How many rows a filter looks at, and how many it finds.
        let looked_at = |filter: Filter| {
            let test = filter.made_out(&layout).unwrap();
            (test.candidates(&layout, &state).map(|rows| rows.len()), test.find(&layout, &state).len())
        };
        assert_eq!(looked_at(col("id").eq(7)), (Some(1), 1));
        assert_eq!(looked_at(col("code").eq("c7")), (Some(1), 1));
        assert_eq!(looked_at(col("team").eq(7)), (Some(10), 10));
        assert_eq!(looked_at(col("id").gt(7).and(col("id").le(12))), (Some(6), 5));
        assert_eq!(looked_at(col("id").eq(7).or(col("code").eq("c8"))), (Some(2), 2));
        assert_eq!(looked_at(col("plain").ge(0).and(col("team").eq(7))), (Some(10), 10));
        assert_eq!(looked_at(col("plain").eq(7)), (None, 1));
    }
}
