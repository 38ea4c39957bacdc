//! Cells of the tables that the program prints.

use std::ops::Range;

/// A table: its columns, and of each row the cells by their columns; empty ones are left out.
pub(super) struct Table {
    columns: Vec<(String, Range<usize>)>,
    pub(super) rows: Vec<Vec<(String, String)>>,
}

impl Table {
    /// Of text up to an empty line, the head first.
    pub(super) fn read(text: &str) -> Self {
        let mut lines = text.lines().take_while(|line| !line.is_empty());
        let head = lines.next().expect("a head");
        let mut table = Self {
            columns: words(head),
            rows: Vec::new(),
        };
        for line in lines {
            let cells = words(line).into_iter();
            let cells = cells.map(|(word, place)| (table.column(&word, &place).to_owned(), word));
            table.rows.push(cells.collect());
        }
        table
    }

    /// Of lines with a name and a value each: one row, whose columns are the names.
    pub(super) fn of_pairs(text: &str) -> Self {
        let pairs = text.lines().map(|line| {
            let (name, value) = line.split_once("  ").expect("a name and a value");
            (name.to_owned(), value.trim_start().to_owned())
        });
        Self {
            columns: Vec::new(),
            rows: vec![pairs.collect()],
        }
    }

    /// Texts begin where their column does, and numbers end there.
    fn column(&self, word: &str, place: &Range<usize>) -> &str {
        let begins = |(_, column): &&(String, Range<usize>)| column.start == place.start;
        let ends = |(_, column): &&(String, Range<usize>)| column.end == place.end;
        let found = self.columns.iter().find(begins);
        let found = found.or_else(|| self.columns.iter().find(ends));
        let (name, _) =
            found.unwrap_or_else(|| panic!("'{word}' is in none of {:?}", self.columns));
        name
    }
}

/// What a row has in a column; nothing where the cell is empty, or `-`.
pub(super) fn cell<'a>(row: &'a [(String, String)], column: &str) -> &'a str {
    let found = row.iter().find(|(name, _)| name == column);
    found.map_or("", |(_, cell)| if cell == "-" { "" } else { cell })
}

/// What stands between two blanks or more, and from which character to which.
fn words(line: &str) -> Vec<(String, Range<usize>)> {
    let mut words = Vec::new();
    let mut at = 0;
    for part in line.split("  ") {
        let blanks = part.len() - part.trim_start().len();
        let word = part.trim();
        let (start, length) = (at + blanks, word.chars().count());
        if !word.is_empty() {
            words.push((word.to_owned(), start..start + length));
        }
        at += part.chars().count() + 2;
    }
    words
}
