//! Conditions of a listing, and their values, in step.

use rusqlite::types::Value;

/// The `WHERE` of a statement under construction.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    text: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition; its `?` stand for `values`, in order.
    pub(super) fn add<const N: usize>(&mut self, text: &str, values: [Value; N]) {
        self.text.push(text.to_owned());
        self.values.extend(values);
    }

    /// Adds `column IN (values)`, unless there are none: then everything will do.
    pub(super) fn any_of(&mut self, column: &str, values: impl IntoIterator<Item = String>) {
        let before = self.values.len();
        self.values.extend(values.into_iter().map(Value::Text));
        let count = self.values.len() - before;
        if count > 0 {
            self.text
                .push(format!("{column} IN ({})", vec!["?"; count].join(", ")));
        }
    }

    /// Adds that the column contains one of `values`, unless there are none.
    pub(super) fn any_contains(&mut self, column: &str, values: impl IntoIterator<Item = String>) {
        let before = self.values.len();
        self.values.extend(values.into_iter().map(Value::Text));
        let count = self.values.len() - before;
        if count > 0 {
            let one = format!("instr({column}, ?) > 0");
            self.text
                .push(format!("({})", vec![one; count].join(" OR ")));
        }
    }

    /// The whole `WHERE`, with a leading space, or nothing.
    pub(super) fn clause(&self) -> String {
        if self.text.is_empty() {
            return String::new();
        }
        format!(" WHERE {}", self.text.join(" AND "))
    }

    /// The values, followed by those of what comes behind the clause.
    pub(super) fn values<const N: usize>(self, behind: [Value; N]) -> Vec<Value> {
        self.values.into_iter().chain(behind).collect()
    }
}
