//! Takes normalized data apart into its top-level members.

use super::lexer::{decode, plain_run};

/// The top-level members of a normalized object, in order: the name as it stands between its quotes, and the text of
/// the value.
///
/// Meant for text that [`normalize`](super::normalize) wrote, and checks nothing that it has checked. On any other
/// text it ends early or hands out parts that are no JSON, but does not panic.
///
/// ```
/// let found: Vec<_> = persist_core::data::members(r#"{"name":"load","legs":[{"to":"LIS"}]}"#).collect();
/// assert_eq!(found, [("name", r#""load""#), ("legs", r#"[{"to":"LIS"}]"#)]);
/// ```
pub fn members(text: &str) -> Members<'_> {
    let rest = text.strip_prefix('{').unwrap_or_default();
    Members { rest }
}

/// The iterator of [`members`].
#[derive(Debug, Clone)]
pub struct Members<'s> {
    /// What comes after the opening brace or after a comma.
    rest: &'s str,
}

#[cfg(feature = "duckdb")]
impl<'s> Members<'s> {
    /// What comes after the members that were handed out.
    pub(crate) fn rest(&self) -> &'s str {
        self.rest
    }
}

impl<'s> Iterator for Members<'s> {
    type Item = (&'s str, &'s str);

    fn next(&mut self) -> Option<Self::Item> {
        let text = std::mem::take(&mut self.rest);
        let name_end = string_end(text.as_bytes(), 0)?;
        let name = text.get(1..name_end - 1)?;
        let text = text.get(name_end..)?.strip_prefix(':')?;
        let (value, after) = text.split_at_checked(value_end(text.as_bytes())?)?;
        if value.is_empty() {
            return None;
        }
        match after.strip_prefix(',') {
            Some(rest) => self.rest = rest,
            None if after != "}" => return None,
            None => {}
        }
        Some((name, value))
    }
}

impl std::iter::FusedIterator for Members<'_> {}

/// Whether a name, as [`members`] hands it out, is `name`: a name may be written with escapes.
///
/// ```
/// use persist_core::data::is_name;
/// assert!(is_name("status", "status") && is_name("st\\u0061tus", "status"));
/// ```
pub fn is_name(raw: &str, name: &str) -> bool {
    raw == name || raw.contains('\\') && decode(raw).as_deref() == Some(name)
}

/// Where the value ends that `bytes` begin with.
fn value_end(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'"' => string_end(bytes, 0),
        b'{' | b'[' => {
            let (mut depth, mut at) = (0_usize, 0);
            loop {
                match bytes.get(at)? {
                    b'"' => {
                        at = string_end(bytes, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        _ => bytes.iter().position(|byte| matches!(byte, b',' | b'}')),
    }
}

/// Where the string ends whose opening quote is at `start`.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes.get(start) != Some(&b'"') {
        return None;
    }
    let mut at = start + 1;
    loop {
        at += plain_run(bytes.get(at..)?);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => return None,
        }
    }
}
