//! The Arrow array of an extra column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, Date32Array, Float32Array, Float64Array, PrimitiveArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};

use crate::extra::{ExtraType, ExtraValue};

/// The values of a column of this type; what is of another type is NULL.
pub(super) fn extra_column<'a>(kind: ExtraType, values: impl Iterator<Item = Option<&'a ExtraValue<'a>>>) -> ArrayRef {
    match kind {
        ExtraType::Int64 => integers::<Int64Type>(values),
        ExtraType::Int32 => integers::<Int32Type>(values),
        ExtraType::Int16 => integers::<Int16Type>(values),
        ExtraType::Int8 => integers::<Int8Type>(values),
        ExtraType::UInt64 => integers::<UInt64Type>(values),
        ExtraType::UInt32 => integers::<UInt32Type>(values),
        ExtraType::UInt16 => integers::<UInt16Type>(values),
        ExtraType::UInt8 => integers::<UInt8Type>(values),
        ExtraType::Float64 => Arc::new(values.map(float).collect::<Float64Array>()),
        ExtraType::Float32 => {
            Arc::new(values.map(|value| float(value).map(|wide| wide as f32)).collect::<Float32Array>())
        }
        ExtraType::Bool => {
            let bools = values.map(|value| if let Some(ExtraValue::Bool(value)) = value { Some(*value) } else { None });
            Arc::new(bools.collect::<BooleanArray>())
        }
        ExtraType::Timestamp => {
            let micros =
                values.map(|value| if let Some(ExtraValue::Micros(value)) = value { Some(*value) } else { None });
            Arc::new(micros.collect::<TimestampMicrosecondArray>())
        }
        ExtraType::Date => {
            let days = values.map(|value| if let Some(ExtraValue::Days(value)) = value { Some(*value) } else { None });
            Arc::new(days.collect::<Date32Array>())
        }
        ExtraType::String => {
            let texts =
                values.map(|value| if let Some(ExtraValue::Text(text)) = value { Some(text.as_ref()) } else { None });
            Arc::new(texts.collect::<StringArray>())
        }
    }
}

fn integers<'a, T: ArrowPrimitiveType<Native: TryFrom<i128>>>(
    values: impl Iterator<Item = Option<&'a ExtraValue<'a>>>,
) -> ArrayRef {
    let native = |value: Option<&ExtraValue<'_>>| match value {
        Some(ExtraValue::Integer(value)) => T::Native::try_from(*value).ok(),
        _ => None,
    };
    Arc::new(values.map(native).collect::<PrimitiveArray<T>>())
}

fn float(value: Option<&ExtraValue<'_>>) -> Option<f64> {
    if let Some(ExtraValue::Float(value)) = value { Some(*value) } else { None }
}
