//! Text for people: what may stand in a line, and tables of it.

/// Without what would break a line, or steer a terminal.
///
/// ```
/// assert_eq!(persist_core::text::printable("two\nlines"), "two\\nlines");
/// ```
#[must_use]
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// Rows in aligned columns below their names, a line each, [printable]. The columns that `is_number` answers `true` for are
/// aligned at their end.
///
/// ```
/// use persist_core::text::table;
/// let rows = [["a".to_owned(), "1".to_owned()], ["b".to_owned(), "12".to_owned()]].map(Vec::from);
/// assert_eq!(table(&["key", "n"], &rows, |column| column == 1), "key |  n\n----+---\na   |  1\nb   | 12");
/// ```
#[must_use]
pub fn table<S: AsRef<str>>(names: &[S], rows: &[Vec<String>], is_number: impl Fn(usize) -> bool) -> String {
    let names: Vec<String> = names.iter().map(|name| printable(name.as_ref())).collect();
    let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let width = |n: usize, name: &String| {
        let column = cells.iter().filter_map(|row| row.get(n)).chain([name]);
        column.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = names.iter().enumerate().map(|(n, name)| width(n, name)).collect();
    let numbers: Vec<bool> = (0..names.len()).map(is_number).collect();
    let line = |row: &[String]| -> String {
        let columns = row.iter().zip(&widths).zip(&numbers);
        let padded = columns.map(
            |((cell, width), number)| {
                if *number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            },
        );
        padded.collect::<Vec<_>>().join(" | ").trim_end().to_owned()
    };
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("-+-");
    let mut lines = vec![line(&names), rule];
    lines.extend(cells.iter().map(|row| line(row)));
    lines.join("\n")
}
