//! A real registry: what is under a name, and who may ask.

use archtrace_distribution::{Access, PASSWORD, Registry, USER};
use archtrace_facts::registry::Trouble;
use archtrace_registry::{Client, Options, roots};
use serde_json::json;

use super::{ask, ask_again, client, listed, trouble};

#[test]
fn platforms_are_those_of_all_images() {
    let Some(registry) = Registry::start(&Access::Everybody) else {
        return;
    };
    let (host, client) = (registry.host(), client());
    let both = registry.index("app", "both", &[("linux", "amd64"), ("linux", "arm64")]);
    registry.index("app", "one", &[("linux", "amd64"), ("windows", "arm64")]);
    registry.image("app", Some("single"), "linux", "s390x");
    // As BuildKit writes it: each image with an attestation.
    let image = registry.image("app", None, "linux", "arm64");
    let attestation = registry.image("app", None, "unknown", "unknown");
    let with = [
        image.descriptor_for("linux", "arm64"),
        attestation.descriptor_for("unknown", "unknown"),
    ];
    registry.index_of("app", Some("attested"), &with);
    registry.index_of("app", Some("only-attestations"), &with[1..]);
    // An index in an index, and an image of which the index does not say what it is for.
    let inner = registry.index_of("app", None, &with);
    let untold = registry.image("app", None, "linux", "riscv64");
    registry.index_of(
        "app",
        Some("nested"),
        &[inner.descriptor(), untold.descriptor()],
    );
    registry.index_of("app", Some("nothing"), &[]);
    for (target, index, platforms) in [
        (":both", true, "linux/amd64, linux/arm64"),
        (
            &*format!("@{}", both.digest),
            true,
            "linux/amd64, linux/arm64",
        ),
        (&*format!("@{}", image.digest), false, "linux/arm64"),
        (":one", true, "linux/amd64, windows/arm64"),
        (":single", false, "linux/s390x"),
        (":attested", true, "linux/arm64"),
        (":only-attestations", true, ""),
        (":nested", true, "linux/arm64, linux/riscv64"),
        (":nothing", true, ""),
    ] {
        let told = ask(&client, &format!("{host}/app{target}"), "{}");
        assert_eq!(listed(told), (index, platforms.to_owned()), "{target}");
    }
}

#[test]
fn what_is_no_image_or_gone_is_told() {
    let Some(registry) = Registry::start(&Access::Everybody) else {
        return;
    };
    let (host, client) = (registry.host(), client());
    let helm = "application/vnd.cncf.helm.config.v1+json";
    let chart = registry.artifact("chart", Some("1"), helm, &json!({ "name": "x" }));
    registry.index_of("chart", Some("index"), &[chart.descriptor()]);
    for tag in ["1", "index"] {
        let told = ask(&client, &format!("{host}/chart:{tag}"), "{}");
        trouble(&told, Trouble::NoImage, helm);
    }
    let there = registry.index("app", "1", &[("linux", "amd64")]);
    let known = ask(&client, &format!("{host}/app:1"), "{}").expect("a listing");
    assert_eq!(known.digest, there.digest);
    registry.remove("app", &there.digest);
    for known in [None, Some(&known)] {
        let told = ask_again(&client, &format!("{host}/app:1"), "{}", known);
        trouble(&told, Trouble::Gone, "has no app 1 (any more)");
    }
    let told = ask(&client, &format!("{host}/never-there:1"), "{}");
    trouble(&told, Trouble::Gone, "never-there");
    // Nested too deep.
    let mut deep = registry.index_of("deep", None, &[]);
    for _ in 0..3 {
        deep = registry.index_of("deep", None, &[deep.descriptor()]);
    }
    registry.index_of("deep", Some("1"), &[deep.descriptor()]);
    let told = ask(&client, &format!("{host}/deep:1"), "{}");
    trouble(&told, Trouble::Invalid, "indexes in indexes");
}

#[test]
fn what_is_known_is_not_pulled_again() {
    let Some(registry) = Registry::start(&Access::Everybody) else {
        return;
    };
    let (host, client) = (registry.host(), client());
    registry.index("app", "1", &[("linux", "amd64")]);
    let reference = format!("{host}/app:1");
    let pulls = || registry.log().matches("\"GET /v2/app/manifests/1 ").count();
    let first = ask(&client, &reference, "{}").expect("a listing");
    let gets = pulls();
    assert!(gets > 0, "{}", registry.log());
    let again = ask_again(&client, &reference, "{}", Some(&first)).expect("a listing");
    assert_eq!((&again, pulls()), (&first, gets));
    assert!(registry.log().contains("\"HEAD /v2/app/manifests/1 "));
    // Somebody moved the tag.
    registry.index("app", "1", &[("linux", "amd64"), ("linux", "arm64")]);
    let moved = ask_again(&client, &reference, "{}", Some(&first));
    assert_eq!(listed(moved), (true, "linux/amd64, linux/arm64".to_owned()));
    assert!(pulls() > gets);
}

#[test]
fn a_password_is_used_and_a_wrong_one_is_told() {
    let Some(registry) = Registry::start(&Access::Password) else {
        return;
    };
    let (host, client) = (registry.host(), client());
    registry.index("team/app", "1", &[("linux", "arm64")]);
    let reference = format!("{host}/team/app:1");
    let config = |host: &str, password: &str| {
        json!({ "auths": { host: { "username": USER, "password": password } } }).to_string()
    };
    let told = ask(&client, &reference, &config(&host, PASSWORD));
    assert_eq!(listed(told), (true, "linux/arm64".to_owned()));
    let wrong = "wr0ng-s3cret";
    for (config, part) in [
        (
            config(&host, wrong),
            "what --registry-config has for it is not let in",
        ),
        (
            config("other.example", PASSWORD),
            "--registry-config has nothing for it",
        ),
        ("{}".to_owned(), "--registry-config has nothing for it"),
        (
            json!({ "credHelpers": { &*host: "ecr-login" } }).to_string(),
            "docker-credential-ecr-login for it, which is not run",
        ),
    ] {
        let told = ask(&client, &reference, &config);
        trouble(&told, Trouble::Denied, part);
        let shown = format!("{told:?}");
        assert!(
            !shown.contains(wrong) && !shown.contains(PASSWORD),
            "{shown}"
        );
    }
}

#[test]
fn tls_is_checked() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = key.cert.pem();
    let access = Access::Tls {
        certificate: certificate.clone(),
        key: key.signing_key.serialize_pem(),
    };
    let Some(registry) = Registry::start(&access) else {
        return;
    };
    let reference = format!("localhost:{}/app:1", registry.address().port());
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ca.crt");
    std::fs::write(&path, certificate).expect("writes");
    let trusting = Client::new(Options {
        plaintext: Vec::new(),
        local: Vec::new(),
        roots: roots(Some(&path)).expect("a CA"),
    });
    let told = ask(&trusting.expect("a client"), &reference, "{}");
    trouble(&told, Trouble::Gone, "has no app 1");
    // Asked without TLS then, since it is this machine, it has no answer to that.
    let told = ask(&client(), &reference, "{}");
    trouble(&told, Trouble::Invalid, "status 400");
    std::fs::write(&path, "no PEM").expect("writes");
    let told = roots(Some(&path)).expect_err("no CA").to_string();
    assert!(
        told.contains("ca.crt: there is no certificate in it"),
        "{told}"
    );
}
