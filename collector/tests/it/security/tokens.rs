//! Tokens of service accounts.

mod key_server;

use std::time::SystemTime;

use archtrace_collector::auth::{Source, Tokens};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tonic::Code::{PermissionDenied, Unauthenticated};

use self::key_server::KeyServer;
use super::peers::{Ca, Client, Files, collector, expect, hello, until};

const AGENT: &str = "system:serviceaccount:archtrace:agent";
pub(super) const READER: &str = "system:serviceaccount:tools:reader";
const ISSUER: &str = "https://kubernetes.default.svc";

/// Signs tokens.
pub(super) struct Signer {
    id: String,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    pub(super) fn ec(id: &str) -> Self {
        let key = KeyPair::generate().expect("a key").serialize_pem();
        Self {
            id: id.to_owned(),
            algorithm: Algorithm::ES256,
            key: EncodingKey::from_ec_pem(key.as_bytes()).expect("an EC key"),
        }
    }

    fn rsa(id: &str) -> Self {
        // Made for this test, and of no other use.
        let key = include_bytes!("rsa.pem");
        Self {
            id: id.to_owned(),
            algorithm: Algorithm::RS256,
            key: EncodingKey::from_rsa_pem(key).expect("an RSA key"),
        }
    }

    fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).expect("a public key");
        jwk.common.key_id = Some(self.id.clone());
        serde_json::to_value(jwk).expect("JSON")
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.clone());
        encode(&header, claims, &self.key).expect("signs")
    }
}

pub(super) fn jwks(signers: &[&Signer]) -> String {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// What the API server says of a pod on node-1, changed by `more`.
pub(super) fn claims(more: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER,
        "aud": ["archtrace"],
        "sub": AGENT,
        "exp": in_secs(600),
        "nbf": in_secs(-10),
        "kubernetes.io": {
            "namespace": "archtrace",
            "node": { "name": "node-1", "uid": "u" },
            "pod": { "name": "agent-x", "uid": "u" },
        },
    });
    for (name, value) in more.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims
}

fn in_secs(secs: i64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("not that far") + secs
}

pub(super) fn tokens(keys: Source) -> Tokens {
    Tokens {
        keys,
        audience: "archtrace".to_owned(),
        issuer: Some(ISSUER.to_owned()),
        cluster: None,
        agents: vec![AGENT.to_owned()],
        readers: vec![READER.to_owned()],
    }
}

#[tokio::test]
async fn tokens_say_who_may_do_what() {
    let (ca, known, rsa, stranger) = (
        Ca::new(),
        Signer::ec("one"),
        Signer::rsa("two"),
        Signer::ec("one"),
    );
    let files = Files::new(&ca);
    files.write("jwks", &jwks(&[&known, &rsa]));
    let mut options = files.options();
    options.tokens = Some(tokens(Source::File(files.path("jwks"))));
    let collector = collector(options).await;
    let signed = |more: Value| known.sign(&claims(&more));
    let unsigned = |head: Value| {
        let body = claims(&json!({})).to_string();
        format!(
            "{}.{}.",
            base64_url(head.to_string().as_bytes()),
            base64_url(body.as_bytes())
        )
    };
    let good = signed(json!({}));
    let tampered = {
        let (head, signature) = good.rsplit_once('.').expect("three parts");
        let other = signed(json!({ "sub": READER }));
        let (other, _) = other.rsplit_once('.').expect("three parts");
        assert_ne!(head, other);
        format!("{other}.{signature}")
    };
    // The public key as if it were a secret that both sides know.
    let confused = {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("two".to_owned());
        let public = jwks(&[&rsa]);
        let secret = EncodingKey::from_secret(public.as_bytes());
        encode(&header, &claims(&json!({})), &secret).expect("signs")
    };
    let not_reader = Err((PermissionDenied, "an agent's credentials"));
    let not_agent = Err((PermissionDenied, "a reader's credentials"));
    let bad = |words| Err((Unauthenticated, words));
    for (what, token, report, read) in [
        ("ES256", good.clone(), Ok(()), not_reader),
        ("RS256", rsa.sign(&claims(&json!({}))), Ok(()), not_reader),
        (
            "a reader",
            signed(json!({ "sub": READER })),
            not_agent,
            Ok(()),
        ),
        (
            "another node",
            signed(json!({ "kubernetes.io": { "node": { "name": "node-2" } } })),
            Err((PermissionDenied, "its own node only")),
            not_reader,
        ),
        (
            "another account",
            signed(json!({ "sub": "system:serviceaccount:evil:agent" })),
            Err((PermissionDenied, "may neither report nor read")),
            Err((PermissionDenied, "may neither report nor read")),
        ),
        (
            "no node",
            signed(json!({ "kubernetes.io": {} })),
            bad("names no node"),
            bad("names no node"),
        ),
        (
            "expired",
            signed(json!({ "exp": in_secs(-120) })),
            bad("has expired"),
            bad("has expired"),
        ),
        (
            "not yet",
            signed(json!({ "nbf": in_secs(120) })),
            bad("does not hold yet"),
            bad("does not hold yet"),
        ),
        (
            "another audience",
            signed(json!({ "aud": ["https://kubernetes.default.svc"] })),
            bad("another audience"),
            bad("another audience"),
        ),
        (
            "another issuer",
            signed(json!({ "iss": "https://elsewhere" })),
            bad("another issuer"),
            bad("another issuer"),
        ),
        (
            "another key of the same name",
            stranger.sign(&claims(&json!({}))),
            bad("signature is wrong"),
            bad("signature is wrong"),
        ),
        (
            "tampered",
            tampered,
            bad("signature is wrong"),
            bad("signature is wrong"),
        ),
        (
            "none",
            unsigned(json!({ "alg": "none" })),
            bad("does not read"),
            bad("does not read"),
        ),
        (
            "HS256",
            confused,
            bad("neither RS256 nor ES256"),
            bad("neither RS256 nor ES256"),
        ),
        (
            "an unknown key",
            Signer::ec("three").sign(&claims(&json!({}))),
            bad("a key that is not known"),
            bad("a key that is not known"),
        ),
        (
            "no token",
            "x".repeat(20_000),
            bad("'Bearer'"),
            bad("'Bearer'"),
        ),
        (
            "a word",
            "secret".to_owned(),
            bad("does not read"),
            bad("does not read"),
        ),
    ] {
        let mut client = Client::new(collector.address, &ca.pem, None);
        client.token = Some(token);
        expect(what, client.report(&hello("node-1")).await, report);
        expect(what, client.status().await, read);
    }
    // Certificates hold beside tokens.
    let agent = Client::new(collector.address, &ca.pem, Some(&ca.agent("node-1")));
    agent
        .report(&hello("node-1"))
        .await
        .expect("a certificate holds");
    let silent = Client::new(collector.address, &ca.pem, None);
    let neither = silent.report(&hello("node-1")).await;
    expect(
        "neither",
        neither,
        bad("neither a client certificate nor a token"),
    );
}

