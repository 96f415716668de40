//! Comma-separated values, as RFC 4180 has them: what is quoted is text, also where it is empty; what is empty and not
//! quoted is null.

/// A field: what it says, and whether it was quoted.
pub(crate) type Field = (String, bool);

/// A record, with the number of the line that it begins at.
pub(crate) type Record = (usize, Vec<Field>);

/// Appends a record.
pub(crate) fn write<'f>(fields: impl IntoIterator<Item = Option<&'f str>>, out: &mut String) {
    for (at, field) in fields.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let Some(field) = field else { continue };
        let is_plain = !field.is_empty() && !field.contains([',', '"', '\n', '\r']) && field.trim() == field;
        if is_plain {
            out.push_str(field);
        } else {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        }
    }
    out.push_str("\r\n");
}

/// Reads records.
///
/// # Errors
/// The number of the line, and what is wrong there.
pub(crate) fn read(text: &str) -> Result<Vec<Record>, (usize, &'static str)> {
    let mut records = Vec::new();
    let (mut line, mut rest) = (1, text.strip_prefix('\u{feff}').unwrap_or(text));
    while !rest.is_empty() {
        let first = line;
        let mut fields = Vec::new();
        loop {
            let (field, after) = field(rest).map_err(|why| (line, why))?;
            line += field.0.matches('\n').count();
            fields.push(field);
            if let Some(next) = after.strip_prefix(',') {
                rest = next;
                continue;
            }
            line += 1;
            rest = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n')).unwrap_or(after);
            break;
        }
        // A blank line is no record.
        if fields.len() > 1 || fields.iter().any(|(text, is_quoted)| *is_quoted || !text.is_empty()) {
            records.push((first, fields));
        }
    }
    Ok(records)
}

/// The first field of a text, and what comes after it: a comma, a line break, or nothing.
fn field(text: &str) -> Result<(Field, &str), &'static str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        let (field, after) = text.split_at_checked(end).unwrap_or((text, ""));
        let (field, after) = match field.strip_suffix('\r').filter(|_| after.starts_with('\n')) {
            Some(field) => (field, text.get(field.len()..).unwrap_or_default()),
            None => (field, after),
        };
        if field.contains('"') {
            return Err("a quotation mark stands within a field that does not begin with one");
        }
        return Ok(((field.to_owned(), false), after));
    };
    let mut said = String::new();
    let mut rest = quoted;
    loop {
        let Some((part, after)) = rest.split_once('"') else { return Err("a quotation mark is not closed") };
        said.push_str(part);
        match after.strip_prefix('"') {
            Some(next) => {
                said.push('"');
                rest = next;
            }
            None if after.is_empty() || after.starts_with([',', '\n']) || after.starts_with("\r\n") => {
                return Ok(((said, true), after));
            }
            None => return Err("something stands behind a closed quotation mark"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let rows = [
            vec![Some("plain"), None, Some("")],
            vec![Some("a,b"), Some("say \"x\""), Some("two\nlines\r\nthree")],
            vec![Some(" blank "), Some("\""), None],
        ];
        let mut text = String::new();
        rows.iter().for_each(|row| write(row.iter().copied(), &mut text));
        let read = read(&text).unwrap();
        let lines: Vec<usize> = read.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 5]);
        for (row, (_, fields)) in rows.iter().zip(&read) {
            let found: Vec<Option<&str>> =
                fields.iter().map(|(text, quoted)| (*quoted || !text.is_empty()).then_some(text.as_str())).collect();
            assert_eq!(&found, row);
        }
    }

    #[test]
    fn what_is_no_csv_is_refused_with_its_line() {
        for (text, line) in [("a,b\n\"x", 2), ("a\nb\nx\"y", 3), ("\"a\"b", 1), ("\"a\nb\",\"c", 2)] {
            assert_eq!(read(text).unwrap_err().0, line, "{text:?}");
        }
        assert_eq!(read("a,b\r\n\n1,2").unwrap().len(), 2);
    }
}
