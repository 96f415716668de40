//! A row as what serde reads from, so that a caller's type is made of it without a text between them.
//!
//! Kept true: a type gets from a row what it would get from the row's JSON.

use std::io::Cursor;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Error;
use serde_json::de::{IoRead, StrRead};

use crate::cell::Cell;
use crate::row;
use crate::schema::Layout;

/// What `serde_json` calls the type that takes the text of a value as it stands.
const RAW: &str = "$serde_json::private::RawValue";

/// A row of a table.
#[derive(Clone, Copy)]
pub(crate) struct RowReader<'de> {
    pub(crate) layout: &'de Layout,
    pub(crate) row: &'de [Cell],
}

impl RowReader<'_> {
    /// For what looks at the text itself.
    fn text(self) -> Text {
        let mut text = String::new();
        row::write(self.layout, self.row, &mut text);
        reader_of(text)
    }
}

type Text = serde_json::Deserializer<IoRead<Cursor<String>>>;

fn reader_of(text: String) -> Text {
    serde_json::Deserializer::from_reader(Cursor::new(text))
}

impl<'de> Deserializer<'de> for RowReader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Members { of: self, at: 0 })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match name {
            RAW => self.text().deserialize_newtype_struct(name, visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.text().deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The columns, each with what the row has in it.
struct Members<'de> {
    of: RowReader<'de>,
    at: usize,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(column) = self.of.layout.column(self.at) else { return Ok(None) };
        let name: StrDeserializer<'_, Error> = column.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let cell = self.of.row.get(self.at).unwrap_or(&Cell::Null);
        self.at += 1;
        seed.deserialize(CellReader(cell))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.of.row.len().saturating_sub(self.at))
    }
}

struct CellReader<'de>(&'de Cell);

impl CellReader<'_> {
    fn text(&self) -> Text {
        let mut text = String::new();
        self.0.write(&mut text);
        reader_of(text)
    }
}

/// A reader of a JSON column, whose value may have any form.
fn json(text: &str) -> serde_json::Deserializer<StrRead<'_>> {
    serde_json::Deserializer::from_str(text)
}

impl<'de> Deserializer<'de> for CellReader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Cell::Null => visitor.visit_unit(),
            Cell::Bool(value) => visitor.visit_bool(*value),
            Cell::Int(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(*value),
            },
            Cell::Float(value) => visitor.visit_f64(*value),
            Cell::Text(text) => visitor.visit_borrowed_str(text),
            Cell::Timestamp(at) => visitor.visit_string(at.to_string()),
            Cell::Json(text) => json(text).deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Cell::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match name {
            RAW => self.text().deserialize_newtype_struct(name, visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.text().deserialize_enum(name, variants, visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Cell::Text(text) => visitor.visit_borrowed_bytes(text.as_bytes()),
            _ => self.text().deserialize_bytes(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct seq tuple tuple_struct map
        struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::value::RawValue;

    use super::*;
    use crate::cell::Type;
    use crate::schema::{Column, Schema};

    #[derive(Debug, PartialEq, Deserialize)]
    struct Id(u8);

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Plain,
        With { n: i32 },
        Of(f32, String),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Typed {
        id: Id,
        small: i8,
        ratio: f32,
        whole: f64,
        is: bool,
        kind: Kind,
        none: Option<String>,
        other: Option<Kind>,
        at: String,
        json: (i64, BTreeMap<String, Option<u8>>),
        #[serde(flatten)]
        rest: BTreeMap<String, serde_json::Value>,
    }

    #[derive(Debug, Deserialize)]
    struct Raw {
        #[serde(rename = "is")]
        _is: Box<RawValue>,
        json: Box<RawValue>,
        #[serde(rename = "at")]
        _at: persist_core::Timestamp,
    }

    /// What a type gets from the row, and what it gets from the row's text.
    fn both<T: DeserializeOwned>(layout: &Layout, row: &[Cell]) -> [Result<T, String>; 2] {
        let mut text = String::new();
        row::write(layout, row, &mut text);
        let of_row = T::deserialize(RowReader { layout, row });
        [of_row.map_err(|error| error.to_string()), serde_json::from_str(&text).map_err(|error| error.to_string())]
    }

    #[test]
    fn a_type_gets_from_a_row_what_it_gets_from_its_json() {
        let columns = [
            ("id", Type::Int, "7"),
            ("small", Type::Int, "-3"),
            ("ratio", Type::Float, "0.1"),
            ("whole", Type::Int, "12"),
            ("is", Type::Bool, "true"),
            ("kind", Type::Text, "\"plain\""),
            ("none", Type::Text, "null"),
            ("other", Type::Json, "{\"with\": {\"n\": -1}}"),
            ("at", Type::Timestamp, "\"2026-01-22T20:31:17+01:00\""),
            ("json", Type::Json, "[1, {\"a\": null, \"b\": 2}]"),
            ("more", Type::Json, "{\"x\": [1.5, null, \"y\"]}"),
        ];
        let mut schema = Schema::new("t");
        for (name, kind, _) in columns {
            let column = Column::new(name, kind);
            schema = schema.column(if name == "id" { column.primary_key() } else { column.nullable() });
        }
        let layout = Layout::new(schema).unwrap();
        let row: Vec<Cell> = columns.iter().map(|(_, kind, text)| Cell::parse(*kind, text).unwrap()).collect();
        let [of_row, of_text] = both::<Typed>(&layout, &row);
        assert_eq!(of_row.as_ref().unwrap().other, Some(Kind::With { n: -1 }));
        assert_eq!(of_row, of_text);
        let [of_row, of_text] = both::<serde_json::Value>(&layout, &row);
        assert_eq!(of_row, of_text);
        let [of_row, of_text] = both::<Option<BTreeMap<String, persist_core::Value>>>(&layout, &row);
        assert_eq!(of_row, of_text);
        assert!(of_row.unwrap().is_some());
        let [of_row, of_text] = both::<Box<RawValue>>(&layout, &row).map(|raw| raw.unwrap().get().to_owned());
        assert_eq!(of_row, of_text);
        let [of_row, of_text] = both::<Raw>(&layout, &row).map(|raw| raw.unwrap().json.get().to_owned());
        assert!(of_row == of_text && of_row == columns[9].2, "{of_row}");

        // What does not fit is refused by both.
        for (at, cell) in [(0, Cell::Int(256)), (1, Cell::Null), (3, Cell::Text("x".into())), (5, Cell::Int(1))] {
            let mut other = row.clone();
            other[at] = cell;
            let [of_row, of_text] = both::<Typed>(&layout, &other);
            assert!(of_row.is_err() && of_text.is_err(), "{at}: {of_row:?} {of_text:?}");
        }
        assert!(both::<Vec<u8>>(&layout, &row).iter().all(Result::is_err));
        let row = [Cell::Int(1), Cell::Json("[2.5, \"z\"]".into())];
        let schema = Schema::new("t").column(Column::new("id", Type::Int).primary_key());
        let layout = Layout::new(schema.column(Column::new("of", Type::Json))).unwrap();
        let [of_row, of_text] = both::<BTreeMap<String, serde_json::Value>>(&layout, &row);
        assert_eq!(of_row, of_text);
        assert_eq!(both::<(u8,)>(&layout, &row).map(|tuple| tuple.is_err()), [true, true]);
        assert_ne!(Kind::Of(2.5, "z".to_owned()), Kind::Plain);
    }
}
