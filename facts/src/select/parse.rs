//! Conditions as people write them: a subset of <https://google.aip.dev/160>.
//!
//! ```text
//! expression = sequence {AND sequence}
//! sequence   = factor {factor}                   all of them, as with AND
//! factor     = term {OR term}                    so OR binds tighter than AND
//! term       = [NOT | -] ("(" expression ")" | field operator value)
//! operator   = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
//! value      = a word, or anything within " or ' (in there \" \' and \\ stand for the last character)
//! ```
//!
//! There are no functions, no fields of fields and no values without a field. Times are RFC 3339,
//! durations a number and ns, us, ms, s, m or h. `field:*` asks for what has the field.

mod values;

use super::{Expr, Field, NumberField, Op, Value};
use crate::text::escape;
use values::{duration, field, number, present, text_value, time};

/// Bytes of one expression: what people and dashboards write is a tenth of this.
pub const MAX_LENGTH: usize = 8192;

/// Parentheses and NOTs within each other: what reads and what answers it recurse, and stores take
/// expressions of some hundred levels.
pub const MAX_DEPTH: usize = 32;

/// Comparisons in one expression: each is a parameter of a statement, and is asked of each fact.
pub const MAX_COMPARISONS: usize = 256;

/// What is wrong with an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {what}")]
pub struct ParseError {
    /// Which character, counted from 1.
    pub position: usize,
    /// What was expected there, and what was found, in printable form.
    pub what: String,
}

