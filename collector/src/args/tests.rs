use super::*;

fn parsed(args: &[&str]) -> Result<Args, String> {
    let parsed = Args::try_parse_from([&["archtrace-collector"], args].concat());
    let args = parsed.map_err(|error| error.to_string())?;
    args.check().map(|()| args)
}

fn check(args: &[&str], expected: Result<(), &str>) {
    match (parsed(args), expected) {
        (Ok(_), Ok(())) => {}
        (Err(told), Err(part)) if told.contains(part) => {}
        (outcome, _) => panic!("{args:?}: {outcome:?}, not {expected:?}"),
    }
}

#[test]
fn options_are_checked() {
    check(&[], Ok(()));
    check(&["--listen", "[::1]:0"], Ok(()));
    check(&["--listen", "[::ffff:127.0.0.1]:0"], Ok(()));
    check(&["--listen", "0.0.0.0:1"], Err("--insecure-plaintext"));
    check(&["--listen", "0.0.0.0:1", "--insecure-plaintext"], Ok(()));
    check(&["--web-listen", "127.0.0.1:1"], Ok(()));
    check(
        &["--web-listen", "0.0.0.0:1"],
        Err("--web-listen 0.0.0.0:1 is not"),
    );
    check(
        &["--web-listen", "0.0.0.0:1", "--insecure-plaintext"],
        Ok(()),
    );
    check(&["--listen", "localhost"], Err("invalid socket address"));
    check(&["--store", "/tmp/x"], Err("sqlite:PATH"));
    check(&["--store", "sqlite:"], Err("sqlite:PATH"));
    let url = "postgres://u:s3cret@db/archtrace";
    check(&["--store", url, "--store-password-file", "x"], Ok(()));
    check(&["--heartbeat-interval", "500ms"], Err("between 1s and 1h"));
    check(&["--heartbeat-interval", "2h"], Err("between 1s and 1h"));
    check(&["--heartbeat-interval=-5s"], Err("0s"));
    check(&["--heartbeat-interval", "soon"], Err("soon"));
    check(&["--heartbeat-interval", "2s"], Ok(()));
    check(&["--max-connections", "0"], Err("--max-connections"));
    check(&["--keep-events", "10m"], Err("1h at least"));
    check(&["--keep-events", "7d", "--keep-history", "26w"], Ok(()));
    check(&["--keep-events", "999999d"], Err("36500d"));
    check(&["--keep-nodes", "10m"], Err("1h at least, or 0s"));
    check(&["--keep-nodes", "0s"], Ok(()));
    let otlp = ["--export-otlp", "http://o:4317"];
    check(&otlp, Err("--export-state"));
    check(&[&otlp[..], &["--export-state", "s"]].concat(), Ok(()));
    check(&["--export-ocsf", "f"], Err("--export-state"));
    check(&["--export-otlp-ca", "f"], Err("--export-otlp"));
    check(
        &["--export-ocsf-megabytes", "0"],
        Err("--export-ocsf-megabytes"),
    );
    check(&["dev-certs", "--out", "x", "--node", "n"], Ok(()));
    check(&["dev-certs"], Err("--out"));
    check(&["check-policy", "x"], Ok(()));
    check(&["check-policy"], Err("<FILE>"));
    check(&["--policy", "x"], Ok(()));
}

#[test]
fn credentials_belong_together() {
    let tls = ["--listen", "0.0.0.0:1", "--tls-cert", "c", "--tls-key", "k"];
    let with = |more: &[&'static str], expected| check(&[&tls[..], more].concat(), expected);
    with(&[], Err("nobody could report"));
    with(&["--client-ca", "ca"], Ok(()));
    with(&["--token-jwks", "f"], Err("--token-audience"));
    let tokens = ["--token-audience", "a", "--token-jwks"];
    let with = |more: &[&'static str], expected| with(&[&tokens[..], more].concat(), expected);
    with(&["f"], Ok(()));
    with(&["https://h/keys", "--token-jwks-ca", "ca"], Ok(()));
    with(&["http://h/keys"], Err("https URL"));
    with(&["f", "--token-jwks-ca", "ca"], Err("are for a URL"));
    with(
        &["f", "--reader-subject", "alice"],
        Err("no service account"),
    );
    let reader = "system:serviceaccount:a:b";
    with(&["f", "--reader-subject", reader], Ok(()));
    with(
        &["f", "--reader-subject", reader, "--agent-subject", reader],
        Err("agents cannot read"),
    );
    check(&["--tls-cert", "c"], Err("--tls-key"));
    check(&["--client-ca", "ca"], Err("--tls-cert"));
    check(&["--reader-subject", reader], Err("--token-jwks"));
}

#[test]
fn registries_are_asked_if_that_is_said() {
    let options = |args: &[&str]| parsed(args).expect("fine").settings().registry;
    assert!(options(&[]).is_none());
    let seconds = |args: &[&str]| options(args).map(|options| options.every.as_secs());
    assert_eq!(seconds(&["--registry-check"]), Some(6 * 3600));
    assert_eq!(seconds(&["--registry-check=5m"]), Some(300));
    // What is behind it without = is something else.
    check(&["--registry-check", "1h"], Err("1h"));
    check(&["--registry-check=1m"], Err("between 5m and 30d"));
    check(&["--registry-check=31d"], Err("between 5m and 30d"));
    for option in ["config", "ca", "plaintext", "only"] {
        let option = format!("--registry-{option}");
        check(&[&option, "x"], Err("--registry-check"));
        check(&["--registry-check", &option, "x"], Ok(()));
    }
    let args = [
        "--registry-check",
        "--registry-only",
        "a,b",
        "--registry-only=c",
    ];
    let only = options(&args).map(|options| options.only);
    assert_eq!(only, Some(["a", "b", "c"].map(str::to_owned).to_vec()));
}

#[test]
fn what_they_say_is_what_is_used() {
    let args = parsed(&["--max-connection-age", "0s", "--keep-events", "2d"]).expect("fine");
    let settings = args.settings();
    assert_eq!(settings.max_connection_age, None);
    assert_eq!(settings.keep.events, Duration::from_secs(2 * 86_400));
    assert!(settings.auth.is_none());
    let default = parsed(&[]).expect("fine").settings();
    let new = Settings::new(default.store_name.clone(), default.heartbeat_interval);
    assert_eq!(format!("{default:?}"), format!("{new:?}"));
}

#[test]
fn secrets_of_stores_are_not_told() {
    for store in [
        "postgres://u:s3cret@db/archtrace",
        "postgress://u:s3cret@db/x",
        "pg:s3cret",
    ] {
        let told = match parsed(&["--store", store]) {
            Ok(args) => format!("{args:?} {}", args.settings().store_name),
            Err(told) => told,
        };
        assert!(!told.contains("s3cret"), "{told}");
    }
    let told = parsed(&["--store", "postgres://u:s3cret@db/archtrace"])
        .map(|args| args.settings().store_name);
    assert_eq!(told.as_deref(), Ok("postgres://db:5432/archtrace"));
}
