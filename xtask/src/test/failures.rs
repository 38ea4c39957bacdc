//! Which tests failed, and what they said: of thousands of lines the few that people look for.

/// So much is shown of what one test said.
const MAX_LINES: usize = 12;

/// The tests that failed in `output`, which is `cargo test`'s: the name of each, and what it said.
pub(super) fn of(output: &str) -> Vec<String> {
    let mut found = Vec::new();
    // Lines that may still be shown of the test whose block this is.
    let mut left = None;
    for line in output.lines() {
        if let Some(name) = name(line) {
            found.push(format!("FAILED {name}"));
            left = Some(MAX_LINES);
        } else if line == "failures:" || line.starts_with("test result: ") {
            left = None;
        } else if let Some(lines @ 1..) = left
            && !line.is_empty()
        {
            found.push(format!("    {line}"));
            left = Some(lines - 1);
        }
    }
    found
}

/// Of a line such as `---- tests::adds stdout ----`, with which its output begins.
fn name(line: &str) -> Option<&str> {
    let name = line.strip_prefix("---- ")?.strip_suffix(" ----")?;
    name.strip_suffix(" stdout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_failed_is_told() {
        let output = "\
running 3 tests
test adds ... ok
test tests::waits ... FAILED
test fails - should panic ... FAILED

failures:

---- tests::waits stdout ----

thread 'tests::waits' (7) panicked at src/lib.rs:3:5:
never (1, 2)
note: run with `RUST_BACKTRACE=1`

---- fails - should panic stdout ----
note: test did not panic as expected


failures:
    tests::waits
    fails - should panic

test result: FAILED. 1 passed; 2 failed; 0 ignored

     Running tests/it/main.rs
test other ... ok
";
        assert_eq!(
            of(output),
            [
                "FAILED tests::waits",
                "    thread 'tests::waits' (7) panicked at src/lib.rs:3:5:",
                "    never (1, 2)",
                "    note: run with `RUST_BACKTRACE=1`",
                "FAILED fails - should panic",
                "    note: test did not panic as expected",
            ]
        );
        let long = format!("---- talks stdout ----\n{}", "line\n".repeat(100));
        assert_eq!(of(&long).len(), 1 + MAX_LINES);
        assert!(of("test adds ... ok\ntest result: ok. 1 passed\n").is_empty());
    }
}
