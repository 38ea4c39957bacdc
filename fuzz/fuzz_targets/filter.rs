//! A condition as people write it.
#![no_main]

use archtrace_facts::select::parse::{MAX_LENGTH, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(expression) => {
            // With quotes and parentheses it is longer, and may be too long or too deep.
            let printed = expression.to_string();
            match parse(&printed) {
                Ok(again) => assert_eq!(again, expression),
                Err(error) => {
                    let is_deep = error.what.contains("within each other");
                    assert!(is_deep || printed.len() > MAX_LENGTH, "{printed}: {error}");
                }
            }
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
});
