//! The lexical rules of JSON: strings and numbers.
//!
//! Kept true: a position that is handed out stands before or after an ASCII byte, so text can be cut there.

use std::borrow::Cow;

/// A string as it stands in the text: its inside, without the quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Literal<'s> {
    pub(super) raw: &'s str,
    pub(super) escaped: bool,
}

impl<'s> Literal<'s> {
    /// What the string says. The literal comes from [`string`], so its escapes are sound.
    pub(super) fn text(self) -> Cow<'s, str> {
        if self.escaped { Cow::Owned(decode(self.raw).unwrap_or_default()) } else { Cow::Borrowed(self.raw) }
    }
}

/// What is wrong with a string, and where.
#[derive(Debug)]
pub(super) enum Fault {
    Malformed(usize, &'static str),
    LoneSurrogate,
}

/// Reads the string whose opening quote ends at `start`; answers it and the position after its closing quote.
#[inline]
pub(super) fn string(text: &str, start: usize) -> Result<(Literal<'_>, usize), Fault> {
    let bytes = text.as_bytes();
    let at = start + plain_run(bytes.get(start..).unwrap_or_default());
    match bytes.get(at) {
        Some(b'"') => Ok((Literal { raw: text.get(start..at).unwrap_or_default(), escaped: false }, at + 1)),
        _ => escaped_string(text, start, at),
    }
}

/// Goes on with a string whose first escape, if it has one, is at `at`.
#[inline(never)]
fn escaped_string(text: &str, start: usize, mut at: usize) -> Result<(Literal<'_>, usize), Fault> {
    let bytes = text.as_bytes();
    loop {
        match bytes.get(at) {
            Some(b'"') => {
                let raw = text.get(start..at).unwrap_or_default();
                return Ok((Literal { raw, escaped: true }, at + 1));
            }
            Some(b'\\') => {
                at += escape(bytes.get(at..).unwrap_or_default()).map_err(|fault| match fault {
                    Fault::Malformed(offset, what) => Fault::Malformed(at + offset, what),
                    lone => lone,
                })?;
            }
            Some(_) => return Err(Fault::Malformed(at, "a control character in a string, which must be escaped")),
            None => return Err(Fault::Malformed(at, "the text ends inside a string")),
        }
        at += plain_run(bytes.get(at..).unwrap_or_default());
    }
}

/// The length of the escape that `bytes` begin with, a surrogate pair taken as one.
fn escape(bytes: &[u8]) -> Result<usize, Fault> {
    match bytes {
        [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(2),
        [_, b'u', rest @ ..] => match hex4(rest) {
            None => Err(Fault::Malformed(2, "four hexadecimal digits must follow \\u")),
            Some(0xD800..0xDC00) => match rest.get(4..) {
                Some([b'\\', b'u', low @ ..]) if matches!(hex4(low), Some(0xDC00..0xE000)) => Ok(12),
                _ => Err(Fault::LoneSurrogate),
            },
            Some(0xDC00..0xE000) => Err(Fault::LoneSurrogate),
            Some(_) => Ok(6),
        },
        _ => Err(Fault::Malformed(1, "an escape that JSON does not know")),
    }
}

fn hex4(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>()?.iter().try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
}

/// How many bytes go before the first quote, backslash or control character.
///
/// Eight at a time: a byte of a word is found by what borrowing from it does to its highest bit. A false hit can only
/// stand above a true one, so the lowest hit is exact.
#[inline]
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut run = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5C);
        let hits = (word.wrapping_sub(ONES * 0x20) & !word)
            | (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash);
        if hits & HIGH != 0 {
            return run + (hits & HIGH).trailing_zeros() as usize / 8;
        }
        run += 8;
    }
    run + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// The length of the number that `bytes` begin with; `Err` with the place and what is missing there.
pub(super) fn number(bytes: &[u8]) -> Result<usize, Fault> {
    let digits = |from: usize| bytes.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let need = |from: usize, what| match digits(from) {
        0 => Err(Fault::Malformed(from, what)),
        count => Ok(from + count),
    };
    let start = usize::from(bytes.first() == Some(&b'-'));
    let mut at = need(start, "a number needs digits")?;
    if at > start + 1 && bytes.get(start) == Some(&b'0') {
        return Err(Fault::Malformed(start, "a number does not begin with zeros"));
    }
    if bytes.get(at) == Some(&b'.') {
        at = need(at + 1, "a number needs digits after its point")?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = need(at + 1 + sign, "a number needs digits in its exponent")?;
    }
    Ok(at)
}

/// The text that a JSON string literal, with its quotes, stands for; `None` if it is not one.
///
/// ```
/// use persist_core::data::unescape;
/// assert_eq!(unescape(r#""caf\u00e9""#).as_deref(), Some("café"));
/// assert_eq!(unescape("17"), None);
/// ```
pub fn unescape(literal: &str) -> Option<Cow<'_, str>> {
    let (found, end) = string(literal, literal.strip_prefix('"').map(|_| 1)?).ok()?;
    (end == literal.len()).then(|| found.text())
}

/// What the inside of a string says; `None` where an escape is not sound.
pub(super) fn decode(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(rest.get(..at)?);
        let escaped = rest.get(at..)?;
        let bytes = escaped.as_bytes();
        let length = escape(bytes).ok()?;
        text.push(match *bytes.get(1)? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = hex4(bytes.get(2..)?)?;
                char::from_u32(if length == 12 {
                    0x1_0000 + ((first - 0xD800) << 10) + (hex4(bytes.get(8..)?)? - 0xDC00)
                } else {
                    first
                })?
            }
            other => char::from(other),
        });
        rest = escaped.get(length..)?;
    }
    text.push_str(rest);
    Some(text)
}

/// Appends a text as a JSON string, with its quotes. Escaped is what must be, and nothing else.
///
/// ```
/// let mut out = String::new();
/// persist_core::data::quote("a \"word\"", &mut out);
/// assert_eq!(out, r#""a \"word\"""#);
/// ```
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_at_checked(plain_run(rest.as_bytes())) {
        out.push_str(plain);
        let mut tail = tail.chars();
        match tail.next() {
            None => break,
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some(control) => {
                let code = u32::from(control);
                out.push_str("\\u00");
                out.push(if code < 16 { '0' } else { '1' });
                out.push(char::from_digit(code % 16, 16).unwrap_or('0'));
            }
        }
        rest = tail.as_str();
    }
    out.push('"');
}