/// Reads an expression.
///
/// ```
/// use archtrace_facts::select::parse::parse;
///
/// let expression = parse(r#"arch = arm64 AND (count >= 10 OR NOT namespace:"kube-") -mode=native"#);
/// assert_eq!(
///     expression.map(|expression| expression.to_string()),
///     Ok(r#"arch = "arm64" AND ((count >= 10 OR (NOT namespace : "kube-")) AND (NOT mode = "native"))"#.to_owned())
/// );
/// assert_eq!(
///     parse("arhc = arm64").map_err(|error| error.to_string()),
///     Err("at character 1: 'arhc' is no field; did you mean arch?".to_owned())
/// );
/// ```
///
/// # Errors
/// Where it cannot be read, and what was expected there.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser {
        text,
        at: 0,
        comparisons: 0,
    };
    if text.len() > MAX_LENGTH {
        let what = format!(
            "the text has {} bytes; at most {MAX_LENGTH} are read",
            text.len()
        );
        return Err(parser.error(0, what));
    }
    let expression = parser.expression(0)?;
    parser.skip_spaces();
    match parser.rest() {
        "" => Ok(expression),
        _ => Err(parser.expected("AND, OR or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Bytes that are read.
    at: usize,
    comparisons: usize,
}

impl<'a> Parser<'a> {
    fn expression(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let mut parts = vec![self.sequence(depth)?];
        while self.eat_word("AND") {
            parts.push(self.sequence(depth)?);
        }
        Ok(one_or(parts, Expr::And))
    }

    fn sequence(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let mut parts = vec![self.factor(depth)?];
        while self.term_follows() {
            parts.push(self.factor(depth)?);
        }
        Ok(one_or(parts, Expr::And))
    }

    fn factor(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let mut parts = vec![self.term(depth)?];
        while self.eat_word("OR") {
            parts.push(self.term(depth)?);
        }
        Ok(one_or(parts, Expr::Or))
    }

    fn term(&mut self, depth: usize) -> Result<Expr, ParseError> {
        self.skip_spaces();
        if self.eat_word("NOT") || self.eat("-") {
            return Ok(Expr::Not(Box::new(self.simple(depth + 1)?)));
        }
        self.simple(depth)
    }

    fn simple(&mut self, depth: usize) -> Result<Expr, ParseError> {
        self.skip_spaces();
        if depth > MAX_DEPTH {
            let what = format!("more than {MAX_DEPTH} parentheses and NOTs within each other");
            return Err(self.error(self.at, what));
        }
        if !self.eat("(") {
            return self.comparison();
        }
        let expression = self.expression(depth + 1)?;
        self.skip_spaces();
        if self.eat(")") {
            return Ok(expression);
        }
        Err(self.expected("AND, OR or )"))
    }

    fn comparison(&mut self) -> Result<Expr, ParseError> {
        let start = self.at;
        let name = self.take(|c| c.is_alphanumeric() || c == '_');
        if name.is_empty() || matches!(name, "AND" | "OR" | "NOT") {
            self.at = start;
            return Err(self.expected("a field, NOT or ("));
        }
        let field = field(name).map_err(|what| self.error(start, what))?;
        self.skip_spaces();
        let at = self.at;
        let Some(op) = Op::ALL.into_iter().find(|op| self.eat(op.as_str())) else {
            return Err(self.expected("one of = != < <= > >= :"));
        };
        self.skip_spaces();
        self.comparisons += 1;
        if self.comparisons > MAX_COMPARISONS {
            let what = format!("more than {MAX_COMPARISONS} comparisons");
            return Err(self.error(start, what));
        }
        let value_at = self.at;
        let (value, is_quoted) = self.value()?;
        if op == Op::Has && value == "*" && !is_quoted {
            return present(field).map_err(|what| self.error(at, what));
        }
        let value = match (field, op) {
            (Field::Text(_), Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual) => {
                let what = format!("{field} is a text, which only =, != and : compare");
                return Err(self.error(at, what));
            }
            (Field::Number(_) | Field::Time(_), Op::Has) => {
                let what = format!("{field} is no text, so that it contains nothing; use =");
                return Err(self.error(at, what));
            }
            (Field::Text(field), _) => text_value(field, op, value),
            (Field::Number(NumberField::Cpu), _) => duration(&value).map(Value::Number),
            (Field::Number(field), _) => number(field, &value).map(Value::Number),
            (Field::Time(_), _) => time(&value).map(Value::Time),
        };
        let value = value.map_err(|what| self.error(value_at, what))?;
        Ok(Expr::Compare(field, op, value))
    }

    fn value(&mut self) -> Result<(String, bool), ParseError> {
        for quote in ['"', '\''] {
            if self.rest().starts_with(quote) {
                return Ok((self.quoted(quote)?, true));
            }
        }
        let word = self.take(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '"' | '\''));
        if word.is_empty() {
            return Err(self.expected("a value"));
        }
        Ok((word.to_owned(), false))
    }

    fn quoted(&mut self, quote: char) -> Result<String, ParseError> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((i, c)) = chars.next() {
            if c == quote {
                self.at += i + c.len_utf8();
                return Ok(text);
            }
            // Names hold \xNN for what is not printable, which people copy as it is.
            let escaped = (c == '\\')
                .then(|| chars.next_if(|(_, next)| matches!(next, '"' | '\'' | '\\')))
                .flatten();
            text.push(escaped.map_or(c, |(_, c)| c));
        }
        Err(self.error(start, format!("this {quote} is never closed")))
    }

    fn term_follows(&mut self) -> bool {
        self.skip_spaces();
        let rest = self.rest();
        let is_joint = ["AND", "OR"].iter().any(|word| is_word(rest, word));
        !rest.is_empty() && !rest.starts_with(')') && !is_joint
    }

    fn eat(&mut self, text: &str) -> bool {
        let follows = self.rest().starts_with(text);
        self.at += if follows { text.len() } else { 0 };
        follows
    }

    fn eat_word(&mut self, word: &str) -> bool {
        self.skip_spaces();
        is_word(self.rest(), word) && self.eat(word)
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_spaces(&mut self) {
        self.take(char::is_whitespace);
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn expected(&self, what: &str) -> ParseError {
        let rest = self.rest();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let found: String = rest[..end].chars().take(40).collect();
        let what = match found.as_str() {
            "" => format!("expected {what}, found the end"),
            _ => format!("expected {what}, found '{}'", escape(found.as_bytes())),
        };
        self.error(self.at, what)
    }

    fn error(&self, at: usize, what: String) -> ParseError {
        let before = self.text.get(..at).unwrap_or_default();
        ParseError {
            position: before.chars().count() + 1,
            what,
        }
    }
}

fn is_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word)
        .is_some_and(|behind| !behind.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn one_or(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(part) if parts.is_empty() => part,
        Some(part) => {
            parts.push(part);
            join(parts)
        }
        None => join(parts),
    }
}

#[cfg(test)]
mod tests;
