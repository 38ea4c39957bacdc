//! Conditions as people write them; what is written here is read back by [`super::parse`].

use std::fmt::{self, Display, Formatter, Write as _};
use std::time::SystemTime;

use super::{Expr, Field, NumberField, Value};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => joined(f, parts, " AND "),
            Self::Or(parts) => joined(f, parts, " OR "),
            Self::Not(part) => {
                f.write_str("NOT ")?;
                nested(f, part)
            }
            Self::Compare(field, op, value) => {
                write!(f, "{field} {} ", op.as_str())?;
                match value {
                    Value::Text(text) => quoted(f, text),
                    Value::Number(number) if *field == Field::Number(NumberField::Cpu) => {
                        duration(f, *number)
                    }
                    Value::Number(number) => write!(f, "{number}"),
                    Value::Time(time) => written(f, *time),
                }
            }
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(field) => field.as_str(),
            Self::Number(field) => field.as_str(),
            Self::Time(field) => field.as_str(),
        })
    }
}

fn joined(f: &mut Formatter<'_>, parts: &[Expr], by: &str) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(by)?;
        }
        nested(f, part)?;
    }
    Ok(())
}

fn nested(f: &mut Formatter<'_>, part: &Expr) -> fmt::Result {
    match part {
        Expr::Compare(..) => write!(f, "{part}"),
        Expr::And(_) | Expr::Or(_) | Expr::Not(_) => write!(f, "({part})"),
    }
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

/// Seconds, with as many digits as it takes.
fn duration(f: &mut Formatter<'_>, nanos: i64) -> fmt::Result {
    const SECOND: u64 = 1_000_000_000;
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let digits = format!("{:09}", nanos % SECOND);
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    write!(f, "{sign}{}{point}{digits}s", nanos / SECOND)
}

/// A time that cannot be written is none that anything was seen at: the parser makes none.
fn written(f: &mut Formatter<'_>, time: SystemTime) -> fmt::Result {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => write!(f, "{time}"),
        Err(_) => write!(f, "{}", jiff::Timestamp::MAX),
    }
}
