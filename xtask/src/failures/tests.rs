//! Against what cargo 1.95 printed of crates made for it; the frames of backtraces are left out.

use super::told;

const TESTS: &str = include_str!("tests.txt");
const COMPILER: &str = include_str!("compiler.txt");

#[test]
fn each_failed_test_is_named_with_its_panic() {
    let expected = [
        "-p corner --lib: tests::halves",
        "    thread 'tests::halves' (15537) panicked at a/src/lib.rs:14:9:",
        "    assertion `left == right` failed: six halved",
        "      left: 3",
        "     right: 4",
        "-p corner --lib: tests::returns",
        "    Error: \"no such file: /a/b\"",
        "-p corner --lib: tests::should",
        "    note: test did not panic as expected at a/src/lib.rs:20:8",
        "-p corner --test it: (signal: 6, SIGABRT: process abort signal)",
        "    thread 'deep' (23289) has overflowed its stack",
        "    fatal runtime error: stack overflow, aborting",
        "-p edge --lib: tests::long",
        "    thread 'tests::long' (15562) panicked at b/src/lib.rs:8:11:",
        "    open the file",
        "    second line: Os { code: 2, kind: NotFound, message: \"No such file or directory\" }",
        "-p edge --lib: tests::thread",
        "    thread 'worker' (15564) panicked at b/src/lib.rs:11:78:",
        "    in a thread",
        "-p corner --doc: a/src/lib.rs - half (line 3)",
        "    thread 'main' (15747) panicked at /tmp/rustdoctestU8MuDz/doctest_bundle_2024.rs:6:1:",
        "    assertion `left == right` failed",
        "      left: 2",
        "     right: 3",
    ];
    assert_eq!(told(TESTS), expected);
}

#[test]
fn what_does_not_compile_is_told_with_its_place() {
    let expected = [
        "error[E0308]: mismatched types",
        "    d/src/lib.rs:1:23",
        "error[E0425]: cannot find function `nothing` in this scope",
        "    d/src/lib.rs:2:23",
    ];
    assert_eq!(told(COMPILER), expected);
    let last: Vec<_> = COMPILER.lines().rev().take(1).collect();
    assert_eq!(
        told(last[0]),
        last,
        "all that is known of a compiler that was killed"
    );
}

#[test]
fn many_failures_are_bounded() {
    let names: String = (0..100).map(|n| format!("    tests::{n}\n")).collect();
    let long = "x".repeat(10_000);
    let output = format!(
        "---- tests::0 stdout ----\n{long}\nfailures:\n{names}\nerror: test failed, to rerun pass `-p a --lib`\n"
    );
    let told = told(&output);
    assert_eq!(told[1].len(), 4 + super::CHARS);
    assert_eq!(told.len(), super::FAILURES + super::NAMES + 2);
    assert_eq!(told.last().map(String::as_str), Some("and 58 more"));
}

#[test]
fn nothing_is_told_of_what_passes() {
    let passes =
        "     Running tests/it.rs (target/debug/deps/it-79)\n\nrunning 1 test\ntest fine ... ok\n";
    assert_eq!(told(passes), [""; 0]);
    assert_eq!(told("npm error: no such package\n"), [""; 0]);
}