/// Base64 as JWTs have it.
fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |chunk: &[u8], i: usize| {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        char::from(DIGITS[(bits >> (18 - 6 * i) & 63) as usize])
    };
    let chunks = bytes.chunks(3);
    chunks
        .flat_map(|chunk| (0..=chunk.len()).map(move |i| digit(chunk, i)))
        .collect()
}

#[tokio::test]
async fn keys_come_over_https_and_outlive_their_server() {
    let (ca, first, second) = (Ca::new(), Signer::ec("one"), Signer::ec("two"));
    let files = Files::new(&ca);
    files.write("jwks", &jwks(&[&first]));
    files.write("bearer", "ours\n");
    let keys = KeyServer::start(&ca.server(), files.path("jwks")).await;
    let mut options = files.options();
    options.tokens = Some(tokens(Source::Url {
        url: format!("https://localhost:{}/keys", keys.port)
            .parse()
            .expect("a URL"),
        ca: Some(files.path("ca.crt")),
        token: Some(files.path("bearer")),
    }));
    let collector = collector(options).await;
    let by = |signer: &Signer| {
        let mut client = Client::new(collector.address, &ca.pem, None);
        client.token = Some(signer.sign(&claims(&json!({}))));
        client
    };
    by(&first)
        .report(&hello("node-1"))
        .await
        .expect("it was asked for at start");
    files.write("jwks", &jwks(&[&first, &second]));
    until("a new key is found by a token that it signed", async || {
        by(&second).report(&hello("node-1")).await.is_ok()
    })
    .await;
    keys.end().await;
    let unknown = by(&Signer::ec("three")).report(&hello("node-1")).await;
    expect(
        "unknown",
        unknown,
        Err((Unauthenticated, "a key that is not known")),
    );
    for signer in [&first, &second] {
        by(signer)
            .report(&hello("node-1"))
            .await
            .expect("known keys stay in force");
    }
}

#[tokio::test]
async fn tokens_are_of_one_cluster() {
    let (ca, known) = (Ca::new(), Signer::ec("one"));
    let files = Files::new(&ca);
    files.write("jwks", &jwks(&[&known]));
    let mut options = files.options();
    options.tokens = Some(Tokens {
        cluster: Some("prod".to_owned()),
        ..tokens(Source::File(files.path("jwks")))
    });
    let collector = collector(options).await;
    let mut client = Client::new(collector.address, &ca.pem, None);
    client.token = Some(known.sign(&claims(&json!({}))));
    for (cluster, expected) in [
        ("prod", Ok(())),
        ("test", Err((PermissionDenied, "a node of 'prod'"))),
        ("", Err((PermissionDenied, "a node of 'prod'"))),
    ] {
        let mut hello = hello("node-1");
        hello.cluster = cluster.to_owned();
        expect(cluster, client.report(&hello).await, expected);
    }
}
