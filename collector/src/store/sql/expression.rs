//! A condition as people write it.

use archtrace_facts::fact::Mode;
use archtrace_facts::select::{Expr, Field, Op, TextField, Value};

use super::conditions::{Conditions, all, any};
use super::selection::{Subject, comparable};
use super::values::from_time;

/// The condition in SQL. `negated` says whether somebody turns it around.
pub(super) fn condition(
    conditions: &mut Conditions,
    expression: &Expr,
    subject: Subject,
    negated: bool,
) -> String {
    let mut each = |parts: &[Expr]| -> Vec<String> {
        let parts = parts.iter();
        parts
            .map(|part| condition(conditions, part, subject, negated))
            .collect()
    };
    match expression {
        Expr::And(parts) => all(&each(parts)),
        Expr::Or(parts) => any(&each(parts)),
        Expr::Not(part) => format!("NOT ({})", condition(conditions, part, subject, true)),
        Expr::Compare(field, op, value) => {
            compare(conditions, (*field, *op, value), subject, negated)
        }
    }
}

fn compare(
    conditions: &mut Conditions,
    (field, op, value): (Field, Op, &Value),
    subject: Subject,
    negated: bool,
) -> String {
    match (field, value) {
        (Field::Text(field), Value::Text(value)) => {
            let column = subject.text(field);
            match op {
                Op::Equal => {
                    let column = comparable(column, value, negated);
                    conditions.like(&column, value)
                }
                Op::NotEqual => {
                    let column = comparable(column, value, true);
                    let equal = conditions.like(&column, value);
                    format!("NOT ({equal})")
                }
                Op::Has => {
                    let column = comparable(column, value, negated);
                    conditions.contains(&column, value)
                }
                Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual => never(),
            }
        }
        (Field::Number(field), Value::Number(value)) => match subject.number(field, conditions) {
            Some(number) => ordered(conditions, &number, op, *value),
            None => absent(op),
        },
        (Field::Time(field), Value::Time(value)) => match subject.time(field) {
            Some(column) => ordered(conditions, column, op, from_time(*value)),
            None => absent(op),
        },
        // What compares a text with a number is nothing that the parser lets through.
        (Field::Text(_) | Field::Number(_) | Field::Time(_), _) => never(),
    }
}

/// A comparison that is false, not NULL, where the column is NULL; `!=` is true there.
fn ordered(conditions: &mut Conditions, column: &str, op: Op, value: i64) -> String {
    let value = conditions.integer(value);
    let sign = match op {
        Op::Equal => "=",
        Op::Has => return never(),
        Op::NotEqual => return format!("COALESCE({column} <> {value}, 1 = 1)"),
        Op::Less => "<",
        Op::LessOrEqual => "<=",
        Op::Greater => ">",
        Op::GreaterOrEqual => ">=",
    };
    format!("COALESCE({column} {sign} {value}, 1 = 0)")
}

/// A field that nothing of the kind has holds no comparison but `!=`.
fn absent(op: Op) -> String {
    if op == Op::NotEqual {
        "1 = 1".to_owned()
    } else {
        never()
    }
}

fn never() -> String {
    "1 = 0".to_owned()
}

/// Whether nothing native can be meant.
pub(super) fn never_native(expression: &Expr) -> bool {
    let native = Mode::Native.as_str();
    match expression {
        Expr::And(parts) => parts.iter().any(never_native),
        Expr::Or(parts) => !parts.is_empty() && parts.iter().all(never_native),
        Expr::Not(part) => {
            **part == Expr::Compare(Field::Text(TextField::Mode), Op::Equal, text(native))
        }
        Expr::Compare(Field::Text(TextField::Mode), Op::Equal, Value::Text(mode)) => {
            mode != native && !mode.contains('*')
        }
        Expr::Compare(Field::Text(TextField::Mode), Op::NotEqual, Value::Text(mode)) => {
            mode == native
        }
        Expr::Compare(..) => false,
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
