//! The `WHERE` of a statement under construction, and its values, in step.

use std::fmt::Write as _;

/// Whose SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's, as far as what speaks its protocol understands it too.
    Postgres,
}

/// A value of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Value {
    /// A number, a time, or a random number.
    Integer(i64),
    /// A text.
    Text(String),
}

/// A text with the values for its placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Statement {
    /// Made of constants and placeholders.
    pub(in crate::store) text: String,
    /// In the order of the placeholders' numbers.
    pub(in crate::store) values: Vec<Value>,
}

/// Conditions, all of which have to hold.
#[derive(Debug)]
pub(in crate::store) struct Conditions {
    dialect: Dialect,
    all: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// None yet.
    pub(in crate::store) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            all: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Adds a condition. Values that it names were given to [`Conditions::integer`] or
    /// [`Conditions::text`].
    pub(in crate::store) fn add(&mut self, condition: String) {
        self.all.push(condition);
    }

    /// A placeholder for a number.
    pub(in crate::store) fn integer(&mut self, value: i64) -> String {
        self.placeholder(Value::Integer(value))
    }

    /// A placeholder for a text. No text that is stored holds a NUL, which PostgreSQL would refuse and
    /// SQLite's patterns end at: what is looked for instead is as little there.
    pub(in crate::store) fn text(&mut self, value: &str) -> String {
        self.placeholder(Value::Text(value.replace('\0', "\u{1}")))
    }

    fn placeholder(&mut self, value: Value) -> String {
        self.values.push(value);
        let number = self.values.len();
        match self.dialect {
            Dialect::Sqlite => format!("?{number}"),
            Dialect::Postgres => format!("${number}"),
        }
    }

    /// That `column` is one of `values`.
    pub(in crate::store) fn one_of<'a>(
        &mut self,
        column: &str,
        values: impl IntoIterator<Item = &'a str>,
    ) -> String {
        let values: Vec<_> = values.into_iter().map(|value| self.text(value)).collect();
        format!("{column} IN ({})", values.join(", "))
    }

    /// That `column` is like `pattern`, in which `*` stands for any characters. Upper and lower case
    /// differ.
    pub(in crate::store) fn like(&mut self, column: &str, pattern: &str) -> String {
        if !pattern.contains('*') {
            return format!("{column} = {}", self.text(pattern));
        }
        match self.dialect {
            Dialect::Sqlite => format!("{column} GLOB {}", self.text(&glob(pattern))),
            Dialect::Postgres => {
                format!("{column} LIKE {} ESCAPE '!'", self.text(&like(pattern)))
            }
        }
    }

    /// That `part` is somewhere in `column`.
    pub(in crate::store) fn contains(&mut self, column: &str, part: &str) -> String {
        let part = self.text(part);
        match self.dialect {
            Dialect::Sqlite => format!("instr({column}, {part}) > 0"),
            // Not LIKE: nothing in `part` has a meaning.
            Dialect::Postgres => format!("POSITION({part} IN {column}) > 0"),
        }
    }

    /// `head`, the conditions and `tail`, with at most `limit` rows.
    pub(in crate::store) fn statement(mut self, head: &str, tail: &str, limit: u32) -> Statement {
        let limit = self.integer(limit.into());
        let mut text = head.to_owned();
        if !self.all.is_empty() {
            // Writing to a String does not fail.
            let _ = write!(text, " WHERE {}", self.all.join(" AND "));
        }
        let _ = write!(text, " {tail} LIMIT {limit}");
        Statement {
            text,
            values: self.values,
        }
    }
}

/// Joins alternatives; none of none holds.
pub(super) fn any(alternatives: &[String]) -> String {
    joined(alternatives, " OR ", "1 = 0")
}

/// Joins conditions; all of none hold.
pub(super) fn all(conditions: &[String]) -> String {
    joined(conditions, " AND ", "1 = 1")
}

fn joined(parts: &[String], by: &str, none: &str) -> String {
    match parts {
        [] => none.to_owned(),
        [one] => one.clone(),
        more => format!("({})", more.join(by)),
    }
}

/// A pattern for `GLOB`, which knows `?` and `[…]` besides
/// (<https://sqlite.org/lang_expr.html#the_like_glob_regexp_match_and_extract_operators>).
fn glob(pattern: &str) -> String {
    let mut glob = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        match c {
            '?' | '[' => glob.extend(['[', c, ']']),
            _ => glob.push(c),
        }
    }
    glob
}

/// A pattern for `LIKE … ESCAPE '!'`.
fn like(pattern: &str) -> String {
    let mut like = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        match c {
            '*' => like.push('%'),
            '%' | '_' | '!' => like.extend(['!', c]),
            _ => like.push(c),
        }
    }
    like
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stars_have_a_meaning_in_patterns() {
        for (pattern, in_sqlite, in_postgres) in [
            ("a*b", "a*b", "a%b"),
            ("*?[x]", "*[?][[]x]", "%?[x]"),
            ("50%_of!*", "50%_of!*", "50!%!_of!!%"),
            (r"\*", r"\*", r"\%"),
        ] {
            assert_eq!(glob(pattern), in_sqlite);
            assert_eq!(like(pattern), in_postgres);
        }
    }

    #[test]
    fn values_are_never_part_of_the_text() {
        for (dialect, text) in [
            (
                Dialect::Sqlite,
                "SELECT 1 WHERE a = ?1 AND b IN (?2, ?3) ORDER BY a LIMIT ?4",
            ),
            (
                Dialect::Postgres,
                "SELECT 1 WHERE a = $1 AND b IN ($2, $3) ORDER BY a LIMIT $4",
            ),
        ] {
            let mut conditions = Conditions::new(dialect);
            let first = conditions.like("a", "'; DROP TABLE fact; --");
            conditions.add(first);
            let second = conditions.one_of("b", ["x\0", "'"]);
            conditions.add(second);
            let statement = conditions.statement("SELECT 1", "ORDER BY a", 5);
            assert_eq!(statement.text, text);
            let texts = ["'; DROP TABLE fact; --", "x\u{1}", "'"];
            let mut values: Vec<_> = texts.map(|text| Value::Text(text.to_owned())).into();
            values.push(Value::Integer(5));
            assert_eq!(statement.values, values);
        }
    }
}
