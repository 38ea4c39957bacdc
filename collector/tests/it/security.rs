//! Who may do what, over real TLS, and what becomes of those who may not.

mod connections;
mod nonsense;
mod peers;
mod program;
mod tokens;
mod web;

use std::time::Duration;

use archtrace_collector::auth::dev_certs;
use tonic::Code::{PermissionDenied, Unauthenticated};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use peers::{Ca, Client, Credentials, Files, Holds, collector, expect, hello, until};

#[tokio::test]
async fn certificates_say_who_may_do_what() {
    let ca = Ca::new();
    let files = Files::new(&ca);
    let collector = collector(files.options()).await;
    let client = |shows: Option<&Credentials>| Client::new(collector.address, &ca.pem, shows);
    let agent = client(Some(&ca.agent("node-1")));
    let reader = client(Some(&ca.reader()));
    let names = ["node-2", "node-2.example"];
    let named = client(Some(&ca.issue("", "archtrace:agents", &names, Holds::Now)));
    let nobody = client(Some(&ca.issue("node-1", "admins", &[], Holds::Now)));
    let silent = client(None);

    let other = Err((PermissionDenied, "its own node only"));
    let not_agent = Err((PermissionDenied, "a reader's credentials"));
    let not_reader = Err((PermissionDenied, "an agent's credentials"));
    let no_role = Err((Unauthenticated, "its O is neither"));
    let none = Err((Unauthenticated, "no client certificate"));
    for (what, client, node, report, read) in [
        ("an agent", &agent, "node-1", Ok(()), not_reader),
        ("another node", &agent, "node-2", other, not_reader),
        ("a DNS name", &named, "node-2.example", Ok(()), not_reader),
        ("a reader", &reader, "alice", not_agent, Ok(())),
        ("no role", &nobody, "node-1", no_role, no_role),
        ("no certificate", &silent, "node-1", none, none),
    ] {
        expect(what, client.report(&hello(node)).await, report);
        expect(what, client.status().await, read);
    }
    let channel = silent.channel().await.expect("connects");
    let health = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    health.expect("health is for everybody");

    let status = reader.status().await.expect("a reader may ask");
    assert!(status.authenticated);
    let refusals = reader.refusals().await;
    let expected = [
        ("unauthenticated", 4),
        ("permission_denied", 4),
        ("node_mismatch", 1),
    ];
    assert_eq!(
        refusals,
        expected.map(|(reason, count)| (reason.to_owned(), count))
    );
}

#[tokio::test]
async fn certificates_that_do_not_hold_end_the_handshake() {
    let (ca, other) = (Ca::new(), Ca::new());
    let files = Files::new(&ca);
    let collector = collector(files.options()).await;
    let client = |shows: &Credentials| Client::new(collector.address, &ca.pem, Some(shows));
    let expired = ca.issue("n", "archtrace:agents", &[], Holds::UntilYesterday);
    for (what, shows) in [("expired", &expired), ("another CA's", &other.agent("n"))] {
        let answer = client(shows).report(&hello("n")).await;
        let status = answer.expect_err(what);
        // TLS says why, in words of its own, before there is any gRPC.
        assert!(
            !matches!(status.code(), PermissionDenied | Unauthenticated),
            "{what}: {status}"
        );
    }
    let reader = client(&ca.reader());
    until("both are counted", async || {
        reader.refusals().await == [("handshake".to_owned(), 2)]
    })
    .await;
    let good = client(&ca.agent("n")).report(&hello("n")).await;
    good.expect("the rest keeps working");
    let distrusts = Client::new(collector.address, &other.pem, None);
    distrusts.channel().await.expect_err("it is another server");
}

#[tokio::test]
async fn certificates_are_replaced_while_it_runs() {
    let (ca, new) = (Ca::new(), Ca::new());
    let files = Files::new(&ca);
    let collector = collector(files.options()).await;
    let agent = Client::new(collector.address, &ca.pem, Some(&ca.agent("n")));
    agent.report(&hello("n")).await.expect("the old one holds");

    files.write("tls.crt", "no certificate");
    // Longer than until it is read again.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let still = agent.report(&hello("n")).await;
    still.expect("the old one stays in force");

    files.serve_as(&new.server());
    files.write("ca.crt", &new.pem);
    let newer = Client::new(collector.address, &new.pem, Some(&new.agent("n")));
    until("the new one holds", async || {
        newer.report(&hello("n")).await.is_ok()
    })
    .await;
    let old = Client::new(collector.address, &new.pem, Some(&ca.agent("n")));
    old.report(&hello("n"))
        .await
        .expect_err("the old CA's certificates do not hold any more");
}

#[tokio::test]
async fn development_certificates_work_and_keys_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("certs");
    let wanted = dev_certs::Wanted {
        out: out.clone(),
        nodes: vec!["node-1".to_owned()],
        cluster: Some("prod".to_owned()),
        servers: vec!["collector.example".to_owned(), "192.0.2.1".to_owned()],
    };
    let usage = dev_certs::make(&wanted).expect("makes them");
    for words in ["--client-ca", "node-1.key", "reader.key"] {
        assert!(usage.contains(words), "{words}: {usage}");
    }
    for entry in std::fs::read_dir(&out).expect("a directory") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("a file").permissions().mode() & 0o777;
        let is_key = entry.path().extension().is_some_and(|ext| ext == "key");
        assert_eq!(mode & 0o077 == 0, is_key, "{:?}: {mode:o}", entry.path());
    }
    let read = |name: &str| peers::text(&out.join(name));
    let of = |name: &str| Credentials {
        certificate: read(&format!("{name}.crt")),
        key: read(&format!("{name}.key")),
    };
    let collector = collector(archtrace_collector::auth::Options {
        certificate: out.join("server.crt"),
        key: out.join("server.key"),
        client_ca: Some(out.join("ca.crt")),
        tokens: None,
    })
    .await;
    let client = |name| Client::new(collector.address, &read("ca.crt"), Some(&of(name)));
    let mut of_prod = hello("node-1");
    of_prod.cluster = "prod".to_owned();
    let report = client("node-node-1").report(&of_prod).await;
    report.expect("a node reports");
    let report = client("node-node-1").report(&hello("node-1")).await;
    let elsewhere = report.expect_err("a node of this name in another cluster");
    assert_eq!(elsewhere.code(), PermissionDenied);
    assert!(
        elsewhere.message().contains("a node of 'prod'"),
        "{elsewhere}"
    );
    client("reader").status().await.expect("a reader reads");
    let as_client = client("server").report(&hello("node-1")).await;
    as_client.expect_err("a server is no client");
    let again = dev_certs::make(&wanted).expect_err("nothing is overwritten");
    assert!(again.to_string().contains("ca.crt"), "{again}");
    let escapes = dev_certs::Wanted {
        nodes: vec!["../x".to_owned()],
        ..wanted
    };
    let escapes = dev_certs::make(&escapes).expect_err("no name");
    assert!(escapes.to_string().contains("is no name"), "{escapes}");
}
