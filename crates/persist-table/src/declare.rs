//! Declaring a table by a struct: the trait that `#[derive(Table)]` implements, and the type of each field as a column.

use std::collections::{BTreeMap, HashMap};

use persist_core::Timestamp;

use crate::cell::Type;
use crate::schema::{Column, Schema};

/// A struct whose fields are the columns of a table. Derive it; see [the crate](crate) for what can be said of a field.
pub trait Table {
    /// The table's name.
    const NAME: &'static str;

    /// The table's declaration.
    fn schema() -> Schema;
}

/// The type of a field, as a column.
///
/// Implement it for types of your own: they serialize to what a column of [`TYPE`](Self::TYPE) takes.
pub trait Field {
    /// The type of the column.
    const TYPE: Type;
    /// Whether the column takes null.
    const NULLABLE: bool = false;
}

impl<T: Field> Field for Option<T> {
    const TYPE: Type = T::TYPE;
    const NULLABLE: bool = true;
}

impl<T: Field + ?Sized> Field for Box<T> {
    const TYPE: Type = T::TYPE;
}

macro_rules! fields {
    ($($kind:ident: $($field:ty),+;)+) => { $($(impl Field for $field { const TYPE: Type = Type::$kind; })+)+ };
}

fields! {
    Int: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
    Float: f32, f64;
    Bool: bool;
    Text: String, str, char;
    Timestamp: Timestamp;
    Json: serde_json::Value, persist_core::Value;
}

impl<T> Field for Vec<T> {
    const TYPE: Type = Type::Json;
}

impl<K, V> Field for BTreeMap<K, V> {
    const TYPE: Type = Type::Json;
}

impl<K, V, S> Field for HashMap<K, V, S> {
    const TYPE: Type = Type::Json;
}

/// The column of a field of this type. For `#[derive(Table)]`.
#[doc(hidden)]
pub fn column_of<F: Field>(name: &str) -> Column {
    let column = Column::new(name, F::TYPE);
    if F::NULLABLE { column.nullable() } else { column }
}
