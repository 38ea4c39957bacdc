//! Collectors that want to know who asks.

use std::fs;
use std::path::PathBuf;

use super::support::{Collector, Setup};

struct Certs(PathBuf);

impl Certs {
    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

fn collector() -> (Collector, Certs) {
    let collector = Collector::new(Setup {
        tls: true,
        ..Setup::default()
    });
    let certs = Certs(collector.dir().join("certs"));
    (collector, certs)
}

#[test]
fn readers_show_a_certificate() {
    let (collector, certs) = collector();
    let ca = certs.file("ca.crt");
    let reader = [certs.file("reader.crt"), certs.file("reader.key")];
    let node = [certs.file("node-n1.crt"), certs.file("node-n1.key")];
    let other = tempfile::tempdir().expect("a directory");
    let wanted = archtrace_collector::auth::dev_certs::Wanted {
        out: other.path().to_owned(),
        nodes: Vec::new(),
        cluster: None,
        servers: Vec::new(),
    };
    archtrace_collector::auth::dev_certs::make(&wanted).expect("makes certificates");
    let other = Certs(other.path().to_owned());
    let (other_ca, other_reader) = (
        other.file("ca.crt"),
        [other.file("reader.crt"), other.file("reader.key")],
    );
    for (ca, shown, more, code, words) in [
        (&ca, Some(&reader), &[][..], 0, ""),
        (
            &ca,
            Some(&node),
            &[],
            4,
            "Use the certificate or token of a reader",
        ),
        (&ca, None, &[], 4, "--tls-cert FILE"),
        (&other_ca, Some(&reader), &[], 3, "--tls-ca FILE"),
        (&ca, Some(&other_reader), &[], 3, "trust your certificate"),
        (
            &ca,
            Some(&reader),
            &["--tls-server-name", "elsewhere"],
            3,
            "--tls-server-name NAME",
        ),
        (
            &ca,
            Some(&reader),
            &["--tls-server-name", "localhost"],
            0,
            "",
        ),
    ] {
        let mut args = vec!["nodes", "--tls-ca", ca];
        if let Some([certificate, key]) = shown {
            args.extend(["--tls-cert", certificate, "--tls-key", key]);
        }
        args.extend(more);
        let assert = collector.archtrace(&args).assert().code(code);
        let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(told.contains(words), "{args:?}: {told}");
        assert!(code > 0 || told.is_empty(), "{args:?}: {told}");
    }
}

#[test]
fn options_come_from_the_environment_too() {
    let (collector, certs) = collector();
    let mut command = collector.archtrace(&["status"]);
    command
        .env("ARCHTRACE_TLS_CA", certs.file("ca.crt"))
        .env("ARCHTRACE_TLS_CERT", certs.file("reader.crt"))
        .env("ARCHTRACE_TLS_KEY", certs.file("reader.key"));
    let assert = command.assert().success();
    let text = String::from_utf8_lossy(&assert.get_output().stdout).into_owned();
    assert!(text.contains("authenticated"), "{text}");
}

#[test]
fn what_is_wrong_with_the_options_is_said() {
    let (collector, certs) = collector();
    let (ca, certificate) = (certs.file("ca.crt"), certs.file("reader.crt"));
    let token = certs.file("token");
    fs::write(&token, "two\nlines").expect("writes");
    let no_certificate = certs.file("reader.key");
    for (args, code, words) in [
        (
            &["--tls-ca", "/no/such/file"][..],
            2,
            "--tls-ca: /no/such/file: No such file",
        ),
        (
            &["--tls-ca", &ca, "--tls-cert", &certificate],
            2,
            "--tls-key FILE",
        ),
        (
            &["--tls-ca", &ca, "--tls-key", &certificate],
            2,
            "--tls-cert FILE",
        ),
        (
            &[
                "--tls-ca",
                &ca,
                "--tls-cert",
                &certificate,
                "--tls-key",
                &ca,
            ],
            2,
            "holds no key",
        ),
        (
            &["--tls-ca", &ca, "--token-file", &token],
            2,
            "holds no token",
        ),
        (&["--tls-ca", &no_certificate], 2, "holds no certificate"),
        (
            &[
                "--server",
                "http://192.0.2.1:1",
                "--token-file",
                &certificate,
            ],
            2,
            "use an https:// URL",
        ),
    ] {
        let args = [&["nodes"], args].concat();
        let assert = collector.archtrace(&args).assert().code(code).stdout("");
        let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(told.contains(words), "{args:?}: {told}");
    }
}

#[test]
fn plaintext_and_tls_are_told_apart() {
    let (encrypted, certs) = collector();
    let plain = Collector::filled();
    let ca = certs.file("ca.crt");
    let http = encrypted.url().replace("https", "http");
    let https = plain.url().replace("http", "https");
    for (url, words) in [
        (&http, "http:// instead of https://"),
        (&https, "http:// instead of https://"),
    ] {
        let args = ["nodes", "--server", url, "--tls-ca", &ca];
        let assert = plain.archtrace(&args).assert().code(3).stdout("");
        let told = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(told.contains(words), "{args:?}: {told}");
    }
}
