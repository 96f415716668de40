//! Which folder of an export a record goes to, and which process names have one.

use persist_core::{Error, Result};

use crate::keys;

/// The value that stands for NULL in the name of a Hive partition's folder.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// File systems take names of 255 bytes, of which `process_name=` takes 13.
const MAX_BYTES: usize = 242;

/// The name of the folder of a process name.
pub(crate) fn folder_of(process_name: Option<&str>) -> String {
    let value = process_name.map_or_else(|| HIVE_NULL.to_owned(), encode);
    format!("{}={value}", keys::PROCESS_NAME)
}

/// Whether a name is that of a folder of some process name.
pub(crate) fn is_folder(name: &str) -> bool {
    name.strip_prefix(keys::PROCESS_NAME).is_some_and(|rest| rest.starts_with('='))
}

/// Whether a process name could be a folder of an export.
///
/// # Errors
/// [`Input`](persist_core::ErrorKind::Input), naming the field.
pub(crate) fn check(process_name: &str) -> Result<()> {
    if process_name == HIVE_NULL {
        let message = format!("{}: {HIVE_NULL} stands for no name in an export", keys::PROCESS_NAME);
        return Err(Error::input(message));
    }
    // No character takes more than three bytes for each of its own.
    let bytes = if process_name.len() * 3 > MAX_BYTES { encode(process_name).len() } else { 0 };
    if bytes > MAX_BYTES {
        let message = format!(
            "{}: percent-encoded it has {bytes} bytes, and a folder of an export takes {MAX_BYTES}",
            keys::PROCESS_NAME
        );
        return Err(Error::input(message));
    }
    Ok(())
}

/// Percent-encodes all bytes but letters, digits, `-`, `_`, `.` and `~`: readers of Hive partitions decode it, and the
/// name is the same on file systems that know other alphabets.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    // DuckDB takes the bare word for NULL, in any case.
    let is_null_word = text.eq_ignore_ascii_case("null");
    for (at, byte) in text.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if is_plain && !(is_null_word && at == 0) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
