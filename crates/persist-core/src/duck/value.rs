//! Arrow's values as JSON values, for [`Rows`](super::Rows), which says what becomes what.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Number, Value};

use crate::error::{Error, Result};

/// Adds the rows of a batch.
pub(super) fn append_rows(batch: &RecordBatch, rows: &mut Vec<Vec<Value>>) -> Result<()> {
    let row_of = |row| batch.columns().iter().map(|column| value(column, row)).collect();
    for row in 0..batch.num_rows() {
        let values: Result<_, ArrowError> = row_of(row);
        rows.push(values.map_err(|error| Error::database("cannot convert the answer of a query", error))?);
    }
    Ok(())
}

fn value(array: &ArrayRef, row: usize) -> Result<Value, ArrowError> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        // By its own shortest digits: 0.1, not the 0.10000000149011612 of a widened one.
        DataType::Float32 => float(array.as_primitive::<Float32Type>().value(row).to_string()),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row).to_string()),
        // Such as HUGEINT, which has more digits than the 38 a decimal is written with.
        DataType::Decimal128(_, 0) => integer(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Decimal128(..) => decimal(array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Date32 => date_text(array.as_primitive::<Date32Type>().value(row)).into(),
        DataType::Time64(TimeUnit::Microsecond) => {
            time_text(array.as_primitive::<Time64MicrosecondType>().value(row)).into()
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            time_text(array.as_primitive::<Time64NanosecondType>().value(row) / 1_000).into()
        }
        DataType::Timestamp(unit, _) => timestamp(array, *unit, row).into(),
        DataType::List(_) => list(&array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row))?,
        DataType::Struct(_) => {
            let array = array.as_struct();
            let fields = array.column_names().into_iter().zip(array.columns());
            let members = fields.map(|(name, column)| Ok((name.to_owned(), value(column, row)?)));
            Value::Object(members.collect::<Result<Map<_, _>, ArrowError>>()?)
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let [keys, values] = entries.columns() else { return display(array, row) };
            let member = |n| Ok((member_name(value(keys, n)?), value(values, n)?));
            Value::Object((0..entries.len()).map(member).collect::<Result<Map<_, _>, ArrowError>>()?)
        }
        DataType::Dictionary(_, values) => value(&cast(&array.slice(row, 1), values)?, 0)?,
        _ => display(array, row)?,
    })
}

fn display(array: &ArrayRef, row: usize) -> Result<Value, ArrowError> {
    Ok(ArrayFormatter::try_new(array, &FormatOptions::default())?.value(row).try_to_string()?.into())
}

fn list(items: &ArrayRef) -> Result<Value, ArrowError> {
    (0..items.len()).map(|n| value(items, n)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn member_name(key: Value) -> String {
    match key {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn float(text: String) -> Value {
    text.parse().ok().and_then(Number::from_f64).map_or(Value::String(text), Value::Number)
}

fn integer(value: i128) -> Value {
    let number = i64::try_from(value).map(Number::from).or_else(|_| u64::try_from(value).map(Number::from));
    number.map_or_else(|_| Value::String(value.to_string()), Value::Number)
}

fn decimal(text: String) -> Value {
    let short = text.trim_end_matches('0').trim_end_matches('.');
    match text.parse::<f64>() {
        Ok(number) if number.to_string() == short => float(text),
        _ => Value::String(text),
    }
}

fn timestamp(array: &ArrayRef, unit: TimeUnit, row: usize) -> String {
    let (value, micros) = match unit {
        TimeUnit::Second => {
            let value = array.as_primitive::<TimestampSecondType>().value(row);
            (value, value.checked_mul(1_000_000))
        }
        TimeUnit::Millisecond => {
            let value = array.as_primitive::<TimestampMillisecondType>().value(row);
            (value, value.checked_mul(1_000))
        }
        TimeUnit::Microsecond => {
            let value = array.as_primitive::<TimestampMicrosecondType>().value(row);
            (value, Some(value))
        }
        TimeUnit::Nanosecond => {
            let value = array.as_primitive::<TimestampNanosecondType>().value(row);
            (value, Some(value.div_euclid(1_000)))
        }
    };
    // DuckDB's infinities are the ends of the range, in every unit.
    match (value, micros) {
        (i64::MAX, _) => "infinity".to_owned(),
        (value, _) if value == -i64::MAX => "-infinity".to_owned(),
        (_, Some(micros)) => timestamp_text(micros),
        (value, None) => value.to_string(),
    }
}

/// As the normalized text of a timestamp: `2025-01-15T10:30:00.500000+00:00`, the fraction only where there is one.
fn timestamp_text(micros: i64) -> String {
    const DAY: i64 = 86_400_000_000;
    let (days, of_day) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{}+00:00", time_text(of_day))
}

/// DuckDB has a 24:00:00, which libraries for time refuse.
fn time_text(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
    format!("{:02}:{:02}:{:02}{fraction}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn date_text(days: i32) -> String {
    match days {
        i32::MAX => "infinity".to_owned(),
        days if days == -i32::MAX => "-infinity".to_owned(),
        days => {
            let (year, month, day) = civil(days.into());
            format!("{year:04}-{month:02}-{day:02}")
        }
    }
}

/// The day of the proleptic Gregorian calendar, by the days since 1970-01-01: DuckDB's years go far beyond those of the
/// `time` crate. After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that a
/// leap day is a year's last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}
