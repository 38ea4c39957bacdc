//! What answers have to say: the fields that matter, each to the letter.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::client::Answer;

/// Whether this is the answer: the exit code, as many objects, and of each the fields that are `expected`.
pub(super) fn answer(answer: &Answer, code: i32, expected: &Value) -> Result<()> {
    let told = Value::Array(answer.objects.clone());
    ensure!(
        answer.code == code,
        "it ended with {}, not {code}: {told} {}",
        answer.code,
        answer.said.trim()
    );
    holds(&told, expected, "").with_context(|| format!("it told {told}"))
}

/// An object may have more fields, a list not more elements.
fn holds(told: &Value, expected: &Value, at: &str) -> Result<()> {
    match (told, expected) {
        (Value::Object(told), Value::Object(expected)) => {
            for (field, expected) in expected {
                let at = format!("{at}/{field}");
                let told = told.get(field).with_context(|| format!("no {at}"))?;
                holds(told, expected, &at)?;
            }
        }
        (Value::Array(told), Value::Array(expected)) => {
            let (is, should) = (told.len(), expected.len());
            ensure!(is == should, "{is} elements at {at}/, not {should}");
            for (place, (told, expected)) in told.iter().zip(expected).enumerate() {
                holds(told, expected, &format!("{at}/{place}"))?;
            }
        }
        _ => ensure!(told == expected, "{at} is {told}, not {expected}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_expected_has_to_be_there_and_nothing_else_in_lists() {
        let told = json!([{"a": 1, "b": {"c": "x", "d": [1, 2]}}]);
        for (expected, fits) in [
            (json!([{"a": 1}]), true),
            (json!([{"b": {"d": [1, 2]}}]), true),
            (json!([{}]), true),
            (json!([]), false),
            (json!([{}, {}]), false),
            (json!([{"a": 2}]), false),
            (json!([{"e": null}]), false),
            (json!([{"b": {"d": [1]}}]), false),
            (json!([{"b": {"d": [2, 1]}}]), false),
            (json!([{"b": "x"}]), false),
        ] {
            let answer_of = |code| Answer {
                code,
                objects: told.as_array().cloned().unwrap_or_default(),
                said: String::new(),
            };
            assert_eq!(
                answer(&answer_of(0), 0, &expected).is_ok(),
                fits,
                "{expected}"
            );
            assert!(answer(&answer_of(3), 0, &expected).is_err(), "{expected}");
        }
    }
}
