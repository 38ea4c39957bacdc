use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::super::{TextField, TimeField};
use super::*;
use crate::text::is_printable;

fn check(text: &str, expected: &str) {
    let told = match parse(text) {
        Ok(expression) => expression.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(told, expected, "{text}");
}

#[test]
fn or_binds_tighter_than_and_and_neighbours_tighter_than_and() {
    for (text, expected) in [
        ("pod=a", r#"pod = "a""#),
        (" ( pod=a ) ", r#"pod = "a""#),
        (
            "pod=a AND pod=b OR pod=c",
            r#"pod = "a" AND (pod = "b" OR pod = "c")"#,
        ),
        (
            "pod=a pod=b OR pod=c",
            r#"pod = "a" AND (pod = "b" OR pod = "c")"#,
        ),
        (
            "pod=a AND pod=b AND pod=c",
            r#"pod = "a" AND pod = "b" AND pod = "c""#,
        ),
        (
            "pod=a pod=b AND pod=c",
            r#"(pod = "a" AND pod = "b") AND pod = "c""#,
        ),
        (
            "(pod=a pod=b)OR pod=c",
            r#"(pod = "a" AND pod = "b") OR pod = "c""#,
        ),
        ("-pod=a", r#"NOT pod = "a""#),
        ("NOT(pod=a)", r#"NOT pod = "a""#),
        ("NOT (NOT pod=a)", r#"NOT (NOT pod = "a")"#),
        ("-(pod=a OR pod=b)", r#"NOT (pod = "a" OR pod = "b")"#),
    ] {
        check(text, expected);
    }
}

#[test]
fn values_are_words_or_quoted() {
    for (text, expected) in [
        (
            "image = docker.io/library/nginx:1.25",
            r#"image = "docker.io/library/nginx:1.25""#,
        ),
        (r#"pod = "a b""#, r#"pod = "a b""#),
        (r"pod = 'a b'", r#"pod = "a b""#),
        (r#"pod = "(\"\\)""#, r#"pod = "(\"\\)""#),
        (r#"binary = "/bin/\xff""#, r#"binary = "/bin/\\xff""#),
        (r#"pod = "AND""#, r#"pod = "AND""#),
        ("pod=*", r#"pod = "*""#),
        ("pod:*", r#"pod != """#),
        ("pod:\"*\"", r#"pod : "*""#),
        ("pod=\"\"", r#"pod = """#),
        ("errno != -8", "errno != -8"),
        ("count>=10", "count >= 10"),
        ("cpu > 1.5s", "cpu > 1.5s"),
        ("cpu > 90m", "cpu > 5400s"),
        ("cpu > 20ms", "cpu > 0.02s"),
        ("cpu > 0.5us", "cpu > 0.0000005s"),
        (
            "time < 2026-11-25T01:00:00+01:00",
            "time < 2026-11-25T00:00:00Z",
        ),
        (r#"arch = "arm*""#, r#"arch = "arm*""#),
    ] {
        check(text, expected);
    }
}

#[test]
fn errors_tell_where_and_what_to_do() {
    for (text, expected) in [
        (
            "",
            "at character 1: expected a field, NOT or (, found the end",
        ),
        (
            "pod",
            "at character 4: expected one of = != < <= > >= :, found the end",
        ),
        ("pod=", "at character 5: expected a value, found the end"),
        (
            "pod=a OR",
            "at character 9: expected a field, NOT or (, found the end",
        ),
        (
            "pod=a OR AND",
            "at character 10: expected a field, NOT or (, found 'AND'",
        ),
        (
            "(pod=a",
            "at character 7: expected AND, OR or ), found the end",
        ),
        (
            "pod=a)",
            "at character 6: expected AND, OR or the end, found ')'",
        ),
        ("pod=\"a", "at character 5: this \" is never closed"),
        (
            "жпод = a",
            "at character 1: 'жпод' is no field; the known ones are cluster, node, node_arch, namespace, pod, container, workload, image, image_id, unit, cgroup, binary, arch, mode, emulator, via, cause, kind, comm, stage, count, processes, cpu, pid, errno, first_seen, last_seen, time",
        ),
        (
            "pod=ж AND workloda=b",
            "at character 11: 'workloda' is no field; did you mean workload?",
        ),
        (
            "pod=a and pod=b",
            "at character 7: 'and' is no field; did you mean AND?",
        ),
        (
            "mode=emulatd",
            "at character 6: 'emulatd' is no mode; did you mean emulated?",
        ),
        (
            "kind=explosion",
            "at character 6: 'explosion' is no kind; the known ones are emulated_exec, failed_exec, illegal_instruction, handler_added, handler_removed, loss",
        ),
        (
            "arch=x86_64",
            "at character 6: 'x86_64' is no architecture; Kubernetes' names are amd64, arm64, arm, 386, riscv64, s390x, ppc64le",
        ),
        (
            "pod>a",
            "at character 4: pod is a text, which only =, != and : compare",
        ),
        (
            "count:1",
            "at character 6: count is no text, so that it contains nothing; use =",
        ),
        (
            "count:*",
            "at character 6: only texts can be asked whether they are there, which count is not",
        ),
        (
            "count=1.5",
            "at character 7: count is compared with a whole number, which '1.5' is not",
        ),
        (
            "cpu=1",
            "at character 5: cpu is compared with a duration such as 1.5s, 20ms or 2h, which '1' is not",
        ),
        (
            "cpu=99999999999h",
            "at character 5: cpu is compared with a duration such as 1.5s, 20ms or 2h, which '99999999999h' is not",
        ),
        (
            "time=yesterday",
            "at character 6: expected a time such as 2026-11-25T00:00:00Z (RFC 3339, from 1970 to 2262), found 'yesterday'",
        ),
        (
            "time=1969-12-31T23:59:59Z",
            "at character 6: expected a time such as 2026-11-25T00:00:00Z (RFC 3339, from 1970 to 2262), found '1969-12-31T23:59:59Z'",
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn there_are_bounds() {
    let deep = |depth| format!("{}pod=a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&deep(MAX_DEPTH)).is_ok());
    for (text, part) in [
        (deep(MAX_DEPTH + 1), "within each other"),
        (
            format!("{}pod=a", "NOT (".repeat(MAX_DEPTH)),
            "within each other",
        ),
        (format!("pod={}", "a".repeat(MAX_LENGTH)), "at most 8192"),
        ("pod=a ".repeat(MAX_COMPARISONS + 1), "more than 256"),
    ] {
        let error = parse(&text).expect_err(part);
        assert!(error.what.contains(part), "{error}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z*./:-]{0,8}", any::<String>()]
}

fn comparison() -> impl Strategy<Value = Expr> {
    let free = [
        TextField::Cluster,
        TextField::Pod,
        TextField::Binary,
        TextField::Stage,
    ];
    let texts = (
        proptest::sample::select(free.to_vec()),
        proptest::sample::select(vec![Op::Equal, Op::NotEqual, Op::Has]),
        text(),
    );
    let ordered = vec![
        Op::Equal,
        Op::NotEqual,
        Op::Less,
        Op::LessOrEqual,
        Op::Greater,
        Op::GreaterOrEqual,
    ];
    let ordered = proptest::sample::select(ordered);
    let numbers = (
        proptest::sample::select(NumberField::ALL.to_vec()),
        ordered.clone(),
        any::<i64>(),
    );
    let times = (
        proptest::sample::select(TimeField::ALL.to_vec()),
        ordered,
        0..=i64::MAX.unsigned_abs(),
    );
    prop_oneof![
        texts.prop_map(|(field, op, value)| Expr::Compare(
            Field::Text(field),
            op,
            Value::Text(value)
        )),
        numbers.prop_map(|(field, op, value)| Expr::Compare(
            Field::Number(field),
            op,
            Value::Number(value)
        )),
        times.prop_map(|(field, op, nanos)| Expr::Compare(
            Field::Time(field),
            op,
            Value::Time(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos))
        )),
    ]
}

fn expression() -> impl Strategy<Value = Expr> {
    comparison().prop_recursive(6, 40, 4, |inner| {
        let some = proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            some.clone().prop_map(Expr::And),
            some.prop_map(Expr::Or),
            inner.prop_map(|part| Expr::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(expression in expression()) {
        let text = expression.to_string();
        if text.len() <= MAX_LENGTH {
            prop_assert_eq!(parse(&text), Ok(expression), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in prop_oneof![
        any::<String>(),
        "([ ()\"'\\-*]|AND|OR|NOT|pod|count|time|cpu|[=<>!:]|1|s){0,30}",
    ]) {
        match parse(&text) {
            Ok(expression) => {
                let printed = expression.to_string();
                prop_assert_eq!(parse(&printed), Ok(expression), "{}", printed);
            }
            Err(error) => {
                prop_assert!(error.to_string().chars().all(is_printable), "{:?}", error);
                prop_assert!(error.position <= text.chars().count() + 1);
            }
        }
    }
}
